"""Stories of labelling in a real browser: what is clicked and painted is what files hold."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from io import BytesIO
from urllib.request import urlopen

import nibabel
import numpy as np
import pytest

from neuroloom.io.bouts import FORMATS, read_bouts
from neuroloom.io.labels import read_labels
from neuroloom.io.video import write_video
from tests.apps.studio import browsing
from tests.apps.studio.browsing import Server, click, see, type_into
from tests.apps.studio.conftest import wait

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]


@pytest.fixture
def server(tmp_path, driver):
    made = Server(tmp_path / "workspace")
    driver.get_log("browser")
    yield made
    driver.get("about:blank")
    made.stop()


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
    assert severe(driver) == []
    driver.get("about:blank")
    server.kill()
    server.start()
    again = np.zeros_like(voxels)
    for k in range(len(voxels)):
        address = f"{server.address}/api/labels/{id}/part/mask?image=0&axis=0&index={k}"
        with urlopen(address) as answer:
            again[k] = np.frombuffer(answer.read(), np.uint8).reshape(voxels.shape[1:])
    assert np.array_equal(again, voxels)


def test_the_threshold_looks_at_the_pixel_that_is_shown(server, driver):
    """A scan of two contrasts: the first is shown, and its values say where the brush paints."""
    rng = np.random.default_rng(1)
    voxels = rng.uniform(0, 100, (24, 20, 3, 2)).astype(np.float32)
    (server.folder / "in").mkdir()
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(server.folder / "in" / "two.nii.gz")
    driver.get(f"{server.address}/label")
    click(driver, "Masks on slices: two.nii.gz")
    see(driver, "Structures")
    click(driver, "Begin")
    bench = Bench(driver, "masks")
    wait(lambda: bench.js("return B.ready"))
    bench.js("B.size = 200; B.from.value = 40; B.to.value = 60;")
    width, height = bench.js("const c = B.canvas; return [c.clientWidth, c.clientHeight]")
    bench.keys("t")
    bench.mouse((width / 2, height / 2), (width / 2 + 2, height / 2))
    assert "Saved" in bench.saved()
    index = bench.js("return B.index")
    painted = np.array(bench.js("return [...B.mask]")).reshape(20, 24)
    first = voxels[:, :, index, 0].T
    assert np.array_equal(painted == 1, (first >= 40) & (first <= 60))


def place_of(frame):
    """Where the animal of the drawn video is, px: its front, halfway between the ears."""
    return 60 + frame, 60 + int(15 * np.sin(frame / 9))


def truth_of(frame):
    """Left ear, right ear, tail, px, from what was drawn."""
    x, y = place_of(frame)
    return np.array([[x - 5.5, y - 9.5], [x - 5.5, y + 8.5], [x - 30, y]], float)


def draw_animal(file):
    """A body with a red left and a blue right ear walks to the right."""

    def frames():
        for k in range(60):
            x, y = place_of(k)
            frame = np.full((96, 128, 3), 60, np.uint8)
            frame[y - 12 : y + 12, x - 30 : x] = 170
            frame[y - 12 : y - 6, x - 8 : x - 2] = (250, 60, 60)
            frame[y + 6 : y + 12, x - 8 : x - 2] = (60, 60, 250)
            yield frame

    write_video(file, frames(), 25)


def error_on_video(server, model):
    """Mean distance of all points of the whole video from what was drawn, px."""
    import pandas as pd

    made = server.ask("predict", {"model": model, "data": "in/mouse.mp4"})["id"]
    wait(lambda: server.ask(f"predictions/{made}")["state"] == "done", 240)
    table = pd.read_parquet(server.folder / "predictions" / made / "predictions.parquet")
    wide = table.set_index(["frame", "keypoint"])[["x", "y"]]
    truth = np.concatenate([truth_of(k) for k in range(60)])
    names = ["ear_l", "ear_r", "tail"]
    found = wide.loc[[(k, name) for k in range(60) for name in names]].to_numpy()
    return float(np.linalg.norm(found - truth, axis=1).mean())


def trained(server, bench, driver):
    """Press Train; return the name of the finished run."""
    bench.press("Train")
    name = wait(lambda: bench.js("return B.state.querySelector('a')?.textContent"), 30)
    wait(lambda: server.state(name) not in ("waiting", "running"), 900)
    assert server.state(name) == "done"
    return name


def test_label_train_predict_correct_a_swap_and_retrain(server, driver):
    """Five frames by clicks, in one the ears are swapped; a key corrects the most doubtful."""
    (server.folder / "in").mkdir()
    draw_animal(server.folder / "in" / "mouse.mp4")
    driver.get(f"{server.address}/label")
    click(driver, "Keypoints on frames: mouse.mp4")
    see(driver, "Which frames")
    for name, text in (("keypoints", "ear_l, ear_r, tail"), ("count", "5"),
                       ("bones", "ear_l-tail, ear_r-tail")):  # fmt: skip
        type_into(driver, f"new-{name}", text)
    click(driver, "Begin")
    bench = Bench(driver, "keypoints")
    wait(lambda: bench.js("return B.picture(B.row).naturalWidth > 0"))
    numbers = [frame["frame"] for frame in bench.js("return B.head.frames")]
    for row, number in enumerate(numbers):
        wait(lambda: bench.js("return B.picture(B.row).naturalWidth > 0"))
        points = truth_of(number)
        for k in (1, 0, 2) if row == 2 else (0, 1, 2):
            bench.mouse(bench.js(f"return B.toScreen({points[k].tolist()}, B.scale())"))
        bench.saved()
        bench.keys("d")
    assert server.ask("labels")[0]["done"] == 5
    id = driver.current_url.rpartition("/")[2]
    clicked = np.array(server.ask(f"labels/{id}")["points"], float)[:, 0]
    wanted = np.array([truth_of(n)[[1, 0, 2] if k == 2 else [0, 1, 2]]
                       for k, n in enumerate(numbers)])  # fmt: skip
    assert np.abs(clicked - wanted).max() < 0.6, "a click lands where it was aimed at"
    field = bench.js("B.budget.value = ''; return B.budget")
    field.send_keys("150 steps")
    first = trained(server, bench, driver)
    bench.js("return B.fillModels()")
    wait(lambda: bench.js("return B.model.value") == first)
    bench.press("Predict")
    wait(lambda: bench.js("return !!B.found"), 240)
    assert bench.js("return B.row") == 2, "the frame with the swap is the most doubtful"
    bench.keys("x")
    bench.saved()
    assert server.ask(f"labels/{id}/log")[0]["origin"] == "swap"
    second = trained(server, bench, driver)
    before, after = (error_on_video(server, model) for model in (first, second))
    assert after < before
    with urlopen(f"{server.address}/api/labels/{id}/export") as answer:
        files = zipfile.ZipFile(BytesIO(answer.read()))
    files.extractall(server.folder / "theirs")
    project = read_labels(server.folder / "theirs")
    assert np.abs(project.points[:, 0] - [truth_of(n) for n in numbers]).max() < 0.6
    assert severe(driver) == []


def test_bouts_on_a_video_come_back_equal_from_boris(server, driver, tmp_path):
    """Keys begin and end behaviours of two subjects; an end is moved; one is removed and undone."""
    from selenium.webdriver.common.keys import Keys

    (server.folder / "in").mkdir()
    draw_animal(server.folder / "in" / "mouse.mp4")
    driver.get(f"{server.address}/label")
    click(driver, "Events and bouts: mouse.mp4")
    see(driver, "Behaviours")
    type_into(driver, "new-behaviours", "groom, rear (p)")
    type_into(driver, "new-subjects", "resident, intruder")
    click(driver, "Begin")
    bench = Bench(driver, "bouts")
    wait(lambda: bench.js("return !!B.image"))

    def keys(*words):
        bench.js("B.canvas.focus()")
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(driver).send_keys(*words).perform()
        bench.saved()

    right, left = Keys.ARROW_RIGHT, Keys.ARROW_LEFT
    keys("g", *[right] * 10, "g")  # 0 to 0.4 s
    keys(*[right] * 5, "r")  # 0.6 s
    keys("g", *[right] * 20, "g")  # 0.6 to 1.4 s
    keys(*[left] * 5, "]")  # stop at 1.2 s
    bench.js("B.people.value = 'intruder'; B.people.dispatchEvent(new Event('change'))")
    keys("g", *[right] * 5, "g")  # 1.2 to 1.4 s
    keys(Keys.DELETE)
    assert len(bench.js("return B.head.bouts")) == 3
    bench.press("Undo")
    bench.saved()
    wanted = [
        (0.0, 0.4, "groom", "resident", ""), (0.6, 0.6, "rear", "resident", ""),
        (0.6, 1.2, "groom", "resident", ""), (1.2, 1.4, "groom", "intruder", ""),
    ]  # fmt: skip
    id = driver.current_url.rpartition("/")[2]
    for format, (_, ending, _) in FORMATS.items():
        with urlopen(f"{server.address}/api/labels/{id}/export?format={format}") as answer:
            file = tmp_path / f"{format}{ending}"
            file.write_bytes(answer.read())
        assert read_bouts(file).rows() == wanted, format
    assert browsing.foreign_requests(driver) == []
    assert severe(driver) == []
