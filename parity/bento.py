"""BENTO's half of MARS: behaviour watched on a video, kept as `.annot`, checked against BORIS."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.io.video import write_video
from parity.doors import Door, door
from parity.harness import Check
from parity.studies import scratch

TOOL = "MARS, BENTO"
FRAMES, RATE = 5700, 30.0  # of the clip that ethome's volunteers watched
CLIP = "e3v813a-20210610T122332-122642_boris.csv"
CLIP_DATA = "ethome: one clip of 5,700 frames, 10 bouts by a person; a blank video of that length"


def blank(where: Door, frames: int = FRAMES) -> str:
    """Put a small grey video of that many frames into the workspace; returns its path."""
    file = where.folder / f"blank-{frames}.mp4"
    if not file.is_file():
        pictures = (np.full((48, 64, 3), k % 200, np.uint8) for k in range(frames))
        write_video(file, pictures, RATE)
    return file.name


def begun(where: Door, data: Path, events: str, behaviours: str = "") -> str:
    """Begin to label the blank video from an export of BORIS; returns the address."""
    given = data / "behavior" / "ethome_social" / events
    wanted = {
        "kind": "bouts", "data": blank(where),
        "options": {"behaviours": behaviours, "events": str(given)},
    }  # fmt: skip
    return f"labels/{where.ask('labels', wanted)['id']}"


def annot(text: str) -> list[tuple[float, float, str, str]]:
    """Read `.annot` plainly, by its own documentation: channels, behaviours, lines of seconds."""
    rows, channel, what = [], "", ""
    for line in text.splitlines():
        if named := re.fullmatch(r"(\S.*?)-{5,}", line.strip()):
            channel = named[1]
        elif line.startswith(">"):
            what = line[1:].strip()
        elif what and re.match(r"[\d.]+\s+[\d.]+", line):
            start, stop = map(float, line.split()[:2])
            rows.append((start, stop, what, channel))
    return rows


def boris(file: Path) -> list[tuple[float, float, str, str]]:
    """Read an export of BORIS plainly: each START with the next STOP of its kind."""
    table = pd.read_csv(file, skiprows=15)
    rows: list[tuple[float, float, str, str]] = []
    for (who, what), own in table.groupby(["Subject", "Behavior"]):
        times = own.sort_values("Time")
        starts = times.loc[times["Status"] == "START", "Time"]
        stops = times.loc[times["Status"] == "STOP", "Time"]
        rows += [(a, b, str(what), str(who)) for a, b in zip(starts, stops, strict=True)]
    return rows


def per_frame(rows: list[tuple[float, float, str, str]], what: str) -> np.ndarray:
    """Return for each frame whether it lies in a bout, as a classifier of frames needs it.

    From the frame that is on the screen at a bout's start to before the one at its stop, which is
    how ethome counts 665 of them in this clip.
    """
    found = np.zeros(FRAMES, bool)
    for start, stop, name, _ in rows:
        if name == what:
            found[int(start * RATE) : int(stop * RATE)] = True
    return found


def frames_that_differ(data: Path) -> float:
    """Return how many frames of 5,700 are another behaviour in our `.annot` than in BORIS' CSV."""
    where = door(data)
    address = begun(where, data, CLIP)
    ours = annot(where.get(f"{address}/export", format="bento").decode())
    theirs = boris(data / "behavior" / "ethome_social" / CLIP)
    return float((per_frame(ours, "interact") != per_frame(theirs, "interact")).sum())


def positive_frames(data: Path) -> float:
    """Return how many frames our `.annot` calls `interact`."""
    where = door(data)
    address = begun(where, data, CLIP)
    ours = annot(where.get(f"{address}/export", format="bento").decode())
    return float(per_frame(ours, "interact").sum())


def overlapping_bouts_lost(data: Path) -> float:
    """Return how many bouts, of files in which behaviours overlap, are not in our `.annot`."""
    where, lost = door(data), 0
    for name in ("boris_simultaneous_events.csv", "boris_multiple_behaviors.csv"):
        address = begun(where, data, name)
        ours = annot(where.get(f"{address}/export", format="bento").decode())
        theirs = boris(data / "behavior" / "ethome_social" / name)
        kept = {(round(a, 4), round(b, 4), what) for a, b, what, _ in ours}
        lost += sum((round(a, 4), round(b, 4), what) not in kept for a, b, what, _ in theirs)
        lost += abs(len(ours) - len(theirs))
    return float(lost)


def rows_changed_by_labelling(data: Path) -> float:
    """Return how many rows differ after a bout is put, moved, taken away, and the work reopened."""
    where = door(data)
    address = begun(where, data, CLIP)
    first = where.get(f"{address}/export", format="bento")
    new: dict[str, Any] = {"op": "put", "id": "x", "start": 3.0, "stop": 4.5,
                           "behaviour": "interact", "subject": "adult"}  # fmt: skip
    where.ask(f"{address}/edits", {"edits": [new]})
    with_it = annot(where.get(f"{address}/export", format="bento").decode())
    where.ask(f"{address}/edits", {"edits": [new | {"stop": 5.0}]})
    moved = annot(where.get(f"{address}/export", format="bento").decode())
    where.ask(f"{address}/edits", {"edits": [{"op": "remove", "id": "x"}]})
    last = where.get(f"{address}/export", format="bento")
    again = scratch() / "again.annot"
    again.write_bytes(last)
    wanted = {"kind": "bouts", "data": blank(where),
              "options": {"events": where.bring(again, f"annot-{time.time_ns()}")}}  # fmt: skip
    reopened = where.ask("labels", wanted)["id"]
    read_back = annot(where.get(f"labels/{reopened}/export", format="bento").decode())
    wrong = len(set(annot(last.decode())) ^ set(annot(first.decode())))
    wrong += len(set(read_back) ^ set(annot(first.decode())))
    wrong += int((3.0, 4.5, "interact", "adult") not in with_it)
    return float(wrong + int((3.0, 5.0, "interact", "adult") not in moved))


def frames_a_second(data: Path) -> float:
    """Return how many frames a second of the clip are served while one scrubs to and fro."""
    where = door(data)
    path = blank(where)
    wanted = np.random.default_rng(0).integers(0, FRAMES, 90)
    start = wanted[0]
    where.get("view/video/window", path=path, frame=int(start))
    began = time.perf_counter()
    for middle in wanted:
        for frame in range(max(0, middle - 2), min(FRAMES, middle + 3)):
            where.get("view/video/window", path=path, frame=frame)
    return float(5 * len(wanted) / (time.perf_counter() - began))


def recipes_of_behaviour(_: Path) -> float:
    """Return how many recipes learn behaviour from bouts: MARS' half."""
    from neuroloom.core import registry

    return float(sum(name.startswith("behavior.") for name in registry.names("recipe")))


CHECKS = [
    Check(
        TOOL, "BENTO: frames whose behaviour differs between our .annot and BORIS' own export",
        "== 0", frames_that_differ, CLIP_DATA,
    ),
    Check(
        TOOL, "BENTO: frames called interact in our .annot (the volunteers' own: 665)",
        "== 665", positive_frames, CLIP_DATA,
    ),
    Check(
        TOOL, "BENTO: bouts lost or added on the way into .annot where behaviours overlap",
        "== 0", overlapping_bouts_lost, "ethome: two exports of BORIS with overlapping behaviours",
    ),
    Check(
        TOOL, "BENTO: rows that differ after labelling, undoing, saving and reopening",
        "== 0", rows_changed_by_labelling, CLIP_DATA,
    ),
    Check(
        TOOL, "BENTO: frames a second served while a clip of 5,700 frames is scrubbed",
        ">= 30", frames_a_second, "a blank video of 5,700 frames, 64 x 48, over HTTP",
    ),
    Check(TOOL, "MARS: recipes that learn behaviour from bouts", ">= 1", recipes_of_behaviour),
]  # fmt: skip
