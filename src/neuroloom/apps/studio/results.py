"""Run folders as the studio shows them, read anew only where they changed."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuroloom.core.artifact import Artifact, Shelf
from neuroloom.core.errors import NeuroloomError
from neuroloom.core.files import read_json
from neuroloom.core.meaning import MEANINGS
from neuroloom.core.run import Run

SETTLED = 5.0
LOG_BYTES = 200_000


@dataclass(frozen=True)
class Facts:
    """What a run folder says of itself."""

    recipe: str
    data: str
    state: str
    error: str
    started: str
    updated: str
    seconds: float | None
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    has_model: bool = False
    has_report: bool = False


EMPTY = Facts("", "", "waiting", "", "", "", None)


class Shelves:
    """All run folders of a place; a folder is read again when its status changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[tuple[float, ...], Facts]] = {}

    def names(self) -> list[str]:
        """Return the names of the run folders."""
        return [
            place.name
            for place in self.folder.iterdir()
            if place.name[0] != "." and (place / "recipe.yaml").is_file()
        ]

    def facts(self, name: str) -> Facts:
        """Return what the folder says; `EMPTY` while there is none."""
        folder = self.folder / name
        stamp = tuple(
            _stamp(folder / file) for file in ("status.json", "metrics.json", "report.html")
        )
        known = self._known.get(name)
        if known and known[0] == stamp and stamp[0]:
            return known[1]
        if not (folder / "recipe.yaml").is_file():
            return EMPTY
        facts = _read(folder)
        self._known[name] = (stamp, facts)
        return facts


def _stamp(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _read(folder: Path) -> Facts:
    import yaml

    try:
        study = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        study = None
    study = study if isinstance(study, dict) else {}
    status = _json(folder / "status.json")
    settings = {k: v for k, v in study.items() if k not in ("recipe", "version", "data")}
    return Facts(
        recipe=str(study.get("recipe", "")),
        data=str(study.get("data") or ""),
        state=str(status.get("state", "failed")),
        error=str(status.get("error", "")),
        started=str(status.get("started", "")),
        updated=str(status.get("updated", "")),
        seconds=status.get("seconds"),
        metrics=_json(folder / "metrics.json"),
        settings=settings,
        has_model=(folder / "model.safetensors").is_file(),
        has_report=(folder / "report.html").is_file(),
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def state_without_job(folder: Path, facts: Facts) -> str:
    """Return the state of a run that the studio did not start."""
    if facts.state != "running":
        return facts.state
    fresh = time.time() - _stamp(folder / "status.json") < SETTLED  # its lock may just be taken
    try:
        return "running" if fresh or Run(folder).is_busy() else "interrupted"
    except NeuroloomError:
        return "interrupted"


def metric_rows(facts: Facts) -> list[dict[str, Any]]:
    """Return the metrics as rows: name, label, text, value, low, high, baseline, chance."""
    rows = []
    for name, entry in facts.metrics.items():
        head, _, part = name.partition("/")
        meaning = MEANINGS.get(head)
        label = meaning.label if meaning else head.replace("_", " ").capitalize()
        label = f"{label}, {part}" if part else label
        percent = bool(meaning and meaning.percent)
        rows.append(
            {
                "name": name,
                "label": label,
                "text": meaning.text if meaning else "",
                "percent": percent,
            }
            | {key: entry.get(key) for key in ("value", "low", "high", "baseline", "chance")}
        )
    return rows


def artifacts(folder: Path) -> list[dict[str, Any]]:
    """Return the artifacts of a run as plain data, with the size of each file in bytes."""
    try:
        shelf = list(Shelf(folder / "artifacts"))
    except (NeuroloomError, OSError, ValueError):
        return []
    return [asdict(one) | {"size": _size(folder, one)} for one in shelf]


def _size(folder: Path, artifact: Artifact) -> int:
    file = folder / "artifacts" / artifact.file
    return file.stat().st_size if file.is_file() else 0


def tail(file: Path, most: int = LOG_BYTES) -> str:
    """Return the last lines of a text file, at most so many bytes."""
    try:
        with file.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - most))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= most else text.partition("\n")[2]


def log_lines(folder: Path) -> list[dict[str, Any]]:
    """Return what a run has logged, line by line."""
    lines = []
    for raw in tail(folder / "log.jsonl").splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        lines += [line] if isinstance(line, dict) else []
    return lines


def last_words(file: Path) -> str:
    """Return the last message that a command printed for its user."""
    said = [line for line in tail(file).splitlines() if line.startswith("neuroloom: ")]
    return said[-1].removeprefix("neuroloom: ") if said else ""
