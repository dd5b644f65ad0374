"""`microscopy.curate`: results sorted by a table or in folders, merged, and learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import image
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.microscopy import Curate, Segment
from neuroloom.microscopy.curate import whole_recording
from neuroloom.microscopy.curation import write_training_set
from tests import grids

BOTH = {"second": "second", "regions": "regions"}


def mask(file):
    return to_array(read_image(file))[0]


def test_what_is_called_good_is_merged_and_ready_to_be_learnt_from(tmp_path):
    data = grids.write_candidates(tmp_path / "data")
    dirt = np.zeros((96, 96), np.uint8)
    dirt[:9, :9] = 1
    write_image(data / "dirt/n0.tif", image(dirt))
    run = Curate(**BOTH, exclude="dirt", marks="marks.csv").run(data, tmp_path / "run")
    training = run.folder / "artifacts/training"
    assert sorted(path.stem for path in (training / "labelsTr").iterdir()) == ["n0", "n2"]
    merged = mask(training / "labelsTr/n0.tif")
    np.testing.assert_array_equal(merged[dirt == 1], 2)
    np.testing.assert_array_equal(merged[dirt == 0], mask(data / "second/n0.tif")[dirt == 0])
    kept = run.predictions.set_index("name")
    assert kept["mark"].to_dict() == {"n0": "good", "n1": "bad", "n2": "good"}
    right = mask(data / "second/n2.tif")[:, 48:].sum() / 96**2
    assert kept["changed"]["n2"] == pytest.approx(right)
    assert read_json(run.folder / "metrics.json")["kept"]["value"] == pytest.approx(2 / 3)
    verdicts = [e["verdict"] for e in read_json(training / "curation.json")["entries"][:3]]
    assert verdicts == ["good", "bad", "good"]
    facts = Segment(split="run").read(training).facts
    assert facts["classes_of"] == {"0": "background", "1": "object"}
    assert facts["ignore"] == 2


def test_other_marks_are_another_run(tmp_path):
    data = grids.write_candidates(tmp_path / "data")
    run = Curate(marks="marks.csv").run(data, tmp_path / "run")
    (data / "marks.csv").write_text("name,mark\nn1,good\n")
    with pytest.raises(DataError, match="marks changed since this run began"):
        run.replay(tmp_path / "again")


def test_without_marks_there_are_sheets_and_a_table_to_fill_in(tmp_path):
    data = grids.write_candidates(tmp_path / "data")
    run = Curate(second="second").run(data, tmp_path / "run")
    shelf = run.folder / "artifacts"
    assert (shelf / "marks.csv").read_text().split() == ["name,mark", "n0,", "n1,", "n2,"]
    assert not (shelf / "training").exists()
    assert "sheet_1" in (shelf / "index.json").read_text()
    assert "Nothing was marked yet" in (run.folder / "report.html").read_text()
    # The pictures themselves can be sorted.
    for word, name in (("good", "n1"), ("bad", "n0")):
        (shelf / word).mkdir()
        (shelf / f"sheets/{name}.png").rename(shelf / word / f"{name}.png")
    prepared = Curate(marks=str(shelf)).prepare(data)
    assert (prepared.marks.good, prepared.marks.bad) == (("n1",), ("n0",))
    assert [found.detail[:3] for found in prepared.findings if "judged" in found.title] == ["n2:"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,mark\nn9,good\n", "no image is called 'n9'"),
        ("name,mark\nn0,fine\n", "n0 is marked 'fine'; expected good, bad"),
        ("name,mark\nn0,good\nn0,bad\n", "'n0' is marked twice"),
        ("name,grade\nn0,good\n", "columns name, grade; name and mark"),
        ("name,mark\nn0,bad\n", "no image is called good"),
    ],
)
def test_marks_that_mean_nothing_are_refused(text, told, tmp_path):
    data = grids.write_candidates(tmp_path, images=2)
    (data / "marks.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        Curate(marks="marks.csv").prepare(data)


def test_versions_and_regions_must_fit(tmp_path):
    data = grids.write_candidates(tmp_path, images=2)
    with pytest.raises(ConfigError, match="no second version to take there"):
        Curate(regions="regions").prepare(data)
    with pytest.raises(ConfigError, match="name in `regions` where"):
        Curate(second="second", marks="marks.csv").prepare(data)
    with pytest.raises(ConfigError, match="labels: there is no folder none"):
        Curate(labels="none").prepare(data)
    write_image(data / "second/n1.tif", image(np.ones((5, 6), np.uint8)))
    with pytest.raises(DataError, match=r"n1\.tif: its grid is \(5, 6\), that of the image"):
        Curate(**BOTH).prepare(data)
    (data / "second/n1.tif").unlink()
    with pytest.raises(DataError, match="n1: has a region, but no second version"):
        Curate(**BOTH).prepare(data)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_grey_edges_of_masks_are_cut_at_half(suffix, tmp_path):
    data = grids.write_candidates(tmp_path / "data")
    drawn = {}
    for file in sorted((data / "labels").iterdir()):
        drawn[file.stem] = mask(file)
        soft = Image.fromarray(255 * drawn[file.stem])
        if suffix == ".png":  # two pixels of grey at each edge
            soft = soft.resize((192, 192), Image.Resampling.BILINEAR).resize((96, 96))
        file.unlink()
        soft.save(file.with_suffix(suffix), **({"quality": 60} if suffix == ".jpg" else {}))
    assert ((mask(data / f"labels/n0{suffix}") > 0) != drawn["n0"]).mean() > 0.01
    run = Curate(marks="marks.csv").run(data, tmp_path / "run")
    kept = mask(run.folder / "artifacts/training/labelsTr/n0.tif")
    assert (kept != drawn["n0"]).mean() < 0.001


def test_a_mask_in_colours_is_refused_before_anything_is_written(tmp_path):
    data = grids.write_candidates(tmp_path / "data")
    drawn = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(drawn).save(data / "labels/n2.png")
    (data / "labels/n2.tif").unlink()
    with pytest.raises(DataError, match=r"n2.png: has 3 channels that differ"):
        Curate(marks="marks.csv").run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_numbers_without_a_class_are_refused_before_anything_is_written(tmp_path):
    data = grids.write_candidates(tmp_path, images=2)
    like = read_image(data / "labels/n1.tif")
    numbers = np.full(to_array(like).shape[1:], 3, np.uint8)
    write_image(data / "second/n1.tif", image(numbers))
    with pytest.raises(DataError, match=r"n1\.tif: holds label 3, but only 2 classes"):
        Curate(classes=["one", "two"], **BOTH).prepare(data)


COLOURS = ["red", "green", "blue"]


@pytest.mark.parametrize("split", [False, True])
def test_every_channel_is_kept(split, tmp_path):
    shown = np.random.default_rng(0).integers(0, 255, (2, 3, 20, 24)).astype(np.uint8)
    for name, colours in zip(("a", "b"), shown, strict=True):
        write_image(tmp_path / f"labels/{name}.tif", image(colours[0] // 128))
        if not split:
            write_image(tmp_path / f"images/{name}.tif", image(colours, channels=COLOURS))
        for number in range(3 * split):
            write_image(tmp_path / f"images/{name}_{number:04d}.tif", image(colours[number]))
    (tmp_path / "marks.csv").write_text("name,mark\na,good\nb,good\n")
    prepared = Curate(marks="marks.csv").prepare(tmp_path)
    assert prepared.channels == ([f"channel {k}" for k in range(3)] if split else COLOURS)
    kept = {case.name: whole_recording(case) for case in prepared.cases}
    assert {recording.dtype.name for recording in kept.values()} == {"uint8"}
    labels = np.eye(20, 24, dtype=np.uint8)
    write_training_set(tmp_path / "t", {k: (own, labels) for k, own in kept.items()}, ["cell"])
    found = find_cases(tmp_path / "t")
    assert len(found.channels) == 3
    for case, own in zip(found.cases, shown, strict=True):
        np.testing.assert_array_equal(case.image(), own)


def test_images_with_other_channels_are_not_kept_together(tmp_path):
    for name, count in (("a", 2), ("b", 1)):
        write_image(tmp_path / f"images/{name}.tif", image(np.ones((count, 8, 8), np.float32)))
        write_image(tmp_path / f"labels/{name}.tif", image(np.eye(8, dtype=np.uint8)))
    (tmp_path / "marks.csv").write_text("name,mark\na,good\nb,good\n")
    with pytest.raises(DataError, match="b: has 1 channel, expected 2 as in a"):
        Curate(marks="marks.csv").prepare(tmp_path)
