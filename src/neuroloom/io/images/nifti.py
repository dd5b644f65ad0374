"""NIfTI, Analyze and FreeSurfer volumes (.nii, .img with .hdr, each also .gz, .mgz) by nibabel.

The affine is the header's, bit for bit; both of its forms and their codes are kept in
`attrs["nifti"]`, so that what is written on the grid has them too. Free text of the header, where
names of patients end up, is left behind.

Source: NIfTI-1 data format, https://nifti.nimh.nih.gov/nifti-1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, volume
from neuroloom.io.images import ImageHeader, check_window

if TYPE_CHECKING:
    import xarray as xr

# Fields of the header that say where the voxels are, and nothing else.
_GRID_FIELDS = (
    "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip
_UNITS = {1: "m", 2: "mm", 3: "um"}
# Types that an .mgh cannot hold, and what holds the same.
_OF_MGH = {"int8": np.int16, "uint16": np.int32, "uint32": np.int32, "float64": np.float32}


def read(path: Path) -> xr.DataArray:
    """Read a file with its scaling applied; the volumes of a 4-D file become channels."""
    opened = _load(path)
    packed = path.name.lower().endswith((".gz", ".mgz"))
    values = _to_the_end(opened) if packed else _values(opened.dataobj, opened)
    data = _channels_first(values, opened)
    found = volume(data, opened.affine, notes=_notes(opened), unit=_unit(opened), source=path.name)
    if "srow_x" in opened.header:
        kept = {name: opened.header[name].copy() for name in _GRID_FIELDS}
        found.attrs["nifti"] = kept
    return found


def peek(path: Path) -> ImageHeader:
    """Read the header only."""
    opened = _load(path)
    shape = (*opened.shape, 1, 1)[:3]
    count = _count(opened)
    scaled = _is_scaled(opened)
    dtype: Any = np.dtype(_scaled_type(opened)) if scaled else opened.get_data_dtype()
    dtype = dtype["R"] if dtype.names else dtype
    return ImageHeader(
        source=path.name,
        kind="volume",
        shape=tuple(int(size) for size in shape[::-1]),
        channels=tuple(str(i) for i in range(count)),
        spacing=affine_spacing(opened.affine),
        unit=_unit(opened),
        dtype=dtype.newbyteorder("=").name,
        notes=tuple(_notes(opened)),
        affine=np.array(opened.affine, float),
    )


def crop(path: Path, window: tuple[slice, ...]) -> np.ndarray:
    """Read a window, (channel, z, y, x), and of an unpacked file only that part."""
    opened = _load(path)
    if len(opened.shape) < 3 or opened.get_data_dtype().names:
        whole = _channels_first(_values(opened.dataobj, opened), opened).transpose(0, 3, 2, 1)
        return whole[(slice(None), *window)]
    check_window(window, 3, path.name)
    part = _values(opened.dataobj[window[::-1]], opened)
    return _channels_first(part, opened).transpose(0, 3, 2, 1)


def write(path: Path, recording: xr.DataArray) -> None:
    """Write a volume; channels become the fourth axis."""
    import nibabel

    data = _storable(recording.values)
    data = data[0] if len(data) == 1 else np.moveaxis(data, 0, -1)
    affine = recording.attrs["affine"] if recording.attrs["kind"] == "volume" else None
    if affine is None:
        raise DataError(f"{path.name}: an image has no place in space; write .tif or .png.")
    if path.suffix.lower() in (".mgz", ".mgh"):
        known = _OF_MGH.get(data.dtype.name, data.dtype)
        if recording.attrs["unit"] == "um":  # MGH is in mm and says no unit
            affine = np.diag([1e-3] * 3 + [1.0]) @ affine
        nibabel.MGHImage(data.astype(known, copy=False), affine).to_filename(path)
        return
    single = ".img" not in path.suffixes and ".hdr" not in path.suffixes
    kind = nibabel.Nifti1Image if single else nibabel.Nifti1Pair
    made = kind(data, affine, dtype=data.dtype)
    _place(made, recording)
    made.to_filename(path)


def _load(path: Path) -> Any:
    import nibabel

    try:
        opened: Any = nibabel.load(path)
    except nibabel.filebasedimages.ImageFileError as error:
        raise DataError(
            f"{path}: is no NIfTI, Analyze or MGH file, its first bytes say something else; it is "
            "cut short or has a wrong suffix."
        ) from error
    except (nibabel.spatialimages.HeaderDataError, nibabel.wrapstruct.WrapStructError) as error:
        raise DataError(f"{path}: its header is damaged ({error}); copy it again.") from error
    if not hasattr(opened, "affine") or opened.affine is None:
        raise DataError(f"{path}: holds no voxels, only {type(opened).__name__}.")
    return opened


def _place(made: Any, recording: xr.DataArray) -> None:
    """Give a file the header fields of the grid it came from, if that is still its grid."""
    kept = recording.attrs.get("nifti")
    made.header.set_xyzt_units({"um": "micron", "px": "unknown"}.get(recording.attrs["unit"], "mm"))
    if kept is None:
        return
    header = made.header.copy()
    for name, value in kept.items():
        header[name] = value
    if np.array_equal(header.get_best_affine(), recording.attrs["affine"]):
        for name, value in kept.items():
            made.header[name] = value


def _storable(data: np.ndarray) -> np.ndarray:
    """Return types that every reader of NIfTI knows."""
    kinds = {"bool": np.uint8, "float16": np.float32, "int64": np.int32, "uint64": np.uint32}
    wanted = kinds.get(data.dtype.name)
    if wanted is None or data.dtype.kind in "iu" and (data != data.astype(wanted)).any():
        return data
    return data.astype(wanted)


def _values(part: Any, opened: Any) -> np.ndarray:
    """Return what a proxy holds in this machine's byte order; 32 bits where scaling made 64."""
    values = np.asanyarray(part)
    if values.dtype.names:
        return np.stack([values[name] for name in values.dtype.names], axis=-1)
    wanted = _scaled_type(opened) if _is_scaled(opened) else values.dtype.newbyteorder("=")
    return values.astype(wanted, copy=False)


def _to_the_end(opened: Any) -> np.ndarray:
    """Return the voxels, and read on: only at its end a packed file says whether it is whole."""
    import gzip

    from nibabel.fileholders import FileHolder

    with gzip.open(opened.file_map["image"].filename) as stream:
        holders = opened.file_map | {"image": FileHolder(fileobj=stream)}
        again = type(opened).from_file_map(holders)
        values = _values(again.dataobj, opened)
        stream.read()
    return values


def _is_scaled(opened: Any) -> bool:
    slope = getattr(opened.dataobj, "slope", 1.0)
    return bool((slope, getattr(opened.dataobj, "inter", 0.0)) != (1.0, 0.0))


def _scaled_type(opened: Any) -> type:
    return np.float64 if opened.get_data_dtype().itemsize > 2 else np.float32


def _count(opened: Any) -> int:
    if opened.get_data_dtype().names:
        return len(opened.get_data_dtype().names)
    return int(np.prod(opened.shape[3:], dtype=int))


def _channels_first(values: np.ndarray, opened: Any) -> np.ndarray:
    """Return (channel, x, y, z) of what has one to seven axes."""
    if values.ndim < 3:
        values = values.reshape((*values.shape, 1, 1)[:3])
    if opened.get_data_dtype().names and len(opened.shape) < 3:
        raise DataError("colour slices are not read; write them as .png or .tif.")
    values = values.reshape((*values.shape[:3], -1), order="F") if values.ndim > 3 else values
    return values[None] if values.ndim == 3 else np.moveaxis(values, 3, 0)


def _unit(opened: Any) -> str:
    if "xyzt_units" not in opened.header:
        return "mm"
    return "um" if _UNITS.get(int(opened.header["xyzt_units"]) & 7) == "um" else "mm"


def _notes(opened: Any) -> list[str]:
    """Say what is odd about the place of the voxels."""
    header = opened.header
    if "srow_x" not in header:
        return []
    notes = []
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if not sform and not qform:
        notes.append("The header says neither sform nor qform: sides and directions are unknown.")
    if sform and qform:
        off = np.abs(header.get_sform() - header.get_qform()).max()
        if off > 1e-2:
            notes.append(f"The header's sform and qform differ by {off:.3g}; the sform is used.")
    if _UNITS.get(int(header["xyzt_units"]) & 7) == "m":
        notes.append("The header gives metres; its numbers are taken as millimetres.")
    return notes
