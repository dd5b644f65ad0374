"""Which labels are mirrored, or have classes on the other side, judged by those of other cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from neuroloom.io.cases.look import Problem, Seen, look, problem_of
from neuroloom.io.cases.model import Case

FEWEST, _CLEARLY = 5, 0.1
_LOOKED_AT = 12
# One class has its place on a side of another where this share of the cases have it there, at a
# distance so even (mean by standard deviation); more classes than these are numbers of objects.
_MOST, _EVENLY, _ATLAS = 0.8, 4.0, 256
# The probability that chance alone turns a pair in a data set, all its pairs and cases together.
_CHANCE = 0.005
# So many pairs tell of a whole label; among more classes than `_MANY` one alone tells nothing.
_SEVERAL, _MANY = 6, 32


class _Turned(NamedTuple):
    """Two classes, by place, that lie the other way round in a case: `own` to `usual`, mm.

    `beyond` says that chance does not put them there.
    """

    first: int
    second: int
    own: float
    usual: float
    beyond: bool

    def has_none_of(self, other: _Turned) -> bool:
        return {self.first, self.second}.isdisjoint(other[:2])


def flips(seen: list[Seen]) -> list[Problem]:
    """Find labels that are mirrored, or whose classes have changed sides."""
    found = [*_mirror_images(seen), *_mirrored(seen)]
    named = {problem.case for problem in found}
    return found + [problem for problem in _exchanged(seen) if problem.case not in named]


def lie_on_sides(
    cases: Sequence[Case], names: Mapping[int, str], ignore: int | None = None
) -> bool:
    """Tell whether one class lies to the right of another in most cases, as halves of a pair do.

    Asked of classes without names only: names tell a side themselves. Some cases are read for it;
    of fewer than five with labels and a place in space nothing is said.

    Parameters
    ----------
    names
        Number to name, as far as known; a name that is the number itself is none.
    """
    if any(name != str(value) for value, name in names.items()):
        return False
    labelled = [case for case in cases if case.label is not None]
    rows = np.linspace(0, len(labelled) - 1, min(len(labelled), _LOOKED_AT)).astype(int)
    seen = [look(Seen(labelled[row], ignore), None, "model") for row in rows]
    placed = [one for one in seen if one.sides]
    classes, sides = _side_of_each(placed)
    if len(placed) < FEWEST or len(classes) > _ATLAS:
        return False
    usual = [
        _usual_side(_apart(sides[:, [first]], sides[:, first + 1 :]), 0.5)[0]
        for first in range(len(classes) - 1)
    ]
    return any(np.isfinite(one).any() for one in usual)


def _side_of_each(placed: Sequence[Seen]) -> tuple[list[int], np.ndarray]:
    """Return the classes, and how far to the right each lies: (case, class, mean and deviation)."""
    classes = sorted({value for one in placed for value in one.sides})
    nowhere = (np.nan, np.nan)
    sides = [[one.sides.get(value, nowhere) for value in classes] for one in placed]
    return classes, np.array(sides, float).reshape(len(placed), len(classes), 2)


def _mirror_images(seen: list[Seen]) -> list[Problem]:
    """Find labels that are exactly another's mirror image."""
    found: list[Problem] = []
    by_hash = {one.label_hash: one for one in seen if one.label_hash}
    for one in seen:
        other = by_hash.get(one.mirror_hash)
        if other is None or other is one or one.mirror_hash == one.label_hash:
            continue
        if one.case.name > other.case.name:
            found.append(
                problem_of(
                    "warning",
                    one,
                    "its label is the left-right mirror image of "
                    f"that of {other.case.name}; one of them is flipped.",
                )
            )
    return found


def _mirrored(seen: list[Seen]) -> list[Problem]:
    """Find labels that, all classes as one, are like the others only when mirrored."""
    drawn = [one for one in seen if one.thumb is not None]
    sides = _likeness([one.thumb for one in drawn if one.thumb is not None])
    # Only where the usual label has a side: for a symmetric one both likenesses are the same.
    if len(drawn) < FEWEST or np.median(sides[:, 0] - sides[:, 1]) < _CLEARLY:
        return []
    return [
        problem_of(
            "warning",
            one,
            f"its label is like the others' only when it is mirrored left to "
            f"right (correlation {mirrored:.2f} against {as_is:.2f}); is it flipped?",
        )
        for one, (as_is, mirrored) in zip(drawn, sides, strict=True)
        if mirrored - as_is > _CLEARLY
    ]


def _exchanged(seen: list[Seen]) -> list[Problem]:
    """Find cases in which a class lies on the other side of another than it does elsewhere."""
    placed = [one for one in seen if one.sides]
    classes, sides = _side_of_each(placed)
    people = _first_of_each(placed)
    if len(people) < FEWEST or len(classes) > _ATLAS:
        return []
    pairs, usable = _turned_pairs(sides, people)
    found = []
    for case, own in sorted(pairs.items()):
        telling = _telling(own, usable[case], many=len(classes) > _MANY)
        if telling:
            pair = max(telling, key=lambda one: abs(one.usual))
            text = (
                f"class {classes[pair.first]} of its label lies {abs(pair.own):.3g} mm to the "
                f"{_way(pair.own)} of class {classes[pair.second]}, in the other cases "
                f"{abs(pair.usual):.3g} mm to the {_way(pair.usual)}; are the sides exchanged, or "
                "is it flipped?"
            )
            found.append(problem_of("warning", placed[case], text))
    return found


def _turned_pairs(
    sides: np.ndarray, people: list[int]
) -> tuple[dict[int, list[_Turned]], np.ndarray]:
    """Return the pairs of classes that lie the other way round in a case, and how many could.

    `sides` are mean and deviation, mm, shape (case, class, 2); those of `people` say what is usual.
    """
    cases, classes = sides.shape[:2]
    chance = _CHANCE / (cases * max(classes * (classes - 1) // 2, 1))
    pairs: dict[int, list[_Turned]] = {}
    usable = np.zeros(cases, int)
    for first in range(classes - 1):
        apart = _apart(sides[:, [first]], sides[:, first + 1 :])
        usual, reach = _usual_side(apart[people], chance)
        usable += np.isfinite(apart + usual).sum(1)
        for case, other in np.argwhere(apart * np.sign(usual) < -np.abs(usual) / 2):
            own, theirs = apart[case, other], usual[other]
            pair = _Turned(first, first + 1 + other, own, theirs, abs(own - theirs) > reach[other])
            pairs.setdefault(case, []).append(pair)
    return pairs, usable


def _telling(pairs: list[_Turned], usable: int, *, many: bool) -> list[_Turned]:
    """Return the pairs of a case that are turned by more than chance.

    All of them where most that could are turned, as in a flipped label; else those beyond chance.
    Among many classes one may lie astray: then a pair without it has to be turned as well.
    """
    if usable >= _SEVERAL and len(pairs) > usable / 2:
        return pairs
    sure = [pair for pair in pairs if pair.beyond]
    if not many:
        return sure
    return [one for one in sure if any(one.has_none_of(other) for other in pairs)]


def _first_of_each(seen: list[Seen]) -> list[int]:
    """Return the place of one case a subject; of all cases where they count as one subject's."""
    first: dict[str, int] = {}
    for place, one in enumerate(seen):
        first.setdefault(one.case.subject, place)
    return list(first.values()) if len(first) > 1 else list(range(len(seen)))


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how far to the right of others a class lies, mm, shape (case, class); NaN if lacking.

    0 where it is beside them by less than both are wide. Of each are given mean and deviation.
    """
    way = one[..., 0] - other[..., 0]
    return np.where(np.abs(way) < one[..., 1] + other[..., 1], 0.0, way)


def _usual_side(apart: np.ndarray, chance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how far to the right of others most cases have a class, mm; NaN where it varies.

    And by how much, mm, one more case is farther off with no more than this probability.
    """
    from scipy.special import stdtrit

    there = np.isfinite(apart).sum(0)
    ways = np.sign(np.nansum(np.sign(apart), axis=0))
    alike = apart * ways > 0
    count = np.maximum(alike.sum(0), 2)
    mean = np.where(alike, apart, 0).sum(0) / count
    spread = np.sqrt(np.where(alike, (apart - mean) ** 2, 0).sum(0) / (count - 1))
    even = (there >= FEWEST) & (count >= _MOST * there) & (np.abs(mean) >= _EVENLY * spread)
    reach = -stdtrit(count - 1, chance) * spread * np.sqrt(1 + 1 / count)
    return np.where(even, mean, np.nan), reach


def _way(right: float) -> str:
    return "right" if right > 0 else "left"


def _likeness(thumbs: list[np.ndarray]) -> np.ndarray:
    """Return a row a label: its correlation with the mean of the others, as it is and mirrored."""
    total = np.sum(thumbs, axis=0) if thumbs else np.zeros(1)
    rows = []
    for thumb in thumbs:
        others = (total - thumb).ravel()
        pair = [_correlation(side.ravel(), others) for side in (thumb, thumb[::-1])]
        rows.append(pair)
    return np.array(rows).reshape(-1, 2)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread else 0.0
