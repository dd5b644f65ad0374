"""Films of several cameras that run together, read as one: what all of them see at each moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from glob import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.io.video import Video, is_video
from neuroloom.pose.rig.networks import require_one_rate


class Films:
    """Synchronised films; frame i of one was taken when frame i of every other was.

    Parameters
    ----------
    files
        One a camera.
    shrink
        Images are so many times smaller than the films, each pixel the mean of what it covers.

    Attributes
    ----------
    path
        The first film; `scan` names the results after it.
    shape
        (camera, y, x) of what is seen at a moment; smaller images are padded to one size.
    sizes
        Width and height of each film.
    rate
        Moments a second, Hz.
    times
        Shape (moment,): s, of the first film.
    damaged
        Shape (moment,): which of the moments read so far a camera has no frame of that can be
        decoded; such a camera shows the frame before.
    notes
        What a careful reader should know.

    Raises
    ------
    DataError
        If a film cannot be read, or the rates differ.

    Examples
    --------
    >>> import tempfile
    >>> from neuroloom.io.video import write_video
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frames = np.full((5, 32, 48, 1), 80, np.uint8)
    ...     files = [write_video(f"{folder}/{name}.mp4", frames, 25) for name in "ab"]
    ...     films = Films(files, shrink=2)
    ...     len(films), films.shape, next(films.blocks(3))[1].shape
    (5, (2, 16, 24), (3, 2, 16, 24))
    """

    patch = True  # `scan` keeps which moments are damaged

    def __init__(self, files: list[Path], shrink: int = 1) -> None:
        self.files, self.shrink = files, shrink
        with ExitStack() as opened:
            videos = [opened.enter_context(Video(file, grey=True, patch=True)) for file in files]
            self.lengths = [len(video) for video in videos]
            rates = [video.rate for video in videos]
            self.sizes = [(video.shape[1], video.shape[0]) for video in videos]
            self.times = np.asarray(videos[0].times)[: min(self.lengths)]
            self._of_each = [note for video in videos for note in video.notes]
        self.damaged = np.zeros(len(self), bool)
        self.path, self.rate = files[0], rates[0]
        names = [f"{file.parent.name}/{file.name}" for file in files]
        require_one_rate(list(zip(rates, names, strict=True)))
        self.shape = (len(files), *(max(s[axis] // shrink for s in self.sizes) for axis in (1, 0)))

    @property
    def notes(self) -> tuple[str, ...]:
        """If the films differ in length, how many moments are damaged, and what each film says."""
        told = []
        if min(self.lengths) < max(self.lengths):
            told.append(
                f"The films have {min(self.lengths)} to {max(self.lengths)} frames; what comes "
                "after the end of the shortest is left out."
            )
        if lost := np.flatnonzero(self.damaged).tolist():
            told.append(
                f"{len(lost)} moments have a frame that cannot be decoded, the first is "
                f"{lost[0]}: nothing was looked for there."
            )
        return (*told, *self._of_each)

    def __len__(self) -> int:
        return min(self.lengths)

    def blocks(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (number of the first moment, images (n, camera, y, x) uint8), as `Video` does."""
        stop = len(self) if stop is None else min(stop, len(self))
        with ExitStack() as opened:
            videos = [
                opened.enter_context(Video(file, grey=True, patch=True)) for file in self.files
            ]
            streams = [video.blocks(size, start, stop) for video in videos]
            for together in zip(*streams, strict=True):
                first, frames = together[0]
                span = slice(first, first + len(frames))
                self.damaged[span] = np.any([video.damaged[span] for video in videos], axis=0)
                yield first, padded([smaller(one[..., 0], self.shrink) for _, one in together])


def smaller(frames: np.ndarray, shrink: int) -> NDArray[np.uint8]:
    """Return frames (n, y, x) whose pixels are means of `shrink` x `shrink`.

    Examples
    --------
    >>> smaller(np.array([[[0, 10], [20, 50]]], np.uint8), 2).tolist()
    [[[20]]]
    """
    if shrink == 1:
        return np.asarray(frames, np.uint8)
    height, width = (side // shrink for side in frames.shape[1:])
    shape = (len(frames), height, shrink, width, shrink)
    cells = frames[:, : height * shrink, : width * shrink].reshape(shape)
    return cells.mean((2, 4), dtype=np.float32).round().astype(np.uint8)


def padded(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return images of cameras (n, y, x) as one array (n, camera, y, x), zero beyond the smaller.

    Examples
    --------
    >>> padded([np.ones((2, 3, 4), np.uint8), np.ones((2, 2, 5), np.uint8)]).shape
    (2, 2, 3, 5)
    """
    size = [max(image.shape[axis] for image in images) for axis in (1, 2)]
    out = np.zeros((len(images[0]), len(images), *size), np.uint8)
    for number, image in enumerate(images):
        out[:, number, : image.shape[1], : image.shape[2]] = image
    return out


def find_film(folder: Path, name: str) -> Path:
    """Return the film of a camera: videos/<camera>/0.mp4, videos/<camera>.mp4, or without videos/.

    Raises
    ------
    DataError
        If there is none, or a camera has several.
    """
    for place in (folder / "videos", folder):
        inside = place / name
        found = [file for file in (sorted(inside.iterdir()) if inside.is_dir() else [])
                 if file.is_file() and is_video(file)]  # fmt: skip
        found = found or [
            file for file in sorted(place.glob(f"{escape(name)}.*")) if is_video(file)
        ]
        if len(found) > 1:
            listed = ", ".join(file.name for file in found[:4])
            raise DataError(
                f"{folder.name}: camera '{name}' has {len(found)} films ({listed}); join them to "
                "one, or keep one."
            )
        if found:
            return found[0]
    raise DataError(
        f"{folder.name}: there is no film of camera '{name}'; expected videos/{name}/0.mp4 or "
        f"videos/{name}.mp4."
    )
