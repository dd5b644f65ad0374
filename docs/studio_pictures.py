"""Make the pictures of the studio in docs/studio/: every page and state, four looks.

    python docs/studio_pictures.py [NAME …]

It serves an empty workspace, lets demo runs work, fail and wait, and looks at everything with
headless Chromium, light and dark, 1280 and 390 px wide. A file `axe.min.js` that is named by AXE is
run on every page; what it finds serious is printed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import studio_states

OUT = Path(__file__).parent / "studio"
MOST_HEIGHT, COLOURS = 1500, 96
LOOKS = [(mode, width) for mode in ("light", "dark") for width in (1280, 390)]
OVER = ("done", "failed", "refused", "stopped")


def main(wanted: list[str]) -> None:
    """Take all pictures, or those that are named."""
    from selenium.webdriver import Chrome

    with tempfile.TemporaryDirectory() as folder:
        server, address = serve(Path(folder) / "workspace")
        driver = Chrome(options=options())
        try:
            for name, path, prepare in pages(address, wanted):
                if not wanted or name in wanted:
                    take(driver, address, name, path, prepare)
            stop(server)
            server, address = studio_states.full(Path(folder) / "full")
            for name, path, prepare in studio_states.no_space():
                if not wanted or name in wanted:
                    take(driver, address, name, path, prepare)
        finally:
            driver.quit()
            stop(server)


def stop(server: subprocess.Popen[str]) -> None:
    """End a server."""
    server.send_signal(signal.SIGINT)
    server.wait()


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the studio of a folder and return its address."""
    (folder / "tables").mkdir(parents=True)
    rows = "".join(f"s{k:03d},{20 + k % 50},{k % 2}\n" for k in range(240))
    (folder / "tables" / "ages.csv").write_text(f"subject,age,group\n{rows}")
    words = [sys.executable, "-m", "neuroloom", "studio", str(folder), "--no-browser"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    server.stdout.readline()
    return server, server.stdout.readline().strip().rstrip("/")


def options() -> Any:
    """Return what Chromium needs to work without a screen."""
    from selenium.webdriver.chrome.options import Options

    made = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        made.add_argument(word)
    return made


def pages(address: str, wanted: list[str]) -> Any:
    """Yield name, path and what is done on each page; runs are started as they are needed."""

    def ask(path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/api/{path}", data, kind)
        ) as got:
            return json.load(got)

    def finished(id: str, kind: str = "runs") -> str:
        while ask(f"{kind}/{id}")["state"] not in OVER:
            time.sleep(0.5)
        return id

    nothing: Callable[[Any], None] = lambda driver: None  # noqa: E731
    yield "find", "/", nothing
    yield "find-answers", "/?q=I+have+EEG+and+want+to+score+sleep", nothing
    yield "find-nothing", "/?q=xyzzy", nothing
    yield "runs-empty", "/runs", nothing
    yield "models-empty", "/models", nothing
    yield "recipe", "/recipe/signals.decode", nothing
    yield "recipe-wrong", "/recipe/signals.simulate", wrong
    yield "recipe-browse", "/recipe/signals.decode", browse
    yield from studio_states.uploads()
    if not wanted or any(name.startswith(("label-", "model-used")) for name in wanted):
        yield from studio_states.labelling(ask, finished)
    if wanted and all(name.startswith(("label-", "upload", "disk", "model-used", "find", "recipe"))
                      for name in wanted):  # fmt: skip
        return
    demo = ask("recipes/signals.decode/demo", {})
    run = {"recipe": "signals.decode", "data": demo["data"]}

    def start(**fields: Any) -> str:
        return str(ask("runs", run | {"fields": demo["fields"] | fields})["id"])

    first = finished(start(budget="30 epochs"))
    second = finished(start(model="csp-lda"))
    refused = finished(ask("runs", {"recipe": "volumes.segment", "data": "tables"})["id"])
    long, _ = start(budget="2000 epochs"), start(model="shallow")
    while not ask(f"runs/{long}")["share"]:
        time.sleep(0.5)
    time.sleep(8)
    yield "runs", "/runs", nothing
    yield "run-running", f"/runs/{long}", nothing
    ask(f"runs/{long}/stop", {})
    finished(long)
    yield "run-stopped", f"/runs/{long}", nothing
    yield from studio_states.resumed(ask, long, finished)
    yield "run-refused", f"/runs/{refused}", nothing
    yield "run-done", f"/runs/{first}", nothing
    yield "compare", f"/compare?first={first}&second={second}", lambda driver: patient(driver, 40)
    yield "models", "/models", nothing
    yield "model", f"/models/{first}", nothing
    recording = ask(f"data?path={demo['data']}")["items"][0]["path"]
    made = ask("predict", {"model": first, "data": recording})["id"]
    yield "prediction", f"/predictions/{finished(made, 'predictions')}", nothing
    yield "data", "/data", nothing
    yield "data-found", "/data?path=demo", nothing
    yield "data-missing", "/data?path=nowhere", nothing
    yield "view-table", "/view?path=tables/ages.csv", nothing
    yield "label", "/label", nothing
    yield "lost", "/nothing", nothing


def wrong(driver: Any) -> None:
    """Type a value that is refused."""
    field = driver.find_element("id", "in-trials")
    field.clear()
    field.send_keys("1")


def browse(driver: Any) -> None:
    """Open the dialog that chooses data."""
    button = driver.find_element("xpath", "//button[.='Browse']")
    driver.execute_script("arguments[0].click()", button)


def patient(driver: Any, seconds: float) -> None:
    """Wait until nothing is being fetched any more."""
    end = time.monotonic() + seconds
    while driver.find_elements("css selector", ".loading") and time.monotonic() < end:
        time.sleep(0.2)


def take(driver: Any, address: str, name: str, path: str, prepare: Callable[[Any], None]) -> None:
    """Take a page's four pictures: it is opened once and then looked at in four ways."""
    resize(driver, 1280, 900)
    driver.get(address + path)
    end = time.monotonic() + 30
    while not driver.find_elements("tag name", "h1") and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.0)
    patient(driver, 20)
    prepare(driver)
    for mode, width in LOOKS:
        feature = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        resize(driver, width, 900)
        time.sleep(0.8)
        height = driver.execute_script("return document.body.scrollHeight")
        resize(driver, width, min(max(height, 700), MOST_HEIGHT))
        driver.execute_script("window.scrollTo(0, 0)")
        time.sleep(0.5)
        save(driver.get_screenshot_as_png(), OUT / f"{name}-{mode}-{width}.png")
        complain(driver, f"{name} {mode} {width}", width)


def resize(driver: Any, width: int, height: int) -> None:
    """Set the size of the page as on a screen of this width."""
    size = {"width": width, "height": int(height), "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def save(png: bytes, file: Path) -> None:
    """Write a picture with few colours, which is small."""
    import io

    from PIL import Image

    file.parent.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def complain(driver: Any, where: str, width: int) -> None:
    """Print what is too wide, and what axe-core finds serious."""
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    if wide > width:
        print(f"{where}: {wide} px wide")
    if "AXE" not in os.environ:
        return
    driver.execute_script(Path(os.environ["AXE"]).read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "axe.run(document, {iframes: false}).then(r => arguments[0](r.violations))"
    )
    for one in found:
        if one["impact"] in ("serious", "critical"):
            nodes = [node["html"][:160] for node in one["nodes"][:3]]
            print(f"{where}: {one['impact']} {one['id']}: {one['help']}: {nodes}")


if __name__ == "__main__":
    main(sys.argv[1:])
