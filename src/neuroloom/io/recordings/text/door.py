"""Formats that share the suffixes `.csv` and `.txt`, told apart by their first lines.

Such a suffix says little: a folder holds notes, tables of subjects and results beside its
recordings. What none of `KINDS` recognises is therefore passed over in a folder, and refused
where it is named.
"""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import xarray as xr

# Modules of this package with `FIRST` (how such a file begins) and `recognises(path, head)`.
KINDS = ("muse", "mindmonitor", "dreams", "myo", "trials_csv", "matrix")
_HEAD = 4096


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a recording from text; see `neuroloom.io.read`."""
    recording: xr.DataArray = _module(path).read(path, start, stop)
    return recording


def peek(path: Path) -> Header:
    """Read all of a recording but its samples; see `neuroloom.io.peek`."""
    header: Header = _module(path).peek(path)
    return header


def is_recognised(path: Path) -> bool:
    """Tell from the first lines whether one of the formats is in `path`, or in its `.gz`."""
    return _kind(path) is not None


def is_recording(path: Path) -> bool:
    """Tell a recording from a table of numbers that says no rate, as results and labels do."""
    kind = _kind(path)
    return kind is not None and (not hasattr(kind, "is_recording") or kind.is_recording(path))


def partners(path: Path) -> list[Path]:
    """Return the files that `path` is read together with."""
    kind = _kind(path)
    found: list[Path] = kind.partners(path) if hasattr(kind, "partners") else []
    return found


def _module(path: Path) -> Any:
    kind = _kind(path)
    if kind is None:
        known = "; ".join(f"{_load(name).FIRST}" for name in KINDS)
        raise DataError(
            f"{path}: is no recording that is known by its first line. Recordings as text begin "
            f"with: {known}."
        )
    return kind


def _kind(path: Path) -> Any:
    """Return the module that recognises the file, None if none does."""
    head = _first_lines(path)
    kinds = map(_load, KINDS)
    return next((kind for kind in kinds if kind.recognises(path, head)), None)


def _load(name: str) -> Any:
    return import_module(f"neuroloom.io.recordings.text.{name}")


def _first_lines(path: Path) -> list[str]:
    """Return the first lines, the last perhaps cut; none of a file that is no text."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as handle:
            head = handle.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return []
    return [] if b"\0" in head else head.decode("utf-8-sig", errors="replace").splitlines()
