"""Cells and columns of a table: what is missing, a number, a word; columns that join an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError, nearest
from neuroloom.io.names import MISSING

if TYPE_CHECKING:
    import pandas as pd

OURS = ("name", "subject", "session", "run", "path", "image", "label", "split")
_MOST_LEVELS = 10
_SHOWN = 5
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def or_missing(value: Any) -> Any:
    """Return a cell of a table, or None where it says that nothing is known.

    Examples
    --------
    >>> [or_missing(cell) for cell in ("none", "n/a", "", float("nan"), 0)]
    ['none', None, None, None, 0]
    """
    missing = value is None or value != value or str(value).strip() in MISSING
    return None if missing else value


def as_word(value: Any) -> str | None:
    """Return a cell as the name of a class: "1" for 1.0, without blanks around it.

    Examples
    --------
    >>> [as_word(cell) for cell in (1.0, " mild", None)]
    ['1', 'mild', None]
    """
    if value is None or value != value:
        return None
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def numbers_of(values: pd.Series, name: str, where: Sequence[str], advice: str = "") -> pd.Series:
    """Return the cells of a column (`or_missing`) as numbers, NaN where missing.

    Parameters
    ----------
    where
        What a row is called in an error.
    advice
        What can be done where a cell is no number.

    Raises
    ------
    DataError
        Naming the first cell that is no number.

    Examples
    --------
    >>> import pandas as pd
    >>> numbers_of(pd.Series(["34.5", None]), "months", ["a", "b"]).tolist()
    [34.5, nan]
    """
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    unfit = np.flatnonzero(numbers.isna() & values.notna())
    if len(unfit):
        row, value = list(where)[unfit[0]], str(values.iloc[unfit[0]])
        said = f"{row}: the column '{name}' says {value!r}, which is no number. "
        raise DataError(said + (_point(value) or advice))
    return numbers


def words_among_numbers(values: Sequence[Any]) -> list[int]:
    """Return the places of the words in a column most of whose cells are numbers, else none.

    A number with a decimal comma is a word that is like a number.

    Examples
    --------
    >>> words_among_numbers(["45", "50", "unknown", None, 61]), words_among_numbers(["1", "b"])
    ([2], [])
    """
    known = [k for k, value in enumerate(values) if or_missing(value) is not None]
    words = [k for k in known if not _is_number(values[k])]
    unlike = [k for k in words if not _point(values[k])]
    return words if 2 * len(unlike) < len(known) else []


def odd_words(words: Sequence[str], what: str) -> list[Finding]:
    """Warn of words that differ in nothing but case or blanks, and of those that say nothing.

    Parameters
    ----------
    what
        What the words are, such as "classes".

    Examples
    --------
    >>> [one.title for one in odd_words(["Tumor", "tumor", "none", "?"], "classes")]
    ['Words that are nearly alike', 'Words that say nothing']
    """
    return [*_nearly_alike(words, what), *_empty(words, what)]


def _nearly_alike(words: Sequence[str], what: str) -> list[Finding]:
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault("".join(word.split()).casefold(), []).append(word)
    pairs = [" and ".join(map(repr, group)) for group in groups.values() if len(group) > 1]
    if not pairs:
        return []
    said = (
        f"Of the {what}, {'; '.join(pairs)} differ only by case or blanks, and count as different"
    )
    return [Finding("warning", "Words that are nearly alike", f"{said}: spell alike what is one.")]


def _empty(words: Sequence[str], what: str) -> list[Finding]:
    odd = [word for word in words if word.strip("-?. ").casefold() in ("", "unknown", "missing")]
    if not odd:
        return []
    said = f"Of the {what}, {', '.join(map(repr, odd))} may mean that nothing is known, and counts"
    advice = "like any other: empty these cells if so."
    return [Finding("warning", "Words that say nothing", f"{said} {advice}")]


@dataclass(frozen=True)
class Column:
    """A column of the table that joins the image, as one number or one a level.

    Attributes
    ----------
    name
        Of the column.
    levels
        Values of a column of words; one indicator each but the first. Empty for numbers.
    """

    name: str
    levels: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return max(1, len(self.levels) - 1)

    def encode(self, values: Sequence[Any], names: Sequence[str] = ()) -> np.ndarray:
        """Return (n, width) float32, NaN where unknown.

        Parameters
        ----------
        names
            Of the rows, for errors.

        Raises
        ------
        DataError
            If a word is none of the levels, or no number where numbers are needed.

        Examples
        --------
        >>> Column("sex", ("F", "M")).encode(["M", "F", None]).ravel().tolist()
        [1.0, 0.0, nan]
        """
        known = [or_missing(value) for value in values]
        unfit = [k for k, value in enumerate(known) if value is not None and not self._fits(value)]
        if unfit:
            raise DataError(self._complaint(known, names, unfit))
        rows = [self._numbers(value) for value in known]
        return np.array(rows, np.float32).reshape(len(known), self.width)

    def _fits(self, value: Any) -> bool:
        return as_word(value) in self.levels if self.levels else _is_number(value)

    def _numbers(self, value: Any) -> list[float]:
        if value is None:
            return [np.nan] * self.width
        if not self.levels:
            return [float(value)]
        return [float(as_word(value) == level) for level in self.levels[1:]] or [0.0]

    def _complaint(self, known: list[Any], names: Sequence[str], unfit: list[int]) -> str:
        words = list(dict.fromkeys(repr(str(known[k])) for k in unfit))
        where = f" ({', '.join(str(names[k]) for k in unfit[:_SHOWN])})" if len(names) else ""
        said = f"tabular: the column '{self.name}' says {', '.join(words[:_SHOWN])}{where}"
        if self.levels:
            return f"{said}, known are {', '.join(self.levels)}: write the words as the run does."
        return f"{said}, which is no number. {_point(known[unfit[0]]) or 'Mend or empty it.'}"


def read_columns(table: pd.DataFrame, names: Sequence[str]) -> list[Column]:
    """Return how columns become numbers.

    Raises
    ------
    DataError
        If a column is missing or empty, or has some words among numbers, decimal commas, or more
        than ten different values that are not all numbers.
    """
    for name in names:
        if name not in table:
            raise DataError(
                f"tabular: there is no column '{name}'.{nearest(name, columns_of(table))} "
                f"Known: {', '.join(columns_of(table)) or 'none'}."
            )
    rows = table.get("path", table.index)
    return [_column(name, table[name].tolist(), list(rows)) for name in names]


def _column(name: str, cells: Sequence[Any], rows: Sequence[Any]) -> Column:
    """Return a column of numbers or levels."""
    values = [value for value in map(or_missing, cells) if value is not None]
    if not values:
        raise DataError(f"tabular: the column '{name}' is empty in all rows: leave it out.")
    words = sorted({str(as_word(v)) for v in values if not _is_number(v)})
    if advice := next(filter(None, map(_point, words)), ""):
        raise DataError(f"tabular: the column '{name}' has commas for points. {advice}")
    if few := words_among_numbers(cells):
        raise DataError(
            f"tabular: the column '{name}' says {told_cells(cells, rows, few)} where most cells "
            "are numbers: mend or empty these. If its numbers stand for classes, write them all as "
            "words (grade 2)."
        )
    levels = sorted({str(as_word(v)) for v in values}) if words else []
    if len(levels) > _MOST_LEVELS:
        raise DataError(
            f"tabular: the column '{name}' has {len(levels)} different values that are not all "
            f"numbers ({words[0]}, …); a column of numbers or of up to {_MOST_LEVELS} classes "
            "is needed."
        )
    return Column(name, tuple(levels))


def told_cells(cells: Sequence[Any], rows: Sequence[Any], places: Sequence[int]) -> str:
    """Return different cells, each with the first row that says so.

    Examples
    --------
    >>> told_cells(["-", 2, "-", "?"], ["a", "b", "c", "d"], [0, 2, 3])
    "'-' (a), '?' (d)"
    """
    first: dict[str, Any] = {}
    for k in places:
        first.setdefault(str(cells[k]), rows[k])
    said = [f"{word!r} ({row})" for word, row in first.items()]
    return ", ".join(said[:_SHOWN]) + (", …" if len(said) > _SHOWN else "")


def columns_of(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table that may be learnt or joined."""
    return [name for name in table if name not in OURS and name != "folder"]


def _point(value: Any) -> str:
    """Say how a number with a decimal comma is written; empty for anything else."""
    text = str(value).strip()
    if not _COMMA.fullmatch(text):
        return ""
    point = text.replace(",", ".")
    if _THOUSAND.fullmatch(text):
        return f"Write {text.replace(',', '')} or {point} for {text}, whichever is meant."
    return f"Write {point} for {text}."


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
