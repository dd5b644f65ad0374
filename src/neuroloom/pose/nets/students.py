"""Learning from frames that nobody labelled: places that neighbours in time confirm.

The net that was trained on labels looks at stretches of video. Where a point leaps away and comes
back, it was mistaken: such points are dropped, and short gaps are bridged along the line. What is
left joins the labels, and the net learns on (self-training with a smoother as the teacher: Lee
2013; pseudo-labels by an ensemble smoother: Biderman 2024, https://doi.org/10.1038/s41592-024-02319-1).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.pose.nets.align import Floats
from neuroloom.pose.nets.frames import PoseFrames, plain

if TYPE_CHECKING:
    from neuroloom.pose.nets.learner import PoseLearner
    from neuroloom.pose.nets.plan import PosePlan

STRETCHES, LENGTH = 5, 100  # stretches of a video, and frames of each
SHORTEST = 20  # frames of a stretch, where many videos share the memory
FRAMES, BYTES = 2_000, 2**31  # of all videos together, at most: whole pictures are kept
WINDOW, FEWEST = 5, 3  # frames of the running median, and how many of them must show the point
BRIDGE = 6  # frames that a gap may have
LEAP = 0.04  # of the frame's longer side: what counts as a jump
SURE = 0.5  # probability near the peak, or the point is not trusted


@dataclass(frozen=True)
class Mixed:
    """Labelled frames and frames of clips with the points that time confirmed.

    It stands in for `io.labels.Labels` before `PoseFrames`.
    """

    labelled: PoseFrames
    pictures: Sequence[np.ndarray]
    points: Floats

    @property
    def classes(self) -> np.ndarray | None:
        """What the animals are (frame, individual); of those in clips nobody said it."""
        known = self.labelled.classes
        rest = ((0, len(self.pictures)), (0, 0))
        return None if known is None else np.pad(known, rest, constant_values="")

    def __len__(self) -> int:
        """Return how many frames there are."""
        return len(self.labelled) + len(self.pictures)

    def image(self, row: int) -> np.ndarray:
        """Return a picture (y, x, channel)."""
        own = len(self.labelled)
        found: np.ndarray = self.labelled[row] if row < own else self.pictures[row - own]
        return found


def stretches(frames: int, most: int = STRETCHES * LENGTH) -> list[tuple[int, int]]:
    """Return (first, after the last) of evenly spaced stretches of a video.

    Parameters
    ----------
    frames
        Of the video.
    most
        Frames of all stretches.

    Examples
    --------
    >>> stretches(80), stretches(1000)[:2], stretches(1000, 40)
    ([(0, 80)], [(0, 100), (225, 325)], [(480, 520)])
    """
    most = min(most, STRETCHES * LENGTH)
    if frames <= most:
        return [(0, frames)]
    length, count = min(LENGTH, most), max(1, most // LENGTH)
    starts = np.linspace(0, frames - length, count) if count > 1 else [(frames - length) / 2]
    return [(int(start), int(start) + length) for start in starts]


def looked_at(sizes: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Return the stretches of each of several videos, so many that memory holds their pictures.

    Of very many videos evenly chosen ones have none.

    Parameters
    ----------
    sizes
        Frames of each video, and bytes of one frame.

    Examples
    --------
    >>> looked_at([(1000, 100), (60, 100)])[1], len(looked_at([(1000, 100)] * 9)[0])
    ([(0, 60)], 2)
    """
    frame = max((size for _, size in sizes), default=1)
    allowed = max(SHORTEST, min(FRAMES, BYTES // frame))
    chosen = np.linspace(0, len(sizes) - 1, min(len(sizes), allowed // SHORTEST)).astype(int)
    share = allowed // max(len(chosen), 1)
    return [stretches(n, share) if k in chosen else [] for k, (n, _) in enumerate(sizes)]


def _stretches_of(clips: Sequence[Path]) -> list[list[tuple[int, int]]]:
    from neuroloom.io.video import Video

    sizes = []
    for clip in clips:
        with Video(clip, patch=True) as video:
            sizes.append((len(video), int(np.prod(video.shape))))
    return looked_at(sizes)


def count_frames(clips: Sequence[Path]) -> int:
    """Return how many frames of videos are looked at."""
    return sum(last - first for own in _stretches_of(clips) for first, last in own)


def look_through(
    learner: PoseLearner, clips: Sequence[Path], depth: int | None = None
) -> Iterator[tuple[list[np.ndarray], Floats]]:
    """Yield the pictures of each stretch, and what the net finds in them.

    Frames that cannot be decoded are left out. Clips that are pictures have values of `depth` bits,
    as the labelled ones.
    """
    from neuroloom.io.video import Video

    plan = learner.plan
    assert plan is not None
    for clip, spans in zip(clips, _stretches_of(clips), strict=True):
        with Video(clip, patch=True, depth=depth) as video:
            for first, last in spans:
                frames = video.read(np.arange(first, last))
                own = [plain(frame) for frame in frames[~video.damaged[first:last]]]
                if own:
                    yield own, one_by_one(plan, learner.find_in(own)[..., :4])


def one_by_one(plan: PosePlan, found: Floats) -> Floats:
    """Return what was found in a stretch with each animal in one place of the lists throughout.

    A net that does not tell animals apart lists them in any order. What is found of more animals
    than there are, or for too short a time to be one of them, is left out.
    """
    from neuroloom.pose.link.track import arrange, link

    seen = np.isfinite(found[..., :2]).all(-1).any()
    if plan.individuals == 1 or plan.names or not seen:
        return found
    return arrange(found, link(found[..., :2], animals=plan.individuals).identity, plan.individuals)


def confirmed(found: Floats, leap: float, odd: NDArray[np.bool_] | None = None) -> Floats:
    """Return the places that time confirms, (n, individual, keypoint, 2), NaN where it does not.

    Parameters
    ----------
    found
        Of one stretch (n, individual, keypoint, 4): x, y, probability near the peak, expectation.
    leap
        px from the running median beyond which a point is mistaken.
    odd
        Shape (n, individual, keypoint): points that the other points contradict; None: none.

    Examples
    --------
    >>> found = np.ones((7, 1, 1, 4)); found[:, 0, 0, 0] = [0, 1, 2, 99, 4, 5, 6]
    >>> confirmed(found, 10.0)[:, 0, 0, 0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """
    places = np.array(found[..., :2])
    near = astray(places) <= leap  # False where it is missing
    # Whether it was sure counts for what stands alone; what its neighbours confirm is kept.
    steady = near & (np.nan_to_num(found[..., 2]) >= SURE / 2)
    places[~steady if odd is None else ~steady | odd] = np.nan
    return _bridged(places)


def contradicted(
    learner: PoseLearner, found: Floats, shapes: Sequence[tuple[int, ...]]
) -> NDArray[np.bool_] | None:
    """Return which points lie where the other points of their animal do not expect them."""
    from neuroloom.pose.nets.agree import at_odds
    from neuroloom.pose.nets.find import crops
    from neuroloom.pose.nets.views import to_view, whole_frame

    plan, structure = learner.plan, learner.structure
    assert plan is not None
    if structure is None:
        return None
    out = np.zeros(found.shape[:3], bool)
    for animal in range(found.shape[1]):
        own = found[:, animal]
        if plan.coarse is None:
            views = np.stack([whole_frame(shape, plan.fine.size) for shape in shapes])
        else:
            views = crops(learner, own)
        out[:, animal] = at_odds(to_view(views, own[..., :2]), structure)
    return out


def _bridged(places: Floats) -> Floats:
    """Fill gaps of a few frames along the line between what stands before and after."""
    out = places.copy()
    for animal, point in np.ndindex(places.shape[1:3]):
        own = out[:, animal, point]
        there = np.flatnonzero(np.isfinite(own).all(1))
        for before, after in itertools.pairwise(there):
            if 1 < after - before <= BRIDGE:
                share = np.arange(1, after - before)[:, None] / (after - before)
                own[before + 1 : after] = own[before] + share * (own[after] - own[before])
    return out


def astray(places: Floats) -> Floats:
    """Return how far points lie from the running median of five frames, px.

    NaN where a point is missing, or stands nearly alone: too few of the five are known.

    Parameters
    ----------
    places
        Of one stretch, (n, individual, keypoint, 2).

    Examples
    --------
    >>> run = np.zeros((7, 1, 1, 2)); run[:, 0, 0, 0] = [0, 30, 60, 300, 120, 150, 180]
    >>> astray(run)[:, 0, 0].tolist()
    [0.0, 0.0, 0.0, 180.0, 30.0, 30.0, 0.0]
    """
    wide = min(WINDOW, len(places))
    before = wide // 2
    padded = np.pad(places, [(before, wide - 1 - before), (0, 0), (0, 0), (0, 0)], mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, wide, axis=0)
    few = np.isfinite(around).sum(-1) < min(FEWEST, wide)
    middle = np.nanmedian(np.where(few[..., None], 0.0, around), axis=-1)
    off: Floats = np.linalg.norm(places - np.where(few, np.nan, middle), axis=-1)
    return off


def leap_rate(found: Sequence[Floats], leap: float) -> float:
    """Return the share of points, per thousand, that leap away from where they were and will be.

    A paw that swings fast goes on in its way and is near the running median; a mistake is not.

    Examples
    --------
    >>> found = np.zeros((5, 1, 1, 4)); found[2, 0, 0, 0] = 50
    >>> leap_rate([found], 20.0)
    200.0
    """
    off = np.concatenate([astray(one[..., :2]).ravel() for one in found] or [np.zeros(0)])
    known = off[np.isfinite(off)]
    return float(1000 * (known > leap).mean()) if known.size else 0.0


def taught(learner: PoseLearner, x: PoseFrames) -> tuple[PoseFrames, float, float]:
    """Return labelled and confirmed frames together, the jumps that there were, and the leap.

    A net whose peaks are put together into animals takes what has no point for background: of such
    a net only frames are taught in which every point of every animal is confirmed.
    """
    assert learner.plan is not None
    looks = list(look_through(learner, x.clips, x.depth))
    pictures = [picture for own, _ in looks for picture in own]
    found = [own for _, own in looks]
    leap = LEAP * float(np.max([one.shape[:2] for one in pictures]))
    shapes = [one.shape[:2] for one in pictures]
    points, first = [], 0
    for one in found:
        odd = contradicted(learner, one, shapes[first : first + len(one)])
        points.append(confirmed(one, leap, odd))
        first += len(one)
    places = np.concatenate(points)
    kept = np.full(len(places), True)
    if learner.plan.grouping == "fine":
        kept = np.asarray(np.isfinite(places).all((1, 2, 3)))
    pictures = list(itertools.compress(pictures, kept))
    both = Mixed(x, pictures, np.concatenate([x.points, places[kept]]))
    return PoseFrames(both), leap_rate(found, leap), leap
