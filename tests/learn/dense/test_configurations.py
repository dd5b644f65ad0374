"""Configurations trained in the same folds, and the one or the pair that held-out cases favour."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.run import Run
from neuroloom.core.split import Fold
from neuroloom.learn.dense import configurations
from neuroloom.learn.dense.configurations import choose, fit_configurations, settled, table_of
from neuroloom.learn.dense.training import timing
from neuroloom.learn.training.budget import Plan
from neuroloom.volumes.segment import Segment
from tests import grids

SMALL = {
    "budget": "6 steps", "folds": 2, "plan": {"features": "4", "batch": "2"},
    "configurations": ["2d", "3d_fullres"],
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four labelled cases of two classes, and one without a label."""
    return grids.write_nnunet(tmp_path_factory.mktemp("data") / "Dataset001_Toy", cases=5)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Run:
    return Segment(**SMALL).run(data, tmp_path_factory.mktemp("run") / "r")


def fake(truths: list[np.ndarray]) -> SimpleNamespace:
    """Return what the choice needs of prepared data: every case is a fold of its own."""
    cases = [SimpleNamespace(truth=lambda own=own: own) for own in truths]
    facts = {
        "classes_of": {"0": "background", "1": "cell"},
        "regions": None,
        "parts": {"cell": [1]},
        "ignore": None,
    }
    table = pd.DataFrame({"name": [f"case {k}" for k in range(len(truths))]})
    folds = [
        Fold(f"fold {k}", np.array([j for j in range(len(truths)) if j != k]), np.array([k]), [""])
        for k in range(len(truths))
    ]
    return SimpleNamespace(dataset=SimpleNamespace(x=cases, facts=facts, table=table), folds=folds)


def fits_of(foreground: list[np.ndarray]) -> list[SimpleNamespace]:
    """Return a fit a fold that gives these probabilities of the foreground."""
    return [
        SimpleNamespace(job=SimpleNamespace(fold=k), scores=[np.stack([1 - p, p])])
        for k, p in enumerate(foreground)
    ]


def test_a_pair_is_the_mean_of_probabilities_and_wins_where_errors_differ():
    truth = np.array([0, 0, 1, 1])
    left, right = np.array([0.6, 0.1, 0.9, 0.9]), np.array([0.1, 0.6, 0.9, 0.9])
    prepared = fake([truth, truth])
    scores = table_of(prepared, {"2d": fits_of([left] * 2), "3d_fullres": fits_of([right] * 2)})
    assert scores[["2d", "3d_fullres"]].to_numpy() == pytest.approx(0.8)
    assert scores["2d + 3d_fullres"].tolist() == [1.0, 1.0]
    assert choose(scores)["kept"] == ("2d", "3d_fullres")


def test_what_is_not_to_be_scored_takes_no_part_in_the_choice():
    truth = np.array([0, 1, 9])
    prepared = fake([truth])
    prepared.dataset.facts["ignore"] = 9
    good, bad = np.array([0.1, 0.9, 0.9]), np.array([0.1, 0.1, 0.1])
    scores = table_of(prepared, {"2d": fits_of([good]), "3d_fullres": fits_of([bad])})
    assert scores["2d"].tolist() == [1.0]
    assert scores["3d_fullres"].tolist() == [0.0]


def test_a_fold_is_judged_by_what_the_other_folds_chose():
    seen = {"fold": [0, 0, 1, 1], "case": list("abcd")}
    dice = {"2d": [0.9, 0.9, 0.2, 0.2], "3d_fullres": [0.1, 0.1, 0.6, 0.6]}
    made = choose(pd.DataFrame(seen | dice))
    assert made["by_fold"] == {0: ("3d_fullres",), 1: ("2d",)}
    assert made["kept"] == ("2d",)
    assert made["cross_fitted"]


def test_one_split_says_that_it_picked_on_what_it_scores():
    seen = pd.DataFrame({"fold": [0], "case": ["a"], "2d": [0.9], "3d_fullres": [0.1]})
    assert not choose(seen)["cross_fitted"]


def test_choosing_on_chance_wins_nothing_when_other_folds_choose():
    """Of twenty candidates of equal worth the best looks better than it is; the choice does not."""
    rng = np.random.default_rng(0)
    naive, honest = [], []
    for _ in range(200):
        noise = rng.normal(0.5, 0.1, (5, 20))
        seen = pd.DataFrame(noise, columns=[f"c{k}" for k in range(20)])
        seen.insert(0, "case", range(5))
        seen.insert(0, "fold", range(5))
        made = choose(seen)
        naive.append(seen[made["kept"][0]].mean())
        honest.append(np.mean([seen[made["by_fold"][k][0]][k] for k in range(5)]))
    assert np.mean(naive) > 0.57
    assert np.mean(honest) < 0.51


def test_every_case_is_judged_once_whatever_was_chosen(run):
    rows = run.predictions
    counts = rows.groupby(["role", "example", "class"]).size()
    assert (counts == 1).all()
    assert len(counts) == 2 * 4 * 2


def test_the_run_says_what_it_chose_among(run):
    facts = read_json(run.folder / "configurations.json")
    assert set(facts["dice"]) == {"2d", "3d_fullres", "2d + 3d_fullres"}
    assert facts["cross_fitted"]
    best = max(facts["dice"].values())
    assert facts["dice"][facts["kept"]] == best
    assert facts["kept"] in (run.folder / "report.html").read_text(encoding="utf-8")


def test_prediction_is_the_mean_of_all_nets_of_what_was_kept(run, data, tmp_path):
    kept = read_json(run.folder / "configurations.json")["kept"].split(" + ")
    ensemble = run.recipe.load_model(run)
    members = [net for group in ensemble.members.values() for net in group]
    assert {net.plan.configuration for net in members} == set(kept)
    assert len(members) == 2 * len(kept)
    table = run.predict(data, out=tmp_path / "p")
    assert set(table["name"]) == {f"toy_{k:03d}" for k in range(5)}


def test_a_pair_is_stored_and_votes(data, tmp_path, monkeypatch):
    """Whatever the folds favour, both nets of a pair reach the stored model."""
    pair = ("2d", "3d_fullres")
    forced = {"kept": pair, "by_fold": {0: ("2d",), 1: pair}, "cross_fitted": True}
    monkeypatch.setattr(configurations, "choose", lambda scores: forced)
    recipe = Segment(**SMALL | {"budget": "2 steps"})
    done = recipe.run(data, tmp_path / "r")
    members = [net for group in recipe.load_model(done).members.values() for net in group]
    assert sorted(net.plan.dims for net in members) == [2, 2, 3, 3]
    assert (done.folder / "denseplan-2d.json").is_file()
    assert "Kept: 2d + 3d_fullres" in (done.folder / "report.html").read_text(encoding="utf-8")
    ensemble = recipe.load_model(done)
    dataset = recipe.read_like(ensemble.facts, data, [])
    p, _ = next(iter(recipe.scores_of(ensemble, dataset)))
    one = dataset.x[np.array([0])]
    by_hand = np.mean([next(iter(net.predict_scores(one))) for net in members], axis=0)
    assert p == pytest.approx(by_hand, abs=1e-6)


def test_the_same_again_gives_the_same(run, tmp_path):
    again = run.replay(tmp_path / "again")
    first, second = (read_json(r.folder / "metrics.json") for r in (run, again))
    assert first == second
    same = [read_json(r.folder / "configurations.json") for r in (run, again)]
    assert same[0] == same[1]


def test_a_replay_follows_the_turns_of_every_configuration_and_no_clock(run, data, tmp_path):
    """Plans and turns of a run whose time was short, as they are stored."""
    first, again = (tmp_path / name for name in ("first", "again"))
    shutil.copytree(run.folder, first)
    plan = read_json(first / "plan.json")
    for own in plan["configurations"].values():
        own |= {"seconds": 60.0, "all_seconds": True}
    key = "model-2d-001-0"
    write_json(first / "plan.json", plan | {"turns": {key: {"": [[1, 2.0]]}}})
    Run(first).replay(again)
    prepared = Segment(**SMALL).prepare(data)
    plans = settled(Segment(**SMALL), prepared, Run(again))
    assert list(plans) == ["2d", "3d_fullres"]
    assert all(own.seconds is None for own in plans.values())
    assert plans["2d"].turns[key] == {"": [[1, 2.0]]}
    fitted = [line for line in (again / "log.jsonl").open() if '"fitted"' in line]
    steps = {json.loads(line)["role"] + str(json.loads(line)["fit"]): json.loads(line)["stopped"]
             for line in fitted}  # fmt: skip
    assert steps["model-2d2"] != steps["model-2d1"]


def test_auto_takes_what_the_data_admit_and_refits_the_chosen(data, tmp_path):
    fields = SMALL | {"configurations": ["auto"], "folds": 1, "final": "refit", "budget": "2 steps"}
    recipe = Segment(**fields)
    done = recipe.run(data, tmp_path / "r")
    facts = read_json(done.folder / "configurations.json")
    assert set(facts["dice"]) == {"2d", "3d_fullres", "2d + 3d_fullres"}
    assert not facts["cross_fitted"]
    assert "the best of 3 on the very cases" in (done.folder / "report.html").read_text("utf-8")
    ensemble = recipe.load_model(done)
    assert ensemble.facts["kind"] == "refit on all data"
    assert len(ensemble.members[""]) == len(facts["kept"].split(" + "))


def test_nets_are_planned_for_the_time_that_their_steps_were_measured_for(
    data, tmp_path, monkeypatch
):
    """A minute, two folds, two configurations: a fit has a quarter of it, which makes its net."""
    recipe, seen = Segment(**SMALL | {"budget": "60s"}), []
    stored = {name: Plan(steps=2).as_dict() for name in SMALL["configurations"]}
    write_json(tmp_path / "plan.json", {"configurations": stored})

    def noted(jobs, dataset, make, *rest):
        seen.append(make().wishes.budget_s)
        raise InterruptedError

    monkeypatch.setattr(configurations, "fit_jobs", noted)
    with pytest.raises(InterruptedError):
        fit_configurations(recipe, recipe.prepare(data), SimpleNamespace(folder=tmp_path))
    assert seen == [15.0]


def planned(recipe, data, folder, monkeypatch, plan):
    """Return the plans of configurations, with `plan(judge, run)` for what each is measured for."""
    run = SimpleNamespace(folder=folder, elapsed=0.0, log=lambda *_, **__: None)

    def measured(study, prepared, run, left=None, judge=None):
        return plan(judge, run)

    monkeypatch.setattr(timing, "plan_fits", measured)
    monkeypatch.setattr(configurations, "object_to_short", lambda *_: None)
    return settled(recipe, recipe.prepare(data), run), run


def test_fits_follow_one_another_from_when_the_last_was_measured(data, tmp_path, monkeypatch):
    def plan(judge, run):
        run.elapsed += 10  # to measure
        return Plan(steps=9, seconds=5.0, until=run.elapsed + 20)

    recipe = Segment(**SMALL | {"budget": "60s"})
    plans, _ = planned(recipe, data, tmp_path, monkeypatch, plan)
    assert [own.until for own in plans.values()] == [40, 60]


def test_judging_is_measured_once_and_kept_once(data, tmp_path, monkeypatch):
    asked, kept = [], []

    def seconds(study, dataset, row, outputs):
        asked.append(row)
        return 8.0

    def plan(judge, run):
        kept.append(judge(None, 3, 2))
        return Plan(steps=9)

    monkeypatch.setattr(Segment, "seconds_to_judge", seconds)
    planned(Segment(**SMALL | {"budget": "60s"}), data, tmp_path, monkeypatch, plan)
    assert (asked, kept) == ([3], [4.0, 4.0])


def test_a_refit_has_its_time_though_the_folds_of_all_come_first(data, tmp_path, monkeypatch):
    def plan(judge, run):
        return Plan(steps=9, seconds=5.0, until=run.elapsed + 15)

    recipe = Segment(**SMALL | {"budget": "60s"})
    plans, run = planned(recipe, data, tmp_path, monkeypatch, plan)
    seen = []

    def noted(jobs, dataset, make, plan, *rest):
        seen.append(plan.seconds_of_fit(20.0, len(jobs)))  # after two folds of each
        raise InterruptedError

    monkeypatch.setattr(configurations, "fit_jobs", noted)
    with pytest.raises(InterruptedError):
        configurations._refitted(recipe, recipe.prepare(data), run, ("2d",), plans)
    assert seen == [5.0]


@pytest.mark.long
def test_time_is_shared_among_configurations(data, tmp_path):
    done = Segment(**SMALL | {"budget": "12s", "folds": 1}).run(data, tmp_path / "r")
    plans = read_json(done.folder / "plan.json")["configurations"]
    assert all(plan["steps"] >= 1 for plan in plans.values())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"folds": 0}, "holds nothing out"),
        ({"configuration": "2d"}, "not both"),
        ({"configurations": ["2d"]}, "two or more"),
        ({"configurations": ["2d", "3d_lowres"]}, "makes no '3d_lowres'"),
        ({"model": "voxel-logistic", "plan": {}}, "of nets"),
    ],
)
def test_what_leaves_nothing_to_choose_is_refused(fields, words, data, tmp_path):
    with pytest.raises(ConfigError, match=words):
        Segment(**SMALL | fields).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
