"""BORIS' tabular events: a row each START and STOP of a state, and each POINT.

Both layouts are read: that of BORIS 7 (lines about the observation, then a table) and the flat one
since BORIS 8; the first is written, since readers of BORIS files know it best. Source:
https://www.boris.unito.it/user_guide/export_events/
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_text
from neuroloom.io.bouts.door import head_of
from neuroloom.io.bouts.model import Bouts, seconds

HEAD = (
    "Time", "Media file path", "Total length", "FPS", "Subject", "Behavior", "Behavioral category",
    "Comment", "Status",
)  # fmt: skip
_NOBODY = ("", "no focal subject")


def claims(path: Path) -> bool:
    """Say whether a file begins as BORIS' export does."""
    head = head_of(path)
    return "Observation id" in head[:200] or ("Behavior" in head and "Subject" in head)


def read(path: Path) -> Bouts:
    """Read the events of one observation, START joined with its STOP."""
    lines = _lines(path)
    at, names = _table_head(path, lines)
    rows = [
        (number, dict(zip(names, line, strict=False)))
        for number, line in enumerate(lines[at + 1 :], start=at + 2)
        if any(cell.strip() for cell in line)
    ]
    status = "Status" if "Status" in names else "Behavior type"
    events = [_event(path, number, row, status) for number, row in rows]
    length = _first(rows, ("Total length", "Media duration (s)", "Observation duration"))
    bouts, notes = _joined(path, events, length)
    media = next(
        (row.get("Media file path") or row.get("Media file name") or "" for _, row in rows), ""
    )
    return Bouts.of(
        bouts, rate=_first(rows, ("FPS", "FPS (frame/s)")), duration=length, media=media,
        notes=tuple(notes),
    )  # fmt: skip


def write(bouts: Bouts, path: Path) -> Path:
    """Write as BORIS 7 exports one observation."""
    held = io.StringIO()
    table = csv.writer(held, lineterminator="\n")
    about = [
        ("Observation id", path.stem.removesuffix("_boris")), ("Media file(s)", ""),
        ("Player #1", bouts.media), ("Observation date", ""), ("Description", ""),
        ("Time offset (s)", "0.0"), ("independent variables", ""), ("variable", "value"),
    ]  # fmt: skip
    for name, value in about:
        table.writerow([name, value, *[""] * 7])
        if name != "independent variables":
            table.writerow([""] * 9)
    table.writerow(HEAD)
    length = "" if bouts.duration is None else seconds(bouts.duration)
    rate = "" if bouts.rate is None else repr(float(bouts.rate))
    events: list[tuple[float, int, list[str]]] = []
    for order, (start, stop, what, who, comment) in enumerate(bouts.rows()):
        ends = [(start, "POINT")] if start == stop else [(start, "START"), (stop, "STOP")]
        for time, status in ends:
            said = comment if status != "STOP" else ""
            row = [seconds(time), bouts.media, length, rate, who, what, "", said, status]
            events.append((time, 2 * order + (status == "START"), row))
    # At the same time a STOP comes before the next START of the same behaviour.
    events.sort(key=lambda event: (event[0], event[2][-1] != "STOP", event[1]))
    table.writerows(row for _, _, row in events)
    return write_text(path, held.getvalue())


def _lines(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    delimiter = "\t" if text.count("\t") > text.count(",") else ","
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def _table_head(path: Path, lines: list[list[str]]) -> tuple[int, list[str]]:
    for at, line in enumerate(lines):
        names = [cell.strip() for cell in line]
        if "Behavior" in names and ("Status" in names or "Behavior type" in names):
            lacking = [name for name in ("Time", "Subject") if name not in names]
            if lacking:
                raise DataError(f"{path}: row {at + 1}: the table lacks {', '.join(lacking)}.")
            return at, names
    raise DataError(
        f"{path}: has no table of events; expected a row with Time, Subject, Behavior and Status. "
        "Export 'Tabular events' from BORIS."
    )


def _event(
    path: Path, number: int, row: dict[str, str], status: str
) -> tuple[float, str, str, str, str, int]:
    """Return time, behaviour, subject, status, comment and number of a row."""
    text = (row.get("Time") or "").strip()
    try:
        time = float(text)
    except ValueError:
        raise DataError(f"{path}: row {number}: expected a time in s, got '{text}'.") from None
    said = (row.get(status) or "").strip().upper()
    if said not in ("START", "STOP", "POINT"):
        raise DataError(f"{path}: row {number}: expected START, STOP or POINT, got '{said}'.")
    who = (row.get("Subject") or "").strip()
    who = "" if who.lower() in _NOBODY else who
    comment = row.get("Comment") or row.get("Comment start") or ""
    return time, (row.get("Behavior") or "").strip(), who, said, comment, number


def _joined(
    path: Path, events: list[tuple[float, str, str, str, str, int]], length: float | None
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Join each START with the next STOP of the same behaviour and subject."""
    open_: dict[tuple[str, str], tuple[float, str, int]] = {}
    bouts: list[tuple[Any, ...]] = []
    notes: list[str] = []
    for time, what, who, status, comment, number in sorted(
        events, key=lambda e: (e[0], e[3] != "STOP", e[5])
    ):
        key = (what, who)
        if status == "POINT":
            bouts.append((time, time, what, who, comment))
        elif status == "START":
            if key in open_:
                raise DataError(
                    f"{path}: row {number}: '{what}' starts at {time} s, and goes on since row "
                    f"{open_[key][2]}; its STOP is missing."
                )
            open_[key] = (time, comment, number)
        elif key in open_:
            start, first, _ = open_.pop(key)
            bouts.append((start, time, what, who, first or comment))
        else:
            raise DataError(f"{path}: row {number}: '{what}' stops at {time} s and never started.")
    for (what, who), (start, comment, number) in open_.items():
        if length is None or length <= start:
            raise DataError(f"{path}: row {number}: '{what}' from {start} s on has no STOP.")
        notes.append(f"Row {number}: '{what}' has no STOP; it ends with the recording.")
        bouts.append((start, length, what, who, comment))
    return bouts, notes


def _first(rows: list[tuple[int, dict[str, str]]], names: tuple[str, ...]) -> float | None:
    for _, row in rows:
        for name in names:
            try:
                return float(row.get(name) or "")
            except ValueError:
                continue
    return None
