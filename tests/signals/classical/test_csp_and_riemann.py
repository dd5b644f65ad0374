"""CSP + LDA and the Riemannian decoder: known truth, degenerate data, real data."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.signals.classical import CspLda, Riemann
from neuroloom.signals.classical.covariance import shrink_oas, trial_covariances, whitener

LEARNERS = [CspLda, Riemann]
REBUILD = """
import json, sys, numpy as np
from neuroloom.signals import classical
folder = sys.argv[1]
spec = json.load(open(folder + "/spec.json"))
learner = {"csp-lda": classical.CspLda, "riemann": classical.Riemann}[spec.pop("name")](**spec)
learner.load(dict(np.load(folder + "/state.npz")))
np.save(folder + "/scores.npy", learner.predict_scores(np.load(folder + "/x.npy")))
"""


def planted(n_classes: int = 2, n_channels: int = 6, trials: int = 40, seed: int = 0):
    """Trials in µV-scaled volts where class k has more power in source k, and the mixing matrix."""
    rng = np.random.default_rng(seed)
    y = np.arange(trials) % n_classes
    sources = rng.normal(size=(trials, n_channels, 240))
    for k in range(n_classes):
        sources[y == k, k] *= 2.5
    mixing = rng.normal(size=(n_channels, n_channels))
    return (1e-5 * mixing @ sources).astype(np.float32), y, mixing


def accuracy(learner, x, y, train) -> float:
    learner.fit(x[train], y[train])
    return float((learner.predict_scores(x[~train]).argmax(1) == y[~train]).mean())


@pytest.mark.parametrize("make", LEARNERS)
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_finds_planted_power(make, n_classes):
    x, y, _ = planted(n_classes, trials=80)
    assert accuracy(make(), x, y, np.arange(80) < 48) >= 0.9


@pytest.mark.parametrize("make", LEARNERS)
def test_scores_are_log_probabilities_over_all_outputs(make):
    x, y, _ = planted()
    learner = make(n_outputs=4)
    learner.fit(x, y + 1)
    scores = learner.predict_scores(x)
    assert scores.shape == (40, 4)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-9)
    assert np.exp(scores[:, [0, 3]]).max() < 1e-9


def _average(x):
    return x - x.mean(axis=1, keepdims=True)


def _interpolate(x):
    x = x.copy()
    x[:, 5] = x[:, :3].mean(axis=1)
    return x


def _flatten(x):
    x = x.copy()
    x[:, 5] = 0
    return x


def _mix_units(x):
    x = x.copy()
    x[:, 3:] *= 1e-7
    return x


@pytest.mark.parametrize("make", LEARNERS)
@pytest.mark.parametrize("spoil", [_average, _interpolate, _flatten, _mix_units])
def test_survives_rank_deficiency_and_mixed_units(make, spoil):
    x, y, _ = planted()
    assert accuracy(make(), spoil(x), y, np.arange(40) < 24) >= 0.85


@pytest.mark.parametrize("make", LEARNERS)
def test_few_trials_few_samples_one_channel(make):
    x, y, _ = planted(n_channels=20)
    for part in (x[:4], x[:8, :, :10], x[:8, :1]):
        learner = make()
        learner.fit(part, y[: len(part)])
        assert np.isfinite(learner.predict_scores(x[:, : part.shape[1], : part.shape[2]])).all()


@pytest.mark.parametrize("make", LEARNERS)
def test_a_flat_trial_is_scored(make):
    x, y, _ = planted()
    learner = make()
    learner.fit(x, y)
    assert np.isfinite(learner.predict_scores(np.zeros_like(x[:2]))).all()


@pytest.mark.parametrize("make", LEARNERS)
def test_refuses_what_cannot_be_learnt(make):
    x, y, _ = planted()
    with pytest.raises(DataError, match="one class"):
        make().fit(x, np.zeros(40, int))
    with pytest.raises(DataError, match="too few"):
        make().fit(x[:2], y[:2])
    with pytest.raises(DataError, match="flat"):
        make().fit(np.zeros_like(x), y)
    with pytest.raises(DataError, match="shape"):
        make().fit(x[0], y)
    x[3, 2, 7] = np.nan
    with pytest.raises(DataError, match="Trial 3, channel 2"):
        make().fit(x, y)
    with pytest.raises(ConfigError, match="not fitted"):
        make().predict_scores(x)


def test_regression():
    x, _, mixing = planted()
    power = np.random.default_rng(1).uniform(0.3, 3, 40)
    x = x + 1e-5 * (
        mixing[:, 5:]
        * np.sqrt(power)[:, None, None]
        * 4
        * np.ones((1, 240))
        * np.random.default_rng(2).normal(size=240)
    ).astype(np.float32)
    learner = Riemann()
    learner.fit(x[:30], np.log(power[:30]))
    predicted = learner.predict_scores(x[30:])
    assert predicted.shape == (10,)
    assert np.corrcoef(predicted, np.log(power[30:]))[0, 1] > 0.9
    with pytest.raises(ConfigError, match="riemann"):
        CspLda().fit(x, power)
    with pytest.raises(DataError, match="targets"):
        Riemann().fit(x, np.full(40, np.nan))


@pytest.mark.parametrize("make", LEARNERS)
def test_rebuilt_in_a_fresh_process_gives_the_same_scores(make, tmp_path):
    x, y, _ = planted(3)
    learner = make(n_outputs=3)
    learner.fit(x, y)
    (tmp_path / "spec.json").write_text(json.dumps(learner.spec))
    np.savez(tmp_path / "state.npz", **learner.state())
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", REBUILD, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), learner.predict_scores(x))
    assert all(array.dtype != object for array in learner.state().values())


def test_patterns_find_the_planted_source():
    x, y, mixing = planted(n_channels=6, trials=200)
    learner = CspLda(n_components=2)
    learner.fit(x, y)
    patterns = learner.patterns()
    assert patterns.shape == (2, 6)
    similar = np.abs(np.corrcoef(np.concatenate([patterns, mixing[:, :2].T])))[:2, 2:]
    assert similar.max(axis=0).min() > 0.97


def test_csp_equals_mne():
    from mne.decoding import CSP

    x, y, _ = planted()
    ours = CspLda(n_components=4)
    ours.fit(x, y)
    theirs = CSP(n_components=4, log=True).fit(x.astype(float), y)
    agree = np.abs(np.corrcoef(ours.state()["filters"], theirs.filters_[:4]))[:4, 4:]
    np.testing.assert_allclose(agree.max(axis=1), 1, atol=1e-2)


def test_oas_equals_scikit_learn():
    from sklearn.covariance import OAS

    x = np.random.default_rng(0).normal(size=(3, 5, 30))
    ours = shrink_oas(trial_covariances(x), samples=30)
    theirs = np.stack([OAS().fit(trial.T).covariance_ for trial in x])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_whitener_whitens():
    covariances = trial_covariances(_average(planted()[0]).astype(float))
    white = whitener(covariances)
    assert white.shape == (6, 5)
    np.testing.assert_allclose(white.T @ covariances.mean(0) @ white, np.eye(5), atol=1e-8)


def test_a_csp_fit_is_quick():
    x, y, _ = planted(n_channels=64, trials=30)
    x = np.tile(x, (1, 1, 2))
    CspLda().fit(x, y)
    start = time.perf_counter()
    for _ in range(3):
        CspLda().fit(x, y)
    assert (time.perf_counter() - start) / 3 < 1.0


@pytest.fixture(scope="module")
def motor(test_data):
    """Fists/feet trials (45, 64, 480), classes and runs of the real recording, 8-30 Hz."""
    import mne

    from neuroloom.core.recording import signal
    from neuroloom.signals.steps import BandPass

    xs, ys, runs = [], [], []
    for run in ("06", "10", "14"):
        raw = mne.io.read_raw_edf(
            test_data / f"eeg/eegmmidb/S001R{run}.edf", preload=True, verbose="ERROR"
        )
        data = signal(raw.get_data().astype(np.float32), raw.ch_names, raw.info["sfreq"])
        filtered = BandPass(8, 30).apply(data).values
        for mark in raw.annotations:
            if mark["description"] != "T0":
                first = round((mark["onset"] + 1) * 160)
                xs.append(filtered[:, first : first + 480])
                ys.append(int(mark["description"] == "T2"))
                runs.append(run)
    return np.stack(xs), np.array(ys), np.array(runs)


@pytest.mark.parametrize(("make", "bar"), [(CspLda, 0.93), (Riemann, 0.91)])
def test_real_fists_and_feet(motor, make, bar):
    x, y, runs = motor
    right = [accuracy(make(), x, y, runs != run) for run in np.unique(runs)]
    assert np.mean(right) >= bar


@pytest.mark.parametrize("make", LEARNERS)
def test_real_eyes_open_and_closed(test_data, make):
    """Two-second windows, the last 40 % of each recording held out, with a gap."""
    import mne

    from neuroloom.core.recording import signal
    from neuroloom.signals.steps import BandPass

    xs, ys, held = [], [], []
    for label, run in enumerate(("01", "02")):
        raw = mne.io.read_raw_edf(
            test_data / f"eeg/eegmmidb/S001R{run}.edf", preload=True, verbose="ERROR"
        )
        data = signal(raw.get_data().astype(np.float32), raw.ch_names, raw.info["sfreq"])
        filtered = BandPass(8, 30).apply(data).values
        for k in range(filtered.shape[1] // 320):
            if k != 18:
                xs.append(filtered[:, k * 320 : (k + 1) * 320])
                ys.append(label)
                held.append(k > 18)
    x, y, held = np.stack(xs), np.array(ys), np.array(held)
    assert accuracy(make(), x, y, ~held) >= 0.97
