"""Heads against scikit-learn, from stored arrays alone."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.signals.classical.base import inner_folds
from neuroloom.signals.classical.build import FEATURES, HEADS, pipeline
from neuroloom.signals.classical.forest import Forest
from neuroloom.signals.classical.kernel import SupportVectors, decisions
from neuroloom.signals.classical.linear import LinearDiscriminant, Logistic
from neuroloom.signals.classical.neighbours import Neighbours
from neuroloom.signals.classical.selection import select
from tests.signals.classical import planted

ALL = ["lda", "shrinkage-lda", "logistic", "svm", "knn", "forest", "sffs"]
NUMBERS = ["lda", "shrinkage-lda", "logistic", "svm", "knn", "forest"]


def clouds(n_classes: int = 3, trials: int = 90, seed: int = 0):
    """Overlapping clouds of unlike scale, and new points."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(trials) % n_classes)
    x = rng.normal(size=(trials, 5)) * [1, 10, 0.1, 1, 1]
    x[:, 0] += y
    x[:, 1] += 10 * (y == 1)
    return x, y, rng.normal(size=(40, 5)) * [2, 20, 0.1, 1, 1] + [1, 5, 0, 0, 0]


def stored(head, arrays):
    """Return the arrays as a file would give them back."""
    return {name: np.array(array) for name, array in arrays.items()}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("ours", "shrinkage"), [(False, None), (True, "auto")])
def test_discriminant_analysis_equals_scikit_learn(n_classes, ours, shrinkage):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.preprocessing import StandardScaler

    x, y, new = clouds(n_classes)
    scaler = StandardScaler().fit(x)
    solver = "lsqr" if shrinkage else "svd"
    theirs = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage)
    theirs.fit(scaler.transform(x), y)
    head = LinearDiscriminant(shrinkage=ours)
    scores = head.scores(new, stored(head, head.learn(x, y)))
    np.testing.assert_allclose(scores, theirs.predict_log_proba(scaler.transform(new)), atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_logistic_regression_equals_scikit_learn(n_classes):
    from sklearn.linear_model import LogisticRegression

    x, y, new = clouds(n_classes)
    theirs = LogisticRegression(max_iter=1000).fit(x, y)
    head = Logistic()
    scores = head.scores(new, head.learn(x, y))
    expected = theirs.predict_proba(new)
    np.testing.assert_allclose(
        np.exp(scores)[:, 1], expected[:, 1], atol=1e-9 if n_classes > 2 else 1
    )
    np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_support_vector_decisions_equal_scikit_learn(n_classes):
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y, new = clouds(n_classes)
    scaler = StandardScaler().fit(x)
    theirs = OneVsRestClassifier(SVC(gamma=1 / 5, class_weight="balanced"))
    theirs.fit(scaler.transform(x), y)
    head = SupportVectors()
    arrays = stored(head, head.learn(x, y))
    mine = decisions((new - arrays["mean"]) / arrays["scale"], arrays)
    expected = theirs.decision_function(scaler.transform(new))
    np.testing.assert_allclose(mine, expected.reshape(len(new), -1), atol=1e-9)
    assert (head.scores(x, arrays).argmax(1) == y).mean() > 0.6


def test_forest_equals_scikit_learn():
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    x, y, new = clouds()
    head = Forest()
    arrays = stored(head, head.learn(x, y))
    theirs = RandomForestClassifier(300, random_state=0).fit(x, y).predict_proba(new)
    mean = (np.exp(head.scores(new, arrays)) * 301 - 1 / 3) / 300
    np.testing.assert_allclose(mean, theirs, atol=1e-9)
    numbers = RandomForestRegressor(300, random_state=0).fit(x, x[:, 0]).predict(new)
    np.testing.assert_allclose(head.scores(new, head.learn(x, x[:, 0])), numbers, atol=1e-9)


def test_neighbours_equal_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.preprocessing import StandardScaler

    x, y, new = clouds()
    scaler = StandardScaler().fit(x)
    head = Neighbours()
    arrays = stored(head, head.learn(x, y))
    number = arrays["number"].item()
    theirs = KNeighborsClassifier(number).fit(scaler.transform(x), y)
    votes = np.exp(head.scores(new, arrays)) * (number + 1) - 1 / 3
    expected = number * theirs.predict_proba(scaler.transform(new))
    np.testing.assert_allclose(votes, expected, atol=1e-9)
    arrays = head.learn(x, x[:, 0])
    theirs = KNeighborsRegressor(arrays["number"].item()).fit(scaler.transform(x), x[:, 0])
    expected = theirs.predict(scaler.transform(new))
    np.testing.assert_allclose(head.scores(new, arrays), expected, atol=1e-9)


def test_neighbours_take_many_where_classes_overlap_and_few_where_they_do_not():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    noisy = rng.normal(size=(200, 2)) + 0.7 * y[:, None]
    places, label = rng.uniform(-100, 100, size=(20, 2)), rng.permutation(np.arange(20) % 2)
    islands = np.tile(places, (10, 1)) + rng.normal(size=(200, 2))
    many = Neighbours().learn(noisy, y)["number"].item()
    few = Neighbours().learn(islands, np.tile(label, 10))["number"].item()
    assert many >= 15 > few


def test_selection_finds_features_that_tell_only_together():
    rng = np.random.default_rng(1)
    y = np.arange(120) % 2
    x = rng.normal(size=(120, 30))
    common = 5 * rng.normal(size=120)
    x[:, 4], x[:, 17] = common + 1.2 * y, common
    assert {4, 17} <= set(select(x, y))
    assert len(select(x, y)) <= 10


def test_floating_steps_back_from_a_feature_that_two_others_replace():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    y = (a + b > 0).astype(int)
    both = a + b + 0.8 * rng.normal(size=400)
    chosen = select(np.stack([both, a, b], axis=1), y, most=3)
    assert {1, 2} <= set(chosen)
    assert select(np.stack([both, a, b], axis=1), y, most=1) == [0]


@pytest.mark.parametrize("head", ALL)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_each_head_finds_planted_power_and_keeps_it_in_arrays(head, n_classes):
    x, y, _ = planted.powers(n_classes, trials=60)
    learner = pipeline("it", "covariance", head, 128.0, n_outputs=n_classes + 1)
    learner.fit(x[:40], y[:40])
    scores = learner.predict_scores(x[40:])
    assert scores.shape == (20, n_classes + 1)
    assert (scores.argmax(1) == y[40:]).mean() >= 0.8
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-9)
    spec = {**learner.spec}
    again = pipeline(**spec)
    again.load(stored(head, learner.state()))
    np.testing.assert_array_equal(again.predict_scores(x[40:]), scores)
    assert all(array.dtype.kind in "fi" for array in learner.state().values())


@pytest.mark.parametrize("head", NUMBERS)
def test_heads_predict_numbers(head):
    rng = np.random.default_rng(0)
    power = rng.uniform(-1, 1, 120)
    x = (1e-5 * np.exp(power)[:, None, None] * rng.normal(size=(120, 2, 100))).astype(np.float32)
    learner = pipeline("it", "rms", head, 100.0)
    learner.fit(x[:90], 100 + power[:90])
    predicted = learner.predict_scores(x[90:])
    assert predicted.shape == (30,)
    assert np.abs(predicted - 100 - power[90:]).mean() < 0.25


@pytest.mark.parametrize("head", ["sffs", "nearest-mean"])
def test_heads_of_classes_refuse_numbers(head):
    x, _, _ = planted.powers()
    with pytest.raises(ConfigError, match="it tells classes apart"):
        pipeline("it", "whitened", head, 100.0).fit(x, np.linspace(0, 1, len(x)))


@pytest.mark.parametrize("features", sorted(FEATURES))
def test_features_survive_a_flat_channel_and_few_trials(features):
    x, y, _ = planted.powers(trials=12)
    x[:, 2] = 0
    head = "nearest-mean" if features == "whitened" else "shrinkage-lda"
    learner = pipeline("it", features, head, 120.0)
    learner.fit(x, y)
    assert np.isfinite(learner.predict_scores(np.concatenate([x, 0 * x[:1]]))).all()


def test_names_that_do_not_exist_are_refused():
    assert set(HEADS) > set(ALL)
    with pytest.raises(ConfigError, match="'bandpower'"):
        pipeline("it", "bandpowr", "lda", 128.0)


def test_inner_folds_hold_every_class_and_keep_neighbours_together():
    y = np.array([0] * 10 + [1] * 20)
    fold = inner_folds(y)
    assert all(set(y[fold == k]) == {0, 1} for k in range(5))
    assert (np.diff(fold[:10]) >= 0).all()
