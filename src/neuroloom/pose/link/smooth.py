"""Tracks of one camera made smooth in time, as far as tells frames that were left out best.

A path is drawn that is near the places found and bends little: penalised least squares (Whittaker
1923; Eilers 2003, Anal Chem 75, 3631-3636), which is what a Kalman smoother of constant velocity
driven by white acceleration finds. How stiff it is, is chosen for each keypoint by cross-validation
over frames; a point that leaps away gets the weight of Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL = 4.0  # degrees of freedom of Student's t
ROUNDS = 5
PAUSE = 15  # frames without a place from which on a path begins anew
FEWEST = 8  # places below which a stretch stays as it is
STIFFNESS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
EVERY = 4  # every fourth frame is left out to choose
ENOUGH = 4000  # frames from which it is chosen


def smooth_tracks(tracks: np.ndarray) -> Floats:
    """Return tracks of the plane, smooth over time.

    Parameters
    ----------
    tracks
        Shape (time, animal, keypoint, 2), px, a row for every frame; what is NaN stays so.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(300)[:, None, None, None] / 30
    >>> truth = 40 * np.concatenate([np.sin(time), np.cos(time)], -1)
    >>> found = truth + rng.normal(0, 2, truth.shape)
    >>> off, left = (np.abs(one - truth).mean() for one in (found, smooth_tracks(found)))
    >>> bool(left < 0.6 * off)
    True
    """
    out = np.array(tracks, float)
    for keypoint in range(out.shape[2]):
        paths = [out[:, animal, keypoint] for animal in range(out.shape[1])]
        stretches = [path[part] for path in paths for part in _stretches(path)]
        stiffness = _choose(stretches)
        for stretch in stretches:  # views of `out`
            stretch[:] = np.where(np.isnan(stretch), np.nan, _drawn(stretch, stiffness))
    return out


def _stretches(path: Floats) -> list[slice]:
    """Return the parts of a path (time, 2) between long pauses that have enough places."""
    there = np.flatnonzero(np.isfinite(path).all(-1))
    if not len(there):
        return []
    cuts = np.flatnonzero(np.diff(there) > PAUSE) + 1
    parts = np.split(there, cuts)
    return [slice(int(own[0]), int(own[-1]) + 1) for own in parts if len(own) >= FEWEST]


def _choose(stretches: Sequence[Floats]) -> float:
    """Return the stiffness that tells every fourth place best from the others."""
    kept: list[Floats] = []
    frames = 0
    for stretch in sorted(stretches, key=len, reverse=True):
        if frames < ENOUGH:
            kept.append(stretch[: ENOUGH - frames])
            frames += len(kept[-1])
    off = [sum(_left_out(stretch, stiffness) for stretch in kept) for stiffness in STIFFNESS]
    return STIFFNESS[int(np.argmin(off))]


def _left_out(stretch: Floats, stiffness: float) -> float:
    """Return the sum of the distances of places that were left out; a leap counts little more."""
    hidden = np.arange(len(stretch)) % EVERY == EVERY // 2
    hidden[-1] = False
    drawn = _drawn(np.where(hidden[:, None], np.nan, stretch), stiffness)
    return float(np.nansum(np.sqrt(np.linalg.norm((drawn - stretch)[hidden], axis=-1))))


def _drawn(path: Floats, stiffness: float) -> Floats:
    """Return a whole path (time, 2) that is near the places and bends little."""
    from scipy.linalg import solveh_banded

    known: NDArray[np.bool_] = np.asarray(np.isfinite(path).all(-1))
    places = np.where(known[:, None], path, 0.0)
    bands = _bending(len(path)) * stiffness
    trust = known.astype(float)
    smooth = places
    for _ in range(ROUNDS):
        whole = bands.copy()
        whole[2] += trust
        smooth = solveh_banded(whole, trust[:, None] * places)
        gap = ((smooth - places) ** 2).sum(-1)
        # The median of a chi-squared of two degrees is 2 ln 2.
        scale = max(float(np.median(gap[known])) / (2 * np.log(2)), 1e-12)
        trust = known * np.minimum((TAIL + 2) / (TAIL + gap / scale), 1.0)
    return smooth


def _bending(count: int) -> Floats:
    """Return the upper bands (3, count) of D'D, D being second differences; they can be solved."""
    bands = np.zeros((3, count))
    for offset, weight in enumerate((1.0, -2.0, 1.0)):
        bands[2, offset : count - 2 + offset] += weight**2 + 1e-9
    bands[1, 1:-1] -= 2.0
    bands[1, 2:] -= 2.0
    bands[0, 2:] = 1.0
    return bands
