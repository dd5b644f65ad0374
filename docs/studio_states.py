"""The rarer states of the studio for its pictures: refusals, a full disk, a model in the loop.

Used by `studio_pictures.py`, which takes the pictures.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Ask = Callable[..., Any]
Scene = tuple[str, str, Callable[[Any], None]]
# A studio whose disk fills up after it was opened.
FULL = """
import sys
from neuroloom.apps.studio.server import serve
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import Workspace
class Full(Studio):
    def open(self):
        super().open()
        self.workspace.keep_free = 2**40
        return self
serve(Full(Workspace(sys.argv[1])), browser=False)
"""
TABLE = """const made = new File(["a,b\\n1,2\\n"], %r, {type: "text/csv"});
const bag = new DataTransfer(); bag.items.add(made);
const input = document.querySelector("input[type=file]");
input.files = bag.files; input.dispatchEvent(new Event("change", {bubbles: true}));"""
BENCH = "const B = document.querySelector('studio-label-masks');"
REFUSED = BENCH + "B.send([{image: 99, axis: 0, index: 0, runs: [[0, 1, 1]]}]);"
SAVED = (
    BENCH
    + """const [rows, columns] = B.flat.size, runs = [];
for (let r = 4; r < rows - 4; r++) runs.push([r * columns + 4, columns - 8, 1]);
B.send([{ image: 0, axis: 0, index: B.index, runs }]).then(() => B.openSlice(true));"""
)
LOOKED = (
    BENCH
    + """for (const d of B.root.querySelectorAll("details")) d.open = true;
B.poll().then(() => B.doubtful()).then(() => B.takeFound());"""
)


def labelling(ask: Ask, finished: Callable[..., str]) -> Iterator[Scene]:
    """Yield masks not begun, saved and refused, and what a model that looks at them suggests."""
    made = ask("recipes/volumes.segment/demo", {})
    images = f"{made['data']}/images"
    wanted = {"kind": "masks", "data": images, "name": "balls", "options": {"labels": "ball"}}
    id = ask("labels", wanted)["id"]
    nothing: Callable[[Any], None] = lambda driver: None  # noqa: E731
    yield "label-first", f"/label/{id}", nothing
    yield "label-saved", f"/label/{id}", script(SAVED)
    yield "label-refused", f"/label/{id}", script(REFUSED)
    run = {"recipe": "volumes.segment", "data": made["data"], "fields": made["fields"]}
    model = finished(ask("runs", run)["id"])
    finished(ask(f"labels/{id}/predict", {"model": model})["id"], "predictions")
    yield "label-suggested", f"/label/{id}", script(LOOKED)
    yield "model-used", f"/models/{model}", nothing


def uploads() -> Iterator[Scene]:
    """Yield a file that is refused by its name, and one that is taken."""
    yield "upload-refused", "/data", script(TABLE % "nul.csv")


def resumed(ask: Ask, id: str, finished: Callable[..., str]) -> Iterator[Scene]:
    """Yield a run that was stopped and goes on."""
    ask(f"runs/{id}/resume", {})
    while ask(f"runs/{id}")["state"] == "waiting":
        time.sleep(0.3)
    time.sleep(6)
    yield "run-resumed", f"/runs/{id}", lambda driver: None
    ask(f"runs/{id}/stop", {})
    finished(id)


def full(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a studio whose disk is full, and return its address."""
    words = [sys.executable, "-c", FULL, str(folder)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    server.stdout.readline()
    return server, server.stdout.readline().strip().rstrip("/")


def no_space() -> Iterator[Scene]:
    """Yield what stands there when the disk is full."""
    yield "disk-full", "/runs", lambda driver: None
    yield "disk-full-start", "/recipe/signals.simulate", press("run-button")


def script(text: str) -> Callable[[Any], None]:
    """Return what runs a script in the page and waits for what it shows."""

    def run(driver: Any) -> None:
        time.sleep(1.5)
        driver.execute_script(text)
        time.sleep(2.0)

    return run


def press(id: str) -> Callable[[Any], None]:
    """Return what presses a button."""

    def run(driver: Any) -> None:
        driver.execute_script("document.getElementById(arguments[0]).click()", id)
        time.sleep(1.0)

    return run
