"""How many steps a time allows, and what is said of few."""

from types import SimpleNamespace

import pytest

from neuroloom.core.files import read_json, write_json
from neuroloom.learn.dense.training.timing import FEW_STEPS, chosen_precision, plan_steps
from neuroloom.learn.study import object_to_short
from neuroloom.learn.training.budget import Plan


@pytest.mark.parametrize(("seconds", "few"), [(10.0, True), (0.01, False)])
def test_a_plan_of_few_steps_says_so(seconds, few):
    learner = SimpleNamespace(seconds_per_step=lambda x, at_least, precision: seconds)
    data = SimpleNamespace(x=[None])
    prepared = SimpleNamespace(dataset=data, largest=0, folds=[SimpleNamespace(test=[])])
    plan = plan_steps(learner, prepared, 100.0, 100.0, 1, "32")
    assert plan.steps == pytest.approx((100 - 6) / 1.02 / seconds, rel=0.2)
    assert (plan.steps < FEW_STEPS) == few
    assert ("a net learns little in so few" in plan.reason) == few


@pytest.mark.parametrize(
    ("wanted", "tiles", "slow", "quick", "found"),
    [
        ("32", True, 2.0, 1.0, ("32-true", 2.0)),
        ("bf16", False, 1.0, 2.0, ("bf16-mixed", 2.0)),
        ("auto", True, 2.0, 1.0, ("bf16-mixed", 1.0)),
        ("auto", True, 1.1, 1.0, ("32-true", 1.1)),
        ("auto", False, 2.0, 1.0, ("32-true", 2.0)),
    ],
)
def test_fewer_bits_are_taken_where_they_are_quicker(
    monkeypatch, wanted, tiles, slow, quick, found
):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    seconds = {"32-true": slow, "bf16-mixed": quick}
    assert chosen_precision(seconds.__getitem__, wanted) == found


@pytest.mark.parametrize(("left", "objects"), [(-50.0, True), (90.0, False)])
def test_a_budget_that_is_spent_before_training_is_objected_to(left, objects):
    """A baseline of CT took hours of ten minutes, and nets of one step each were called done."""
    learner = SimpleNamespace(seconds_per_step=lambda x, at_least, precision: 10.0)
    data = SimpleNamespace(x=[None])
    prepared = SimpleNamespace(dataset=data, largest=0, folds=[SimpleNamespace(test=[])])
    plan = plan_steps(learner, prepared, left, 100.0, 5, "32")
    assert plan.steps == 1
    assert ("took 150 of the 100 s" in plan.short) == bool(plan.short) == objects


def test_the_objection_reaches_the_audit_once(tmp_path):
    write_json(tmp_path / "audit.json", [{"severity": "note"}])
    logged = []
    run = SimpleNamespace(folder=tmp_path, log=lambda event, **facts: logged.append(facts))
    object_to_short(run, [Plan(), Plan(short="too short"), Plan(short="too short")])
    found = read_json(tmp_path / "audit.json")
    assert [row["severity"] for row in found] == ["note", "objection"]
    assert found[1]["detail"] == "too short"
    assert logged == [found[1]]
