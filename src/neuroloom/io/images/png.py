"""PNG, JPEG and BMP through Pillow: what a viewer shows, as numbers.

A palette is looked up, one bit becomes 0 and 255, and colours that are all grey become one channel.
The resolution in such files is that of a screen, so the size of a pixel is unknown ("px").
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import image
from neuroloom.io.images import ImageHeader

if TYPE_CHECKING:
    import xarray as xr

_COLOURS = ("red", "green", "blue", "alpha")
_TURNED = 274  # EXIF: how the camera was held


def read(path: Path) -> xr.DataArray:
    """Read a picture as (channel, y, x) of whole numbers."""
    data, notes = _pixels(path)
    names = ("grey",) if len(data) == 1 else _COLOURS[: len(data)]
    return image(data, channels=names, source=path.name, notes=notes)


def peek(path: Path) -> ImageHeader:
    """Read the header; of colours also the pixels, which say whether they are grey."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            size, mode = opened.size, opened.mode
    types = {"L": "uint8", "1": "uint8", "I;16": "uint16", "I;16B": "uint16"}
    if mode in types:
        shape, dtype = (size[1], size[0]), types[mode]
        return ImageHeader(path.name, "image", shape, ("grey",), (1.0, 1.0), "px", dtype)
    found = read(path)
    names, notes = tuple(map(str, found.channel.values)), tuple(found.attrs["notes"])
    shape, dtype = found.shape[1:], found.dtype.name
    return ImageHeader(path.name, "image", shape, names, (1.0, 1.0), "px", dtype, notes)


def write(path: Path, recording: xr.DataArray) -> None:
    """Write a picture of 8 or 16 bits.

    Raises
    ------
    DataError
        If it is a volume, has fractions or more than 16 bits, or would be a lossy label.
    """
    from PIL import Image

    if recording.attrs["kind"] != "image":
        raise DataError(f"{path.name}: a picture has two axes, this is a volume; write .nii.gz.")
    data = recording.values
    if data.dtype == bool:
        data = data.astype(np.uint8)
    low, high = int(np.nanmin(data)), int(np.nanmax(data))
    whole = data.dtype.kind in "iu"
    top = 65535 if len(data) == 1 and path.suffix == ".png" else 255
    if not whole or low < 0 or high > top or len(data) not in (1, 3, 4):
        raise DataError(
            f"{path.name}: holds 1, 3 or 4 channels of whole numbers from 0 to {top}, got "
            f"{len(data)} of {data.dtype} from {low} to {high}; write .tif."
        )
    wide = data.dtype.itemsize > 1 and path.suffix == ".png" and len(data) == 1
    data = data.astype(np.uint16 if wide else np.uint8)
    pixels = data[0] if len(data) == 1 else np.moveaxis(data, 0, -1)
    kind = {".jpg": "jpeg", ".jpeg": "jpeg"}.get(path.suffix.lower(), path.suffix[1:].lower())
    quality = {"quality": 95} if kind == "jpeg" else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, format=kind, **quality)


def _pixels(path: Path) -> tuple[np.ndarray, list[str]]:
    """Return (channel, y, x) as shown, and what was done for it."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as opened:
                opened.load()
                notes = _turned(opened)
                pixels = _decoded(opened)
        except Image.DecompressionBombError as error:
            raise DataError(f"{path}: has too many pixels for one picture; write .tif.") from error
    if pixels.ndim == 2:
        return pixels[None], notes
    data = np.moveaxis(pixels, -1, 0)
    return _fewest(data, notes)


def _decoded(opened: Image.Image) -> np.ndarray:  # type: ignore[name-defined]  # noqa: F821
    if opened.mode == "1":
        return np.asarray(opened).astype(np.uint8) * np.uint8(255)
    if opened.mode in ("P", "PA"):
        clear = "transparency" in opened.info or opened.mode == "PA"
        return np.asarray(opened.convert("RGBA" if clear else "RGB"))
    if opened.mode == "LA":
        return np.asarray(opened.convert("RGBA"))
    if opened.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return np.asarray(opened.convert("RGB"))
    return np.asarray(opened)


def _fewest(data: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """Leave out an alpha that hides nothing and colours that are grey."""
    if len(data) == 4 and (data[3] == 255).all():
        data = data[:3]
        notes = [*notes, "Its alpha channel is opaque everywhere and was left out."]
    if (data[0] == data[1]).all() and (data[0] == data[2]).all() and len(data) == 3:
        return data[:1], [*notes, "Its three colours are equal everywhere: one grey channel."]
    return np.ascontiguousarray(data), notes


def _turned(opened: Image.Image) -> list[str]:  # type: ignore[name-defined]  # noqa: F821
    if opened.getexif().get(_TURNED, 1) == 1:
        return []
    return ["The camera was held turned; pixels stay in the order of the file."]
