"""The table and the summary of a run, computed from its predictions.

What is computed are the pure functions of `learn.scores`; here is which of them a task has, how the
rows of a predictions table become arrays, and what stands beside each value: interval, baseline,
chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures import judge as dense
from neuroloom.learn.scoring import intervals, points, vote
from neuroloom.learn.scoring.scores import (
    Floats,
    Weights,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    density_error,
    ece,
    ece_when_calibrated,
    event_f1,
    event_precision,
    event_recall,
    kappa,
    log_loss,
    mae,
    mean_known,
    mean_over_cases,
    pearson,
    r2,
)
from neuroloom.learn.scoring.survival import c_index

ALL = "all"
FOLD_RESAMPLES = 500
SMALLER_IS_BETTER = frozenset(
    {"log_loss", "ece", "mae", "density_error", "hd95", "asd", "volume_error", "frechet", "copied"}
    | {"mean_error_px", "median_error_px", "rmse_px"}
)
OTHER_IOUS = (0.1, 0.3, 0.5)


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
        Of a detection, where an example is a recording: the columns `COUNTS`; of a segmentation,
        where it is a case: every metric of each; of a pose, where it is a frame: errors of its
        points. The first axis is n.
    """

    y: NDArray[Any]
    predicted: NDArray[Any]
    p: Floats | None
    row: NDArray[np.int64]
    counts: dict[str, Floats] = field(default_factory=dict)

    def with_labels(self, y: NDArray[Any], event: Floats | None = None) -> Examples:
        """Return the same predictions beside other labels; of survivals, other events, too."""
        return replace(self, y=y, counts=self.counts | ({} if event is None else {"event": event}))


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
    "survival": {"c_index": Metric(lambda e, w: c_index(e.y, e.counts["event"], e.predicted, w))},
    "synthesis": {
        "psnr": _event_metric(mean_over_cases, "psnr"),
        "ssim": _event_metric(mean_over_cases, "ssim"),
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
_SHAPES: dict[str, intervals.Shape] = {
    "hd95": "skewed", "volume_error": "skewed", "mean_error_px": "skewed", "rmse_px": "skewed",
}  # fmt: skip
COUNTS = ("y_true", "y_pred", "minutes", "tp", *(f"tp_at_{iou:g}" for iou in OTHER_IOUS))


def metrics_of(task: str, classes: Sequence[str] = ()) -> dict[str, Metric]:
    """Return the metrics of a task by name; a segmentation has each also for every class.

    The mean over cases is taken of what each case has: "dice" of its mean over classes, "dice/<c>"
    of one class. Undefined values are left out (`learn.dense.measures.overlap.EMPTY_RULES`).

    Examples
    --------
    >>> list(metrics_of("segmentation", ["front", "back"]))[:4]
    ['dice', 'dice/front', 'dice/back', 'nsd']
    """
    if task == "pose":
        return {
            name: Metric(
                partial(_of_frames, function), shape=_SHAPES.get(name.partition("/")[0], "plain")
            )
            for name, function in points.metrics(classes).items()
        }
    if task != "segmentation":
        return METRICS[task]
    return {
        key: Metric(partial(_of_cases, key), shape=_SHAPES.get(name, "plain"))
        for name in dense.SCORES
        for key in (name, *(f"{name}/{part}" for part in classes))
    }


def _of_cases(name: str, e: Examples, w: Weights = None) -> Any:
    return mean_over_cases(e.counts[name], w)


def _of_frames(function: Callable[..., Any], e: Examples, w: Weights = None) -> Any:
    return function(e.counts, w)


def smaller_is_better(metric: str) -> bool:
    """Tell whether a metric, or its part after a slash, is an error.

    Examples
    --------
    >>> smaller_is_better("hd95/front"), smaller_is_better("dice")
    (True, False)
    """
    return metric.partition("/")[0] in SMALLER_IS_BETTER


def task_of(predictions: pd.DataFrame) -> tuple[str, list[str]]:
    """Read task and classes off the columns of a predictions table.

    It has p_<class> of a classification, counts of events (`COUNTS`) of a detection, and a row for
    each class with counts of voxels of a segmentation.

    Examples
    --------
    >>> task_of(pd.DataFrame(columns=["y_true", "y_pred", "p_rest", "p_move"]))
    ('classification', ['rest', 'move'])
    """
    if set(COUNTS) <= set(predictions.columns):
        return "detection", []
    if set(predictions.columns) >= dense.MARKS:
        return "segmentation", [str(name) for name in predictions["class"].unique()]
    if set(predictions.columns) >= points.MARKS:
        return "pose", [str(name) for name in predictions["keypoint"].unique()]
    if {"event", "y_pred"} <= set(predictions.columns):
        return "survival", []
    if {"psnr", "ssim"} <= set(predictions.columns):
        return "synthesis", []
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
    name = _names(rows, seed, task)
    row, known = pd.factorize(name, sort=True)
    unit = np.zeros(len(known), dtype=np.int64)
    unit[row] = pd.factorize(rows["unit"].astype(str), sort=True)[0]
    sets = [
        _examples(rows[(seed == s).to_numpy()], row[(seed == s).to_numpy()], task, classes)
        for s in sorted(seed.unique())
    ]
    return sets, unit


def _names(rows: pd.DataFrame, seed: pd.Series[Any], task: str) -> pd.Series[Any]:
    """Which example each row belongs to."""
    if "example" in rows:
        return rows["example"]
    return rows["case"] if task == "segmentation" else rows.groupby(seed).cumcount()


def _examples(
    rows: pd.DataFrame, row: NDArray[np.int64], task: str, classes: Sequence[str]
) -> Examples:
    order = np.argsort(row, kind="stable")
    rows, row = rows.iloc[order], row[order]
    if task == "segmentation":
        row, known = dense.scores_of_cases(rows, row, classes)
        return Examples(known["volume_true"], known["volume_pred"], None, row, known)
    if task == "pose":
        row, known = points.scores_of_frames(rows, row, classes)
        return Examples(np.zeros(row.size), known["error"], None, row, known)
    if task == "survival":
        y, event, risk = (rows[c].to_numpy(dtype=float) for c in ("y_true", "event", "y_pred"))
        return Examples(y, risk, None, row, {"event": event})
    if task == "synthesis":
        y, made = (rows[c].to_numpy(dtype=float) for c in ("y_true", "y_pred"))
        found = {name: rows[name].to_numpy(dtype=float) for name in METRICS[task]}
        return Examples(y, made, None, row, found)
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


def events_of(sets: Sequence[Examples], size: int) -> Floats | None:
    """Return whether each of the `size` examples ended in the event; None but for survivals."""
    if "event" not in sets[0].counts:
        return None
    return labels_of([e.with_labels(e.counts["event"]) for e in sets], size)


def score(predictions: pd.DataFrame, task: str, classes: Sequence[str]) -> dict[str, float]:
    """Return every metric of one model's predictions: pooled over folds, averaged over seeds.

    Parameters
    ----------
    predictions
        A predictions table; where it has a column `role`, its rows "model" are scored.
    task
        "classification", "regression", "detection" (a row is a recording with its counts) or
        "segmentation" (a row is a class of a case).
    classes
        Class names in order; empty for the other two.

    Returns
    -------
    Metric name -> value (NaN where it is not defined).

    Examples
    --------
    >>> rows = pd.DataFrame({"y_true": [1.0, 2.0], "y_pred": [1.0, 2.5], "unit": "a", "seed": 0})
    >>> score(rows, "regression", [])["mae"]
    0.25
    """
    return _score(seeds_of(predictions, "model", task, classes)[0], task, classes)


def _score(sets: Sequence[Examples], task: str, classes: Sequence[str]) -> dict[str, float]:
    return {
        name: mean_known([metric.compute(e, None) for e in sets])
        for name, metric in metrics_of(task, classes).items()
    }


def chance(y: NDArray[Any], task: str, n_classes: int) -> dict[str, float | None]:
    """Return what every metric is for knowing only how often each label occurs.

    Accuracy: the majority; balanced accuracy: 1 / K; average precision: the mean class prevalence
    (of two classes: of the second); log-loss: the entropy of the labels in nats; mean absolute
    error: of the median. The calibration error has no chance level, nor have found events,
    segmented voxels or keypoints.

    Examples
    --------
    >>> chance(np.array([0, 0, 1]), "classification", 2)["average_precision"]
    0.3333333333333333
    """
    if task in ("detection", "segmentation", "synthesis", "pose"):
        return dict.fromkeys(METRICS.get(task, {}))
    if task == "survival":
        return {"c_index": 0.5}
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
    classes: Sequence[str],
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
    pseudo, rows = plain, 0
    if task == "classification":
        pseudo, rows = _pseudo(models, unit.size, len(classes), rng)
    table = metrics_of(task, classes)
    out: dict[str, list[Floats]] = {name: [] for name in names or table}
    for weights in intervals.resample(unit, n, rng):
        wide = intervals.add_pseudo(weights, rows, mass, rng) if rows else weights
        for name, chunks in out.items():
            metric = table[name]
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
    boot = bootstrap([sets], unit, task, classes, n, rng)
    beside: dict[str, dict[str, Any]] = {}
    beside["chance"] = chance(labels_of(sets, unit.size), task, len(classes))
    beside["baseline"] = {}
    if "role" in predictions and _scorable(predictions, "baseline"):
        beside["baseline"] = _score(
            seeds_of(predictions, "baseline", task, classes)[0], task, classes
        )
    names = [*_seed_names(predictions), ALL]
    rows = []
    for name, metric in metrics_of(task, classes).items():
        values = [metric.compute(e, None) for e in sets]
        null = _largest_by_chance(sets) if metric.shape == "biased" else -np.inf
        draws = [*boot[name][0], mean_known(boot[name][0].T)]
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
