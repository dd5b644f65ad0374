"""ShallowConvNet: log band power of learnt components, trained end to end."""

from __future__ import annotations

from torch import Tensor, nn

from neuroloom.signals.nets.blocks import (
    TimeSpaceConv,
    glorot_,
    limit_norm_,
    require_positive,
    samples,
)

PAPER_RATE = 250.0


class ShallowConvNet(nn.Module):
    """ShallowConvNet of Schirrmeister et al. 2017 (Human Brain Mapping 38:5391, figure 2).

    Temporal and spatial filters, square, mean over 0.3 s, log: what filter-bank CSP computes, as
    one net. 46,084 trainable parameters for 22 channels, 4 classes and 1000 samples.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels keep the paper's length in seconds (25 samples at 250 Hz are 0.1 s). None takes
        the paper's samples as they are.
    filters
        Temporal, and also spatial filters.
    dropout
        Share of pooled features that are dropped in training.
    max_norm
        Limit of the norm of each spatial filter and, a quarter of it, of each output's weights
        (2 and 0.5 in the paper); 0 sets none.

    Raises
    ------
    ConfigError
        If a window is shorter than one kernel and one pool.

    Examples
    --------
    >>> import torch
    >>> ShallowConvNet(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
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
        dropout: float = 0.5,
        max_norm: float = 2.0,
    ) -> None:
        super().__init__()
        kernel, pool, stride = (samples(n, PAPER_RATE, rate or PAPER_RATE) for n in (25, 75, 15))
        left = n_times - kernel + 1 - pool
        length = left // stride + 1 if left >= 0 else 0
        require_positive("ShallowConvNet", length, n_times, kernel + pool - 1, rate)
        self.max_norm = max_norm
        self.filter = TimeSpaceConv(n_channels, filters, kernel)
        self.norm = nn.BatchNorm1d(filters)
        self.pool = nn.AvgPool1d(pool, stride)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * length, n_outputs)
        glorot_(self.output.weight, filters * length, n_outputs * length)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        power = self.pool(self.norm(self.filter(x)).square())
        features = self.dropout(power.clamp_min(1e-6).log())
        return self.output(features.flatten(1))

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.filter.spatial, self.max_norm, (1, 2))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))
