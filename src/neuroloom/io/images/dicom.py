"""DICOM: a folder with one series, or one file with one or many frames, through pydicom.

Slices are sorted by where they lie, never by the name of their file. Not one tag about a person is
kept: what leaves this module is voxels, their grid, and sentences about the grid.

Source: DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16 (groups of frames), C.11.1 (rescale).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, image, volume
from neuroloom.io.images import ImageHeader, split_address

if TYPE_CHECKING:
    import xarray as xr

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNEVEN = 0.02  # of the distance of two slices
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Plane:
    """One slice: where it lies (mm, LPS) and how its numbers are scaled; `frame` in its file."""

    file: Path
    frame: int
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    slope: float
    intercept: float


@dataclass(frozen=True)
class _Stack:
    """The sorted slices of a series and what they share."""

    planes: list[Plane]
    affine: np.ndarray
    rows: int
    columns: int
    colours: int
    stored: tuple[int, str]  # bits of a number, and its kind as NumPy has it: "u", "i" or "f"
    notes: tuple[str, ...]


def holds_dicom(folder: Path) -> bool:
    """Tell whether a folder holds DICOM files itself, from the first of its files."""
    files = [item for item in sorted(folder.iterdir()) if item.is_file()][:20]
    return any(_is_dicom(item) for item in files)


def is_series(folder: Path) -> bool:
    """Tell whether the DICOM files of a folder are one image, or stacks that lie mixed.

    Where each is a series of its own, as X-rays are, they are several images.
    """
    return holds_dicom(folder) and not _are_single(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _are_single(folder: Path, changed: int) -> bool:
    """Tell whether there are several DICOM images, each a `.dcm` file and a series of its own.

    Two of a series, or two with a place in one room, end the search: of a stack two headers are
    read.
    """
    seen: set[str] = set()
    count = 0
    for item in sorted(folder.iterdir()):
        told = _whose(item) if item.is_file() and _is_dicom(item) else None
        if told is None:
            continue
        if not seen.isdisjoint(told) or item.suffix.lower() != ".dcm":
            return False
        seen.update(told)
        count += 1
    return count > 1


def _whose(file: Path) -> set[str] | None:
    """Return the series of an image, and the room that it has a place in; None if it is none."""
    from pydicom.filereader import read_partial

    try:
        with file.open("rb") as handle:
            header = _read(file, lambda: read_partial(handle, stop_when=_is_beyond_rows))
    except DataError:  # whoever reads it names it
        return None
    if "Rows" not in header:
        return None
    room = str(header.get("FrameOfReferenceUID", "")) if _has_place(header) else ""
    return {str(header.get("SeriesInstanceUID", "")), *([room] if room else [])}


def _is_beyond_rows(tag: int, kind: str | None, length: int) -> bool:
    return tag > 0x00280010


def read(path: Path) -> xr.DataArray:
    """Read a series as a volume, numbers rescaled; a picture without a place as an image.

    `folder::3` picks series number 3 of a folder with several; where several have that number,
    `folder::3.2` the second of these that was taken.
    """
    headers, notes = _headers(path)
    if not _has_place(headers[0][1]):
        return _picture(headers, notes)
    stack = _stacked(path, headers, notes)
    cache: dict[Path, np.ndarray] = {}
    slices = [_scaled(plane, _pixels(plane, cache), stack) for plane in stack.planes]
    data = np.stack(slices)  # z, y, x[, colour]
    data = data.transpose(2, 1, 0)[None] if data.ndim == 3 else data.transpose(3, 2, 1, 0)
    names = _COLOURS if stack.colours == 3 else None
    return volume(data, stack.affine, names, path.name, stack.notes)


def peek(path: Path) -> ImageHeader:
    """Read all headers of the series and no pixel."""
    headers, notes = _headers(path)
    if not _has_place(headers[0][1]):
        found = _picture(headers, notes)
        names, more = tuple(map(str, found.channel.values)), tuple(found.attrs["notes"])
        return ImageHeader(path.name, "image", found.shape[1:], names, found.attrs["spacing"],
                           found.attrs["unit"], found.dtype.name, more)  # fmt: skip
    stack = _stacked(path, headers, notes)
    shape = (len(stack.planes), stack.rows, stack.columns)
    names = _COLOURS if stack.colours == 3 else ("0",)
    spacing = affine_spacing(stack.affine)
    dtype = np.dtype(_type_of(stack)).name
    return ImageHeader(
        path.name, "volume", shape, names, spacing, "mm", dtype, stack.notes, stack.affine
    )


def planes(path: Path) -> list[Plane]:
    """Return the slices of a series in the order in which `read` stacks them."""
    headers, notes = _headers(path)
    return _stacked(path, headers, notes).planes


def _is_dicom(item: Path) -> bool:
    if item.name.startswith(".") or item.name.upper() == "DICOMDIR":
        return False
    if item.suffix.lower() == ".dcm":
        return True
    with item.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _headers(path: Path) -> tuple[list[tuple[Path, Any]], list[str]]:
    """Return the files of one series with their headers, and what was passed over."""
    place, wanted = split_address(path)
    if place.is_file():
        return [(place, _header(place))], []
    files = [item for item in sorted(place.iterdir()) if item.is_file()]
    dicom = [item for item in files if _is_dicom(item)]
    headers = [(item, _header(item)) for item in dicom]
    headers = [(item, header) for item, header in headers if "Rows" in header]
    if not headers:
        raise DataError(f"{place}: no DICOM file with an image is in this folder.")
    series = _addressed(headers)
    if wanted:
        return _picked(place, series, wanted), []
    if len(series) > 1:
        raise DataError(
            f"{place}: {len(series)} series are in one folder: {_listed(series)}. Move each into a "
            f"folder of its own, or pick one: '{place.name}::{next(iter(series))}'."
        )
    other = [item for item in files if item not in dicom]
    notes = [f"{len(other)} files beside the series are no DICOM images."] if other else []
    return headers, notes


def _addressed(headers: list[tuple[Path, Any]]) -> dict[str, list[tuple[Path, Any]]]:
    """Return address -> files of each series: its number, or 3.1 and 3.2 where two are number 3.

    These are in the order in which they were taken, as several visits in one folder were.
    """
    series: dict[str, list[tuple[Path, Any]]] = {}
    for item, header in headers:
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((item, header))
    numbered: dict[str, list[str]] = {}
    for uid in sorted(series, key=lambda uid: (_moment(series[uid][0][1]), uid)):
        numbered.setdefault(_number(series[uid][0][1]), []).append(uid)
    places = {}
    for number, uids in numbered.items():
        for count, uid in enumerate(uids, start=1):
            places[uid] = f"{number}.{count}" if len(uids) > 1 else number
    return {places[uid]: one for uid, one in series.items()}


def _number(header: Any) -> str:
    number = header.get("SeriesNumber")
    return "unnumbered" if number is None or number == "" else str(number)


def _moment(header: Any) -> tuple[str, ...]:
    """Return when a series was taken, as far as its header says."""
    names = ("StudyDate", "SeriesDate", "AcquisitionDate")
    times = ("StudyTime", "SeriesTime", "AcquisitionTime")
    return tuple(str(header.get(name, "")) for name in (*names, *times))


def _picked(
    place: Path, series: dict[str, list[tuple[Path, Any]]], wanted: str
) -> list[tuple[Path, Any]]:
    """Return the files of the series with an address."""
    if wanted in series:
        return series[wanted]
    same = {name: one for name, one in series.items() if name.startswith(f"{wanted}.")}
    if same:
        raise DataError(
            f"{place}: {len(same)} series have the number {wanted}: {_listed(same)}. They are "
            "counted in the order in which they were taken: pick "
            f"'{place.name}::{next(iter(same))}'."
        )
    raise DataError(f"{place}: has no series {wanted}; {_listed(series)}.")


def _listed(series: dict[str, list[tuple[Path, Any]]]) -> str:
    """Say address, modality, size and a file of each series; nothing that a person wrote."""
    said = []
    for name, one in series.items():
        file, header = one[0]
        size = f"{len(one)} files of {header.Columns} x {header.Rows}"
        kind = header.get("Modality", "?")
        said.append(f"series {name} ({kind}, {size}, such as {file.name})")
    return "; ".join(said)


def _header(file: Path) -> Any:
    import pydicom

    return _read(file, lambda: pydicom.dcmread(file, stop_before_pixels=True))


def _read(file: Path, work: Any) -> Any:
    """Call pydicom; its warnings and errors may quote tags, so their text is not passed on."""
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except InvalidDicomError as error:
        raise DataError(
            f"{file}: is no DICOM file, it does not begin like one, or it is cut short."
        ) from error
    except Exception as error:
        raise DataError(
            f"{file}: cannot be read as DICOM ({type(error).__name__}); it is cut short, or its "
            "pixels are compressed in a way that needs another package (pylibjpeg)."
        ) from None


def _has_place(header: Any) -> bool:
    if "PerFrameFunctionalGroupsSequence" in header:
        return "PlanePositionSequence" in header.PerFrameFunctionalGroupsSequence[0]
    return "ImagePositionPatient" in header and "ImageOrientationPatient" in header


def _stacked(path: Path, headers: list[tuple[Path, Any]], notes: list[str]) -> _Stack:
    """Sort the slices along their normal and check that they make one even stack."""
    found = [plane for file, header in headers for plane in _planes(file, header)]
    first = headers[0][1]
    for file, header in headers:
        if (header.Rows, header.Columns) != (first.Rows, first.Columns):
            raise DataError(
                f"{file}: is {header.Columns} x {header.Rows} pixels, the first of its series is "
                f"{first.Columns} x {first.Rows}; take it out of {path.name}."
            )
    across = np.array(found[0].orientation[:3])
    down = np.array(found[0].orientation[3:])
    normal = np.cross(across, down)
    for plane in found:
        off = np.abs(np.subtract(plane.orientation, found[0].orientation)).max()
        if off > 1e-3 or not np.allclose(plane.spacing, found[0].spacing, rtol=1e-4):
            raise DataError(
                f"{plane.file}: is turned or has another pixel size than the first slice of its "
                f"series (a scout?); take it out of {path.name}."
            )
    found.sort(key=lambda plane: float(np.dot(plane.position, normal)))
    step, more = _step(path, found, normal, first)
    affine = np.eye(4)
    affine[:3, 0] = across * found[0].spacing[1]
    affine[:3, 1] = down * found[0].spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = found[0].position
    if first.get("PhotometricInterpretation") == "MONOCHROME1":
        more = [*more, "Its numbers are shown inverted (MONOCHROME1): low is bright."]
    return _Stack(
        found, _LPS_TO_RAS @ affine, int(first.Rows), int(first.Columns),
        int(first.get("SamplesPerPixel", 1)),
        _stored(first), (*notes, *more),
    )  # fmt: skip


def _stored(header: Any) -> tuple[int, str]:
    """Return how many bits a number has, and its kind; fractions say no bits that are used."""
    if "BitsStored" not in header:
        return int(header.get("BitsAllocated", 32)), "f"
    return int(header.BitsStored), "i" if header.get("PixelRepresentation", 0) else "u"


def _ends(bits: int, kind: str) -> tuple[int, int]:
    """Return the smallest and the largest whole number that can be stored."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind == "i" else (0, 2**bits - 1)


def _step(
    path: Path, found: list[Plane], normal: np.ndarray, first: Any
) -> tuple[np.ndarray, list[str]]:
    """Return the way from one slice to the next, mm."""
    if len(found) == 1:
        given = first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1.0
        return normal * abs(float(given)), ["One slice; its thickness is taken as the distance."]
    along = np.array([float(np.dot(plane.position, normal)) for plane in found])
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    if usual <= 1e-4 or gaps.min() <= 1e-4:
        at = int(gaps.argmin())
        raise DataError(
            f"{path}: {_name(found[at])} and {_name(found[at + 1])} lie at the same place: several "
            "times, echoes or copies are in one series; put each into a folder of its own."
        )
    off = np.abs(gaps - usual)
    if off.max() > max(_UNEVEN * usual, 0.01):
        at = int(off.argmax())
        missing = round(gaps[at] / usual) - 1
        what = f"{missing} slices are missing" if missing > 0 else "the distances are uneven"
        raise DataError(
            f"{path}: between {_name(found[at])} and {_name(found[at + 1])} there are "
            f"{gaps[at]:.4g} mm, elsewhere {usual:.4g} mm: {what}. Copy the series again, or "
            "resample it."
        )
    total = np.subtract(found[-1].position, found[0].position)
    return total / (len(found) - 1), []


def _name(plane: Plane) -> str:
    return plane.file.name if plane.frame < 0 else f"frame {plane.frame + 1}"


def _planes(file: Path, header: Any) -> list[Plane]:
    """Return the slice of a file, or its frames."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        if int(header.get("NumberOfFrames", 1)) > 1:
            raise DataError(f"{file}: its frames have no positions; it is a film, not a volume.")
        return [_plane(file, -1, (header,), header)]
    if len(header.get("SegmentSequence", [])) > 1:
        raise DataError(
            f"{file}: is a DICOM Segmentation of several segments; write it as .nii.gz or .nrrd on "
            "the grid of its series (3D Slicer, or segimage2itkimage of dcmqi)."
        )
    shared = header.get("SharedFunctionalGroupsSequence", [None])[0]
    found = []
    for number, frame in enumerate(header.PerFrameFunctionalGroupsSequence):
        groups = [group for group in (frame, shared) if group is not None]
        place = _group(file, groups, "PlanePositionSequence")
        turn = _group(file, groups, "PlaneOrientationSequence")
        measures = _group(file, groups, "PixelMeasuresSequence")
        has_scale = any("PixelValueTransformationSequence" in group for group in groups)
        scale = _group(file, groups, "PixelValueTransformationSequence") if has_scale else {}
        found.append(_plane(file, number, (place, turn, measures), scale))
    return found


def _plane(file: Path, frame: int, places: tuple[Any, ...], scale: Any) -> Plane:
    """Return a slice from the parts of a header that say where it lies."""
    said: list[Any] = []
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        part = next((part for part in places if part.get(name)), None)
        if part is None:
            raise DataError(f"{file}: lacks {name}; where it lies is unknown.")
        said.append(tuple(float(value) for value in part.get(name)))
    position, orientation, sizes = said
    slope, intercept = scale.get("RescaleSlope", 1), scale.get("RescaleIntercept", 0)
    return Plane(file, frame, position, orientation, sizes, float(slope), float(intercept))


def _group(file: Path, groups: list[Any], name: str) -> Any:
    found = next((group[name][0] for group in groups if name in group), None)
    if found is None:
        raise DataError(f"{file}: its frames lack {name}; where they lie is unknown.")
    return found


def _pixels(plane: Plane, cache: dict[Path, np.ndarray]) -> np.ndarray:
    """Return one slice's stored numbers, (y, x) or (y, x, colour)."""
    import pydicom

    if plane.frame < 0:
        found: np.ndarray = _read(plane.file, lambda: pydicom.dcmread(plane.file).pixel_array)
        return found
    if plane.file not in cache:
        cache[plane.file] = _read(plane.file, lambda: pydicom.dcmread(plane.file).pixel_array)
    pixels = cache[plane.file]
    return pixels[plane.frame] if pixels.ndim > 2 else pixels


def _type_of(stack: _Stack) -> type:
    """Return the type after rescaling: as stored, whole numbers that fit, or float32."""
    bits, kind = stack.stored
    if kind == "f":
        return np.float64 if bits == 64 else np.float32
    factors = [number for plane in stack.planes for number in (plane.slope, plane.intercept)]
    low, high = _ends(bits, kind)
    if all(plane.slope == 1 and plane.intercept == 0 for plane in stack.planes):
        kinds: list[type] = [np.int8, np.int16, np.int32] if kind == "i" else [
            np.uint8, np.uint16, np.uint32]  # fmt: skip
        return next(one for one in kinds if np.iinfo(one).max >= high)
    if any(number != int(number) for number in factors):
        return np.float32
    ends = [end * plane.slope + plane.intercept for plane in stack.planes for end in (low, high)]
    return np.int16 if min(ends) >= -32768 and max(ends) <= 32767 else np.int32


def _scaled(plane: Plane, pixels: np.ndarray, stack: _Stack) -> np.ndarray:
    kind = _type_of(stack)
    if plane.slope == 1 and plane.intercept == 0:
        return pixels.astype(kind)
    return (pixels.astype(np.float64) * plane.slope + plane.intercept).astype(kind)


def _picture(headers: list[tuple[Path, Any]], notes: list[str]) -> xr.DataArray:
    """Read one X-ray or photograph, which has no place in space."""
    import pydicom

    file, header = headers[0]
    if len(headers) > 1 or int(header.get("NumberOfFrames", 1)) > 1:
        raise DataError(f"{file.parent}: its slices have no positions; they are no volume.")
    pixels = _read(file, lambda: pydicom.dcmread(file).pixel_array)
    if header.get("PhotometricInterpretation") == "MONOCHROME1" and pixels.dtype.kind in "iu":
        low, high = _ends(*_stored(header))
        pixels = (low + high - pixels.astype(np.int64)).astype(pixels.dtype)
        notes = [
            *notes,
            "Its numbers were inverted, as viewers do (MONOCHROME1): high is bright.",
        ]
    slope, inter = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
    if (slope, inter) != (1.0, 0.0):
        pixels = (pixels * slope + inter).astype(np.float32)
    data = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
    given = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    sizes = [float(size) for size in given] if given else [1.0, 1.0]
    unit = "mm" if given else "px"
    names = _COLOURS if len(data) == 3 else None
    return image(data, (sizes[0], sizes[1]), unit, names, file.name, notes)
