"""Videos through PyAV: any frame by its number, exactly, and streams in constant memory.

A number is a place in the order of showing. The file is walked through once, without decoding, to
learn the time stamp of every frame; a seek lands on a key frame before the one that is wanted and
decodes up to it, and the time stamp proves that it is the right one. Where time stamps tell
nothing, as in a raw stream, frames are counted from the beginning. Frames that come at changing
intervals keep their own times; where the file's clock is too coarse to tell two frames apart, they
are spread evenly. A folder of pictures is a video as well, and so are the pages of TIFF.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.stills import PICTURES, StillIndex, Stills, index_stills, pictures_of, shown_in
from neuroloom.io.videoindex import FileIndex, frames_of, index_file, open_video, stamp_of

SUFFIXES = frozenset(
    {".mp4", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".flv", ".ts",
     ".mts", ".m2ts", ".h264", ".264", ".ogv", ".3gp"}
)  # fmt: skip
_TICK = Fraction(1, 90_000)  # s, in which MPEG counts times: the usual rates are whole numbers
_AHEAD = 2  # blocks that are decoded before they are asked for
_BLOCK = 2**28  # bytes of frames that are read at once
_TRIES = 3  # key frames from which a frame is decoded before it counts as damaged


def is_video(path: str | Path) -> bool:
    """Say whether a path looks like a video: by its suffix, or a folder of pictures.

    A folder that holds videos or folders as well is none. Hidden files, whose names begin with a
    dot, are neither.

    Examples
    --------
    >>> is_video("mouse.MP4"), is_video("notes.txt"), is_video("._mouse.MP4")
    (True, False, False)
    """
    path = Path(path)
    if path.is_dir():
        others = any(item.is_dir() or is_video(item) for item in shown_in(path))
        return bool(pictures_of(path)) and not others
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_beside(data: Path, videos: Iterable[Path]) -> list[Finding]:
    """Tell how many pictures lie beside the videos that were found in a folder, and are of none."""
    findings = []
    for folder in dict.fromkeys(file.parent for file in videos if data.is_dir() and file.is_file()):
        if count := len(pictures_of(folder)):
            detail = (
                f"{folder.name}: {count} pictures beside videos were passed over; a folder that "
                "holds nothing but pictures is a video."
            )
            findings.append(Finding("note", "Pictures", detail))
    return findings


def frames_at_once(shape: Sequence[int], most: int) -> int:
    """Return how many frames of a shape make up a block: `most`, or as few as 256 MB hold.

    It depends on nothing else, so that a scan that goes on has the same blocks.

    Examples
    --------
    >>> frames_at_once((1024, 1280, 3), 64), frames_at_once((2160, 3840, 3), 64)
    (64, 10)
    """
    return max(1, min(most, _BLOCK // math.prod(shape)))


class Video:
    """A video whose frames are read by number.

    Parameters
    ----------
    path
        A file, or a folder of pictures, which are ordered by the numbers in their names. A
        picture is a video of one frame, TIFF of as many as it has pages.
    grey
        Return one channel, the brightness; less memory and quicker.
    rate
        Frames a second of a folder of pictures; other files know theirs.
    patch
        Show the frame before (black, where one is read by itself) in place of one that cannot be
        decoded, so that a long recording is not lost for it; `damaged` says which.
    depth
        Bits that values of pictures have at least, where they have more than 8: the upper 8 are
        shown. They have as many as the largest value in pictures from all over the video, rounded
        up to 8, 10, 12, 14 or 16.

    Attributes
    ----------
    rate
        Frames a second, Hz; the mean if it changes.
    shape
        (y, x, channel) of a frame, as shown: a camera that was held turned is turned back.
    times
        Shape (frame,): s, from the first frame.
    notes
        What a careful reader should know; that the frame rate changes, for example.
    damaged
        Shape (frame,): which of the frames read so far could not be decoded.
    depth
        Bits that values of pictures were taken to have; None where they have 8, and of films.

    Raises
    ------
    DataError
        If it is missing, no video, or cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frames = (np.full((32, 48, 3), 20 * i, np.uint8) for i in range(5))
    ...     _ = write_video(Path(folder) / "a.mp4", frames, rate=25)
    ...     with Video(Path(folder) / "a.mp4") as video:
    ...         len(video), video.shape, video.rate, video.read([4, 0]).mean((1, 2, 3)).round()
    (5, (32, 48, 3), 25.0, array([80.,  0.]))
    """

    def __init__(
        self,
        path: str | Path,
        grey: bool = False,
        rate: float | None = None,
        patch: bool = False,
        depth: int | None = None,
    ) -> None:
        self.path, self._grey, self.patch = Path(path), grey, patch
        if not self.path.exists():
            raise DataError(f"{self.path}: there is no such video.")
        stills = self.path.is_dir() or self.path.suffix.lower() in PICTURES
        self._index = index_stills(self.path, rate, depth) if stills else index_file(self.path)
        self._reader = self._open()
        self.damaged = np.zeros(len(self), bool)
        self.shape: tuple[int, int, int] = self._first_sound().shape
        self.rate, self.times = self._index.rate, self._index.times.copy()
        self.notes = self._index.notes
        self.depth = self._index.depth if isinstance(self._index, StillIndex) else None

    def __len__(self) -> int:
        """Return the count of frames."""
        return len(self._index.times)

    def __enter__(self) -> Video:
        """Return itself; leaving closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; frames can no longer be read."""
        self._reader.close()

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return frames by number, (n, y, x, channel) uint8, in the order asked for.

        Raises
        ------
        DataError
            If there is no such frame, or it cannot be decoded.
        """
        wanted = np.asarray(indices, int).reshape(-1)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise DataError(
                f"{self.path}: has the frames 0 to {len(self) - 1}, asked for {wanted.min()} to "
                f"{wanted.max()}."
            )
        frames = np.empty((len(wanted), *self.shape), np.uint8)
        for number in np.unique(wanted):
            frames[wanted == number] = self._frame(self._reader, int(number))
        return frames

    def blocks(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number of the first frame, frames) from `start` to before `stop`.

        Frames have the shape (n, y, x, channel), n is `size` but for the last. A thread decodes
        the next blocks meanwhile; memory holds four of them at most, however long the video is.
        """
        if size < 1:
            raise DataError(f"{self.path}: a block has at least one frame, asked for {size}.")
        stop = len(self) if stop is None else min(stop, len(self))
        spans = [(first, min(first + size, stop)) for first in range(start, stop, size)]
        yield from _ahead(self._decode(spans))

    def _decode(self, spans: list[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
        reader = self._open()
        before: np.ndarray | None = None
        try:
            for first, last in spans:
                frames = np.empty((last - first, *self.shape), np.uint8)
                for number in range(first, last):
                    frames[number - first] = before = self._frame(reader, number, before)
                yield first, frames
        finally:
            reader.close()

    def _frame(
        self, reader: _File | Stills, number: int, before: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a frame; with `patch` what was before it, or black, if it is damaged."""
        try:
            frame = reader.frame(number)
        except DataError:
            if not self.patch:
                raise
            self.damaged[number] = True
            return np.zeros(self.shape, np.uint8) if before is None else before
        return self._checked(frame, number)

    def _first_sound(self) -> np.ndarray:
        """Return the first frame; with `patch` the first that can be decoded."""
        for number in range(len(self) if self.patch else 1):
            try:
                return self._reader.frame(number)
            except DataError:
                self.damaged[number] = True
        return self._reader.frame(0)

    def _checked(self, frame: np.ndarray, number: int) -> np.ndarray:
        if frame.shape != self.shape:
            raise DataError(
                f"{self.path}: frame {number} has the shape {frame.shape}, the first has "
                f"{self.shape}; frames of a video have one size."
            )
        return frame

    def _open(self) -> _File | Stills:
        kind = Stills if isinstance(self._index, StillIndex) else _File
        return kind(self.path, self._index, self._grey)  # type: ignore[arg-type]


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    rate: float,
    times: Sequence[float] | np.ndarray | None = None,
) -> Path:
    """Write frames as H.264 in MP4 that every player shows (yuv420p).

    Parameters
    ----------
    path
        The file, .mp4.
    frames
        (y, x, channel) uint8 each, one or three channels, one size. A side of odd length is
        padded by repeating its last row or column, since yuv420p has none.
    rate
        Frames a second, Hz.
    times
        When each frame is shown, s, for frames that come at changing intervals; rising. One that
        is not a tick of 1/90,000 s after the frame before is shown at that tick.

    Raises
    ------
    DataError
        If there is no frame, or their sizes differ.
    """
    path = Path(path)
    if not rate > 0:
        raise DataError(f"{path}: the rate must be above 0 frames a second, it is {rate}.")
    return write_atomic(path, lambda partial: _encode(partial, path.name, frames, rate, times))


class _File:
    """A decoder that knows where it stands."""

    def __init__(self, path: Path, index: FileIndex, grey: bool) -> None:
        from av.video.reformatter import VideoReformatter

        self._path, self._index, self._grey = path, index, grey
        self._reformatter = VideoReformatter()  # kept, since it plans the conversion once
        self._next = 0  # the place of the frame that is decoded next
        self._failed = -1  # the last frame that could not be decoded
        self._begin()

    def frame(self, number: int) -> np.ndarray:
        """Return a frame, going on from where the decoder stands if that is the shorter way."""
        keys = self._index.keys
        before = int(np.searchsorted(keys, number, "right")) - 1
        key = keys[before] if before >= 0 else 0
        found = self._forward(number, self._next) if key <= self._next <= number else None
        # Decoding from a key frame further back helps where frames of one group need another's.
        again = before >= 0 and keys[before] <= self._failed < number
        last_try = max(before - (1 if again else _TRIES), -1)
        while found is None and before > last_try:
            self._container.seek(int(self._index.stamps[keys[before]]), stream=self._stream)
            self._flow = self._stamped()
            found = self._forward(number)
            before -= 1
        if found is None and last_try < 0:  # some containers cannot seek, or not to the first frame
            self.close()
            self._begin()
            found = self._forward(number)
        if found is None:
            self._failed = number
            raise DataError(
                f"{self._path}: frame {number} of {len(self._index.stamps)} cannot be decoded; the "
                "file is damaged or cut off. Write it anew with ffmpeg, or use the part before it."
            )
        return found

    def close(self) -> None:
        self._container.close()

    def _begin(self) -> None:
        self._container, self._stream = open_video(self._path)
        self._stream.thread_type = "AUTO"
        self._flow = self._stamped()
        self._next = 0

    def _stamped(self) -> Iterator[tuple[int | None, Any]]:
        """Yield frames from here on, each with its time stamp, or its count."""
        frames = frames_of(self._container, self._stream)
        if self._index.counted:
            return enumerate(frames)
        return ((stamp_of(frame), frame) for frame in frames)

    def _forward(self, number: int, start: int = 0) -> np.ndarray | None:
        """Decode up to a frame, from `start` or before; None if it does not come, or not whole."""
        wanted = self._index.stamps[number]
        twins = number - max(start, int(np.searchsorted(self._index.stamps, wanted)))
        self._next = len(self._index.stamps)  # unless it is found, the next one begins with a seek
        for stamp, frame in self._flow:
            if stamp == wanted and twins:  # frames of the same time stamp come first
                twins -= 1
                continue
            if stamp == wanted and not frame.is_corrupt:
                self._next = number + 1
                return _pixels(frame, self._grey, self._reformatter)
            if stamp is not None and stamp >= wanted:
                return None
        return None


def _pixels(frame: Any, grey: bool, reformatter: Any) -> np.ndarray:
    """Return (y, x, channel) of a decoded frame, turned as it is shown."""
    one = grey or frame.format.name.startswith("gray")
    plain = reformatter.reformat(frame, format="gray" if one else "rgb24").to_ndarray()
    pixels = plain[..., None] if one else plain
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


_END = object()


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """Yield items that a thread makes some steps ahead; its error is raised here."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def _fill(items: Iterator[Any], ready: queue.Queue[Any], stopped: threading.Event) -> None:
    """Put items into a queue until they end, one fails, or nobody wants more."""
    last: tuple[Any, BaseException | None] = (_END, None)
    try:
        for item in items:
            if not _put(ready, (item, None), stopped):
                return
    except BaseException as error:  # it belongs to whoever asked for the frames
        last = (_END, error)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    _put(ready, last, stopped)


def _put(ready: queue.Queue[Any], item: Any, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _encode(
    partial: Path,
    name: str,
    frames: Iterable[np.ndarray],
    rate: float,
    times: Sequence[float] | np.ndarray | None,
) -> None:
    import av

    with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = None
        size: tuple[int, ...] = ()
        shown = None
        for number, frame in enumerate(frames):
            if stream is None:
                size = frame.shape
                stream = container.add_stream("libx264", Fraction(rate).limit_denominator(100_000))
                stream.height, stream.width = (side + side % 2 for side in size[:2])
                stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "veryfast"}
                if times is not None:
                    stream.codec_context.time_base = _TICK
            if frame.shape != size:
                raise DataError(f"{name}: frame {number} is {frame.shape}, the first is {size}.")
            picture = _to_av(frame)
            if times is not None:
                tick = round(float(times[number]) / _TICK)
                shown = tick if shown is None else max(tick, shown + 1)
                picture.pts, picture.time_base = shown, _TICK
            container.mux(stream.encode(picture))
        if stream is None:
            raise DataError(f"{name}: there is no frame to write.")
        container.mux(stream.encode())


def _to_av(frame: np.ndarray) -> Any:
    """Return a frame with even sides for the encoder."""
    import av

    if frame.ndim != 3 or frame.shape[-1] not in (1, 3) or frame.dtype != np.uint8:
        raise DataError(
            f"expected frames (y, x, 1 or 3) of uint8, got {frame.shape} of {frame.dtype}."
        )
    height, width, channels = frame.shape
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    colours = np.repeat(frame, 3, axis=-1) if channels == 1 else frame
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(colours), format="rgb24")
