"""Tracks as DeepLabCut and Lightning Pose keep them: x, y, likelihood for each point and frame.

.csv or .h5, one animal or several. The file states no frame rate. An animal that lacks some points
of the others ("single" with its unique ones) has NaN for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import tracks
from neuroloom.io.labels.sheets import frame_number
from neuroloom.io.labels.table import PointTable, is_table, read_table, write_table
from neuroloom.io.pandas_h5 import column_levels, open_h5

if TYPE_CHECKING:
    import xarray as xr

_ALONE = "individual_0"
_NOBODY = "single"  # DeepLabCut's name of the animal that unique points belong to
_SCORER = "neuroloom"
_MOST = 10**8  # frames of a video: larger numbers in names of pictures are dates and times


def claims(path: Path) -> bool:
    """Say whether `path` is such a table; DeepLabCut's tables of bones (_skeleton) are none."""
    if path.suffix.lower() == ".csv":
        return is_table(path)
    if path.suffix.lower() not in (".h5", ".hdf5"):
        return False
    try:
        with open_h5(path) as opened:
            known = any("pandas_type" in item.attrs for item in opened.values())
        return known and column_levels(path) in (3, 4, None)
    except DataError:
        return False


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read a table of tracks."""
    table = read_table(path)
    return _tracks(path, table, np.arange(len(table.rows)), rate)


def read_each(path: Path, rate: float | None = None) -> dict[str, xr.DataArray]:
    """Read the tracks of each folder whose pictures name the rows, by its name."""
    table = read_table(path)
    folder = np.array([row.rpartition("/")[0] for row in table.rows])
    own = {name: np.flatnonzero(folder == name) for name in dict.fromkeys(folder.tolist())}
    return {name: _tracks(path, table, rows, rate) for name, rows in own.items()}


def _tracks(path: Path, table: PointTable, rows: np.ndarray, rate: float | None) -> xr.DataArray:
    """Return some rows of a table as tracks, in the order of their frames."""
    frames = _frames(path, [table.rows[row] for row in rows])
    order = np.argsort(frames)
    values = table.values[rows[order]]
    made = tracks(
        np.moveaxis(values[..., :2], (1, 2, 3), (3, 2, 1)),
        table.keypoints,
        table.individuals or (_ALONE,),
        rate or 1.0,
        np.swapaxes(values[..., 2], 1, 2) if table.has_likelihood else None,
        source=path.name,
        frames=frames[order],
    )
    made.attrs["scorer"] = table.scorer
    # Rows that pictures name may wait for somebody who labels them; numbered ones are results.
    made.attrs["listed"] = all(row.isdigit() for row in table.rows)
    return made


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write .h5 or .csv; three axes have no place in it."""
    if recording.sizes["space"] != 2:
        raise DataError(f"{path.name}: holds x and y only; write 3-D tracks as .nc or .nwb.")
    data = recording.transpose("time", "individuals", "keypoints", "space").values
    sure = recording.confidence.transpose("time", "individuals", "keypoints").values
    names = tuple(map(str, recording.individuals.values))
    several = names if len(names) > 1 or names[0] != _ALONE else ()
    table = PointTable(
        rows=tuple(str(int(frame)) for frame in recording.frame.values),
        values=np.concatenate([data, sure[..., None]], axis=-1),
        keypoints=tuple(map(str, recording.keypoints.values)),
        individuals=several,
        scorer=str(recording.attrs.get("scorer", _SCORER)),
        present=_present(data, names),
        has_likelihood=True,
    )
    return write_table(path, table, layout="table")


def _present(data: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return (individual, keypoint): what only "single" has is a point of nobody else."""
    present = np.ones(data.shape[1:3], bool)
    if _NOBODY in names and len(names) > 1:
        seen = np.isfinite(data).all(-1).any(0)
        own = seen[names.index(_NOBODY)]
        present[:] = ~own | seen
        present[names.index(_NOBODY)] = own
    return present


def _frames(path: Path, rows: Sequence[str]) -> np.ndarray:
    """Return the numbers of the frames.

    Rows named by pictures have those that end their names; they are counted where some have none
    or a time of day, two have the same, or they lie in several folders.
    """
    if not all(row.isdigit() for row in rows):
        ends = [frame_number(row, -1) for row in rows]
        folders = {row.rpartition("/")[0] for row in rows}
        known = len(folders) == 1 and len(set(ends)) == len(rows)
        known = known and min(ends) >= 0 and max(ends) < _MOST
        return np.asarray(ends) if known else np.arange(len(rows))
    numbers = np.asarray([int(row) for row in rows])
    steps = np.diff(numbers)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise DataError(f"{path}: row {row} is frame {numbers[row]}, after {numbers[row - 1]}.")
    return numbers
