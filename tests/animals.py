"""Files of animals whose truth is known: tracks through crossings, and a clip of two dots."""

from __future__ import annotations

import json
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


def write_kinds(folder: Path, frames: int = 12, seed: int = 0) -> Path:
    """A project of COCO with two animals a frame, each a mouse (dark stripe) or a rat (bright).

    In every third frame both are of one kind.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names = [f"img{frame:03d}.png" for frame in range(frames)]
    animals = []
    for frame, name in enumerate(names):
        image = np.full((96, 128), 200.0)
        first = int(rng.integers(2))
        for slot, kind in enumerate((first, first if frame % 3 == 2 else 1 - first)):
            at = rng.uniform(24, 104), 24 + 48 * slot + rng.uniform(-8, 8)
            points = paint(image, at, rng.uniform(0, 2 * np.pi), 80 + 120 * kind)
            flat = np.concatenate([points, np.full((5, 1), 2.0)], 1).ravel().tolist()
            animals.append({"id": len(animals) + 1, "image_id": frame, "category_id": kind + 1,
                            "keypoints": flat, "num_keypoints": 5})  # fmt: skip
        Image.fromarray(image.astype(np.uint8)).save(folder / name)
    pictures = [{"id": k, "file_name": name, "height": 96, "width": 128}
                for k, name in enumerate(names)]  # fmt: skip
    kinds = [{"id": k, "name": name, "keypoints": list(NAMES), "skeleton": []}
             for k, name in enumerate(("mouse", "rat"), start=1)]  # fmt: skip
    held = {"images": pictures, "annotations": animals, "categories": kinds}
    (folder / "kinds.json").write_text(json.dumps(held))
    return folder


def paint(
    image: np.ndarray, at: tuple[float, float], heading: float, stripe: float | None
) -> np.ndarray:
    """Paint a dark animal with a stripe of a grey, and return its points (keypoint, 2)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    cos, sin = np.cos(heading), np.sin(heading)
    along = (x - at[0]) * cos + (y - at[1]) * sin
    beside = (y - at[1]) * cos - (x - at[0]) * sin
    image[(along / 14) ** 2 + (beside / 6) ** 2 < 1] = 40
    image[np.hypot(along - 11, beside) < 3] = 120
    if stripe is not None:
        image[(np.abs(along) < 3) & (np.abs(beside) < 4)] = stripe
    points: np.ndarray = np.asarray(at) + (BODY / 2) @ np.array([[cos, sin], [-sin, cos]])
    return points


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
    truth = np.full((frames, animals, 5, 2), np.nan)
    for frame in range(frames):
        image = np.full((96, 128), 200.0)
        rows = rng.permutation(animals) if marked else np.arange(animals)
        for animal in range(animals if frame else 1):
            a, b = rng.uniform(24, 104), 24 + 48 * rows[animal] + rng.uniform(-8, 8)
            stripe = 80 + 120 * animal if marked else None
            truth[frame, animal] = paint(image, (a, b), rng.uniform(0, 2 * np.pi), stripe)
        Image.fromarray(image.astype(np.uint8)).save(pictures / f"img{frame:03d}.png")
    names = [f"img{frame:03d}.png" for frame in range(frames)]
    table = pd.DataFrame({"video": "herd", "frame": range(frames), "image": names})
    skeleton = Skeleton(NAMES, swaps=((1, 2),))
    individuals = tuple(f"animal{i + 1}" for i in range(animals))
    labels = Labels(skeleton, table, truth, individuals, pictures, "made")
    write_labels(labels, folder, "dlc")
    return folder
