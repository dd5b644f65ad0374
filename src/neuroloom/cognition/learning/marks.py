"""How good nets are on fresh trials: the table of trials, and metrics with intervals from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.cognition.learning.curriculum import worst_condition

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.cognition.learning.session import Lesson, Taught

# Columns of the table that were not drawn as conditions of the trial.
OWN = ("trial", "right", "truth", "answer", "reward", "seed", "role", "model", "number")

Entry = dict[str, float | None]


def tabulate(lesson: Lesson, taught: Sequence[Taught], trials: int) -> pd.DataFrame:
    """Return a row for each fresh trial of each net, and of the baseline beside it."""
    import pandas as pd

    from neuroloom.cognition.learning.session import examine, reservoir

    played = lesson.find_task()
    parts = []
    for one in taught:
        table = examine(one.net, played, lesson, trials, one.seed)
        parts.append(table.assign(seed=one.seed, role="model", model=lesson.net))
        plain = reservoir(lesson, played, one.seed)
        if plain is not None:
            table = examine(plain[0], played, plain[1], trials, one.seed)
            parts.append(table.assign(seed=one.seed, role="baseline", model="reservoir"))
    return pd.concat(parts, ignore_index=True)


def condition_names(table: pd.DataFrame) -> list[str]:
    """Return the columns of conditions."""
    return [name for name in table if name not in OWN]


def metrics_of(table: pd.DataFrame, per: Sequence[str] = (), seed: int = 0) -> dict[str, Entry]:
    """Return the metrics of a table of trials, with intervals, baseline and chance.

    One net: over its trials. Several: over nets, and over trials inside each.

    Returns
    -------
    dict
        accuracy, worst (of the condition in which it is lowest), and, by reward, reward.
    """
    mine = table[table["role"] == "model"]
    other = table[table["role"] == "baseline"]
    right = mine["right"].to_numpy(float)
    names = condition_names(table)
    found: dict[str, Entry] = {}
    low, high = _interval(right, mine["seed"].to_numpy(), seed)
    found["accuracy"] = {
        "value": float(right.mean()), "low": low, "high": high,
        "baseline": float(other["right"].mean()) if len(other) else None,
        "chance": chance_of(mine),
    }  # fmt: skip
    worst, rows = _worst(mine, names, per)
    low, high = _interval(right[rows], mine["seed"].to_numpy()[rows], seed)
    below = _worst(other, names, per)[0] if len(other) else None
    found["worst"] = {"value": worst, "low": low, "high": high, "baseline": below, "chance": None}
    if "reward" in mine:
        gained = mine["reward"].to_numpy(float)
        low, high = _bootstrap(gained, mine["seed"].to_numpy(), seed)
        found["reward"] = {
            "value": float(gained.mean()), "low": low, "high": high, "baseline": None,
            "chance": None,
        }  # fmt: skip
    return found


def chance_of(table: pd.DataFrame) -> float | None:
    """Return the accuracy of always giving the most frequent answer, task by task.

    None where there is but one answer: then it matters when it is given, which no constant says.
    """
    if "truth" not in table or table["truth"].nunique() < 2:
        return None
    groups = table.groupby("task") if "task" in table else [(0, table)]
    shares = [
        own["truth"].value_counts(normalize=True).max() * len(own) / len(table) for _, own in groups
    ]
    return float(sum(shares))


def _worst(table: pd.DataFrame, names: list[str], per: Sequence[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy in the worst condition, and which rows are of it."""
    right = table["right"].to_numpy(float)
    drawn = {name: table[name].to_numpy(float) for name in names}
    worst, where = worst_condition(right, drawn, per)
    inside = np.ones(len(table), bool)
    for part in where.split(", ") if where != "all" else ():
        name, _, value = part.rpartition(" ")
        inside &= np.isclose(drawn[name], float(value), rtol=1e-5)
    return worst, inside if inside.any() else np.ones(len(table), bool)


def _interval(right: np.ndarray, seeds: np.ndarray, seed: int) -> tuple[float, float]:
    from neuroloom.learn.figures import wilson

    if len(np.unique(seeds)) == 1:
        low, high = wilson(float(right.sum()), float(len(right)))
        return float(low), float(high)
    return _bootstrap(right, seeds, seed)


def _bootstrap(values: np.ndarray, seeds: np.ndarray, seed: int) -> tuple[float, float]:
    from neuroloom.learn.scoring.intervals import bounds_of_mean

    several = len(np.unique(seeds)) > 1
    return bounds_of_mean(values, seeds if several else np.arange(len(values)), seed)


def signed_answers(table: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return signed strengths (trial,) and which trials were answered 2, (trial,), of the model.

    None where there are not two answers. A strength is positive where 2 is right; trials in which
    nothing is right or nothing was answered are left out.

    Parameters
    ----------
    name
        The condition that is the strength.
    """
    mine = table[(table["role"] == "model") & table.get("truth", 0).isin([1, 2])]
    if mine.empty or mine["truth"].nunique() != 2:
        return None
    truth, right = mine["truth"].to_numpy(), mine["right"].to_numpy(bool)
    second = (truth == 2) == right
    signed = mine[name].abs().to_numpy(float) * np.where(truth == 2, 1, -1)
    if "answer" in mine:
        given = mine["answer"].to_numpy()
        return signed[given > 0], given[given > 0] == 2
    return signed, second


def tidy(metrics: dict[str, Entry]) -> pd.DataFrame:
    """Return metrics as the rows of `metrics.parquet`."""
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {"fold": "all", "seed": "all", "metric": name, **entry} for name, entry in metrics.items()
    ]
    return pd.DataFrame(rows)


def by_condition(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return trials and accuracy at each value of a condition, with an interval."""
    import pandas as pd

    from neuroloom.learn.figures import wilson

    rows = []
    for value, own in table[table["role"] == "model"].groupby(name):
        low, high = wilson(float(own["right"].sum()), float(len(own)))
        rows.append({"condition": name, "value": float(str(value)), "trials": len(own),
                     "accuracy": float(own["right"].mean()), "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows)
