"""Folds of connectomes: whole sites, or subjects of each class and site alike."""

from __future__ import annotations

import numpy as np

from neuroloom.connectivity.connectomes.examples import Deal
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.split import Fold, check_classes, unit_keys

SEVERAL = 20


def deal(dataset: Dataset, how: Deal) -> list[Fold] | None:
    """Return the folds, or None where the house's own split fits.

    `site` leaves each site out in turn (or so many of them together as `folds` makes). Subjects,
    from twenty on, are dealt so that each fold has its share of every class and site; nodes of one
    graph, so that each has its share of every type.

    Raises
    ------
    ConfigError
        If there is one site only.
    """
    if how.fixed or how.per or how.folds == 0:
        if how.by == "site":
            raise ConfigError(
                "split=site leaves sites out in turn: give neither test, per nor folds=0."
            )
        return None
    table = dataset.table
    if how.by == "site":
        keys = table["site"].astype(str).to_numpy()
        count = len(np.unique(keys))
        if count < 2:
            raise ConfigError(
                f"split=site needs two sites or more, the data hold one ('{keys[0]}')."
            )
        if how.folds and how.folds > count:
            raise ConfigError(f"folds={how.folds} is more than the {count} sites.")
        return _checked(
            dataset, dealt(keys, np.zeros(len(keys)), how.folds or count, how.seed, "site")
        )
    if dataset.facts["level"] == "node":
        if how.by != "time":
            return None
        keys = table["name"].astype(str).to_numpy()
        return _checked(dataset, dealt(keys, dataset.y, how.folds or 5, how.seed, "part"))
    if how.by != "subject" or how.folds == 1 or table["subject"].nunique() < SEVERAL:
        return None
    keys = np.asarray(unit_keys(table, how.by))
    folds = how.folds or 10
    if folds >= len(np.unique(keys)):
        return None
    return _checked(dataset, dealt(keys, _strata(dataset), folds, how.seed, "part"))


def _strata(dataset: Dataset) -> np.ndarray:
    if dataset.task == "classification":
        own = dataset.y
    else:
        own = np.searchsorted(np.quantile(dataset.y, (1 / 3, 2 / 3)), dataset.y)
    site = np.unique(dataset.table["site"].astype(str), return_inverse=True)[1]
    return own * (site.max() + 1) + site


def _checked(dataset: Dataset, folds: list[Fold]) -> list[Fold]:
    for fold in folds if dataset.task == "classification" else ():
        check_classes(fold, dataset.y, dataset.classes)
    return folds


def dealt(keys: np.ndarray, strata: np.ndarray, folds: int, seed: int, word: str) -> list[Fold]:
    """Deal whole units to folds, stratum by stratum.

    Examples
    --------
    >>> made = dealt(np.array(list("abcd")), np.array([0, 0, 1, 1]), 2, 0, "part")
    >>> [len(fold.test) for fold in made]
    [2, 2]
    """
    units, first, of = np.unique(keys, return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    own = strata[first]
    order = np.concatenate([rng.permutation(np.flatnonzero(own == k)) for k in np.unique(own)])
    # One unit a fold needs no dealing: in the order of their names.
    order = np.arange(len(units)) if folds == len(units) else order
    number = np.empty(len(units), int)
    number[order] = np.arange(len(units)) % folds
    made = []
    for k in range(folds):
        test = np.flatnonzero(number[of] == k)
        inside = sorted(set(keys[test].tolist()))
        name = f"{word} {inside[0]}" if len(inside) == 1 else f"{word} {k + 1} of {folds}"
        rest = np.flatnonzero(number[of] != k)
        made.append(Fold(name, rest, test, [str(keys[row]) for row in test]))
    return made
