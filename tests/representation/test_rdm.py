"""RDMs and CKA against SciPy, and against formulae written out; rsa92 against the literature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.representation.items import grouped, read_items
from neuroloom.representation.rsa import ceiling, infer
from neuroloom.representation.rsa.cka import cka
from neuroloom.representation.rsa.rdm import (
    crossnobis,
    noise_precision,
    rdm,
    to_pairs,
    to_square,
)
from neuroloom.representation.rsa.similarity import METHODS, compare_rdms

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(25, 3, 14)), RNG.normal(size=(25, 30))
Y[:, :20] += X.reshape(25, -1)[:, :20]


@pytest.mark.parametrize("method", ["correlation", "cosine", "euclidean"])
@pytest.mark.parametrize("block", [64 * 2**20, 25 * 8 * 5])
def test_distances_are_scipys_whatever_the_block(method, block):
    np.testing.assert_allclose(
        rdm(X, method, block=block), pdist(X.reshape(25, -1), method), rtol=1e-10, atol=1e-12
    )


def test_other_distances_by_their_formulae():
    flat = X.reshape(25, -1)
    squared = pdist(flat, "sqeuclidean")
    np.testing.assert_allclose(rdm(X, "squared-euclidean"), squared / 42)
    mean = squareform(squared).mean()
    np.testing.assert_allclose(rdm(X, "gaussian"), 1 - np.exp(-squared / mean))
    precision = noise_precision(RNG.normal(size=(200, 42)))
    ours = rdm(X, "mahalanobis", precision=precision)
    np.testing.assert_allclose(ours, pdist(flat, "mahalanobis", VI=precision) ** 2 / 42)


def test_crossnobis_multiplies_differences_of_different_folds():
    patterns, folds = RNG.normal(size=(3 * 4, 6)), np.repeat([0, 1, 2], 4)
    parts = patterns.reshape(3, 4, 6)
    wanted = []
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        differences = parts[:, i] - parts[:, j]
        products = [
            differences[a] @ differences[b] / 6 for a in range(3) for b in range(3) if a != b
        ]
        wanted.append(np.mean(products))
    np.testing.assert_allclose(crossnobis(patterns, folds), wanted)


def test_features_on_disk_give_the_same(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    there = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_allclose(rdm(there), pdist(X.reshape(25, -1), "correlation"), atol=1e-6)


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "Stimulus 3"), (np.inf, "Stimulus 3")])
def test_a_stimulus_that_is_not_known_is_named(bad, says):
    broken = Y.copy()
    broken[3, 2] = bad
    with pytest.raises(DataError, match=says):
        rdm(broken)


def test_a_flat_stimulus_and_a_wrong_name_are_named():
    flat = Y.copy()
    flat[4] = 1.0
    with pytest.raises(DataError, match="Stimulus 4"):
        rdm(flat)
    with pytest.raises(ConfigError, match="Did you mean 'euclidean'"):
        rdm(Y, "euclidian")


def hsic(k, m):
    """Song et al. (2012), eq. 5, the unbiased estimate, term by term."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_by_its_formula(kernel, unbiased):
    kernels = []
    for features in (X.reshape(25, -1), Y):
        squared = squareform(pdist(features, "sqeuclidean"))
        median = np.median(squared[squared != 0])
        rbf = np.exp(-squared / (2 * median))
        kernels.append(features @ features.T if kernel == "linear" else rbf)
    centre = np.eye(25) - 1 / 25

    def product(a, b):
        return hsic(a, b) if unbiased else np.trace(a @ centre @ b @ centre)

    a, b = kernels
    wanted = product(a, b) / np.sqrt(product(a, a) * product(b, b))
    assert cka(X, Y, kernel=kernel, unbiased=unbiased) == pytest.approx(wanted, abs=1e-10)


def test_unbiased_cka_of_unrelated_features_is_near_zero():
    rng = np.random.default_rng(1)
    values = [
        cka(rng.normal(size=(20, 300)), rng.normal(size=(20, 300)), unbiased=True)
        for _ in range(30)
    ]
    assert abs(np.mean(values)) < 0.02
    assert cka(rng.normal(size=(20, 300)), rng.normal(size=(20, 300))) > 0.8


def test_similarities_are_scipys():
    a, b = rdm(X), rdm(Y)
    known = {
        "spearman": stats.spearmanr(a, b)[0],
        "pearson": stats.pearsonr(a, b)[0],
        "kendall": stats.kendalltau(a, b)[0],
        "cosine": a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    }
    for method, wanted in known.items():
        assert compare_rdms(a, b, method).item() == pytest.approx(wanted, abs=1e-12), method


def test_ties_by_brute_force():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 3, 28).astype(float), rng.integers(0, 4, 28).astype(float)
    signs = [np.sign(np.subtract.outer(x, x)) for x in (a, b)]
    upper = np.triu_indices(28, 1)
    wanted = (signs[0] * signs[1])[upper].sum() / len(upper[0])
    assert compare_rdms(a, b, "tau-a").item() == pytest.approx(wanted)
    broken = [
        stats.spearmanr(
            stats.rankdata(a + 1e-6 * rng.random(28)), stats.rankdata(b + 1e-6 * rng.random(28))
        )[0]
        for _ in range(1000)
    ]
    assert compare_rdms(a, b, "rho-a").item() == pytest.approx(np.mean(broken), abs=0.02)


def test_whitening_undoes_the_covariance_of_distances():
    """Diedrichsen et al. (2021), eq. 14: V = (C C^T)^2 elementwise, for independent noise."""
    n = 7
    rows, others = np.triu_indices(n, 1)
    contrast = np.zeros((len(rows), n))
    contrast[np.arange(len(rows)), rows], contrast[np.arange(len(rows)), others] = 1, -1
    precision = np.linalg.inv((contrast @ contrast.T) ** 2)
    rng = np.random.default_rng(3)
    a, b = rng.random(len(rows)), rng.random(len(rows))

    def wanted(x, y):
        return x @ precision @ y / np.sqrt((x @ precision @ x) * (y @ precision @ y))

    assert compare_rdms(a, b, "whitened-cosine").item() == pytest.approx(wanted(a, b))
    centred = wanted(a - a.mean(), b - b.mean())
    assert compare_rdms(a, b, "whitened-pearson").item() == pytest.approx(centred)


@pytest.mark.parametrize("method", METHODS)
def test_an_rdm_is_most_like_itself(method):
    a = rdm(X)
    assert compare_rdms(a, a, method).item() == pytest.approx(1.0)


def test_squares_and_pairs_are_the_same():
    a = rdm(X)
    np.testing.assert_array_equal(to_pairs(to_square(a)), a)


def test_rsa92_is_as_published(test_data):
    folder = test_data / "cognition" / "rsa92"
    human = grouped(read_items(folder / "92_brainRDMs.mat"))[0]
    models = grouped(read_items(folder / "92_modelRDMs.mat"))
    subjects = human.rdms("correlation")
    assert subjects.shape == (4, 4186)
    rows = np.stack([group.rdms("correlation")[0] for group in models])
    whole, _ = infer.similarities(rows, subjects, "spearman")
    found = dict(zip([group.name for group in models], whole, strict=True))
    wanted = {"animacy": 0.5882, "HMAX": 0.2217, "V1": 0.0393, "monkeyIT": 0.4389, "EVA": 0.3542}
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name
    low, high = ceiling.noise_ceiling(subjects, "spearman")
    assert (low, high) == pytest.approx((0.377, 0.672), abs=5e-4)


def test_monkey_and_human_are_as_published(test_data):
    file = test_data / "cognition/rsa92/Kriegeskorte_Neuron2008_supplementalData.mat"
    monkey, human = (group.rdms("correlation") for group in grouped(read_items(file)))
    assert compare_rdms(monkey, human, "pearson").item() == pytest.approx(0.4912, abs=1e-4)
