"""Frames and videos with two or three mice, put together from labelled frames of one.

The mice are cut out of real frames (as the share of light that they leave of the background), then
turned, mirrored and moved over a background without a mouse; where they overlap the darkest counts,
as with animals that lie side by side. Where every keypoint is, is known exactly. Nothing of
neuroloom is used here but to write the project, and no recipe sees what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

REACH = 150  # px round the middle of a mouse that are cut out, its tail with it
DARK = 0.86  # of the background's light: what is darker near a mouse is mouse
NAMES = ("snout", "leftear", "rightear", "tailbase")
WALLS = (28, 54, 612, 448)  # x, y: where the floor begins and ends
APART = 50.0  # px between the middles of two mice that lie still: none lies upon another
FLOOR = (45.0, 70.0, 595.0, 430.0)  # x, y of the arena's floor: least and largest middle of a mouse


@dataclass(frozen=True)
class Mouse:
    """A mouse by itself: share of light (y, x), 1 where it is not, and keypoints round 0, px."""

    light: np.ndarray
    points: np.ndarray
    heading: float


def read_openfield(folder: Path, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (n, y, x) and points (n, keypoint, 2) of a DLC project of one mouse."""
    import pandas as pd
    from PIL import Image

    (table,) = (folder / "labeled-data").glob("*/CollectedData_*.csv")
    rows_of = pd.read_csv(table, header=[1, 2], index_col=0).iloc[rows]
    points = rows_of.to_numpy(float).reshape(len(rows_of), -1, 2)
    names = [table.parent / Path(name).name for name in rows_of.index]
    return np.stack([np.asarray(Image.open(name).convert("L")) for name in names]), points


def background_of(frames: np.ndarray) -> np.ndarray:
    """Return the arena without a mouse (y, x): what most frames show."""
    return np.median(frames, 0).astype(np.float32)


def cut_out(frame: np.ndarray, points: np.ndarray, background: np.ndarray) -> Mouse:
    """Cut a mouse out of its frame."""
    from scipy.ndimage import binary_dilation, gaussian_filter, label

    middle = points.mean(0)
    light = np.minimum(frame / np.maximum(background, 1.0), 1.0)
    found, _ = label(gaussian_filter(light, 1.0) < DARK)
    own = found[tuple(np.round(points[-1] * 0.3 + middle * 0.7).astype(int)[::-1])]
    y, x = np.indices(frame.shape)
    near = np.hypot(x - middle[0], y - middle[1]) < REACH
    mask = (found == own) & near if own else (light < DARK) & near
    mask &= (x > WALLS[0]) & (x < WALLS[2]) & (y > WALLS[1]) & (y < WALLS[3])
    mask = gaussian_filter(binary_dilation(mask, iterations=2).astype(float), 1.0)
    light = 1 - (1 - light) * mask
    at = np.round(middle).astype(int)
    wide = np.pad(light, REACH, constant_values=1.0)
    part = wide[at[1] : at[1] + 2 * REACH + 1, at[0] : at[0] + 2 * REACH + 1]
    along = points[0] - points[-1]
    return Mouse(part.astype(np.float32), points - at, float(np.arctan2(along[1], along[0])))


def cut_outs(frames: np.ndarray, points: np.ndarray, background: np.ndarray) -> list[Mouse]:
    """Cut out every mouse that stands wholly on the floor, away from its reflection."""
    out = []
    for frame, own in zip(frames, points, strict=True):
        inside = (own > np.add(WALLS[:2], 6)).all() and (own < np.subtract(WALLS[2:], 6)).all()
        if inside:
            out.append(cut_out(frame, own, background))
    return out


def place(
    mouse: Mouse, shape: tuple[int, int], at: np.ndarray, turn: float, mirror: bool, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the light that a mouse leaves in a frame (y, x), and its keypoints there."""
    import cv2

    cos, sin = size * np.cos(turn), size * np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    points = mouse.points @ matrix.T + at
    if mirror:  # left and right change sides
        points = points[[0, 2, 1, 3]]
    shift = np.asarray(at) - matrix @ np.array([REACH, REACH])
    light = cv2.warpAffine(
        mouse.light, np.column_stack([matrix, shift]), shape[::-1], borderValue=1.0
    )  # fmt: skip
    return light, points


def compose(
    layers: list[np.ndarray], background: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a frame uint8: the background, darkest mouse first, light and noise of a camera."""
    frame = background * np.minimum.reduce(layers) * np.float32(rng.uniform(0.85, 1.1))
    noise = rng.standard_normal(frame.shape, dtype=np.float32) * 2
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def draw_frames(
    mice: list[Mouse], background: np.ndarray, count: int, animals: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return still frames (n, y, x) and truth (n, animal, keypoint, 2)."""
    rng = np.random.default_rng(seed)
    frames, truth = [], []
    low, high = np.array(FLOOR[:2]), np.array(FLOOR[2:])
    for _ in range(count):
        layers, points = [], []
        for at in _places(animals, rng, low, high):
            drawn = (rng.uniform(0, 2 * np.pi), rng.random() < 0.5, rng.uniform(0.9, 1.1))
            light, own = place(mice[rng.integers(len(mice))], background.shape, at, *drawn)
            layers.append(light)
            points.append(own)
        frames.append(compose(layers, background, rng))
        truth.append(points)
    return np.array(frames), np.array(truth)


def _places(
    animals: int, rng: np.random.Generator, low: np.ndarray, high: np.ndarray
) -> list[np.ndarray]:
    """Return middles of mice; of two that follow each other every second is near the first."""
    places: list[np.ndarray] = []
    while len(places) < animals:
        close = bool(places) and rng.random() < 0.5
        at = (
            np.clip(places[-1] + rng.normal(0, 90, 2), low, high)
            if close
            else rng.uniform(low, high)
        )
        if all(np.linalg.norm(at - other) >= APART for other in places):
            places.append(at)
    return places


def draw_video(
    mice: list[Mouse], background: np.ndarray, count: int, animals: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a video (n, y, x) of mice that run about and cross, and truth by animal."""
    rng = np.random.default_rng(seed)
    own = [mice[i] for i in rng.choice(len(mice), animals, replace=False)]
    low, high = np.array(FLOOR[:2]), np.array(FLOOR[2:])
    paths = _paths(animals, count, rng, low, high)
    frames, truth = [], []
    for now in paths:
        layers, points = [], []
        for mouse, (x, y, heading) in zip(own, now, strict=True):
            light, found = place(
                mouse, background.shape, np.array([x, y]), heading - mouse.heading, False, 1.0
            )
            layers.append(light)
            points.append(found)
        frames.append(compose(layers, background, np.random.default_rng(rng.integers(2**32))))
        truth.append(points)
    return np.array(frames), np.array(truth)


def _paths(
    animals: int, count: int, rng: np.random.Generator, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return (time, animal, 3): x, y, heading; each runs through goals that others share."""
    goals = rng.uniform(low, high, (count // 12 + 2, 2))
    at = rng.uniform(low, high, (animals, 2))
    heading = rng.uniform(0, 2 * np.pi, animals)
    speed, goal = rng.uniform(2, 6, animals), rng.integers(len(goals), size=animals)
    out = []
    for frame in range(count):
        if frame % 45 == 0:
            goal = np.where(rng.random(animals) < 0.6, rng.integers(len(goals)), goal + 1)
        to = goals[goal % len(goals)] - at
        # Who is there goes on to the next place.
        goal = goal + (np.linalg.norm(to, axis=1) < 25)
        wanted = np.arctan2(to[:, 1], to[:, 0])
        off = (wanted - heading + np.pi) % (2 * np.pi) - np.pi
        heading = heading + np.clip(0.2 * off, -0.15, 0.15) + rng.normal(0, 0.02, animals)
        speed = np.clip(speed + rng.normal(0, 0.4, animals), 1.0, 8.0)
        at = at + speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
        at = np.clip(at, low, high)
        out.append(np.column_stack([at, heading]))
    return np.array(out)


def write_project(folder: Path, frames: np.ndarray, truth: np.ndarray, name: str = "mice") -> Path:
    """Write frames and truth as a DLC project of several animals."""
    import pandas as pd
    from PIL import Image

    from neuroloom.io.labels import Labels, Skeleton, write_labels

    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(parents=True)
    names = [f"img{row:04d}.png" for row in range(len(frames))]
    for picture, frame in zip(names, frames, strict=True):
        Image.fromarray(frame).save(pictures / picture)
    table = pd.DataFrame({"video": name, "frame": range(len(frames)), "image": names})
    individuals = tuple(f"mouse{i + 1}" for i in range(truth.shape[1]))
    skeleton = Skeleton(NAMES, swaps=((1, 2),))
    labels = Labels(skeleton, table, truth, individuals, pictures, "made")
    write_labels(labels, folder, "dlc")
    return folder
