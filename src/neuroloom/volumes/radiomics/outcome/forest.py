"""Random forest of a table, kept as plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.volumes.radiomics.outcome.estimators import SMALLEST, Arrays, TableLearner

TREES = 300


class Forest(TableLearner):
    """Three hundred trees; leaves of three rows (Breiman 2001)."""

    def solve(self, z: np.ndarray, y: np.ndarray, seed: int) -> Arrays:
        """Grow the trees with scikit-learn and keep their arrays."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        words: dict[str, Any] = {"n_estimators": TREES, "min_samples_leaf": 3, "n_jobs": 1}
        if self.task == "regression":
            grown = RandomForestRegressor(max_features=1 / 3, random_state=seed, **words).fit(z, y)
            return flatten([tree.tree_ for tree in grown.estimators_])
        grown = RandomForestClassifier(random_state=seed, **words).fit(z, y)
        arrays = flatten([tree.tree_ for tree in grown.estimators_])
        return arrays | {"classes": grown.classes_}

    def scores(self, z: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the mean over trees of what their leaves hold."""
        mean = walk(z, arrays)
        if "classes" not in arrays:
            return mean[:, 0]
        whole = np.full((len(z), self.settings["n_outputs"]), SMALLEST)
        whole[:, arrays["classes"].astype(int)] = mean
        # A leaf without a class is no proof that there is none of it.
        return np.log(np.clip(whole, 1 / (2 * TREES), None))


def flatten(trees: list[Any]) -> Arrays:
    """Join the nodes of all trees; children are numbered through."""
    counts = [tree.node_count for tree in trees]
    first = np.cumsum([0, *counts[:-1]])
    sides = {
        name: np.concatenate([
            np.where(side >= 0, side + start, -1)
            for side, start in ((getattr(t, name), s) for t, s in zip(trees, first, strict=True))
        ])
        for name in ("children_left", "children_right")
    }  # fmt: skip
    value = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return sides | {
        "root": first,
        "feature": np.concatenate([tree.feature for tree in trees]),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "value": value / value.sum(1, keepdims=True) if value.shape[1] > 1 else value,
    }


def walk(z: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return the mean over trees of the leaf that each row ends in, shape (n, output)."""
    node = np.tile(arrays["root"], (len(z), 1))
    rows = np.arange(len(z))[:, None]
    # Trees compare in single precision.
    values = z.astype(np.float32)
    while True:
        feature = arrays["feature"][node]
        inner = feature >= 0
        if not inner.any():
            return arrays["value"][node].mean(1)
        left = values[rows, np.maximum(feature, 0)] <= arrays["threshold"][node]
        child = np.where(left, arrays["children_left"][node], arrays["children_right"][node])
        node = np.where(inner, child, node)
