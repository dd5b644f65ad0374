"""The nearest neighbours of a trial among the training trials."""

from __future__ import annotations

import numpy as np

from neuroloom.signals.classical.base import Arrays, Head, inner_folds, is_regression
from neuroloom.signals.classical.linear import moments

NUMBERS = (1, 3, 5, 9, 15, 25)


class Neighbours(Head):
    """The vote, or the mean, of the nearest training trials; how many is chosen by inner folds.

    Features are standardised. Each class has one more vote, shared by all, so that no probability
    is 0 (Laplace's rule).

    References
    ----------
    Cover & Hart (1967), IEEE Trans. Inf. Theory 13(1), 21-27.
    """

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `points`, their `targets` and the `number` of neighbours."""
        mean, scale = moments(features)
        arrays = {"mean": mean, "scale": scale, "points": (features - mean) / scale}
        if is_regression(y):
            arrays["targets"] = y[:, None]
        else:
            arrays["classes"] = np.unique(y).astype(np.int64)
            arrays["targets"] = (y[:, None] == arrays["classes"]).astype(float)
        return arrays | {"number": np.array([_best_number(arrays, inner_folds(y))])}

    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities (trial, class), or numbers (trial,)."""
        standard, number = (features - arrays["mean"]) / arrays["scale"], arrays["number"].item()
        near = arrays["targets"][_order(standard, arrays["points"])[:, :number]]
        return _votes(near) if "classes" in arrays else near.mean(axis=1)[:, 0]


def _votes(near: np.ndarray) -> np.ndarray:
    """Return log-probabilities (trial, class) of indicators (trial, neighbour, class)."""
    number, n_classes = near.shape[1:]
    return np.log((near.sum(axis=1) + 1 / n_classes) / (number + 1))


def _order(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the known points in order of their distance from each point."""
    from scipy.spatial.distance import cdist

    nearest = np.argsort(cdist(points, known), axis=1, kind="stable")
    return nearest[:, : max(NUMBERS)]


def _best_number(arrays: Arrays, fold: np.ndarray) -> int:
    """Return the number with the least loss on inner folds, the larger one of equals."""
    points, targets = arrays["points"], arrays["targets"]
    losses = dict.fromkeys((k for k in NUMBERS if k <= len(points) // 2), 0.0) or {1: 0.0}
    for k in np.unique(fold):
        inside = fold != k
        if not inside.any():
            continue
        near = targets[inside][_order(points[~inside], points[inside])]
        for number in losses:
            some = near[:, :number]
            if "classes" in arrays:
                losses[number] -= float((_votes(some) * targets[~inside]).sum())
            else:
                losses[number] += float(((some.mean(axis=1) - targets[~inside]) ** 2).sum())
    return min(losses, key=lambda number: (losses[number], -number))
