"""Graphs from what nodes do at the same moment: correlation, partial correlation, skewness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def correlation(values: Floats) -> Floats:
    """Return absolute correlations (…, node, node), 0 on the diagonal; no direction.

    Parameters
    ----------
    values
        Shape (…, node, time).

    Examples
    --------
    >>> correlation(np.array([[0.0, 1, 2], [0, 1, 2]])).round(6).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return _off(np.abs(_normalise(_covariance(values))))


def partial_correlation(values: Floats, inputs: Floats | None = None) -> Floats:
    """Return absolute partial correlations (…, node, node) given all other nodes; no direction.

    The covariance is shrunk as much as Ledoit & Wolf (2004) advise, so that it can be inverted with
    more nodes than time points.

    Parameters
    ----------
    values
        Shape (…, node, time).
    inputs
        Shape (input, time), taken out first.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(3, 999))
    >>> x[1] += x[0]
    >>> x[2] += x[1]
    >>> partial_correlation(x).round(1)[0].tolist()
    [0.0, 0.5, 0.0]
    """
    if inputs is not None:
        columns = np.concatenate([inputs, np.ones((1, inputs.shape[1]))]).T
        basis, _ = np.linalg.qr(columns)
        values = values - (values @ basis) @ basis.T
    precision = np.linalg.inv(shrunk_covariance(values))
    precision = (precision + np.swapaxes(precision, -1, -2)) / 2  # rounding is no direction
    return _off(np.abs(_normalise(precision)))


def shrunk_covariance(values: Floats) -> Floats:
    """Return covariances (…, node, node) shrunk towards a multiple of the identity.

    The amount is that of Ledoit & Wolf (2004, J. Multivariate Analysis 88:365, section 3.2).

    Examples
    --------
    >>> shrunk_covariance(np.random.default_rng(0).normal(size=(50, 20))).shape
    (50, 50)
    """
    x = values - values.mean(-1, keepdims=True)
    nodes, time = x.shape[-2:]
    cov = x @ np.swapaxes(x, -1, -2) / time
    scale = np.trace(cov, axis1=-2, axis2=-1)[..., None, None] / nodes
    target = scale * np.eye(nodes)
    spread = ((cov - target) ** 2).sum((-2, -1))
    fourth = ((x**2).sum(-2) ** 2).sum(-1) / time - (cov**2).sum((-2, -1))
    share = np.clip(fourth / time / np.maximum(spread, 1e-300), 0, 1)[..., None, None]
    shrunk: Floats = (1 - share) * cov + share * target
    return shrunk


def skewness_direction(values: Floats) -> Floats:
    """Return for every pair how strongly skewness says that the column drives the row.

    The cumulant form of the likelihood ratio of two nodes (Hyvärinen & Smith 2013, eq. 24): where
    both are turned to positive skew, r * E[x^2 y - x y^2] is positive if x drives y.

    Parameters
    ----------
    values
        Shape (node, time), at least a little skewed.

    Returns
    -------
    (target, source), antisymmetric.

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(2, 2000))
    >>> x[1] += x[0]
    >>> bool(skewness_direction(x)[1, 0] > 0)
    True
    """
    x = values - values.mean(1, keepdims=True)
    x = x / np.maximum(x.std(1, keepdims=True), 1e-12)
    x = x * np.where((x**3).mean(1, keepdims=True) < 0, -1.0, 1.0)
    time = x.shape[1]
    second = (x**2) @ x.T / time  # E[row^2 column]
    return (x @ x.T / time) * (second.T - second)


def skew_graph(values: Floats) -> Floats:
    """Return partial correlations weighed by skewness: the likelier direction is up to twice.

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(2, 2000))
    >>> x[1] += x[0]
    >>> graph = skew_graph(x)
    >>> bool(graph[1, 0] > graph[0, 1])
    True
    """
    lean = skewness_direction(values)
    return partial_correlation(values) * (1 + np.tanh(10 * lean))


def _covariance(values: Floats) -> Floats:
    x = values - values.mean(-1, keepdims=True)
    cov: Floats = x @ np.swapaxes(x, -1, -2) / x.shape[-1]
    return cov


def _normalise(matrix: Floats) -> Floats:
    size = np.sqrt(np.diagonal(matrix, axis1=-2, axis2=-1))
    out: Floats = matrix / np.maximum(size[..., :, None] * size[..., None, :], 1e-300)
    return out


def _off(matrix: Floats) -> Floats:
    out: Floats = matrix * (1 - np.eye(matrix.shape[-1]))
    return out
