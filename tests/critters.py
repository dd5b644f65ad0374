"""Labelled projects made here: a small animal on a floor, kept as DeepLabCut keeps it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("nose", "earL", "earR", "tail")
SHAPE = np.array([[10.0, 0.0], [5.0, -4.0], [5.0, 4.0], [-10.0, 0.0]])
SIZE = (64, 80)


def place(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, float]:
    """Somewhere on the floor, pointing anywhere."""
    middle = np.array([rng.uniform(14, size[1] - 14), rng.uniform(14, size[0] - 14)])
    return middle, float(rng.uniform(-np.pi, np.pi))


def points_of(middle: np.ndarray, angle: float) -> np.ndarray:
    """Where the four points then are, (4, 2) px."""
    cos, sin = np.cos(angle), np.sin(angle)
    return SHAPE @ np.array([[cos, sin], [-sin, cos]]) + middle


def paint(points: np.ndarray, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture (y, x) uint8 of animals at points (animal, 4, 2): dark, with ears of two greys."""
    y, x = np.mgrid[: size[0], : size[1]]
    floor = 190.0 + rng.normal(0, 4, size)
    for nose, left, right, tail in points.reshape(-1, 4, 2):
        middle, axis = (nose + tail) / 2, (nose - tail) / np.linalg.norm(nose - tail)
        along = (x - middle[0]) * axis[0] + (y - middle[1]) * axis[1]
        beside = (y - middle[1]) * axis[0] - (x - middle[0]) * axis[1]
        wide = 4.5 + 1.5 * np.clip(along / 10, -1, 1)
        floor[(along / 11) ** 2 + (beside / wide) ** 2 < 1] = 60
        for ear, grey in ((left, 230), (right, 120), (nose, 20)):
            floor[(x - ear[0]) ** 2 + (y - ear[1]) ** 2 < 3.2] = grey
    return np.clip(floor, 0, 255).astype(np.uint8)


def write_project(folder: Path, videos: int = 2, frames: int = 8, seed: int = 0) -> Path:
    """A project: config.yaml, and labelled pictures of each video."""
    folder.mkdir(parents=True)
    parts = "".join(f"- {name}\n" for name in NAMES)
    (folder / "config.yaml").write_text(
        f"Task: floor\nscorer: me\nmultianimalproject: false\nbodyparts:\n{parts}"
        "skeleton:\n- - nose\n  - tail\nvideo_sets: {}\n"
    )
    rng = np.random.default_rng(seed)
    for number in range(videos):
        own = folder / "labeled-data" / f"vid{number}"
        own.mkdir(parents=True)
        heads = [["scorer", *["me"] * 8], ["bodyparts", *[n for n in NAMES for _ in "xy"]]]
        rows = [*heads, ["coords", *["x", "y"] * 4]]
        for frame in range(frames):
            points = points_of(*place(rng))
            name = f"img{frame:03d}.png"
            Image.fromarray(paint(points, rng)).save(own / name)
            rows.append([f"labeled-data/vid{number}/{name}", *map(str, points.ravel().round(3))])
        table = "\n".join(",".join(row) for row in rows)
        (own / "CollectedData_me.csv").write_text(table + "\n")
    return folder
