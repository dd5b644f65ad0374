"""Sensors and bands of a decoder: planted ones are found, and real ones are physiological."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.learn.explain import sanity_check
from neuroloom.signals.classical import CspLda, Riemann
from neuroloom.signals.explanation.relevance import (
    band_relevance,
    channel_dependence,
    explain,
    explain_evoked,
    keep_band,
    make_bands,
    make_windows,
    polarity,
)

CHANNELS = ["F3", "C3", "Cz", "C4", "Pz", "Oz"]


def planted(seed=0, rate=100.0):
    """Class 1 has a 20 Hz rhythm at C4; all sensors share a noise at 10 Hz."""
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    times = np.arange(300) / rate
    x = rng.normal(size=(60, 6, 300))
    phase = rng.uniform(0, 6.3, size=(2, 60, 1))
    x += 3 * np.sin(2 * np.pi * 10 * times + phase[0])[:, None]
    x[:, 3] += 1.5 * y[:, None] * np.sin(2 * np.pi * 20 * times + phase[1])
    return (1e-5 * x).astype(np.float32), y


@pytest.mark.parametrize("make", [CspLda, Riemann])
def test_planted_sensor_and_band_are_found(make):
    x, y = planted()
    learner = make()
    learner.fit(x, y)
    x, y = planted(seed=1)
    found = explain(learner.predict_scores, x, y, 100.0, CHANNELS, classes=["rest", "hum"])
    assert found.channels.channel[0] == "C4"
    assert found.channels.columns.tolist() == ["channel", "rest", "hum", "relevance"]
    assert found.channels.hum[0] > 0.5
    assert found.bands.columns.tolist() == ["low", "high", "rest", "hum", "relevance"]
    assert polarity(learner.predict_scores, x) > 0.95
    best = found.bands.loc[found.bands.relevance.idxmax()]
    assert best.low <= 20 <= best.high


def test_a_net_is_explained_too():
    from neuroloom.learn.training.learner import FitJob, NetLearner, Training
    from neuroloom.signals.nets.shallow import ShallowConvNet

    x, y = planted()
    learner = NetLearner(
        "shallow",
        ShallowConvNet,
        n_channels=6,
        n_times=300,
        n_outputs=2,
        rate=100.0,
        training=Training(epochs=15, batch=20, members=1),
    )
    learner.fit(x, y, job=FitJob(seed=0))
    held, truth = planted(seed=1)
    found = explain(learner.predict_scores, held, truth, 100.0, CHANNELS, width=6.0, repeats=1)
    assert found.channels.channel[0] == "C4"
    best = found.bands.loc[found.bands.relevance.idxmax()]
    assert best.low <= 20 <= best.high
    assert np.isfinite(sanity_check(learner.as_module(), held[:8], truth[:8]).correlation)


def test_dependence_of_a_rule_on_one_sensor():
    x, y = planted()

    def score(x):
        margin = np.log(x[:, 3].var(axis=1)) - np.log(x[:, 3].var(axis=1)).mean()
        return -np.logaddexp(0, np.stack([margin, -margin], axis=1))

    table = channel_dependence(score, x, y, CHANNELS)
    assert table.channel[0] == "C4"
    assert table.relevance[1:].abs().max() < 1e-9


def test_numbers_instead_of_classes():
    x, _ = planted()
    y = np.log(x[:, 2].var(axis=1)).astype(float)
    found = explain(lambda x: np.log(x[:, 2].var(axis=1)), x, y, 100.0, CHANNELS)
    assert found.channels.channel[0] == "Cz"
    assert found.channels.columns.tolist() == ["channel", "value", "relevance"]


def evoked(seed=0, rate=100.0):
    """Class 1 has a positive wave at Pz, 0.3 s after the event; all sensors share a slow drift."""
    rng = np.random.default_rng(seed)
    y = np.arange(80) % 2
    times = np.arange(80) / rate
    x = rng.normal(size=(80, 6, 80)) + rng.normal(size=(80, 1, 1))
    x[:, 4] += 2 * y[:, None] * np.exp(-(((times - 0.3) / 0.04) ** 2))
    return (1e-5 * x).astype(np.float32), y


def test_planted_time_and_sensor_of_an_evoked_response_are_found():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x, y = evoked()
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)
    model.fit(1e5 * x.reshape(len(x), -1), y)

    def score(x):
        return model.predict_log_proba(1e5 * x.reshape(len(x), -1))

    held, truth = evoked(seed=1)
    found = explain_evoked(
        score, held, truth, 100.0, CHANNELS, start=-0.1, classes=["none", "wave"]
    )
    assert found.channels.channel[0] == "Pz"
    assert found.channels.wave[0] > 0.3
    best = found.times.loc[found.times.relevance.idxmax()]
    # The wave has fallen to 1/e 0.04 s from its middle.
    assert abs((best.start + best.stop) / 2 - 0.2) < 0.04
    assert best.stop - best.start < 0.06
    assert found.times.columns.tolist() == ["start", "stop", "none", "wave", "relevance"]
    assert found.maps.shape == (6, len(found.times), 2)
    assert polarity(score, held) < 0


def test_polarity_of_a_model_that_says_nothing_is_nan():
    assert np.isnan(polarity(lambda x: np.zeros((len(x), 2)), evoked()[0]))


@pytest.mark.parametrize(("times", "rate"), [(1, 100.0), (7, 250.0), (100, 100.0), (3000, 100.0)])
def test_windows_add_up_and_are_not_too_many(times, rate):
    windows = make_windows(times, rate)
    np.testing.assert_allclose(windows.sum(0), 1)
    assert windows.min() >= 0
    assert (windows.max(1) >= 0.5).all()
    assert 1 <= len(windows) <= 24


def test_bands_add_up_to_the_whole():
    x, _ = planted()
    bands = [(0.0, 1.0), *make_bands(100.0, width=7), (50.0, 51.0)]
    total = sum(keep_band(x, 100.0, *band) for band in bands)
    np.testing.assert_allclose(total, x, atol=1e-10)


def test_bands_stay_within_the_filter_and_nyquist():
    assert make_bands(160.0, (8, 30))[0] == (8, 10)
    assert make_bands(160.0, (8, 30))[-1] == (28, 30)
    assert make_bands(50.0, (4, None), width=10) == [(4, 14), (14, 24), (24, 25)]
    assert make_bands(20.0)[0] == (1, 2)
    assert (
        band_relevance(lambda x: np.zeros((len(x), 2)), *planted(), 100.0, [(8, 9)]).relevance == 0
    ).all()


@pytest.mark.parametrize("make", [CspLda, Riemann])
def test_real_fists_and_feet_are_decoded_from_motor_sensors(test_data, make):
    import mne

    from neuroloom.core.recording import signal
    from neuroloom.signals.steps import BandPass

    xs, ys = [], []
    for run in ("06", "10", "14"):
        raw = mne.io.read_raw_edf(
            test_data / f"eeg/eegmmidb/S001R{run}.edf", preload=True, verbose="ERROR"
        )
        names = [name.strip(".") for name in raw.ch_names]
        filtered = BandPass(8, 30).apply(signal(raw.get_data(), names, 160.0)).values
        for mark in raw.annotations:
            if mark["description"] != "T0":
                first = round((mark["onset"] + 1) * 160)
                xs.append(filtered[:, first : first + 480])
                ys.append(int(mark["description"] == "T2"))
    x, y = np.stack(xs).astype(np.float32), np.array(ys)
    learner = make()
    learner.fit(x[:30], y[:30])
    found = explain(
        learner.predict_scores, x, y, 160.0, names, classes=["fists", "feet"], band=(4, 38)
    )
    assert set(found.channels.channel[:10]) & {"C3", "Cz", "C4"}
    assert found.channels.fists[0] < 0
    best = found.bands.loc[found.bands.relevance.idxmax()]
    assert 8 <= best.low < best.high <= 30
