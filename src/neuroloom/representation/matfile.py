"""MATLAB files with structs, as plain Python: dicts, lists and arrays."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError


def read_mat(path: str | Path) -> dict[str, Any]:
    """Return the variables of a `.mat`: numbers as arrays, text as str, structs as dicts.

    Arrays of structs or cells become lists, in the order of their rows.

    Raises
    ------
    DataError
        If it is no MATLAB file, or of version 7.3 with structs.
    """
    from scipy.io import loadmat

    path = Path(path)
    try:
        found = loadmat(path, squeeze_me=True, struct_as_record=False)
    except NotImplementedError:
        return _newer(path)
    except (ValueError, TypeError, OSError, struct.error, zlib.error) as error:
        raise DataError(f"{path}: is no MATLAB file that can be read ({error}).") from error
    return {name: _plain(value) for name, value in found.items() if not name.startswith("__")}


def _plain(value: Any) -> Any:
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(item) for item in value.ravel()]
    return value


def _newer(path: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        return {
            name: np.asarray(item[()]).T
            for name, item in file.items()
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "iufb"
        }
