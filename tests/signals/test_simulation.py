"""`signals.simulate`: recordings that can be read again, with the effect that was asked for."""

import json

import pytest

from neuroloom import io
from neuroloom.apps.cli import main
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from neuroloom.signals.simulate import simulate_evoked
from neuroloom.signals.simulation import Simulate, effect_of, summarise_effect

CHANNELS = ["C3", "C4", "Cz", "Pz", "Fpz", "Oz"]


def measured(experiment: str, effect: float, **more: float) -> dict:
    study = Simulate(experiment=experiment, effect=effect, channels=CHANNELS, **more)
    table = effect_of(study.simulation(1, 1), experiment)
    return summarise_effect(table, experiment, 0)


def test_no_effect_is_measured_as_none_and_a_large_one_as_large():
    fields = {"sessions": 1, "trials": 24}
    none, large = (measured("motor", effect, **fields) for effect in (0.0, 0.8))
    assert none["low"] < 0 < none["high"]
    assert large["high"] < none["value"]


def test_the_p300_is_as_large_as_asked_for():
    quiet = {"background": 0.0, "blinks": 0.0, "line": 0.0, "noise": 0.1}
    found = measured("oddball", 8.0, sessions=2, trials=60, **quiet)
    # Alpha stays; the mean of 0.3 to 0.4 s is a little less than the peak.
    assert found["value"] == pytest.approx(8.0, rel=0.35)


def test_targets_are_a_fifth_in_random_order():
    made = simulate_evoked(n_sessions=1, trials=50, channels=CHANNELS)
    labels = made.recordings[0].attrs["annotations"]["label"].tolist()
    assert labels.count("target") == 10
    assert labels[:10] != ["target"] * 10
    with pytest.raises(ConfigError, match="ten trials"):
        simulate_evoked(n_sessions=1, trials=4, channels=CHANNELS)


def test_a_command_without_data(tmp_path, capsys):
    words = ["run", "signals.simulate", "--sessions", "1", "--trials", "4", "--subjects", "2"]
    words += [word for name in CHANNELS for word in ("--channels", name)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    files = sorted(p.name for p in (tmp_path / "out" / "recordings").iterdir())
    assert files == [
        "sub-01_ses-1_task-motor_eeg.edf", "sub-01_truth.json",
        "sub-02_ses-1_task-motor_eeg.edf", "sub-02_truth.json",
    ]  # fmt: skip
    again = io.read(tmp_path / "out" / "recordings" / files[0])
    assert again.coords["channel"].values.tolist() == CHANNELS
    truth = json.loads((tmp_path / "out" / "recordings" / files[1]).read_text())
    assert truth["nearest"] == {"left": "C4", "right": "C3"}
    assert read_json(tmp_path / "out" / "status.json")["state"] == "done"
    assert "data:" not in (tmp_path / "out" / "recipe.yaml").read_text()


def test_other_recipes_still_ask_for_data():
    from neuroloom.signals.mvpa import Mvpa

    with pytest.raises(ConfigError, match="needs DATA"):
        Mvpa().run()
