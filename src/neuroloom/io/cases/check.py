"""The audit of a data set of images: goes over every case and collects every problem.

Bad data are found here, before hours of training, and all at once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.io.cases import Case
from neuroloom.io.cases.layouts import few, unlike_channels
from neuroloom.io.cases.truth import is_inside, numbers_inside, raw_label
from neuroloom.io.cases.upright import Turn
from neuroloom.io.images import ImageHeader, peek_image

Use = Literal["model", "image", "region"]
_SHOWN = 10
_TOLD = 8
_OFF = 1e-3  # of a voxel, or of a millimetre if that is more
_OTHER_SIZE = 1.5
_SQUARE = 1.05
# A label is compared with the mean of the others on a grid of so many cells an axis.
_CELLS = 12
_FEWEST, _CLEARLY = 5, 0.1
# A value that one label alone holds is a slip if it covers so small a share of what is drawn; more
# values than these are numbers of objects.
_SLIP, _CLASSES = 1e-3, 32


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or worth knowing.

    Attributes
    ----------
    severity
        "error": the case cannot serve; "warning": results may be wrong; "note": legal, unusual.
    case, file
        Whose it is, and the file to look at.
    text
        One sentence that says what is there and what to do; it names the file.
    """

    severity: str
    case: str
    file: str
    text: str


@dataclass
class _Seen:
    """What one pass over a case leaves behind."""

    case: Case
    ignore: int | None = None
    header: ImageHeader | None = None
    channels: int = 0
    image_hash: str = ""
    label_hash: str = ""
    mirror_hash: str = ""
    thumb: np.ndarray | None = None
    values: dict[int, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def drawn(self, truth: np.ndarray) -> np.ndarray:
        """Return where a label marks something, a bool array; what it leaves open is unmarked."""
        return (truth > 0) & (True if self.ignore is None else truth != self.ignore)

    def say(self, severity: str, file: Path, text: str) -> None:
        self.problems.append(Problem(severity, self.case.name, file.name, f"{file.name}: {text}"))


def check_cases(
    cases: Iterable[Case],
    classes: Mapping[int, str] | Sequence[str] | None = None,
    ignore: int | None = None,
    use: Use = "model",
) -> list[Problem]:
    """Read all cases and return all problems; an empty list where there is none.

    Parameters
    ----------
    cases
        For example `find_cases(data).cases`.
    classes
        Number to name, or the names of 1..K, that the labels may hold; None: anything.
    ignore
        A number that labels may hold besides.
    use
        What the cases serve. "model": one model learns from all of them, so they are of one kind,
        with the same channels and names of masks, none there twice. "image": each is worked on by
        itself. "region": of each only what its label marks is measured, so something must be
        marked, and NaN elsewhere is no error.

    Examples
    --------
    >>> from neuroloom.io.cases import Case
    >>> check_cases([Case("a", (Path("nowhere.nii.gz"),))])[0].text
    'nowhere.nii.gz: there is no such file.'
    """
    allowed = None if classes is None else {0, *_numbers(classes)}
    if allowed is not None and ignore is not None:
        allowed.add(ignore)
    seen = [_look(_Seen(case, ignore), allowed, use) for case in cases]
    found = [problem for one in seen for problem in one.problems]
    readable = [one for one in seen if one.header is not None]
    together = _TOGETHER if use == "model" else (_slips, _flips)
    for judge in (_pixel_sizes, *together):
        found += judge(readable)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda problem: order[problem.severity])


def require_sound(
    problems: Sequence[Problem], advice: str = "mend or leave out (`include`) these files"
) -> list[Problem]:
    """Return warnings and notes if there is no error.

    Parameters
    ----------
    problems
        As `check_cases` found them.
    advice
        What can be done.

    Raises
    ------
    DataError
        One, with all errors: the first ten in full, then their number.

    Examples
    --------
    >>> require_sound([Problem("note", "a", "a.nii", "a.nii: the label is empty.")])[0].case
    'a'
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        return list(problems)
    cases = len({problem.case for problem in errors})
    ones = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
    lines = [f"{ones} in {cases} case{'s' * (cases != 1)}; {advice}:"]
    lines += [f"- {problem.text}" for problem in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"- and {len(errors) - _SHOWN} more.")
    raise DataError("\n".join(lines))


def findings_of_problems(problems: Sequence[Problem]) -> list[Finding]:
    """Return what the report says of warnings and notes: one finding for all of a kind.

    Examples
    --------
    >>> findings_of_problems([Problem("note", "a", "a.nii", "a.nii: the label is empty.")])[0].title
    'Worth knowing'
    """
    kinds: dict[Literal["warning", "note"], str] = {
        "warning": "Doubtful images or labels",
        "note": "Worth knowing",
    }
    found = []
    for severity, title in kinds.items():
        texts = list(dict.fromkeys(p.text for p in problems if p.severity == severity))
        if texts:
            more = f" And {len(texts) - _TOLD} more like these." if len(texts) > _TOLD else ""
            found.append(Finding(severity, title, " ".join(texts[:_TOLD]) + more))
    return found


def _numbers(classes: Mapping[int, str] | Sequence[str]) -> list[int]:
    return list(classes) if isinstance(classes, Mapping) else list(range(1, len(classes) + 1))


def _look(seen: _Seen, allowed: set[int] | None, use: Use) -> _Seen:
    """Read image and label of a case once."""
    case = seen.case
    first = case.images[0]
    image = truth = None
    try:
        seen.header = case.header
        _notes(seen)
        image = case.image()
        seen.channels = len(image)
        seen.image_hash = _hash(image)
    except DataError as error:
        file = next((file for file in case.images if str(error).startswith(f"{file}: ")), first)
        seen.say("error", file, _shorn(str(error), file))
        seen.header = None
    try:
        truth = _label(seen, allowed, use)
    except DataError as error:
        file = _label_files(case)[0]
        seen.say("error", file, _shorn(str(error), file))
    if image is not None and use == "region":
        _marked(seen, image, truth)
    elif image is not None:
        _voxels(seen, image)
    return seen


def _notes(seen: _Seen) -> None:
    """Pass on what readers noticed: of a volume its place in space, of a picture its colours."""
    for number, file in enumerate(seen.case.images):
        header = peek_image(file) if number else seen.case.header
        severity = "warning" if header.kind == "volume" else "note"
        for note in header.notes:
            seen.say(severity, file, note[:1].lower() + note[1:])


def _shorn(text: str, file: Path) -> str:
    """Leave out the path that `say` puts before the sentence as a name."""
    return text.removeprefix(f"{file}: ").removeprefix(f"{file.name}: ")


def _voxels(seen: _Seen, image: np.ndarray) -> None:
    first = seen.case.images[0]
    if seen.case.missing:
        image = np.delete(image, seen.case.missing, axis=0)
    bad = image.size - np.count_nonzero(np.isfinite(image))
    if bad:
        seen.say("error", first, f"{bad} of {image.size} voxels are NaN or infinite; mend them.")
    elif image.min() == image.max():
        seen.say("warning", first, f"the image is {image.min():g} everywhere; nothing is on it.")


def _marked(seen: _Seen, image: np.ndarray, truth: np.ndarray | None) -> None:
    """Check the voxels that the label marks."""
    if truth is None or truth.shape != image.shape[1:]:
        return
    inside = image[:, seen.drawn(truth)]
    bad = inside.size - np.count_nonzero(np.isfinite(inside))
    if bad:
        text = f"{bad} of the region's {inside.size} voxels are NaN or infinite; mend them."
        seen.say("error", seen.case.images[0], text)


def _label_files(case: Case) -> list[Path]:
    if case.label is None:
        return []
    return list(case.label.values()) if isinstance(case.label, dict) else [case.label]


def _label(seen: _Seen, allowed: set[int] | None, use: Use) -> np.ndarray | None:
    """Check grid and values of the label, and return it."""
    case = seen.case
    if case.label is None:
        if use == "region":
            seen.say("error", case.images[0], "has no mask; outline the region to be measured.")
        return None
    for file in _label_files(case):
        _grid(seen, file)
    truth = case.truth()
    if truth is None:
        return None
    file = _label_files(case)[0]
    found, counts = np.unique(truth, return_counts=True)
    pairs = zip(found.tolist(), counts.tolist(), strict=True)
    seen.values = {int(value): count for value, count in pairs if int(value)}
    strange = [value for value in seen.values if allowed is not None and value not in allowed]
    if strange:
        listed, count = few(map(str, strange)), sum(seen.values[k] for k in strange)
        declared = ", ".join(map(str, sorted(allowed or ())))
        seen.say(
            "error",
            file,
            f"the label holds {listed} ({count} voxels); "
            f"declared are {declared}. Declare it or correct the label.",
        )
    if not seen.drawn(truth).any():
        severity = "error" if use == "region" else "note"
        seen.say(severity, file, "the label is empty: nothing is drawn on this case.")
        return truth
    _masks(seen)
    seen.label_hash, seen.mirror_hash = _hash(truth), _hash(truth[..., ::-1])
    if seen.header is not None and seen.header.affine is not None and seen.header.unit == "mm":
        seen.thumb = _thumb(seen.drawn(truth), seen.header.affine)
    return truth


def _grid(seen: _Seen, file: Path) -> None:
    """Compare the grid of a label with that of its image."""
    own, other = seen.header, peek_image(file)
    if own is None:
        return
    image = seen.case.images[0].name
    if other.shape != own.shape:
        seen.say(
            "error",
            file,
            f"the label's grid is {other.shape}, that of {image} is "
            f"{own.shape}; resample it onto the image.",
        )
        return
    if "px" in (own.unit, other.unit):
        return
    place = other.given_in(own.unit).affine
    if own.affine is None or place is None:
        return
    ways, theirs = _ways(own.affine), _ways(place)
    if ways != theirs:
        seen.say(
            "error",
            file,
            f"the label's axes point to {theirs}, those of {image} to {ways}: "
            "it is flipped or turned; write it on the image's grid.",
        )
        return
    room = _OFF * np.maximum(1.0, np.abs(own.affine))
    off = np.abs(own.affine - place)
    if (off > room).any():
        seen.say(
            "error",
            file,
            f"the label lies elsewhere than {image}: their affines differ by "
            f"{off.max():.4g} {own.unit}; write it on the image's grid.",
        )


def _ways(affine: np.ndarray) -> str:
    """Return where the axes x, y, z point to, as "RAS" or "LPS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(way) for way in aff2axcodes(affine))


def _masks(seen: _Seen) -> None:
    """Look into files of one class each: at other numbers than 1, and where two overlap."""
    if not isinstance(seen.case.label, dict):
        return
    times = np.zeros((), np.uint8)
    for name, file in seen.case.label.items():
        raw = raw_label(file)
        times = times + is_inside(raw, str(file))
        if len(numbers := numbers_inside(raw, str(file))) > 1:
            seen.say(
                "note",
                file,
                f"the mask holds {few(map(str, numbers))}, and all of it counts as {name}; if they "
                "are classes, read the file as `label` and name them in `classes`.",
            )
    if twice := int((times > 1).sum()):
        seen.say(
            "note",
            next(iter(seen.case.label.values())),
            f"{twice} pixels are in two of the masks "
            f"{', '.join(seen.case.label)}; the later one counts there.",
        )


def _kinds(seen: list[_Seen]) -> list[Problem]:
    """Find images among volumes, and the other way round; NIfTI gives a slice three axes."""
    kinds = [_kind(one.case.shape) for one in seen]
    if len(set(kinds)) < 2:
        return []
    usual = Counter(kinds).most_common(1)[0][0]
    return [
        _problem(
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


def _channel_counts(seen: list[_Seen]) -> list[Problem]:
    counts = Counter(one.channels for one in seen)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [
        _problem("error", one, f"has {unlike_channels(one.channels, usual)} as in the other cases.")
        for one in seen
        if one.channels != usual
    ]


def _pixel_sizes(seen: list[_Seen]) -> list[Problem]:
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
            found.append(_problem("warning", one, f"{said}; sizes cannot be compared."))
        found += _unlike(alike)
    return found


def _unlike(same: list[_Seen]) -> list[Problem]:
    """Compare sizes that have one unit; `same` are all images or all volumes."""
    flat = len(same[0].case.spacing) == 2
    skewed = [
        one for one in same if flat and max(one.case.spacing) > _SQUARE * min(one.case.spacing)
    ]
    found = [_problem("warning", one, _not_square(one, same)) for one in skewed]
    straight = [one for one in same if one not in skewed] or same
    sizes = np.array([one.case.spacing for one in straight])
    usual = np.median(sizes, axis=0)
    ratio = np.maximum(sizes / usual, usual / sizes).max(1)
    odd = [one for one, times in zip(straight, ratio, strict=True) if times > _OTHER_SIZE]
    if len(odd) > max(1, len(same) // 4):
        ends = f"{_times(sizes.min(0))} to {_times(sizes.max(0))}"
        return [*found, _problem("note", odd[0], f"sizes of voxels vary among the cases, {ends}.")]
    severity = "warning" if flat else "note"
    said = f"those of the other cases {_times(usual)}; is that true?"
    return found + [_problem(severity, one, f"its voxels are {_size(one)}, {said}") for one in odd]


def _not_square(one: _Seen, same: list[_Seen]) -> str:
    subject = one.case.subject
    mate = next((s for s in same if s.case.subject == subject and s is not one), None)
    known = f" Other images of subject {subject} have {_size(mate)}." if mate else ""
    said = f"its pixels are said to be {_size(one)}, not square"
    return f"{said}; one of the two sizes is probably false.{known}"


def _times(sizes: Iterable[float]) -> str:
    return " x ".join(f"{value:g}" for value in sizes)


def _size(one: _Seen) -> str:
    return f"{_times(one.case.spacing)} {one.case.unit}"


def _label_names(seen: list[_Seen]) -> list[Problem]:
    """Find cases whose masks are called otherwise than those of the others."""
    named = [(one, set(one.case.label)) for one in seen if isinstance(one.case.label, dict)]
    names = Counter(tuple(sorted(own)) for _, own in named)
    if len(names) < 2:
        return []
    usual = set(names.most_common(1)[0][0])
    return [
        _problem(
            "error",
            one,
            f"has masks called {', '.join(sorted(own))}, other cases have "
            f"{', '.join(sorted(usual))}; name them alike.",
        )
        for one, own in named
        if own != usual
    ]


def _greys(seen: list[_Seen]) -> list[Problem]:
    """Say which values were taken as which class, where they are no numbers of classes."""
    drawn = [one for one in seen if one.label_hash]
    greys = drawn[0].case.coding.greys if drawn else {}
    if not greys:
        return []
    taken = ", ".join(f"{grey:g} as {name}" for name, grey in greys.items())
    return [_problem("note", drawn[0], f"its label and the others were numbered by grey: {taken}.")]


def _slips(seen: list[_Seen]) -> list[Problem]:
    """Find values that a few voxels of one label hold, and no other label."""
    drawn = [one for one in seen if one.values]
    cases = Counter(value for one in drawn for value in one.values)
    if len(drawn) < _FEWEST or len(cases) > _CLASSES:
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
                found.append(_problem("warning", one, text))
    return found


def _twins(seen: list[_Seen]) -> list[Problem]:
    """Find images that are there twice, and labels that are copies of another case's."""
    found: list[Problem] = []
    first: dict[str, _Seen] = {}
    for one in seen:
        other = first.setdefault(one.image_hash, one)
        if other is not one:
            found.append(
                _problem(
                    "error",
                    one,
                    f"is the same image as {other.case.images[0].name};"
                    " one of them would be judged by what was learned of it.",
                )
            )
    labels: dict[str, _Seen] = {}
    for one in seen:
        if not one.label_hash:
            continue
        other = labels.setdefault(one.label_hash, one)
        if other is one or other.image_hash == one.image_hash:
            continue
        if other.case.subject == one.case.subject:
            said = "of the same subject: together they are one piece of evidence."
            found.append(_problem("note", one, f"has the label of {other.case.name}, {said}"))
        else:
            found.append(
                _problem(
                    "warning",
                    one,
                    f"has exactly the label of {other.case.name}, on "
                    "another image; is one of them misplaced?",
                )
            )
    return found


def _flips(seen: list[_Seen]) -> list[Problem]:
    """Find labels that are another's mirror image, or are like the others only when mirrored."""
    found: list[Problem] = []
    by_hash = {one.label_hash: one for one in seen if one.label_hash}
    for one in seen:
        other = by_hash.get(one.mirror_hash)
        if other is None or other is one or one.mirror_hash == one.label_hash:
            continue
        if one.case.name > other.case.name:
            found.append(
                _problem(
                    "warning",
                    one,
                    "its label is the left-right mirror image of "
                    f"that of {other.case.name}; one of them is flipped.",
                )
            )
    drawn = [one for one in seen if one.thumb is not None]
    sides = _likeness([one.thumb for one in drawn if one.thumb is not None])
    # Only where the usual label has a side: for a symmetric one both likenesses are the same.
    if len(drawn) < _FEWEST or np.median(sides[:, 0] - sides[:, 1]) < _CLEARLY:
        return found
    found += [
        _problem(
            "warning",
            one,
            f"its label is like the others' only when it is mirrored left to "
            f"right (correlation {mirrored:.2f} against {as_is:.2f}); is it flipped?",
        )
        for one, (as_is, mirrored) in zip(drawn, sides, strict=True)
        if mirrored - as_is > _CLEARLY
    ]
    return found


_TOGETHER = (_kinds, _channel_counts, _label_names, _greys, _slips, _twins, _flips)


def _thumb(drawn: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return where something is drawn, (x, y, z) to the right, the front and up, on few cells."""
    from scipy.ndimage import zoom

    upright = Turn(affine, drawn.shape).there(drawn).T.astype(np.float32)
    small: np.ndarray = zoom(upright, [_CELLS / size for size in upright.shape], order=1)
    return small


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


def _problem(severity: str, one: _Seen, text: str) -> Problem:
    file = one.case.images[0].name
    return Problem(severity, one.case.name, file, f"{file}: {text}")


def _hash(array: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest() + str(
        array.shape
    )
