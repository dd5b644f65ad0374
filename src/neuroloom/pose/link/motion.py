"""How animals move: noise and drive read from the detections, and a filter for many at once.

Each keypoint has a place and a velocity (constant velocity driven by white acceleration). The
velocity that all keypoints of a body share lasts; what a keypoint has beside it dies down, so that
a body does not fall apart while it is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neuroloom.pose.alike import body_scale, distance_between

LASTING, BENDING = 0.98, 0.7  # of a frame's velocity what is left in the next: shared, own
HEAVY = 4.0  # degrees of freedom of the errors: a keypoint may jump
FINEST = 0.004  # of the body: no net finds a keypoint better than this
MOST_HASTE = 100.0  # by which the variance of a prediction may be raised in a frame
ENOUGH = 3000  # frames from which noise and drive are read
POOLED = 1000  # coordinates for which all keypoints stand in the noise and drive of each
SPURT = 0.5  # of the body a frame: how fast an animal just seen first may be


@dataclass(frozen=True)
class Motion:
    """What is known of keypoints before any is linked.

    Parameters
    ----------
    noise
        Shape (keypoint,): SD of a found place, px.
    drive
        Shape (keypoint,): SD of the acceleration, px / frame².
    scale
        Size of a body, px.
    """

    noise: np.ndarray
    drive: np.ndarray
    scale: float


@dataclass
class Bodies:
    """Filtered places and velocities of bodies; any leading shape, here (…).

    Parameters
    ----------
    place, speed
        Shape (…, keypoint, 2), px and px / frame.
    cov
        Shape (…, keypoint, 3): variance of place, covariance, variance of speed; x as y.
    """

    place: np.ndarray
    speed: np.ndarray
    cov: np.ndarray

    def take(self, rows: np.ndarray) -> Bodies:
        """Return copies of the bodies of some rows of the first axis."""
        return Bodies(self.place[rows], self.speed[rows], self.cov[rows])


def estimate_motion(points: np.ndarray, scale: float | None = None) -> Motion:
    """Read noise and drive from detections whose identities are not known.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px, NaN where missing.
    scale
        Size of a body, px; measured if not given.

    Notes
    -----
    Nearest detections of neighbouring frames are followed for four frames. Third differences of a
    smooth path are small, those of white noise have 20 times its variance (from the median, so
    that wrong neighbours do not matter); what second differences have beyond 6 times it is the
    drive, from all but the largest twentieth, as animals turn seldom but sharply.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> path = np.arange(400.0)[:, None, None, None] + np.array([[[[0.0, 0.0], [30.0, 0.0]]]])
    >>> estimate_motion(path + rng.normal(0, 2.0, path.shape)).noise.round(0)
    array([2., 2.])
    """
    scale = body_scale(points) if scale is None else scale
    keypoints = points.shape[2]
    chains = _chains(points[:ENOUGH], scale, length=4)
    second, third = np.diff(chains, 2, axis=1)[:, 0], np.diff(chains, 3, axis=1)[:, 0]
    least = FINEST * scale
    noise = np.maximum(_spread(third, keypoints) / np.sqrt(20), least)
    drive = np.sqrt(np.maximum(_power(second, keypoints) - 6 * noise**2, 0))
    return Motion(noise, np.maximum(drive, 0.25 * noise), scale)


def _chains(points: np.ndarray, scale: float, length: int) -> np.ndarray:
    """Return (n, length, keypoint, 2): nearest neighbours over some frames on end."""
    step = [_nearest(a, b, scale) for a, b in pairwise(points)]
    out = []
    for start in range(len(points) - length + 1):
        row = np.arange(points.shape[1])
        parts = [points[start]]
        for frame in range(start, start + length - 1):
            row = np.where(row >= 0, step[frame][row], -1)
            parts.append(np.where(row[:, None, None] >= 0, points[frame + 1][row], np.nan))
        out.append(np.stack(parts, 1))
    shape = (0, length, *points.shape[2:])
    return np.concatenate(out) if out else np.full(shape, np.nan)


def _nearest(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """Return for each of `a` the one of `b` that is nearest, both ways; -1 where none is."""
    apart = distance_between(a, b)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    there, back = apart.argmin(1), apart.argmin(0)
    rows = np.arange(len(a))
    mutual = (back[there] == rows) & (apart[rows, there] < scale)
    return np.where(mutual, there, -1)


def _spread(values: np.ndarray, keypoints: int) -> np.ndarray:
    """Return the SD of each keypoint's (n, keypoint, 2), from the median of its size."""
    size = np.abs(values).transpose(1, 0, 2).reshape(keypoints, -1)
    if not np.isfinite(size).any():
        return np.zeros(keypoints)
    pooled, count = float(np.nanmedian(size)), np.isfinite(size).sum(1)
    middle = np.array(
        [np.nanmedian(row) if n else pooled for row, n in zip(size, count, strict=True)]
    )
    # What few frames say of a keypoint is drawn to what they say of all.
    return (count * middle + POOLED * pooled) / (count + POOLED) / 0.6745


def _power(values: np.ndarray, keypoints: int) -> np.ndarray:
    """Return the mean square of each keypoint's (n, keypoint, 2), its largest twentieth cut off."""
    squared = (values**2).transpose(1, 0, 2).reshape(keypoints, -1)
    if not np.isfinite(squared).any():
        return np.zeros(keypoints)
    top = np.nanquantile(squared, 0.95)
    known = np.isfinite(squared)
    total, count = np.where(known, np.minimum(squared, top), 0.0).sum(1), known.sum(1)
    return (total + POOLED * total.sum() / count.sum()) / (count + POOLED)


def begin(points: np.ndarray, motion: Motion) -> Bodies:
    """Return bodies as first seen, whose speed is not known yet.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2); a missing keypoint stands at the middle of the body, unsure.
    """
    known = np.isfinite(points).all(-1)
    count = np.maximum(known.sum(-1), 1)[..., None, None]
    middle = np.where(known[..., None], points, 0.0).sum(-2, keepdims=True) / count
    place = np.where(known[..., None], points, middle)
    cov = np.zeros((*known.shape, 3))
    cov[..., 0] = np.where(known, motion.noise**2, motion.scale**2)
    cov[..., 2] = (SPURT * motion.scale) ** 2
    return Bodies(place, np.zeros_like(place), cov)


def predict(bodies: Bodies, motion: Motion) -> Bodies:
    """Return the bodies a frame later."""
    shared = bodies.speed.mean(-2, keepdims=True)
    speed = LASTING * shared + BENDING * (bodies.speed - shared)
    p, c, v = np.moveaxis(bodies.cov, -1, 0)
    q = motion.drive**2
    v = np.minimum(v, (SPURT * motion.scale) ** 2)
    cov = np.stack([p + 2 * c + v + q / 4, c + v + q / 2, v + q], -1)
    return Bodies(bodies.place + speed, speed, cov)


def update(bodies: Bodies, points: np.ndarray, motion: Motion) -> Bodies:
    """Return the bodies corrected by what was seen.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), NaN where missing: such a keypoint moves as the others did, and a
        body of which nothing was seen stays as predicted.
    """
    known = np.isfinite(points).all(-1)
    off = np.where(known[..., None], points - bodies.place, 0.0)
    count = np.maximum(known.sum(-1), 1)[..., None, None]
    off = np.where(known[..., None], off, off.sum(-2, keepdims=True) / count)
    p, c, v = np.moveaxis(bodies.cov * _haste(bodies, off, known, motion), -1, 0)
    total = p + motion.noise**2
    # A keypoint that jumps while the others do not is trusted less, the farther it jumps.
    doubt = 1 + (off**2).sum(-1) / (HEAVY * 4 * total)
    gain_p, gain_v = p / (total * doubt), c / (total * doubt)
    cov = np.stack([(1 - gain_p) * p, (1 - gain_p) * c, v - gain_v * c], -1)
    seen = known.any(-1)[..., None, None]
    return Bodies(
        bodies.place + np.where(seen, gain_p[..., None] * off, 0.0),
        bodies.speed + np.where(seen, gain_v[..., None] * off, 0.0),
        np.where(known[..., None], cov, bodies.cov),
    )


def _haste(bodies: Bodies, off: np.ndarray, known: np.ndarray, motion: Motion) -> np.ndarray:
    """Return by how much the whole body moved more than expected: (…, 1, 1), at least 1.

    Animals turn and start at once: where most keypoints are off, it was the prediction that erred.
    """
    share = (off**2).sum(-1) / (bodies.cov[..., 0] + motion.noise**2)
    # The median of what is known, as sorting has it: unknown ones go to the end.
    ranked = np.sort(np.where(known, share, np.inf), -1)
    count = known.sum(-1)
    at = np.maximum(np.stack([(count - 1) // 2, count // 2], -1), 0)
    middle = np.take_along_axis(ranked, at, -1).mean(-1) / (2 * np.log(2))
    middle = np.where(count > 0, middle, 1.0)
    return np.clip(middle, 1.0, MOST_HASTE)[..., None, None]


def surprise(bodies: Bodies, points: np.ndarray, motion: Motion) -> np.ndarray:
    """Return how unlikely each detection is for each body: a negative log-likelihood.

    Errors have heavy tails (Student's t, 4 degrees of freedom, in the plane). Keypoints err
    together, so that k of them count as the root of k.

    Parameters
    ----------
    bodies
        Predicted, shape (…, n, keypoint, 2).
    points
        Shape (m, keypoint, 2).

    Returns
    -------
    Shape (…, n, m); infinite where no keypoint is seen.
    """
    squared = ((bodies.place[..., :, None, :, :] - points) ** 2).sum(-1)
    total = (bodies.cov[..., 0] + motion.noise**2)[..., :, None, :]
    each = (HEAVY + 2) / 2 * np.log1p(squared / (HEAVY * total)) + np.log(total)
    known = np.isfinite(squared)
    count = known.sum(-1)
    mean = np.where(known, each, 0.0).sum(-1) / np.maximum(count, 1)
    return np.where(count > 0, mean * np.sqrt(points.shape[-2]), np.inf)
