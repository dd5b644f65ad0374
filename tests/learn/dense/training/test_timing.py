"""How many steps a time allows, and what is said of few."""

from types import SimpleNamespace

import pytest

from neuroloom.learn.dense.training.timing import FEW_STEPS, plan_steps


@pytest.mark.parametrize(("seconds", "few"), [(10.0, True), (0.01, False)])
def test_a_plan_of_few_steps_says_so(seconds, few):
    learner = SimpleNamespace(seconds_per_step=lambda x, at_least: seconds)
    data = SimpleNamespace(x=[None])
    prepared = SimpleNamespace(dataset=data, largest=0, folds=[SimpleNamespace(test=[])])
    plan = plan_steps(learner, prepared, 100.0, 100.0, 1, "32")
    assert plan.steps == pytest.approx((100 - 6) / 1.02 / seconds, rel=0.2)
    assert (plan.steps < FEW_STEPS) == few
    assert ("a net learns little in so few" in plan.reason) == few
