"""From masks that are painted in colours to how much of one each pixel has, or to numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuroloom.core.errors import DataError

Colour = tuple[int, int, int]

# Edges mix a colour with black; rounding makes what they have differ by so much.
_ROUNDED = 4
# What covers less than this share of what is painted is an edge, and more colours than these are
# a photograph.
_SHARE, _NAMED = 0.02, 6


def of_one_colour(shown: np.ndarray, name: str) -> tuple[np.ndarray, Colour]:
    """Return how much of its one colour a mask has, (*axes) from 0 to 255, and that colour.

    Parameters
    ----------
    shown
        Red, green and blue, (3, *axes), on black; or with alpha, (4, *axes), on nothing.
    name
        Of its file.

    Raises
    ------
    DataError
        If it has several colours.

    Examples
    --------
    >>> values, colour = of_one_colour(np.array([[0, 100, 200], [0, 50, 100], [0, 0, 0]]), "a.png")
    >>> values.tolist(), colour
    ([0, 128, 255], (200, 100, 0))
    """
    top = 65535 if shown.dtype == np.uint16 else 255
    painted = _on_black(shown.astype(np.float32) * np.float32(255 / top))
    strength = painted.max(0)
    colours, times = _colours(painted[:, strength > 0])
    main = colours[(times * colours.max(1)).argmax()]
    red, green, blue = main.tolist()
    share = strength / max(red, green, blue)
    for shade, full in zip(painted, (red, green, blue), strict=True):
        if (np.abs(shade - full * share) > _ROUNDED).any():
            raise DataError(f"{name}: {_several(colours, times)}")
    return np.rint(255 * share.clip(max=1)).astype(np.uint8), (red, green, blue)


def named_colours(file: Path) -> dict[str, Colour]:
    """Return class -> colour of a labelmap.txt of CVAT, without what is black.

    Raises
    ------
    DataError
        If a line is no name with a colour, or two classes have one.
    """
    found: dict[str, Colour] = {}
    for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.match(r"([^:]+):(\d+),(\d+),(\d+):", line)
        colour = (int(match[2]), int(match[3]), int(match[4])) if match else (0, 0, 0)
        if match is None or colour in found.values():
            raise DataError(
                f"{file}: expected 'name:red,green,blue::' of its own, got '{line[:60]}'."
            )
        if any(colour):
            found[match[1]] = colour
    return found


def of_named_colours(
    shown: np.ndarray, numbers: Mapping[Colour, int], name: str, source: str
) -> np.ndarray:
    """Return the number of each pixel's colour, 0 for black, shape (*axes).

    Parameters
    ----------
    shown
        Red, green and blue, (3, *axes), and whatever follows.
    numbers
        Of the colours that `source` names.

    Raises
    ------
    DataError
        If a pixel has another colour.

    Examples
    --------
    >>> shown = np.array([[0, 9], [0, 8], [0, 7]])
    >>> of_named_colours(shown, {(9, 8, 7): 2}, "a.png", "labelmap.txt").tolist()
    [0, 2]
    """
    found = np.zeros(shown.shape[1:], np.min_scalar_type(max(numbers.values(), default=0)))
    known = ~shown[:3].any(0)
    for colour, number in numbers.items():
        where = np.logical_and.reduce(
            [shade == own for shade, own in zip(shown, colour, strict=False)]
        )
        found[where], known = number, known | where
    if not known.all():
        strange = tuple(map(int, shown[:3, ~known][:, 0]))
        raise DataError(f"{name}: is painted in {strange}, which {source} does not name.")
    return found


def _on_black(shown: np.ndarray) -> np.ndarray:
    """Return red, green and blue on black; black paint on nothing becomes white."""
    if len(shown) == 3:
        return shown
    colours, alpha = shown[:3], shown[3] / 255
    return (colours if (colours * alpha).any() else np.full_like(colours, 255)) * alpha


def _colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of pixels (3, n), shape (k, 3), and how many pixels have each."""
    if not pixels.size:
        return np.full((1, 3), 255), np.ones(1)
    red, green, blue = np.rint(pixels).astype(np.int32)
    packed, times = np.unique((red << 16) + (green << 8) + blue, return_counts=True)
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1), times


def _several(colours: np.ndarray, times: np.ndarray) -> str:
    often = colours[np.argsort(-times)][: int((times >= _SHARE * times.sum()).sum())]
    if not 1 < len(often) <= _NAMED:
        return (
            "is in many colours, like a photograph; a mask has numbers, greys, or one colour on "
            "black. Is it the label that is meant?"
        )
    named = ", ".join(map(str, map(tuple, often.tolist())))
    return (
        f"a mask in the colours {named} (red, green, blue), and nothing says which class each is; "
        "give each class a number or a palette's index, or give one file a class."
    )
