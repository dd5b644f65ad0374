"""What a fit costs: measured on the very examples and machine that will train."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroloom.learn.training.fit import FitJob, count_steps


@dataclass(frozen=True)
class Cost:
    """What a fit costs, as measured.

    Attributes
    ----------
    epoch
        Seconds of an epoch.
    steps
        Of an epoch.
    around
        Seconds that a fit takes beside its steps: to begin, and to measure what it has learnt. 0
        where fits are trained together.
    """

    epoch: float
    steps: int
    around: float = 0.0


def cost_of_fit(learner: Any, x: np.ndarray, y: np.ndarray, seed: int = 0) -> Cost:
    """Measure what a fit costs, on a throwaway copy of `learner`.

    The real fit is not touched: neither its weights nor any generator of random numbers.
    """
    import lightning_fabric  # noqa: F401  (only the first fit takes the seconds of its import)

    probe, steps = learner.fresh(), 4
    began = time.monotonic()
    history = probe.fit(x, y, job=FitJob(seed=seed, steps=steps))
    if history.step_seconds < 0.1:
        began, steps = time.monotonic(), 24
        history = probe.fit(x, y, job=FitJob(seed=seed, steps=steps))
    around = 0.0
    if not probe.training.together:
        around = max(time.monotonic() - began - history.all_step_seconds, 0.0)
    _, per_epoch = count_steps(len(x), probe.training, FitJob())
    return Cost(history.step_seconds * per_epoch, per_epoch, around)
