"""`signals.detect` on planted spindles, and its bar on real ones."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.io.recordings.find import find
from neuroloom.signals.detect import Detect
from neuroloom.signals.examples import events as ev
from tests import makers, nights


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return nights.write_spindles(tmp_path_factory.mktemp("spindles"))


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr(Detect, "illustrate", lambda *_: None)
    monkeypatch.setattr(Detect, "report", lambda _, run: run.folder / "report.html")


def detect(**fields) -> Detect:
    return Detect(**(nights.DETECT | {"model": "rms-threshold"} | fields))


def f1(run) -> float:
    return read_json(run.folder / "metrics.json")["f1"]["value"]


def test_targets_are_the_union_of_the_marks(folder):
    recipe = detect()
    dataset = recipe.read(folder)
    assert dataset.classes == ["background", "spindle"]
    assert dataset.x.shape[2] == dataset.truth.shape[1] == round(12 * nights.RATE)
    made = nights.spindles(0).attrs["annotations"]
    first = made[made["label"] == "spindle/expert 1"]["onset"].to_numpy()
    marks = dataset.extra["events"]
    own = marks[marks["path"] == "sub-1_eeg.fif"]
    assert own["onset"].to_numpy() == pytest.approx(first, abs=1e-3)
    assert (own["stop"] - own["onset"]).to_numpy() == pytest.approx(1.2, abs=1e-3)
    row = dataset.table.iloc[3]
    time = row["onset"] + (np.arange(dataset.truth.shape[1]) + 0.5) / nights.RATE
    inside = ((time[:, None] > first) & (time[:, None] < first + 1.2)).any(1)
    assert np.mean(inside == dataset.truth[3]) > 0.995


@pytest.mark.usefixtures("_quick")
def test_the_threshold_finds_planted_spindles_of_new_people(folder, tmp_path):
    run = detect().run(folder, tmp_path / "run")
    assert f1(run) > 0.9
    table = run.predictions
    assert (table["tp"] + table["fn"] == table["y_true"]).all()
    assert (table["tp"] + table["fp"] == table["y_pred"]).all()
    assert sorted(table["unit"]) == ["1", "2", "3", "4"]
    assert table["minutes"].to_numpy() == pytest.approx(1.5)


@pytest.mark.usefixtures("_quick")
def test_a_net_finds_them_too_beside_the_threshold(folder, tmp_path):
    run = detect(model="unet", budget="60 steps", folds=1).run(folder, tmp_path / "run")
    told = read_json(run.folder / "metrics.json")["f1"]
    assert told["value"] > 0.75
    assert told["baseline"] > 0.9


@pytest.mark.usefixtures("_quick")
def test_what_is_not_there_is_not_found(tmp_path):
    data = nights.write_spindles(tmp_path / "d", subjects=3, size=0.0)
    assert f1(detect().run(data, tmp_path / "run")) < 0.35


@pytest.mark.usefixtures("_quick")
def test_the_threshold_can_be_chosen_in_the_fold(folder, tmp_path):
    run = detect(threshold=None, folds=1).run(folder, tmp_path / "run")
    assert f1(run) > 0.85
    kept = detect().load_model(run).facts["rule"]
    assert kept[0] in ev.THRESHOLDS


@pytest.mark.usefixtures("_quick")
def test_predict_names_the_events_and_annotates_a_copy(folder, tmp_path):
    run = detect(folds=1).run(folder, tmp_path / "run")
    bare = nights.spindles(9)
    onsets = bare.attrs["annotations"]["onset"][::2].to_numpy()
    bare.attrs["annotations"] = bare.attrs["annotations"].iloc[:0]
    makers.write(bare, tmp_path / "new/sub-9_eeg.fif")
    table = run.predict(tmp_path / "new", out=tmp_path / "out")
    assert list(table.columns) == ["path", "event", "onset", "stop", "duration", "peak"]
    near = np.abs(table["onset"].to_numpy()[:, None] - onsets).min(1)
    assert len(table) == pytest.approx(len(onsets), abs=2)
    assert np.median(near) < 0.5
    copy = mne.read_annotations(tmp_path / "out/sub-9_eeg_detected_raw.fif")
    assert set(copy.description) == {"spindle"}
    assert copy.onset == pytest.approx(table["onset"].to_numpy(), abs=0.01)


@pytest.mark.usefixtures("_quick")
def test_evaluate_counts_events_of_new_recordings(folder, tmp_path):
    run = detect(folds=1).run(folder, tmp_path / "run")
    makers.write(nights.spindles(11), tmp_path / "new/sub-9_eeg.fif")
    told = run.evaluate(tmp_path / "new").set_index(["fold", "seed", "metric"])
    assert told.loc[("all", "all", "f1"), "value"] > 0.85


def test_the_report_shows_what_a_reviewer_asks(folder, tmp_path):
    run = detect(model="unet", budget="2 steps", folds=1).run(folder, tmp_path / "run")
    names = {row["name"] for row in read_json(run.folder / "artifacts/index.json")}
    assert {"events", "stretches", "density", "precision-recall", "unit-scores"} <= names
    assert (run.folder / "artifacts/events.csv").is_file()
    page = (run.folder / "report.html").read_text()
    assert "F1 of events" in page


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"events": {}}, "say which annotations.*spindle/expert 1"),
        ({"events": {"spike": "spike"}}, "no recording has an annotation 'spike'"),
        ({"window": 80.0}, r"stretch of 120 s is longer than .*\(90 s\)"),
        ({"rate": 40.0}, "cannot hold the band up to 25 Hz"),
        ({"picks": ["Oz"]}, "no channel is called 'Oz'"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(folder, fields, said):
    with pytest.raises(ConfigError, match=said):
        detect(**fields).prepare(folder)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"shortest": 2.0, "longest": 1.0}, "must not exceed longest"),
        ({"band": (30.0, 5.0)}, "0 < low < high"),
        ({"events": {"a": "background"}}, "no event is called"),
    ],
)
def test_settings_that_contradict_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        detect(**fields)


def test_one_subject_cannot_be_split_by_subject(tmp_path):
    data = nights.write_spindles(tmp_path / "d", subjects=1)
    with pytest.raises(ConfigError, match="needs two subjects"):
        detect().prepare(data)


def test_events_outside_the_recording_are_refused(tmp_path):
    made = nights.spindles(0)
    trace = _trace(made)
    late = pd.DataFrame({"onset": [89.5], "duration": [3.0], "label": ["spindle/expert 1"]})
    with pytest.raises(DataError, match=r"89.5 to 92.5 s lies outside .* lasts 90 s"):
        ev.events_of(_trace(made, late), {"spindle/expert 1": "spindle"})
    assert len(ev.events_of(trace, {"spindle/expert 1": "spindle"})) > 10


def _trace(made, marks=None):
    from neuroloom.signals.examples.traces import Trace

    table = made.attrs["annotations"] if marks is None else marks
    return Trace("a.fif", {}, made.values.astype(np.float32), nights.RATE, table, {})


def test_recordings_without_a_mark_are_said_to_be_unscored(folder, tmp_path):
    data = nights.write_spindles(tmp_path / "d", subjects=3)
    bare = nights.spindles(8)
    bare.attrs["annotations"] = bare.attrs["annotations"].iloc[:0]
    makers.write(bare, data / "sub-8_eeg.fif")
    prepared = detect().prepare(data)
    assert prepared.dataset.table["path"].nunique() == 3
    assert "Recordings without a mark" in {f.title for f in prepared.findings}


# -- from probabilities to counts -------------------------------------------------------------


def test_joined_stretches_are_the_trace_they_were_cut_from():
    rng = np.random.default_rng(0)
    trace = rng.uniform(size=(2, 1050)).astype(np.float32)
    starts = ev.stretch_starts(1050, 400)
    parts = np.stack([trace[:, s : s + 400] for s in starts])
    assert ev.join_stretches(parts, starts, 1050) == pytest.approx(trace, abs=1e-6)


def test_a_perfect_probability_scores_one(folder):
    dataset = detect().read(folder)
    scores = np.log(np.clip(np.stack([dataset.truth == k for k in (0, 1)], 1), 1e-6, 1))
    rule = ev.Rule().fitted_to(ev.training_events(dataset, np.arange(len(dataset))))
    for path, p in ev.probabilities(dataset, np.arange(len(dataset)), scores):
        counts, table = ev.judge(dataset, path, p, rule, 0.2)
        assert counts["tp"] == counts["y_true"] == counts["y_pred"] > 10
        assert set(table["kind"]) == {"hit"}
        assert (table["onset"] - table["true_onset"]).abs().max() < 2 / nights.RATE


def test_bad_stretches_are_neither_learnt_from_nor_judged(tmp_path):
    made = nights.spindles(0)
    bad = pd.DataFrame({"onset": [30.0], "duration": [30.0], "label": ["BAD_movement"]})
    made.attrs["annotations"] = pd.concat([made.attrs["annotations"], bad], ignore_index=True)
    makers.write(made, tmp_path / "sub-1_eeg.fif")
    dataset = detect().read(tmp_path)
    assert np.mean(dataset.truth == -1) == pytest.approx(1 / 3, abs=0.1)
    scores = np.log(np.full((len(dataset), 2, dataset.x.shape[2]), 0.5))
    ((path, p),) = ev.probabilities(dataset, np.arange(len(dataset)), scores)
    counts, _ = ev.judge(dataset, path, p, ev.Rule(0.6, 0.1, 5, 0), 0.2)
    assert counts["minutes"] == pytest.approx(1.0, abs=0.01)
    marks = dataset.extra["events"]
    middle = (marks["onset"] + marks["stop"]) / 2
    assert counts["fn"] == (~middle.between(30, 60)).sum()


def test_single_channels_of_two_names_are_taken_for_one_another(tmp_path):
    for s, name in enumerate(("C3", "Cz")):
        made = nights.spindles(s).assign_coords(channel=[name])
        makers.write(made, tmp_path / f"sub-{s + 1}_eeg.fif")
    dataset = detect().read(tmp_path)
    assert dataset.x.shape[1] == 1
    assert "Recordings of different channels" in {f.title for f in dataset.findings}


@pytest.mark.long
@pytest.mark.usefixtures("_quick")
def test_dreams_spindles_reach_the_bar(test_data, tmp_path):
    fields = {"events": {"spindle/expert *": "spindle"}, "split": "subject", "seeds": 3}
    run = Detect(**fields, budget="1h").run(test_data / "eeg/dreams", tmp_path / "run")
    assert f1(run) >= 0.73


def test_find_keeps_the_subjects_of_the_names(folder):
    assert find(folder).table["subject"].tolist() == ["1", "2", "3", "4"]
