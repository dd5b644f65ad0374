"""Sequential floating forward selection: the few features that tell classes apart together."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.signals.classical.base import Arrays, inner_folds
from neuroloom.signals.classical.linear import Linear, LinearDiscriminant, moments

MOST = 10
SHRINKAGE = 0.1


class FloatingSelection(Linear):
    """Features chosen one by one, with steps back, then shrinkage discriminant analysis on them.

    A set of features is judged by the log-probability that discriminant analysis gives to the
    true class in five inner folds. After each feature that comes in, others leave as long as that
    gives the best set of that size so far. At most ten features are chosen.

    References
    ----------
    Pudil et al. (1994), Pattern Recognit. Lett. 15(11), 1119-1125; Tayeb et al. (2018), Front.
    Hum. Neurosci. 12, 439 (gumpy).
    """

    regresses = False

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `chosen` features, and weights that are zero elsewhere."""
        mean, scale = moments(features)
        chosen = np.array(select((features - mean) / scale, y))
        arrays = LinearDiscriminant(shrinkage=True).learn(features[:, chosen], y)
        weights = np.zeros((len(arrays["weights"]), features.shape[1]))
        weights[:, chosen] = arrays["weights"]
        return arrays | {"weights": weights, "chosen": chosen}


def select(features: np.ndarray, y: np.ndarray, most: int = MOST) -> list[int]:
    """Return the chosen columns of standardised `features` (trial, feature), in order.

    Examples
    --------
    >>> import numpy as np
    >>> y, noise = np.arange(60) % 2, np.random.default_rng(0).normal(size=(60, 5))
    >>> noise[:, 3] += 4 * y
    >>> 3 in select(noise, y)
    True
    """
    judge = _Judge(features, y)
    best: dict[int, tuple[float, list[int]]] = {}
    now: list[int] = []
    while len(now) < min(most, features.shape[1]):
        others = [k for k in range(features.shape[1]) if k not in now]
        merit, now = judge.best([[*now, k] for k in others])
        if merit <= best.get(len(now), (-np.inf, []))[0]:
            # Going back led here before: take up the better set of this size.
            merit, now = best[len(now)]
        best[len(now)] = merit, now
        now = _step_back(now, judge, best)
    return sorted(max(best.values(), key=lambda pair: pair[0])[1])


def _step_back(now: list[int], judge: _Judge, best: dict[int, Any]) -> list[int]:
    """Leave features out while that beats the best set of the smaller size."""
    while len(now) > 2:
        merit, fewer = judge.best([[k for k in now if k != out] for out in now])
        if merit <= best[len(fewer)][0]:
            break
        best[len(fewer)] = merit, fewer
        now = fewer
    return now


class _Judge:
    """Log-probability of held-out trials under discriminant analysis, for many sets at once."""

    def __init__(self, features: np.ndarray, y: np.ndarray) -> None:
        self.folds = []
        classes, fold = np.unique(y), inner_folds(y)
        for k in np.unique(fold):
            inside = fold != k
            if len(np.unique(y[inside])) == len(classes):
                train, held = features[inside], features[~inside]
                label = np.searchsorted(classes, y[~inside])
                self.folds.append((*_class_moments(train, y[inside], classes), held, label))
        if not self.folds:
            label = np.searchsorted(classes, y)
            self.folds = [(*_class_moments(features, y, classes), features, label)]

    def best(self, sets: list[list[int]]) -> tuple[float, list[int]]:
        """Return merit and columns of the best of equally large sets."""
        columns = np.array(sets)
        merit = np.sum([self._merit(columns, *fold) for fold in self.folds], axis=0)
        winner = int(np.argmax(merit))
        return float(merit[winner]), sets[winner]

    @staticmethod
    def _merit(
        columns: np.ndarray,
        prior: np.ndarray,
        means: np.ndarray,
        pooled: np.ndarray,
        held: np.ndarray,
        label: np.ndarray,
    ) -> np.ndarray:
        """Return the summed log-probability (set,) of the held-out trials' classes."""
        from scipy.special import log_softmax

        inside = pooled[columns[:, :, None], columns[:, None, :]]
        centre = np.moveaxis(means[:, columns], 0, 2)
        weights = np.linalg.solve(inside, centre)
        bias = np.log(prior) - np.einsum("mpk,mpk->mk", centre, weights) / 2
        outputs = np.moveaxis(held[:, columns], 0, 1) @ weights + bias[:, None]
        return log_softmax(outputs, axis=2)[:, np.arange(len(label)), label].sum(axis=1)


def _class_moments(
    features: np.ndarray, y: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prior (class,), means (class, feature) and the lightly shrunk pooled covariance."""
    which = np.searchsorted(classes, y)
    counts = np.bincount(which, minlength=len(classes))
    means = np.stack([features[which == k].mean(axis=0) for k in range(len(classes))])
    rest = features - means[which]
    pooled = (1 - SHRINKAGE) * (rest.T @ rest) / len(y)
    return counts / len(y), means, pooled + SHRINKAGE * np.eye(features.shape[1])
