"""Tables that people made by hand, in whatever way their spreadsheet writes text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import DataError
from neuroloom.core.files import text_of
from neuroloom.io.names import MISSING

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def read_sheet(file: Path, rows: int | None = None) -> pd.DataFrame:
    r"""Return a CSV or TSV as words, "" where a cell is empty; its columns are called as its head.

    Columns are parted by commas, semicolons or tabs; those without a name are left out.
    Where they are not parted by commas, numbers with a decimal comma get a point, unless all of a
    column could be thousands ("1,234").

    Parameters
    ----------
    rows
        How many are read from the top; None: all.

    Raises
    ------
    DataError
        If it is no table.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.csv"
    ...     _ = file.write_bytes("id;größe\n007;1,5\n".encode("cp1252"))
    ...     read_sheet(file).to_dict("records")
    [{'id': '007', 'größe': '1.5'}]
    """
    import pandas as pd

    try:
        text = text_of(file.read_bytes())
        mark = separator_of(text, file.suffix)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        filled = (line for line in lines if any(map(str.strip, line)))
        head = next(filled, None)
        if head is None:
            raise ValueError("it is empty")
        cells = list(islice(filled, rows))
        table = pd.DataFrame(_even(head, cells), columns=head, dtype=object)
    except (ValueError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a table: {error}.") from error
    table = table.loc[:, [bool(name.strip()) for name in head]]
    return table if mark == "," else table.apply(_with_points)


def separator_of(text: str, suffix: str = ".csv") -> str:
    r"""Return what parts the columns of a table's head: commas, semicolons or tabs.

    Examples
    --------
    >>> separator_of("id;age\n1;2,5"), separator_of("id", ".tsv")
    (';', '\t')
    """
    head = text.partition("\n")[0]
    usual = "\t" if suffix.lower() == ".tsv" else ","
    return max((usual, ",", ";", "\t"), key=head.count)


def numbers_or_words(column: Iterable[str]) -> list[Any]:
    """Return numbers if all cells are that say something, else words; "01" is one.

    Examples
    --------
    >>> numbers_or_words(["45", "n/a", "6.5"]), numbers_or_words(["2", "", "3a"])
    ([45, None, 6.5], ['2', None, '3a'])
    >>> numbers_or_words(["01", "10"]), numbers_or_words([".5", "-2"])
    (['01', '10'], [0.5, -2])
    """
    words = [cell.strip() for cell in column]
    if all(word in MISSING or _NUMBER.fullmatch(word) for word in words):
        return [None if word in MISSING else _number(word) for word in words]
    return [word or None for word in words]


def _number(word: str) -> float:
    return float(word) if "." in word or "e" in word.lower() else int(word)


def _even(head: list[str], cells: list[list[str]]) -> list[list[str]]:
    """Return rows as long as the head; rows of R begin with a name that has no column.

    Raises
    ------
    ValueError
        If a row says more than there are columns.
    """
    width = len(head)
    if cells and all(len(row) == width + 1 and row[-1].strip() for row in cells):
        cells = [row[1:] for row in cells]
    for number, row in enumerate(cells, start=2):
        if any(map(str.strip, row[width:])):
            raise ValueError(f"row {number} has {len(row)} cells, its head has {width} columns")
    return [(row + [""] * width)[:width] for row in cells]


def _with_points(column: pd.Series) -> pd.Series:
    """Return a column with points for decimal commas, if it holds nothing but numbers."""
    words = column.str.strip()
    told = [word for word in words if word not in MISSING]
    commas = [word for word in told if _COMMA.fullmatch(word)]
    plain = all(_NUMBER.fullmatch(word) and "." not in word for word in {*told} - {*commas})
    if not plain or all(_THOUSAND.fullmatch(word) for word in commas):
        return column
    return words.str.replace(",", ".", regex=False)
