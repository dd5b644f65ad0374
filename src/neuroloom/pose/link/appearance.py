"""Which animal went on as which where motion leaves it open: by what each looks like.

Looks are means over short stretches of a track. How much they change inside a track and how much
they differ between animals is learnt from the video itself: where animals are alike, or each
changes as much as they differ, looks count for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from neuroloom.pose.link.follow import Swap

STRETCH = 10  # frames of which looks are averaged
FEWEST = 4  # detections in a stretch that counts
DIRECTIONS = 4  # in which animals are compared at most
PRIOR = 2.0  # stretches for which all animals stand in the spread inside a track
ENOUGH = 6  # stretches from which on looks are compared
CLEAR = 0.1  # variance between animals, over that inside a track, that is looked at
HELD = 1.0  # stretches between two meetings that count at most: looks last, and so do errors
UNSEEN = 9.0  # negative log-odds of a swap at a meeting where motion saw one way only ...
HIDDEN = 5.0  # ... though one of the two was not seen
FRAMES_HIDDEN = 3  # for so long at least
STRONGEST = 12.0  # negative log-odds that looks outweigh at most
PAIRED = 200  # stretches of a run, at most, of which pairs tell how much looks change
ON_END = 3  # events of a pair up to which names are tried the other way round


class Event(NamedTuple):
    """Two animals may have changed names at a frame."""

    frame: int
    one: int
    other: int
    odds: float  # negative log-odds: 0 is a toss-up
    kind: str  # "crossing" or "gap"


@dataclass(frozen=True)
class Stretches:
    """Looks of short stretches of tracks, as measured; one row each, in time.

    Parameters
    ----------
    frame, track
        Shape (stretch,): its middle, and whose it is.
    looks
        Shape (stretch, feature).
    """

    frame: np.ndarray
    track: np.ndarray
    looks: np.ndarray


@dataclass(frozen=True)
class Whitened(Stretches):
    """Looks in units of the spread inside a track.

    Parameters
    ----------
    between
        Shape (feature,): variance between animals.
    """

    between: np.ndarray


@dataclass(frozen=True)
class Known:
    """What looks say of whole tracks.

    Parameters
    ----------
    count
        Shape (track,): stretches.
    total
        Shape (track, feature): their sum.
    between
        Shape (feature,): variance between animals.
    """

    count: np.ndarray
    total: np.ndarray
    between: np.ndarray

    def against(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return what looks say against two tracks being one animal, shape (pair,).

        A negative log-likelihood less that of two animals, at most `STRONGEST` either way.
        """
        own = unlikely(self.count, self.total, self.between)
        count, total = self.count[one] + self.count[other], self.total[one] + self.total[other]
        both = unlikely(count, total, self.between)
        return np.clip(both - own[one] - own[other], -STRONGEST, STRONGEST)


def see(looks: np.ndarray, tracks: np.ndarray, swaps: Sequence[Swap | Event]) -> Stretches:
    """Return stretches of the tracks with their looks.

    Parameters
    ----------
    looks
        Shape (time, slot, feature), NaN where unknown.
    tracks
        Shape (time, slot), -1 for none.
    swaps
        Where two tracks may have changed names: no stretch spans one.
    """
    kept = _rows(tracks, (tracks >= 0) & np.isfinite(looks).any(-1), swaps)
    frame = np.array([own[:, 0].mean() for own in kept.values()])
    track = np.array([name for name, *_ in kept], int)
    values = [_middle_of(looks[own[:, 0], own[:, 1]]) for own in kept.values()]
    order = np.argsort(frame, kind="stable")
    whole = np.array(values).reshape(len(kept), looks.shape[-1])
    return Stretches(frame[order], track[order], whole[order])


def _cuts(swaps: Sequence[Swap | Event]) -> dict[int, np.ndarray]:
    """Return the frames, in time, at which each track may have changed names."""
    out = defaultdict(list)
    for swap in swaps:
        out[swap.one].append(swap.frame)
        out[swap.other].append(swap.frame)
    return {name: np.sort(frames) for name, frames in out.items()}


def _rows(
    tracks: np.ndarray, usable: np.ndarray, swaps: Sequence[Swap | Event]
) -> dict[tuple[int, int, int], np.ndarray]:
    """Return the frames and slots of each stretch by its track, and its place among the swaps."""
    cuts, never = _cuts(swaps), np.zeros(0)
    out = defaultdict(list)
    frames, slots = np.nonzero(usable)
    names = tracks[frames, slots]
    order = np.argsort(names, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(names[order])) + 1) if len(order) else ():
        name = int(names[own[0]])
        after = np.searchsorted(cuts.get(name, never), frames[own], "right")
        for row, run in zip(own.tolist(), after.tolist(), strict=True):
            out[name, run, int(frames[row]) // STRETCH].append((frames[row], slots[row]))
    return {key: np.array(own) for key, own in out.items() if len(own) >= FEWEST}


def _middle_of(values: np.ndarray) -> np.ndarray:
    """Return the median of each feature, NaN where it was never seen."""
    count = np.isfinite(values).sum(0)
    ranked = np.sort(values, 0)  # what is unknown goes to the end
    at = np.maximum(np.stack([(count - 1) // 2, count // 2]), 0)
    return np.take_along_axis(ranked, np.minimum(at, len(values) - 1), 0).mean(0)


def whiten(seen: Stretches, swaps: Sequence[Swap | Event]) -> Whitened | None:
    """Return looks over their spread inside a track, None where they tell no animals apart.

    The spread is that of stretches of a track which lie at least half as far apart as the swaps
    leave them: what comes and goes slowly tells no animals apart.

    Parameters
    ----------
    seen
        As measured.
    swaps
        From where on a track may be of another animal.

    Examples
    --------
    >>> looks = np.tile([1.0, 5.0], 16) + np.sin(np.arange(32.0) ** 2)
    >>> both = Stretches(np.repeat(np.arange(16.0), 2), np.tile([0, 1], 16), looks[:, None])
    >>> bool(whiten(both, []).between[0] > 2)
    True
    """
    values = np.nan_to_num(seen.looks - _middle_of(seen.looks)) if len(seen.looks) else seen.looks
    values = values[:, values.std(0) > 0] if len(values) >= ENOUGH else values[:, :0]
    values = values / values.std(0)  # grey levels beside logarithms of lengths
    if not values.shape[1]:
        return None
    total = np.cov(values.T).reshape(values.shape[1], -1)
    inside, free = PRIOR * total, PRIOR
    for whole in _runs(seen.frame, seen.track, swaps):
        own = whole[:: -(-len(whole) // PAIRED)]
        lag = np.abs(seen.frame[own, None] - seen.frame[own])
        one, other = np.nonzero(np.triu(lag >= max(lag.max() / 2, 1)))
        if len(one):
            apart = values[own[one]] - values[own[other]]
            inside = inside + (len(own) - 1) * (apart.T @ apart) / (2 * len(one))
            free += len(own) - 1
    inside = inside / free + 1e-6 * np.trace(total) / len(total) * np.eye(len(total))
    root = np.linalg.inv(np.linalg.cholesky(inside))
    power, axes = np.linalg.eigh(root @ total @ root.T)
    best = np.argsort(-power)[:DIRECTIONS]
    best = best[power[best] - 1 > CLEAR]
    if not len(best):
        return None
    looks = values @ root.T @ axes[:, best]
    return Whitened(seen.frame, seen.track, looks, power[best] - 1)


def _runs(
    frame: np.ndarray, track: np.ndarray, swaps: Sequence[Swap | Event]
) -> Iterator[np.ndarray]:
    """Yield the rows of each track between two of its swaps, in time."""
    cuts, never = _cuts(swaps), np.zeros(0)
    order = np.argsort(track, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(track[order])) + 1) if len(order) else ():
        place = np.searchsorted(cuts.get(int(track[own[0]]), never), frame[own], "right")
        yield from np.split(own, np.flatnonzero(np.diff(place)) + 1)


def unlikely(count: np.ndarray, total: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Return how unlikely looks are of one animal: a negative log-likelihood.

    The mean of an animal is drawn from N(0, between), its stretches from N(mean, 1). What does not
    depend on who is who is left out.

    Parameters
    ----------
    count
        Shape (…,): stretches.
    total
        Shape (…, direction): their sum.
    between
        Shape (direction,).
    """
    more = 1 + between * count[..., None]
    return 0.5 * (np.log(more) - between * total**2 / more).sum(-1)


def _weights(seen: Stretches, swaps: Sequence[Swap | Event]) -> np.ndarray:
    """Return what each stretch counts: those between two swaps `HELD` at most together."""
    out = np.ones(len(seen.track))
    for own in _runs(seen.frame, seen.track, swaps):
        out[own] = min(1.0, HELD / max(len(own), 1))
    return out


def know(seen: Whitened, swaps: Sequence[Swap], tracks: int) -> Known:
    """Return what looks say of each track."""
    weight = _weights(seen, swaps)
    total = np.zeros((tracks, len(seen.between)))
    np.add.at(total, seen.track, weight[:, None] * seen.looks)
    return Known(np.bincount(seen.track, weight, tracks), total, seen.between)


def meetings(
    middles: np.ndarray, identity: np.ndarray, animals: int, within: float, patience: int
) -> list[tuple[int, int, int, int, int]]:
    """Return first and last frame, one, other, and frames in which one of them is not seen.

    One row for each time that two animals were near.

    Parameters
    ----------
    middles
        Shape (time, slot, 2), px; an animal that is not seen is where it was and will be.
    identity
        Shape (time, slot), -1 for none.
    within
        px.
    patience
        Frames apart for less than which two are together still.
    """
    where = np.full((len(middles), animals, 2), np.nan)
    frames, slots = np.nonzero(identity >= 0)
    where[frames, identity[frames, slots]] = middles[frames, slots]
    hidden = ~np.isfinite(where[..., 0])
    rows = np.arange(len(where))
    for place in where.transpose(1, 2, 0):
        there = np.isfinite(place[0])
        for axis in place if there.any() else ():
            axis[:] = np.interp(rows, rows[there], axis[there])
    out = []
    for one, other in combinations(range(animals), 2):
        near = np.linalg.norm(where[:, one] - where[:, other], axis=-1) < within
        steps = np.diff(np.concatenate([[0], near.astype(int), [0]]))
        starts, stops = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)
        parted = starts[1:] - stops[:-1] >= patience
        first = starts[np.concatenate([[True], parted])] if len(starts) else starts
        last = stops[np.concatenate([parted, [True]])] if len(stops) else stops
        lost = np.concatenate([[0], np.cumsum(hidden[:, one] | hidden[:, other])])
        out += [
            (int(a), int(b) - 1, one, other, int(lost[b] - lost[a]))
            for a, b in zip(first, last, strict=True)
        ]
    return out


def with_meetings(
    listed: list[Event], met: list[tuple[int, int, int, int, int]], patience: int
) -> list[Event]:
    """Return events in time: those that motion saw, and the meetings at which it saw none."""
    said = {pair: np.array([listed[k].frame for k in rows]) for pair, rows in _by_pair(listed)}
    out = list(listed)
    for first, last, one, other, lost in met:
        frames = said.get((one, other), np.zeros(0))
        if not ((frames >= first - patience) & (frames <= last + patience)).any():
            odds = UNSEEN if lost < FRAMES_HIDDEN else HIDDEN
            out.append(Event((first + last) // 2, one, other, odds, "crossing"))
    return sorted(out)


def _by_pair(events: list[Event]) -> list[tuple[tuple[int, int], list[int]]]:
    out = defaultdict(list)
    for row, event in enumerate(events):
        out[min(event.one, event.other), max(event.one, event.other)].append(row)
    return list(out.items())


def settle(
    identity: np.ndarray, events: list[Event], seen: Stretches
) -> tuple[np.ndarray, list[Event]]:
    """Exchange names where looks outweigh motion.

    How much looks change is first read from one meeting to the next, and names are tried by that;
    then, from these names, over all meetings that are not in doubt. Only what still holds is done:
    animals that come out of a meeting in another posture are not taken for each other.

    Parameters
    ----------
    identity
        Shape (time, slot), -1 for none.
    events
        In time.
    seen
        Looks of these identities, as measured.

    Returns
    -------
    identity
        The same shape.
    events
        With the names, and the odds of motion and looks together, that they have then.
    """
    first = whiten(seen, events) or _blind(seen)
    _, tried, after = _exchanged(identity, events, first)
    doubtful = [event for event in after if event.odds < UNSEEN]
    second = whiten(replace(seen, track=tried), doubtful) or _blind(seen)
    names, _, after = _exchanged(identity, events, replace(second, track=seen.track))
    return names, after


def _blind(seen: Stretches) -> Whitened:
    """Return stretches whose looks say nothing, so that motion alone decides."""
    return Whitened(seen.frame, seen.track, np.zeros((len(seen.frame), 0)), np.zeros(0))


def _exchanged(
    identity: np.ndarray, events: list[Event], seen: Whitened
) -> tuple[np.ndarray, np.ndarray, list[Event]]:
    """Return identities, tracks of the stretches and events after all exchanges that gain.

    Names are exchanged from an event to the end, or to one of the next events of the pair, the
    best of all first, until nothing is gained.
    """
    identity, track, events = identity.copy(), seen.track.copy(), list(events)
    prices: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    for _ in range(2 * len(events)):
        for pair, rows in _by_pair(events):
            if pair not in prices:
                prices[pair] = _prices(seen, track, events, pair, rows)
        every = (row for rows in prices.values() for row in rows)
        price, first, last = min(every, default=(0.0, -1, -1))
        if price > -1e-6:
            break
        both = {events[first].one, events[first].other}
        stop = len(identity) if last < 0 else events[last].frame
        _exchange(identity, seen, track, events, (first, last), stop)
        prices = {pair: rows for pair, rows in prices.items() if not both & set(pair)}
    odds: dict[int, float] = {}
    for pair, rows in _by_pair(events):
        told = _prices(seen, track, events, pair, rows, most=STRONGEST)
        odds |= {first: price for price, first, last in told if last < 0}
    return identity, track, [event._replace(odds=odds[k]) for k, event in enumerate(events)]


def _prices(
    seen: Whitened,
    track: np.ndarray,
    events: list[Event],
    pair: tuple[int, int],
    rows: list[int],
    most: float = np.inf,
) -> list[tuple[float, int, int]]:
    """Return what exchanges of a pair cost more, with the event from and to (-1: the end).

    Looks gain at most `STRONGEST` at an event, and lose at most `most`: names that they exchanged
    against motion are no surer than that.
    """
    spans = [
        (k, later) for i, k in enumerate(rows) for later in [-1, *rows[i + 1 : i + 1 + ON_END]]
    ]
    start = np.array([events[k].frame for k, _ in spans])
    stop = np.array([np.inf if k < 0 else events[k].frame for _, k in spans])
    own = [e for e in events if {e.one, e.other} & set(pair)]
    here = np.flatnonzero(np.isin(track, pair))
    part = Whitened(seen.frame[here], track[here], seen.looks[here], seen.between)
    weight = _weights(part, own)
    sums = [_sums(part, weight, name, start, stop) for name in pair]
    (all_a, in_a), (all_b, in_b) = sums
    before = _cost(all_a, seen.between) + _cost(all_b, seen.between)
    after = _cost(all_a - in_a + in_b, seen.between) + _cost(all_b - in_b + in_a, seen.between)
    out = []
    for (k, later), gain in zip(spans, after - before, strict=True):
        odds = events[k].odds + (0.0 if later < 0 else events[later].odds)
        places = 1 if later < 0 else 2
        out.append((float(odds + np.clip(gain, -STRONGEST * places, most * places)), k, later))
    return out


def _sums(
    part: Whitened, weight: np.ndarray, name: int, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return count and sum of looks (…, 1 + direction) of a track: of all, and of each span."""
    own = np.flatnonzero(part.track == name)
    each = np.concatenate([np.ones((len(own), 1)), part.looks[own]], 1) * weight[own, None]
    grown = np.concatenate([np.zeros((1, each.shape[1])), np.cumsum(each, 0)])
    a, b = (np.searchsorted(part.frame[own], edge) for edge in (start, stop))
    return grown[-1], grown[b] - grown[a]


def _cost(sums: np.ndarray, between: np.ndarray) -> np.ndarray:
    return unlikely(sums[..., 0], sums[..., 1:], between)


def _exchange(
    identity: np.ndarray,
    seen: Whitened,
    track: np.ndarray,
    events: list[Event],
    span: tuple[int, int],
    stop: int,
) -> None:
    """Exchange the names of a pair from one event to another, in place."""
    frame, one, other = events[span[0]][:3]
    inside = (seen.frame >= frame) & (seen.frame < stop)
    for part, where in ((identity, np.s_[frame:stop]), (track, inside)):
        names = part[where].copy()
        part[where] = np.where(names == one, other, np.where(names == other, one, names))
    called = {one: other, other: one}
    for k, event in enumerate(events):
        if k in span:
            events[k] = event._replace(odds=-event.odds)
        elif frame <= event.frame < stop:
            pair = sorted(called.get(name, name) for name in (event.one, event.other))
            events[k] = event._replace(one=pair[0], other=pair[1])
