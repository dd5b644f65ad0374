"""What a careful reader would object to, found before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import DataError
from neuroloom.core.files import write_json
from neuroloom.core.split import Fold, stated_sides

if TYPE_CHECKING:
    import pandas as pd

ALMOST = 0.99  # an AUC or a rank correlation that makes a column doubtful
ENOUGH = 20  # examples of which that is no chance


@dataclass(frozen=True)
class Finding:
    """One thing the audit noticed.

    A *note* informs, a *warning* asks for a look, an *objection* stamps the report.
    """

    severity: Literal["note", "warning", "objection"]
    title: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)


def keep_findings(findings: Iterable[Finding], folder: Path | None) -> list[dict[str, str]]:
    """Return findings of new data as plain data, each once; written to a folder if there is one."""
    found = [finding.as_dict() for finding in dict.fromkeys(findings)]
    if folder is not None:
        write_json(folder / "audit.json", found)
    return found


def audit_split(dataset: Dataset, folds: list[Fold], by: str) -> list[Finding]:
    """Judge a split: dependent examples torn apart, classes tied to files, few examples."""
    table = dataset.table
    found = [*_random(table, by), *_class_is_file(dataset, by), *_shared(table, folds, by)]
    found += [*_left_out(table, folds, by), *_test_is_learnt(table, folds)]
    return found + _small(dataset, folds)


def _test_is_learnt(table: pd.DataFrame, folds: list[Fold]) -> list[Finding]:
    """Say that examples which the data call test are learnt from."""
    learnt = {int(row) for fold in folds for row in fold.train}
    rows = [row for row, side in enumerate(stated_sides(table)) if side == "test" and row in learnt]
    if not rows:
        return []
    return [
        Finding(
            "warning",
            "What the data call test is learnt from",
            f"A column `split` or a folder calls {len(rows)} examples test "
            f"({table['name'].iloc[rows[0]]}, …), and the settings say another split. "
            "`test` with their names holds them out.",
        )
    ]


def _left_out(table: pd.DataFrame, folds: list[Fold], by: str) -> list[Finding]:
    """Say whom a split of each subject alone could not split."""
    judged = {fold.group for fold in folds}
    if judged <= {""}:
        return []
    names = [name for name in sorted(table["subject"].astype(str).unique()) if name not in judged]
    if not names:
        return []
    return [
        Finding(
            "warning",
            "Some subjects are left out",
            f"{', '.join(names)}: too little data to split one subject alone by {by}, so these "
            "are neither learnt from nor scored. Add recordings, or choose another split.",
        )
    ]


def audit_seen(paths: Sequence[str], hashes: dict[str, str], learnt: set[str]) -> list[Finding]:
    """Object to files that a model is scored on and has learnt from.

    Parameters
    ----------
    paths
        Of each example.
    hashes
        Path -> SHA-256 of the content.
    learnt
        Such hashes of what the model learnt from.

    Examples
    --------
    >>> audit_seen(["a.edf", "b.edf"], {"a.edf": "1f", "b.edf": "2e"}, {"2e"})[0].title
    'Scored on what it learnt from'
    """
    told, shown = _of_learnt(paths, hashes, learnt)
    if not told:
        return []
    return [
        Finding(
            "objection",
            "Scored on what it learnt from",
            f"{told} that this model has learnt from ({shown}): the scores are too good and say "
            "nothing of new data. The run's own metrics are of held-out examples.",
        )
    ]


def audit_baseline(
    paths: Sequence[str], hashes: dict[str, str], learnt: set[str], name: str
) -> list[Finding]:
    """Warn of files that only the baseline has learnt from: beside the model it stands too high.

    On a part of the examples it would not stand beside the model: it is left out of all.

    Parameters
    ----------
    paths, hashes
        As of `audit_seen`.
    learnt
        Hashes of what the baseline has learnt from and the model has not.
    name
        Of the baseline.

    Examples
    --------
    >>> audit_baseline(["a.edf"], {"a.edf": "2e"}, {"2e"}, "csp-lda")[0].title
    'The baseline is left out'
    """
    told, shown = _of_learnt(paths, hashes, learnt)
    if not told:
        return []
    some = any(hashes.get(path) not in learnt for path in paths)
    return [
        Finding(
            "warning",
            "The baseline is left out",
            f"{told} that the baseline, {name}, has learnt from and the model has not ({shown}): "
            "its scores would be too good. The run's own metrics are of examples that both had "
            "not seen." + (" To score both, name the other files with `include`." if some else ""),
        )
    ]


def _of_learnt(paths: Sequence[str], hashes: dict[str, str], learnt: set[str]) -> tuple[str, str]:
    """Say how many examples are of learnt files, and which files these are; "" if none."""
    seen = [path for path in paths if hashes.get(path) in learnt]
    if not seen:
        return "", ""
    files = list(dict.fromkeys(seen))
    shown = ", ".join(files[:5]) + (", …" if len(files) > 5 else "")
    return f"{len(seen)} of {len(paths)} examples are of files", shown


def refuse_duplicates(hashes: dict[str, str]) -> None:
    """Stop if two recordings are the same file under two names.

    Parameters
    ----------
    hashes
        Path -> SHA-256 of the content.

    Raises
    ------
    DataError
        Naming both files.
    """
    seen: dict[str, str] = {}
    for path, value in hashes.items():
        if value in seen:
            raise DataError(
                f"{path} is a copy of {seen[value]}: the same recording would stand on both sides "
                "of a split. Leave one out with `include`, or delete it."
            )
        seen[value] = path


def refuse_shared(dataset: Dataset, folds: list[Fold]) -> None:
    """Refuse a test set that has examples of a subject who is also learnt from.

    Raises
    ------
    DataError
        Naming the subjects and one of their examples on each side.
    """
    subjects = dataset.table["subject"].astype(str).to_numpy()
    names = dataset.table["name"].astype(str).to_numpy()
    for fold in folds:
        learnt = dict(zip(subjects[fold.train], names[fold.train], strict=True))
        torn = {subjects[row]: names[row] for row in fold.test if subjects[row] in learnt}
        if torn:
            shown = [f"{own} ({torn[own]}, {learnt[own]})" for own in list(torn)[:5]]
            raise DataError(
                f"test has {len(torn)} subject{'s' * (len(torn) > 1)} on both sides: "
                f"{', '.join(shown)}{', …' * (len(torn) > 5)}. Name all that is of a subject in "
                "`test`, or none; `--split session` or `run` says that seen people are meant."
            )


def _random(table: pd.DataFrame, by: str) -> list[Finding]:
    if by != "random":
        return []
    per_file = len(table) / max(1, table["path"].nunique())
    return [
        Finding(
            "objection",
            "Random split of dependent examples",
            f"Examples were dealt to folds at random, {per_file:.0f} from each recording: "
            "neighbours in time stand on both sides, so the score is too good. Split by subject, "
            "session, run or time before you quote it.",
        )
    ]


def _class_is_file(dataset: Dataset, by: str) -> list[Finding]:
    """Notice that every recording holds one class only.

    An image, or what else is one example with one label as a whole, can hold no other: that is no
    finding. A recording that one trial is cut from could.
    """
    table = dataset.table
    if "rate" not in dataset.facts and table["path"].is_unique:
        return []
    if dataset.task != "classification" or table["path"].nunique() < 2:
        return []
    if table.groupby("path")["label"].nunique().max() > 1:
        return []
    return [
        Finding(
            "objection" if by in ("random", "time") and table["path"].nunique() <= 4 else "warning",
            "The class is the file",
            f"Each of the {table['path'].nunique()} recordings holds one class only. Whatever else "
            "differs between the recordings (time of day, gel, impedance, mains) can be learnt in "
            "place of the class; only several recordings of each class, held out whole, tell.",
        )
    ]


def _shared(table: pd.DataFrame, folds: list[Fold], by: str) -> list[Finding]:
    """Notice subjects on both sides of the split."""
    subjects = table["subject"].astype(str).to_numpy()
    both = {s for f in folds for s in set(subjects[f.train]) & set(subjects[f.test])}
    if not both:
        return []
    many = len(set(subjects)) > 1
    how = "`test` names only some of theirs" if by == "subject" else f"split={by}"
    return [
        Finding(
            "warning" if many else "note",
            "The same people in training and test",
            f"{len(both)} of {len(set(subjects))} subjects stand on both sides ({how}): the "
            "score says how well a model fits people it has seen"
            + (", not new people." if many else "; nothing is said of other people."),
        )
    ]


def _small(dataset: Dataset, folds: list[Fold]) -> list[Finding]:
    if dataset.task != "classification":
        return []
    counts = dataset.table["label"].value_counts()
    found = []
    if counts.max() > 3 * counts.min():
        found.append(
            Finding(
                "warning",
                "Unequal classes",
                f"{counts.index[0]} has {counts.max()} examples, {counts.index[-1]} only "
                f"{counts.min()}: read balanced accuracy, not accuracy.",
            )
        )
    smallest = min((len(fold.train) for fold in folds), default=0)
    if smallest < 20:
        found.append(
            Finding("warning", "Few examples", f"A fold learns from {smallest} examples only.")
        )
    return found


def tell_tale(features: np.ndarray, y: np.ndarray, names: list[str]) -> list[tuple[str, float]]:
    """Return columns that alone tell two classes apart almost perfectly while most do not.

    Parameters
    ----------
    features
        Shape (example, column).
    y
        Class index of each example.

    Returns
    -------
    list
        (name, AUC) of at most one in twenty columns, and one at least; AUC >= 0.99 against any
        other class. Empty with fewer than 20 examples.
    """
    if len(y) < ENOUGH or features.size == 0:
        return []
    best = auc_alone(features, y)
    hits = np.flatnonzero(best >= ALMOST)
    if len(hits) > max(1, features.shape[1] // 20):
        return []
    return [(names[i], float(best[i])) for i in hits]


def auc_alone(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how well each column alone tells some class from all others (column,).

    AUC of the class that it tells best, in whichever direction: 0.5 or more.

    Examples
    --------
    >>> auc_alone(np.array([[1.0, 3], [2, 3], [9, 3]]), np.array([0, 0, 1])).tolist()
    [1.0, 0.5]
    """
    best = np.zeros(features.shape[1])
    ranks = _ranks(features)
    for k in np.unique(y):
        inside = y == k
        n1, n0 = inside.sum(), (~inside).sum()
        auc = (ranks[inside].sum(0) - n1 * (n1 + 1) / 2) / (n1 * n0)
        best = np.maximum(best, np.maximum(auc, 1 - auc))
    return best


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of every column with `y`, 0 for constant columns.

    Examples
    --------
    >>> rank_correlation(np.array([[1.0, 3], [2, 2], [9, 1]]), np.array([1, 2, 3])).tolist()
    [1.0, -1.0]
    """
    a, b = _ranks(x), _ranks(y)
    a, b = a - a.mean(0), b - b.mean()
    size = np.sqrt((a**2).sum(0) * (b**2).sum())
    return np.divide(a.T @ b, size, out=np.zeros(len(size)), where=size > 0)


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(values, axis=0)
