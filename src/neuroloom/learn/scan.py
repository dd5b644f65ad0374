"""A function over every frame of a video, in constant memory, that goes on where it stopped.

Results are kept in parts, one file each, which are whole or absent. A part begins at a multiple of
its length, so that blocks fall on the same frames whether the scan was interrupted or not: the
results are equal to the last bit if the function's are.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json, write_atomic, write_json

_ABOUT = "scan.json"
Results = Mapping[str, np.ndarray]


class Footage(Protocol):
    """What can be scanned: a `Video`, or several films that are read as one."""

    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame."""

    def __len__(self) -> int: ...

    def blocks(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first frame, frames along the first axis)."""


def scan(
    video: Footage,
    function: Callable[[np.ndarray], Results],
    folder: str | Path,
    block: int = 32,
    keep: int = 4096,
    key: str = "",
    told: Callable[[int, int], object] | None = None,
) -> Path:
    """Apply a function to all frames of a video, block by block.

    Parameters
    ----------
    video
        Its frames are decoded by a thread meanwhile. Of one that patches damaged frames the
        results have "damaged", too: True where the frame was not seen.
    function
        From frames (n, y, x, channel) uint8 to arrays by name, the first axis being n. It must not
        remember earlier blocks: after an interruption it does not see them.
    folder
        Where the parts go; a folder with parts of the same scan is completed.
    block
        Frames a call.
    keep
        Frames a part, rounded up to whole blocks; what an interruption can cost.
    key
        What the results depend on besides the video, the digest of a model for example; parts of
        another key are refused.
    told
        Called with (frames done, all frames) after every block.

    Returns
    -------
    Path
        The folder, for `read_scan` and `parts_of`.

    Raises
    ------
    DataError
        If the folder holds another scan, or the function returns arrays of another length.

    Examples
    --------
    >>> import tempfile
    >>> from neuroloom.io.video import Video, write_video
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clip = write_video(f"{folder}/a.mp4", np.zeros((10, 32, 32, 1), np.uint8), 25)
    ...     bright = lambda frames: {"mean": frames.mean((1, 2, 3))}
    ...     done = scan(Video(clip), bright, f"{folder}/scan", block=4, keep=8)
    ...     read_scan(done)["mean"].shape, len(list(parts_of(done)))
    ((10,), 2)
    """
    folder = Path(folder)
    length = -(-max(keep, block) // block) * block
    _begin(folder, video, {"block": block, "keep": length, "key": key})
    for first in range(0, len(video), length):
        last = min(first + length, len(video))
        if not _is_whole(folder / _name(first), last - first):
            results = _through(video, function, (first, last), block, told)
            write_atomic(folder / _name(first), partial(_save, results))
        elif told is not None:
            told(last, len(video))
    return folder


def read_scan(folder: str | Path) -> dict[str, np.ndarray]:
    """Return the results of all parts as one array a name.

    Raises
    ------
    DataError
        If the scan is not complete.
    """
    parts = [part for _, part in parts_of(folder)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def parts_of(folder: str | Path) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield (number of the first frame, arrays by name) of each part, one in memory at a time.

    Raises
    ------
    DataError
        If there is no scan, or it is not complete.
    """
    folder = Path(folder)
    if not (folder / _ABOUT).is_file():
        raise DataError(f"{folder}: holds no scan of a video.")
    about = read_json(folder / _ABOUT)
    for first in range(0, about["frames"], about["keep"]):
        count = min(about["keep"], about["frames"] - first)
        if not _is_whole(folder / _name(first), count):
            raise DataError(
                f"{folder}: the scan of {about['video']} stopped at frame {first} of "
                f"{about['frames']}; run it again, it goes on from there."
            )
        with np.load(folder / _name(first), allow_pickle=False) as held:
            yield first, {name: held[name] for name in held.files}


def _begin(folder: Path, video: Footage, settings: dict[str, Any]) -> None:
    """Write what the scan is of, or compare it with what the folder says."""
    about = {"video": video.path.name, "frames": len(video), "shape": list(video.shape)} | settings
    about |= {"bytes": _bytes(video.path)}
    file = folder / _ABOUT
    if not file.is_file():
        write_json(file, about)
        return
    found = read_json(file)
    other = [name for name, value in about.items() if found.get(name) != value]
    if other:
        differ = "; ".join(f"{name} {found.get(name)}, now {about[name]}" for name in other)
        raise DataError(
            f"{folder}: holds the parts of another scan ({differ}); name another folder."
        )


def _bytes(path: Path) -> int:
    """Return how large a film, or a folder of pictures, is."""
    inside = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _through(
    video: Footage,
    function: Callable[[np.ndarray], Results],
    span: tuple[int, int],
    block: int,
    told: Callable[[int, int], object] | None,
) -> dict[str, np.ndarray]:
    """Return the results of one part."""
    found: dict[str, list[np.ndarray]] = {}
    for first, frames in video.blocks(block, *span):
        results = {name: np.asarray(values) for name, values in function(frames).items()}
        if getattr(video, "patch", False):
            results["damaged"] = video.damaged[first : first + len(frames)]  # type: ignore[attr-defined]
        wrong = {
            name: one.shape
            for name, one in results.items()
            if one.dtype == object or one.shape[:1] != (len(frames),)
        }
        if wrong or (found and set(found) != set(results)):
            raise DataError(
                f"{video.path.name}: expected {len(frames)} results for the frames from {first} "
                f"on, got {wrong or sorted(results)}."
            )
        for name, values in results.items():
            found.setdefault(name, []).append(values)
        if told is not None:
            told(first + len(frames), len(video))
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def _name(first: int) -> str:
    return f"part-{first:09d}.npz"


def _save(results: dict[str, np.ndarray], to: Path) -> None:
    with to.open("wb") as handle:
        np.savez_compressed(handle, **results)  # type: ignore[arg-type]


def _is_whole(file: Path, count: int) -> bool:
    """Say whether a part is there with a result for each of its frames."""
    if not file.is_file() or not os.path.getsize(file):
        return False
    try:
        with np.load(file, allow_pickle=False) as held:
            return bool(held.files) and len(held[held.files[0]]) == count
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def folder_to_go_on(out: Path) -> Path:
    """Return the folder of a prediction, made; one whose scans were interrupted is gone on with.

    Raises
    ------
    ConfigError
        If it holds anything else.
    """
    from neuroloom.learn.parts import SCANS, check_out_or_go_on

    check_out_or_go_on(out, SCANS)
    out.mkdir(parents=True, exist_ok=True)
    return out
