"""TIFF through tifffile: pictures, stacks, ImageJ's and OME's, BigTIFF, compressed or not.

A file with one page is an image; one with several is a volume, whose affine holds nothing but the
size of a voxel. That is in micrometres where the file says so, else in pixels. Of a pyramid the
finest level is read; a file with several images is refused, since it would be read in part.

Sources: TIFF 6.0; ImageJ's metadata as tifffile reads them; OME-TIFF 2016-06.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import affine_spacing, image, volume
from neuroloom.io.images import ImageHeader, check_window

if TYPE_CHECKING:
    import xarray as xr

_MICROMETRES = {
    "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "\\u00b5m": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "m": 1e6,
}  # fmt: skip
_STACK_AXES = "ZQIT"  # depth, unknown, sequence, time: what pages can be
_CENTIMETRE = 3
_SHOWN = 5  # sizes of images in a message
# What scanners of slides put beside the slide, with and without the word "image".
_PREVIEWS = ("thumbnail", "label", "macro", "overview", "map")
# Tags: of PhotometricInterpretation the colours, of ExtraSamples both kinds of alpha.
_RGB, _ALPHA = 2, ((1,), (2,))
_CUT = (
    "invalid page offset",
    "corrupted",
    "invalid value offset",
    "invalid offset",
    "missing data",
)


def read(path: Path) -> xr.DataArray:
    """Read a file; an uncompressed one is mapped into memory, and read when it is used."""
    with _opened(path) as file:
        series = file.series[0]
        sizes, unit, notes = _sizes(file)
        data, more = _ordered(_values(path, file), _axes(path, series))
        names = _names(file, len(data))
    notes = [*notes, *more]
    if data.ndim == 3:
        data, names, notes = _grey(data, names, notes)
        return image(data, sizes[1:], unit, names, path.name, notes)
    data = data.transpose(0, 3, 2, 1)
    return volume(data, np.diag([*sizes[::-1], 1.0]), names, path.name, notes, unit)


def peek(path: Path) -> ImageHeader:
    """Read the tags; of colours also the pixels, which say whether they are grey."""
    with _opened(path) as file:
        series = file.series[0]
        sizes, unit, notes = _sizes(file)
        # No memory is touched behind a zero stride.
        empty = np.broadcast_to(np.zeros((), series.dtype), series.shape)
        data, more = _ordered(empty, _axes(path, series))
        own = _names(file, len(data))
    coloured = data.ndim == 3 and own[0] == "red"
    if coloured:
        found = read(path)
        names, notes = tuple(map(str, found.channel.values)), found.attrs["notes"]
    else:
        names, notes = tuple(own), [*notes, *more]
    grid = data.shape[1:]
    affine = None if data.ndim == 3 else np.diag([*sizes[::-1], 1.0])
    spacing = sizes[1:] if affine is None else affine_spacing(affine)
    kind = "image" if affine is None else "volume"
    dtype = series.dtype.newbyteorder("=").name
    return ImageHeader(
        path.name, kind, grid, names, spacing, unit, dtype, tuple(notes), affine,
        coloured and len(names) == 1, own[-1] == "alpha" != names[-1],
    )  # fmt: skip


def crop(path: Path, window: tuple[slice, ...]) -> np.ndarray:
    """Read a window, (channel, *axes), from the pages it lies on."""
    with _opened(path) as file:
        series = file.series[0]
        axes = _axes(path, series)
        if len(window) == 3 and axes == "ZYX" and series.dataoffset is None:
            pages = range(*window[0].indices(series.shape[0]))
            part = [series.pages[page].asarray()[window[1:]] for page in pages]
            return np.stack(part)[None]
        data, _ = _ordered(_values(path, file), axes)
        names = _names(file, len(data))
    check_window(window, data.ndim - 1, path.name)
    if data.ndim == 3:
        data, _, _ = _grey(data, names, [])
    return np.array(data[(slice(None), *window)])


def write(path: Path, recording: xr.DataArray) -> None:
    """Write for ImageJ where its types suffice, else, and for `.ome.tif`, as OME-TIFF.

    Only the size of a voxel is kept of an affine, and names of channels in OME-TIFF only.
    """
    import tifffile

    data, sizes, axes = _pages(recording)
    data = data.astype(np.uint8) if data.dtype == bool else data
    ome = ".ome." in path.name.lower() or data.dtype.name not in ("uint8", "uint16", "float32")
    unit = recording.attrs["unit"]
    data = data.astype(np.float64) if data.dtype.name == "float16" else data
    data = data.astype(np.int32) if data.dtype.name == "int64" else data
    if ome:
        written = {"mm": "mm", "um": "µm"}.get(unit, "pixel")
        facts: dict[str, Any] = {"axes": axes}
        if "C" in axes:
            facts["Channel"] = {"Name": [str(name) for name in recording.channel.values]}
        for axis, size in zip("ZYX"[-len(sizes) :], sizes, strict=True):
            facts |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": written}
        tifffile.imwrite(path, data, ome=True, metadata=facts, photometric="minisblack")
        return
    facts = {"axes": axes, "unit": {"mm": "mm", "um": "um"}.get(unit, "pixel")}
    facts |= {"spacing": sizes[0]} if len(sizes) == 3 else {}
    resolution = (1 / sizes[-1], 1 / sizes[-2])
    tifffile.imwrite(
        path, data, imagej=True, resolution=resolution, metadata=facts, photometric="minisblack"
    )


def _pages(recording: xr.DataArray) -> tuple[np.ndarray, tuple[float, ...], str]:
    """Return the pages in tifffile's order, (z, channel, y, x) or less, and the sizes."""
    values = recording.values
    if recording.attrs["kind"] == "image":
        one = len(values) == 1
        return values[0] if one else values, recording.attrs["spacing"], "YX" if one else "CYX"
    sizes = affine_spacing(recording.attrs["affine"])
    pages = values.transpose(3, 0, 2, 1)  # z, channel, y, x
    one = len(values) == 1
    return pages[:, 0] if one else pages, sizes, "ZYX" if one else "ZCYX"


def _opened(path: Path) -> Any:
    import tifffile

    with _listening() as heard:
        try:
            file = tifffile.TiffFile(path)
            found = file.series[0].shape if len(file.pages) and file.series else ()
        except tifffile.TiffFileError as error:
            raise DataError(f"{path}: is no TIFF file, it begins otherwise ({error}).") from error
    size = path.stat().st_size
    tags: Any = getattr(file.pages[0], "tags", ()) if found else ()
    over = any(tag.valueoffset + tag.valuebytecount > size for tag in tags)
    if not found or over or any(word in line for line in heard for word in _CUT):
        file.close()
        raise DataError(f"{path}: its pages do not end where the file does; it is cut short.")
    images = [series for series in file.series if not _is_preview(series, file.series[0])]
    if len(images) > 1:
        file.close()
        sizes = ", ".join(" x ".join(map(str, series.shape)) for series in images[:_SHOWN])
        more = ", …" * (len(images) > _SHOWN)
        raise DataError(
            f"{path}: holds {len(images)} images, of {sizes}{more}, and a file is read as one; "
            "write each into a file of its own (Fiji: Bio-Formats, open all series)."
        )
    return file


def _is_preview(series: Any, first: Any) -> bool:
    """Tell a coarse copy of the first image, or a photograph of the slide, from another image."""
    named = (series.name or "").casefold().removesuffix(" image") in _PREVIEWS
    return series is not first and bool(named or series.keyframe.is_reduced)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what tifffile logs: it reads the pages that are left and only mentions the others."""
    heard: list[str] = []
    logger, handler = logging.getLogger("tifffile"), logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield heard
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _values(path: Path, file: Any) -> np.ndarray:
    """Return the pixels, mapped where they lie in one piece."""
    series = file.series[0]
    if series.dataoffset is not None and series.dtype.isnative:
        end = series.dataoffset + int(np.prod(series.shape)) * series.dtype.itemsize
        if end > path.stat().st_size:
            raise DataError(f"{path}: is cut short, {end} bytes were expected.")
        return np.memmap(path, series.dtype, "r", series.dataoffset, series.shape)
    values = series.asarray()
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _axes(path: Path, series: Any) -> str:
    """Return one letter an axis out of C, Z, Y, X; the one that pages run along is Z."""
    axes, shape = series.axes, series.shape
    long = [
        axis for axis, size in zip(axes, shape, strict=True) if axis in _STACK_AXES and size > 1
    ]
    if len(long) > 1:
        raise DataError(
            f"{path}: its axes {axes} of {shape} are a stack at several times; write one time a "
            "file."
        )
    depth = long[0] if long else ""
    known = "".join("C" if axis in "SC" else "Z" if axis == depth else axis for axis in axes)
    if known.count("C") > 1 or known.count("Y") != 1 or known.count("X") != 1:
        raise DataError(f"{path}: its axes are {axes} of {shape}; expected Z, C, Y and X.")
    return known


def _ordered(values: np.ndarray, axes: str) -> tuple[np.ndarray, list[str]]:
    """Return (channel, [z,] y, x)."""
    single = tuple(i for i, axis in enumerate(axes) if axis not in "CZYX")
    if any(values.shape[i] > 1 for i in single):
        raise DataError(f"its axes are {axes} of {values.shape}; expected Z, C, Y and X.")
    values = values.squeeze(single) if single else values
    axes = "".join(axis for i, axis in enumerate(axes) if i not in single)
    if "Z" in axes and values.shape[axes.index("Z")] == 1:
        values, axes = values.squeeze(axes.index("Z")), axes.replace("Z", "")
    order = [axes.index(axis) for axis in "CZYX" if axis in axes]
    values = values.transpose(order)
    return (values if "C" in axes else values[None]), []


def _names(file: Any, count: int) -> list[str]:
    """Return names of channels, as OME has them where it names each.

    A fourth beside colours is alpha only where the tags say so.
    """
    series = file.series[0]
    if count == 1:
        return ["grey"]
    if file.is_ome and len(own := _ome_names(file.ome_metadata)) == count:
        return own
    if series.dtype.name == "uint8" and (count == 3 or (count == 4 and _has_alpha(series))):
        return ["red", "green", "blue", "alpha"][:count]
    return [str(i) for i in range(count)]


def _ome_names(text: str) -> list[str]:
    """Return the names of the channels of the first image; none where one lacks or comes twice."""
    items = ElementTree.fromstring(text).iter()
    pixels = next(item for item in items if item.tag.endswith("Pixels"))
    channels = [item for item in pixels if item.tag.endswith("Channel")]
    names = [item.attrib.get("Name", "").strip() for item in channels]
    return names if all(names) and len(set(names)) == len(names) else []


def _has_alpha(series: Any) -> bool:
    page = series.keyframe
    return page.photometric == _RGB and tuple(page.extrasamples) in _ALPHA


def _grey(
    data: np.ndarray, names: list[str], notes: list[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Leave out an alpha that hides nothing and colours that are grey."""
    if names[:1] != ["red"]:
        return data, names, notes
    if len(data) == 4 and (data[3] == 255).all():
        data, names = data[:3], names[:3]
        notes = [*notes, "Its alpha channel is opaque everywhere and was left out."]
    if len(data) == 3 and (data[0] == data[1]).all() and (data[0] == data[2]).all():
        return data[:1], ["grey"], [*notes, "Its three colours are equal everywhere: one channel."]
    return data, names, notes


def _sizes(file: Any) -> tuple[tuple[float, float, float], str, list[str]]:
    """Return (dz, dy, dx), their unit, and notes on sizes that are missing."""
    if file.is_ome:
        sizes, unit = _ome_sizes(file.ome_metadata)
    elif file.is_imagej:
        sizes, unit = _imagej_sizes(file)
    else:
        sizes, unit = _tag_sizes(file.pages[0], _CENTIMETRE, 1e4)
    if unit == "px":
        return (sizes if min(sizes) > 0 else (1.0, 1.0, 1.0)), "px", []
    notes = []
    if not sizes[0] > 0:
        sizes = (sizes[1], sizes[1], sizes[2])
        if len(file.pages) > 1:
            notes = ["The distance of its pages is not given; that of its rows is assumed."]
    return sizes, unit, notes


def _ome_sizes(text: str) -> tuple[tuple[float, float, float], str]:
    """Return `PhysicalSizeZ`, Y and X; without a unit that we know, their numbers as pixels."""
    items = ElementTree.fromstring(text).iter()
    said = next(item for item in items if item.tag.endswith("Pixels")).attrib
    depth, height, width = (float(said.get(f"PhysicalSize{axis}", "0")) for axis in "ZYX")
    words = [said.get(f"PhysicalSize{axis}Unit", "µm").lower() for axis in "ZYX"]
    scales = [_MICROMETRES.get(word, 0.0) for word in words]
    if not (height > 0 and width > 0 and scales[1] and scales[2]):
        return (depth or 1.0, height or 1.0, width or 1.0), "px"
    if words[1] == words[2] == "mm":
        return (depth * scales[0] / 1e3, height, width), "mm"
    return (depth * scales[0], height * scales[1], width * scales[2]), "um"


def _imagej_sizes(file: Any) -> tuple[tuple[float, float, float], str]:
    facts = file.imagej_metadata or {}
    said = str(facts.get("unit", "")).strip().lower()
    scale = _MICROMETRES.get(said)
    sizes, unit = _tag_sizes(file.pages[0], None, scale or 1.0)
    if unit == "px" or scale is None:
        depth = float(facts.get("spacing", 1.0)) or 1.0
        return ((depth, *sizes[1:]) if said == "pixel" and unit != "px" else (1.0, 1.0, 1.0)), "px"
    depth = abs(float(facts.get("spacing", 0.0))) * scale
    if said in ("mm", "millimeter"):
        return (depth / 1e3, sizes[1] / 1e3, sizes[2] / 1e3), "mm"
    return (depth, *sizes[1:]), "um"


def _tag_sizes(
    page: Any, wanted: int | None, scale: float
) -> tuple[tuple[float, float, float], str]:
    """Return what the resolution tags say; dots an inch are a printer's, and not believed."""
    tags = page.tags
    unit = int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2
    if "XResolution" not in tags or "YResolution" not in tags or wanted not in (None, unit):
        return (1.0, 1.0, 1.0), "px"
    per = [tags[f"{axis}Resolution"].value for axis in "YX"]
    if not all(top and bottom for top, bottom in per):
        return (1.0, 1.0, 1.0), "px"
    height, width = (scale * bottom / top for top, bottom in per)
    return (0.0, height, width), "um"
