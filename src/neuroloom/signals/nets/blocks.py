"""What the nets of this folder share: time in seconds, initial weights, norm limits, checks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError

# Measured on two cores: below it a direct convolution is faster.
SPECTRAL_FROM = 20


def samples(at_reference: float, reference_rate: float, rate: float) -> int:
    """Return how many samples at `rate` last as long as `at_reference` samples of the paper.

    Examples
    --------
    >>> samples(64, reference_rate=128, rate=80)
    40
    """
    return max(1, round(at_reference * rate / reference_rate))


def require_positive(net: str, length: int, n_times: int, needed: int, rate: float | None) -> None:
    """Raise unless `length`, what the net leaves of `n_times` samples, is at least 1.

    Raises
    ------
    ConfigError
        With the shortest window that the net can take.
    """
    if length >= 1:
        return
    unit = f" ({needed / rate:.2f} s at {rate:g} Hz)" if rate else ""
    raise ConfigError(
        f"{net} needs windows of at least {needed} samples{unit}, these have {n_times}. "
        "Cut longer windows, raise the rate or take a smaller net."
    )


def glorot_(weight: Tensor, fan_in: int, fan_out: int) -> Tensor:
    """Fill `weight` in place, uniform with variance 2 / (fan_in + fan_out) (Glorot 2010, eq. 16).

    The fans are given because a merged or grouped kernel does not show them in its shape.
    """
    bound = (6.0 / (fan_in + fan_out)) ** 0.5
    return nn.init.uniform_(weight, -bound, bound)


@torch.no_grad()
def limit_norm_(weight: Tensor, limit: float, dims: Sequence[int]) -> None:
    """Shrink in place every filter of `weight` whose L2 norm over `dims` exceeds `limit`."""
    norm = weight.norm(dim=tuple(dims), keepdim=True)
    weight.mul_((limit / norm.clamp_min(1e-12)).clamp_max(1.0))


class TimeSpaceConv(nn.Module):
    """A temporal and then a spatial convolution with nothing between them, computed as one.

    Both are linear, so their composition is one convolution whose kernel is the product of the two
    (Schirrmeister et al. 2017 describe the pair as one "split" layer). Parameters stay the two of
    the paper; only the maps of every channel and filter, which fill the memory, never exist.

    Parameters
    ----------
    n_channels, filters, kernel
        Input channels, number of temporal and of spatial filters, samples of the temporal kernel.
    """

    def __init__(self, n_channels: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.temporal = nn.Parameter(torch.empty(filters, kernel))
        self.temporal_bias = nn.Parameter(torch.zeros(filters))
        self.spatial = nn.Parameter(torch.empty(filters, filters, n_channels))
        glorot_(self.temporal, kernel, filters * kernel)
        glorot_(self.spatial, filters * n_channels, filters * n_channels)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return the merged kernel (out, channel, time) and its bias (out)."""
        merged = torch.einsum("ofc,fk->ock", self.spatial, self.temporal)
        return merged, self.spatial.sum(2) @ self.temporal_bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, filter, time - kernel + 1)."""
        weight, bias = self.kernel()
        if weight.shape[2] < SPECTRAL_FROM:
            return nn.functional.conv1d(x, weight, bias)
        return correlate_spectrally(x, weight) + bias[:, None]


def correlate_spectrally(x: Tensor, weight: Tensor) -> Tensor:
    """Return `conv1d(x, weight)` by way of the spectrum, where long kernels cost nothing more.

    A valid correlation never reaches past the end, so the transform needs no padding.

    Parameters
    ----------
    x
        Shape (n, channel, time).
    weight
        Shape (out, channel, kernel).
    """
    n_times = x.shape[2]
    n_fft = fast_length(n_times)
    spectrum = torch.fft.rfft(x, n_fft).permute(2, 0, 1)
    gain = torch.fft.rfft(weight, n_fft).conj().permute(2, 1, 0)
    maps = torch.fft.irfft(torch.bmm(spectrum, gain).permute(1, 2, 0), n_fft)
    return maps[..., : n_times - weight.shape[2] + 1]


def fast_length(n: int) -> int:
    """Return the smallest length from `n` on whose only prime factors are 2, 3 and 5.

    Examples
    --------
    >>> fast_length(559)
    576
    """
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
