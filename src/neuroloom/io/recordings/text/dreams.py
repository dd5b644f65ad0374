"""The DREAMS sleep spindles database: text of one channel, with hypnogram and scorings beside it.

Devuyst et al. (2011), doi:10.1109/IEMBS.2011.6090385. `excerptN.txt` begins with its channel,
"[C3-A1]", and goes on with a value (µV) a line. Beside it lie `Hypnogram_excerptN.txt` (a stage
every 5 s), `Visual_scoring1_excerptN.txt`, `Visual_scoring2_excerptN.txt` (spindles of two
experts: onset and duration, s) and `Automatic_detection_excerptN.txt`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import (
    annotation_rows,
    is_number,
    numbers,
    read_table,
    recording_of,
)
from neuroloom.io.recordings.electrodes import template_positions
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.sidecar import facts_beside

if TYPE_CHECKING:
    import xarray as xr

FIRST = "'[C3-A1]', a channel in brackets above one column (DREAMS)"
# Rechtschaffen and Kales as the database codes them, in the terms of the AASM; others are none.
STAGES = {5: "W", 4: "R", 3: "N1", 2: "N2", 1: "N3", 0: "N3"}
SCORINGS = {
    "Visual_scoring1": "spindle/expert 1",
    "Visual_scoring2": "spindle/expert 2",
    "Automatic_detection": "spindle/automatic",
}
RATES = (50.0, 100.0, 200.0)
_EVERY = 5.0
# excerpt6 is 0.7 s longer than its hypnogram of half an hour.
_TOLERANCE = 5e-4
_CHANNEL = re.compile(r"^\[([A-Za-z0-9]+)-([A-Za-z0-9]+)\]\s*$")


def recognises(path: Path, head: list[str]) -> bool:
    """Tell a recording from its first line; the scorings beside it have others."""
    return bool(head and _CHANNEL.match(head[0]))


def partners(path: Path) -> list[Path]:
    """Return the hypnogram and the scorings of a recording, in this order, there or not."""
    name = path.name.lower().removesuffix(".gz")
    stem = path.name[: len(name) - len(Path(name).suffix)]
    return [path.with_name(f"{kind}_{stem}.txt") for kind in ("Hypnogram", *SCORINGS)]


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read an excerpt with its sleep stages and spindles as annotations.

    Stages are contiguous stretches in the terms of the AASM, "W", "R", "N1", "N2", "N3" (stages
    3 and 4 are N3; movement and unknown have none). Spindles are "spindle/expert 1",
    "spindle/expert 2" and, of the detector that comes with the database, "spindle/automatic".
    """
    header, data = _load(path)
    electrode = [header.channels[0].split("-")[0].capitalize()]
    return recording_of(header, data, path, start, stop, template_positions(electrode))


def peek(path: Path) -> Header:
    """Read all of an excerpt but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    table = read_table(path, "\t")
    channel = str(table.columns[0]).strip()[1:-1]
    data = numbers(path, table, [table.columns[0]]).T * 1e-6
    hypnogram, *scorings = partners(path)
    stages = _column(hypnogram, 1)[:, 0] if hypnogram.is_file() else np.zeros(0)
    rate = _rate(path, data.shape[1], len(stages) * _EVERY)
    rows = _stage_rows(stages)
    for scoring, label in zip(scorings, SCORINGS.values(), strict=True):
        if scoring.is_file():
            rows += [(onset, duration, label) for onset, duration in _column(scoring, 2)]
    length = data.shape[1] / rate
    beyond = [row for row in rows if not 0 <= row[0] < length or not row[1] >= 0]
    if beyond:
        raise DataError(
            f"{path}: '{beyond[0][2]}' at {beyond[0][0]:g} s lies outside the recording of "
            f"{length:g} s; do the scorings belong to this excerpt?"
        )
    return Header(path.name, (channel,), ("eeg",), rate, length, annotation_rows(rows)), data


def _column(path: Path, width: int) -> np.ndarray:
    """Return the numbers of a sidecar, shape (row, width); only its head may stand there."""
    lines = path.read_text(errors="replace").splitlines()[1:]
    rows = [line.split() for line in lines if line.strip()]
    for i, row in enumerate(rows):
        if len(row) != width or not all(is_number(cell) for cell in row):
            raise DataError(
                f"{path}: row {i + 2}: expected {width} numbers, got '{' '.join(row)}'."
            )
    return np.array(rows, dtype=float).reshape(-1, width)


def _rate(path: Path, length: int, seconds: float) -> float:
    """Return the rate that makes the samples last as long as the hypnogram."""
    said = facts_beside(path).rate
    if said is not None:
        return said
    if not seconds:
        raise DataError(
            f"{path}: has no hypnogram beside it ('{partners(path)[0].name}'), from whose length "
            "the sampling rate is told. Put it there, or write "
            f"'{path.stem}.json' with {{\"SamplingFrequency\": 200}}."
        )
    fits = [rate for rate in RATES if abs(length / rate - seconds) <= _TOLERANCE * seconds]
    if not fits:
        known = ", ".join(f"{length / rate:g} s at {rate:g} Hz" for rate in RATES)
        raise DataError(
            f"{path}: cut in its data, or of another hypnogram: {length} samples are {known}; the "
            f"hypnogram lasts {seconds:g} s."
        )
    return fits[0]


def _stage_rows(stages: np.ndarray) -> list[tuple[float, float, str]]:
    """Return (onset, duration, stage) of every stretch of one stage."""
    names = np.array([STAGES.get(int(stage), "") for stage in stages], dtype=object)
    starts = [k for k in range(len(names)) if k == 0 or names[k] != names[k - 1]]
    ends = [*starts[1:], len(names)][: len(starts)]
    return [
        (start * _EVERY, (end - start) * _EVERY, str(names[start]))
        for start, end in zip(starts, ends, strict=True)
        if names[start]
    ]
