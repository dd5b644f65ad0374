"""A dataset: a table with one row per example, and the arrays that belong to it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import names_apart

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.audit import Finding

Task = Literal[
    "classification", "regression", "survival", "dense", "segmentation", "synthesis", "pose"
]
UNITS = ("subject", "session", "run")
ENTITIES = ("path", *UNITS)


@dataclass(frozen=True)
class Dataset:
    """Examples, who they come from and what is to be learnt of them.

    Attributes
    ----------
    table
        One row an example: `name` (unique), `path` (relative), `subject`, `session`, `run`,
        `onset` and `stop` (s) where it is cut from a recording, `label` (class name, number, or
        missing where unlabelled).
    x
        Array whose first axis is the examples, in the table's order; may be memory-mapped.
    task
        "classification", "regression", "survival" (`truth` is time and event, n x 2),
        "synthesis" (`truth` is the image to be made), "pose" (`truth` is points in px), or "dense":
        a class at evenly spaced places of the example.
    classes
        Class names in the order of the scores' columns; empty for regression.
    facts
        What a reader or a model must know of the axes of `x` (channel names, rate, …); plain data.
    findings
        What was noticed while reading.
    extra
        Arrays and tables for the audit and the figures; never stored, never learnt from.
    truth
        Targets of a dense task, shape (example, place), class index, -1 where unknown.
    maps
        Where the target is a sum over places: how much each place holds, in 255ths (example,
        *axes). Models that can learn from it get it in place of the sum; all are judged by the sum.
    """

    table: pd.DataFrame
    x: np.ndarray
    task: Task
    classes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    truth: np.ndarray | None = None
    maps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def y(self) -> np.ndarray:
        """Targets of labelled examples: class index (int64), number (float64), or `truth`."""
        if self.truth is not None:
            return self.truth
        if self.task == "regression":
            return self.table["label"].to_numpy(float)
        index = {name: i for i, name in enumerate(self.classes)}
        return self.table["label"].map(lambda label: index.get(label, -1)).to_numpy(np.int64)

    def labelled(self) -> Dataset:
        """Return the examples whose target is known."""
        keep = self.table["label"].notna().to_numpy()
        return self if keep.all() else self.take(np.flatnonzero(keep))

    def take(self, rows: np.ndarray) -> Dataset:
        """Return the examples at `rows` (positions), in that order."""
        truth = None if self.truth is None else self.truth[rows]
        maps = None if self.maps is None else self.maps[rows]
        table = self.table.iloc[rows].reset_index(drop=True)
        return replace(self, table=table, x=self.x[rows], truth=truth, maps=maps)

    def from_maps(self) -> Dataset:
        """Return the examples with their maps, if there are some, as what is learnt."""
        return self if self.maps is None else replace(self, truth=self.maps)

    def fingerprint(self) -> str:
        """Return a short hash of the examples and their targets (not of the samples)."""
        rows = self.table[["name", "label"]].astype(str).agg("|".join, axis=1)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def named_apart(datasets: Sequence[Dataset], files: Sequence[Path]) -> list[Dataset]:
    """Return data sets that have no name twice, with folders put before those that clash.

    Parameters
    ----------
    files
        The file of each row, those of one data set after those of the other.

    Raises
    ------
    DataError
        If an image is given twice.
    """
    # Not resolved: in a checkout of git-annex files are links into a store.
    given = [os.path.abspath(file) for file in files]
    names = [str(name) for each in datasets for name in each.table["name"]]
    pairs = Counter(zip(names, given, strict=True))
    if twice := next((name for (name, _), count in pairs.items() if count > 1), None):
        raise DataError(f"Two images are called '{twice}'; give each once, and by its own name.")
    left = iter(names_apart(files, names))
    return [replace(d, table=d.table.assign(name=list(islice(left, len(d))))) for d in datasets]


def require_classes(table: pd.DataFrame, where: str) -> list[str]:
    """Return the class names in natural order, refusing fewer than two.

    Raises
    ------
    DataError
        Naming the only class that was found.
    """
    classes = sorted(table["label"].dropna().unique(), key=str)
    if len(classes) < 2:
        only = f"only '{classes[0]}'" if classes else "none"
        raise DataError(
            f"{where}: two classes or more are needed to learn a difference, {only} was found "
            f"among {len(table)} examples. Widen `include` or `events`."
        )
    return [str(name) for name in classes]
