"""The studio's doors: what a browser or another program can ask, and no other way in."""

from __future__ import annotations

import atexit
import json
import signal
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from parity.studies import scratch

OVER = ("done", "failed", "refused", "stopped", "interrupted")


class Door:
    """`neuroloom studio` on a workspace of its own, asked over HTTP."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        words = ["studio", str(folder), "--no-browser", "--data", str(data)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "neuroloom", *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.address = self.process.stdout.readline().strip().rstrip("/")

    def close(self) -> None:
        """End the server."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def get(self, path: str, /, **query: Any) -> bytes:
        """Return the bytes of an answer."""
        asked = f"{self.address}/api/{path}" + (f"?{urlencode(query)}" if query else "")
        with urllib.request.urlopen(asked, timeout=600) as answer:
            return bytes(answer.read())

    def ask(self, path: str, body: Any = None, /, **query: Any) -> Any:
        """Return what the API says; with a body it is posted."""
        if body is None:
            return json.loads(self.get(path, **query))
        return self.send(path, json.dumps(body).encode(), "application/json", **query)

    def send(self, path: str, body: bytes, kind: str, /, **query: Any) -> Any:
        """Post bytes."""
        asked = f"{self.address}/api/{path}" + (f"?{urlencode(query)}" if query else "")
        wanted = urllib.request.Request(asked, body, {"content-type": kind})
        with urllib.request.urlopen(wanted, timeout=600) as answer:
            return json.load(answer)

    def bring(self, file: Path, folder: str = "files") -> str:
        """Upload a file, as dropping it on a page does; returns its path in the workspace."""
        kind = "application/octet-stream"
        made = self.send("uploads", file.read_bytes(), kind, name=file.name, folder=folder)
        return str(made["path"])

    def wait(self, path: str) -> Any:
        """Return a run or a prediction when it is over."""
        while (line := self.ask(path))["state"] not in OVER:
            time.sleep(0.5)
        if line["state"] != "done":
            raise AssertionError(f"{path} is {line['state']}: {line['message']}")
        return line

    def run(self, recipe: str, data: str, **fields: Any) -> Any:
        """Start a run and return it when it is done."""
        wanted = {"recipe": recipe, "data": data, "fields": fields}
        return self.wait(f"runs/{self.ask('runs', wanted)['id']}")

    def predict(self, model: str, data: str) -> Path:
        """Apply a model to a path of the workspace; returns the folder of what came of it."""
        made = self.ask("predict", {"model": model, "data": data})["id"]
        self.wait(f"predictions/{made}")
        return self.folder / "predictions" / made


@cache
def door(data: Path) -> Door:
    """Return the studio that all checks of a process share."""
    made = Door(scratch() / "studio", data)
    atexit.register(made.close)
    return made


def neuroloom(*words: str) -> str:
    """Carry out a command of the terminal in a process of its own; return what it printed."""
    command = [sys.executable, "-m", "neuroloom", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.stderr.strip()[-400:]}")
    return done.stdout
