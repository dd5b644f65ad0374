"""The recipes of microscopy that do not train: what they write, score and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import image
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.microscopy import Measure, Threshold
from neuroloom.microscopy.curation import write_training_set
from neuroloom.microscopy.morphometry import AXON_COLUMNS
from tests import grids


def test_tables_densities_and_fascicles(tmp_path):
    data = grids.write_fibres(tmp_path / "data")
    run = Measure(pixel_size=0.1, nerve="*_seg-nerve.*").run(data, tmp_path / "out")
    shelf = run.folder / "artifacts"
    table = pd.read_excel(shelf / "s0_axon_morphometrics.xlsx", index_col=0)
    assert list(table.columns) == list(AXON_COLUMNS)
    assert table["image_border_touching"].tolist() == [True, False, False]
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["gratio"]["value"] == pytest.approx(0.6, abs=0.01)
    assert metrics["gratio"]["low"] <= metrics["gratio"]["value"] <= metrics["gratio"]["high"]
    nerve = json.loads((shelf / "s1_nerve_morphometrics.json").read_text())
    assert nerve["total_area"]["value"] == pytest.approx(90 * 120 * 0.01)
    assert nerve["total_axon_density"]["value"] == pytest.approx(3 / 108)


def test_an_image_without_fascicles_is_refused_where_they_are_asked_for(tmp_path):
    data = grids.write_fibres(tmp_path / "data", images=2)
    (data / "s1_seg-nerve.png").rename(data / "s1_fascicle.png")
    fields = {"nerve": "*_seg-nerve.*", "pixel_size": 0.1}
    with pytest.raises(DataError, match="s1 has an axon mask, but no nerve mask"):
        Measure(**fields).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (section,) = Measure(**fields, include=["s0_*"]).prepare(data).sections
    assert section.nerve is not None


def test_one_axon_mask_is_measured_and_none_beside_it(tmp_path):
    data = grids.write_fibres(tmp_path / "data", images=2)
    (section,) = Measure(pixel_size=0.1).prepare(data / "s1_seg-axon.png").sections
    assert (section.name, section.myelin) == ("s1", data / "s1_seg-myelin.png")
    with pytest.raises(DataError, match="no file matches axon"):
        Measure(pixel_size=0.1).prepare(data / "s1_seg-myelin.png")


def test_masks_that_a_model_predicted_are_measured_and_runs_are_named(tmp_path):
    said = grids.write_fibres(tmp_path / "seg/animal1", images=1)
    for file in ("status.json", "predictions.parquet"):
        (said / file).write_text("{}")
    (section,) = Measure(pixel_size=0.1).prepare(tmp_path / "seg").sections
    assert section.axon.parent == said
    (said / "recipe.yaml").write_text("recipe: microscopy.segment")
    with pytest.raises(DataError, match=r"no file matches axon .* passed over: animal1\."):
        Measure(pixel_size=0.1).prepare(tmp_path / "seg")


def test_the_pixel_size_must_come_from_somewhere(tmp_path):
    data = grids.write_fibres(tmp_path, images=1)
    with pytest.raises(ConfigError, match="pixel_size"):
        Measure().prepare(data)
    (data / "pixel_size_in_micrometer.txt").write_text("0.07\n")
    assert Measure().prepare(data).sections[0].pixel_um == 0.07
    assert Measure(pixel_size=20.0).prepare(data).findings[0].severity == "warning"
    (data / "s0_seg-myelin.png").unlink()
    with pytest.raises(DataError, match="s0 has an axon mask, but no myelin"):
        Measure(pixel_size=0.1).prepare(data)
    assert Measure(pixel_size=0.1, myelin=None).prepare(data).sections[0].myelin is None
    with pytest.raises(DataError, match="no file matches"):
        Measure(axon="*_axons.tif").prepare(data)


def test_every_image_is_asked_whether_its_pixel_size_can_be(tmp_path):
    data = grids.write_fibres(tmp_path, images=3)
    for number, size in enumerate((0.1, 70, 0.1)):
        folder = data / f"s{number}"
        folder.mkdir()
        for file in data.glob(f"s{number}_*"):
            file.rename(folder / file.name)
        (folder / "pixel_size_in_micrometer.txt").write_text(f"{size}\n")
    told = {found.severity: found.detail for found in Measure().prepare(data).findings}
    assert told["note"] == "s0_s0, s2_s2: 0.1 um a pixel."
    assert told["warning"].startswith("s1_s1: 70 um a pixel. Axons")


def test_a_mask_drawn_in_a_colour_is_refused_and_one_without_axons_named(tmp_path):
    data = grids.write_fibres(tmp_path)
    (data / "._s0_seg-axon.png").write_bytes(b"what macOS leaves beside files")
    recipe = Measure(pixel_size=0.1)
    write_image(data / "s1_seg-axon.png", image(np.zeros((90, 120), np.uint8)))
    told = [found.detail for found in recipe.prepare(data).findings if found.title == "No axons"]
    assert told[0].startswith("s1: nothing is drawn")
    blue = np.zeros((3, 90, 120), np.uint8)
    blue[2, 20:40, 20:40] = 255
    write_image(data / "s1_seg-axon.png", image(blue))
    with pytest.raises(DataError, match=r"s1_seg-axon\.png: a mask has one channel.*3 that differ"):
        recipe.prepare(data)


def test_pixels_that_are_oblong_are_refused(tmp_path):
    content = image(np.eye(9, dtype=np.uint8), (0.2, 0.1), "um")
    write_image(tmp_path / "a_seg-axon.tif", content)
    with pytest.raises(ConfigError, match=r"a_seg-axon\.tif are 0\.2 x 0\.1 um"):
        Measure(myelin=None).prepare(tmp_path)
    (tmp_path / "a_pixel_size_um.txt").write_text("0.1")
    assert Measure(myelin=None).prepare(tmp_path).sections[0].pixel_um == 0.1


def test_axons_that_the_border_cuts_have_no_calibre(tmp_path):
    data = grids.write_fibres(tmp_path / "data", images=1)
    run = Measure(pixel_size=0.1).run(data, tmp_path / "out")
    assert pd.read_csv(run.folder / "artifacts" / "calibres.csv")["axons"].sum() == 2


def test_nuclei_are_written_and_scored(tmp_path):
    data = grids.write_nuclei(tmp_path / "data")
    run = Threshold().run(data, tmp_path / "out")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["f1"]["value"] == 1.0
    assert "each number is one object" in (run.folder / "audit.json").read_text()
    found = to_array(read_image(run.folder / "artifacts" / "masks" / "n0.tif"))
    assert found.max() == 5


@pytest.mark.parametrize("smooth", [False, True])
def test_pieces_of_a_mask_are_the_true_objects(smooth, tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=2)
    for file in (data / "labels").iterdir():
        numbers = to_array(read_image(file))[0]
        mask = np.where(maximum_filter(numbers, 3) == minimum_filter(numbers, 3), numbers, 0) > 0
        mask = mask * np.uint8(255)
        mask[::12] = 200 * (mask[::12] > 0) if smooth else mask[::12]
        write_image(file, image(mask))
    run = Threshold().run(data, tmp_path / "out")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["f1"]["value"] == 1.0
    assert metrics["f1"]["baseline"] > 0.9
    assert "each connected piece counts" in (run.folder / "audit.json").read_text()


@pytest.mark.parametrize("pipeline", ["nuclei", "mine.yaml"])
def test_what_labels_leave_open_is_not_scored(pipeline, tmp_path):
    data, cases = grids.write_nuclei(tmp_path / "data"), {}
    for file in sorted((data / "labels").iterdir()):
        drawn = (to_array(read_image(file))[0] > 0).astype(np.uint8)
        drawn[:48] = 255  # three of five nuclei
        cases[file.stem] = (read_image(data / "images" / file.name), drawn)
    kept = write_training_set(tmp_path / "kept", cases, ["nucleus"])
    if pipeline.endswith(".yaml"):
        pipeline = str(tmp_path / pipeline)
        Path(pipeline).write_text("- {do: smooth, sigma: 1.0}\n- {do: threshold}\n")
    run = Threshold(pipeline=pipeline).run(kept, tmp_path / "out")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    score = metrics["f1" if "f1" in metrics else "dice"]
    assert score["value"] > 0.9
    assert score["baseline"] > 0.9
    rows = run.predictions
    assert (rows["tp"] + rows["fn"]).max() == (2 if "f1" in metrics else (drawn == 1).sum())


def test_a_blank_image_ends_nothing_and_is_named(tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=2)
    write_image(data / "images" / "n0.tif", image(np.full((96, 96), 7, np.float32)))
    run = Threshold().run(data, tmp_path / "out")
    assert run.predictions["objects"].tolist() == [0, 5]
    told = json.loads((run.folder / "audit.json").read_text())
    assert told[-1]["detail"].startswith("n0: channel 0 has one value everywhere")


def test_greys_that_are_neither_a_mask_nor_numbers_are_refused(tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=1)
    greys = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    write_image(data / "labels" / "n0.tif", image(greys))
    with pytest.raises(DataError, match="n0.*greys"):
        Threshold().run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_images_that_cannot_be_segmented_or_scored_are_listed_at_once(tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=3)
    files = sorted((data / "images").iterdir()), sorted((data / "labels").iterdir())
    files[0][0].write_bytes(b"no picture")
    write_image(files[1][2], image(np.ones((7, 9), np.uint8)))
    with pytest.raises(DataError, match=r"(?s)2 problems in 2 cases.*n0.*n2.*the label's grid"):
        Threshold().prepare(data)


def test_a_mask_of_ones_own_steps_without_labels(tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=1)
    mine = tmp_path / "mine.yaml"
    mine.write_text("- {do: smooth, sigma: 1.0}\n- {do: threshold}\n")
    run = Threshold(pipeline=str(mine)).run(data, tmp_path / "scored")
    assert json.loads((run.folder / "metrics.json").read_text())["dice"]["value"] > 0.9
    run = Threshold(pipeline=str(mine)).run(data / "images", tmp_path / "plain")
    assert json.loads((run.folder / "metrics.json").read_text()) == {}


def test_a_channel_that_one_image_lacks_is_told_beforehand(tmp_path):
    data = grids.write_nuclei(tmp_path / "data", images=2)
    two = np.zeros((2, 96, 96), np.float32)
    two[1, 20:40, 20:40] = 90
    write_image(data / "images" / "n0.tif", image(two))
    assert Threshold(channel=0).prepare(data).found.cases[0].channel_count == 2
    with pytest.raises(ConfigError, match="and n1 has no channel 1"):
        Threshold(channel=1).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
