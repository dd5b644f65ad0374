"""The outcome of each case, and folds in which outcomes are dealt evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.dataset import Dataset, Task
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.split import Fold, check_classes, unit_keys
from neuroloom.volumes.radiomics.table import is_number_target

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = ("", "n/a", "nan", "na", "none", "unknown", "-")


def outcome_of(
    rows: pd.DataFrame,
    target: str | None,
    time: str | None,
    event: str | None,
    task: Task | None = None,
) -> tuple[list[Any], np.ndarray | None, Task]:
    """Return the label of each row (None where unknown), time and event, and the task.

    Parameters
    ----------
    task
        Of a stored run, whose new data need not have the columns.

    Raises
    ------
    DataError
        If a column is missing, a time is not positive, or an event is neither 0 nor 1.

    Examples
    --------
    >>> import pandas as pd
    >>> outcome_of(pd.DataFrame({"grade": ["low", "high", ""]}), "grade", None, None)[0]
    ['low', 'high', None]
    """
    for name in (target, time, event):
        if name is not None and name not in rows:
            if task is not None:
                truth = np.full((len(rows), 2), np.nan) if task == "survival" else None
                return [None] * len(rows), truth, task
            columns = ", ".join(str(column) for column in rows)
            raise DataError(
                f"There is no column '{name}' to learn.{nearest(name, list(rows))} "
                f"Known: {columns}."
            )
    if time is not None and event is not None:
        return _survival(rows, time, event)
    values = [_known(value) for value in rows[str(target)]]
    numbers = task == "regression" or (task is None and is_number_target(values))
    if numbers:
        return [None if value is None else float(value) for value in values], None, "regression"
    return [None if value is None else _text(value) for value in values], None, "classification"


def _known(value: Any) -> Any:
    missing = value is None or value != value or str(value).strip().lower() in UNKNOWN
    return None if missing else value


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _survival(rows: pd.DataFrame, time: str, event: str) -> tuple[list[Any], np.ndarray, Task]:
    import pandas as pd

    truth = np.full((len(rows), 2), np.nan)
    for column, name in enumerate((time, event)):
        numbers = pd.to_numeric(rows[name].map(_known), errors="coerce").to_numpy(float)
        odd = np.isfinite(numbers) & ((numbers <= 0) if column == 0 else ~np.isin(numbers, (0, 1)))
        if odd.any():
            row = int(np.flatnonzero(odd)[0])
            what = "a time must be positive" if column == 0 else "an event is 1, none is 0"
            raise DataError(f"{rows['name'].iloc[row]}: {name} is {numbers[row]:g}; {what}.")
        truth[:, column] = numbers
    known = np.isfinite(truth).all(1)
    if not truth[known, 1].any():
        raise DataError(f"Column {event}: no case has the event, so there is nothing to learn.")
    return (
        [t if k else None for t, k in zip(truth[:, 0].tolist(), known, strict=True)],
        truth,
        ("survival"),
    )


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
