"""The desk: which pieces of labelling there are, and the way to each."""

from __future__ import annotations

import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from neuroloom.apps.studio.labels.offers import offers
from neuroloom.apps.studio.labels.work import Work, plain_text
from neuroloom.apps.studio.workspace import BusyError, MissingError
from neuroloom.core.errors import ConfigError, NeuroloomError, nearest
from neuroloom.core.files import read_json, write_json

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio

KINDS = {
    "keypoints": "neuroloom.apps.studio.labels.keypoints:Keypoints",
    "masks": "neuroloom.apps.studio.labels.masks:Masks",
    "bouts": "neuroloom.apps.studio.labels.bouts:Watched",
    "classes": "neuroloom.apps.studio.labels.classes:Classes",
}
# Options that name a second file: whether it may be read is settled here.
FILES = frozenset({"mask", "events"})
_LESSON = re.compile(r"labels/[\w-]+/lesson-\d+(?=/|$)")


class Desk:
    """All labelling in a workspace.

    Parameters
    ----------
    studio
        Whose workspace it is; runs are started through it.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.folder = studio.workspace.labels
        self._open: dict[str, Work] = {}
        self._lock = threading.Lock()

    def all(self) -> list[dict[str, Any]]:
        """Return a line for each piece of work, the last touched first."""
        if not self.folder.is_dir():
            return []
        names = [p.name for p in self.folder.iterdir() if (p / "work.json").is_file()]
        lines = [self._line(name) for name in names]
        return sorted(lines, key=lambda line: str(line["touched"]), reverse=True)

    def _line(self, id: str) -> dict[str, Any]:
        folder = self.folder / id
        try:
            facts = read_json(folder / "work.json")
            done, total, unit = self.get(id).progress()
            problem = ""
        except (NeuroloomError, OSError, ValueError, KeyError) as error:
            facts, problem = {}, f"It cannot be opened: {error}"
            done, total, unit = 0, 0, ""
        file = folder / "log.jsonl"
        when = (file if file.is_file() else folder / "work.json").stat().st_mtime
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when))
        return {
            "id": id, "kind": facts.get("kind", ""), "name": facts.get("name", id),
            "source": facts.get("source", ""), "begun": facts.get("begun", ""), "touched": stamp,
            "done": done, "total": total, "unit": unit, "problem": problem,
        }  # fmt: skip

    def offers(self, path: str = ".") -> list[dict[str, Any]]:
        """Return what can be labelled under a path: its path, its name and the kinds that fit."""
        return offers(self.studio.workspace, path, self.studio.look(path).items)

    def begin(
        self, kind: str, data: str, name: str, options: dict[str, Any], who: str = ""
    ) -> dict[str, Any]:
        """Begin a piece of work on a file or folder of the workspace; return its line.

        Raises
        ------
        ConfigError, DataError
            If it cannot be labelled so; nothing is left then.
        """
        made, source = _class(kind), self.studio.workspace.locate(data)
        options = {k: v for k, v in options.items() if not k.endswith("_path")}
        for key in FILES & set(options):
            options[f"{key}_path"] = str(self.studio.workspace.locate(str(options[key])))
        self.studio.workspace.refuse_full_disk()
        stem = re.sub(r"[^A-Za-z0-9]+", "-", name or source.stem).strip("-").lower()[:40]
        id = f"{stem or kind}-{uuid.uuid4().hex[:4]}"
        partial = self.folder / f".{id}"
        partial.mkdir(parents=True)
        try:
            facts = made.begin(partial, source, options)
            begun = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            named = plain_text(name) or source.name
            facts = facts | {"kind": kind, "name": named, "source": data}
            facts |= {"path": str(source), "begun": begun, "by": plain_text(who)}
            write_json(partial / "work.json", facts)
            partial.rename(self.folder / id)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return self._line(id)

    def get(self, id: str) -> Work:
        """Return an opened piece of work.

        Raises
        ------
        MissingError
            If there is none of that name.
        """
        with self._lock:
            if id not in self._open:
                if not self.folder.is_dir():
                    raise MissingError(f"There is no labelling '{id}'; none has begun.")
                folder = self.studio.workspace.child(self.folder, id, "labelling")
                if not (folder / "work.json").is_file():
                    raise MissingError(f"labels/{id} is no labelling.")
                kind = str(read_json(folder / "work.json").get("kind"))
                self._open[id] = _class(kind)(folder)
            return self._open[id]

    def header(self, id: str) -> dict[str, Any]:
        """Return all that a page needs of a piece of work beside its pictures."""
        work = self.get(id)
        with work.lock:
            line = {"id": id, "version": work.version, "path": f"labels/{id}/project"}
            return self._line(id) | line | work.header()

    def delete(self, id: str) -> None:
        """Delete a piece of work with everything in its folder; its source stays."""
        work = self.get(id)
        with work.lock:
            self._open.pop(id, None)
            gone = self.folder / f".deleted-{uuid.uuid4().hex}"
            work.folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def train(self, id: str, recipe: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Start a run on what has been labelled so far, through the queue.

        The run has a lesson of its own: what is corrected later is for the next one.

        Raises
        ------
        BusyError
            If the labels are of a kind that teaches nothing, or the disk is too full.
        ConfigError
            With the command line's own words, if a setting or the labels do not fit.
        """
        work = self.get(id)
        default = getattr(work, "recipe", "")
        if not default:
            raise BusyError(f"No recipe learns from labels of the kind {work.kind} here.")
        self.studio.workspace.refuse_full_disk()
        try:
            with work.lock:
                lesson = work.teach()
                given = {**work.fields(), **fields} if hasattr(work, "fields") else fields
        except OSError as error:
            raise BusyError(f"The labels could not be kept for a run ({error.strerror}).") from None
        data = self.studio.workspace.shown(lesson / work.learnt_from)
        try:
            run = self.studio.start(recipe or default, data, given)
        except BaseException:  # no run will read it
            shutil.rmtree(lesson, ignore_errors=True)
            raise
        work.keep(runs=[*work.facts.get("runs", []), run["id"]])
        return run

    def drop_lesson(self, data: str, read: Iterable[str]) -> None:
        """Delete the lesson that a run learnt from, now that the run is gone.

        Parameters
        ----------
        data
            What the run learnt from, as the workspace shows it; if it is no lesson, it stays.
        read
            What the other runs learn from: a lesson among it stays.
        """
        lesson = _LESSON.match(data)
        used = (other for one in read if (other := _LESSON.match(one)))
        if lesson and lesson[0] not in {one[0] for one in used}:
            shutil.rmtree(self.studio.workspace.root / lesson[0], ignore_errors=True)

    def predict(self, id: str, model: str) -> dict[str, Any]:
        """Let a model look at the pictures of a piece of work; `doubts` reads what it says."""
        work = self.get(id)
        if not hasattr(work, "pictures"):
            raise BusyError(f"Labels of the kind {work.kind} are not predicted here.")
        with work.lock:
            work.pictures()
        made = self.studio.predict(model, f"labels/{id}/{work.looked_at}")
        work.keep(prediction=made["id"], model=model)
        return made

    def add_frames(self, id: str, data: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Add frames of a video to a piece of work; without `data`, of the video it began with."""
        work = self.get(id)
        if not hasattr(work, "add"):
            raise BusyError(f"Labels of the kind {work.kind} have no frames to add.")
        videos = work.facts.get("videos", [])
        if not data and not videos:
            raise ConfigError("data: name the video to take frames of.")
        source = self.studio.workspace.locate(data or videos[-1])
        self.studio.workspace.refuse_full_disk()
        return {"added": work.add(source, wanted)}

    def doubts(self, id: str) -> dict[str, Any]:
        """Return what the last prediction says: state, points, and how doubtful each frame is."""
        work = self.get(id)
        asked = work.facts.get("prediction")
        if not asked or not hasattr(work, "doubts"):
            return {"state": "none", "message": "No model has looked at these frames yet."}
        line = self.studio.prediction(asked)
        answer = {k: line[k] for k in ("id", "state", "message", "model")}
        if line["state"] != "done":
            return answer
        place = self.studio.workspace
        run = place.runs / line["model"]
        with work.lock:
            found: dict[str, Any] = work.doubts(place.predictions / asked, run)
        return answer | found


def _class(kind: str) -> Any:
    if kind not in KINDS:
        raise ConfigError(f"kind: there is no '{kind}'.{nearest(kind, KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    return getattr(import_module(module), name)
