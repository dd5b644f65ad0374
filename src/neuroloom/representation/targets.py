"""Tables of labels and judgements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.errors import DataError

NAMES = ("label", "labels", "class", "category", "condition", "target")


def read_table(path: Path, header: bool = True) -> pd.DataFrame:
    """Return a table whose columns are parted by commas, semicolons or tabs, as its first line is.

    Parameters
    ----------
    header
        Whether its first line has the names of the columns.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        first = handle.readline()
    # Pandas' own guess would part a single column at any letter.
    sign = max(",;\t", key=first.count)
    return pd.read_csv(path, sep=sign, header=0 if header else None, encoding="utf-8-sig")


def read_labels(path: Path, judgements: bool = False) -> Any:
    """Return the labels of a table as columns, or judgements (judgement, 3).

    Parameters
    ----------
    path
        `.csv`, `.tsv`, `.txt` or `.npy`. Of a table's columns that called label, class, category,
        condition or target is taken; else the last.

    Raises
    ------
    DataError
        If it cannot be read, or a label is missing.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
            return values if judgements else [pd.Series(values)]
        if path.name.endswith(".stim.csv"):
            from neuroloom.representation.stimuli import read_stim_csv

            table = read_stim_csv(path)[1]
        elif judgements:
            table = pd.read_csv(path, sep=r"[,;\s]+", engine="python", header=None, comment="#")
            return table.apply(pd.to_numeric, errors="coerce").dropna().to_numpy()
        else:
            table = read_table(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: is no table ({str(error).splitlines()[0]}).") from error
    usual = [name for name in table.columns if str(name).lower() in NAMES]
    column = table[usual[0] if usual else table.columns[-1]]
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DataError(f"{path}, row {row + 2}: the label in '{column.name}' is missing.")
    return [column]
