"""`signals.decode` from end to end: on planted differences, and the bars on real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from neuroloom.signals import Decode
from tests import makers

FISTS_AND_FEET = {
    "include": ["S001R06*", "S001R10*", "S001R14*"], "events": {"T1": "fists", "T2": "feet"},
    "start": 1, "stop": 4, "band": (8, 30), "split": "run",
}  # fmt: skip
EYES = {"include": ["S001R01*", "S001R02*"], "target": "run", "window": 2}
MOTOR = ["FC*", "C*"]


@pytest.fixture
def quick():
    with makers.no_report():
        yield


@pytest.fixture(scope="session")
def eegmmidb(test_data) -> Path:
    return test_data / "eeg/eegmmidb"


def accuracy(run):
    return read_json(run.folder / "metrics.json")["accuracy"]


def audit(run):
    return {row["title"]: row for row in read_json(run.folder / "audit.json")}


# -- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"events": {"a": "b"}, "target": "run"}, r"exclude each other"),
        ({"start": 2, "stop": 1}, r"stop \(1 s\) must come after start"),
        ({"band": (30, 8)}, r"0 < low < high"),
        ({"windw": 2}, r"no setting 'windw'.*'window'"),
        ({"split": "runs"}, r"'run'"),
        ({"reject": -5}, r"reject: .*greater than 0"),
    ],
)
def test_settings_that_contradict_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        Decode(**fields)


@pytest.mark.parametrize(
    ("model", "task", "baseline"),
    [
        ("eegnet", "classification", "csp-lda"),
        ("csp-lda", "classification", "riemann"),
        ("riemann", "classification", "csp-lda"),
        ("eegnet", "regression", "riemann"),
        ("riemann", "regression", None),
        ("erp", "classification", "shrinkage-lda"),
        ("shrinkage-lda", "classification", "xdawn"),
        ("svm", "regression", "shrinkage-lda"),
        ("emg", "classification", "log-rms"),
        ("log-rms", "regression", None),
    ],
)
def test_a_classical_model_always_stands_beside(model, task, baseline):
    assert Decode(model=model).baseline(task) == baseline


@pytest.mark.parametrize(
    ("fields", "baseline"),
    [
        ({"model": "eegnet", "band": (1, 30)}, "shrinkage-lda"),
        ({"model": "eegnet", "band": (4, 40)}, "csp-lda"),
        ({"model": "csp-lda", "band": (1, 30)}, "riemann"),
        ({"model": "lda", "features": "rms"}, "log-rms"),
        ({"model": "lda", "features": "bandpower"}, "csp-lda"),
    ],
)
def test_the_baseline_is_made_for_the_same_kind_of_signal(fields, baseline):
    assert Decode(**fields).baseline("classification") == baseline


def test_features_bring_their_band_and_are_refused_where_the_model_has_its_own(tmp_path):
    assert Decode(model="lda").cut({}).band == (1, 30)
    assert Decode(model="lda", features="bandpower").cut({}).band == (1, 45)
    assert Decode(model="lda", features="rms").cut({}).band is None
    data = makers.write_runs(tmp_path / "d", runs=2)
    with pytest.raises(ConfigError, match="features means nothing to model=csp-lda"):
        Decode(**makers.FIELDS | {"model": "csp-lda", "features": "rms"}).prepare(data)


def test_short_trials_and_muscles_get_a_model_suggested(tmp_path):
    data = makers.write_runs(tmp_path / "d", runs=2)
    title = "Another model may fit better"

    def said(**fields):
        found = Decode(**makers.FIELDS | fields).prepare(data).findings
        return [f.detail for f in found if f.title == title]

    assert "--model erp" in said(model="csp-lda")[0]
    assert not said(model="shrinkage-lda")
    assert not said(model="csp-lda", window=0.5)


MUSE = {"split": "run", "stop": 0.8, "model": "erp"}
P300 = {"include": ["P300*"], "events": {"1": "standard", "2": "target"}}
N170 = {"include": ["N170*"], "events": {"1": "house", "2": "face"}}


@pytest.mark.long
@pytest.mark.parametrize(
    ("fields", "bar"),
    [
        (P300, 0.755),
        (P300 | {"reject": 75}, 0.78),
        (N170, 0.70),
        (N170 | {"reject": 75}, 0.70),
    ],
)
def test_evoked_responses_of_a_headband(test_data, tmp_path, quick, fields, bar):
    run = Decode(**MUSE | fields).run(test_data / "eeg/muse", tmp_path / "out")
    assert read_json(run.folder / "metrics.json")["auc"]["value"] >= bar


@pytest.mark.long
def test_flicker_of_20_and_30_hz(test_data, tmp_path, quick):
    fields = {"include": ["SSVEP*"], "events": {"1": "30 Hz", "2": "20 Hz"}, "split": "run"}
    fields |= {"start": 0.5, "stop": 3.0, "picks": ["Right AUX"], "model": "band-power"}
    run = Decode(**fields).run(test_data / "eeg/muse", tmp_path / "out")
    assert accuracy(run)["value"] >= 0.97


@pytest.mark.long
@pytest.mark.parametrize(("model", "bars"), [("emg", (0.94, 0.965)), ("musclenet", (0.93, 0.96))])
def test_gestures_within_a_person(test_data, tmp_path, quick, model, bars):
    gestures = ("rest", "fist", "flexion", "extension", "radial", "ulnar")
    events = {str(k + 1): name for k, name in enumerate(gestures)}
    decode = Decode(model=model, events=events, window=0.2, split="run", per="subject")
    run = decode.run(test_data / "eeg/emg_gestures", tmp_path / "out")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["accuracy"]["value"] >= bars[0]
    assert metrics["accuracy_voted"]["value"] >= bars[1]
    assert audit(run)["Some subjects are left out"]["detail"].startswith("02")


@pytest.mark.long
@pytest.mark.parametrize(("model", "bar"), [("voting", 0.93), ("fbcsp", 0.93)])
def test_classical_models_tell_fists_from_feet(eegmmidb, tmp_path, quick, model, bar):
    fields = {name: value for name, value in FISTS_AND_FEET.items() if name != "band"}
    run = Decode(**fields, model=model).run(eegmmidb, tmp_path / "out")
    assert accuracy(run)["value"] >= bar


def test_windows_of_one_event_vote(tmp_path, quick):
    data = makers.write_runs(tmp_path / "d", runs=2, effect=1.0)
    fields = {"split": "run", "model": "lda", "features": "bandpower", "window": 0.25, "stop": 1.0}
    run = Decode(**fields).run(data, tmp_path / "out")
    table = run.predictions[run.predictions["role"] == "model"]
    sizes = table.groupby("piece_of").size()
    assert set(sizes) == {4}
    mean = table.groupby("piece_of")[[c for c in table if c.startswith("p_")]].mean()
    voted = mean.idxmax(axis=1).str[2:]
    truth = table.groupby("piece_of")["y_true"].first()
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["accuracy_voted"]["value"] == pytest.approx((voted == truth).mean())
    assert metrics["accuracy"]["value"] == pytest.approx(
        (table["y_true"] == table["y_pred"]).mean()
    )
    assert metrics["accuracy_voted"]["baseline"] is not None


@pytest.mark.parametrize(
    ("mode", "crops"), [(None, None), ("trialwise", (1.0, 1)), ("cropped", (0.75, 5))]
)
def test_the_mode_sets_the_crops(mode, crops):
    options = Decode(mode=mode).options()
    assert options == ({} if crops is None else dict(zip(("crop", "crops"), crops, strict=True)))


def test_augmentations_can_be_switched_off():
    assert Decode(augment=["none"]).options() == {"augment": ()}


# -- leaks ------------------------------------------------------------------------------------


def test_a_label_channel_decodes_perfectly_and_is_named(tmp_path, quick):
    for r in range(2):
        made = makers.recording(r, effect=0.0, trials=20, channels=(*makers.CHANNELS, "F7"))
        for onset, _, label in made.attrs["annotations"].itertuples(index=False):
            first = round(onset * makers.RATE)
            volts = 40e-6 if label == "left" else 5e-6
            hum = volts * np.sin(2 * np.pi * 12 * np.arange(128) / makers.RATE)
            made.values[-1, first : first + 128] += hum
        makers.write(made, tmp_path / f"d/sub-1_run-{r + 1}_eeg.edf")
    fields = makers.FIELDS | {"model": "csp-lda"}
    leaky = Decode(**fields).run(tmp_path / "d", tmp_path / "leaky")
    assert accuracy(leaky)["value"] >= 0.99
    assert "Channel F7 gives the answer away" in audit(leaky)
    mended = Decode(**fields, picks=["!F7"]).run(tmp_path / "d", tmp_path / "mended")
    assert accuracy(mended)["value"] < 0.8
    assert not any("gives the answer away" in title for title in audit(mended))


@pytest.mark.parametrize("level", [1e-6, 1.0])
def test_a_constant_offset_by_class_is_named_too(tmp_path, quick, level):
    for r in range(2):
        made = makers.recording(r, effect=0.0, channels=(*makers.CHANNELS, "AUX"))
        made.values[-1] = np.random.default_rng(r).normal(0, level / 100, made.sizes["time"])
        for onset, _, label in made.attrs["annotations"].itertuples(index=False):
            first = round(onset * makers.RATE)
            made.values[-1, first : first + 128] += level * (1 + (label == "left"))
        makers.write(made, tmp_path / f"d/sub-1_run-{r + 1}_eeg.fif")
    run = Decode(**makers.FIELDS | {"model": "csp-lda"}).run(tmp_path / "d", tmp_path / "out")
    assert "Channel AUX gives the answer away" in audit(run)


def test_honest_signal_in_one_of_six_channels_is_no_alarm(tmp_path, quick):
    data = makers.write_runs(tmp_path / "d", runs=3, effect=4.0)
    run = Decode(**makers.FIELDS | {"model": "csp-lda"}).run(data, tmp_path / "out")
    assert not any("gives the answer away" in title for title in audit(run))


# -- the report -------------------------------------------------------------------------------


def test_a_run_without_folds_says_so_in_its_report(tmp_path):
    data = makers.write_runs(tmp_path / "d", runs=2)
    run = Decode(**makers.FIELDS | {"model": "csp-lda", "folds": 0}).run(data, tmp_path / "out")
    report = (run.folder / "report.html").read_text()
    assert "Nothing was held out" in report
    assert read_json(run.folder / "metrics.json") == {}


def test_rejected_trials_are_counted_by_class_in_the_report(tmp_path):
    data = makers.write_runs(tmp_path / "d", runs=2)
    run = Decode(**makers.FIELDS | {"model": "csp-lda", "reject": 48.0}).run(data, tmp_path / "out")
    trials = read_json(run.folder / "facts.json")["trials"]
    assert [row["class"] for row in trials] == ["left", "right"]
    assert sum(row["kept"] + row["rejected"] for row in trials) == 32
    assert sum(row["rejected"] for row in trials) > 0
    assert "above 48" in (run.folder / "report.html").read_text()


# -- bars on real recordings ------------------------------------------------------------------


@pytest.mark.parametrize(("model", "bar"), [("csp-lda", 0.93), ("riemann", 0.91)])
def test_fists_and_feet(eegmmidb, tmp_path, quick, model, bar):
    run = Decode(**FISTS_AND_FEET, model=model).run(eegmmidb, tmp_path / "out")
    assert len(run.predictions.query("role == 'model'")) == 45
    assert accuracy(run)["value"] >= bar


@pytest.mark.long
@pytest.mark.parametrize(("picks", "bar"), [([], 0.93), (MOTOR, 0.955)])
def test_the_best_net_tells_fists_from_feet(eegmmidb, tmp_path, quick, picks, bar):
    fields = FISTS_AND_FEET | {"picks": picks, "seeds": 3, "budget": "5min"}
    found = {
        net: accuracy(Decode(**fields, model=net).run(eegmmidb, tmp_path / net))["value"]
        for net in ("eegnet", "shallow", "deep4")
    }
    assert max(found.values()) >= bar, found


def test_left_and_right_fist_are_hard_and_the_interval_shows_it(eegmmidb, tmp_path, quick):
    fields = FISTS_AND_FEET | {"include": ["S001R04*", "S001R08*", "S001R12*"]}
    found = accuracy(Decode(**fields, model="csp-lda").run(eegmmidb, tmp_path / "out"))
    assert found["value"] < 0.8
    assert found["low"] <= found["chance"] + 0.05
    assert found["high"] - found["low"] > 0.2


def test_eyes_open_or_closed(eegmmidb, tmp_path, quick):
    run = Decode(**EYES, split="time", model="csp-lda").run(eegmmidb, tmp_path / "out")
    assert accuracy(run)["value"] >= 0.97
    assert "The class is the file" in audit(run)


def test_a_random_split_of_windows_is_objected_to(eegmmidb, tmp_path, quick):
    run = Decode(**EYES, split="random", model="csp-lda").run(eegmmidb, tmp_path / "out")
    assert audit(run)["Random split of dependent examples"]["severity"] == "objection"
    assert "The class is the file" in audit(run)


@pytest.mark.long
def test_a_net_tells_eyes_open_from_closed(eegmmidb, tmp_path, quick):
    run = Decode(**EYES, split="time", budget="2min").run(eegmmidb, tmp_path / "out")
    assert accuracy(run)["value"] >= 0.97


def chance_held(eegmmidb, folder, monkeypatch, seeds, **fields):
    """How often the interval of shuffled labels holds chance; the files are read once."""
    decode = Decode(**FISTS_AND_FEET | fields)
    read = decode.read(eegmmidb)
    monkeypatch.setattr(Decode, "read", lambda *_: read)
    monkeypatch.setattr(Decode, "baseline", lambda *_: None)
    held = 0
    for seed in range(seeds):
        shuffled = Decode(**FISTS_AND_FEET | fields, shuffle=True, seed=seed)
        found = accuracy(shuffled.run(eegmmidb, folder / str(seed)))
        held += found["low"] <= found["chance"] <= found["high"]
    return held


def test_shuffled_labels_fall_to_chance(eegmmidb, tmp_path, quick, monkeypatch):
    fields = {"model": "csp-lda", "picks": MOTOR, "final": "ensemble"}
    assert chance_held(eegmmidb, tmp_path, monkeypatch, 40, **fields) >= 35


@pytest.mark.long
def test_the_interval_of_shuffled_labels_holds_chance_as_often_as_it_claims(
    eegmmidb, tmp_path, quick, monkeypatch
):
    assert 180 <= chance_held(eegmmidb, tmp_path, monkeypatch, 200, model="csp-lda") <= 199


@pytest.mark.long
def test_a_net_on_shuffled_labels_holds_chance(eegmmidb, tmp_path, quick, monkeypatch):
    # Five intervals of 95 % hold all five times in four tries of five only.
    fields = {"model": "eegnet", "budget": "30 epochs", "picks": MOTOR}
    assert chance_held(eegmmidb, tmp_path, monkeypatch, 5, **fields) >= 4
