"""Tracks as predictions in SLEAP's .slp, through sleap-io: an animal a track of each video.

What a person placed in a frame counts before a prediction there; its confidence is 1. Animals
without a track are numbered within their frame.
"""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.core.recording import tracks
from neuroloom.io.labels.model import Skeleton, listed
from neuroloom.io.labels.sleap import make_skeleton, place_animals
from neuroloom.io.labels.sleapfile import load_sleap, sleap_io, video_names

if TYPE_CHECKING:
    import xarray as xr


def claims(path: Path) -> bool:
    """Say whether `path` is a SLEAP file."""
    return path.suffix.lower() == ".slp"


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read the animals of all frames of a file with one video."""
    found = read_each(path, rate)
    if len(found) > 1:
        raise DataError(
            f"{path}: expected the tracks of one video, it has {len(found)} ({listed(found)}). "
            "`pose.track` reads each of them; else save them as a file each."
        )
    return next(iter(found.values()))


def read_each(path: Path, rate: float | None = None) -> dict[str, xr.DataArray]:
    """Read the animals of all frames of each video, by the video's name."""
    held = load_sleap(path)
    names = video_names(held.videos)
    by_video: dict[int, list[Any]] = {}
    for frame in sorted(held.labeled_frames, key=lambda frame: frame.frame_idx):
        by_video.setdefault(id(frame.video), []).append(frame)
    if not by_video or not held.skeletons:
        raise DataError(f"{path}: has no tracks of {listed(names.values()) or 'any video'}.")
    return {
        names[id(video)]: _tracks(path, held, by_video[id(video)], rate)
        for video in held.videos
        if id(video) in by_video
    }


def _tracks(path: Path, held: Any, frames: list[Any], rate: float | None) -> xr.DataArray:
    chosen = [_animals(frame) for frame in frames]
    slots, individuals = place_animals(chosen, [track.name for track in held.tracks])
    names = list(map(str, held.skeletons[0].node_names))
    points = np.full((len(frames), 2, len(names), max(1, len(individuals))), np.nan)
    sure = np.full((len(frames), len(names), points.shape[3]), np.nan)
    for row, (animals, places) in enumerate(zip(chosen, slots, strict=True)):
        for animal, place in zip(animals, places, strict=True):
            points[row, :, :, place] = animal.numpy()[:, :2].T
            sure[row, :, place] = _scores(animal, points[row, 0, :, place])
    made = tracks(
        points,
        names,
        individuals or ("individual_0",),
        rate or 1.0,
        sure,
        source=path.name,
        frames=np.asarray([int(frame.frame_idx) for frame in frames]),
    )
    film = frames[0].video.filename
    made.attrs["video"] = str(PureWindowsPath(film[0]).parent) if isinstance(film, list) else film
    made.attrs["edges"] = [list(map(int, pair)) for pair in held.skeletons[0].edge_inds]
    made.attrs["listed"] = True  # a frame of which nothing is known is not in the file
    return made


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write predictions with a track for each animal."""
    if recording.sizes["space"] != 2:
        raise DataError(f"{path.name}: holds x and y only; write 3-D tracks as .nc or .nwb.")
    package = sleap_io()
    keypoints = tuple(map(str, recording.keypoints.values))
    edges = tuple((int(a), int(b)) for a, b in recording.attrs.get("edges", ()))
    skeleton = make_skeleton(Skeleton(keypoints, edges))
    named = str(recording.attrs.get("video") or recording.attrs["source"] or "video.mp4")
    video = package.Video(filename=named, open_backend=False)
    made = {str(name): package.Track(str(name)) for name in recording.individuals.values}
    frames = _frames(recording, package, skeleton, video, list(made.values()))
    held = package.Labels(
        labeled_frames=frames, videos=[video], skeletons=[skeleton], tracks=list(made.values())
    )
    return write_atomic(
        path, lambda partial: package.save_slp(held, str(partial), embed=False, verbose=False)
    )


def _frames(
    recording: xr.DataArray, package: Any, skeleton: Any, video: Any, made: list[Any]
) -> list[Any]:
    points = recording.transpose("time", "individuals", "keypoints", "space").values
    sure = recording.confidence.transpose("time", "individuals", "keypoints").values
    frames = []
    for row, number in enumerate(recording.frame.values):
        animals = []
        for who, track in enumerate(made):
            if np.isfinite(points[row, who]).any():
                known = np.isfinite(sure[row, who])
                animals.append(
                    package.PredictedInstance.from_numpy(
                        points[row, who],
                        skeleton=skeleton,
                        point_scores=sure[row, who],
                        score=float(sure[row, who][known].mean()) if known.any() else 0.0,
                        track=track,
                    )
                )
        frame = package.LabeledFrame(video=video, frame_idx=int(number), instances=animals)
        frames.append(frame)
    return frames


def _animals(frame: Any) -> list[Any]:
    """Return the animals of a frame, a placed one in the place of the prediction of its track."""
    placed = list(frame.user_instances)
    known = {id(one.track) for one in placed if one.track is not None}
    origins = {id(one.from_predicted) for one in placed if one.from_predicted is not None}
    left = [
        one
        for one in frame.predicted_instances
        if id(one) not in origins and (one.track is None or id(one.track) not in known)
    ]
    return placed + left


def _scores(animal: Any, x: np.ndarray) -> np.ndarray:
    if "score" in (animal.points.dtype.names or ()):
        return np.asarray(animal.points["score"], float)
    return np.where(np.isfinite(x), 1.0, np.nan)
