"""From tracklets to animals: which tracklets follow each other, all at once, at the least cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroloom.pose.link.appearance import Known, Whitened, know
from neuroloom.pose.link.follow import Swap

RECENT = 8  # frames at an end of a tracklet from which its velocity is read
LAGS = 48  # at most so many gaps are learnt from the tracklets; longer ones are drawn from them
FOLLOWERS = 40  # tracklets considered after each one, the soonest
DROP = 1.0  # what a detection costs that is given to no animal …
LONG = 20.0  # … and twice that in a tracklet of so many
HEAVY = 2.0  # degrees of freedom of what an animal does while it is not seen
TOO_CLOSE = 6.0  # negative log-odds of an exchange that is not worth a line

Costs = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Ends:
    """Tracklets by their ends; one row each.

    Parameters
    ----------
    first, last
        Frames.
    count
        Detections.
    place
        Shape (tracklet, 2 ends, 2): middles of the body at the first and the last frame, px.
    speed
        The same, px / frame.
    looks
        What they say of each; None where they tell no animals apart.
    """

    first: np.ndarray
    last: np.ndarray
    count: np.ndarray
    place: np.ndarray
    speed: np.ndarray
    looks: Known | None = None


def find_ends(middles: np.ndarray, tracklets: np.ndarray) -> Ends:
    """Return where and how each tracklet begins and ends.

    Parameters
    ----------
    middles
        Shape (time, slot, 2), px: of the bodies.
    tracklets
        Shape (time, slot), as `follow` gives them: 0, 1, … without gaps, -1 for none.
    """
    paths = paths_of(tracklets)
    rows = [_end_of(middles, *path) for path in paths]
    return Ends(
        np.array([frames[0] for frames, _ in paths], int),
        np.array([frames[-1] for frames, _ in paths], int),
        np.array([len(frames) for frames, _ in paths], int),
        np.array([row[0] for row in rows]).reshape(-1, 2, 2),
        np.array([row[1] for row in rows]).reshape(-1, 2, 2),
    )


def with_looks(ends: Ends, seen: Whitened | None, swaps: Sequence[Swap]) -> Ends:
    """Return the ends with what looks say of the tracklets.

    Parameters
    ----------
    seen
        Looks of the tracklets, None where they tell no animals apart.
    swaps
        Where two may have changed names.
    """
    if seen is None:
        return ends
    return replace(ends, looks=know(seen, swaps, len(ends.first)))


def paths_of(tracklets: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return the frames and slots of each tracklet (time, slot), in time."""
    frames, slots = np.nonzero(tracklets >= 0)
    names = tracklets[frames, slots]
    order = np.argsort(names, kind="stable")
    if not len(names):
        return []
    ends = np.cumsum(np.bincount(names))[:-1]
    parts = [np.split(side[order], ends) for side in (frames, slots)]
    return list(zip(*parts, strict=True))


def _end_of(
    middles: np.ndarray, frames: np.ndarray, slots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    path = middles[frames, slots]
    speed = []
    for part in (slice(0, RECENT), slice(-RECENT, None)):
        t, x = frames[part].astype(float), path[part]
        t = t - t.mean()
        power = float((t**2).sum())
        speed.append((t[:, None] * x).sum(0) / power if power else np.zeros(2))
    return path[[0, -1]], np.array(speed)


def learn_drift(
    middles: np.ndarray, tracklets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Learn from the tracklets how far an animal goes in so many frames.

    Returns
    -------
    lags
        Frames, increasing.
    carry
        How many frames of its velocity an animal goes on in that time.
    variance
        Of what is left then, px², along one axis.
    """
    paths = [(f, middles[f, s]) for f, s in paths_of(tracklets)]
    longest = max((int(f[-1] - f[0]) for f, _ in paths), default=1)
    lags = np.unique(np.geomspace(1, max(longest // 2, 2), LAGS).astype(int))
    carry, variance = [], []
    for lag in lags:
        pairs = [_lagged(f, x, int(lag)) for f, x in paths]
        speed = np.concatenate([p[0] for p in pairs])
        moved = np.concatenate([p[1] for p in pairs])
        power = float((speed**2).sum())
        slope = float((speed * moved).sum() / power) if power else 0.0
        left = moved - slope * speed
        carry.append(slope)
        variance.append(float((left**2).mean()) if len(left) else np.nan)
    known = np.isfinite(variance)
    if not known.any():
        return np.array([1, 2]), np.array([1.0, 2.0]), np.array([4.0, 16.0])
    # A gap is never surer than a shorter one.
    grown = np.maximum.accumulate(np.array(variance)[known])
    return lags[known], np.array(carry)[known], np.maximum(grown, 1.0)


def _lagged(frames: np.ndarray, path: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return velocities, and how far the path went in `lag` frames after each."""
    span = min(RECENT, max(len(frames) // 2, 1))
    if len(frames) <= span + 1:
        return np.zeros((0, 2)), np.zeros((0, 2))
    whole = np.arange(frames[0], frames[-1] + 1)
    dense = np.stack([np.interp(whole, frames, path[:, axis]) for axis in (0, 1)], -1)
    if len(dense) <= span + lag:
        return np.zeros((0, 2)), np.zeros((0, 2))
    now = dense[span:-lag]
    speed = (now - dense[: -span - lag]) / span
    return speed, dense[span + lag :] - now


def link_costs(
    ends: Ends,
    drift: tuple[np.ndarray, ...],
    area: float,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Return what it costs that one tracklet follows another, pair by pair.

    The cost is a negative log-likelihood, less that of an animal which could be anywhere.

    Parameters
    ----------
    ends
        Of the tracklets.
    drift
        As `learn_drift` gives it.
    area
        Of the arena, px².
    before, after
        Shape (pair,): the tracklet that goes before, and the one that follows it.

    Returns
    -------
    Shape (pair,), infinite where it cannot follow.
    """
    gap = ends.first[after] - ends.last[before]
    lags, carry, variance = drift
    # Beyond what was learnt the spread grows as that of a random walk, up to the whole arena.
    far = np.maximum(gap, 1)
    spread = np.interp(far, lags, variance) * np.maximum(far / lags[-1], 1.0)
    spread = np.minimum(spread, area / 12)
    going = np.interp(far, lags, carry)[:, None]
    left, found = ends.place[before, 1], ends.place[after, 0]
    there = left + going * ends.speed[before, 1]
    back = found - going * ends.speed[after, 0]
    off = (there - found) ** 2 + (back - left) ** 2
    # Student's t: an animal may have been carried off, or have run as never while it was seen.
    cost = (HEAVY + 2) / 2 * np.log1p(off.sum(-1) / (2 * HEAVY * spread))
    cost = cost + np.log(2 * np.pi * spread) - np.log(area)
    if ends.looks is not None:
        cost = cost + ends.looks.against(before, after)
    return np.where(gap > 0, cost, np.inf)


def stitch(
    ends: Ends, costs: Costs, animals: int, blind: Costs | None = None
) -> tuple[np.ndarray, list[Swap]]:
    """Put tracklets together to the paths of so many animals, at the least cost in all.

    A min-cost flow of `animals` units through the tracklets, solved as an assignment: each
    tracklet is followed by one of the soonest after it, by the end of a path, or by itself, which
    drops it. Memory grows with their number, not with its square.

    Parameters
    ----------
    ends
        Of the tracklets.
    costs
        From (pair,) tracklets before and after to what each link costs, as `link_costs` does.
    animals
        How many paths there are at most.
    blind
        The costs without looks, of which the odds of the swaps are: what looks say of these is
        weighed afterwards. Negative where looks have outweighed motion. The same if not given.

    Returns
    -------
    animal
        Shape (tracklet,): whose it is, -1 if it was dropped.
    swaps
        Pairs of links that might as well be exchanged, by the tracklets that they lead to.

    Examples
    --------
    >>> middles = np.array([[[0.0, 0], [9, 9]], [[1.0, 0], [9, 9]], [[2.0, 0], [9, 9]]])
    >>> ends = find_ends(middles, np.array([[0, 1], [-1, 1], [2, 1]]))
    >>> costs = lambda before, after: np.where(after - before == 2, 0.5, np.inf)
    >>> stitch(ends, costs, 2)[0].tolist()
    [0, 1, 0]
    """
    after = _best_followers(ends, costs, animals)
    animal = np.full(len(ends.first), -1)
    in_time = np.argsort(ends.first, kind="stable")
    paths = []
    for start in in_time[~np.isin(in_time, after)]:
        path = [start]
        while after[path[-1]] >= 0:
            path.append(after[path[-1]])
        paths.append(path)
    for name, path in enumerate(paths):
        animal[path] = name
    return animal, _exchangeable(ends, costs, blind or costs, after)


def _soonest(ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of tracklets: each one, and the soonest that begin after it has ended."""
    in_time = np.argsort(ends.first, kind="stable")
    place = np.searchsorted(ends.first[in_time], ends.last, "right")[:, None] + np.arange(FOLLOWERS)
    before, column = np.nonzero(place < len(in_time))
    return before, in_time[place[before, column]]


def _best_followers(ends: Ends, costs: Costs, animals: int) -> np.ndarray:
    """Return the tracklet after each: itself if it is dropped, -1 if its path ends."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    count = len(ends.first)
    rows, columns = _soonest(ends)
    links = costs(rows, columns)
    can = np.isfinite(links)
    price = [links[can], DROP * ends.count * (1 + ends.count / LONG)]
    every, paths = np.arange(count), count + np.arange(animals)
    pairs = [(rows[can], columns[can]), (every, every)]
    for one, other in ((every, paths), (paths, every), (paths, paths)):
        a, b = (part.ravel() for part in np.meshgrid(one, other))
        pairs.append((a, b))
        price.append(np.zeros(len(a)))
    # The matching drops zeros: all prices are raised alike, which changes no choice.
    raised = np.concatenate(price)
    raised = raised - raised.min() + 1.0
    place = tuple(np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    graph = coo_matrix((raised, place), shape=(count + animals,) * 2).tocsr()
    taken, given = min_weight_full_bipartite_matching(graph)
    after = np.full(count, -1)
    inner = (taken < count) & (given < count)
    after[taken[inner]] = given[inner]
    return after


def _exchangeable(ends: Ends, costs: Costs, blind: Costs, after: np.ndarray) -> list[Swap]:
    """Return pairs of links whose exchange costs little more, by motion or by all, and its odds."""
    links = np.flatnonzero((after >= 0) & (after != np.arange(len(after))))
    i, j = _at_once(ends, links, after[links])

    def more(price: Costs) -> np.ndarray:
        exchanged = price(i, after[j]) + price(j, after[i])
        return exchanged - price(i, after[i]) - price(j, after[j])

    whole, odds = more(costs), more(blind)
    least = 0.0 if blind is costs else -np.inf
    return [
        Swap(int(ends.first[[one, other]].min()), int(one), int(other), max(float(own), least))
        for one, other, own, all_told in zip(after[i], after[j], odds, whole, strict=True)
        if min(own, all_told) < TOO_CLOSE
    ]


def _at_once(ends: Ends, links: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of links whose gaps share a moment: others cannot be exchanged.

    As many gaps are open at a time as there are animals: such pairs are few.
    """
    order = np.argsort(ends.last[links], kind="stable")
    opened, closed = ends.last[links][order], ends.first[after][order]
    beyond = np.searchsorted(opened, closed, "left")
    each = [np.arange(place + 1, stop) for place, stop in enumerate(beyond)]
    one = links[order[np.repeat(np.arange(len(links)), [len(own) for own in each])]]
    other = links[order[np.concatenate(each)]] if each else one
    low, high = np.minimum(one, other), np.maximum(one, other)
    sorted_ = np.lexsort([high, low])
    return low[sorted_], high[sorted_]
