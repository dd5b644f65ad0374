"""Random forests, kept as arrays and evaluated without scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.signals.classical.base import Arrays, Head, is_regression

TREES = 300


class Forest(Head):
    """The mean of 300 trees, each grown on a bootstrap sample with random features at each split.

    One more tree that knows nothing has a vote, so that no probability is 0.

    References
    ----------
    Breiman (2001), Mach. Learn. 45, 5-32.
    """

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return all nodes of all trees, one after another; `root` says where each tree begins."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind: Any = RandomForestRegressor if is_regression(y) else RandomForestClassifier
        model = kind(TREES, random_state=0).fit(features.astype(np.float32), y)
        arrays = _nodes([tree.tree_ for tree in model.estimators_])
        if not is_regression(y):
            arrays["classes"] = np.asarray(model.classes_, dtype=np.int64)
        return arrays

    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities (trial, class), or numbers (trial,)."""
        mean = arrays["value"][_leaves(features.astype(np.float32), arrays)].mean(axis=1)
        if "classes" not in arrays:
            return mean[:, 0]
        trees = len(arrays["root"])
        return np.log((trees * mean + 1 / mean.shape[1]) / (trees + 1))


def _nodes(trees: list[Any]) -> Arrays:
    root = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    starts = list(zip(root, trees, strict=True))

    def joined(child: str) -> np.ndarray:
        parts = [getattr(tree, child) for _, tree in starts]
        moved = [
            np.where(part < 0, -1, part + at) for part, (at, _) in zip(parts, starts, strict=True)
        ]
        return np.concatenate(moved).astype(np.int32)

    return {
        "root": root.astype(np.int32),
        "left": joined("children_left"),
        "right": joined("children_right"),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "value": np.concatenate([tree.value[:, 0] for tree in trees]),
    }


def _leaves(features: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return the leaf (trial, tree) in which each trial ends up."""
    node = np.tile(arrays["root"], (len(features), 1))
    rows = np.arange(len(features))[:, None]
    while (inner := arrays["left"][node] >= 0).any():
        value = features[rows, np.maximum(arrays["feature"][node], 0)]
        low = value <= arrays["threshold"][node]
        child = np.where(low, arrays["left"][node], arrays["right"][node])
        node = np.where(inner, child, node)
    return node
