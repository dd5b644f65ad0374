"""`python -m neuroloom.apps.studio.child JOB`: carry out one job, whatever becomes of the server.

A job's folder holds `job.json` (the words after `neuroloom`). While its process lives it holds the
lock `alive`; what it prints goes to `out.jsonl` and `err.txt`, its end to `exit.json`. Nothing is
piped to the server, so that killing the server harms no job.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from neuroloom.core import hold
from neuroloom.core.files import read_json, write_json

ALIVE = "alive"
YIELDS = 5  # how much nicer than others: enough that pages are served at once, and no standstill


def carry_out(folder: Path) -> int:
    """Do the job of `folder`, unless another process is at it already; return its exit code."""
    lock = hold.take(folder / ALIVE)
    if lock is None:
        return 0
    yield_to_others()
    with lock:
        write_json(folder / "started.json", {"pid": os.getpid(), "time": time.time()})
        code = 1
        try:
            code = _neuroloom(read_json(folder / "job.json")["words"])
        finally:
            write_json(folder / "exit.json", {"code": code, "time": time.time()})
    return code


def yield_to_others() -> None:
    """Let everything else go first: pages stay quick while a job has every core.

    Linux shares processor time between sessions before it does between their processes, and a
    job's session is its own: it yields as a whole.
    """
    if os.name == "nt":  # said when it is started
        return
    with contextlib.suppress(OSError):
        os.nice(YIELDS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(YIELDS), encoding="ascii")


def _neuroloom(words: list[str]) -> int:
    from neuroloom.apps.cli import STOPPED, main

    try:
        return main(words)
    except KeyboardInterrupt:  # it came before the command had begun
        return STOPPED


if __name__ == "__main__":
    sys.exit(carry_out(Path(sys.argv[1])))
