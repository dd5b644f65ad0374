"""CSV of the Mind Monitor app for Muse headbands, recorded at a constant rate.

Columns: TimeStamp ("2025-07-01 14:56:05.592"), band powers, RAW_TP9, RAW_AF7, RAW_AF8, RAW_TP10
(µV on an offset of about 800), AUX, motion and fit, and Elements: events such as "/Marker/1", on
rows without samples. Manual: https://mind-monitor.com/FAQ.php
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import annotation_rows, numbers, recording_of
from neuroloom.io.recordings.electrodes import normalise
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.text.muse import (
    ELECTRODES,
    gap_notes,
    nominal_rate,
    on_grid,
    places_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FIRST = "'TimeStamp,Delta_TP9, … RAW_TP9' (Mind Monitor)"
_MARKER = re.compile(r"^/?Marker/(\d+)$", re.IGNORECASE)


def recognises(path: Path, head: list[str]) -> bool:
    """Tell a Mind Monitor CSV from its first line."""
    return bool(head) and head[0].startswith("TimeStamp,") and "RAW_TP9" in head[0]


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read the raw electrodes; markers are named by their number, other elements by their text."""
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a Mind Monitor CSV but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    table = _table(path)
    stamps = _seconds(path, table)
    raw = [f"RAW_{name}" for name in ELECTRODES]
    missing = [name for name in raw if name not in table]
    if missing:
        raise DataError(f"{path}: lacks the column {missing[0]} of a Mind Monitor CSV.")
    aux = [str(name) for name in table if re.match(r"(RAW_)?AUX", str(name), re.IGNORECASE)]
    aux = [name for name in aux if table[name].notna().any()]
    sampled = table[raw].notna().any(axis=1).to_numpy()
    if sampled.sum() < 2:
        raise DataError(f"{path}: holds no raw samples; record at a constant rate of 256 Hz.")
    microvolts = numbers(path, table, [*raw, *aux])[sampled]
    rate = nominal_rate(path, stamps[sampled])
    places, gaps = places_of(path, stamps[sampled], rate)
    data = on_grid(microvolts.T * 1e-6, places)
    rows = [(first / rate, length / rate, "BAD_gap") for first, length in gaps]
    rows += _elements(table, stamps, stamps[sampled], places, rate)
    names = tuple(normalise([*ELECTRODES, *aux]))
    types = ("eeg",) * len(raw) + ("misc",) * len(aux)
    header = Header(
        path.name, names, types, rate, data.shape[1] / rate, annotation_rows(rows),
        gap_notes(gaps, rate),
    )  # fmt: skip
    return header, data


def _table(path: Path) -> pd.DataFrame:
    """Read the rows; the last field, Elements, is left out where there is none."""
    import pandas as pd

    content = path.read_bytes()
    lines = [line for line in content.splitlines() if line.strip()]
    width = lines[0].count(b",")
    counts = [line.count(b",") for line in lines]
    wrong = next((i for i, count in enumerate(counts) if not width - 1 <= count <= width), None)
    if wrong is not None:
        what = "cut in its last row" if wrong == len(lines) - 1 else f"row {wrong + 1}"
        raise DataError(
            f"{path}: {what}: expected {width} or {width + 1} fields, got {counts[wrong] + 1}."
        )
    try:
        return pd.read_csv(BytesIO(content), low_memory=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a table: {str(error).rstrip('.')}.") from error


def _seconds(path: Path, table: pd.DataFrame) -> np.ndarray:
    """Return the time stamps in seconds from the first; dates stay here."""
    import pandas as pd

    times = pd.to_datetime(table["TimeStamp"], errors="coerce", format="ISO8601")
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise DataError(
            f"{path}: row {row + 2}: expected a time such as '2025-07-01 14:56:05.592', got "
            f"'{table['TimeStamp'].iloc[row]}'."
        )
    return (times - times.iloc[0]).dt.total_seconds().to_numpy(float)


def _elements(
    table: pd.DataFrame, stamps: np.ndarray, sampled: np.ndarray, places: np.ndarray, rate: float
) -> list[tuple[float, float, str]]:
    """Return markers and other events, each at the sample that came in at its time."""
    if "Elements" not in table:
        return []
    rows = []
    for k in np.flatnonzero(table["Elements"].notna()):
        text = str(table["Elements"].iloc[k]).strip()
        marker = _MARKER.match(text)
        if text.startswith("/muse/event") or not sampled[0] <= stamps[k] <= sampled[-1]:
            continue
        place = places[np.searchsorted(sampled, stamps[k])]
        label = marker[1] if marker else text.rsplit("/", 1)[-1]
        rows.append((float(place) / rate, 0.0, label))
    return rows
