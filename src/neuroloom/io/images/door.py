"""The door to every format of images and volumes: `read_image`, `peek_image`, `write_image`.

Signals have theirs in `io.recordings.reader`. A format is a module that `core.registry.IMAGES`
names by suffix; it has `read(path)`, `peek(path)`, `write(path, recording)` and, where it can read
a part of a file, `crop(path, window)`.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core import registry
from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import check_there
from neuroloom.core.recording import voxel_share

if TYPE_CHECKING:
    import xarray as xr

# Part of a file's ending that says nothing about its format.
_DOUBLE = (".ome.tif", ".ome.tiff", ".ome.zarr")
_NATIVE_GZ = (".nii", ".img", ".hdr")  # of a pair the one half is looked for beside the other
_MICROMETRES = {"um": 1.0, "mm": 1e3}
_RIGHT = 1 - 1e-4  # of a box: what a voxel fills whose axes are at right angles but for a degree
_INTEGERS = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64)
# What the libraries raise when bytes are not what a format promises.
_BROKEN = (
    ValueError, LookupError, struct.error, ArithmeticError, EOFError, OSError, RuntimeError,
    zlib.error, SyntaxError, TypeError, AttributeError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """What a file says about its grid before its voxels are read.

    Attributes
    ----------
    source
        Name of the file, without its folder.
    kind
        "image" or "volume".
    shape, spacing
        In array order, (y, x) or (z, y, x), without the channels; sizes in `unit`.
    channels
        One name a channel.
    unit
        "mm", "um" or "px".
    dtype
        NumPy's name of the type that `read_image` gives.
    notes
        What a careful reader should know about the file, one sentence each.
    affine
        Shape (4, 4), RAS, from (x, y, z) indices; None for an image.
    folded
        Whether the file has three colours, which are equal everywhere and count as one channel.
    opaque
        Whether the file has an alpha channel that hides nothing and was left out.
    turned
        Whether the picture was turned upright, as its EXIF says.
    segments
        What a label calls its numbers, where its header says it.
    """

    source: str
    kind: str
    shape: tuple[int, ...]
    channels: tuple[str, ...]
    spacing: tuple[float, ...]
    unit: str
    dtype: str
    notes: tuple[str, ...] = ()
    affine: np.ndarray | None = None
    folded: bool = False
    opaque: bool = False
    turned: bool = False
    segments: Mapping[int, str] = field(default_factory=dict)

    @property
    def voxel(self) -> float:
        """Volume of a voxel (2-D: area of a pixel), also of one whose axes are askew."""
        return float(np.prod(self.spacing)) * voxel_share(self.affine)

    def given_in(self, unit: str) -> ImageHeader:
        """Return the same with its sizes in another unit of length.

        Raises
        ------
        DataError
            If one of the units is pixels and the other a length.

        Examples
        --------
        >>> stack = ImageHeader("a.tif", "image", (8, 8), ("0",), (500.0, 500.0), "um", "uint8")
        >>> stack.given_in("mm").spacing
        (0.5, 0.5)
        """
        if unit == self.unit:
            return self
        if "px" in (unit, self.unit):
            raise DataError(
                f"{self.source}: its pixels are in {self.unit}, expected {unit}: the one cannot be "
                "told from the other."
            )
        factor = _MICROMETRES[self.unit] / _MICROMETRES[unit]
        affine = None if self.affine is None else np.diag([factor] * 3 + [1.0]) @ self.affine
        spacing = tuple(size * factor for size in self.spacing)
        return replace(self, spacing=spacing, unit=unit, affine=affine)


def read_image(path: Path | str) -> xr.DataArray:
    """Read a file, or a folder that is one, as an `image` or a `volume` recording.

    Voxels stay in the order of the file; the affine says where they are.

    Parameters
    ----------
    path
        A file with a suffix of `core.registry.IMAGES`, or that suffix and `.gz`; a folder with a
        DICOM series or a Zarr store. `file.h5::name` picks an array inside.

    Returns
    -------
    Dims (channel, y, x) or (channel, x, y, z), of the type that is in the file unless it is scaled.

    Raises
    ------
    DataError
        If the file is missing, empty, cut short, or not what its suffix says.

    Examples
    --------
    >>> read_image("hippocampus_001.nii.gz").attrs["affine"]  # doctest: +SKIP
    """
    with _opened(path) as (module, plain):
        recording = module.read(plain)
    recording.attrs["source"] = source_name(path)
    recording.attrs["notes"] += _askew(recording.attrs.get("affine"))
    return recording


def read_label(path: Path | str) -> xr.DataArray:
    """Read a file as `read_image` does, but the numbers that a picture shows in colours.

    `attrs["colours"]` then says which number is shown in which (red, green, blue).

    Raises
    ------
    DataError
        As `read_image`.
    """
    with _opened(path) as (module, plain):
        recording: xr.DataArray = getattr(module, "read_label", module.read)(plain)
    recording.attrs["source"] = source_name(path)
    return recording


def peek_image(path: Path | str) -> ImageHeader:
    """Read what a file says about its grid, and no more of it than that takes.

    Raises
    ------
    DataError
        As `read_image`, as far as the header can tell.
    """
    with _opened(path) as (module, plain):
        header: ImageHeader = module.peek(plain)
    notes = (*header.notes, *_askew(header.affine))
    return replace(header, source=source_name(path), notes=notes)


def _askew(affine: np.ndarray | None) -> list[str]:
    """Say that the axes of a volume are not at right angles, if they are not."""
    share = voxel_share(affine)
    if not share < _RIGHT:
        return []
    angle = np.degrees(np.arccos(share))
    return [
        f"Its axes are not at right angles, by {angle:.2g} degrees, as those of a CT with a tilted "
        "gantry: volumes of what is segmented are right, but distances are taken along the axes, "
        "shapes are seen askew, and radiomics measures them so; resample it (dcm2niix does) if "
        "these matter."
    ]


def read_window(path: Path | str, window: Sequence[slice]) -> np.ndarray:
    """Read a part of a file, shape (channel, *axes); only that part where the format allows.

    Parameters
    ----------
    window
        One slice an axis, in array order: (y, x) or (z, y, x).

    Raises
    ------
    DataError
        As `read_image`, or if the window has another number of axes than the file.
    """
    window = tuple(window)
    with _opened(path) as (module, plain):
        if hasattr(module, "crop") and plain.suffix != ".gz":
            return np.asarray(module.crop(plain, window))
        array = to_array(module.read(plain))
    check_window(window, array.ndim - 1, source_name(path))
    return array[(slice(None), *window)]


def check_window(window: tuple[slice, ...], axes: int, name: str) -> None:
    """Refuse a window with another number of axes than the array has."""
    if len(window) != axes:
        raise DataError(f"{name}: has {axes} axes, the window has {len(window)} slices.")


def write_image(
    path: Path | str, content: np.ndarray | xr.DataArray, like: xr.DataArray | None = None
) -> Path:
    """Write an image or a volume; on the grid of `like`, with exactly its affine.

    Parameters
    ----------
    path
        Its suffix names the format.
    content
        A recording, or an array in array order, (y, x) or (z, y, x), with or without channels
        before; whole numbers become the smallest type that holds them.
    like
        The recording whose grid an array is on.

    Raises
    ------
    DataError
        If the array is not on the grid of `like`, or the format cannot hold it.

    Examples
    --------
    >>> write_image("seg.nii.gz", label, like=read_image("t1.nii.gz"))  # doctest: +SKIP
    """
    path, inside = split_address(path)
    recording = content if like is None else on_grid(content, like)
    if not hasattr(recording, "attrs"):
        raise DataError(f"{path}: an array says nothing about its grid; give like=recording.")
    module = _module(path)
    if not hasattr(module, "write"):
        raise DataError(f"{path}: '{image_suffix(path)}' can be read only; write .nii.gz or .tif.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written next door and moved: a reader never sees half a file, or one of two.
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        address = Path(f"{partial}::{inside}") if inside else partial
        _write_through(module, address, partial, recording)
        for made in Path(folder).iterdir():
            place = path.parent / made.name
            if place.is_dir():
                shutil.rmtree(place)
            made.replace(place)
    return path


def on_grid(content: np.ndarray | xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return `content` as a recording on the grid of `like`; whole numbers in their smallest type.

    Raises
    ------
    DataError
        If it has another shape.
    """
    import xarray as xr

    if isinstance(content, xr.DataArray):
        array = to_array(content)
    else:
        array = smallest_type(np.asarray(content))
    axes = to_array(like).shape[1:]
    if array.shape[-len(axes) :] != axes or array.ndim not in (len(axes), len(axes) + 1):
        raise DataError(
            f"{like.attrs.get('source') or 'image'}: its grid is {axes}, the array to write on it "
            f"has the shape {array.shape}."
        )
    array = array if array.ndim > len(axes) else array[None]
    data = array.transpose(0, *range(array.ndim - 1, 0, -1)) if like.ndim == 4 else array
    names = like.channel.values if len(data) == len(like) else np.arange(len(data)).astype(str)
    attrs = {**like.attrs, "notes": []}
    return xr.DataArray(data, dims=like.dims, coords={"channel": names}, attrs=attrs)


def to_array(recording: xr.DataArray) -> np.ndarray:
    """Return the values in array order: (channel, y, x) or (channel, z, y, x); a view.

    Examples
    --------
    >>> from neuroloom.core.recording import volume
    >>> to_array(volume(np.zeros((4, 5, 6)), np.eye(4))).shape
    (1, 6, 5, 4)
    """
    values = recording.values
    return values.transpose(0, 3, 2, 1) if recording.attrs["kind"] == "volume" else values


def smallest_type(array: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest integer type that holds them; floats as they are.

    Examples
    --------
    >>> smallest_type(np.array([0, 1, 300])).dtype, smallest_type(np.array([-1, 7])).dtype
    (dtype('int16'), dtype('int16'))
    """
    if array.dtype.kind not in "biu" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    fits = (kind for kind in _INTEGERS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return array.astype(next(fits, array.dtype))


def is_image(path: Path | str) -> bool:
    """Tell from the suffix alone whether there is a reader; look inside for a folder without one.

    Examples
    --------
    >>> is_image("brain.nii.gz"), is_image("notes.txt")
    (True, False)
    """
    from neuroloom.io.images.dicom import holds_dicom, is_series

    path, inside = split_address(path)
    if _key(path) in registry.table("image"):
        return True
    return path.is_dir() and (holds_dicom if inside else is_series)(path)


def image_suffix(path: Path | str) -> str:
    """Return the whole ending that says what a file is; "" for a folder with a DICOM series.

    Examples
    --------
    >>> image_suffix("a/sub-01.T1.nii.gz"), image_suffix("cells.ome.TIF"), image_suffix("x.h5::raw")
    ('.nii.gz', '.ome.TIF', '.h5')
    """
    path, _ = split_address(path)
    plain = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    if (key := Path(plain).suffix.lower()) not in registry.table("image"):
        return ""
    double = next((end for end in _DOUBLE if plain.lower().endswith(end)), key)
    return path.name[len(plain) - len(double) :]


def image_stem(path: Path | str) -> str:
    """Return the name of a file without `image_suffix`, and without "::name".

    Examples
    --------
    >>> image_stem("a/sub-01.T1.nii.gz")
    'sub-01.T1'
    """
    name = split_address(path)[0].name
    return name.removesuffix(image_suffix(path)) if image_suffix(path) else name


def split_address(path: Path | str) -> tuple[Path, str]:
    """Split "file.h5::group/raw" into the file and the name inside it, "" if there is none.

    Examples
    --------
    >>> split_address("cells.zarr::labels/0")[1]
    'labels/0'
    """
    file, _, inside = str(path).partition("::")
    return Path(file), inside


def source_name(path: Path | str) -> str:
    """Return the name of a file without its folder, with what was picked inside it."""
    file, inside = split_address(path)
    return f"{file.name}::{inside}" if inside else file.name


def _key(path: Path) -> str:
    """Return the key of `core.registry.IMAGES`: ".nii" for x.NII.gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _module(path: Path) -> Any:
    from neuroloom.io.images.dicom import holds_dicom

    if _key(path) in registry.table("image"):
        return registry.load("image", _key(path))
    if path.is_dir() and holds_dicom(path):
        return registry.load("image", ".dcm")
    known = registry.names("image")
    what = "has no DICOM files and is no Zarr store" if path.is_dir() else "has no reader"
    raise DataError(
        f"{path}: '{_key(path) or path.name}' {what}.{nearest(_key(path), known)} Readable are "
        f"{', '.join(known)}, each also as .gz, and folders with a DICOM series."
    )


@contextmanager
def _opened(path: Path | str) -> Iterator[tuple[Any, Path]]:
    """Yield the format's module and a path that it reads; its errors come out naming the file."""
    file, inside = split_address(path)
    _check_whole(file)
    module = _module(file)
    with _uncompressed(file) as plain, _named(plain, file):
        yield module, Path(f"{plain}::{inside}") if inside else plain


def _check_whole(path: Path) -> None:
    check_there(path)
    if path.is_dir():
        return
    try:
        with path.open("rb") as handle:
            first = handle.read(1)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}).") from error
    if not first:
        raise DataError(f"{path}: the file is empty (0 bytes); copy it again or leave it out.")


@contextmanager
def _uncompressed(path: Path) -> Iterator[Path]:
    """Yield `path`, or a temporary file with what its `.gz` holds where the format has no gzip."""
    if path.suffix.lower() != ".gz" or _key(path) in _NATIVE_GZ:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="neuroloom-") as folder:
        plain = Path(folder) / path.name[: -len(".gz")]
        try:
            with gzip.open(path, "rb") as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(_no_gzip(path, error)) from error
        yield plain


@contextmanager
def _named(plain: Path, path: Path) -> Iterator[None]:
    """Let errors name the file that the user has, and own up to none but ours."""
    try:
        yield
    except DataError as error:
        text = str(error).replace(str(plain), str(path))
        raise DataError(text if str(path) in text else f"{path}: {text}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(_no_gzip(path, error)) from error
    except _BROKEN as error:
        said = " ".join(str(error).replace(str(plain), path.name).split())[:200].rstrip(". ")
        raise DataError(
            f"{path}: cannot be read as '{image_suffix(path) or 'DICOM'}' ({said}); it is cut "
            "short or is something else; copy it again."
        ) from error


def _no_gzip(path: Path, error: Exception) -> str:
    return f"{path}: not a whole gzip file ({error}); copy it again."


def _write_through(module: Any, address: Path, partial: Path, recording: xr.DataArray) -> None:
    """Let a module write; where it knows no gzip, pack afterwards what it wrote."""
    if partial.suffix.lower() != ".gz" or _key(partial) in _NATIVE_GZ:
        module.write(address, recording)
        return
    with tempfile.TemporaryDirectory(prefix="neuroloom-") as folder:
        plain = Path(folder) / partial.name[: -len(".gz")]
        module.write(plain, recording)
        with plain.open("rb") as unpacked, gzip.open(partial, "wb") as packed:
            shutil.copyfileobj(unpacked, packed, 1 << 20)
