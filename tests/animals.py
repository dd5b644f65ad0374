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
