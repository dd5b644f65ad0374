"""Masks of classes that lie in one another: a lesion in its organ, the core of a tumour in it.

Such classes are regions: what is in the inner mask is in the outer one, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    from neuroloom.io.cases.model import Case

INSIDE = 0.99  # share of a mask, from which on it lies in another: edges are drawn by hand
CASES, MASKS = 3, 12  # cases that are looked at, and masks that a case may have: all are read


def inside_of(masks: Sequence[NDArray[np.bool_]]) -> set[tuple[int, int]]:
    """Return (inner, outer) for each mask that lies in a larger one.

    Examples
    --------
    >>> inner, outer = np.arange(9) == 4, np.arange(9) > 2
    >>> inside_of([inner, outer]), inside_of([inner, ~inner])
    ({(0, 1)}, set())
    """
    sizes = [int(mask.sum()) for mask in masks]
    if sum(sizes) == int(np.logical_or.reduce(masks).sum()):
        return set()
    return {
        (inner, outer)
        for inner, a in enumerate(masks)
        for outer, b in enumerate(masks)
        if 0 < sizes[inner] < sizes[outer] and int((a & b).sum()) >= INSIDE * sizes[inner]
    }


def outermost_first(masks: Sequence[NDArray[np.bool_]]) -> list[int]:
    """Return places of masks in the order to paint them: what lies in another comes after it."""
    inside = inside_of(masks)
    around = [sum(inner == place for inner, _ in inside) for place in range(len(masks))]
    return sorted(range(len(masks)), key=around.__getitem__)


def in_two_of(masks: Sequence[NDArray[np.bool_]]) -> int:
    """Return how many pixels are in two masks of which neither lies in the other.

    Examples
    --------
    >>> inner, outer = np.arange(9) == 4, np.arange(9) > 2
    >>> in_two_of([inner, outer]), in_two_of([outer, np.arange(9) < 5])
    (0, 2)
    """
    several = np.add.reduce(masks, dtype=np.uint8) > 1
    if not several.any():
        return 0
    inside = inside_of(masks)
    there = [mask[several] for mask in masks]
    odd = np.zeros(int(several.sum()), bool)
    for (one, a), (two, b) in combinations(enumerate(there), 2):
        if not inside & {(one, two), (two, one)}:
            odd |= a & b
    return int(odd.sum())


def regions_of(cases: Iterable[Case], classes: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    """Return name -> numbers of each class and of those that lie in it; empty where none does.

    The first cases with a mask a class are looked at. One lies in another if it does wherever both
    are drawn.
    """
    if len(classes) > MASKS:
        return {}
    drawn = [case for case in cases if isinstance(case.label, dict)][:CASES]
    inside: set[tuple[int, int]] = set()
    apart: set[tuple[int, int]] = set()
    for case in drawn:
        try:
            masks = case.class_masks()
        except DataError:  # the audit names all that cannot be read
            continue
        there = [place for place, mask in enumerate(masks) if mask.any()]
        own = inside_of(masks)
        inside |= own
        apart |= {(a, b) for a in there for b in there} - own
    numbers = list(classes)
    within = {
        outer: [numbers[inner] for inner, other in sorted(inside - apart) if other == outer]
        for outer in range(len(numbers))
    }
    if not any(within.values()):
        return {}
    return {classes[numbers[k]]: (numbers[k], *more) for k, more in within.items()}
