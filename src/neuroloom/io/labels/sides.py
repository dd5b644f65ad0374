"""Labels of which left and right were exchanged, told from the shape of the other bodies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLIPPED = 0.6  # of the misfit that is left once left and right are exchanged


def flips(points: np.ndarray, swaps: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return how much better each body fits the usual shape with left and right exchanged.

    Bodies are laid onto their mean shape by turning, moving and scaling, never mirroring; so one
    whose left and right are exchanged does not fit.

    Parameters
    ----------
    points
        Shape (frame, individual, keypoint, 2), px.
    swaps
        Left-right pairs of keypoints.

    Returns
    -------
    Shape (frame, individual): misfit after the exchange over that before, so that far below 1 is
    suspicious; NaN where no pair is whole.

    Examples
    --------
    >>> body = np.array([[0.0, 20.0], [-5.0, 10.0], [5.0, 10.0], [0.0, 0.0]])
    >>> points = np.tile(body, (9, 1, 1, 1)) + np.random.default_rng(0).normal(0, 0.3, (9, 1, 4, 2))
    >>> points[4] = points[4][:, [0, 2, 1, 3]]
    >>> np.flatnonzero(flips(points, [(1, 2)])[:, 0] < 0.6).tolist()
    [4]
    """
    bodies = points.reshape(-1, *points.shape[-2:])
    out = np.full(len(bodies), np.nan)
    pairs = np.array(swaps, int).reshape(-1, 2)
    seen = np.isfinite(bodies).all(-1)
    usable = (
        seen[:, pairs].all(-1).any(-1) & (seen.sum(1) >= 3) if len(pairs) else seen[:, 0] & False
    )
    if usable.sum() >= 3:
        shape = _mean_shape(bodies[usable])
        mirror = np.arange(bodies.shape[1])
        mirror[pairs] = pairs[:, ::-1]
        before, after = (_misfit(own, shape) for own in (bodies[usable], bodies[usable][:, mirror]))
        out[usable] = after / np.maximum(before, 1e-9)
    return out.reshape(points.shape[:2])


def _mean_shape(bodies: np.ndarray, rounds: int = 8) -> np.ndarray:
    """Return the mean of the bodies, each laid onto it, as generalised Procrustes analysis does."""
    whole = np.isfinite(bodies).all((1, 2))
    shape = bodies[whole][0] if whole.any() else np.nanmean(bodies, 0)
    shape = shape - np.nanmean(shape, 0)
    for _ in range(rounds):
        laid = _lay(bodies, shape)
        # The median bears a few bodies whose sides are exchanged.
        known = np.isfinite(laid).all(-1).any(0)
        shape[known] = np.nanmedian(laid[:, known], 0)
        shape = shape - np.nanmean(shape, 0)
    return shape


def _lay(bodies: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the bodies turned, moved and scaled onto the shape, over what they show of it."""
    z, goal = bodies[..., 0] + 1j * bodies[..., 1], shape[:, 0] + 1j * shape[:, 1]
    known = np.isfinite(z) & np.isfinite(goal)
    count = np.maximum(known.sum(1, keepdims=True), 1)
    own = np.where(known, z, 0)
    target = np.where(known, goal, 0)
    own_middle, goal_middle = (v.sum(1, keepdims=True) / count for v in (own, target))
    own, target = (np.where(known, v - m, 0) for v, m in ((own, own_middle), (target, goal_middle)))
    power = np.maximum((np.abs(own) ** 2).sum(1, keepdims=True), 1e-9)
    turn = (target * own.conj()).sum(1, keepdims=True) / power
    laid = (z - own_middle) * turn + goal_middle
    return np.stack([laid.real, laid.imag], -1)


def _misfit(bodies: np.ndarray, shape: np.ndarray) -> np.ndarray:
    off = ((_lay(bodies, shape) - shape) ** 2).sum(-1)
    known = np.isfinite(off)
    return np.sqrt(np.where(known, off, 0.0).sum(1) / np.maximum(known.sum(1), 1))
