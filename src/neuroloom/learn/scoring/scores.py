"""Scores of predictions: pure functions of arrays.

Every metric takes `weights`, the number of times that each example counts: None, one row (n,), or a
whole bootstrap (resample, n), which then costs a few matrix products instead of a loop.
A class that a resample lost is left out of that resample's average; where nothing can be said the
value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Weights = ArrayLike | None


def accuracy(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the share of examples whose class is right.

    Parameters
    ----------
    y, predicted
        Class numbers (n,).
    weights
        None, (n,) or (resample, n) counts; the result is a float or (resample,).

    Examples
    --------
    >>> accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    """
    right = (np.asarray(y) == np.asarray(predicted)).astype(float)
    w = weight_rows(weights, right.size)
    return shaped(ratio(w @ right, w.sum(1)), weights)


def balanced_accuracy(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean recall over the classes that occur in `y` (Brodersen et al. 2010).

    Examples
    --------
    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    truth, guess = _one_hot(y, predicted)
    w = weight_rows(weights, len(truth))
    return shaped(mean_known(ratio(w @ (truth * guess), w @ truth)), weights)


def kappa(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return Cohen's kappa (1960): agreement beyond what the two label frequencies give by chance.

    Examples
    --------
    >>> kappa([0, 0, 1, 1], [0, 0, 1, 0])
    0.5
    """
    truth, guess = _one_hot(y, predicted)
    w = weight_rows(weights, len(truth))
    total = w.sum(1)
    agree = ratio(w @ (truth * guess).sum(1), total)
    by_chance = ratio(((w @ truth) * (w @ guess)).sum(1), total**2)
    return shaped(ratio(agree - by_chance, 1 - by_chance), weights)


def auc(y: ArrayLike, p: ArrayLike, weights: Weights = None) -> Any:
    """Return the area under the ROC curve: P(score of a positive > score of a negative), ties half.

    Two classes: the second is positive. More: the mean over classes of one against the rest.

    Parameters
    ----------
    y
        Class numbers (n,).
    p
        Probabilities or any monotone scores (n, class).

    Examples
    --------
    >>> auc([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    1.0
    """
    return _over_classes(_binary_auc, y, p, weights)


def average_precision(y: ArrayLike, p: ArrayLike, weights: Weights = None) -> Any:
    """Return the average precision, sum of (recall step) x precision, without interpolation.

    Two classes: the second is positive. More: the mean over classes of one against the rest.

    Examples
    --------
    >>> average_precision([0, 1, 1], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    0.5833333333333333
    """
    return _over_classes(_binary_average_precision, y, p, weights)


def log_loss(y: ArrayLike, p: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean negative log-probability of the true class (nats; probabilities >= 2e-16).

    Examples
    --------
    >>> round(log_loss([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    mine = np.take_along_axis(np.asarray(p, dtype=float), np.asarray(y)[:, None], axis=1)[:, 0]
    loss = -np.log(np.clip(mine, np.finfo(float).eps, 1))
    w = weight_rows(weights, loss.size)
    return shaped(ratio(w @ loss, w.sum(1)), weights)


def ece(y: ArrayLike, p: ArrayLike, weights: Weights = None, bins: int = 10) -> Any:
    """Return the expected calibration error of the most probable class, in equal-width bins.

    The mean over bins, by their share of examples, of |accuracy - mean confidence|
    (Naeini et al. 2015; Guo et al. 2017, eq. 3). It is biased upwards in small samples.

    Examples
    --------
    >>> round(ece([0, 1], [[0.8, 0.2], [0.8, 0.2]]), 3)
    0.3
    """
    confidence, member = _binned(p, bins)
    right = np.asarray(p).argmax(1) == np.asarray(y)
    w = weight_rows(weights, right.size)
    gaps = np.abs(w @ (member * (right - confidence)[:, None])).sum(1)
    return shaped(ratio(gaps, w.sum(1)), weights)


def ece_when_calibrated(p: ArrayLike, n: int, rng: np.random.Generator, bins: int = 10) -> Floats:
    """Return `n` calibration errors of labels drawn from the probabilities themselves.

    What a perfectly calibrated model would show with as few examples (consistency resampling,
    Broecker & Smith 2007).

    Examples
    --------
    >>> null = ece_when_calibrated([[0.8, 0.2]] * 20, 100, np.random.default_rng(0))
    >>> bool(null.mean() > 0.05)
    True
    """
    confidence, member = _binned(p, bins)
    gap = (rng.random((n, confidence.size)) < confidence) - confidence
    return np.abs(gap @ member).sum(1) / confidence.size


def _binned(p: ArrayLike, bins: int) -> tuple[Floats, Floats]:
    """Confidence (n,) of the most probable class, and its bin (n, bins) as an indicator."""
    confidence = np.asarray(p, dtype=float).max(1)
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return confidence, np.eye(bins)[number]


def r2(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the coefficient of determination: 1 - squared error / variance of `y`.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    truth = np.asarray(y, dtype=float)
    w = weight_rows(weights, truth.size)
    centred, squared = truth - truth.mean(), (truth - np.asarray(predicted, dtype=float)) ** 2
    spread = w @ centred**2 - ratio((w @ centred) ** 2, w.sum(1))
    flat = spread <= 1e-14 * float(centred @ centred)
    return shaped(1 - ratio(w @ squared, np.where(flat, 0.0, spread)), weights)


def mae(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean absolute error, in the unit of `y`.

    Examples
    --------
    >>> mae([1.0, 2.0], [1.5, 2.5])
    0.5
    """
    error = np.abs(np.asarray(y, dtype=float) - np.asarray(predicted, dtype=float))
    w = weight_rows(weights, error.size)
    return shaped(ratio(w @ error, w.sum(1)), weights)


def pearson(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return Pearson's correlation; NaN if either side is constant.

    Examples
    --------
    >>> round(pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), 6)
    1.0
    """
    a, b = (v - v.mean() for v in (np.asarray(y, float), np.asarray(predicted, float)))
    w = weight_rows(weights, a.size)
    n = w.sum(1)
    cross = w @ (a * b) - ratio((w @ a) * (w @ b), n)
    spread = [w @ v**2 - ratio((w @ v) ** 2, n) for v in (a, b)]
    flat = [s <= 1e-14 * max(float(v @ v), 1e-300) for s, v in zip(spread, (a, b), strict=True)]
    product = np.where(flat[0] | flat[1], 0.0, spread[0] * spread[1])
    return shaped(ratio(cross, np.sqrt(np.clip(product, 0, None))), weights)


def event_f1(hits: ArrayLike, true: ArrayLike, found: ArrayLike, weights: Weights = None) -> Any:
    """Return the F1 of events pooled over recordings: 2 hits / (true + found).

    Parameters
    ----------
    hits, true, found
        Counts of each recording (n,): events matched one to one, events there, events found.

    Examples
    --------
    >>> event_f1([3, 0], [4, 1], [4, 1])
    0.6
    """
    return _pooled(2 * np.asarray(hits, float), np.add(true, found), weights)


def event_precision(hits: ArrayLike, found: ArrayLike, weights: Weights = None) -> Any:
    """Return the share of found events that are true ones, pooled over recordings.

    Examples
    --------
    >>> event_precision([3, 0], [4, 2])
    0.5
    """
    return _pooled(hits, found, weights)


def event_recall(hits: ArrayLike, true: ArrayLike, weights: Weights = None) -> Any:
    """Return the share of true events that were found, pooled over recordings.

    Examples
    --------
    >>> event_recall([3, 0], [4, 2])
    0.5
    """
    return _pooled(hits, true, weights)


def density_error(
    true: ArrayLike, found: ArrayLike, minutes: ArrayLike, weights: Weights = None
) -> Any:
    """Return the mean distance of found from true events per minute, over recordings.

    Examples
    --------
    >>> density_error([30, 60], [30, 90], [30, 30])
    0.5
    """
    error = np.abs(np.subtract(found, true)) / np.asarray(minutes, float)
    return _pooled(error, np.ones_like(error), weights)


def mean_over_cases(values: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean over examples of a score that each has already; undefined ones left out.

    Examples
    --------
    >>> mean_over_cases([0.5, 1.0, float("nan")])
    0.75
    """
    array = np.asarray(values, dtype=float)
    known = ~np.isnan(array)
    w = weight_rows(weights, array.size)
    return shaped(ratio(w @ np.where(known, array, 0), w @ known), weights)


def _pooled(top: ArrayLike, bottom: ArrayLike, weights: Weights) -> Any:
    """Ratio of two sums over the examples."""
    above, below = np.asarray(top, float), np.asarray(bottom, float)
    w = weight_rows(weights, above.size)
    return shaped(ratio(w @ above, w @ below), weights)


def weight_rows(weights: Weights, n: int) -> Floats:
    """Return weights as (resample, n); one row of ones for None.

    Examples
    --------
    >>> weight_rows(None, 3).tolist(), weight_rows([1, 0, 2], 3).shape
    ([[1.0, 1.0, 1.0]], (1, 3))
    """
    return np.ones((1, n)) if weights is None else np.atleast_2d(np.asarray(weights, dtype=float))


def shaped(values: Floats, weights: Weights) -> float | Floats:
    """Return a float for one row of weights, (resample,) for many.

    Examples
    --------
    >>> shaped(np.array([0.5]), None), shaped(np.array([0.5]), np.ones((1, 3))).shape
    (0.5, (1,))
    """
    return values if weights is not None and np.ndim(weights) == 2 else float(values[0])


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Return `top / bottom`, NaN where the bottom is 0.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def mean_known(values: ArrayLike) -> Any:
    """Return the mean over the last axis of what is not NaN; NaN if nothing is left.

    Examples
    --------
    >>> mean_known([1.0, float("nan"), 2.0])
    1.5
    """
    array = np.asarray(values, dtype=float)
    known = ~np.isnan(array)
    means = ratio(np.where(known, array, 0).sum(-1), known.sum(-1))
    return means if means.ndim else float(means)


def _one_hot(y: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Both label vectors as (n, class) indicators."""
    truth, guess = np.asarray(y), np.asarray(predicted)
    eye = np.eye(int(max(truth.max(initial=0), guess.max(initial=0))) + 1)
    return eye[truth], eye[guess]


def _over_classes(
    binary: Callable[[NDArray[np.bool_], Floats, Floats], Floats],
    y: ArrayLike,
    p: ArrayLike,
    weights: Weights,
) -> float | Floats:
    """Score the second of two classes, or average one against the rest."""
    truth, scores = np.asarray(y), np.asarray(p, dtype=float)
    w = np.ascontiguousarray(weight_rows(weights, truth.size).T)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    values = np.stack([binary(truth == c, scores[:, c], w) for c in classes], axis=-1)
    return shaped(mean_known(values), weights)


def _running(weights: Floats) -> Floats:
    """Cumulative counts along the examples, with a leading 0: (n + 1, resample)."""
    total = np.zeros((weights.shape[0] + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=total[1:])
    return total


def _binary_auc(positive: NDArray[np.bool_], score: Floats, w: Floats) -> Floats:
    """Mann and Whitney's U / (positives x negatives), by ranks among the negatives."""
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(score[negatives])]
    below = _running(w[negatives])
    left = np.searchsorted(score[negatives], score[positive], "left")
    right = np.searchsorted(score[negatives], score[positive], "right")
    mine = w[positive]
    won = np.einsum("nb,nb->b", mine, below[left]) + np.einsum("nb,nb->b", mine, below[right])
    return ratio(won / 2, mine.sum(0) * below[-1])


def _binary_average_precision(positive: NDArray[np.bool_], score: Floats, w: Floats) -> Floats:
    """Mean over the positives of the precision at their own score."""
    order = np.argsort(-score)
    hits = order[positive[order]]
    mine = w[hits]
    found, seen = _running(mine), _running(w[order])
    hit_rank = np.searchsorted(-score[hits], -score[hits], "right")
    rank = np.searchsorted(-score[order], -score[hits], "right")
    precision = found[hit_rank] / np.maximum(seen[rank], np.finfo(float).tiny)
    return ratio(np.einsum("nb,nb->b", mine, precision), found[-1])
