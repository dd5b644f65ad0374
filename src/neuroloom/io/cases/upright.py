"""One way round for all volumes: x to the right, y to the front, z up, whatever a file's order.

A scanner's export and a converted copy hold the same voxels in other orders; the affine says
which. A net that learnt from one order must not be asked about another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Turn:
    """How a file's voxels are turned until their axes run right, front and up, and back.

    No voxel is made anew: axes are swapped and mirrored. An oblique grid comes as near as that
    brings it.

    Attributes
    ----------
    affine
        Shape (4, 4), RAS, of the file's (x, y, z) indices.
    shape
        Size of the file's grid, (z, y, x).

    Examples
    --------
    >>> turn = Turn(np.diag([-1.0, 1, 1, 1]), (1, 1, 3))
    >>> turn.there(np.array([[[1, 2, 3]]])).tolist(), turn.shape_there
    ([[[3, 2, 1]]], (1, 1, 3))
    """

    affine: np.ndarray
    shape: tuple[int, ...]

    @cached_property
    def ways(self) -> np.ndarray:
        """For x, y and z of the file: which axis it becomes, and 1 or -1 if it is mirrored."""
        from nibabel.orientations import io_orientation

        return io_orientation(self.affine)

    @property
    def is_none(self) -> bool:
        """Whether the file's order is right already, or its affine says nothing of an axis."""
        ways = self.ways
        return bool(np.isnan(ways).any()) or bool((ways == [[0, 1], [1, 1], [2, 1]]).all())

    @property
    def shape_there(self) -> tuple[int, ...]:
        """Size of the turned grid, (z, y, x)."""
        return self.moved(self.shape)

    @property
    def affine_there(self) -> np.ndarray:
        """The affine of the turned voxels."""
        from nibabel.orientations import inv_ornt_aff

        return self.affine @ inv_ornt_aff(self.ways, self.shape[::-1])

    def moved(self, values: Sequence[T]) -> tuple[T, ...]:
        """Return what belongs to the file's axes (z, y, x) in the order of the turned ones."""
        to = self.ways[::-1, 0].tolist()
        return tuple(values[to.index(axis)] for axis in (2, 1, 0))

    def there(self, values: np.ndarray) -> np.ndarray:
        """Return values of the file, (..., z, y, x), turned; a view."""
        from nibabel.orientations import apply_orientation

        return apply_orientation(np.asarray(values).T, self.ways).T

    def back(self, values: np.ndarray) -> np.ndarray:
        """Return turned values, (..., z, y, x), in the file's order; a view."""
        from nibabel.orientations import apply_orientation, ornt_transform

        right = [[0, 1], [1, 1], [2, 1]]
        return apply_orientation(np.asarray(values).T, ornt_transform(right, self.ways)).T

    def window(self, window: Sequence[slice]) -> tuple[slice, ...]:
        """Return which part of the file, in its order, is that part of the turned grid."""
        found = []
        for size, (axis, way) in zip(self.shape, self.ways[::-1], strict=True):
            start, stop, _ = window[2 - int(axis)].indices(size)
            found.append(slice(start, stop) if way > 0 else slice(size - stop, size - start))
        return tuple(found)
