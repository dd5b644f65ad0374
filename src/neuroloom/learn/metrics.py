"""Scores of predictions: pure functions of arrays, and the table and summary of a run.

Every metric takes `weights`, the number of times that each example counts: None, one row (n,), or a
whole bootstrap (resample, n), which then costs a few matrix products instead of a loop.
A class that a resample lost is left out of that resample's average; where nothing can be said the
value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn import intervals, vote

Floats = NDArray[np.float64]
Weights = ArrayLike | None

ALL = "all"
FOLD_RESAMPLES = 500
SMALLER_IS_BETTER = frozenset({"log_loss", "ece", "mae", "density_error"})
OTHER_IOUS = (0.1, 0.3, 0.5)


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
    mine = np.take_along_axis(np.asarray(p, dtype=float), np.asarray(y)[:, None], axis=1)[:, 0]
    loss = -np.log(np.clip(mine, np.finfo(float).eps, 1))
    w = _rows(weights, loss.size)
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
    confidence, member = _binned(p, bins)
    right = np.asarray(p).argmax(1) == np.asarray(y)
    w = _rows(weights, right.size)
    gaps = np.abs(w @ (member * (right - confidence)[:, None])).sum(1)
    return _shaped(_ratio(gaps, w.sum(1)), weights)


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
    w = _rows(weights, truth.size)
    centred, squared = truth - truth.mean(), (truth - np.asarray(predicted, dtype=float)) ** 2
    spread = w @ centred**2 - _ratio((w @ centred) ** 2, w.sum(1))
    flat = spread <= 1e-14 * float(centred @ centred)
    return _shaped(1 - _ratio(w @ squared, np.where(flat, 0.0, spread)), weights)


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
    a, b = (v - v.mean() for v in (np.asarray(y, float), np.asarray(predicted, float)))
    w = _rows(weights, a.size)
    n = w.sum(1)
    cross = w @ (a * b) - _ratio((w @ a) * (w @ b), n)
    spread = [w @ v**2 - _ratio((w @ v) ** 2, n) for v in (a, b)]
    flat = [s <= 1e-14 * max(float(v @ v), 1e-300) for s, v in zip(spread, (a, b), strict=True)]
    product = np.where(flat[0] | flat[1], 0.0, spread[0] * spread[1])
    return _shaped(_ratio(cross, np.sqrt(np.clip(product, 0, None))), weights)


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


def _pooled(top: ArrayLike, bottom: ArrayLike, weights: Weights) -> Any:
    """Ratio of two sums over the examples."""
    above, below = np.asarray(top, float), np.asarray(bottom, float)
    w = _rows(weights, above.size)
    return _shaped(_ratio(w @ above, w @ below), weights)


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
    w = np.ascontiguousarray(_rows(weights, truth.size).T)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    values = np.stack([binary(truth == c, scores[:, c], w) for c in classes], axis=-1)
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
    row
        Which example of the whole job each one is (n,): seeds may hold out different ones.
    counts
        Of a detection, where an example is a recording: the columns `COUNTS`, each (n,).
    """

    y: NDArray[Any]
    predicted: NDArray[Any]
    p: Floats | None
    row: NDArray[np.int64]
    counts: dict[str, Floats] = field(default_factory=dict)

    def with_labels(self, y: NDArray[Any]) -> Examples:
        """Return the same predictions beside other labels."""
        return replace(self, y=y)


@dataclass(frozen=True)
class Metric:
    """How one metric is computed and how its interval behaves.

    Attributes
    ----------
    compute
        (examples, weights) -> float or (resample,).
    smooth
        True if its bootstrap degenerates at a perfect score, so that pseudo-examples are added.
    shape
        Which interval suits it, see `intervals.interval`.
    """

    compute: Callable[[Examples, Weights], Any]
    smooth: bool = False
    shape: intervals.Shape = "plain"


def _labels(function: Callable[..., Any], e: Examples, w: Weights = None) -> Any:
    return function(e.y, e.predicted, w)


def _scores(function: Callable[..., Any], e: Examples, w: Weights = None) -> Any:
    return function(e.y, e.p, w)


def _events(function: Callable[..., Any], names: Sequence[str], e: Examples, w: Weights) -> Any:
    return function(*(e.counts[name] for name in names), w)


def _event_metric(function: Callable[..., Any], *names: str, **more: Any) -> Metric:
    return Metric(partial(_events, function, names), **more)


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "accuracy": Metric(partial(_labels, accuracy), smooth=True),
        "balanced_accuracy": Metric(partial(_labels, balanced_accuracy), smooth=True),
        "auc": Metric(partial(_scores, auc), smooth=True),
        "average_precision": Metric(partial(_scores, average_precision), smooth=True),
        "kappa": Metric(partial(_labels, kappa), smooth=True),
        "log_loss": Metric(partial(_scores, log_loss), shape="skewed"),
        "ece": Metric(partial(_scores, ece), shape="biased"),
    },
    "regression": {
        "r2": Metric(partial(_labels, r2)),
        "mae": Metric(partial(_labels, mae), shape="skewed"),
        "pearson": Metric(partial(_labels, pearson)),
    },
    "detection": {
        "f1": _event_metric(event_f1, "tp", "y_true", "y_pred"),
        "precision": _event_metric(event_precision, "tp", "y_pred"),
        "recall": _event_metric(event_recall, "tp", "y_true"),
        **{
            f"f1_at_{iou:g}": _event_metric(event_f1, f"tp_at_{iou:g}", "y_true", "y_pred")
            for iou in OTHER_IOUS
        },
        "density_error": _event_metric(
            density_error, "y_true", "y_pred", "minutes", shape="skewed"
        ),
    },
}
COUNTS = ("y_true", "y_pred", "minutes", "tp", *(f"tp_at_{iou:g}" for iou in OTHER_IOUS))


def task_of(predictions: pd.DataFrame) -> tuple[str, list[str]]:
    """Read task and classes off the columns of a predictions table.

    It has p_<class> of a classification, and counts of events (`COUNTS`) of a detection.

    Examples
    --------
    >>> task_of(pd.DataFrame(columns=["y_true", "y_pred", "p_rest", "p_move"]))
    ('classification', ['rest', 'move'])
    """
    if set(COUNTS) <= set(predictions.columns):
        return "detection", []
    classes = [str(c)[2:] for c in predictions.columns if str(c).startswith("p_")]
    return ("classification" if classes else "regression"), classes


def seeds_of(
    predictions: pd.DataFrame, role: str, task: str, classes: Sequence[str]
) -> tuple[list[Examples], NDArray[np.int64]]:
    """Return one `Examples` per seed, and the split unit of every example that any seed scored.

    Rows without a label are left out. Of several baselines the first is taken.

    Raises
    ------
    DataError
        If a column is missing, a label is none of `classes`, or nothing has a label.
    """
    rows = predictions[predictions["role"] == role] if "role" in predictions else predictions
    if role == "baseline" and "model" in rows:
        rows = rows[rows["model"] == rows["model"].iloc[0]] if len(rows) else rows
    rows = rows[rows["y_true"].notna()]
    if rows.empty:
        raise DataError(f"The predictions have no row of role '{role}' with a label to score.")
    seed = rows["seed"] if "seed" in rows else pd.Series(0, rows.index)
    name = rows["example"] if "example" in rows else rows.groupby(seed).cumcount()
    row, known = pd.factorize(name, sort=True)
    unit = np.zeros(len(known), dtype=np.int64)
    unit[row] = pd.factorize(rows["unit"].astype(str), sort=True)[0]
    sets = [
        _examples(rows[(seed == s).to_numpy()], row[(seed == s).to_numpy()], task, classes)
        for s in sorted(seed.unique())
    ]
    return sets, unit


def _examples(
    rows: pd.DataFrame, row: NDArray[np.int64], task: str, classes: Sequence[str]
) -> Examples:
    order = np.argsort(row, kind="stable")
    rows, row = rows.iloc[order], row[order]
    if task in ("regression", "detection"):
        y, predicted = (rows[c].to_numpy(dtype=float) for c in ("y_true", "y_pred"))
        return Examples(y, predicted, None, row, _counts(rows) if task == "detection" else {})
    missing = [f"p_{name}" for name in classes if f"p_{name}" not in rows]
    if missing:
        raise DataError(f"The predictions lack the column {missing[0]}; they need p_<class> each.")
    y, predicted = (_class_numbers(rows, column, classes) for column in ("y_true", "y_pred"))
    return Examples(y, predicted, rows[[f"p_{c}" for c in classes]].to_numpy(dtype=float), row)


def _counts(rows: pd.DataFrame) -> dict[str, Floats]:
    missing = [name for name in COUNTS if name not in rows]
    if missing:
        raise DataError(f"The predictions lack the column {missing[0]}, a count of events.")
    return {name: rows[name].to_numpy(dtype=float) for name in COUNTS}


def _class_numbers(rows: pd.DataFrame, column: str, classes: Sequence[str]) -> NDArray[np.int64]:
    numbers = pd.Index(list(classes)).get_indexer(rows[column].astype(str))
    if (numbers < 0).any():
        odd = rows[column].iloc[int(np.flatnonzero(numbers < 0)[0])]
        raise DataError(f"Column {column} holds '{odd}', expected one of {list(classes)}.")
    return numbers.astype(np.int64)


def labels_of(sets: Sequence[Examples], size: int) -> NDArray[Any]:
    """Return the label of each of the `size` examples that the sets share."""
    y = np.zeros(size, dtype=sets[0].y.dtype)
    for e in sets:
        y[e.row] = e.y
    return y


def score(predictions: pd.DataFrame, task: str, classes: Sequence[str]) -> dict[str, float]:
    """Return every metric of one model's predictions: pooled over folds, averaged over seeds.

    Parameters
    ----------
    predictions
        A predictions table; where it has a column `role`, its rows "model" are scored.
    task
        "classification", "regression" or "detection": a row is then a recording with its counts.
    classes
        Class names in order (empty but for a classification).

    Returns
    -------
    Metric name -> value (NaN where it is not defined).

    Examples
    --------
    >>> rows = pd.DataFrame({"y_true": [1.0, 2.0], "y_pred": [1.0, 2.5], "unit": "a", "seed": 0})
    >>> score(rows, "regression", [])["mae"]
    0.25
    """
    return _score(seeds_of(predictions, "model", task, classes)[0], task)


def _score(sets: Sequence[Examples], task: str) -> dict[str, float]:
    return {
        name: mean_known([metric.compute(e, None) for e in sets])
        for name, metric in METRICS[task].items()
    }


def mean_known(values: ArrayLike) -> float:
    """Return the mean of what is not NaN, or NaN."""
    return float(_mean_known(np.asarray(values, dtype=float)))


def chance(y: NDArray[Any], task: str, n_classes: int) -> dict[str, float | None]:
    """Return what every metric is for knowing only how often each label occurs.

    Accuracy: the majority; balanced accuracy: 1 / K; average precision: the mean class prevalence
    (of two classes: of the second); log-loss: the entropy of the labels in nats; mean absolute
    error: of the median. The calibration error has no chance level, nor have found events.

    Examples
    --------
    >>> chance(np.array([0, 0, 1]), "classification", 2)["average_precision"]
    0.3333333333333333
    """
    if task == "detection":
        return dict.fromkeys(METRICS[task])
    if task == "regression":
        return {"r2": 0.0, "mae": float(np.abs(y - np.median(y)).mean()), "pearson": 0.0}
    share = np.bincount(y, minlength=n_classes) / y.size
    known = share[share > 0]
    return {
        "accuracy": float(share.max()),
        "balanced_accuracy": 1 / n_classes,
        "auc": 0.5,
        "average_precision": float(share[1] if n_classes == 2 else known.mean()),
        "kappa": 0.0,
        "log_loss": float(-(known * np.log(known)).sum()),
        "ece": None,
    }


def bootstrap(
    models: Sequence[Sequence[Examples]],
    unit: NDArray[np.int64],
    task: str,
    n_classes: int,
    n: int,
    rng: np.random.Generator,
    names: Sequence[str] | None = None,
) -> dict[str, list[Floats]]:
    """Return every metric in every resample; all seeds and models see the same examples.

    Parameters
    ----------
    models
        For each model (one, or two to compare) its seeds.
    unit
        Split unit (example,), as `seeds_of` gives it.
    names
        Metrics to compute; None for all of the task.

    Returns
    -------
    Metric name -> for each model an array (seed, n).
    """
    mass = intervals.PSEUDO if len(models) == 1 else intervals.PSEUDO_PAIRED
    plain = [e for model in models for e in model]
    pseudo, rows = _pseudo(models, unit.size, n_classes, rng) if n_classes else (plain, 0)
    out: dict[str, list[Floats]] = {name: [] for name in names or METRICS[task]}
    for weights in intervals.resample(unit, n, rng):
        wide = intervals.add_pseudo(weights, rows, mass, rng) if rows else weights
        for name, chunks in out.items():
            metric = METRICS[task][name]
            pairs = [(e, wide) for e in pseudo] if metric.smooth else [(e, weights) for e in plain]
            chunks.append(np.stack([metric.compute(e, _of(w, e)) for e, w in pairs]))
    ends = np.cumsum([len(model) for model in models])[:-1]
    return {name: np.split(np.concatenate(c, axis=1), ends) for name, c in out.items()}


def _of(weights: Floats, e: Examples) -> Floats:
    """Pick the columns of `weights` that belong to the examples of a set."""
    return weights if e.row.size == weights.shape[1] else weights[:, e.row]


def _pseudo(
    models: Sequence[Sequence[Examples]], size: int, n_classes: int, rng: np.random.Generator
) -> tuple[list[Examples], int]:
    """Append pseudo-examples: predictions as they came beside labels of every class in turn.

    Each model takes them from examples of its own choice, so that two models with equal predictions
    still disagree on some: the paired form of the same correction (Agresti & Min 2005).
    """
    classes = np.unique(np.concatenate([e.y for model in models for e in model]))
    classes = classes if classes.size > 1 else np.arange(n_classes)
    rows = classes.size * max(1, min(size, 256 // classes.size))
    label = classes[np.arange(rows) % classes.size]
    out = []
    for model in models:
        order = rng.permutation(size)
        pick = order[: rows // classes.size].repeat(classes.size)
        out += [_extend(e, size, pick, label) for e in model]
    return out, rows


def _extend(e: Examples, size: int, pick: NDArray[np.int64], label: NDArray[np.int64]) -> Examples:
    place = np.full(size, -1)
    place[e.row] = np.arange(e.row.size)
    at = place[pick]
    there = at >= 0
    return Examples(
        np.concatenate([e.y, label[there]]),
        np.concatenate([e.predicted, e.predicted[at[there]]]),
        None if e.p is None else np.concatenate([e.p, e.p[at[there]]]),
        np.concatenate([e.row, size + np.flatnonzero(there)]),
    )


def summary(
    predictions: pd.DataFrame, task: str, classes: Sequence[str], seed: int = 0
) -> dict[str, dict[str, float | None]]:
    """Return what `metrics.json` holds: value, low, high, baseline and chance of every metric.

    The value is the metric on the pooled out-of-fold predictions of each seed, averaged over seeds.
    Seeds are not independent data: inside a resample they are averaged too, over the same examples.

    Returns
    -------
    Metric name -> {"value", "low", "high", "baseline", "chance"}; None where it has no meaning.

    Examples
    --------
    >>> rows = pd.DataFrame({"y_true": list("abab"), "y_pred": list("abaa"), "unit": "1", "seed": 0,
    ...     "p_a": [0.9, 0.2, 0.7, 0.6], "p_b": [0.1, 0.8, 0.3, 0.4]})
    >>> summary(rows, "classification", ["a", "b"])["accuracy"]["value"]
    0.75
    """
    rows = _judge(predictions, task, classes, intervals.RESAMPLES, seed)
    keys = ("value", "low", "high", "baseline", "chance")
    return {r["metric"]: {key: _or_none(r[key]) for key in keys} for r in rows if r["seed"] == ALL}


def metric_table(
    predictions: pd.DataFrame, task: str, classes: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Return the metrics of every fold and seed, and pooled.

    Returns
    -------
    One row each: fold, seed (both str; "all" = pooled, or averaged), metric, value, low, high,
    baseline, chance (NaN where it has no meaning).
    """
    parts = [(ALL, predictions)]
    if "fold" in predictions:
        parts += [(str(fold), rows) for fold, rows in predictions.groupby("fold", sort=True)]
    rows = [
        {"fold": fold, **row}
        for fold, part in parts
        if _scorable(part)
        for row in _judge(part, task, classes, _resamples(fold), seed)
    ]
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    numbers = dict.fromkeys(columns[3:], float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _resamples(fold: str) -> int:
    return intervals.RESAMPLES if fold == ALL else FOLD_RESAMPLES


def _scorable(rows: pd.DataFrame, role: str = "model") -> bool:
    mine = rows["y_true"].notna()
    return bool((mine & (rows["role"] == role)).any() if "role" in rows else mine.any())


def _judge(
    predictions: pd.DataFrame, task: str, classes: Sequence[str], n: int, seed: int
) -> list[dict[str, Any]]:
    """Score examples and, where they are pieces of events, the events that their votes decide."""
    rows = _judge_examples(predictions, task, classes, n, seed)
    if task != "classification" or not vote.has_pieces(predictions):
        return rows
    whole = _judge_examples(vote.voted(predictions, classes), task, classes, n, seed)
    kept = [row for row in whole if row["metric"] in vote.METRICS]
    return rows + [row | {"metric": f"{row['metric']}_voted"} for row in kept]


def _judge_examples(
    predictions: pd.DataFrame, task: str, classes: Sequence[str], n: int, seed: int
) -> list[dict[str, Any]]:
    """Score one part of a predictions table: a row per metric and seed, and for their mean."""
    sets, unit = seeds_of(predictions, "model", task, classes)
    rng = np.random.default_rng(seed)
    boot = bootstrap([sets], unit, task, len(classes), n, rng)
    beside: dict[str, dict[str, Any]] = {}
    beside["chance"] = chance(labels_of(sets, unit.size), task, len(classes))
    beside["baseline"] = {}
    if "role" in predictions and _scorable(predictions, "baseline"):
        beside["baseline"] = _score(seeds_of(predictions, "baseline", task, classes)[0], task)
    names = [*_seed_names(predictions), ALL]
    rows = []
    for name, metric in METRICS[task].items():
        values = [metric.compute(e, None) for e in sets]
        null = _largest_by_chance(sets) if metric.shape == "biased" else -np.inf
        draws = [*boot[name][0], _mean_known(boot[name][0].T)]
        for which, value, drawn in zip(names, [*values, mean_known(values)], draws, strict=True):
            low, high = _interval(metric, drawn, value, unit, null)
            row = {"seed": which, "metric": name, "value": value, "low": low, "high": high}
            rows.append(row | {key: of.get(name) for key, of in beside.items()})
    return rows


def _largest_by_chance(sets: Sequence[Examples], n: int = 300) -> float:
    """Largest calibration error to be expected of calibrated probabilities, mean over seeds."""
    nulls = [ece_when_calibrated(e.p, n, np.random.default_rng(0)) for e in sets if e.p is not None]
    return float(np.quantile(np.mean(nulls, axis=0), 1 - (1 - intervals.LEVEL) / 2))


def _seed_names(predictions: pd.DataFrame) -> list[str]:
    rows = predictions[predictions["y_true"].notna()]
    rows = rows[rows["role"] == "model"] if "role" in rows else rows
    return [str(s) for s in sorted(rows["seed"].unique())] if "seed" in rows else ["0"]


def _interval(
    metric: Metric, drawn: Floats, value: float, unit: NDArray[np.int64], null: float = -np.inf
) -> tuple[float, float]:
    if unit.size < 3:
        return float("nan"), float("nan")
    return intervals.interval(drawn, value, intervals.tail(unit), metric.shape, null)


def _or_none(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
