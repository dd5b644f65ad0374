"""Rendered structures of cells with known truth: spots, filaments, shells, bodies."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def phantom(
    kind: str, seed: int = 0, shape: tuple[int, int, int] = (10, 96, 96)
) -> tuple[np.ndarray, np.ndarray]:
    """A noisy 3-D image of a structure, and its mask."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[tuple(slice(n) for n in shape)].astype(float)
    truth = np.zeros(shape, bool)
    if kind == "spots":
        for c in rng.uniform([2, 6, 6], [10, 90, 90], (25, 3)):
            truth |= (z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2 < 2.0**2
    elif kind == "filaments":
        for _ in range(8):
            turn, c = rng.uniform(0, np.pi), rng.uniform([3, 20, 20], [9, 76, 76])
            off = (y - c[1]) * np.cos(turn) - (x - c[2]) * np.sin(turn)
            truth |= off**2 + (z - c[0]) ** 2 < 1.5**2
    elif kind in ("shells", "filled"):
        for cy, cx, r in ((30, 30, 18), (66, 64, 20)):
            far = np.hypot(y - cy, x - cx)
            truth |= far < r if kind == "filled" else np.abs(far - r) < 1.5
        if kind == "filled":
            image = np.zeros(shape)
            for cy, cx, r in ((30, 30, 18), (66, 64, 20)):
                image += np.exp(-((np.hypot(y - cy, x - cx) - r) ** 2) / 2)
            return 100 + 60 * image + 4 * rng.normal(size=shape), truth
    else:
        for c in [(6, 25, 25), (6, 30, 70), (6, 70, 40), (6, 72, 78)]:
            far = ((z - c[0]) / 5) ** 2 + ((y - c[1]) / 11) ** 2 + ((x - c[2]) / 9) ** 2
            truth |= far < 1
    light = ndimage.gaussian_filter(truth.astype(float), 0.8)
    return 100 + 60 * light + 4 * rng.normal(size=shape), truth
