"""The rim of a pupil, to a fraction of a pixel: first in the net's map, then in the picture."""

from __future__ import annotations

import numpy as np

from neuroloom.eye.find.ellipse import distance, fit_ellipse, rim

RAYS = 64
ROUNDS = 4
WING = 4  # steps to either side of the steepest place
STRETCHES, TRIES, NEAR = (0.25, 0.45), 12, 0.62
LOST = 0.15  # weight below which a point of the rim does not count as seen


def sample(images: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return images (n, y, x) at places (n, …) px, bilinear; beyond the border is the border.

    Examples
    --------
    >>> sample(np.arange(4.0).reshape(1, 2, 2), np.array([[0.5]]), np.array([[0.5]])).tolist()
    [[1.5]]
    """
    n, height, width = images.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left = np.minimum(x.astype(np.intp), max(width - 2, 0))
    top = np.minimum(y.astype(np.intp), max(height - 2, 0))
    fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
    flat = images.reshape(-1)
    at = np.arange(n).reshape(-1, *[1] * (x.ndim - 1)) * (height * width) + top * width + left
    right, down = int(width > 1), width if height > 1 else 0
    upper = flat[at] * (1 - fx) + flat[at + right] * fx
    lower = flat[at + down] * (1 - fx) + flat[at + down + right] * fx
    return upper * (1 - fy) + lower * fy


def within(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], margin: float = 1.0) -> np.ndarray:
    """Say which places lie in a picture (…, y, x), at least `margin` px from its border."""
    height, width = shape[-2:]
    aside = (x >= margin) & (x <= width - 1 - margin)
    return aside & (y >= margin) & (y <= height - 1 - margin)


def rim_of_map(maps: np.ndarray, centres: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Find where maps fall below one half on the way out from a centre.

    Parameters
    ----------
    maps
        Probabilities (n, y, x).
    centres
        Places inside, (n, 2), px.
    reach
        How far out to look, (n,), px.

    Returns
    -------
    ndarray
        Points (n, 64, 2), px: the outermost crossing of each ray.
    """
    turn = np.arange(RAYS) * (2 * np.pi / RAYS)
    steps = np.linspace(0, 1, 49)
    far = reach[:, None, None] * steps
    x = centres[:, 0, None, None] + far * np.cos(turn)[:, None]
    y = centres[:, 1, None, None] + far * np.sin(turn)[:, None]
    values = sample(maps, x, y)
    above = values >= 0.5
    last = np.where(above.any(-1), above.shape[-1] - 1 - np.argmax(above[..., ::-1], -1), 0)
    after = np.minimum(last + 1, above.shape[-1] - 1)
    high = np.take_along_axis(values, last[..., None], -1)[..., 0]
    low = np.take_along_axis(values, after[..., None], -1)[..., 0]
    part = np.clip((high - 0.5) / np.maximum(high - low, 1e-6), 0, 1)
    out = reach[:, None] * (steps[last] + part * (steps[after] - steps[last]))
    return centres[:, None] + out[..., None] * np.stack([np.cos(turn), np.sin(turn)], -1)


def fit_robust(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit ellipses (n, 5) to points (n, m, 2), of which some are wrong.

    Where something hides a stretch of the rim (a lash, a reflection, a lid) its points are wrong
    together. So the first ellipse is the best of several, each of which leaves out another stretch;
    best is the one that most points are near. Points far from it then lose their weight (Tukey's
    biweight), round by round.

    Returns
    -------
    tuple
        Ellipses (n, 5) and the weights (n, m) in the end.

    References
    ----------
    Huber & Ronchetti (2009), Robust Statistics, 2nd ed., chapter 7 (reweighting).
    """
    found, kept = _best_of_stretches(points, weights), weights
    for _ in range(ROUNDS):
        off = np.abs(distance(found, points))
        counted = np.where(weights > LOST, off, np.nan)
        with np.errstate(all="ignore"):
            spread = 1.4826 * _median(counted)
        spread = np.maximum(np.nan_to_num(spread, nan=1.0), 0.1)[:, None]
        with np.errstate(invalid="ignore"):
            kept = weights * np.clip(1 - (off / (4 * spread)) ** 2, 0, None) ** 2
        again = fit_ellipse(points, np.nan_to_num(kept))
        found = np.where(np.isfinite(again).all(-1, keepdims=True), again, found)
    return found, np.nan_to_num(kept)


def _best_of_stretches(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    count = points.shape[1]
    place = np.arange(count)
    tries = [np.ones(count)]
    for share in STRETCHES:
        starts = np.arange(TRIES) * count // TRIES
        tries += [((place - start) % count >= share * count).astype(float) for start in starts]
    kept = weights[:, None] * np.stack(tries)
    found = fit_ellipse(np.broadcast_to(points[:, None], (*kept.shape, 2)), kept)
    off = np.abs(distance(found, points[:, None]))
    counted = np.where(weights[:, None] > LOST, off, np.nan)
    # the distance within which two thirds of the points lie
    ordered = np.sort(counted, axis=-1)
    known = np.isfinite(counted).sum(-1)
    rank = np.clip(np.ceil(NEAR * known).astype(int) - 1, 0, count - 1)
    cost = np.take_along_axis(ordered, rank[..., None], -1)[..., 0]
    best = np.where(np.isfinite(cost), cost, np.inf).argmin(axis=1)
    return np.take_along_axis(found, best[:, None, None], 1)[:, 0]


def _median(values: np.ndarray) -> np.ndarray:
    """Return the median of each row of its finite values; NaN of none."""
    count = np.isfinite(values).sum(-1)
    ordered = np.sort(values, axis=-1)
    last = values.shape[-1] - 1
    low = np.take_along_axis(ordered, np.clip((count - 1) // 2, 0, last)[:, None], -1)
    high = np.take_along_axis(ordered, np.clip(count // 2, 0, last)[:, None], -1)
    return (low[:, 0] + high[:, 0]) / 2


def sharpen(
    images: np.ndarray, ellipses: np.ndarray, weights: np.ndarray, reach: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move ellipses onto the steepest edge near them, in the pictures themselves.

    Parameters
    ----------
    images
        Grey, (n, y, x).
    ellipses
        (n, 5), px.
    weights
        How much each of the 64 points of `ellipse.rim` counts, (n, 64): 0 behind a lid.
    reach
        How far from the ellipse an edge may lie, (n,), px.

    Returns
    -------
    tuple
        Ellipses (n, 5), and how clearly each point of the rim was seen (n, 64), 0 to 1.
    """
    points = rim(ellipses, RAYS)
    outward = normals(ellipses, points)
    steps = np.linspace(-1, 1, 33)
    off = reach[:, None, None] * steps
    x = points[..., 0, None] + off * outward[..., 0, None]
    y = points[..., 1, None] + off * outward[..., 1, None]
    values = sample(images, np.nan_to_num(x), np.nan_to_num(y))
    slope = _slopes(values)
    # whether the pupil is the dark or the bright side is the same all around
    middle = slope[..., 8:-8].mean(-1) * (weights > LOST)
    side = np.where(middle.sum(-1) >= 0, 1.0, -1.0)
    prior = np.exp(-0.5 * (steps[1:-1] / 0.45) ** 2)
    rise = np.clip(side[:, None, None] * slope, 0, None) * prior
    best = np.clip(rise.argmax(-1), WING, rise.shape[-1] - 1 - WING)
    wing = np.arange(-WING, WING + 1)
    # the middle of the slope around its top, without the prior, which would hold the edge back
    near = np.take_along_axis(side[:, None, None] * slope, best[..., None] + wing, -1)
    near = np.clip(near, 0, None) ** 2
    shift = (near * wing).sum(-1) / np.maximum(near.sum(-1), 1e-9)
    step = steps[1] - steps[0]
    move = reach[:, None] * (steps[1:-1][best] + step * shift)
    edges = points + move[..., None] * outward
    seen = _clarity(np.take_along_axis(rise, best[..., None], -1)[..., 0], weights)
    seen = seen * within(edges[..., 0], edges[..., 1], images.shape)
    found, kept = fit_robust(edges, weights * seen)
    return found, kept


def _slopes(values: np.ndarray) -> np.ndarray:
    """Return smoothed differences along profiles (n, m, 33) -> (n, m, 31)."""
    soft = values.copy()
    for _ in range(4):
        soft[..., 1:-1] = (soft[..., :-2] + 2 * soft[..., 1:-1] + soft[..., 2:]) / 4
    return soft[..., 2:] - soft[..., :-2]


def _clarity(rise: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how steep edges are beside the typical one of the same rim, 0 to 1."""
    counted = np.where(weights > LOST, rise, np.nan)
    usual = np.nan_to_num(_median(counted), nan=1.0)[:, None]
    return np.clip(rise / np.maximum(usual, 1e-6), 0, 1)


def normals(ellipses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the unit vectors out of ellipses (n, 5) at points of their rims (n, m, 2)."""
    x, y, major, minor, angle = (part[:, None] for part in ellipses.T)
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = points[..., 0] - x, points[..., 1] - y
    along, across = (cos * dx + sin * dy) / major**2, (cos * dy - sin * dx) / minor**2
    length = np.maximum(np.hypot(along, across), 1e-12)
    along, across = along / length, across / length
    return np.stack([cos * along - sin * across, sin * along + cos * across], axis=-1)
