"""U-Sleep: a U-Net over hours of sleep, with one label for every stretch of any length."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, interpolate, pad

from neuroloom.signals.nets.blocks import require_positive
from neuroloom.signals.nets.eegnet import same_padding
from neuroloom.signals.nets.sequence import epoch_of, labels_of

PAPER_RATE = 128.0


class USleep(nn.Module):
    """U-Sleep of Perslev et al. 2021 (npj Digital Medicine 4:72, figure 4 and table 6).

    2,482,011 trainable parameters for 2 channels, 5 stages and 100 Hz; 3,114,337 at the paper's
    128 Hz ("about 3.1 million").

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a stretch and number of classes.
    rate
        Hz; kernels keep the paper's length in seconds (9 samples at 128 Hz), as an odd number of
        samples. None takes 9.
    places
        Labels in a stretch of `n_times` samples: epochs of sleep, or any other frequency.
    dense
        True: all of them, (n, n_outputs, place); False: that in the middle.
    depth
        Blocks down, and as many up; each halves (doubles) the length.
    filters, complexity
        Filters of the first block before and the factor by which the paper widens all blocks.

    Raises
    ------
    ConfigError
        If the places do not divide the stretch.

    Examples
    --------
    >>> USleep(2, 6000, 5, 100, places=2, dense=True, depth=4)(torch.zeros(3, 2, 6000)).shape
    torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        places: int = 1,
        dense: bool = False,
        depth: int = 12,
        filters: int = 5,
        complexity: float = 1.67,
    ) -> None:
        super().__init__()
        require_positive("USleep", n_times // places, n_times, places, rate)
        self.epoch, self.dense = epoch_of("USleep", n_times, places), dense
        kernel = odd(9 * (rate or PAPER_RATE) / PAPER_RATE)
        widths = widths_of(depth, filters, complexity)
        steps = list(pairwise([n_channels, *widths]))
        self.down = nn.ModuleList(Filter(n_in, n_out, kernel) for n_in, n_out in steps[:-1])
        self.bottom = Filter(*steps[-1], kernel)
        self.up = nn.ModuleList(Up(n_in, n_out, kernel) for n_out, n_in in steps[:0:-1])
        self.summarise = nn.Sequential(nn.Conv1d(widths[0], widths[0], 1), nn.Tanh())
        self.output = nn.Sequential(
            nn.Conv1d(widths[0], n_outputs, 1), nn.ELU(), nn.Conv1d(n_outputs, n_outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map stretches (n, channel, time) to logits (n, n_outputs, place) or (n, n_outputs)."""
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
            x = halve(x)
        x = self.bottom(x)
        for block in self.up:
            x = block(x, kept.pop())
        return labels_of(self.output(avg_pool1d(self.summarise(x), self.epoch)), self.dense)


class Filter(nn.Sequential):
    """Convolution that keeps the length, ELU, batch normalisation."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        rest = (nn.ELU(), nn.BatchNorm1d(n_out))
        if kernel % 2:
            super().__init__(nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2), *rest)
        else:
            zeros = nn.ConstantPad1d(same_padding(kernel), 0.0)
            super().__init__(zeros, nn.Conv1d(n_in, n_out, kernel), *rest)


class Up(nn.Module):
    """Double the length, filter, and filter again beside what the way down kept."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.before, self.after = Filter(n_in, n_out, 2), Filter(2 * n_out, n_out, kernel)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """Map (n, n_in, time / 2) and (n, n_out, time) to (n, n_out, time)."""
        x = self.before(interpolate(x, scale_factor=2.0))[..., : kept.shape[-1]]
        return self.after(torch.cat([x, kept], 1))


def halve(x: Tensor) -> Tensor:
    """Take the larger of each two samples, with a zero before an odd number of them.

    Examples
    --------
    >>> halve(torch.tensor([[[1.0, 3.0, -2.0]]]))
    tensor([[[1., 3.]]])
    """
    return nn.functional.max_pool1d(pad(x, (x.shape[-1] % 2, 0)), 2)


def odd(length: float) -> int:
    """Return the odd number of samples nearest to `length`.

    Examples
    --------
    >>> odd(9), odd(9 * 100 / 128), odd(18)
    (9, 7, 17)
    """
    return 2 * max(0, round((length - 1) / 2)) + 1


def widths_of(depth: int, filters: int, complexity: float) -> list[int]:
    """Return the filters of the blocks down and of the bottom.

    Each block has the square root of two times as many filters as the last, whole numbers; the
    complexity factor then multiplies their area.

    Examples
    --------
    >>> widths_of(12, 5, 1.67)
    [6, 9, 11, 15, 20, 28, 40, 55, 77, 108, 152, 214, 302]
    """
    plain = [filters]
    for _ in range(depth):
        plain.append(int(plain[-1] * 2**0.5))
    return [int(width * complexity**0.5) for width in plain]
