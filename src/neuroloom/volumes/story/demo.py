"""Small painted volumes to try the recipes of this folder on; what is in them is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SHAPE, SPACING = (16, 18, 16), 2.0
Demo = tuple[Path, dict[str, Any], str]


def ball(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a bright ball of its own radius, (x, y, z), and where the ball is.

    Examples
    --------
    >>> image, inside = ball(0)
    >>> bool(image[inside].mean() > image[~inside].mean() + 50)
    True
    """
    rng = np.random.default_rng(seed)
    centre = np.array(SHAPE) / 2 - 0.5 + rng.uniform(-2, 2, 3)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    inside = ((grid - centre) ** 2).sum(-1) <= rng.uniform(2.5, 6) ** 2
    return (100 * inside + rng.normal(0, 15, SHAPE)).astype(np.float32), inside


def balls(folder: Path, fields: dict[str, Any], cases: int = 8) -> Demo:
    """Write images/ and labels/ of balls, once; return them, the fields and what they are."""
    place = Path(folder) / "balls"
    for case in range(cases):
        image, inside = ball(case)
        _save(place / "images" / f"case_{case:02d}.nii.gz", image)
        _save(place / "labels" / f"case_{case:02d}.nii.gz", inside.astype(np.uint8))
    return place, fields, f"{cases} painted volumes with a bright ball in each, and its mask."


def predictions(folder: Path, fields: dict[str, Any], cases: int = 6) -> Demo:
    """Write truth/ and prediction/ of a ball with a core, found one or two voxels aside."""
    place = Path(folder) / "predictions"
    for case in range(cases):
        _, inside = ball(case)
        core = inside & np.roll(inside, 2, 0) & np.roll(inside, -2, 1)
        label = inside.astype(np.uint8) + core
        name = f"s{case // 2}_v{case % 2}.nii.gz"
        _save(place / "truth" / name, label)
        _save(place / "prediction" / name, np.roll(label, case % 2 + 1, axis=case % 3))
    return place, fields, "Painted masks of a ball with a core, each found a voxel or two aside."


def rings(folder: Path, fields: dict[str, Any], subjects: int = 12) -> Demo:
    """Write pictures of discs and of rings into class folders, two of each subject."""
    from neuroloom.core.recording import image
    from neuroloom.io.images import write_image

    place = Path(folder) / "rings"
    for subject in range(subjects):
        kind = ("disc", "ring")[subject % 2]
        (place / kind).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            picture = image(_ring(kind, 2 * subject + number))
            write_image(place / kind / f"s{subject}_{number}.png", picture)
    return place, fields, "Painted slices: a disc in half of the subjects, a ring in the others."


def textures(folder: Path, fields: dict[str, Any], cases: int = 16) -> Demo:
    """Write volumes with an outlined region, rough in half of the cases, and their manifest."""
    import pandas as pd
    from scipy.ndimage import gaussian_filter

    place, rng, rows = Path(folder) / "textures", np.random.default_rng(0), []
    for case in range(cases):
        _, inside = ball(case)
        noise = rng.normal(size=SHAPE)
        grain = noise if case % 2 else gaussian_filter(noise, 1.2)
        grain = (grain - grain[inside].mean()) / grain[inside].std()
        names = [f"case{case:02d}_{what}.nii.gz" for what in ("image", "mask")]
        _save(place / names[0], (100 + 10 * grain).astype(np.float32))
        _save(place / names[1], inside.astype(np.uint8))
        grade = ("low", "high")[case % 2]
        rows.append({"image": names[0], "label": names[1], "subject": f"S{case}", "grade": grade})
    pd.DataFrame(rows).to_csv(place / "cases.csv", index=False)
    what = "Painted regions of equal brightness: smooth if the grade is low, rough if it is high."
    return place / "cases.csv", fields, what


def _ring(kind: str, seed: int, size: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size / 2 - 0.5 + rng.uniform(-1, 1, 2))[:, None, None]
    far = np.hypot(y, x)
    inside = (far < 8) & ((far > 4) | (kind == "disc"))
    return np.clip(140 * inside + 60 + rng.normal(0, 12, far.shape), 0, 255).astype(np.uint8)


def _save(file: Path, voxels: np.ndarray) -> None:
    from neuroloom.core.recording import volume
    from neuroloom.io.images import write_image

    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_image(file, volume(voxels, np.diag([SPACING, SPACING, SPACING, 1.0])))
