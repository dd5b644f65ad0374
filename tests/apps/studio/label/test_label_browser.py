"""Stories of labelling in a real browser: what is clicked and painted is what files hold."""

from __future__ import annotations

import os
import shutil
import time
from urllib.request import urlopen

import nibabel
import numpy as np
import pytest

from tests.apps.studio import browsing
from tests.apps.studio.browsing import Server, click, see, type_into
from tests.apps.studio.conftest import wait

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "workspace")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def driver():
    made = browsing.browser()
    yield made
    made.quit()


class Bench:
    """The bench of a kind on the page, reached as a user does: mouse, keys, buttons."""

    def __init__(self, driver, kind):
        self.driver = driver
        self.element = f"document.querySelector('studio-label-{kind}')"
        wait(lambda: self.js("return !!B?.root?.querySelector('canvas')"), 40)

    def js(self, text):
        return self.driver.execute_script(f"const B = {self.element}; {text}")

    @property
    def canvas(self):
        return self.js("return B.root.querySelector('canvas')")

    def mouse(self, *moves):
        """Press at the first place (px from the canvas' top left), move along, let go."""
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver, duration=30)
        box = self.js("const r = B.root.querySelector('canvas').getBoundingClientRect();"
                      "return [r.width, r.height]")  # fmt: skip
        for k, (x, y) in enumerate(moves):
            chain.move_to_element_with_offset(self.canvas, x - box[0] / 2, y - box[1] / 2)
            if k == 0:
                chain.click_and_hold()
        chain.release().perform()

    def keys(self, *keys):
        self.js("B.root.querySelector('canvas').focus()")
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def press(self, text):
        found = self.js(
            "const b = [...B.root.querySelectorAll('button')].find((b) => b.textContent.trim() === "
            f"{text!r}); b.scrollIntoView({{block: 'center'}}); return b"
        )
        found.click()

    def saved(self):
        wait(lambda: self.js("return B.open === 0"), 20)
        return self.js("return B.said.textContent")


def severe(driver):
    return [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]


def test_a_painted_mask_comes_back_equal_to_the_voxel(server, driver, tmp_path):
    """Brush, polygon, threshold, fill, propagate, eraser, undo; then three planes and the file."""
    rng = np.random.default_rng(0)
    affine = np.array([[-1, 0, 0, 20], [0, 1.2, 0, -3], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])
    scan = nibabel.Nifti1Image(rng.normal(100, 30, (60, 50, 20)).astype(np.float32), affine)
    (server.folder / "in").mkdir()
    scan.to_filename(server.folder / "in" / "brain.nii.gz")
    driver.get(f"{server.address}/label")
    click(driver, "Masks on slices: brain.nii.gz")
    see(driver, "Structures")
    type_into(driver, "new-labels", "left, right")
    click(driver, "Begin")
    bench = Bench(driver, "masks")
    wait(lambda: bench.js("return B.ready"))
    width, height = bench.js("const c = B.canvas; return [c.clientWidth, c.clientHeight]")
    middle = (width / 2, height / 2)

    def near(dx, dy):
        return middle[0] + dx, middle[1] + dy

    bench.mouse(near(-60, -40), near(40, -10), near(60, 60))
    assert "Saved" in bench.saved()
    bench.keys("2", "g")
    for place in (near(-120, 60), near(-30, 60), near(-70, 130)):
        bench.mouse(place)
    bench.keys("\ue007", "t", "b")
    bench.mouse(near(80, -80), near(120, 0))
    bench.keys("e")
    bench.mouse(near(0, -30), near(10, 30))
    bench.keys("b", "t", "p")
    time.sleep(0.5)
    wait(lambda: bench.js("return B.ready"))
    before = bench.js("return B.done.length")
    bench.mouse(near(0, 0), near(5, 5))
    bench.saved()
    bench.press("Undo")
    bench.saved()
    assert bench.js("return B.done.length") == before
    bench.keys("v")
    wait(lambda: bench.js("return B.ready"))
    bench.keys("f", "1")
    bench.mouse(near(-width / 6, 0))
    bench.saved()
    id = driver.current_url.rpartition("/")[2]
    shown = np.array(bench.js("return [...B.mask]"), np.uint8)
    axis, index = bench.js("return [B.axis, B.index]")
    with urlopen(f"{server.address}/api/labels/{id}/export") as answer:
        (tmp_path / "mask.nii.gz").write_bytes(answer.read())
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    voxels = np.asarray(mask.dataobj).transpose(2, 1, 0)
    assert np.array_equal(np.moveaxis(voxels, axis, 0)[index].ravel(), shown)
    assert set(np.unique(voxels)) == {0, 1, 2}
    image = nibabel.load(server.folder / "in" / "brain.nii.gz")
    assert np.array_equal(mask.affine, image.affine)
    log = server.ask(f"labels/{id}/log")
    assert {line["tool"] for line in log} == {
        "brush",
        "polygon",
        "eraser",
        "propagate",
        "undo",
        "fill",
    }
    server.kill()
    server.start()
    again = np.zeros_like(voxels)
    for k in range(len(voxels)):
        address = f"{server.address}/api/labels/{id}/part/mask?image=0&axis=0&index={k}"
        with urlopen(address) as answer:
            again[k] = np.frombuffer(answer.read(), np.uint8).reshape(voxels.shape[1:])
    assert np.array_equal(again, voxels)
    assert severe(driver) == []
