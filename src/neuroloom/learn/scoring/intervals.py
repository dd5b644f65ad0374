"""How sure a score is: bootstrap over the split unit, and permutation tests.

Examples of one unit (a run, a session, a person) resemble each other, so units are resampled, not
examples. Two corrections make the 95 % true with few data (tests/learn/scoring measures):

- *Few units.* Resampling U units understates their spread by (U - 1) / U and ignores that this
  spread is itself an estimate. From ten units on, the percentiles move outwards to what Student's t
  asks for (Hesterberg 2015, "expanded percentile"). Below ten, units are resampled and then the
  examples inside each (Davison & Hinkley 1997, 3.8): three units alone cover about 80 %.
- *Perfect scores.* 45 of 45 right would bootstrap to [1, 1]. Four pseudo-examples with random
  labels join each resample, which gives a proportion the interval of Agresti & Coull (1998): two
  successes and two failures are added. Measures without an upper end (log-loss) take none; there
  the upper end is reflected on the log scale, as a rare large loss may not have been seen yet.

With three units that truly differ a lot (SD of their accuracies beyond 0.1) even this covers less
than it says; no method can see from three runs how runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError

Floats = NDArray[np.float64]
Shape = Literal["plain", "skewed", "biased"]

RESAMPLES = 2000
LEVEL = 0.95
FEW_UNITS = 10
PSEUDO = 4.0
PSEUDO_PAIRED = 2.0
PERMUTED = ("classification", "regression", "survival")  # found events and voxels have no labels
_CHUNK = 400_000


def resample(unit: ArrayLike, n: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield bootstrap counts of the examples, a chunk of resamples at a time.

    Parameters
    ----------
    unit
        The split unit of each example, numbered from 0 (example,).
    n
        How many resamples in all.
    rng
        Where the randomness comes from.

    Yields
    ------
    Counts (resample, example): ten units and more, whole units; two to nine, units and then
    examples inside; one unit, or one example per unit, examples.

    Examples
    --------
    >>> sum(len(w) for w in resample([0, 0, 1, 1], 100, np.random.default_rng(0)))
    100
    """
    units = np.asarray(unit, dtype=np.int64)
    count = _draw_units if one_level(units) else _draw_inside
    size = max(1, _CHUNK // max(units.size, 1))
    for start in range(0, n, size):
        yield count(units, min(size, n - start), rng)


def one_level(unit: NDArray[np.int64]) -> bool:
    """Tell whether units are resampled whole: there are ten or more, or one example in each."""
    return bool(unit.max(initial=0) + 1 >= min(FEW_UNITS, unit.size))


def _draw_units(unit: NDArray[np.int64], n: int, rng: np.random.Generator) -> Floats:
    units = int(unit.max(initial=0)) + 1
    return _counts(rng.integers(units, size=(n, units)), units)[:, unit]


def _draw_inside(unit: NDArray[np.int64], n: int, rng: np.random.Generator) -> Floats:
    """Count examples when units are drawn first and every copy of a unit redraws its examples."""
    units = int(unit.max(initial=0)) + 1
    times = _counts(rng.integers(units, size=(n, units)), units).astype(np.int64)
    weights = np.zeros((n, unit.size))
    for number in range(units):
        inside = np.flatnonzero(unit == number)
        row = np.repeat(np.arange(n), times[:, number] * inside.size)
        drawn = rng.integers(inside.size, size=row.size)
        flat = np.bincount(row * inside.size + drawn, minlength=n * inside.size)
        weights[:, inside] = flat.reshape(n, inside.size)
    return weights


def _counts(drawn: NDArray[np.int64], size: int) -> Floats:
    """How often each of `size` things was drawn, per row."""
    offset = np.arange(len(drawn))[:, None] * size
    flat = np.bincount((drawn + offset).ravel(), minlength=len(drawn) * size)
    return flat.reshape(len(drawn), size).astype(float)


def add_pseudo(weights: Floats, rows: int, mass: float, rng: np.random.Generator) -> Floats:
    """Append the counts of pseudo-examples: on average `mass` of them beside n examples.

    Parameters
    ----------
    weights
        (resample, n).
    rows
        How many pseudo-examples there are to draw from.

    Returns
    -------
    (resample, n + rows), each row with the total that it had.
    """
    total = weights.sum(1)
    many = rng.binomial(np.maximum(np.rint(total).astype(int), 1), mass / (weights.shape[1] + mass))
    row = np.repeat(np.arange(len(weights)), many)
    drawn = row * rows + rng.integers(rows, size=row.size)
    flat = np.bincount(drawn, minlength=len(weights) * rows)
    kept = weights * ((total - many) / total)[:, None]
    return np.hstack([kept, flat.reshape(len(weights), rows)])


def tail(unit: ArrayLike, level: float = LEVEL) -> float:
    """Return the share of resamples to leave out at each end.

    With U units resampled whole it is Phi(-sqrt(U / (U - 1)) t), t the quantile of Student's t with
    U - 1 degrees of freedom (Hesterberg 2015, eq. 13); in two levels it is (1 - level) / 2.

    Examples
    --------
    >>> round(tail(range(10)), 4), tail([0, 0, 1, 1, 2, 2])
    (0.0086, 0.025)
    """
    from scipy import special

    numbers = np.asarray(unit, dtype=np.int64)
    out = (1 - level) / 2
    units = int(numbers.max(initial=0)) + 1
    n = numbers.size if units == 1 else units
    if n < 3 or (units > 1 and not one_level(numbers)):
        return round(out, 12)
    return float(special.ndtr(np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, out)))


def interval(
    values: ArrayLike, value: float, out: float, shape: Shape = "plain", null: float = -np.inf
) -> tuple[float, float]:
    """Return the interval of a score from its bootstrap; it holds the score itself.

    Parameters
    ----------
    values
        The score in every resample; NaN where it is undefined, which is left out.
    value
        The score.
    out
        Share to leave out at each end, from `tail`.
    shape
        "plain": percentiles. "skewed" (mean losses, > 0): the upper end is also reflected on the
        log scale, value^2 / lower quantile. "biased" (calibration error, >= 0, which resampling
        shifts upwards): the lower end is 2 value - upper quantile (Davison & Hinkley 1997, 5.2),
        and 0 if `value` is at most `null`.
    null
        Largest score to be expected where the truth is 0.

    Examples
    --------
    >>> low, high = interval(np.linspace(0, 1, 101), 0.5, 0.025)
    >>> round(low, 3), round(high, 3)
    (0.025, 0.975)
    """
    draws = np.asarray(values, dtype=float)
    draws = draws[~np.isnan(draws)]
    if draws.size == 0 or np.isnan(value):
        return float("nan"), float("nan")
    low, high = np.quantile(draws, [out, 1 - out])
    if shape == "skewed" and low > 0:
        high = max(high, value**2 / low)
    elif shape == "biased":
        low, high = max(0.0, 2 * value - high), max(high, 2 * value - low)
        low = 0.0 if value <= null else low
    return float(min(low, value)), float(max(high, value))


def bounds(
    score: Callable[[Floats], Floats], value: float, unit: ArrayLike, seed: int
) -> tuple[float, float]:
    """Return the interval of a score, by a bootstrap over split units.

    Parameters
    ----------
    score
        From counts (resample, example), how often each example was drawn, to scores (resample,).
    value
        The score of the examples themselves.
    unit
        The split unit of each example, any labels (example,).
    seed
        Of the bootstrap.

    Examples
    --------
    >>> x = np.arange(40.0)
    >>> low, high = bounds(lambda w: w @ x / w.sum(1), x.mean(), np.arange(40) // 2, 0)
    >>> bool(low < 19.5 < high)
    True
    """
    numbers = np.unique(np.asarray(unit), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    draws = [score(weights) for weights in resample(numbers, RESAMPLES, rng)]
    return interval(np.concatenate(draws), value, tail(numbers))


def bounds_of_mean(values: ArrayLike, unit: ArrayLike, seed: int) -> tuple[float, float]:
    """Return the interval of a mean, by a bootstrap over split units.

    Parameters
    ----------
    values
        Shape (example,).
    unit, seed
        As in `bounds`.

    Examples
    --------
    >>> low, high = bounds_of_mean([1.0, 2.0, 3.0], [0, 1, 2], 0)
    >>> bool(1.0 <= low < 2.0 < high <= 3.0)
    True
    """
    x = np.asarray(values, float)
    return bounds(lambda counts: counts @ x / counts.sum(1), float(x.mean()), unit, seed)


def how_sure(n: int, value: float, low: float, high: float) -> str:
    """Say in a few words how far a share can be trusted.

    Examples
    --------
    >>> how_sure(45, 0.9, 0.83, 0.97)
    '45 trials: ±7 points'
    >>> how_sure(45, 1.0, 0.91, 1.0)
    '45 trials: +0 / −9 points'
    """
    trials = f"{n} trial" + "s" * (n != 1)
    if np.isnan([value, low, high]).any():
        return f"{trials}: too few to say"
    up, down = 100 * (high - value), 100 * (value - low)
    digits = 0 if max(up, down) >= 1 else 1
    if abs(up - down) <= 0.25 * max(up, down):
        return f"{trials}: ±{(up + down) / 2:.{digits}f} points"
    return f"{trials}: +{up:.{digits}f} / −{down:.{digits}f} points"


def permute_within(unit: ArrayLike, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `n` permutations (n, example) that move examples only inside their unit.

    Where every unit is one example, examples are exchangeable and move freely.
    """
    units = np.asarray(unit)
    if np.unique(units).size == units.size:
        units = np.zeros_like(units)
    shape = (n, units.size)
    places = np.argsort(units, kind="stable")
    order = np.lexsort((rng.random(shape), np.broadcast_to(units, shape)), axis=-1)
    result = np.empty(shape, dtype=np.int64)
    result[:, places] = order
    return result


def permute_units(unit: ArrayLike, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return from which example each takes its label (n, example) where units change places.

    It is the first example of another unit: for labels that are the same throughout each unit.
    """
    _, first, number = np.unique(np.asarray(unit), return_index=True, return_inverse=True)
    return np.stack([first[rng.permutation(first.size)][number] for _ in range(n)])


class Permuted(NamedTuple):
    """What permuting the labels says of a metric.

    Attributes
    ----------
    p
        One-sided towards better; NaN where the test has no meaning.
    how
        What changed places, or why nothing could.
    """

    p: float
    how: str


def p_value(observed: float, null: ArrayLike, *, larger: bool = True) -> float:
    """Return (1 + b) / (1 + n), b the permutations at least as good (Phipson & Smyth 2010).

    Examples
    --------
    >>> p_value(0.9, [0.5] * 99)
    0.01
    """
    draws = np.asarray(null, dtype=float)
    draws = draws[~np.isnan(draws)]
    slack = 1e-12 * max(1.0, abs(observed))
    better = draws >= observed - slack if larger else draws <= observed + slack
    return float((1 + better.sum()) / (1 + draws.size))


def permutation_test(
    predictions: pd.DataFrame, metric: str, n: int = 1000, seed: int = 0
) -> Permuted:
    """Test whether stored predictions know anything of the labels, by permuting labels in units.

    The null is that, inside every unit, predictions are independent of labels *given the fitted
    models*; where the labels of each unit are all the same, units change places as wholes. Nothing
    is refitted, so it is quick; what it cannot see is optimism from choices made on the same folds.
    `permutation_null` is the full test. All seeds share each permutation.

    Parameters
    ----------
    predictions
        A predictions table; its rows of role "model" are tested.
    metric
        A name of `metrics.metrics_of`.

    Returns
    -------
    p, NaN where nothing can change places (one label, found events, voxels) or the metric is
    undefined; and how labels changed places, or why not.

    Raises
    ------
    ConfigError
        If the metric is unknown.
    """
    from neuroloom.learn.scoring import metrics

    task, classes = metrics.task_of(predictions)
    table = metrics.metrics_of(task, classes)
    if metric not in table:
        known = ", ".join(table)
        raise ConfigError(f"No {task} metric is called '{metric}'. Known: {known}.")
    if task not in PERMUTED:
        return Permuted(float("nan"), "it has no labels that could change places")
    sets, unit = metrics.seeds_of(predictions, "model", task, classes)
    compute = table[metric].compute
    observed = metrics.mean_known([compute(e, None) for e in sets])
    y, event = metrics.labels_of(sets, unit.size), metrics.events_of(sets, unit.size)
    permute, how = _exchange(y[:, None] if event is None else np.stack([y, event], 1), unit)
    if permute is None or np.isnan(observed):
        return Permuted(float("nan"), how if permute is None else "it is undefined")
    rng, null = np.random.default_rng(seed), np.zeros(n)
    for k in range(n):
        order = permute(unit, 1, rng)[0]
        moved = [
            e.with_labels(y[at], None if event is None else event[at])
            for e, at in ((e, order[e.row]) for e in sets)
        ]
        null[k] = metrics.mean_known([compute(e, None) for e in moved])
    return Permuted(p_value(observed, null, larger=not metrics.smaller_is_better(metric)), how)


def _exchange(
    labels: NDArray[Any], unit: NDArray[np.int64]
) -> tuple[Callable[..., NDArray[np.int64]] | None, str]:
    """Return what permutes labels (example, part), if they can be, and what changes places."""
    _, first, number = np.unique(unit, return_index=True, return_inverse=True)
    if (labels != labels[first][number]).any():
        return permute_within, "the labels within units"
    if (labels == labels[0]).all():
        return None, "all labels are the same"
    alone = first.size == unit.size
    return permute_within if alone else permute_units, "the labels of whole units"


def permutation_null(
    refit: Callable[[NDArray], float], y: ArrayLike, units: ArrayLike, n: int = 100, seed: int = 0
) -> Floats:
    """Return the scores of `n` whole refits on labels permuted inside units (Ojala & Garriga 2010).

    Parameters
    ----------
    refit
        Takes labels (example,), runs the whole cross-validation on them and returns its score.
    y, units
        Labels and split unit of each example.

    Examples
    --------
    >>> null = permutation_null(lambda y: float(y[0] == 1), [0, 1, 1, 0], [0, 0, 1, 1], n=4)
    >>> null.shape
    (4,)
    """
    labels = np.asarray(y)
    unit = pd.factorize(np.asarray(units))[0]
    orders = permute_within(unit, n, np.random.default_rng(seed))
    return np.array([refit(labels[order]) for order in orders], dtype=float)
