"""`signals.artifacts`: detected by strength, replaced from both sides, told in the run."""

import json

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import signal
from neuroloom.signals.artifacts import Artifacts
from neuroloom.signals.mending.windows import _windows
from tests import makers

RATE = 250.0
FIELDS = {"budget": "6 epochs", "copies": 3, "context": 0.4, "seed": 0}


def recording(seed: int, seconds: float = 40.0, marks: pd.DataFrame | None = None):
    """A theta rhythm with noise, µV."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    data = 50 * np.sin(2 * np.pi * 8 * time + 0.5 * np.sin(time)) + rng.normal(0, 10, len(time))
    return signal(data[None] * 1e-6, ["CA1"], RATE, types=["seeg"], annotations=marks)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lfp")
    makers.write(recording(0), folder / "rat_raw.fif")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroloom.signals.mending.gaps.MOST_EXAMPLES", 1500)
        return _run(data, tmp_path_factory)


def _run(data, tmp_path_factory):
    return Artifacts(**FIELDS).run(data, tmp_path_factory.mktemp("out") / "run")


def test_the_detector_beats_the_threshold_on_weak_artefacts(run):
    scores = read_json(run.folder / "metrics.json")
    weak, strong = scores["auc/0dB"], scores["auc/from 6dB"]
    assert strong["value"] > 0.95
    assert weak["value"] > weak["baseline"] + 0.05
    assert scores["gap_rmse"]["value"] < 0.7 * scores["gap_rmse"]["chance"]
    table = run.metrics
    assert set(scores) == set(table["metric"])


def test_rows_say_what_was_put_in(run):
    rows = run.predictions
    put_in = rows[rows["y_true"] == "artifact"]
    assert set(put_in["kind"]) <= {"step", "burst", "spike", "saturation"}
    assert put_in["level"].notna().all()
    assert rows.loc[rows["y_true"] == "clean", "level"].isna().all()
    assert rows["channel"].eq("CA1").all()


def test_a_new_recording_is_cleaned(run, tmp_path):
    from neuroloom import io

    clean = recording(1, 20.0)
    dirty = clean.copy()
    dirty[0, 2500:2530] = 400e-6
    makers.write(dirty, tmp_path / "new_raw.fif")
    table = run.predict(tmp_path / "new_raw.fif", out=tmp_path / "out")
    hit = table[(table["onset"] < 10.12) & (table["stop"] > 10.0)]
    assert hit["p_artifact"].max() > 0.9
    stretches = pd.read_csv(tmp_path / "out" / "stretches.csv")
    own = stretches[(stretches["onset"] < 10.1) & (stretches["stop"] > 10.0)]
    assert own["replaced"].all()
    made = io.read(tmp_path / "out" / "new_raw_cleaned_raw.fif")
    error = made.values[0, 2500:2530] - clean.values[0, 2500:2530]
    assert np.abs(error).mean() < 0.2 * 400e-6
    labels = made.attrs["annotations"]["label"].astype(str)
    assert labels.str.startswith("replaced/").any()


def test_windows_that_touch_an_artefact_a_little_have_no_label():
    truth = pd.DataFrame({"kind": ["step"], "level": [6.0], "first": [95], "last": [195]})
    rows, x = _windows(np.zeros(400), truth, 100, 100.0)
    assert rows["label"].tolist() == [None, "artifact", "clean", "clean"]
    assert x.shape == (4, 1, 100)


def test_marks_of_the_user_are_learnt(tmp_path):
    marks = pd.DataFrame(
        {"onset": np.arange(2, 38, 2.0), "duration": 0.4, "label": "artefact/chewing"}
    )
    made = recording(2, marks=marks)
    rng = np.random.default_rng(0)
    for onset in marks["onset"]:
        first = round(onset * RATE)
        made[0, first : first + 100] += 2e-4 * rng.normal(size=100)
    makers.write(made, tmp_path / "data" / "one_raw.fif")
    study = Artifacts(
        labels="events", events=["artefact/*"], replace="none", budget="6 epochs", seed=0
    )
    run = study.run(tmp_path / "data", tmp_path / "run")
    assert read_json(run.folder / "metrics.json")["auc"]["value"] > 0.95
    with pytest.raises(DataError, match="none of its annotations"):
        Artifacts(labels="events", events=["blink*"]).run(tmp_path / "data", tmp_path / "x")


def test_a_threshold_labels_and_the_report_says_what_that_means(data, tmp_path):
    loud = recording(3)
    loud[0, 1000:1100] *= 8
    loud[0, 6000:6050] *= 8
    loud[0, 9000:9050] *= 8
    makers.write(loud, tmp_path / "data" / "loud_raw.fif")
    study = Artifacts(labels="threshold", replace="none", budget="2 epochs")
    run = study.run(tmp_path / "data", tmp_path / "run")
    titles = {row["title"] for row in json.loads((run.folder / "audit.json").read_text())}
    assert "The labels are a threshold" in titles


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"labels": "events"}, "needs `events`"),
        ({"events": ["x"]}, "mean nothing to labels=inject"),
        ({"threshold": 3.0}, "means nothing to labels=inject"),
        ({"window": 0.01}, "8 are the least"),
        ({"window": 100.0}, "longer than"),
        ({"model": "unet"}, "cannot learn classification"),
    ],
)
def test_mistakes_are_named(data, tmp_path, fields, said):
    with pytest.raises((ConfigError, DataError), match=said):
        Artifacts(**fields).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_the_lfp_bars(test_data, tmp_path):
    (tmp_path / "lfp").mkdir()
    trace = np.load(test_data / "eeg" / "lfp" / "ca1.npy")
    np.save(tmp_path / "lfp" / "ca1.npy", trace)
    facts = {"SamplingFrequency": 1250, "Units": "uV", "ChannelNames": ["CA1"]}
    (tmp_path / "lfp" / "ca1.json").write_text(json.dumps(facts | {"ChannelTypes": "seeg"}))
    run = Artifacts(budget="40 epochs").run(tmp_path / "lfp", tmp_path / "run")
    scores = read_json(run.folder / "metrics.json")
    assert scores["auc/from 6dB"]["value"] >= 0.98
    assert scores["auc/0dB"]["value"] >= 0.90 > scores["auc/0dB"]["baseline"]
    assert scores["gap_rmse"]["value"] <= 0.47
