"""A region as one flat array of grey levels, in which every direction is a stride."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from neuroloom.core.blocks import bounding_box

ACROSS = ((0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, -1))


def directions(flat: bool) -> tuple[tuple[int, int, int], ...]:
    """Return one of every two opposite steps to a neighbour: 4 inside a slice, 13 in space.

    Examples
    --------
    >>> len(directions(True)), len(directions(False))
    (4, 13)
    """
    if flat:
        return ACROSS
    steps = product((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
    return tuple(step for step in steps if step > (0, 0, 0))


@dataclass(frozen=True)
class Levels:
    """Grey levels of a region, cropped to it and framed by zeros.

    Attributes
    ----------
    flat
        Level of every voxel, 0 outside the region, in C order, shape (z * y * x,).
    shape
        Of the framed box.
    inside
        Places of the region's voxels in `flat`.
    """

    flat: np.ndarray
    shape: tuple[int, int, int]
    inside: np.ndarray

    @property
    def count(self) -> int:
        """The highest level."""
        return int(self.flat.max())

    @property
    def slices(self) -> np.ndarray:
        """The slice (z) of every voxel of the region, counted from the first."""
        return self.inside // (self.shape[1] * self.shape[2]) - 1

    @property
    def n_slices(self) -> int:
        """Slices between the first and the last of the region, these included."""
        return self.shape[0] - 2

    @property
    def box(self) -> np.ndarray:
        """The framed box, shape (z, y, x)."""
        return self.flat.reshape(self.shape)

    def stride(self, step: tuple[int, int, int]) -> int:
        """Return how far a step goes in `flat`; the frame keeps it from leaving the box."""
        return (step[0] * self.shape[1] + step[1]) * self.shape[2] + step[2]

    def neighbours(self, flat: bool) -> list[int]:
        """Return the strides to all neighbours: 8 inside a slice, 26 in space."""
        strides = [self.stride(step) for step in directions(flat)]
        return strides + [-stride for stride in strides]


def as_levels(levels: np.ndarray) -> Levels:
    """Frame an array of levels (z, y, x), 0 outside the region.

    Examples
    --------
    >>> as_levels(np.ones((1, 2, 3), int)).shape
    (3, 4, 5)
    """
    box = np.pad(levels[bounding_box(levels > 0)], 1).astype(np.int64)
    flat = box.ravel()
    depth, height, width = box.shape
    return Levels(flat, (depth, height, width), np.flatnonzero(flat))
