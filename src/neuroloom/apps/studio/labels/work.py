"""What the four kinds of labelling have in common: a folder, a journal, and one door for edits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from neuroloom.apps.studio.labels.lesson import copy_project
from neuroloom.apps.studio.views import Window
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json, write_json

MOST_EDITS = 20_000  # of one request


class Work:
    """One piece of labelling, kept in a folder.

    Parameters
    ----------
    folder
        Where it lies; `begin` has written `work.json` there.

    Attributes
    ----------
    facts
        Content of `work.json`: kind, name, source, and what the kind keeps there.
    version
        Rises with every edit, so that a second tab notices.
    """

    kind = ""
    learnt_from = ""  # under a lesson: what a recipe is given; "" for all of it
    looked_at = ""  # under the folder: what a model is given
    rest = 1.0  # s between the last change and `flush`

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = read_json(folder / "work.json")
        self.lock = threading.RLock()
        self.version = 0
        self._timer: threading.Timer | None = None
        self.open()

    @property
    def project(self) -> Path:
        """Folder of what other programs read."""
        return self.folder / "project"

    @staticmethod
    def begin(folder: Path, source: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Write what a new piece of work starts with into `folder`; return facts to be kept.

        Raises
        ------
        DataError, ConfigError
            If the source cannot be labelled so.
        """
        raise NotImplementedError

    def open(self) -> None:
        """Read the state; called once."""
        raise NotImplementedError

    def progress(self) -> tuple[int, int, str]:
        """Return how many are done, of how many (0: open end), and what is counted."""
        raise NotImplementedError

    def header(self) -> dict[str, Any]:
        """Return all that a page needs beside pictures; plain data."""
        raise NotImplementedError

    def part(self, what: str, asked: dict[str, str]) -> Window:
        """Return a picture or a piece of the data."""
        raise ConfigError(f"There is no part '{what}' of {self.kind}.")

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out edits, all or none, and keep them; return a line of the log for each."""
        raise NotImplementedError

    def flush(self) -> None:
        """Bring `project/` up to date."""

    def teach(self) -> Path:
        """Write what a recipe learns from as it stands now; return the new folder.

        A run reads it until it ends, so it is never written again. Whatever goes wrong leaves none.
        It lies as deep as `project/`: some formats name their videos from where they are.
        """
        self.flush()
        last = max(self._lessons(), default=0)
        folder = self.folder / f"lesson-{last + 1}"
        try:
            self.fill_lesson(folder, self.folder / f"lesson-{last}" if last else None)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def _lessons(self) -> list[int]:
        """Return the numbers of the lessons that are there."""
        ends = (path.name.removeprefix("lesson-") for path in self.folder.glob("lesson-*"))
        return [int(end) for end in ends if end.isdecimal()]

    def fill_lesson(self, folder: Path, before: Path | None) -> None:
        """Make the folder of a lesson; `before` is the one before it, if there is one."""
        copy_project(folder, self.project, before)

    def flush_soon(self) -> None:
        """Flush once nothing has changed for a while."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self.rest, self._flush_quietly)
        self._timer.daemon = True
        self._timer.start()

    def _flush_quietly(self) -> None:
        with contextlib.suppress(OSError, DataError), self.lock:  # deleted meanwhile; told later
            if (self.folder / "work.json").is_file():
                self.flush()

    def export(self, format: str) -> Path:
        """Write the labels in a format and return the file."""
        raise ConfigError(f"Labels of the kind {self.kind} are kept as files in project/.")

    def edit(self, edits: list[dict[str, Any]], who: str) -> dict[str, Any]:
        """Carry out edits, log each with who, when, from and to, and return the new version.

        Raises
        ------
        ConfigError
            If one cannot be carried out; then none is.
        """
        if len(edits) > MOST_EDITS:
            raise ConfigError(f"At most {MOST_EDITS} edits at once, got {len(edits)}.")
        with self.lock:
            lines = self.apply(edits)
            self.tell(lines, who)
            self.version += 1
            done, total, unit = self.progress()
        answer = {"version": self.version, "done": done, "total": total, "unit": unit}
        return answer | {"changed": lines[:500]}

    def tell(self, lines: list[dict[str, Any]], who: str) -> None:
        """Append to the log, on the disk before anybody is answered."""
        if not lines:
            return
        stamp = {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "who": (who or "unnamed")[:80]}
        text = "".join(json.dumps(stamp | line, ensure_ascii=False) + "\n" for line in lines)
        with (self.folder / "log.jsonl").open("ab") as handle:
            handle.write(text.encode("utf-8", "backslashreplace"))
            handle.flush()
            os.fsync(handle.fileno())

    def log(self, most: int = 200) -> list[dict[str, Any]]:
        """Return the last corrections, the newest first; half a last line is left out."""
        file = self.folder / "log.jsonl"
        if not file.is_file():
            return []
        with file.open("rb") as handle:
            handle.seek(max(0, file.stat().st_size - 400 * most))
            tail = handle.read().decode("utf-8", "replace").splitlines()
        found = []
        for line in reversed(tail[-most:]):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def keep(self, **facts: Any) -> None:
        """Remember facts in `work.json`."""
        self.facts |= facts
        write_json(self.folder / "work.json", self.facts)


def whole(edit: dict[str, Any], name: str, below: int) -> int:
    """Return an edit's whole number from 0 to before `below`.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> whole({"frame": 3}, "frame", 5)
    3
    """
    value = edit.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        raise ConfigError(f"{name}: expected a whole number from 0 to {below - 1}, got {value!r}.")
    return value


def plain_text(value: Any) -> str:
    """Return what a file can hold of a text: no half characters, no line ends, no tabs.

    Examples
    --------
    >>> plain_text("a  b ")
    'a b'
    """
    return " ".join(str(value).encode("utf-8", "replace").decode().split())


def names_of(given: Any, what: str, most: int = 200) -> list[str]:
    """Return names from a list, or from words with commas between them.

    Raises
    ------
    ConfigError
        If it is neither, or there are too many or too long ones.

    Examples
    --------
    >>> names_of("nose, tail base,", "keypoints")
    ['nose', 'tail base']
    """
    parts = given.replace("\n", ",").split(",") if isinstance(given, str) else given or []
    if not isinstance(parts, list) or any(isinstance(part, dict | list) for part in parts):
        raise ConfigError(f"{what}: expected names with commas between them, got {given!r:.80}.")
    names = [name for name in map(plain_text, parts) if name]
    if len(names) > most or any(len(name) > 80 for name in names):
        raise ConfigError(f"{what}: expected at most {most} names of up to 80 characters.")
    return names
