"""From label arrays to rows of predictions, one a case and class, and back to scores of cases.

A dense job keeps no voxels in `predictions.parquet` but what judges them: counts, which add up, and
distances. `rows_of_case` makes the rows of one case; `scores_of_cases` reads a table of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures import overlap, surface
from neuroloom.learn.dense.measures.overlap import Classes, Floats
from neuroloom.learn.scoring.scores import mean_known

COUNTED = ("tp", "fp", "fn", "tn")
DISTANCES = ("nsd", "hd95", "asd")
COLUMNS = ("class", *COUNTED, *DISTANCES, "undefined", "volume_true", "volume_pred")
MARKS = frozenset({"class", *COUNTED, "volume_true", "volume_pred"})
SCORES = ("dice", "nsd", "hd95", "volume_error")


def rows_of_case(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    classes: Classes,
    tolerance: float = 1.0,
    ignore: int | None = None,
    voxel: float | None = None,
) -> list[dict[str, Any]]:
    """Return what judges one case: a row for each class.

    Parameters
    ----------
    truth, predicted
        Integer labels (*axes) of two or three axes on one grid.
    spacing
        Distance of voxel centres along each axis: mm or um, ones where only pixels are known.
    classes
        Name -> label, or the labels that form a region: ``{"whole": (1, 2), "core": 2}``.
    tolerance
        Within which two surfaces agree (NSD), in the unit of the spacing; 1 mm, or one pixel.
    ignore
        Label of the truth whose voxels count nowhere (unlabelled parts of scribbles).
    voxel
        Volume of a voxel; None: the product of the spacing, as axes at right angles have it.

    Returns
    -------
    Rows with `COLUMNS`, then y_true and y_pred: the two volumes again, in the cubed (2-D: squared)
    unit of the spacing. What is undefined is NaN, and `undefined` says why (`EMPTY_RULES`).

    Examples
    --------
    >>> a, b = np.zeros((2, 8, 8), int)
    >>> a[2:6, 2:6], b[2:6, 2:5] = 1, 1
    >>> row = rows_of_case(a, b, (0.5, 0.5), {"cell": 1})[0]
    >>> row["tp"], row["fn"], row["volume_true"], row["hd95"]
    (12, 4, 4.0, 0.5)
    """
    a, b = overlap.without_ignored(truth, predicted, ignore)
    left_out = 0 if ignore is None else int((np.asarray(truth) == ignore).sum())
    counted = overlap.counts_of(a, b, classes)
    voxel = float(np.prod(spacing)) if voxel is None else voxel
    rows = []
    for number, (name, labels) in enumerate(classes.items()):
        tp, fp, fn, tn = (int(part[number]) for part in counted)
        row: dict[str, Any] = {"class": name, "tp": tp, "fp": fp, "fn": fn, "tn": tn - left_out}
        mine, theirs = overlap.mask_of(a, labels), overlap.mask_of(b, labels)
        row |= _distances(mine, theirs, spacing, tolerance)
        row |= {"volume_true": (tp + fn) * voxel, "volume_pred": (tp + fp) * voxel}
        rows.append(row | {"y_true": row["volume_true"], "y_pred": row["volume_pred"]})
    return rows


def _distances(
    truth: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    spacing: Sequence[float],
    tolerance: float,
) -> dict[str, Any]:
    found = surface.surface_distances(truth, predicted, spacing)
    return {
        "nsd": surface.nsd(found, tolerance),
        "hd95": surface.hd95(found),
        "asd": surface.average_symmetric(found),
        "undefined": found.reason,
    }


def scores_of_cases(
    rows: pd.DataFrame, case: NDArray[np.int64], classes: Sequence[str]
) -> tuple[NDArray[np.int64], dict[str, Floats]]:
    """Return every score of every case, for each class and as the mean over its classes.

    Parameters
    ----------
    rows
        Rows of one model and seed, with `MARKS` and, where known, nsd and hd95.
    case
        Number of the case of each row.
    classes
        Names in order. A class that a case lacks, or a score that is undefined, is left out of the
        case's mean.

    Returns
    -------
    The cases (n,) in order, and name -> (n,): "dice", "dice/<class>", "nsd" …, and "volume_true",
    "volume_pred", summed over classes.

    Raises
    ------
    DataError
        If a class is unknown or a case has two rows of one class.

    Examples
    --------
    >>> rows = pd.DataFrame({"class": ["a", "b"], "tp": [1, 0], "fp": [0, 1], "fn": 0, "tn": 9,
    ...     "volume_true": [1.0, 0.0], "volume_pred": [1.0, 1.0]})
    >>> scores_of_cases(rows, np.array([4, 4]), ["a", "b"])[1]["dice"].tolist()
    [0.5]
    """
    cases, place = np.unique(case, return_inverse=True)
    column = _columns(rows, place, classes)
    grids: dict[str, Floats] = {}
    for name in (*COUNTED, "nsd", "hd95", "volume_true", "volume_pred"):
        grids[name] = np.full((cases.size, len(classes)), np.nan)
        if name in rows:
            grids[name][place, column] = rows[name].to_numpy(dtype=float)
    grids["dice"] = overlap.dice(*(grids[name] for name in COUNTED))
    grids["volume_error"] = overlap.volume_error(grids["volume_true"], grids["volume_pred"])
    out = {name: np.nansum(grids[name], axis=1) for name in ("volume_true", "volume_pred")}
    for name in SCORES:
        out[name] = mean_known(grids[name])
        out |= {f"{name}/{part}": grids[name][:, k] for k, part in enumerate(classes)}
    return cases, out


def dice_of_cases(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the mean Dice over its classes of each example, of rows of one model and seed.

    Examples
    --------
    >>> rows = pd.DataFrame({"example": ["a", "a"], "tp": [1, 0], "fp": [0, 1], "fn": 0, "tn": 9})
    >>> dice_of_cases(rows).to_dict()
    {'a': 0.5}
    """
    own = overlap.dice(*(rows[name].to_numpy() for name in COUNTED))
    return rows.assign(dice=own).groupby("example", sort=False)["dice"].mean()


def score_units_of_cases(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the Dice of each split unit: the mean over its cases and seeds, and their range.

    Parameters
    ----------
    predictions
        Rows of all roles and seeds, with columns example, unit, seed and role.

    Returns
    -------
    Columns unit, value, low, high (the worst and best case), n, and baseline where there is one.
    """
    classes = [str(name) for name in predictions["class"].unique()]
    parts = []
    for (role, _), rows in predictions.groupby(["role", "seed"], sort=False):
        number, names = pd.factorize(rows["example"])
        dice = scores_of_cases(rows, number, classes)[1]["dice"]
        unit = rows.drop_duplicates("example")["unit"].to_numpy()
        parts.append(pd.DataFrame({"case": names, "unit": unit, "role": role, "dice": dice}))
    known = pd.concat(parts).groupby(["role", "unit", "case"], sort=False)["dice"].mean()
    by = known.groupby(["role", "unit"], sort=False).agg(["mean", "min", "max", "count"])
    table = by.loc["model"].set_axis(["value", "low", "high", "n"], axis=1).reset_index()
    if "baseline" in by.index.get_level_values("role"):
        table["baseline"] = table["unit"].map(by.loc["baseline"]["mean"])
    return table


def _columns(
    rows: pd.DataFrame, place: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.int64]:
    """Return the number of each row's class."""
    names = rows["class"].astype(str)
    column = pd.Index(list(classes)).get_indexer(names).astype(np.int64)
    if (column < 0).any():
        odd = names.iloc[int(np.flatnonzero(column < 0)[0])]
        raise DataError(f"Column class holds '{odd}', expected one of {list(classes)}.")
    twice = pd.Index(place * len(classes) + column).duplicated()
    if twice.any():
        first = rows.iloc[int(np.flatnonzero(twice)[0])]
        name = first.get("example", first.get("case", ""))
        raise DataError(
            f"Case '{name}' has two rows of class '{first['class']}' for one model and seed; "
            "expected one row for each case, class, seed and role."
        )
    return column
