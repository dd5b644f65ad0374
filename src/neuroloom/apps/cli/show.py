"""What a terminal shows: progress while a run works, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.apps.share import share_of
from neuroloom.core.files import read_json

if TYPE_CHECKING:
    from neuroloom.core.audit import Finding
    from neuroloom.core.errors import DataError
    from neuroloom.core.run import Run

MARK = {"note": "note", "warning": "WARNING", "objection": "OBJECTION"}


@contextmanager
def watching(*, quiet: bool = False, lines: bool = False) -> Iterator[Callable[[Any], None] | None]:
    """Yield what a run should tell of its progress: nothing, JSON lines, or a live bar."""
    if lines:
        yield lambda line: print(json.dumps(line, default=str), flush=True)
    elif quiet:
        yield None
    else:
        with _Bar() as bar:
            yield bar.tell


class _Bar:
    """One live line: the fit under way, its loss, and the time left."""

    def __enter__(self) -> _Bar:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("{task.description}"),
            BarColumn(24),
            TextColumn("{task.fields[now]}"),
        )
        self.console = Console(stderr=True)
        self.progress = Progress(
            *columns, TimeElapsedColumn(), TextColumn("left"), Remaining(), console=self.console,
            transient=True,
        )  # fmt: skip
        self.epochs = 0
        if self.console.is_terminal:  # rich ends a bar in a file by an empty line
            self.progress.start()
        self.task = self.progress.add_task("reading", total=None, now="")
        return self

    def __exit__(self, *error: Any) -> None:
        if self.console.is_terminal:
            self.progress.stop()

    def tell(self, line: dict[str, Any]) -> None:
        """Show one line of a run's log."""
        event = line["event"]
        if event == "plan":
            self.epochs = line.get("epochs") or 0
            self.console.print(f"[dim]plan: {line['reason']}[/dim]")
        elif event == "audit" and line["severity"] != "note":
            style = "yellow" if line["severity"] == "warning" else "bold red"
            self.console.print(f"{MARK[line['severity']]}: {line['title']}.", style=style)
            self.console.print(line["detail"], style="dim", markup=False)
        elif event in ("progress", "fitted"):
            self._advance(line)
        elif event == "scored":
            self.progress.update(self.task, description="report", now="")

    def _advance(self, line: dict[str, Any]) -> None:
        loss = f"loss {line['loss']:.3f}" if "loss" in line else ""
        if "fits" not in line:  # what counts frames or steps, and fits nothing
            at, whole, what = line.get("done"), line.get("total"), line.get("name", "working")
            self.progress.update(self.task, total=whole, completed=at, description=what, now=loss)
            return
        self.progress.update(
            self.task,
            total=line["fits"],
            completed=line["fits"] * (share_of(line, self.epochs) or 0.0),
            description=f"{line['role']} {line['fit']}/{line['fits']}",
            now=loss,
        )


def announce(run: Run, *, quiet: bool = False) -> None:
    """Print the metrics of a finished run and where its report is."""
    if quiet:
        return
    metrics = read_json(run.folder / "metrics.json")
    if metrics or not _learnt_from_all(run):
        print_metrics(metrics)
    else:
        print("Nothing was judged: the model was fitted on everything (folds=0).")
    print(f"\nReport: {run.folder / 'report.html'}")


def _learnt_from_all(run: Run) -> bool:
    """Say whether a run trained a model and held nothing out to judge it by."""
    return (run.folder / "model.safetensors").is_file() and getattr(run.recipe, "folds", None) == 0


def print_metrics(metrics: dict[str, dict[str, float | None]]) -> None:
    """Print a small table: value, 95 % interval, baseline, chance."""
    if not metrics:
        print("There was nothing to judge here.")
        return
    rows = [("", "value", "95 % interval", "baseline", "chance")]
    rows += [
        (
            name.replace("_", " "),
            _number(entry["value"]),
            f"{_number(entry['low'])} to {_number(entry['high'])}",
            _number(entry["baseline"]),
            _number(entry["chance"]),
        )
        for name, entry in metrics.items()
    ]
    print_table(rows)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text in aligned columns, the first row as a head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def print_findings(folder: Path) -> None:
    """Print what the audit of new data warns of or objects to, beside the output."""
    file = folder / "audit.json"
    for finding in read_json(file) if file.is_file() else []:
        if finding["severity"] != "note":
            complain(f"{MARK[finding['severity']]}: {finding['title']}.\n{finding['detail']}")


def print_outline(rows: Sequence[tuple[str, str, str]], findings: Iterable[Finding]) -> None:
    """Print what a run would do, row by row, and what the audit noticed, notes too."""
    for finding in findings:
        print(f"{MARK[finding.severity]}: {finding.title}.\n    {finding.detail}")
    if rows:
        print_table([("", "", ""), *rows])
    print("A run can begin: nothing was trained, nothing was written.")


def print_json(rows: Sequence[tuple[str, str, str]], findings: Iterable[Finding]) -> None:
    """Print the same as one JSON object with the lists findings and outline."""
    found = [finding.as_dict() for finding in findings]
    print(json.dumps({"findings": found, "outline": rows}))


def print_problems(error: DataError) -> None:
    """Print all problems of data that are refused as one JSON object with the list problems."""
    print(json.dumps({"problems": error.problems}))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def complain(text: str) -> None:
    """Print a remark for the user beside the output."""
    print(text, file=sys.stderr)
