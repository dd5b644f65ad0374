"""Encoders after the classics: AlexNet, VGG, SqueezeNet, ShuffleNet, XNOR-Net, in 2-D and 3-D.

They keep the idea of each net and take its size from the grid, so that a crop of 40 voxels and a
picture of 512 pixels both end in a map of a few places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuroloom.nets.encoders.blocks import (
    Encoder,
    conv,
    conv_norm,
    levels_for,
    max_pool,
    norm,
    widths_of,
)


class AlexNet(Encoder):
    """A wide first kernel, pooling, three convolutions (Krizhevsky et al. 2012).

    Normalised by batch, which the paper did not know yet; its dropout of one half is kept.

    Examples
    --------
    >>> AlexNet(1, (40, 40), 2, width=8)(torch.randn(2, 1, 40, 40)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 24,
        dropout: float = 0.5,
    ) -> None:
        dims = len(shape)
        body = nn.Sequential(
            conv_norm(dims, n_channels - n_table, width, 7, stride=2),
            max_pool(dims),
            conv_norm(dims, width, 2 * width, 5),
            max_pool(dims),
            conv_norm(dims, 2 * width, 4 * width),
            conv_norm(dims, 4 * width, 4 * width),
            conv_norm(dims, 4 * width, 2 * width),
        )
        super().__init__(body, 2 * width, n_outputs, n_table=n_table, dropout=dropout)


class VGG(Encoder):
    """Pairs of small kernels and pooling (Simonyan & Zisserman 2015, arXiv:1409.1556).

    Examples
    --------
    >>> VGG(1, (16, 16, 16), 2, width=4)(torch.randn(2, 1, 16, 16, 16)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 12,
        dropout: float = 0.3,
    ) -> None:
        dims, layers, given = len(shape), [], n_channels - n_table
        for made in widths_of(width, levels_for(shape)):
            layers += [conv_norm(dims, given, made), conv_norm(dims, made, made), max_pool(dims)]
            given = made
        super().__init__(nn.Sequential(*layers), given, n_outputs, n_table=n_table, dropout=dropout)


class SqueezeNet(Encoder):
    """Fire modules: squeeze to few channels, expand by kernels of 1 and 3 (arXiv:1602.07360).

    Examples
    --------
    >>> SqueezeNet(1, (32, 32), 2)(torch.randn(2, 1, 32, 32)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 24,
        dropout: float = 0.3,
    ) -> None:
        dims = len(shape)
        layers: list[nn.Module] = [conv_norm(dims, n_channels - n_table, width, stride=2)]
        given = width
        for made in widths_of(width, max(2, levels_for(shape) - 1)):
            layers += [Fire(dims, given, made), Fire(dims, made, made), max_pool(dims)]
            given = made
        super().__init__(nn.Sequential(*layers), given, n_outputs, n_table=n_table, dropout=dropout)


class Fire(nn.Module):
    """The module of SqueezeNet.

    Examples
    --------
    >>> Fire(2, 8, 16)(torch.randn(1, 8, 5, 5)).shape
    torch.Size([1, 16, 5, 5])
    """

    def __init__(self, dims: int, given: int, made: int) -> None:
        super().__init__()
        small = max(4, made // 8)
        self.squeeze = conv_norm(dims, given, small, 1)
        self.point = conv_norm(dims, small, made // 2, 1)
        self.wide = conv_norm(dims, small, made - made // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, given, *axes) to (n, made, *axes)."""
        small = self.squeeze(x)
        return torch.cat([self.point(small), self.wide(small)], 1)


class ShuffleNet(Encoder):
    """Half the channels pass, half are filtered one by one, then shuffled (V2, arXiv:1807.11164).

    Examples
    --------
    >>> ShuffleNet(1, (16, 20, 16), 2, width=8)(torch.randn(2, 1, 16, 20, 16)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 24,
        dropout: float = 0.1,
    ) -> None:
        dims = len(shape)
        width += width % 2
        layers: list[nn.Module] = [conv_norm(dims, n_channels - n_table, width, stride=2)]
        given = width
        for level, made in enumerate(widths_of(width, levels_for(shape))):
            if level:
                layers.append(conv_norm(dims, given, made, 1))
                layers.append(max_pool(dims))
            layers += [Shuffled(dims, made), Shuffled(dims, made)]
            given = made
        super().__init__(nn.Sequential(*layers), given, n_outputs, n_table=n_table, dropout=dropout)


class Shuffled(nn.Module):
    """The unit of ShuffleNet V2 that keeps the size.

    Examples
    --------
    >>> Shuffled(2, 8)(torch.randn(1, 8, 5, 5)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_norm(dims, half, half, 1),
            conv(dims, half, half, groups=half),
            norm(dims, half),
            conv_norm(dims, half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Filter half of the channels, and mix the halves."""
        kept, filtered = x.chunk(2, 1)
        both = torch.stack([kept, self.branch(filtered)], 2)
        return both.flatten(1, 2)


class XnorNet(Encoder):
    """Convolutions with weights and inputs of one bit (Rastegari et al. 2016, arXiv:1603.05279).

    The first convolution keeps its weights whole, as in the paper. Signs are trained by passing
    gradients straight through where the input is within -1 and 1.

    Examples
    --------
    >>> XnorNet(1, (16, 16), 2, width=8)(torch.randn(2, 1, 16, 16)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int,
        *,
        n_table: int = 0,
        width: int = 24,
        dropout: float = 0.1,
    ) -> None:
        dims = len(shape)
        layers: list[nn.Module] = [conv_norm(dims, n_channels - n_table, width, stride=2)]
        given = width
        for made in widths_of(width, levels_for(shape)):
            layers += [Binary(dims, given, made), max_pool(dims)]
            given = made
        super().__init__(nn.Sequential(*layers), given, n_outputs, n_table=n_table, dropout=dropout)


class Binary(nn.Module):
    """Batch normalisation, signs, a convolution with signs as weights, their scale, a rectifier.

    Examples
    --------
    >>> layer = Binary(2, 4, 6)
    >>> layer(torch.randn(1, 4, 5, 5)).shape
    torch.Size([1, 6, 5, 5])
    """

    def __init__(self, dims: int, given: int, made: int) -> None:
        super().__init__()
        self.norm = norm(dims, given)
        self.conv = conv(dims, given, made)
        self.after = norm(dims, made)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, given, *axes) to (n, made, *axes)."""
        weight = self.conv.weight
        scale = weight.abs().flatten(1).mean(1)
        signs = one_bit(weight)
        convolve = torch.nn.functional.conv2d if x.ndim == 4 else torch.nn.functional.conv3d
        out = convolve(one_bit(self.norm(x)), signs, padding=1)
        return self.after(out * scale.reshape(1, -1, *(1 for _ in x.shape[2:]))).relu()


def one_bit(x: Tensor) -> Tensor:
    """Return the signs of `x`; the gradient passes where x is within -1 and 1.

    Examples
    --------
    >>> one_bit(torch.tensor([-0.5, 0.0, 3.0])).tolist()
    [-1.0, 1.0, 1.0]
    """
    signs = torch.where(x >= 0, 1.0, -1.0)
    passed = x.clamp(-1, 1)
    return passed + (signs - passed).detach()
