"""How alike two poses are: object keypoint similarity and distance, all pairs at once."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import DataError

SIGMA = 0.1
SMALLEST = 1e-6  # px, of a body all whose keypoints are in one place
WHOLE = 2 / 3  # of the keypoints: what a body shows at least whose box is its own
ALONE = 0.1  # of the reach of all points: how large an animal is taken to be that shows one only
ALONE_PX = 4.0  # and at least so large


def body_scale(points: np.ndarray) -> float:
    """Return the usual size of a body: the median root area of the box around its keypoints, px.

    Where no body shows two keypoints (a ball, a snout, a centroid) it is a tenth of the longer side
    of the box in which nearly all points lie, which is about the frame that animals go about in.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px, NaN where missing. Bodies that show less than two thirds of
        the keypoints are left out while there are whole ones, as their boxes are too small.

    Raises
    ------
    DataError
        If no body shows a keypoint.

    Examples
    --------
    >>> body_scale(np.array([[[0.0, 0.0], [30.0, 40.0]]]))
    34.64...
    >>> body_scale(np.array([[[0.0, 0.0]], [[300.0, 40.0]]]))
    29.4...
    """
    bodies = points.reshape(-1, *points.shape[-2:])
    seen = np.isfinite(bodies).all(-1).sum(-1)
    if not (seen >= 2).any():
        return _size_alone(bodies)
    whole = seen >= _fewest(points.shape[-2])
    bodies = bodies[whole] if whole.any() else bodies[seen >= 2]
    return float(np.median(_box_sizes(bodies)))


def body_sizes(points: np.ndarray, usual: float) -> np.ndarray:
    """Return the size of each body: the root area of the box around its own keypoints, px.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px, NaN where missing.
    usual
        Size of a body that shows less than two thirds of its keypoints, or one only.

    Returns
    -------
    Shape (…,).

    Examples
    --------
    >>> body_sizes(np.array([[[0.0, 0.0], [30.0, 40.0]], [[0.0, 0.0], [np.nan] * 2]]), 9.0)
    array([34.64..., 9.        ])
    """
    own = np.full(points.shape[:-2], usual, float)
    whole = np.isfinite(points).all(-1).sum(-1) >= _fewest(points.shape[-2])
    own[whole] = _box_sizes(points[whole])
    return own


def _fewest(keypoints: int) -> int:
    """Return how many keypoints a body shows at least whose box is its own."""
    return max(2, round(keypoints * WHOLE))


def _box_sizes(bodies: np.ndarray) -> np.ndarray:
    if not len(bodies):
        return np.zeros(0)
    sides = np.nanmax(bodies, 1) - np.nanmin(bodies, 1)
    # A body that lies along an axis has a box without area: no side counts as less than a third
    # of the diagonal.
    sides = np.maximum(sides, np.hypot(*sides.T)[:, None] / 3)
    return np.maximum(np.sqrt(sides.prod(-1)), SMALLEST)


def _size_alone(bodies: np.ndarray) -> float:
    points = bodies[np.isfinite(bodies).all(-1)]
    if not len(points):
        raise DataError(
            f"None of {len(bodies)} bodies shows a keypoint, so that their size is not known."
        )
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    return float(max(ALONE * (high - low).max(), ALONE_PX))


def distance_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the mean distance over shared keypoints of every pair, NaN where none is shared.

    Parameters
    ----------
    a, b
        Shape (n, keypoint, 2) and (m, keypoint, 2), px.

    Returns
    -------
    Shape (n, m), px.

    Examples
    --------
    >>> distance_between(np.zeros((1, 2, 2)), np.full((2, 2, 2), 3.0)).round(2)
    array([[4.24, 4.24]])
    """
    apart = np.linalg.norm(a[:, None] - b[None], axis=-1)
    shared = np.isfinite(apart)
    count = shared.sum(-1)
    total = np.where(shared, apart, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def oks_between(
    a: np.ndarray, b: np.ndarray, scale: float | np.ndarray, sigma: float = SIGMA
) -> np.ndarray:
    """Return the object keypoint similarity of every pair: 1 is the same pose, 0 far apart.

    Parameters
    ----------
    a
        The truth, or the side that counts: (n, keypoint, 2), px. Keypoints that it lacks do not
        count; those that only `b` lacks count as 0.
    b
        Shape (m, keypoint, 2).
    scale
        Root of the body's area, px; one, or one for each of `a`.
    sigma
        Of every keypoint, as a share of the scale.

    Returns
    -------
    Shape (n, m); 0 where `a` shows no keypoint.

    Notes
    -----
    The mean of exp(-d² / (2 (2 sigma scale)²)), as the COCO keypoint challenge has it.

    Examples
    --------
    >>> body = np.array([[[0.0, 0.0], [10.0, 0.0]]])
    >>> oks_between(body, np.concatenate([body, body + 2]), scale=10.0).round(2)
    array([[1.  , 0.37]])
    """
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    spread = 2 * (2 * sigma * np.broadcast_to(scale, len(a))) ** 2
    alike = np.where(np.isfinite(squared), np.exp(-squared / spread[:, None, None]), 0.0)
    counted = np.isfinite(a).all(-1)
    return (alike * counted[:, None]).sum(-1) / np.maximum(counted.sum(-1), 1)[:, None]


def suppress(
    bodies: np.ndarray, scores: np.ndarray, scale: float, limit: float = 0.7, sigma: float = SIGMA
) -> np.ndarray:
    """Return which bodies to keep where one animal was found twice: the best score of each.

    Parameters
    ----------
    bodies
        Shape (n, keypoint, 2), px, NaN where missing.
    scores
        Shape (n,); of two that are alike the higher stays.
    scale, sigma
        As for `oks_between`.
    limit
        Similarity from which two are one animal; over the keypoints that the weaker one shows.

    Returns
    -------
    Indices of what stays, best first.

    Examples
    --------
    >>> body = np.array([[0.0, 0.0], [10.0, 0.0]])
    >>> suppress(np.stack([body, body + 0.2, body + 40]), np.array([0.8, 0.9, 0.7]), 10.0)
    array([1, 2])
    """
    shown = np.isfinite(bodies).all(-1).any(-1)
    order = [i for i in np.argsort(-scores, kind="stable") if shown[i]]
    alike = oks_between(bodies, bodies, scale, sigma)
    kept: list[int] = []
    for i in order:
        if not kept or alike[i, kept].max() < limit:
            kept.append(i)
    return np.array(kept, dtype=int)


def body_centres(points: np.ndarray, anchor: int | None = None) -> np.ndarray:
    """Return the centre of each body: its anchor keypoint, or the middle of the box around all.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px, NaN where missing.
    anchor
        A keypoint; where it is missing, the middle of the box serves.

    Returns
    -------
    Shape (…, 2); NaN where a body shows nothing.

    Examples
    --------
    >>> body_centres(np.array([[0.0, 0.0], [10.0, 4.0], [np.nan, np.nan]]))
    array([5., 2.])
    """
    known = np.isfinite(points).all(-1, keepdims=True)
    low = np.where(known, points, np.inf).min(-2)
    high = np.where(known, points, -np.inf).max(-2)
    middle = np.where(known.any(-2), (np.where(np.isfinite(low), low, 0) + high) / 2, np.nan)
    if anchor is None:
        return middle
    at = points[..., anchor, :]
    return np.where(np.isfinite(at).all(-1, keepdims=True), at, middle)
