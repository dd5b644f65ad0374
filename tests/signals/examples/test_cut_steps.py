"""Eye correction, montage and moving standardisation inside the cutting of recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import signal
from neuroloom.core.step import apply_all
from neuroloom.io import read
from neuroloom.io.recordings.find import find
from neuroloom.signals import Decode
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.examples.data import align_to, cut_windows, read_examples
from neuroloom.signals.steps import EyeICA, EyeRegression, MovingStandardize
from tests import makers

RATE, SECONDS = 100.0, 30
WIDE = ["Fp1", "Fp2", "F3", "Fz", "F4", "C3", "Cz", "C4", "T3", "Pz", "O1", "O2"]
SMALL = ["AF7", "F3", "C1", "Cz", "C4", "P3", "Oz"]
MARKS = [(float(t), 0.0, "ab"[k % 2]) for k, t in enumerate(range(2, 28, 2))]


def recorded(path, names=WIDE, *, eog=True, seed=0):
    """Write noise with blinks that fade from front to back."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(RATE * SECONDS)) / RATE
    blinks = 150e-6 * np.exp(-0.5 * ((times[:, None] - np.arange(3.0, 29, 5)) / 0.08) ** 2).sum(1)
    fade = np.linspace(0.6, 0.02, len(names))[:, None]
    data = 8e-6 * rng.normal(size=(len(names), len(times))) + fade * blinks
    types = ["eeg"] * len(names)
    if eog:
        data = np.vstack([data, blinks + 2e-6 * rng.normal(size=len(times))])
        names, types = [*names, "VEOG"], [*types, "eog"]
    table = pd.DataFrame(MARKS, columns=["onset", "duration", "label"])
    return makers.write(signal(data, names, RATE, annotations=table, types=types), path)


def examples(path, cut):
    return read_examples(find(path, [], None), cut)


def like(dataset, path):
    """Cut `path` as for a model that was trained on `dataset`, whose facts went through JSON."""
    axes = {name: dataset.facts[name] for name in ("cut", "picked", "needed", "rate")}
    trained = {"axes": axes, "task": "classification", "classes": dataset.classes}
    return align_to(trained, find(path, [], None))


@pytest.mark.parametrize(
    ("eyes", "step"),
    [
        ("emcp", EyeRegression()),
        ("regression", EyeRegression(blinks_apart=False)),
        ("ica", EyeICA()),
    ],
)
def test_eyes_are_corrected_before_trials_are_cut(tmp_path, eyes, step):
    path = recorded(tmp_path / "a_raw.fif")
    dataset = examples(path, Cut(stop=1.0, eyes=eyes, picks=("F*", "Cz")))
    clean = step.apply(read(path)).sel(channel=dataset.facts["channels"])
    expected, _ = cut_windows(clean, dataset.table["onset"].to_numpy(), 1.0)
    np.testing.assert_allclose(dataset.x, expected, atol=1e-12)
    assert dataset.facts["channels"] == ["Fp1", "Fp2", "F3", "Fz", "F4", "Cz"]
    assert dataset.facts["steps"] == [step.describe(RATE)]
    assert any("whole recording" in finding.title for finding in dataset.findings)
    np.testing.assert_array_equal(like(dataset, path).x, dataset.x)


def test_blinks_that_would_be_rejected_are_corrected_instead(tmp_path):
    path = recorded(tmp_path / "a_raw.fif")
    plain = examples(path, Cut(stop=1.5, reject=75))
    assert len(plain) < len(MARKS)
    assert len(examples(path, Cut(stop=1.5, reject=75, eyes="emcp"))) == len(MARKS)


def test_eye_correction_without_eog_is_refused_by_name(tmp_path):
    path = recorded(tmp_path / "a_raw.fif", eog=False)
    with pytest.raises(ConfigError, match=r"a_raw\.fif: a regression on the EOG needs"):
        examples(path, Cut(stop=1.0, eyes="emcp"))
    with pytest.raises(ConfigError, match="eog: no channel is called 'VEOG'"):
        examples(path, Cut(stop=1.0, eyes="ica", eog=("VEOG",)))
    corrected = examples(path, Cut(stop=1.0, eyes="emcp", eog=("Fp1",), picks=("C*",)))
    assert corrected.facts["channels"] == ["C3", "Cz", "C4"]
    with pytest.raises(ConfigError, match="eog names channels for `eyes`"):
        Decode(eog=["Fp1"]).read(path)


def test_files_with_different_caps_become_one_dataset(tmp_path):
    recorded(tmp_path / "a_raw.fif")
    recorded(tmp_path / "b_raw.fif", SMALL, eog=False, seed=1)
    with pytest.raises(DataError, match="different channels"):
        examples(tmp_path, Cut(stop=1.0))
    dataset = examples(tmp_path, Cut(stop=1.0, montage="10-10", band=(1.0, 40.0)))
    names = dataset.facts["channels"]
    assert dataset.x.shape == (2 * len(MARKS), 64, 100)
    assert dataset.extra["shown"].shape[1] == dataset.extra["offset"].shape[1] == 64
    alone = examples(tmp_path / "b_raw.fif", Cut(stop=1.0, picks=tuple(SMALL), band=(1.0, 40.0)))
    at = [names.index(name) for name in SMALL]
    np.testing.assert_allclose(dataset.x[len(MARKS) :, at], alone.x, atol=1e-12)
    assert not any("unit" in finding.title for finding in dataset.findings)
    third = recorded(tmp_path / "new" / "c_raw.fif", [*SMALL[:5], "TP9"], eog=False, seed=2)
    assert like(dataset, third).x.shape == (len(MARKS), 64, 100)


def test_the_montage_sees_only_what_is_picked(tmp_path):
    path = recorded(tmp_path / "a_raw.fif")
    dataset = examples(path, Cut(stop=1.0, montage="10-10", picks=("C3", "C4")))
    dead = (dataset.x == 0).all((0, 2))
    assert [n for n, d in zip(dataset.facts["channels"], dead, strict=True) if not d] == [
        "C3",
        "C4",
    ]


def test_moving_standardisation_comes_last_and_rejection_knows_volts(tmp_path):
    path = recorded(tmp_path / "a_raw.fif")
    cut = Cut(stop=1.5, band=(1.0, 30.0), standardise="moving", reject=60)
    dataset = examples(path, cut)
    volts = examples(path, replace(cut, standardise="none"))
    assert dataset.table["onset"].tolist() == volts.table["onset"].tolist()
    assert 0 < len(dataset) < len(MARKS)
    clean = apply_all(volts_steps(cut), read(path).sel(channel=WIDE))
    expected, _ = cut_windows(
        MovingStandardize().apply(clean), dataset.table["onset"].to_numpy(), 1.5
    )
    np.testing.assert_allclose(dataset.x, expected, atol=1e-4)
    assert dataset.facts["span"] == pytest.approx(volts.facts["span"] + 20)
    assert "moving mean" in dataset.facts["steps"][-1]


def volts_steps(cut):
    return replace(cut, standardise="none").steps()
