"""Small images and volumes with known truth, for the tests of grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroloom.core.recording import image, volume
from neuroloom.io.images import write_image


def blob(seed: int, shape: tuple[int, ...] = (12, 14, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball of its own radius in noise, and where it is; axes (z, y, x) or (y, x)."""
    rng = np.random.default_rng(seed)
    centre = [size / 2 - 0.5 + rng.uniform(-1, 1) for size in shape]
    radius = rng.uniform(0.18, 0.4) * min(shape)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    far = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
    mask = far <= radius
    return (100 * mask + rng.normal(0, 15, shape)).astype(np.float32), mask


def write_blobs(folder: Path, cases: int = 12, spacing: float = 1.0) -> Path:
    """Write images/ and labels/ of balls as NIfTI, and `ages.csv`, in which age grows with size."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    rows = []
    for half in ("images", "labels"):
        (folder / half).mkdir(parents=True, exist_ok=True)
    for case in range(cases):
        content, mask = blob(case)
        name = f"case_{case:02d}.nii.gz"
        write_image(folder / "images" / name, volume(content.T, affine))
        write_image(folder / "labels" / name, volume(mask.T.astype(np.uint8), affine))
        rows.append({"image": f"images/{name}", "subject": f"s{case}", "age": int(mask.sum()) / 10})
    pd.DataFrame(rows).to_csv(folder / "ages.csv", index=False)
    return folder


def write_slices(folder: Path, subjects: int = 8, slices: int = 2) -> Path:
    """Write pictures of discs and rings into class folders, several of each subject, as PNG."""
    for subject in range(subjects):
        kind = ("disc", "ring")[subject % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(slices):
            content = image(ring(subject, number, kind))
            write_image(folder / kind / f"s{subject}_{number}.png", content)
    return folder


def ring(subject: int, number: int, kind: str, size: int = 20) -> np.ndarray:
    """A disc, or one with a hole, in noise, (y, x) uint8."""
    rng = np.random.default_rng([subject, number])
    y, x = np.mgrid[:size, :size] - (size / 2 - 0.5 + rng.uniform(-1, 1, 2))[:, None, None]
    far = np.hypot(y, x)
    mask = (far < 7) & ((far > 3.5) | (kind == "disc"))
    return np.clip(140 * mask + 60 + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)
