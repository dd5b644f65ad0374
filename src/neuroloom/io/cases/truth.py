"""From what a label file holds to class numbers 0, 1, … K.

Masks are drawn in many ways: as numbers, as black and white, with edges smoothed to grey, as one
grey a class, or with one file a class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.cases.painted import Colour, of_one_colour
from neuroloom.io.images import image_suffix, read_label, smallest_type, to_array

# Smoothing touches edges; a grey that fills more than this share of a mask is a class. A mask
# smaller than a hundredth of the picture counts as so much.
_EDGE_SHARE = 0.1
# In a single file, which may be all edge, more than this share.
_EDGE_SHARE_OF_ONE = 0.4
# White and what is close to it fills at least this share of a mask in black and white.
_WHITE_SHARE = 0.25
# Greys that fill this share are what a mask was drawn with.
_DRAWN_SHARE = 0.05
# Dark values are numbers where they fill this share of what is drawn, and so many times what is
# between them and the highest value: a smooth edge has all heights, and JPEG touches white too.
_NUMBERED_SHARE, _NUMBERED_TIMES = 0.01, 8
# What JPEG makes of a grey lies within so much of it.
_LOSSY = (".jpg", ".jpeg")
_NOISE = 16
# Classes drawn as greys go higher than this, so that an eye can tell them apart.
_DARK = 32
# White of pictures of 8 and of 16 bits.
_WHITE = (255, 65535)


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
    """

    classes: dict[int, str] | None = None
    strict: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    ignore: int | None = None

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
        closed = np.where(left_open, np.zeros((), raw.dtype), raw)
        found = self._numbers(closed, name, indexed=indexed)
        wide = np.result_type(found, np.min_scalar_type(self.ignore))
        return np.where(left_open, wide.type(self.ignore), found.astype(wide))

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
        if indexed and set(counts or _counted(whole)) - {0, *_WHITE}:
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
                found.update(_counted(whole))
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
        if wanted == 2 and unsigned and (white := _white_of(self.counts, noisy=lossy)):
            return (0, white)
        levels = _most_frequent(self.counts, wanted, _NOISE if lossy else 0)
        if len(levels) < wanted:
            raise DataError(
                f"{wanted - 1} classes were declared and the label files hold only the values "
                f"{list(levels)}{' and noise' * lossy}; declare the classes that are drawn, or "
                "give values."
            )
        return levels if lossy or are_greys(self.counts, levels) else ()

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


def read_drawn(path: Path) -> Drawn:
    """Read a label file as `raw_label` does, with its colours."""
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


def are_greys(values: Iterable[float], levels: Sequence[float]) -> bool:
    """Tell whether values are greys with smooth edges between them, or numbers of classes.

    Parameters
    ----------
    values
        All that the label files hold.
    levels
        As many of them as there are classes with the background, by size: the most frequent.

    Examples
    --------
    >>> are_greys([0, 64, 127, 128, 255], [0, 128, 255]), are_greys([0, 1, 2, 4], [0, 1, 2, 4])
    (True, True)
    >>> are_greys([0, 1, 2, 7], [0, 1, 2]), are_greys([0, 1, 2, 7], [0, 1, 7])
    (False, False)
    """
    others = set(values) - set(levels)
    if not others:
        return list(levels) != list(range(len(levels)))
    numbered = any(0 < level < len(levels) for level in levels)
    between = min(levels) - _NOISE <= min(others) and max(others) <= max(levels) + _NOISE
    return between and not numbered and max(levels) > _DARK


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
    counts = _counted(raw)
    white = _white_of(counts) if raw.dtype.kind == "u" else 0
    if not white or len(counts) <= 2:
        return len(counts) <= 2
    return not _class_between(counts, white) and not _is_flat_between(raw, white)


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
    return [number for number in sorted(_counted(whole)) if number > 0]


def merged(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return 1..K from one boolean mask a class; where they overlap the later one counts.

    Examples
    --------
    >>> merged([np.array([True, True, False]), np.array([False, True, False])]).tolist()
    [1, 2, 0]
    """
    found = np.zeros(masks[0].shape, np.uint8 if len(masks) < 256 else np.int32)
    for number, mask in enumerate(masks, start=1):
        found[mask] = number
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


def _counted(whole: np.ndarray) -> dict[int, int]:
    """Return how many pixels hold each value."""
    if whole.dtype in (np.uint8, np.uint16):
        times = np.bincount(whole.ravel())
        return {value: int(times[value]) for value in np.flatnonzero(times).tolist()}
    values, times = np.unique(whole, return_counts=True)
    return dict(zip(values.tolist(), times.tolist(), strict=True))


def _undeclared(whole: np.ndarray, name: str, counts: Mapping[int, int]) -> np.ndarray:
    """Return 0 and 1 of black and white with smooth edges, and numbers as they are.

    Parameters
    ----------
    counts
        Of all files of the data set: one mask alone may have no white, or another grey for it.
        Empty: the mask is judged alone.
    """
    lossy, top = is_lossy(name), int(whole.max(initial=0))
    if not lossy and not _white_near(top if not counts else max(counts)):
        return whole
    own = _counted(whole)
    counts = counts or own
    white = _WHITE[0] if lossy else _white_of(counts)
    flat = not lossy and _is_flat_between(whole, white or _white_near(max(counts)))
    shaded = top in _WHITE and not flat
    if not white and not shaded and not _drawn_in_greys(counts):
        return whole
    if white and not (
        flat
        or _class_between(counts, white, smeared=lossy)
        or _class_between(own, white, _EDGE_SHARE_OF_ONE, smeared=True)
    ):
        return (whole > white / 2).astype(np.uint8)
    if not lossy and _holds_numbers(counts):
        others = ", ".join(map(str, sorted({*own} - {0, top})[:8])) or "numbers of other files"
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


def _white_near(top: int) -> int:
    """Return the white that a highest value is, or nearly is; 0 for none."""
    return next((white for white in _WHITE if white * (1 - _NOISE / 255) <= top <= white), 0)


def _white_in(whole: np.ndarray, name: str) -> int:
    """Return the grey of white if a mask of one class is in black and white; 0 for numbers."""
    if is_lossy(name):
        return _WHITE[0]
    top = int(whole.max(initial=0))
    if not _white_near(top):
        return 0
    counts = _counted(whole)
    if _holds_numbers(counts):
        return 0
    if top in _WHITE and counts[top] == max(counts[value] for value in counts if value > 0):
        return top
    white = _white_of(counts)
    return 0 if white and _is_flat_between(whole, white) else white


def _white_of(counts: Mapping[int, int], *, noisy: bool = False) -> int:
    """Return the grey of white if masks are pictures in black and white; 0 for numbers.

    Of `noisy` ones, as JPEG leaves them, what is nearly black says nothing.
    """
    white = _white_near(max(counts, default=0))
    if not white or (not noisy and _holds_numbers(counts)):
        return 0
    greys = _greys(counts, white)
    drawn = sum(times for value, times in counts.items() if value > 0)
    if noisy:
        drawn = greys[_NOISE + 1 :].sum()
    return white if greys[-_NOISE:].sum() >= _WHITE_SHARE * drawn else 0


def _holds_numbers(counts: Mapping[int, int]) -> bool:
    """Tell whether dark values beside a high one are numbers of classes, and no smooth edge."""
    top = max(counts, default=0)
    dark = sum(times for value, times in counts.items() if 0 < value <= _DARK)
    between = sum(times for value, times in counts.items() if _DARK < value < top)
    drawn = sum(times for value, times in counts.items() if value > 0)
    return dark > max(_NUMBERED_SHARE * drawn, _NUMBERED_TIMES * between)


def _class_between(
    counts: Mapping[int, int], white: int, share: float = _EDGE_SHARE, *, smeared: bool = False
) -> bool:
    """Tell whether a grey between black and white, with its noise, fills more than edges do.

    Around edges JPEG and smoothing leave what is nearly black and nearly white; where a mask is
    `smeared` these are no classes either.
    """
    greys = _greys(counts, white)
    least = share * max(greys[_NOISE + 1 :].sum(), 0.01 * greys.sum())
    ends, near = (3 * _NOISE, _NOISE) if smeared else (_NOISE, _NOISE // 2)
    together = np.convolve(greys[ends:-ends], np.ones(2 * near + 1), "valid")
    return bool(together.max() > least)


def _is_flat_between(raw: np.ndarray, white: int) -> bool:
    """Tell whether greys between black and white lie in areas, as numbers of objects do."""
    noise = _NOISE * white // 255
    flat = (raw[..., 1:] > noise) & (raw[..., 1:] < white - noise) & (raw[..., 1:] == raw[..., :-1])
    return bool(flat.mean() > _EDGE_SHARE * max((raw > noise).mean(), 0.01))


def _greys(counts: Mapping[int, int], white: int) -> np.ndarray:
    """Return how many pixels have each of 256 greys from black to white."""
    steps = np.clip(np.array([*counts]) * 255 // white, 0, 255)
    return np.bincount(steps, np.array([*counts.values()]), 256)


def _drawn_in_greys(counts: Mapping[int, int]) -> bool:
    """Tell whether most of what is drawn has few greys, white among them, that number nothing."""
    drawn = sum(times for value, times in counts.items() if value)
    often = [value for value, times in counts.items() if value and times >= _DRAWN_SHARE * drawn]
    most = sum(counts[value] for value in often) > drawn / 2
    return most and max(counts) in _WHITE and min(often) > len(often)


def _most_frequent(counts: Mapping[int, int], wanted: int, apart: float) -> tuple[int, ...]:
    """Return so many of the greys that most pixels have, by size; none is as near to another."""
    found: list[int] = []
    for grey in sorted(counts, key=lambda grey: -counts[grey]):
        if len(found) < wanted and all(abs(grey - other) > apart for other in found):
            found.append(grey)
    return tuple(sorted(found))
