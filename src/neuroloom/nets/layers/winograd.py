"""Convolution with kernels of three by minimal filtering: fewer multiplications, the same sums.

A 3 x 3 x 3 convolution takes 27 multiplications a place and channel pair. Worked out on tiles of
4 x 4 x 4 places, whose sums are taken before and after, it takes 216 / 64, an eighth of them
(in 2-D a quarter), and what is left are matrix products. On a CPU, whose time goes into
multiplications, wide layers are trained about twice as fast; thin ones lose more by the sums than
they gain, and :func:`pays` tells which are which.

References
----------
Winograd (1980), Arithmetic Complexity of Computations; Lavin & Gray (2016), arXiv:1509.09308, who
call it F(4, 3) along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

_STEP, _TILE, _KERNEL = 4, 6, 3  # places that a tile yields, that it sees, that a kernel spans
_BLOCK = 2**19  # numbers of a block of tiles: what the caches hold
_LEAST_GAIN = 1.15
# Of one multiplication: what a number of a tile costs an axis, and a transformed weight an axis.
# Fitted to fifteen shapes of 2-D and 3-D on an EPYC with AVX2, forward and backward together.
_SUMS, _WEIGHTS = 24, 27

# Where the polynomials are evaluated, beside infinity. Of a dozen sets the one with the least error
# in 3-D, a seventh of that of the usual 0, 1, -1, 2, -2.
_POINTS = (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)


def pays(shape: Sequence[int], outputs: int) -> bool:
    """Whether a convolution of an image is quicker this way.

    Parameters
    ----------
    shape
        Of the image: n, channels, *places.
    outputs
        Channels that come out.

    Examples
    --------
    >>> [pays((2, c, 20, 28, 20), c) for c in (16, 64)]
    [False, True]
    """
    n, inputs, *places = shape
    axes = len(places)
    tiles = n * prod(-(-p // _STEP) for p in places)
    pairs, channels = inputs * outputs, inputs + outputs
    cost = pairs * (tiles + _WEIGHTS * axes) + _SUMS * axes * channels * tiles
    return n * prod(places) * _KERNEL**axes * pairs > _LEAST_GAIN * _TILE**axes * cost


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with kernels of three at stride one, with zeros around the image.

    Parameters
    ----------
    x
        (n, channel, *place), float32 with the channels last in memory; 2 or 3 axes. What is not a
        number spoils the whole tile of four places an axis.
    weight
        (output, channel, 3, 3) or (output, channel, 3, 3, 3).

    Returns
    -------
    Tensor
        (n, output, *place) with the channels last: what torch's convolution with a padding of one
        returns, to 2e-5 of its standard deviation with 64 channels in 3-D, 3e-5 with 256; a direct
        one is off by 0.2 to 1e-5. It has a gradient, but no second one.

    Examples
    --------
    >>> x = torch.randn(1, 4, 9, 7).contiguous(memory_format=torch.channels_last)
    >>> weight = torch.randn(5, 4, 3, 3)
    >>> torch.allclose(convolve(x, weight), torch.conv2d(x, weight, padding=1), atol=1e-4)
    True
    """
    y: Tensor = _Convolution.apply(x.movedim(1, -1), weight)  # type: ignore[no-untyped-call]
    return y.movedim(-1, 1)


class _Convolution(torch.autograd.Function):
    """Of (n, *place, channel) to (n, *place, output)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            turned = weight.transpose(0, 1).flip(tuple(range(2, weight.ndim)))
            d_x = _convolved(grad, turned)
        if ctx.needs_input_grad[1]:
            d_weight = _slope(x, grad)
        return d_x, d_weight


def _convolved(x: Tensor, weight: Tensor) -> Tensor:
    """Return (n, *place, output) of (n, *place, channel)."""
    axes, (outputs, inputs) = x.ndim - 2, weight.shape[:2]
    kernels = _along(_matrix("weigh"), weight.permute(*range(2, axes + 2), 1, 0).contiguous(), axes)
    kernels = kernels.view(-1, inputs, outputs)
    seen = _tiles(_padded(x, 1), _TILE)
    y = x.new_empty((len(x), *(_STEP * n for n in seen.shape[axes + 1 : -1]), outputs))
    said = _tiles(y, _STEP)
    room = _Room(x)
    for block in _blocks(seen, kernels.numel()):
        part = _along(_matrix("see"), room.copy(seen[block]), axes, room)
        mixed = room.apart(part, (*part.shape[:-1], outputs))
        flat = mixed.view(len(kernels), -1, outputs)
        torch.bmm(part.view(len(kernels), -1, inputs), kernels, out=flat)
        said[block].copy_(_along(_matrix("say"), mixed, axes, room))
    return _cut(y, x.shape[1:-1])


def _slope(x: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient of the weight, (output, channel, *3)."""
    axes, inputs, outputs = x.ndim - 2, x.shape[-1], grad.shape[-1]
    seen, pulled = _tiles(_padded(x, 1), _TILE), _tiles(_padded(grad, 0), _STEP)
    total = x.new_zeros(_TILE**axes, inputs, outputs)
    here, there = _Room(x), _Room(x)
    for block in _blocks(seen, total.numel()):
        part = _along(_matrix("see"), here.copy(seen[block]), axes, here)
        pull = _along(_matrix("say").T, there.copy(pulled[block]), axes, there)
        flat = pull.view(len(total), -1, outputs)
        total.baddbmm_(part.view(len(total), -1, inputs).mT, flat)
    total = _along(_matrix("weigh").T, total.view(*(_TILE,) * axes, inputs, outputs), axes)
    return total.permute(-1, -2, *range(axes))


class _Room:
    """Two arrays that are written in turns, so that they stay in the caches."""

    def __init__(self, like: Tensor) -> None:
        self.arrays = [like.new_empty(0), like.new_empty(0)]

    def apart(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Return an array of a shape, to be written, in the one that `x` does not lie in."""
        first = self.arrays[0]
        turn = int(x.data_ptr() == first.data_ptr())
        if self.arrays[turn].numel() < prod(shape):
            self.arrays[turn] = first.new_empty(prod(shape))
        return self.arrays[turn][: prod(shape)].view(*shape)

    def copy(self, x: Tensor) -> Tensor:
        return self.apart(x, x.shape).copy_(x)


def _along(matrix: Tensor, x: Tensor, axes: int, room: _Room | None = None) -> Tensor:
    """Multiply each of the leading axes by a matrix."""
    shape = list(x.shape)
    for axis in range(axes):
        lead = prod(shape[:axis])
        given = x.reshape(lead, shape[axis], -1)
        shape[axis] = len(matrix)
        out = None if room is None else room.apart(x, (lead, len(matrix), given.shape[-1]))
        x = torch.bmm(matrix.expand(lead, *matrix.shape), given, out=out)
    return x.view(shape)


def _tiles(x: Tensor, size: int) -> Tensor:
    """Return the tiles of (n, *place, channel) as a view, (*inside, n, *tile, channel)."""
    axes = x.ndim - 2
    for axis in range(axes):
        x = x.unfold(1 + axis, size, _STEP)
    return x.permute(*range(-axes, 0), *range(axes + 2))


def _padded(x: Tensor, around: int) -> Tensor:
    """Put zeros around the places, and behind them until the tiles fit."""
    more = [(around, around + -n % _STEP) for n in reversed(x.shape[1:-1])]
    wide = [0, 0, *(n for pair in more for n in pair)]
    return pad(x, wide) if any(wide) else x


def _cut(x: Tensor, places: Sequence[int]) -> Tensor:
    if x.shape[1:-1] == tuple(places):
        return x
    return x[(slice(None), *(slice(n) for n in places))].contiguous()


def _blocks(tiles: Tensor, weights: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices of the tiles, as many as the caches hold: examples, or parts of one.

    Parameters
    ----------
    tiles
        (*inside, n, *tile, channel).
    weights
        How many there are: each block reads all, so it has at least as many numbers itself.
    """
    axes = (tiles.ndim - 2) // 2
    counts = tiles.shape[axes:-1]
    most = max(_BLOCK, weights) // (_TILE**axes * tiles.shape[-1])  # tiles
    steps = []
    for axis, count in enumerate(counts):
        step = min(count, max(1, most // prod(counts[axis + 1 :])))
        steps.append(-(-count // -(-count // step)))  # parts of about one size
    starts = (range(0, count, step) for count, step in zip(counts, steps, strict=True))
    for first in product(*starts):
        parts = (slice(a, a + step) for a, step in zip(first, steps, strict=True))
        yield (*(slice(None),) * axes, *parts)


@cache
def _matrix(name: str) -> Tensor:
    """Return what is multiplied to a tile ("see"), a kernel ("weigh") and their product ("say").

    The Cook-Toom way: products of polynomials from their values at points and at infinity.
    """
    points = np.array(_POINTS)
    others = [np.delete(points, k) for k in range(len(points))]
    if name == "see":
        rows = [*(np.append(np.poly(rest)[::-1], 0) for rest in others), np.poly(points)[::-1]]
        made = np.array(rows)
    elif name == "weigh":
        scale = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
        powers = np.vander(points, _KERNEL, increasing=True) / np.array(scale)[:, None]
        made = np.vstack([powers, np.eye(_KERNEL)[-1]])
    else:
        made = np.column_stack([np.vander(points, _STEP, increasing=True).T, np.eye(_STEP)[-1]])
    return torch.tensor(made, dtype=torch.float32)
