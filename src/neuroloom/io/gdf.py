"""GDF, the format of BCI Competition IV and BioSig, read by MNE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.raw import peek_raw, read_raw
from neuroloom.io.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a GDF file; see `neuroloom.io.read`."""
    _check(path)
    return read_raw(_open, path, "GDF", start, stop)


def peek(path: Path) -> Header:
    """Read the header and events of a GDF file; see `neuroloom.io.peek`."""
    _check(path)
    return peek_raw(_open, path, "GDF")


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    return mne.io.read_raw_gdf(path)


def _check(path: Path) -> None:
    first = path.open("rb").read(8)
    if not first.startswith(b"GDF"):
        raise DataError(
            f"{path}: is no GDF file: expected it to begin with b'GDF', it begins with "
            f"{first!r}. Was another file renamed?"
        )
