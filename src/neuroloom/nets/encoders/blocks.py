"""What encoders of images (2-D) and volumes (3-D) are built of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from neuroloom.nets.layers.lean_conv import CONV

_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def conv(
    dims: int, given: int, made: int, size: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Return a convolution of `dims` axes that keeps the size (up to its stride), without bias."""
    return CONV[dims](
        given, made, size, stride=stride, padding=size // 2, groups=groups, bias=False
    )


def norm(dims: int, channels: int) -> nn.Module:
    """Return a batch normalisation for `dims` axes."""
    return _NORM[dims](channels)


def conv_norm(dims: int, given: int, made: int, size: int = 3, **more: int) -> nn.Sequential:
    """Return convolution, batch normalisation, rectifier."""
    return nn.Sequential(
        conv(dims, given, made, size, **more), norm(dims, made), nn.ReLU(inplace=True)
    )


def max_pool(dims: int) -> nn.Module:
    """Return a pooling that halves each axis, and keeps an axis of one place as it is."""
    return _MAX[dims](2, ceil_mode=True)


class Encoder(nn.Module):
    """A body that makes a small map of features, their mean, and a linear output.

    Numbers that belong to the whole example (age, sex) come as trailing channels that are constant
    over the grid; they join the features behind the pooling.

    Parameters
    ----------
    body
        Maps (n, channel, *axes) to (n, feature, *smaller axes).
    n_features
        Features that the body makes.
    n_outputs
        Classes, or 1 for a number.
    n_table
        Trailing channels of the input that hold one number each.
    dropout
        Share of features dropped before the output.

    Examples
    --------
    >>> body = conv_norm(2, 1, 4, stride=2)
    >>> Encoder(body, 4, 3, n_table=2)(torch.randn(5, 3, 8, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        body: nn.Module,
        n_features: int,
        n_outputs: int,
        *,
        n_table: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.body, self.n_table = body, n_table
        self.dropout = nn.Dropout(dropout)
        self.output = Output(n_features, n_table, n_outputs)

    def maps(self, x: Tensor) -> Tensor:
        """Return the last map of features (n, feature, *smaller axes)."""
        return self.body(split_table(x, self.n_table)[0])

    def embed(self, x: Tensor) -> Tensor:
        """Return the features (n, feature + n_table) that the output is linear in."""
        _, table = split_table(x, self.n_table)
        return torch.cat([self.maps(x).flatten(2).mean(2), table], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, channel, *axes) to logits (n, n_outputs)."""
        return self.output(self.dropout(self.embed(x)))


class Output(nn.Linear):
    """A linear output of features and of the numbers of a table, which have as much to say.

    An optimiser that steps every weight alike moves what many features say together far, and what
    one number says hardly. So each number counts as many times as the root of the features, from
    weights of 0 on.

    Examples
    --------
    >>> output = Output(4, 1, 2)
    >>> bool((output.weight[:, 4:] == 0).all()), output(torch.ones(3, 5)).shape
    (True, torch.Size([3, 2]))
    """

    gain: Tensor

    def __init__(self, n_features: int, n_table: int, n_outputs: int) -> None:
        super().__init__(n_features + n_table, n_outputs)
        gain = torch.ones(n_features + n_table)
        gain[n_features:] = n_features**0.5
        self.register_buffer("gain", gain, persistent=False)
        with torch.no_grad():
            self.weight[:, n_features:] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Map features and table (n, n_features + n_table) to (n, n_outputs)."""
        return super().forward(x * self.gain)


def split_table(x: Tensor, n_table: int) -> tuple[Tensor, Tensor]:
    """Part the channels of the grid from those that hold one number each; unknown ones are 0.

    Examples
    --------
    >>> image, table = split_table(torch.ones(2, 3, 4, 4), 1)
    >>> image.shape, table.shape
    (torch.Size([2, 2, 4, 4]), torch.Size([2, 1]))
    """
    if n_table == 0:
        return x, x.new_zeros(len(x), 0)
    table = x[:, -n_table:].flatten(2)[:, :, 0]
    return x[:, :-n_table], torch.nan_to_num(table)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad the axes (n, channel, *axes) with zeros behind, to whole multiples.

    Examples
    --------
    >>> pad_to_multiple(torch.ones(1, 1, 5, 8), 4).shape
    torch.Size([1, 1, 8, 8])
    """
    missing = [-size % multiple for size in x.shape[2:]]
    if not any(missing):
        return x
    return pad(x, [side for amount in reversed(missing) for side in (0, amount)])


def fold_in(x: Tensor, factor: int = 2) -> Tensor:
    """Move blocks of `factor` places along each axis into channels, as many more as they hold.

    Examples
    --------
    >>> fold_in(torch.ones(1, 1, 4, 6, 8)).shape
    torch.Size([1, 8, 2, 3, 4])
    """
    n, channels, *axes = x.shape
    split = [part for size in axes for part in (size // factor, factor)]
    blocks = x.reshape(n, channels, *split)
    dims = len(axes)
    outer = [2 + 2 * axis for axis in range(dims)]
    inner = [3 + 2 * axis for axis in range(dims)]
    moved = blocks.permute(0, 1, *inner, *outer)
    return moved.reshape(n, channels * factor**dims, *(size // factor for size in axes))


def widths_of(width: int, levels: int, most: int = 256) -> list[int]:
    """Return the channels of each level: doubled, up to `most`.

    Examples
    --------
    >>> widths_of(16, 5, most=128)
    [16, 32, 64, 128, 128]
    """
    return [min(width * 2**level, most) for level in range(levels)]


def levels_for(shape: Sequence[int], smallest: int = 8, most: int = 5) -> int:
    """Return how many levels halve a grid until its longest axis has half of `smallest` places.

    A last map of four places or more along an axis still shows where something was.

    Examples
    --------
    >>> levels_for((35, 50, 35))
    3
    """
    longest, levels = max(shape), 1
    while longest >= 2 * smallest and levels < most:
        longest, levels = longest // 2, levels + 1
    return levels
