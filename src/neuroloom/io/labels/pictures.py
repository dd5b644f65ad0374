"""The picture behind a labelled frame: a file, a picture inside HDF5, or a frame of a video."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.labels.model import listed
from neuroloom.io.stills import (
    DEEP,
    PICTURES,
    bits_in,
    bits_of,
    open_picture,
    pixels_in,
    plain_pixels,
)

if TYPE_CHECKING:
    from neuroloom.io.video import Video


def load_picture(root: Path, address: str, depth: int | None = None) -> np.ndarray:
    """Return a picture as (y, x, channel) uint8; one channel if it is grey, else three.

    Parameters
    ----------
    root
        Folder that the address starts from.
    address
        "img.png", "set.h5::images::3" (third of a dataset, as pixels or as an encoded file), or
        "clip.mp4::17" (frame 17).
    depth
        Bits of its values if they have more than 8, as `depth_of` finds them for many pictures; by
        default as many as its own largest value has.

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
        with open_picture(path, path) as opened:
            return plain_pixels(pixels_in(opened), depth)
    if len(inside) == 1:
        return _film(path, depth).read([int(inside[0])])[0]
    return plain_pixels(_stored(path, inside[0], int(inside[1])), depth)


def depth_of(root: Path, addresses: Iterable[str]) -> int | None:
    """Return the bits of the largest value in pictures of more than 8 bits; None if all have 8.

    Pictures that are gone or broken tell nothing.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, value in (("a.png", 90), ("b.png", 3900)):
    ...         Image.fromarray(np.full((6, 8), value, np.uint16)).save(Path(folder) / name)
    ...     depth_of(Path(folder), ["a.png", "b.png"])
    12
    """
    found = [_bits(Path(root), address) for address in addresses]
    return max((bits for bits in found if bits), default=None)


def _bits(root: Path, address: str) -> int | None:
    file, *inside = address.split("::")
    path = root / file
    if not path.is_file() or not (path.suffix.lower() in DEEP or len(inside) == 2):
        return None
    changed = path.stat().st_mtime_ns
    try:
        if not inside:
            return _bits_of_file(path, changed)
        if len(inside) == 1:
            return _film(path).depth
        if not _is_deep(path, inside[0], changed):
            return None
        return bits_of(_stored(path, inside[0], int(inside[1])))
    except (OSError, DataError, ValueError):
        return None


@lru_cache(maxsize=65_536)
def _bits_of_file(path: Path, changed: int) -> int | None:
    with open_picture(path, path) as opened:
        return bits_in(opened)


@lru_cache(maxsize=64)
def _is_deep(path: Path, name: str, changed: int) -> bool:
    """Say whether pictures of a dataset have more than 8 bits, which its first one tells."""
    return bits_of(_stored(path, name, 0)) is not None


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


def where_all(names: Iterable[str], folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return where each of several files that a project names is now, and what cannot be told.

    As `where_now`, but where the ends of different paths lead to one file it is taken for none of
    them, unless it lies where one of them says: day1/cam.mp4 and day2/cam.mp4 are not one film.
    """
    found = {name: where_now(name, folder) for name in dict.fromkeys(names)}
    short = {name for name, place in found.items() if place and not _is_whole(name, place, folder)}
    sources: dict[str, set[PureWindowsPath]] = {}
    for name, place in found.items():
        sources.setdefault(place, set()).add(PureWindowsPath(name))
    doubtful = [name for name in found if name in short and len(sources[found[name]]) > 1]
    return found | dict.fromkeys(doubtful, ""), doubtful


def _is_whole(name: str, place: str, folder: Path) -> bool:
    return (folder / name).is_file() or PureWindowsPath(name) == PureWindowsPath(place)


def told_apart(doubtful: list[str]) -> list[str]:
    """Say of which files it cannot be told where they are now, if there are any."""
    if not doubtful:
        return []
    return [
        "Several files would be one by the ends of their paths, which is taken for none of them: "
        f"{listed(doubtful)}. Put each into the folder that its path names, beside the project."
    ]


def picture_size(root: Path, address: str) -> tuple[int, int] | None:
    """Return (height, width) without decoding pixels; None if there is no such picture.

    It is gone, broken, or beyond the end of its film or dataset.
    """
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


def _inside_size(path: Path, inside: list[str]) -> tuple[int, int] | None:
    if len(inside) == 1:
        film = _film(path)
        count, height, width = len(film), film.shape[0], film.shape[1]
    else:
        count, height, width = _stored_shape(path, inside[0], path.stat().st_mtime_ns)
    return (height, width) if 0 <= int(inside[-1]) < count else None


def _film(path: Path, depth: int | None = None) -> Video:
    known = depth if path.suffix.lower() in PICTURES else None
    return _video(path, path.stat().st_mtime_ns, known)


@lru_cache(maxsize=4)
def _video(path: Path, changed: int, depth: int | None) -> Video:
    """Keep the last few videos open: neighbouring frames then cost one decode."""
    from neuroloom.io.video import Video

    return Video(path, depth=depth)


@lru_cache(maxsize=64)
def _stored_shape(path: Path, name: str, changed: int) -> tuple[int, int, int]:
    """Return the count of pictures in a dataset, and their height and width."""
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file[name]
        if dataset.ndim >= 3:
            return len(dataset), dataset.shape[1], dataset.shape[2]
        if {"height", "width"} <= set(dataset.attrs):
            return len(dataset), int(dataset.attrs["height"]), int(dataset.attrs["width"])
        count = len(dataset)
    height, width = _stored(path, name, 0).shape[:2]
    return count, height, width


def _stored(path: Path, name: str, row: int) -> np.ndarray:
    """Return a picture as a dataset has it: pixels (n, y, x[, channel]), or PNG or JPEG bytes."""
    import io

    from neuroloom.io.pandas_h5 import open_h5

    with open_h5(path) as file:
        try:
            found = np.asarray(file[name][row])
            turned = found.ndim < 2 and is_bgr(file, name)
        except (KeyError, IndexError, ValueError, OSError) as error:
            raise DataError(
                f"{path}: picture {row} of '{name}' cannot be read: {error}."
            ) from error
    if found.ndim >= 2:
        return found
    with open_picture(io.BytesIO(found.astype(np.uint8).tobytes()), path) as opened:
        pixels = pixels_in(opened)
    return pixels[..., ::-1] if turned and pixels.ndim == 3 else pixels


def is_bgr(file: Any, name: str) -> bool:
    """Say whether SLEAP encoded its pictures with blue first, as it did before its format 1.4."""
    order = file[name].attrs.get("channel_order")
    if order is not None:
        return str(order.decode() if isinstance(order, bytes) else order) == "BGR"
    about = file["metadata"].attrs if "metadata" in file else {}
    return float(about.get("format_id", 0)) < 1.4
