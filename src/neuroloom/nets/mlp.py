"""A multilayer perceptron on what pieces of a window hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from neuroloom.nets.tokens import SMALLEST_POWER, in_samples


class MLP(nn.Module):
    """Fully connected layers on the mean and the log power of each channel in pieces of a window.

    Layers as of Rumelhart et al. 1986 (Nature 323:533), with batch normalisation, rectifiers and
    dropout. Samples alone would give it no chance at oscillations, whose phase differs from trial
    to trial; the means keep what is locked to an event. It takes windows of any length, down to one
    sample.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; None stands for 100.
    piece
        Length of a piece, s; a shorter window is one piece.
    hidden
        Width of each hidden layer.
    dropout
        Share dropped of the features and of each hidden layer.
    power
        Beside the mean of a piece, the log of its variance.

    Examples
    --------
    >>> MLP(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    >>> MLP(22, 1, 4)(torch.zeros(2, 22, 1)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        piece: float = 0.5,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.5,
        power: bool = True,
    ) -> None:
        super().__init__()
        self.length = min(in_samples(piece, rate), n_times)
        self.count = n_times // self.length
        # A single sample has no power of its own.
        self.power = power and self.length > 1
        widths = [n_channels * self.count * (1 + self.power), *hidden]
        self.norm = nn.BatchNorm1d(widths[0])
        layers: list[nn.Module] = []
        for given, made in pairwise(widths):
            layers += [nn.Dropout(dropout), nn.Linear(given, made, bias=False)]
            layers += [nn.BatchNorm1d(made), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Dropout(dropout))
        self.output = nn.Linear(widths[-1], n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Return the means, and the log powers, of all pieces: (n, channel * piece [* 2])."""
        pieces = x[..., : self.count * self.length].unflatten(2, (self.count, self.length))
        mean = pieces.mean(3)
        if not self.power:
            return mean.flatten(1)
        spread = (pieces - mean[..., None]).square().mean(3)
        return torch.cat([mean, spread.clamp_min(SMALLEST_POWER).log()], 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        return self.output(self.layers(self.norm(self.features(x))))
