"""BENTO's annotations as text (.annot): a channel a subject, a list a behaviour.

Times are read as BENTO means them: seconds where they have a decimal point, else frames, of which
the first is 1 and the last belongs to the bout. Seconds are written. Source: Segalin et al. 2021
(eLife 10:e63720) and the files that bentoMAT writes. BENTO has no comments.
"""

from __future__ import annotations

import re
from pathlib import Path

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_text
from neuroloom.io.bouts.door import head_of
from neuroloom.io.bouts.model import Bouts, seconds

NOBODY = "Ch1"
_CHANNEL = re.compile(r"^(\S.*?)-{5,}\s*$")


def claims(path: Path) -> bool:
    """Say whether a file is BENTO's text."""
    return path.suffix.lower() == ".annot" and "nnotation" in head_of(path, 400)


def read(path: Path) -> Bouts:
    """Read all channels."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rate = _number(lines, "Annotation framerate:")
    found, channel, what = [], NOBODY, ""
    for number, line in enumerate(lines, start=1):
        if match := _CHANNEL.match(line):
            channel, what = match[1].strip(), ""
        elif line.startswith(">"):
            what = line[1:].strip()
        elif what and (cells := line.split()) and not cells[0].isalpha():
            found.append((number, cells, what, channel))
    timed = any("." in cell for _, cells, _, _ in found for cell in cells[:2])
    if not timed and rate is None and found:
        raise DataError(f"{path}: counts frames and lacks 'Annotation framerate:'.")
    bouts = [
        (*_span(path, number, cells, None if timed else rate), what, _who(channel))
        for number, cells, what, channel in found
    ]
    media = next((s.partition(":")[2].strip() for s in lines if s.startswith("Movie file")), "")
    last = _number(lines, "Annotation stop frame:")
    until = _number(lines, "Annotation stop time:")
    if until is None and last is not None and rate:
        until = last / rate
    return Bouts.of(bouts, rate=rate, duration=until, media=media)


def write(bouts: Bouts, path: Path) -> Path:
    """Write all subjects as channels.

    Raises
    ------
    DataError
        If a name would end its line or its channel early.
    """
    _check_names(bouts)
    rate = bouts.rate or 1000.0
    longest = max([bouts.duration or 0.0, *bouts.table["stop"].tolist()])
    channels = {who: who or NOBODY for who in bouts.subjects or ("",)}
    lines = [
        "Bento annotation file", f"Movie file(s): {bouts.media}", "", "Stimulus name: ",
        "Annotation start frame: 1", f"Annotation stop frame: {round(longest * rate)}",
        f"Annotation framerate: {rate!r}", f"Annotation start time: {seconds(0)}",
        f"Annotation stop time: {seconds(longest)}", "",
        "List of channels:", *channels.values(), "",
        "List of annotations:", *bouts.behaviours, "",
    ]  # fmt: skip
    for who, channel in channels.items():
        lines.append(f"{channel}----------")
        for what in bouts.behaviours:
            own = [row for row in bouts.rows() if row[3] == who and row[2] == what]
            if not own:
                continue
            lines += [f">{what}", "Start\t Stop\t Duration"]
            lines += [
                f"{seconds(start)}\t{seconds(stop)}\t{seconds(stop - start)}"
                for start, stop, *_ in own
            ]
            lines.append("")
        lines.append("")
    return write_text(path, "\n".join(lines) + "\n")


def _who(channel: str) -> str:
    return "" if channel == NOBODY else channel


def _check_names(bouts: Bouts) -> None:
    for name in (*bouts.behaviours, *bouts.subjects):
        if "\n" in name or "-----" in name or name != name.strip():
            raise DataError(f"BENTO cannot hold the name {name!r}; rename it.")
    if NOBODY in bouts.subjects and "" in bouts.subjects:
        raise DataError(f"BENTO's channel '{NOBODY}' stands for nobody; rename that subject.")


def _span(path: Path, number: int, cells: list[str], rate: float | None) -> tuple[float, float]:
    try:
        start, stop = float(cells[0]), float(cells[1])
    except (ValueError, IndexError):
        raise DataError(f"{path}: row {number}: expected a start and a stop.") from None
    return (start, stop) if rate is None else ((start - 1) / rate, stop / rate)


def _number(lines: list[str], name: str) -> float | None:
    for line in lines:
        if line.startswith(name):
            try:
                return float(line.removeprefix(name))
            except ValueError:
                return None
    return None
