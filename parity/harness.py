"""A check is a claim, a bar and a function that measures; its row goes to `results.csv`."""

from __future__ import annotations

import csv
import operator
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "parity" / "results.csv"
COLUMNS = ("tool", "claim", "figure", "bar", "passed", "data", "commit", "date", "seconds")
RELATIONS = {">=": operator.ge, "<=": operator.le, "==": operator.eq}

Row = dict[str, str]


@dataclass(frozen=True)
class Check:
    """One claim about one tool's job.

    Parameters
    ----------
    tool
        Its name exactly as in the catalogue.
    claim
        What is measured, in a line that a stranger understands.
    bar
        ">= 0.93", "<= 0.7" or "== 2484": the figure must hold to it.
    measure
        Takes the folder of test data, returns the figure.
    data
        What it was measured on; empty if it needs none.
    """

    tool: str
    claim: str
    bar: str
    measure: Callable[[Path], float]
    data: str = ""


def holds(figure: float, bar: str) -> bool:
    """Tell whether `figure` holds to `bar`.

    Examples
    --------
    >>> holds(0.956, ">= 0.93"), holds(2484, "== 2483")
    (True, False)
    """
    relation, _, limit = bar.partition(" ")
    return bool(RELATIONS[relation](figure, float(limit)))


def test_data() -> Path:
    """Return the folder of real data.

    Raises
    ------
    DataError
        If it is not there; the message says how to point at it.
    """
    folder = Path(os.environ.get("NEUROLOOM_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        raise DataError(f"No test data in {folder}. Set NEUROLOOM_TEST_DATA to their folder.")
    return folder.resolve()


def measure(check: Check, data: Path) -> Row:
    """Run one check and return its row."""
    started = time.perf_counter()
    figure = float(check.measure(data))
    return {
        "tool": check.tool,
        "claim": check.claim,
        "figure": f"{figure:.4g}" if figure % 1 else str(int(figure)),
        "bar": check.bar,
        "passed": str(holds(figure, check.bar)).lower(),
        "data": check.data,
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": f"{time.perf_counter() - started:.1f}",
    }


def commit() -> str:
    """Return the short hash of the code that runs, with "+" if tracked files were changed."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src", "parity/*.py"])
    return head.stdout.strip() + ("+" if changed.returncode else "") if head.stdout else "unknown"


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def minutes(number: int) -> str:
    """Return a budget worth so many minutes of two cores: on one core twice as many."""
    return f"{number if cores() > 1 else 2 * number}min"


def spent(number: int) -> str:
    """Say what `minutes` gave, for the column `data`."""
    return f"{number} minutes, 2 cores" if cores() > 1 else f"{2 * number} minutes on one core"


def run(checks: Iterable[Check], data: Path) -> Iterator[Row]:
    """Yield the row of each check as soon as it is known."""
    for check in checks:
        yield measure(check, data)


def merge(rows: list[Row], path: Path = RESULTS) -> None:
    """Put `rows` into the table: they replace all rows of their tools, the rest stays."""
    tools = {row["tool"] for row in rows}
    kept = [row for row in read(path) if row["tool"] not in tools]
    table = sorted(kept + rows, key=lambda row: row["tool"].lower())
    write_atomic(path, lambda partial: _write(partial, table))


def read(path: Path = RESULTS) -> list[Row]:
    """Return the rows of the table; none if there is no table yet."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
