"""CTNet: EEGNet's front, then a transformer over what it leaves in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.signals.nets.attention import PAPER_RATE, ConvFront, EncoderLayer
from neuroloom.signals.nets.blocks import require_positive

MOST_TOKENS = 100


class CTNet(nn.Module):
    """CTNet of Zhao et al. 2024 (Scientific Reports 14:20237, figure 1).

    27,284 trainable parameters for 22 channels, 4 classes and 1000 samples; 26,900 with temporal
    kernels of 16 samples, as braindecode lists it.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; kernels and pools keep the paper's length in seconds (64 samples at 250 Hz are 0.256 s).
        None takes the paper's samples as they are.
    filters, depth
        Temporal filters, spatial filters for each of them; their product is a token's width.
    kernel
        Temporal kernel, samples at 250 Hz.
    layers, heads
        Layers of the encoder and heads of its attention.
    dropout
        Share dropped after each pool, in the encoder and before the output (0.5 in the paper; a
        tenth of the tokens' features behind the code of their place).

    Raises
    ------
    ConfigError
        If a window is shorter than the two pools, or leaves more than 100 tokens.

    Examples
    --------
    >>> CTNet(22, 1000, 4)(torch.zeros(2, 22, 1000)).shape
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
        kernel: int = 64,
        layers: int = 6,
        heads: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.front = ConvFront(
            n_channels, rate or PAPER_RATE, filters, depth, kernel, (8, 8), dropout
        )
        self.length, width = n_times // self.front.step, self.front.width
        require_positive("CTNet", self.length, n_times, self.front.step, rate)
        require_few_tokens(self.length, n_times, self.front.step)
        self.place = nn.Parameter(torch.randn(MOST_TOKENS, width))
        self.place_dropout = nn.Dropout(0.2 * dropout)
        self.encoder = nn.Sequential(
            *(EncoderLayer(width, heads, dropout, norm_first=False) for _ in range(layers))
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width * self.length, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        tokens = self.front(x).mT
        placed = tokens * tokens.shape[2] ** 0.5 + self.place[: self.length]
        placed = self.place_dropout(placed)
        return self.output(self.dropout((placed + self.encoder(placed)).flatten(1)))


def require_few_tokens(length: int, n_times: int, step: int) -> None:
    """Raise unless each of `length` tokens has a code of its place.

    Raises
    ------
    ConfigError
        With the longest window that the net can take.
    """
    if length > MOST_TOKENS:
        raise ConfigError(
            f"CTNet takes windows of at most {MOST_TOKENS * step + step - 1} samples, these have "
            f"{n_times}. Cut shorter windows or lower the rate."
        )
