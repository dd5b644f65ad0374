"""Stories on real recordings: a folder is pointed at, a recipe found, and its result looked at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.apps.studio.browsing import Server, click, inside, open_fold, picture, see, type_into
from tests.apps.studio.conftest import wait

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver here"),
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]
COLOURED = """
const image = arguments[0], canvas = document.createElement('canvas');
[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
const pen = canvas.getContext('2d');
pen.drawImage(image, 0, 0);
const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
const found = [];
for (let k = 0; k < data.length; k += 4) found.push(data[k] !== data[k + 1] ? 1 : 0);
return found;
"""


MAPS = """
const said = (image) => image.alt + image.closest('figure')?.innerText;
return [...document.images].filter((image) => /each sensor adds|nose up/.test(said(image)));
"""


def add_folder(server: Server, driver, folder: Path) -> None:
    """Let the studio read a folder of this computer, as the page offers."""
    driver.get(f"{server.address}/data")
    open_fold(driver, "Add a folder of this computer")
    field = driver.find_element("css selector", "[aria-label='Folder to add']")
    field.send_keys(str(folder))
    wait(lambda: field.get_attribute("value") == str(folder))
    click(driver, "Add")


def painted(driver, plane: int) -> np.ndarray:
    """Return where a plane of the volume viewer is coloured, (row, column)."""
    images = "return document.querySelector('studio-volume').shadowRoot.querySelectorAll('img')"
    image = driver.execute_script(images)[plane]
    wait(lambda: driver.execute_script("return arguments[0].naturalWidth", image) > 0, 60)
    size = driver.execute_script(
        "const i = arguments[0]; return [i.naturalHeight, i.naturalWidth]", image
    )
    return np.array(driver.execute_script(COLOURED, image), bool).reshape(size)


def middle_of(mask: Path) -> list[np.ndarray]:
    """Return the three planes through the middle of a mask as the viewer turns them."""
    voxels = np.asarray(nibabel.as_closest_canonical(nibabel.load(mask)).dataobj)
    x, y, z = (n // 2 for n in voxels.shape)
    return [plane.T[::-1] > 0 for plane in (voxels[:, :, z], voxels[:, y], voxels[x])]


def test_a_folder_of_eeg_becomes_a_topomap(server, driver, test_data, tmp_path):
    """Fists or feet imagined, three real runs: what the net looked at is drawn on a scalp."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for run in ("06", "10", "14"):
        shutil.copy(test_data / "eeg" / "eegmmidb" / f"S001R{run}.edf", folder)
    add_folder(server, driver, folder)
    see(driver, "What was recognised", 90)
    see(driver, "T1 (")
    picture(driver, "eeg-data")
    click(driver, "Decode EEG, MEG or EMG trials into classes or numbers")
    see(driver, "Events: T0", 60)
    for k, (event, name) in enumerate((("T1", "fists"), ("T2", "feet")), start=1):
        click(driver, "Add a row to Events")
        type_into(driver, f"in-events-name-{k}", event)
        type_into(driver, f"in-events-value-{k}", name)
    type_into(driver, "in-budget", "60s")
    see(driver, "--events.T1 fists --events.T2 feet")
    picture(driver, "eeg-form")
    click(driver, "Run")
    see(driver, "Result", 400)
    picture(driver, "eeg-run")
    frame = driver.find_element("css selector", "iframe.report")
    driver.execute_script("arguments[0].scrollIntoView()", frame)
    driver.switch_to.frame(frame)
    see(driver, "fists")
    found = wait(lambda: driver.execute_script(MAPS), 30)
    assert all(image.is_displayed() and image.size["width"] > 200 for image in found)
    driver.switch_to.default_content()


def test_a_folder_of_hippocampi_becomes_masks_on_scans(server, driver, test_data, tmp_path):
    """Twelve scans, a minute and a half; a case that was held out is opened with its prediction."""
    folder = tmp_path / "hippocampi"
    source = test_data / "volumes" / "msd_hippocampus"
    for half in ("images", "labels"):
        (folder / half).mkdir(parents=True)
        for file in sorted((source / half).iterdir())[:12]:
            shutil.copy(file, folder / half)
    add_folder(server, driver, folder)
    see(driver, "12 cases, 12 with a mask", 90)
    picture(driver, "hippo-data")
    click(driver, "Segment CT, MR and other volumes or images, planned by itself")
    see(driver, "12 cases, 12 with a mask", 60)
    type_into(driver, "in-budget", "90s")
    open_fold(driver, "more settings")
    type_into(driver, "in-folds", "1")
    see(driver, "--folds 1")
    click(driver, "Run")
    see(driver, "Predictions of held-out cases", 900)
    picture(driver, "hippo-run")
    run = driver.current_url.rpartition("/")[2]
    shown = server.ask(f"runs/{run}")["shown"]
    assert len(shown) >= 2
    click(driver, f"Look at {shown[0]['name']}")
    chosen = inside(driver, "volume", "select")
    assert chosen.get_attribute("value") == shown[0]["over"]
    see(driver, next(iter(shown[0]["names"].values())))
    for plane, wanted in enumerate(middle_of(server.folder / shown[0]["over"])):
        assert np.array_equal(painted(driver, plane), wanted)
    metrics = {row["name"]: row for row in server.ask(f"runs/{run}")["metrics"]}
    assert metrics["dice"]["value"] > 0.5
