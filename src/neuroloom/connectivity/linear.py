"""Linear forecasters of a network: ridge, LASSO and principal-component VAR, and Granger's F.

Everything is one batched solve over recordings and nodes. Signals are standardised by the caller;
graphs are (target, source).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise as pairwise_of

import numpy as np
from numpy.typing import NDArray

from neuroloom.connectivity.data import Signals

Floats = NDArray[np.float64]

OWN = 1e-3  # ridge of a node's own past: none but for rounding


@dataclass(frozen=True, eq=False)
class Lagged:
    """The past of a network, ready for regressions.

    Attributes
    ----------
    past
        Shape (lag, node, time - lags).
    present
        Shape (node, time - lags).
    driven
        Shape (column, time - lags): inputs now and at every lag, then ones.
    drives
        Shape (node, column): which of them may enter the forecast of which node.
    """

    past: Floats
    present: Floats
    driven: Floats
    drives: NDArray[np.bool_]


def stack_lags(signals: Signals, lags: int, skip: int = 0) -> Lagged:
    """Return a recording as past and present.

    Inputs act at once: their present is known and stands beside the past (an input that is white
    says most of its effect there).

    Parameters
    ----------
    signals
        Standardised.
    lags
        How many time points back.
    skip
        Time points to leave out at the start, beyond the lags, so that models of different lags
        are judged on the same ones.

    Examples
    --------
    >>> stack_lags(Signals(np.arange(8.0).reshape(2, 4), ("a", "b")), 1).past.tolist()
    [[[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]]
    """
    x, time = signals.values, signals.values.shape[1]
    first = lags + skip
    past = np.stack([x[:, first - k : time - k] for k in range(1, lags + 1)])
    rows = [np.ones((1, time - first))]
    allow = [np.ones((len(x), 1), dtype=bool)]
    if signals.inputs is not None:
        given = signals.input_control
        given = np.ones((len(x), len(signals.inputs)), bool) if given is None else given
        for k in range(lags + 1):
            rows.append(signals.inputs[:, first - k : time - k])
            allow.append(given.astype(bool))
    return Lagged(past, x[:, first:], np.concatenate(rows), np.concatenate(allow, axis=1))


def _without_driven(data: Lagged, frames: slice | NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Take intercept and inputs out of past (node, lag * source, time) and present (node, time)."""
    lags, nodes, _ = data.past.shape
    flat = data.past[:, :, frames].reshape(lags * nodes, -1)
    present = data.present[:, frames]
    if data.driven.shape[0] == 1:
        flat = flat - flat.mean(1, keepdims=True)
        return flat[None], present - present.mean(1, keepdims=True)
    pasts, presents = [], []
    for node in range(nodes):
        basis, _ = np.linalg.qr(data.driven[data.drives[node]][:, frames].T)
        pasts.append(flat - (flat @ basis) @ basis.T)
        presents.append(present[node] - basis @ (basis.T @ present[node]))
    return np.array(pasts), np.array(presents)


def ridge_var(signals: Signals, lags: int, penalty: float) -> Floats:
    """Fit a vector autoregression with a ridge penalty; inputs and intercept are free.

    Parameters
    ----------
    signals
        Standardised; `control` says which sources each node may have.
    lags
        Order.
    penalty
        Of the squared weights.

    Returns
    -------
    Weights (lag, target, source).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 400))
    >>> x[1, 1:] += x[0, :-1]
    >>> np.abs(ridge_var(Signals(x, ("a", "b")), 1, 1.0))[0].round().tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    data = stack_lags(signals, lags)
    past, present = _without_driven(data, slice(None))
    return _solve(past, present, signals, (penalty, penalty))


def _solve(
    past: Floats, present: Floats, signals: Signals, price_of: tuple[float, float]
) -> Floats:
    """Solve with one penalty for a node's own past and one for that of the others."""
    nodes = signals.nodes
    lags = past.shape[1] // nodes
    own = np.tile(np.eye(nodes, dtype=bool), (1, lags))
    price = np.where(own, *price_of)
    gram = past @ past.transpose(0, 2, 1) + price[:, :, None] * np.eye(lags * nodes)
    right = _against(past, present)
    if signals.control is not None:
        may = np.tile(signals.allowed() | np.eye(nodes, dtype=bool), (1, lags))
        # A forbidden source gets a weight of nought: its row and column become the identity's.
        gram = gram * may[:, None] * may[:, :, None]
        gram = gram + np.einsum("nf,fg->nfg", ~may, np.eye(lags * nodes))
        right = right * may
    weights = np.linalg.solve(gram, right[..., None])
    out: Floats = np.asarray(weights[..., 0], dtype=np.float64).reshape(nodes, lags, nodes)
    return out.transpose(1, 0, 2)


def _against(past: Floats, present: Floats) -> Floats:
    """Return the products of past and present, (node, lag * source)."""
    if len(past) == 1:
        return present @ past[0].T
    return (past @ present[..., None])[..., 0]


def strength(weights: Floats) -> Floats:
    """Return the root of the summed squares over lags, (target, source)."""
    size: Floats = np.sqrt((weights**2).sum(0))
    return size


def forward_folds(time: int, folds: int = 4) -> list[tuple[slice, slice]]:
    """Return growing training spans and the span after each: the past forecasts the future.

    Examples
    --------
    >>> [(a.stop, b.stop) for a, b in forward_folds(100)]
    [(50, 62), (62, 75), (75, 87), (87, 100)]
    """
    edges = np.linspace(time / 2, time, folds + 1).astype(int).tolist()
    return [(slice(0, a), slice(a, b)) for a, b in pairwise_of(edges)]


def forecast_errors(signals: Signals, lags: int, penalties: Sequence[float], most: int) -> Floats:
    """Return mean squared errors of forecasts of unseen later spans, (penalty, fold, node).

    Parameters
    ----------
    signals
        Standardised.
    lags, penalties
        What is tried; ridge on what comes from other nodes. A node's own past is free, so that a
        large penalty ends in forecasts from that alone.
    most
        Most lags tried anywhere, so that all are judged on the same frames.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 200))
    >>> forecast_errors(Signals(x, ("a", "b")), 1, (1.0, 10.0), 1).shape
    (2, 4, 2)
    """
    data = stack_lags(signals, lags, most - lags)
    folds = forward_folds(data.present.shape[1])
    out = np.zeros((len(penalties), len(folds), signals.nodes))
    for fold, (train, test) in enumerate(folds):
        past, present = _without_driven(data, train)
        for row, penalty in enumerate(penalties):
            weights = _solve(past, present, signals, (OWN, penalty))
            out[row, fold] = (_residuals(data, weights, train, test) ** 2).mean(1)
    return out


def own_errors(signals: Signals, lags: int, most: int) -> Floats:
    """Return the same for forecasts from a node's own past and inputs alone, (fold, node)."""
    data = stack_lags(signals, lags, most - lags)
    folds = forward_folds(data.present.shape[1])
    out = np.zeros((len(folds), signals.nodes))
    for node in range(signals.nodes):
        columns = np.concatenate([data.past[:, node], data.driven[data.drives[node]]])
        for fold, (train, test) in enumerate(folds):
            weight = _least_squares(columns[:, train], data.present[node, train])
            left = data.present[node, test] - weight @ columns[:, test]
            out[fold, node] = (left**2).mean()
    return out


def _least_squares(columns: Floats, row: Floats) -> Floats:
    gram = columns @ columns.T + 1e-6 * len(row) * np.eye(len(columns))
    weight: Floats = np.asarray(np.linalg.solve(gram, columns @ row), dtype=np.float64)
    return weight


def _residuals(data: Lagged, weights: Floats, train: slice, test: slice) -> Floats:
    """Return what is left of the frames in `test` when inputs are fitted in `train`."""
    lags, nodes, _ = data.past.shape
    flat = weights.transpose(1, 0, 2).reshape(nodes, -1)
    left = data.present[:, : test.stop] - flat @ data.past[:, :, : test.stop].reshape(
        lags * nodes, -1
    )
    if data.driven.shape[0] == 1:
        rest: Floats = left[:, test] - left[:, train].mean(1, keepdims=True)
        return rest
    out = np.empty((nodes, test.stop - test.start))
    for node, row in enumerate(left):
        columns = data.driven[data.drives[node]]
        weight = _least_squares(columns[:, train], row[train])
        out[node] = row[test] - weight @ columns[:, test]
    return out


def lasso_var(signals: Signals, lags: int, penalty: float, steps: int = 300) -> Floats:
    """Fit a vector autoregression with an L1 penalty, all nodes at once (FISTA).

    Minimises mean squared error / 2 + `penalty` * sum of absolute weights (Beck & Teboulle 2009).

    Returns
    -------
    Weights (lag, target, source).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 400))
    >>> x[1, 1:] += x[0, :-1]
    >>> (lasso_var(Signals(x, ("a", "b")), 1, 0.2)[0] != 0).tolist()
    [[False, False], [True, False]]
    """
    data = stack_lags(signals, lags)
    past, present = _without_driven(data, slice(None))
    nodes, time = present.shape
    gram = past @ past.transpose(0, 2, 1) / time
    right = _against(past, present) / time
    may = np.tile(signals.allowed() | np.eye(nodes, dtype=bool), (1, lags))
    step = 1 / np.linalg.eigvalsh(gram)[:, -1].max()
    weights = ahead = np.zeros((nodes, lags * nodes))
    speed = 1.0
    for _ in range(steps):
        slope = (gram @ ahead[..., None])[..., 0] - right
        moved = (ahead - step * slope) * may
        new = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0)
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead = new + (speed - 1) / faster * (new - weights)
        weights, speed = new, faster
    return weights.reshape(nodes, lags, nodes).transpose(1, 0, 2)


def pc_var(signals: Signals, lags: int, share: float = 0.99) -> Floats:
    """Fit a vector autoregression on principal components of the past, turned back to nodes.

    Parameters
    ----------
    share
        Of the variance of the past that the components keep.

    Returns
    -------
    Weights (lag, target, source).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 400))
    >>> x[1, 1:] += x[0, :-1]
    >>> int(pc_var(Signals(x, ("a", "b")), 1)[0].argmax())
    2
    """
    data = stack_lags(signals, lags)
    past, present = _without_driven(data, slice(None))
    out = []
    for node in range(signals.nodes):
        flat = past[node % len(past)]
        left, size, right = np.linalg.svd(flat, full_matrices=False)
        kept = int(np.searchsorted(np.cumsum(size**2) / (size**2).sum(), share)) + 1
        out.append((left[:, :kept] / size[:kept]) @ (right[:kept] @ present[node]))
    weights = np.array(out).reshape(signals.nodes, lags, signals.nodes).transpose(1, 0, 2)
    return weights * (signals.allowed() | np.eye(signals.nodes, dtype=bool))


@dataclass(frozen=True, eq=False)
class Granger:
    """Granger causality, (target, source): log ratio of residual variances, F, and its p."""

    log_ratio: Floats
    f: Floats
    p: Floats


def granger(signals: Signals, lags: int, pairwise: bool = False) -> Granger:
    """Test whether the past of a source improves the forecast of a target (Granger 1969).

    Parameters
    ----------
    signals
        Any scale.
    lags
        Order of both models.
    pairwise
        The forecast knows the target's and the source's past only; else that of all nodes (the
        conditional form of Geweke 1984).

    Returns
    -------
    Granger
        F = ((RSS without - RSS with) / lags) / (RSS with / (T - parameters)), as
        `statsmodels.tsa.stattools.grangercausalitytests` has it (`ssr_ftest`).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(3, 300))
    >>> x[1, 1:] += x[0, :-1]
    >>> (granger(Signals(x, ("a", "b", "c")), 1).p < 1e-6).tolist()
    [[False, False, False], [True, False, False], [False, False, False]]
    """
    from scipy import stats

    data = stack_lags(signals, lags)
    nodes, time = data.present.shape
    may = signals.allowed()
    ratio, f, p = np.zeros((nodes, nodes)), np.zeros((nodes, nodes)), np.ones((nodes, nodes))
    for target in range(nodes):
        base = data.driven[data.drives[target]]
        sources = np.flatnonzero(may[target]).tolist()
        if not pairwise:
            whole, size = _rss(data, target, [target, *sources], base)
        for source in sources:
            others = [target, *(() if pairwise else (s for s in sources if s != source))]
            less, _ = _rss(data, target, others, base)
            if pairwise:
                whole, size = _rss(data, target, [target, source], base)
            free = time - size
            f[target, source] = ((less - whole) / lags) / (whole / free)
            p[target, source] = stats.f.sf(f[target, source], lags, free)
            ratio[target, source] = np.log(less / whole)
    return Granger(ratio, f, p)


def _rss(data: Lagged, target: int, sources: Sequence[int], base: Floats) -> tuple[float, int]:
    columns = np.concatenate([data.past[:, list(sources)].reshape(-1, base.shape[1]), base])
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-300)
    basis, _ = np.linalg.qr(scaled.T)
    y = data.present[target]
    left = y - basis @ (basis.T @ y)
    left = left - basis @ (basis.T @ left)  # once more: rounding
    return float(left @ left), len(columns)
