"""Jobs, one or several at a time, each a process of its own that outlives the server.

What the queue knows stands in `.studio/jobs/<id>/` and is read again when a server starts: jobs
that went on meanwhile are watched again, jobs that died with the machine are resumed, once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroloom.apps.studio.child import ALIVE
from neuroloom.apps.studio.workspace import BusyError, MissingError
from neuroloom.core import hold
from neuroloom.core.errors import nearest
from neuroloom.core.files import read_json, write_json, write_text

PATIENCE = 30.0
TICK = 0.3
STOPPED, REFUSED = 130, 2
NEW_GROUP, BELOW_NORMAL = 0x00000200, 0x00004000  # Windows: flags of a new process
CHILD = (sys.executable, "-m", "neuroloom.apps.studio.child")
ENDED = ("done", "failed", "refused", "stopped", "interrupted")


@dataclass
class Job:
    """One command of `neuroloom` that was asked for.

    Attributes
    ----------
    id
        Name of its folder.
    words
        The command line after `neuroloom`.
    facts
        What its maker wants to remember: plain data.
    wish
        "run" or "stop": what the user wants of it.
    queued
        When it was put in the queue, seconds of the epoch; jobs start in this order.
    revived
        How often a server start has resumed it.
    """

    id: str
    words: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
    wish: str = "run"
    queued: float = 0.0
    revived: int = 0
    folder: Path = Path()
    state: str = "waiting"
    told: float = 0.0  # when it was told to stop, by a steady clock


class Queue:
    """All jobs of a workspace, and the thread that starts and watches them.

    Parameters
    ----------
    folder
        Where the jobs' folders lie.
    at_once
        How many may run at the same time.
    again
        Given an interrupted or stopped job, returns the words that go on with it.
    may_start
        Raises if nothing new may be started (a full disk); waiting jobs then wait.
    child
        The program that carries out the job whose folder is its last word.
    """

    def __init__(
        self,
        folder: Path,
        at_once: int = 1,
        again: Callable[[Job], list[str]] = lambda job: job.words,
        may_start: Callable[[], None] = lambda: None,
        child: Sequence[str] = CHILD,
    ) -> None:
        self.folder, self.at_once = folder, at_once
        self._again, self._may_start, self._child = again, may_start, [*child]
        self._lock = threading.RLock()
        self._wake, self._closed = threading.Event(), False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._jobs = {job.id: job for job in map(_read, sorted(folder.iterdir())) if job}
        self._thread = threading.Thread(target=self._watch, name="queue", daemon=True)

    def start(self) -> None:
        """Find out what became of the jobs of an earlier server, and begin to work."""
        with self._lock:
            for job in self._jobs.values():
                job.state = self._state(job)
                if job.state == "interrupted" and job.wish == "run" and not job.revived:
                    self._requeue(job, revived=1)
        self._thread.start()

    def close(self) -> None:
        """Stop watching; the jobs themselves go on."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def add(
        self, id: str, words: list[str], files: dict[str, str] | None = None, **facts: Any
    ) -> Job:
        """Put a command in the queue, with texts to lie in its folder.

        Raises
        ------
        BusyError
            If there is a job of that name.
        """
        folder = self.folder / id
        try:
            folder.mkdir()
        except FileExistsError:
            raise BusyError(f"There is a job '{id}' already.") from None
        for name, text in (files or {}).items():
            write_text(folder / name, text)
        job = Job(id, words, facts | {"first": words}, queued=time.time(), folder=folder)
        with self._lock:
            self._keep(job)
            self._jobs[id] = job
        self._wake.set()
        return job

    def all(self) -> list[Job]:
        """Return every job, the newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.queued)

    def find(self, id: str) -> Job | None:
        """Return the job of that name, if there is one."""
        return self._jobs.get(id)

    def get(self, id: str) -> Job:
        """Return the job of that name.

        Raises
        ------
        MissingError
            If there is none.
        """
        if id not in self._jobs:
            raise MissingError(f"There is no job '{id}'.{nearest(id, self._jobs)}")
        return self._jobs[id]

    def place(self, id: str) -> int:
        """Return how many jobs start before the waiting job `id`."""
        waiting = sorted(self._waiting(), key=lambda job: job.queued)
        return next((k for k, job in enumerate(waiting) if job.id == id), 0)

    def stop(self, id: str) -> Job:
        """Stop a job: gracefully first, by force if it takes more than `PATIENCE` seconds."""
        with self._lock:
            job = self.get(id)
            if job.state in ENDED:
                raise BusyError(f"{id} does not run; its state is '{job.state}'.")
            job.wish, job.told = "stop", 0.0
            self._keep(job)
            job.state = self._state(job)
            self._press(job)
        self._wake.set()
        return job

    def resume(self, id: str) -> Job:
        """Put a job that ended early back in the queue.

        Raises
        ------
        BusyError
            If it runs, waits or is done.
        """
        with self._lock:
            job = self.get(id)
            job.state = self._state(job)
            if job.state not in ENDED or job.state == "done":
                raise BusyError(f"{id} cannot be resumed; its state is '{job.state}'.")
            self._requeue(job)
        self._wake.set()
        return job

    def forget(self, id: str) -> None:
        """Drop a job that has ended, with what it printed."""
        with self._lock:
            job = self.get(id)
            job.state = self._state(job)
            if job.state not in (*ENDED, "waiting"):
                raise BusyError(f"{id} is {job.state}; stop it first.")
            del self._jobs[id]
            shutil.rmtree(job.folder, ignore_errors=True)

    def _requeue(self, job: Job, revived: int = 0) -> None:
        job.words, job.wish, job.queued = self._again(job), "run", time.time()
        job.revived = revived
        for name in ("started.json", "exit.json"):
            (job.folder / name).unlink(missing_ok=True)
        self._keep(job)
        job.state = "waiting"

    def _keep(self, job: Job) -> None:
        names = ("id", "words", "facts", "wish", "queued", "revived")
        write_json(job.folder / "job.json", {name: getattr(job, name) for name in names})

    def _watch(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError):  # a full disk must not end the watch
                self._tick()
            self._wake.wait(TICK)
            self._wake.clear()

    def _tick(self) -> None:
        with self._lock:
            for job in self._jobs.values():
                if job.state not in ENDED:
                    job.state = self._state(job)
                self._press(job)
            self._start_waiting()

    def _press(self, job: Job) -> None:
        """Tell a job that is to stop, as soon as it can be told; kill it if it does not heed."""
        if job.state != "stopping":
            return
        if not job.told:
            job.told = time.monotonic() if _signal(job, signal.SIGTERM) else 0.0
        elif time.monotonic() - job.told > PATIENCE:
            _signal(job, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)

    def _start_waiting(self) -> None:
        active = [job for job in self._jobs.values() if job.state in ("running", "stopping")]
        free = self.at_once - len(active)
        for job in sorted(self._waiting(), key=lambda job: job.queued)[: max(free, 0)]:
            try:
                self._may_start()
            except BusyError:
                return
            self._launch(job)

    def _waiting(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.state == "waiting"]

    def _launch(self, job: Job) -> None:
        command = [*self._child, str(job.folder)]
        own_group: dict[str, Any] = (
            {"creationflags": NEW_GROUP | BELOW_NORMAL}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        with (
            (job.folder / "out.jsonl").open("ab") as out,
            (job.folder / "err.txt").open("ab") as err,
        ):
            self._processes[job.id] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **own_group
            )
        job.state = "running"

    def _state(self, job: Job) -> str:
        process = self._processes.get(job.id)
        if process is not None and process.poll() is not None:
            del self._processes[job.id]
            process = None
        alive = process is not None or hold.is_taken(job.folder / ALIVE)
        if alive:
            return "stopping" if job.wish == "stop" else "running"
        if job.wish == "stop":
            return "stopped" if self._code(job) in (None, STOPPED, 1) else _ending(self._code(job))
        if not (job.folder / "started.json").is_file():
            return "waiting"
        return _ending(self._code(job))

    def _code(self, job: Job) -> int | None:
        file = job.folder / "exit.json"
        return int(read_json(file)["code"]) if file.is_file() else None


def _ending(code: int | None) -> str:
    """Return the state of a job that is over."""
    names = {None: "interrupted", 0: "done", REFUSED: "refused", STOPPED: "stopped"}
    return names.get(code, "failed")


def _signal(job: Job, number: int) -> bool:
    """Tell the living process of a job; its lock says that the number is still its own."""
    try:
        pid = int(read_json(job.folder / "started.json")["pid"])
    except (OSError, ValueError, KeyError):
        return False
    if not hold.is_taken(job.folder / ALIVE):
        return False
    with contextlib.suppress(OSError):
        if number == signal.SIGTERM or os.name == "nt":
            os.kill(pid, number)
        else:
            os.killpg(pid, number)
    return True


def _read(folder: Path) -> Job | None:
    try:
        return Job(**read_json(folder / "job.json"), folder=folder)
    except (OSError, ValueError, TypeError):
        return None
