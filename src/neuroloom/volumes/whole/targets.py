"""What a whole-image task learns: a column, the folder's name, or an amount in the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.split import side_of
from neuroloom.volumes.whole.columns import as_word, columns_of, numbers_of, or_missing

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases


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

    def mask(self, case: Case, found: FoundCases) -> np.ndarray | None:
        """Return where the amount is (*axes), bool; None if nobody drew a label.

        Parameters
        ----------
        found
            Whose case it is: it knows the classes, and the number of what labels leave open.

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
        if found.ignore is not None and (left := int((truth == found.ignore).sum())):
            raise DataError(
                f"{case.name}: its label leaves {left} voxels open (number {found.ignore}), so no "
                "volume can be counted: draw them, or leave the case out."
            )
        return np.isin(truth, found.numbers_called(self.wanted)) if self.wanted else truth > 0


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
    inner = [next((p for p in reversed(parts) if not side_of(p)), None) for parts in parents]
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
    name = target_of(table, target)
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


def target_of(table: pd.DataFrame, target: str | None) -> str:
    """Return what is learnt: `target`, else folders that differ, else the only column there is.

    Raises
    ------
    DataError
        If nothing is said and nothing can be guessed.
    """
    if target:
        return target
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
