"""A DANNCE project on disk: films of several cameras, and moments labelled in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import digest
from neuroloom.io.labels import read_labels
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.files import find_rig, labelled_places, load_mat, read_rig
from neuroloom.pose.volume.films import Films, find_film, padded, smaller
from neuroloom.pose.volume.views import Views

BLOCK = 32  # frames read at once
WANTED_PX = 64  # across the animal; smaller loses points, larger costs time


@dataclass(frozen=True, eq=False)
class Project:
    """Views of the labelled moments, and where they come from.

    Attributes
    ----------
    rig
        The cameras in the films' full size; that of `views` is so many times smaller.
    shrink
        The images are so many times smaller than the films.
    frames
        Number of each moment's frame in the first film.
    keypoints
        Their names; keypoint_0, keypoint_1, … where the file has none.
    unlabelled
        How many moments of the file have no point in space.
    damaged
        How many labelled moments were left out, since a camera's frame cannot be decoded.
    """

    views: Views
    rig: Rig
    shrink: int
    frames: np.ndarray
    hashes: dict[str, str]
    keypoints: tuple[str, ...]
    unlabelled: int = 0
    damaged: int = 0


def read_project(data: Path, shrink: int | None = None) -> Project:
    """Read a label3d .mat with the films beside it: videos/<camera>/0.mp4, or videos/<camera>.mp4.

    Parameters
    ----------
    shrink
        Make images so many times smaller; default: so that the animal is some 64 px across.

    Raises
    ------
    DataError
        If a film or the labels are missing, a film is shorter than its labels say, or it is not of
        the size that its camera was calibrated at; if no labelled moment can be decoded.
    """
    file = find_rig(data)
    rig = read_rig(file)
    known = load_mat(file) if file.suffix == ".mat" else {}
    if "labelData" not in known:
        raise DataError(f"{file.name}: expected DANNCE's label3d .mat with 'labelData'.")
    labels = np.atleast_1d(known["labelData"])
    if len(labels) != len(rig):
        raise DataError(f"{file.name}: has labels of {len(labels)} cameras for {len(rig)}.")
    names = read_labels(file).skeleton.keypoints
    frames = np.stack([np.atleast_1d(part.data_frame).astype(int) for part in labels])
    points = labelled_places(file, labels[0], frames.shape[1], len(names))
    kept = np.isfinite(points).all(-1).any(-1)
    if not kept.any():
        raise DataError(f"{file.name}: no moment has a point in space (data_3d).")
    points, frames = points[kept], frames[:, kept]
    films = [find_film(file.parent, name) for name in rig.names]
    shrink = shrink or _shrink(rig, points)
    full = sized(rig, Films(films, shrink), shrink)
    seen = [_small(film, own, shrink) for film, own in zip(films, frames, strict=True)]
    whole = ~np.any([damaged for _, damaged in seen], axis=0)
    if not whole.any():
        raise DataError(f"{file.name}: no labelled moment has frames that can be decoded.")
    images = padded([image for image, _ in seen])[whole]
    views = Views(full.scaled(1 / shrink), images, points[whole])
    hashes = {f"{film.parent.name}/{film.name}": digest(film) for film in films}
    return Project(views, full, shrink, frames[0, whole], hashes | {file.name: digest(file)}, names,
                   int((~kept).sum()), int((~whole).sum()))  # fmt: skip


def with_points_of(project: Project, learnt: Sequence[str], data: Path) -> Project:
    """Return a project with the points that a run learnt, in its order; by place without names.

    Raises
    ------
    DataError
        If it lacks one of them, or has as many not.
    """
    own = list(project.keypoints)
    if _named(own) and _named(learnt):
        if lacking := [name for name in learnt if name not in own]:
            raise DataError(
                f"{data.name}: lacks the point '{lacking[0]}' that the run learnt."
                f"{nearest(lacking[0], own)} It has {', '.join(own)}."
            )
        order = [own.index(name) for name in learnt]
    elif len(own) != len(learnt):
        raise DataError(
            f"{data.name}: has {len(own)} points a moment, the run learnt {len(learnt)}."
        )
    else:
        order = list(range(len(own)))
    views = replace(project.views, points=project.views.points[:, order])
    return replace(project, views=views, keypoints=tuple(learnt))


def _named(keypoints: Sequence[str]) -> bool:
    """Say whether points have names of their own, not those that are given where there are none."""
    return list(keypoints) != [f"keypoint_{number}" for number in range(len(keypoints))]


def sized(rig: Rig, films: Films, shrink: int) -> Rig:
    """Return the rig with the width and height of each camera's film.

    Parameters
    ----------
    shrink
        The films are looked at so many times smaller: smaller differences are none.

    Raises
    ------
    DataError
        If a film is not of the size that its camera was calibrated at.
    """
    for camera, size, file in zip(rig, films.sizes, films.files, strict=True):
        apart = [abs(a - b) >= shrink for a, b in zip(camera.size, size, strict=True)]
        if any(camera.size) and any(apart):
            raise DataError(
                f"{file.parent.name}/{file.name} is {size[0]} x {size[1]} px, camera "
                f"'{camera.name}' was calibrated at {camera.size[0]} x {camera.size[1]}: give the "
                "films as they were recorded, or the calibration of these."
            )
    cameras = [replace(one, size=size) for one, size in zip(rig, films.sizes, strict=True)]
    return Rig(tuple(cameras), rig.unit)


def _shrink(rig: Rig, points: np.ndarray) -> int:
    seen = rig.project(points)
    across = np.nanmedian(np.nanmax(seen, axis=2) - np.nanmin(seen, axis=2), axis=(0, 1)).max()
    return max(1, round(float(across) / WANTED_PX))


def _small(
    film: Path, frames: np.ndarray, shrink: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return frames of a film (frame, y, x), made smaller, and which cannot be decoded."""
    from neuroloom.io.video import Video

    with Video(film, grey=True, patch=True) as video:
        if frames.max() >= len(video) or frames.min() < 0:
            raise DataError(
                f"{film.parent.name}/{film.name}: has {len(video)} frames, its labels name frame "
                f"{frames.max() if frames.max() >= len(video) else frames.min()}."
            )
        parts = [frames[start : start + BLOCK] for start in range(0, len(frames), BLOCK)]
        images = np.concatenate([smaller(video.read(part)[..., 0], shrink) for part in parts])
        return images, video.damaged[frames]
