"""Ellipses: fitted to points, drawn, measured; many at once.

An ellipse is five numbers (x, y, a, b, angle): centre (px), half axes a >= b (px), and the angle of
the long one, radians from +x towards +y (down), in [0, pi).
"""

from __future__ import annotations

import numpy as np

FEWEST = 6


def fit_ellipse(points: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Fit ellipses to points by direct, weighted least squares.

    Parameters
    ----------
    points
        Shape (…, n, 2), px.
    weights
        Shape (…, n); 0 leaves a point out. None: all count alike.

    Returns
    -------
    ndarray
        Shape (…, 5); NaN where fewer than six points count or no ellipse fits.

    References
    ----------
    Fitzgibbon, Pilu & Fisher (1999), IEEE TPAMI 21, 476-480; in the stable form of Halir & Flusser
    (1998), WSCG 98, 125-132.

    Examples
    --------
    >>> turn = np.linspace(0, 6, 20)
    >>> points = np.stack([5 + 3 * np.cos(turn), 4 + 2 * np.sin(turn)], axis=-1)
    >>> fit_ellipse(points).round(6).tolist()
    [5.0, 4.0, 3.0, 2.0, 0.0]
    """
    points = np.asarray(points, float)
    weights = np.ones(points.shape[:-1]) if weights is None else np.asarray(weights, float)
    weights = np.where(np.isfinite(points).all(-1), weights, 0.0)
    points = np.where(weights[..., None] > 0, points, 0.0)
    total = np.maximum(weights.sum(-1), 1e-12)[..., None]
    middle = (weights[..., None] * points).sum(-2) / total
    moved = (points - middle[..., None, :]) * (weights[..., None] > 0)
    size = np.sqrt((weights[..., None] * moved**2).sum((-1, -2)) / total[..., 0])
    size = np.where(size > 0, size, 1.0)
    with np.errstate(all="ignore"):
        conic = _direct(moved / size[..., None, None], weights)
        found = from_conic(conic)
    found[..., :4] *= size[..., None]
    found[..., :2] += middle
    bad = ((weights > 0).sum(-1) < FEWEST) | ~np.isfinite(found).all(-1)
    found[bad] = np.nan
    return found


def _direct(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the six coefficients of the conics A x² + B xy + C y² + D x + E y + F = 0."""
    x, y = points[..., 0], points[..., 1]
    bent = np.stack([x * x, x * y, y * y], axis=-1)
    flat = np.stack([x, y, np.ones_like(x)], axis=-1)
    weighted = weights[..., None] * bent
    s1 = np.einsum("...ni,...nj->...ij", weighted, bent)
    s2 = np.einsum("...ni,...nj->...ij", weighted, flat)
    s3 = np.einsum("...ni,...nj->...ij", weights[..., None] * flat, flat)
    s3 = s3 + 1e-12 * np.eye(3)
    rest = -np.linalg.solve(s3, np.swapaxes(s2, -1, -2))
    m = s1 + s2 @ rest
    m = np.stack([m[..., 2, :] / 2, -m[..., 1, :], m[..., 0, :] / 2], axis=-2)
    m = np.where(np.isfinite(m), m, 0.0)
    _, vectors = np.linalg.eig(m)
    vectors = vectors.real
    kind = 4 * vectors[..., 0, :] * vectors[..., 2, :] - vectors[..., 1, :] ** 2
    best = np.argmax(kind, axis=-1)
    top = np.take_along_axis(vectors, best[..., None, None], axis=-1)[..., 0]
    return np.concatenate([top, np.einsum("...ij,...j->...i", rest, top)], axis=-1)


def from_conic(conic: np.ndarray) -> np.ndarray:
    """Return the ellipses (…, 5) of conics (…, 6); NaN where a conic is none.

    Examples
    --------
    >>> from_conic(np.array([1.0, 0, 4, 0, 0, -4])).round(6).tolist()
    [0.0, 0.0, 2.0, 1.0, 0.0]
    """
    a, b, c, d, e, f = np.moveaxis(np.asarray(conic, float), -1, 0)
    with np.errstate(all="ignore"):
        under = 4 * a * c - b * b
        x, y = (b * e - 2 * c * d) / under, (b * d - 2 * a * e) / under
        level = -(a * x * x + b * x * y + c * y * y + d * x + e * y + f)
        root = np.hypot(a - c, b)
        # the smaller eigenvalue belongs to the long axis
        sign = np.sign(a + c)
        small, large = (sign * (a + c) - root) / 2, (sign * (a + c) + root) / 2
        major, minor = np.sqrt(sign * level / small), np.sqrt(sign * level / large)
        angle = 0.5 * np.arctan2(-sign * b, -sign * (a - c)) % np.pi
        angle = np.where(np.pi - angle < 1e-9, 0.0, angle)
    found = np.stack([x, y, major, minor, angle], axis=-1)
    found[~(under > 0)] = np.nan
    return found


def to_conic(ellipse: np.ndarray) -> np.ndarray:
    """Return the conics (…, 6) of ellipses (…, 5), scaled so that the centre gives -1.

    Examples
    --------
    >>> to_conic(np.array([0.0, 0, 2, 1, 0])).round(3).tolist()
    [0.25, 0.0, 1.0, 0.0, 0.0, -1.0]
    """
    x, y, major, minor, angle = np.moveaxis(np.asarray(ellipse, float), -1, 0)
    cos, sin = np.cos(angle), np.sin(angle)
    p, q = 1 / major**2, 1 / minor**2
    a, b, c = p * cos**2 + q * sin**2, 2 * (p - q) * cos * sin, p * sin**2 + q * cos**2
    d, e = -2 * a * x - b * y, -b * x - 2 * c * y
    f = a * x * x + b * x * y + c * y * y - 1
    return np.stack([a, b, c, d, e, f], axis=-1) + 0.0


def rim(ellipse: np.ndarray, points: int = 64) -> np.ndarray:
    """Return points on ellipses, shape (…, points, 2), evenly by eccentric angle.

    Examples
    --------
    >>> rim(np.array([0.0, 0, 2, 1, 0]), 4).round(3).tolist()[1]
    [0.0, 1.0]
    """
    x, y, major, minor, angle = (part[..., None] for part in np.moveaxis(ellipse, -1, 0))
    turn = np.arange(points) * (2 * np.pi / points)
    along, across = major * np.cos(turn), minor * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=-1)


def distance(ellipse: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far points (…, n, 2) lie outside ellipses (…, 5), px, to first order (Sampson).

    Examples
    --------
    >>> distance(np.array([0.0, 0, 2, 2, 0]), np.array([[2.1, 0]])).round(3).tolist()
    [0.098]
    """
    a, b, c, d, e, f = (part[..., None] for part in np.moveaxis(to_conic(ellipse), -1, 0))
    x, y = points[..., 0], points[..., 1]
    value = a * x * x + b * x * y + c * y * y + d * x + e * y + f
    slope = np.hypot(2 * a * x + b * y + d, b * x + 2 * c * y + e)
    return value / np.maximum(slope, 1e-12)


def inside(ellipse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask (y, x) of the pixels whose centres lie in one ellipse (5,).

    Examples
    --------
    >>> int(inside(np.array([4.0, 4, 2, 2, 0]), (9, 9)).sum())
    13
    """
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    a, b, c, d, e, f = to_conic(ellipse)
    return a * x * x + b * x * y + c * y * y + d * x + e * y + f <= 0
