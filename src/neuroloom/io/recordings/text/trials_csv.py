"""CSV tables of trials, as EEG-DL keeps them: a trial a row, and the labels in a second table.

`training_set.csv` with `training_label.csv`, `test_set.csv` with `test_label.csv`, no head.
Layout: https://github.com/SuperBruceJia/EEG-DL, Models/DatasetAPI/DataLoader.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import is_number, read_matrix, recording_of
from neuroloom.io.recordings.formats.arrays import Trials, lay_out, trials_of
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.sidecar import example, facts_beside, names_beside

if TYPE_CHECKING:
    import xarray as xr

FIRST = "numbers alone, in a file called training_set.csv or test_set.csv (EEG-DL)"
_NAME = re.compile(r"^(?P<set>training|train|test)_set\.csv(\.gz)?$", re.IGNORECASE)


def recognises(path: Path, head: list[str]) -> bool:
    """Tell a table of trials from its name, and a number at its beginning."""
    return bool(_NAME.match(path.name)) and bool(head) and is_number(head[0].split(",")[0])


def partners(path: Path) -> list[Path]:
    """Return where the labels stand: `training_label.csv` beside `training_set.csv`."""
    plain = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    place = path.with_name(re.sub("_set", "_label", plain, flags=re.IGNORECASE))
    return [place, place.with_name(f"{place.name}.gz")]


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read trials, laid end to end; rate and channels come from a JSON beside the table.

    A row holds channel after channel; with `"Order": "time"` in the JSON it holds all channels of
    one instant after another, as EEG-DL's MATLAB script writes it.
    """
    header, data = _load(path)
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a table of trials but its samples."""
    return _load(path)[0]


def _load(path: Path) -> tuple[Header, np.ndarray]:
    facts = facts_beside(path)
    if facts.channels is None or facts.rate is None:
        raise DataError(
            f"{path}: a row of numbers says neither its channels nor its sampling rate. Write "
            f"'{names_beside(path)[0].name}' beside it (or '{names_beside(path)[1].name}' for all "
            f"files of the folder) with {example()}."
        )
    x = read_matrix(path, ",")
    beside = partners(path)[0]
    labels = read_matrix(beside, ",") if beside.is_file() else np.zeros(0)
    trials = trials_of(path, x, labels, "1", "rows", beside.name)
    return lay_out(path, [Trials(trials.x, trials.labels, "1")], facts)
