"""Zarr stores: a plain array, or the finest level of an OME-NGFF image; `x.zarr` or `x.zarr::a/b`.

A level that is picked by its name has the place and the sizes that its image says. Of a store with
one image in a group of its own (bioformats2raw) that one is read.

Source: OME-NGFF 0.4 and 0.5, https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Found:
    """An array with a letter an axis; where its first voxel lies and how large it is, in `unit`."""

    array: Any
    axes: str
    sizes: tuple[float, ...] | None = None
    origin: tuple[float, ...] = ()
    unit: str = "px"


def read(path: Path) -> xr.DataArray:
    """Read an array, or level 0 of a multiscale image."""
    found = _chosen(path)
    whole = tuple(0 if axis == "t" else slice(None) for axis in found.axes)
    data = _lifted(np.asarray(found.array[whole]), found.axes)
    return grid(data, found.sizes, found.unit, path.name, origin=found.origin)


def peek(path: Path) -> ImageHeader:
    """Read the metadata only."""
    found = _chosen(path)
    pairs = zip(found.array.shape, found.axes, strict=True)
    shape = tuple(n for n, axis in pairs if axis != "t")
    if "c" in found.axes and "z" not in found.axes:
        shape = (shape[0], 1, *shape[1:])
    dtype = found.array.dtype
    return header(shape, dtype, found.sizes, found.unit, path.name, origin=found.origin)


def crop(path: Path, window: tuple[slice, ...]) -> np.ndarray:
    """Read a window, (channel, *axes), from the chunks it lies on."""
    found = _chosen(path)
    array, axes = found.array, found.axes
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
    level = {"path": "0", "coordinateTransformations": _transformations(recording)}
    root = zarr.open_group(str(store), path=inside or None, mode="w", zarr_format=2)
    chunks = tuple(min(size, 64 if len(axes) > 2 else 512) for size in data.shape)
    array = root.create_array("0", shape=data.shape, dtype=data.dtype, chunks=chunks)
    array[...] = np.ascontiguousarray(data)
    facts: Any = [{"version": "0.4", "axes": named, "datasets": [level]}]
    root.attrs["multiscales"] = facts


def _transformations(recording: xr.DataArray) -> list[dict[str, Any]]:
    """Return how large a voxel is and, where that is known, where the first lies.

    NGFF 0.4 knows no turned axes; the place of a volume that has them is left out.
    """
    sizes, several = spacing(recording), len(recording) > 1
    made: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * several + list(sizes)}]
    origin = recording.attrs.get("origin", ())
    if recording.attrs["kind"] == "volume":
        affine = np.asarray(recording.attrs["affine"], float)
        straight = np.allclose(affine[:3, :3], np.diag(sizes[::-1]))
        origin = affine[:3, 3][::-1].tolist() if straight else ()
    if any(origin):
        made.append({"type": "translation", "translation": [0.0] * several + list(origin)})
    return made


def _chosen(path: Path) -> _Found:
    """Return what is named, or the only image or array in it."""
    import zarr

    item, inside = _item(path), split_address(path)[1].strip("/")
    if isinstance(item, zarr.Array):
        return _as_level(path, inside) or _Found(item, _axes(path, item))
    if facts := _multiscales(item):
        return _level(path, item, facts[0], 0)
    members = dict(sorted(item.members(max_depth=None)))
    groups = {name: one for name, one in members.items() if isinstance(one, zarr.Group)}
    images = {name: one for name, one in groups.items() if _multiscales(one)}
    # Labels lie below the image that they belong to.
    images = {k: v for k, v in images.items() if not any(k.startswith(f"{o}/") for o in images)}
    arrays = {name: one for name, one in members.items() if isinstance(one, zarr.Array)}
    arrays = {k: v for k, v in arrays.items() if not any(k.startswith(f"{o}/") for o in images)}
    shapes = {name: f" {one.shape}" for name, one in arrays.items()}
    name = _only(path, "images" if images else "arrays", dict.fromkeys(images, "") | shapes)
    if name in images:
        return _level(path, images[name], _multiscales(images[name])[0], 0)
    return _Found(arrays[name], _axes(path, arrays[name]))


def _item(path: Path) -> Any:
    """Return the array or the group that a path names."""
    import zarr

    store, inside = split_address(path)
    try:
        return zarr.open(str(store), mode="r", path=inside or None)
    except (FileNotFoundError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: holds no Zarr array or group; its metadata are missing or cut short."
        ) from error


def _multiscales(item: Any) -> list[Any]:
    """Return what a group says of the images whose levels it holds."""
    return list(item.attrs.get("ome", item.attrs).get("multiscales") or [])


def _only(path: Path, what: str, found: dict[str, str]) -> str:
    """Return the only name, or say which there are; `found`: name -> what is said of it."""
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise DataError(f"{path}: holds no array.")
    store, inside = split_address(path)
    listed = ", ".join(f"{name}{said}" for name, said in found.items())
    first = "/".join(part for part in (inside, next(iter(found))) if part)
    raise DataError(
        f"{path}: holds {len(found)} {what}: {listed}; pick one, '{store.name}::{first}'."
    )


def _axes(path: Path, array: Any) -> str:
    """Return the axes of a plain array by their number."""
    known = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
    if array.ndim not in known or array.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: has {array.ndim} axes of {array.dtype}; expected 2 to 5 of numbers."
        )
    return _without_time(path, known[array.ndim], array)


def _as_level(path: Path, inside: str) -> _Found | None:
    """Return an array as the level of an image that it is, if a group above says so."""
    store, parts = split_address(path)[0], inside.split("/")
    for cut in reversed(range(len(parts))):
        above, below = "/".join(parts[:cut]), "/".join(parts[cut:])
        try:
            group = _item(Path(f"{store}::{above}"))
        except DataError:  # a folder need not be a group
            continue
        for facts in _multiscales(group):
            paths = [level.get("path") for level in facts.get("datasets", [])]
            if below in paths:
                with suppress(DataError):  # of axes in another order it is an array like others
                    return _level(path, group, facts, paths.index(below))
    return None


def _level(path: Path, group: Any, facts: Any, number: int) -> _Found:
    """Return a level of an image, 0 the finest, with the sizes and the place that are said."""
    try:
        level = facts["datasets"][number]
        array = group[level["path"]]
        named = facts.get("axes", list("tczyx")[-array.ndim :])
        axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in named)
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: its multiscales say no array that is there ({error}).") from error
    if [axis for axis in axes if axis not in "tczyx"] or not axes.endswith("yx"):
        raise DataError(f"{path}: its axes are '{axes}'; expected some of t, c, z, y, x in order.")
    axes = _without_time(path, axes, array)
    changes = [one for part in (level, facts) for one in part.get("coordinateTransformations", [])]
    if not any("scale" in one for one in changes):
        return _Found(array, axes)
    units = {axis.get("unit") for axis in named if isinstance(axis, dict) and axis["name"] in "yx"}
    factor = _MICROMETRES.get(units.pop() or "", 0.0) if len(units) == 1 else 0.0
    unit = "mm" if factor == 1e3 else "um" if factor else "px"
    sizes, origin = _placed(axes, changes, 1.0 if unit == "mm" else factor or 1.0)
    return _Found(array, axes, sizes, origin, unit)


def _placed(
    axes: str, changes: list[Any], factor: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return sizes and place of the first voxel along z, y and x, times a factor.

    What a level says comes first, then what its image says of all levels.
    """
    sizes, origin = np.ones(len(axes)), np.zeros(len(axes))
    for one in changes:
        if "scale" in one:
            sizes, origin = sizes * one["scale"], origin * one["scale"]
        elif "translation" in one:
            origin = origin + one["translation"]
    space = [place for place, axis in enumerate(axes) if axis in "zyx"]
    return tuple((factor * sizes[space]).tolist()), tuple((factor * origin[space]).tolist())


def _without_time(path: Path, axes: str, array: Any) -> str:
    if "t" in axes and array.shape[axes.index("t")] > 1:
        raise DataError(
            f"{path}: holds {array.shape[axes.index('t')]} times; write one time a store."
        )
    return axes


def _lifted(data: np.ndarray, axes: str) -> np.ndarray:
    """Put a depth of one between the channels and the rows of a picture."""
    return data[:, None] if "c" in axes and "z" not in axes else data
