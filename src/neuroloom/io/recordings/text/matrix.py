"""CSV of plain numbers: columns with a head (an instant a row), or channels by time without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import (
    is_number,
    numbers,
    read_matrix,
    read_table,
    recording_of,
)
from neuroloom.io.recordings.formats import arrays
from neuroloom.io.recordings.formats.arrays import from_matrix
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.sidecar import facts_beside, names_beside

if TYPE_CHECKING:
    import xarray as xr

FIRST = "'time,' and names of channels, or numbers alone"
TIME = ("time", "times", "t", "time (s)", "time [s]", "timestamp", "timestamps")


def recognises(path: Path, head: list[str]) -> bool:
    """Tell numbers from other tables: the second line holds nothing else."""
    if len(head) < 2 or ".txt" in path.name.lower():
        return False
    first, second = (line.split(",") for line in head[:2])
    if not all(map(is_number, second[:-1] or second)):
        return False
    plain = all(map(is_number, first[:-1] or first))
    return plain or _has_time(first) or any(place.is_file() for place in names_beside(path))


def is_recording(path: Path) -> bool:
    """Tell whether such a table in a folder is a recording: its rate must be known."""
    if any(place.is_file() for place in names_beside(path)):
        return arrays.is_recording(path)
    if path.suffix.lower() == ".gz":
        return False
    with path.open(errors="replace") as handle:
        return _has_time(handle.readline().split(","))


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a table of numbers.

    With a head, columns are channels and a first column of time (s) gives the rate; without one,
    rows are channels, unless they outnumber the columns. A JSON beside it says the rest.
    """
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a table of numbers but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    facts = facts_beside(path)
    with path.open(errors="replace") as handle:
        first = handle.readline().rstrip("\r\n").split(",")
    if all(map(is_number, first)):
        return from_matrix(path, read_matrix(path, ","), facts)
    table = read_table(path, ",")
    names = [str(name).strip() for name in table.columns]
    table.columns = names
    values = numbers(path, table, names)
    if _has_time(first):
        rate = _rate(path, values[:, 0])
        facts = replace(facts, rate=facts.rate or rate)
        names, values = names[1:], values[:, 1:]
    if not names:
        raise DataError(f"{path}: holds a column of time and no channel beside it.")
    return from_matrix(path, values.T, replace(facts, channels=facts.channels or tuple(names)))


def _has_time(first: list[str]) -> bool:
    return first[0].strip().strip('"').lower() in TIME


def _rate(path: Path, stamps: np.ndarray) -> float:
    """Return the rate of regular time stamps in seconds."""
    steps = np.diff(stamps)
    bad = np.flatnonzero(~(steps > 0))
    if len(bad):
        raise DataError(
            f"{path}: row {bad[0] + 3}: time must rise, it goes from {stamps[bad[0]]:g} to "
            f"{stamps[bad[0] + 1]:g} s."
        )
    typical = float(np.median(steps))
    if np.abs(steps - typical).max() > 0.5 * typical:
        row = int(np.abs(steps - typical).argmax())
        raise DataError(
            f"{path}: row {row + 3}: time goes on by {steps[row]:g} s, elsewhere by {typical:g} s; "
            "resample it to regular steps or cut it at the gap."
        )
    # Stamps are rounded; a rate is told best from the whole length, and is often a whole number.
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    return float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else float(rate)
