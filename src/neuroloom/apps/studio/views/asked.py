"""What a window is asked for, read from the query's words, and pictures to answer with."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.apps.studio.views import Window
from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from neuroloom.apps.studio.service import Studio

LONGEST_NUMBER = 24


RUNS = 3  # zlib looks for runs only: faster, and smaller, on what PNG filters leave of a slice


def number(asked: Mapping[str, str], name: str, default: float) -> float:
    """Return a finite number.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> number({"start": "2.5"}, "start", 0)
    2.5
    """
    text = asked.get(name, "")
    if not text:
        return float(default)
    try:
        value = float(text) if len(text) <= LONGEST_NUMBER else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{name} must be a number, got '{text[:40]}'.")
    return value


def whole(asked: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`; what lies beyond is the nearest of them.

    Examples
    --------
    >>> whole({"width": "9000"}, "width", 800, 1, 4000)
    4000
    """
    value = number(asked, name, default)
    return int(min(max(round(value), low), high))


def choice(asked: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """Return one of a few words, the first by default.

    Raises
    ------
    ConfigError
        If it is another.

    Examples
    --------
    >>> choice({}, "axis", ("z", "y"))
    'z'
    """
    value = asked.get(name, "") or known[0]
    if value not in known:
        raise ConfigError(f"{name} must be one of {', '.join(known)}, got '{value[:40]}'.")
    return value


def picture(pixels: np.ndarray, kind: str = "png") -> Window:
    """Return pixels (y, x) or (y, x, 3), uint8, as a picture ready to be sent."""
    from PIL import Image

    out = io.BytesIO()
    made = Image.fromarray(pixels)
    if kind == "jpeg":
        made.convert("RGB").save(out, "JPEG", quality=85)
        return Window(out.getvalue(), "image/jpeg")
    made.save(out, "PNG", compress_level=1, compress_type=RUNS)
    return Window(out.getvalue(), "image/png")


def beside(studio: Studio, data: str, folders: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return (name, path) of the files in the folder of `data`, and in folders next to it.

    Parameters
    ----------
    studio
        Says what may be read.
    data
        A file, as the user names it.
    folders
        Beginnings of the names of folders beside its own that are looked through as well.
    """
    from neuroloom.apps.studio.workspace import MissingError

    parent = data.rpartition("/")[0] or "."
    found = [(e.name, e.path) for e in studio.workspace.browse(parent) if not e.folder]
    if not folders:
        return found
    try:
        around = studio.workspace.browse(parent.rpartition("/")[0] or ".")
    except MissingError:  # the folder is one of those that may be read; nothing above it may
        return found
    for entry in around:
        if entry.folder and entry.name.lower().startswith(folders):
            inside = studio.workspace.browse(entry.path)
            found += [(f"{entry.name}/{e.name}", e.path) for e in inside if not e.folder]
    return found


def changed(path: Path) -> tuple[int, int]:
    """Return what tells that a file was changed: its time and size."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
