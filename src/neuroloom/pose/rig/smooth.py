"""Tracks in space from several cameras and networks, smooth in time (ensemble Kalman smoother).

The state of a keypoint is its place; it walks at random, and every camera's pixel is seen through
the lens with the noise that the networks' disagreement tells (Biderman et al. 2024, "Lightning
Pose"). Frames run forwards through a Kalman filter in information form, in which a missing camera
is no information, and backwards through the smoother of Rauch, Tung & Striebel; repeating this
round the path found makes it the exact least squares (Bell 1994). Gross errors get the weights of
Student's t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.triangulate import triangulate_robust

Floats = NDArray[np.float64]

TAIL = 4.0
ROUNDS = 12
CLOSE = 1e-4
LEAST_PX = 1.0


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Tracks in space.

    Attributes
    ----------
    points
        Shape (time, keypoint, 3).
    deviation
        Standard deviation of each, shape (time, keypoint, 3), by the noise that was assumed.
    trust
        How far each pixel counted, shape (camera, time, keypoint): 1 in full, 0 not at all.
    """

    points: Floats
    deviation: Floats
    trust: Floats


def combine(predictions: np.ndarray, least: float = LEAST_PX) -> tuple[Floats, Floats]:
    """Join the predictions of several networks: their median, and how far they disagree.

    Parameters
    ----------
    predictions
        Shape (network, ..., 2), px; NaN where a network has none.
    least
        A standard deviation that is never fallen below, px: networks share errors.

    Returns
    -------
    Pixels (..., 2), and their standard deviation (...), px. A single network gets `least`.

    Examples
    --------
    >>> where, off = combine(np.array([[[5.0, 5.0]], [[5.0, 7.0]], [[5.0, 90.0]]]))
    >>> where.tolist(), bool(off[0] > 0.5)
    ([[5.0, 7.0]], True)
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(predictions, axis=0)
        # 1.4826 makes the median deviation of normal numbers their standard deviation.
        off = 1.4826 * np.nanmedian(np.abs(predictions - middle), axis=0).mean(-1)
    return middle, np.sqrt(least**2 + np.nan_to_num(off) ** 2)


def smooth_tracks(
    rig: Rig,
    pixels: np.ndarray,
    deviation: np.ndarray | float = 1.0,
    ratio: float = 0.003,
    tail: float = TAIL,
    rounds: int = ROUNDS,
    tolerance: float = 10.0,
) -> Smoothed:
    """Lift tracks of several cameras into space, smooth over time.

    Parameters
    ----------
    rig
        The cameras.
    pixels
        Shape (camera, time, keypoint, 2), px; NaN where missing.
    deviation
        Standard deviation of the pixels, px: one number, or shape (camera, time, keypoint).
    ratio
        Variance of a step from frame to frame as a share of the variance of one frame's place:
        small is smooth; 0.003 averages over some twenty frames.
    tail
        Degrees of freedom of Student's t; infinite trusts every pixel.
    rounds
        How often the path is improved, at most.
    tolerance
        Distance within which views agree on the path that is begun with, px.

    Raises
    ------
    ConfigError
        If the shapes do not fit or nothing can be triangulated.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> seen = rig.project(np.tile([3.0, -4.0, 200.0], (30, 1, 1)))
    >>> seen[:, 10] = np.nan
    >>> smooth_tracks(rig, seen).points[10].round(3).tolist()
    [[3.0, -4.0, 200.0]]
    """
    rig.expect(pixels)
    if np.ndim(pixels) != 4:
        raise ConfigError(f"Expected tracks (camera, time, keypoint, 2), got {np.shape(pixels)}.")
    pixels = np.asarray(pixels, float)
    there: NDArray[np.bool_] = np.asarray(np.isfinite(rig.undistort(pixels)).all(-1))
    noise = np.broadcast_to(np.asarray(deviation, float), there.shape)
    base = np.where(there, 1 / np.maximum(noise, 1e-6) ** 2, 0.0)
    path = _start(rig, pixels, base, tolerance)
    there = there & np.isfinite(path).all((0, 2))
    base = np.where(there, base, 0.0)
    step = ratio * _spread(rig, path, base)
    trust = _trust(rig, path, pixels, base, there, tail)
    for _ in range(rounds):
        moved, variance = _smooth(*_information(rig, path, pixels, base * trust, there), step)
        change = np.linalg.norm(moved - path, axis=-1) / np.sqrt(step)
        path = moved
        trust = _trust(rig, path, pixels, base, there, tail)
        if np.nanmax(change, initial=0) < CLOSE:
            break
    return Smoothed(path, np.sqrt(variance), trust * there)


def _start(rig: Rig, pixels: Floats, base: Floats, tolerance: float) -> Floats:
    """Return a whole path: triangulated where two cameras see, bridged between.

    A keypoint that is nowhere placed so is NaN.
    """
    found, _ = triangulate_robust(rig, pixels, base, tolerance)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(found).all(-1))
    if not known.any():
        raise ConfigError("No keypoint is seen by two cameras at once: nothing can be lifted.")
    frames = np.arange(len(found))
    for keypoint in np.flatnonzero(known.any(0)):
        own = known[:, keypoint]
        for axis in range(3):
            column = found[:, keypoint, axis]
            found[:, keypoint, axis] = np.interp(frames, frames[own], column[own])
    return found


def _spread(rig: Rig, path: Floats, base: Floats) -> Floats:
    """Return the variance of each keypoint's place from one typical frame, shape (keypoint,)."""
    total = sum(
        np.einsum("tk,tkij,tkil->tkjl", own, slope, slope)
        for camera, own in zip(rig, base, strict=True)
        for slope in [np.nan_to_num(camera.slope(path))]
    )
    whole = (base > 0).sum(0) >= 2
    out = np.full(path.shape[1], np.nan)
    for keypoint in range(path.shape[1]):
        rows = total[whole[:, keypoint], keypoint]  # type: ignore[index]
        if len(rows):
            out[keypoint] = np.median(np.einsum("nii->n", np.linalg.inv(rows)) / 3)
    return np.where(np.isfinite(out), out, np.nanmedian(out))


def _trust(
    rig: Rig, path: Floats, pixels: Floats, base: Floats, there: NDArray[np.bool_], tail: float
) -> Floats:
    """Return the weights of Student's t, with the scale that each camera's own gaps have."""
    if not np.isfinite(tail):
        return np.ones_like(base)
    out = np.ones_like(base)
    for number, (camera, own) in enumerate(zip(rig, pixels, strict=True)):
        gap = ((camera.project(path) - own) ** 2).sum(-1) * base[number]
        gap = np.where(there[number] & np.isfinite(gap), gap, np.nan)
        # The median of a chi-squared of two degrees is 2 ln 2.
        gap[:, ~np.isfinite(gap).any(0)] = 0.0  # keypoints that this camera never sees
        scale = np.nanmedian(gap, axis=0) / (2 * np.log(2))
        out[number] = (tail + 2) / (tail + np.nan_to_num(gap / np.maximum(scale, 1.0)))
    return np.minimum(out, 1.0)


def _information(
    rig: Rig, path: Floats, pixels: Floats, weight: Floats, there: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return what the cameras tell of each place: matrix (time, keypoint, 3, 3) and vector."""
    matrix = np.zeros((*path.shape, 3))
    vector = np.zeros(path.shape)
    for camera, own, w, known in zip(rig, pixels, weight, there, strict=True):
        slope, gap = camera.slope(path), own - camera.project(path)
        known = known & np.isfinite(gap).all(-1) & np.isfinite(slope).all((-1, -2))
        slope = np.where(known[..., None, None], slope, 0)
        gap = np.where(known[..., None], gap, 0) + np.einsum("tkij,tkj->tki", slope, path)
        matrix += np.einsum("tk,tkij,tkil->tkjl", w, slope, slope)
        vector += np.einsum("tk,tkij,tki->tkj", w, slope, gap)
    return matrix, vector


def _smooth(matrix: Floats, vector: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Run the filter forwards and the smoother backwards; return places and variances."""
    n, keypoints = vector.shape[:2]
    walk = step[:, None, None] * np.eye(3)
    places, covers = np.zeros((n, keypoints, 3)), np.zeros((n, keypoints, 3, 3))
    # Before the first frame anything within a million steps is as likely.
    expected = np.broadcast_to(1e6 * walk, (keypoints, 3, 3))
    place = np.linalg.solve(matrix.sum(0) + 1e-12 * np.eye(3), vector.sum(0)[..., None])[..., 0]
    for t in range(n):
        before = np.linalg.inv(expected)
        cover = np.linalg.inv(before + matrix[t])
        told = np.einsum("kij,kj->ki", before, place) + vector[t]
        place = np.einsum("kij,kj->ki", cover, told)
        places[t], covers[t] = place, cover
        expected = cover + walk
    for t in range(n - 2, -1, -1):
        gain = covers[t] @ np.linalg.inv(covers[t] + walk)
        places[t] += np.einsum("kij,kj->ki", gain, places[t + 1] - places[t])
        ahead = covers[t + 1] - covers[t] - walk
        covers[t] = covers[t] + gain @ ahead @ gain.transpose(0, 2, 1)
    return places, np.einsum("tkii->tki", covers)
