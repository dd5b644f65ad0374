"""`signals.stage` on planted stages, and its bar on real sleep."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.learn.training.fit import own_threads
from neuroloom.signals.examples import sleep
from neuroloom.signals.stage import Stage, epoch_probabilities
from tests import makers, nights


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return nights.write_nights(tmp_path_factory.mktemp("nights"))


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr(Stage, "illustrate", lambda *_: None)
    monkeypatch.setattr(Stage, "report", lambda _, run: run.folder / "report.html")


@pytest.fixture(autouse=True)
def _one_thread():
    with own_threads(1):
        yield


def stage(**fields) -> Stage:
    return Stage(**(nights.STAGE | {"model": "stage-lda"} | fields))


def balanced(run) -> dict[str, float]:
    return read_json(run.folder / "metrics.json")["balanced_accuracy"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("W", "W"), ("Sleep stage W", "W"), ("wake", "W"), ("Sleep stage R", "R"), ("REM", "R"),
        ("Sleep stage 1", "N1"), ("SLEEP-S2", "N2"), ("NREM3", "N3"), ("Sleep stage N3", "N3"),
        ("S4", "N3"), ("Stage 2", "N2"), ("Sleep stage ?", None), ("Movement time", None),
        ("2", None), ("spindle/expert 1", None), ("N5", None), ("Sleep stage 12", None),
    ],
)  # fmt: skip
def test_scorers_have_many_names_for_a_stage(label, name):
    assert sleep.stage_of(label) == name


def test_an_epoch_is_what_most_of_it_is():
    marks = pd.DataFrame({"onset": [0, 50, 110], "duration": [50, 60, 9], "label": list("WNW")})
    start, stages = sleep.hypnogram(marks, 20.0, 125.0)
    assert start == 0
    assert stages == ["W", "W", None, "N", "N", None]


def test_epochs_are_the_samples_under_their_stage(folder):
    dataset = stage().read(folder)
    made = nights.night(0)
    assert dataset.classes == ["W", "N2", "N3"]
    assert dataset.facts["epoch"] == 20.0
    first = dataset.table["path"] == "sub-1_eeg.fif"
    assert dataset.table["label"][first].tolist() == [
        label.removeprefix("Sleep stage ") for label in made.attrs["annotations"]["label"]
    ]
    assert dataset.x.shape == (4 * 36, 1, round(20 * nights.RATE))


def test_the_page_is_told_by_the_annotations(tmp_path):
    data = nights.write_nights(tmp_path, subjects=2, page=30.0)
    assert stage(epoch=None).read(data).facts["epoch"] == 30.0


def test_context_puts_neighbours_beside_an_epoch_and_zeros_at_the_ends(folder):
    alone, wide = stage().read(folder), stage(context=1).read(folder)
    size = alone.x.shape[2]
    assert wide.x.shape == (len(alone), 1, 3 * size)
    assert np.array_equal(wide.x[..., size : 2 * size], alone.x)
    assert np.array_equal(wide.x[1:36, :, :size], alone.x[:35])
    assert not wide.x[0, :, :size].any()
    assert not wide.x[35, :, 2 * size :].any()
    assert wide.table["label"].tolist() == alone.table["label"].tolist()


def test_sequences_label_every_epoch_once(folder):
    staging = sleep.Staging(20.0, 2, sequence=True)
    from neuroloom.io.recordings.find import find

    recipe = stage()
    dataset = sleep.read_epochs(find(folder), recipe.cut(), staging)
    alone = recipe.read(folder)
    assert dataset.task == "dense"
    assert dataset.truth.shape[1] == 5
    scores = np.log(np.clip(np.eye(3)[dataset.truth].swapaxes(1, 2), 1e-6, 1))
    rows, p = epoch_probabilities(scores, dataset)
    assert rows.tolist() == list(range(len(alone)))
    assert p.argmax(1).tolist() == alone.y.tolist()


@pytest.mark.usefixtures("_quick")
def test_band_powers_tell_planted_stages_of_new_people(folder, tmp_path):
    assert balanced(stage().run(folder, tmp_path / "run"))["value"] > 0.95


@pytest.mark.usefixtures("_quick")
def test_the_net_does_too_beside_them(folder, tmp_path):
    run = stage(model="stage-cnn", budget="12 epochs", folds=1).run(folder, tmp_path / "run")
    told = balanced(run)
    assert told["value"] > 0.9
    assert told["baseline"] > 0.95
    assert told["chance"] == pytest.approx(1 / 3)


def test_classes_can_be_merged_and_left_out(folder):
    merged = stage(classes=["W,sleep=N2+N3"]).read(folder)
    assert merged.classes == ["W", "sleep"]
    assert set(merged.table["label"]) == {"W", "sleep"}
    few = stage(classes=["W", "N3"]).prepare(folder)
    assert set(few.dataset.table["label"]) == {"W", "N3"}
    assert len(few.everything) - len(few.dataset) == 4 * 12


def test_a_rare_stage_is_left_out_with_a_word(tmp_path):
    for s in range(3):
        made = nights.night(s)
        if s == 0:
            made.attrs["annotations"].loc[:2, "label"] = "Sleep stage R"
        makers.write(made, tmp_path / f"sub-{s + 1}_eeg.fif")
    dataset = stage().read(tmp_path)
    assert "R" not in dataset.classes
    assert "Stage R is left out" in {f.title for f in dataset.findings}
    assert dataset.table["label"].isna().sum() == 3


@pytest.mark.usefixtures("_quick")
def test_predict_scores_recordings_without_stages(folder, tmp_path):
    run = stage(folds=1).run(folder, tmp_path / "run")
    bare = nights.night(7)
    truth = [label[-2:].strip() for label in bare.attrs["annotations"]["label"]]
    bare.attrs["annotations"] = bare.attrs["annotations"].iloc[:0]
    makers.write(bare, tmp_path / "new/sub-9_eeg.fif")
    table = run.predict(tmp_path / "new", out=tmp_path / "out")
    assert (table["stage"] == truth).mean() > 0.9
    assert table[["p_W", "p_N2", "p_N3"]].sum(1).to_numpy() == pytest.approx(1)
    copy = mne.read_annotations(tmp_path / "out/sub-9_eeg_staged_raw.fif")
    assert list(copy.description) == table["stage"].tolist()


@pytest.mark.usefixtures("_quick")
def test_evaluate_scores_new_recordings(folder, tmp_path):
    run = stage(folds=1).run(folder, tmp_path / "run")
    makers.write(nights.night(8), tmp_path / "new/sub-9_eeg.fif")
    told = run.evaluate(tmp_path / "new").set_index(["fold", "seed", "metric"])
    assert told.loc[("all", "all", "balanced_accuracy"), "value"] > 0.9


def test_the_report_shows_the_night(folder, tmp_path):
    run = stage(folds=1).run(folder, tmp_path / "run")
    names = {row["name"] for row in read_json(run.folder / "artifacts/index.json")}
    assert {"hypnograms", "confusion", "stages", "sleep", "sleep-mean"} <= names
    told = pd.read_csv(run.folder / "artifacts/sleep.csv").set_index("measure")
    assert told.loc["time in bed", "true"] == pytest.approx(12.0)
    assert told.loc["total sleep time", "true"] == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classes": ["W", "N1"]}, "no epoch is N1; there are W"),
        ({"rate": 30.0}, "cannot hold the band"),
        ({"picks": ["C9"]}, "no channel is called 'C9'"),
        ({"model": "unet"}, "cannot learn classification"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(folder, fields, said):
    with pytest.raises(ConfigError, match=said):
        stage(**fields).prepare(folder)


def test_recordings_without_stages_cannot_be_learnt_from(tmp_path):
    data = nights.write_nights(tmp_path, subjects=2, words="mark {}x")
    with pytest.raises(DataError, match="No annotation names a sleep stage.*mark N2x"):
        stage().prepare(data)


def test_names_of_ones_own_are_understood(tmp_path):
    data = nights.write_nights(tmp_path, subjects=2, words="mark {}x")
    named = {f"mark {name}x": name for name in ("W", "N2", "N3")}
    assert stage(stages=named).read(data).classes == ["W", "N2", "N3"]


def test_one_subject_cannot_be_split_by_subject(tmp_path):
    data = nights.write_nights(tmp_path, subjects=1, epochs=63)
    with pytest.raises(ConfigError, match="needs two subjects"):
        stage().prepare(data)


@pytest.mark.long
@pytest.mark.usefixtures("_quick")
def test_dreams_staging_reaches_the_bar(test_data, tmp_path):
    fields = {"classes": ["W", "N1", "N2", "N3"], "split": "subject", "seeds": 3}
    run = Stage(**fields, budget="1h").run(test_data / "eeg/dreams", tmp_path / "run")
    assert balanced(run)["value"] >= 0.74
