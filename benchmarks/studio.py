"""How long the studio's pages take while trainings keep every core busy, in a real browser.

    python benchmarks/studio.py [--times 200] [--only KIND …] [--dry]

A server is started on a workspace with finished runs, a recording of 2 GB and a volume of
512 x 512 x 400, and trains two nets at once. Headless Chromium, on the same machine, opens pages,
types, turns slices and scrolls; the page's own clock says how long each took, from the click or the
key to the frame after what it changes (for a page: to its content, nothing "loading" any more).
`ours_s` is the 95th percentile (of scrolling, the mean) and `peer_s` the bar: a ratio below 1 keeps
it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

CHANNELS, RATE, SECONDS = 64, 512, 32_800  # 2.15 GB of 16-bit EDF
SHAPE = (512, 512, 400)
RUNS = 30
PAGE, VIEW = 0.2, 0.1
SCROLLING = "a frame while a 2 GB recording scrolls"  # 20 a second: the mean counts
# Notes in each new page when its content stands.
WATCH = """(() => {
  const look = () => {
    if (window.__there || !document.querySelector(".page h1")) return;
    if (document.querySelector(".loading")) return;
    requestAnimationFrame(() => (window.__there ||= performance.now()));
  };
  new MutationObserver(look).observe(document, {childList: true, subtree: true});
})();"""
# Does something and waits for what it changes; says how many seconds until the next frame.
UNTIL = """const [act, seen] = [0, 1].map((k) => new Function("old", arguments[k]));
const done = arguments[arguments.length - 1], old = {page: document.querySelector(".page")};
const from = performance.now();
act(old);
const look = () => {
  if (performance.now() - from > 20000) return done(-1);
  if (!seen(old)) return setTimeout(look, 2);
  requestAnimationFrame(() => done((performance.now() - from) / 1000));
};
look();"""
GO = "emitEvent('sub_pages_navigate', %s)"  # what a link does
CAME = """const page = document.querySelector(".page");
if (!page || page === old.page || !page.querySelector("h1")) return false;
return !document.querySelector(".loading")"""
TYPE = """const field = document.getElementById("in-trials");
field.value = %s;
field.dispatchEvent(new Event("input", {bubbles: true}));"""
WRONG = """const wrong = document.getElementById("wrong-trials");
const told = wrong.checkVisibility() && wrong.textContent.includes("equal to 2");
return told === %s"""
TURN = """const volume = document.querySelector("studio-volume"), view = volume.views.z;
old.src = view.image.src;
volume.turn("z", (volume.at.z + 7) % volume.size("z"));"""
TURNED = """const view = document.querySelector("studio-volume").views.z;
return !view.busy && view.image.src !== old.src && view.image.complete"""
SCROLL = """const signal = document.querySelector("studio-signal");
old.start = signal.data.start;
signal.go((signal.start + 1) % (signal.h.duration - signal.seconds));"""
SCROLLED = """const signal = document.querySelector("studio-signal");
return !signal.asking && signal.data.start !== old.start"""


class Studio:
    """A server, its workspace and a browser."""

    def __init__(self, folder: Path) -> None:
        from selenium.webdriver import Chrome

        self.folder = folder
        self.start()
        self.driver = Chrome(options=options())
        self.driver.set_script_timeout(60)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def start(self) -> float:
        """Start the server; returns the seconds until it answered its first page."""
        words = [sys.executable, "-m", "neuroloom", "studio", str(self.folder), "--no-browser"]
        began = time.perf_counter()
        self.server = subprocess.Popen(
            [*words, "--at-once", "2"], stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert self.server.stdout is not None
        self.server.stdout.readline()
        self.address = self.server.stdout.readline().strip().rstrip("/")
        urllib.request.urlopen(self.address, timeout=60).read()
        return time.perf_counter() - began

    def stop(self) -> None:
        """End the server; what it trains goes on."""
        self.server.send_signal(signal.SIGINT)
        self.server.wait()

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask the HTTP API."""
        data = None if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/json"}
        wanted = urllib.request.Request(f"{self.address}/api/{path}", data, kind)
        with urllib.request.urlopen(wanted, timeout=300) as got:
            return json.load(got)

    def open(self, path: str) -> float:
        """Open a page as an address; returns the seconds to its content."""
        self.driver.get(self.address + path)
        end = time.monotonic() + 60
        while (there := self.driver.execute_script("return window.__there")) is None:
            assert time.monotonic() < end, f"{path} did not come"
            time.sleep(0.02)
        return float(there) / 1000

    def until(self, act: str, seen: str) -> float:
        """Do something in the page; returns the seconds to what it changes."""
        took = float(self.driver.execute_async_script(UNTIL, act, seen))
        assert took >= 0, f"nothing came of {act}"
        return took

    def go(self, path: str) -> float:
        """Follow a link; returns the seconds to the content of its page."""
        return self.until(GO % json.dumps(path), CAME)


def options() -> Any:
    from selenium.webdriver.chrome.options import Options

    made = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1280,900", "--disable-component-update",
                 "--disable-background-networking"):  # fmt: skip
        made.add_argument(word)
    return made


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        workspace = Path(folder) / "workspace"
        prepare(workspace)
        studio = Studio(workspace)
        try:
            run = fill(studio)
            up = restart(studio)
            train(studio)
            keep(
                [line("from the command to the first answer, nothing training", [up], 10.0)],
                arguments,
            )
            for name, (bar, measure) in kinds(studio, run).items():
                if not arguments.only or name in arguments.only:
                    keep(measured(name, bar, partial(measure, arguments.times)), arguments)
        finally:
            finish(studio)


def keep(rows: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    """Write rows at once: what comes later may take long."""
    if rows and not arguments.dry:
        decode.write(rows)


def prepare(folder: Path) -> None:
    """Write the recording, the volume and a table."""
    import nibabel

    folder.mkdir()
    (folder / "tables").mkdir()
    (folder / "tables" / "ages.csv").write_text("subject,age\n" + "s1,20\n" * 200)
    rng = np.random.default_rng(0)
    with (folder / "long.edf").open("wb") as file:
        file.write(edf_head())
        part = rng.normal(0, 800, (100, CHANNELS * RATE)).astype("<i2")
        for _ in range(SECONDS // 100):
            file.write(part.tobytes())
    values = rng.integers(0, 1000, SHAPE, np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "large.nii")


def edf_head() -> bytes:
    """Return the header of a plain EDF file."""
    plain = (("0", 8), ("X", 80), ("X", 80), ("01.01.20", 8), ("00.00.00", 8),
             (str(256 * (CHANNELS + 1)), 8), ("", 44), (str(SECONDS), 8), ("1", 8),
             (str(CHANNELS), 4))  # fmt: skip
    own = (("E{}", 16), ("", 80), ("uV", 8), ("-3276.8", 8), ("3276.7", 8), ("-32768", 8),
           ("32767", 8), ("", 80), (str(RATE), 8), ("", 32))  # fmt: skip
    head = "".join(text.ljust(size) for text, size in plain)
    head += "".join(text.format(k + 1).ljust(size) for text, size in own for k in range(CHANNELS))
    return head.encode("ascii")


def fill(studio: Studio) -> str:
    """Carry out a run and put copies of its folder beside it; returns its name."""
    made = studio.ask("recipes/signals.decode/demo", {})
    checked = studio.ask(
        "recipes/signals.decode/check",
        {"data": "DATA", "fields": made["fields"] | {"model": "csp-lda"}},
    )
    words = shlex.split(checked["command"])[1:]
    words[words.index("DATA")] = str(studio.folder / made["data"])
    out = studio.folder / "runs" / "first"
    command = [sys.executable, "-m", "neuroloom", *words, "--out", str(out), "--quiet"]
    subprocess.run(command, check=True, env=environment())
    for k in range(RUNS - 1):
        shutil.copytree(out, out.with_name(f"earlier-{k:02d}"))
    return out.name


def restart(studio: Studio) -> float:
    studio.stop()
    return studio.start()


def train(studio: Studio) -> None:
    """Start two trainings; they learn, or would if others left them a core, when this returns."""
    made = studio.ask("recipes/signals.decode/demo", {})
    fields = made["fields"] | {"model": "shallow", "budget": "20000 epochs"}
    wanted = {"recipe": "signals.decode", "data": made["data"], "fields": fields}
    ids = [studio.ask("runs", wanted)["id"] for _ in range(2)]
    end = time.monotonic() + 40
    while time.monotonic() < end and not all(studio.ask(f"runs/{id}")["curves"] for id in ids):
        time.sleep(0.5)


def kinds(studio: Studio, run: str) -> dict[str, tuple[float, Callable[[int], list[float]]]]:
    """Return a bar (s) and a measurement for each kind of interaction."""

    def page(path: str, other: str = "/models") -> Callable[[int], list[float]]:
        def measure(times: int) -> list[float]:
            studio.open(other)
            return [(studio.go(path), studio.go(other))[0] for _ in range(times)]

        return measure

    def inside(path: str, act: Callable[[int], tuple[str, str]]) -> Callable[[int], list[float]]:
        def measure(times: int) -> list[float]:
            studio.open(path)
            time.sleep(3)
            return [studio.until(*act(k)) for k in range(times)]

        return measure

    def typed(k: int) -> tuple[str, str]:
        value = "1" if k % 2 == 0 else "12"
        return TYPE % json.dumps(value), WRONG % json.dumps(value == "1")

    return {
        "models": (PAGE, page("/models", "/runs")),
        "list of runs": (PAGE, page("/runs")),
        "typing to verdict": (PAGE, inside("/recipe/signals.simulate", typed)),
        "slice of 512 x 512 x 400": (
            VIEW, inside("/view?path=large.nii", lambda k: (TURN, TURNED))),
        SCROLLING: (1 / 20, inside("/view?path=long.edf", lambda k: (SCROLL, SCROLLED))),
        "recipe form": (PAGE, page("/recipe/signals.decode")),
        "data": (PAGE, page("/data?path=tables")),
        "find": (PAGE, page("/?q=I+have+EEG+and+want+to+score+sleep")),
        "run": (PAGE, page(f"/runs/{run}")),
        "label": (PAGE, page("/label?path=tables")),
        "first page": (1.0, lambda times: [studio.open("/") for _ in range(times)]),
    }  # fmt: skip


def measured(name: str, bar: float, measure: Callable[[], list[float]]) -> list[dict[str, object]]:
    """Return the row of an interaction; none, and a word about it, if it cannot be done."""
    from selenium.common.exceptions import WebDriverException

    try:
        return [line(name, measure(), bar)]
    except (AssertionError, WebDriverException) as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        return []


def line(name: str, took: list[float], bar: float) -> dict[str, object]:
    """Return a row of the table: the 95th percentile (of scrolling, the mean) beside the bar."""
    worst = float(np.percentile(took, 95))
    counts, what = (float(np.mean(took)), "mean") if name == SCROLLING else (worst, "p95")
    made = decode.row(name, [{"s": counts}], [{"s": bar}], "s")
    parts = {"mean": np.mean(took), "median": np.median(took), "p95": worst, "most": max(took)}
    seconds = " ".join(f"{word} {value:.3f}" for word, value in parts.items())
    load = os.getloadavg()[0]
    print(f"{name}: {seconds} s of {len(took)}; load {load:.1f}", file=sys.stderr, flush=True)
    machine = f"{os.cpu_count()} cores, two trainings on them, {what} of {len(took)}"
    return made | {"benchmark": f"studio: {name}", "peer": "bar", "machine": machine}


def finish(studio: Studio) -> None:
    """End browser, trainings and server."""
    studio.driver.quit()
    for run in studio.ask("runs"):
        if run["can_stop"]:
            studio.ask(f"runs/{run['id']}/stop", {})
    while studio.ask("state")["running"]:
        time.sleep(0.2)
    studio.stop()


def environment() -> dict[str, str]:
    """Return the environment of a user's shell: trainings take the threads they like."""
    return {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", nargs="*", help="names of interactions")
    parser.add_argument("--folder", help="where 2.5 GB may lie; default: the system's")
    parser.add_argument("--dry", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
