"""Which edges and regions a model rests on, tested on graphs that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PERMUTATIONS = 200


@dataclass(frozen=True)
class Saliency:
    """What the models of the folds rest on.

    Attributes
    ----------
    slope
        Change of the score with an edge, per standard deviation, mean over folds (node, node_to).
    edge, node
        How far slope and effect in unseen graphs agree: (node, node_to) and (node,).
    edge_p, node_p
        How often the largest value under permuted labels is as large: corrected for all edges,
        or all nodes.
    """

    slope: np.ndarray
    edge: np.ndarray
    node: np.ndarray
    edge_p: np.ndarray
    node_p: np.ndarray


def slopes(learner: Any, x: np.ndarray) -> np.ndarray | None:
    """Return the change of each output with each edge, per SD: (output, node, node_to).

    Of a net the mean gradient over `x`; None of a model that does not read edges.
    """
    if hasattr(learner, "as_module"):
        return _gradients(learner, x)
    arrays, nodes = learner.state(), x.shape[1]
    if learner.name != "ridge":
        return None
    from neuroloom.connectivity.connectomes.features import edge_places

    rows, columns = edge_places(nodes, learner.settings["directed"])
    found = np.zeros((arrays["weights"].shape[1], nodes, nodes))
    found[:, rows, columns] = arrays["weights"].T
    if not learner.settings["directed"]:
        found[:, columns, rows] = arrays["weights"].T
    return found


def _gradients(learner: Any, x: np.ndarray, batch: int = 32) -> np.ndarray:
    import torch

    module = learner.as_module()
    outputs = learner.n_outputs
    total = np.zeros((outputs, *x.shape[1:]))
    for start in range(0, len(x), batch):
        piece = torch.as_tensor(x[start : start + batch], dtype=torch.float32).requires_grad_()
        scores = module(piece)
        scores = scores[:, None] if scores.ndim == 1 else scores
        for k in range(outputs):
            (slope,) = torch.autograd.grad(scores[:, k].sum(), piece, retain_graph=True)
            total[k] += slope.double().numpy().sum(0)
    spread = learner.input["scale"]
    total *= np.where(np.isfinite(spread), spread, 0) / max(1, len(x))
    # A graph that is symmetric changes both halves at once.
    return total if learner.options.get("directed") else total + total.transpose(0, 2, 1)


def agreement(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
    groups: list[np.ndarray] | None = None,
) -> Saliency:
    """Test slopes learnt in each fold on the graphs that the fold held out.

    An edge counts by its slope times its covariance with the target in unseen graphs, a node by
    the sum over its edges. Under the null the labels of the unseen graphs are permuted, within
    `groups` (sites) where given; the largest value of each permutation corrects for all places.

    Parameters
    ----------
    parts
        For each fold: slopes (output, node, node_to), unseen graphs (n, node, node_to), and their
        targets (n, output).
    groups
        For each fold, the group of each unseen graph.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(60, 1)); x = rng.normal(size=(60, 4, 4)); x[:, 0, 1] += 3 * y[:, 0]
    >>> slope = np.zeros((1, 4, 4)); slope[0, 0, 1] = 1
    >>> int(agreement([(slope, x, y)], rng).edge.argmax())
    1
    """
    nodes = parts[0][1].shape[1]
    edge = np.zeros((permutations + 1, nodes, nodes))
    for number, (slope, x, y) in enumerate(parts):
        z = x - x.mean(0)
        spread = z.std(0)
        z = z / np.where(spread > 1e-9, spread, np.inf)
        group = np.zeros(len(y), int) if groups is None else groups[number]
        orders = [np.arange(len(y))] + [_permuted(group, rng) for _ in range(permutations)]
        flat = z.reshape(len(z), -1)
        for k in range(y.shape[1]):
            centred = y[:, k] - y[:, k].mean()
            effect = np.stack([centred[order] for order in orders]) @ flat
            edge += effect.reshape(-1, nodes, nodes) * slope[k]
    node = edge.sum(2) + edge.sum(1)
    return Saliency(
        np.mean([part[0] for part in parts], 0)[-1],
        edge[0],
        node[0],
        _corrected(edge[0], edge[1:].reshape(permutations, -1)),
        _corrected(node[0], node[1:]),
    )


def _permuted(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = np.arange(len(group))
    for one in np.unique(group):
        rows = np.flatnonzero(group == one)
        order[rows] = rng.permutation(rows)
    return order


def _corrected(value: np.ndarray, null: np.ndarray) -> np.ndarray:
    largest = null.max(1)
    return (1 + (largest[:, None] >= value.ravel()).sum(0).reshape(value.shape)) / (1 + len(null))
