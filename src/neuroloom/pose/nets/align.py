"""Where an animal is and which way it points: its points laid onto a mean shape.

Turning every animal to the same side before the fine net looks leaves it little to learn: what is
left and what is right, which leg is which, is then a matter of place (generalised Procrustes
analysis, Gower 1975, https://doi.org/10.1007/BF02291478).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS = 10
ROBUST = 4


def pose_of(points: Floats, shape: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Return where the middle of `shape` lies in each frame and how far it is turned.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px; NaN where unknown.
    shape
        Mean shape (keypoint, 2), px, its middle at (0, 0).
    weights
        Shape (n, keypoint): how far each point is trusted; None: all alike.

    Returns
    -------
    centre
        Shape (n, 2), px; NaN where no point is known.
    angle
        Shape (n,), rad; 0 where a single point is known.

    Examples
    --------
    >>> shape = np.array([[-2.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    >>> centre, angle = pose_of((shape @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [9, 5])[None], shape)
    >>> centre.round(6).tolist(), round(float(np.degrees(angle[0])))
    ([[9.0, 5.0]], 90)
    """
    known = np.asarray(np.isfinite(points).all(-1))
    trust = known * (1.0 if weights is None else weights)
    total = trust.sum(1, keepdims=True)
    trust = trust / np.where(total > 0, total, np.nan)
    place = np.where(known[..., None], points, 0.0)
    middle, own = (np.einsum("nk,nki->ni", trust, place), np.einsum("nk,ki->ni", trust, shape))
    away, there = place - middle[:, None], shape[None] - own[:, None]
    # As complex numbers: the mean of point times conjugate shape has the angle between them.
    turned = (trust * _complex(away) * _complex(there).conj()).sum(1)
    angle = np.where(np.isfinite(turned), np.angle(turned), 0.0)
    return middle - turn(own[:, None], angle)[:, 0], angle


def robust_pose(
    points: Floats, shape: Floats, weights: Floats, tolerance: float
) -> tuple[Floats, Floats]:
    """Return `pose_of`, with points that lie further off than `tolerance` px trusted less.

    A few confident errors (a reflection, a tail taken for the head) then do not turn the animal.
    """
    centre, angle = pose_of(points, shape, weights)
    for _ in range(ROBUST):
        off = np.linalg.norm(points - placed(shape, centre, angle), axis=-1)
        close = 1 / (1 + (np.nan_to_num(off) / tolerance) ** 2)
        centre, angle = pose_of(points, shape, weights * close)
    return centre, angle


def turn(points: Floats, angle: Floats) -> Floats:
    """Turn points (n, k, 2) by angles (n,), rad, from x towards y."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def placed(shape: Floats, centre: Floats, angle: Floats) -> Floats:
    """Return the shape (k, 2) turned and moved into each frame, (n, k, 2)."""
    return turn(np.broadcast_to(shape, (len(centre), *shape.shape)), angle) + centre[:, None]


def upright(points: Floats, centre: Floats, angle: Floats) -> Floats:
    """Return points (n, k, 2) as the animal has them: moved to the middle and turned back."""
    return turn(points - centre[:, None], -angle)


def mean_shape(points: Floats) -> Floats:
    """Return the mean shape (keypoint, 2) of animals turned onto each other, px.

    Its middle is (0, 0), its longest axis lies along x, the first keypoint on the positive side.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2); NaN where unknown. A keypoint that is never known is at (0, 0).

    Examples
    --------
    >>> one = np.array([[0.0, 0.0], [0.0, 10.0], [1.0, 5.0]])
    >>> mean_shape(np.stack([one, one + 7, turn(one[None], np.array([1.0]))[0]])).round(1).tolist()
    [[5.0, -0.3], [-5.0, -0.3], [0.0, 0.7]]
    """
    most = int(np.isfinite(points).all(-1).sum(1).argmax())
    shape = _centred(np.nan_to_num(points[most], nan=np.nan))
    for _ in range(ROUNDS):
        centre, angle = pose_of(points, np.nan_to_num(shape))
        own = upright(points, centre, angle)
        known = np.isfinite(own).all(-1).sum(0)
        total = np.nansum(own, axis=0)
        shape = _centred(
            np.where(known[:, None] > 0, total / np.maximum(known, 1)[:, None], np.nan)
        )
    flat = np.nan_to_num(shape)
    axis = np.linalg.svd(flat, full_matrices=False)[2][0]
    axis = axis if flat[0] @ axis >= 0 else -axis
    return turn(flat[None], -np.arctan2(axis[1:], axis[:1]))[0]


def _centred(shape: Floats) -> Floats:
    return shape - np.nanmean(shape, axis=0)


def _complex(points: Floats) -> NDArray[np.complex128]:
    return points[..., 0] + 1j * points[..., 1]
