"""EEG-ITNet: an inception of temporal filters, spatial filters, causal depthwise convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, pad

from neuroloom.signals.nets.blocks import glorot_, limit_norm_, require_positive, samples
from neuroloom.signals.nets.eeginception import middle
from neuroloom.signals.nets.eegnet import SourceFilter

PAPER_RATE = 125.0
POOL, TAPS = 4, 4


class EEGITNet(SourceFilter):
    """EEG-ITNet of Salami et al. 2022 (IEEE Access 10:36672, section III).

    3,686 trainable parameters for 22 channels, 4 classes and 500 samples; 14 maps leave the 1 x 1
    convolution, as the paper says (a version of braindecode before 1.8 had 28, and its table of
    models still gives a figure of that time).

    The three branches have kernels of different length; set into the middle of the longest, they
    are one bank of filters, so that the whole inception is one pass (see `SourceFilter`).

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and the first pool keep the paper's length in seconds (16, 32 and 64 samples at
        125 Hz). None takes the paper's samples as they are.
    filters
        Filters of the short, the middle and the long branch.
    levels
        Residual blocks; the dilation doubles from each to the next.
    dropout
        Share dropped after each pool and each causal convolution.
    max_norm
        Limit of the norm of each spatial filter and, a quarter of it, of each output's weights;
        0 sets none.

    Raises
    ------
    ConfigError
        If a window is shorter than the two pools.

    Examples
    --------
    >>> import torch
    >>> EEGITNet(22, 500, 4)(torch.zeros(2, 22, 500)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: tuple[int, int, int] = (2, 4, 8),
        levels: int = 4,
        dropout: float = 0.4,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__()
        given, rate = rate, rate or PAPER_RATE
        first = samples(POOL, PAPER_RATE, rate)
        length = n_times // first // POOL
        require_positive("EEGITNet", length, n_times, first * POOL, given)
        maps = sum(filters)
        self.max_norm = max_norm
        self.kernels = nn.ParameterList(
            torch.empty(n, samples(size, PAPER_RATE, rate))
            for n, size in zip(filters, (16, 32, 64), strict=True)
        )
        self.temporal_norm = nn.BatchNorm1d(maps)
        self.spatial = nn.Parameter(torch.empty(maps, 1, n_channels))
        self.spatial_norm = nn.BatchNorm1d(maps)
        self.pool = nn.AvgPool1d(first)
        self.blocks = nn.Sequential(*(DepthwiseBlock(maps, 2**i, dropout) for i in range(levels)))
        self.reduce = nn.Conv1d(maps, maps, 1)
        self.reduce_norm = nn.BatchNorm1d(maps)
        self.last_pool = nn.AvgPool1d(POOL)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps * length, n_outputs)
        self._initialise(n_channels)

    def _initialise(self, n_channels: int) -> None:
        for kernel in self.kernels:
            glorot_(kernel, kernel.shape[1], kernel.numel())
        glorot_(self.spatial, n_channels, n_channels)
        for layer in (self.reduce, self.output):
            glorot_(layer.weight, layer.weight.shape[1], layer.weight.shape[0])
            nn.init.zeros_(layer.bias)

    @property
    def temporal(self) -> Tensor:  # type: ignore[override]
        """Kernels of the three branches in the middle of the longest, (filter, time)."""
        return middle(list(self.kernels))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        x = self.dropout(self.pool(elu(self.spatial_norm(self.sources(x)))))
        x = elu(self.reduce_norm(self.reduce(self.blocks(x))))
        return self.output(self.dropout(self.last_pool(x)).flatten(1))

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.spatial, self.max_norm, (2,))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))


class DepthwiseBlock(nn.Module):
    """Two causal convolutions of each map for itself, added to what came in.

    Parameters
    ----------
    maps, dilation
        Number of maps, and samples from one tap to the next.
    dropout
        Share dropped after each convolution.
    """

    def __init__(self, maps: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.kernels = nn.ParameterList(glorot_(torch.empty(maps, TAPS), TAPS, TAPS) for _ in "12")
        self.norms = nn.ModuleList(nn.BatchNorm1d(maps) for _ in "12")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, map, time) to the same shape."""
        maps = x
        for kernel, norm in zip(self.kernels, self.norms, strict=True):
            maps = self.dropout(elu(norm(filter_causally(maps, kernel, self.dilation))))
        return x + maps


def filter_causally(x: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    """Filter each map with its own few taps, the last of them at the present sample.

    A sum of shifted maps: a grouped convolution of few taps is slow on a CPU.

    Parameters
    ----------
    x, kernels
        Shapes (n, map, time) and (map, tap).
    dilation
        Samples from one tap to the next.

    Examples
    --------
    >>> import torch
    >>> filter_causally(torch.arange(5.0).reshape(1, 1, 5), torch.tensor([[1.0, 1.0]]), 2)
    tensor([[[0., 1., 2., 4., 6.]]])
    """
    taps, n_times = kernels.shape[1], x.shape[-1]
    padded = pad(x, ((taps - 1) * dilation, 0))
    return sum(
        padded[..., i * dilation : i * dilation + n_times] * kernels[:, i, None]
        for i in range(taps)
    )
