"""Potentials between electrodes: spherical splines, on NumPy arrays and torch tensors alike.

Perrin et al. (1989), Electroencephalogr. Clin. Neurophysiol. 72(2), 184-187.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STIFFNESS, TERMS, RIDGE = 4, 50, 1e-5
# Centre of the sphere through MNE's 10-05 template, in head coordinates (m).
HEAD_CENTRE = (0.0, 0.012, 0.041)
ENOUGH_FOR_A_SPHERE = 12
PLAUSIBLE_RADIUS = (0.05, 0.2)


def fit_sphere(positions: np.ndarray) -> tuple[np.ndarray, float]:
    """Return centre (3,) and radius of the sphere nearest to `positions` (n, 3), least squares.

    Examples
    --------
    >>> points = np.vstack([np.eye(3), -np.eye(3)]) * 0.1 + [0, 0.01, 0.04]
    >>> centre, radius = fit_sphere(points)
    >>> centre.round(6).tolist(), round(radius, 6)
    ([0.0, 0.01, 0.04], 0.1)
    """
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    solved = np.linalg.lstsq(design, (positions**2).sum(1), rcond=None)[0]
    return solved[:3], float(np.sqrt(solved[3] + solved[:3] @ solved[:3]))


def directions(positions: np.ndarray) -> np.ndarray:
    """Return unit vectors from the middle of the head to electrodes (n, 3), head coordinates, m.

    The middle is that of the sphere through the electrodes; of few electrodes, or where the sphere
    has not the size of a head, that of the template's head.
    """
    centre = np.array(HEAD_CENTRE)
    if len(positions) >= ENOUGH_FOR_A_SPHERE:
        own, radius = fit_sphere(positions)
        if PLAUSIBLE_RADIUS[0] < radius < PLAUSIBLE_RADIUS[1]:
            centre = own
    ways = positions - centre
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)


def spline_kernel(cosines: Any, terms: int = TERMS) -> Any:
    """Return Perrin's g (equation 3, m = 4) of the cosines between directions.

    Its `terms` fall as n to the power of -7: the thirteenth is below 1e-7 of the first.
    """
    before: Any = 1.0
    legendre, total = cosines, 0.0
    for n in range(1, terms + 1):
        total = total + (2 * n + 1) / (n * (n + 1)) ** STIFFNESS / (4 * np.pi) * legendre
        before, legendre = legendre, ((2 * n + 1) * cosines * legendre - n * before) / (n + 1)
    return total


def solve_spline(units: np.ndarray) -> np.ndarray:
    """Return what turns potentials at `units` (n, 3) into spline weights, shape (n + 1, n)."""
    n = len(units)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = spline_kernel(np.clip(units @ units.T, -1, 1)) + RIDGE * np.eye(n)
    system[n, n] = 0
    return np.linalg.pinv(system)[:, :n]


def spline_matrix(to: Any, units: Any, solution: Any, *, terms: int = TERMS) -> Any:
    """Return the matrix (…, m, n) that takes potentials at `units` (n, 3) to `to` (…, m, 3).

    Examples
    --------
    >>> units = np.vstack([np.eye(3), -np.eye(3)])
    >>> matrix = spline_matrix(units[:2], units, solve_spline(units))
    >>> bool(np.allclose(matrix, np.eye(2, 6), atol=1e-2))
    True
    """
    return spline_kernel(to @ units.T, terms) @ solution[:-1] + solution[-1]
