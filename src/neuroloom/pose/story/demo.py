"""Small painted animals to try the recipes of this folder on; where their points are is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuroloom.pose.rig import Camera, Rig

NAMES = ("nose", "earL", "earR", "tail")
BODY = np.array([[11.0, 0.0], [6.0, -4.0], [6.0, 4.0], [-11.0, 0.0]])
SIZE, RATE = 80, 30.0  # px, Hz
Demo = tuple[Path, dict[str, Any], str]


def wander(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return points (frame, keypoint, 2) of an animal that walks a bent loop over the floor.

    Examples
    --------
    >>> wander(5, np.random.default_rng(0)).shape
    (5, 4, 2)
    """
    phase = 2 * np.pi * np.arange(frames) / 60 + rng.uniform(0, 2 * np.pi)
    middle = SIZE / 2 + 22 * np.stack([np.cos(phase), np.sin(phase + rng.uniform(-1, 1))], -1)
    ahead = np.gradient(middle, axis=0)
    angle = np.arctan2(ahead[:, 1], ahead[:, 0])
    return _turned(middle, angle)


def paint(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture (y, x) uint8 of an animal at points (keypoint, 2), its ears of two greys."""
    y, x = np.mgrid[:SIZE, :SIZE]
    floor = 190.0 + rng.normal(0, 4, (SIZE, SIZE))
    nose, left, right, tail = points
    middle, axis = (nose + tail) / 2, (nose - tail) / np.linalg.norm(nose - tail)
    along = (x - middle[0]) * axis[0] + (y - middle[1]) * axis[1]
    beside = (y - middle[1]) * axis[0] - (x - middle[0]) * axis[1]
    floor[(along / 12) ** 2 + (beside / 5) ** 2 < 1] = 60
    for spot, grey in ((left, 230), (right, 120), (nose, 20)):
        floor[np.hypot(x - spot[0], y - spot[1]) < 2] = grey
    return np.clip(floor, 0, 255).astype(np.uint8)


def project(folder: Path, fields: dict[str, Any], frames: int = 10) -> Demo:
    """Write a project of DeepLabCut with labelled frames of two videos."""
    from PIL import Image

    place, rng = Path(folder) / "project", np.random.default_rng(0)
    place.mkdir(parents=True, exist_ok=True)
    parts = "".join(f"- {name}\n" for name in NAMES)
    head = "Task: floor\nscorer: me\nmultianimalproject: false\nbodyparts:\n"
    tail = "skeleton:\n- - nose\n  - tail\nvideo_sets: {}\n"
    (place / "config.yaml").write_text(head + parts + tail)
    for video in ("one", "two"):
        own = place / "labeled-data" / video
        own.mkdir(parents=True, exist_ok=True)
        rows = [["scorer", *["me"] * 8], ["bodyparts", *[n for n in NAMES for _ in "xy"]]]
        rows.append(["coords", *["x", "y"] * 4])
        middles, angles = rng.uniform(16, SIZE - 16, (frames, 2)), rng.uniform(-3, 3, frames)
        for number, points in enumerate(_turned(middles, angles)):
            name = f"img{number:03d}.png"
            Image.fromarray(paint(points, rng)).save(own / name)
            rows.append([f"labeled-data/{video}/{name}", *map(str, points.ravel().round(3))])
        text = "\n".join(",".join(row) for row in rows)
        (own / "CollectedData_me.csv").write_text(text + "\n")
    return place, fields, "Painted frames of an animal with four points, as DeepLabCut keeps them."


def clip(folder: Path, fields: dict[str, Any], frames: int = 60) -> Demo:
    """Write a video of one animal, and what a net found of it: in frame 20 the nose is astray."""
    from neuroloom.io.video import write_video

    place, rng = Path(folder) / "clip", np.random.default_rng(0)
    place.mkdir(parents=True, exist_ok=True)
    points = wander(frames, rng)

    def pictures() -> Iterator[np.ndarray]:
        for moment in points:
            yield np.repeat(paint(moment, rng)[..., None], 3, -1)

    write_video(place / "arena.mp4", pictures(), RATE)
    points[20, 0, 0] += 30
    _save(points[:, None], ["mouse"], place / "arenaDLC_net.h5")
    return place, fields, "A painted animal in a clip of 2 s, and its points, one of them astray."


def crossings(folder: Path, fields: dict[str, Any], frames: int = 150) -> Demo:
    """Write detections of two animals in no order, and under truth/ who is who."""
    place = Path(folder) / "crossings"
    (place / "truth").mkdir(parents=True, exist_ok=True)
    for number in range(2):
        rng = np.random.default_rng(number)
        truth = np.stack([wander(frames, rng), wander(frames, rng)], 1)
        found = truth + rng.normal(0, 0.5, truth.shape)
        found[rng.random(truth.shape[:2]) < 0.05] = np.nan
        order = rng.permuted(np.tile([0, 1], (frames, 1)), axis=1)
        mixed = np.take_along_axis(found, order[..., None, None], 1)
        _save(mixed, ["slot_0", "slot_1"], place / f"clip{number}.h5")
        _save(truth, ["mouse_0", "mouse_1"], place / "truth" / f"clip{number}.h5")
    return place, fields, "Simulated points of two animals that pass each other, and who is who."


def views(folder: Path, fields: dict[str, Any], frames: int = 30) -> Demo:
    """Write three cameras and a track of the same points for each."""
    from neuroloom.pose.rig import write_rig

    place, rng, rig = Path(folder) / "views", np.random.default_rng(0), ring(300.0)
    place.mkdir(parents=True, exist_ok=True)
    path = rng.normal(0, 30, (1, 4, 3)) + 20 * np.sin(
        np.arange(frames)[:, None, None] / 10 + np.arange(3)
    )
    write_rig(rig, place / "calibration.toml")
    for camera in rig:
        seen = camera.project(path) + rng.normal(0, 0.5, (frames, 4, 2))
        _save(seen[:, None], ["individual_0"], place / f"mouse_{camera.name}.csv")
    return place, fields, "Simulated points of one animal, seen by three cameras that are known."


def scene(folder: Path, fields: dict[str, Any], frames: int = 10) -> Demo:
    """Write a project of DANNCE: a painted animal before three small cameras."""
    from dataclasses import replace

    from neuroloom.pose.rig import Rig
    from neuroloom.pose.rig.scene import BONES, MOUSE, write_project
    from neuroloom.pose.rig.scene import paint as paint_rig

    place, rng, rig = Path(folder) / "scene", np.random.default_rng(0), ring(300.0).scaled(0.2)
    body = np.zeros((len(MOUSE), 3))
    for a, b in BONES:
        body[a] = body[b] + rng.normal(0, 8, 3)
    poses = body - body.mean(0) + rng.normal(0, 2, (frames, len(MOUSE), 3))
    poses[:, :, 2] += 15
    painted = paint_rig(rig, poses + rng.normal(0, 8, (frames, 1, 3)), rng, (0, 1))
    small = Rig(tuple(replace(camera, size=(128, 96)) for camera in rig))
    if not place.is_dir():
        write_project(place, small, painted)
    return place, fields, "A painted animal before three cameras, its points in space known."


def ring(far: float, cameras: int = 3) -> Rig:
    """Return cameras on a circle of radius `far` that look at its middle."""
    from neuroloom.pose.rig import Rig

    lens = np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]])
    angles = 2 * np.pi * np.arange(cameras) / cameras
    places = far * np.stack([np.cos(angles), np.sin(angles), np.full(cameras, 0.6)], -1)
    named = {f"cam{number}": place for number, place in enumerate(places)}
    return Rig(tuple(looking(name, at, lens, (640, 480)) for name, at in named.items()))


def looking(name: str, place: np.ndarray, lens: np.ndarray, size: tuple[int, int]) -> Camera:
    """Return a camera at `place` that looks at the origin."""
    from neuroloom.pose.rig import Camera

    ahead = -place / np.linalg.norm(place)
    side = np.cross(ahead, [0.0, 0.1, 1.0])
    side /= np.linalg.norm(side)
    turn = np.stack([side, np.cross(ahead, side), ahead])
    return Camera(name, lens, np.array([]), turn, -turn @ place, size)


def _turned(middle: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    return middle[:, None] + BODY @ turn


def _save(points: np.ndarray, individuals: list[str], file: Path) -> None:
    """Write points (frame, individual, keypoint, 2) as DeepLabCut does."""
    from neuroloom.core.recording import tracks
    from neuroloom.io.tracks import write_tracks

    sure = np.where(np.isfinite(points).all(-1), 0.9, np.nan).transpose(0, 2, 1)
    made = tracks(points.transpose(0, 3, 2, 1), NAMES, individuals, RATE, sure)
    if not file.is_file():
        write_tracks(made, file, "dlc")
