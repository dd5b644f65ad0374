"""From scores of unseen examples to `predictions.parquet` and `metrics.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.dataset import ENTITIES, Dataset
from neuroloom.core.split import Fold
from neuroloom.learn.scoring import calibrate
from neuroloom.learn.scoring.vote import WHOLE
from neuroloom.learn.training.crossfit import Fitted

if TYPE_CHECKING:
    import pandas as pd


def predictions_table(
    dataset: Dataset, folds: list[Fold], fitted: list[Fitted], models: dict[str, str]
) -> pd.DataFrame:
    """Return one row per held-out example, seed and role, with calibrated probabilities.

    The columns are there even if nothing was held out.

    Parameters
    ----------
    dataset
        Labelled examples.
    folds
        The split.
    fitted
        Every fit on a fold.
    models
        Role -> name of the model.
    """
    import pandas as pd

    parts = []
    for role, seed in sorted({(fit.job.role, fit.job.seed) for fit in fitted}, reverse=True):
        own = [fit for fit in fitted if (fit.job.role, fit.job.seed) == (role, seed)]
        parts += _one_seed(dataset, folds, own, models[role])
    return pd.concat(parts, ignore_index=True) if parts else _no_rows(dataset)


def _no_rows(dataset: Dataset) -> pd.DataFrame:
    outcome = np.zeros((0, len(dataset.classes)) if dataset.classes else 0)
    head: dict[str, object] = {name: [] for name in ("fold", "unit", "seed", "model", "role")}
    return rows_of(dataset, np.arange(0), outcome, head)


def _one_seed(
    dataset: Dataset, folds: list[Fold], fitted: list[Fitted], model: str
) -> list[pd.DataFrame]:
    parts = []
    for group in dict.fromkeys(fold.group for fold in folds):
        own = [fit for fit in fitted if folds[fit.job.fold].group == group]
        which = np.concatenate([np.full(len(fit.scores), fit.job.fold) for fit in own])
        scores = np.concatenate([fit.scores for fit in own])
        rows = np.concatenate([folds[fit.job.fold].test for fit in own])
        units = [unit for fit in own for unit in folds[fit.job.fold].units]
        probabilities = scores
        if dataset.task == "classification":
            probabilities, _ = calibrate.cross_fit(scores, dataset.y[rows], which)
        head = {"fold": which, "unit": units, "seed": own[0].job.seed, "model": model}
        parts.append(rows_of(dataset, rows, probabilities, head | {"role": own[0].job.role}))
    return parts


def rows_of(
    dataset: Dataset, rows: np.ndarray, outcome: np.ndarray, more: dict[str, object]
) -> pd.DataFrame:
    """Return prediction rows for `rows` of the dataset.

    Parameters
    ----------
    outcome
        Probabilities (n, K), or predicted numbers (n,).
    more
        Further columns: fold, unit, seed, model, role.
    """
    table = dataset.table.iloc[rows].reset_index(drop=True)
    keep = [c for c in ("name", *ENTITIES, "onset", WHOLE) if c in table]
    out = table[keep].copy()
    out.insert(0, "example", table["example"].to_numpy() if "example" in table else rows)
    for name, values in more.items():
        out[name] = values
    out["y_true"] = table["label"].to_numpy()
    if dataset.task == "regression":
        out["y_pred"] = outcome
        return out
    out["y_pred"] = np.asarray(dataset.classes, dtype=object)[outcome.argmax(1)]
    for k, name in enumerate(dataset.classes):
        out[f"p_{name}"] = outcome[:, k]
    return out


def temperatures(dataset: Dataset, folds: list[Fold], fitted: list[Fitted]) -> dict[str, float]:
    """Return the temperature of each group's final model, from all held-out scores."""
    if dataset.task != "classification" or not fitted:
        return {}
    found = {}
    for group in dict.fromkeys(fold.group for fold in folds):
        own = [fit for fit in fitted if folds[fit.job.fold].group == group]
        scores = np.concatenate([fit.scores for fit in own])
        y = np.concatenate([dataset.y[folds[fit.job.fold].test] for fit in own])
        found[group] = float(calibrate.fit_temperature(scores, y))
    return found
