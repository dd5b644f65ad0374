"""How many steps a time allows, and what is said of few."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.files import read_json, write_json
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.training.learner import rehearsal
from neuroloom.learn.dense.training.timing import FEW_STEPS, chosen_precision, plan_steps
from neuroloom.learn.study import object_to_short
from neuroloom.learn.training.budget import Plan
from tests.learn.dense.test_streaming import Toy
from tests.learn.dense.training.test_module import PLAN


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


@pytest.mark.parametrize(("laying", "steps"), [(0.0, 92), (1.0, 92), (42.0, 52), (900.0, 49)])
def test_laying_out_the_cases_of_all_fits_is_part_of_the_time(laying, steps):
    """What the margin bears takes no step; half of the time is left to steps in any case."""
    learner = SimpleNamespace(
        seconds_per_step=lambda x, at_least, precision: 1.0, seconds_to_lay=lambda x, fits: laying
    )
    data = SimpleNamespace(x=[None])
    prepared = SimpleNamespace(dataset=data, largest=0, folds=[SimpleNamespace(test=[])])
    assert plan_steps(learner, prepared, 100.0, 100.0, 1, "32").steps == steps


def held_out(shapes, judge, fits=1, seconds=0.01):
    """Plan 1000 s where cases of these shapes are held out; a net's patch is 8 x 8."""

    class Cases(list):
        def __getitem__(self, rows):
            return self if isinstance(rows, np.ndarray) else super().__getitem__(rows)

    def predict_scores(x):
        time.sleep(seconds)
        yield np.zeros((3, 1))

    probe = SimpleNamespace(plan=SimpleNamespace(patch=(8, 8)), predict_scores=predict_scores)
    learner = SimpleNamespace(seconds_per_step=lambda x, at_least, precision: 0.1, rehearsed=probe)
    data = SimpleNamespace(x=Cases(SimpleNamespace(shape=shape) for shape in shapes))
    folds = [SimpleNamespace(test=[row]) for row in range(len(shapes))]
    prepared = SimpleNamespace(dataset=data, largest=np.arange(1), folds=folds)
    return plan_steps(learner, prepared, 1000.0, 1000.0, fits, "32", judge)


def test_judging_held_out_cases_is_part_of_the_time():
    """A hundred classes of twenty CTs took hours after ten minutes of training."""
    asked = []

    def judge(data, row, outputs):
        asked.append((row, outputs))
        return 40.0

    short, long = (held_out([(10, 10)] * 5, one) for one in (lambda *_: 0.0, judge))
    assert asked == [(2, 3)]
    beside = 5 * 40 - 15 / 3  # a third of the report's time is for scores
    assert short.seconds - long.seconds == pytest.approx(beside / 1.02, rel=0.01)


def test_a_plan_says_when_the_steps_of_its_last_fit_end():
    plan = held_out([(8, 8)] * 5, lambda *_: 0.0, fits=5, seconds=0.2)
    assert plan.until == pytest.approx(5 * 1.02 * plan.seconds + 4 * 0.2, abs=0.3)
    assert plan.until == pytest.approx(1000 - 15 - 0.2 - 0.2, abs=0.3)


def test_large_cases_beside_small_ones_take_their_time():
    """Eight crops beside two slides kept seconds, and the slides took an hour."""
    alike = held_out([(4, 4)] * 10, lambda *_: 1.0, seconds=0.0)
    slides = held_out([(4, 4)] * 8 + [(80, 80)] * 2, lambda *_: 1.0, seconds=0.0)
    assert (alike.seconds - slides.seconds) * 1.02 == pytest.approx(2 * 99, rel=0.02)


class Slow(Toy):
    """A case that takes long to read."""

    def image(self):
        time.sleep(0.02)
        return super().image()


def test_a_rehearsal_makes_no_more_cases_than_its_time_allows():
    """Of 64 scans that take seconds each, reading them would be most of ten minutes."""
    cases = DenseCases([Slow(k) for k in range(30)])
    few = rehearsal(cases, PLAN, 0.1)
    assert 4 <= len(few) <= 6
    assert len(few.kept(PLAN)) == len(few)
    assert rehearsal(cases, PLAN, 60.0).rows == cases.rows
    assert len(rehearsal(DenseCases(cases.cases, limit=0), PLAN, 60.0)) == 4


def test_what_the_fits_to_come_will_read_is_known_from_the_rehearsal():
    cases = DenseCases([Slow(k) for k in range(12)])
    few = rehearsal(cases, PLAN, 0.1)
    each = cases.seconds_of_making(PLAN) / len(few)
    rest = len(cases) - len(few)
    assert cases.seconds_to_make(PLAN, 5) == pytest.approx(rest * each)
    cases.limit = 6.5 * cases.memory["bytes"] / len(few)
    assert cases.seconds_to_make(PLAN, 5) == pytest.approx((rest + 4 * 6) * each)


@pytest.mark.parametrize(("bears", "found"), [(True, "bf16-mixed"), (False, "32-true")])
def test_only_learners_that_bear_fewer_bits_take_them_by_themselves(monkeypatch, bears, found):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    learner = SimpleNamespace(seconds_per_step=lambda x, at_least, precision: 1.0, bears_bf16=bears)
    prepared = SimpleNamespace(
        dataset=SimpleNamespace(x=[None]), largest=0, folds=[SimpleNamespace(test=[])]
    )
    assert plan_steps(learner, prepared, 90.0, 100.0, 1).precision == found
