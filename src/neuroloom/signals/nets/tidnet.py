"""TIDNet: temporal filters of each channel, densely connected filters across channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

from neuroloom.signals.nets.blocks import (
    SPECTRAL_FROM,
    correlate_spectrally,
    require_positive,
    samples,
)

PAPER_RATE = 250.0
SPAN = 0.05
TEMPORAL, GROWTH, WIDTH = 32, 24, 3


class TIDNet(nn.Module):
    """TIDNet of Kostas and Rudzicz 2020 (J Neural Eng 17:056008).

    240,404 trainable parameters for 22 channels, 4 classes and 1000 samples. The filters across
    channels see the order of the channels: neighbours in the file should be neighbours on the
    scalp.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; the pool keeps its length in seconds (15 samples at 250 Hz). The temporal kernels last
        5 % of a window at any rate. None stands for 250 Hz.
    layers
        Temporal convolutions, the taps of the first furthest apart, and dense layers across
        channels.
    dropout
        Share of maps dropped after the pool and after each dense layer.

    Raises
    ------
    ConfigError
        If a window is shorter than the pool.

    Examples
    --------
    >>> import torch
    >>> TIDNet(22, 500, 4)(torch.zeros(2, 22, 500)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        layers: int = 2,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        pool = samples(15, PAPER_RATE, rate or PAPER_RATE)
        length = n_times // pool
        require_positive("TIDNet", length, n_times, pool, rate)
        kernel = odd_share(n_times, SPAN)
        widths = [1] + layers * [TEMPORAL]
        self.temporal = nn.ModuleList(
            weight_norm(nn.Conv1d(n_in, TEMPORAL, kernel, dilation=layers - i))
            for i, n_in in enumerate(widths[:-1])
        )
        self.around = nn.Conv1d(1, TEMPORAL, 1)
        self.pool = nn.MaxPool1d(pool)
        self.dropout = nn.Dropout2d(dropout)
        self.dense = nn.ModuleList(
            DenseFilter(TEMPORAL + i * GROWTH, GROWTH, dropout) for i in range(layers)
        )
        maps = TEMPORAL + layers * GROWTH
        self.collapse = nn.Conv2d(maps, maps, (n_channels, 1), bias=False)
        self.collapse_norm = nn.BatchNorm1d(maps)
        self.output = nn.Linear(maps * length, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        n, n_channels, _ = x.shape
        maps = self._filter(x.flatten(0, 1)[:, None])
        maps = self.pool(maps).unflatten(0, (n, n_channels)).transpose(1, 2)
        maps = self.dropout(maps)
        for layer in self.dense:
            maps = torch.cat([maps, layer(maps)], 1)
        sources = leaky_relu(self.collapse.weight.flatten(1) @ maps.flatten(1, 2))
        return self.output(self.collapse_norm(sources).flatten(1))

    def _filter(self, rows: Tensor) -> Tensor:
        """Temporal convolutions of each channel (row, 1, time), and a way around them."""
        maps = rows
        for conv in self.temporal:
            half = conv.kernel_size[0] // 2 * conv.dilation[0]
            padded = pad(maps, (half, half))
            if conv.in_channels == 1 or conv.kernel_size[0] < SPECTRAL_FROM or conv.dilation[0] > 1:
                filtered = conv(padded)
            else:
                filtered = correlate_spectrally(padded, conv.weight) + conv.bias[:, None]
            maps = leaky_relu(filtered, inplace=True)
        return maps + self.around(rows)


class DenseFilter(nn.Module):
    """Filters over each channel and its two neighbours on both sides, behind a bottleneck.

    Parameters
    ----------
    n_in, growth
        Maps that come in, and maps that are added to them.
    dropout
        Share of the added maps that is dropped.
    """

    def __init__(self, n_in: int, growth: int, dropout: float) -> None:
        super().__init__()
        between = WIDTH * growth
        self.layers = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.LeakyReLU(),
            nn.Conv2d(n_in, between, 1),
            nn.BatchNorm2d(between),
            nn.LeakyReLU(),
            nn.Conv2d(between, growth, (5, 1), padding=(2, 0)),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, channel, time) to (n, growth, channel, time)."""
        return self.layers(x)


def odd_share(n: int, share: float) -> int:
    """Return `share` of `n`, rounded up to an odd number.

    Examples
    --------
    >>> odd_share(1000, 0.05), odd_share(500, 0.05)
    (51, 25)
    """
    size = -int(-n * share // 1)
    return size + 1 - size % 2
