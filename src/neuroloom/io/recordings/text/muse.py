"""CSV of the Interaxon Muse headband, as muse-lsl and the NeuroTechX notebooks write it.

Columns: timestamps (s), TP9, AF7, AF8, TP10, Right AUX (µV), and perhaps a marker: 0 or the
number of an event. Writer: https://github.com/alexandrebarachant/muse-lsl
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
from neuroloom.io.recordings.electrodes import normalise
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import xarray as xr

FIRST = "'timestamps,TP9,AF7,AF8,TP10' (Muse)"
ELECTRODES = ("TP9", "AF7", "AF8", "TP10")
# Of the first Muse and of those since 2016.
_RATES = (220.0, 256.0)
# Bluetooth delivers packets up to 40 ms late; what is later was lost.
_GAP = 0.1


def recognises(path: Path, head: list[str]) -> bool:
    """Tell a Muse CSV from its first line."""
    names = head[0].split(",") if head else []
    return names[:1] == ["timestamps"] and "TP9" in names


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a Muse CSV; stretches that Bluetooth lost become straight lines marked "BAD_gap".

    "Right AUX", a socket for one more electrode that often hangs open, is of type "misc": it is
    used where `picks` names it.
    """
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a Muse CSV but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    table = read_table(path, ",")
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in ELECTRODES if name not in table]
    if missing:
        close = nearest(missing[0], table.columns)
        raise DataError(
            f"{path}: a Muse CSV has the columns {', '.join(ELECTRODES)}; this one has "
            f"{', '.join(table.columns)}.{close}"
        )
    marker = next((name for name in table if str(name).lower().startswith("marker")), None)
    names = [name for name in table if name not in ("timestamps", marker)]
    values = numbers(path, table, [*names, "timestamps"])
    stamps, microvolts = values[:, -1], values[:, :-1]
    rate = nominal_rate(path, stamps)
    places, gaps = places_of(path, stamps, rate)
    data = on_grid(microvolts.T * 1e-6, places)
    rows = [(first / rate, length / rate, "BAD_gap") for first, length in gaps]
    if marker is not None:
        rows += _events(path, numbers(path, table, [marker])[:, 0], places, rate)
    types = tuple("eeg" if name in ELECTRODES else "misc" for name in names)
    header = Header(
        path.name, tuple(normalise(names)), types, rate, data.shape[1] / rate,
        annotation_rows(rows), gap_notes(gaps, rate),
    )  # fmt: skip
    return header, data


def nominal_rate(path: Path, stamps: np.ndarray) -> float:
    """Return the rate of the Muse, 220 or 256 Hz, that its time stamps (s) keep to.

    Single stamps jitter by tens of milliseconds; the median over stretches of 256 does not.

    Raises
    ------
    DataError
        If the stamps run backwards or keep to no rate of a Muse.
    """
    broken = np.flatnonzero(~np.isfinite(stamps))
    if len(broken):
        raise DataError(f"{path}: row {broken[0] + 2}: the time stamp is missing.")
    back = np.flatnonzero(np.diff(stamps) < -_GAP)
    if len(back):
        raise DataError(
            f"{path}: row {back[0] + 3}: time runs backwards, from {stamps[back[0]]:.3f} s to "
            f"{stamps[back[0] + 1]:.3f} s; are two recordings in one file?"
        )
    width = min(256, len(stamps) - 1)
    lasted = float(np.median(stamps[width:] - stamps[:-width]))
    rate = width / max(lasted, 1e-9)
    fits = [known for known in _RATES if abs(lasted - width / known) <= 0.03 * lasted + _GAP / 4]
    if not fits:
        raise DataError(
            f"{path}: its time stamps give {rate:.4g} Hz, a Muse samples at 256 or 220 Hz; are "
            "they in seconds?"
        )
    return min(fits, key=lambda known: abs(rate - known))


def places_of(
    path: Path, stamps: np.ndarray, rate: float
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return where each row stands on a regular grid, and the gaps as (first, length) in samples.

    Rows follow each other at the nominal rate, as the headband took them; only a step of more
    than 100 ms moves what comes after it.
    """
    steps = np.diff(stamps)
    late = np.flatnonzero(steps > _GAP)
    advance = np.ones(len(stamps), dtype=np.int64)
    advance[0] = 0
    advance[late + 1] = np.maximum(np.round(steps[late] * rate), 1)
    places = np.cumsum(advance)
    if len(places) and places[-1] > 20 * len(places):
        raise DataError(
            f"{path}: its {len(late)} gaps are longer than what was recorded between them, the "
            f"longest {steps.max():.0f} s; cut it into one file a recording."
        )
    return places, [(int(places[k]) + 1, int(places[k + 1] - places[k]) - 1) for k in late]


def on_grid(data: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Put samples, shape (channel, row), at their places and join gaps by straight lines."""
    if places[-1] + 1 == len(places):
        return data
    grid = np.arange(places[-1] + 1)
    return np.stack([np.interp(grid, places, row) for row in data])


def gap_notes(gaps: list[tuple[int, int]], rate: float) -> tuple[str, ...]:
    """Say how much was lost, if anything."""
    if not gaps:
        return ()
    lost = sum(length for _, length in gaps) / rate
    first = gaps[0][0] / rate
    return (
        f"{len(gaps)} gaps, {lost:.2f} s in all, the first at {first:.2f} s, are bridged by "
        "straight lines and marked BAD_gap: no example is cut from them.",
    )


def _events(
    path: Path, marks: np.ndarray, places: np.ndarray, rate: float
) -> list[tuple[float, float, str]]:
    marks = np.nan_to_num(marks)
    codes = np.round(marks).astype(np.int64)
    odd = np.flatnonzero(codes != marks)
    if len(odd):
        raise DataError(
            f"{path}: row {odd[0] + 2}: expected a whole number as marker, got {marks[odd[0]]:g}."
        )
    return [
        # A marker on a single sample is an instant.
        (places[first] / rate, (end - first if end - first > 1 else 0) / rate, str(code))
        for first, end, code in stretches(codes)
    ]
