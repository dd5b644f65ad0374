"""A transformer encoder over tokens of a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.nets.tokens import Tokens


class Transformer(nn.Module):
    """Encoder of Vaswani et al. 2017 (arXiv:1706.03762) over tokens of log power.

    Positions are the paper's sines; layers normalise before they attend (Xiong et al. 2020,
    arXiv:2002.04745), which trains without a warm-up; the outputs are averaged over tokens.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Shape of a window and number of outputs (classes, or 1 for a number).
    rate
        Hz; lengths are in seconds. None stands for 100 Hz.
    width
        Features of a token, an even number.
    heads, layers
        Heads of each layer; number of layers.
    dropout
        Share dropped in every layer and before the output.
    power
        Tokens of log power (True) or of sign-keeping means (False).

    Raises
    ------
    ConfigError
        If a window is shorter than one token or the heads do not divide the width.

    Examples
    --------
    >>> Transformer(22, 300, 4, rate=100)(torch.zeros(2, 22, 300)).shape
    torch.Size([2, 4])
    """

    positions: Tensor

    def __init__(
        self,
        n_channels: int,
        n_times: int,
        n_outputs: int,
        rate: float | None = None,
        *,
        width: int = 16,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.25,
        power: bool = True,
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ConfigError(
                f"Each of the {heads} heads needs the same even share of the {width} features of a "
                f"token. Take a multiple of {2 * heads} as the width."
            )
        self.stem = Tokens("Transformer", n_channels, n_times, width, rate, power=power)
        self.register_buffer("positions", sines(self.stem.count, width), persistent=False)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (n, channel, time) to logits (n, n_outputs)."""
        tokens = self.dropout(self.stem(x).mT + self.positions)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.output(self.dropout(self.norm(tokens).mean(1)))


def sines(count: int, width: int) -> Tensor:
    """Return the code of `count` places, (count, width): Vaswani et al. 2017, section 3.5.

    Examples
    --------
    >>> sines(3, 4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    place = torch.arange(count, dtype=torch.float64)[:, None]
    angle = place / 10_000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1).float()
