"""Limbs keep their length: a weak constraint on points in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDS = 10
CHUNK = 2**24  # numbers in the matrices of the frames that are solved side by side


def limb_lengths(points: np.ndarray, limbs: Sequence[tuple[int, int]]) -> Floats:
    """Return the median length of each limb over time, of points (time, keypoint, 3).

    Examples
    --------
    >>> limb_lengths(np.array([[[0.0, 0, 0], [3, 4, 0]]]), [(0, 1)]).tolist()
    [5.0]
    """
    first, second = np.array(limbs, int).reshape(-1, 2).T
    return np.nanmedian(np.linalg.norm(points[:, first] - points[:, second], axis=-1), axis=0)


def hold_lengths(
    points: np.ndarray,
    deviation: np.ndarray,
    limbs: Sequence[tuple[int, int]],
    lengths: np.ndarray | None = None,
    slack: float = 0.03,
) -> Floats:
    """Move points a little so that limbs have their length, each by how unsure it is.

    Parameters
    ----------
    points
        Shape (time, keypoint, 3); NaN where missing, which stays.
    deviation
        Standard deviation of each coordinate, same shape.
    limbs
        Pairs of keypoints.
    lengths
        One a limb; default: the median over time.
    slack
        Standard deviation of a limb's length, as a share of it.

    Examples
    --------
    >>> bent = np.array([[[0.0, 0, 0], [4.0, 0, 0]]])
    >>> held = hold_lengths(bent, np.ones((1, 2, 3)), [(0, 1)], np.array([5.0]), 0.001)
    >>> held.round(2).tolist()
    [[[-0.5, 0.0, 0.0], [4.5, 0.0, 0.0]]]
    """
    if not len(limbs):
        return np.asarray(points, float)
    wanted = limb_lengths(points, limbs) if lengths is None else np.asarray(lengths, float)
    out = np.array(points, float)
    frames = max(CHUNK // (3 * out.shape[1]) ** 2, 1)
    for start in range(0, len(out), frames):
        part = slice(start, start + frames)
        out[part] = _hold(out[part], np.asarray(deviation, float)[part], limbs, wanted, slack)
    return out


def _hold(
    points: Floats,
    deviation: Floats,
    limbs: Sequence[tuple[int, int]],
    wanted: Floats,
    slack: float,
) -> Floats:
    """Gauss-Newton over all points of a frame at once, all frames side by side."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(-1))
    begin = np.where(known[..., None], points, 0.0)
    n, k = known.shape
    trust = 1 / np.maximum(np.nan_to_num(deviation, nan=1.0), 1e-9) ** 2
    path = begin.copy()
    index = np.arange(3 * k).reshape(k, 3)
    for _ in range(ROUNDS):
        normal = np.zeros((n, 3 * k, 3 * k))
        normal[:, np.arange(3 * k), np.arange(3 * k)] = trust.reshape(n, -1)
        right = (trust * (begin - path)).reshape(n, -1)
        for (a, b), length in zip(limbs, wanted, strict=True):
            along = path[:, b] - path[:, a]
            far = np.linalg.norm(along, axis=-1)
            there = known[:, a] & known[:, b] & (far > 1e-9) & np.isfinite(length)
            if not there.any():
                continue
            weight = np.where(there, 1 / (slack * max(length, 1e-9)) ** 2, 0)
            unit = along / np.maximum(far, 1e-9)[:, None]
            row = np.zeros((n, 3 * k))
            row[:, index[a]], row[:, index[b]] = -unit, unit
            normal += weight[:, None, None] * row[:, :, None] * row[:, None]
            right += (weight * (length - far))[:, None] * row
        path = path + np.linalg.solve(normal, right[..., None])[..., 0].reshape(n, k, 3)
    return np.where(known[..., None], path, np.nan)
