"""Tracks as the package movement keeps them: netCDF with `position` and `confidence`.

Read with h5py where the file is netCDF 4 and with SciPy where it is netCDF 3, which is what is
written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.core.recording import DIMS, tracks
from neuroloom.io.labels.nwb import words
from neuroloom.io.pandas_h5 import open_h5
from neuroloom.io.tracks.units import known_unit

if TYPE_CHECKING:
    import xarray as xr

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TRUSTED = [dim for dim in DIMS["tracks"] if dim != "space"]
_NAMES = {"keypoint": "keypoints", "individual": "individuals"}  # newer releases say one


def claims(path: Path) -> bool:
    """Say whether `path` is netCDF."""
    return path.suffix.lower() in (".nc", ".netcdf")


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read a dataset of poses."""
    with path.open("rb") as handle:
        modern = handle.read(8) == _SIGNATURE
    dims, held, about = _from_hdf5(path) if modern else _from_classic(path)
    named = [_NAMES.get(dim, dim) for dim in dims]
    if sorted(named) != sorted(DIMS["tracks"]):
        raise DataError(f"{path}: expected a position over {DIMS['tracks']}, it is over {dims}.")
    order = [named.index(dim) for dim in DIMS["tracks"]]
    data = np.asarray(held["position"], float).transpose(order)
    sure = held.get("confidence")
    if sure is not None:
        left = [dim for dim in named if dim != "space"]
        sure = np.asarray(sure, float).transpose([left.index(dim) for dim in _TRUSTED])
    stated = float(about.get("fps") or 0)
    hertz = stated if np.isfinite(stated) and stated > 0 else rate or 1.0
    time = np.asarray(held.get("time", np.arange(len(data)) / hertz), float)
    seconds = str(about.get("time_unit", "seconds" if stated else "frames")).startswith("s")
    counted = np.rint(time * hertz if seconds else time).astype(int)
    frames = np.asarray(held.get("frame", counted), int)  # ours says them, whatever the times
    unit = str(about.get("space_unit", "px"))
    made = tracks(
        data, _column(held, "keypoints"), _column(held, "individuals"), hertz, sure,
        unit=known_unit(unit) or unit, source=path.name, frames=frames,
        times=time if seconds else None,
    )  # fmt: skip
    made.attrs["scorer"] = str(about.get("source_software", ""))
    return made


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write a dataset that `movement` and `xarray.open_dataset` read."""
    import xarray as xr

    places: dict[str, Any] = {dim: (dim, recording.coords[dim].values) for dim in DIMS["tracks"]}
    places["frame"] = ("time", recording.coords["frame"].values.astype(np.int32))
    about: dict[str, Any] = {
        "ds_type": "poses",
        "source_software": str(recording.attrs.get("scorer", "neuroloom")),
        "source_file": str(recording.attrs["source"]),
        "space_unit": str(recording.attrs["unit"]),
    }
    rate = float(recording.attrs["rate"])
    # A rate of 1 is that of tracks of which nobody said one: their time counts frames.
    about |= {"time_unit": "frames"} if rate == 1 else {"time_unit": "seconds", "fps": rate}
    arrays = {
        "position": (DIMS["tracks"], recording.values),
        "confidence": (_TRUSTED, recording.confidence.transpose(*_TRUSTED).values),
    }
    held = xr.Dataset(arrays, coords=places, attrs=about)
    return write_atomic(
        path, lambda partial: held.to_netcdf(partial, engine="scipy", format="NETCDF3_64BIT")
    )


def _column(held: dict[str, Any], name: str) -> list[str]:
    single = {many: one for one, many in _NAMES.items()}[name]
    return [str(value) for value in np.ravel(held.get(name, held.get(single, [])))]


def _from_classic(path: Path) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="scipy", decode_times=False) as opened:
            held = {str(name): opened[name].values for name in opened.variables}
            dims = tuple(map(str, opened["position"].dims))
            return dims, held, dict(opened.attrs)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AssertionError) as error:
        raise DataError(f"{path}: is no netCDF with poses: {error}.") from error


def _from_hdf5(path: Path) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
    with open_h5(path) as opened:
        if "position" not in opened:
            raise DataError(f"{path}: is no netCDF with poses: it has no variable 'position'.")
        scales = [opened[refs[0]] for refs in opened["position"].attrs["DIMENSION_LIST"]]
        dims = tuple(scale.name.rsplit("/", 1)[-1] for scale in scales)
        held: dict[str, Any] = {}
        for name, item in opened.items():
            held[name] = words(item) if item.dtype.kind in "OS" else item[()]
        about = {name: _plain(value) for name, value in opened.attrs.items()}
    return dims, held, about


def _plain(value: Any) -> Any:
    value = value[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else value
