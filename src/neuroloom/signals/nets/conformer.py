"""EEG Conformer: ShallowConvNet's front, then attention among its time slices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.signals.nets.attention import EncoderLayer
from neuroloom.signals.nets.blocks import TimeSpaceConv, require_positive, samples

PAPER_RATE = 250.0


class EEGConformer(nn.Module):
    """EEG Conformer of Song et al. 2023 (IEEE TNSRE 31:710, figure 1).

    789,572 trainable parameters for 22 channels, 4 classes and 1000 samples.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernel, pool and stride keep the paper's length in seconds (25, 75 and 15 samples at
        250 Hz). None takes the paper's samples as they are.
    filters
        Filters in time and in space, and features of a token.
    layers, heads
        Layers of the encoder and heads of its attention.
    dropout
        Share dropped after the pool, in the encoder and in the classifier.

    Raises
    ------
    ConfigError
        If a window is shorter than one kernel and one pool.

    Examples
    --------
    >>> EEGConformer(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        filters: int = 40,
        layers: int = 6,
        heads: int = 10,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        kernel, pool, stride = (samples(n, PAPER_RATE, rate or PAPER_RATE) for n in (25, 75, 15))
        left = n_times - kernel + 1 - pool
        length = left // stride + 1 if left >= 0 else 0
        require_positive("EEGConformer", length, n_times, kernel + pool - 1, rate)
        self.filter = _BiasedFilter(n_channels, filters, kernel)
        self.norm = nn.BatchNorm1d(filters)
        self.pool = nn.AvgPool1d(pool, stride)
        self.project = nn.Linear(filters, filters)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.Sequential(
            *(EncoderLayer(filters, heads, dropout, norm_first=True) for _ in range(layers))
        )
        self.output = nn.Sequential(
            nn.Linear(filters * length, 256), nn.ELU(), nn.Dropout(dropout),
            nn.Linear(256, 32), nn.ELU(), nn.Dropout(0.6 * dropout),
            nn.Linear(32, n_outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        slices = self.dropout(self.pool(nn.functional.elu(self.norm(self.filter(x)))))
        tokens = self.encoder(self.project(slices.mT))
        return self.output(tokens.flatten(1))


class _BiasedFilter(TimeSpaceConv):
    """Filters in time and space that both have a bias, as in the paper's own code.

    The batch normalisation behind them takes it out again; it is kept for the count.
    """

    def __init__(self, n_channels: int, filters: int, kernel: int) -> None:
        super().__init__(n_channels, filters, kernel)
        self.spatial_bias = nn.Parameter(torch.zeros(filters))

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return the merged kernel (out, channel, time) and its bias (out)."""
        merged, bias = super().kernel()
        return merged, bias + self.spatial_bias
