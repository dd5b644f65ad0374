"""A second guess at dark pupils, from the grey values alone, and which of two guesses is better."""

from __future__ import annotations

import numpy as np

from neuroloom.eye.find.ellipse import rim
from neuroloom.eye.find.rims import LOST, RAYS, normals, sample

BINS = 64
FAINTEST = 8.0  # grey values between pupil and iris that make a full contrast
BURNT = 240


def dark_blobs(small: np.ndarray, maps: np.ndarray) -> list[np.ndarray | None]:
    """Return the largest dark blob within each iris, as the net sees it, or None.

    Grey values of the iris are parted in two (Otsu); reflections are left out, and count as pupil
    where they lie in its hull's holes.

    Parameters
    ----------
    small
        Grey pictures in the size of the maps, (n, y, x).
    maps
        Pupil, iris and eye, (n, 3, y, x).

    References
    ----------
    Otsu (1979), IEEE Trans. Syst. Man Cybern. 9, 62-66.
    """
    return [_dark_blob(*pair) for pair in zip(small, maps, strict=True)]


def _dark_blob(grey: np.ndarray, maps: np.ndarray) -> np.ndarray | None:
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    region = (maps[1] > 0.5) & (maps[2] > 0.3)
    inner = grey[region & (grey < BURNT)]
    if len(inner) < 30:
        return None
    level = otsu(inner)
    dark = binary_opening(region & (grey < level))
    labels, count = label(dark)
    if count == 0:
        return None
    blob = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    blob = binary_fill_holes(blob)
    return blob if 12 <= blob.sum() < 0.85 * region.sum() else None


def otsu(values: np.ndarray) -> float:
    """Return the level that parts values in two groups of least variance.

    Examples
    --------
    >>> 1 < otsu(np.array([1.0, 1, 1, 9, 9])) < 9
    True
    """
    counts, edges = np.histogram(values, BINS)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * middle)
    with np.errstate(all="ignore"):
        apart = below * above * (total / below - (total[-1] - total) / above) ** 2
    best = np.nan_to_num(apart)
    top = np.flatnonzero(best >= best.max() * (1 - 1e-9))
    return float((edges[top[0] + 1] + edges[top[-1] + 1]) / 2)


def contrast(
    frames: np.ndarray, ellipses: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how evenly the rim of each ellipse parts dark from bright, -1 to 1, and its sign.

    Parameters
    ----------
    frames
        Grey, (n, y, x).
    ellipses
        (n, 5), px; NaN scores -1.
    weights
        How much each of the 64 points of the rim counts, (n, 64).

    Returns
    -------
    tuple
        Scores (n,), and 1 where the inside is the dark side, else -1.
    """
    points, outward = rim(ellipses, RAYS), normals(ellipses, rim(ellipses, RAYS))
    far = np.maximum(0.12 * np.sqrt(ellipses[:, 2] * ellipses[:, 3]), 2.0)[:, None, None]
    sides = []
    for way in (-1, 1):
        place = np.nan_to_num(points + way * far * outward)
        sides.append(sample(frames, place[..., 0], place[..., 1]))
    step = sides[1] - sides[0]
    kept = np.where(weights > LOST, weights, 0.0)
    total = np.maximum(kept.sum(1), 1e-9)
    sign = np.where((step * kept).sum(1) >= 0, 1.0, -1.0)
    usual = np.maximum(np.percentile(np.abs(step), 60, axis=1), FAINTEST)[:, None]
    even = np.clip(sign[:, None] * step / (0.7 * usual), -1, 1)
    score = (even * kept).sum(1) / total
    return np.where(np.isfinite(ellipses).all(1), score, -1.0), sign
