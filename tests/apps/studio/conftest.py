"""A studio of an empty workspace, and ways to wait for it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from neuroloom.apps.studio.api import build_api
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import Workspace


@pytest.fixture
def place(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace", most_upload=100_000)


@pytest.fixture
def studio(place):
    opened = Studio(place).open()
    yield opened
    for job in opened.queue.all():
        if job.state in ("running", "waiting"):
            opened.queue.stop(job.id)
    wait(lambda: all(j.state not in ("running", "stopping") for j in opened.queue.all()), 60)
    opened.close()


@pytest.fixture
def client(studio) -> TestClient:
    return TestClient(build_api(studio), raise_server_exceptions=False)


PATIENCE = float(os.environ.get("NEUROLOOM_PATIENCE", "1"))  # of a machine that does much else


def wait(done: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something is true; fail if it does not come."""
    end = time.monotonic() + seconds * PATIENCE
    while not (found := done()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


def message(answer: Any) -> str:
    return str(answer.json()["message"])


def write_table(folder: Path, rows: int = 120) -> Path:
    lines = ["subject,age,note"] + [f"s{k},{20 + k % 50},<b>{k}</b>" for k in range(rows)]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "ages.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def driver():
    """A headless browser, shared by the stories of a file."""
    from tests.apps.studio.browsing import browser

    made = browser()
    yield made
    made.quit()


@pytest.fixture
def server(tmp_path, driver, request):
    """A studio as a user starts it; in the end nothing foreign was asked for or went wrong."""
    from tests.apps.studio import browsing

    made = browsing.Server(tmp_path / "workspace")
    driver.get_log("browser"), driver.get_log("performance")  # what earlier stories left
    yield made
    browsing.picture(driver, f"end-{request.node.name}")
    wrong, foreign = browsing.severe(driver), browsing.foreign_requests(driver)
    driver.get("about:blank")
    made.stop()
    assert wrong == []
    assert foreign == []
