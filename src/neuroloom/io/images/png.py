"""PNG, JPEG, BMP, GIF, PPM and PGM through Pillow: what a viewer shows, as numbers.

A palette is looked up, one bit becomes 0 and 255, colours that are all grey become one channel, and
what the camera held turned is turned upright. Colours of 16 bits, which Pillow would cut to 8, are
decoded by imagecodecs.
The resolution in such files is that of a screen, so the size of a pixel is unknown ("px").
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import image
from neuroloom.io.images import ImageHeader

if TYPE_CHECKING:
    import xarray as xr

_COLOURS = ("red", "green", "blue", "alpha")
_TURNED = 274  # EXIF: how the camera was held
_SIDEWAYS = (5, 6, 7, 8)
# PNG: 16 bits a colour, of the types grey with alpha, colours, and colours with alpha.
_DEEP = tuple(bytes((16, kind)) for kind in (2, 4, 6))


def read(path: Path) -> xr.DataArray:
    """Read a picture as (channel, y, x) of whole numbers."""
    data, notes = _pixels(path)
    names = ("grey",) if len(data) == 1 else _COLOURS[: len(data)]
    return image(data, channels=names, source=path.name, notes=notes)


def read_label(path: Path) -> xr.DataArray:
    """Read a mask as what is meant: where a palette has colours, the numbers that stand for them.

    `attrs["colours"]` then says which number is shown in which (red, green, blue).
    """
    with _opened(path) as opened:
        if opened.mode != "P":
            return read(path)
        indices, notes = _upright(np.asarray(opened), _way(opened)), _told(_way(opened))
        colours = np.array(opened.getpalette()).reshape(-1, 3)
    used = np.unique(indices)
    black = ~colours[used].any(1)
    # A palette of greys is a grey picture; one with black elsewhere is in no order.
    if (colours == colours[:, :1]).all() or (black.any() and colours[0].any()):
        return read(path)
    found = image(np.ascontiguousarray(indices), source=path.name, notes=notes)
    found.attrs["colours"] = {k: tuple(colours[k].tolist()) for k in used.tolist() if k}
    return found


def peek(path: Path) -> ImageHeader:
    """Read the header; of colours also the pixels, which say whether they are grey."""
    with _opened(path) as opened:
        size, way, mode = opened.size[::-1], _way(opened), opened.mode
        clear = mode in ("RGBA", "LA", "PA") or (mode == "P" and "transparency" in opened.info)
    types = {"L": "uint8", "1": "uint8", "I;16": "uint16", "I;16B": "uint16"}
    if mode in types and not _is_deep(path):
        shape, notes = size[::-1] if way in _SIDEWAYS else size, tuple(_told(way))
        dtype = types[mode]
        return ImageHeader(
            path.name, "image", shape, ("grey",), (1.0, 1.0), "px", dtype, notes, turned=way != 1
        )
    found = read(path)
    names, notes = tuple(map(str, found.channel.values)), tuple(found.attrs["notes"])
    shape, dtype, folded = found.shape[1:], found.dtype.name, len(names) == 1
    return ImageHeader(
        path.name, "image", shape, names, (1.0, 1.0), "px", dtype, notes, folded=folded,
        opaque=clear and "alpha" not in names, turned=way != 1,
    )  # fmt: skip


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
    counts = (1,) if path.suffix.lower() in (".gif", ".pgm") else (1, 3, 4)
    if not whole or low < 0 or high > top or len(data) not in counts:
        raise DataError(
            f"{path.name}: holds {' or '.join(map(str, counts))} channels of whole numbers from 0 "
            f"to {top}, got {len(data)} of {data.dtype} from {low} to {high}; write .tif."
        )
    wide = data.dtype.itemsize > 1 and path.suffix == ".png" and len(data) == 1
    data = data.astype(np.uint16 if wide else np.uint8)
    pixels = data[0] if len(data) == 1 else np.moveaxis(data, 0, -1)
    suffix = path.suffix.lower()
    kind = {".jpg": "jpeg", ".pgm": "ppm"}.get(suffix, suffix[1:])
    quality = {"quality": 95} if kind == "jpeg" else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, format=kind, **quality)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as opened:
                yield opened
        except Image.DecompressionBombError as error:
            raise DataError(f"{path}: has too many pixels for one picture; write .tif.") from error


def _pixels(path: Path) -> tuple[np.ndarray, list[str]]:
    """Return (channel, y, x) as shown, and what was done for it."""
    with _opened(path) as opened:
        way = _way(opened)
        opened.load()
        pixels = _upright(_deep(path) if _is_deep(path) else _decoded(opened), way)
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)[None], _told(way)
    data, notes = _fewest(np.moveaxis(pixels, -1, 0))
    return data, [*_told(way), *notes]


def _decoded(opened: Any) -> np.ndarray:
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


def _is_deep(path: Path) -> bool:
    """Tell whether a file is a PNG with more than one channel of 16 bits."""
    with path.open("rb") as handle:
        head = handle.read(26)
    return head.startswith(b"\x89PNG") and head[24:26] in _DEEP


def _deep(path: Path) -> np.ndarray:
    """Return the pixels of such a file, uint16."""
    try:
        import imagecodecs
    except ImportError as error:
        raise DataError(
            f"{path}: its colours have 16 bits, which imagecodecs reads and Pillow would cut to 8; "
            "pip install imagecodecs, or write it as .tif."
        ) from error
    pixels: np.ndarray = imagecodecs.png_decode(path.read_bytes())
    if pixels.shape[-1] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    return pixels


def _fewest(data: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Leave out an alpha that hides nothing and colours that are grey."""
    notes = []
    if len(data) == 4 and (data[3] == np.iinfo(data.dtype).max).all():
        data = data[:3]
        notes = ["Its alpha channel is opaque everywhere and was left out."]
    if (data[0] == data[1]).all() and (data[0] == data[2]).all() and len(data) == 3:
        notes.append("Its three colours are equal everywhere: one grey channel.")
        data = data[:1]
    return np.ascontiguousarray(data), notes


def _way(opened: Any) -> int:
    """Return how the camera was held, 1 to 8 as EXIF counts, from what stands before the pixels."""
    from PIL import Image

    # That of a PNG would decode all of it, to look behind its pixels.
    return int(Image.Image.getexif(opened).get(_TURNED, 1))


def _told(way: int) -> list[str]:
    if way == 1:
        return []
    return ["The camera was held turned; the picture is upright, as a viewer shows it."]


def _upright(pixels: np.ndarray, way: int) -> np.ndarray:
    """Return pixels (y, x, …) as they are shown. Source: EXIF 2.3, tag Orientation."""
    if way in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if way in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if way in (2, 3, 6, 7) else pixels
