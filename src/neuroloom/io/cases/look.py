"""What one pass over a case finds: grid, values, voxels of its image and its label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_mismatch
from neuroloom.io.cases.layouts import few
from neuroloom.io.cases.model import Case
from neuroloom.io.cases.nested import in_two_of
from neuroloom.io.cases.truth import is_filled, is_inside, numbers_inside, raw_label
from neuroloom.io.cases.upright import Turn
from neuroloom.io.images import ImageHeader, peek_image

Use = Literal["model", "image", "region"]
# A label is compared with the mean of the others on a grid of so many cells an axis.
_CELLS = 12


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
class Seen:
    """What one pass over a case leaves behind.

    `filled` says that one class covers its label, but for a margin left open; `thumb` is where
    anything is drawn, on few cells; `sides` says of each class how far to the right it lies, mean
    and standard deviation of its voxels, mm; both only where a file says which way is right.
    `names` are what a table of its label, or else its header, calls its numbers.
    """

    case: Case
    ignore: int | None = None
    header: ImageHeader | None = None
    channels: int = 0
    image_hash: str = ""
    label_hash: str = ""
    mirror_hash: str = ""
    filled: bool = False
    thumb: np.ndarray | None = None
    sides: dict[int, tuple[float, float]] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)
    colours: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def drawn(self, truth: np.ndarray) -> np.ndarray:
        """Return where a label marks something, a bool array; what it leaves open is unmarked."""
        return (truth > 0) & (True if self.ignore is None else truth != self.ignore)

    def say(self, severity: str, file: Path, text: str) -> None:
        """Add a problem of a file."""
        self.problems.append(Problem(severity, self.case.name, file.name, f"{file.name}: {text}"))


def problem_of(severity: str, one: Seen, text: str) -> Problem:
    """Return what is wrong with a case beside the others; it names its first image."""
    file = one.case.images[0].name
    return Problem(severity, one.case.name, file, f"{file}: {text}")


def look(seen: Seen, allowed: set[int] | None, use: Use) -> Seen:
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


def _notes(seen: Seen) -> None:
    """Pass on what readers noticed: of a volume its place in space, of a picture its colours."""
    for number, file in enumerate(seen.case.images):
        header = peek_image(file) if number else seen.case.header
        severity = "warning" if header.kind == "volume" else "note"
        for note in header.notes:
            seen.say(severity, file, note[:1].lower() + note[1:])


def _shorn(text: str, file: Path) -> str:
    """Leave out the path that `say` puts before the sentence as a name."""
    return text.removeprefix(f"{file}: ").removeprefix(f"{file.name}: ")


def _voxels(seen: Seen, image: np.ndarray) -> None:
    first = seen.case.images[0]
    if seen.case.lacking:
        image = np.delete(image, seen.case.lacking, axis=0)
    bad = image.size - np.count_nonzero(np.isfinite(image))
    if bad:
        seen.say("error", first, f"{bad} of {image.size} voxels are NaN or infinite; mend them.")
    elif image.min() == image.max():
        seen.say("warning", first, f"the image is {image.min():g} everywhere; nothing is on it.")


def _marked(seen: Seen, image: np.ndarray, truth: np.ndarray | None) -> None:
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
    if isinstance(case.label, Path):
        return [case.label]
    return list(case.label.values() if isinstance(case.label, dict) else case.label)


def _label(seen: Seen, allowed: set[int] | None, use: Use) -> np.ndarray | None:
    """Check grid and values of the label, and return it."""
    case = seen.case
    if case.label is None:
        if use == "region":
            seen.say("error", case.images[0], "has no mask; outline the region to be measured.")
        return None
    for file in _label_files(case):
        _grid(seen, file)
    truth, seen.colours = case.truth_and_colours()
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
    seen.filled = is_filled(truth, seen.ignore)
    seen.label_hash, seen.mirror_hash = _hash(truth), _hash(truth[..., ::-1])
    if seen.header is not None and seen.header.affine is not None and seen.header.unit == "mm":
        seen.thumb = _thumb(seen.drawn(truth), seen.header.affine)
        marked = [value for value in seen.values if value > 0 and value != seen.ignore]
        seen.sides = _sides(truth, marked, seen.header.affine)
    return truth


def _grid(seen: Seen, file: Path) -> None:
    """Compare the grid of a label with that of its image."""
    own, other = seen.header, peek_image(file)
    if file == seen.case.label:
        seen.names = {**other.segments, **seen.case.names}
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
    if own.turned and not other.turned:
        seen.say(
            "warning",
            file,
            f"its label was taken to be drawn on the upright picture: {image} was turned as its "
            "camera says, and the label says nothing of that; look whether the two fit.",
        )
    _place(seen, file, own, other)


def _place(seen: Seen, file: Path, own: ImageHeader, other: ImageHeader) -> None:
    """Compare where a label and its image lie in space."""
    image = seen.case.images[0].name
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
    if far := affine_mismatch(own.affine, place, own.unit):
        seen.say(
            "error",
            file,
            f"the label lies elsewhere than {image}: their affines differ by "
            f"{far:.4g} {own.unit}; write it on the image's grid.",
        )


def _ways(affine: np.ndarray) -> str:
    """Return where the axes x, y, z point to, as "RAS" or "LPS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(way) for way in aff2axcodes(affine))


def _masks(seen: Seen) -> None:
    """Look into files of one class each: at other numbers than 1, and where two overlap."""
    if not isinstance(seen.case.label, dict):
        return
    masks = []
    for name, file in seen.case.label.items():
        raw = raw_label(file)
        masks.append(is_inside(raw, str(file)))
        if len(numbers := numbers_inside(raw, str(file))) > 1:
            seen.say(
                "note",
                file,
                f"the mask holds {few(map(str, numbers))}, and all of it counts as {name}; if they "
                "are classes, read the file as `label` and name them in `classes`.",
            )
    if twice := in_two_of(masks):
        seen.say(
            "note",
            next(iter(seen.case.label.values())),
            f"{twice} pixels are in two of the masks "
            f"{', '.join(seen.case.label)}; the later one counts there.",
        )


def _thumb(drawn: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return where something is drawn, (x, y, z) to the right, the front and up, on few cells."""
    from scipy.ndimage import zoom

    upright = Turn(affine, drawn.shape).there(drawn).T.astype(np.float32)
    small: np.ndarray = zoom(upright, [_CELLS / size for size in upright.shape], order=1)
    return small


def _sides(
    truth: np.ndarray, classes: Iterable[int], affine: np.ndarray
) -> dict[int, tuple[float, float]]:
    """Return how far to the right each class lies, mean and standard deviation, mm.

    Taken from runs of voxels along x, slice by slice: a label has few, and is never copied.
    """
    numbers = np.array(sorted(classes))
    (step, down, deep, offset), (rows, columns) = affine[0], truth.shape[1:]
    right = (step * np.arange(columns) + down * np.arange(rows)[:, None]).ravel()
    sums = np.zeros((3, len(numbers)))
    for z, drawn in enumerate(truth):
        begin, long, value = _runs(drawn)
        place = np.searchsorted(numbers, value).clip(max=len(numbers) - 1)
        own = numbers[place] == value
        begin, long, place = begin[own], long[own].astype(float), place[own]
        middle = right[begin] + deep * z + step * (long - 1) / 2
        square = middle**2 + step**2 * (long**2 - 1) / 12
        for total, weight in zip(sums, (long, long * middle, long * square), strict=True):
            total += np.bincount(place, weight, len(numbers))
    count, first, second = sums
    mean = first / count
    spread = np.sqrt(np.maximum(second / count - mean**2, 0))
    pairs = zip((mean + offset).tolist(), spread.tolist(), strict=True)
    return dict(zip(numbers.tolist(), pairs, strict=True))


def _runs(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where in a slice, row by row, equal voxels begin, how many and which they are."""
    flat = drawn.ravel()
    begins = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: drawn.shape[1]] = True
    begin = np.flatnonzero(begins)
    return begin, np.diff(begin, append=flat.size), flat[begin]


def _hash(array: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest() + str(
        array.shape
    )
