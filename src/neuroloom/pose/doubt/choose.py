"""Which frames of a video to label next: those that are in doubt, and unlike each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.pose.doubt.signs import shrink

if TYPE_CHECKING:
    from neuroloom.io.video import Video

BLOCK = 64
COMPONENTS = 30
ROUNDS = 30


def small_frames(video: Video, numbers: np.ndarray) -> np.ndarray:
    """Return small grey pictures (frame, y, x) of some frames of a video, read end to end.

    Memory holds the small pictures and a few blocks of frames, however long the video is.

    Parameters
    ----------
    video
        Opened.
    numbers
        Frames, increasing.
    """
    from neuroloom.io.video import frames_at_once

    parts = []
    wanted = np.asarray(numbers, int)
    size, span = frames_at_once(video.shape, BLOCK), (int(wanted[0]), int(wanted[-1]) + 1)
    for first, block in video.blocks(size, *span):
        inside = wanted[(wanted >= first) & (wanted < first + len(block))] - first
        if len(inside):
            parts.append(shrink(block[inside]))
    return np.concatenate(parts)


def features_of(small: np.ndarray, components: int = COMPONENTS) -> np.ndarray:
    """Return what sets frames apart (frame, component): their largest principal components.

    Parameters
    ----------
    small
        Shape (frame, …).

    Examples
    --------
    >>> features_of(np.random.default_rng(0).normal(size=(20, 6, 8)), 3).shape
    (20, 3)
    """
    flat = small.reshape(len(small), -1).astype(float)
    flat = flat - flat.mean(0)
    u, s, _ = np.linalg.svd(flat, full_matrices=False)
    return u[:, :components] * s[:components]


def rank_doubts(
    doubts: Mapping[str, np.ndarray], weights: Mapping[str, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each frame is in doubt, 0 to 1, and which reason weighs most.

    Reasons have units of their own; each counts by its rank among all frames, raised so that only
    the upper end counts. What no frame has is no reason.

    Parameters
    ----------
    doubts
        Reason -> (frame,) values, larger is worse.
    weights
        Of the reasons; 1 each if not given.

    Returns
    -------
    doubt
        Shape (frame,).
    reason
        Shape (frame,), index into `doubts`.

    Examples
    --------
    >>> doubt, reason = rank_doubts({"jump": np.array([0.0, 0.1, 9.0]), "length": np.zeros(3)})
    >>> int(doubt.argmax()), int(reason[2])
    (2, 0)
    """
    from scipy.stats import rankdata

    parts = []
    for name, values in doubts.items():
        weight = 1.0 if weights is None else weights.get(name, 1.0)
        share = (rankdata(values, method="min") - 1) / max(len(values) - 1, 1)
        parts.append(weight * share**4)
    table = np.stack(parts)
    total = table.sum(0)
    return total / max(float(total.max()), 1e-9), table.argmax(0)


def choose_frames(
    features: np.ndarray,
    doubt: np.ndarray,
    count: int,
    rng: np.random.Generator,
    *,
    numbers: np.ndarray | None = None,
    apart: int = 1,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Choose frames that are in doubt and unlike each other.

    Frames are put into `count` clusters by k-means, in which those in doubt weigh more; of each
    cluster the frame is taken that is most in doubt, or the most usual where none is.

    Parameters
    ----------
    features
        Shape (frame, feature).
    doubt
        Shape (frame,), 0 to 1.
    count
        How many to choose.
    rng
        Of the first centres.
    numbers
        Shape (frame,): of each frame in its video.
    apart
        Two chosen frames are at least so many frames from each other, while that is possible.
    known
        Shape (n, feature): frames that are labelled already; what is like them weighs less.

    Returns
    -------
    Indices, sorted.

    Examples
    --------
    >>> features = np.repeat([[0.0], [10.0], [20.0]], 5, 0)
    >>> doubt = np.zeros(15)
    >>> doubt[[3, 8]] = 1
    >>> choose_frames(features, doubt, 3, np.random.default_rng(0))[:2].tolist()
    [3, 8]
    """
    numbers = np.arange(len(features)) if numbers is None else numbers
    count = min(count, len(features))
    weight = 0.1 + doubt
    if known is not None and len(known):
        gap = _squared(features, known).min(1)
        weight = weight * gap / (gap + np.median(gap) + 1e-12)
    centres = _seeds(features, weight, count, rng)
    for _ in range(ROUNDS):
        own = _squared(features, centres).argmin(1)
        total = np.bincount(own, weight, count)
        moved = np.stack([np.bincount(own, weight * f, count) for f in features.T], 1)
        centres = np.where(total[:, None] > 0, moved / np.maximum(total, 1e-12)[:, None], centres)
    far = _squared(features, centres)
    own = far.argmin(1)
    usual = np.exp(-far[np.arange(len(far)), own] / (far.min(1).mean() + 1e-12))
    worth = weight * (0.5 + 0.5 * usual)
    return _spaced(own, worth, numbers, count, apart)


def _spaced(
    own: np.ndarray, worth: np.ndarray, numbers: np.ndarray, count: int, apart: int
) -> np.ndarray:
    """Take the best frame of each cluster, then the best of all, none too near another in time."""
    chosen: list[int] = []
    order = np.argsort(-worth, kind="stable")
    taken: set[int] = set()
    for limit in (apart, 1):
        for once in (True, False):
            for i in order:
                if len(chosen) == count:
                    return np.sort(chosen)
                near = any(abs(int(numbers[i]) - int(numbers[j])) < limit for j in chosen)
                if not near and not (once and int(own[i]) in taken):
                    chosen.append(int(i))
                    taken.add(int(own[i]))
    return np.sort(chosen)


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances (n, m)."""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)


def _seeds(
    features: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return first centres far from each other (Arthur & Vassilvitskii 2007, k-means++)."""
    chosen = [int(rng.choice(len(features), p=weight / weight.sum()))]
    gap = _squared(features, features[chosen]).min(1)
    while len(chosen) < count:
        odds = weight * gap
        if not odds.sum() > 0:
            odds = np.ones(len(features))
        chosen.append(int(rng.choice(len(features), p=odds / odds.sum())))
        gap = np.minimum(gap, _squared(features, features[chosen[-1:]])[:, 0])
    return features[chosen]


def coverage(features: np.ndarray, chosen: np.ndarray) -> float:
    """Return how well the chosen frames stand for all: 1 if each frame has its like among them.

    One less the mean distance of a frame to the nearest chosen one, over that to the mean of all.

    Examples
    --------
    >>> features = np.array([[0.0], [0.0], [10.0], [10.0]])
    >>> coverage(features, np.array([0, 2])), coverage(features, np.array([0]))
    (1.0, 0.0)
    """
    nearest = np.sqrt(_squared(features, features[chosen]).min(1)).mean()
    spread = np.sqrt(_squared(features, features.mean(0, keepdims=True))[:, 0]).mean()
    return float(1 - nearest / max(spread, 1e-12))
