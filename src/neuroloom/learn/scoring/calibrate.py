"""Probabilities that mean what they say: temperature scaling and the reliability table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Floats = NDArray[np.float64]

BOUNDS = (0.25, 10.0)
PRIOR_SD = 1.0


def apply(scores: ArrayLike, temperature: float | ArrayLike) -> Floats:
    """Return the probabilities softmax(scores / temperature).

    Parameters
    ----------
    scores
        Log-probabilities or logits (n, class).
    temperature
        One number, or one per example (n,); above 1 softens.

    Examples
    --------
    >>> apply(np.log([[0.8, 0.2]]), 1.0).round(3).tolist()
    [[0.8, 0.2]]
    """
    logits = np.asarray(scores, dtype=float) / np.reshape(temperature, (-1, 1))
    logits = logits - logits.max(1, keepdims=True)
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def fit_temperature(scores: ArrayLike, y: ArrayLike) -> float:
    """Return the temperature at which held-out scores have the least log-loss.

    Guo et al. 2017, section 4.2. With few examples, or all of them right, the least log-loss is at
    T = 0: a normal prior on log T about 0 (SD 1, worth about one example) and the bounds
    0.25 to 10 keep it sane.

    Parameters
    ----------
    scores
        Log-probabilities or logits (n, class) of examples that the model was not fitted on.
    y
        Class numbers (n,).

    Raises
    ------
    DataError
        If a score is NaN or +infinity, or the lengths differ.

    Examples
    --------
    >>> fit_temperature(np.zeros((0, 2)), [])
    1.0
    """
    from scipy.optimize import minimize_scalar

    logits, labels = _checked(scores, y)
    if not labels.size:
        return 1.0

    def loss(log_t: float) -> float:
        mine = np.take_along_axis(apply(logits, np.exp(log_t)), labels[:, None], axis=1)
        return float(-np.log(np.clip(mine, 1e-300, None)).sum() + (log_t / PRIOR_SD) ** 2 / 2)

    best = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))


def cross_fit(scores: ArrayLike, y: ArrayLike, folds: ArrayLike) -> tuple[Floats, dict[int, float]]:
    """Calibrate out-of-fold scores so that no example sees its own label.

    The temperature of fold k is fitted on the out-of-fold scores of the other folds. With one fold
    there are none, and T = 1.

    Parameters
    ----------
    scores
        Out-of-fold log-probabilities or logits (n, class).
    y, folds
        Class and fold numbers (n,).

    Returns
    -------
    Probabilities (n, class), and the temperature of each fold.

    Examples
    --------
    >>> p, temperatures = cross_fit(np.log([[0.9, 0.1], [0.4, 0.6]]), [0, 1], [0, 0])
    >>> temperatures, p.round(2).tolist()
    ({0: 1.0}, [[0.9, 0.1], [0.4, 0.6]])
    """
    logits, labels = _checked(scores, y)
    fold = np.asarray(folds)
    temperatures = {
        int(k): fit_temperature(logits[fold != k], labels[fold != k]) for k in np.unique(fold)
    }
    return apply(logits, np.array([temperatures[int(k)] for k in fold])), temperatures


def reliability(probabilities: ArrayLike, y: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Return the table behind a reliability plot of the most probable class.

    Parameters
    ----------
    probabilities
        (n, class).
    y
        Class numbers (n,).
    bins
        Equal-width bins of confidence, as in `metrics.ece`; empty ones are left out.

    Returns
    -------
    Columns low, high (edges), count, confidence (mean), accuracy, and its 95 % Wilson interval
    accuracy_low, accuracy_high.

    Examples
    --------
    >>> reliability([[0.8, 0.2]] * 5, [0, 0, 0, 0, 1])[["count", "accuracy"]].values.tolist()
    [[5.0, 0.8]]
    """
    p, labels = np.asarray(probabilities, dtype=float), np.asarray(y)
    confidence, right = p.max(1), p.argmax(1) == labels
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    used, count = np.unique(number, return_counts=True)
    hits = np.array([right[number == b].sum() for b in used])
    low, high = _wilson(hits, count)
    return pd.DataFrame(
        {
            "low": used / bins,
            "high": (used + 1) / bins,
            "count": count,
            "confidence": [confidence[number == b].mean() for b in used],
            "accuracy": hits / count,
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )


def _wilson(hits: NDArray, n: NDArray) -> tuple[Floats, Floats]:
    """95 % score interval of a share (Wilson 1927)."""
    z = 1.959963984540054
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(hits * (n - hits) / n + z**2 / 4) / (n + z**2)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _checked(scores: ArrayLike, y: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Scores with -infinity (a probability of 0) made finite, beside their labels."""
    logits, labels = np.asarray(scores, dtype=float), np.asarray(y, dtype=np.int64)
    if logits.ndim != 2 or len(logits) != labels.size:
        raise DataError(
            f"Scores have shape {logits.shape}, expected (n, class) for {labels.size} labels."
        )
    bad = np.isnan(logits) | (logits == np.inf)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(f"Example {row} has a score that is NaN or infinite; the model diverged.")
    return np.maximum(logits, -700.0), labels
