"""SCCNet: spatial components first, then their mixtures in space and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from neuroloom.signals.nets.blocks import (
    SPECTRAL_FROM,
    correlate_spectrally,
    glorot_,
    require_positive,
    samples,
)

PAPER_RATE = 125.0


class SCCNet(nn.Module):
    """SCCNet of Wei et al. 2019 (IEEE/EMBS Neural Engineering, 328-331).

    12,070 trainable parameters for 22 channels, 4 classes and 1000 samples at 125 Hz. Both
    convolutions are batch normalised, as in the paper; the first without scale and shift, which
    the second convolution and its own normalisation make up for. braindecode 1.8.1 trains these 44
    as well (12,114). The windows are not padded.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernel, pool and stride are 0.1, 0.5 and 0.1 s. None stands for the paper's 125 Hz.
    components, filters
        Spatial components (as many as channels in the paper), and filters over all of them.
    dropout
        Share of squared values that are dropped in training.

    Raises
    ------
    ConfigError
        If a window is shorter than one kernel and one pool.

    Examples
    --------
    >>> import torch
    >>> SCCNet(22, 500, 4)(torch.zeros(2, 22, 500)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        components: int = 22,
        filters: int = 20,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        kernel = samples(0.1 * PAPER_RATE, PAPER_RATE, rate or PAPER_RATE)
        pool = samples(0.5 * PAPER_RATE, PAPER_RATE, rate or PAPER_RATE)
        left = n_times - kernel + 1 - pool
        length = left // kernel + 1 if left >= 0 else 0
        require_positive("SCCNet", length, n_times, kernel + pool - 1, rate)
        self.spatial = nn.Parameter(torch.empty(components, n_channels))
        self.spatial_bias = nn.Parameter(torch.zeros(components))
        self.spatial_norm = nn.BatchNorm1d(components, affine=False)
        self.filter = nn.Parameter(torch.empty(filters, components, kernel))
        self.filter_norm = nn.BatchNorm1d(filters)
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.AvgPool1d(pool, kernel)
        self.output = nn.Linear(filters * length, n_outputs)
        glorot_(self.spatial, n_channels, components)
        glorot_(self.filter, components * kernel, filters * kernel)
        glorot_(self.output.weight, filters * length, n_outputs)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        components = self.spatial_norm(self.spatial @ x + self.spatial_bias[:, None])
        power = self.filter_norm(self._mix(components)).square()
        features = self.pool(self.dropout(power)).clamp_min(1e-6).log()
        return self.output(features.flatten(1))

    def _mix(self, components: Tensor) -> Tensor:
        if self.filter.shape[2] < SPECTRAL_FROM:
            return conv1d(components, self.filter)
        return correlate_spectrally(components, self.filter)
