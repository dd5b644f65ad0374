"""EEG-TCNet: EEGNet's filters, then causal dilated convolutions over what they leave."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, pad

from neuroloom.signals.nets.blocks import glorot_, limit_norm_, require_positive, samples
from neuroloom.signals.nets.eegnet import SourceFilter

PAPER_RATE = 250.0
KERAS_EPS = 1e-3


class EEGTCNet(SourceFilter):
    """EEG-TCNet of Ingolfsson et al. 2020 (IEEE SMC, 2958-2965, table I).

    4,096 trainable parameters for 22 channels and 4 classes, 4,272 with the moving statistics of
    the batch normalisations, which is the figure of the paper. As in the paper, nothing stands
    between the first batch normalisation and the spatial filters, and the causal convolutions
    have a bias; braindecode 1.8.1 has an ELU there and no bias.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools keep the paper's length in seconds (32 samples at 250 Hz are 0.13 s).
        None takes the paper's samples as they are.
    filters, depth
        Temporal filters (F1), spatial filters for each of them (D).
    blocks, width, kernel
        Residual blocks (L), their filters (FT) and kernel (KT).
    dropout, causal_dropout
        Share dropped after each pool, and after each causal convolution.
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
    >>> EEGTCNet(22, 1125, 4)(torch.zeros(2, 22, 1125)).shape
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
        blocks: int = 2,
        width: int = 12,
        kernel: int = 4,
        dropout: float = 0.2,
        causal_dropout: float = 0.3,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__()
        given, rate = rate, rate or PAPER_RATE
        long, first = samples(32, PAPER_RATE, rate), samples(8, PAPER_RATE, rate)
        second = samples(8, PAPER_RATE / 8, rate / first)
        short = samples(16, PAPER_RATE / 8, rate / first)
        require_positive("EEGTCNet", n_times // first // second, n_times, first * second, given)
        maps = filters * depth
        self.max_norm = max_norm
        self.temporal = nn.Parameter(torch.empty(filters, long))
        self.temporal_norm = nn.BatchNorm1d(filters, eps=KERAS_EPS)
        self.spatial = nn.Parameter(torch.empty(filters, depth, n_channels))
        self.spatial_norm = nn.BatchNorm1d(maps, eps=KERAS_EPS)
        self.pool = nn.AvgPool1d(first)
        self.depthwise = nn.Parameter(torch.empty(maps, short))
        self.pointwise = nn.Parameter(torch.empty(maps, maps))
        self.summary_norm = nn.BatchNorm1d(maps, eps=KERAS_EPS)
        self.summary_pool = nn.AvgPool1d(second)
        self.dropout = nn.Dropout(dropout)
        widths = [maps] + blocks * [width]
        self.blocks = nn.Sequential(
            *(
                CausalBlock(n_in, width, kernel, 2**level, causal_dropout)
                for level, n_in in enumerate(widths[:-1])
            )
        )
        self.output = nn.Linear(width, n_outputs)
        self._initialise(n_channels)

    def _initialise(self, n_channels: int) -> None:
        filters, long = self.temporal.shape
        maps, short = self.depthwise.shape
        glorot_(self.temporal, long, filters * long)
        glorot_(self.spatial, n_channels, maps // filters * n_channels)
        glorot_(self.depthwise, short, short)
        glorot_(self.pointwise, maps, maps)
        glorot_(self.output.weight, self.output.in_features, self.output.out_features)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        x = self.dropout(self.pool(elu(self.spatial_norm(self.sources(x)))))
        x = self.summary_norm(self.pointwise @ self.correlate(x, self.depthwise))
        x = self.dropout(self.summary_pool(elu(x)))
        return self.output(self.blocks(x)[..., -1])

    def constrain(self) -> None:
        """Apply the norm limits; the training loop calls this after every step."""
        if self.max_norm:
            limit_norm_(self.spatial, self.max_norm, (2,))
            limit_norm_(self.output.weight, self.max_norm / 4, (1,))


class CausalBlock(nn.Module):
    """Two causal convolutions with batch normalisation, ELU and dropout, and a way around them.

    Parameters
    ----------
    n_in, n_out
        Maps; where they differ, the way around has a convolution of one sample.
    kernel, dilation
        Taps, and samples from one to the next.
    dropout
        Share dropped after each convolution.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.first = nn.Conv1d(n_in, n_out, kernel, dilation=dilation)
        self.first_norm = nn.BatchNorm1d(n_out, eps=KERAS_EPS)
        self.second = nn.Conv1d(n_out, n_out, kernel, dilation=dilation)
        self.second_norm = nn.BatchNorm1d(n_out, eps=KERAS_EPS)
        self.around = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)
        self.dropout = nn.Dropout(dropout)
        for conv in (self.first, self.second):
            nn.init.kaiming_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, time) to (n, n_out, time)."""
        maps = self.dropout(elu(self.first_norm(self.first(pad(x, (self.reach, 0))))))
        maps = self.dropout(elu(self.second_norm(self.second(pad(maps, (self.reach, 0))))))
        return elu(maps + self.around(x))
