"""Lens distortion in OpenCV's order of coefficients, its inverse and its derivative.

Coefficients are k1, k2, p1, p2, k3, k4, k5, k6 (Brown 1966; OpenCV "Camera Calibration and 3D
Reconstruction"); those that are not given are zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError

Floats = NDArray[np.float64]

COEFFICIENTS = 8
ROUNDS = 100
CLOSE = 1e-13


def pad(coefficients: np.ndarray) -> Floats:
    """Return the coefficients as eight numbers.

    Raises
    ------
    ConfigError
        If there are more than eight.

    Examples
    --------
    >>> pad(np.array([-0.3, 0.1])).tolist()
    [-0.3, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    given = np.asarray(coefficients, float).ravel()
    if given.size > COEFFICIENTS:
        raise ConfigError(
            f"distortion: expected at most {COEFFICIENTS} coefficients (k1, k2, p1, p2, k3 to k6), "
            f"got {given.size}; thin prisms and tilted sensors are not modelled."
        )
    return np.concatenate([given, np.zeros(COEFFICIENTS - given.size)])


def distort(ideal: np.ndarray, coefficients: np.ndarray) -> Floats:
    """Return where the lens puts ideal image points.

    Parameters
    ----------
    ideal
        Shape (..., 2), x/z and y/z in the camera's frame, without unit.
    coefficients
        Up to eight, see the module.

    Examples
    --------
    >>> distort(np.array([0.5, 0.0]), np.array([-0.2])).round(4).tolist()
    [0.475, 0.0]
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = pad(coefficients)
    x, y = ideal[..., 0], ideal[..., 1]
    r = x**2 + y**2
    radial = (1 + r * (k1 + r * (k2 + r * k3))) / (1 + r * (k4 + r * (k5 + r * k6)))
    across = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x**2)
    down = y * radial + p1 * (r + 2 * y**2) + 2 * p2 * x * y
    return np.stack([across, down], axis=-1)


def distort_slope(ideal: np.ndarray, coefficients: np.ndarray) -> Floats:
    """Return the derivative of `distort`, shape (..., 2 out, 2 in).

    Examples
    --------
    >>> distort_slope(np.zeros(2), np.array([-0.2, 0.1])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = pad(coefficients)
    x, y = ideal[..., 0], ideal[..., 1]
    r = x**2 + y**2
    above, below = 1 + r * (k1 + r * (k2 + r * k3)), 1 + r * (k4 + r * (k5 + r * k6))
    rise = (k1 + r * (2 * k2 + 3 * r * k3)) / below
    rise = rise - above * (k4 + r * (2 * k5 + 3 * r * k6)) / below**2
    radial = above / below
    mixed = 2 * x * y * rise + 2 * p1 * x + 2 * p2 * y
    xx = radial + 2 * x**2 * rise + 2 * p1 * y + 6 * p2 * x
    yy = radial + 2 * y**2 * rise + 6 * p1 * y + 2 * p2 * x
    return np.stack([np.stack([xx, mixed], -1), np.stack([mixed, yy], -1)], -2)


def undistort(seen: np.ndarray, coefficients: np.ndarray) -> Floats:
    """Return the ideal points that the lens puts at `seen`: Newton's method until it stands still.

    Parameters
    ----------
    seen
        Shape (..., 2), distorted x/z and y/z.

    Returns
    -------
    Shape (..., 2). NaN where `seen` is NaN, and where the lens model folds back before it gets
    there, so that no ideal point belongs to it.

    Examples
    --------
    >>> lens = np.array([-0.3, 0.1, 0.001, 0.0])
    >>> bool(np.allclose(undistort(distort(np.array([0.4, -0.2]), lens), lens), [0.4, -0.2]))
    True
    """
    seen = np.asarray(seen, float)
    if not np.any(coefficients):
        return seen.copy()
    flat = seen.reshape(-1, 2)
    found = flat.copy()
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            gap = distort(found, coefficients) - flat
            step = _solve_two(distort_slope(found, coefficients), gap)
            # A step longer than the point is far leaves the part of the lens that is one-to-one.
            reach = 0.5 * (np.linalg.norm(found, axis=-1) + 1e-3)
            length = np.linalg.norm(step, axis=-1)
            step *= np.minimum(1, reach / np.maximum(length, 1e-300))[:, None]
            found = found - step
            if not (np.abs(step) > CLOSE).any():
                break
        gap = np.abs(distort(found, coefficients) - flat).max(-1)
        slope = distort_slope(found, coefficients)
        folded = np.linalg.det(slope) <= 0
    found[~(gap < 1e-9) | folded] = np.nan
    return found.reshape(seen.shape)


def _solve_two(matrix: Floats, right: Floats) -> Floats:
    """Solve 2x2 systems, shape (n, 2, 2) and (n, 2)."""
    (a, b), (c, d) = np.moveaxis(matrix[..., 0, :], -1, 0), np.moveaxis(matrix[..., 1, :], -1, 0)
    scale = 1 / (a * d - b * c)
    x = (d * right[..., 0] - b * right[..., 1]) * scale
    y = (a * right[..., 1] - c * right[..., 0]) * scale
    return np.stack([x, y], -1)
