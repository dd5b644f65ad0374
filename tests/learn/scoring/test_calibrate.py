import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.learn.scoring import calibrate
from neuroloom.learn.scoring.metrics import ece, log_loss


def overconfident(n, factor, seed=0, k=3):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 1.5
    p = calibrate.apply(logits, 1.0)
    y = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(0, k - 1)
    return logits * factor, y


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_it_finds_the_planted_temperature(factor):
    scores, y = overconfident(5000, factor)
    assert calibrate.fit_temperature(scores, y) == pytest.approx(factor, rel=0.08)


def test_apply_is_softmax():
    from scipy.special import softmax

    scores = np.random.default_rng(0).normal(size=(20, 4)) * 300
    np.testing.assert_allclose(calibrate.apply(scores, 2.5), softmax(scores / 2.5, axis=1))


def test_it_keeps_the_class_and_lowers_the_loss():
    scores, y = overconfident(600, 4.0)
    folds = np.arange(600) % 3
    p, temperatures = calibrate.cross_fit(scores, y, folds)
    assert set(temperatures) == {0, 1, 2}
    np.testing.assert_array_equal(p.argmax(1), scores.argmax(1))
    before = calibrate.apply(scores, 1.0)
    assert log_loss(y, p) < log_loss(y, before) - 0.3
    assert ece(y, p) < ece(y, before)


def test_a_fold_never_sees_its_own_labels():
    scores, y = overconfident(90, 2.0)
    folds = np.arange(90) % 3
    p, t = calibrate.cross_fit(scores, y, folds)
    other = np.where(folds == 1, (y + 1) % 3, y)
    p2, t2 = calibrate.cross_fit(scores, other, folds)
    assert t2[1] == t[1]
    assert t2[0] != t[0]
    np.testing.assert_array_equal(p2[folds == 1], p[folds == 1])


@pytest.mark.parametrize("n", [1, 2, 10, 45])
def test_perfect_separation_stays_within_bounds(n):
    y = np.arange(n) % 2
    scores = np.where(np.eye(2)[y] == 1, 0.0, -2.0)
    t = calibrate.fit_temperature(scores, y)
    assert 0.25 <= t <= 1
    assert calibrate.fit_temperature(scores, 1 - y) <= 10


def test_all_wrong_and_infinite_scores_are_survived():
    y = np.zeros(30, int)
    scores = np.tile([-np.inf, 0.0], (30, 1))
    assert calibrate.fit_temperature(scores, y) == pytest.approx(10, rel=1e-3)
    assert np.isfinite(calibrate.apply(scores, 1.0)).all()


def test_few_examples_stay_near_one():
    t = [calibrate.fit_temperature(*overconfident(5, 1.0, seed)) for seed in range(20)]
    assert 0.6 < np.median(t) < 1.6


def test_bad_scores_are_named():
    with pytest.raises(DataError, match="Example 1 "):
        calibrate.fit_temperature([[0.0, 1.0], [np.nan, 0.0]], [0, 1])
    with pytest.raises(DataError, match="shape"):
        calibrate.fit_temperature([[0.0, 1.0]], [0, 1])


def test_reliability_adds_up_to_ece():
    scores, y = overconfident(500, 3.0)
    p = calibrate.apply(scores, 1.0)
    table = calibrate.reliability(p, y, 10)
    gap = ((table.accuracy - table.confidence).abs() * table["count"]).sum() / 500
    assert gap == pytest.approx(ece(y, p), abs=1e-12)
    assert table["count"].sum() == 500
    assert ((table.accuracy_low <= table.accuracy) & (table.accuracy <= table.accuracy_high)).all()


def test_wilson_matches_scipy():
    from scipy.stats import binomtest

    table = calibrate.reliability([[0.85, 0.15]] * 20, [0] * 17 + [1] * 3)
    reference = binomtest(17, 20).proportion_ci(method="wilson")
    assert table.accuracy_low[0] == pytest.approx(reference.low)
    assert table.accuracy_high[0] == pytest.approx(reference.high)
