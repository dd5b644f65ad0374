"""Predictions of Lightning Pose: DeepLabCut's table for one animal, always .csv."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.tracks import dlc

if TYPE_CHECKING:
    import xarray as xr


def claims(path: Path) -> bool:
    """Say no: the table is DeepLabCut's, which reads it."""
    return False


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read a table of predictions."""
    return dlc.read(path, rate)


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write .csv with one animal."""
    if recording.sizes["individuals"] != 1 or path.suffix.lower() != ".csv":
        raise DataError(
            f"{path.name}: Lightning Pose keeps one animal in a .csv, these tracks have "
            f"{recording.sizes['individuals']}; write .h5, .slp or .nc."
        )
    return dlc.write(recording.assign_coords(individuals=["individual_0"]), path)
