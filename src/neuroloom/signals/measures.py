"""The numbers that papers report of events and of sleep: pure functions of arrays.

Events are rows (onset, stop) in seconds, sorted, of shape (event, 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

WAKE, REM = "W", "R"
STAGES = ("W", "R", "N1", "N2", "N3")


def as_events(onset: ArrayLike, duration: ArrayLike) -> Floats:
    """Return sorted (onset, stop) rows of annotations.

    Examples
    --------
    >>> as_events([5, 1], [1, 2]).tolist()
    [[1.0, 3.0], [5.0, 6.0]]
    """
    onset, duration = np.asarray(onset, float).ravel(), np.asarray(duration, float).ravel()
    rows = np.column_stack([onset, onset + duration])
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def merge_events(events: ArrayLike, gap: float = 0.0) -> Floats:
    """Join events that overlap, touch, or lie no more than `gap` seconds apart.

    The union of several experts' marks is the merger of all of them.

    Examples
    --------
    >>> merge_events([[1, 2], [1.5, 3], [3.2, 4]], gap=0.1).tolist()
    [[1.0, 3.0], [3.2, 4.0]]
    """
    rows = np.asarray(events, float).reshape(-1, 2)
    if len(rows) == 0:
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    reach = np.maximum.accumulate(rows[:, 1])
    first = np.r_[True, rows[1:, 0] > reach[:-1] + gap]
    last = np.r_[np.flatnonzero(first)[1:] - 1, len(rows) - 1]
    return np.column_stack([rows[first, 0], reach[last]])


def find_events(
    above: ArrayLike,
    rate: float,
    *,
    shortest: float = 0.0,
    longest: float = np.inf,
    gap: float = 0.0,
) -> Floats:
    """Return the stretches where `above` holds: joined over gaps, then kept by their length.

    Parameters
    ----------
    above
        Shape (time,), bool.
    rate
        Hz.
    shortest, longest
        Events outside this range of seconds are dropped.
    gap
        Stretches no more than this many seconds apart are one event.

    Examples
    --------
    >>> find_events([0, 1, 1, 0, 1, 0, 0, 1], rate=1.0, gap=1.0, shortest=2.0).tolist()
    [[1.0, 5.0]]
    """
    edges = np.diff(np.r_[0, np.asarray(above, dtype=np.int8), 0])
    rows = np.column_stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)]) / rate
    rows = merge_events(rows, gap + 0.5 / rate if gap else 0.0)
    length = rows[:, 1] - rows[:, 0]
    return rows[(length >= shortest - 1e-9) & (length <= longest + 1e-9)]


def overlap(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return the intersection over union of every pair of events, shape (first, second).

    Examples
    --------
    >>> overlap([[0, 2]], [[1, 3], [4, 5]]).round(3).tolist()
    [[0.333, 0.0]]
    """
    a, b = (np.asarray(rows, float).reshape(-1, 2) for rows in (first, second))
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = shared.clip(0)
    whole = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def match_events(true: ArrayLike, found: ArrayLike, iou: float = 0.2) -> NDArray[np.int64]:
    """Pair true and found events one to one: as many pairs as possible, then the best overlap.

    A pair must have an intersection over union of `iou` or more. Taking pairs greedily can lose
    one where a long event spans two; the assignment cannot.

    Parameters
    ----------
    true, found
        Events (onset, stop), s.
    iou
        Least intersection over union, above 0.

    Returns
    -------
    Shape (pair, 2): numbers of the true and of the found event, in the order of the true ones.

    References
    ----------
    Warby et al. (2014), Nature Methods 11, 385-392: spindles judged event by event at an overlap
    of 0.2.

    Examples
    --------
    >>> match_events([[0, 1], [2, 3]], [[2.1, 3.0], [5, 6]]).tolist()
    [[1, 0]]
    """
    from scipy.optimize import linear_sum_assignment

    score = overlap(true, found)
    allowed = (score >= iou - 1e-9) & (score > 0)
    if not allowed.any():
        return np.zeros((0, 2), np.int64)
    # One more pair is worth more than any overlap that all pairs together could gain.
    worth = np.where(allowed, score + min(score.shape) + 1.0, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = allowed[rows, columns]
    return np.column_stack([rows[kept], columns[kept]]).astype(np.int64)


def event_scores(hits: float, true: float, found: float) -> dict[str, float]:
    """Return precision, recall and F1 of counts; NaN where nothing was there to be judged.

    Examples
    --------
    >>> event_scores(hits=3, true=4, found=6)
    {'f1': 0.6, 'precision': 0.5, 'recall': 0.75}
    """
    parts = {"f1": (2 * hits, true + found), "precision": (hits, found), "recall": (hits, true)}
    return {name: top / bottom if bottom else float("nan") for name, (top, bottom) in parts.items()}


def density(events: ArrayLike, seconds: float) -> float:
    """Return events per minute of `seconds` of recording; NaN of none.

    Examples
    --------
    >>> density([[1, 2], [30, 31]], seconds=60.0)
    2.0
    """
    return 60 * len(np.asarray(events)) / seconds if seconds > 0 else float("nan")


def density_by_stage(events: ArrayLike, stages: Sequence[Any], epoch: float) -> dict[str, float]:
    """Return events per minute in each stage of a hypnogram; an event counts where it begins.

    Parameters
    ----------
    events
        Shape (event, 2), s.
    stages
        One name an epoch, from 0 s on; None where unknown.
    epoch
        Length of an epoch, s.

    Examples
    --------
    >>> density_by_stage([[5, 6], [25, 26]], ["N2", "N1"], epoch=20.0)
    {'N2': 3.0, 'N1': 3.0}
    """
    names = np.asarray([name if isinstance(name, str) else "" for name in stages], dtype=object)
    onset = np.asarray(events, float).reshape(-1, 2)[:, 0]
    at = (onset // epoch).astype(int)
    at = at[(at >= 0) & (at < len(names))]
    return {
        str(name): 60 * float(np.sum(names[at] == name)) / (epoch * float(np.sum(names == name)))
        for name in dict.fromkeys(names)
        if name
    }


def sleep_statistics(stages: Sequence[str], epoch: float) -> dict[str, float]:
    """Return what a sleep report states, from a hypnogram without gaps.

    Parameters
    ----------
    stages
        One of "W", "R", "N1", "N2", "N3" an epoch, lights-off to lights-on.
    epoch
        Length of an epoch, s.

    Returns
    -------
    Minutes: time in bed, total sleep time, sleep latency (to the first epoch of sleep), wake after
    sleep onset, REM latency (from sleep onset), each stage; sleep efficiency in %. NaN where it
    never came.

    References
    ----------
    Berry et al., The AASM Manual for the Scoring of Sleep and Associated Events, section on
    parameters to be reported.

    Examples
    --------
    >>> night = sleep_statistics(["W", "N1", "N2", "W", "R", "N2"], epoch=30.0)
    >>> night["total sleep time"], night["sleep latency"], night["REM latency"]
    (2.0, 0.5, 1.5)
    """
    names, unit = np.asarray(stages, dtype=object), epoch / 60
    asleep = np.flatnonzero(names != WAKE)
    onset = int(asleep[0]) if len(asleep) else None
    rem = np.flatnonzero(names == REM)
    missing = float("nan")
    night = {
        "time in bed": len(names) * unit,
        "total sleep time": len(asleep) * unit,
        "sleep efficiency": 100 * len(asleep) / len(names) if len(names) else missing,
        "sleep latency": missing if onset is None else onset * unit,
        "wake after sleep onset": missing
        if onset is None
        else float(np.sum(names[onset:] == WAKE)) * unit,
        "REM latency": missing if len(rem) == 0 else (int(rem[0]) - (onset or 0)) * unit,
    }
    return night | {f"{name} minutes": float(np.sum(names == name)) * unit for name in STAGES}
