"""Videos, the tracks that nets left of them, and what is in doubt there."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import check_there
from neuroloom.pose.doubt.signs import SMALL, as_the_first, disagreement, frame_doubts, shrink
from neuroloom.pose.link.names import in_the_order_of
from neuroloom.pose.link.pairs import SUFFIXES, in_first_slots, to_detections
from neuroloom.pose.link.spans import over_one_span

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.pose.suggest import Doubted


def find_videos(data: Path, include: Sequence[str] = ()) -> list[Path]:
    """Return the videos of a file or a folder, sorted.

    Raises
    ------
    DataError
        If there is none.
    """
    from neuroloom.io.video import is_video
    from neuroloom.io.videos import videos_inside

    check_there(data)
    found = [data] if is_video(data) else [p for p in videos_inside(data) if p.is_file()]
    found = [p for p in found if not include or any(fnmatch(p.name, glob) for glob in include)]
    if not found:
        raise DataError(f"{data}: there is no video; expected .mp4, .avi, .mov, … or pictures.")
    return found


def read_doubts(
    source: tuple[Path, str],
    tracks: Sequence[str],
    data: Path,
    span: tuple[int, int | None, int],
) -> tuple[Doubted, list[Finding]]:
    """Return a video with what is in doubt in its frames.

    Parameters
    ----------
    source
        The file, and what it is called.
    tracks
        Files, also relative to the data; if empty, those beside the video whose names begin with
        its name, and with no other video's that is longer.
    data
        Where the search began.
    span
        First frame, frame to stop before (None: the end), and how many are looked at at most.

    Raises
    ------
    DataError
        If a file of tracks is not there, has other keypoints than the first, or no frame of the
        video is left.
    """
    from neuroloom.io.tracks import read_tracks
    from neuroloom.io.video import Video
    from neuroloom.pose.suggest import Doubted

    video, name = source
    with Video(video, patch=True) as opened:
        count = len(opened)
        told = [Finding("warning", "Video", note) for note in opened.notes]
    start, stop, most = span
    stop = count if stop is None else min(stop, count)
    if start >= stop:
        raise DataError(f"{video.name}: has {count} frames, none from {start} to before {stop}.")
    step = -(-(stop - start) // most)
    numbers = np.arange(start, stop, step)
    files, others = [_named(file, data) for file in tracks], list[Path]()
    if not files:
        files, others = nets_of(beside(video))
    if others:
        listed = ", ".join(file.name for file in others)
        told.append(Finding("note", video.name, f"No tracks, or the same ones again: {listed}."))
    if step > 1:
        told.append(Finding("note", video.name, f"Every {step}th of {count} frames is looked at."))
    if not files:
        told.append(Finding("note", video.name, "No tracks: frames are chosen that stand for all."))
        return Doubted(video, name, numbers, {}, None, count), told
    recordings = over_one_span([read_tracks(file) for file in files])
    doubts, points, frames = _doubts(recordings, files)
    row_of = {int(frame): row for row, frame in enumerate(frames)}
    numbers = np.array([n for n in numbers if int(n) in row_of], int)
    if not len(numbers):
        raise DataError(f"{files[0].name}: has tracks of no frame of {video.name} looked at.")
    rows = np.array([row_of[int(n)] for n in numbers])
    listed = ", ".join(file.name for file in files)
    told.append(Finding("note", video.name, f"Tracks: {listed}."))
    kept = {reason: values[rows] for reason, values in doubts.items()}
    names = [tuple(map(str, recordings[0][dim].values)) for dim in ("keypoints", "individuals")]
    about = (points[rows], count, names[0], names[1], tuple(files))
    return Doubted(video, name, numbers, kept, *about), told


def look_at(one: Doubted) -> tuple[Doubted, np.ndarray]:
    """Return a video with the frames that can be decoded, and these as small pictures.

    Returns
    -------
    Doubted
        Without the others: nobody could label them.
    small
        Shape (frame, y, x), grey.

    Raises
    ------
    DataError
        If none can be decoded.
    """
    from neuroloom.io.video import Video
    from neuroloom.pose.doubt.choose import small_frames

    with Video(one.video, patch=True) as video:
        small = small_frames(video, one.numbers)
        sound = ~video.damaged[one.numbers]
    if not sound.any():
        raise DataError(
            f"{one.video.name}: none of the {len(sound)} frames looked at can be decoded. Write it "
            "anew with ffmpeg, or choose others with `start` and `stop`."
        )
    return one.take(sound), small[sound]


def not_looked_at(one: Doubted, frames: np.ndarray) -> list[Finding]:
    """Tell how many frames of a video were left out, as only `frames` could be decoded."""
    lost = np.setdiff1d(one.numbers, frames)
    if not len(lost):
        return []
    detail = (
        f"{one.video.name}: {len(lost)} of {len(one.numbers)} frames looked at cannot be decoded, "
        f"the first is {lost[0]}: none of them was chosen."
    )
    return [Finding("warning", "Video", detail)]


def _named(name: str, data: Path) -> Path:
    root = data if data.is_dir() else data.parent
    for path in (Path(name), root / name):
        if path.is_file():
            return path
    raise DataError(f"tracks: there is no file '{name}', neither by itself nor in the data.")


def beside(video: Path) -> list[Path]:
    """Return the files of tracks beside a video that are its own.

    Their names begin with the video's: `mouse1DLC_resnet50.h5` is of `mouse1.mp4`, but
    `mouse10.h5` is of `mouse10.mp4`, whether that is there or not.
    """
    from neuroloom.io.video import is_video

    near = sorted(video.parent.iterdir())
    longer = [
        other.stem for other in near
        if is_video(other) and other.stem != video.stem and other.stem.startswith(video.stem)
    ]  # fmt: skip
    return [
        file for file in near
        if file.is_file() and file.suffix.lower() in SUFFIXES
        and file.name.startswith(video.stem)
        and not (video.stem[-1:].isdigit() and file.name[len(video.stem)].isdigit())
        and not any(file.name.startswith(stem) for stem in longer)
    ]  # fmt: skip


def nets_of(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return which files are tracks, and the others.

    A .csv beside its .h5, and what DeepLabCut filtered beside what it found, say the same again.
    """
    from neuroloom.io.tracks.door import FILTERED, is_tracks

    tracks = [file for file in files if is_tracks(file)]
    stems = {file.stem for file in tracks}
    kept = [file for file in tracks
            if (file.suffix.lower() != ".csv" or file.with_suffix(".h5") not in tracks)
            and not (file.stem.endswith(FILTERED) and file.stem.removesuffix(FILTERED) in stems)
            ]  # fmt: skip
    return kept, [file for file in files if file not in kept]


def _doubts(
    recordings: list[xr.DataArray], files: list[Path]
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return doubts and points of the first recording, with the spread over all, and frames."""
    first = recordings[0]
    points, sure = to_detections(first)
    fewer, trust, _ = in_first_slots(points, sure)
    several = [fewer]
    for other, file in zip(recordings[1:], files[1:], strict=True):
        own = to_detections(in_the_order_of(first, other, file.name))
        several.append(as_the_first(fewer, in_first_slots(*own)[0]))
    spread = disagreement(several) if len(several) > 1 else None
    return frame_doubts(fewer, trust, spread), points, first.coords["frame"].values


def labelled_pictures(project: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labelled frames of a project as small pictures (frame, y, x) of that shape."""
    from neuroloom.io.labels import read_labels

    labels = read_labels(project)
    small = []
    for row in range(len(labels)):
        image = labels.image(row)
        picture = shrink(image[None], SMALL)[0]
        if picture.shape == tuple(shape):
            small.append(picture)
    return np.array(small, np.float32).reshape(-1, *shape)
