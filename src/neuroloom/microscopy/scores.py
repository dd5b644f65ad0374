"""Scores of microscopy beside the overlap: objects found, and the neighbouring section's mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.scoring.intervals import interval, resample, tail
from neuroloom.microscopy.data import COPIED
from neuroloom.microscopy.objects import IOUS

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 1000
Entry = dict[str, float | None]
Floats = NDArray[np.float64]


def f1(counts: Floats) -> Floats:
    """Return 2 TP / (true + found) of counts (..., 3): true, found, matched."""
    total = counts[..., 0] + counts[..., 1]
    return np.where(total > 0, 2 * counts[..., 2] / np.maximum(total, 1), np.nan)


def mean_precision(counts: Floats) -> Floats:
    """Return the mean over overlaps of TP / (TP + FP + FN), of counts (..., 2 + overlaps)."""
    matched = counts[..., 2:]
    union = counts[..., :1] + counts[..., 1:2] - matched
    return np.where(union > 0, matched / np.maximum(union, 1), np.nan).mean(-1)


def count_error(counts: Floats) -> Floats:
    """Return |found - true| / true of counts (..., 2)."""
    true = np.maximum(counts[..., 0], 1)
    return np.abs(counts[..., 1] - counts[..., 0]) / true


OF_COUNTS: dict[str, tuple[tuple[str, ...], Callable[[Floats], Floats]]] = {
    "f1@0.5": (("objects_true", "objects_pred", "objects_matched@0.5"), f1),
    "ap": (
        ("objects_true", "objects_pred", *(f"objects_matched@{iou:g}" for iou in IOUS)),
        mean_precision,
    ),
    "count_error": (("axons_true", "axons_pred"), count_error),
}


def further_scores(
    table: pd.DataFrame, task: str, classes: Sequence[str], seed: int
) -> dict[str, Entry]:
    """Return metrics of the rows that only microscopy has, each with interval and baseline.

    Parameters
    ----------
    table
        Rows of predictions: role "copied" is the neighbour's mask; columns objects_* and axons_*
        count objects.
    seed
        Of the bootstrap over cases; counts of cases are pooled.
    """
    from neuroloom.learn.scoring.metrics import summary

    found: dict[str, Entry] = {}
    for name, (columns, function) in OF_COUNTS.items():
        if set(columns) <= set(table.columns):
            found[name] = _pooled(table, list(columns), function, seed)
    copied = table[table["role"] == COPIED] if len(table) else table
    if len(copied):
        scores = summary(copied.assign(role="model"), task, list(classes), seed)
        for name in ("dice", *(f"dice/{part}" for part in classes)):
            found[f"{name}/copied neighbour"] = scores[name]
    return found


def _pooled(
    table: pd.DataFrame, columns: list[str], function: Callable[[Floats], Floats], seed: int
) -> Entry:
    entry: Entry = dict.fromkeys(("value", "low", "high", "baseline", "chance"))
    known = table[table[columns[0]].notna()].drop_duplicates(["role", "seed", "example"])
    for role, key in (("model", "value"), ("baseline", "baseline")):
        rows = known[known["role"] == role]
        counts = rows.groupby("example", sort=True)[columns].mean().to_numpy(float)
        if not len(counts):
            continue
        value = float(function(counts.sum(0)))
        entry[key] = value if np.isfinite(value) else None
        if key == "value" and len(counts) > 1:
            unit = np.arange(len(counts))
            drawn = np.concatenate(list(resample(unit, RESAMPLES, np.random.default_rng(seed))))
            values = function(drawn @ counts)
            low, high = interval(values[np.isfinite(values)], value, tail(unit))
            entry |= {"low": min(low, value), "high": max(high, value)}
    return entry
