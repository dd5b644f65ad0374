"""From a window to a short sequence of learnt features, as layers over time want it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import elu

from neuroloom.nets.blocks import glorot_, require_positive

USUAL_RATE = 100.0
SMALLEST_POWER = 1e-6


class LogPower(nn.Module):
    """Square, mean over `window` samples every `step`, log: what a filtered signal's power does.

    Parameters
    ----------
    window, step
        Samples.

    Examples
    --------
    >>> import torch
    >>> LogPower(4, 2)(2 * torch.ones(1, 1, 8)).shape
    torch.Size([1, 1, 3])
    """

    def __init__(self, window: int, step: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool1d(window, step)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, feature, time) to (n, feature, token)."""
        return self.pool(x.square()).clamp_min(SMALLEST_POWER).log()


class Tokens(nn.Module):
    """Mix the channels, filter each mixture in time, and pool: a token every `step` seconds.

    Recurrent and attention layers see a dozen tokens in place of hundreds of samples, which is
    both cheaper and easier to learn from few trials. With `power` a token holds the log power of
    each mixture, the quantity that CSP and ShallowConvNet decode (Blankertz et al. 2008;
    Schirrmeister et al. 2017); else their mean after an ELU, which keeps the sign of an evoked
    response.

    Parameters
    ----------
    net
        Name of the net for messages.
    n_channels, n_times
        Shape of a window.
    filters
        Mixtures, which is also the number of features of a token.
    rate
        Hz; None stands for 100.
    kernel, window, step
        Length of the temporal filters, of the stretch that a token sums up, and the distance of
        two tokens, s.
    power
        True for log power.

    Attributes
    ----------
    count
        Number of tokens.

    Raises
    ------
    ConfigError
        If a window is too short for one token.

    Examples
    --------
    >>> import torch
    >>> stem = Tokens("net", 22, 300, 8, rate=100)
    >>> stem(torch.randn(2, 22, 300)).shape, stem.count
    (torch.Size([2, 8, 10]), 10)
    """

    def __init__(
        self,
        net: str,
        n_channels: int,
        n_times: int,
        filters: int,
        rate: float | None = None,
        *,
        kernel: float = 0.2,
        window: float = 0.5,
        step: float = 0.25,
        power: bool = True,
    ) -> None:
        super().__init__()
        taps, wide, stride = (in_samples(s, rate) for s in (kernel, window, step))
        self.count = (n_times - taps + 1 - wide) // stride + 1
        require_positive(net, self.count, n_times, taps + wide - 1, rate)
        self.mix = nn.Conv1d(n_channels, filters, 1, bias=False)
        self.filter = nn.Conv1d(filters, filters, taps, groups=filters, bias=False)
        glorot_(self.mix.weight, n_channels, filters)
        glorot_(self.filter.weight, taps, taps)
        self.norm = nn.BatchNorm1d(filters)
        self.signed = not power
        self.pool = LogPower(wide, stride) if power else nn.AvgPool1d(wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, filters, token)."""
        filtered = self.filter(self.mix(x))
        if self.signed:
            return self.pool(elu(self.norm(filtered)))
        return self.norm(self.pool(filtered))


def in_samples(seconds: float, rate: float | None) -> int:
    """Return how many samples last `seconds`, at least one; without a rate at 100 Hz.

    Examples
    --------
    >>> in_samples(0.25, 160), in_samples(0.25, None)
    (40, 25)
    """
    return max(1, round(seconds * (rate or USUAL_RATE)))
