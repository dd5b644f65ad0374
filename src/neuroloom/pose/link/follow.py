"""From unordered detections to tracklets: the best of many histories, not the best of each frame.

Where two animals cannot be told apart in a frame, both ways to go on are kept, with their costs,
until one is clearly worse or both have become the same but for the names. That is when a swap of
identities has its probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuroloom.pose.alike import distance_between, oks_between
from neuroloom.pose.link.motion import Bodies, Motion, begin, predict, surprise, update

REACH = 0.75  # of the body: how far from where it was expected an animal may be found
WIDTH = 24  # histories kept at most
FORKS = 8  # ways to go on from one history, besides the best
RECALL = 8  # frames after which two histories with the same detections are the same
CLOSE = 8.0  # negative log-odds at which another way to go on is not followed
COPY = 0.7  # object keypoint similarity from which a detection begins no track beside another
HOPELESS = 14.0  # … and at which a history is given up


class Swap(NamedTuple):
    """Two tracklets may have changed names at a frame."""

    frame: int
    one: int
    other: int
    odds: float  # negative log-odds: 0 is a toss-up


class _Node(NamedTuple):
    """A frame of a history: tracklets, and the detection that each has (-1 is none)."""

    before: _Node | None
    names: np.ndarray
    found: np.ndarray


@dataclass
class _Beam:
    """Histories, the first the best; `slots` tracks each."""

    bodies: Bodies
    active: np.ndarray  # (history, slot)
    lost: np.ndarray  # frames since seen
    names: np.ndarray  # tracklet of a slot
    recent: np.ndarray  # (history, slot, RECALL) detections
    forked: np.ndarray  # (history,) frame of the last fork
    cost: np.ndarray
    nodes: list[_Node | None]

    def take(self, rows: np.ndarray) -> _Beam:
        return _Beam(
            self.bodies.take(rows), self.active[rows], self.lost[rows], self.names[rows],
            self.recent[rows], self.forked[rows], self.cost[rows], [self.nodes[i] for i in rows],
        )  # fmt: skip


def follow(
    points: np.ndarray,
    animals: int,
    motion: Motion,
    *,
    patience: int = 15,
) -> tuple[np.ndarray, list[Swap]]:
    """Link the detections of neighbouring frames to tracklets.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px, NaN where missing; slots mean nothing.
    animals
        At most so many are followed at a time.
    motion
        As `estimate_motion` reads it.
    patience
        Frames that an animal may be unseen before its tracklet ends.

    Returns
    -------
    tracklets
        Shape (time, slot): tracklet of each detection, -1 where it has none.
    swaps
        Where two tracklets may have changed names.

    Examples
    --------
    >>> from neuroloom.pose.link.motion import estimate_motion
    >>> body = np.array([[0.0, 0.0], [20.0, 0.0]])
    >>> path = np.arange(30.0)[:, None, None, None] * [2.0, 0.0] + body
    >>> points = np.concatenate([path, path + [0.0, 90.0]], 1)
    >>> points[10] = points[10, ::-1]
    >>> follow(points, 2, estimate_motion(points))[0][9:12].tolist()
    [[0, 1], [1, 0], [0, 1]]
    """
    shown = np.isfinite(points).all(-1).any(-1)
    beam = _empty(animals, points.shape[2])
    swaps: list[Swap] = []
    fresh = 0
    for frame, now in enumerate(points):
        here = np.flatnonzero(shown[frame])
        beam.bodies = predict(beam.bodies, motion)
        costs = _costs(beam, now[here], motion)
        beam, found = _grow(beam, costs, frame)
        found = np.where(found >= 0, here[found] if len(here) else -1, -1)
        fresh = _settle(beam, found, now, here, motion, fresh, patience)
        if len(beam.cost) > 1:
            beam, more = _thin(beam)
            swaps += more
    return _trace(beam.nodes[0], points.shape[:2]), swaps


def _empty(animals: int, keypoints: int) -> _Beam:
    shape = (1, animals)
    return _Beam(
        Bodies(
            np.zeros((*shape, keypoints, 2)),
            np.zeros((*shape, keypoints, 2)),
            np.ones((*shape, keypoints, 3)),
        ),
        np.zeros(shape, bool),
        np.zeros(shape, int),
        np.full(shape, -1),
        np.full((*shape, RECALL), -1),
        np.zeros(1, int),
        np.zeros(1),
        [None],
    )


def _costs(beam: _Beam, now: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Return (history, slot, detection) costs, infinite out of reach, and those of missing."""
    cost = surprise(beam.bodies, now, motion)
    flat = beam.bodies.place.reshape(-1, *now.shape[1:])
    apart = distance_between(flat, now).reshape(cost.shape)
    reach = REACH * motion.scale * (1 + beam.lost / 2)
    near = apart <= reach[..., None]
    total = beam.bodies.cov[..., 0] + motion.noise**2
    per_keypoint = 3 * np.log1p(reach[..., None] ** 2 / (4 * total)) + np.log(total)
    missing = per_keypoint.mean(-1) * np.sqrt(now.shape[1])
    near &= beam.active[..., None]
    return np.where(near, cost, np.inf), np.where(beam.active, missing, 0.0)


def _grow(
    beam: _Beam, costs: tuple[np.ndarray, np.ndarray], frame: int
) -> tuple[_Beam, np.ndarray]:
    """Return the histories that go on from each, and the detection (or -1) of their slots."""
    rows: list[int] = []
    found: list[np.ndarray] = []
    added: list[float] = []
    forked: list[int] = []
    for row, (cost, missing) in enumerate(zip(*costs, strict=True)):
        best, price = _assign(cost, missing)
        forks = _exchanges(cost, missing, best, beam.active[row])
        for more, own in [(0.0, best), *forks]:
            rows.append(row)
            found.append(own)
            added.append(beam.cost[row] + price + more)
            forked.append(int(beam.forked[row]) if own is best and not forks else frame)
    total = np.array(added)
    order = np.argsort(total, kind="stable")
    order = order[total[order] <= total[order[0]] + HOPELESS][: 2 * WIDTH]
    grown = beam.take(np.array(rows)[order])
    grown.cost = total[order]
    grown.forked = np.array(forked)[order]
    return grown, np.stack(found)[order]


def _assign(cost: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the best detection of each slot, -1 for none, and what it costs."""
    from scipy.optimize import linear_sum_assignment

    slots, seen = cost.shape
    table = np.full((slots, seen + slots), 1e9)
    table[:, :seen] = np.where(np.isfinite(cost), cost, 1e9)
    table[np.arange(slots), seen + np.arange(slots)] = missing
    rows, columns = linear_sum_assignment(table)
    return np.where(columns < seen, columns, -1), float(table[rows, columns].sum())


def _exchanges(
    cost: np.ndarray, missing: np.ndarray, best: np.ndarray, active: np.ndarray
) -> list[tuple[float, np.ndarray]]:
    """Return what else is nearly as good: two slots with their detections exchanged."""
    wide = np.concatenate([cost, missing[:, None]], 1)
    each = wide[:, best]  # slot i with what slot j was given
    own = np.diag(each)
    more = each + each.T - own[:, None] - own
    allowed = np.triu(active[:, None] & active, 1) & (best[:, None] != best)
    pairs = np.argwhere(allowed & (more < CLOSE))
    pairs = pairs[np.argsort(more[tuple(pairs.T)], kind="stable")][:FORKS]
    out = []
    for i, j in pairs:
        other = best.copy()
        other[[i, j]] = best[[j, i]]
        out.append((float(more[i, j]), other))
    return out


def _settle(
    beam: _Beam,
    found: np.ndarray,
    now: np.ndarray,
    here: np.ndarray,
    motion: Motion,
    fresh: int,
    patience: int,
) -> int:
    """Correct the tracks by their detections, begin new ones and end lost ones, in place."""
    seen = np.where((found >= 0)[..., None, None], now[found], np.nan)
    beam.bodies = update(beam.bodies, seen, motion)
    beam.lost = np.where(found >= 0, 0, beam.lost + beam.active)
    beam.active &= beam.lost <= patience
    for row, own in enumerate(found):
        free = np.flatnonzero(~beam.active[row])
        if not len(free):
            continue
        left = _unlike(np.setdiff1d(here, own), own[own >= 0], now, motion.scale)[: len(free)]
        free = free[: len(left)]
        new = begin(now[left], motion)
        for name in ("place", "speed", "cov"):
            getattr(beam.bodies, name)[row, free] = getattr(new, name)
        beam.active[row, free], beam.lost[row, free] = True, 0
        # Histories that agree so far name a tracklet alike.
        beam.names[row, free] = fresh + np.arange(len(free))
        beam.recent[row, free] = -1
        own[free] = left
    fresh = max(fresh, int(beam.names.max()) + 1)
    beam.recent = np.concatenate([beam.recent[..., 1:], found[..., None]], -1)
    nodes = beam.nodes
    names = np.where(beam.active, beam.names, -1)
    beam.nodes = [_Node(nodes[i], names[i], found[i]) for i in range(len(nodes))]
    return fresh


def _unlike(left: np.ndarray, taken: np.ndarray, now: np.ndarray, scale: float) -> np.ndarray:
    """Return the detections that are left and no copy of one taken, nor of one before."""
    kept: list[int] = []
    for one in left:
        others = [*taken, *kept]
        if not others or oks_between(now[[one]], now[others], scale).max() < COPY:
            kept.append(int(one))
    return np.array(kept, int)


def _thin(beam: _Beam) -> tuple[_Beam, list[Swap]]:
    """Merge histories that are the same but for names; return what is left and the swaps."""
    first: dict[bytes, int] = {}
    kept: list[int] = []
    swaps: list[Swap] = []
    for row in range(len(beam.cost)):
        ways = beam.recent[row]
        order = np.lexsort(ways.T[::-1])
        key = ways[order].tobytes()
        if key not in first:
            first[key] = row
            kept.append(row)
            continue
        best = first[key]
        theirs = np.lexsort(beam.recent[best].T[::-1])
        differ = beam.names[best, theirs] != beam.names[row, order]
        names = [int(n) for n in beam.names[best, theirs][differ & beam.active[best, theirs]]]
        if len(names) >= 2:
            frame = int(max(beam.forked[row], beam.forked[best]))
            odds = float(beam.cost[row] - beam.cost[best])
            swaps.append(Swap(frame - RECALL // 2, min(names), max(names), odds))
    return beam.take(np.array(kept[:WIDTH])), swaps


def _trace(node: _Node | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return the tracklet of each detection along the best history."""
    out = np.full(shape, -1)
    frame = shape[0] - 1
    while node is not None:
        has = node.found >= 0
        out[frame, node.found[has]] = node.names[has]
        node, frame = node.before, frame - 1
    return out
