"""Scores of predictions: pure functions of arrays, and the table and summary of a run.

Every metric takes `weights`, the number of times that each example counts: None, one row (n,), or a
whole bootstrap (resample, n), which then costs a few matrix products instead of a loop.
A class that a resample lost is left out of that resample's average; where nothing can be said the
value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Task = Literal["classification", "regression"]
Floats = NDArray[np.float64]
Weights = ArrayLike | None

ALL = "all"
FOLD_RESAMPLES = 500


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
    w = _rows(weights, right.size)
    return _shaped(_ratio(w @ right, w.sum(1)), weights)


def balanced_accuracy(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean recall over the classes that occur in `y` (Brodersen et al. 2010).

    Examples
    --------
    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    truth, guess = _one_hot(y, predicted)
    w = _rows(weights, len(truth))
    return _shaped(_mean_known(_ratio(w @ (truth * guess), w @ truth)), weights)


def kappa(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return Cohen's kappa (1960): agreement beyond what the two label frequencies give by chance.

    Examples
    --------
    >>> kappa([0, 0, 1, 1], [0, 0, 1, 0])
    0.5
    """
    truth, guess = _one_hot(y, predicted)
    w = _rows(weights, len(truth))
    total = w.sum(1)
    agree = _ratio(w @ (truth * guess).sum(1), total)
    by_chance = _ratio(((w @ truth) * (w @ guess)).sum(1), total**2)
    return _shaped(_ratio(agree - by_chance, 1 - by_chance), weights)


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
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    loss = -np.log(np.clip(p[np.arange(y.size), y], np.finfo(float).eps, 1))
    w = _rows(weights, y.size)
    return _shaped(_ratio(w @ loss, w.sum(1)), weights)


def ece(y: ArrayLike, p: ArrayLike, weights: Weights = None, bins: int = 10) -> Any:
    """Return the expected calibration error of the most probable class, in equal-width bins.

    The mean over bins, by their share of examples, of |accuracy - mean confidence|
    (Naeini et al. 2015; Guo et al. 2017, eq. 3). It is biased upwards in small samples.

    Examples
    --------
    >>> round(ece([0, 1], [[0.8, 0.2], [0.8, 0.2]]), 3)
    0.3
    """
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    confidence, right = p.max(1), p.argmax(1) == y
    member = np.eye(bins)[np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)]
    w = _rows(weights, y.size)
    gaps = np.abs(w @ (member * (right - confidence)[:, None])).sum(1)
    return _shaped(_ratio(gaps, w.sum(1)), weights)


def r2(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the coefficient of determination: 1 - squared error / variance of `y`.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    y, predicted = np.asarray(y, dtype=float), np.asarray(predicted, dtype=float)
    w = _rows(weights, y.size)
    centred = y - y.mean()
    total, first, second = w.sum(1), w @ centred, w @ centred**2
    return _shaped(1 - _ratio(w @ (y - predicted) ** 2, second - _ratio(first**2, total)), weights)


def mae(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean absolute error, in the unit of `y`.

    Examples
    --------
    >>> mae([1.0, 2.0], [1.5, 2.5])
    0.5
    """
    error = np.abs(np.asarray(y, dtype=float) - np.asarray(predicted, dtype=float))
    w = _rows(weights, error.size)
    return _shaped(_ratio(w @ error, w.sum(1)), weights)


def pearson(y: ArrayLike, predicted: ArrayLike, weights: Weights = None) -> Any:
    """Return Pearson's correlation; NaN if either side is constant.

    Examples
    --------
    >>> round(pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), 6)
    1.0
    """
    a, b = (np.asarray(v, dtype=float) - np.mean(v) for v in (y, predicted))
    w = _rows(weights, a.size)
    n = w.sum(1)
    cross = w @ (a * b) - _ratio((w @ a) * (w @ b), n)
    spread = [w @ v**2 - _ratio((w @ v) ** 2, n) for v in (a, b)]
    flat = [s <= 1e-14 * max(float(v @ v), 1e-300) for s, v in zip(spread, (a, b), strict=True)]
    product = np.where(flat[0] | flat[1], 0.0, spread[0] * spread[1])
    return _shaped(_ratio(cross, np.sqrt(np.clip(product, 0, None))), weights)


def _rows(weights: Weights, n: int) -> Floats:
    """Weights as (resample, n); one row of ones for None."""
    return np.ones((1, n)) if weights is None else np.atleast_2d(np.asarray(weights, dtype=float))


def _shaped(values: Floats, weights: Weights) -> float | Floats:
    """Return a float for one row of weights, (resample,) for many."""
    return values if weights is not None and np.ndim(weights) == 2 else float(values[0])


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """`top / bottom`, NaN where the bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def _mean_known(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN if nothing is left."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1))


def _one_hot(y: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Both label vectors as (n, class) indicators."""
    y, predicted = np.asarray(y), np.asarray(predicted)
    eye = np.eye(int(max(y.max(initial=0), predicted.max(initial=0))) + 1)
    return eye[y], eye[predicted]


def _over_classes(
    binary: Callable[[NDArray[np.bool_], Floats, Floats], Floats],
    y: ArrayLike,
    p: ArrayLike,
    weights: Weights,
) -> float | Floats:
    """Score the second of two classes, or average one against the rest."""
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    w = np.ascontiguousarray(_rows(weights, y.size).T)
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    values = np.stack([binary(y == c, p[:, c], w) for c in classes], axis=-1)
    return _shaped(_mean_known(values), weights)


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
    return _ratio(won / 2, mine.sum(0) * below[-1])


def _binary_average_precision(positive: NDArray[np.bool_], score: Floats, w: Floats) -> Floats:
    """Mean over the positives of the precision at their own score."""
    order = np.argsort(-score)
    hits = order[positive[order]]
    mine = w[hits]
    found, seen = _running(mine), _running(w[order])
    hit_rank = np.searchsorted(-score[hits], -score[hits], "right")
    rank = np.searchsorted(-score[order], -score[hits], "right")
    precision = found[hit_rank] / np.maximum(seen[rank], np.finfo(float).tiny)
    return _ratio(np.einsum("nb,nb->b", mine, precision), found[-1])


@dataclass(frozen=True)
class Examples:
    """The predictions of one model and seed as arrays.

    Attributes
    ----------
    y, predicted
        Class numbers, or values (n,).
    p
        Probabilities (n, class); None for regression.
    unit
        The split unit of each example (n,), as numbers.
    """

    y: NDArray[Any]
    predicted: NDArray[Any]
    p: Floats | None
    unit: NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """How one metric is computed and how its interval behaves.

    Attributes
    ----------
    compute
        (examples, weights) -> float or (resample,).
    smooth
        True if its bootstrap degenerates at a perfect score, so that pseudo-examples are added.
    biased
        True if resampling shifts it upwards, so that the basic interval is used.
    bounds
        The values that it can take.
    """

    compute: Callable[[Examples, Weights], Any]
    smooth: bool = False
    biased: bool = False
    bounds: tuple[float, float] = (-np.inf, np.inf)


def _labels(function: Callable[..., Any], e: Examples, w: Weights = None) -> Any:
    return function(e.y, e.predicted, w)


def _scores(function: Callable[..., Any], e: Examples, w: Weights = None) -> Any:
    return function(e.y, e.p, w)


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "accuracy": Metric(partial(_labels, accuracy), True, bounds=(0, 1)),
        "balanced_accuracy": Metric(partial(_labels, balanced_accuracy), True, bounds=(0, 1)),
        "auc": Metric(partial(_scores, auc), True, bounds=(0, 1)),
        "average_precision": Metric(partial(_scores, average_precision), True, bounds=(0, 1)),
        "kappa": Metric(partial(_labels, kappa), True, bounds=(-1, 1)),
        "log_loss": Metric(partial(_scores, log_loss), bounds=(0, np.inf)),
        "ece": Metric(partial(_scores, ece), biased=True, bounds=(0, 1)),
    },
    "regression": {
        "r2": Metric(partial(_labels, r2), bounds=(-np.inf, 1)),
        "mae": Metric(partial(_labels, mae), bounds=(0, np.inf)),
        "pearson": Metric(partial(_labels, pearson), bounds=(-1, 1)),
    },
}


def examples_of(rows: pd.DataFrame, task: Task, classes: Sequence[str]) -> Examples:
    """Turn rows of one model and seed into arrays; rows without a label are left out.

    Parameters
    ----------
    rows
        Part of a predictions table: y_true, y_pred, p_<class>, unit.
    classes
        Class names in order; the second of two is the positive one.

    Raises
    ------
    DataError
        If a column is missing or a label is none of `classes`.
    """
    rows = rows[rows["y_true"].notna()]
    unit = pd.factorize(rows["unit"], use_na_sentinel=False)[0].astype(np.int64)
    if task == "regression":
        y, predicted = (rows[c].to_numpy(dtype=float) for c in ("y_true", "y_pred"))
        return Examples(y, predicted, None, unit)
    y, predicted = (_class_numbers(rows, column, classes) for column in ("y_true", "y_pred"))
    missing = [f"p_{name}" for name in classes if f"p_{name}" not in rows]
    if missing:
        raise DataError(f"The predictions lack the column {missing[0]}; they need p_<class> each.")
    return Examples(y, predicted, rows[[f"p_{c}" for c in classes]].to_numpy(dtype=float), unit)


def _class_numbers(rows: pd.DataFrame, column: str, classes: Sequence[str]) -> NDArray[np.int64]:
    numbers = pd.Index(list(classes)).get_indexer(rows[column].astype(str))
    if (numbers < 0).any():
        odd = rows[column].iloc[int(np.flatnonzero(numbers < 0)[0])]
        raise DataError(f"Column {column} holds '{odd}', expected one of {list(classes)}.")
    return numbers.astype(np.int64)


def score(predictions: pd.DataFrame, task: Task, classes: Sequence[str]) -> dict[str, float]:
    """Return every metric of one model's predictions: pooled over folds, averaged over seeds.

    Parameters
    ----------
    predictions
        A predictions table; where it has a column `role`, its rows "model" are scored.
    task
        "classification" or "regression".
    classes
        Class names in order (empty for regression).

    Returns
    -------
    Metric name -> value (NaN where it is not defined).

    Examples
    --------
    >>> rows = pd.DataFrame({"y_true": [1.0, 2.0], "y_pred": [1.0, 2.5], "unit": "a", "seed": 0})
    >>> score(rows, "regression", [])["mae"]
    0.25
    """
    seeds = _by_seed(_of_role(predictions, "model"), task, classes)
    return {name: _mean(m.compute(e, None) for e in seeds) for name, m in METRICS[task].items()}


def _of_role(predictions: pd.DataFrame, role: str) -> pd.DataFrame:
    return predictions[predictions["role"] == role] if "role" in predictions else predictions


def _by_seed(rows: pd.DataFrame, task: Task, classes: Sequence[str]) -> list[Examples]:
    if "example" in rows:
        rows = rows.sort_values("example", kind="stable")
    groups = rows.groupby("seed", sort=True) if "seed" in rows else [(0, rows)]
    return [examples_of(part, task, classes) for _, part in groups]


def _mean(values: Any) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")
