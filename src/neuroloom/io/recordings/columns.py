"""Text tables of numbers, read with errors that name the row; and recordings built from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import template_positions
from neuroloom.io.recordings.formats.raw import window, within
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def read_table(path: Path, separator: str, head: bool = True) -> pd.DataFrame:
    """Read a text table, every row of which has as many fields as its first.

    Raises
    ------
    DataError
        If a row is shorter or longer than the head, or the file is no text.
    """
    import pandas as pd

    content = path.read_bytes()
    lines = content.splitlines()
    _check_rows(path, lines, separator.encode(), head)
    first = 0 if head else None
    try:
        return pd.read_csv(BytesIO(content), sep=separator, header=first, low_memory=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a table: {str(error).rstrip('.')}.") from error


def _check_rows(path: Path, lines: list[bytes], separator: bytes, head: bool) -> None:
    filled = [(i + 1, line) for i, line in enumerate(lines) if line.strip()]
    if len(filled) < 1 + head:
        raise DataError(f"{path}: holds a head and no row of numbers below it.")
    wanted = filled[0][1].count(separator)
    wrong = next((item for item in filled if item[1].count(separator) != wanted), None)
    if wrong is None:
        return
    row, got = wrong[0], wrong[1].count(separator) + 1
    if row == filled[-1][0] and got <= wanted:
        raise DataError(
            f"{path}: cut in its last row, {row}: expected {wanted + 1} fields, got {got}; copy "
            "the file again."
        )
    raise DataError(f"{path}: row {row}: expected {wanted + 1} fields like the first, got {got}.")


def read_matrix(path: Path, separator: str) -> np.ndarray:
    """Return a table of numbers without a head as float64, shape (row, column)."""
    table = read_table(path, separator, head=False)
    return numbers(path, table, list(table.columns), head=False)


def numbers(
    path: Path, table: pd.DataFrame, columns: Sequence[Any], head: bool = True
) -> np.ndarray:
    """Return columns as float64, shape (row, column); an empty cell is NaN.

    Raises
    ------
    DataError
        Naming the first cell that is no number by row and column.
    """
    import pandas as pd

    found = np.empty((len(table), len(columns)))
    for k, name in enumerate(columns):
        values = pd.to_numeric(table[name], errors="coerce")
        bad = values.isna() & table[name].notna()
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"{path}: row {row + 1 + head}, column '{name}': expected a number, got "
                f"'{table[name].iloc[row]}'."
            )
        found[:, k] = values
    return found


def is_number(cell: str) -> bool:
    """Tell whether a cell of a text table is a finite number."""
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def recording_of(
    header: Header,
    data: np.ndarray,
    path: Path,
    start: float | None = None,
    stop: float | None = None,
    positions: np.ndarray | None = None,
) -> xr.DataArray:
    """Build the recording, or its window from `start` to `stop` (s), of what a reader loaded.

    Parameters
    ----------
    data
        Shape (channel, time), V.
    positions
        Shape (channel, 3), m; those of the 10-05 template by name if not given.
    """
    first, last = window(path, data.shape[1], header.rate, start, stop)
    offset = first / header.rate
    recording = signal(
        np.ascontiguousarray(data[:, first:last], dtype=float),
        header.channels,
        header.rate,
        types=header.types,
        positions=template_positions(header.channels) if positions is None else positions,
        annotations=within(header.annotations, offset, (last - first) / header.rate),
        source=path.name,
    )
    recording.attrs["notes"] = list(header.notes)
    if header.trial is not None:
        trial = round(header.trial * header.rate)
        recording.attrs |= {"trials": trial, "trial_seconds": header.trial}
    recording.attrs |= {"offset": offset} if offset else {}
    return recording


def stretches(codes: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (first, last + 1, code) of every stretch of one code that is not 0.

    Examples
    --------
    >>> stretches(np.array([0, 2, 2, 1, 0]))
    [(1, 3, 2), (3, 4, 1)]
    """
    starts = np.flatnonzero(np.diff(codes, prepend=0))
    ends = np.append(starts[1:], len(codes))
    return [
        (int(start), int(end), int(codes[start]))
        for start, end in zip(starts, ends, strict=True)
        if codes[start] != 0
    ]


def annotation_rows(rows: Sequence[tuple[float, float, str]]) -> pd.DataFrame:
    """Return the annotations of (onset, duration, label), sorted by onset."""
    import pandas as pd

    table = pd.DataFrame(
        {
            "onset": np.array([row[0] for row in rows], dtype=float),
            "duration": np.array([row[1] for row in rows], dtype=float),
            "label": pd.Series([row[2] for row in rows], dtype=str),
        }
    )
    return table.sort_values("onset", kind="stable").reset_index(drop=True)
