"""The fits of a run, one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.split import Fold
from neuroloom.learn.training.budget import Plan
from neuroloom.learn.training.crossfit import Job, fit_jobs
from neuroloom.learn.training.fit import History


class Clock:
    """A run whose time goes by as the learner says, and what seconds its fits were given."""

    def __init__(self, folder, around):
        self.folder = self.work_folder = folder
        self.elapsed, self.given, self.around = 0.0, [], iter(around)
        self.log = self.tell = lambda *_, **__: None

    def learner(self):
        return SimpleNamespace(
            fit=self._fit, predict_scores=lambda x: np.zeros((len(x), 1)),
            state=lambda: {"w": np.zeros(1)}, load=lambda state: None, spec={},
        )  # fmt: skip

    def _fit(self, x, y, job):
        self.given.append(job.seconds)
        self.elapsed += job.seconds + next(self.around)
        return History()


@pytest.mark.parametrize(
    ("around", "given", "ends"),
    [
        ([5, 5, 5, 5], [100, 100, 100, 100], 420),
        ([20, 0, 0, 0], [100, 100, 100, 100], 420),
        ([80, 5, 5, 5], [100, 80, 77.5, 72.5], 425),
        ([900, 5, 5, 5], [100, 50, 50, 50], 1165),
    ],
)
def test_fits_after_a_slow_one_get_less(tmp_path, around, given, ends):
    """A fold that read from a slow disk made a command of ten minutes end late by as much.

    Of 4 fits of 100 s, with 5 s around each, the steps of the last are to end after 420 s.
    """
    run = Clock(tmp_path, around)
    rows = np.arange(4)
    data = SimpleNamespace(x=np.zeros((4, 1)), y=np.zeros(4))
    jobs = [(Job(k, 0), Fold(f"{k}", np.delete(rows, k), rows[k : k + 1], [""])) for k in rows]
    plan = Plan(steps=10, seconds=100.0, until=420.0)
    assert len(list(fit_jobs(jobs, data, run.learner, plan, run, "subject"))) == 4
    assert run.given == pytest.approx(given)
    assert run.elapsed == pytest.approx(ends)


def test_a_run_that_goes_on_gives_its_fits_what_was_planned():
    """Its clock begins anew."""
    plan = Plan(steps=10, seconds=100.0, until=420.0)
    assert plan.seconds_of_fit(5.0, 2) == 100.0
    assert Plan(steps=10, until=420.0).seconds_of_fit(400.0, 4) is None
