"""A server in a process of its own and a headless browser, for stories told by clicks."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.apps.studio.conftest import wait


class Server:
    """`neuroloom studio` as a user starts it."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self.words = folder, words
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "neuroloom", "studio", str(self.folder), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, *self.words], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        said = [self.process.stdout.readline() for _ in range(2)]
        assert said[1].startswith("http://"), said
        self.address = said[1].strip().rstrip("/")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            f"{self.address}/api/{path}", data, {"content-type": "application/json"},
            method=method or ("POST" if data else "GET"),
        )  # fmt: skip
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return json.load(answer)

    def state(self, id: str) -> str:
        return str(self.ask(f"runs/{id}")["state"])


def browser() -> Any:
    """Return headless Chromium with its log of requests; Selenium is imported by who needs it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options

    options = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1280,900", "--disable-component-update",
                 "--disable-background-networking"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options)


def foreign_requests(driver: Any) -> list[str]:
    """Return every address outside this machine that the page asked for since the last look."""
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            parameters = message["params"]
            url = parameters.get("url") or parameters["request"]["url"]
            asked.append(url)
    local = ("localhost", "127.0.0.1", None)
    return [url for url in asked if urlsplit(url).hostname not in local]


def see(driver: Any, text: str, seconds: float = 30.0) -> None:
    """Wait until a text is on the page."""
    script = "return document.body ? document.body.innerText : ''"
    wait(lambda: text in driver.execute_script(script), seconds)


def click(driver: Any, name: str, seconds: float = 30.0) -> None:
    """Click the button or link that says, or is labelled, `name`."""
    from selenium.common.exceptions import WebDriverException

    path = f"//*[self::button or self::a][normalize-space()='{name}' or @aria-label='{name}']"

    def tried() -> bool:
        for one in driver.find_elements("xpath", path):
            try:
                if one.is_displayed() and one.is_enabled():
                    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", one)
                    one.click()
                    return True
            except WebDriverException:
                continue
        return False

    wait(tried, seconds)


def type_into(driver: Any, id: str, text: str) -> None:
    """Type into the control of that id, as a person does."""
    control = wait(lambda: next(iter(driver.find_elements("id", id)), None))
    control.clear()
    control.send_keys(text)
    time.sleep(0.4)


def open_fold(driver: Any, name: str) -> None:
    """Open the part of a page that is folded under a line which holds `name`."""
    path = f"//summary[contains(., '{name}')]"
    fold = wait(lambda: next(iter(driver.find_elements("xpath", path)), None))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", fold)
    fold.click()


def inside(driver: Any, viewer: str, what: str) -> Any:
    """Wait for a part of a viewer of data."""
    script = "return document.querySelector(arguments[0])?.shadowRoot?.querySelector(arguments[1])"
    return wait(lambda: driver.execute_script(script, f"studio-{viewer}", what), 60)


def severe(driver: Any) -> list[Any]:
    """Return what went wrong by the browser's console since the last look."""
    return [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]


def picture(driver: Any, name: str) -> None:
    """Keep a picture of the whole page, where `NEUROLOOM_PICTURES` names a folder for them."""
    folder = os.environ.get("NEUROLOOM_PICTURES")
    if not folder:
        return
    whole = {"format": "png", "captureBeyondViewport": True}
    content = driver.execute_cdp_cmd("Page.captureScreenshot", whole)["data"]
    (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(content))
