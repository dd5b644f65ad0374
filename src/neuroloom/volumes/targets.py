"""What a whole-image task learns: a column, the folder's name, or an amount in the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.split import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases

OURS = ("name", "subject", "session", "run", "path", "image", "label", "split")
_UNKNOWN = ("", "n/a", "nan", "na", "none", "unknown", "-")


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

    def mask(self, case: Case, classes: Mapping[int, str] | None) -> np.ndarray | None:
        """Return where the amount is (*axes), bool; None if nobody drew a label.

        Raises
        ------
        DataError
            If there is no such class.
        """
        truth = case.truth()
        if truth is None:
            return None
        if truth.shape != tuple(case.shape):
            raise DataError(
                f"{case.name}: its label has the grid {truth.shape}, its image {case.shape}."
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
    values = table[name].map(_or_missing)
    return (_numbers(values, name, table["path"]) if numbers else values.map(_text)), name


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


def _or_missing(value: Any) -> Any:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return None if str(value).strip().lower() in _UNKNOWN else value


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _numbers(values: pd.Series, name: str, paths: pd.Series) -> pd.Series:
    out = []
    for value, path in zip(values, paths, strict=True):
        try:
            out.append(np.nan if value is None else float(value))
        except ValueError:
            raise DataError(
                f"{path}: the column '{name}' says {value!r}, which is no number. For classes take "
                "volumes.classify."
            ) from None
    import pandas as pd

    return pd.Series(out, index=values.index, dtype=float)


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

    def encode(self, values: Sequence[Any]) -> np.ndarray:
        """Return (n, width) float32, NaN where unknown.

        Examples
        --------
        >>> Column("sex", ("F", "M")).encode(["M", "F", None]).ravel().tolist()
        [1.0, 0.0, nan]
        """
        known = [_or_missing(value) for value in values]
        if not self.levels:
            return np.array([[np.nan if v is None else float(v)] for v in known], np.float32)
        rows = [
            [np.nan if v is None else float(_text(v) == level) for level in self.levels[1:]]
            for v in known
        ]
        return np.array(rows, np.float32).reshape(len(known), self.width)


def read_columns(table: pd.DataFrame, names: Sequence[str]) -> list[Column]:
    """Return how columns become numbers.

    Raises
    ------
    DataError
        If a column is missing, or has more than ten different words.
    """
    out = []
    for name in names:
        if name not in table:
            raise DataError(
                f"tabular: there is no column '{name}'.{nearest(name, columns_of(table))} "
                f"Known: {', '.join(columns_of(table)) or 'none'}."
            )
        values = [v for v in table[name].map(_or_missing) if v is not None]
        words = sorted({str(_text(v)) for v in values if not _is_number(v)})
        if len(words) > 10:
            raise DataError(
                f"tabular: the column '{name}' has {len(words)} different words ({words[0]}, "
                f"{words[1]}, …); a column of numbers or of a few classes is needed."
            )
        levels = sorted({str(_text(v)) for v in values}) if words else []
        out.append(Column(name, tuple(levels)))
    return out


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
