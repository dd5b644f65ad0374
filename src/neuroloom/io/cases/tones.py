"""What the values of masks say of how they were drawn: in black and white, in greys, as numbers.

Most is told from how many pixels hold each value, which one file or all of a data set may say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

# Smoothing touches edges; a grey that fills more than this share of a mask is a class. A mask
# smaller than a hundredth of the picture counts as so much.
_EDGE_SHARE = 0.1
# In a single file, which may be all edge, more than this share.
EDGE_SHARE_OF_ONE = 0.4
# White and what is close to it fills at least this share of a mask in black and white.
_WHITE_SHARE = 0.25
# Greys that fill this share are what a mask was drawn with.
_DRAWN_SHARE = 0.05
# Dark values are numbers where they fill this share of what is drawn, and so many times what is
# between them and the highest value: a smooth edge has all heights, and JPEG touches white too.
_NUMBERED_SHARE, _NUMBERED_TIMES = 0.01, 8
# What JPEG makes of a grey lies within so much of it.
NOISE = 16
# Classes drawn as greys go higher than this, so that an eye can tell them apart.
_DARK = 32
# White of pictures of 8 and of 16 bits.
WHITE = (255, 65535)


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
    between = min(levels) - NOISE <= min(others) and max(others) <= max(levels) + NOISE
    return between and not numbered and max(levels) > _DARK


def counted(whole: np.ndarray) -> dict[int, int]:
    """Return how many pixels hold each value.

    Examples
    --------
    >>> counted(np.array([0, 255, 255], np.uint8))
    {0: 1, 255: 2}
    """
    if whole.dtype in (np.uint8, np.uint16):
        times = np.bincount(whole.ravel())
        return {value: int(times[value]) for value in np.flatnonzero(times).tolist()}
    values, times = np.unique(whole, return_counts=True)
    return dict(zip(values.tolist(), times.tolist(), strict=True))


def white_near(top: int) -> int:
    """Return the white that a highest value is, or nearly is; 0 for none.

    Examples
    --------
    >>> white_near(254), white_near(65535), white_near(128)
    (255, 65535, 0)
    """
    return next((white for white in WHITE if white * (1 - NOISE / 255) <= top <= white), 0)


def white_of(counts: Mapping[int, int], *, noisy: bool = False) -> int:
    """Return the grey of white if masks are pictures in black and white; 0 for numbers.

    Of `noisy` ones, as JPEG leaves them, what is nearly black says nothing.

    Examples
    --------
    >>> white_of({0: 50, 90: 3, 254: 40}), white_of({0: 50, 1: 30, 255: 20})
    (255, 0)
    """
    white = white_near(max(counts, default=0))
    if not white or (not noisy and holds_numbers(counts)):
        return 0
    greys = _greys(counts, white)
    drawn = sum(times for value, times in counts.items() if value > 0)
    if noisy:
        drawn = greys[NOISE + 1 :].sum()
    return white if greys[-NOISE:].sum() >= _WHITE_SHARE * drawn else 0


def holds_numbers(counts: Mapping[int, int]) -> bool:
    """Tell whether dark values beside a high one are numbers of classes, and no smooth edge.

    Examples
    --------
    >>> holds_numbers({0: 50, 1: 30, 255: 20}), holds_numbers({0: 50, 9: 3, 90: 4, 255: 20})
    (True, False)
    """
    top = max(counts, default=0)
    dark = sum(times for value, times in counts.items() if 0 < value <= _DARK)
    between = sum(times for value, times in counts.items() if _DARK < value < top)
    drawn = sum(times for value, times in counts.items() if value > 0)
    return dark > max(_NUMBERED_SHARE * drawn, _NUMBERED_TIMES * between)


def class_between(
    counts: Mapping[int, int], white: int, share: float = _EDGE_SHARE, *, smeared: bool = False
) -> bool:
    """Tell whether a grey between black and white, with its noise, fills more than edges do.

    Around edges JPEG and smoothing leave what is nearly black and nearly white; where a mask is
    `smeared` these are no classes either.

    Examples
    --------
    >>> class_between({0: 50, 128: 9, 255: 20}, 255), class_between({0: 50, 90: 1, 255: 20}, 255)
    (True, False)
    """
    greys = _greys(counts, white)
    least = share * max(greys[NOISE + 1 :].sum(), 0.01 * greys.sum())
    ends, near = (3 * NOISE, NOISE) if smeared else (NOISE, NOISE // 2)
    together = np.convolve(greys[ends:-ends], np.ones(2 * near + 1), "valid")
    return bool(together.max() > least)


def is_flat_between(raw: np.ndarray, white: int) -> bool:
    """Tell whether greys between black and white lie in areas, as numbers of objects do.

    Along a straight edge greys are equal, too, but not across it.

    Examples
    --------
    >>> is_flat_between(np.full((9, 9), 90), 255)
    True
    >>> is_flat_between(np.tile([0, 90, 170, 255], (9, 1)), 255)
    False
    """
    noise = NOISE * white // 255
    flat = (raw > noise) & (raw < white - noise)
    for axis in range(-min(raw.ndim, 2), 0):
        flat &= raw == np.roll(raw, 1, axis)
    return bool(flat.mean() > _EDGE_SHARE * max((raw > noise).mean(), 0.01))


def drawn_in_greys(counts: Mapping[int, int]) -> bool:
    """Tell whether most of what is drawn has few greys, white among them, that number nothing.

    Examples
    --------
    >>> drawn_in_greys({0: 50, 128: 20, 255: 20}), drawn_in_greys({0: 50, 1: 20, 255: 20})
    (True, False)
    """
    drawn = sum(times for value, times in counts.items() if value)
    often = [value for value, times in counts.items() if value and times >= _DRAWN_SHARE * drawn]
    most = sum(counts[value] for value in often) > drawn / 2
    return most and max(counts) in WHITE and min(often) > len(often)


def most_frequent(counts: Mapping[int, int], wanted: int, apart: float) -> tuple[int, ...]:
    """Return so many of the greys that most pixels have, by size; none is as near to another.

    Examples
    --------
    >>> most_frequent({0: 50, 2: 30, 255: 20}, 2, apart=16)
    (0, 255)
    """
    found: list[int] = []
    for grey in sorted(counts, key=lambda grey: -counts[grey]):
        if len(found) < wanted and all(abs(grey - other) > apart for other in found):
            found.append(grey)
    return tuple(sorted(found))


def _greys(counts: Mapping[int, int], white: int) -> np.ndarray:
    """Return how many pixels have each of 256 greys from black to white."""
    steps = np.clip(np.array([*counts]) * 255 // white, 0, 255)
    return np.bincount(steps, np.array([*counts.values()]), 256)
