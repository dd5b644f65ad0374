"""MATLAB `.mat` with arrays: trial matrices as ExBrainable keeps them, or channels by time.

MATLAB 5 to 7 is read by SciPy; 7.3 is HDF5 and needs the package h5py.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import recording_of
from neuroloom.io.recordings.formats.arrays import RATE_KEYS, from_named
from neuroloom.io.recordings.reader import Header
from neuroloom.io.recordings.sidecar import names_beside

if TYPE_CHECKING:
    import xarray as xr


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read the trials (x_train, y_train, x_test, y_test; x, y) or the one matrix of a `.mat`.

    The rate may stand in the file as fs, srate or sfreq, the channels as ch_names; else a JSON
    beside it says them, see `neuroloom.io.recordings.sidecar`.
    """
    header, data = from_named(path, _arrays(path))
    return recording_of(header, data, path, start, stop)


def peek(path: Path) -> Header:
    """Read all of a `.mat` but its samples."""
    return from_named(path, _arrays(path))[0]


def is_recording(path: Path) -> bool:
    """Tell whether a `.mat` in a folder is a recording: a JSON beside it, or its names, say so."""
    if any(place.is_file() for place in names_beside(path)):
        return True
    if path.suffix.lower() == ".gz":
        return False
    from scipy.io import whosmat

    try:
        names = {str(name).lower() for name, _, _ in whosmat(path)}
    except (ValueError, TypeError, NotImplementedError, OSError, struct.error):
        return False
    return "x_train" in names or bool(names & set(RATE_KEYS))


def _arrays(path: Path) -> dict[str, Any]:
    head = path.open("rb").read(128)
    if head.startswith(b"MATLAB 7.3"):
        return _from_hdf5(path)
    if not head.startswith(b"MATLAB"):
        raise DataError(
            f"{path}: is no MATLAB file: expected it to begin with b'MATLAB', it begins with "
            f"{head[:8]!r}. Was another file renamed?"
        )
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except (ValueError, TypeError, OSError, struct.error, zlib.error, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"{path}: cut in its data or damaged ({reason}); copy the file again."
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _from_hdf5(path: Path) -> dict[str, Any]:
    """Return the numeric arrays of MATLAB 7.3, which keeps axes in reverse."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path}: is MATLAB 7.3 (HDF5), for which the package h5py is needed: pip install "
            "h5py, or save it in MATLAB with -v7."
        ) from error
    try:
        with h5py.File(path, "r") as file:
            return {
                name: _unturned(item)
                for name, item in file.items()
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "iufb"
            }
    except OSError as error:
        raise DataError(f"{path}: cut in its data or damaged; copy the file again.") from error


def _unturned(item: Any) -> np.ndarray:
    """Undo MATLAB's column order; an empty array is kept as its shape, marked by an attribute."""
    if item.attrs.get("MATLAB_empty", 0):
        return np.zeros(tuple(int(size) for size in item[()]))
    return np.asarray(item[()]).T
