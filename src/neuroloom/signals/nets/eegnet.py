"""EEGNet: frequency filters, spatial filters for each of them, a short summary in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, elu, pad

from neuroloom.signals.nets.blocks import (
    fast_length,
    glorot_,
    limit_norm_,
    require_positive,
    samples,
)

PAPER_RATE = 128.0


class SourceFilter(nn.Module):
    """What EEGNet and the nets built upon it do first, for subclasses that own the weights.

    The paper filters every channel in time and then weighs the channels. Here the channels are
    weighed first and the few sums are filtered, which is the same: the batch normalisation between
    the two is linear once the mean and the variance of the temporal maps are known, and these
    follow from the spectrum of the batch (see `map_moments`).

    Attributes
    ----------
    temporal, spatial
        Kernels (filter, time) and, for each of them, weights (filter, depth, channel).
    temporal_norm
        Batch normalisation of the temporal maps.
    """

    temporal: nn.Parameter
    temporal_norm: nn.BatchNorm1d
    spatial: nn.Parameter

    def sources(self, x: Tensor) -> Tensor:
        """Temporal filters, their batch normalisation and spatial filters: (n, maps, time)."""
        gain, shift = self._temporal_gain(x)
        depth = self.spatial.shape[1]
        sources = self.spatial.flatten(0, 1) @ x
        kernels = (self.temporal * gain[:, None]).repeat_interleave(depth, 0)
        offset = shift.repeat_interleave(depth) * self.spatial.sum(2).flatten()
        return self.correlate(sources, kernels) + offset[:, None]

    def _temporal_gain(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factor and the shift by which batch normalisation treats each temporal map."""
        norm = self.temporal_norm
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            mean, variance = map_moments(x, self.temporal)
            update_running(norm, mean, variance, x.numel())
        gain = norm.weight * torch.rsqrt(variance + norm.eps)
        return gain, norm.bias - gain * mean

    def correlate(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Filter each map with its own kernel, keeping the length.

        In training through the spectrum, as the gradient of a grouped convolution with long
        kernels is slow on a CPU; else by the convolution, which every exporter knows.
        """
        if self.training:
            return filter_spectrally(x, kernels)
        padded = pad(x, same_padding(kernels.shape[1]))
        return conv1d(padded, kernels[:, None], groups=len(kernels))


class FilteredSources(SourceFilter):
    """Temporal filters, their batch normalisation, and spatial filters for each of them.

    Parameters
    ----------
    n_channels, filters, depth, kernel
        Input channels, temporal filters, spatial filters for each of them, samples of a filter.
    """

    def __init__(self, n_channels: int, filters: int, depth: int, kernel: int) -> None:
        super().__init__()
        self.temporal = nn.Parameter(torch.empty(filters, kernel))
        self.temporal_norm = nn.BatchNorm1d(filters)
        self.spatial = nn.Parameter(torch.empty(filters, depth, n_channels))
        glorot_(self.temporal, kernel, filters * kernel)
        glorot_(self.spatial, n_channels, depth * n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, filters * depth, time)."""
        return self.sources(x)


class EEGNet(SourceFilter):
    """EEGNet-8,2 of Lawhern et al. 2018 (J Neural Eng 15:056013, table 2).

    2,484 trainable parameters for 22 channels, 4 classes and 512 samples.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools keep the paper's length in seconds (64 samples at 128 Hz are 0.5 s).
        None takes the paper's samples as they are.
    filters, depth
        Temporal filters (F1), spatial filters for each of them (D).
    dropout
        Share dropped after each pool (0.5 within, 0.25 across subjects in the paper).
    max_norm
        Limit of the norm of each spatial filter and, a quarter of it, of each output's weights
        (1 and 0.25 in the paper); 0 sets none.

    Raises
    ------
    ConfigError
        If a window is shorter than the two pools.

    Examples
    --------
    >>> import torch
    >>> EEGNet(22, 512, 4)(torch.zeros(2, 22, 512)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 8,
        depth: int = 2,
        dropout: float = 0.5,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__()
        given, rate = rate, rate or PAPER_RATE
        kernel, first = samples(64, PAPER_RATE, rate), samples(4, PAPER_RATE, rate)
        second = samples(8, PAPER_RATE / 4, rate / first)
        short = samples(16, PAPER_RATE / 4, rate / first)
        length = n_times // first // second
        require_positive("EEGNet", length, n_times, first * second, given)
        maps = filters * depth
        self.max_norm, self.short = max_norm, short
        self.temporal = nn.Parameter(torch.empty(filters, kernel))
        self.temporal_norm = nn.BatchNorm1d(filters)
        self.spatial = nn.Parameter(torch.empty(filters, depth, n_channels))
        self.spatial_norm = nn.BatchNorm1d(maps)
        self.pool = nn.AvgPool1d(first)
        self.depthwise = nn.Parameter(torch.empty(maps, short))
        self.pointwise = nn.Parameter(torch.empty(maps, maps))
        self.summary_norm = nn.BatchNorm1d(maps)
        self.summary_pool = nn.AvgPool1d(second)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps * length, n_outputs)
        self._initialise(kernel, n_channels, length)

    def _initialise(self, kernel: int, n_channels: int, length: int) -> None:
        maps = len(self.pointwise)
        glorot_(self.temporal, kernel, len(self.temporal) * kernel)
        glorot_(self.spatial, n_channels, self.spatial.shape[1] * n_channels)
        glorot_(self.depthwise, self.short, self.short)
        glorot_(self.pointwise, maps, maps)
        glorot_(self.output.weight, maps * length, self.output.out_features)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        x = self.spatial_norm(self.sources(x))
        x = self.dropout(self.pool(elu(x)))
        x = self.summary_norm(self._separable(x))
        x = self.dropout(self.summary_pool(elu(x)))
        return self.output(x.flatten(1))

    def _separable(self, x: Tensor) -> Tensor:
        """Filter each map in time, then mix the maps."""
        return self.pointwise @ self.correlate(x, self.depthwise)

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.spatial, self.max_norm, (2,))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))


def same_padding(kernel: int) -> tuple[int, int]:
    """Return the zeros before and after that keep the length, as Keras and torch place them."""
    return (kernel - 1) // 2, kernel // 2


def filter_spectrally(x: Tensor, kernels: Tensor) -> Tensor:
    """Filter each map with its own kernel by multiplying spectra.

    Parameters
    ----------
    x, kernels
        Shapes (n, map, time) and (map, k); a correlation with `same_padding`.
    """
    n_times, size = x.shape[-1], kernels.shape[-1]
    n_fft = fast_length(n_times + size - 1)
    response = torch.fft.rfft(kernels.flip(-1), n=n_fft)
    full = torch.fft.irfft(torch.fft.rfft(x, n=n_fft) * response, n=n_fft)
    start = same_padding(size)[1]
    return full[..., start : start + n_times]


def map_moments(x: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of `x` filtered with each kernel, without filtering it.

    By Parseval's theorem the energy of the full convolution is the spectrum of the batch times that
    of the kernel. The convolution of the net keeps only the middle, as long as the window; what it
    leaves out at both ends comes from the first and the last samples alone and is subtracted.

    Parameters
    ----------
    x
        Shape (n, channel, time).
    kernels
        Shape (filter, k), applied as a correlation with zero padding that keeps the length.

    Returns
    -------
    mean, variance
        Shape (filter,) each, over windows, channels and time; the variance is the biased one.
    """
    n_times, size = x.shape[-1], kernels.shape[1]
    n_fft = fast_length(n_times + size - 1)
    wide = kernels.double()
    power = batch_power(x, n_fft)
    energy = torch.fft.rfft(wide, n=n_fft).abs().square() @ power
    total = wide.sum(1) * x.sum((0, 1), dtype=torch.float64).sum()
    before, after = same_padding(size)
    ends = (x[..., :after], wide), (x[..., max(0, n_times - before) :].flip(-1), wide.flip(-1))
    for outside in (_outside(*ends[0], after), _outside(*ends[1], before)):
        energy, total = energy - outside[0], total - outside[1]
    mean = total / x.numel()
    variance = (energy / x.numel() - mean.square()).clamp_min(0)
    return mean.to(x.dtype), variance.to(x.dtype)


def batch_power(x: Tensor, n_fft: int) -> Tensor:
    """Return the energy of a batch in each bin of a one-sided spectrum, summing to its total."""
    spectrum = torch.view_as_real(torch.fft.rfft(x.flatten(0, 1), n=n_fft))
    power = spectrum.square().sum(0).double().sum(-1) / n_fft
    twice = torch.full_like(power, 2.0)
    twice[0] = 1.0
    if n_fft % 2 == 0:
        twice[-1] = 1.0
    return power * twice


def _outside(x: Tensor, kernels: Tensor, cut: int) -> tuple[Tensor, Tensor]:
    """Energy and sum of the `cut` outputs of the full correlation that lie before the window.

    Output j = 0 … cut-1 sees the first j+1 samples with the last j+1 taps of the kernel; `x` need
    hold no more than the first `cut` samples.
    """
    size, head = kernels.shape[1], x.flatten(0, 1).double()
    index = torch.arange(size, device=x.device)
    lag = index[:cut, None] - index[None, : head.shape[1]]
    taps = kernels[:, (size - 1 - lag).clamp(0, size - 1)] * (lag >= 0)
    energy = torch.einsum("fji,ik,fjk->f", taps, head.T @ head, taps)
    return energy, torch.einsum("fji,i->f", taps, head.sum(0))


@torch.no_grad()
def update_running(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running moments of `norm` as its own forward pass would."""
    norm.num_batches_tracked += 1
    weight = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.detach(), weight)
    unbiased = variance.detach() * (count / max(count - 1, 1))
    norm.running_var.lerp_(unbiased, weight)
