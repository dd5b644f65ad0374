"""A small convolutional net for sleep stages of one or a few epochs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError


class StageCNN(nn.Module):
    """Filters of half a second, then what they see of how often and how strongly.

    Three convolutions, each with batch normalisation, bring a single channel or a few to slow
    feature traces; their mean and their maximum over the epoch go to the output: stages are told by
    how much there is of a rhythm, and by single waves such as K-complexes.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of an epoch and number of stages.
    rate
        Hz; sets the length of the first kernel. None: 100 Hz.
    width
        Filters of the first layer; later ones have twice as many.
    dropout
        Share of the features dropped before the output.

    References
    ----------
    After Sors et al. (2018), Biomed. Signal Process. Control 42, 107-114 (one channel, raw), far
    smaller, with global pooling.

    Examples
    --------
    >>> StageCNN(1, 2000, 4, rate=100.0)(torch.zeros(3, 1, 2000)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        width: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        given = rate or 100.0
        kernel, stride = round(0.5 * given) // 2 * 2 + 1, max(1, round(0.06 * given))
        if n_times < 32 * stride:
            raise ConfigError(
                f"StageCNN needs epochs of {32 * stride} samples or more at {given:g} Hz, "
                f"got {n_times}."
            )
        self.features = nn.Sequential(
            *_layer(n_channels, width, kernel, stride),
            *_layer(width, 2 * width, 9),
            nn.MaxPool1d(4),
            *_layer(2 * width, 2 * width, 9),
            nn.MaxPool1d(4),
            *_layer(2 * width, 2 * width, 5),
        )
        self.output = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * width, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, time) to logits (n, n_outputs)."""
        traces = self.features(x)
        return self.output(torch.cat([traces.mean(2), traces.amax(2)], 1))


def _layer(n_in: int, n_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv1d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm1d(n_out), nn.ReLU()]
