"""What has been shown: the rows that `make parity` wrote."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
NOT_YET = "not yet"


@dataclass(frozen=True)
class Parity:
    """One check of one tool's job: what was claimed, what was measured, where and when."""

    tool: str
    claim: str
    figure: str
    bar: str
    passed: bool
    data: str
    commit: str
    date: str
    seconds: str


def results_file() -> Path:
    """Return the table of a checkout, or the copy that a wheel carries."""
    ours = CHECKOUT / "parity" / "results.csv"
    return ours if (CHECKOUT / "pyproject.toml").is_file() else HERE / "results.csv"


def load_parity(path: Path | None = None) -> list[Parity]:
    """Return every parity row; none if no check has run yet."""
    path = path or results_file()
    return list(_load(path, path.stat().st_mtime_ns)) if path.is_file() else []


@cache
def _load(path: Path, _changed: int) -> tuple[Parity, ...]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return tuple(Parity(**(row | {"passed": row["passed"] == "true"})) for row in rows)


def state(tool: str, path: Path | None = None) -> str:
    """Return "passed (date, figures)" if every check of `tool` passed, else "not yet".

    Examples
    --------
    >>> state("no such tool")
    'not yet'
    """
    rows = [row for row in load_parity(path) if row.tool == tool]
    if not rows or not all(row.passed for row in rows):
        return NOT_YET
    return f"passed ({max(row.date for row in rows)}, {', '.join(row.figure for row in rows)})"
