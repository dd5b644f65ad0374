"""Splits by who, never by slice: subject, session, run, contiguous time, or (named) random.

A split is a list of `Fold`s over the rows of a dataset's table. The *unit* of a row is what was
kept together; intervals are bootstrapped over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.dataset import UNITS
from neuroloom.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

LEAVE_ONE_OUT_UP_TO = 10
TIME_SHARE = 0.2
# What a column `split` says, or a folder is called, and the side that is meant.
_SIDES = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """How examples are divided.

    Attributes
    ----------
    by
        "subject", "session", "run", "time" or "random"; None takes the first that has two values.
    folds
        N for N folds, 1 for one split, 0 for none; None for leave-one-out up to ten units, else ten
        folds; one split in time; five at random.
    test
        Names of examples, paths or runs, or globs over them: fixed held-out examples.
    per
        "subject" to split (and fit) every subject apart.
    gap
        Seconds kept free between training and held-out stretches of one recording.
    """

    by: str | None = None
    folds: int | None = None
    test: tuple[str, ...] = ()
    per: str | None = None
    gap: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Fold:
    """Rows to learn from and rows to judge on; `units` is aligned with `test`.

    `by` says what the units are, where that need not be what was held out whole.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    units: list[str] = field(default_factory=list)
    group: str = ""
    by: str = ""


def default_unit(table: pd.DataFrame) -> str:
    """Return the widest unit with at least two values: subject, session, run, else "time"."""
    for unit in UNITS:
        if len(set(unit_keys(table, unit))) > 1:
            return unit
    return "time"


def unit_keys(table: pd.DataFrame, unit: str) -> list[str]:
    """Return a name for each row's unit; a run is told from the same run of another subject."""
    above = UNITS[: UNITS.index(unit) + 1]
    telling = [name for name in above if name == unit or table[name].nunique(dropna=False) > 1]
    return ["/".join(map(str, row)) for row in table[telling].itertuples(index=False)]


def make_folds(table: pd.DataFrame, split: Split) -> list[Fold]:
    """Divide the rows of `table`.

    Raises
    ------
    ConfigError
        If there are fewer units than the split needs, or it contradicts itself.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"path": list("aabb"), "subject": "1", "session": "1",
    ...                      "run": list("1122"), "onset": 0.0, "stop": 1.0, "label": list("xyxy")})
    >>> [fold.test.tolist() for fold in make_folds(rows, Split(by="run"))]
    [[0, 1], [2, 3]]
    """
    if split.folds == 0 and split.test:
        raise ConfigError(
            f"folds=0 fits on everything, test={list(split.test)} holds examples out: leave one of "
            "them out."
        )
    if split.per == "subject":
        return _folds_per_subject(table, split)
    everyone = np.arange(len(table))
    if split.folds == 0:
        return [Fold("all", everyone, everyone[:0])]
    if split.test:
        return [_fixed(table, split)]
    by = split.by or default_unit(table)
    if by == "time":
        return _folds_in_time(table, split)
    if by == "random":
        return _folds_at_random(table, split)
    return _folds_by_unit(table, by, split)


def _folds_per_subject(table: pd.DataFrame, split: Split) -> list[Fold]:
    """Split each subject alone; row numbers refer to the whole table.

    Who cannot be split is left out (the audit says so), unless nobody can.
    """
    inner = Split(split.by, split.folds, split.test, None, split.gap, split.seed)
    folds: list[Fold] = []
    refused: ConfigError | None = None
    for subject in sorted(table["subject"].astype(str).unique()):
        rows = np.flatnonzero(table["subject"].astype(str) == subject)
        try:
            own = make_folds(table.iloc[rows].reset_index(drop=True), inner)
        except ConfigError as error:
            refused = refused or ConfigError(f"Subject {subject}: {error}")
            continue
        folds += [
            replace(
                fold,
                name=f"{subject}: {fold.name}",
                train=rows[fold.train],
                test=rows[fold.test],
                units=[f"{subject}/{unit}" for unit in fold.units],
                group=subject,
            )
            for fold in own
        ]
    if refused and not folds:
        raise refused
    return folds


def _folds_by_unit(table: pd.DataFrame, by: str, split: Split) -> list[Fold]:
    keys = np.asarray(unit_keys(table, by))
    units = np.unique(keys)
    _enough_units(units, by, split.folds)
    rng = np.random.default_rng(split.seed)
    if split.folds == 1:
        share = max(1, round(TIME_SHARE * len(units)))
        parts = [np.sort(rng.permutation(units)[:share])]
    elif split.folds is None and len(units) <= LEAVE_ONE_OUT_UP_TO or split.folds == len(units):
        parts = [units[i : i + 1] for i in range(len(units))]
    else:
        shuffled = rng.permutation(units)
        parts = [np.sort(p) for p in np.array_split(shuffled, split.folds or LEAVE_ONE_OUT_UP_TO)]
    return [_fold_of(f"{by} {', '.join(part)}", np.isin(keys, part), keys) for part in parts]


def _enough_units(units: np.ndarray, by: str, folds: int | None) -> None:
    if len(units) < 2:
        other = "time" if by == "run" else "run or time"
        raise ConfigError(
            f"split={by} needs two {by}s or more, the data hold one ('{units[0]}'). "
            f"Add recordings, name them through `pattern`, or split by {other}."
        )
    if folds and folds > len(units):
        raise ConfigError(f"folds={folds} is more than the {len(units)} {by}s in the data.")


def _fold_of(name: str, held_out: np.ndarray, keys: np.ndarray, by: str = "") -> Fold:
    test = np.flatnonzero(held_out)
    return Fold(name, np.flatnonzero(~held_out), test, [str(keys[row]) for row in test], by=by)


def _folds_in_time(table: pd.DataFrame, split: Split) -> list[Fold]:
    """Hold out the last fifth of every recording, or each of N contiguous stretches in turn."""
    n_blocks = split.folds or 1
    most = int(table["path"].value_counts().max())
    if n_blocks > most:
        raise ConfigError(
            f"folds={n_blocks} is more than the {most} examples of the fullest recording."
        )
    position = np.empty(len(table))
    for rows in table.groupby("path", sort=False).indices.values():
        order = rows[np.argsort(table["onset"].to_numpy()[rows], kind="stable")]
        position[order] = (np.arange(len(order)) + 0.5) / len(order)
    if n_blocks == 1:
        return [_time_fold(table, "the last fifth", position > 1 - TIME_SHARE, split.gap)]
    block = np.minimum((position * n_blocks).astype(int), n_blocks - 1)
    return [
        _time_fold(table, f"part {k + 1} of {n_blocks}", block == k, split.gap)
        for k in range(n_blocks)
    ]


def _time_fold(table: pd.DataFrame, name: str, held_out: np.ndarray, gap: float) -> Fold:
    """Drop training examples that come nearer than `gap` s to a held-out one."""
    train = ~held_out
    onset, stop = table["onset"].to_numpy(float), table["stop"].to_numpy(float)
    for rows in table.groupby("path", sort=False).indices.values():
        inside = rows[held_out[rows]]
        if len(inside) == 0:
            continue
        near = (stop[rows] > onset[inside].min() - gap) & (onset[rows] < stop[inside].max() + gap)
        train[rows[near]] = False
    test = np.flatnonzero(held_out)
    if not train.any() or len(test) == 0:
        raise ConfigError(
            f"split=time leaves {train.sum()} examples to train and {len(test)} to test with a gap "
            f"of {gap:.1f} s (the filter's length). Use longer recordings or another split."
        )
    return Fold(name, np.flatnonzero(train), test, [name] * len(test))


def _folds_at_random(table: pd.DataFrame, split: Split) -> list[Fold]:
    """Deal examples at random, class by class; every example is its own unit."""
    n_folds = split.folds or 5
    if n_folds > len(table):
        raise ConfigError(f"folds={n_folds} is more than the {len(table)} examples.")
    rng = np.random.default_rng(split.seed)
    dealt = np.empty(len(table), int)
    labels = table["label"].astype(str).to_numpy()
    strata = labels if len(set(labels)) <= len(table) / 2 else np.full(len(table), "")
    start = 0
    for label in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == label))
        dealt[rows] = (start + np.arange(len(rows))) % max(n_folds, 5 if n_folds == 1 else n_folds)
        start += len(rows)
    keys = table["name"].astype(str).to_numpy()
    return [_fold_of(f"random {k + 1}", dealt == k, keys) for k in range(n_folds)]


def _fixed(table: pd.DataFrame, split: Split) -> Fold:
    """Hold out what `test` names."""
    wanted = split.test
    held_out = np.zeros(len(table), bool)
    for column in ("name", "path", "run"):
        values = table[column].astype(str)
        held_out |= values.isin(wanted).to_numpy()
        held_out |= values.map(
            lambda value: any(fnmatch(value, w) or fnmatch(Path(value).name, w) for w in wanted)
        ).to_numpy()
    if held_out.all() or not held_out.any():
        what = "every example" if held_out.all() else "no example"
        files = list(dict.fromkeys(table["path"].astype(str)))
        there = ", ".join(files[:5]) + (", …" if len(files) > 5 else "")
        raise ConfigError(
            f"test={list(split.test)} matches {what}; it must hold out some of {there}."
        )
    return _held_out(table, held_out, split.by)


def _held_out(table: pd.DataFrame, held_out: np.ndarray, by: str | None) -> Fold:
    by = by if by in UNITS else default_unit(table[held_out])
    keys = unit_keys(table, by) if by in UNITS else ["held out"] * len(table)
    return _fold_of("held out", held_out, np.asarray(keys), by)


def stated_fold(table: pd.DataFrame) -> Fold | None:
    """Return the split that data state: what they call "test" is held out, "val" is learnt from.

    A column `split` says so; without it, the folders that the paths name, if each names one.

    Returns
    -------
    Fold
        None if nothing is said, or if one side would be empty.

    Raises
    ------
    DataError
        If a subject stands on both sides, or a word is no side.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"name": ["a", "b"], "path": ["train/a.png", "test/b.png"],
    ...                      "subject": ["a", "b"], "session": "1", "run": "1"})
    >>> stated_fold(rows).test.tolist()
    [1]
    """
    sides = stated_sides(table)
    held_out = np.array([side == "test" for side in sides], bool)
    if held_out.all() or not held_out.any():
        return None
    if None in sides:
        row = sides.index(None)
        word = table[_column(table)].iloc[row]
        raise DataError(
            f"{table['name'].iloc[row]}: its split is '{word}', expected train, val or test. Mend "
            "it, or say with `split`, `folds` or `test` what is held out."
        )
    refuse_both_sides(table["subject"].astype(str).tolist(), held_out, "The stated split")
    return _held_out(table, held_out, default_unit(table))


def stated_sides(table: pd.DataFrame) -> list[str | None]:
    """Return "train", "test" or None for each row, by the column `split`, else by the folders."""
    column = _column(table)
    if column is not None:
        return [side_of(word) for word in table[column]]
    folders = [PurePosixPath(str(path)).parent.parts for path in table["path"]]
    sides = [next(filter(None, map(side_of, parts)), None) for parts in folders]
    return [None] * len(sides) if None in sides else sides


def side_of(word: object) -> str | None:
    """Return "train" or "test" for what a table says or a folder is called, None for other words.

    Examples
    --------
    >>> side_of("Validation"), side_of("TEST"), side_of("subjects")
    ('train', 'test', None)
    """
    return _SIDES.get(str(word).strip().casefold())


def _column(table: pd.DataFrame) -> str | None:
    """Return the column that says the side, however it is written."""
    return next((name for name in table if str(name).strip().casefold() == "split"), None)


def refuse_both_sides(subjects: Sequence[str], held_out: np.ndarray, who: str) -> None:
    """Stop if examples of one subject are both learnt from and judged on.

    Raises
    ------
    DataError
        Naming the subject.
    """
    names = np.asarray(subjects)
    both = sorted(set(names[held_out]) & set(names[~held_out]))
    if both and len(set(subjects)) > 1:
        raise DataError(
            f"{who} puts images of subject {both[0]} on both sides"
            + (f" (and of {len(both) - 1} more)" if len(both) > 1 else "")
            + ": a net would recognise the person. Split by subject, or ask for split=random by "
            "name, which stamps the report."
        )


def listed_names(test: list[str]) -> list[str]:
    """Return the lines of a file of names, if that is all there is; names and globs as they are.

    A file that is no text, such as a recording in this very folder, is the name of an example.

    Raises
    ------
    ValueError
        If the file holds no name.

    Examples
    --------
    >>> listed_names(["sub-*_run-2.edf"])
    ['sub-*_run-2.edf']
    """
    if len(test) != 1 or not Path(test[0]).is_file():
        return test
    content = Path(test[0]).read_bytes()
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        return test
    if b"\0" in content:
        return test
    if not any(lines):
        raise ValueError(f"the file {test[0]} holds no name")
    return [line for line in lines if line]


def check_classes(fold: Fold, y: np.ndarray, classes: list[str]) -> None:
    """Refuse a fold whose training side lacks a class.

    Raises
    ------
    DataError
        Naming the fold and the class.
    """
    missing = [name for k, name in enumerate(classes) if not np.any(y[fold.train] == k)]
    if missing:
        raise DataError(
            f"Fold '{fold.name}' has no example of class {', '.join(missing)} to learn from "
            f"({len(fold.train)} training examples). Use fewer folds or another split."
        )
