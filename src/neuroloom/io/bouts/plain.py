"""Our own table of bouts: start, stop, behaviour, subject, comment."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_text
from neuroloom.io.bouts.door import head_of
from neuroloom.io.bouts.model import COLUMNS, Bouts, seconds

_ALSO = {"behavior": "behaviour", "label": "behaviour", "end": "stop"}


def claims(path: Path) -> bool:
    """Say whether the first row names start, stop and behaviour."""
    return {"start", "stop", "behaviour"} <= set(_names(head_of(path).partition("\n")[0]))


def read(path: Path) -> Bouts:
    """Read the table; a row without a stop is a point event."""
    lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig", errors="replace"))))
    names = _names(",".join(lines[0]))
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        cells = dict(zip(names, line, strict=False))
        try:
            start = float(cells["start"])
            stop = float(cells.get("stop") or start)
        except (ValueError, KeyError):
            raise DataError(
                f"{path}: row {number}: expected start and stop in s, got {line[:3]}."
            ) from None
        rows.append((start, stop, *(cells.get(name, "") for name in COLUMNS[2:])))
    return Bouts.of(rows)


def write(bouts: Bouts, path: Path) -> Path:
    """Write the table."""
    held = io.StringIO()
    table = csv.writer(held, lineterminator="\n")
    table.writerow(COLUMNS)
    for start, stop, *rest in bouts.rows():
        table.writerow([seconds(start), seconds(stop), *rest])
    return write_text(path, held.getvalue())


def _names(line: str) -> list[str]:
    names = [cell.strip().strip('"').lower() for cell in line.split(",")]
    return [_ALSO.get(name, name) for name in names]
