"""Linear heads: discriminant analysis, logistic regression, ridge regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.signals.classical.base import Arrays, Head, is_regression


class Linear(Head):
    """Scores that are linear in the features: `weights` (output, feature) and `bias` (output,)."""

    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the normalised log-probabilities, or the sum itself for numbers."""
        from scipy.special import log_softmax

        outputs = features @ arrays["weights"].T + arrays["bias"]
        return log_softmax(outputs, axis=1) if "classes" in arrays else outputs[:, 0]


class LinearDiscriminant(Linear):
    """Linear discriminant analysis; ridge regression for numbers where asked for.

    Parameters
    ----------
    shrinkage
        Shrink the pooled covariance by the rule of Ledoit & Wolf.
    regresses
        Whether numbers are predicted by ridge regression, or refused.

    References
    ----------
    Blankertz et al. (2011), NeuroImage 56(2), 814-825 (shrinkage for event-related potentials);
    Ledoit & Wolf (2004), J. Multivar. Anal. 88(2), 365-411.
    """

    def __init__(self, shrinkage: bool = False, regresses: bool = False) -> None:
        self.shrinkage, self.regresses = shrinkage, regresses

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return weights and bias in the unit of the features."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        if is_regression(y):
            return ridge(features, y)
        mean, scale = moments(features)
        how: dict[str, Any] = {"solver": "lsqr", "shrinkage": "auto"} if self.shrinkage else {}
        model = LinearDiscriminantAnalysis(**how).fit((features - mean) / scale, y)
        return unscaled(linear_classes(model), mean, scale)


class Logistic(Linear):
    """Logistic regression with an L2 penalty; ridge regression for numbers.

    Parameters
    ----------
    penalty
        Inverse strength C.
    """

    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return weights and bias."""
        from sklearn.linear_model import LogisticRegression

        if is_regression(y):
            return ridge(features, y)
        model = LogisticRegression(C=self.penalty, max_iter=1000).fit(features, y)
        return linear_classes(model)


def ridge(features: np.ndarray, y: np.ndarray) -> Arrays:
    """Return ridge regression, its strength chosen by leave-one-out, as weights and bias."""
    from sklearn.linear_model import RidgeCV

    mean, scale = moments(features)
    model = RidgeCV(alphas=np.logspace(-2, 5, 15)).fit((features - mean) / scale, y)
    arrays = {"weights": model.coef_[None], "bias": np.array([model.intercept_])}
    return unscaled(arrays, mean, scale)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (1 where constant) of each feature."""
    scale = features.std(axis=0)
    return features.mean(axis=0), np.where(scale > 0, scale, 1.0)


def linear_classes(model: Any) -> Arrays:
    """Return a fitted scikit-learn linear classifier as arrays: weights, bias, classes.

    Two classes become two rows, the first zero, so that a softmax serves any number of classes.
    """
    weights, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if len(model.classes_) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights])
        bias = np.concatenate([np.zeros_like(bias), bias])
    classes = np.asarray(model.classes_, dtype=np.int64)
    return {"weights": weights, "bias": bias, "classes": classes}


def unscaled(arrays: Arrays, mean: np.ndarray, scale: np.ndarray) -> Arrays:
    """Return a linear model of standardised features as one of the features themselves."""
    weights = arrays["weights"] / scale
    return arrays | {"weights": weights, "bias": arrays["bias"] - weights @ mean}
