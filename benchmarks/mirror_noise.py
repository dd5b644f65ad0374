"""How exact the labels of the mirror mouse are: one point, seen twice, has one place along x.

    python benchmarks/mirror_noise.py --data ../shared/data

The mirror shows the mouse from below: where a paw is labelled in both views, its two x differ by
perspective, which a quadratic of the other coordinates takes out (each label told from the other 77
frames), and by what the person who clicked was off in either. The half of that variance is one
label's. What is printed at the end is what a net that knew every true place would score against
such labels (points seen once, of the obstacle, are taken to be as exact as the nose's): no score of
theirs can be much better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from neuroloom.io.labels import read_labels

MAD = 1.4826  # times the median deviation of normal numbers is their SD
ONCE = "nose"  # points that are seen once are clicked as exactly as it
DRAWS = 20_000


def left_over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return what is left of x above (n,) once told from the place below and y above; px."""
    known = np.isfinite(top).all(1) & np.isfinite(bottom).all(1)
    (x, y), (u, v) = top[known].T, bottom[known].T
    terms = np.stack([np.ones_like(x), u, v, y, u * y, u**2, y**2], 1)
    hat = terms @ np.linalg.pinv(terms)
    return (x - hat @ x) / (1 - np.diag(hat))


def main() -> None:
    """Print the noise of each pair of labels, of all, and the median error that it makes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    labels = read_labels(options.parse_args().data / "pose" / "lp-mirror-mouse")
    names = list(labels.skeleton.keypoints)
    parts = [name.removesuffix("_top") for name in names if name.endswith("_top")]
    off = {}
    for part in parts:
        if f"{part}_bot" in names:
            top, bottom = (
                labels.points[:, 0, names.index(f"{part}_{view}")] for view in ("top", "bot")
            )
            left = left_over(top, bottom)
            off[part] = noise(left)
            print(f"{part}: {off[part]:.2f} px a label and axis, {len(left)} frames")
    spread = [off.get(name.rpartition("_")[0], off[ONCE]) for name in names]
    rng = np.random.default_rng(0)
    error = np.concatenate([np.hypot(*rng.normal(0, own, (2, DRAWS))) for own in spread])
    print(
        f"a net that is never wrong: median {np.median(error):.2f} px, mean {error.mean():.2f} px, "
        f"within 5 px {np.mean(error < 5):.3f}"
    )


def noise(left: np.ndarray) -> float:
    """Return the SD of one label, of differences of two, px."""
    return float(MAD * np.median(np.abs(left)) / np.sqrt(2))


if __name__ == "__main__":
    main()
