"""From what a label file holds to class numbers 0, 1, … K.

Masks are drawn in many ways: as numbers, as black and white, with edges smoothed to grey, as one
grey a class, or with one file a class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from neuroloom.core.blocks import bounding_box
from neuroloom.core.errors import DataError
from neuroloom.io.cases.painted import Colour, of_named_colours, of_one_colour
from neuroloom.io.cases.tones import (
    EDGE_SHARE_OF_ONE,
    NOISE,
    WHITE,
    are_greys,
    class_between,
    counted,
    drawn_in_greys,
    holds_numbers,
    is_flat_between,
    most_frequent,
    white_near,
    white_of,
)
from neuroloom.io.images import image_suffix, read_image, read_label, smallest_type, to_array

_LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Coding:
    """How the values of a data set's label files are classes.

    Attributes
    ----------
    classes
        Number to name as declared; None if nobody said.
    strict
        Whether the files hold these numbers and nothing else (a `dataset.json` says so).
    values
        Name to grey value where the user gave them; numbers then count up in that order.
    files
        All label files, which say together which greys are used.
    ignore
        The value of what is left open, as the user says; it stays what it is.
    painted
        Which number is painted in which colour, where a file beside the labels says so.
    """

    classes: dict[int, str] | None = None
    strict: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    ignore: int | None = None
    painted: Mapping[Colour, int] = field(default_factory=dict)

    def numbers(self, raw: np.ndarray, name: str, *, indexed: bool = False) -> np.ndarray:
        """Return class numbers of one file's values, which has all classes.

        Parameters
        ----------
        raw, name
            What the file holds, and how it is called.
        indexed
            Whether these are the numbers of a palette's colours.

        Raises
        ------
        DataError
            If fractions or greys stand in it that no class was declared for.
        """
        if self.ignore is None or not (left_open := raw == self.ignore).any():
            return self._numbers(raw, name, indexed=indexed)
        found = self._numbers(closed(raw, left_open), name, indexed=indexed)
        return opened(found, left_open, self.ignore)

    def _numbers(self, raw: np.ndarray, name: str, *, indexed: bool) -> np.ndarray:
        """Return class numbers of what is not left open."""
        if self.values:
            return nearest_level(raw, (0.0, *self.values.values()))
        whole = _whole(raw, name)
        top = int(whole.max(initial=0))
        if self.strict:
            return whole
        if self.classes is not None:
            told = top <= max(self.classes) and not is_lossy(name)
            greys = () if told else self.levels
            return nearest_level(raw, greys) if greys else whole
        if whole.dtype.kind != "u" or (top < 2 and not is_lossy(name)):
            return whole
        # Pictures are judged together. Volumes are too large to be read twice, and seldom painted.
        counts = self.counts if whole.ndim == 2 else {}
        if indexed and set(counts or counted(whole)) - {0, *WHITE}:
            return whole
        return _undeclared(whole, name, counts)

    @property
    def counts(self) -> dict[int, int]:
        """How many pixels of all files hold each value, without what is left open."""
        return self._counts[0]

    @cached_property
    def _counts(self) -> tuple[dict[int, int], bool]:
        """The counts, and whether no file is signed; what cannot be read its own case names."""
        found: Counter[int] = Counter()
        unsigned = True
        for file in self.files:
            with suppress(DataError):
                whole = _whole(raw_label(file), str(file))
                unsigned = unsigned and whole.dtype.kind == "u"
                found.update(counted(whole))
        return {value: times for value, times in found.items() if value != self.ignore}, unsigned

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The grey of the background and of each class, by size; none where values are numbers.

        Greys are the values that most pixels of all files have.

        Raises
        ------
        DataError
            If there are fewer greys than classes were declared.
        """
        wanted = len(self.classes or {}) + 1
        lossy = any(map(is_lossy, self.files))
        unsigned = self._counts[1]
        if wanted == 2 and unsigned and (white := white_of(self.counts, noisy=lossy)):
            return (0, white)
        levels = most_frequent(self.counts, wanted, NOISE if lossy else 0)
        if len(levels) < wanted:
            raise DataError(
                f"{wanted - 1} classes were declared and the label files hold only the values "
                f"{list(levels)}{' and noise' * lossy}; declare the classes that are drawn, or "
                "give values."
            )
        if lossy:
            return levels
        others = set(self.counts) - set(levels)
        numbered = others and white_near(levels[-1]) and holds_numbers(self.counts)
        return levels if not numbered and are_greys(self.counts, levels) else ()

    @property
    def greys(self) -> dict[str, float]:
        """Class to grey of what was numbered by the size of its grey; empty where none was."""
        levels = vars(self).get("levels", ())  # to find them all files are read
        return dict(zip((self.classes or {}).values(), levels[1:], strict=False))


def raw_label(path: Path) -> np.ndarray:
    """Read a label file as it is, in array order and without channels.

    Of a palette of colours these are the numbers, of one colour on black, or on nothing, how much
    of it there is, from 0 to 255.

    Raises
    ------
    DataError
        If it has several channels that are not one colour.
    """
    return read_drawn(path).values


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a label file holds.

    Attributes
    ----------
    values
        In array order and without channels.
    colours
        Which value is shown in which colour; empty where it has no colours.
    indexed
        Whether the values are the numbers of a palette's colours.
    """

    values: np.ndarray
    colours: dict[int, Colour]
    indexed: bool = False


def read_drawn(path: Path, painted: Mapping[Colour, int] | None = None) -> Drawn:
    """Read a label file as `raw_label` does, with its colours; or what `painted` numbers."""
    if painted:
        shown = to_array(read_image(path))
        shown = np.repeat(shown, 3, axis=0) if len(shown) == 1 else shown
        return Drawn(of_named_colours(shown, painted, str(path), "labelmap.txt"), {})
    recording = read_label(path)
    array = to_array(recording)
    if len(array) == 1:
        colours = recording.attrs.get("colours")
        return Drawn(np.ascontiguousarray(array[0]), colours or {}, colours is not None)
    if recording.channel.values[0] != "red" or is_lossy(path):
        what = "JPEG smears colours: save it as .png" if is_lossy(path) else "give one file a class"
        raise DataError(
            f"{path}: a label has one channel, this one has {len(array)} that differ; {what}."
        )
    values, colour = of_one_colour(array, str(path))
    return Drawn(values, {255: colour})


def is_lossy(file: Path | str) -> bool:
    """Tell whether a file's format gives back other values than were put in.

    Examples
    --------
    >>> is_lossy("mask.JPG"), is_lossy("mask.png")
    (True, False)
    """
    return image_suffix(file).lower() in _LOSSY


def is_inside(raw: np.ndarray, name: str = "the mask") -> np.ndarray:
    """Return which pixels of a mask of one class are in it: all that are above 0.

    Black and white with smooth edges, what JPEG holds, and a soft mask from 0 to 1 are cut at half
    of white or of 1.

    Parameters
    ----------
    name
        Of its file.

    Raises
    ------
    DataError
        If it holds fractions that are no soft mask.

    Examples
    --------
    >>> is_inside(np.array([0, 100, 255, 255], np.uint8)).tolist()
    [False, False, True, True]
    >>> is_inside(np.array([0, 1, 2])).tolist(), is_inside(np.array([0.0, 0.2, 0.9])).tolist()
    ([False, True, True], [False, False, True])
    """
    whole = _whole(raw, name)
    inside: np.ndarray = whole > _white_in(whole, name) / 2
    return inside


def is_two_tone(raw: np.ndarray) -> bool:
    """Tell whether a label is a mask of one class: of two values, or with edges smoothed to grey.

    Examples
    --------
    >>> is_two_tone(np.array([0, 255, 255])), is_two_tone(np.array([0, 1, 2]))
    (True, False)
    """
    counts = counted(raw)
    white = white_of(counts) if raw.dtype.kind == "u" else 0
    if not white or len(counts) <= 2:
        return len(counts) <= 2
    return not class_between(counts, white) and not is_flat_between(raw, white)


def numbers_inside(raw: np.ndarray, name: str = "the mask") -> list[int]:
    """Return the numbers that the pixels of a mask of one class hold; 1 for all of a picture.

    Examples
    --------
    >>> numbers_inside(np.array([0, 1, 2])), numbers_inside(np.array([0, 100, 255], np.uint8))
    ([1, 2], [1])
    """
    whole = _whole(raw, name)
    if _white_in(whole, name):
        return [1]
    return [number for number in sorted(counted(whole)) if number > 0]


def is_filled(numbers: np.ndarray, ignore: int | None) -> bool:
    """Tell whether one class, or nothing, fills a label, but for a plain margin that is left open.

    Where what is known has a shape of its own, as a polygon in a tile, that shape tells labels
    apart, and the label does not count as filled.

    Examples
    --------
    >>> is_filled(np.array([[1, 1, 9]]), 9), is_filled(np.array([[1, 1, 9]]), None)
    (True, False)
    >>> is_filled(np.array([[1, 1, 9], [1, 9, 9]]), 9)
    False
    """
    if ignore is None:
        return bool(numbers.min() == numbers.max())
    known = numbers != ignore
    values = numbers[known]
    if values.size == 0 or values.min() != values.max():
        return values.size == 0
    return bool(known[bounding_box(known)].all())


def left_open_in(raw: np.ndarray, ignore: int | None, *, of_one_class: bool = False) -> np.ndarray:
    """Return which pixels of a label file are left open, those that hold `ignore`.

    Parameters
    ----------
    of_one_class
        Whether the file is a mask of one class: where `ignore` is all that it holds beside 0, that
        is its white.

    Examples
    --------
    >>> left_open_in(np.array([0, 1, 255]), 255).tolist()
    [False, False, True]
    >>> left_open_in(np.array([0, 255]), 255, of_one_class=True).any()
    np.False_
    """
    if ignore is None or (of_one_class and not ((raw != 0) & (raw != ignore)).any()):
        return np.zeros(raw.shape, bool)
    return raw == ignore


def closed(raw: np.ndarray, left_open: np.ndarray) -> np.ndarray:
    """Return what a label holds with 0 where it is left open, in its own type."""
    return np.where(left_open, np.zeros((), raw.dtype), raw)


def opened(numbers: np.ndarray, left_open: np.ndarray, ignore: int) -> np.ndarray:
    """Return class numbers with `ignore` where they are left open, in a type that holds it.

    Examples
    --------
    >>> opened(np.array([0, 1], np.uint8), np.array([True, False]), 300).tolist()
    [300, 1]
    """
    wide = np.result_type(numbers, np.min_scalar_type(ignore))
    return np.where(left_open, wide.type(ignore), numbers.astype(wide))


def merged(masks: Sequence[np.ndarray], order: Sequence[int] = ()) -> np.ndarray:
    """Return 1..K from one boolean mask a class; where they overlap the later one counts.

    Parameters
    ----------
    order
        Places of masks, from the first that is painted to the last; as they come if not given.

    Examples
    --------
    >>> masks = [np.array([True, True, False]), np.array([False, True, False])]
    >>> merged(masks).tolist(), merged(masks, [1, 0]).tolist()
    ([1, 2, 0], [1, 1, 0])
    """
    found = np.zeros(masks[0].shape, np.uint8 if len(masks) < 256 else np.int32)
    for place in order or range(len(masks)):
        found[masks[place]] = place + 1
    return found


def nearest_level(raw: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return for each value the index of the nearest level.

    Examples
    --------
    >>> nearest_level(np.array([0, 127, 250]), (0, 128, 255)).tolist()
    [0, 1, 2]
    """
    order = np.argsort(levels)
    steps = np.asarray(levels, float)[order]
    borders = (steps[1:] + steps[:-1]) / 2
    return order[np.searchsorted(borders, raw, side="right")].astype(np.uint8)


def _whole(raw: np.ndarray, name: str) -> np.ndarray:
    """Return whole numbers; a soft mask from 0 to 1 is cut at half."""
    if raw.dtype.kind in "biu":
        return raw.astype(np.uint8) if raw.dtype == bool else raw
    if not np.isfinite(raw).all():
        raise DataError(f"{name}: the label holds NaN or infinity; draw it again as numbers.")
    rounded = np.rint(raw)
    if np.abs(raw - rounded).max(initial=0) < 1e-3:
        return smallest_type(rounded.astype(np.int64))
    if raw.min() >= 0 and raw.max() <= 1:
        return (raw >= 0.5).astype(np.uint8)
    raise DataError(
        f"{name}: the label holds fractions such as {raw[np.abs(raw - rounded) >= 1e-3][0]:.4g}; "
        "expected class numbers, or a soft mask from 0 to 1."
    )


def _undeclared(whole: np.ndarray, name: str, counts: Mapping[int, int]) -> np.ndarray:
    """Return 0 and 1 of black and white with smooth edges, and numbers as they are.

    Parameters
    ----------
    counts
        Of all files of the data set: one mask alone may have no white, or another grey for it.
        Empty: the mask is judged alone.
    """
    lossy, top = is_lossy(name), int(whole.max(initial=0))
    if not lossy and not white_near(top if not counts else max(counts)):
        return whole
    own = counted(whole)
    counts = counts or own
    white = WHITE[0] if lossy else white_of(counts)
    flat = not lossy and is_flat_between(whole, white or white_near(max(counts)))
    shaded = top in WHITE and not flat
    if not white and not shaded and not drawn_in_greys(counts):
        return whole
    if white and not (
        flat
        or class_between(counts, white, smeared=lossy)
        or class_between(own, white, EDGE_SHARE_OF_ONE, smeared=True)
    ):
        return (whole > white / 2).astype(np.uint8)
    if not lossy and holds_numbers(counts):
        others = ", ".join(map(str, sorted({*own} - {0, top})[:8]))
        if not others:
            raise DataError(
                f"{name}: is black and white, and other masks hold numbers. If {top} is their 1, "
                f"say values={{'tumour': 1}}; if it is what is left open, ignore={top}; if it is "
                f"another class, values={{'tumour': 1, 'edema': {top}}}."
            )
        raise DataError(
            f"{name}: holds {top} beside {others}: is it white, a class, or what is left open? Say "
            f"ignore={top}, or which value is which class, values={{'tumour': 1, 'edema': {top}}}; "
            "a recipe without these settings needs 0 where it is left open."
        )
    greys = ", ".join(map(str, [*own][:8]))
    raise DataError(
        f"{name}: a mask of the greys {greys}{', …' * (len(own) > 8)}; say which is which, for "
        "example values={'myelin': 128, 'axon': 255}, or declare the classes in that order; if it "
        "is all one class, name that: classes=['tumour']."
    )


def _white_in(whole: np.ndarray, name: str) -> int:
    """Return the grey of white if a mask of one class is in black and white; 0 for numbers."""
    if is_lossy(name):
        return WHITE[0]
    top = int(whole.max(initial=0))
    if not white_near(top):
        return 0
    counts = counted(whole)
    if holds_numbers(counts):
        return 0
    if top in WHITE and counts[top] == max(counts[value] for value in counts if value > 0):
        return top
    white = white_of(counts)
    return 0 if white and is_flat_between(whole, white) else white
