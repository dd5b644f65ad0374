"""Volumes with an outlined region whose texture, size and outcome are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def region(rough: float, radius: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A noisy volume (z, y, x) and a ball in it; `rough` 0 is smooth, 1 is white noise.

    Every region has mean 100 and standard deviation 10: only the order of its voxels differs.
    """
    from scipy.ndimage import gaussian_filter

    shape = (14, 15, 16)
    white = rng.normal(size=shape)
    smooth = gaussian_filter(rng.normal(size=shape), 1.2)
    image = rough * white + (1 - rough) * smooth / smooth.std()
    middle = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) - middle
    mask = (grid**2).sum(-1) <= radius**2
    image = (image - image[mask].mean()) / image[mask].std()
    return 100 + 10 * image, mask


def write_regions(
    folder: Path, n: int = 40, seed: int = 0, confound: float = 0.3, spread: float = 0.12
) -> Path:
    """Write NIfTI images, masks and `cases.csv`; return the manifest.

    The grade depends on the texture; size goes along with it a little (`confound`). `score` is how
    rough the texture is; rough regions have their event sooner.
    """
    import nibabel

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(n):
        high = k % 2
        rough = float(np.clip(0.35 + 0.3 * high + spread * rng.normal(), 0, 1))
        radius = 4.0 + confound * high + 0.5 * rng.normal()
        image, mask = region(rough, max(radius, 2.5), rng)
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        names = [f"case{k:03d}_{what}.nii.gz" for what in ("image", "mask")]
        for name, array in zip(
            names, (image.astype(np.float32), mask.astype(np.uint8)), strict=True
        ):
            nibabel.save(nibabel.Nifti1Image(array.T, affine), folder / name)
        failed = rng.exponential(60 * np.exp(-4 * (rough - 0.5)))
        left = rng.uniform(30, 120)
        rows.append({
            "image": names[0], "label": names[1], "subject": f"S{k:03d}",
            "grade": ("low", "high")[high], "score": round(rough, 4),
            "months": round(min(failed, left) + 0.1, 2), "event": int(failed <= left),
        })  # fmt: skip
    manifest = folder / "cases.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    return manifest
