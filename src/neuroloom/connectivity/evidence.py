"""Which edges are more than chance: surrogates, p-values, false discovery rate, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuroloom.connectivity.data import Signals

Floats = NDArray[np.float64]


def shift_nodes(signals: Signals, rng: np.random.Generator) -> Signals:
    """Return a surrogate: every node is turned round in time by a shift of its own.

    Each keeps its values and its rhythm; what it knew of the others is gone. Inputs are shifted
    with the only node that they drive, else they stay.

    Parameters
    ----------
    signals
        Any recording.
    rng
        Where the shifts come from.

    Examples
    --------
    >>> one = Signals(np.arange(20.0).reshape(2, 10), ("a", "b"))
    >>> sorted(shift_nodes(one, np.random.default_rng(0)).values[0].tolist())[:3]
    [0.0, 1.0, 2.0]
    """
    time = signals.values.shape[1]
    shifts = rng.integers(time // 10, time - time // 10, size=signals.nodes)
    values = np.array([np.roll(row, by) for row, by in zip(signals.values, shifts, strict=True)])
    inputs = signals.inputs
    if inputs is not None and signals.input_control is not None:
        drives = signals.input_control
        inputs = inputs.copy()
        for column in np.flatnonzero(drives.sum(0) == 1):
            inputs[column] = np.roll(inputs[column], shifts[int(drives[:, column].argmax())])
    return replace(signals, values=values, inputs=inputs)


def pooled_p(observed: Floats, null: Floats, may: NDArray[np.bool_]) -> Floats:
    """Return p-values from few surrogates: each edge is put on its own null's scale, then pooled.

    Parameters
    ----------
    observed
        Shape (target, source).
    null
        Shape (surrogate, target, source); three or more.
    may
        Edges that may exist; others have p = 1.

    Returns
    -------
    (target, source), one-sided: stronger than chance.

    Notes
    -----
    A surrogate is put on the scale of the *other* surrogates, as the observed graph is: mean and
    standard deviation that included it would make the null look narrower than it is.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> null = rng.normal(size=(20, 3, 3))
    >>> bool(pooled_p(np.full((3, 3), 9.0), null, ~np.eye(3, dtype=bool))[0, 1] < 0.01)
    True
    """
    count = len(null)
    middle, spread = null.mean(0), np.maximum(null.std(0, ddof=1), 1e-12)
    score = (observed - middle) / spread
    total, squares = null.sum(0), (null**2).sum(0)
    others = (total - null) / (count - 1)
    varied = (squares - null**2) / (count - 1) - others**2
    scale = np.sqrt(np.maximum(varied * (count - 1) / (count - 2), 1e-24))
    chance = np.sort(((null - others) / scale)[:, may].ravel())
    better = chance.size - np.searchsorted(chance, score, side="left")
    return np.where(may, (1 + better) / (1 + chance.size), 1.0)


def discover(p: Floats, may: NDArray[np.bool_], rate: float = 0.05) -> NDArray[np.bool_]:
    """Return the edges that stand at a false discovery rate (Benjamini & Hochberg 1995).

    Examples
    --------
    >>> p = np.array([[1, 0.001], [0.6, 1]])
    >>> discover(p, ~np.eye(2, dtype=bool)).tolist()
    [[False, True], [False, False]]
    """
    flat = np.sort(p[may])
    if not flat.size:
        return np.zeros_like(may)
    passing = np.flatnonzero(flat <= rate * np.arange(1, flat.size + 1) / flat.size)
    limit = flat[passing[-1]] if passing.size else -1.0
    out: NDArray[np.bool_] = may & (p <= limit)
    return out


def combine_p(p: Floats) -> Floats:
    """Combine p-values (recording, …) of independent recordings into one (Fisher 1925).

    Examples
    --------
    >>> round(float(combine_p(np.array([0.05, 0.05]))), 4)
    0.0175
    """
    from scipy import stats

    chi = -2 * np.log(np.maximum(p, 1e-300)).sum(0)
    out: Floats = stats.chi2.sf(chi, 2 * len(p))
    return out


def bootstrap_edges(
    graphs: Floats, rng: np.random.Generator, draws: int = 1000
) -> tuple[Floats, Floats]:
    """Return the ends of 95 % intervals of the mean graph, recordings drawn with replacement.

    Parameters
    ----------
    graphs
        Shape (recording, target, source); two or more.
    """
    from neuroloom.learn.scoring.intervals import resample, tail

    count = len(graphs)
    flat = graphs.reshape(count, -1)
    units = np.arange(count)
    means = np.concatenate([w @ flat / count for w in resample(units, draws, rng)])
    out = tail(units)
    low, high = np.quantile(means, [out, 1 - out], axis=0)
    return low.reshape(graphs.shape[1:]), high.reshape(graphs.shape[1:])


def jackknife_edges(whole: Floats, parts: Floats) -> tuple[Floats, Floats]:
    """Return the ends of 95 % intervals of one recording's graph from graphs without a block each.

    Parameters
    ----------
    whole
        Shape (target, source), of all frames.
    parts
        Shape (block, target, source), each without one block of time.

    Notes
    -----
    The delete-a-group jackknife: blocks are far longer than the memory of the signals, so that
    neighbouring frames are not taken for independent ones.
    """
    from scipy import stats

    count = len(parts)
    spread = np.sqrt((count - 1) / count * ((parts - parts.mean(0)) ** 2).sum(0))
    reach = stats.t.ppf(0.975, count - 1) * spread
    return whole - reach, whole + reach


def compare_groups(
    graphs: Floats, labels: Sequence[str], rng: np.random.Generator, draws: int = 2000
) -> tuple[Floats, Floats, tuple[str, str]]:
    """Compare the graphs of two groups of recordings edge by edge, by permuting who is in which.

    Parameters
    ----------
    graphs
        Shape (recording, target, source).
    labels
        Group of each recording; exactly two different ones.

    Returns
    -------
    difference, p, names
        Mean of the second minus mean of the first group; two-sided p of each edge; both names.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> graphs = rng.normal(size=(12, 2, 2))
    >>> graphs[6:, 0, 1] += 5
    >>> bool(compare_groups(graphs, ["a"] * 6 + ["b"] * 6, rng)[1][0, 1] < 0.01)
    True
    """
    names = sorted(set(labels))
    second = np.array([label == names[1] for label in labels])
    flat = graphs.reshape(len(graphs), -1)

    def difference(chosen: Floats) -> Floats:
        a, b = chosen / chosen.sum(1, keepdims=True), 1 - chosen
        return (a - b / b.sum(1, keepdims=True)) @ flat

    seen = difference(second[None].astype(float))
    orders = np.argsort(rng.random((draws, len(graphs))), axis=1)
    null = np.abs(difference(second[orders].astype(float)))
    p = (1 + (null >= np.abs(seen) - 1e-12).sum(0)) / (1 + draws)
    shape = graphs.shape[1:]
    return seen.reshape(shape), p.reshape(shape), (names[0], names[1])
