"""How deep a U-Net is, where it pools, and how much memory its features take.

The rules are those of nnU-Net (Isensee et al. 2021; v2.8.1, `network_topology.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_EDGE = 4
Ints = tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """Strides and kernels of every stage, and the patch that they divide.

    Parameters
    ----------
    patch
        Size along every axis, a multiple of `divisor`.
    strides
        Of the first convolution of every stage; the first stage has ones.
    kernels
        Of the convolutions of every stage; the last is the bottleneck.
    """

    patch: Ints
    strides: tuple[Ints, ...]
    kernels: tuple[Ints, ...]

    @property
    def pools(self) -> Ints:
        """How often every axis is halved."""
        return tuple(sum(s > 1 for s in axis) for axis in zip(*self.strides, strict=True))

    @property
    def divisor(self) -> Ints:
        """What the patch must be a multiple of along every axis."""
        return divisor_of(self.strides)


def divisor_of(strides: Sequence[Sequence[int]]) -> Ints:
    """Return the product of the strides along every axis.

    Examples
    --------
    >>> divisor_of([(1, 1), (2, 2), (1, 2)])
    (2, 4)
    """
    return tuple(int(np.prod(axis)) for axis in zip(*strides, strict=True))


def round_up(patch: Sequence[float], divisor: Sequence[int]) -> Ints:
    """Return the smallest multiples of `divisor` that hold the patch.

    Examples
    --------
    >>> round_up((36, 50.5), (8, 8))
    (40, 56)
    """
    return tuple(int(-(-n // d) * d) for n, d in zip(patch, divisor, strict=True))


def round_near(patch: Sequence[float], divisor: Sequence[int]) -> Ints:
    """Return the multiples of `divisor` that are nearest to the patch, one at least; ties go down.

    Examples
    --------
    >>> round_near((40, 56, 5), (16, 16, 16))
    (32, 48, 16)
    """
    pairs = zip(patch, divisor, strict=True)
    return tuple(int(d * max(1, -(-(n - d / 2) // d))) for n, d in pairs)


def topology(spacing: Sequence[float], patch: Sequence[float]) -> Topology:
    """Return where a net pools for a patch of this spacing and size.

    In every stage the axes are halved that still have eight voxels and whose voxels are less than
    twice as long as the shortest of them; a single axis needs twelve. An axis is convolved with a
    kernel of 3 as soon as its voxels are less than twice as long as the shortest of all.

    Parameters
    ----------
    spacing, patch
        Along every axis; the patch is rounded up to what the strides divide.

    Examples
    --------
    >>> made = topology((1, 1, 1), (36, 50, 35))
    >>> made.patch, made.pools
    ((40, 56, 40), (3, 3, 3))
    """
    length, size = [float(s) for s in spacing], [float(n) for n in patch]
    kernel = [1] * len(length)
    strides: list[Ints] = [(1,) * len(length)]
    kernels: list[Ints] = []
    while axes := _axes_to_halve(length, size):
        shortest = min(length)
        kernel = [
            3 if k == 3 or s / shortest < 2 else 1 for k, s in zip(kernel, length, strict=True)
        ]
        stride = tuple(2 if axis in axes else 1 for axis in range(len(length)))
        length = [s * step for s, step in zip(length, stride, strict=True)]
        size = [float(np.ceil(n / step)) for n, step in zip(size, stride, strict=True)]
        strides.append(stride)
        kernels.append(tuple(kernel))
    kernels.append((3,) * len(length))
    return Topology(round_up(patch, divisor_of(strides)), tuple(strides), tuple(kernels))


def _axes_to_halve(length: Sequence[float], size: Sequence[float]) -> list[int]:
    large = [axis for axis, n in enumerate(size) if n >= 2 * MIN_EDGE]
    if not large:
        return []
    shortest = min(length[axis] for axis in large)
    axes = [axis for axis in large if length[axis] / shortest < 2]
    return [] if len(axes) == 1 and size[axes[0]] < 3 * MIN_EDGE else axes


def shrink(spacing: Sequence[float], made: Topology, median: Sequence[float]) -> Topology:
    """Return the topology with the next smaller patch.

    The axis that is largest beside the median image gives way, by what the strides of the *smaller*
    patch divide, so that no valid size is jumped over.

    Examples
    --------
    >>> made = topology((1, 1), (256, 256))
    >>> shrink((1, 1), made, (300, 290)).patch
    (256, 224)
    """
    shares = [n / m for n, m in zip(made.patch, median, strict=True)]
    axis = max(range(len(shares)), key=lambda a: (shares[a], a))
    trial = list(made.patch)
    trial[axis] -= made.divisor[axis]
    smaller = list(made.patch)
    smaller[axis] -= topology(spacing, trial).divisor[axis]
    return topology(spacing, smaller)


def footprint(
    made: Topology,
    features: Sequence[int],
    blocks: Sequence[int],
    decoder_blocks: Sequence[int],
    classes: int,
    *,
    residual: bool = False,
    heads: int = 1,
) -> int:
    """Return how many numbers all convolutions put out for one patch: nnU-Net's measure of memory.

    Parameters
    ----------
    features
        Of every stage.
    blocks, decoder_blocks
        Convolutions (residual: blocks of two) in every stage of the encoder, and convolutions in
        every stage of the decoder, the lowest first.
    classes
        Channels of the output.
    residual
        A stem, and blocks with a convolved skip where the size or the features change.
    heads
        How many stages of the decoder put out classes, from the finest on.

    Examples
    --------
    nnU-Net's file of ResEnc planners names 558319104 for this net, all of its stages with a head.

    >>> made = topology((1, 1, 1), (128, 128, 128))
    >>> width = (32, 64, 128, 256, 320, 320)
    >>> footprint(made, width, (1, 3, 4, 6, 6, 6), [1] * 5, 3, residual=True, heads=5)
    558319104
    """
    voxels = _voxels(made)
    depth = len(voxels)
    total = features[0] * voxels[0] if residual else 0
    for i in range(depth):
        convs = 2 * blocks[i] + (i > 0) if residual else blocks[i]
        total += convs * features[i] * voxels[i]
    for i in range(depth - 1):
        up_and_convs = 1 + decoder_blocks[depth - 2 - i]
        total += (up_and_convs * features[i] + (classes if i < heads else 0)) * voxels[i]
    return int(total)


def _voxels(made: Topology) -> list[int]:
    size, counts = made.patch, []
    for stride in made.strides:
        size = tuple(n // s for n, s in zip(size, stride, strict=True))
        counts.append(int(np.prod(size)))
    return counts
