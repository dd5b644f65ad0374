"""Learning the volume net: first what each camera sees, then all of them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.training.budget import Budget
from neuroloom.learn.training.fit import FitJob, Training, fit, own_randomness
from neuroloom.pose.volume.views import Batch, Shape, Views, centres_of, make_batch

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import History
    from neuroloom.pose.volume.nets.volume import VolumeNet

Teller = Callable[[dict[str, Any]], None]
PROBE = 3  # steps that are timed
SIGHT = 0.73  # of the time in which points are learnt: views alone; the rest is the volume's
# Of all time to train in, for the animal's centre; up to the second if those are so few steps.
CENTRE, CENTRE_MOST, CENTRE_STEPS = 0.09, 0.25, 100
MARGIN = 1.1
JUDGING = 0.7  # of a step of the volume: a held-out moment is looked at so long, in all ways


@dataclass(frozen=True)
class Course:
    """Steps of the parts of a training: views alone, views and volume, the animal's centre."""

    views: int
    volume: int
    centre: int = 0
    batch: int = 4


@dataclass(frozen=True)
class Place:
    """Where a training keeps its checkpoints, and whom it tells how far it is."""

    folder: Path | None = None
    tell: Teller | None = None

    def job(self, part: str, seed: int, steps: int) -> FitJob:
        """Return the job of a part."""
        tell = self.tell
        file = None if self.folder is None else self.folder / f"{part}-{seed}.safetensors"
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        return FitJob(
            seed=seed, steps=steps, checkpoint=file,
            progress=None if tell is None else lambda line: tell({"stage": part, **line}),
        )  # fmt: skip


def make_net(keypoints: int, seed: int) -> VolumeNet:
    """Return a fresh net; equal seeds give equal weights."""
    from neuroloom.pose.volume.nets.volume import VolumeNet

    with own_randomness(seed):
        return VolumeNet(keypoints)


def train(
    net: VolumeNet, views: Views, shape: Shape, course: Course, seed: int = 0,
    place: Place | None = None,
) -> None:  # fmt: skip
    """Train a net in place: first what each camera sees, then all together.

    Parameters
    ----------
    views
        Labelled moments.
    shape
        Of crops and cubes; see `measure_shape`.
    seed
        Of the order of moments and of all that is varied.
    place
        A killed training goes on from its checkpoints; None: keeps none.
    """
    place = place or Place()
    if course.views:
        train_sight(net, views, shape, course, place.job("views", seed, course.views))
    if course.volume:
        train_space(net, views, shape, course, place.job("volume", seed, course.volume))


def train_sight(net: VolumeNet, views: Views, shape: Shape, course: Course, job: FitJob) -> History:
    """Train the 2-D net on each view alone."""
    from neuroloom.pose.volume.nets.parts import SightPart

    draw = partial(drawn, views, centres_of(views.points), replace(shape, grid=1))
    part = SightPart(net.view, draw)
    return run_part(part, len(views.points), training(course.batch), job)


def train_space(net: VolumeNet, views: Views, shape: Shape, course: Course, job: FitJob) -> History:
    """Train what joins the views; the 2-D net stays as it is."""
    from neuroloom.pose.volume.nets.parts import SpacePart

    draw = partial(drawn, views, centres_of(views.points), shape)
    part = SpacePart(net, draw, shape.cube / shape.grid)
    return run_part(part, len(views.points), training(max(1, course.batch // 2)), job)


def training(batch: int) -> Training:
    """Return how the parts are trained."""
    return Training(
        batch=batch, lr=3e-3, weight_decay=1e-2, warmup=0.1, clip=12.0, average=0.99, muon=25.0
    )


def run_part(part: Any, moments: int, how: Training, job: FitJob) -> History:
    """Fit a part on moments numbered from 0; the net is on the CPU afterwards."""
    from neuroloom.learn.training.epochs import whole_epoch

    numbers = whole_epoch(moments, how.batch)
    history = fit(part, numbers, np.zeros(len(numbers), np.float32), how, job)
    part.to("cpu").eval()
    return history


def drawn(
    views: Views, centres: np.ndarray, shape: Shape, rows: np.ndarray,
    rng: np.random.Generator | None,
) -> Batch:  # fmt: skip
    """Return the batch of some moments."""
    return make_batch(views.take(rows), centres[rows], shape, rng)


def seconds_per_step(views: Views, shape: Shape, batch: int) -> tuple[float, float, float]:
    """Measure how long a step of the views, of the volume and of the centre takes."""
    from neuroloom.pose.volume.centre import make_finder, train_finder

    course, job = Course(PROBE, PROBE, PROBE, batch), FitJob(steps=PROBE)
    net = make_net(views.points.shape[1], 0)
    seen = train_sight(net, views, shape, course, job).step_seconds
    joined = train_space(net, views, shape, course, job).step_seconds
    return seen, joined, train_finder(make_finder(0), views, batch, job).step_seconds


def settle(
    budget: Budget, left: float, views: Views, shape: Shape, batch: int, held: int = 0
) -> tuple[Course, str]:
    """Return the steps that a budget allows a net, and why.

    Parameters
    ----------
    left
        Seconds for the net and for judging it, where the budget is a time.
    held
        How many moments are to be judged in that time.

    Examples
    --------
    >>> from neuroloom.learn.training.budget import parse_budget
    >>> settle(parse_budget("8 steps"), 0.0, None, None, 4)[0]
    Course(views=8, volume=2, centre=4, batch=4)
    """
    steps = budget.steps or budget.epochs
    if steps:
        parts = steps, max(1, steps // 4), max(1, steps // 2)
        return Course(*parts, batch), f"{steps} steps of the views, as asked for"
    took = seconds_per_step(views, shape, batch)
    left -= held * JUDGING * took[1]
    left = max(left, 0.0) / MARGIN
    own = max(CENTRE * left, min(CENTRE_STEPS * took[2], CENTRE_MOST * left))
    shares = SIGHT * (left - own), (1 - SIGHT) * (left - own), own
    sight, volume, centre = (max(1, int(s / one)) for s, one in zip(shares, took, strict=True))
    named = zip(took, ("the views", "the volume", "the centre"), strict=True)
    said = ", ".join(f"{1000 * one:.0f} ms a step of {name}" for one, name in named)
    return Course(sight, volume, centre, batch), f"what the time allows ({said})"
