"""Is one run better than another? Paired on the same examples, and honest about the best of N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.scoring import intervals, metrics

Floats = NDArray[np.float64]

ENOUGH_SHARED = 0.8
PERMUTATIONS = 1000
_CHUNK = 200_000
_PLAIN = {"log_loss": "log-loss", "ece": "calibration error", "mae": "mean absolute error"} | {
    "dice": "Dice"
}


@dataclass(frozen=True)
class Comparison:
    """What came of comparing run `second` with run `first`; differences are second - first.

    Attributes
    ----------
    first, second
        Names of the two.
    n_examples
        How many examples both scored.
    table
        One row per metric: metric, first, second, difference, low, high (95 %), p, better
        ("first", "second" or "" where no difference can be claimed).
    units
        One row per split unit: unit, examples, and the main metric as first, second, difference.
    mcnemar
        Exact p of the discordant examples of the first seed of each; NaN for regression. It takes
        examples as independent, which trials of one run are not quite: read it beside `table`.
    notes
        What a reader has to know: differing folds, examples left out.
    text
        The result as plain sentences.
    """

    first: str
    second: str
    n_examples: int
    table: pd.DataFrame
    units: pd.DataFrame
    mcnemar: float
    notes: list[str] = field(default_factory=list)
    text: str = ""


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    names: tuple[str, str] | None = None,
    *,
    n: int = intervals.RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare the predictions of two runs on the examples that both scored.

    The interval of a difference comes from resampling units (and, with few of them, examples
    inside), the same for both runs. Its p comes from swapping the two runs' predictions of an
    example at random, within units, which is exact under "both predict alike" when examples are
    exchangeable; swapping whole units would need six of them to reach 0.05.

    Parameters
    ----------
    first, second
        Predictions tables; rows of role "model" are compared.
    names
        What to call them; None takes the column `model`.
    n
        Resamples.

    Raises
    ------
    DataError
        If classes or labels differ, less than 80 % of the examples of either are shared, or
        several examples of a run cannot be told apart.
    """
    tables = [_model_rows(table) for table in (first, second)]
    task, classes = metrics.task_of(tables[0])
    _same_task(tables, task, classes)
    tables, notes = _align(tables, task)
    called = names or _names(tables)
    parts = [metrics.seeds_of(table, "model", task, classes) for table in tables]
    models, unit = [sets for sets, _ in parts], parts[0][1]
    table = _table(models, unit, task, classes, n, seed)
    main = next(iter(metrics.metrics_of(task, classes)))
    mcnemar = _mcnemar(*models) if task == "classification" else float("nan")
    units = _units(tables, task, classes, main)
    made = Comparison(*called, unit.size, table, units, mcnemar, notes)
    return replace(made, text=" ".join([_sentence(made, main), *notes]))


def _model_rows(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["role"] == "model"] if "role" in table else table
    if "y_true" not in rows:
        raise DataError(
            "A run to compare holds no predictions beside a truth (no column y_true): compare runs "
            "that trained and judged a model."
        )
    rows = rows[rows["y_true"].notna()]
    if rows.empty:
        raise DataError("A run to compare has no row of role 'model' with a label.")
    return rows


def _same_task(tables: Sequence[pd.DataFrame], task: str, classes: list[str]) -> None:
    theirs, others = metrics.task_of(tables[1])
    if theirs != task or set(others) != set(classes):
        raise DataError(
            f"The two runs do not answer the same question: one has {_kind(task, classes)}, the "
            f"other {_kind(theirs, others)}. Compare runs of the same classes or target."
        )


def _kind(task: str, classes: Sequence[str]) -> str:
    return f"the classes {', '.join(classes)}" if classes else task


def _names(tables: Sequence[pd.DataFrame]) -> tuple[str, str]:
    first, second = (str(t["model"].iloc[0]) if "model" in t else "run" for t in tables)
    return (first, second) if first != second else (f"{first} (first)", f"{second} (second)")


def _keys(tables: Sequence[pd.DataFrame], task: str) -> list[pd.MultiIndex]:
    """Identity of each row's example: file, name and onset (to 0.1 ms), else its number.

    Raises
    ------
    DataError
        If several examples of a run would be one.
    """
    # Of labelled frames the onset is their rank, which another frame changes.
    told = ("path", "name") if task == "pose" else ("path", "name", "onset")
    columns = [c for c in told if all(c in t and t[c].notna().all() for t in tables)]
    if "path" not in columns or len(columns) == 1:
        columns = [c for c in ("path", "example") if all(c in t for t in tables)]
    keys = [_key(table, columns) for table in tables]
    for table, key in zip(tables, keys, strict=True):
        _refuse_repeats(table, key)
    return keys


def _key(table: pd.DataFrame, columns: Sequence[str]) -> pd.MultiIndex:
    parts = {name: table[name] for name in columns}
    if "onset" in parts:
        parts["onset"] = table["onset"].astype(float).round(4)
    return pd.MultiIndex.from_arrays(list(parts.values()), names=list(parts))


def _refuse_repeats(table: pd.DataFrame, key: pd.MultiIndex) -> None:
    if "example" not in table:
        return
    own = ["seed", "key"] if "seed" in table else ["key"]
    rows = table.assign(key=key.unique().get_indexer(key)).drop_duplicates([*own, "example"])
    twice = rows.duplicated(own)
    if twice.any():
        place = ", ".join(map(str, key.unique()[rows.loc[twice, "key"].iloc[0]]))
        raise DataError(
            f"{int(twice.sum())} examples of a run have the {' and '.join(map(str, key.names))} of "
            f"another ({place}), so that it is unknown which are pairs. Do runs again whose "
            "predictions lack the column name; else give each example a name of its own."
        )


def _align(tables: Sequence[pd.DataFrame], task: str) -> tuple[list[pd.DataFrame], list[str]]:
    """Keep the examples that both scored, and number them alike."""
    keys = _keys(tables, task)
    shared = keys[0].unique().intersection(keys[1].unique())
    counts = [len(k.unique()) for k in keys]
    least = min(len(shared) / count for count in counts)
    if least < ENOUGH_SHARED:
        raise DataError(
            f"The two runs share {len(shared)} examples (of {counts[0]} and {counts[1]}); a paired "
            f"comparison needs at least {ENOUGH_SHARED:.0%} of both. Run both on the same data, "
            "with the same events and window."
        )
    notes = []
    if least < 1:
        notes.append(
            f"Only the {len(shared)} examples that both scored are compared "
            f"(of {counts[0]} and {counts[1]})."
        )
    aligned = [
        table.assign(example=shared.get_indexer(key))[shared.get_indexer(key) >= 0]
        for table, key in zip(tables, keys, strict=True)
    ]
    several = "class" in tables[0] and "class" in tables[1]
    _same_labels([_facts(t, ["example", "class"] if several else ["example"]) for t in aligned])
    facts = [_facts(t, ["example"]) for t in aligned]
    if "fold" in facts[0] and "fold" in facts[1] and _folds_differ(facts):
        notes.append("The folds differ, so the runs were not trained on the same examples.")
    unit = facts[0]["unit"]
    return [t.assign(unit=unit.loc[t["example"]].to_numpy()) for t in aligned], notes


def _facts(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row for each example, or for each class of a case."""
    return table.drop_duplicates(keys).set_index(keys).sort_index()


def _same_labels(facts: Sequence[pd.DataFrame]) -> None:
    shared = facts[0].index.intersection(facts[1].index)
    facts = [f.loc[shared] for f in facts]
    a, b = (f["y_true"].to_numpy() for f in facts)
    differ = np.flatnonzero(a != b)
    if differ.size:
        where = facts[0].iloc[differ[0]]
        at = f"{where.get('path', 'example')} at {where.get('onset', facts[0].index[differ[0]])}"
        place = where.get("name", at)
        raise DataError(
            f"{differ.size} of {a.size} shared examples have other labels in the two runs; the "
            f"first is {place}: '{a[differ[0]]}' and '{b[differ[0]]}'. Use the same events."
        )


def _folds_differ(facts: Sequence[pd.DataFrame]) -> bool:
    """Tell whether the partitions differ; how folds are numbered does not matter."""
    pairs = pd.MultiIndex.from_arrays([f["fold"].to_numpy() for f in facts]).unique()
    return len(pairs) != max(f["fold"].nunique() for f in facts)


def _table(
    models: list[list[metrics.Examples]],
    unit: NDArray[np.int64],
    task: str,
    classes: Sequence[str],
    n: int,
    seed: int,
) -> pd.DataFrame:
    boot = metrics.bootstrap(models, unit, task, classes, n, np.random.default_rng(seed))
    swaps = _swapped(models, unit, metrics.metrics_of(task, classes), seed)
    rows = []
    for name, metric in metrics.metrics_of(task, classes).items():
        first, second = (
            metrics.mean_known([metric.compute(e, None) for e in model]) for model in models
        )
        a, b = (draws.mean(0) for draws in boot[name])
        out = intervals.tail(unit) if unit.size >= 3 else 0.0
        low, high = intervals.interval(b - a, second - first, out)
        p = _two_sided(second - first, swaps[name])
        better = _better(name, low, high, p)
        rows.append((name, first, second, second - first, low, high, p, better))
    columns = ["metric", "first", "second", "difference", "low", "high", "p", "better"]
    return pd.DataFrame(rows, columns=columns)


def _better(name: str, low: float, high: float, p: float) -> str:
    """Name the better run if interval and test agree that they differ."""
    if not (p < 1 - intervals.LEVEL and (low > 0 or high < 0)):
        return ""
    return "second" if (low > 0) != metrics.smaller_is_better(name) else "first"


def _swapped(
    models: list[list[metrics.Examples]],
    unit: NDArray[np.int64],
    table: dict[str, metrics.Metric],
    seed: int,
) -> dict[str, Floats]:
    """Differences of every metric when the runs are swapped at random, example by example.

    Seeds are paired in order, so that all predictions of an example are swapped together.
    """
    rng = np.random.default_rng([seed, 1])
    pairs = [(a, b, _stacked(a, b)) for a, b in _pairs(models)]
    out: dict[str, list[Floats]] = {name: [] for name in table}
    size = max(1, _CHUNK // unit.size)
    for start in range(0, PERMUTATIONS, size):
        swap = rng.random((min(size, PERMUTATIONS - start), unit.size)) < 0.5
        weights = [np.hstack([swap[:, a.row], ~swap[:, b.row]]).astype(float) for a, b, _ in pairs]
        for name, drawn in out.items():
            compute = table[name].compute
            some = [
                compute(both, w) - compute(both, 1 - w)
                for (*_, both), w in zip(pairs, weights, strict=True)
            ]
            drawn.append(np.mean(some, axis=0))
    return {name: np.concatenate(drawn) for name, drawn in out.items()}


def _stacked(a: metrics.Examples, b: metrics.Examples) -> metrics.Examples:
    return metrics.Examples(
        np.concatenate([a.y, b.y]),
        np.concatenate([a.predicted, b.predicted]),
        None if a.p is None or b.p is None else np.concatenate([a.p, b.p]),
        np.concatenate([a.row, b.row]),
        {name: np.concatenate([counts, b.counts[name]]) for name, counts in a.counts.items()},
    )


def _pairs(
    models: list[list[metrics.Examples]],
) -> list[tuple[metrics.Examples, metrics.Examples]]:
    """Pair the seeds of two runs; the shorter list is repeated."""
    first, second = models
    count = max(len(first), len(second))
    return [(first[i % len(first)], second[i % len(second)]) for i in range(count)]


def _two_sided(observed: float, null: ArrayLike) -> float:
    if np.isnan(observed):
        return float("nan")
    return intervals.p_value(abs(observed), np.abs(np.asarray(null, dtype=float)))


def _mcnemar(first: list[metrics.Examples], second: list[metrics.Examples]) -> float:
    """Exact McNemar test (1947): the discordant examples against a fair coin."""
    from scipy.stats import binomtest

    a, b = first[0], second[0]
    _, i, j = np.intersect1d(a.row, b.row, return_indices=True)
    one, other = a.y[i] == a.predicted[i], b.y[j] == b.predicted[j]
    only = int((one & ~other).sum()), int((~one & other).sum())
    return float(binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0


def _units(
    tables: Sequence[pd.DataFrame], task: str, classes: Sequence[str], main: str
) -> pd.DataFrame:
    rows = []
    parts = [dict(list(table.groupby("unit", sort=True))) for table in tables]
    for unit, mine in parts[0].items():
        first, second = (metrics.score(p[unit], task, classes)[main] for p in parts)
        rows.append((str(unit), mine["example"].nunique(), first, second, second - first))
    return pd.DataFrame(rows, columns=["unit", "examples", "first", "second", "difference"])


def _sentence(made: Comparison, main: str) -> str:
    row = made.table.set_index("metric").loc[main]
    share = main == "accuracy"
    scale, unit, digits = (100, " points", 1) if share else (1, "", 3)
    size, low, high = (scale * float(row[key]) for key in ("difference", "low", "high"))
    span = f"95 % interval {low:+.{digits}f} to {high:+.{digits}f}".replace("-", "−")
    trials = f"{made.n_examples} paired trial" + "s" * (made.n_examples != 1)
    if share:
        how = f"{abs(size):.1f}{unit} {'less' if size < 0 else 'more'} accurate than {made.first}"
        how = f"exactly as accurate as {made.first}" if size == 0 else how
        what = f"{made.second} is {how}"
    else:
        label = _PLAIN.get(main, "R²" if main == "r2" else main)
        side = "below" if size < 0 else "above"
        what = f"the {label} of {made.second} is {abs(size):.3f} {side} that of {made.first}"
    better = {"first": made.first, "second": made.second}.get(row["better"], "")
    verdict = f"{better} is better on these data" if better else "no difference can be claimed"
    return f"{what} ({span}, p = {row['p']:.2g}, {trials}): {verdict}."


def best_of(values: Sequence[float], n_examples: int, names: Sequence[str] | None = None) -> str:
    """Say how optimistic the best of several accuracies on the same folds is.

    If all N models were equally good, their accuracies on the same n examples would still differ by
    luck; the best would exceed the truth by SE x E[max of N normals] x sqrt(1 - r), where r is how
    much the models' errors agree. r is not known from the values alone; the estimate simulates
    r = 0.5, and the sentence gives it as rough.

    Parameters
    ----------
    values
        Accuracies in [0, 1] of the models tried.
    n_examples
        Examples that each was scored on.

    Returns
    -------
    A sentence; empty for fewer than two values.

    Examples
    --------
    >>> best_of([0.93, 0.90, 0.91], 45)[:44]
    '3 models were tried on the same folds, and t'
    """
    if len(values) < 2:
        return ""
    excess = 100 * optimism(float(np.mean(values)), len(values), n_examples)
    best = int(np.argmax(values))
    named = f" ({names[best]})" if names else ""
    return (
        f"{len(values)} models were tried on the same folds, and the best{named} scored "
        f"{100 * values[best]:.1f} %: picked on the very folds that score it, this is optimistic. "
        f"If all {len(values)} were equally good, the best would look about {excess:.1f} points "
        f"too good with {n_examples} examples. Test the choice on new data."
    )


def optimism(
    accuracy: float, n_models: int, n_examples: int, agreement: float = 0.5, seed: int = 0
) -> float:
    """Return by how much the best of equally good models exceeds their true accuracy, simulated.

    Each example has its own difficulty: the outcomes of two models correlate by `agreement`
    (a beta-binomial over models).

    Examples
    --------
    >>> optimism(0.9, 1, 45) == 0 and 0.01 < optimism(0.9, 5, 45) < 0.06
    True
    """
    if n_models < 2:
        return 0.0
    rng = np.random.default_rng(seed)
    true = float(np.clip(accuracy, 0.5 / n_examples, 1 - 0.5 / n_examples))
    size = max(20, min(2000, 2_000_000 // (n_models * n_examples)))
    spread = 1 / agreement - 1
    ease = rng.beta(true * spread, (1 - true) * spread, size=(size, n_examples, 1))
    scores = (rng.random((size, n_examples, n_models)) < ease).mean(1)
    return float(scores.max(1).mean() - scores.mean())
