"""EEG-Inception: temporal scales side by side, for event-related potentials."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, elu, pad

from neuroloom.signals.nets.blocks import affine, glorot_, limit_norm_, require_positive, samples
from neuroloom.signals.nets.eegnet import map_moments, same_padding, update_running

PAPER_RATE = 128.0
SCALES = (64, 32, 16)


class EEGInception(nn.Module):
    """EEG-Inception of Santamaria-Vazquez et al. 2020 (IEEE TNSRE 28:2773, table I).

    14,926 trainable parameters for 8 channels, 2 classes and 128 samples. The batch normalisation
    of the temporal maps is folded into their kernels, as their mean and variance follow from the
    spectrum of the batch (see `map_moments`). The spatial filters have the norm limit of the
    authors' code, which braindecode 1.8.1 leaves out.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools keep the paper's length in seconds (64, 32 and 16 samples at 128 Hz
        are 0.5, 0.25 and 0.125 s). None takes the paper's samples as they are.
    filters, depth
        Filters of each branch, and spatial filters for each of them.
    dropout
        Share dropped after each convolution (0.25 in the authors' code).
    max_norm
        Limit of the norm of each spatial filter; 0 sets none.

    Raises
    ------
    ConfigError
        If a window is shorter than the four pools.

    Examples
    --------
    >>> import torch
    >>> EEGInception(8, 128, 2)(torch.zeros(2, 8, 128)).shape
    torch.Size([2, 2])
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
        dropout: float = 0.25,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__()
        given, rate = rate, rate or PAPER_RATE
        first = samples(4, PAPER_RATE, rate)
        length = n_times // first // 2 // 2 // 2
        require_positive("EEGInception", length, n_times, first * 8, given)
        long = [samples(size, PAPER_RATE, rate) for size in SCALES]
        short = [samples(size // 4, PAPER_RATE / 4, rate / first) for size in SCALES]
        last = [samples(n, PAPER_RATE / d, rate / first * 4 / d) for n, d in ((8, 8), (4, 16))]
        branches, maps = len(SCALES), len(SCALES) * filters * depth
        self.max_norm = max_norm
        self.scales = ScaledSources(n_channels, filters, depth, long, dropout)
        self.pool = nn.AvgPool1d(first)
        self.shorter = nn.ModuleList(_conv(maps, filters, size, dropout) for size in short)
        self.shorter_pool = nn.AvgPool1d(2)
        wide = branches * filters
        self.summary = nn.Sequential(
            *_conv(wide, wide // 2, last[0], dropout),
            nn.AvgPool1d(2),
            *_conv(wide // 2, wide // 4, last[1], dropout),
            nn.AvgPool1d(2),
        )
        self.output = nn.Linear(wide // 4 * length, n_outputs)
        glorot_(self.output.weight, self.output.in_features, n_outputs)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        x = self.pool(self.scales(x))
        x = self.shorter_pool(torch.cat([branch(x) for branch in self.shorter], 1))
        return self.output(self.summary(x).flatten(1))

    def constrain(self) -> None:
        """Apply the norm limit; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.scales.spatial, self.max_norm, (2,))


class ScaledSources(nn.Module):
    """Kernels of several lengths over each channel, ELU, and spatial filters for each of them.

    Parameters
    ----------
    n_channels, filters, depth
        Input channels, filters of each length, spatial filters for each of them.
    sizes
        Samples of the kernels, the longest first.
    dropout
        Share dropped after both layers.
    """

    def __init__(
        self, n_channels: int, filters: int, depth: int, sizes: list[int], dropout: float
    ) -> None:
        super().__init__()
        maps = len(sizes) * filters
        self.kernels = nn.ParameterList(torch.empty(filters, size) for size in sizes)
        self.bias = nn.Parameter(torch.zeros(maps))
        self.temporal_norm = nn.BatchNorm1d(maps)
        self.spatial = nn.Parameter(torch.empty(maps, depth, n_channels))
        self.spatial_norm = nn.BatchNorm1d(maps * depth)
        self.dropout = nn.Dropout(dropout)
        for kernel in self.kernels:
            nn.init.normal_(kernel, std=(2 / kernel.shape[1]) ** 0.5)
        glorot_(self.spatial, n_channels, depth * n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to (n, filters of all lengths * depth, time)."""
        gain, offset = self._normalisation(x)
        parts, filters = [], len(self.kernels[0])
        for i, kernel in enumerate(self.kernels):
            own = slice(i * filters, (i + 1) * filters)
            padded = pad(x, same_padding(kernel.shape[1]))[:, None]
            weight = (kernel * gain[own, None])[:, None, None]
            maps = self.dropout(elu(conv2d(padded, weight, offset[own]), inplace=True))
            parts.append((self.spatial[own] @ maps).flatten(1, 2))
        return self.dropout(elu(self.spatial_norm(torch.cat(parts, 1))))

    def _normalisation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return factor and offset that stand for bias and batch normalisation of each map."""
        norm = self.temporal_norm
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            mean, variance = map_moments(x, middle(list(self.kernels)))
            mean = mean + self.bias
            update_running(norm, mean, variance, x.numel())
        gain, shift = affine(norm, mean, variance)
        return gain, shift + gain * self.bias


def middle(kernels: list[Tensor]) -> Tensor:
    """Return kernels (filter, k) of several lengths as one bank, which filters as each does alone.

    Examples
    --------
    >>> import torch
    >>> middle([torch.ones(1, 4), torch.ones(1, 2)])
    tensor([[1., 1., 1., 1.],
            [0., 1., 1., 0.]])
    """
    before, after = same_padding(max(kernel.shape[1] for kernel in kernels))
    wide = []
    for kernel in kernels:
        left, right = same_padding(kernel.shape[1])
        wide.append(pad(kernel, (before - left, after - right)))
    return torch.cat(wide)


def _conv(n_in: int, n_out: int, size: int, dropout: float) -> nn.Sequential:
    conv = nn.Conv1d(n_in, n_out, size, bias=False)
    nn.init.kaiming_normal_(conv.weight)
    zeros = nn.ConstantPad1d(same_padding(size), 0.0)
    return nn.Sequential(zeros, conv, nn.BatchNorm1d(n_out), nn.ELU(), nn.Dropout(dropout))
