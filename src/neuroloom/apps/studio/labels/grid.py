"""How planes of a grid are shown: which way is up, and how large a voxel is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError

NAMES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal"}
NAMES["R"] = "sagittal"
_UP = ("S", "A")  # what is shown at the top, the first of them that a plane has


def planes(
    shape: Sequence[int], spacing: Sequence[float], affine: np.ndarray | None
) -> list[dict[str, Any]]:
    """Return a plane an axis: its name, rows and columns, voxel sizes, and how it is turned.

    Parameters
    ----------
    shape, spacing
        In array order, (z, y, x) or (y, x).
    affine
        From (x, y, z) indices to RAS mm; None for an image.

    Returns
    -------
    list of dict
        `axis` (None for an image), `name`, `size` (rows, columns), `spacing`, `count`, and to show
        it: `turn` (rows become columns), then `flip` (rows, columns); `sides`, letters at the left
        and right, top and bottom.

    Examples
    --------
    >>> [p["name"] for p in planes((3, 4, 5), (1, 1, 1), np.eye(4))]
    ['axial', 'coronal', 'sagittal']
    """
    if len(shape) == 2:
        whole = {"axis": None, "name": "image", "size": list(shape), "spacing": list(spacing)}
        return [whole | {"count": 1, "turn": False, "flip": [False, False], "sides": [""] * 4}]
    ends = _ends(affine)
    return [_plane(axis, shape, spacing, ends) for axis in range(3)]


def _ends(affine: np.ndarray | None) -> list[str]:
    """Return the letters towards which z, y and x rise."""
    if affine is None:
        return ["S", "A", "R"]
    import nibabel

    codes = nibabel.aff2axcodes(affine)
    return [str(code or "?") for code in codes[::-1]]


def _plane(
    axis: int, shape: Sequence[int], spacing: Sequence[float], ends: list[str]
) -> dict[str, Any]:
    rows, columns = (k for k in range(3) if k != axis)
    pairs = {"I": "S", "P": "A", "L": "R"}
    plain = [pairs.get(end, end) for end in ends]
    up = next((letter for letter in _UP if letter in (plain[rows], plain[columns])), plain[rows])
    turn = plain[rows] != up
    down, across = (columns, rows) if turn else (rows, columns)
    flip = [ends[down] in ("S", "A", "R"), ends[across] in ("L", "P", "I")]
    top = "?" if plain[down] == "?" else plain[down]
    right = "?" if plain[across] == "?" else plain[across]
    other = {"S": "I", "A": "P", "R": "L"}
    return {
        "axis": axis,
        "name": NAMES.get(ends[axis], "zyx"[axis]),
        "size": [shape[rows], shape[columns]],
        "spacing": [float(spacing[rows]), float(spacing[columns])],
        "count": shape[axis],
        "turn": turn,
        "flip": flip,
        "sides": [other.get(right, ""), right, top, other.get(top, "")],
    }


def number_of(asked: dict[str, str], name: str, below: int) -> int:
    """Return a whole number of a query, from 0 to before `below`.

    Examples
    --------
    >>> number_of({"index": "3"}, "index", 4)
    3
    """
    text = asked.get(name, "0")
    if not text.isdecimal() or int(text) >= below:
        raise ConfigError(f"{name}: expected a whole number from 0 to {below - 1}, got '{text}'.")
    return int(text)
