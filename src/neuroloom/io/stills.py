"""Pictures as frames of a video: files of a folder, and pages of TIFF.

Cameras of 10, 12 or 14 bits write files of 16. The largest value of many pictures tells how many
they are, once for all of them: decided for each alone, a dark one would be as bright as the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
TIFF = frozenset({".tif", ".tiff"})
DEEP = TIFF | {".png"}  # that can have values of more than 8 bits
_LOOKS = 32  # pictures that tell of a folder of any length
_REDUCED = 1  # flag of NewSubfileType: a smaller copy of another page
_SUBFILE, _DESCRIPTION = 254, 270


@dataclass(frozen=True, eq=False)
class StillIndex:
    """The pictures of a video in the order of showing.

    Attributes
    ----------
    files
        Each with one page or more.
    edges
        Shape (file + 1,): the first frame of each file, and behind them the count of frames.
    times, rate, notes
        As those of a video file.
    depth
        Bits of values of more than 8, 0 to 255 of which are shown; None where all have 8.
    """

    files: tuple[Path, ...]
    edges: np.ndarray
    times: np.ndarray
    rate: float
    notes: tuple[str, ...] = ()
    depth: int | None = None

    def place(self, number: int) -> tuple[Path, int, int]:
        """Return the file of a frame, its page there, and how many pages the file has."""
        row = int(np.searchsorted(self.edges, number, "right")) - 1
        first, after = self.edges[row : row + 2]
        return self.files[row], int(number - first), int(after - first)


class Stills:
    """Pictures as frames; the file of the last one stays open, since its next page may follow."""

    def __init__(self, path: Path, index: StillIndex, grey: bool) -> None:
        self._index, self._grey = index, grey
        self._file: Path | None = None
        self._opened: Any = None

    def frame(self, number: int) -> np.ndarray:
        """Return a frame (y, x, channel) uint8."""
        with self._at(number) as opened:
            return plain_pixels(pixels_in(opened, self._grey), self._index.depth)

    def bits(self, number: int) -> int | None:
        """Return the bits of a frame's values if more than 8; None if 8, or if it is damaged."""
        if self._index.place(number)[0].suffix.lower() not in DEEP:
            return None
        try:
            with self._at(number) as opened:
                return bits_in(opened)
        except DataError:
            return None

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
        self._opened = self._file = None

    @contextmanager
    def _at(self, number: int) -> Iterator[Any]:
        file, page, pages = self._index.place(number)
        try:
            with _reading(file):
                if self._file != file:
                    self._turn_to(file, pages)
                self._opened.seek(page)
                yield self._opened
        except DataError:
            self.close()
            raise

    def _turn_to(self, file: Path, pages: int) -> None:
        from PIL import Image

        self.close()
        self._opened, self._file = Image.open(file), file
        if pages == 1:
            _check_lone(self._opened, file)


def index_stills(path: Path, rate: float | None, depth: int | None) -> StillIndex:
    """Return the pictures of a folder, or the pages of a file, at `rate` frames a second.

    Parameters
    ----------
    depth
        Bits that values of more than 8 have at least, whatever the pictures tell.

    Raises
    ------
    DataError
        If there is none.
    """
    files = tuple(pictures_of(path))
    if not files:
        raise DataError(f"{path}: has no pictures ({', '.join(sorted(PICTURES))}).")
    notes = () if rate else (f"{path.name}: pictures have no frame rate; 1 a second is taken.",)
    every = float(rate or 1.0)
    edges = np.append(0, np.cumsum(_page_counts(files)))
    index = StillIndex(files, edges, np.arange(edges[-1]) / every, every, notes)
    own = _depth_of(index)
    if own is None:
        return index
    taken = max(own, depth or own)
    return replace(index, depth=taken, notes=(*notes, _told(path.name, own, taken, depth)))


def _told(name: str, own: int, taken: int, depth: int | None) -> str:
    """Say of how many bits pictures are taken, and whether that is not what was expected."""
    other = f", {depth} were expected" if depth and depth < own else ""
    return (
        f"{name}: pictures of 16 bits hold values of {own}{other}; {taken} are taken of all, "
        "brighter ones are white."
    )


def _depth_of(index: StillIndex) -> int | None:
    """Return the bits of the largest value in pictures from all over; None if all have 8."""
    reader = Stills(index.files[0], index, grey=True)
    looked = np.unique(np.linspace(0, len(index.times) - 1, _LOOKS).astype(int))
    found = [bits for number in looked if (bits := reader.bits(int(number)))]
    reader.close()
    return max(found, default=None)


def _page_counts(files: tuple[Path, ...]) -> np.ndarray:
    """Return the pages of each file; of very many, some tell whether each has to be opened."""
    counts = np.ones(len(files), int)
    tiffs = [row for row, file in enumerate(files) if file.suffix.lower() in TIFF]
    if tiffs:
        looked = np.unique(np.linspace(0, len(tiffs) - 1, _LOOKS).astype(int))
        several = any(_pages_of(files[tiffs[place]]) > 1 for place in looked)
        counts[tiffs] = [_pages_of(files[row]) for row in tiffs] if several else 1
    return counts


def _pages_of(file: Path) -> int:
    return _counted(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _counted(file: Path, changed: int) -> int:
    """Return the pages of a file; a damaged one counts as one, which is said when it is read."""
    try:
        with open_picture(file, file) as opened:
            return _pages_in(opened)
    except DataError:
        return 1


def _pages_in(opened: Any) -> int:
    """Return the pages of a file; smaller copies of the first are none."""
    pages = int(opened.n_frames) if opened.format == "TIFF" else 1
    if pages == 1:
        return 1
    opened.seek(1)
    copies = int(opened.tag_v2.get(_SUBFILE, 0)) & _REDUCED
    opened.seek(0)
    return 1 if copies else pages


def _check_lone(opened: Any, file: Path) -> None:
    """Refuse a file that was taken for one picture and has several."""
    if (held := _pages_in(opened)) > 1:
        raise DataError(
            f"{file}: has {held} pages, pictures beside it have one; keep it in another folder."
        )
    said = str(opened.tag_v2.get(_DESCRIPTION)) if opened.format == "TIFF" else ""
    told = re.search(r"^images=(\d+)", said, re.M) if said.startswith("ImageJ=") else None
    if told and int(told[1]) > 1:
        raise DataError(
            f"{file}: ImageJ wrote {told[1]} pictures and says of one where it lies, as it does "
            "beyond 4 GB; save it as several files, or as OME-TIFF."
        )


@contextmanager
def open_picture(source: Any, path: Path) -> Iterator[Any]:
    """Open a picture with Pillow, from a file or bytes of the file `path`.

    Raises
    ------
    DataError
        If it cannot be opened, or what is done with it fails.
    """
    from PIL import Image

    with _reading(path), Image.open(source) as opened:
        yield opened


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    from PIL import Image

    broken = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError)
    try:
        yield
    except (*broken, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the picture cannot be read: {error}.") from error


def pixels_in(opened: Any, grey: bool = False) -> np.ndarray:
    """Return a picture as it is stored, (y, x) or (y, x, 3): uint8, or more bits if it is grey."""
    if opened.mode.startswith("I"):
        return np.asarray(opened)
    one = grey or opened.mode in ("L", "1", "LA")
    return np.asarray(opened.convert("L" if one else "RGB"))


def bits_in(opened: Any) -> int | None:
    """Return the bits of an opened picture's values if it has more than 8; else None."""
    return bits_of(pixels_in(opened)) if opened.mode.startswith("I") else None


def bits_of(pixels: np.ndarray) -> int | None:
    """Return the bits that hold the largest of whole numbers, an even count from 8 on.

    None where 8 are stored, or fractions.

    Examples
    --------
    >>> bits_of(np.array([0, 4095], np.uint16)), bits_of(np.array([255], np.uint8))
    (12, None)
    """
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize == 1:
        return None
    bits = int(pixels.max(initial=0)).bit_length()
    return max(8, bits + bits % 2)


def plain_pixels(pixels: np.ndarray, depth: int | None = None) -> np.ndarray:
    """Return (y, x, channel) uint8 with one or three channels of any picture.

    Of whole numbers of more than 8 bits the upper 8 of `depth` stay, by default of as many as the
    largest value has; fractions from 0 to 1 become 0 to 255.

    Examples
    --------
    >>> dark = np.full((4, 5), 1040, np.uint16)
    >>> plain_pixels(dark, depth=12)[0, 0], plain_pixels(dark, depth=16)[0, 0]
    (array([65], dtype=uint8), array([4], dtype=uint8))
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
    bits = depth or bits_of(pixels) or 8
    return np.clip(pixels >> (bits - 8), 0, 255).astype(np.uint8)


def pictures_of(path: Path) -> list[Path]:
    """Return the pictures of a folder in the order of the numbers in their names, or a file."""
    files = shown_in(path) if path.is_dir() else [path]
    inside = (file for file in files if file.suffix.lower() in PICTURES)
    return sorted(
        inside, key=lambda file: [_number(part) for part in re.split(r"(\d+)", file.name)]
    )


def shown_in(folder: Path) -> list[Path]:
    """Return what a folder holds, without what is hidden."""
    return [item for item in folder.iterdir() if not item.name.startswith(".")]


def _number(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)
