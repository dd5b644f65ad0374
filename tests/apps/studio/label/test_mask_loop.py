"""A net in the loop of painting: a few slices, train, look where it doubts, correct, train on."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from neuroloom.core.recording import volume
from neuroloom.io.images import read_image, to_array, write_image
from tests.apps.studio.browsing import click, picture, see, type_into
from tests.apps.studio.conftest import wait
from tests.apps.studio.label.test_label_browser import Bench, trained
from tests.grids import blob

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]
SHAPE = (16, 20, 20)
PAINTED = (6, 8, 10)
SIZE, CORNER = 16, (2, 2)


def fill(field, text):
    field.clear()
    field.send_keys(text)


def spot(bench, row, column):
    """Where a voxel of the plane is on the screen, px from the canvas' top left."""
    return bench.js(f"const p = B.transform().m.transformPoint(new DOMPoint({column}, {row}));"
                    "return [p.x, p.y]")  # fmt: skip


def go_to(bench, image, index):
    """Open a slice by the controls of the bench."""
    from selenium.webdriver.support.ui import Select

    if bench.js("return B.image") != image:
        Select(bench.js("return B.images")).select_by_index(image)
        wait(lambda: bench.js(f"return B.ready && B.image === {image}"))
    while (now := bench.js("return B.index")) != index:
        bench.keys("d" if now < index else "a")
        wait(lambda was=now: bench.js("return B.index") != was)
    wait(lambda: bench.js("return B.ready"))


def dice(server, prediction):
    """Mean overlap of what a model found with the balls that were drawn, all four images."""
    scores = []
    for case in range(4):
        _, truth = blob(case, SHAPE)
        file = server.folder / "predictions" / prediction / f"scan{case}.nii.gz"
        found = to_array(read_image(file))[0] > 0
        scores.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    return float(np.mean(scores))


def looked(server, bench, id, model):
    """Let a model look at the images; return what came of it, and the slices by doubt."""
    bench.js("return B.fillModels()")
    wait(lambda: bench.js(f"B.model.value = {model!r}; return B.model.value === {model!r}"))
    bench.press("Predict")
    found = f"Found by {model}"
    slices = wait(
        lambda: bench.js(f"return B.state.textContent.startsWith({found!r}) && B.slices"), 300
    )
    return server.ask(f"labels/{id}/doubts")["id"], slices


def test_paint_train_predict_correct_and_train_on(server, driver):
    """Six slices of two scans, one painted wrong: the net finds it first, and it is corrected."""
    (server.folder / "scans").mkdir()
    for case in range(4):
        content, _ = blob(case, SHAPE)
        write_image(server.folder / "scans" / f"scan{case}.nii.gz", volume(content.T, np.eye(4)))
    driver.get(f"{server.address}/label?path=scans")
    click(driver, "Masks on slices: scans")
    see(driver, "Structures")
    type_into(driver, "new-labels", "ball")
    click(driver, "Begin")
    bench = Bench(driver, "masks")
    wait(lambda: bench.js("return B.ready"))
    id = driver.current_url.rpartition("/")[2]
    fill(bench.js("return B.sizeField"), str(SIZE))
    for name, value in (("from", "50"), ("to", "500")):
        fill(bench.js(f"return B.{name}"), value)
    bench.keys("t")
    for image in (0, 1):
        if image:  # its own limits were set when it was opened
            go_to(bench, image, PAINTED[0])
            for name, value in (("from", "50"), ("to", "500")):
                fill(bench.js(f"return B.{name}"), value)
        for index in PAINTED:
            go_to(bench, image, index)
            wrong = (image, index) == (1, 8)
            if wrong:
                bench.keys("t")
                fill(bench.js("return B.sizeField"), "5")
            at = spot(bench, *(CORNER if wrong else (10, 10)))
            bench.mouse(at, (at[0] + 2, at[1] + 2))
            assert "Saved" in bench.saved()
            if wrong:
                bench.keys("t")
                fill(bench.js("return B.sizeField"), str(SIZE))
    assert server.ask(f"labels/{id}")["done"] == 2
    bench.js("return [...B.root.querySelectorAll('summary')]"
             ".find((one) => one.textContent === 'Model')").click()  # fmt: skip
    fill(bench.js("return B.budget"), "150 steps")
    first = trained(server, bench, driver)
    assert server.ask(f"runs/{first}")["data"].endswith("/lesson-1")
    before, slices = looked(server, bench, id, first)
    doubts = [one["doubt"] for one in slices]
    assert doubts == sorted(doubts, reverse=True)
    assert (slices[0]["image"], slices[0]["index"]) == (1, 8), "painted wrong, most doubtful"
    picture(driver, "loop-doubts")
    bench.press("Most doubtful slice")
    wait(lambda: bench.js("return B.ready && B.image === 1 && B.index === 8"))
    assert "mask and net disagree" in bench.js("return B.said.textContent")
    bench.press("Take what it found on this slice")
    wait(lambda: "Saved" in bench.js("return B.said.textContent"))
    assert server.ask(f"labels/{id}/log")[0]["tool"] == "model"
    picture(driver, "loop-corrected")
    second = trained(server, bench, driver)
    after, slices = looked(server, bench, id, second)
    again = {(one["image"], one["index"]): one["doubt"] for one in slices}
    assert again.get((1, 8), 0.0) < doubts[0]
    assert dice(server, after) > max(0.6, dice(server, before) - 0.05)
