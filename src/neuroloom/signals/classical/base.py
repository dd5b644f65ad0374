"""The common frame of estimators: features and a head, learnt arrays, scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.training.solved import Solved, one_thread
from neuroloom.signals.classical.covariance import CHUNK, check_finite

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

SMALLEST_PROBABILITY = 1e-12
Arrays = dict[str, np.ndarray]


class Features(ABC):
    """What is measured of every trial; most kinds learn something from the training trials."""

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return what is learnt of the trials (n, channel, time) and their targets."""
        return {}

    @abstractmethod
    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return features (n, p) of trials, each by itself."""


class Head(ABC):
    """What tells classes, or predicts numbers, from features."""

    regresses = True

    @abstractmethod
    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return what is learnt of features (n, p) and class indices, or numbers, (n,).

        For classes the arrays hold `classes`, the class index of each column of the scores.
        """

    @abstractmethod
    def scores(self, features: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities (n, class that was seen), or numbers (n,)."""


class Estimator:
    """A learner of two parts that are fitted one after the other, without a training loop.

    Parameters
    ----------
    name
        Of the model.
    features, head
        The parts.
    n_outputs
        Number of classes; None for as many as the training labels name, and for numbers.
    settings
        Constructor arguments that rebuild the parts; plain data.
    """

    def __init__(
        self,
        name: str,
        features: Features,
        head: Head,
        n_outputs: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.features, self.head = name, features, head
        self.n_outputs, self.settings = n_outputs, settings or {}
        self._arrays: Arrays = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and constructor arguments: enough, with `state`, to rebuild the learner."""
        return {"name": self.name, **self.settings, "n_outputs": self.n_outputs}

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Fit to trials `x`, shape (trial, channel, time), and class indices or numbers `y`.

        Raises
        ------
        ConfigError
            If `y` is continuous and the decoder is for classes.
        DataError
            If there is one class only, too few trials, no variance, or a value that is not finite.
        """
        y = np.asarray(y)
        self._check(x, y)
        with one_thread():
            arrays = self.features.learn(x, y)
            arrays = arrays | self.head.learn(self._features(x, arrays), y)
        if "classes" in arrays:
            count = max(self.n_outputs or 0, int(arrays["classes"].max()) + 1)
            arrays["n_outputs"] = np.array([count])
        self._arrays = arrays
        return Solved()

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (trial, class), or predictions, shape (trial,).

        Classes never seen in training get log(1e-12).
        """
        arrays = self._fitted()
        with one_thread():
            scores = self.head.scores(self._features(x, arrays), arrays)
        return spread(scores, arrays) if "classes" in arrays else scores

    def state(self) -> Arrays:
        """Return what was learnt as named arrays."""
        return dict(self._fitted())

    def load(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        self._arrays = {name: np.asarray(array) for name, array in state.items()}

    def _features(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the features of all trials, a chunk at a time."""
        starts = range(0, max(len(x), 1), CHUNK)
        return np.concatenate([self.features.of(x[i : i + CHUNK], arrays) for i in starts])

    def _fitted(self) -> Arrays:
        if not self._arrays:
            raise ConfigError(f"{self.name} is not fitted yet; call fit or load first.")
        return self._arrays

    def _check(self, x: np.ndarray, y: np.ndarray) -> None:
        check_trials(x)
        if not is_regression(y):
            check_classes(y, self.name)
        elif self.head.regresses:
            check_numbers(y, self.name)
        else:
            raise ConfigError(
                f"{self.name} tells classes apart, but the target is continuous. Use model=riemann "
                "(tangent space + ridge) or a net, or make classes of the target."
            )


def is_regression(y: np.ndarray) -> bool:
    """Return whether `y` holds numbers to predict (floats), not class indices (integers)."""
    return np.issubdtype(np.asarray(y).dtype, np.floating)


def check_trials(x: np.ndarray) -> None:
    """Raise a DataError unless `x` is (trial, channel, time), finite, and varies somewhere."""
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(f"Expected trials of shape (trial, channel, time), got {x.shape}.")
    starts = range(0, len(x), CHUNK)
    range_of = np.concatenate([np.ptp(x[i : i + CHUNK], axis=2) for i in starts])
    check_finite(range_of)
    if not range_of.max() > 0:
        raise DataError(
            f"All {x.shape[1]} channels are flat in the training trials: nothing to learn. "
            "Check the file, the units and the reference."
        )


def check_classes(y: np.ndarray, name: str) -> None:
    """Raise a DataError unless `y` has two classes and more trials than classes."""
    classes = np.unique(y)
    if len(classes) < 2:
        only = ", ".join(map(str, classes))
        raise DataError(
            f"{name}: the {len(y)} training trials are all of one class ({only}); two are needed. "
            "Check `events`, and that each fold trains on every class."
        )
    if len(y) <= len(classes):
        raise DataError(
            f"{name}: {len(y)} training trials are too few for {len(classes)} classes; "
            "at least one more than classes is needed."
        )


def check_numbers(y: np.ndarray, name: str) -> None:
    """Raise a DataError unless `y` has three finite values that vary."""
    if len(y) < 3 or not np.isfinite(y).all() or np.ptp(y) == 0:
        raise DataError(
            f"{name}: regression needs three or more finite targets that differ; got {len(y)} "
            f"from {np.min(y, initial=np.inf):g} to {np.max(y, initial=-np.inf):g}."
        )


def spread(seen: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return log-probabilities (trial, n_outputs) of those of the classes that were seen."""
    smallest = np.log(SMALLEST_PROBABILITY)
    scores = np.full((len(seen), arrays["n_outputs"].item()), smallest)
    scores[:, arrays["classes"]] = np.maximum(seen, smallest)
    return scores


def inner_folds(y: np.ndarray, count: int = 5) -> np.ndarray:
    """Return the inner fold of every training trial: contiguous stretches, class by class.

    Neighbouring trials resemble each other, so they stay together. A class with fewer trials than
    folds is missing from some.

    Examples
    --------
    >>> import numpy as np
    >>> inner_folds(np.array([0, 0, 1, 1, 0, 0]), 2).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if is_regression(y):
        return np.arange(len(y)) * count // len(y)
    fold = np.zeros(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = np.arange(len(rows)) * count // len(rows)
    return fold
