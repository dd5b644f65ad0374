"""Encoding, decoding, probes, alignment and HRF against scikit-learn, nilearn and planted truth."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from neuroloom.core.errors import DataError
from neuroloom.representation.mapping.align import align, cross_align, odd_one_out, read_triplets
from neuroloom.representation.mapping.hrf import convolve, courses, response
from neuroloom.representation.mapping.latent import cross_pls, probe
from neuroloom.representation.mapping.ridge import compress, correlate, cross_predict
from neuroloom.representation.rsa.rdm import gram


def test_ridge_is_scikit_learns_and_its_penalty_that_of_leaving_one_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 60)) + 3.0
    y = x @ rng.normal(size=(60, 3)) + rng.normal(size=(40, 3))
    penalties = (1e-2, 1e-1, 1.0, 10.0)
    found = cross_predict([x @ x.T], y, 4, penalties=penalties)
    for number in range(4):
        train, test = found.fold != number, found.fold == number
        inside = x[train] - x[train].mean(0)
        scale = (inside**2).sum() / train.sum()
        for target in range(3):
            errors = []
            for size in penalties:
                left = []
                for out in np.flatnonzero(train):
                    kept = train.copy()
                    kept[out] = False
                    # The closed form leaves the mean's share out as one more direction.
                    model = Ridge(size * scale).fit(x[kept], y[kept, target])
                    left.append((model.predict(x[[out]])[0] - y[out, target]) ** 2)
                errors.append(np.mean(left))
            assert found.penalty[number, target] == penalties[int(np.argmin(errors))]
            model = Ridge(found.penalty[number, target] * scale).fit(x[train], y[train, target])
            np.testing.assert_allclose(found.predicted[test, target], model.predict(x[test]))


def test_the_layer_behind_voxels_is_found_and_the_ceiling_reached():
    """200 voxels read one of three layers, with noise of a known size."""
    rng = np.random.default_rng(1)
    n = 400
    one = rng.normal(size=(n, 30))
    layers = [one]
    for _ in range(2):
        layers.append(np.maximum(layers[-1] @ rng.normal(size=(layers[-1].shape[1], 30)), 0))
    kernels = [gram(layer, centre="column") for layer in layers]
    for truth, layer in enumerate(layers):
        signal = layer @ rng.normal(size=(30, 200))
        signal = (signal - signal.mean(0)) / signal.std(0)
        voxels = signal + 0.75 * rng.normal(size=signal.shape)
        ceiling = 1 / np.sqrt(1 + 0.75**2)
        scores = []
        for kernel in kernels:
            found = cross_predict([kernel], voxels, 5, rng=np.random.default_rng(2))
            scores.append(correlate(found.predicted, voxels, found.fold))
        assert (np.argmax(scores, 0) == truth).all()
        # What is left is the price of learning 30 weights from 320 stimuli.
        assert scores[truth].mean() == pytest.approx(ceiling, abs=0.025)


def test_banded_ridge_leaves_a_useless_band_alone():
    rng = np.random.default_rng(3)
    good, bad = rng.normal(size=(80, 10)), 5 * rng.normal(size=(80, 300))
    y = good @ rng.normal(size=(10, 5)) + 0.3 * rng.normal(size=(80, 5))
    kernels = [gram(x, centre="column") for x in (good, bad)]
    banded = cross_predict(kernels, y, rng=np.random.default_rng(0))
    plain = cross_predict([sum(kernels)], y, rng=np.random.default_rng(0))
    gain = correlate(banded.predicted, y, banded.fold) - correlate(plain.predicted, y, plain.fold)
    assert gain.min() > 0.1
    assert banded.shares[:, 0].mean() > 0.9


def test_noise_predicts_nothing():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(60, 100)), rng.normal(size=(60, 300))
    found = cross_predict([x @ x.T], y, rng=rng)
    assert abs(np.nanmean(correlate(found.predicted, y, found.fold))) < 0.04


def test_pls_on_inner_products_is_pls_on_features():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(45, 200))
    y = x[:, :3] @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(45, 4))
    found = cross_pls(x @ x.T, y, 3, components=(3,))
    for number in range(3):
        train, test = found.fold != number, found.fold == number
        model = PLSRegression(3, scale=False).fit(x[train], y[train])
        np.testing.assert_allclose(found.predicted[test], model.predict(x[test]), atol=1e-6)


def test_few_stimuli_are_refused():
    with pytest.raises(DataError, match="too few"):
        cross_predict([np.eye(8)], np.zeros((8, 1)), 5)


def test_a_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(6)
    labels = np.repeat(["animal", "tool", "place"], 30)
    x = rng.normal(size=(90, 500))
    x[:, :5] += 2.5 * (labels == "animal")[:, None]
    x[:, 5:10] += 2.5 * (labels == "tool")[:, None]
    found, chances, fold = probe(gram(x, centre="column"), labels)
    assert (found == labels).mean() > 0.7
    np.testing.assert_allclose(chances.sum(1), 1)
    assert np.bincount(fold).max() <= 18
    mixed = rng.permutation(labels)
    assert (probe(gram(x, centre="column"), mixed)[0] == mixed).mean() < 0.5


def test_coordinates_have_the_same_inner_products():
    x = np.random.default_rng(7).normal(size=(10, 4))
    assert compress(x @ x.T).shape == (10, 4)


def judgements(truth, count, rng):
    """Triplets whose odd one is that of `truth`."""
    drawn = np.array([rng.permutation(len(truth))[:3] for _ in range(count)])
    alike = truth @ truth.T
    pairs = np.stack([alike[drawn[:, a], drawn[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))], 1)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[pairs.argmax(1)]
    return np.take_along_axis(drawn, orders, 1)


def test_alignment_helps_for_stimuli_that_it_has_not_seen():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(90, 10))
    judged = judgements(x * np.array([2, 2, 2, *[0.0] * 7]), 6000, rng)
    right, tested = cross_align(x, judged, 3, rng=rng, penalty=0.01)
    before = odd_one_out(x, tested).mean()
    assert right.mean() > before + 0.1
    assert before > 1 / 3


def test_a_strong_penalty_leaves_features_alone():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(30, 4))
    found = align(x, judgements(x[:, [0, 0, 0, 0]], 300, rng), penalty=1e4)
    weight = found.weight / found.weight[0, 0]
    np.testing.assert_allclose(weight, np.eye(4), atol=0.02)


@pytest.mark.parametrize("bad", [[[0, 1, 1]], [[0, 1, 30]], [[0, 1]], [[0.5, 1, 2]]])
def test_judgements_that_cannot_be_are_named(bad):
    with pytest.raises(DataError, match="Judgement"):
        read_triplets(bad, 30)


@pytest.mark.parametrize("tr", [2.0, 0.72])
@pytest.mark.parametrize("shape", ["glover", "spm"])
def test_the_blood_is_nilearns(tr, shape):
    from nilearn.glm.first_level import compute_regressor

    rng = np.random.default_rng(10)
    onset = np.sort(rng.uniform(0, 100, 8))
    duration, frames = rng.choice([0.0, 1.0, 3.3], 8), np.arange(80) * tr
    features = rng.normal(size=(8, 3))
    found = convolve(features, onset, duration, frames, shape)
    for column in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            condition = (onset, duration, features[:, column])
            wanted = compute_regressor(condition, shape, frames)[0][:, 0]
        np.testing.assert_allclose(found[:, column], wanted, atol=1e-6)


def test_a_response_sums_to_one_and_bad_events_are_refused():
    assert response(1.0).sum() == pytest.approx(1)
    with pytest.raises(DataError, match="onset and a duration"):
        courses([0.0, 1.0], [1.0], np.arange(9))
