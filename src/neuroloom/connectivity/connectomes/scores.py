"""What stands in `metrics.json` beside the usual: degrees, the site alone, within sites."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.connectomes.confounds import PREFIX, site_alone, within_levels
from neuroloom.learn.scoring.written import add_scores
from neuroloom.learn.study import Prepared

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, float | None]


def add_graph_scores(folder: Path, table: pd.DataFrame, prepared: Prepared, seed: int) -> None:
    """Add the scores of degrees, of each type of node, of the site alone and within sites."""
    if len(table) == 0:
        return
    dataset = prepared.dataset
    binary = dataset.task == "classification" and len(dataset.classes) == 2
    main = "r2" if dataset.task == "regression" else ("auc" if binary else "accuracy")
    more: dict[str, Entry] = {}
    if "degree" in set(table["role"]):
        rows = table[table["role"] == "degree"].assign(role="model")
        more[f"{main}/degree"] = _one(rows, dataset, main, seed)
    if dataset.facts["level"] == "node":
        more |= {f"recall/{name}": _recall(table, name) for name in dataset.classes}
    elif dataset.facts["site"] and binary:
        more |= _of_sites(table, prepared, seed)
    add_scores(folder, more)


def _one(rows: pd.DataFrame, dataset: Any, main: str, seed: int) -> Entry:
    from neuroloom.learn.scoring.metrics import summary

    return summary(rows, dataset.task, dataset.classes, seed)[main]


def _recall(table: pd.DataFrame, name: str) -> Entry:
    """Return how many of a type were found, with Wilson's interval."""
    from neuroloom.learn.figures import wilson

    def share(role: str) -> tuple[float, int]:
        own = table[(table["role"] == role) & (table["y_true"] == name)]
        return float((own["y_pred"] == name).mean()), len(own)

    value, n = share("model")
    if not n:
        return {"value": None, "low": None, "high": None, "baseline": None, "chance": None}
    low, high = wilson(value * n, n)
    return {
        "value": value,
        "low": min(low, value),
        "high": max(high, value),
        "baseline": share("baseline")[0],
        "chance": 1 / table["y_true"].nunique(),
    }


def _of_sites(table: pd.DataFrame, prepared: Prepared, seed: int) -> dict[str, Entry]:
    """Return the AUC of the site alone (held-out rows), and of pairs within a site."""
    from neuroloom.learn.scoring.scores import auc

    dataset = prepared.dataset
    column = PREFIX + str(dataset.facts["site"])
    y, rng = dataset.y, np.random.default_rng(seed)
    rows = np.unique(np.concatenate([fold.test for fold in prepared.folds]))
    alone = site_alone(dataset.table, column, prepared.folds, dataset.classes)[rows]
    level = dataset.table[column].astype(str).to_numpy()
    p = _scores(table, "model", len(dataset))
    value, low, high = within_levels(y[rows], p[rows], level[rows], rng)
    base = within_levels(y[rows], _scores(table, "baseline", len(dataset))[rows], level[rows], rng)
    everywhere = np.zeros(len(rows), int)
    _, a, b = within_levels(y[rows], alone[:, 1], everywhere, rng)
    told = float(auc(y[rows], alone, None))
    return {
        "auc/site alone": {"value": told, "low": min(a, told), "high": max(b, told),
                           "baseline": None, "chance": 0.5},
        "auc/within site": {"value": _known(value), "low": _known(low), "high": _known(high),
                            "baseline": _known(base[0]), "chance": 0.5},
    }  # fmt: skip


def _scores(table: pd.DataFrame, role: str, size: int) -> np.ndarray:
    """Return the probability of the second class of each row of the dataset, mean over seeds."""
    own = table[table["role"] == role]
    last = [c for c in own if str(c).startswith("p_")][-1]
    mean = own.groupby("example")[last].mean()
    found = np.full(size, np.nan)
    found[mean.index.to_numpy(int)] = mean.to_numpy()
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
