"""Whether something else tells the label: the site, the scanner, the atlas, the age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.split import Fold

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "about:"
P, TIED, BOUND = 0.01, 0.2, 0.95
FEWEST = 20


def audit_confounds(dataset: Dataset) -> list[Finding]:
    """Object to columns that go with the label, the more if connectomes give them away.

    A column that the label depends on is a warning; if ridge tells the column itself from the
    connectomes better than chance, a score may be the column's, and that is an objection.
    """
    found = []
    for name in covariates_of(dataset.table):
        column = dataset.table[name]
        known = column.notna().to_numpy() & dataset.table["label"].notna().to_numpy()
        if known.sum() < FEWEST or column[known].nunique() < 2:
            continue
        strength, p = association(column[known], _target(dataset, known))
        tied = (strength >= TIED and p < P) or strength >= BOUND
        told = read_from(dataset.x[known], column[known], bool(dataset.facts.get("directed")))
        found += _said(name.removeprefix(PREFIX), tied, strength, p, told)
    return found


def covariates_of(table: pd.DataFrame) -> list[str]:
    """Return the columns that are neither keys nor the label.

    Examples
    --------
    >>> import pandas as pd
    >>> covariates_of(pd.DataFrame(columns=["name", "about:site"]))
    ['about:site']
    """
    return [str(name) for name in table if str(name).startswith(PREFIX)]


def _target(dataset: Dataset, known: np.ndarray) -> pd.Series[Any]:
    return dataset.table["label"][known]


def _said(
    name: str, tied: bool, strength: float, p: float, told: tuple[float, float] | None
) -> list[Finding]:
    seen = told is not None and told[0] > told[1]
    how = "" if told is None else (
        f" Ridge tells {name} from the connectomes with a balanced accuracy of {told[0]:.2f} "
        f"(above {told[1]:.2f} counts as better than chance)."
    )  # fmt: skip
    if tied:
        whole = strength >= BOUND
        return [
            Finding(
                "objection" if seen or whole else "warning",
                f"A confound: {name}",
                f"The label goes with {name} (association {strength:.2f}, p = {p:.1g})."
                + how
                + (" Label and column say the same: no analysis can tell them apart." if whole
                   else " A score may be due to it: read the score within its levels, hold them "
                   "out whole (split=site), or balance them."),
            )
        ]  # fmt: skip
    if seen:
        return [
            Finding(
                "note",
                f"Connectomes show {name}",
                f"The label does not depend on {name} (association {strength:.2f}), but "
                f"the connectomes do.{how} With split=site the score holds for new sites.",
            )
        ]
    return []


def association(column: pd.Series[Any], label: pd.Series[Any]) -> tuple[float, float]:
    """Return how closely a column and the label go together, from 0 to 1, and its p-value.

    Cramer's V with Bergsma's correction of two columns of words, the correlation ratio of words
    and numbers, and |Spearman| of two of numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> strength, p = association(pd.Series(list("aabb") * 9), pd.Series([0, 0, 1, 1] * 9))
    >>> round(strength, 2), p < 0.01
    (1.0, True)
    """
    from scipy import stats

    first, second = _numeric(column), _numeric(label)
    if first and second:
        found = stats.spearmanr(column.astype(float), label.astype(float))
        return abs(float(found.statistic)), float(found.pvalue)
    if not first and not second:
        return _cramer(column.astype(str), label.astype(str))
    words, numbers = (label, column) if first else (column, label)
    parts = [numbers[words == w].to_numpy(float) for w in words.unique()]
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return 0.0, 1.0
    whole = np.concatenate(parts)
    between = sum(len(part) * (part.mean() - whole.mean()) ** 2 for part in parts)
    total = float(((whole - whole.mean()) ** 2).sum())
    p = float(stats.kruskal(*parts).pvalue) if np.ptp(whole) > 0 else 1.0
    return float(np.sqrt(between / total)) if total else 0.0, p


def _numeric(column: pd.Series[Any]) -> bool:
    try:
        values = column.astype(float)
    except (TypeError, ValueError):
        return False
    return bool(values.nunique() > 6)


def _cramer(a: pd.Series[Any], b: pd.Series[Any]) -> tuple[float, float]:
    import pandas as pd
    from scipy import stats

    counts = pd.crosstab(a, b).to_numpy()
    if min(counts.shape) < 2:
        return 0.0, 1.0
    n, (r, k) = counts.sum(), counts.shape
    chi2, p, *_ = stats.chi2_contingency(counts, correction=False)
    phi = max(0.0, chi2 / n - (k - 1) * (r - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return float(min(1.0, np.sqrt(phi / max(1e-9, min(rows, columns) - 1)))), float(p)


def read_from(x: np.ndarray, column: pd.Series[Any], directed: bool) -> tuple[float, float] | None:
    """Return how well ridge reads a column of words from connectomes, and what chance may reach.

    Five folds; the second number is chance and two standard errors. None for columns of numbers,
    and of many levels.
    """
    from neuroloom.connectivity.connectomes.estimators import EdgeRidge

    levels, codes = np.unique(column.astype(str), return_inverse=True)
    counts = np.bincount(codes)
    if _numeric(column) or len(levels) > 20 or counts.min() < 5:
        return None
    rng = np.random.default_rng(0)
    dealt = np.empty(len(codes), int)
    for k in range(len(levels)):
        dealt[rng.permutation(np.flatnonzero(codes == k))] = np.arange(counts[k]) % 5
    told = np.zeros(len(codes), int)
    for fold in range(5):
        held = dealt == fold
        learner = EdgeRidge(
            "ridge", task="classification", n_outputs=len(levels), directed=directed
        )
        learner.fit(x[~held], codes[~held])
        told[held] = learner.predict_scores(x[held]).argmax(1)
    recall = [(told[codes == k] == k).mean() for k in range(len(levels))]
    chance = 1 / len(levels)
    error = np.sqrt(np.mean(chance * (1 - chance) / counts) / len(levels))
    return float(np.mean(recall)), float(chance + 2 * error)


def audit_leave_one_out(dataset: Dataset, folds: list[Fold]) -> list[Finding]:
    """Warn of leaving out one at a time, which puts an honest score of classes below chance."""
    alone = [fold for fold in folds if len(fold.test)]
    single = len(alone) > 2 and all(len(set(fold.units)) == 1 for fold in alone)
    if dataset.task != "classification" or not single or len(alone[0].test) > 1:
        return []
    return [
        Finding(
            "warning",
            "Leave-one-out is biased",
            "Each graph is judged by a fit to all others, in which its own class is the rarer one "
            "by exactly itself: where there is nothing to learn, the score falls below chance, and "
            "differences are hard to read. Prefer folds=10 or fewer, with --permutations.",
        )
    ]


def site_alone(table: pd.DataFrame, column: str, folds: list[Fold], classes: list[str]) -> Any:
    """Return probabilities (n, class) of the label from the site alone, learnt in each fold.

    Rows that were never held out are NaN.
    """
    labels = np.asarray([classes.index(str(one)) for one in table["label"]])
    sites = table[column].astype(str).to_numpy()
    found = np.full((len(table), len(classes)), np.nan)
    for fold in folds:
        overall = np.bincount(labels[fold.train], minlength=len(classes)) / len(fold.train)
        for row in fold.test:
            same = labels[fold.train][sites[fold.train] == sites[row]]
            counts = np.bincount(same, minlength=len(classes)) + 2 * overall
            found[row] = counts / counts.sum()
    return found


def within_levels(
    y: np.ndarray, p: np.ndarray, level: np.ndarray, rng: np.random.Generator, resamples: int = 500
) -> tuple[float, float, float]:
    """Return the AUC of pairs from one level (site) only, with a 95 % interval.

    What a confound adds to a score is not in it. NaN if no level has both classes.

    Examples
    --------
    >>> y, site = np.array([0, 0, 1, 1] * 10), np.array([0, 0, 1, 1] * 10)
    >>> within_levels(y, site * 1.0, site, np.random.default_rng(0))
    (nan, nan, nan)
    """
    groups = [np.flatnonzero(level == one) for one in np.unique(level)]
    groups = [rows for rows in groups if len(np.unique(y[rows])) == 2]
    if not groups:
        return (float("nan"),) * 3
    value = _pairs(y, p, groups)
    drawn = []
    for _ in range(resamples):
        again = [rng.choice(rows, len(rows)) for rows in groups]
        again = [rows for rows in again if len(np.unique(y[rows])) == 2]
        drawn.append(_pairs(y, p, again) if again else np.nan)
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return value, min(float(low), value), max(float(high), value)


def _pairs(y: np.ndarray, p: np.ndarray, groups: list[np.ndarray]) -> float:
    from scipy.stats import rankdata

    won = total = 0.0
    for rows in groups:
        ranks, hit = rankdata(p[rows]), y[rows] == 1
        n1, n0 = int(hit.sum()), int((~hit).sum())
        won += float(ranks[hit].sum() - n1 * (n1 + 1) / 2)
        total += n1 * n0
    return won / total
