"""Residual encoders, plain or with attention between places and between channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.nets.encoders.blocks import Encoder, conv, conv_norm, levels_for, norm, widths_of

ATTENTIONS = ("none", "position", "channel", "both")


class ResNet(Encoder):
    """A small residual net (He et al. 2016, arXiv:1512.03385; pre-activation left out).

    Each level has `depth` blocks of two convolutions and halves the grid; there are as many levels
    as the grid allows. With `attention`, the last map is refined as in dual attention (Fu et al.
    2019, arXiv:1809.02983): places look at all other places, channels at all other channels.

    Parameters
    ----------
    n_channels, shape, n_outputs
        Of an image, without the number of examples; `n_channels` counts those of the table.
    n_table
        Trailing channels that hold one number each.
    width
        Channels of the first level; doubled from level to level.
    depth
        Blocks of a level.
    attention
        One of `ATTENTIONS`.
    dropout
        Before the output.

    Raises
    ------
    ConfigError
        If the attention has another name.

    Examples
    --------
    >>> ResNet(1, (16, 20, 16), 2, width=4)(torch.randn(2, 1, 16, 20, 16)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 16,
        depth: int = 1,
        attention: str = "none",
        dropout: float = 0.1,
    ) -> None:
        if attention not in ATTENTIONS:
            raise ConfigError(f"attention is one of {', '.join(ATTENTIONS)}, not {attention!r}.")
        dims, widths = len(shape), widths_of(width, levels_for(shape))
        layers: list[nn.Module] = [conv_norm(dims, n_channels - n_table, width, stride=2)]
        given = width
        for level, made in enumerate(widths):
            for block in range(depth):
                layers.append(Residual(dims, given, made, 2 if level and not block else 1))
                given = made
        if attention != "none":
            layers.append(DualAttention(given, attention))
        super().__init__(nn.Sequential(*layers), given, n_outputs, n_table=n_table, dropout=dropout)

    def attention_map(self, x: Tensor) -> Tensor | None:
        """Return how much each place of the last map is looked at (n, *smaller axes), if it is."""
        last = self.body[-1]
        if not (isinstance(last, DualAttention) and last.position):
            return None
        self.maps(x)
        return last.looked_at


class Residual(nn.Module):
    """Two convolutions and a way around them.

    Examples
    --------
    >>> Residual(2, 4, 8, stride=2)(torch.randn(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, dims: int, given: int, made: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_norm(dims, given, made, stride=stride)
        self.second = nn.Sequential(conv(dims, made, made), norm(dims, made))
        same = stride == 1 and given == made
        self.around: nn.Module = nn.Identity() if same else nn.Sequential(
            conv(dims, given, made, 1, stride=stride), norm(dims, made)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, given, *axes) to (n, made, *axes / stride)."""
        return (self.second(self.first(x)) + self.around(x)).relu()


class DualAttention(nn.Module):
    """Attention between places, between channels, or both, added with a gain that starts at 0.

    Parameters
    ----------
    channels
        Of the map.
    kind
        "position", "channel" or "both".

    Attributes
    ----------
    looked_at
        Of the last forward pass: the mean weight that each place gets from all places, 1 if all
        are looked at alike (n, *axes).

    Examples
    --------
    >>> layer = DualAttention(8, "both")
    >>> layer(torch.randn(2, 8, 3, 4)).shape, layer.looked_at.shape
    (torch.Size([2, 8, 3, 4]), torch.Size([2, 3, 4]))
    """

    def __init__(self, channels: int, kind: str = "both") -> None:
        super().__init__()
        self.position, self.channel = kind != "channel", kind != "position"
        small = max(1, channels // 8)
        self.query = nn.Linear(channels, small)
        self.key = nn.Linear(channels, small)
        self.value = nn.Linear(channels, channels)
        self.gain_position = nn.Parameter(torch.zeros(1))
        self.gain_channel = nn.Parameter(torch.zeros(1))
        self.looked_at: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Refine a map (n, channel, *axes)."""
        flat = x.flatten(2).mT
        refined = flat
        if self.position:
            scores = self.query(flat) @ self.key(flat).mT
            weight = scores.softmax(-1)
            self.looked_at = (
                (weight.mean(1) * weight.shape[-1]).detach().reshape(len(x), *x.shape[2:])
            )
            refined = refined + self.gain_position * (weight @ self.value(flat))
        if self.channel:
            likeness = (flat.mT @ flat) / flat.shape[1]
            # Fu et al. let channels look at those that differ: the largest likeness less each.
            weight = (likeness.amax(-1, keepdim=True) - likeness).softmax(-1)
            refined = refined + self.gain_channel * (weight @ flat.mT).mT
        return refined.mT.reshape(x.shape)
