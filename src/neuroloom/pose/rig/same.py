"""Which animal of one camera is which of another: those whose rays meet.

Two pixels may show one point only where each lies on the other's epipolar line (Hartley & Zisserman
2004, chapter 9). How far animals are off it, and what was so far, decide who is who, frame by
frame: what they are called where they have names, or numbers that fit the rays over the whole
recording; how they moved where numbers do not, which nets and trackers give each camera by itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.audit import Finding
from neuroloom.pose.alike import body_scale
from neuroloom.pose.animals import NOBODY
from neuroloom.pose.rig.cameras import Camera, Rig

if TYPE_CHECKING:
    import xarray as xr

Recordings = Mapping[str, Sequence["xr.DataArray"]]
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

FRAMES = 2000  # that are compared at once
UNKNOWN = 0.5  # of a body: what it costs to be somebody of whom nothing is known
CALLED = 0.5  # of a body: what it costs to be called otherwise
BETTER = 0.5  # of the misfit that must be left before names of a whole recording are given up
FITS = 0.8  # of the misfit that is left at least where numbers are as good as movement
LOST = 15  # frames out of sight, beyond which where an animal was says nothing any more
GIVEN = re.compile(r"(individual|ind|track)_?\d+")  # what an animal without a name is called


def are_numbers(names: Sequence[str]) -> bool:
    """Say whether names of animals only number them: one word, and a number behind it.

    Examples
    --------
    >>> are_numbers(["individual_0", "individual_1"]), are_numbers(["black", "white"])
    (True, False)
    """
    stems = {re.sub(r"\d+$", "", name) for name in names}
    return len(stems) == 1 and all(re.search(r"\d$", name) for name in names)


def numbered_alike(read: Recordings) -> Recordings:
    """Return tracks under the same numbers where all files only number their animals.

    Which number is whose the rays will tell; a file of fewer animals under other numbers lacks the
    last ones. Where no file has two animals the number is a name (`mouse1`), unless programs give
    it to any animal.
    """
    own = [_names(recording) for every in read.values() for recording in every]
    longest = max(own, key=len)
    if not all(are_numbers(names) for names in own):
        return read
    if len(longest) < 2 and not all(GIVEN.fullmatch(name) for names in own for name in names):
        return read
    return {name: [_under(one, longest) for one in every] for name, every in read.items()}


def _under(recording: xr.DataArray, names: list[str]) -> xr.DataArray:
    if not set(_names(recording)) <= set(names):
        first = names[: recording.sizes["individuals"]]
        recording = recording.assign_coords(individuals=first)
    return recording.reindex(individuals=names)


def _names(recording: xr.DataArray) -> list[str]:
    return [str(name) for name in recording.coords["individuals"].values]


def match_animals(
    rig: Rig, pixels: Floats, sure: Floats, individuals: Sequence[str]
) -> tuple[Floats, Floats, list[Finding]]:
    """Return pixels and confidence with each animal in one place of the lists of all cameras.

    Parameters
    ----------
    rig
        The cameras.
    pixels, sure
        Shape (camera, network, time, point, 2) and (camera, network, time, point); a point is a
        keypoint of an individual, individuals outermost.
    individuals
        Their names; DeepLabCut's "single" is none.

    Returns
    -------
    The same arrays in order, and what is to be known of it.
    """
    shape = (*pixels.shape[:3], len(individuals), -1)
    points, trust = pixels.reshape(*shape, 2).copy(), sure.reshape(shape).copy()
    who = [place for place, name in enumerate(individuals) if name != NOBODY]
    animals, weight = points[:, :, :, who], trust[:, :, :, who]
    if len(who) < 2:
        return pixels, sure, []
    for camera, network in np.ndindex(*pixels.shape[:2]):
        if network:
            order = _as_the_first(animals[camera, 0], animals[camera, network])
            _put_in(order, animals[camera, network], weight[camera, network])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        together = np.nanmedian(animals, 1)
    order, told = same_animals(rig, together, weight.mean(1), [individuals[k] for k in who])
    for camera, network in np.ndindex(*pixels.shape[:2]):
        _put_in(order[camera], animals[camera, network], weight[camera, network])
    points[:, :, :, who], trust[:, :, :, who] = animals, weight
    return points.reshape(pixels.shape), trust.reshape(sure.shape), told


def _places(cost: Floats) -> Numbers:
    """Return the column of each row where they cost least together."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(cost)[1], np.int64)


def _put_in(order: Numbers, animals: Floats, weight: Floats) -> None:
    """Put animals (time, animal, keypoint, 2), and their weights, in order (time, animal)."""
    animals[:] = np.take_along_axis(animals, order[..., None, None], 1)
    weight[:] = np.take_along_axis(weight, order[..., None], 1)


def _as_the_first(first: Floats, other: Floats) -> Numbers:
    """Return the order (time, animal) in which another network sees the first one's animals."""
    off = np.linalg.norm(other[:, None] - first[:, :, None], axis=-1) / _size(first)
    return np.stack([_places(cost) for cost in _mean(off)])


@dataclass(frozen=True)
class _Views:
    """What cameras saw of animals, as costs are made of it.

    Attributes
    ----------
    rig
        The cameras.
    pixels, ideal
        Shape (camera, time, animal, keypoint, 2): px, and undistorted.
    trust
        Shape (camera, time, animal, keypoint).
    far
        Px, for each camera: the size of a body. Who is further off is no further off.
    """

    rig: Rig
    pixels: Floats
    ideal: Floats
    trust: Floats
    far: Floats

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which animals show a point, (camera, time, animal)."""
        return np.asarray(np.isfinite(self.pixels).all(-1).any(-1))

    def parts(self) -> Iterator[tuple[int, _Views]]:
        """Yield the first frame of a part of the recording, and the part."""
        for first in range(0, self.pixels.shape[1], FRAMES):
            rows = slice(first, first + FRAMES)
            pixels, ideal = self.pixels[:, rows], self.ideal[:, rows]
            yield first, replace(self, pixels=pixels, ideal=ideal, trust=self.trust[:, rows])


def same_animals(
    rig: Rig, pixels: Floats, trust: Floats, names: Sequence[str]
) -> tuple[Numbers, list[Finding]]:
    """Return which animal of each camera is which, and what is to be known of it.

    Parameters
    ----------
    rig
        The cameras.
    pixels
        Shape (camera, time, animal, keypoint, 2), px; NaN where missing.
    trust
        Shape (camera, time, animal, keypoint), 0 to 1.
    names
        What all cameras call their animals. They are followed unless the rays contradict them
        clearly; numbers that movement fits better than they do are not.

    Returns
    -------
    Shape (camera, time, animal): the place in the lists of a camera of each animal.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> bodies = np.array([[[0.0, 0, 200], [20, 0, 200]], [[0, 40, 200], [20, 40, 200]]])
    >>> seen = rig.project(bodies)[:, None]
    >>> seen[1] = seen[1, :, ::-1]
    >>> order, told = same_animals(rig, seen, np.ones(seen.shape[:-1]), ["black", "white"])
    >>> order[:, 0].tolist(), told[0].title
    ([[0, 1], [1, 0]], 'Names that the cameras contradict')
    """
    cameras, frames, animals = pixels.shape[:3]
    own = np.arange(animals)
    if animals < 2 or not np.isfinite(pixels).any():
        return np.broadcast_to(own, (cameras, frames, animals)).copy(), []
    far = np.array([_size(part) for part in pixels])
    views = _Views(rig, pixels, rig.undistort(pixels), trust, far)
    whole = _whole_recording(views)
    numbered = are_numbers(names)
    order, left = _frame_by_frame(views, whole, numbered)
    moved = numbered and left < FITS * _total(_summed(views), whole)
    if numbered and not moved:
        order, _ = _frame_by_frame(views, whole, False)
    order = _as_most_call_them(order, views.seen)
    return order, _told(rig, order, whole, views.seen, names, moved)


def epipolar_distance(one: Camera, other: Camera, a: Floats, b: Floats) -> Floats:
    """Return how far pixels are from being the same point of space, px (Sampson 1982).

    Parameters
    ----------
    a, b
        Shape (…, 2): what `one` and `other` see, undistorted.

    Examples
    --------
    >>> K = np.diag([800.0, 800, 1])
    >>> left, right = Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))
    >>> seen = left.undistort(np.array([9.0, 4.0])), right.undistort(np.array([1.0, 6.0]))
    >>> float(epipolar_distance(left, right, *seen).round(6))
    1.414214
    """
    turn = other.R @ one.R.T
    x, y, z = other.t - turn @ one.t
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn
    line = a @ essential[:, :2].T + essential[:, 2]  # in the other camera, of what one sees
    back = b @ essential[:2] + essential[2]
    slope = (line[..., :2] ** 2).sum(-1) + (back[..., :2] ** 2).sum(-1)
    focal = (one.K[0, 0] + other.K[0, 0]) / 2
    off = (line[..., :2] * b).sum(-1) + line[..., 2]
    away: Floats = focal * np.abs(off) / np.sqrt(np.maximum(slope, 1e-300))
    return away


def _size(points: Floats) -> float:
    """Return the size of a body, px; of nobody any."""
    return body_scale(points) if np.isfinite(points).all(-1).any() else 1.0


def _misfit(views: _Views) -> Floats:
    """Return how ill an animal of a camera fits one of another, in bodies, 0 to 1.

    Shape (time, camera, camera, animal of the first, animal of the second); a half where they
    share no point, 0 where one of them is nobody.
    """
    cameras, frames, animals = views.pixels.shape[:3]
    out = np.zeros((frames, cameras, cameras, animals, animals))
    for i, j in combinations(range(cameras), 2):
        off = epipolar_distance(
            views.rig.cameras[i], views.rig.cameras[j],
            views.ideal[i][:, :, None], views.ideal[j][:, None],
        )  # fmt: skip
        weight = views.trust[i][:, :, None] * views.trust[j][:, None]
        mean = _mean(off / min(views.far[i], views.far[j]), weight)
        mean[~(views.seen[i][:, :, None] & views.seen[j][:, None])] = 0.0
        out[:, i, j], out[:, j, i] = mean, np.swapaxes(mean, -1, -2)
    return out


def _mean(off: Floats, weight: Floats | float = 1.0) -> Floats:
    """Return the weighted mean of distances in bodies over the last axis, none above a body."""
    weight = np.where(np.isfinite(off), weight, 0.0)
    total = weight.sum(-1)
    near = (np.minimum(np.nan_to_num(off, nan=1.0), 1.0) * weight).sum(-1)
    return np.where(total > 0, near / np.maximum(total, 1e-9), UNKNOWN)


def _whole_recording(views: _Views) -> Numbers:
    """Return which animal is which (camera, animal) where the whole recording speaks for it."""
    cameras, _, animals = views.pixels.shape[:3]
    misfit = _summed(views)
    called = np.tile(np.arange(animals), (cameras, 1))
    order = _settled(misfit, np.zeros((cameras, animals, animals)), called)
    before, after = (_total(misfit, one) for one in (called, order))
    return order if after < BETTER * before else called


def _summed(views: _Views) -> Floats:
    return np.asarray(sum(_misfit(part).sum(0) for _, part in views.parts()))


def _total(misfit: Floats, order: Numbers) -> float:
    own = np.arange(order.shape[1])
    costs = _costs(misfit, order)
    return float(sum(cost[own, places].sum() for cost, places in zip(costs, order, strict=True)))


def _costs(misfit: Floats, order: Numbers) -> Floats:
    """Return how ill each place of a camera's list fits each animal, (camera, animal, place)."""
    whole = np.take_along_axis(misfit, order[None, :, None, :], 3).sum(1)
    return np.swapaxes(whole, 1, 2)


def _settled(misfit: Floats, before: Floats, order: Numbers) -> Numbers:
    """Return the order that fits best: the camera that gains most is changed, until none gains.

    Parameters
    ----------
    misfit
        Of one moment, as `_misfit` gives it.
    before
        Shape (camera, animal, place): what else speaks against each.
    order
        Shape (camera, animal), from where to start.
    """
    order, own = order.copy(), np.arange(order.shape[1])
    for _ in range(4 * len(order)):
        costs = _costs(misfit, order) + before
        best = [_places(cost) for cost in costs]
        gain = [float(cost[own, now].sum() - cost[own, new].sum())
                for cost, now, new in zip(costs, order, best, strict=True)]  # fmt: skip
        # Of cameras that gain alike the last: the names of the first one stay.
        most = len(gain) - 1 - int(np.argmax(gain[::-1]))
        if gain[most] < 1e-6 * (1 + abs(misfit).max()):
            break
        order[most] = best[most]
    return order


def _frame_by_frame(views: _Views, whole: Numbers, moved: bool) -> tuple[Numbers, float]:
    """Return which animal is which in every frame (camera, time, animal), and the misfit left.

    Where rays leave it open, by how they moved, or else by what they are called throughout.
    """
    cameras, frames, animals = views.pixels.shape[:3]
    out = np.empty((cameras, frames, animals), np.int64)
    called = np.where(whole[..., None] == np.arange(animals), 0.0, CALLED)
    last = np.full(np.delete(views.pixels.shape, 1), np.nan)
    unseen = np.zeros(last.shape[:3], np.int64)
    now, left = whole, 0.0
    for first, part in views.parts():
        for k, misfit in enumerate(_misfit(part)):
            seen = part.seen[:, k]
            if moved:
                before = _moved(last, part.pixels[:, k], seen, views.far)
                now = np.stack([_places(cost)
                                for cost in before + 1e-3 * called])  # fmt: skip
            else:
                before, now = called * seen[:, None], whole
            now = _settled(misfit, before, now)
            out[:, first + k] = now
            left += _total(misfit, now)
            found = np.take_along_axis(part.pixels[:, k], now[..., None, None], 1)
            unseen = np.where(np.isfinite(found).all(-1), 0, unseen + 1)
            last = np.where(unseen[..., None] == 0, found, last)
            last[unseen > LOST] = np.nan
    return out, left


def _moved(last: Floats, now: Floats, seen: NDArray[np.bool_], far: Floats) -> Floats:
    """Return how far animals would have moved, in bodies (camera, animal, place); nobody: 0."""
    off = np.linalg.norm(now[:, None] - last[:, :, None], axis=-1) / far[:, None, None, None]
    return _mean(off) * seen[:, None]


def _as_most_call_them(order: Numbers, seen: NDArray[np.bool_]) -> Numbers:
    """Return the same with each animal in the place where cameras list it mostly.

    Where they are at odds the first one counts.
    """
    weight = np.take_along_axis(seen, order, 2) * 1.0
    weight[0] *= 1.01
    votes = np.stack([np.bincount(own.ravel(), by.ravel(), order.shape[2])
                      for own, by in zip(order.T, weight.T, strict=True)])  # fmt: skip
    return np.take(order, _places(np.asarray(-votes.T, float)), axis=2)


def _told(
    rig: Rig,
    order: Numbers,
    whole: Numbers,
    seen: NDArray[np.bool_],
    names: Sequence[str],
    moved: bool,
) -> list[Finding]:
    """Say what was not as the cameras call it."""
    own = np.arange(order.shape[2])
    other = ((order != own) & np.take_along_axis(seen, order, 2)).any(-1)
    if not other.any():
        return []
    shares = ", ".join(f"{name} {part:.0%}" for name, part in
                       zip(rig.names, other.mean(1), strict=True) if part)  # fmt: skip
    if are_numbers(names):
        how = " and how they moved" if moved else ""
        told = (
            f"{', '.join(names)} are numbers that each camera gives by itself: animals were "
            f"matched by where rays meet{how}. Frames that a camera numbers otherwise: {shares}."
        )
        return [Finding("note", "Animals matched across cameras", told)]
    through = [
        f"camera '{name}' calls {names[k]} {names[row[k]]} throughout"
        for name, row in zip(rig.names, whole.tolist(), strict=True)
        for k in range(len(row)) if row[k] != k
    ]  # fmt: skip
    told = "; ".join([*through, f"frames where rays meet under other names: {shares}"])
    detail = f"{told[0].upper()}{told[1:]}. The rays were followed."
    return [Finding("warning", "Names that the cameras contradict", detail)]
