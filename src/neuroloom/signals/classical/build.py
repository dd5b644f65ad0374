"""Estimators by name: which features each sees and which head learns from them."""

from __future__ import annotations

from collections.abc import Callable

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.signals.classical.base import Estimator, Features, Head
from neuroloom.signals.classical.csp import FilterBank
from neuroloom.signals.classical.evoked import ErpCovariance, Samples, Xdawn
from neuroloom.signals.classical.forest import Forest
from neuroloom.signals.classical.kernel import SupportVectors
from neuroloom.signals.classical.linear import LinearDiscriminant, Logistic
from neuroloom.signals.classical.neighbours import Neighbours
from neuroloom.signals.classical.power import (
    BandPower,
    LogCovariance,
    Muscle,
    RootMeanSquare,
    Variance,
)
from neuroloom.signals.classical.riemann import NearestMean, TangentSpace, WhitenedCovariances
from neuroloom.signals.classical.selection import FloatingSelection
from neuroloom.signals.classical.timefrequency import ShortTime, Wavelet

FEATURES: dict[str, Callable[[float], Features]] = {
    "time": Samples,
    "bandpower": BandPower,
    "variance": lambda rate: Variance(),
    "rms": lambda rate: RootMeanSquare(),
    "muscle": lambda rate: Muscle(),
    "covariance": lambda rate: LogCovariance(),
    "tangent": lambda rate: TangentSpace(),
    "whitened": lambda rate: WhitenedCovariances(),
    "wavelet": Wavelet,
    "stft": ShortTime,
    "fbcsp": FilterBank,
    "xdawn": lambda rate: Xdawn(),
    "erp-cov": lambda rate: ErpCovariance(),
}
HEADS: dict[str, Callable[[], Head]] = {
    "lda": lambda: LinearDiscriminant(regresses=True),
    "shrinkage-lda": lambda: LinearDiscriminant(shrinkage=True, regresses=True),
    "logistic": Logistic,
    "svm": SupportVectors,
    "knn": Neighbours,
    "forest": Forest,
    "sffs": FloatingSelection,
    "nearest-mean": NearestMean,
}


def pipeline(
    name: str, features: str, head: str, rate: float, n_outputs: int | None = None
) -> Estimator:
    """Return the untrained estimator of these features and this head.

    Parameters
    ----------
    name
        Of the model.
    features, head
        Keys of `FEATURES` and `HEADS`.
    rate
        Of the trials, Hz.
    n_outputs
        Number of classes; None for as many as the training labels name, and for numbers.

    Examples
    --------
    >>> pipeline("svm", "bandpower", "svm", rate=128.0).spec["features"]
    'bandpower'
    """
    if features not in FEATURES:
        raise ConfigError(f"No features are called '{features}'.{nearest(features, FEATURES)}")
    settings = {"features": features, "head": head, "rate": rate}
    return Estimator(name, FEATURES[features](rate), HEADS[head](), n_outputs, settings)
