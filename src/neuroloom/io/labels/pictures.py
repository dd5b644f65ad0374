"""The picture behind a labelled frame: a file, a picture inside HDF5, or a frame of a video."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    from neuroloom.io.video import Video


def load_picture(root: Path, address: str) -> np.ndarray:
    """Return a picture as (y, x, channel) uint8; one channel if it is grey, else three.

    Parameters
    ----------
    root
        Folder that the address starts from.
    address
        "img.png", "set.h5::images::3" (third of a dataset, as pixels or as an encoded file), or
        "clip.mp4::17" (frame 17).

    Raises
    ------
    DataError
        If it is gone or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (8, 6)).save(Path(folder) / "a.png")
    ...     load_picture(Path(folder), "a.png").shape
    (6, 8, 1)
    """
    if not address:
        raise DataError(f"{root}: no picture is known of this frame.")
    file, *inside = address.split("::")
    path = Path(root) / file
    if not path.exists():
        raise DataError(f"{path}: the picture of a labelled frame is gone.")
    if not inside:
        return _decoded(path, path)
    if len(inside) == 1:
        return _video(path, path.stat().st_mtime_ns).read([int(inside[0])])[0]
    return _stored(path, inside[0], int(inside[1]))


def where_now(name: str, folder: Path) -> str:
    """Return where a file that a project names is now, from the project's folder; "" if it is gone.

    A path of another machine is searched by its ends: a/b/c.mp4, b/c.mp4, c.mp4.
    """
    whole = folder / name  # a whole path stands for itself
    if name and whole.is_file():
        return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else name
    given = PureWindowsPath(name)
    parts = [part for part in given.parts if part not in (given.anchor, "..")]
    ends = [Path(*parts[start:]) for start in range(len(parts))]
    found = next((end for end in ends if (folder / end).is_file()), None)
    return "" if found is None else found.as_posix()


def picture_size(root: Path, address: str) -> tuple[int, int] | None:
    """Return (height, width) without decoding pixels; None if the picture is gone or broken."""
    file, *inside = address.split("::")
    path = Path(root) / file
    if not address or not path.exists():
        return None
    try:
        if inside:
            return _inside_size(path, inside)
        from PIL import Image

        with Image.open(path) as opened:
            return opened.size[1], opened.size[0]
    except (OSError, DataError, ValueError, KeyError):
        return None


def _inside_size(path: Path, inside: list[str]) -> tuple[int, int]:
    if len(inside) == 1:
        height, width, _ = _video(path, path.stat().st_mtime_ns).shape
        return height, width
    return _stored_size(path, inside[0], path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _video(path: Path, changed: int) -> Video:
    """Keep the last few videos open: neighbouring frames then cost one decode."""
    from neuroloom.io.video import Video

    return Video(path)


@lru_cache(maxsize=64)
def _stored_size(path: Path, name: str, changed: int) -> tuple[int, int]:
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file[name]
        if dataset.ndim >= 3:
            return dataset.shape[1], dataset.shape[2]
        if {"height", "width"} <= set(dataset.attrs):
            return int(dataset.attrs["height"]), int(dataset.attrs["width"])
    height, width, _ = _stored(path, name, 0).shape
    return height, width


def _stored(path: Path, name: str, row: int) -> np.ndarray:
    """Return a picture of a dataset: pixels (n, y, x[, channel]), or PNG or JPEG bytes a row."""
    import io

    from neuroloom.io.pandas_h5 import open_h5

    with open_h5(path) as file:
        try:
            found = np.asarray(file[name][row])
            turned = found.ndim < 2 and _is_bgr(file, name)
        except (KeyError, IndexError, ValueError, OSError) as error:
            raise DataError(
                f"{path}: picture {row} of '{name}' cannot be read: {error}."
            ) from error
    if found.ndim >= 2:
        return plain_pixels(found)
    pixels = _decoded(io.BytesIO(found.astype(np.uint8).tobytes()), path)
    return np.ascontiguousarray(pixels[..., ::-1]) if turned else pixels


def _is_bgr(file: Any, name: str) -> bool:
    """Say whether SLEAP encoded its pictures with blue first, as it did before its format 1.4."""
    order = file[name].attrs.get("channel_order")
    if order is not None:
        return str(order.decode() if isinstance(order, bytes) else order) == "BGR"
    about = file["metadata"].attrs if "metadata" in file else {}
    return float(about.get("format_id", 0)) < 1.4


def _decoded(source: Any, path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(source) as opened:
            if opened.mode not in ("L", "RGB", "I;16", "I;16B", "I"):
                plain = opened.convert("L" if opened.mode in ("1", "LA") else "RGB")
                return plain_pixels(np.asarray(plain))
            return plain_pixels(np.asarray(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the picture cannot be read: {error}.") from error


def plain_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return (y, x, channel) uint8 with one or three channels of any picture.

    Sixteen bits keep their upper eight; fractions from 0 to 1 become 0 to 255.

    Examples
    --------
    >>> plain_pixels(np.full((4, 5), 65535, np.uint16))[0, 0]
    array([255], dtype=uint8)
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = pixels[..., :1] if pixels.shape[-1] == 2 else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind == "f":
        top = 255.0 if pixels.size and np.nanmax(pixels) <= 1 else 1.0
        return np.clip(np.nan_to_num(pixels) * top + 0.5, 0, 255).astype(np.uint8)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    high = pixels.size and pixels.max() > 255
    return (pixels.astype(np.int64) >> 8 if high else pixels).astype(np.uint8)
