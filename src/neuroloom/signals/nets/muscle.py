"""A small net of muscle activity: learnt filters, the log power of the whole window, two layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.signals.nets.blocks import TimeSpaceConv, require_positive, samples

REFERENCE_RATE = 1000.0
SMALLEST = 1e-6


class MuscleNet(nn.Module):
    """Log power of the channels, of their slopes and of learnt mixtures, then a small MLP.

    Amplitude and slope of each channel over the window, which is what plain gesture decoders see,
    are always among the features; temporal and spatial filters add what tells gestures apart beyond
    them. It is the squaring, pooling and logarithm of ShallowConvNet with one pool, as long as the
    window.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Electrodes, samples, classes.
    rate
        Hz; None takes a kernel of 25 samples.
    sources, hidden, dropout
        Mixtures, each with a temporal filter of 25 ms; units of the hidden layer; share dropped.

    References
    ----------
    Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420 (square, pool, logarithm); Hudgins
    et al. (1993), IEEE Trans. Biomed. Eng. 40(1), 82-94 (amplitude of short windows of EMG).

    Examples
    --------
    >>> MuscleNet(8, 200, 6, rate=1000)(torch.zeros(2, 8, 200)).shape
    torch.Size([2, 6])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        sources: int = 16,
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        kernel = samples(25, REFERENCE_RATE, rate or REFERENCE_RATE)
        require_positive("MuscleNet", n_times - kernel + 1, n_times, kernel, rate)
        self.mix = TimeSpaceConv(n_channels, sources, kernel)
        self.norm = nn.BatchNorm1d(2 * n_channels + sources)
        self.head = nn.Sequential(
            nn.Linear(2 * n_channels + sources, hidden),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to logits (n, n_outputs)."""
        parts = x, x.diff(dim=2), self.mix(x)
        power = torch.cat([part.square().mean(2) for part in parts], 1)
        return self.head(self.norm(torch.log(power + SMALLEST)))
