"""Detections without names in, animals with names out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.pose.alike import body_centres, body_scale, suppress
from neuroloom.pose.link.appearance import see, whiten
from neuroloom.pose.link.follow import Swap, follow
from neuroloom.pose.link.meetings import Event, meetings, settle, with_meetings
from neuroloom.pose.link.motion import estimate_motion
from neuroloom.pose.link.stitch import (
    TOO_CLOSE,
    find_ends,
    learn_drift,
    link_costs,
    stitch,
    with_looks,
)

if TYPE_CHECKING:
    import pandas as pd

OFTEN = 0.1  # of the frames in which so many animals must be seen at once
FRAMES_COUNTED = 2000
PATIENCE = 15
SHORT = 3  # tracklets of fewer detections are ghosts, unless they are needed


@dataclass(frozen=True)
class Linked:
    """Who is who.

    Parameters
    ----------
    identity
        Shape (time, slot): animal of each detection, -1 where it is none.
    animals
        How many there are.
    swaps
        Columns frame, one, other, p_swap, kind ("crossing", "gap"): where two animals may have
        changed names, the likeliest first.
    """

    identity: np.ndarray
    animals: int
    swaps: pd.DataFrame


def count_animals(points: np.ndarray) -> int:
    """Return how many animals there are: the most seen at once in a tenth of the frames.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px, NaN where missing; none twice.

    Examples
    --------
    >>> points = np.zeros((50, 3, 2, 2))
    >>> points[:48, 2] = np.nan
    >>> count_animals(points)
    2
    """
    seen = np.isfinite(points).all(-1).any(-1).sum(1)
    if not seen.any():
        raise DataError("No animal was found in any frame, so that there is nothing to track.")
    share = (seen[seen > 0][:, None] >= np.arange(1, seen.max() + 1)).mean(0)
    return int(np.flatnonzero(share >= OFTEN)[-1]) + 1


def drop_copies(
    points: np.ndarray, scores: np.ndarray, limit: float = 0.7, most: int | None = None
) -> np.ndarray:
    """Return the detections without those that are another one once more.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2).
    scores
        Shape (time, slot): the better of two stays.
    limit
        Similarity (OKS) from which two are one.
    most
        Only frames with more detections are changed: animals that meet look like copies.
    """
    scale = body_scale(points)
    out = points.copy()
    seen = np.isfinite(points).all(-1).any(-1)
    for frame in np.flatnonzero(seen.sum(1) > (most or 1)):
        kept = suppress(points[frame], scores[frame], scale, limit)
        out[frame, np.setdiff1d(np.arange(points.shape[1]), kept)] = np.nan
    return out


def drop_doubtful(points: np.ndarray, confidence: np.ndarray, share: float) -> np.ndarray:
    """Return the detections without those that a net itself hardly believes.

    Where animals lie on each other a net goes on to name as many as it was asked for; what it says
    of the hidden one draws names away. An animal that is not seen for a while is bridged; one that
    is seen where it is not is followed.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px.
    confidence
        Shape (time, slot, keypoint).
    share
        Of the usual (median) confidence of a body, below which it counts as not seen.

    Examples
    --------
    >>> points = np.zeros((3, 2, 1, 2))
    >>> sure = np.array([[0.9, 0.9], [0.9, 0.2], [0.9, 0.8]])[..., None]
    >>> np.isfinite(drop_doubtful(points, sure, 0.65))[..., 0, 0].tolist()
    [[True, True], [True, False], [True, True]]
    """
    seen = np.isfinite(points).all(-1)
    body = np.where(seen, confidence, 0.0).sum(-1) / np.maximum(seen.sum(-1), 1)
    there = seen.any(-1)
    if not there.any():
        return points
    doubtful = there & (body < share * np.median(body[there]))
    return np.where(doubtful[..., None, None], np.nan, points)


def link(
    points: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    animals: int | None = None,
    patience: int = PATIENCE,
    looks: np.ndarray | None = None,
) -> Linked:
    """Give each detection the name of its animal.

    Neighbouring frames are linked to tracklets, keeping several histories where animals meet;
    tracklets are stitched over gaps, all at once, to the paths of the animals; and where looks say
    clearly that two left a meeting the other way round, their names are exchanged.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px, NaN where missing. The order of slots means nothing.
    scores
        Shape (time, slot); of detections that are copies of each other the best stays.
    animals
        How many there are; counted if not given.
    patience
        Frames that an animal may be unseen before its tracklet ends and must be stitched.
    looks
        Shape (time, slot, feature): what may set animals apart, such as proportions or colour.

    Raises
    ------
    DataError
        If there is nothing to track, or the shapes do not fit.

    Examples
    --------
    >>> body = np.array([[0.0, 0.0], [20.0, 0.0]])
    >>> path = np.arange(30.0)[:, None, None, None] * [2.0, 0.0] + body
    >>> points = np.concatenate([path, path + [0.0, 90.0]], 1)
    >>> points[10] = points[10, ::-1]
    >>> link(points).identity[9:12].tolist()
    [[0, 1], [1, 0], [0, 1]]
    """
    if points.ndim != 4 or points.shape[-1] != 2:
        raise DataError(
            f"Expected points of shape (time, slot, keypoint, 2), got {points.shape}; tracks in "
            "3-D are linked before they are lifted."
        )
    scores = np.isfinite(points).all(-1).sum(-1).astype(float) if scores is None else scores
    if animals is None:
        some = slice(None, None, max(len(points) // FRAMES_COUNTED, 1))
        animals = count_animals(drop_copies(points[some], scores[some]))
    motion = estimate_motion(points)
    raw, swaps = follow(points, animals, motion, patience=patience)
    middles = body_centres(points)
    tracklets, swaps = _tidy(raw, swaps)
    if looks is not None:  # of one animal nothing is to be told apart
        looks = _looks_alone(looks, middles, motion.scale) if animals > 1 else None
    ends = find_ends(middles, tracklets)
    drift, arena = learn_drift(middles, tracklets), _arena(middles, motion.scale)
    costs = blind = partial(link_costs, ends, drift, arena)
    if looks is not None:
        seen = whiten(see(looks, tracklets, swaps), swaps)
        costs = partial(link_costs, with_looks(ends, seen, swaps), drift, arena)
    animal, gaps = stitch(ends, costs, animals, blind)
    animal = _in_order(animal)
    identity = np.where(tracklets >= 0, animal[tracklets], -1)
    events = _events({"crossing": swaps, "gap": gaps}, animal)
    if looks is not None:
        met = meetings(middles, identity, animals, motion.scale, patience)
        events = with_meetings(events, met, patience)
        identity, events = settle(identity, events, see(looks, identity, events))
    return Linked(identity, animals, _swap_table(events))


def link_nearest(points: np.ndarray, animals: int) -> np.ndarray:
    """Return identities by the plainest way: each animal to the nearest detection, in all.

    The baseline beside `link`: no motion, no second thought.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px.

    Returns
    -------
    Shape (time, slot), -1 for none.

    Examples
    --------
    >>> link_nearest(np.array([[0.0, 9.0], [8.0, 1.0]]).reshape(2, 2, 1, 1) * np.ones(2), 2)
    array([[0, 1],
           [1, 0]])
    """
    from scipy.optimize import linear_sum_assignment

    middles, out = body_centres(points), np.full(points.shape[:2], -1)
    last = np.full((animals, 2), np.nan)
    for frame, now in enumerate(middles):
        here = np.flatnonzero(np.isfinite(now[:, 0]))
        apart = np.nan_to_num(np.linalg.norm(last[:, None] - now[here], axis=-1), nan=1e4)
        rows, columns = linear_sum_assignment(apart)
        out[frame, here[columns]] = rows
        last[rows] = now[here[columns]]
    return out


def _looks_alone(
    looks: np.ndarray, middles: np.ndarray, scale: float, block: int = 2000
) -> np.ndarray:
    """Return looks (time, slot, feature), NaN where another body is nearer than its size."""
    out = looks.copy()
    for first in range(0, len(middles), block):
        here = middles[first : first + block]
        apart = np.linalg.norm(here[:, :, None] - here[:, None], axis=-1)
        apart[:, *np.diag_indices(apart.shape[1])] = np.inf
        near = np.nan_to_num(apart, nan=np.inf).min(-1) <= scale
        out[first : first + block][near] = np.nan
    return out


def _tidy(raw: np.ndarray, swaps: list[Swap]) -> tuple[np.ndarray, list[Swap]]:
    """Return tracklets numbered without gaps, short ones left out, and the swaps of the others."""
    count = np.bincount(raw[raw >= 0], minlength=int(raw.max(initial=0)) + 1)
    long = count >= min(SHORT, count.max(initial=1))
    number = np.where(long, np.cumsum(long) - 1, -1)
    kept = [
        swap._replace(one=int(number[swap.one]), other=int(number[swap.other]))
        for swap in swaps
        if max(swap.one, swap.other) < len(number) and long[swap.one] and long[swap.other]
    ]
    return np.where(raw >= 0, number[raw], -1), kept


def _arena(middles: np.ndarray, scale: float) -> float:
    known = middles[np.isfinite(middles).all(-1)]
    sides = np.ptp(known, axis=0) + scale
    return float(sides.prod())


def _in_order(animal: np.ndarray) -> np.ndarray:
    """Return animals numbered by when they were first seen; tracklets are in that order."""
    names = {old: new for new, old in enumerate(dict.fromkeys(animal[animal >= 0].tolist()))}
    return np.array([names.get(int(a), -1) for a in animal], int)


def _events(swaps: dict[str, list[Swap]], animal: np.ndarray) -> list[Event]:
    """Return the swaps between different animals in time, the likeliest of each meeting."""
    best: dict[tuple[str, int, int, int], Event] = {}
    for kind, rows in swaps.items():
        for frame, a, b, odds in rows:
            one, other = sorted((int(animal[a]), int(animal[b])))
            if one < 0 or one == other:
                continue
            key = (kind, one, other, frame // (2 * PATIENCE))
            if key not in best or odds < best[key].odds:
                best[key] = Event(max(frame, 0), one, other, odds, kind)
    return sorted(best.values())


def _swap_table(events: list[Event]) -> pd.DataFrame:
    """Return the events at which a swap is thinkable, the likeliest first."""
    import pandas as pd

    rows = [
        (event.frame, event.one, event.other, 1 / (1 + np.exp(min(event.odds, 500.0))), event.kind)
        for event in events
        if event.odds < TOO_CLOSE
    ]
    table = pd.DataFrame(rows, columns=["frame", "one", "other", "p_swap", "kind"])
    return table.sort_values(["p_swap", "frame"], ascending=[False, True], ignore_index=True)


def arrange(values: np.ndarray, identity: np.ndarray, animals: int) -> np.ndarray:
    """Return values of detections as those of animals, NaN where an animal was not found.

    Parameters
    ----------
    values
        Shape (time, slot, …).
    identity
        Shape (time, slot).

    Returns
    -------
    Shape (time, animal, …).

    Examples
    --------
    >>> arrange(np.array([[7.0, 8.0]]), np.array([[1, -1]]), 2)
    array([[nan,  7.]])
    """
    out = np.full((len(values), animals, *values.shape[2:]), np.nan)
    frames, slots = np.nonzero(identity >= 0)
    out[frames, identity[frames, slots]] = values[frames, slots]
    return out


def fill_gaps(points: np.ndarray, longest: int) -> np.ndarray:
    """Return tracks whose short gaps are filled in a straight line, keypoint by keypoint.

    Parameters
    ----------
    points
        Shape (time, animal, keypoint, 2), NaN where missing.
    longest
        Frames; longer gaps stay, and so do those at the ends.

    Examples
    --------
    >>> path = np.array([0.0, np.nan, 2.0, np.nan, np.nan, 5.0]).reshape(6, 1, 1, 1) * np.ones(2)
    >>> fill_gaps(path, 1)[:, 0, 0, 0]
    array([ 0.,  1.,  2., nan, nan,  5.])
    """
    out = points.copy()
    frames = np.arange(len(points))
    flat = out.reshape(len(out), -1, 2)
    for column in range(flat.shape[1]):
        known = np.flatnonzero(np.isfinite(flat[:, column]).all(-1))
        if len(known) < 2:
            continue
        gap = np.diff(known)
        short = np.flatnonzero((gap > 1) & (gap <= longest + 1))
        if not len(short):
            continue
        at = np.concatenate([frames[known[i] + 1 : known[i + 1]] for i in short])
        for axis in (0, 1):
            flat[at, column, axis] = np.interp(at, known, flat[known, column, axis])
    return out
