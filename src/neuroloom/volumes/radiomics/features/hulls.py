"""Bodies around a cloud of points: the widest distance, the smallest box, ellipsoids."""

from __future__ import annotations

import numpy as np


def farthest(points: np.ndarray) -> float:
    """Return the largest distance between two of the points (n, 3).

    Examples
    --------
    >>> farthest(np.array([[0.0, 0, 0], [3, 4, 0], [1, 1, 1]]))
    5.0
    """
    from scipy.spatial.distance import cdist

    chunks = np.array_split(points, max(1, len(points) // 500))
    return float(max(cdist(chunk, points).max() for chunk in chunks))


def smallest_box(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the sides of the smallest box that has a face on a face of the points' hull.

    Beside each face, the box may turn about its normal: the smallest rectangle around the shadow
    has a side on one of the shadow's edges (Freeman & Shapira 1975).

    Parameters
    ----------
    points
        Corners of the convex hull (n, 3).
    normals
        Of its faces (m, 3), unit length.

    Examples
    --------
    >>> corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], float)
    >>> sorted(smallest_box(corners, np.eye(3)).round(6).tolist())
    [1.0, 2.0, 3.0]
    """
    upward = normals * np.where(_leading(normals) < 0, -1, 1)
    _, distinct = np.unique(upward.round(6), axis=0, return_index=True)
    boxes = [_box_on(points, upward[row]) for row in distinct]
    return min(boxes, key=lambda sides: float(np.prod(sides)))


def _leading(normals: np.ndarray) -> np.ndarray:
    """Return the first component of each normal that is not zero, as a column."""
    first = (np.abs(normals) > 1e-9).argmax(1)
    return np.take_along_axis(normals, first[:, None], axis=1)


def _box_on(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    from scipy.spatial import ConvexHull

    normal = normal / np.linalg.norm(normal)
    basis = np.linalg.svd(normal[None])[2]
    shadow = points @ basis[1:].T
    outline = shadow[ConvexHull(shadow).vertices]
    edges = np.roll(outline, -1, axis=0) - outline
    angles = np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    wide, high = np.ptp(outline @ along.T, axis=0), np.ptp(outline @ across.T, axis=0)
    best = int((wide * high).argmin())
    return np.array([np.ptp(points @ normal), wide[best], high[best]])


def ellipsoid_volume(half: np.ndarray) -> float:
    """Return the volume of an ellipsoid with the given half axes.

    Examples
    --------
    >>> round(ellipsoid_volume(np.ones(3)), 4)
    4.1888
    """
    return float(4 / 3 * np.pi * np.prod(half))


def ellipsoid_area(half: np.ndarray, terms: int = 20) -> float:
    """Return what the IBSI calls the surface of an ellipsoid: its series of Legendre polynomials.

    The feature is defined by this series (reference manual, section 3.1), and the reference values
    follow it. It is the true surface of a sphere only: where the axes are 5.7, 4.7 and 4.3, it is
    4 % below (Carlson's integral, `scipy.special.elliprg`).

    Parameters
    ----------
    half
        Half axes, longest first.
    terms
        The last term of the series.

    Examples
    --------
    >>> round(ellipsoid_area(np.ones(3)), 4)
    12.5664
    """
    from scipy.special import eval_legendre

    a, b, c = half
    first, second = np.sqrt(1 - (b / a) ** 2), np.sqrt(1 - (c / a) ** 2)
    product = first * second
    # With two equal axes the polynomials' argument has no bound; their product with it does.
    product = max(product, 1e-6)
    order = np.arange(terms + 1)
    at = (first**2 + second**2) / (2 * product)
    series = product**order / (1 - 4 * order**2) * eval_legendre(order, at)
    return float(4 * np.pi * a * b * series.sum())


def enclosing_ellipsoid(points: np.ndarray, tolerance: float = 1e-4) -> np.ndarray:
    """Return the half axes of the smallest ellipsoid around the points (n, 3), longest first.

    Khachiyan (1996), with steps that also take weight away (Todd & Yildirim 2007).

    Examples
    --------
    >>> cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    >>> enclosing_ellipsoid(cube).round(3)
    array([1.732, 1.732, 1.732])
    """
    n, d = points.shape
    lifted = np.column_stack([points - points.mean(0), np.ones(n)]).T
    weight = np.full(n, 1 / n)
    for _ in range(5000):
        inverse = np.linalg.inv((lifted * weight) @ lifted.T)
        far = np.einsum("in,ij,jn->n", lifted, inverse, lifted)
        high, low = int(far.argmax()), int(np.where(weight > 0, far, np.inf).argmin())
        above, below = far[high] - d - 1, d + 1 - far[low]
        if max(above, below) < tolerance * (d + 1):
            break
        which = high if above >= below else low
        step = (far[which] - d - 1) / ((d + 1) * (far[which] - 1))
        step = max(step, -weight[which] / (1 - weight[which]))
        weight = (1 - step) * weight
        weight[which] = max(weight[which] + step, 0.0)
    centre = points.T @ weight
    spread = (points.T * weight) @ points - np.outer(centre, centre)
    return np.sqrt(np.linalg.eigvalsh(d * spread))[::-1]
