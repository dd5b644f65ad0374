"""What the nets of this folder share: the blocks of all nets, and filters in time and space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.nets.blocks import glorot_, limit_norm_, require_positive, samples

__all__ = [
    "TimeSpaceConv",
    "affine",
    "correlate_spectrally",
    "fast_length",
    "glorot_",
    "limit_norm_",
    "require_positive",
    "samples",
]

# Measured on two cores: below it a direct convolution is faster.
SPECTRAL_FROM = 20


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


def affine(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factor and the shift by which `norm` treats maps of these moments.

    Examples
    --------
    >>> affine(nn.BatchNorm1d(1, eps=0.0), torch.tensor([3.0]), torch.tensor([4.0]))
    (tensor([0.5000], grad_fn=<MulBackward0>), tensor([-1.5000], grad_fn=<SubBackward0>))
    """
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    return gain, norm.bias - gain * mean
