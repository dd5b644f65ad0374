"""Features against pyRiemann, against formulae, and on planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.scoring.metrics import auc
from neuroloom.signals.classical.base import Estimator
from neuroloom.signals.classical.build import pipeline
from neuroloom.signals.classical.csp import FilterBank, mutual_information
from neuroloom.signals.classical.evoked import ErpCovariance, Samples, Xdawn, clipped
from neuroloom.signals.classical.linear import LinearDiscriminant
from neuroloom.signals.classical.power import BandPower, LogCovariance, Muscle
from neuroloom.signals.classical.riemann import NearestMean, WhitenedCovariances
from tests.signals.classical import planted


def test_xdawn_filters_equal_pyriemann():
    from pyriemann.spatialfilters import Xdawn as Theirs

    x, y, _ = planted.responses()
    features = Xdawn()
    arrays = features.learn(x, y)
    theirs = Theirs(nfilter=2).fit(clipped(x, arrays), y)
    agree = np.abs(np.corrcoef(arrays["filters"], theirs.filters_))[:4, 4:]
    # The first filter of the class that has a response; the other class's mean is noise.
    assert agree[2, 2] > 0.995


def test_xdawn_finds_the_planted_response():
    x, y, wave = planted.responses()
    arrays = Xdawn().learn(x, y)
    assert abs(np.corrcoef(arrays["prototype"][2], wave)[0, 1]) > 0.95


def test_erp_covariance_holds_the_responses_of_all_classes():
    x, y, _ = planted.responses()
    features = ErpCovariance()
    arrays = features.learn(x, y)
    signal = clipped(x, arrays)
    white = arrays["filters"] @ signal
    for label in (0, 1):
        part = arrays["prototype"].reshape(2, 4, -1)[label]
        np.testing.assert_allclose(part, white[y == label].mean(0), atol=1e-9)
    assert arrays["reference"].shape == (12, 12)


@pytest.mark.parametrize("name", ["time", "xdawn", "erp-cov"])
def test_evoked_features_find_a_response_beside_blinks(name):
    x, y, _ = planted.responses(trials=240)
    learner = pipeline("it", name, "shrinkage-lda", 128.0, n_outputs=2)
    learner.fit(x[:160], y[:160])
    scores = learner.predict_scores(x[160:])
    assert auc(y[160:], scores) > 0.9


def test_clipping_is_what_holds_against_blinks():
    x, y, _ = planted.responses(trials=240)
    wide = Samples(128.0)
    wide.learn = lambda x, y: {"clip": np.full(4, np.inf)}
    found = []
    for features in (Samples(128.0), wide):
        learner = Estimator("it", features, LinearDiscriminant(), 2)
        learner.fit(x[:120], y[:120])
        found.append(auc(y[120:], learner.predict_scores(x[120:])))
    assert found[0] > found[1] + 0.02


def test_samples_are_means_of_bins():
    x = np.arange(2 * 3 * 16.0).reshape(2, 3, 16)
    features = Samples(128.0)
    mine = features.of(x, {"clip": np.full(3, np.inf)})
    np.testing.assert_allclose(mine, x.reshape(2, 3, 4, 4).mean(3).reshape(2, 12))


def test_nearest_mean_equals_pyriemann():
    from pyriemann.classification import MDM

    x, y, _ = planted.powers(3, trials=60)
    features, head = WhitenedCovariances(), NearestMean()
    arrays = features.learn(x, y)
    flat = features.of(x, arrays)
    square = flat.reshape(60, 6, 6)
    theirs = MDM(metric="riemann").fit(square[:40], y[:40])
    scores = head.scores(flat[40:], head.learn(flat[:40], y[:40]))
    np.testing.assert_allclose(np.exp(scores), theirs.predict_proba(square[40:]), atol=1e-5)


def test_log_covariance_is_the_matrix_logarithm():
    from scipy.linalg import logm

    from neuroloom.signals.classical.covariance import trial_covariances, whiten

    x, y, _ = planted.powers(n_channels=3)
    features = LogCovariance()
    arrays = features.learn(x, y)
    whole = logm(whiten(trial_covariances(x[:1]), arrays["whitener"], x.shape[2])[0])
    mine = features.of(x[:1], arrays)[0]
    root = np.sqrt(2)
    a, b, c = whole[0, 1] * root, whole[0, 2] * root, whole[1, 2] * root
    np.testing.assert_allclose(mine, [whole[0, 0], a, b, whole[1, 1], c, whole[2, 2]], atol=1e-9)


@pytest.mark.parametrize(("frequency", "band"), [(2.5, 0), (6, 1), (10, 2), (16, 3), (25, 4)])
def test_band_power_stands_in_its_band(frequency, band):
    wave = np.sin(2 * np.pi * frequency * np.arange(256) / 128)
    power = BandPower(128.0).of(wave[None, None], {})
    assert power.shape == (1, 6)
    assert power.argmax() == band


def test_band_power_of_trials_too_short_is_refused():
    with pytest.raises(ConfigError, match="longer trials"):
        BandPower(1000.0).of(np.ones((1, 1, 10)), {})


def test_muscle_features_count_crossings_and_length_by_hand():
    x = np.tile([1.0, -1.0, 1.0, 1.0, 1e-3, -1e-3, 1.0, 1.0], (3, 1, 1)).reshape(3, 1, 8)
    x[1] *= 2
    features = Muscle()
    row = features.of(x, features.learn(x, np.array([0, 1, 0])))[0]
    assert row[0] == pytest.approx(np.log(np.sqrt((6 + 2e-6) / 8)))
    length = (2 + 2 + 0 + 0.999 + 0.002 + 1.001 + 0) / 7
    assert row[1] == pytest.approx(np.log(length))
    assert row[2] == pytest.approx(3 / 7)


def test_the_filter_bank_chooses_the_planted_band():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    times = np.arange(256) / 128
    x = rng.normal(size=(60, 4, 256))
    for trial in range(60):
        tone = np.sin(2 * np.pi * 22 * times + rng.uniform(0, 6))
        x[trial, y[trial]] += 0.7 * tone
    features = FilterBank(128.0)
    arrays = features.learn(x, y)
    assert np.sum(arrays["band"] == 4) >= 2
    assert len(arrays["band"]) <= 8
    learner = pipeline("fbcsp", "fbcsp", "lda", 128.0)
    learner.fit(x[:40], y[:40])
    assert (learner.predict_scores(x[40:]).argmax(1) == y[40:]).mean() >= 0.9


def test_the_filter_bank_refuses_trials_that_hold_none_of_its_bands():
    with pytest.raises(ConfigError, match="resolve none"):
        FilterBank(8.0).learn(np.random.default_rng(0).normal(size=(20, 2, 40)), np.arange(20) % 2)


def test_mutual_information_of_normal_classes_equals_the_integral():
    rng = np.random.default_rng(0)
    y = np.arange(4000) % 2
    x = rng.normal(size=4000) + 2 * y
    grid = np.linspace(-6, 8, 4001)
    normal = [np.exp(-((grid - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0, 2)]
    mean = (normal[0] + normal[1]) / 2
    terms = [0.5 * p * np.log(np.maximum(p, 1e-300) / mean) for p in normal]
    expected = np.trapezoid(terms[0] + terms[1], grid)
    assert mutual_information(x[:, None], y)[0] == pytest.approx(expected, abs=0.03)
