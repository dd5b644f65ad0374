"""Noise gives few edges, intervals cover, scores equal independent ones."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.connectivity import evidence, measures, static
from neuroloom.connectivity.choose import Choice
from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.methods import Options, draw_graphs
from neuroloom.connectivity.networks import test_edges as edge_p


def noise(nodes: int = 8, time: int = 300, seed: int = 0) -> Signals:
    """Independent nodes with memory."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(nodes, time))
    for t in range(1, time):
        x[:, t] += 0.7 * x[:, t - 1]
    return Signals(x, tuple(f"n{k}" for k in range(nodes))).standardised()


@pytest.mark.parametrize(
    "model", ["ridge-var", "mvgc", "pwgc", "pc-var", "partial", "correlation", "skew",
              "cyclic-lingam", "lasso-var"],
)  # fmt: skip
def test_noise_gives_few_edges(model):
    one = noise()
    choice, rng = Choice(model, penalty=30.0), np.random.default_rng(0)
    drawn = draw_graphs([one], choice)
    p = edge_p([one], choice, Options(), drawn, rng, 10)
    found = evidence.discover(p, one.allowed())
    assert found.sum() <= 0.05 * one.allowed().sum()


def test_pooled_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(0)
    may = ~np.eye(6, dtype=bool)
    scale = rng.uniform(0.5, 5, (6, 6))
    p = []
    for _ in range(150):
        draws = np.abs(rng.normal(size=(9, 6, 6))) * scale
        p.append(evidence.pooled_p(draws[0], draws[1:], may)[may])
    p = np.concatenate(p)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(p <= 0.01) == pytest.approx(0.01, abs=0.006)


def test_false_discovery_rate_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=(7, 7)) ** 2
    may = ~np.eye(7, dtype=bool)
    theirs = multipletests(p[may], 0.1, "fdr_bh")[0]
    np.testing.assert_array_equal(evidence.discover(p, may, 0.1)[may], theirs)


def test_combined_p_equals_scipy():
    from scipy.stats import combine_pvalues

    p = np.array([0.2, 0.04, 0.6])
    assert evidence.combine_p(p) == pytest.approx(combine_pvalues(p, "fisher").pvalue)


def test_auc_equals_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, graph = rng.integers(0, 2, (6, 6)), rng.integers(0, 5, (6, 6)).astype(float)
    off = ~np.eye(6, dtype=bool)
    assert measures.edge_auc(truth, graph) == pytest.approx(roc_auc_score(truth[off], graph[off]))


def test_partial_correlation_equals_residuals():
    x = np.random.default_rng(0).normal(size=(4, 100_000))
    x[1] += x[0]
    x[2] += x[1] - x[3]
    rest = np.vstack([x[[2, 3]], np.ones(x.shape[1])])
    left = [row - np.linalg.lstsq(rest.T, row, rcond=None)[0] @ rest for row in x[:2]]
    wanted = abs(np.corrcoef(left)[0, 1])
    assert static.partial_correlation(x)[0, 1] == pytest.approx(wanted, abs=1e-3)


def test_shrinkage_equals_scikit_learn():
    from sklearn.covariance import ledoit_wolf

    x = np.random.default_rng(0).normal(size=(20, 30))
    np.testing.assert_allclose(static.shrunk_covariance(x), ledoit_wolf(x.T)[0], atol=1e-10)


def test_groups_that_differ_in_one_edge():
    rng = np.random.default_rng(0)
    graphs = rng.normal(size=(16, 3, 3))
    graphs[8:, 0, 1] += 4
    change, p, names = evidence.compare_groups(graphs, ["a"] * 8 + ["b"] * 8, rng)
    assert names == ("a", "b")
    assert change[0, 1] > 2
    assert (p < 0.01).sum() == 1
