"""A DANNCE project on disk: films of several cameras, and moments labelled in space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import digest
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.files import find_rig, load_mat, read_rig
from neuroloom.pose.rig.volumetric import Views

WANTED_PX = 64  # across the animal; smaller loses points, larger costs time


@dataclass(frozen=True, eq=False)
class Project:
    """Views of the labelled moments, and where they come from.

    Attributes
    ----------
    shrink
        The images are so many times smaller than the films.
    frames
        Number of each moment's frame in the first film.
    """

    views: Views
    shrink: int
    frames: np.ndarray
    hashes: dict[str, str]


def read_project(data: Path, shrink: int | None = None) -> Project:
    """Read a label3d .mat with the films beside it: videos/<camera>/0.mp4, or videos/<camera>.mp4.

    Parameters
    ----------
    shrink
        Make images so many times smaller; default: so that the animal is some 64 px across.

    Raises
    ------
    DataError
        If a film or the labels are missing, or a film is shorter than its labels say.
    """
    file = find_rig(data)
    rig = read_rig(file)
    known = load_mat(file) if file.suffix == ".mat" else {}
    if "labelData" not in known:
        raise DataError(f"{file.name}: expected DANNCE's label3d .mat with 'labelData'.")
    labels = np.atleast_1d(known["labelData"])
    if len(labels) != len(rig):
        raise DataError(f"{file.name}: has labels of {len(labels)} cameras for {len(rig)}.")
    frames = np.stack([np.atleast_1d(part.data_frame).astype(int) for part in labels])
    points = np.asarray(labels[0].data_3d, float).reshape(frames.shape[1], -1, 3)
    kept = np.isfinite(points).all(-1).any(-1)
    if not kept.any():
        raise DataError(f"{file.name}: no moment has a point in space (data_3d).")
    points, frames = points[kept], frames[:, kept]
    films = [_film(file.parent / "videos", name) for name in rig.names]
    shrink = shrink or _shrink(rig, points)
    images = [_small(film, own, shrink) for film, own in zip(films, frames, strict=True)]
    rig = Rig(tuple(replace(camera, size=(image.shape[2] * shrink, image.shape[1] * shrink))
                    for camera, image in zip(rig, images, strict=True)), rig.unit)  # fmt: skip
    size = tuple(max(image.shape[axis] for image in images) for axis in (1, 2))
    padded = [np.pad(image, [(0, 0), (0, size[0] - image.shape[1]), (0, size[1] - image.shape[2])])
              for image in images]  # fmt: skip
    views = Views(rig.scaled(1 / shrink), np.stack(padded, axis=1), points)
    hashes = {f"{film.parent.name}/{film.name}": digest(film) for film in films}
    return Project(views, shrink, frames[0], hashes | {file.name: digest(file)})


def _film(folder: Path, name: str) -> Path:
    from neuroloom.io.video import is_video

    inside = folder / name
    found = [file for file in (sorted(inside.iterdir()) if inside.is_dir() else [])
             if is_video(file)] or [file for file in sorted(folder.glob(f"{name}.*"))
                                    if is_video(file)]  # fmt: skip
    if not found:
        raise DataError(
            f"{folder.parent.name}: there is no film of camera '{name}'; expected "
            f"videos/{name}/0.mp4 or videos/{name}.mp4."
        )
    return found[0]


def _shrink(rig: Rig, points: np.ndarray) -> int:
    seen = rig.project(points)
    across = np.nanmedian(np.nanmax(seen, axis=2) - np.nanmin(seen, axis=2), axis=(0, 1)).max()
    return max(1, round(float(across) / WANTED_PX))


def _small(film: Path, frames: np.ndarray, shrink: int) -> np.ndarray:
    """Return frames of a film (frame, y, x) uint8, each pixel the mean of shrink x shrink."""
    from neuroloom.io.video import Video

    video = Video(film, grey=True)
    if frames.max() >= len(video) or frames.min() < 0:
        raise DataError(
            f"{film.parent.name}/{film.name}: has {len(video)} frames, its labels name frame "
            f"{frames.max()}."
        )
    out = []
    for start in range(0, len(frames), 32):
        block = video.read(frames[start : start + 32])[..., 0].astype(np.float32)
        height, width = (side // shrink * shrink for side in block.shape[1:])
        cells = block[:, :height, :width].reshape(
            len(block), height // shrink, shrink, width // shrink, shrink
        )
        out.append(cells.mean((2, 4)).round().astype(np.uint8))
    return np.concatenate(out)
