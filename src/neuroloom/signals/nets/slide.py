"""A classifier slid over a longer trace: one label a sample, or one a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class Slide(nn.Module):
    """Any net of the zoo as a dense one: its logits in overlapping windows, interpolated.

    The trace is mirrored at both ends, so that the first and the last sample lie in the middle of a
    window too. With a stride as long as the window nothing overlaps and nothing is mirrored: one
    label for each piece, as in sleep staging without context.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a trace and number of classes.
    rate
        Hz, passed on to the net; None: `window` and `stride` are samples.
    net
        Makes the classifier: `net(n_channels, window, n_outputs, rate=…, **options)`.
    window, stride
        What the classifier sees and the distance of two looks, s; a window longer than the trace is
        cut to it, and the stride is a quarter of the window if none is given.
    places
        Labels of a trace of `n_times` samples, evenly spaced; None: one a sample.
    options
        Further arguments of the net.

    Raises
    ------
    ConfigError
        If the window is too short for the net.

    Examples
    --------
    >>> from neuroloom.signals.nets.shallow import ShallowConvNet
    >>> dense = Slide(2, 1000, 3, 100, net=ShallowConvNet, window=1.0)
    >>> dense(torch.zeros(4, 2, 1000)).shape
    torch.Size([4, 3, 1000])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        net: Callable[..., nn.Module],
        window: float = 1.0,
        stride: float | None = None,
        places: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.window = min(n_times, max(1, round(window * (rate or 1.0))))
        step = self.window / 4 if stride is None else stride * (rate or 1.0)
        self.stride = max(1, round(step))
        self.margin = self.window // 2 if self.stride < self.window else 0
        self.hop = n_times / (places or n_times)
        self.net = net(n_channels, self.window, n_outputs, rate=rate, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Map traces (n, channel, time), of any length, to logits (n, n_outputs, place)."""
        looks = self.cut(x, self.stride)
        logits = self.net(looks.flatten(0, 1)).unflatten(0, looks.shape[:2]).mT
        where = self._locate(self._count(x.shape[-1]), logits).clamp(0, logits.shape[-1] - 1)
        before = where.floor().long()
        after = (before + 1).clamp_max(logits.shape[-1] - 1)
        return torch.lerp(logits[..., before], logits[..., after], where - before)

    def cut(self, x: Tensor, stride: int) -> Tensor:
        """Cut traces (n, channel, time) into windows (n, look, channel, window)."""
        if self.margin:
            looks = (x.shape[-1] - 1) // stride + 1
            after = (looks - 1) * stride + self.window - self.margin - x.shape[-1]
            x = pad(x, (self.margin, max(0, after)), mode="reflect")
        return x.unfold(-1, self.window, stride).transpose(1, 2)

    def constrain(self) -> None:
        """Apply the net's own limits."""
        if hasattr(self.net, "constrain"):
            self.net.constrain()

    def adapt(self, x: Tensor, y: Tensor) -> None:
        """Show the net neighbouring windows of the training traces, where it asks for them."""
        self._tell("adapt", x, y)

    def conclude(self, x: Tensor, y: Tensor) -> None:
        """Show the net the same windows again after training."""
        self._tell("conclude", x, y)

    def _tell(self, hook: str, x: Tensor, y: Tensor) -> None:
        """Call `hook` with windows and the labels in their middle, where these are known."""
        if not hasattr(self.net, hook):
            return
        looks = self.cut(x, self.window)
        middle = torch.arange(looks.shape[1]) * self.window + self.window // 2 - self.margin
        place = (middle / self.hop).long().clamp_max(y.shape[1] - 1)
        labels, windows = y[:, place].flatten(), looks.flatten(0, 1)
        known = labels >= 0
        getattr(self.net, hook)(windows[known], labels[known])

    def _count(self, n_times: int) -> int:
        return max(1, round(n_times / self.hop))

    def _locate(self, places: int, like: Tensor) -> Tensor:
        """Return where the middle of each place lies, counted in looks."""
        middle = (torch.arange(places, device=like.device, dtype=like.dtype) + 0.5) * self.hop - 0.5
        first = (self.window - 1) / 2 - self.margin
        return (middle - first) / self.stride
