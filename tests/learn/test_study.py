"""The course of a study on small recordings: the same again, cut short, however it is split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from neuroloom.learn.store import load_ensemble
from neuroloom.signals import Decode
from tests import makers

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with makers.no_report():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return makers.write_runs(tmp_path_factory.mktemp("data"), runs=3)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    return makers.write_runs(tmp_path_factory.mktemp("people"), subjects=2, runs=2)


def study(data, out, **fields):
    return Decode(**(makers.FIELDS | fields)).run(data, out)


def csp(data, out, **fields):
    return study(data, out, model="csp-lda", **fields)


def same(a: Run, b: Run, *names: str) -> bool:
    return all((a.folder / n).read_bytes() == (b.folder / n).read_bytes() for n in names)


def events(run, name):
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").open()]
    return [line for line in lines if line["event"] == name]


RESULTS = ("predictions.parquet", "metrics.json", "metrics.parquet", "model.safetensors")


# -- the same again ---------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["3 epochs", "5 steps"])
def test_the_same_budget_and_seed_give_the_same_bytes(data, tmp_path, budget):
    a, b = (study(data, tmp_path / name, budget=budget) for name in "ab")
    assert same(a, b, *RESULTS, "baseline.safetensors", "card.md")


def test_another_seed_gives_another_net(data, tmp_path):
    a, b = (study(data, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert not same(a, b, "model.safetensors")


def test_replay_follows_the_plan_that_a_time_became(data, tmp_path):
    run = study(data, tmp_path / "a", budget="4s")
    plan = read_json(run.folder / "plan.json")
    assert (plan["epochs"] or plan["steps"]) >= 1
    assert events(run, "plan")
    assert plan["seconds"] > 0
    again = run.replay()  # follows the steps, whatever the clock says
    assert read_json(again.folder / "plan.json") == plan | {"seconds": None}
    assert same(run, again, *RESULTS)


def test_a_run_that_failed_midway_resumes_to_the_same(data, tmp_path, monkeypatch):
    from neuroloom.learn.training import crossfit

    whole = study(data, tmp_path / "whole")
    fit_one, done = crossfit._fit_one, []

    def twice_only(*arguments):
        if len(done) == 4:
            raise OSError(28, "No space left on device")
        done.append(fit_one(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(crossfit, "_fit_one", twice_only)
        with pytest.raises(RunError, match=r"No space left"):
            study(data, tmp_path / "cut")
    run = Run(tmp_path / "cut")
    assert run.state == "failed"
    run.resume()
    assert same(whole, run, *RESULTS)
    assert len(events(run, "fitted")) == len(events(whole, "fitted"))


@pytest.mark.parametrize("verb", ["resume", "replay"])
def test_data_that_changed_are_refused(tmp_path, verb):
    run = csp(makers.write_runs(tmp_path / "d", runs=2), tmp_path / "out")
    run.set_status("failed")
    makers.write(makers.recording(77), tmp_path / "d/sub-1_run-2_eeg.edf")
    with pytest.raises(DataError, match=r"sub-1_run-2_eeg\.edf changed since"):
        getattr(run, verb)()


def test_a_file_of_test_names_is_read_once(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("*run-2*\n")
    run = csp(data, tmp_path / "out", test=["names.txt"])
    assert run.recipe.test == ["*run-2*"]
    Path("names.txt").write_text("*run-1*\n")
    monkeypatch.chdir("/")
    again = run.replay(tmp_path / "again")
    assert same(run, again, *RESULTS)


@pytest.mark.parametrize("verb", ["resume", "replay"])
def test_other_folds_are_not_paired_with_what_was_learnt(data, tmp_path, verb):
    run = csp(data, tmp_path / "out", test=["*run-2*"])
    run.set_status("failed")
    file = run.folder / "recipe.yaml"
    file.write_text(file.read_text().replace("run-2", "run-1"))
    with pytest.raises(ConfigError, match=r"other examples are held out"):
        getattr(run, verb)()


def test_data_that_were_moved_may_be_named_anew(tmp_path):
    data = makers.write_runs(tmp_path / "d", runs=2)
    run = csp(data, tmp_path / "out")
    run.set_status("failed")
    data.rename(tmp_path / "moved")
    for verb in (run.resume, run.replay, run.explain):
        with pytest.raises(DataError, match=r"no longer there.*after `data:` in .*recipe\.yaml"):
            verb()
    file = run.folder / "recipe.yaml"
    file.write_text(file.read_text().replace(str(data), str(tmp_path / "moved")))
    assert run.resume().state == "done"
    assert same(run, run.replay(), *RESULTS)


@pytest.mark.parametrize("kib", [72, 96, 160])
def test_a_disk_that_fills_up_fails_the_run_with_its_state_written(data, tmp_path, kib):
    with makers.small_disk(tmp_path / "disk", kib) as disk:
        with pytest.raises(RunError, match=r"No space left|could not be written"):
            study(data, disk / "out")
        status = Run(disk / "out").status
    assert status["state"] == "failed"
    assert "No space left" in status["error"]


# -- seeds, folds, subjects -------------------------------------------------------------------


def test_a_net_is_trained_from_every_seed_and_an_estimator_once(data, tmp_path):
    run = study(data, tmp_path / "a", seeds=2, seed=5)
    table = run.predictions
    seeds = table.groupby("role")["seed"].unique().map(sorted).to_dict()
    assert seeds == {"model": [5, 6], "baseline": [5]}
    assert table.groupby(["role", "seed"]).size().unique().tolist() == [48]


def test_every_example_is_scored_once_by_a_model_that_did_not_see_it(data, tmp_path):
    run = csp(data, tmp_path / "a")
    table = run.predictions.query("role == 'model'")
    assert sorted(table["example"]) == list(range(48))
    assert (table.groupby("fold")["run"].nunique() == 1).all()
    assert (table["unit"] == table["run"]).all()
    np.testing.assert_allclose(table[["p_left", "p_right"]].sum(axis=1), 1)


def test_a_planted_difference_is_found(data, tmp_path):
    metrics = read_json(csp(data, tmp_path / "a").folder / "metrics.json")
    assert metrics["accuracy"]["value"] >= 0.95
    assert metrics["accuracy"]["chance"] == pytest.approx(0.5)


@pytest.mark.parametrize("model", ["csp-lda", "eegnet"])
def test_without_folds_nothing_is_judged_but_a_model_is_kept(data, tmp_path, model):
    run = study(data, tmp_path / "a", folds=0, model=model)
    assert (run.folder / "metrics.json").read_text().strip() == "{}"
    assert "Nothing was held out" in (run.folder / "card.md").read_text()
    assert len(run.predict(data)) == 48


def test_without_folds_a_time_budget_is_for_one_fit(data, tmp_path, monkeypatch):
    from neuroloom.learn import study as module

    asked, beside = [], []
    plan_time = module.plan_time

    def noted(seconds, per_epoch, fits, ceiling, **more):
        asked.append(fits)
        beside.append(more)
        return plan_time(0.0, per_epoch, fits, ceiling)

    monkeypatch.setattr(module, "plan_time", noted)
    study(data, tmp_path / "a", folds=0, budget="30s")
    study(data, tmp_path / "b", budget="30s", seeds=2)
    study(data, tmp_path / "c", budget="30s", final="refit")
    assert asked == [1, 6, 4]
    assert all(more["steps"] >= 1 and more["around"] > 0 for more in beside)


def test_per_subject_fits_and_keeps_one_model_each(people, tmp_path):
    run = csp(people, tmp_path / "a", per="subject")
    table = run.predictions.query("role == 'model'")
    assert sorted(table["unit"].unique()) == ["1/1", "1/2", "2/1", "2/2"]
    assert set(load_ensemble(run.folder / "model.safetensors").members) == {"1", "2"}
    assert len(run.predict(people)) == 64


def test_fits_are_counted_with_a_refit_of_each_subject(people):
    for fields, fits in (({}, 4), ({"final": "refit"}, 6), ({"folds": 0, "seeds": 3}, 6)):
        made = Decode(**(makers.FIELDS | {"per": "subject"} | fields))
        assert made.count_fits(made.find(made.model), made.prepare(people)) == fits


def test_runs_of_two_subjects_are_told_apart(people, tmp_path):
    run = csp(people, tmp_path / "a")
    assert run.predictions["unit"].nunique() == 4


def test_fixed_test_files_are_held_out(data, tmp_path):
    run = csp(data, tmp_path / "a", test=["*run-3*"])
    assert run.predictions["run"].unique().tolist() == ["3"]


@pytest.mark.parametrize(
    ("model", "final", "kind", "members"),
    [
        ("csp-lda", None, "refit on all data", 1),
        ("csp-lda", "ensemble", "ensemble of 3 fits on folds", 3),
        ("eegnet", None, "ensemble of 3 fits on folds", 3),
        ("eegnet", "refit", "refit on all data", 1),
    ],
)
def test_what_is_kept_for_predict(data, tmp_path, model, final, kind, members):
    run = study(data, tmp_path / "a", model=model, final=final)
    ensemble = load_ensemble(run.folder / "model.safetensors")
    assert ensemble.facts["kind"] == kind
    assert [len(group) for group in ensemble.members.values()] == [members]
    assert f"Stored model: {kind}" in (run.folder / "card.md").read_text()


def test_final_does_not_change_what_is_scored(data, tmp_path):
    a = csp(data, tmp_path / "a")
    b = csp(data, tmp_path / "b", final="ensemble")
    assert same(a, b, "predictions.parquet", "metrics.json")


def test_shuffled_labels_lie_near_chance(data, tmp_path):
    runs = [csp(data, tmp_path / str(seed), shuffle=True, seed=seed) for seed in range(5)]
    found = [read_json(run.folder / "metrics.json")["accuracy"]["value"] for run in runs]
    assert 0.35 < np.mean(found) < 0.65


# -- numbers ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Six recordings whose hum follows `dose`, and one whose dose is not known."""
    folder = tmp_path_factory.mktemp("doses")
    rows = ["path,dose,subject"]
    for k in range(7):
        made = makers.recording(k, trials=8, effect=4.0 * k, labels=("left",))
        made = made.assign_attrs(annotations=made.attrs["annotations"].iloc[:0])
        makers.write(made.isel(time=slice(0, 16 * 128)), folder / f"f{k}.edf")
        rows.append(f"f{k}.edf,{'' if k == 6 else k * 0.5},p{k}")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


@pytest.mark.parametrize("model", ["riemann", "eegnet"])
def test_a_numeric_target_is_learnt_as_a_number(manifest, tmp_path, model):
    run = study(
        manifest, tmp_path / "a", model=model, target="dose", window=2.0, stop=None, split="time"
    )
    metrics = read_json(run.folder / "metrics.json")
    assert list(metrics) == ["r2", "mae", "pearson"]
    assert "p_left" not in run.predictions
    if model == "riemann":
        assert metrics["pearson"]["value"] > 0.8
        assert run.predictions["role"].unique().tolist() == ["model"]


def test_the_unlabelled_are_counted_and_predicted(manifest, tmp_path):
    run = study(
        manifest, tmp_path / "a", model="riemann", target="dose", window=2.0, stop=None,
        split="time",
    )  # fmt: skip
    facts = read_json(run.folder / "dataset.json")
    assert facts["examples"] - facts["labelled"] == 8
    table = run.predict(manifest)
    assert len(table) == facts["examples"]
    assert table["label"].isna().sum() == 8
    assert table["decoded"].notna().all()


def test_csp_cannot_learn_numbers_and_says_so(manifest, tmp_path):
    with pytest.raises(ConfigError, match=r"model=csp-lda cannot learn regression"):
        csp(manifest, tmp_path / "a", target="dose", window=2.0, stop=None)
    assert not (tmp_path / "a").exists()


# -- early stopping ---------------------------------------------------------------------------


def test_with_two_hundred_examples_a_fifth_is_watched(tmp_path):
    folder = makers.write_runs(tmp_path / "d", runs=6, trials=45)
    run = study(folder, tmp_path / "a", folds=1, budget="2 epochs")
    (fitted,) = [line for line in events(run, "fitted") if line["role"] == "model"]
    assert fitted["validated"] == 45
    assert "all" in fitted["stopped"]


def test_a_flat_validation_stops_the_fit_and_the_log_says_so(tmp_path, monkeypatch):
    from neuroloom.learn.training import crossfit

    monkeypatch.setattr(crossfit, "PATIENCE", 1)
    monkeypatch.setattr(crossfit, "VALIDATION_FROM", 20)
    folder = makers.write_runs(tmp_path / "d", runs=4, effect=0.0)
    run = study(folder, tmp_path / "a", folds=1, budget="40 epochs")
    (fitted,) = [line for line in events(run, "fitted") if line["role"] == "model"]
    assert "validation flat since epoch" in fitted["stopped"]


# -- other data -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Run:
    return csp(data, tmp_path_factory.mktemp("trained") / "run", events={"left": "l", "right": "r"})


def test_evaluate_scores_the_model_and_its_baseline(trained, tmp_path):
    other = makers.write_runs(tmp_path / "other", subjects=1, runs=2, trials=10)
    table = trained.evaluate(other, out=tmp_path / "e")
    metrics = read_json(tmp_path / "e/metrics.json")
    assert metrics["accuracy"]["value"] >= 0.9
    assert metrics["accuracy"]["baseline"] is not None
    assert (table.attrs["labelled"], table.attrs["unlabelled"]) == (20, 0)
    assert {found["severity"] for found in table.attrs["findings"]} == {"note"}
    stored = pd.read_parquet(tmp_path / "e/predictions.parquet")
    assert set(stored["y_true"]) == {"l", "r"}


def test_evaluate_counts_what_has_no_label(manifest, tmp_path):
    run = study(
        manifest, tmp_path / "a", model="riemann", target="dose", window=2.0, stop=None,
        split="time",
    )  # fmt: skip
    table = run.evaluate(manifest, out=tmp_path / "e")
    assert (table.attrs["labelled"], table.attrs["unlabelled"]) == (48, 8)
    assert read_json(tmp_path / "e/evaluation.json")["unlabelled"] == 8


def test_evaluate_passes_over_a_recording_without_events(trained, tmp_path):
    made = makers.recording(50)
    makers.write(made, tmp_path / "d/a.edf")
    made.attrs["annotations"] = made.attrs["annotations"].iloc[:0]
    makers.write(made.isel(time=slice(0, 1280)), tmp_path / "d/b.edf")
    table = trained.evaluate(tmp_path / "d")
    assert (table.attrs["labelled"], table.attrs["unlabelled"]) == (16, 10)


def test_evaluate_of_unlabelled_data_only_is_refused(trained, tmp_path):
    made = makers.recording(50, labels=("flash",))
    makers.write(made, tmp_path / "d/a.edf")
    with pytest.raises(DataError, match=r"none of its .* examples has a label"):
        trained.evaluate(tmp_path / "d", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_evaluate_names_files_that_the_model_has_learnt_from(trained, data, tmp_path):
    """By their content: under other names as well, and beside new ones."""
    shutil.copy(data / "sub-1_run-1_eeg.edf", makers.write_runs(tmp_path / "d", runs=1) / "new.edf")
    makers.write(makers.recording(99), tmp_path / "d/sub-1_run-1_eeg.edf")
    table = trained.evaluate(tmp_path / "d", out=tmp_path / "e")
    found = table.attrs["findings"][-1]
    assert found == read_json(tmp_path / "e/audit.json")[-1]
    assert "examples are of files that this model has learnt from (new.edf)" in found["detail"]


def test_what_a_run_only_judged_on_is_new_to_its_model(data, tmp_path):
    run = study(data, tmp_path / "a", test=["*run-2*"], final="ensemble")
    kept = run.evaluate(data, include=["*run-2*"])
    again = run.evaluate(data, include=["*run-1*"])
    told = [{found["title"] for found in table.attrs["findings"]} for table in (kept, again)]
    assert told[1] - told[0] == {"Scored on what it learnt from"}


def test_a_baseline_is_not_scored_on_what_it_alone_has_learnt_from(data, tmp_path):
    """It is fitted on all data, also on what `test` holds out of the net."""
    run = study(data, tmp_path / "a", test=["*run-2*"])
    kept = run.evaluate(data, include=["*run-2*"], out=tmp_path / "e")
    told = {found["title"]: found["detail"] for found in kept.attrs["findings"]}
    assert "Scored on what it learnt from" not in told
    said = told["The baseline is left out"]
    assert said.startswith("16 of 16 examples are of files that the baseline, csp-lda, has")
    assert "include" not in said
    assert kept["baseline"].isna().all()
    assert set(pd.read_parquet(tmp_path / "e/predictions.parquet")["role"]) == {"model"}
    every = run.evaluate(data).attrs["findings"]
    (said,) = [one["detail"] for one in every if one["title"] == "The baseline is left out"]
    assert said.endswith("To score both, name the other files with `include`.")
    both = run.evaluate(data, include=["*run-1*"])  # what both have learnt from
    assert "The baseline is left out" not in {one["title"] for one in both.attrs["findings"]}
    assert both.query("metric == 'accuracy'")["baseline"].notna().all()


def test_include_narrows_what_is_evaluated(trained, data):
    assert trained.evaluate(data, include=["*run-2*"]).attrs["labelled"] == 16


def test_evaluate_equals_scoring_what_predict_returns(trained, tmp_path):
    other = makers.write_runs(tmp_path / "other", runs=1, trials=12, effect=3.0)
    table = trained.evaluate(other)
    decoded = trained.predict(other)
    accuracy = table.query("metric == 'accuracy'")["value"].iloc[0]
    assert accuracy == pytest.approx((decoded["label"] == decoded["decoded"]).mean())


# -- what is wrong before anything is written -------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "egnet"}, "'eegnet'"),
        ({"budget": "soon"}, "budget: expected a time"),
        ({"split": "subject"}, "split=subject needs two subjects"),
        ({"folds": 9}, "folds=9 is more than the 3 runs"),
        ({"events": {"left": "a", "rihgt": "b"}}, "'rihgt'.*'right'"),
        ({"augment": ["sing"]}, "augment"),
    ],
)
def test_a_setting_that_does_not_fit_leaves_nothing_behind(data, tmp_path, fields, said):
    with pytest.raises(ConfigError, match=said):
        study(data, tmp_path / "a", **fields)
    assert not (tmp_path / "a").exists()
