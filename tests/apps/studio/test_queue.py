"""Jobs outlive the server, stop when told to, and start one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from neuroloom.apps.studio.queue import Job, Queue
from neuroloom.apps.studio.workspace import BusyError, MissingError
from neuroloom.core import hold
from tests.apps.studio import sleeper
from tests.apps.studio.conftest import wait

CHILD = (sys.executable, str(Path(sleeper.__file__)))
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def jobs(tmp_path) -> Path:
    (tmp_path / "jobs").mkdir()
    return tmp_path / "jobs"


@pytest.fixture
def queue(jobs):
    made = Queue(jobs, child=CHILD)
    made.start()
    yield made
    for job in made.all():
        if job.state in ("running", "waiting"):
            made.stop(job.id)
    wait(lambda: all(job.state not in ("running", "stopping") for job in made.all()))
    made.close()


def is_started(job: Job) -> bool:
    return (job.folder / "started.json").is_file()


def test_jobs_run_one_after_another_in_their_order(queue, tmp_path):
    marks = [tmp_path / name for name in "ab"]
    first, second = (queue.add(m.name, ["sleep", "0.2", str(m)]) for m in marks)
    assert queue.place("b") in (0, 1)
    wait(lambda: first.state == "running")
    assert second.state == "waiting"
    wait(lambda: second.state == "done")
    assert first.state == "done"


@pytest.mark.parametrize(("code", "state"), [("2", "refused"), ("1", "failed"), ("130", "stopped")])
def test_the_exit_code_becomes_the_state(queue, code, state):
    job = queue.add("a", ["fail", code])
    wait(lambda: job.state == state)
    assert "as it should" in (job.folder / "err.txt").read_text()


@posix
def test_stop_is_graceful_and_resume_goes_on(queue, tmp_path):
    job = queue.add("a", ["sleep", "60", str(tmp_path / "mark")])
    wait(lambda: is_started(job) and (tmp_path / "mark").is_file())
    queue.stop("a")
    wait(lambda: job.state == "stopped")
    assert (job.folder / "exit.json").is_file()
    job.facts["first"] = job.words = ["sleep", "0"]
    queue._again = lambda job: job.words
    queue.resume("a")
    wait(lambda: job.state == "done")


@posix
def test_a_stubborn_job_is_killed(queue, tmp_path, monkeypatch):
    monkeypatch.setattr("neuroloom.apps.studio.queue.PATIENCE", 0.3)
    job = queue.add("a", ["stubborn", "60", str(tmp_path / "mark")])
    wait(lambda: (tmp_path / "mark").is_file())
    queue.stop("a")
    wait(lambda: job.state == "stopped")
    assert not (job.folder / "exit.json").is_file()


def test_a_waiting_job_can_be_taken_out(queue):
    queue.add("a", ["sleep", "60"])
    waiting = queue.add("b", ["sleep", "60"])
    queue.stop("b")
    assert waiting.state == "stopped"
    assert not is_started(waiting)


def test_what_cannot_be_done_is_refused(queue):
    job = queue.add("a", ["sleep", "0"])
    with pytest.raises(BusyError, match="already"):
        queue.add("a", ["sleep", "0"])
    wait(lambda: job.state == "done")
    with pytest.raises(BusyError, match="'done'"):
        queue.resume("a")
    with pytest.raises(BusyError, match="does not run"):
        queue.stop("a")
    with pytest.raises(MissingError, match="Did you mean 'a'"):
        queue.get("A")
    queue.forget("a")
    assert not job.folder.exists()


def test_a_full_disk_lets_jobs_wait(jobs):
    full = [True]

    def may_start() -> None:
        if full[0]:
            raise BusyError("full")

    made = Queue(jobs, child=CHILD, may_start=may_start)
    made.start()
    job = made.add("a", ["sleep", "0"])
    made._tick()
    assert job.state == "waiting"
    full[0] = False
    wait(lambda: job.state == "done")
    made.close()


SERVER = """
    import sys, time
    from pathlib import Path
    from neuroloom.apps.studio.queue import Queue
    queue = Queue(Path(sys.argv[1]), at_once=2, child=sys.argv[2:])
    queue.start()
    queue.add("short", ["sleep", "2.5"])
    queue.add("killed", ["sleep", "60"])
    queue.add("later", ["sleep", "0"])
    time.sleep(60)
"""


@posix
def test_kill_9_of_the_server_loses_nothing(jobs):
    """One job goes on meanwhile and is found done, one died and is resumed, one still waits."""
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SERVER), str(jobs), *CHILD])
    wait(lambda: all((jobs / name / "started.json").is_file() for name in ("short", "killed")))
    server.send_signal(signal.SIGKILL)
    server.wait()
    pid = int((jobs / "killed" / "started.json").read_text().split('"pid":')[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not hold.is_taken(jobs / "killed" / "alive"))
    again = Queue(jobs, at_once=2, child=CHILD, again=lambda job: ["sleep", "0"])
    assert {job.id for job in again.all()} == {"short", "killed", "later"}
    again.start()
    assert again.get("killed").revived == 1
    wait(lambda: [job.state for job in again.all()] == ["done"] * 3)
    again.close()
