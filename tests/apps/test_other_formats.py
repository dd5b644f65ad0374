"""Formats beside EDF, through the command: what works end to end, and what is refused how."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.apps.conftest import DECODE

RATE, TRIAL = 125, 250
NAMES = ["C3", "Cz", "C4", "Pz"]


def trials(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Trials of 2 s, µV: 11 Hz is on C3 in class 0 and on C4 in class 1."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    x = rng.normal(0, 10, (count, len(NAMES), TRIAL))
    x[np.arange(count), 2 * y] += 25 * np.sin(2 * np.pi * 11 * np.arange(TRIAL) / RATE)
    return x, y


def write_mat(path: Path, spoil: Callable[[dict], None] = lambda arrays: None) -> Path:
    """Write trials as ExBrainable takes them, rate and names beside them."""
    from scipy.io import savemat

    arrays = {}
    for name, count, seed in (("train", 24, 0), ("test", 12, 1)):
        arrays[f"x_{name}"], arrays[f"y_{name}"] = trials(count, seed)
    spoil(arrays)
    path.parent.mkdir(exist_ok=True)
    savemat(path, arrays)
    said = {"SamplingFrequency": RATE, "Units": "uV", "ChannelNames": NAMES}
    path.with_suffix(".json").write_text(json.dumps(said))
    return path


def write_muse(folder: Path, runs: int = 3) -> Path:
    """Write Muse recordings in which event 2 lifts AF7 for half a second."""
    folder.mkdir()
    for run in range(runs):
        rng = np.random.default_rng(run)
        data = rng.normal(0, 10, (5, 256 * 30))
        marker = np.zeros(data.shape[1], int)
        for k, at in enumerate(range(256, data.shape[1] - 512, 384)):
            marker[at] = k % 2 + 1
            data[1, at : at + 128] += 30 * (k % 2) * np.hanning(128)
        stamps = 1486223115 + np.arange(data.shape[1]) / 256
        head = "timestamps,TP9,AF7,AF8,TP10,Right AUX,Marker"
        path = folder / f"N170_subject1_session1_data_2017-09-13-15.3{run}.00.csv.gz"
        np.savetxt(path, np.column_stack([stamps, *data, marker]), "%.4f", ",", header=head,
                   comments="")  # fmt: skip
    return folder


def result(out: Path) -> dict:
    return json.loads((out / "metrics.json").read_text())


def test_trials_of_a_mat_held_out_by_its_test_set(neuroloom, tmp_path):
    path, out = write_mat(tmp_path / "d/trials.mat"), tmp_path / "out"
    answer = neuroloom(
        *DECODE, path, "--model", "csp-lda", "--test", "test", "--events.0", "left",
        "--events.1", "right", "--out", out,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "accuracy           1.000" in answer.out
    predictions = (
        (out / "predictions.csv").read_text() if (out / "predictions.csv").exists() else ""
    )
    assert predictions.count("trials.mat@") in (0, 12)
    new = tmp_path / "new/trials.mat"
    write_mat(new, lambda arrays: [arrays.pop(f"y_{name}") for name in ("train", "test")])
    answer = neuroloom("predict", out, new, "--out", tmp_path / "p")
    assert answer.code == 0, answer.err
    assert "36 examples decoded" in answer.out


def test_muse_events_as_integers(neuroloom, tmp_path):
    data = write_muse(tmp_path / "d")
    answer = neuroloom(
        *DECODE, data, "--model", "csp-lda", "--events.1", "house", "--events.2", "face",
        "--stop", "0.6", "--band", "1", "30", "--out", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "accuracy" in answer.out


def refit(arrays: dict, **new: object) -> None:
    for name, value in new.items():
        arrays.pop(name, None)
        if value is not None:
            arrays[name] = value


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: refit(a, y_train=np.zeros(23)), ("23 labels", "24 trials")),
        (
            lambda a: refit(a, x_train=None, x_tain=a["x_train"]),
            ("no trials in 'x_train'", "Did you mean 'x_tain'"),
        ),
        (lambda a: refit(a, y_train=np.zeros(24), y_test=np.zeros(12)), ("two classes", "'0'")),
        (lambda a: refit(a, x_train=np.zeros((24, 3, 250)) + 1), ("differ", "4x250")),
        (lambda a: a["x_test"].__setitem__((3, 1, 7), np.nan), ("Cz is not a number", "'!Cz'")),
        (lambda a: refit(a, x_train=np.zeros((0, 0)), x_test=np.zeros((0, 0))), ("24 labels",)),
        (lambda a: refit(a, x_train=np.array(["a", "b"])), ("expected numbers",)),
    ],
    ids=["labels", "key", "one class", "channels", "nan", "placeholders", "text"],
)
def test_a_wrong_mat(refused, tmp_path, spoil, says):
    path = write_mat(tmp_path / "d/trials.mat", spoil)
    refused(*DECODE, path, "--model", "csp-lda", "--out", tmp_path / "out",
            says=("trials.mat" if "two" not in says[0] else "d", *says))  # fmt: skip


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (None, ("does not say its sampling rate", "'trials.json'", "SamplingFrequency")),
        ({"SamplingFrequency": 0}, ("trials.json", "above 0")),
        ({"SamplingFrequenzy": 125}, ("SamplingFrequenzy", "Did you mean 'SamplingFrequency'")),
        ({"SamplingFrequency": 125, "ChannelNames": ["C3"]}, ("1 channel names", "4 channels")),
        ({"SamplingFrequency": 125, "Units": "Vv"}, ("trials.json", "Units")),
        ("just words", ("trials.json", "is no JSON")),
    ],
)
def test_a_wrong_sidecar(refused, tmp_path, said, says):
    path = write_mat(tmp_path / "d/trials.mat")
    sidecar = path.with_suffix(".json")
    sidecar.unlink()
    if said is not None:
        sidecar.write_text(said if isinstance(said, str) else json.dumps(said))
    refused(*DECODE, path, "--model", "csp-lda", "--out", tmp_path / "out", says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--start -0.5 --stop 1", ("trials from 0 to 2 s", "start")),
        ("--stop 3", ("trials from 0 to 2 s", "stop")),
        ("--events.3 x --events.0 y", ("'3'", "There are 0, 1")),
    ],
)
def test_a_window_beyond_the_trials(refused, tmp_path, options, says):
    path = write_mat(tmp_path / "d/trials.mat")
    refused(*DECODE, path, "--model", "csp-lda", *options.split(), "--out", tmp_path / "out",
            says=says)  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[: len(text) // 2].rsplit(",", 1)[0], "cut in its last row"),
        (lambda text: text.replace("AF7", "AF77"), "Did you mean 'AF77'"),
        (
            lambda text: text.replace("\n1486223116.0000,", "\n1486223116.0000,,"),
            "expected 7 fields",
        ),
        (lambda text: text.replace("\n1486223116.0000,", "\n1486223116.0000,soft"), "got 'soft"),
        (lambda text: text.replace("\n1486223116.0000,", "\n1486223100.0000,"), "runs backwards"),
        (lambda text: text.replace(",2.0000\n", ",1.0000\n"), "two classes"),
    ],
    ids=["cut", "name", "ragged", "text", "backwards", "one class"],
)
def test_a_wrong_muse_csv(refused, tmp_path, spoil, says):
    data = write_muse(tmp_path / "d", runs=2)
    for path in sorted(data.iterdir()):
        path.write_bytes(
            gzip.compress(spoil(gzip.decompress(path.read_bytes()).decode()).encode(), 1)
        )
    refused(*DECODE, data, "--model", "csp-lda", "--out", tmp_path / "out", says=says)


def test_a_folder_of_arrays_without_a_rate(refused, tmp_path):
    (tmp_path / "d").mkdir()
    np.save(tmp_path / "d/ca1.npy", np.zeros((2, 100)))
    refused(*DECODE, tmp_path / "d", "--model", "csp-lda", "--out", tmp_path / "out",
            says=("ca1.npy", "'eeg.json'", "SamplingFrequency"))  # fmt: skip
