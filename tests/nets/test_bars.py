"""What nets of the textbook reach on real motor imagery: 45 trials, whole runs held out."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from neuroloom.core.files import read_json
from neuroloom.signals import Decode

FISTS_AND_FEET = {
    "include": ["S001R06*", "S001R10*", "S001R14*"],
    "events": {"T1": "fists", "T2": "feet"},
    "start": 1.0,
    "stop": 4.0,
    "split": "run",
    "picks": ["FC*", "C*"],
    "budget": "5min",
}

pytestmark = pytest.mark.long


def metrics(test_data, folder, model):
    Decode(**FISTS_AND_FEET, model=model).run(test_data / "eeg" / "eegmmidb", out=folder)
    return read_json(folder / "metrics.json")


@pytest.mark.parametrize(
    ("model", "bar"),
    [
        ("cnn", 0.8),
        ("res-cnn", 0.8),
        ("gcn", 0.8),
        ("bi-lstm-attention", 0.8),
        ("transformer", 0.8),
        ("siamese", 0.75),
    ],
)
def test_fists_and_feet(test_data, tmp_path, model, bar):
    assert metrics(test_data, tmp_path / model, model)["accuracy"]["value"] >= bar


def test_dropout_tells_how_sure_it_is(test_data, tmp_path):
    assert metrics(test_data, tmp_path / "run", "bayes-cnn")["ece"]["value"] <= 0.1
