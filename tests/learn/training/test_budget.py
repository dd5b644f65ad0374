"""Budgets: what can be written, and how a time becomes a plan."""

from __future__ import annotations

import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.budget import MARGIN, Budget, parse_budget, plan_time


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("90 sec", Budget(seconds=90)),
        ("10min", Budget(seconds=600)),
        ("2 minutes", Budget(seconds=120)),
        ("1.5h", Budget(seconds=5400)),
        ("1 hour", Budget(seconds=3600)),
        ("200 epochs", Budget(epochs=200)),
        ("1 epoch", Budget(epochs=1)),
        ("3000steps", Budget(steps=3000)),
        (" 5 MIN ", Budget(seconds=300)),
    ],
)
def test_times_and_counts_are_read(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "5", "min", "0s", "-5min", "2.5 epochs", "0 epochs", "5 days", "1h30", "s", "5 mins!"],
)
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match=r"expected a time \('90s'.*'200 epochs'"):
        parse_budget(text)


def test_what_is_left_is_shared_among_the_fits():
    plan = plan_time(60.0, per_epoch=0.1, fits=4, ceiling=1000)
    assert plan.epochs == int(60 / (MARGIN * 0.1 * 4))
    assert "what the time allows (100 ms an epoch measured)" in plan.reason


def test_the_net_gets_no_more_epochs_than_it_wants():
    plan = plan_time(6000.0, per_epoch=0.1, fits=1, ceiling=300)
    assert plan.epochs == 300
    assert "the net's own 300 suffice" in plan.reason


def test_one_epoch_is_the_least():
    assert plan_time(0.0, per_epoch=3.0, fits=50, ceiling=300).epochs == 1


def test_few_epochs_are_planned_in_steps_so_that_no_time_is_left():
    plan = plan_time(19.9 * MARGIN, per_epoch=10.0, fits=1, ceiling=20, steps=83)
    assert plan.epochs is None
    assert plan.steps == 165
    assert plan.all_seconds
    assert "165 steps, 2.0 epochs" in plan.reason
    assert plan_time(0.0, per_epoch=10.0, fits=5, ceiling=20, steps=83).steps == 1
    around = plan_time(19.9 * MARGIN + 6, per_epoch=10.0, fits=1, ceiling=20, steps=83, around=6.0)
    assert around.steps == 165
    assert around.seconds == pytest.approx(plan.seconds)
    # Whatever a fit takes around its steps, half of its time is left to them.
    assert plan_time(90.0, per_epoch=10.0, fits=5, ceiling=20, steps=83, around=99.0).steps == 64
    # Many are not, nor those of a net that needs few.
    assert plan_time(1000.0, per_epoch=10.0, fits=1, ceiling=300, steps=83).epochs == 86
    assert plan_time(100.0, per_epoch=10.0, fits=1, ceiling=5, steps=83).epochs == 5
