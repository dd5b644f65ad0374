"""What cases say of each other: kinds, sizes, names, colours and copies among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from neuroloom.io.cases.layouts import few, unlike_channels
from neuroloom.io.cases.look import Problem, Seen, Use, problem_of
from neuroloom.io.cases.painted import Colour
from neuroloom.io.cases.sides import FEWEST, flips
from neuroloom.io.names import plain, tells

_OTHER_SIZE = 1.5
_SQUARE = 1.05
# A value that one label alone holds is a slip if it covers so small a share of what is drawn; more
# values than these are numbers of objects.
_SLIP, _CLASSES = 1e-3, 32
# Colours that differ by no more are shades of one.
_SHADE = 16
# The value of what is painted in one colour, and not in those of a palette.
_PAINTED = 255


def compare(seen: list[Seen], use: Use) -> list[Problem]:
    """Return what is odd among cases; of those that serve one model, all that makes them unlike."""
    together = _TOGETHER if use == "model" else (_slips, flips)
    return [problem for judge in (_pixel_sizes, *together) for problem in judge(seen)]


def _kinds(seen: list[Seen]) -> list[Problem]:
    """Find images among volumes, and the other way round; NIfTI gives a slice three axes."""
    kinds = [_kind(one.case.shape) for one in seen]
    if len(set(kinds)) < 2:
        return []
    usual = Counter(kinds).most_common(1)[0][0]
    return [
        problem_of(
            "error",
            one,
            f"is {'an' if kind == 'image' else 'a'} {kind} among {usual}s; a model is for one of "
            "them: leave the others out.",
        )
        for one, kind in zip(seen, kinds, strict=True)
        if kind != usual
    ]


def _kind(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "image"
    return "single slice" if 1 in shape else "volume"


def _channel_counts(seen: list[Seen]) -> list[Problem]:
    counts = Counter(one.channels for one in seen)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [
        problem_of(
            "error", one, f"has {unlike_channels(one.channels, usual)} as in the other cases."
        )
        for one in seen
        if one.channels != usual
    ]


def _channel_names(seen: list[Seen]) -> list[Problem]:
    """Find files that have the channels of the others in another order, or call them otherwise."""
    named = [(one, one.case.channel_names) for one in seen]
    usual = Counter(names for _, names in named if names).most_common(1)
    found = []
    for one, own in named:
        if not own or own == usual[0][0] or len(own) != len(usual[0][0]):
            continue
        said = f"its channels are {', '.join(own)}, those of the other cases "
        said += ", ".join(usual[0][0])
        if set(own) == set(usual[0][0]):
            found.append(problem_of("error", one, f"{said}; write them in one order."))
        else:
            found.append(problem_of("warning", one, f"{said}; they were taken by their places."))
    return found


def _pixel_sizes(seen: list[Seen]) -> list[Problem]:
    """Find sizes that are unlike the others', and pixels of images that are not square."""
    found: list[Problem] = []
    for axes in {len(one.case.shape) for one in seen}:
        same = [one for one in seen if len(one.case.shape) == axes]
        unit = Counter(one.case.unit for one in same).most_common(1)[0][0]
        alike = []
        for one in same:
            if (one.case.unit == "px") == (unit == "px"):
                alike.append(replace(one, case=one.case.in_unit(unit)))
                continue
            said = f"its pixels are in {one.case.unit}, those of other cases in {unit}"
            found.append(problem_of("warning", one, f"{said}; sizes cannot be compared."))
        found += _unlike(alike)
    return found


def _unlike(same: list[Seen]) -> list[Problem]:
    """Compare sizes that have one unit; `same` are all images or all volumes."""
    flat = len(same[0].case.spacing) == 2
    skewed = [
        one for one in same if flat and max(one.case.spacing) > _SQUARE * min(one.case.spacing)
    ]
    found = [problem_of("warning", one, _not_square(one, same)) for one in skewed]
    straight = [one for one in same if one not in skewed] or same
    sizes = np.array([one.case.spacing for one in straight])
    usual = np.median(sizes, axis=0)
    ratio = np.maximum(sizes / usual, usual / sizes).max(1)
    odd = [one for one, times in zip(straight, ratio, strict=True) if times > _OTHER_SIZE]
    if len(odd) > max(1, len(same) // 4):
        ends = f"{_times(sizes.min(0))} to {_times(sizes.max(0))}"
        return [
            *found,
            problem_of("note", odd[0], f"sizes of voxels vary among the cases, {ends}."),
        ]
    severity = "warning" if flat else "note"
    said = f"those of the other cases {_times(usual)}; is that true?"
    return found + [
        problem_of(severity, one, f"its voxels are {_size(one)}, {said}") for one in odd
    ]


def _not_square(one: Seen, same: list[Seen]) -> str:
    subject = one.case.subject
    mate = next((s for s in same if s.case.subject == subject and s is not one), None)
    known = f" Other images of subject {subject} have {_size(mate)}." if mate else ""
    said = f"its pixels are said to be {_size(one)}, not square"
    return f"{said}; one of the two sizes is probably false.{known}"


def _times(sizes: Iterable[float]) -> str:
    return " x ".join(f"{value:g}" for value in sizes)


def _size(one: Seen) -> str:
    return f"{_times(one.case.spacing)} {one.case.unit}"


def _label_names(seen: list[Seen]) -> list[Problem]:
    """Find cases whose masks are called otherwise than those of the others."""
    named = [(one, set(one.case.label)) for one in seen if isinstance(one.case.label, dict)]
    names = Counter(tuple(sorted(own)) for _, own in named)
    if len(names) < 2:
        return []
    usual = set(names.most_common(1)[0][0])
    return [
        problem_of(
            "error",
            one,
            f"has masks called {', '.join(sorted(own))}, other cases have "
            f"{', '.join(sorted(usual))}; name them alike.",
        )
        for one, own in named
        if own != usual
    ]


def _number_names(seen: list[Seen]) -> list[Problem]:
    """Find labels whose own table or header calls what they hold otherwise than those of others."""
    tables = [{k: name for k, name in one.names.items() if tells(name)} for one in seen]
    drawn = [
        {k: name for k, name in own.items() if one.case.numbering.get(k, k) in one.values}
        for one, own in zip(seen, tables, strict=True)
    ]
    usual = _usual_names(drawn, {name for own in tables for name in _twice(own.values())})
    found = []
    for one, own in zip(seen, drawn, strict=True):
        odd = {k: name for k, name in own.items() if _is_another(name, k, usual)}
        named = set(map(plain, odd.values()))
        theirs = {k: name for k, name in usual.items() if k in odd or plain(name) in named}
        if odd:
            text = (
                f"its label calls {_numbered(odd)}, those of the other cases {_numbered(theirs)}. "
                "Numbers count and not names: give a class the same number and name in all labels "
                "(3D Slicer: export with a colour table)."
            )
            found.append(problem_of("error", one, text))
    return found


def _usual_names(tables: Sequence[Mapping[int, str]], shared: set[str]) -> dict[int, str]:
    """Return what most tables call a number; one name has one number, but for `shared` ones."""
    pairs = Counter(pair for own in tables for pair in own.items())
    votes: Counter[tuple[int, str]] = Counter()
    for (number, name), times in pairs.items():
        votes[number, plain(name)] += times
    usual: dict[int, str] = {}
    for (number, name), _ in votes.most_common():
        if number not in usual and (name in shared or name not in usual.values()):
            usual[number] = name
    spelt = {(k, plain(name)): name for (k, name), _ in reversed(pairs.most_common())}
    return {k: spelt[k, name] for k, name in usual.items()}


def _is_another(name: str, number: int, usual: Mapping[int, str]) -> bool:
    """Return whether a name is not the usual one of its number, or by its case another's."""
    theirs = usual.get(number)
    if theirs is None or plain(theirs) != plain(name):
        return True
    return name != theirs and name in usual.values()


def _twice(names: Iterable[str]) -> set[str]:
    """Return the names, as they are compared, that come more than once."""
    return {name for name, times in Counter(map(plain, names)).items() if times > 1}


def _numbered(names: Mapping[int, str]) -> str:
    return few(f"{number} {name}" for number, name in sorted(names.items()))


def _greys(seen: list[Seen]) -> list[Problem]:
    """Say which values were taken as which class, where they are no numbers of classes."""
    drawn = [one for one in seen if one.label_hash]
    greys = drawn[0].case.coding.greys if drawn else {}
    if not greys:
        return []
    taken = ", ".join(f"{grey:g} as {name}" for name, grey in greys.items())
    return [
        problem_of("note", drawn[0], f"its label and the others were numbered by grey: {taken}.")
    ]


def _colours(seen: list[Seen]) -> list[Problem]:
    """Find labels painted in one colour where others that count as the same class have another."""
    painted = [(one, one.colours[_PAINTED]) for one in seen if list(one.colours) == [_PAINTED]]
    return [
        problem_of(
            "error",
            one,
            f"its label is painted in {colour} (red, green, blue) where that of "
            f"{painted[0][0].case.name} is in {painted[0][1]}, and both would count as one class; "
            "give each class a number, or one file a class.",
        )
        for one, colour in painted
        if not _is_shade(colour, painted[0][1])
    ]


def _palettes(seen: list[Seen]) -> list[Problem]:
    """Find labels whose palette shows a number in the very colour that others have for another.

    Numbers of objects have colours of no meaning, which do not come again.
    """
    if len({value for one in seen for value in one.colours}) > _CLASSES:
        return []
    first: dict[int, tuple[Seen, Colour]] = {}
    found: list[Problem] = []
    for one in seen:
        for value, own in one.colours.items():
            other, usual = first.get(value, (one, own))
            same = [k for k, (_, colour) in first.items() if colour == own and k != value]
            if same and not _is_shade(own, usual):
                text = (
                    f"its palette shows {value} in {own} (red, green, blue), which is {same[0]} in "
                    f"other labels; {other.case.name} has {usual} for it. Numbers count and not "
                    "colours: do they mean the same in all labels?"
                )
                found.append(problem_of("warning", one, text))
                break
        first = {value: (one, own) for value, own in one.colours.items()} | first
    return found


def _is_shade(one: Colour, other: Colour) -> bool:
    return bool(np.abs(np.subtract(one, other)).max() <= _SHADE)


def _slips(seen: list[Seen]) -> list[Problem]:
    """Find values that a few voxels of one label hold, and no other label."""
    drawn = [one for one in seen if one.values]
    cases = Counter(value for one in drawn for value in one.values)
    if len(drawn) < FEWEST or len(cases) > _CLASSES:
        return []
    found = []
    for one in drawn:
        most = _SLIP * sum(one.values.values())
        for value, count in one.values.items():
            if cases[value] == 1 and count <= most:
                text = (
                    f"{count} voxel{'s' * (count > 1)} of the label hold{'s' * (count == 1)} "
                    f"{value}, and no other case has that class; correct the label if it is a slip."
                )
                found.append(problem_of("warning", one, text))
    return found


def _twins(seen: list[Seen]) -> list[Problem]:
    """Find images that are there twice, and labels that are copies of another case's.

    Labels that one class fills are alike and no copies.
    """
    found: list[Problem] = []
    first: dict[str, Seen] = {}
    for one in seen:
        other = first.setdefault(one.image_hash, one)
        if other is not one:
            found.append(
                problem_of(
                    "error",
                    one,
                    f"is the same image as {other.case.images[0].name};"
                    " one of them would be judged by what was learned of it.",
                )
            )
    labels: dict[str, Seen] = {}
    for one in seen:
        if not one.label_hash or one.filled:
            continue
        other = labels.setdefault(one.label_hash, one)
        if other is one or other.image_hash == one.image_hash:
            continue
        if other.case.subject == one.case.subject:
            said = "of the same subject: together they are one piece of evidence."
            found.append(problem_of("note", one, f"has the label of {other.case.name}, {said}"))
        else:
            found.append(
                problem_of(
                    "warning",
                    one,
                    f"has exactly the label of {other.case.name}, on "
                    "another image; is one of them misplaced?",
                )
            )
    return found


_TOGETHER = (
    _kinds,
    _channel_counts,
    _channel_names,
    _label_names,
    _number_names,
    _greys,
    _colours,
    _palettes,
    _slips,
    _twins,
    flips,
)
