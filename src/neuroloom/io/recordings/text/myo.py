"""Text of the Myo armband: the EMG gestures of Lobov et al. (2018), doi:10.3390/s18041122.

Columns: time (ms), channel1 … channel8 (V), class (0 unmarked, else the gesture).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.recordings.columns import (
    annotation_rows,
    numbers,
    read_table,
    recording_of,
    stretches,
)
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import xarray as xr

FIRST = "'time<tab>channel1 … channel8<tab>class' (Myo)"
CHANNELS = tuple(f"channel{i}" for i in range(1, 9))
RATE = 1000.0
_GAP_MS = 500


def recognises(path: Path, head: list[str]) -> bool:
    """Tell the text of a Myo from its first line."""
    names = head[0].split("\t") if head else []
    return names[:1] == ["time"] and any(name.startswith("channel") for name in names)


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a recording of the Myo at 1000 Hz, the grid of its time stamps.

    The computer wrote a row at most milliseconds and repeats what arrived last; a millisecond
    without a row holds the row before it, so the recording says at every instant what the file
    says. The armband's own values are rarer (the notes tell how rare), and there is no signal
    of its own above half their rate.
    """
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a Myo recording but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    table = read_table(path, "\t")
    table.columns = [str(name).strip() for name in table.columns]
    wanted = ("time", *CHANNELS, "class")
    missing = [name for name in wanted if name not in table]
    if missing:
        raise DataError(
            f"{path}: expected the columns {', '.join(wanted)}; '{missing[0]}' is not there."
            f"{nearest(missing[0], table.columns)}"
        )
    values = numbers(path, table, wanted)
    stamps = _stamps(path, values[:, 0])
    grid = np.arange(stamps[-1] + 1)
    held = np.searchsorted(stamps, grid, side="right") - 1
    codes = _codes(path, values[:, 9])[held]
    volts = values[:, 1:9]
    rows = [
        (first / RATE, (end - first) / RATE, str(code)) for first, end, code in stretches(codes)
    ]
    gaps = np.flatnonzero(np.diff(stamps) > _GAP_MS)
    rows += [
        (float(stamps[k]) / RATE, float(stamps[k + 1] - stamps[k]) / RATE, "BAD_gap") for k in gaps
    ]
    header = Header(
        path.name, CHANNELS, ("emg",) * 8, RATE, len(grid) / RATE, annotation_rows(rows),
        _notes(volts, len(grid), len(gaps)),
    )  # fmt: skip
    return header, volts[held].T


def _stamps(path: Path, times: np.ndarray) -> np.ndarray:
    """Return whole milliseconds from the first row on, which must rise."""
    odd = np.flatnonzero(~(np.isfinite(times) & (np.round(times) == times)))
    if len(odd):
        raise DataError(
            f"{path}: row {odd[0] + 2}: expected whole milliseconds as time, got {times[odd[0]]:g}."
        )
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise DataError(
            f"{path}: row {back[0] + 3}: time must rise, it goes from {times[back[0]]:g} to "
            f"{times[back[0] + 1]:g} ms; are two recordings in one file?"
        )
    if times[-1] - times[0] > 20 * max(len(times), 1000):
        raise DataError(
            f"{path}: its {len(times)} rows span {(times[-1] - times[0]) / 1000:.0f} s; expected "
            "about a row a millisecond. Is the time in milliseconds?"
        )
    return (times - times[0]).astype(np.int64)


def _codes(path: Path, classes: np.ndarray) -> np.ndarray:
    odd = np.flatnonzero(~(np.isfinite(classes) & (np.round(classes) == classes)))
    if len(odd):
        raise DataError(
            f"{path}: row {odd[0] + 2}: expected a whole number as class, got {classes[odd[0]]:g}."
        )
    return classes.astype(np.int64)


def _notes(volts: np.ndarray, length: int, gaps: int) -> tuple[str, ...]:
    changes = np.count_nonzero(np.diff(volts, axis=0).any(axis=1)) / (length / RATE)
    notes = [
        f"On the grid of 1 ms {1 - len(volts) / length:.1%} of the samples hold the row before. "
        f"The armband's values change {changes:.0f} times a second: above {changes / 2:.0f} Hz "
        "there is no signal of its own."
    ]
    if gaps:
        notes.append(f"{gaps} pauses of more than {_GAP_MS} ms are marked BAD_gap.")
    return tuple(notes)
