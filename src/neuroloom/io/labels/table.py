"""The table that DeepLabCut and Lightning Pose share: one row a frame, columns in levels.

The levels are `scorer, bodyparts, coords`, with `individuals` after the scorer where there are
several animals. A row is named by a number, by "labeled-data/video/img.png", or by the same in
three cells.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.pandas_h5 import read_frame

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
KEY = "df_with_missing"
_COORDS = ("x", "y", "likelihood")


@dataclass(frozen=True, eq=False)
class PointTable:
    """A table of points with its names.

    Attributes
    ----------
    rows
        Name of each row, its cells joined by "/".
    values
        Shape (row, individual, keypoint, 3): x, y, likelihood; NaN where there is none.
    keypoints, individuals, scorer
        Names; individuals are empty where the table has no such level.
    present
        Shape (individual, keypoint): which have columns.
    has_likelihood
        Whether there are columns of likelihood.
    index_cells
        In how many cells a row's name stands: 1 or 3.
    """

    rows: tuple[str, ...]
    values: np.ndarray
    keypoints: tuple[str, ...]
    individuals: tuple[str, ...]
    scorer: str
    present: np.ndarray
    has_likelihood: bool = False
    index_cells: int = 1


def read_table(path: Path) -> PointTable:
    """Read a table of points from .csv or .h5.

    Raises
    ------
    DataError
        If it is empty, damaged or no such table, naming the row and the column.
    """
    path = Path(path)
    frame = read_frame(path) if path.suffix.lower() in (".h5", ".hdf5") else _read_csv(path)
    return _split(path, frame)


def is_table(path: Path) -> bool:
    """Say whether a .csv begins as such a table does."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as handle:
            first = [line.split(",")[0].strip() for _, line in zip(range(4), handle, strict=False)]
    except (OSError, UnicodeDecodeError):
        return False
    return {"scorer", "bodyparts", "coords"} <= set(first)


def write_table(path: Path, table: PointTable, layout: str = "fixed") -> Path:
    """Write a table of points to .csv or .h5, as pandas does for DeepLabCut.

    Parameters
    ----------
    path
        The file.
    table
        What to write.
    layout
        Of .h5: "fixed" for labels, "table" for tracks.
    """
    frame, path = to_frame(table), Path(path)
    if path.suffix.lower() == ".csv":
        return write_atomic(path, lambda partial: frame.to_csv(partial, lineterminator="\n"))
    return write_atomic(path, lambda p: frame.to_hdf(p, key=KEY, mode="w", format=layout))


def to_frame(table: PointTable) -> pd.DataFrame:
    """Return the table as DeepLabCut holds it in memory.

    Examples
    --------
    >>> zeros, every = np.zeros((1, 1, 2, 3)), np.ones((1, 2), bool)
    >>> made = PointTable(("0",), zeros, ("a", "b"), (), "me", every)
    >>> list(to_frame(made).columns)[-1]
    ('me', 'b', 'y')
    """
    import pandas as pd

    coords = _COORDS if table.has_likelihood else _COORDS[:2]
    labels, columns = [], []
    for i, j in np.argwhere(table.present):
        who = (table.individuals[i],) if table.individuals else ()
        for k, coord in enumerate(coords):
            labels.append((table.scorer, *who, table.keypoints[j], coord))
            columns.append(table.values[:, i, j, k])
    levels = LEVELS if table.individuals else (LEVELS[0], *LEVELS[2:])
    index = _index(table)
    names = pd.MultiIndex.from_tuples(labels, names=levels)
    return pd.DataFrame(np.stack(columns, axis=1), index=index, columns=names)


def _index(table: PointTable) -> pd.Index:
    import pandas as pd

    if table.index_cells > 1:
        cells = [tuple(row.split("/", table.index_cells - 1)) for row in table.rows]
        return pd.MultiIndex.from_tuples(cells)
    numbers = all(row.isdigit() for row in table.rows)
    return pd.Index([int(row) for row in table.rows] if numbers else list(table.rows))


def _read_csv(path: Path) -> pd.DataFrame:
    """Read the levels by hand and the numbers exactly."""
    import pandas as pd

    heads = _heads(path)
    lead = _leading(heads)
    levels = {row[0].strip(): [cell.strip() for cell in row[lead:]] for row in heads}
    try:
        body = pd.read_csv(
            path, skiprows=len(heads), header=None, **_exact(pd.__version__),
            encoding="utf-8-sig", dtype=dict.fromkeys(range(lead), str), low_memory=False,
        )  # fmt: skip
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: has no rows below its header; label a frame first.") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the table is damaged: {error}.") from error
    width = lead + len(levels["coords"])
    if body.shape[1] != width:
        raise DataError(f"{path}: the header has {width} columns, the rows have {body.shape[1]}.")
    names = [name for name in LEVELS if name in levels]
    columns = pd.MultiIndex.from_arrays([levels[name] for name in names], names=names)
    return _numbers(path, body, lead, columns, len(heads))


def _exact(version: str) -> dict[str, Any]:
    """Return how pandas is asked for exact numbers; from 3.1 on it reads no others."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return {"float_precision": "round_trip"} if (major, minor) < (3, 1) else {}


def _numbers(
    path: Path, body: pd.DataFrame, lead: int, columns: pd.MultiIndex, heads: int
) -> pd.DataFrame:
    """Return the cells as numbers under their names; text among them is named."""
    import pandas as pd

    cells = body.iloc[:, lead:]
    for place, kind in enumerate(cells.dtypes):
        if kind.kind not in "fiu":
            column = pd.to_numeric(cells.iloc[:, place], errors="coerce")
            wrong = column.isna() & cells.iloc[:, place].notna()
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{path}: line {row + heads + 1}, column {'/'.join(map(str, columns[place]))}: "
                    f"expected a number, got '{cells.iloc[row, place]}'."
                )
    names = body.iloc[:, :lead].fillna("")
    index = pd.MultiIndex.from_frame(names) if lead > 1 else pd.Index(names.iloc[:, 0])
    numbers = cells.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    return pd.DataFrame(numbers, index=index, columns=columns)


def _heads(path: Path) -> list[list[str]]:
    """Return the header's rows."""
    heads: list[list[str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            for row in csv.reader(handle):
                if not row or row[0].strip() not in LEVELS:
                    break
                heads.append(row)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no table of text ({error}).") from error
    found = [row[0].strip() for row in heads]
    if "bodyparts" not in found or "coords" not in found or len({len(row) for row in heads}) > 1:
        size = path.stat().st_size
        raise DataError(
            f"{path}: is no table of points: expected header rows scorer, bodyparts, coords of one "
            f"length, got {', '.join(found) or ('nothing' if not size else 'none of them')}."
        )
    return heads


def _leading(heads: list[list[str]]) -> int:
    """Return in how many cells the name of a row stands."""
    lead = 1
    while lead < len(heads[0]) and all(not row[lead].strip() for row in heads):
        lead += 1
    return lead


def _split(path: Path, frame: pd.DataFrame) -> PointTable:
    """Order the columns by individual and point."""
    columns = frame.columns
    if columns.nlevels not in (3, 4):
        raise DataError(f"{path}: expected columns of 3 or 4 levels, got {columns.nlevels}.")
    if not len(frame):
        raise DataError(f"{path}: has no rows below its header; label a frame first.")
    labels = [tuple(map(str, label)) for label in columns]
    who = [label[1] if len(label) == 4 else "" for label in labels]
    individuals, keypoints = list(dict.fromkeys(who)), list(dict.fromkeys(x[-2] for x in labels))
    values = np.full((len(frame), len(individuals), len(keypoints), 3), np.nan)
    present = np.zeros(values.shape[1:], bool)
    numbers = frame.to_numpy(float)
    for place, (label, one) in enumerate(zip(labels, who, strict=True)):
        if label[-1] not in _COORDS:  # the variance of an ensemble, for example
            continue
        at = (individuals.index(one), keypoints.index(label[-2]), _COORDS.index(label[-1]))
        if present[at]:
            raise DataError(f"{path}: the column {'/'.join(label)} stands twice.")
        present[at] = True
        values[:, *at] = numbers[:, place]
    lone = present[..., 0] != present[..., 1]
    if lone.any():
        raise DataError(f"{path}: '{keypoints[int(np.argwhere(lone)[0][1])]}' lacks x or y.")
    rows = frame.index
    names = ["/".join(map(str, row)) if rows.nlevels > 1 else str(row) for row in rows]
    return PointTable(
        rows=tuple(name.replace("\\", "/") for name in names),
        values=values,
        keypoints=tuple(keypoints),
        individuals=tuple(individuals) if columns.nlevels == 4 else (),
        scorer=labels[0][0],
        present=present[..., 0],
        has_likelihood=bool(present[..., 2].any()),
        index_cells=rows.nlevels,
    )
