"""Strips of an image, so that one image, or sections of one tissue, can be judged honestly.

Neighbouring sections are nearly the same tissue: who has seen one knows the next. So every image is
cut along the same axis at the same places, and pixels between a strip that is learnt from and one
that is judged are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError

LEAST = 32  # pixels of a strip

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Strip:
    """A part of a case along one axis, which behaves like a case.

    Attributes
    ----------
    whole
        The case.
    axis, start, stop
        Which pixels, along an axis in array order.
    part
        Number of the strip, from 1.
    """

    whole: Any
    axis: int
    start: int
    stop: int
    part: int

    @property
    def name(self) -> str:
        """The case's name and the number of the strip."""
        return f"{self.whole.name}_part{self.part}"

    @property
    def uncut(self) -> Any:
        """The case that it is a part of."""
        return self.whole

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the strip in array order."""
        size = list(self.whole.shape)
        size[self.axis] = self.stop - self.start
        return tuple(size)

    @property
    def window(self) -> tuple[slice, ...]:
        """One slice an axis."""
        whole = [slice(None)] * len(self.whole.shape)
        whole[self.axis] = slice(self.start, self.stop)
        return tuple(whole)

    def image(self) -> np.ndarray:
        """Return the strip of the image, (channel, *axes) float32."""
        return np.ascontiguousarray(self.whole.image()[(slice(None), *self.window)])

    def truth(self) -> np.ndarray | None:
        """Return the strip of the label, (*axes)."""
        truth = self.whole.truth()
        return None if truth is None else np.ascontiguousarray(truth[self.window])

    def numbers(self) -> np.ndarray | None:
        """Return the strip of the numbered objects, (*axes), of a case that has such."""
        numbers = self.whole.numbers()
        return None if numbers is None else np.ascontiguousarray(numbers[self.window])

    def __getattr__(self, name: str) -> Any:
        """Return what a strip has in common with its case: spacing, unit, files."""
        if name.startswith("__") or name == "whole":
            raise AttributeError(name)
        return getattr(self.whole, name)


def places(size: int, folds: int, share: float, gap: int) -> list[Place]:
    """Return where the strips of an axis lie: (start, stop) of each.

    Parameters
    ----------
    size
        Pixels of the axis.
    folds
        Number of strips; 1: two, of which the last is the share that is held out.
    share
        Of the axis, where there is one fold.
    gap
        Pixels between two strips, in neither.

    Raises
    ------
    ConfigError
        If a strip would have fewer than 32 pixels.

    Examples
    --------
    >>> places(300, 3, 0.3, 20)
    [(0, 90), (110, 190), (210, 300)]
    >>> places(300, 1, 1 / 3, 20)
    [(0, 180), (200, 300)]
    """
    if folds == 1:
        cut = round(size * (1 - share))
        found = [(0, cut - gap), (cut, size)]
    else:
        cuts = [round(size * k / folds) for k in range(folds + 1)]
        before, after = gap // 2, gap - gap // 2
        found = [
            (start + before * (start > 0), stop - after * (stop < size))
            for start, stop in pairwise(cuts)
        ]
    if min(stop - start for start, stop in found) < LEAST:
        raise ConfigError(
            f"{len(found)} strips of an axis of {size} pixels with gaps of {gap} leave less than "
            f"{LEAST} pixels to one: ask for fewer `folds`, or for a smaller `margin`."
        )
    return found


def common_axis(cases: Sequence[Any], axis: int | None) -> int:
    """Return the axis that all cases are cut along; None: the longest of all of them together.

    Sections that are cut along unlike axes would have the tissue of one's held-out strip in a strip
    that is learnt from. Of axes that are as long the last is taken.

    Raises
    ------
    ConfigError
        If a case has no such axis.

    Examples
    --------
    >>> from types import SimpleNamespace as Case
    >>> common_axis([Case(shape=(70, 60)), Case(shape=(60, 65))], None)
    0
    """
    if axis is None:
        total = np.sum([case.shape for case in cases], axis=0)
        return len(total) - 1 - int(np.argmax(total[::-1]))
    lacking = next((case for case in cases if axis >= len(case.shape)), None)
    if lacking is not None:
        raise ConfigError(
            f"axis is {axis}, but {lacking.name} has the axes 0 to {len(lacking.shape) - 1}."
        )
    return axis


def cut_case(case: Any, axis: int, folds: int, share: float, gap: int) -> list[Strip]:
    """Return the strips of a case along an axis; see `places`."""
    cuts = places(case.shape[axis], folds, share, gap)
    return [Strip(case, axis, a, b, part) for part, (a, b) in enumerate(cuts, start=1)]


def neighbour_of(row: int, train: Sequence[int], subjects: Sequence[str], cases: Any) -> int | None:
    """Return the training case most likely to be the section beside a held-out one.

    It is of the same subject and of the same shape, and nearest in the order of the files.

    Examples
    --------
    >>> from types import SimpleNamespace as Case
    >>> neighbour_of(2, [0, 1, 3], ["a", "a", "a", "b"], [Case(shape=(4, 4))] * 4)
    1
    """
    same = [
        other
        for other in train
        if subjects[other] == subjects[row] and cases[int(other)].shape == cases[int(row)].shape
    ]
    return min((int(other) for other in same), key=lambda k: abs(k - row), default=None)
