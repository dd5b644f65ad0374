"""Zarr stores: a plain array, or the finest level of an OME-NGFF image; `x.zarr` or `x.zarr::a/b`.

Source: OME-NGFF 0.4 and 0.5, https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import spacing
from neuroloom.io.images import ImageHeader, check_window, split_address, to_array
from neuroloom.io.images.hdf5 import grid, header

if TYPE_CHECKING:
    import xarray as xr

_MICROMETRES = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4}


def read(path: Path) -> xr.DataArray:
    """Read an array, or level 0 of a multiscale image."""
    array, axes, sizes, unit = _chosen(path)
    whole = tuple(0 if axis == "t" else slice(None) for axis in axes)
    return grid(_lifted(np.asarray(array[whole]), axes), sizes, unit, path.name)


def peek(path: Path) -> ImageHeader:
    """Read the metadata only."""
    array, axes, sizes, unit = _chosen(path)
    shape = tuple(n for n, axis in zip(array.shape, axes, strict=True) if axis != "t")
    if "c" in axes and "z" not in axes:
        shape = (shape[0], 1, *shape[1:])
    return header(shape, array.dtype, sizes, unit, path.name)


def crop(path: Path, window: tuple[slice, ...]) -> np.ndarray:
    """Read a window, (channel, *axes), from the chunks it lies on."""
    array, axes, _, _ = _chosen(path)
    places = [axis for axis in axes if axis in "zyx"]
    if "z" in axes and array.shape[axes.index("z")] == 1 and "c" in axes:
        places.remove("z")
    check_window(window, len(places), path.name)
    parts = dict(zip(places, window, strict=True))
    whole = tuple(0 if axis == "t" else parts.get(axis, slice(None)) for axis in axes)
    part = np.asarray(array[whole])
    if "c" in axes:
        return part[:, 0] if part.ndim == 4 and "z" not in places else part
    return part[None]


def write(path: Path, recording: xr.DataArray) -> None:
    """Write an OME-NGFF 0.4 image with one level."""
    import zarr

    store, inside = split_address(path)
    values = to_array(recording)
    several = len(values) > 1
    axes = ("c" if several else "") + ("yx" if recording.attrs["kind"] == "image" else "zyx")
    data = values if several else values[0]
    unit = {"mm": "millimeter", "um": "micrometer"}.get(recording.attrs["unit"])
    named: list[dict[str, str]] = []
    for axis in axes:
        kind = "channel" if axis == "c" else "space"
        named.append(
            {"name": axis, "type": kind} | ({"unit": unit} if unit and axis != "c" else {})
        )
    sizes = [1.0] * several + list(spacing(recording))
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": sizes}]}
    root = zarr.open_group(str(store), path=inside or None, mode="w", zarr_format=2)
    chunks = tuple(min(size, 64 if len(axes) > 2 else 512) for size in data.shape)
    array = root.create_array("0", shape=data.shape, dtype=data.dtype, chunks=chunks)
    array[...] = np.ascontiguousarray(data)
    facts: Any = [{"version": "0.4", "axes": named, "datasets": [level]}]
    root.attrs["multiscales"] = facts


def _chosen(path: Path) -> tuple[Any, str, tuple[float, ...] | None, str]:
    """Return the array, a letter an axis, the sizes of a voxel and their unit."""
    import zarr

    store, inside = split_address(path)
    try:
        item: Any = zarr.open(str(store), mode="r", path=inside or None)
    except (FileNotFoundError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: holds no Zarr array or group; its metadata are missing or cut short."
        ) from error
    if isinstance(item, zarr.Array):
        return item, _axes(path, item), None, "px"
    facts = item.attrs.get("ome", item.attrs).get("multiscales")
    if facts:
        return _finest(path, item, facts[0])
    arrays = {name: found for name, found in item.members(max_depth=None)
              if isinstance(found, zarr.Array)}  # fmt: skip
    if len(arrays) != 1:
        listed = ", ".join(f"{name} {found.shape}" for name, found in arrays.items())
        what = (
            f"holds {len(arrays)} arrays: {listed}; pick one, '{store.name}::{next(iter(arrays))}'"
        )
        raise DataError(f"{path}: {what if arrays else 'holds no array'}.")
    found = next(iter(arrays.values()))
    return found, _axes(path, found), None, "px"


def _axes(path: Path, array: Any) -> str:
    """Return the axes of a plain array by their number."""
    known = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
    if array.ndim not in known or array.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: has {array.ndim} axes of {array.dtype}; expected 2 to 5 of numbers."
        )
    return _without_time(path, known[array.ndim], array)


def _finest(path: Path, group: Any, facts: Any) -> tuple[Any, str, tuple[float, ...] | None, str]:
    try:
        level = facts["datasets"][0]
        array = group[level["path"]]
        named = facts.get("axes", list("tczyx")[-array.ndim :])
        axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in named)
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: its multiscales say no array that is there ({error}).") from error
    if [axis for axis in axes if axis not in "tczyx"] or not axes.endswith("yx"):
        raise DataError(f"{path}: its axes are '{axes}'; expected some of t, c, z, y, x in order.")
    scales = [one["scale"] for one in level.get("coordinateTransformations", []) if "scale" in one]
    if not scales:
        return array, _without_time(path, axes, array), None, "px"
    units = {axis.get("unit") for axis in named if isinstance(axis, dict) and axis["name"] in "yx"}
    factor = _MICROMETRES.get(units.pop() or "", 0.0) if len(units) == 1 else 0.0
    places = [(axis, float(size)) for axis, size in zip(axes, scales[0], strict=True)]
    sizes = tuple(size for axis, size in places if axis in "zyx")
    if factor == 1e3:
        return array, _without_time(path, axes, array), sizes, "mm"
    sizes = tuple(size * (factor or 1.0) for size in sizes)
    return array, _without_time(path, axes, array), sizes, "um" if factor else "px"


def _without_time(path: Path, axes: str, array: Any) -> str:
    if "t" in axes and array.shape[axes.index("t")] > 1:
        raise DataError(
            f"{path}: holds {array.shape[axes.index('t')]} times; write one time a store."
        )
    return axes


def _lifted(data: np.ndarray, axes: str) -> np.ndarray:
    """Put a depth of one between the channels and the rows of a picture."""
    return data[:, None] if "c" in axes and "z" not in axes else data
