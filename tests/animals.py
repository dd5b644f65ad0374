"""Files of animals whose truth is known: tracks through crossings, and a clip of two dots."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuroloom.core.recording import tracks
from neuroloom.io.tracks import write_tracks
from neuroloom.io.video import write_video
from tests.pose.crossings import BODY, Crossings, simulate, wander

NAMES = ("snout", "left", "right", "back", "tail")


def as_recording(points: np.ndarray, individuals: list[str], source: str = "made"):
    """Points (time, individual, keypoint, 2) as a recording of 30 frames a second."""
    sure = np.where(np.isfinite(points).all(-1), 0.9, np.nan).transpose(0, 2, 1)
    return tracks(points.transpose(0, 3, 2, 1), NAMES, individuals, 30.0, sure, source=source)


def write_crossings(folder: Path, animals: int = 2, frames: int = 120, files: int = 2) -> Path:
    """Detections without names as `clip*.h5`, their truth under `truth/`."""
    folder.mkdir(parents=True)
    for number in range(files):
        case: Crossings = simulate(animals, frames, seed=number)
        slots = [f"slot_{i}" for i in range(case.found.shape[1])]
        names = [f"mouse_{i}" for i in range(animals)]
        write_tracks(as_recording(case.found, slots), folder / f"clip{number}.h5", "dlc")
        write_tracks(as_recording(case.truth, names), folder / "truth" / f"clip{number}.h5", "dlc")
    return folder


def write_clip(folder: Path, frames: int = 60) -> Path:
    """A clip of a dark animal on a bright floor, and what a net found of it: frame 20 is astray."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    path = wander(1, frames, rng, 96.0)
    y, x = np.mgrid[:96, :96]

    def pictures():
        for a, b, heading in path[:, 0]:
            along = (x - a) * np.cos(heading) + (y - b) * np.sin(heading)
            beside = (y - b) * np.cos(heading) - (x - a) * np.sin(heading)
            dark = (along / 14) ** 2 + (beside / 6) ** 2 < 1
            yield np.repeat(np.where(dark, 40, 200).astype(np.uint8)[..., None], 3, -1)

    write_video(folder / "arena.mp4", pictures(), 30.0)
    cos, sin = np.cos(path[..., 2]), np.sin(path[..., 2])
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    points = path[..., None, :2] + (BODY / 2) @ turn
    points[20, 0, 0] += 40
    write_tracks(as_recording(points, ["mouse"]), folder / "arenaDLC_net.h5", "dlc")
    return folder


def write_herd(
    folder: Path, frames: int = 12, animals: int = 2, seed: int = 0, *, marked: bool = False
) -> Path:
    """A project of DeepLabCut with several dark animals on a bright floor in every frame.

    Where they are `marked` each has a stripe of its own grey, and may be above or below the other.
    """
    import pandas as pd
    from PIL import Image

    from neuroloom.io.labels import Labels, Skeleton, write_labels

    rng = np.random.default_rng(seed)
    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(parents=True)
    y, x = np.mgrid[:96, :128]
    truth = np.full((frames, animals, 5, 2), np.nan)
    for frame in range(frames):
        image = np.full((96, 128), 200.0)
        rows = rng.permutation(animals) if marked else np.arange(animals)
        for animal in range(animals if frame else 1):
            a, b = rng.uniform(24, 104), 24 + 48 * rows[animal] + rng.uniform(-8, 8)
            heading = rng.uniform(0, 2 * np.pi)
            cos, sin = np.cos(heading), np.sin(heading)
            along, beside = (x - a) * cos + (y - b) * sin, (y - b) * cos - (x - a) * sin
            image[(along / 14) ** 2 + (beside / 6) ** 2 < 1] = 40
            image[np.hypot(along - 11, beside) < 3] = 120
            if marked:
                image[(np.abs(along) < 3) & (np.abs(beside) < 4)] = 80 + 120 * animal
            turn = np.array([[cos, sin], [-sin, cos]])
            truth[frame, animal] = [a, b] + (BODY / 2) @ turn
        Image.fromarray(image.astype(np.uint8)).save(pictures / f"img{frame:03d}.png")
    names = [f"img{frame:03d}.png" for frame in range(frames)]
    table = pd.DataFrame({"video": "herd", "frame": range(frames), "image": names})
    skeleton = Skeleton(NAMES, swaps=((1, 2),))
    individuals = tuple(f"animal{i + 1}" for i in range(animals))
    labels = Labels(skeleton, table, truth, individuals, pictures, "made")
    write_labels(labels, folder, "dlc")
    return folder
