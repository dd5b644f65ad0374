"""Where a multivariate pattern is looked for: the whole trial, a moment, a neighbourhood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    from neuroloom.learn.training.budget import Plan

OVER = ("whole", "time", "generalise", "sensors")


@dataclass(frozen=True)
class Spot:
    """A part of every trial.

    Attributes
    ----------
    channels
        Indices of the channels.
    first, last
        Samples from `first` up to, not with, `last`.
    time
        Centre of the part after the event, s; NaN for a whole trial.
    sensor
        Centre of the neighbourhood; empty for all sensors.
    """

    channels: tuple[int, ...]
    first: int
    last: int
    time: float = float("nan")
    sensor: str = ""

    def of(self, x: np.ndarray) -> np.ndarray:
        """Return this part of trials (trial, channel, time)."""
        return x[:, list(self.channels), self.first : self.last]

    def facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of the dataset as they hold for this part."""
        own = {
            name: [facts[name][k] for k in self.channels]
            for name in ("channels", "types", "positions")
        }
        return facts | own | {"n_times": self.last - self.first}


def make_spots(
    facts: dict[str, Any], over: str, *, width: float, step: float, radius: float
) -> list[Spot]:
    """Return the spots of an analysis.

    Parameters
    ----------
    facts
        Of the dataset: channels, positions (m), rate (Hz), n_times, cut.
    over
        "whole"; "time" and "generalise" (windows that slide over the trial); "sensors" (each
        sensor with its neighbours, over the whole trial).
    width, step
        Of the sliding window, s.
    radius
        Of a neighbourhood, m.

    Raises
    ------
    ConfigError
        If the window is longer than the trial, or no sensor has a place.

    Examples
    --------
    >>> facts = {"channels": ["C3"], "positions": [[0, 0, 0]], "rate": 100.0, "n_times": 50,
    ...          "cut": {"start": 0.1}}
    >>> [round(s.time, 2) for s in make_spots(facts, "time", width=0.2, step=0.1, radius=0.04)]
    [0.2, 0.3, 0.4, 0.5]
    """
    everything, n_times = tuple(range(len(facts["channels"]))), facts["n_times"]
    if over == "whole":
        return [Spot(everything, 0, n_times)]
    if over == "sensors":
        near = neighbours(np.asarray(facts["positions"], float), radius)
        return [
            Spot(tuple(near[k]), 0, n_times, sensor=name)
            for k, name in enumerate(facts["channels"])
            if len(near[k])
        ]
    rate, start = facts["rate"], facts["cut"]["start"] or 0.0
    length, stride = max(1, round(width * rate)), max(1, round(step * rate))
    if length > n_times:
        raise ConfigError(
            f"width={width:g} s is longer than a trial ({n_times / rate:g} s). Lower `width`."
        )
    return [
        Spot(everything, first, first + length, start + (first + length / 2) / rate)
        for first in range(0, n_times - length + 1, stride)
    ]


def neighbours(positions: np.ndarray, radius: float) -> list[list[int]]:
    """Return for each sensor the sensors within `radius` (m), itself included.

    A sensor without a place has no neighbourhood.

    Raises
    ------
    ConfigError
        If fewer than two sensors have a place.

    Examples
    --------
    >>> neighbours(np.array([[0, 0, 0], [0.03, 0, 0], [0.09, 0, 0]]), 0.04)
    [[0, 1], [0, 1], [2]]
    """
    placed = np.isfinite(positions).all(axis=1)
    if placed.sum() < 2:
        raise ConfigError(
            f"over=sensors needs places of the sensors; {placed.sum()} of {len(positions)} have "
            "one. Use names of the 10-10 system, or --over time."
        )
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    return [np.flatnonzero(row <= radius).tolist() for row in distance]


def fit_spots(
    make: Callable[[dict[str, Any]], Any],
    facts: dict[str, Any],
    spots: Sequence[Spot],
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    plan: Plan,
) -> list[Any]:
    """Fit one learner a spot; small nets of one shape are trained as one batched fit.

    Parameters
    ----------
    make
        Facts of a spot -> untrained learner.
    facts
        Of the dataset.
    x, y
        Training trials (trial, channel, time) and their classes.
    """
    from neuroloom.learn.training.fit import FitJob
    from neuroloom.learn.training.together import fit_together, suits

    job = FitJob(seed=seed, epochs=plan.epochs, steps=plan.steps)
    learners = [make(spot.facts(facts)) for spot in spots]
    shapes: dict[tuple[int, int], list[int]] = {}
    for k, spot in enumerate(spots):
        shapes.setdefault((len(spot.channels), spot.last - spot.first), []).append(k)
    for members in shapes.values():
        own = [learners[k] for k in members]
        if len(members) > 1 and suits(own[0]):
            sets = [(spots[k].of(x), y) for k in members]
            fit_together(own, sets, [job] * len(members))
            continue
        for k in members:
            learners[k].fit(spots[k].of(x), y, job=job)
    return learners


def score_spots(
    learners: Sequence[Any], spots: Sequence[Spot], x: np.ndarray, *, generalise: bool
) -> np.ndarray:
    """Score unseen trials at every spot.

    Returns
    -------
    np.ndarray
        Log-probabilities (trial, spot, class); with `generalise` (trial, spot that was learnt at,
        spot that is tested, class), as in King & Dehaene (2014), Trends Cogn. Sci. 18, 203-210.
    """
    if not generalise:
        pairs = zip(learners, spots, strict=True)
        return np.stack([learner.predict_scores(spot.of(x)) for learner, spot in pairs], axis=1)
    parts = np.concatenate([spot.of(x) for spot in spots])
    each = [
        learner.predict_scores(parts).reshape(len(spots), len(x), -1).swapaxes(0, 1)
        for learner in learners
    ]
    return np.stack(each, axis=1)
