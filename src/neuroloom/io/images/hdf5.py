"""HDF5 (.h5, .hdf5, .hdf): an image or a stack as a dataset, `file.h5` or `file.h5::volumes/raw`.

Datasets are in array order, (y, x), (z, y, x) or (channel, z, y, x). The attribute
`element_size_um`, which ilastik and others write, gives the size of a voxel in the same order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, image, spacing, volume
from neuroloom.io.images import ImageHeader, check_window, split_address, to_array

if TYPE_CHECKING:
    import xarray as xr

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read(path: Path) -> xr.DataArray:
    """Read the dataset that is named, or the only one."""
    with _opened(path) as file:
        found = _chosen(path, file)
        data, sizes = _native(found[()]), _sizes(path, found)
    return grid(data, sizes, "px" if sizes is None else "um", path.name)


def peek(path: Path) -> ImageHeader:
    """Read shape, type and size of a voxel."""
    with _opened(path) as file:
        found = _chosen(path, file)
        sizes = _sizes(path, found)
        return header(found.shape, found.dtype, sizes, "px" if sizes is None else "um", path.name)


def crop(path: Path, window: tuple[slice, ...]) -> np.ndarray:
    """Read a window, (channel, *axes), and only that part."""
    with _opened(path) as file:
        found = _chosen(path, file)
        check_window(window, _axes(found.shape), path.name)
        lead: tuple[Any, ...] = (slice(None),) if found.ndim == 4 else ()
        flat = (0,) if lead and len(window) == 2 else ()
        part = _native(found[(*lead, *flat, *window)])
    return part if lead else part[None]


def write(path: Path, recording: xr.DataArray) -> None:
    """Write one compressed dataset, called "image" unless the path names it."""
    import h5py

    file, inside = split_address(path)
    values = to_array(recording)
    with h5py.File(file, "w") as made:
        data = values[0] if len(values) == 1 else values
        data = data[:, None] if recording.attrs["kind"] == "image" and len(values) > 1 else data
        dataset = made.create_dataset(inside or "image", data=data, compression="gzip")
        scale = {"um": 1.0, "mm": 1e3}.get(recording.attrs["unit"])
        if scale is not None:
            dataset.attrs["element_size_um"] = [size * scale for size in spacing(recording)]


def grid(
    data: np.ndarray,
    sizes: tuple[float, ...] | None,
    unit: str,
    name: str,
    channels: list[str] | None = None,
    origin: tuple[float, ...] = (),
) -> xr.DataArray:
    """Return a recording of an array in array order with two, three or four axes.

    `origin` is where the first voxel lies, in array order and `unit`; an image, which has no place
    in space, keeps it in `attrs["origin"]`.
    """
    sizes = sizes or (1.0, 1.0, 1.0)
    if _axes(data.shape) == 2:
        data = data[:, 0] if data.ndim == 4 else data
        found = image(data, sizes[-2:], unit, channels, name)  # type: ignore[arg-type]
        found.attrs |= {"origin": origin[-2:]} if any(origin[-2:]) else {}
        return found
    order = (0, 3, 2, 1) if data.ndim == 4 else (2, 1, 0)
    affine = np.diag([*sizes[::-1], 1.0])
    affine[:3, 3] = origin[::-1] or 0.0
    return volume(data.transpose(order), affine, channels, name, unit=unit)


def header(
    shape: tuple[int, ...],
    dtype: np.dtype,
    sizes: tuple[float, ...] | None,
    unit: str,
    name: str,
    channels: list[str] | None = None,
    origin: tuple[float, ...] = (),
) -> ImageHeader:
    """Return what `grid` would say of such an array."""
    # No memory is touched behind a zero stride.
    empty = np.broadcast_to(np.zeros((), dtype), shape)
    made = grid(empty, sizes, unit, name, channels, origin)
    affine = made.attrs.get("affine")
    kind = made.attrs["kind"]
    return ImageHeader(
        source=name,
        kind=kind,
        shape=to_array(made).shape[1:],
        channels=tuple(map(str, made.channel.values)),
        spacing=spacing(made) if affine is None else affine_spacing(affine),
        unit=unit,
        dtype=dtype.newbyteorder("=").name,
        affine=affine,
    )


def _axes(shape: tuple[int, ...]) -> int:
    """Return how many axes are in space; two also of channels with one slice each."""
    return 2 if len(shape) == 2 or (len(shape) == 4 and shape[1] == 1) else 3


def _native(part: Any) -> np.ndarray:
    """Return an array in this machine's byte order."""
    array = np.asarray(part)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _opened(path: Path) -> Any:
    import h5py

    file, _ = split_address(path)
    with file.open("rb") as handle:
        if handle.read(8) != _SIGNATURE:
            raise DataError(f"{file}: is no HDF5 file, it begins otherwise.")
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{file}: cannot be opened as HDF5; it is cut short.") from error


def _chosen(path: Path, file: Any) -> Any:
    """Return the dataset that is named after "::", or the only one that can be an image."""
    import h5py

    place, inside = split_address(path)
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and 2 <= item.ndim <= 4 and item.dtype.kind in "biuf":
            found[name] = item

    file.visititems(keep)
    listed = ", ".join(f"{name} {item.shape}" for name, item in found.items())
    if inside:
        if inside.strip("/") not in found:
            raise DataError(
                f"{place}: has no image called '{inside}'; there are {listed or 'none'}."
            )
        return found[inside.strip("/")]
    if len(found) != 1:
        what = f"holds {len(found)} arrays: {listed}" if found else "holds no array of 2 to 4 axes"
        hint = f"; pick one, '{place.name}::{next(iter(found))}'" if found else ""
        raise DataError(f"{place}: {what}{hint}.")
    return next(iter(found.values()))


def _sizes(path: Path, found: Any) -> tuple[float, ...] | None:
    """Return the size of a voxel in µm, one an axis."""
    given = found.attrs.get("element_size_um")
    if given is None:
        return None
    sizes = tuple(float(size) for size in np.ravel(given))
    axes = _axes(found.shape)
    if len(sizes) < axes or min(sizes) <= 0:
        raise DataError(
            f"{path}: element_size_um is {sizes}; expected {axes} sizes above 0, z first."
        )
    return sizes[-axes:]
