"""Stories of models: a file dropped on one has its result on top; a stopped study goes on."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.files import read_json
from tests.apps.studio.browsing import Server, click, inside, picture, see, type_into
from tests.apps.studio.conftest import wait
from tests.apps.studio.test_real_stories import middle_of, painted

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]
DROP = """
const [zone, name] = arguments, bytes = Uint8Array.from(atob(arguments[2]), (c) => c.charCodeAt(0));
const held = new DataTransfer();
held.items.add(new File([bytes], name));
for (const type of ['dragover', 'drop'])
  zone.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: held}));
"""
RUNS = {
    "volumes.segment": {"budget": "60 steps"},
    "pose.estimate": {"budget": "60 steps"},
    "signals.decode": {"model": "csp-lda"},
    "volumes.classify": {"budget": "12 epochs"},
}


def trained(server: Server, recipe: str) -> tuple[str, Path]:
    """Return a run of a recipe's demo that is done, and its data."""
    made = server.ask(f"recipes/{recipe}/demo", {})
    asked = {"recipe": recipe, "data": made["data"], "fields": made["fields"] | RUNS[recipe]}
    id = server.ask("runs", asked)["id"]
    wait(lambda: server.state(id) not in ("waiting", "running"), 400)
    assert server.state(id) == "done"
    return id, server.folder / made["data"]


def dropped(server: Server, driver, model: str, file: Path) -> dict:
    """Open a model from the list, drop a file on it as a mouse does; return the prediction."""
    from base64 import b64encode

    driver.get(f"{server.address}/models")
    click(driver, f"Open {model}")
    zone = wait(lambda: next(iter(driver.find_elements("css selector", ".drop")), None), 60)
    driver.execute_script(DROP, zone, file.name, b64encode(file.read_bytes()).decode())
    wait(lambda: "/predictions/" in driver.current_url, 60)
    see(driver, "done", 240)
    picture(driver, f"dropped-{file.stem}")
    return server.ask(f"predictions/{driver.current_url.rpartition('/')[2]}")


def test_a_scan_dropped_on_a_model_gets_its_mask_on_top(server, driver):
    model, data = trained(server, "volumes.segment")
    scan = sorted((data / "images").iterdir())[0]
    made = dropped(server, driver, model, scan)
    see(driver, "The result")
    shown = made["shown"][0]
    assert shown["path"].startswith("uploads/")
    assert shown["path"].endswith(f"/{scan.name}")
    assert inside(driver, "volume", "select").get_attribute("value") == shown["over"]
    wanted = middle_of(server.folder / shown["over"])
    assert sum(plane.sum() for plane in wanted) > 0
    for plane, mask in enumerate(wanted):
        assert np.array_equal(painted(driver, plane), mask)
    click(driver, model)  # back to the model: what was dropped stands there
    see(driver, "Earlier results")
    see(driver, scan.name)


def test_a_video_dropped_on_a_model_gets_its_points_on_top(server, driver, tmp_path):
    from PIL import Image

    from neuroloom.io.video import write_video

    model, data = trained(server, "pose.estimate")
    frames = [np.asarray(Image.open(file).convert("RGB")) for file in sorted(data.rglob("*.png"))]
    write_video(tmp_path / "walk.mp4", iter(frames), 10)
    shown = dropped(server, driver, model, tmp_path / "walk.mp4")["shown"]
    assert [one["path"].rpartition("/")[2] for one in shown] == ["walk.mp4"]
    assert inside(driver, "video", "select").get_attribute("value") == shown[0]["over"]
    said = inside(driver, "video", ".said")
    wait(lambda: said.text.startswith(f"Frame 1 of {len(frames)}") and "1 animal" in said.text, 60)
    see(driver, "Rows 1 to 25")


def test_a_recording_dropped_on_a_model_comes_back_with_events(server, driver):
    model, data = trained(server, "signals.decode")
    shown = dropped(server, driver, model, sorted(data.rglob("*.edf"))[0])["shown"]
    assert shown[0]["path"].endswith("_decoded_raw.fif")
    said = inside(driver, "signal", ".said")
    wait(lambda: said.text.startswith("0:00:00.00 to"), 60)
    labels = {event[2] for event in server.ask(f"view/signal?path={shown[0]['path']}")["events"]}
    assert labels >= {"left", "right"}
    see(driver, "Rows 1 to 24 of 24")


def test_a_picture_dropped_on_a_model_gets_its_class(server, driver):
    model, data = trained(server, "volumes.classify")
    made = dropped(server, driver, model, data / "ring" / "s11_0.png")
    assert made["shown"] == []
    see(driver, "What the model says")
    see(driver, "p_ring")
    see(driver, "Rows 1 to 1 of 1")


def test_what_a_model_cannot_read_is_refused_in_words(server, driver, tmp_path):
    model, _ = trained(server, "signals.decode")
    driver.get(f"{server.address}/models/{model}")
    (tmp_path / "notes.txt").write_text("not a recording")
    field = wait(lambda: next(iter(driver.find_elements("css selector", ".drop input")), None), 60)
    field.send_keys(str(tmp_path / "notes.txt"))
    wait(lambda: "/predictions/" in driver.current_url, 60)
    see(driver, "notes.txt", 120)
    see(driver, "not started", 120)
    click(driver, model)


def study(server: Server, driver) -> str:
    """Start a long study from its form; return the run, which is learning."""
    driver.get(f"{server.address}/recipe/signals.decode?demo=1")
    see(driver, "Demo data are ready", 90)
    see(driver, "--budget 60s")
    type_into(driver, "in-budget", "200 epochs")
    see(driver, "--budget '200 epochs'")
    click(driver, "Run")
    wait(lambda: "/runs/" in driver.current_url, 30)
    id = driver.current_url.rpartition("/")[2]
    wait(lambda: len(first_curve(server, id)) > 5, 120)
    see(driver, "Learning curves")
    return id


def first_curve(server: Server, id: str) -> list:
    curves = server.ask(f"runs/{id}")["curves"].get("loss", {})
    return next(iter(curves.values()), [])


def whole(server: Server, id: str) -> None:
    """Check that every fit's curve has each epoch once, from the first to the last."""
    curves = server.ask(f"runs/{id}")["curves"]["loss"]
    plan = read_json(server.folder / "runs" / id / "plan.json")
    assert len(curves) == 3, "a curve for each session that was held out"
    for points in curves.values():
        assert [at for at, _ in points] == list(range(1, plan["epochs"] + 1))


def test_stop_and_resume_by_clicks_go_on_with_the_curve(server, driver):
    id = study(server, driver)
    click(driver, f"Stop {id}")
    see(driver, "stopped", 60)
    before = first_curve(server, id)
    assert len(before) > 5
    picture(driver, "stopped")
    see(driver, "Learning curves")  # what was learnt so far stays to be seen
    click(driver, f"Resume {id}")
    see(driver, "running", 60)
    wait(lambda: server.state(id) == "done", 400)
    see(driver, "Result", 30)
    whole(server, id)
    kept = sum(one in first_curve(server, id) for one in before)
    assert kept >= len(before) - 1, "what was learnt is not learnt again"
    assert server.ask(f"runs/{id}")["metrics"]


def test_after_a_power_cut_the_study_goes_on_by_itself(server, driver):
    """Server and study are killed at once, as by a power cut; the next server goes on with it."""
    id = study(server, driver)
    pid = read_json(server.folder / ".studio" / "jobs" / id / "started.json")["pid"]
    driver.get("about:blank")
    server.kill()
    os.killpg(pid, signal.SIGKILL)
    server.start()
    driver.get(f"{server.address}/runs/{id}")
    see(driver, "running", 60)
    wait(lambda: server.state(id) == "done", 400)
    see(driver, "Result", 30)
    whole(server, id)
