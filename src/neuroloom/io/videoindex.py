"""The frames of a video file in the order of showing: their time stamps, found without decoding.

Where packets carry no time stamps of their own, or the file is cut off, its frames are decoded once
and asked instead. Frames whose time stamps are missing (a raw stream) or do not rise in the order
of showing (H.264 with B-frames in .avi) are counted. A process keeps what it found of the last
files, since some have to be decoded whole for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError

_KEPT = 32  # indices of files; that of an hour takes 2 MB
_PROBE = 48  # frames whose order is looked at where that of the packets is in doubt
_RATE = 25.0  # Hz, of a stream that tells none, as ffmpeg takes it
_UNEVEN = 0.1  # share by which intervals may differ from the median one, which is rounding


@dataclass(frozen=True, eq=False)
class FileIndex:
    """Time stamps of all frames in the order of showing, and which of them are key frames.

    Attributes
    ----------
    stamps
        Shape (frame,): in the units of the stream; where frames are counted, their numbers.
    keys
        Places of key frames in the order of showing; none where frames are counted, since a seek
        needs time stamps.
    times
        Shape (frame,): s, from the first frame.
    rate
        Frames a second, Hz.
    notes
        What a careful reader should know.
    counted
        Time stamps tell nothing; the number of a frame is its place in a decode from the beginning.
    """

    stamps: np.ndarray
    keys: np.ndarray
    times: np.ndarray
    rate: float
    notes: tuple[str, ...] = ()
    counted: bool = False


def frames_of(container: Any, stream: Any) -> Iterator[Any]:
    """Yield frames in the order of showing; a packet that is broken costs its own frames only."""
    from av.error import FFmpegError

    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def stamp_of(frame: Any) -> int | None:
    """Return the time stamp of a decoded frame, in the units of its stream; None if it has none."""
    return frame.pts if frame.pts is not None else frame.dts


def open_video(path: Path) -> tuple[Any, Any]:
    """Return the container of a file and its first stream of pictures.

    Raises
    ------
    DataError
        If it cannot be opened, or has no pictures.
    ConfigError
        If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"{path}: videos need PyAV ({error}): pip install 'neuroloom[video]'."
        ) from error
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        empty = path.is_file() and path.stat().st_size == 0
        why = "it is empty" if empty else getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read as a video: {why}.") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path}: holds no pictures, only sound or data.")
    return container, container.streams.video[0]


def index_file(path: Path) -> FileIndex:
    """Walk through the packets; where they have no time stamps, through the decoded frames.

    A file that is opened again, and was not written since, is not walked through again.

    Raises
    ------
    DataError
        If no frame can be decoded.
    """
    state = path.stat()
    return _walk(path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=_KEPT)
def _walk(path: Path, _state: tuple[int, ...]) -> FileIndex:
    """Return the index of a file in one state; a file written anew is in another."""
    import av

    container, stream = open_video(path)
    told = int(stream.frames)
    counted: int | None = None
    with container:
        try:
            stamps, is_key = _from_packets(container, stream)
            if not _borne_out(path, stamps) or _is_short(len(stamps), told):
                stamps, is_key, counted = _from_frames(path)
        except av.error.FFmpegError as error:
            raise DataError(f"{path}: cannot be read as a video: {error.strerror}.") from error
        stated = float(stream.average_rate or 0)
        base = float(stream.time_base or 0)
    if counted:
        return _counted(path, counted, stated or _RATE)
    if not len(stamps):
        raise DataError(f"{path}: the video has no frames that can be decoded.")
    order = np.argsort(stamps, kind="stable")
    clock = (stamps[order] - stamps[order[0]]) * base
    rate = stated if stated > 0 else mean_rate(clock)
    hertz = mean_rate(clock, rate)
    times = spread(clock, 1 / hertz)
    notes = (*_short(path, len(stamps), told), *_repeated(path, clock), *_uneven(path, times))
    return FileIndex(stamps[order], np.flatnonzero(is_key[order]), times, hertz, notes)


def _counted(path: Path, count: int, rate: float) -> FileIndex:
    """Return the index of frames that are known by their count from the beginning only."""
    note = (
        f"{path.name}: its frames carry no time stamps in the order of showing. They are counted "
        f"from the beginning, which makes jumps slow, and times are those of {rate:g} a second. "
        "Where that is not its rate, or jumps are many, write it anew: "
        f"ffmpeg -r {rate:g} -i {path.name} {path.stem}.mp4."
    )
    numbers = np.arange(count)
    return FileIndex(numbers, np.zeros(0, int), numbers / rate, rate, (note,), counted=True)


def _from_packets(container: Any, stream: Any) -> tuple[np.ndarray, ...]:
    stamps, keys = [], []
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard or packet.is_corrupt:
            continue
        if packet.pts is None:
            return np.zeros(2, int), np.zeros(2, bool)  # not unique: the frames are asked instead
        stamps.append(packet.pts)
        keys.append(packet.is_keyframe)
    return np.asarray(stamps, int), np.asarray(keys, bool)


def _borne_out(path: Path, stamps: np.ndarray) -> bool:
    """Say whether time stamps of packets are those that decoded frames bear, and tell them apart.

    A codec that reorders frames whose packets come in the order of their stamps either made no use
    of it, or the stamps are counted in the order of decoding; then frames are asked: all of them in
    .avi, which has no stamps of showing, as the first one to be reordered may come late.
    """
    if len(np.unique(stamps)) < len(stamps):
        return False
    container, stream = open_video(path)
    with container:
        doubtful = stream.codec_context.has_b_frames and bool((np.diff(stamps) > 0).all())
        looked_at = 1 if not doubtful else None if container.format.name == "avi" else _PROBE
        if looked_at is None:
            stream.thread_type = "AUTO"
        shown = (stamp_of(frame) for frame in islice(frames_of(container, stream), looked_at))
        first = next(shown, None)
        return first is not None and first in stamps and _rise(chain([first], shown))


def _rise(stamps: Iterable[int | None]) -> bool:
    """Say whether there are time stamps of all frames and none is before the one ahead of it."""
    before = None
    for stamp in stamps:
        if stamp is None or (before is not None and stamp < before):
            return False
        before = stamp
    return True


def _from_frames(path: Path) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Return stamps of frames that are whole, which are key frames, and their count if it is all.

    The count is None where the stamps rise; else it is that of all frames, whole or not.
    """
    container, stream = open_video(path)
    stream.thread_type = "AUTO"
    with container:
        found = [
            (stamp_of(frame), bool(frame.key_frame), bool(frame.is_corrupt))
            for frame in frames_of(container, stream)
        ]
    whole = [(stamp, key) for stamp, key, corrupt in found if not corrupt]
    if not _rise(stamp for stamp, _ in whole):
        return np.zeros(0, int), np.zeros(0, bool), len(found)
    stamps = np.asarray([stamp for stamp, _ in whole], int)
    return stamps, np.asarray([key for _, key in whole], bool), None


def mean_rate(times: np.ndarray, stated: float = 1.0) -> float:
    """Return the stated rate if the times bear it out to a hundredth, else their mean rate, Hz.

    Parameters
    ----------
    times
        Shape (frame,): s, from the first frame on.

    Examples
    --------
    >>> mean_rate(np.array([0.0, 0.033, 0.067, 0.1]), 30.0), mean_rate(np.array([0.0, 0.5, 1.0]))
    (30.0, 2.0)
    """
    if len(times) < 2 or not times[-1] > 0:
        return stated
    mean = np.searchsorted(times, times[-1]) / times[-1]  # several frames may share the last time
    return stated if abs(stated / mean - 1) < 0.01 else float(mean)


def spread(times: np.ndarray, last: float) -> np.ndarray:
    """Return times that rise: frames of one time share the interval up to the next evenly.

    Parameters
    ----------
    times
        Shape (frame,): s, none before the one ahead of it.
    last
        Interval between frames, s: that of frames that share the last time.

    Examples
    --------
    >>> spread(np.array([0.0, 0.0, 1.0, 2.0, 2.0]), 0.5).tolist()
    [0.0, 0.5, 1.0, 2.0, 2.5]
    """
    known, group, count = np.unique(times, return_inverse=True, return_counts=True)
    place = np.arange(len(times)) - np.searchsorted(times, times)
    interval = np.append(np.diff(known), last * count[-1:])
    return times + place * (interval / count)[group]


def _repeated(path: Path, times: np.ndarray) -> tuple[str, ...]:
    same = np.diff(times) == 0
    if not same.any():
        return ()
    return (
        f"{path.name}: {same.sum()} frames bear the time of the frame before, the first is frame "
        f"{int(np.argmax(same)) + 1}: the file's clock is too coarse. They are spread evenly up to "
        "the next time.",
    )


def _is_short(count: int, told: int) -> bool:
    """Say whether a file has fewer frames than it tells, but for one or two cut away on purpose."""
    return told - count > 2


def _short(path: Path, count: int, told: int) -> tuple[str, ...]:
    if not _is_short(count, told):
        return ()
    return (
        f"{path.name}: tells of {told} frames, {count} are there; the file is cut off or damaged.",
    )


def _uneven(path: Path, times: np.ndarray) -> tuple[str, ...]:
    steps = np.diff(times)
    if not len(steps):
        return ()
    usual = float(np.median(steps))
    odd = np.abs(steps - usual) > _UNEVEN * usual
    if not odd.any():
        return ()
    return (
        f"{path.name}: the frame rate changes: {odd.sum()} of {len(steps)} intervals differ from "
        f"the usual {usual * 1e3:.3g} ms, they are {steps.min() * 1e3:.3g} to "
        f"{steps.max() * 1e3:.3g} ms; the first after frame {int(np.argmax(odd))}. "
        "Times are those of the file.",
    )
