"""Linear forecasters against statsmodels, scikit-learn and planted graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.linear import (
    granger,
    lasso_var,
    pc_var,
    ridge_var,
    stack_lags,
    strength,
)


def recording(nodes: int = 4, time: int = 250, seed: int = 0) -> Signals:
    """A chain: each node follows the one before."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(nodes, time))
    for t in range(1, time):
        x[1:, t] += 0.6 * x[:-1, t - 1]
    return Signals(x, tuple(f"n{k}" for k in range(nodes)))


@pytest.mark.parametrize("lags", [1, 2, 4])
def test_pairwise_granger_equals_statsmodels(lags):
    from statsmodels.tsa.stattools import grangercausalitytests

    one = recording()
    ours = granger(one, lags, pairwise=True)
    for target, source in [(1, 0), (0, 1), (3, 2), (0, 3)]:
        theirs = grangercausalitytests(one.values[[target, source]].T, [lags])[lags][0]
        f, p = theirs["ssr_ftest"][:2]
        assert ours.f[target, source] == pytest.approx(f, rel=1e-6)
        assert ours.p[target, source] == pytest.approx(p, rel=1e-6, abs=1e-12)


def test_conditional_granger_equals_the_var_of_statsmodels():
    from statsmodels.tsa.api import VAR

    one = recording()
    fitted = VAR(one.values.T).fit(2, trend="c")
    ours = granger(one, 2)
    for target, source in [(1, 0), (2, 3), (0, 2)]:
        theirs = fitted.test_causality(target, [source], kind="f")
        assert ours.f[target, source] == pytest.approx(theirs.test_statistic, rel=1e-6)


def test_ridge_equals_scikit_learn():
    from sklearn.linear_model import Ridge

    one = recording().standardised()
    data = stack_lags(one, 2)
    past = data.past.reshape(8, -1).T
    theirs = Ridge(alpha=7.0).fit(past, data.present.T).coef_.reshape(4, 2, 4)
    np.testing.assert_allclose(ridge_var(one, 2, 7.0), theirs.transpose(1, 0, 2), atol=1e-8)


def test_lasso_equals_scikit_learn():
    from sklearn.linear_model import Lasso

    one = recording().standardised()
    data = stack_lags(one, 1)
    theirs = Lasso(alpha=0.05, tol=1e-10).fit(data.past[0].T, data.present.T).coef_
    np.testing.assert_allclose(lasso_var(one, 1, 0.05)[0], theirs, atol=1e-5)


def test_all_components_are_least_squares():
    one = recording().standardised()
    np.testing.assert_allclose(pc_var(one, 1, 1.0), ridge_var(one, 1, 1e-9), atol=1e-6)


def test_a_forbidden_source_has_no_weight_and_the_rest_is_as_if_it_were_not_there():
    one = recording().standardised()
    may = np.ones((4, 4), bool)
    may[1, 0] = False
    held = ridge_var(replace(one, control=may), 1, 3.0)[0]
    without = ridge_var(replace(one, values=one.values[1:], names=one.names[1:]), 1, 3.0)[0]
    assert held[1, 0] == 0
    np.testing.assert_allclose(held[1, 1:], without[0], atol=1e-8)


def test_an_input_that_drives_two_nodes_is_no_edge_between_them():
    rng = np.random.default_rng(1)
    drive = rng.normal(size=(1, 600))
    x = 0.3 * rng.normal(size=(2, 600))
    x[0] += drive[0]
    x[1, 1:] += drive[0, :-1]
    one = Signals(x, ("a", "b"))
    blind = strength(ridge_var(one.standardised(), 1, 1.0))[1, 0]
    told = strength(ridge_var(replace(one, inputs=drive).standardised(), 1, 1.0))[1, 0]
    assert blind > 0.5
    assert told < 0.1
