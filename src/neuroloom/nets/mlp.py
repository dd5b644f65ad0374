"""A multilayer perceptron on pooled features of a window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from neuroloom.nets.blocks import require_positive
from neuroloom.nets.tokens import LogPower, in_samples


class MLP(nn.Module):
    """Fully connected layers on the power (or the mean) of each channel in pieces of a window.

    Layers as of Rumelhart et al. 1986 (Nature 323:533), with batch normalisation, rectifiers and
    dropout. Samples themselves would give it no chance at oscillations, whose phase differs from
    trial to trial, so each channel is summed up in neighbouring pieces first.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; None stands for 100.
    piece
        Length of a piece, s.
    hidden
        Width of each hidden layer.
    dropout
        Share dropped of the features and of each hidden layer.
    power
        Log power of a piece (True) or its mean (False).

    Raises
    ------
    ConfigError
        If a window is shorter than one piece.

    Examples
    --------
    >>> import torch
    >>> MLP(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        piece: float = 1.0,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.5,
        power: bool = True,
    ) -> None:
        super().__init__()
        length = in_samples(piece, rate)
        count = n_times // length
        require_positive("MLP", count, n_times, length, rate)
        self.pool = LogPower(length, length) if power else nn.AvgPool1d(length)
        widths = [n_channels * count, *hidden]
        self.norm = nn.BatchNorm1d(widths[0])
        layers: list[nn.Module] = []
        for given, made in pairwise(widths):
            layers += [nn.Dropout(dropout), nn.Linear(given, made, bias=False)]
            layers += [nn.BatchNorm1d(made), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Dropout(dropout))
        self.output = nn.Linear(widths[-1], n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        features = self.norm(self.pool(x).flatten(1))
        return self.output(self.layers(features))
