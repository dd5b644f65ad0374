"""Support vector machines whose decisions are computed from stored vectors and duals."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.signals.classical.base import Arrays, Head, inner_folds, is_regression
from neuroloom.signals.classical.linear import linear_classes, moments


class SupportVectors(Head):
    """Support vector machines with a Gaussian kernel, one class against the rest.

    Features are standardised, C = 1 and the kernel's gamma = 1 / number of features, as
    scikit-learn has it; classes weigh alike. Decisions become probabilities by logistic regression
    on decisions of inner folds (Platt 1999). Numbers are predicted by support vector regression.

    References
    ----------
    Cortes & Vapnik (1995), Mach. Learn. 20, 273-297; Platt (1999), Advances in Large Margin
    Classifiers, 61-74.
    """

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `vectors`, `duals`, `offset` and what turns decisions into probabilities."""
        mean, scale = moments(features)
        standard = (features - mean) / scale
        arrays = {"mean": mean, "scale": scale, "gamma": np.array([1 / features.shape[1]])}
        if is_regression(y):
            centre, spread = y.mean(), y.std()
            machine = _machines(standard, [(y - centre) / spread], regression=True)
            return arrays | machine | {"target": np.array([centre, spread])}
        held_out = _held_out_decisions(standard, y, arrays["gamma"])
        return arrays | _one_against_rest(standard, y) | _platt(held_out, y)

    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities (trial, class), or numbers (trial,)."""
        from scipy.special import log_softmax

        standard = (features - arrays["mean"]) / arrays["scale"]
        values = decisions(standard, arrays)
        if "classes" not in arrays:
            centre, spread = arrays["target"]
            return values[:, 0] * spread + centre
        return log_softmax(values @ arrays["weights"].T + arrays["bias"], axis=1)


def decisions(standard: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return the decision values (trial, machine) of standardised features."""
    from scipy.spatial.distance import cdist

    kernel = np.exp(-arrays["gamma"] * cdist(standard, arrays["vectors"], "sqeuclidean"))
    return kernel @ arrays["duals"].T + arrays["offset"]


def _one_against_rest(standard: np.ndarray, y: np.ndarray) -> Arrays:
    """Train a machine for each class, or one for the second of two."""
    classes = np.unique(y)
    positive = classes[1:] if len(classes) == 2 else classes
    return _machines(standard, [y == label for label in positive])


def _machines(standard: np.ndarray, targets: list[np.ndarray], regression: bool = False) -> Arrays:
    from sklearn.svm import SVC, SVR

    gamma = 1 / standard.shape[1]
    duals = np.zeros((len(targets), len(standard)))
    offset = np.zeros(len(targets))
    for k, target in enumerate(targets):
        model = SVR(gamma=gamma) if regression else SVC(gamma=gamma, class_weight="balanced")
        model.fit(standard, target)
        duals[k, model.support_] = model.dual_coef_[0]
        offset[k] = model.intercept_[0]
    used = duals.any(axis=0)
    return {"vectors": standard[used], "duals": duals[:, used], "offset": offset}


def _held_out_decisions(standard: np.ndarray, y: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return decision values of each trial by machines that have not seen it, where that is so."""
    values = decisions(standard, _one_against_rest(standard, y) | {"gamma": gamma})
    fold = inner_folds(y)
    for k in np.unique(fold):
        rest = fold != k
        if len(np.unique(y[rest])) == len(np.unique(y)):
            machines = _one_against_rest(standard[rest], y[rest]) | {"gamma": gamma}
            values[~rest] = decisions(standard[~rest], machines)
    return values


def _platt(values: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    return linear_classes(LogisticRegression(max_iter=1000).fit(values, y))
