"""The outcome of each case, and folds in which outcomes are dealt evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.dataset import Dataset, Task
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.split import Fold, check_classes, unit_keys
from neuroloom.volumes.radiomics.table import is_number_target
from neuroloom.volumes.whole.columns import as_word, numbers_of, or_missing

if TYPE_CHECKING:
    import pandas as pd


def outcome_of(
    rows: pd.DataFrame,
    target: str | None,
    time: str | None,
    event: str | None,
    task: Task | None = None,
    *,
    labelled: bool = True,
) -> tuple[list[Any], np.ndarray | None, Task]:
    """Return the label of each row (None where unknown), time and event, and the task.

    Parameters
    ----------
    task
        Of a stored run, which settles it for new data.
    labelled
        Whether the rows are learnt from or judged; without, the columns need not be there, and what
        cannot be read is unknown.

    Raises
    ------
    DataError
        If a column is missing, a number cannot be read, a time is not positive, an event is neither
        0 nor 1, or nobody that is learnt from has one.

    Examples
    --------
    >>> import pandas as pd
    >>> outcome_of(pd.DataFrame({"grade": ["low", "high", ""]}), "grade", None, None)[0]
    ['low', 'high', None]
    """
    names = [name for name in (target, time, event) if name is not None]
    if lacking := [name for name in names if name not in rows]:
        if labelled:
            raise DataError(
                f"There is no column '{lacking[0]}' to learn.{nearest(lacking[0], list(rows))} "
                f"Known: {', '.join(str(column) for column in rows)}."
            )
        rows = rows.assign(**dict.fromkeys(lacking))
    if time is not None and event is not None:
        truth = _survival(rows, time, event, labelled=labelled)
        if task is None and not (truth[np.isfinite(truth).all(1), 1] == 1).any():
            raise DataError(f"Column {event}: no case has the event, so there is nothing to learn.")
        known = np.isfinite(truth).all(1)
        return _or_none(np.where(known, truth[:, 0], np.nan)), truth, "survival"
    values = rows[str(target)].astype(object).map(or_missing)
    if task == "regression" or (task is None and is_number_target(values.tolist())):
        numbers = _numbers(values, rows, "Mend or empty it.", labelled=labelled)
        return _or_none(numbers), None, "regression"
    return [as_word(value) for value in values], None, "classification"


def _or_none(numbers: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in numbers]


def _numbers(values: pd.Series, rows: pd.DataFrame, advice: str, *, labelled: bool) -> np.ndarray:
    """Return numbers, NaN where unknown, and of rows that are only predicted where unreadable."""
    import pandas as pd

    if not labelled:
        return pd.to_numeric(values, errors="coerce").to_numpy(float)
    return numbers_of(values, str(values.name), rows["name"], advice).to_numpy(float)


def _survival(rows: pd.DataFrame, time: str, event: str, *, labelled: bool) -> np.ndarray:
    """Return time and event of each row, NaN where unknown."""
    truth = np.full((len(rows), 2), np.nan)
    said = "a time must be positive", "an event is 1, none is 0"
    for column, name in enumerate((time, event)):
        values = rows[name].astype(object).map(or_missing)
        numbers = _numbers(values, rows, f"Write numbers: {said[column]}.", labelled=labelled)
        odd = np.isfinite(numbers) & ((numbers <= 0) if column == 0 else ~np.isin(numbers, (0, 1)))
        if odd.any() and labelled:
            row = int(np.flatnonzero(odd)[0])
            place, value = rows["name"].iloc[row], numbers[row]
            raise DataError(f"{place}: {name} is {value:g}; {said[column]}.")
        truth[:, column] = np.where(odd, np.nan, numbers)
    return truth


def strata_of(dataset: Dataset) -> np.ndarray:
    """Return what is dealt evenly: the class, the third that a number is in, or the event."""
    if dataset.task == "survival" and dataset.truth is not None:
        return dataset.truth[:, 1].astype(int)
    if dataset.task == "classification":
        return dataset.y
    return np.searchsorted(np.quantile(dataset.y, (1 / 3, 2 / 3)), dataset.y)


def stratified_folds(dataset: Dataset, by: str, folds: int, seed: int) -> list[Fold]:
    """Deal whole units (subjects) to folds, class by class.

    Raises
    ------
    ConfigError
        If there are fewer units than folds.
    """
    keys = np.asarray(unit_keys(dataset.table, by))
    units, first = np.unique(keys, return_index=True)
    if folds > len(units):
        raise ConfigError(f"folds={folds} is more than the {len(units)} {by}s in the data.")
    strata = strata_of(dataset)[first]
    rng = np.random.default_rng(seed)
    order = np.concatenate([
        rng.permutation(np.flatnonzero(strata == value)) for value in np.unique(strata)
    ])  # fmt: skip
    fold_of = np.empty(len(units), int)
    fold_of[order] = np.arange(len(units)) % folds
    number = fold_of[np.searchsorted(units, keys)]
    made = []
    for k in range(folds):
        test = np.flatnonzero(number == k)
        names = [str(keys[row]) for row in test]
        made.append(Fold(f"part {k + 1} of {folds}", np.flatnonzero(number != k), test, names))
    for fold in made if dataset.task == "classification" else ():
        check_classes(fold, dataset.y, dataset.classes)
    return made
