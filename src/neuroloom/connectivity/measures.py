"""How near a graph is to the true one, and how alike graphs of several recordings are.

Graphs are (target, source); the diagonal never counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def edge_auc(truth: Floats, strength: Floats) -> float:
    """Return how often a true directed edge is stronger than one that is none; ties count half.

    Parameters
    ----------
    truth, strength
        Shape (target, source).

    Returns
    -------
    Area under the ROC curve; NaN where all or no edges are true.

    Examples
    --------
    >>> edge_auc(np.array([[0, 0], [1, 0]]), np.array([[9, 0.1], [0.4, 9]]))
    1.0
    """
    from scipy.stats import rankdata

    off = ~np.eye(len(truth), dtype=bool)
    real, ranks = truth[off] != 0, rankdata(strength[off])
    hits, misses = int(real.sum()), int((~real).sum())
    if not hits or not misses:
        return float("nan")
    return float((ranks[real].sum() - hits * (hits + 1) / 2) / (hits * misses))


def symmetric(strength: Floats) -> Floats:
    """Return a graph without direction: the mean of both ways."""
    out: Floats = (strength + np.swapaxes(strength, -1, -2)) / 2
    return out


def orientation(truth: Floats, strength: Floats) -> tuple[float, int]:
    """Return the share of one-way true edges put the right way, and how many there are.

    Equal strength either way counts half.

    Examples
    --------
    >>> orientation(np.array([[0, 0], [1, 0]]), np.array([[0, 0.3], [0.2, 0]]))
    (0.0, 1)
    """
    row, column = np.nonzero((truth != 0) & (truth.T == 0) & ~np.eye(len(truth), dtype=bool))
    if not len(row):
        return float("nan"), 0
    right, wrong = strength[row, column], strength[column, row]
    return float(np.mean(np.where(right == wrong, 0.5, right > wrong))), len(row)


def score_graphs(truth: Floats, graphs: Floats) -> dict[str, float]:
    """Return all scores of a network's recordings against their common truth.

    Parameters
    ----------
    truth
        Shape (target, source).
    graphs
        Shape (recording, target, source).

    Returns
    -------
    auc, auc_group, auc_transposed, auc_symmetric, orientation.
    """
    group = graphs.mean(0)

    def mean(turned: Sequence[Floats]) -> float:
        return float(np.mean([edge_auc(truth, one) for one in turned]))

    return {
        "auc": mean(list(graphs)),
        "auc_group": edge_auc(truth, group),
        "auc_transposed": mean(list(graphs.transpose(0, 2, 1))),
        "auc_symmetric": mean(list(symmetric(graphs))),
        "orientation": orientation(truth, group)[0],
    }


def stability(graphs: Floats) -> float:
    """Return the mean rank correlation of every recording's graph with the mean of the others.

    Examples
    --------
    >>> one = np.array([[0, 1.0, 2], [3, 0, 4], [5, 6, 0]])
    >>> round(stability(np.array([one, 2 * one])), 6)
    1.0
    """
    from scipy.stats import rankdata

    if len(graphs) < 2:
        return float("nan")
    off = ~np.eye(graphs.shape[1], dtype=bool)
    flat = graphs[:, off]
    found = []
    for k in range(len(flat)):
        a, b = rankdata(flat[k]), rankdata(np.delete(flat, k, 0).mean(0))
        spread = a.std() * b.std()
        found.append(((a - a.mean()) * (b - b.mean())).mean() / spread if spread else 0.0)
    return float(np.mean(found))
