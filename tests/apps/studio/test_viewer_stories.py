"""Stories of looking: traces scroll, slices turn, frames step, wrong places are said in words."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from tests.animals import write_clip
from tests.apps.studio import browsing
from tests.apps.studio.browsing import Server, click, see
from tests.apps.studio.conftest import wait
from tests.grids import write_blobs
from tests.makers import recording, write

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]

INSIDE = "return document.querySelector(arguments[0])?.shadowRoot?.querySelector(arguments[1])"


@pytest.fixture
def server(tmp_path, driver):
    made = Server(tmp_path / "workspace")
    driver.get_log("browser"), driver.get_log("performance")  # what earlier stories left
    yield made
    severe = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    foreign = browsing.foreign_requests(driver)
    made.stop()
    assert severe == []
    assert foreign == []


def inside(driver, viewer: str, what: str):
    """Wait for a part of a viewer."""
    return wait(lambda: driver.execute_script(INSIDE, f"studio-{viewer}", what), 60)


def said(driver, viewer: str) -> str:
    return str(inside(driver, viewer, ".said").text)


def test_traces_scroll_by_keys(server, driver):
    write(recording(0, trials=14), server.folder / "uploads" / "rest.edf")
    driver.get(f"{server.address}/data?path=uploads")
    click(driver, "Look at rest.edf")
    canvas = inside(driver, "signal", "canvas")
    wait(lambda: said(driver, "signal").startswith("0:00:00.00 to 0:00:10.00"), 60)
    canvas.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    wait(lambda: said(driver, "signal").startswith("0:00:10.00 to 0:00:20.00"))
    canvas.send_keys(Keys.END)
    wait(lambda: "to 0:00:30.00" in said(driver, "signal"))


def test_slices_turn_and_a_mask_lies_on_top(server, driver):
    write_blobs(server.folder / "blobs", cases=2)
    driver.get(f"{server.address}/data?path=blobs")
    see(driver, "2 cases, 2 with a mask", 90)
    driver.get(f"{server.address}/view?path=blobs/images/case_00.nii.gz")
    frame = inside(driver, "volume", ".frame")
    caption = inside(driver, "volume", "figcaption")
    first = wait(lambda: caption.text)
    source = inside(driver, "volume", "img")
    wait(lambda: (source.get_attribute("src") or "").startswith("blob:"))
    before = source.get_attribute("src")
    frame.send_keys(Keys.ARROW_UP)
    wait(lambda: caption.text != first and source.get_attribute("src") != before)
    masks = inside(driver, "volume", "select")
    options = [one.get_attribute("value") for one in masks.find_elements("css selector", "option")]
    assert any("label" in value for value in options)
    before = source.get_attribute("src")
    masks.send_keys(Keys.ARROW_DOWN)
    wait(lambda: source.get_attribute("src") != before)
    assert said(driver, "volume") == ""


def test_frames_step_with_points_on_top(server, driver):
    write_clip(server.folder / "uploads" / "clip")
    driver.get(f"{server.address}/view?path=uploads/clip/arena.mp4")
    frame = inside(driver, "video", ".frame")
    wait(lambda: said(driver, "video").startswith("Frame 1 of 60"), 60)
    assert "1 animal" in said(driver, "video")
    frame.send_keys(Keys.ARROW_RIGHT)
    wait(lambda: said(driver, "video").startswith("Frame 2 of 60"))
    drawn = driver.execute_script(
        "const c = arguments[0]; return c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.some((v, k) => k % 4 === 3 && v > 0)",
        inside(driver, "video", ".frame canvas"),
    )
    assert drawn


def test_a_wrong_place_is_said_in_words_with_a_way_on(server, driver):
    driver.get(f"{server.address}/data?path=no/such/folder")
    see(driver, "Nothing to see there", 90)
    click(driver, "Data")
    see(driver, "Folders that may be read")
    (server.folder / "empty").mkdir()
    driver.get(f"{server.address}/data?path=empty")
    see(driver, "Nothing here that neuroloom reads", 90)
    assert driver.find_element("name", "path").is_displayed()


def test_two_runs_are_compared_pair_by_pair(server, driver):
    made = server.ask("recipes/signals.decode/demo", {})
    ids = []
    for model in ("csp-lda", "riemann"):
        fields = made["fields"] | {"model": model}
        run = {"recipe": "signals.decode", "data": made["data"], "fields": fields}
        ids.append(server.ask("runs", run)["id"])
    wait(lambda: all(server.state(id) == "done" for id in ids), 240)
    found = server.ask(f"compare?first={ids[0]}&second={ids[1]}")
    driver.get(f"{server.address}/compare?first={ids[0]}&second={ids[1]}")
    see(driver, "ifference", 90)
    assert np.isfinite([v for v in found.values() if isinstance(v, float)]).all()
