"""What a job has told of its progress: how far, how long still, and its curves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroloom.apps.share import share_of

NOT_CURVES = {"fit", "fits", "epoch", "epochs", "step", "steps", "lr", "seed", "done", "total"}
POINTS = 400


@dataclass
class Progress:
    """The story of a job so far.

    Attributes
    ----------
    stage
        What is being done, in words.
    share
        How much is done, 0 to 1; None while unknown.
    left
        Seconds still to go, if that can be told.
    curves
        Name of a measure -> name of a fit -> points (step, value).
    notes
        What the audit said: severity, title, detail.
    """

    stage: str = "reading the data"
    share: float | None = None
    left: float | None = None
    curves: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    notes: list[dict[str, str]] = field(default_factory=list)


class Reader:
    """Reads a job's growing `out.jsonl`, each line once."""

    def __init__(self, file: Path) -> None:
        self.file, self.progress = file, Progress()
        self._at, self._epochs = 0, 0
        self._fits: dict[str, tuple[str, Any]] = {}  # name of a curve: whose it is
        self._began: tuple[float, float] | None = None  # share and time of the first known share

    def read(self, now: float) -> Progress:
        """Take in what is new and return the story; `now` in seconds of a steady clock."""
        for line in self._new_lines():
            self._take(line, now)
        return self.progress

    def _new_lines(self) -> list[dict[str, Any]]:
        try:
            with self.file.open("rb") as handle:
                handle.seek(self._at)
                whole, _, _ = handle.read().rpartition(b"\n")
        except OSError:
            return []
        self._at += len(whole) + 1 if whole else 0
        return [line for raw in whole.split(b"\n") if (line := _parsed(raw))]

    def _take(self, line: dict[str, Any], now: float) -> None:
        event = line.get("event")
        if event == "resume":
            self._began = None
        elif event == "plan":
            self._epochs = line.get("epochs") or 0
            self.progress.stage = "training" if line.get("steps") or self._epochs else "working"
        elif event == "audit":
            self.progress.notes.append({k: str(line[k]) for k in ("severity", "title", "detail")})
        elif event in ("progress", "fitted"):
            self._advance(line, now)
        elif event == "scored":
            self.progress.stage, self.progress.left = "drawing the report", None
        elif event == "done":
            self.progress.stage, self.progress.share, self.progress.left = "done", 1.0, 0.0

    def _advance(self, line: dict[str, Any], now: float) -> None:
        share = share_of(line, self._epochs)
        if line["event"] == "progress":
            self._draw(line)
        role, fit, fits = (line.get(key) for key in ("role", "fit", "fits"))
        if role and fits:
            self.progress.stage = f"{role}, fit {fit} of {fits}"
        if share is None or role == "baseline":
            return
        self._began = self._began or (share, now)
        before, since = self._began
        pace = (share - before) / max(now - since, 1e-9)
        self.progress.share = share
        self.progress.left = (1 - share) / pace if pace > 0 and now - since > 2 else None

    def _draw(self, line: dict[str, Any]) -> None:
        """Add to the curves; what is learnt again after an interruption replaces what was lost."""
        at = float(line.get("epoch") or line.get("step") or line.get("done") or 0)
        fit = self._fit_name(line)
        for name, value in line.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and name not in NOT_CURVES and math.isfinite(value):
                points = self.progress.curves.setdefault(name, {}).setdefault(fit, [])
                while points and points[-1][0] >= at:
                    points.pop()
                points.append((at, float(value)))
                if len(points) > POINTS:
                    del points[1::2]

    def _fit_name(self, line: dict[str, Any]) -> str:
        """Return the name of a fit's curve: its fold, and more where a fold is learnt twice."""
        name = str(line.get("fold") or line.get("name") or f"fit {line.get('fit', 1)}")
        role, fit = str(line.get("role", "")), line.get("fit")
        first = self._fits.setdefault(name, (role, fit))
        return name if first == (role, fit) else f"{name}, {role} {fit}".rstrip()


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "event" in line else None
