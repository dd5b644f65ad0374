"""From pixels of several cameras to places in space.

First linear (Hartley & Zisserman 2004, 12.2: the smallest right singular vector), then Gauss-Newton
on the distance between seen and projected pixels, for all points at once. Missing pixels are NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError
from neuroloom.pose.rig.cameras import Rig

Floats = NDArray[np.float64]
Method = Literal["linear", "refined", "robust"]

ROUNDS = 25
MOST_TRIALS = 40
CHUNK = 50_000


def triangulate(
    rig: Rig,
    pixels: np.ndarray,
    weights: np.ndarray | None = None,
    method: Method = "refined",
    tolerance: float = 10.0,
) -> Floats:
    """Return the points of space that pixels of several cameras belong to.

    Parameters
    ----------
    rig
        The cameras.
    pixels
        Shape (camera, ..., 2), px; NaN where a camera does not see the point.
    weights
        Shape (camera, ...): how far to trust each pixel, as 1 / sigma^2 in any unit; 0 leaves it
        out.
    method
        "linear": at once; "refined": least squares of the distances in px; "robust": the same with
        the views that agree with each other within `tolerance` only.
    tolerance
        Of "robust", px.

    Returns
    -------
    Shape (..., 3) in the rig's unit; NaN where fewer than two cameras see the point, or their rays
    meet behind one of them.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.array([[800.0, 3, 320], [0, 810, 240], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> point = np.array([[3.0, -4.0, 200.0]])
    >>> triangulate(rig, rig.project(point)).round(6).tolist()
    [[3.0, -4.0, 200.0]]
    """
    seen, trust, shape = _flat(rig, pixels, weights)
    if method == "robust":
        return triangulate_robust(rig, pixels, weights, tolerance)[0]
    found = np.full((seen.shape[1], 3), np.nan)
    for part in _parts(len(found)):
        found[part] = _solve(rig, seen[:, part], trust[:, part], method)
    found[~in_front(rig, found, _usable(seen, trust))] = np.nan
    return found.reshape(*shape, 3)


def triangulate_robust(
    rig: Rig, pixels: np.ndarray, weights: np.ndarray | None = None, tolerance: float = 10.0
) -> tuple[Floats, NDArray[np.bool_]]:
    """Triangulate by the views that agree; a view far off the others is left out.

    Where all views of a point agree, all are used. Else each pair of cameras proposes a point
    (RANSAC, Fischler & Bolles 1981; all pairs, or the first 40), and the proposal wins that most
    views come to within `tolerance`, then that whose views come closest.

    Returns
    -------
    points
        Shape (..., 3), NaN as for `triangulate`.
    used
        Shape (camera, ...), True for the views that the points were made from.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> shifts = [(0.0, 0, 0), (-50.0, 0, 0), (0, -50.0, 0), (-40.0, 40, 0)]
    >>> rig = Rig(tuple(Camera(str(i), K, t=np.array(t)) for i, t in enumerate(shifts)))
    >>> seen = rig.project(np.array([[3.0, -4.0, 200.0]]))
    >>> seen[2] += 90
    >>> points, used = triangulate_robust(rig, seen)
    >>> points.round(6).tolist(), used[:, 0].tolist()
    ([[3.0, -4.0, 200.0]], [True, True, False, True])
    """
    seen, trust, shape = _flat(rig, pixels, weights)
    found, used = np.full((seen.shape[1], 3), np.nan), np.zeros(trust.shape, bool)
    for part in _parts(len(found)):
        found[part], used[:, part] = _robust(rig, seen[:, part], trust[:, part], tolerance)
    return found.reshape(*shape, 3), used.reshape(len(rig), *shape)


def _robust(
    rig: Rig, seen: Floats, trust: Floats, tolerance: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return points (n, 3) of pixels (camera, n, 2), and the views (camera, n) that made them."""
    found = _solve(rig, seen, trust, "refined")
    used = _usable(seen, trust)
    error = _gaps(rig, found, seen, used)
    doubtful = (np.where(used, error, 0).max(0) > tolerance) & (used.sum(0) > 2)
    if doubtful.any():
        rows = np.flatnonzero(doubtful)
        kept = _agreeing(rig, seen[:, rows], trust[:, rows], used[:, rows], tolerance)
        used[:, rows] = kept
        found[rows] = _solve(rig, seen[:, rows], np.where(kept, trust[:, rows], 0), "refined")
    ahead = in_front(rig, found, used)
    found[~ahead] = np.nan
    return found, np.asarray(used & ahead)


def in_front(rig: Rig, points: np.ndarray, used: np.ndarray) -> NDArray[np.bool_]:
    """Say which points (..., 3) lie before every camera that they are made from.

    Parameters
    ----------
    used
        Shape (camera, ...), True for these cameras.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> rig = Rig((Camera("a", np.diag([800.0, 800, 1])),))
    >>> points = np.array([[0.0, 0, 5], [0, 0, -5], [np.nan, 0, 5]])
    >>> in_front(rig, points, np.ones((1, 3), bool)).tolist()
    [True, False, False]
    """
    ahead: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(-1))
    for camera, own in zip(rig, used, strict=True):
        ahead = ahead & ~(own & ((points - camera.centre) @ camera.direction <= 0))
    return ahead


def reprojection_error(rig: Rig, points: np.ndarray, pixels: np.ndarray) -> Floats:
    """Return how far pixels lie from the projections of their points, shape (camera, ...), px.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> rig = Rig((Camera("a", np.diag([800.0, 800, 1])),))
    >>> reprojection_error(rig, np.array([0.0, 0, 5]), np.array([[3.0, 4.0]])).tolist()
    [5.0]
    """
    rig.expect(pixels)
    return np.linalg.norm(rig.project(points) - pixels, axis=-1)


def _flat(
    rig: Rig, pixels: np.ndarray, weights: np.ndarray | None
) -> tuple[Floats, Floats, tuple[int, ...]]:
    """Return pixels (camera, n, 2), weights (camera, n), and the shape of the n."""
    rig.expect(pixels)
    if len(rig) < 2:
        raise ConfigError("Triangulation needs two cameras or more; the rig has one.")
    shape = np.shape(pixels)[1:-1]
    seen = np.asarray(pixels, float).reshape(len(rig), -1, 2)
    trust = np.ones(seen.shape[:2])
    if weights is not None:
        if np.shape(weights) != (len(rig), *shape):
            raise ConfigError(
                f"Expected weights of shape {(len(rig), *shape)}, as the points have, got "
                f"{np.shape(weights)}."
            )
        trust = np.nan_to_num(np.asarray(weights, float).reshape(len(rig), -1)).clip(min=0)
    return seen, trust, shape


def _parts(count: int) -> Iterator[slice]:
    """Yield runs of so many points as one step may hold in memory."""
    for start in range(0, count, CHUNK):
        yield slice(start, start + CHUNK)


def _usable(seen: Floats, trust: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(seen).all(-1) & (trust > 0))


def _solve(rig: Rig, seen: Floats, trust: Floats, method: str) -> Floats:
    """Triangulate points (camera, n, 2) with weights (camera, n)."""
    ideal = rig.undistort(seen)
    there = np.isfinite(ideal).all(-1) & (trust > 0)
    ideal, weight = np.where(there[..., None], ideal, 0.0), np.where(there, trust, 0.0)
    weight = weight / np.maximum(weight.max(0, initial=0), 1e-300)
    found = _linear(rig, ideal, weight)
    found[there.sum(0) < 2] = np.nan
    if method != "linear":
        found = _refine(rig, found, np.where(there[..., None], seen, 0.0), weight)
    return found


def _linear(rig: Rig, ideal: Floats, weight: Floats) -> Floats:
    """Solve for homogeneous points by singular vectors; rows are scaled as distances in px are."""
    # Around the cameras and in their own size the four columns are alike in scale.
    centres = np.stack([camera.centre for camera in rig])
    middle = centres.mean(0)
    size = max(float(np.linalg.norm(centres - middle, axis=-1).mean()), 1e-12)
    rows = []
    for camera, (x, y), w in zip(rig, np.moveaxis(ideal, -1, 1), weight, strict=True):
        pose = np.column_stack([camera.R * size, camera.R @ middle + camera.t]) / size
        scale = (np.sqrt(w) * camera.K[0, 0])[:, None]
        rows += [scale * (x[:, None] * pose[2] - pose[0]), scale * (y[:, None] * pose[2] - pose[1])]
    ranked = np.linalg.svd(np.stack(rows, axis=1), full_matrices=False)[2]
    last = ranked[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return last[:, :3] / last[:, 3:] * size + middle


def _refine(rig: Rig, points: Floats, seen: Floats, weight: Floats) -> Floats:
    """Move points (n, 3) to the least weighted squared distance in px; never to a worse place."""
    best, damping = points.copy(), np.full(len(points), 1e-6)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(-1))
    cost = _cost(rig, best, seen, weight)
    for _ in range(ROUNDS):
        moving = np.flatnonzero(known & np.isfinite(cost))
        if not moving.size:
            break
        step = _step(rig, best[moving], seen[:, moving], weight[:, moving], damping[moving])
        tried = best[moving] + step
        value = _cost(rig, tried, seen[:, moving], weight[:, moving])
        better = value < cost[moving]
        rows = moving[better]
        best[rows], cost[rows] = tried[better], value[better]
        damping[moving] = np.where(better, damping[moving] / 10, damping[moving] * 100).clip(1e-12)
        length = np.linalg.norm(step, axis=-1)
        far = np.linalg.norm(best[moving], axis=-1) + 1e-12
        known[moving[(length < 1e-12 * far) | (damping[moving] > 1e8)]] = False
    return best


def _cost(rig: Rig, points: Floats, seen: Floats, weight: Floats) -> Floats:
    gap = ((rig.project(points) - seen) ** 2).sum(-1)
    return np.where(weight > 0, weight * gap, 0).sum(0)


def _step(rig: Rig, points: Floats, seen: Floats, weight: Floats, damping: Floats) -> Floats:
    """Return the damped Gauss-Newton step of each point."""
    normal, right = np.zeros((len(points), 3, 3)), np.zeros((len(points), 3))
    for camera, own, w in zip(rig, seen, weight, strict=True):
        gap = np.where(w[:, None] > 0, own - camera.project(points), 0)
        slope = np.where(w[:, None, None] > 0, camera.slope(points), 0)
        normal += np.einsum("n,nij,nik->njk", w, slope, slope)
        right += np.einsum("n,nij,ni->nj", w, slope, gap)
    size = np.einsum("nii->n", normal)
    normal = normal + (damping * size + 1e-300)[:, None, None] * np.eye(3)
    return np.linalg.solve(normal, right[..., None])[..., 0]


def _gaps(rig: Rig, points: Floats, seen: Floats, used: NDArray[np.bool_]) -> Floats:
    """Distances (camera, n), px; infinite where a point is not before a camera that sees it."""
    gap = np.linalg.norm(rig.project(points) - seen, axis=-1)
    return np.where(used & ~np.isfinite(gap), np.inf, gap)


def _agreeing(
    rig: Rig, seen: Floats, trust: Floats, used: NDArray[np.bool_], tolerance: float
) -> NDArray[np.bool_]:
    """Return the views (camera, n) of each point that agree best, from proposals of pairs."""
    best = np.full(seen.shape[1], -np.inf)
    kept = used.copy()
    for pair in list(combinations(range(len(rig)), 2))[:MOST_TRIALS]:
        both = used[list(pair)].all(0)
        alone = np.zeros_like(trust)
        alone[list(pair)] = np.where(both, 1.0, 0.0)
        gap = _gaps(rig, _solve(rig, seen, alone, "refined"), seen, used)
        near: NDArray[np.bool_] = np.asarray(used & (gap <= tolerance))
        # A pair whose rays miss each other is no vote for where they nearly meet.
        agree = near.sum(0)
        near[list(pair)] |= both
        closeness = -np.where(near, gap, 0).sum(0) / np.maximum(near.sum(0), 1) / tolerance
        # A view more outweighs any closeness; trust decides where pairs fit equally well.
        told = np.where(near, trust, 0).sum(0) / np.maximum(np.where(used, trust, 0).sum(0), 1e-300)
        score = np.where(both, agree + 0.4 * np.maximum(closeness, -1) + 0.2 * told, -np.inf)
        wins = score > best
        best[wins], kept[:, wins] = score[wins], near[:, wins]
    return kept
