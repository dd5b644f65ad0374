"""Everything that the pages and the HTTP API can do, in one class: neither can do more.

Light questions are answered here. Whatever computes (a run, a prediction, a comparison, demo data)
is a process of its own, so that pages stay quick while something trains.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neuroloom.apps.studio import form, results, shown
from neuroloom.apps.studio.labels.desk import Desk
from neuroloom.apps.studio.look import Look, look
from neuroloom.apps.studio.progress import Progress, Reader
from neuroloom.apps.studio.queue import Job, Queue
from neuroloom.apps.studio.workspace import BusyError, MissingError, Workspace
from neuroloom.catalogue.answers import Answer, answers
from neuroloom.core import hold, registry
from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.files import write_text
from neuroloom.core.recipe import Recipe, briefly, to_yaml
from neuroloom.learn.parts import is_interrupted

ASIDE = 300.0  # seconds that a question answered by a process may take
READING = 3600.0  # seconds that reading all data may take


class Studio:
    """A workspace with its runs, models and jobs.

    Parameters
    ----------
    workspace
        Where everything lies.
    at_once
        How many jobs run at the same time.

    Raises
    ------
    BusyError
        If the disk is too full, or another studio serves the workspace (on `open`).
    """

    def __init__(self, workspace: Workspace, at_once: int = 1) -> None:
        self.workspace = workspace
        self.shelves = results.Shelves(workspace.runs)
        self.desk = Desk(self)
        self.queue = Queue(
            workspace.private / "jobs",
            at_once,
            again=self._words_to_go_on,
            may_start=workspace.refuse_full_disk,
        )
        self._readers: dict[str, Reader] = {}
        self._lock: hold.Lock | None = None

    def open(self) -> Studio:
        """Begin to work: the only studio of this workspace."""
        self.workspace.refuse_full_disk()
        self._lock = hold.take(self.workspace.private / "server.lock")
        if self._lock is None:
            raise BusyError(
                f"Another studio serves {self.workspace.root} already; open that one in the "
                "browser, or name another folder."
            )
        self.queue.start()
        return self

    def close(self) -> None:
        """Let go of the workspace; what runs goes on."""
        self.queue.close()
        if self._lock is not None:
            self._lock.close()

    # What there is to do

    def find(self, question: str = "") -> list[Answer]:
        """Return the recipes that fit a question, best first."""
        return answers(question)

    def recipes(self) -> list[dict[str, Any]]:
        """Return name, summary and data kind of every recipe."""
        return [self._line(registry.load("recipe", name)) for name in registry.names("recipe")]

    def _line(self, recipe: type[Recipe]) -> dict[str, Any]:
        return {
            "name": recipe.name,
            "summary": recipe.summary,
            "data": recipe.data_kind,
            "needs_data": recipe.needs_data,
            "predicts": hasattr(recipe, "predict"),
            "demo": hasattr(recipe, "demo"),
        }

    def recipe(self, name: str) -> type[Recipe]:
        """Return a recipe's class.

        Raises
        ------
        MissingError
            With the nearest name, if there is none.
        """
        known = registry.names("recipe")
        if name not in known:
            raise MissingError(f"No recipe is called '{name}'.{nearest(name, known)}")
        found: type[Recipe] = registry.load("recipe", name)
        return found

    def schema(self, name: str) -> dict[str, Any]:
        """Return what a form needs to know of a recipe."""
        return form.schema(self.recipe(name))

    def check(self, name: str, fields: dict[str, Any], data: str | None = None) -> form.Checked:
        """Say what is wrong with settings, and how command line and study file would put them."""
        return form.check(self.recipe(name), fields, data or None, "")

    # Data

    def look(self, data: str) -> Look:
        """Recognise a file or folder that may be read."""
        return look(self.workspace.locate(data), self.workspace.shown)

    def demo(self, name: str) -> dict[str, Any]:
        """Make a recipe's demo data, once; return `data`, `fields` that fit, and `what` it is.

        A demo ends soon: where a budget can be a time, it is a short one.
        """
        recipe = self.recipe(name)
        if not hasattr(recipe, "demo"):
            raise MissingError(f"{name} brings no demo data yet.")
        folder = self.workspace.root / "demo" / name
        made = folder / "demo.json"
        if not made.is_file():
            self.workspace.refuse_full_disk()
            self._aside("neuroloom.apps.studio.demo", name, str(folder))
        found = json.loads(made.read_text(encoding="utf-8"))
        fields = briefly(recipe, found["fields"])
        return found | {"data": self.workspace.shown(folder / found["data"]), "fields": fields}

    # Runs

    def outline(self, recipe: str, data: str | None, fields: dict[str, Any]) -> dict[str, Any]:
        """Read and audit the data as a run would; return its `findings` and its `outline`.

        Raises
        ------
        ConfigError
            With the command line's own words, where a run would refuse.
        """
        made, where = self._study(recipe, data, fields)
        with TemporaryDirectory() as folder:
            study = Path(folder) / "study.yaml"
            write_text(study, to_yaml(made, where))
            found = self._aside("neuroloom", "check", str(study), "--json", seconds=READING)
        return dict(json.loads(found))

    def _study(
        self, recipe: str, data: str | None, fields: dict[str, Any]
    ) -> tuple[Recipe, str | None]:
        """Return a recipe with its settings, and where its data lie."""
        self.recipe(recipe)
        made = form.build(recipe, fields)
        given = data if data and made.needs_data else None
        made.check_given(given)
        return made, str(self.workspace.locate(given)) if given else None

    def start(
        self, recipe: str, data: str | None, fields: dict[str, Any], name: str = ""
    ) -> dict[str, Any]:
        """Put a run in the queue and return it.

        Raises
        ------
        ConfigError
            With the command line's own words, if a setting or the data do not fit.
        """
        made, where = self._study(recipe, data, fields)
        self.workspace.refuse_full_disk()
        id = self._free_id(name or recipe.replace(".", "-"))
        study = self.workspace.private / "jobs" / id / "study.yaml"
        words = ["run", str(study), "--out", str(self.workspace.runs / id), "--json"]
        facts = {"kind": "run", "recipe": recipe, "data": data or "", "fields": made.settings()}
        self.queue.add(id, words, {"study.yaml": to_yaml(made, where)}, **facts)
        return self.run(id)

    def _free_id(self, stem: str) -> str:
        return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"

    def runs(self) -> list[dict[str, Any]]:
        """Return every run, those that work or wait first, then the newest first."""
        jobs = [job for job in self.queue.all() if job.facts.get("kind") == "run"]
        alone = set(self.shelves.names()) - {job.id for job in jobs}
        lines = [self._summary(job.id, job) for job in jobs]
        lines += [self._summary(name, None) for name in alone]
        lines.sort(key=lambda line: line["started"] or line["queued"], reverse=True)
        order = {"running": -2, "stopping": -2, "waiting": -1}
        return sorted(lines, key=lambda line: (order.get(line["state"], 0), line["place"]))

    def run(self, id: str) -> dict[str, Any]:
        """Return all about one run: state, progress, metrics, settings, how to repeat it."""
        job = self._known(id)
        facts = self.shelves.facts(id)
        progress = self._progress(id)
        line = self._summary(id, job)
        settings = facts.settings or (job.facts.get("fields", {}) if job else {})
        return line | {
            "metrics": results.metric_rows(facts),
            "curves": progress.curves,
            "notes": progress.notes or self._audit(id),
            "settings": settings,
            "artifacts": results.artifacts(self.workspace.runs / id),
            "shown": self._held_out(id, facts) if line["state"] == "done" else [],
            "command": self._command(line, settings),
        }

    def _held_out(self, id: str, facts: results.Facts) -> list[dict[str, Any]]:
        folder, data = self.workspace.runs / id, Path(facts.data or ".")
        return [asdict(one) for one in shown.of_run(self.workspace, folder, data)]

    def _known(self, id: str) -> Job | None:
        job = self.queue.find(id)
        if job is not None and job.facts.get("kind") == "run":
            return job
        folder = self.workspace.child(self.workspace.runs, id, "run")
        if not (folder / "recipe.yaml").is_file():
            raise MissingError(f"runs/{id} is no run folder.")
        return None

    def _summary(self, id: str, job: Job | None) -> dict[str, Any]:
        facts, folder = self.shelves.facts(id), self.workspace.runs / id
        state = job.state if job else results.state_without_job(folder, facts)
        progress = self._progress(id) if state in ("running", "stopping") else Progress()
        rows = results.metric_rows(facts)
        return {
            "id": id,
            "recipe": facts.recipe or (job.facts["recipe"] if job else ""),
            "data": self._data_shown(facts.data) or (job.facts.get("data", "") if job else ""),
            "state": state,
            "message": self._message(job, facts, state),
            "queued": _iso(job.queued) if job else "",
            "started": facts.started,
            "updated": facts.updated,
            "seconds": facts.seconds,
            "place": self.queue.place(id) if state == "waiting" else 0,
            "stage": progress.stage if state == "running" else "",
            "share": progress.share,
            "left": progress.left,
            "headline": rows[0] if rows else None,
            "has_model": facts.has_model,
            "has_report": facts.has_report,
            "can_stop": job is not None and state in ("waiting", "running"),
            "can_resume": state in ("stopped", "interrupted", "failed", "refused"),
            "can_delete": state not in ("running", "stopping"),
        }

    def _progress(self, id: str) -> Progress:
        reader = self._readers.get(id)
        if reader is None:
            file = self.workspace.private / "jobs" / id / "out.jsonl"
            reader = self._readers.setdefault(id, Reader(file))
        return reader.read(time.monotonic())

    def _message(self, job: Job | None, facts: results.Facts, state: str) -> str:
        if state not in ("failed", "refused"):
            return ""
        said = results.last_words(job.folder / "err.txt") if job else ""
        # What was refused has not begun: the folder tells of an earlier time.
        first, second = (said, facts.error) if state == "refused" else (facts.error, said)
        return first or second or "It ended without a word; its log may tell more."

    def _audit(self, id: str) -> list[dict[str, str]]:
        lines = results.log_lines(self.workspace.runs / id)
        keys = ("severity", "title", "detail")
        return [
            {k: str(line.get(k, "")) for k in keys}
            for line in lines
            if line.get("event") == "audit"
        ]

    def _command(self, line: dict[str, Any], settings: dict[str, Any]) -> str:
        try:
            return form.command_line(form.build(line["recipe"], settings), line["data"])
        except ConfigError:  # written by another version
            return f"neuroloom replay runs/{line['id']}"

    def _data_shown(self, data: str) -> str:
        return self.workspace.shown(Path(data)) if data else ""

    def class_names(self, id: str) -> dict[str, str]:
        """Return the names of the classes that a run tells apart, by their numbers."""
        self._known(id)
        return shown.class_names(self.workspace.runs / id)

    def settings(self, id: str) -> dict[str, Any]:
        """Return recipe, data and fields of an earlier run, to fill a form with."""
        line = self.run(id)
        return {"recipe": line["recipe"], "data": line["data"], "fields": line["settings"]}

    def stop(self, id: str) -> dict[str, Any]:
        """Stop a run; what it has done is kept and `resume` goes on with it."""
        if self._known(id) is None:
            raise BusyError(f"{id} was not started here; stop it where it was started.")
        self.queue.stop(id)
        return self.run(id)

    def resume(self, id: str) -> dict[str, Any]:
        """Put a run that ended early back in the queue."""
        job = self._known(id)
        if job is not None:
            self.queue.resume(id)
            return self.run(id)
        facts = self.shelves.facts(id)
        state = results.state_without_job(self.workspace.runs / id, facts)
        if state in ("done", "running"):
            raise BusyError(f"{id} cannot be resumed; its state is '{state}'.")
        words = ["resume", str(self.workspace.runs / id), "--json"]
        self.queue.add(
            id, words, kind="run", recipe=facts.recipe, data=self._data_shown(facts.data)
        )
        return self.run(id)

    def _words_to_go_on(self, job: Job) -> list[str]:
        """Return what goes on with a job; a prediction that cannot be gone on with begins anew."""
        if job.facts.get("kind") == "predict":
            left = self.workspace.predictions / job.id
            if not is_interrupted(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = self.workspace.runs / job.id
        begun = job.facts.get("kind") == "run" and (folder / "recipe.yaml").is_file()
        return ["resume", str(folder), "--json"] if begun else job.facts.get("first", job.words)

    def delete(self, id: str) -> None:
        """Delete a run that does not work: its folder, and the lesson that it alone learnt from."""
        job = self._known(id)
        line = self._summary(id, job)
        if not line["can_delete"]:
            raise BusyError(f"{id} is at work; stop it first.")
        if job is not None:
            self.queue.forget(id)
        self._readers.pop(id, None)
        folder = self.workspace.runs / id
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            gone = folder.with_name(f".deleted-{uuid.uuid4().hex}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        self.desk.drop_lesson(line["data"], (one["data"] for one in self.runs()))

    def report(self, id: str) -> Path:
        """Return the report of a run.

        Raises
        ------
        MissingError
            If it has none yet.
        """
        self._known(id)
        file = self.workspace.runs / id / "report.html"
        if not file.is_file():
            raise MissingError(f"{id} has no report; its state is '{self.run(id)['state']}'.")
        return file

    def artifact(self, id: str, file: str) -> Path:
        """Return a file among a run's artifacts."""
        self._known(id)
        return self.workspace.file_in(self.workspace.runs / id / "artifacts", file)

    def log(self, id: str) -> str:
        """Return what a run has told, its log first, then what it said to its user."""
        job = self._known(id)
        folder = self.workspace.runs / id
        told = results.tail(folder / "log.jsonl")
        said = results.tail(job.folder / "err.txt") if job else ""
        return "\n".join(part for part in (told.strip(), said.strip()) if part)

    def compare(self, first: str, second: str) -> dict[str, Any]:
        """Compare two finished runs on the examples that both scored, pair by pair.

        Raises
        ------
        ConfigError, DataError
            With the command line's own words, if they cannot be compared.
        """
        for id in (first, second):
            self._known(id)
        folders = [str(self.workspace.runs / id) for id in (first, second)]
        said = self._aside("neuroloom", "compare", *folders, "--json")
        return json.loads(said)[0] | {"first": first, "second": second}

    # Models

    def models(self) -> list[dict[str, Any]]:
        """Return what can be applied to a file: own models (finished runs), then shipped ones."""
        own = [
            self._as_model(line)
            for line in self.runs()
            if line["state"] == "done" and line["has_model"] and self._predicts(line["recipe"])
        ]
        known = (registry.load("recipe", name) for name in registry.names("recipe"))
        shipped = [
            {"id": recipe.name, "recipe": recipe.name, "own": False, "data": recipe.data_kind}
            | {"summary": recipe.ships, "headline": None, "made": ""}
            for recipe in known
            if recipe.ships
        ]
        return own + shipped

    def _as_model(self, line: dict[str, Any]) -> dict[str, Any]:
        recipe = registry.load("recipe", line["recipe"])
        chosen = self.shelves.facts(line["id"]).settings.get("model", "")
        says = f"{chosen + ', ' if chosen else ''}trained on {line['data'] or 'data'}"
        return {
            "id": line["id"],
            "recipe": line["recipe"],
            "own": True,
            "data": recipe.data_kind,
            "summary": says,
            "headline": line["headline"],
            "made": line["updated"],
        }

    def _predicts(self, name: str) -> bool:
        return name in registry.names("recipe") and hasattr(
            registry.load("recipe", name), "predict"
        )

    def model(self, id: str) -> dict[str, Any]:
        """Return a model with its card."""
        known = {model["id"]: model for model in self.models()}
        if id not in known:
            raise MissingError(f"There is no model '{id}'.{nearest(id, known)}")
        if not known[id]["own"]:
            return known[id] | {"card": form.schema(self.recipe(id))["about"]}
        return known[id] | {"card": results.tail(self.workspace.runs / id / "card.md")}

    def predict(self, model: str, data: str) -> dict[str, Any]:
        """Apply a model to a file or folder; returns the prediction, which waits in the queue.

        A shipped model is a recipe that needs no training: it is run, and the answer is that run.
        """
        found = self.model(model)
        path = self.workspace.locate(data)
        self.workspace.refuse_full_disk()
        if not found["own"]:
            return self.start(model, data, {}) | {"kind": "run"}
        id = self._free_id("predict")
        out = self.workspace.predictions / id
        words = ["predict", str(self.workspace.runs / model), str(path), "--out", str(out)]
        self.queue.add(id, words, kind="predict", model=model, data=data)
        return self.prediction(id)

    def predictions(self) -> list[dict[str, Any]]:
        """Return every prediction, the newest first."""
        jobs = [job for job in self.queue.all() if job.facts.get("kind") == "predict"]
        return [self._prediction(job) for job in jobs]

    def prediction(self, id: str) -> dict[str, Any]:
        """Return one prediction: state, message, its files, and what of it is looked at."""
        job = self.queue.get(id)
        if job.facts.get("kind") != "predict":
            raise MissingError(f"{id} is a run, no prediction.")
        return self._prediction(job) | {"shown": self._outcome(job)}

    def _outcome(self, job: Job) -> list[dict[str, Any]]:
        if job.state != "done":
            return []
        folder, run = self.workspace.predictions / job.id, self.workspace.runs / job.facts["model"]
        try:
            data = self.workspace.locate(job.facts["data"])
        except MissingError:  # deleted since
            data = Path(job.facts["data"])
        found = shown.of_prediction(self.workspace, folder, data, run)
        return [asdict(one) for one in found]

    def _prediction(self, job: Job) -> dict[str, Any]:
        folder = self.workspace.predictions / job.id
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        table = shown.table_in(folder)
        said = results.tail(job.folder / "out.jsonl").strip()
        failed = job.state in ("failed", "refused", "interrupted")
        return {
            "id": job.id,
            "kind": "prediction",
            "model": job.facts["model"],
            "data": job.facts["data"],
            "state": job.state,
            "message": results.last_words(job.folder / "err.txt") if failed else said.split(":")[0],
            "queued": _iso(job.queued),
            "table": self.workspace.shown(table) if table else "",
            "files": [self.workspace.shown(file) for file in files],
        }

    def file(self, path: str) -> Path:
        """Return a file of the workspace or of a data folder."""
        found = self.workspace.locate(path)
        if not found.is_file():
            raise MissingError(f"'{path}' is a folder, no file.")
        return found

    def state(self) -> dict[str, Any]:
        """Return how busy and how full it is here."""
        jobs = self.queue.all()
        return {
            "running": sum(job.state in ("running", "stopping") for job in jobs),
            "waiting": sum(job.state == "waiting" for job in jobs),
            "workspace": str(self.workspace.root),
            "folders": [str(root) for root in self.workspace.roots],
            "disk": asdict(self.workspace.disk()),
        }

    def _aside(self, module: str, *words: str, seconds: float = ASIDE) -> str:
        """Run a Python module as a process and return what it printed.

        Raises
        ------
        ConfigError
            With its own message, if it refused.
        """
        command = [sys.executable, "-m", module, *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BusyError(
                f"No answer within {seconds:.0f} s; try again when less is running."
            ) from None
        if done.returncode:
            _, said, message = f"\n{done.stderr}".rpartition("\nneuroloom: ")
            raise ConfigError(message.strip() if said else "It failed.")
        return done.stdout


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
