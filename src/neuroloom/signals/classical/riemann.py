"""Covariances as points on a curved space: its tangent plane, and distances to class means."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.signals.classical.base import Arrays, Estimator, Features, Head
from neuroloom.signals.classical.covariance import trial_covariances, whiten, whitener
from neuroloom.signals.classical.linear import Logistic


class TangentSpace(Features):
    """Shrunk covariances of whitened channels, in the tangent space at their Riemannian mean."""

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return the `whitener` and the `reference`, where the tangent space touches."""
        covariances = trial_covariances(x)
        arrays = {"whitener": whitener(covariances)}
        whitened = whiten(covariances, arrays["whitener"], x.shape[2])
        return arrays | {"reference": riemannian_mean(whitened)}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the coordinates, shape (trial, rank (rank + 1) / 2)."""
        whitened = whiten(trial_covariances(x), arrays["whitener"], x.shape[2])
        return tangent(whitened, arrays["reference"])


class Riemann(Estimator):
    """Covariances in Riemannian tangent space, then logistic regression, or ridge for numbers.

    Its own band is 8-30 Hz. Covariances are taken of the whitened channels and shrunk (OAS), so
    they shrink to the mean covariance instead of to equal, independent sensors. The tangent space
    is taken at the Riemannian mean of the training trials.

    Parameters
    ----------
    penalty
        Inverse strength C of the logistic regression's L2 penalty.
    n_outputs
        Number of classes; None for as many as the training labels name.

    References
    ----------
    Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928; Chen et al. (2010), IEEE
    Trans. Signal Process. 58(10), 5016-5029 (OAS).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(40, 4, 200)), np.arange(40) % 2
    >>> x[y == 1, 0] *= 3
    >>> learner = Riemann()
    >>> _ = learner.fit(x, y)
    >>> bool((learner.predict_scores(x).argmax(1) == y).mean() > 0.95)
    True
    """

    name = "riemann"

    def __init__(self, penalty: float = 1.0, n_outputs: int | None = None) -> None:
        if not penalty > 0:
            raise ConfigError(f"riemann needs a penalty above 0, got {penalty}.")
        parts = TangentSpace(), Logistic(penalty)
        super().__init__(self.name, *parts, n_outputs, {"penalty": penalty})


class WhitenedCovariances(Features):
    """Shrunk covariances of whitened channels, as flat rows."""

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return the `whitener`."""
        return {"whitener": whitener(trial_covariances(x))}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the covariances, shape (trial, rank * rank)."""
        return whiten(trial_covariances(x), arrays["whitener"], x.shape[2]).reshape(len(x), -1)


class NearestMean(Head):
    """Minimum distance to mean: a trial goes to the class whose Riemannian mean is nearest.

    Log-probabilities are the negative squared distances, normalised.

    References
    ----------
    Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928, algorithm 1.
    """

    regresses = False

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return the class means, `means` (class, rank, rank)."""
        covariances = _square(features)
        classes = np.unique(y)
        means = np.stack([riemannian_mean(covariances[y == label]) for label in classes])
        return {"means": means, "classes": classes.astype(np.int64)}

    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities (trial, class)."""
        from pyriemann.geometry.distance import distance_riemann
        from scipy.special import log_softmax

        covariances = _square(features)
        squared = [distance_riemann(covariances, mean) ** 2 for mean in arrays["means"]]
        return log_softmax(-np.stack(squared, axis=1), axis=1)


def riemannian_mean(covariances: np.ndarray) -> np.ndarray:
    """Return the affine-invariant mean of positive definite matrices (n, c, c)."""
    from pyriemann.geometry.mean import mean_riemann

    return mean_riemann(covariances, tol=1e-6)


def tangent(covariances: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return tangent vectors (n, c (c + 1) / 2) at `reference`."""
    from pyriemann.geometry.tangentspace import tangent_space

    return tangent_space(covariances, reference, metric="riemann")


def _square(rows: np.ndarray) -> np.ndarray:
    size = round(np.sqrt(rows.shape[1]))
    return rows.reshape(len(rows), size, size)
