"""BIDS' events.tsv: onset, duration, trial_type; a subject and a comment in columns of their own.

Source: https://bids-specification.readthedocs.io (task events).
"""

from __future__ import annotations

from pathlib import Path

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_text
from neuroloom.io.bouts.door import head_of
from neuroloom.io.bouts.model import Bouts, seconds

HEAD = ("onset", "duration", "trial_type", "subject", "comment")
NONE = "n/a"


def claims(path: Path) -> bool:
    """Say whether the first row names onset and duration."""
    names = head_of(path).partition("\n")[0].strip().split("\t")
    return "onset" in names and "duration" in names


def read(path: Path) -> Bouts:
    """Read the events; what has no trial_type is called "event"."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    names = lines[0].strip().split("\t")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = dict(zip(names, (_plain(cell) for cell in line.split("\t")), strict=False))
        try:
            onset, span = float(cells["onset"]), float(cells["duration"] or 0)
        except (ValueError, KeyError):
            raise DataError(
                f"{path}: row {number}: expected onset and duration in s, got '{line[:60]}'."
            ) from None
        what = cells.get("trial_type") or "event"
        stop = onset + span
        rows.append(
            (onset, round(stop, 6), what, cells.get("subject", ""), cells.get("comment", ""))
        )
    return Bouts.of(rows)


def write(bouts: Bouts, path: Path) -> Path:
    """Write the events in the order of their onsets."""
    lines = ["\t".join(HEAD)]
    for start, stop, what, who, comment in bouts.rows():
        cells = (seconds(start), seconds(stop - start), what, who, comment)
        if any("\t" in cell or "\n" in cell for cell in cells):
            raise DataError(f"events.tsv cannot hold tabs or line ends: {what!r}, {comment!r}.")
        lines.append("\t".join(cell or NONE for cell in cells))
    return write_text(path, "\n".join(lines) + "\n")


def _plain(cell: str) -> str:
    return "" if cell.strip() == NONE else cell.strip()
