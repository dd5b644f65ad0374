"""How near a graph is to the true one, and how alike graphs of several recordings are.

Graphs are (target, source); the diagonal never counts.
"""

from __future__ import annotations

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


def score_recording(truth: Floats, graph: Floats) -> dict[str, float]:
    """Return AUC of one graph, of the graph turned round, and of the graph without direction.

    Examples
    --------
    >>> score_recording(np.array([[0, 0], [1, 0]]), np.array([[0, 0.1], [0.4, 0]]))
    {'auc': 1.0, 'auc_transposed': 0.0, 'auc_symmetric': 0.5}
    """
    return {
        "auc": edge_auc(truth, graph),
        "auc_transposed": edge_auc(truth, graph.T),
        "auc_symmetric": edge_auc(truth, symmetric(graph)),
    }


def score_group(truth: Floats, graph: Floats) -> dict[str, float]:
    """Return AUC and orientation of the mean graph of a network's recordings.

    Examples
    --------
    >>> score_group(np.array([[0, 0], [1, 0]]), np.array([[0, 0.1], [0.4, 0]]))
    {'auc_group': 1.0, 'orientation': 1.0}
    """
    return {"auc_group": edge_auc(truth, graph), "orientation": orientation(truth, graph)[0]}


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
