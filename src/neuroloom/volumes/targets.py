"""What a whole-image task learns: a column, the folder's name, or an amount in the label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.split import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases

OURS = ("name", "subject", "session", "run", "path", "image", "label", "split")
MISSING = ("", "n/a", "N/A", "nan", "NaN", "NA")
_MOST_LEVELS = 10
_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Amount:
    """A number that is counted in the label: the volume of all classes, or of one.

    Attributes
    ----------
    wanted
        Class, by name or number; "" for everything but 0.
    """

    wanted: str = ""

    @classmethod
    def parse(cls, target: str | None) -> Amount | None:
        """Return the amount that "label:volume" or "label:volume:CLASS" asks for, else None.

        Raises
        ------
        ConfigError
            If it asks for something else of the label.

        Examples
        --------
        >>> Amount.parse("label:volume:anterior"), Amount.parse("age")
        (Amount(wanted='anterior'), None)
        """
        if target is None or not target.startswith("label:"):
            return None
        _, what, *rest = target.split(":", 2)
        if what != "volume":
            raise ConfigError(
                f"target={target}: of a label only its volume is known, 'label:volume' or "
                "'label:volume:CLASS'. For shape and texture see volumes.radiomics."
            )
        return cls(rest[0] if rest else "")

    def mask(
        self, case: Case, classes: Mapping[int, str] | None, ignore: int | None = None
    ) -> np.ndarray | None:
        """Return where the amount is (*axes), bool; None if nobody drew a label.

        Parameters
        ----------
        classes
            Number to name.
        ignore
            Number of what the label leaves open.

        Raises
        ------
        DataError
            If there is no such class, or a part of the label is left open.
        """
        truth = case.truth()
        if truth is None:
            return None
        if truth.shape != tuple(case.shape):
            raise DataError(
                f"{case.name}: its label has the grid {truth.shape}, its image {case.shape}."
            )
        if ignore is not None and (left := int((truth == ignore).sum())):
            raise DataError(
                f"{case.name}: its label leaves {left} voxels open (number {ignore}), so no volume "
                "can be counted: draw them, or leave the case out."
            )
        return truth > 0 if not self.wanted else truth == self._number(classes)

    def _number(self, classes: Mapping[int, str] | None) -> int:
        known = {name: number for number, name in (classes or {}).items()}
        if self.wanted in known:
            return known[self.wanted]
        if self.wanted.isdigit():
            return int(self.wanted)
        raise DataError(
            f"The label has no class '{self.wanted}'.{nearest(self.wanted, known)} "
            + (f"There are {', '.join(known)}." if known else "Its classes have numbers only.")
        )


def with_folders(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `folder`: the nearest that is not called train or test.

    Examples
    --------
    >>> import pandas as pd
    >>> with_folders(pd.DataFrame({"path": ["train/cat/1.png", "test/dog/2.png"]}))[
    ...     "folder"].tolist()
    ['cat', 'dog']
    """
    parents = [PurePosixPath(path).parent.parts for path in table["path"]]
    inner = [next((p for p in reversed(parts) if p not in SIDES), None) for parts in parents]
    return table.assign(folder=inner)


def labels_of(found: FoundCases, target: str | None, *, numbers: bool) -> tuple[pd.Series, str]:
    """Return the target of each case, missing where unknown, and where it comes from.

    Parameters
    ----------
    target
        A column; "folder"; None takes folders that differ, else the only column there is.
    numbers
        Whether a number is wanted.

    Raises
    ------
    DataError
        If there is no such column, or it holds no numbers where they are wanted.
    """
    table = with_folders(found.table)
    name = target or _guess(table)
    if name not in table or name in ("image", "label"):
        raise DataError(
            f"There is no column '{name}' to learn.{nearest(name, columns_of(table))} "
            f"Known: {', '.join(columns_of(table)) or 'none'}; 'folder' for the name of an image's "
            "folder; 'label:volume' for the volume in its label."
        )
    values = _cells(table, name)
    if not numbers:
        return values.map(as_word), name
    return numbers_of(values, name, table["path"], "For classes take volumes.classify."), name


def labels_where_known(found: FoundCases, target: str, *, numbers: bool) -> pd.Series:
    """Return the target of new cases, missing where there is none or it cannot be read."""
    import pandas as pd

    table = with_folders(found.table)
    if target not in table:
        return pd.Series([None] * len(table), dtype=object)
    values = _cells(table, target)
    return pd.to_numeric(values, errors="coerce") if numbers else values.map(as_word)


def of_the_run(rows: pd.DataFrame, classes: Sequence[str], *, labelled: bool) -> pd.DataFrame:
    """Return new rows whose labels are classes of the run.

    Parameters
    ----------
    rows
        With `path` and `label`.
    labelled
        Whether they are judged; without, a label that the run does not know is missing.

    Raises
    ------
    DataError
        Naming the labels of judged rows that the run does not know.
    """
    strange = rows["label"].notna() & ~rows["label"].isin(classes)
    if labelled and strange.any():
        words = sorted(set(rows.loc[strange, "label"]))
        raise DataError(
            f"{rows.loc[strange, 'path'].iloc[0]}: the run does not know the "
            f"class{'es' * (len(words) > 1)} {', '.join(map(repr, words[:5]))}; it learnt "
            f"{', '.join(classes)}. Write classes as the run does, or leave these rows out."
        )
    return rows.assign(label=rows["label"].mask(strange, None))


def without_target(labels: pd.Series, target: str) -> list[Finding]:
    """Say how many examples lack what is to be learnt, if some do.

    Examples
    --------
    >>> import pandas as pd
    >>> without_target(pd.Series(["mild", None, "severe"]), "grade")[0].detail
    "1 of 3 examples have no 'grade': they are not learnt from and not judged."
    """
    lacking = int(labels.isna().sum())
    if not lacking:
        return []
    said = f"{lacking} of {len(labels)} examples have no '{target}': they are not learnt from and"
    return [Finding("note", "Examples without a target", f"{said} not judged.")]


def nearly_alike(words: Sequence[str], what: str) -> list[Finding]:
    """Warn of words that differ in nothing but case or blanks.

    Parameters
    ----------
    what
        What the words are, such as "classes".

    Examples
    --------
    >>> [one.title for one in nearly_alike(["Tumor", "tumor", "none"], "classes")]
    ['Words that are nearly alike']
    """
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


def columns_of(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table that may be learnt or joined."""
    return [name for name in table if name not in OURS and name != "folder"]


def _guess(table: pd.DataFrame) -> str:
    if table["folder"].nunique() > 1:
        return "folder"
    columns = columns_of(table)
    if len(columns) == 1:
        return columns[0]
    raise DataError(
        "Say what is to be learnt with `target`: a column of the table "
        f"({', '.join(columns) or 'there is none'}), 'folder', or 'label:volume'."
    )


def _cells(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column, None where nothing is known; whatever a folder is called is a name."""
    values = table[name].astype(object)
    return values if name == "folder" else values.map(or_missing)


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
        where = f" ({', '.join(str(names[k]) for k in unfit[:5])})" if len(names) else ""
        said = f"tabular: the column '{self.name}' says {', '.join(words[:5])}{where}"
        if self.levels:
            return f"{said}, known are {', '.join(self.levels)}: write the words as the run does."
        return f"{said}, which is no number. {_point(known[unfit[0]]) or 'Mend or empty it.'}"


def read_columns(table: pd.DataFrame, names: Sequence[str]) -> list[Column]:
    """Return how columns become numbers.

    Raises
    ------
    DataError
        If a column is missing, or has more than ten different values that are not all numbers, or
        decimal commas.
    """
    out = []
    for name in names:
        if name not in table:
            raise DataError(
                f"tabular: there is no column '{name}'.{nearest(name, columns_of(table))} "
                f"Known: {', '.join(columns_of(table)) or 'none'}."
            )
        values = [v for v in table[name].map(or_missing) if v is not None]
        words = sorted({str(as_word(v)) for v in values if not _is_number(v)})
        if advice := next(filter(None, map(_point, words)), ""):
            raise DataError(f"tabular: the column '{name}' has commas for points. {advice}")
        levels = sorted({str(as_word(v)) for v in values}) if words else []
        if len(levels) > _MOST_LEVELS:
            raise DataError(
                f"tabular: the column '{name}' has {len(levels)} different values that are not all "
                f"numbers ({words[0]}, …); a column of numbers or of up to {_MOST_LEVELS} classes "
                "is needed."
            )
        out.append(Column(name, tuple(levels)))
    return out


def _point(value: Any) -> str:
    """Say how a number with a decimal comma is written; empty for anything else."""
    text = str(value).strip()
    return f"Write {text.replace(',', '.')} for {text}." if _COMMA.fullmatch(text) else ""


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
