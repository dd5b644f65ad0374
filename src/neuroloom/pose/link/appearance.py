"""What animals look like, over short stretches of their tracks, and what it says of who is who.

How much looks change inside a track and how much they differ between animals is learnt from the
video itself: where animals are alike, or each changes as much as they differ, looks count for
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from neuroloom.pose.link.follow import Swap
    from neuroloom.pose.link.meetings import Event

STRETCH = 10  # frames of which looks are averaged
FEWEST = 4  # detections in a stretch that counts
DIRECTIONS = 4  # in which animals are compared at most
PRIOR = 2.0  # stretches for which all animals stand in the spread inside a track
ENOUGH = 6  # stretches from which on looks are compared
CLEAR = 0.1  # variance between animals, over that inside a track, that is looked at
HELD = 1.0  # stretches between two meetings that count at most: looks last, and so do errors
STRONGEST = 12.0  # negative log-odds that looks outweigh at most
PAIRED = 200  # stretches of a run, at most, of which pairs tell how much looks change


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


def weights(seen: Stretches, swaps: Sequence[Swap | Event]) -> np.ndarray:
    """Return what each stretch counts: those between two swaps `HELD` at most together."""
    out = np.ones(len(seen.track))
    for own in _runs(seen.frame, seen.track, swaps):
        out[own] = min(1.0, HELD / max(len(own), 1))
    return out


def know(seen: Whitened, swaps: Sequence[Swap], tracks: int) -> Known:
    """Return what looks say of each track."""
    weight = weights(seen, swaps)
    total = np.zeros((tracks, len(seen.between)))
    np.add.at(total, seen.track, weight[:, None] * seen.looks)
    return Known(np.bincount(seen.track, weight, tracks), total, seen.between)
