"""NRRD and MetaImage (.nrrd, .nhdr, .mha, .mhd) through SimpleITK.

ITK counts to the left and the back (LPS), we to the right and the front (RAS): the first two rows
of the affine change sign. Lengths are in mm: the files say no unit.
Source: https://teem.sourceforge.net/nrrd/format.html; ITK's MetaIO.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, image, volume
from neuroloom.io.images import ImageHeader

if TYPE_CHECKING:
    import xarray as xr

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_FORMATS = {
    ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO",
}  # fmt: skip


def read(path: Path) -> xr.DataArray:
    """Read a file with two, three or four axes; components and times become channels."""
    import SimpleITK

    reader = _reader(path)
    _check_size(path, reader)
    opened = reader.Execute()
    values = SimpleITK.GetArrayFromImage(opened)
    if opened.GetNumberOfComponentsPerPixel() > 1:
        values = np.moveaxis(values, -1, 0)
    axes = opened.GetDimension()
    if axes == 4 and values.ndim == 5:
        values = values.reshape(-1, *values.shape[2:])
    if axes == 2:
        found = image(values, opened.GetSpacing()[::-1], "mm", source=path.name)
    else:
        values = values if values.ndim == 4 else values[None]
        found = volume(values.transpose(0, 3, 2, 1), _affine(opened), source=path.name)
    found.attrs["itk"] = _place(opened)
    return found


def peek(path: Path) -> ImageHeader:
    """Read the header only."""
    import SimpleITK

    opened = _reader(path)
    size, axes = opened.GetSize(), opened.GetDimension()
    count = opened.GetNumberOfComponents() * (size[3] if axes == 4 else 1)
    shape = tuple(int(length) for length in size[: min(axes, 3)][::-1])
    affine = None if axes == 2 else _affine(opened)
    spacing = opened.GetSpacing()[::-1] if affine is None else affine_spacing(affine)
    word = SimpleITK.GetPixelIDValueAsString(opened.GetPixelID()).replace("vector of ", "")
    return ImageHeader(
        source=path.name,
        kind="image" if affine is None else "volume",
        shape=shape,
        channels=tuple(str(i) for i in range(count)),
        spacing=tuple(map(float, spacing)),
        unit="mm",
        dtype=_dtype(word),
        affine=affine,
        segments=_segments(opened),
    )


def write(path: Path, recording: xr.DataArray) -> None:
    """Write an image or a volume; channels become the components of a voxel."""
    import SimpleITK

    values = recording.values
    values = values.astype(np.uint8) if values.dtype == bool else values
    values = values.astype(np.float32) if values.dtype.name == "float16" else values
    flat = recording.attrs["kind"] == "image"
    values = values if flat else values.transpose(0, 3, 2, 1)
    several = len(values) > 1
    values = np.ascontiguousarray(np.moveaxis(values, 0, -1) if several else values[0])
    made = SimpleITK.GetImageFromArray(values, isVector=several)
    for setter, value in (_flat_place if flat else _decomposed)(recording).items():
        getattr(made, f"Set{setter}")(value)
    SimpleITK.WriteImage(made, str(path), useCompression=True)


def _reader(path: Path) -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    # ITK itself would not know a suffix in capitals.
    reader.SetImageIO(_FORMATS[path.suffix.lower()])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DataError(
            f"{path}: is no NRRD or MetaImage file, it begins otherwise or its header is cut short."
        ) from error
    if not 2 <= reader.GetDimension() <= 4:
        raise DataError(f"{path}: has {reader.GetDimension()} axes, expected two to four.")
    return reader


def _segments(reader: Any) -> dict[int, str]:
    """Return number -> name of the segments that 3D Slicer keeps in a header (.seg.nrrd)."""
    found = {}
    for key in reader.GetMetaDataKeys():
        match = re.fullmatch(r"(Segment\d+_)LabelValue", key)
        if match and reader.HasMetaDataKey(name := f"{match[1]}Name"):
            found[int(reader.GetMetaData(key))] = str(reader.GetMetaData(name))
    return found


def _check_size(path: Path, reader: Any) -> None:
    """Refuse a raw file that is cut short: MetaIO fills up with whatever is in memory."""
    head = path.open("rb").read(65536)
    if not head.startswith(b"ObjectType") and b"ElementDataFile" not in head:
        return
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[:60]:
        key, _, value = line.partition(b"=")
        fields.setdefault(key.strip(), value.strip())
    data = fields.get(b"ElementDataFile", b"LOCAL").decode(errors="replace")
    if fields.get(b"CompressedData", b"False").lower() == b"true":
        needed = int(fields.get(b"CompressedDataSize", b"0"))
    else:
        needed = _bytes_needed(reader)
    if data == "LOCAL":
        start = head.index(b"\n", head.index(b"ElementDataFile")) + 1
        there = path.stat().st_size - start
    elif (path.parent / data).is_file():
        there = (path.parent / data).stat().st_size
    else:
        raise DataError(f"{path}: its voxels are in '{data}', which is not beside it.")
    if there < needed:
        raise DataError(f"{path}: is cut short, {there} bytes of voxels of {needed} are there.")


def _bytes_needed(reader: Any) -> int:
    import SimpleITK

    word = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID()).replace("vector of ", "")
    size = np.dtype(_dtype(word)).itemsize
    return int(np.prod(reader.GetSize())) * size * int(reader.GetNumberOfComponents())


def _dtype(word: str) -> str:
    """Return NumPy's name of "16-bit signed integer" or "32-bit float"."""
    bits = word.split("-")[0]
    kind = "float" if "float" in word else "uint" if "unsigned" in word else "int"
    return f"{kind}{bits}"


def _affine(opened: Any) -> np.ndarray:
    axes = opened.GetDimension()
    direction = np.array(opened.GetDirection()).reshape(axes, axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(opened.GetSpacing())[:3]
    affine[:3, 3] = opened.GetOrigin()[:3]
    return _FLIP @ affine


def _place(opened: Any) -> dict[str, tuple[float, ...]]:
    axes = opened.GetDimension()
    direction = np.array(opened.GetDirection()).reshape(axes, axes)[:3, :3]
    return {
        "Spacing": opened.GetSpacing()[:3],
        "Origin": opened.GetOrigin()[:3],
        "Direction": tuple(map(float, direction.ravel())),
    }


def _flat_place(recording: xr.DataArray) -> dict[str, tuple[float, ...]]:
    """Return the size of the pixels of an image, and where ITK was told that it lies."""
    sizes = recording.attrs["spacing"][::-1]
    kept: dict[str, tuple[float, ...]] = recording.attrs.get("itk", {})
    return kept | {"Spacing": tuple(size * _scale(recording) for size in sizes)}


def _scale(recording: xr.DataArray) -> float:
    """Return how many mm, the unit of these files, its unit is."""
    return 1e-3 if recording.attrs["unit"] == "um" else 1.0


def _decomposed(recording: xr.DataArray) -> dict[str, tuple[float, ...]]:
    """Return what ITK was told when it was read, else the affine taken apart.

    Raises
    ------
    DataError
        If the affine shears, which ITK cannot hold.
    """
    affine = _FLIP @ np.diag([_scale(recording)] * 3 + [1.0]) @ recording.attrs["affine"]
    kept: dict[str, tuple[float, ...]] | None = recording.attrs.get("itk")
    if kept is not None:
        again = np.reshape(kept["Direction"], (3, 3)) * np.array(kept["Spacing"])
        if np.array_equal(again, affine[:3, :3]) and np.array_equal(kept["Origin"], affine[:3, 3]):
            return kept
    sizes = np.array(affine_spacing(affine)[::-1])
    direction = affine[:3, :3] / sizes
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise DataError("the axes of its grid are not at right angles; write .nii.gz.")
    return {
        "Spacing": tuple(map(float, sizes)),
        "Origin": tuple(map(float, affine[:3, 3])),
        "Direction": tuple(map(float, direction.ravel())),
    }
