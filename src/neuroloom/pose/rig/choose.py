"""How smooth tracks may be: what was not used is told by the rest, and that decides.

Each camera is told from the others, or, where there are only two, every fifth frame from those
around it. A path that was flattened misses them, one that follows every error does so too. Of the
ratios that are not shown to be worse than the best one the largest is taken: smoothing is what has
to prove itself (the rule of one standard error, Breiman et al. 1984, "Classification and Regression
Trees", 3.4.3, with two, of paired differences).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.pose.rig.lift import Seen, left_out, lift

Floats = NDArray[np.float64]

RATIOS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
LOOKED_AT = 600  # frames, from the middle of the recording
BLOCKS = 20  # of neighbouring frames, which are alike
PARTS = 5
ERRORS = 2.0  # standard errors by which a ratio is shown to be worse


def choose_smooth(seen: Seen, ratios: tuple[float, ...] = RATIOS, **how: Any) -> float:
    """Return the step variance over place variance that tells what was not used best.

    Parameters
    ----------
    seen
        Tracks; some 600 frames of them are looked at.
    ratios
        To choose from, rising.
    how
        As in `lift`, but for `smooth`.

    Returns
    -------
    One of `ratios`; the largest where too few frames are seen to tell.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera, Rig
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> pixels = rig.project(np.tile([3.0, -4.0, 200.0], (60, 1, 1)))
    >>> pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    >>> still = Seen(rig, pixels[:, None], np.ones((2, 1, 60, 1)), (("a", "nose"),), np.arange(60))
    >>> choose_smooth(still, (0.001, 10.0))
    0.001
    """
    part = middle_of(seen, LOOKED_AT)
    missed = np.stack([_by_block(gaps(part, ratio, **how)) for ratio in ratios])
    missed = missed[:, np.isfinite(missed).all(0)]
    if missed.shape[1] < 3:
        return ratios[-1]
    best = missed[missed.mean(1).argmin()]
    worse = missed - best
    error = worse.std(1, ddof=1) / np.sqrt(worse.shape[1])
    return ratios[int(np.flatnonzero(worse.mean(1) <= ERRORS * error).max())]


def middle_of(seen: Seen, most: int) -> Seen:
    """Return the middle frames of tracks, `most` of them or fewer.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera, Rig
    >>> rig = Rig((Camera("a", np.eye(3)),))
    >>> long = Seen(rig, np.zeros((1, 1, 9, 1, 2)), np.ones((1, 1, 9, 1)), (), np.arange(9))
    >>> middle_of(long, 3).frames.tolist()
    [3, 4, 5]
    """
    first = max(0, (len(seen.frames) - most) // 2)
    rows = slice(first, first + most)
    truth = None if seen.truth is None else seen.truth[rows]
    return replace(
        seen, pixels=seen.pixels[:, :, rows], confidence=seen.confidence[:, :, rows],
        frames=seen.frames[rows], truth=truth,
    )  # fmt: skip


def gaps(seen: Seen, ratio: float, **how: Any) -> Floats:
    """Return how far pixels that were not used lie from where the rest tells them, px.

    Returns
    -------
    Shape (camera, time, point); NaN where nothing tells.
    """
    if len(seen.rig) > 2:
        return left_out(seen, smooth=ratio, **how)[1]
    own, _ = seen.combined(how.get("least", 0.0))
    told = np.full_like(own, np.nan)
    for number in range(PARTS):
        hidden = np.arange(own.shape[1]) % PARTS == number
        pixels = np.where(hidden[:, None, None], np.nan, seen.pixels)
        if not np.isfinite(pixels).all(-1).any():
            continue
        # Whatever is to be bridged: what was hidden is told from around it.
        whole = lift(replace(seen, pixels=pixels), smooth=ratio, **how | {"fill": PARTS})
        places = whole.places[hidden]
        told[:, hidden] = np.stack([camera.project(places) for camera in seen.rig])
    return np.linalg.norm(told - own, axis=-1)


def _by_block(gap: Floats) -> Floats:
    """Return the mean gap of each block of neighbouring frames; NaN where there is none."""
    out = np.full(BLOCKS, np.nan)
    for number, rows in enumerate(np.array_split(np.arange(gap.shape[1]), BLOCKS)):
        own = gap[:, rows]
        if np.isfinite(own).any():
            out[number] = np.nanmean(own)
    return out
