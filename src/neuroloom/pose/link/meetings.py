"""Meetings of two animals, and names exchanged at them where looks outweigh motion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from neuroloom.pose.link.appearance import (
    STRONGEST,
    Stretches,
    Whitened,
    unlikely,
    weights,
    whiten,
)

UNSEEN = 9.0  # negative log-odds of a swap at a meeting where motion saw one way only ...
HIDDEN = 5.0  # ... though one of the two was not seen
FRAMES_HIDDEN = 3  # for so long at least
ON_END = 3  # events of a pair up to which names are tried the other way round


class Event(NamedTuple):
    """Two animals may have changed names at a frame."""

    frame: int
    one: int
    other: int
    odds: float  # negative log-odds: 0 is a toss-up
    kind: str  # "crossing" or "gap"


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
    weight = weights(part, own)
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
