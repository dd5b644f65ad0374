"""A fit ends in its time though the machine changes, and a replay takes the same steps."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.files import read_json, write_json
from neuroloom.learn.training.budget import Plan
from neuroloom.learn.training.fit import FitJob, Training, fit
from neuroloom.learn.training.pace import LEAST, Pace, effort_of_stages


def walked(pace, seconds):
    """Walk to the end; `seconds` says how long the step at a share of the way takes."""
    while not pace.done:
        pace.step(seconds(pace.share))
    return pace


def test_in_time_every_planned_step_is_taken():
    pace = walked(Pace(1000, seconds=100.0), lambda share: 0.095)
    assert (pace.steps, pace.at, pace.rate, pace.turns) == (1000, 1000.0, 1.0, [])


@pytest.mark.parametrize("slower", [1.3, 2.0, 5.0])
def test_a_slower_machine_gets_fewer_steps_in_the_same_time(slower):
    pace = walked(Pace(1000, seconds=1000.0), lambda share: slower * 0.97)
    assert pace.spent == pytest.approx(1000.0, rel=0.03)
    assert pace.share == pytest.approx(1.0)


def test_a_machine_that_recovers_gets_its_steps_back():
    busy = walked(Pace(1000, seconds=1000.0), lambda share: 3.0 if share < 0.2 else 0.9)
    always = walked(Pace(1000, seconds=1000.0), lambda share: 3.0)
    assert busy.spent <= 1030
    assert busy.steps > 1.5 * always.steps


def test_late_load_costs_no_more_than_the_time():
    pace = walked(Pace(1000, seconds=1000.0), lambda share: 0.95 if share < 0.5 else 2.0)
    assert pace.spent == pytest.approx(1000.0, rel=0.05)


def test_dear_stages_at_the_end_are_foreseen():
    """Without the effort a fit whose last steps are dear notices too late."""
    effort = effort_of_stages([0.85, 1.0], [1.0, 3.0])
    mean = 0.85 + 3 * 0.15

    def seconds(share):
        return 1.5 * (1.0 if share < 0.85 else 3.0) / mean

    pace = walked(Pace(1000, seconds=1000.0, effort=effort), seconds)
    assert pace.spent == pytest.approx(1000.0, rel=0.03)
    assert max(rate for _, rate in pace.turns) < 1.8  # evenly over the fit


def test_an_idle_machine_with_dear_stages_is_left_alone():
    effort = effort_of_stages([0.85, 1.0], [1.0, 3.0])

    def seconds(share):
        return 0.97 * (1.0 if share < 0.85 else 3.0) / 1.3

    assert walked(Pace(1000, 1000.0, effort), seconds).turns == []


@pytest.mark.parametrize("quicker", [1.2, 2.0, 12.0])
def test_a_machine_that_was_busy_while_steps_were_planned_takes_more_of_them(quicker):
    pace = walked(Pace(1000, seconds=1000.0, least=LEAST), lambda share: 1 / quicker)
    assert pace.spent == pytest.approx(1000.0, rel=0.03)
    assert pace.steps == pytest.approx(1000 * quicker, rel=0.1)
    assert pace.share == pytest.approx(1.0)
    again = walked(Pace(1000, turns=list(pace.turns)), lambda share: 9.0)
    assert (again.steps, again.at) == (pace.steps, pace.at)


def test_a_fit_uses_its_time_only_where_more_steps_help(monkeypatch):
    clock = itertools.count()
    quick = SimpleNamespace(perf_counter=lambda: float(next(clock)), monotonic=time.monotonic)
    monkeypatch.setattr("neuroloom.learn.training.fit.time", quick)
    first, history = fitted(FitJob(steps=100, seconds=200.0, all_seconds=True))
    assert len(first.seen) == pytest.approx(200, rel=0.07)
    assert "quicker than planned" in history.stopped
    other, history = fitted(FitJob(steps=100, seconds=200.0))
    assert (len(other.seen), history.stopped) == (100, "all 100 steps done")


def test_turns_are_followed_without_a_clock():
    first = walked(Pace(400, seconds=400.0), lambda share: 2.2)
    again = walked(Pace(400, turns=list(first.turns)), lambda share: 0.001)
    assert again.steps == first.steps
    assert again.at == first.at


def test_a_stopped_walk_goes_on_as_if_it_was_not():
    whole = walked(Pace(400, seconds=400.0), lambda share: 2.2)
    part = Pace(400, seconds=400.0)
    for _ in range(60):
        part.step(2.2)
    after = Pace(400, seconds=400.0)
    after.restore(part.as_dict())
    assert walked(after, lambda share: 2.2).turns == whole.turns


class Noting:
    """Make a module of `fit` that notes what share of the fit was done before each step."""

    def __new__(cls):
        import torch

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(3, 1)
                self.seen = []

            def at(self, share):
                self.seen.append(share)

            def loss(self, x, y, generator):
                return ((self.layer(x)[:, 0] - y) ** 2).mean()

            def constrain(self):
                pass

            def settle(self, batches):
                self.eval()

        torch.manual_seed(0)
        return Module()


def fitted(job):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    module = Noting()
    history = fit(module, x, x[:, 0], Training(batch=10), job)
    return module, history


def test_a_fit_keeps_its_time_and_a_replay_its_weights(monkeypatch):
    clock = itertools.count()  # each look takes a second, and a step has one
    slow = SimpleNamespace(perf_counter=lambda: float(next(clock)), monotonic=time.monotonic)
    monkeypatch.setattr("neuroloom.learn.training.fit.time", slow)
    first, history = fitted(FitJob(steps=200, seconds=100.0))
    assert next(clock) == pytest.approx(100, rel=0.05)
    assert len(first.seen) == pytest.approx(100, rel=0.05)
    assert "longer than planned" in history.stopped
    assert all(a < b for a, b in itertools.pairwise(first.seen))
    second, again = fitted(FitJob(steps=200, turns=history.turns))
    assert again.turns == history.turns
    assert second.seen == first.seen
    weights = [dict(m.state_dict()) for m in (first, second)]
    assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])


def test_a_replay_of_a_run_that_left_steps_out_follows_them(tmp_path):
    """The plan of a replay has the turns and no clock."""
    from neuroloom.core.run import _without_clock

    file = tmp_path / "plan.json"
    write_json(file, {"steps": 10, "seconds": 3.0, "turns": {"a": {"": [[2, 1.6]]}}})
    _without_clock(file)
    plan = Plan(**read_json(file))
    assert plan.seconds is None
    job = FitJob(steps=10, turns=plan.turns["a"])
    assert len(fitted(job)[0].seen) == 2 + 5
