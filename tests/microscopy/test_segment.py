"""`microscopy.segment` and `microscopy.axon`, from files to metrics, on toy images."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import image
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.learn.dense.held_out import rows_of
from neuroloom.microscopy.axon import Axon
from neuroloom.microscopy.curation import write_training_set
from neuroloom.microscopy.data import believed
from neuroloom.microscopy.fibres import masks_of, sum_up, table_of, write_masks
from neuroloom.microscopy.segment import Segment
from neuroloom.microscopy.story.fibres import _row_of
from tests import grids

SECTIONS = {
    "images": {"image": "raw_*.tif"}, "labels": {"lines": "lines_*.png", "spots": "spots_*.png"},
    "budget": "6 steps", "plan": {"features": "4", "patch": "32,32"},
}  # fmt: skip
STRIPS = SECTIONS | {"margin": 8}


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    return grids.write_sections(tmp_path_factory.mktemp("data") / "tissue", sections=3)


def test_sections_of_one_tissue_are_split_in_space(sections):
    prepared = Segment(**STRIPS, folds=2).prepare(sections)
    assert prepared.by == "space"
    own = Segment(**STRIPS | {"budget": "60s"}, split="space")
    strips = own.read(sections).labelled()
    fits = len(own._split(strips, "space"))
    assert own._maker(own.find("dynunet"), strips)().wishes.budget_s == pytest.approx(60 / fits)
    table = prepared.dataset.table
    for fold in prepared.folds:
        assert set(table["part"].iloc[fold.train]) & set(table["part"].iloc[fold.test]) == set()
        assert set(table["whole"].iloc[fold.test]) == {"raw_00", "raw_01", "raw_02"}


def test_strips_that_are_cut_by_themselves_are_planned_for_their_number(sections):
    own = Segment(**STRIPS | {"budget": "60s"})
    prepared = own.prepare(sections)
    assert prepared.by == "space"
    wishes = own._maker(own.find("dynunet"), prepared.dataset)().wishes
    assert wishes.budget_s == pytest.approx(60 / len(prepared.folds))


def test_a_stated_split_of_sections_is_followed_instead_of_strips(sections):
    rows = [
        {"image": f"raw_{k:02d}.tif", "label_lines": f"lines_{k:02d}.png", "split": side}
        for k, side in enumerate(("train", "test", "train"))
    ]
    pd.DataFrame(rows).to_csv(sections / "stated.csv", index=False)
    fields = {name: SECTIONS[name] for name in ("budget", "plan")}
    prepared = Segment(**fields).prepare(sections / "stated.csv")
    (sections / "stated.csv").unlink()
    (fold,) = prepared.folds
    assert prepared.dataset.table["name"].iloc[fold.test].tolist() == ["raw_01"]
    assert "Neighbouring sections on both sides" in [f.title for f in prepared.findings]


def test_one_fold_holds_out_the_last_third_of_every_section(sections):
    prepared = Segment(**STRIPS, split="space", folds=1).prepare(sections)
    (fold,) = prepared.folds
    assert {prepared.dataset.x[int(row)].shape for row in fold.test} == {(64, 37)}
    assert {prepared.dataset.x[int(row)].shape for row in fold.train} == {(64, 67)}


def test_sections_of_unlike_shape_are_cut_along_one_axis(tmp_path):
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(140, 120), (120, 130), (120, 140)]):
        for half in ("images", "labels"):
            drawn = rng.integers(0, 2 if half == "labels" else 200, shape).astype(np.uint8)
            write_image(tmp_path / f"{half}/sub-a_run-{number}.tif", image(drawn))
    dataset = Segment(split="space", folds=1, margin=4).prepare(tmp_path).dataset
    assert {strip.axis for strip in dataset.x} == {1}


def test_strips_and_whole_images_are_not_held_out_at_once(sections):
    with pytest.raises(ConfigError, match="`test` names whole images"):
        Segment(**STRIPS, split="space", test=["raw_02*"]).prepare(sections)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"axis": 0}, "axis is for strips"), ({"share": 0.2, "margin": 8}, "share and margin are")],
)
def test_settings_of_strips_are_refused_where_sections_are_held_out(fields, words, sections):
    with pytest.raises(ConfigError, match=words):
        Segment(**SECTIONS | fields, split="run").prepare(sections)


def test_a_run_in_space_is_judged_and_evaluates_whole_images(sections, tmp_path):
    run = Segment(**STRIPS, split="space", folds=1).run(sections, tmp_path / "r")
    metrics = read_json(run.folder / "metrics.json")
    assert {"dice", "dice/lines", "dice/spots"} <= set(metrics)
    assert not any("copied" in name for name in metrics)
    table = run.evaluate(sections, tmp_path / "e")
    assert table.attrs["labelled"] == 3
    written = run.predict(sections, out=tmp_path / "p")
    assert len(written) == 3 * 2
    for path in sections.glob("raw_*"):
        (tmp_path / "new" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / "deep" / path.name.replace("raw", "f")).write_bytes(path.read_bytes())
    assert len(run.predict(tmp_path / "new")) == 3 * 2
    assert to_array(read_image(tmp_path / "p" / written["file"].iloc[0])).shape == (1, 64, 112)


def test_left_out_sections_stand_beside_the_neighbours_mask(sections, tmp_path):
    run = Segment(**SECTIONS, split="run").run(sections, tmp_path / "r")
    metrics = read_json(run.folder / "metrics.json")
    masks = [to_array(read_image(sections / f"lines_{k:02d}.png"))[0] > 0 for k in range(3)]
    spots = [to_array(read_image(sections / f"spots_{k:02d}.png"))[0] > 0 for k in range(3)]
    beside = [(0, 1), (1, 0), (2, 1)]

    def dice(pairs):
        return np.mean([2 * (a[i] & a[j]).sum() / (a[i].sum() + a[j].sum()) for a, i, j in pairs])

    lines = dice([([m & ~s for m, s in zip(masks, spots, strict=True)], i, j) for i, j in beside])
    assert metrics["dice/lines/copied neighbour"]["value"] == pytest.approx(lines)
    audit = read_json(run.folder / "audit.json")
    assert "Neighbouring sections on both sides" in {found["title"] for found in audit}
    facts = read_json(run.folder / "facts.json")
    assert "memory" in facts["meanings"]["dice/copied neighbour"]


def test_files_that_are_mere_numbers_are_sections_where_the_split_says_so(tmp_path):
    data = tmp_path / "data"
    for half, kind in (("images", "raw"), ("labels", "lines")):
        (data / half).mkdir(parents=True)
        source = grids.write_sections(tmp_path / "source" / half, sections=3)
        for number in range(3):
            (file,) = source.glob(f"{kind}_{number:02d}.*")
            file.rename(data / half / f"{number:02d}{file.suffix}")
    titles = {
        by: {found.title for found in Segment(split=by, folds=3).prepare(data).findings}
        for by in ("run", "subject")
    }
    assert "Neighbouring sections on both sides" in titles["run"]
    assert "Neighbouring sections on both sides" not in titles["subject"]
    assert "Images that may be neighbours" in titles["subject"]
    run = Segment(**(SECTIONS | {"images": {}, "labels": {}}), folds=3).run(data, tmp_path / "r")
    assert "dice/1/copied neighbour" in read_json(run.folder / "metrics.json")
    for number, animal in enumerate(("rat", "mouse", "human")):
        for half in ("images", "labels"):
            (file,) = (data / half).glob(f"{number:02d}.*")
            file.rename(data / half / f"{animal}{file.suffix}")
    for by in ("run", "subject"):
        others = {found.title for found in Segment(split=by, folds=3).prepare(data).findings}
        assert not others & {"Neighbouring sections on both sides", "Images that may be neighbours"}


def test_objects_of_one_image_are_judged_in_strips_of_it(tmp_path):
    data = grids.write_nuclei(tmp_path / "data")
    run = Segment(
        target="instances", split="space", folds=1, margin=4, budget="6 steps",
        plan={"features": "4", "patch": "32,32"},
    ).run(data, tmp_path / "r")  # fmt: skip
    table = pd.read_parquet(run.folder / "predictions.parquet")
    assert (table["objects_true"] > 0).all()
    assert "f1@0.5" in read_json(run.folder / "metrics.json")


def test_objects_are_learnt_counted_and_written_as_numbers(tmp_path):
    data = grids.write_nuclei(tmp_path / "data")
    run = Segment(
        target="instances", budget="6 steps", plan={"features": "4", "patch": "32,32"}
    ).run(data, tmp_path / "r")
    metrics = read_json(run.folder / "metrics.json")
    assert {"f1@0.5", "ap", "dice/objects"} <= set(metrics)
    rows = run.predictions
    assert (rows["objects_true"] == 5).all()
    table = run.predict(data, out=tmp_path / "p")
    label = to_array(read_image(tmp_path / "p" / table["file"].iloc[0]))[0]
    assert label.max() == table["objects"].iloc[0]


@pytest.mark.parametrize("numbers", [False, True])
def test_what_labels_of_objects_leave_open_is_neither_learnt_nor_counted(numbers, tmp_path):
    data, cases = grids.write_nuclei(tmp_path / "data"), {}
    for file in sorted((data / "labels").iterdir()):
        drawn = to_array(read_image(file))[0]
        drawn = drawn.copy() if numbers else (drawn > 0).astype(np.uint8)
        drawn[:48, :48] = 255  # two of five nuclei
        write_image(file, image(drawn))
        cases[file.stem] = (read_image(data / "images" / file.name), drawn)
    fields = {"target": "instances", "budget": "6 steps"}
    fields |= {"ignore": 255} if numbers else {}
    data = data if numbers else write_training_set(tmp_path / "kept", cases, ["nucleus"])
    study = Segment(**fields, plan={"features": "4", "patch": "32,32"})
    dataset = study.read(data)
    truth = dataset.x[0].truth()
    assert dataset.facts["ignore"] == truth[:48, :48].max() == truth[:48, :48].min() == 3
    assert set(np.unique(truth[48:])) == {0, 1, 2}
    run = study.run(data, tmp_path / "run")
    assert (run.predictions["objects_true"] == 3).all()
    told = {row["label"]: row["value"] for row in read_json(run.folder / "facts.json")["data"]}
    assert told["Left out"] == f"voxels labelled {255 if numbers else 2}"
    run.evaluate(data, tmp_path / "judged")
    judged = pd.read_parquet(tmp_path / "judged/predictions.parquet")
    assert (judged["objects_true"] == 3).all()


def test_a_stack_is_seen_from_three_sides_and_in_slabs(tmp_path):
    data = grids.write_blobs(tmp_path / "data", cases=2)
    fields = {"plan": {"features": "4", "patch": "8,8"}, "budget": "4 steps"}
    run = Segment(views="three", slab=3, **fields).run(data, tmp_path / "r")
    assert set(run.predictions["class"]) == {"1"}
    assert len(run.predict(data)) == 2
    with pytest.raises(ConfigError, match="odd"):
        Segment(slab=2, **fields).run(data, tmp_path / "x")
    with pytest.raises(ConfigError, match="2-D nets"):
        Segment(slab=3, configuration="3d_fullres", **fields).run(data, tmp_path / "x")


@pytest.mark.parametrize("masks", [False, True])
def test_axons_are_learnt_from_one_grey_mask_or_two(masks, tmp_path):
    data = grids.write_nerve(tmp_path / "data", masks=masks)
    fields = {"budget": "4 steps", "plan": {"features": "4", "patch": "32,32"}, "margin": 4}
    run = Axon(**fields, folds=1).run(data, tmp_path / "r")
    assert set(run.predictions["class"]) == {"axon", "myelin"}
    metrics = read_json(run.folder / "metrics.json")
    assert {"dice/axon", "dice/myelin", "count_error"} <= set(metrics)
    table = run.predict(data, out=tmp_path / "p")
    names = {path.name for path in (tmp_path / "p").iterdir()}
    assert {"n0_image_seg-axon.png", "n0_image_seg-axonmyelin.png"} <= names
    assert len(table) == 2 * 2
    sizes = pd.read_excel(tmp_path / "p/n0_image_axon_morphometrics.xlsx", index_col=0)
    assert len(sizes) == table["axons"].iloc[0]
    sums = pd.read_excel(tmp_path / "p/densities.xlsx", index_col=0).set_index("name")
    axon = to_array(read_image(tmp_path / "p/n0_image_seg-axon.png"))[0] > 0
    area = axon.size * 0.1**2 / 1000**2
    assert sums["axon_density"]["n0_image"] == pytest.approx(len(sizes) / area)
    assert "axon_density" in (run.folder / "artifacts/densities.csv").read_text()


def test_axons_where_a_label_is_left_open_are_neither_true_nor_false(tmp_path):
    data = grids.write_nerve(tmp_path / "data")
    for file in data.glob("*_mask.png"):
        drawn = to_array(read_image(file))[0].copy()
        drawn[:, 50:] = 99  # one of three axons, and a part of the next at the edge
        drawn[40:, 25:] = 99
        write_image(file, image(drawn))
    study = Axon(ignore=99, values={"myelin": 128, "axon": 255})
    dataset = study.read(data)
    whole = Axon().read(grids.write_nerve(tmp_path / "whole"))
    ignore = dataset.facts["ignore"]
    for row in (0, 1):
        perfect = whole.x[row].truth()
        counts = study.judge_more(dataset, row, np.empty(0), perfect)
        assert counts["axons_true"] == counts["axons_pred"] == 2
        more = perfect.copy()
        more[10:20, 46:60] = perfect.max()  # mostly where nobody looked
        assert study.judge_more(dataset, row, np.empty(0), more)["axons_pred"] == 2
        sums, table = _row_of(study, dataset, row, perfect, known=True)
        assert sums["axon_density"] == sums["axon_density (true)"]
        assert sums["axon_density"] == pytest.approx(
            2 / ((dataset.x[row].truth() != ignore).sum() * 1e-8)
        )
        assert table["image_border_touching"].tolist() == [False, True]


def test_densities_are_those_of_masks_and_masks_are_as_axondeepseg_writes_them(tmp_path):
    data = grids.write_nerve(tmp_path / "data")
    dataset = Axon().read(data)
    label = dataset.x[0].truth()
    axon, myelin = masks_of(label, dataset.facts)
    table = table_of(label, dataset, 0, "circle")
    sums = sum_up(table, label, dataset, 0, known=True)
    avf, mvf = axon.mean(), myelin.mean()
    shares = sums["axon_area_fraction"], sums["myelin_area_fraction"]
    assert shares == pytest.approx((avf, mvf))
    assert sums["aggregate_gratio"] == pytest.approx(np.sqrt(1 / (1 + mvf / avf)))
    assert sums["axon_density"] == pytest.approx(len(table) / (axon.size * 1e-8))
    assert np.isnan(sum_up(table, label, dataset, 0, known=False)["axon_density"])
    new = tmp_path / "new"
    for row in (0, 1):
        name = dataset.table["name"][row]
        write_masks(tmp_path / "made", name, dataset.x[row].truth(), dataset, row)
        write_image(new / f"images/{name}.png", dataset.x[row].recording())
        (new / "labels").mkdir(exist_ok=True)
        shutil.copy(tmp_path / f"made/{name}_seg-axonmyelin.png", new / f"labels/{name}.png")
    greys = to_array(read_image(new / "labels/n0_image.png"))[0]
    np.testing.assert_array_equal(greys, np.select([axon, myelin], [255, 127], 0))
    back = Axon().read(new)
    for row in (0, 1):
        found = masks_of(back.x[row].truth(), back.facts)
        np.testing.assert_array_equal(found, masks_of(dataset.x[row].truth(), dataset.facts))


def test_the_pixel_size_of_new_images_is_told_or_said_in_a_file_beside_them(tmp_path, capsys):
    from neuroloom.apps.cli.runs import predict

    data = grids.write_nerve(tmp_path / "data")
    fields = {"budget": "4 steps", "plan": {"features": "4", "patch": "32,32"}, "folds": 0}
    run = Axon(**fields).run(data, tmp_path / "r")
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(data / "n0_image.png", new / "other.png")
    predict(run.folder, [new], out=tmp_path / "p")
    assert "other: the size of a pixel is missing" in capsys.readouterr().err
    assert "0.1 um was taken" in (tmp_path / "p/audit.json").read_text()
    rows = pd.read_csv(tmp_path / "p/predictions.csv")
    assert rows["pixel_um"].unique().tolist() == [0.1]
    found = to_array(read_image(tmp_path / "p/other_seg-axon.png")) > 0
    axon = rows[rows["class"] == "axon"].iloc[0]
    assert axon["volume"] == pytest.approx(found.sum() * 0.1**2)
    assert axon["unit"] == "um"
    assert rows["flag"].isna().all()
    assert rows["why"].str.startswith("not judged").all()
    (new / "other_pixel_size_um.txt").write_text("0.3")
    table = run.predict(new, out=tmp_path / "q")
    assert table["pixel_um"].unique().tolist() == [0.3]
    assert {found["severity"] for found in table.attrs["findings"]} == {"note"}


@pytest.mark.parametrize(
    ("unit", "size", "beside", "taken", "kind"),
    [
        ("px", 1.0, False, 0.1, "taken over"),
        ("um", 0.3, False, 0.1, "taken over"),
        ("um", 0.3, True, 0.3, "beside"),
        ("um", 0.1, True, 0.1, ""),
    ],
)
def test_a_file_beside_a_new_image_comes_before_the_pixel_size_of_the_run(
    unit, size, beside, taken, kind
):
    pixel = ((size, size), "um") if beside else None
    case = SimpleNamespace(spacing=(size, size), unit=unit, pixel=pixel)
    known = {"unit": "px", "pixel": 0.1}
    study = Segment(pixel_size=0.1)
    assert believed(study, known, case, new=True) == ((taken, taken), kind)
    assert believed(study, known, case, new=False) == ((0.1, 0.1), "")


@pytest.mark.parametrize("target", ["semantic", "instances"])
def test_held_out_images_are_judged_in_the_sizes_that_were_taken(target, tmp_path):
    for number in range(2):
        drawn = np.eye(40, k=number, dtype=np.uint8)
        write_image(tmp_path / f"images/{number}.tif", image(drawn, (0.07, 0.07), "um"))
        write_image(tmp_path / f"labels/{number}.tif", image(drawn))
    study = Segment(pixel_size=0.1, target=target, diameter=8.0, largest="no")
    dataset = study.read(tmp_path)
    p = np.zeros((3 if target == "instances" else 2, 40, 40))
    p[0] = 1
    own = rows_of(study, dataset, 0, p, [], 0.0, {})[0]
    assert own["volume_true"] == pytest.approx(40 * 0.1**2)
    new = study.read_like({"axes": dataset.facts}, tmp_path, [])
    assert rows_of(study, new, 0, p, [], 0.0, {})[0]["volume_true"] == own["volume_true"]


def test_a_mask_of_axons_and_myelin_beside_one_of_each_is_no_image(tmp_path):
    """AxonDeepSeg writes three masks beside its images."""
    data = grids.write_nerve(tmp_path / "data", masks=True)
    learnt = Axon().read(data)
    for number in range(2):
        own = f"n{number}_image_seg"
        axon = to_array(read_image(data / f"{own}-axon.png"))[0]
        write_image(data / f"{own}-axonmyelin.png", image(axon))
    dataset = Axon().read(data)
    assert dataset.table["name"].tolist() == ["n0_image", "n1_image"]
    assert any("n0_image_seg-axonmyelin.png" in found.detail for found in dataset.findings)
    for labelled in (True, False):
        new = Axon().read_like({"axes": learnt.facts}, data, [], labelled=labelled)
        assert new.table["name"].tolist() == ["n0_image", "n1_image"]


def test_axons_and_myelin_must_both_be_there(tmp_path):
    data = grids.write_sections(tmp_path / "data")
    with pytest.raises(DataError, match="axons and myelin"):
        Axon(images=SECTIONS["images"], labels=SECTIONS["labels"], margin=4).run(
            data, tmp_path / "r"
        )


def test_the_globs_that_a_refusal_proposes_are_taken(tmp_path):
    data = grids.write_nerve(tmp_path / "nerve", masks=True)
    for file in data.glob("*_seg-*"):
        file.rename(data / file.name.replace("_image", ""))
    labels = {"axon": "*_seg-axon.png", "myelin": "*_seg-myelin.png"}
    with pytest.raises(DataError, match=r"--images\.image") as lacking:
        Axon(labels=labels).read(data)
    assert set(globs_in(str(lacking.value))) == {"images"}
    sections = grids.write_sections(tmp_path / "s")
    with pytest.raises(DataError, match="axons and myelin are needed") as refused:
        Axon(images=SECTIONS["images"], labels=SECTIONS["labels"]).read(sections)
    assert globs_in(str(refused.value))["labels"] == labels
    assert set(Axon(**globs_in(str(refused.value))).read(data).facts["parts"]) == {"axon", "myelin"}


def globs_in(message: str) -> dict[str, dict[str, str]]:
    """The settings that options in a message are: --images.image '*.tif' and so on."""
    found: dict[str, dict[str, str]] = {}
    for setting, name, glob in re.findall(r"--(\w+)\.(\w+) '([^']+)'", message):
        found.setdefault(setting, {})[name] = glob
    return found


def test_pixels_in_mm_and_in_um_are_one_size(tmp_path):
    rng = np.random.default_rng(0)
    for number, (suffix, size, unit) in enumerate([("tif", 0.5, "um")] * 2 + [("mha", 5e-4, "mm")]):
        for half in ("images", "labels"):
            drawn = rng.integers(0, 2 if half == "labels" else 200, (80, 80)).astype(np.uint8)
            path = tmp_path / f"{half}/a{number}.{suffix}"
            write_image(path, image(drawn, (size, size), unit))
    prepared = Segment(folds=2).prepare(tmp_path)
    sizes = [prepared.dataset.x.spacing(case) for case in prepared.dataset.x]
    np.testing.assert_allclose(sizes, 0.5)
    assert prepared.dataset.facts["unit"] == "um"
    assert "Pixel sizes that were not believed" not in {f.title for f in prepared.findings}
    only = Segment(folds=2, margin=4, include=["*.mha"], pixel_size=2.0).prepare(tmp_path)
    np.testing.assert_allclose(only.dataset.x.spacing(only.dataset.x[0]), 0.002)


def test_oblong_pixels_are_not_believed(tmp_path):
    data = grids.write_bids(tmp_path / "data", false_size=True)
    prepared = Segment(folds=2).prepare(data)
    sizes = {prepared.dataset.x.spacing(case) for case in prepared.dataset.x}
    assert all(size[0] == size[1] for size in sizes)
    assert "Pixel sizes that were not believed" in {found.title for found in prepared.findings}


def test_what_is_delivered_is_what_was_scored(tmp_path):
    """The globs of the run narrow neither; those of `evaluate` narrow both."""
    data = grids.write_nerve(tmp_path / "data", images=3)
    fields = {"budget": "2 steps", "plan": {"features": "4", "patch": "32,32"}, "folds": 0}
    run = Axon(**fields, include=["n0_*"]).run(data, tmp_path / "r")
    new = ["n1_image.png", "n2_image.png"]
    run.evaluate(data, tmp_path / "e", include=new)
    scored = pd.read_parquet(tmp_path / "e/predictions.parquet")
    assert set(scored["example"]) == {"n1_image", "n2_image"}
    sums = pd.read_excel(tmp_path / "e/predictions/densities.xlsx", index_col=0)
    assert sums["name"].tolist() == ["n1_image", "n2_image"]
    assert not [*(tmp_path / "e/predictions").glob("n0_*")]


def test_a_run_that_learnt_greys_is_judged_by_two_masks(tmp_path):
    """Greys number myelin first, masks axons."""
    greys = grids.write_nerve(tmp_path / "greys")
    masks = grids.write_nerve(tmp_path / "masks", masks=True)
    learnt = Axon().read(greys)
    judged = Axon().read_like({"axes": learnt.facts}, masks, [])
    assert judged.table["name"].tolist() == ["n0_image", "n1_image"]
    for case, own in zip(judged.x, learnt.x, strict=True):
        np.testing.assert_array_equal(case.truth(), own.truth())
