"""What is measured of a connectome: edges, and profiles of nodes that mean the same elsewhere."""

from __future__ import annotations

import numpy as np

MANY = 20.0


def edge_places(nodes: int, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the edges: above the diagonal, or all off it.

    Examples
    --------
    >>> [k.tolist() for k in edge_places(3, directed=False)]
    [[0, 0, 1], [1, 2, 2]]
    """
    if not directed:
        return np.triu_indices(nodes, 1)
    rows, columns = np.nonzero(~np.eye(nodes, dtype=bool))
    return rows, columns


def degrees(x: np.ndarray) -> np.ndarray:
    """Return strength (out, in) and share of edges (out, in) of every node.

    Parameters
    ----------
    x
        Shape (n, node, node_to).

    Returns
    -------
    np.ndarray
        Shape (n, 4 * node).

    Examples
    --------
    >>> degrees(np.ones((1, 2, 2)) - np.eye(2)).round(1).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    there = x != 0
    rest = max(1, x.shape[1] - 1)
    parts = [x.sum(2), x.sum(1), there.sum(2) / rest, there.sum(1) / rest]
    return np.concatenate(parts, 1).astype(float)


def is_heavy(graphs: list[np.ndarray]) -> bool:
    """Tell whether weights are counts with a long tail, whose logarithm is better looked at.

    Examples
    --------
    >>> is_heavy([np.array([[0, 900], [3, 0]])]), is_heavy([np.array([[0, 0.9], [-0.3, 0]])])
    (True, False)
    """
    lowest = min(float(one.min()) for one in graphs)
    highest = max(float(one.max()) for one in graphs)
    return lowest >= 0 and highest > MANY


def node_degrees(weights: np.ndarray) -> np.ndarray:
    """Return log degree and log strength (out, in) of each node, shape (node, 4).

    Examples
    --------
    >>> node_degrees(np.ones((3, 3)) - np.eye(3)).shape
    (3, 4)
    """
    size = np.abs(weights)
    parts = [(size > 0).sum(1), size.sum(1), (size > 0).sum(0), size.sum(0)]
    return np.log1p(np.array(parts, float)).T


def node_profiles(weights: np.ndarray) -> np.ndarray:
    """Describe nodes by what does not depend on names: own connections, and those of neighbours.

    For each direction: degree, strength, largest and fifth weight, mean weight, concentration; the
    reciprocity, and the balance of out and in. Then mean and spread of all of them over the
    neighbours each way, and of those of the neighbours' neighbours. Columns have mean 0 and SD 1
    inside the graph, so that a graph that is denser as a whole looks alike.

    Parameters
    ----------
    weights
        Shape (node, node_to).

    Returns
    -------
    np.ndarray
        Shape (node, 135).

    Notes
    -----
    A recursion of local and neighbours' means as in ReFeX (Henderson et al. 2011, KDD, 663-671).

    Examples
    --------
    >>> node_profiles(np.random.default_rng(0).random((9, 9))).shape
    (9, 135)
    """
    size = np.abs(np.asarray(weights, float))
    np.fill_diagonal(size, 0)
    own = _own(size)
    soft = np.log1p(size)
    near = _around(own, soft)
    far = _around(near[:, : own.shape[1]], soft)
    return standardise(np.concatenate([own, near, far], 1))


def standardise(columns: np.ndarray) -> np.ndarray:
    """Bring columns to mean 0 and SD 1; constant ones to 0."""
    spread = columns.std(0)
    flat = spread <= 1e-9 * (1 + np.abs(columns).max(0))
    return (columns - columns.mean(0)) / np.where(flat, 1, spread) * ~flat


def _own(size: np.ndarray) -> np.ndarray:
    found = []
    for way in (size, size.T):
        count, total = (way > 0).sum(1), way.sum(1)
        ranked = np.sort(way, 1)[:, ::-1]
        found += [np.log1p(count), np.log1p(total), np.log1p(ranked[:, 0])]
        found += [np.log1p(ranked[:, min(4, len(size) - 1)]), total / np.maximum(count, 1)]
        found += [(way**2).sum(1) / np.maximum(total, 1e-9) ** 2]
    there = size > 0
    both, either = (there & there.T).sum(1), (there | there.T).sum(1)
    found += [np.log1p(both), both / np.maximum(either, 1)]
    return np.array([*found, np.log1p(size.sum(1)) - np.log1p(size.sum(0))], float).T


def _around(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return mean and spread of `values` over neighbours, out and in, weighted."""
    found = []
    for way in (size, size.T):
        share = way / np.maximum(way.sum(1, keepdims=True), 1e-9)
        mean = share @ values
        found += [mean, np.sqrt(np.maximum(share @ values**2 - mean**2, 0))]
    return np.concatenate(found, 1)


def type_profiles(weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Describe nodes by how strongly they connect to each type, and how much of theirs goes there.

    Parameters
    ----------
    weights
        Shape (node, node_to).
    shares
        How surely a node is of each type, (node, type).

    Returns
    -------
    np.ndarray
        Shape (node, 8 * type), mean 0 and SD 1 inside the graph.

    Examples
    --------
    >>> type_profiles(np.ones((4, 4)), np.eye(4)[:, :2]).shape
    (4, 16)
    """
    size = np.abs(np.asarray(weights, float))
    np.fill_diagonal(size, 0)
    soft, there = np.log1p(size), (size > 0).astype(float)
    found = []
    for way in (soft, soft.T, there, there.T):
        to = way @ shares
        found.append(to / (shares.sum(0) + 1e-9))
        found.append(to / np.maximum(to.sum(1, keepdims=True), 1e-9))
    return standardise(np.concatenate(found, 1))
