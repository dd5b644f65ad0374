"""How sure a comparison of RDMs is: bootstraps over stimuli and subjects, permutations, tests.

A bootstrap over both stimuli and subjects counts their variance twice where each alone is small;
the corrected variance 2 (v_stimuli + v_subjects) - v_both is right (Schuett et al. 2023, eLife 12,
e82566, eq. 7). Pairs of a stimulus with its own copy are left out. A few comparisons have no
weighted form (tau, whitened): there the variance over stimuli is the jackknife's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.learn.scoring.intervals import p_value
from neuroloom.representation.rsa import similarity
from neuroloom.representation.rsa.rdm import stimuli_of, to_pairs, to_square

Floats = NDArray[np.float64]
WEIGHTED = ("spearman", "pearson", "cosine")
WORK = 4e9  # pairs of stimuli, times rows, times resamples: about a minute
FEWEST = 200


@dataclass(frozen=True)
class Resamples:
    """Similarities of models in resamples: (resample, model) of each kind.

    Attributes
    ----------
    mean
        With the mean RDM of subjects.
    single
        Mean over subjects of the similarity with each.
    """

    mean: Floats
    single: Floats


@dataclass(frozen=True)
class Spread:
    """Covariance of models' similarities (model, model), and the degrees of freedom behind it."""

    mean: Floats
    single: Floats
    freedom: int


def similarities(models: Floats, subjects: Floats, method: str) -> tuple[Floats, Floats]:
    """Return each model's similarity with the mean subject, and with every subject.

    Parameters
    ----------
    models, subjects
        Shapes (model, pair) and (subject, pair).

    Returns
    -------
    Shapes (model,) and (model, subject).
    """
    mean = np.nanmean(subjects, 0)
    whole = similarity.compare_rdms(models, mean, method)[:, 0]
    return whole, np.column_stack(
        [similarity.compare_rdms(models, one, method)[:, 0] for one in subjects]
    )


def spread(
    models: Floats,
    subjects: Floats,
    method: str,
    rng: np.random.Generator,
    n: int = 1000,
) -> Spread:
    """Return how much models' similarities would vary with other stimuli and other subjects.

    Parameters
    ----------
    models, subjects
        Shapes (model, pair) and (subject, pair).
    method
        As `compare_rdms` has it.
    n
        Resamples of each of three bootstraps; fewer, and at least 200, where RDMs are large.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=190)
    >>> seen = truth + rng.normal(size=(5, 190))
    >>> found = spread(truth[None], seen, "pearson", rng, n=200)
    >>> bool(0 < found.single[0, 0] < 0.02)
    True
    """
    models, subjects = _known(models, subjects)
    stimuli = stimuli_of(models.shape[1])
    rows = len(models) + 2 * len(subjects)
    n = int(min(n, max(FEWEST, WORK / (models.shape[1] * rows))))
    people = len(subjects)
    if method not in WEIGHTED:
        return _jackknife(models, subjects, method, rng, n)
    one, all_of_them = np.ones((n, stimuli)), np.ones((n, people))
    drawn = _counts(stimuli, n, rng)
    over_stimuli = resample(models, subjects, method, drawn, all_of_them)
    if people < 2:
        return Spread(_covariance(over_stimuli.mean), _covariance(over_stimuli.single), stimuli - 1)
    chosen = _counts(people, n, rng)
    over_people = resample(models, subjects, method, one[:1], chosen)
    both = resample(models, subjects, method, _counts(stimuli, n, rng), _counts(people, n, rng))
    parts = [
        _corrected(
            *(_covariance(getattr(part, kind)) for part in (over_stimuli, over_people, both))
        )
        for kind in ("mean", "single")
    ]
    return Spread(parts[0], parts[1], min(stimuli, people) - 1)


def _known(models: Floats, subjects: Floats) -> tuple[Floats, Floats]:
    """Put a NaN wherever any RDM has one, so that all know the same pairs."""
    lacking = ~(np.isfinite(models).all(0) & np.isfinite(subjects).all(0))
    return np.where(lacking, np.nan, models), np.where(lacking, np.nan, subjects)


def _counts(size: int, n: int, rng: np.random.Generator) -> Floats:
    """Draw how often each of `size` things is in a resample; three different ones at least."""
    fewest = min(3, size)
    counts = rng.multinomial(size, np.full(size, 1 / size), size=n)
    while (poor := (counts > 0).sum(1) < (fewest if size > 3 else 1)).any():
        counts[poor] = rng.multinomial(size, np.full(size, 1 / size), size=int(poor.sum()))
    return counts.astype(float)


def resample(
    models: Floats, subjects: Floats, method: str, stimuli: Floats, people: Floats
) -> Resamples:
    """Compare models with subjects in resamples, exactly: ranks are taken anew in each.

    Parameters
    ----------
    stimuli
        Shape (resample or 1, stimulus): how often each is in.
    people
        Shape (resample, subject).
    """
    rows, others = np.triu_indices(stimuli.shape[1], 1)
    known = np.isfinite(models[0])
    models, subjects = np.nan_to_num(models), np.nan_to_num(subjects)
    a, b = (_Rows(x, method) for x in (models, subjects))
    mean, single = [], []
    fixed = len(stimuli) == 1
    average: _Rows | None = None
    before = people[0]
    for number, heads in enumerate(people):
        if number == 0 or not fixed:
            counts = stimuli[0 if fixed else number]
            weight = counts[rows] * counts[others] * known
            own = a.standard(weight)
            each = own @ b.standard(weight).T
        if average is None or not np.array_equal(heads, before):
            average, before = _Rows((heads @ subjects / heads.sum())[None], method), heads
        whole = average.standard(weight)
        mean.append((own @ whole.T)[:, 0])
        single.append(each @ heads / heads.sum())
    return Resamples(np.array(mean), np.array(single))


class _Rows:
    """Rows of pairs that are standardised under many weights; ties are found once."""

    def __init__(self, values: Floats, method: str) -> None:
        self.values, self.method = values, method
        self.groups = [np.unique(row, return_inverse=True)[1] for row in values]
        self.groups = self.groups if method == "spearman" else []

    def standard(self, weight: Floats) -> Floats:
        """Return rows whose inner products are weighted correlations (or cosines)."""
        rows = self.values
        if self.groups:
            rows = np.stack([_weighted_ranks(group, weight) for group in self.groups])
        if self.method != "cosine":
            rows = rows - (rows @ weight / weight.sum())[:, None]
        scaled = rows * np.sqrt(weight)
        with np.errstate(invalid="ignore", divide="ignore"):
            return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def _weighted_ranks(group: NDArray[np.int64], weight: Floats) -> Floats:
    """Return mid-ranks of values, numbered by `group`, that are there `weight` times."""
    mass = np.bincount(group, weight)
    return (np.cumsum(mass) - mass / 2)[group]


def _covariance(values: Floats) -> Floats:
    known = values[np.isfinite(values).all(1)]
    return np.atleast_2d(np.cov(known.T)) if len(known) > 1 else np.zeros((values.shape[1],) * 2)


def _corrected(stimuli: Floats, people: Floats, both: Floats) -> Floats:
    """Return the corrected covariance, its variances between the larger one alone and both."""
    variance = np.diag(2 * (stimuli + people) - both)
    low = np.maximum(np.diag(stimuli), np.diag(people))
    return _scaled(2 * (stimuli + people) - both, np.clip(variance, low, np.diag(both).clip(low)))


def _scaled(covariance: Floats, variance: Floats) -> Floats:
    out = covariance.copy()
    np.fill_diagonal(out, variance)
    return out


def _jackknife(
    models: Floats, subjects: Floats, method: str, rng: np.random.Generator, n: int
) -> Spread:
    stimuli, people = stimuli_of(models.shape[1]), len(subjects)
    squares = [to_square(x) for x in (models, subjects)]
    groups = np.array_split(rng.permutation(stimuli), min(stimuli, 100))
    mean, single = [], []
    for left_out in groups:
        kept = np.delete(np.arange(stimuli), left_out)
        parts = [to_pairs(square[:, kept][:, :, kept]) for square in squares]
        whole, each = similarities(parts[0], parts[1], method)
        mean.append(whole)
        single.append(each.mean(1))
    factor = (len(groups) - 1) ** 2 / len(groups)
    covariances = [np.atleast_2d(np.cov(np.array(x).T)) * factor for x in (mean, single)]
    if people < 2:
        return Spread(covariances[0], covariances[1], stimuli - 1)
    each = similarities(models, subjects, method)[1]
    over_people = np.atleast_2d(np.cov(each)) / people
    return Spread(
        covariances[0] + over_people, covariances[1] + over_people, min(stimuli, people) - 1
    )


def interval(
    value: float, variance: float, freedom: int, level: float = 0.95
) -> tuple[float, float]:
    """Return Student's interval of a similarity, inside [-1, 1].

    Examples
    --------
    >>> [round(end, 2) for end in interval(0.5, 0.01, 30)]
    [0.3, 0.7]
    """
    from scipy.special import stdtrit

    half = float(stdtrit(max(freedom, 1), (1 + level) / 2)) * float(np.sqrt(max(variance, 0.0)))
    return max(-1.0, value - half), min(1.0, value + half)


def permutation_test(
    models: Floats, mean: Floats, method: str, rng: np.random.Generator, n: int = 1000
) -> Floats:
    """Return p of each model, one-sided: its stimuli are put in random order.

    Parameters
    ----------
    models
        Shape (model, pair).
    mean
        Shape (pair,): the RDM that they are compared with.

    Examples
    --------
    >>> truth = np.random.default_rng(0).normal(size=190)
    >>> p = permutation_test(truth[None], truth, "spearman", np.random.default_rng(1), n=99)
    >>> float(p[0])
    0.01
    """
    size = stimuli_of(models.shape[1])
    observed = similarity.compare_rdms(models, mean, method)[:, 0]
    if method == "spearman" and np.isfinite(mean).all() and np.isfinite(models).all():
        # Ranks only move with their stimuli.
        models, mean, method = similarity.ranks(models), similarity.ranks(mean), "pearson"
    square, upper = to_square(mean), np.triu_indices(size, 1)
    n = int(min(n, max(99, WORK / (models.shape[1] * (len(models) + 1)))))
    null = np.empty((n, len(models)))
    for number in range(n):
        order = rng.permutation(size)
        mixed = square[np.ix_(order, order)][upper]
        null[number] = similarity.compare_rdms(models, mixed, method)[:, 0]
    return np.array([p_value(value, null[:, k]) for k, value in enumerate(observed)])


def differences(names: list[str], values: Floats, covariance: Floats, freedom: int) -> pd.DataFrame:
    """Compare each model with each other one, on the same resamples.

    Parameters
    ----------
    names, values
        Of the models (model,).
    covariance
        Shape (model, model), of `spread`.
    freedom
        Degrees of freedom of Student's t.

    Returns
    -------
    A row a pair: first, second, difference, low, high, p, p_holm.

    Examples
    --------
    >>> table = differences(["a", "b"], np.array([0.9, 0.1]), np.eye(2) * 0.001, 10)
    >>> bool(table["p"][0] < 0.001)
    True
    """
    from scipy.special import stdtr

    rows = []
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        variance = covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]
        gap = float(values[i] - values[j])
        half = interval(0.0, variance, freedom)[1]
        error = float(np.sqrt(max(variance, 1e-300)))
        p = float(2 * stdtr(max(freedom, 1), -abs(gap) / error))
        row = {"first": names[i], "second": names[j], "difference": gap}
        rows.append(row | {"low": gap - half, "high": gap + half, "p": p})
    table = pd.DataFrame(rows, columns=["first", "second", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(float)))


def holm(p: Floats) -> Floats:
    """Return p-values that hold for all tests together (Holm 1979).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04])).tolist()
    [0.02, 0.04]
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out
