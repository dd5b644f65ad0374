"""Classes and channels of new data are the run's by name, however they are numbered there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import image
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, write_image
from neuroloom.learn.dense.data.match import match_channels, match_classes
from neuroloom.volumes.segment import Segment
from tests import grids

IMAGES = "imagesTr/toy_{:03d}_{:04d}.nii.gz"


def like(recipe: Segment, trained: Path, new: Path):
    """Read `new` as a run that was trained on `trained` would."""
    return recipe.read_like({"axes": recipe.read(trained).facts}, new, [])


def bids(folder: Path) -> Path:
    """Write BIDS with two kinds of masks, and no sizes of pixels, which a table could not say."""
    grids.write_bids(folder)
    for path in folder.glob("sub-*/*/*.json"):
        path.unlink()
    return folder


def masks(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "derivatives").rglob(f"*_seg-{kind}-manual.png"))


def manifest(folder: Path, columns: list[str]) -> Path:
    """Write a table of the BIDS cases with these columns of masks."""
    rows = [
        {"image": str(image)} | {f"label_{k}": str(masks(folder, k)[case]) for k in columns}
        for case, image in enumerate(sorted(folder.glob("sub-*/*/*.png")))
    ]
    path = folder / f"{'_'.join(columns)}.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_columns_in_another_order(tmp_path):
    data = bids(tmp_path / "bids")
    for columns in (["axon", "myelin"], ["myelin", "axon"]):
        found = like(Segment(), data, manifest(data, columns))
        for case, own in zip(found.x, Segment().read(data).x, strict=True):
            np.testing.assert_array_equal(case.truth(), own.truth())


def test_channels_of_ome_tiff_in_another_order(tmp_path):
    dapi, gfp = np.random.default_rng(0).integers(0, 999, (2, 9, 8)).astype(np.uint16)
    label = np.uint8(gfp > 500)
    for folder, names in (("a", ["DAPI", "GFP"]), ("b", ["GFP", "DAPI"]), ("c", ["GFP", "Cy5"])):
        own = image(np.stack([{"DAPI": dapi}.get(name, gfp) for name in names]), channels=names)
        write_image(tmp_path / folder / "images" / "x.ome.tif", own)
        write_image(tmp_path / folder / "labels" / "x.tif", image(label))
    found = like(Segment(), tmp_path / "a", tmp_path / "b")
    np.testing.assert_array_equal(found.x[0].image(), [dapi, gfp])
    with pytest.raises(DataError, match="it does not know Cy5 and misses DAPI"):
        like(Segment(), tmp_path / "a", tmp_path / "c")


def test_masks_are_numbered_as_greys_are_where_both_are_given(tmp_path):
    data = grids.write_bids(tmp_path)
    found = find_cases(manifest(data, ["axon", "myelin"]), values={"myelin": 128, "axon": 255})
    assert found.classes == {1: "myelin", 2: "axon"}
    truth = found.cases[0].truth()
    assert (truth[5, 8], truth[13, 8]) == (2, 1)


def test_a_dataset_json_that_numbers_otherwise(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    other = grids.write_nnunet(tmp_path / "b", labels={"background": 0, "small": 1, "big": 2})
    truth = like(Segment(), data, other).x[0].truth()
    own = Segment().read(data).x[0].truth()
    np.testing.assert_array_equal(truth, np.array([0, 2, 1])[own])


def test_one_kind_of_masks_keeps_its_name(tmp_path):
    both, single = bids(tmp_path / "a"), bids(tmp_path / "b")
    for path in masks(single, "axon"):
        path.unlink()
    assert Segment().read(single).facts["parts"] == {"myelin": [1]}
    with pytest.raises(DataError, match="are of myelin, the run learnt axon, myelin: .* axon"):
        like(Segment(), both, single)
    with pytest.raises(DataError, match="the run learnt myelin: it does not know axon"):
        like(Segment(), single, both)
    with pytest.raises(DataError, match="are of myelin, the run learnt axon, myelin"):
        like(Segment(), both, manifest(both, ["myelin"]))
    assert like(Segment(), single, manifest(both, ["myelin"])).x[0].truth().max() == 1


def test_numbers_without_names_stay(tmp_path):
    assert match_classes({1: "1", 2: "core"}, {0: "background", 1: "1", 2: "core"}) == {1: 1, 2: 2}
    assert match_classes({1: "big"}, {0: "background", 1: "1", 2: "2"}) == {}
    with pytest.raises(DataError, match="does not know 7"):
        match_classes({7: "7", 2: "core"}, {0: "background", 1: "1", 2: "core"})
    with pytest.raises(DataError, match="two of them would become one"):
        match_classes({1: "core", 2: "2"}, {1: "1", 2: "core"})


def test_what_the_new_data_leave_out_is_left_out(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    labels = {"background": 0, "small": 1, "big": 3, "ignore": 2}
    found = like(Segment(), data, grids.write_nnunet(tmp_path / "b", labels=labels))
    own = Segment().read(data).x[0].truth()
    assert found.facts["ignore"] == 3
    np.testing.assert_array_equal(found.x[0].truth(), np.array([0, 2, 3])[own])


def channels(folder: Path, data: Path, names: dict[str, int]) -> Path:
    rows = [
        {f"image_{name}": str(data / IMAGES.format(case, k)) for name, k in names.items()}
        for case in range(3)
    ]
    path = folder / f"{'_'.join(names)}.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_channels_in_another_order(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    own = Segment().read(data).x[0].image()
    for names in ({"T1": 0, "T2": 1}, {"t2": 1, "t1": 0}):
        found = like(Segment(), data, channels(tmp_path, data, names))
        np.testing.assert_array_equal(found.x[0].image(), own)
    with pytest.raises(DataError, match="T1, PD, the run learnt T1, T2: .* know PD and misses T2"):
        like(Segment(), data, channels(tmp_path, data, {"T1": 0, "PD": 1}))


def test_a_dataset_json_with_channels_in_another_order(tmp_path):
    """All channels lie in one file here."""
    data, other = grids.write_msd(tmp_path / "a"), grids.write_msd(tmp_path / "b")
    facts = json.loads((other / "dataset.json").read_text())
    facts["modality"] = {"0": "T1w", "1": "FLAIR"}
    (other / "dataset.json").write_text(json.dumps(facts))
    found = like(Segment(), data, other).x[0].image()
    np.testing.assert_array_equal(found[::-1], Segment().read(data).x[0].image())


def test_a_channel_that_is_not_there(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    single = channels(tmp_path, data, {"T2": 1})
    with pytest.raises(DataError, match="it misses T1"):
        like(Segment(), data, single)
    found = like(Segment(missing="hemis"), data, single).x[0].image()
    assert np.isnan(found).all((1, 2, 3)).tolist() == [True, False]


def test_a_net_for_any_contrast_takes_one_of_another_name(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    t1, t2 = (channels(tmp_path, data, {name: k}) for k, name in enumerate(("T1", "T2")))
    labels = [str(data / f"labelsTr/toy_00{k}.nii.gz") for k in range(2)]
    pd.read_csv(t1).iloc[:2].assign(label=labels).to_csv(t1, index=False)
    with pytest.raises(DataError, match="channels are T2, the run learnt T1"):
        like(Segment(), t1, t2)
    assert len(like(Segment(contrasts="any"), t1, t2)) == 3


def test_contrasts_that_were_not_learnt_are_passed_over(tmp_path):
    t1 = grids.write_contrasts(tmp_path / "t1", 2, lacking=("sub-0_T2w", "sub-1_T2w"))
    t2 = grids.write_contrasts(tmp_path / "t2", 1, lacking=("sub-0_T1w",))
    both = grids.write_contrasts(tmp_path / "both", 1)
    for folder in (t1, t2, both):
        for mask in folder.rglob("*_mask.nii.gz"):
            own = "T2w" if folder == t2 else "T1w"
            mask.rename(mask.with_name(mask.name.replace("_label-", f"_{own}_label-")))
    found = like(Segment(), t1, both)
    assert found.table["path"].tolist() == ["sub-0/anat/sub-0_T1w.nii.gz"]
    assert "did not learn were passed over: 1 of T2w." in found.findings[0].detail
    assert len(like(Segment(contrasts="any"), t1, both)) == 2
    doubted = like(Segment(), t1, t2)
    assert len(doubted) == 1
    assert doubted.findings[0].severity == "warning"
    assert "images are of T2w, the run learnt T1w" in doubted.findings[0].detail


def test_field_maps_are_not_taken_for_what_was_learnt(tmp_path):
    t1 = grids.write_contrasts(tmp_path / "t1", 2, lacking=("sub-0_T2w", "sub-1_T2w"))
    new = grids.write_contrasts(tmp_path / "new", 1)
    t2 = new / "sub-0/anat/sub-0_T2w.nii.gz"
    (new / "sub-0/fmap").mkdir()
    t2.rename(new / "sub-0/fmap/sub-0_magnitude1.nii.gz")
    for folder in (t1, new):
        for mask in folder.rglob("*_mask.nii.gz"):
            mask.rename(mask.with_name(mask.name.replace("_label-", "_T1w_label-")))
    assert like(Segment(), t1, new).table["path"].tolist() == ["sub-0/anat/sub-0_T1w.nii.gz"]


def test_contrasts_are_what_bids_calls_so_and_no_column_of_ones_own(tmp_path):
    data = grids.write_contrasts(tmp_path, 2, lacking=("sub-0_T2w", "sub-1_T2w"))
    for path in [*data.rglob("sub-1_T1w.nii.gz")]:
        path.rename(path.with_name("sub-1_T1w_n4.nii.gz"))
    for path in [*data.rglob("sub-?_label-*")]:
        words = "T1w" if "sub-0" in path.name else "T1w_n4"
        path.rename(path.with_name(path.name.replace("_label", f"_{words}_label")))
    learnt = Segment().read(data)
    assert learnt.facts["contrasts"] == ["T1w"]
    table = learnt.extra["found"].table[["image", "label"]]
    table = table.assign(image=[image for (image,) in table["image"]])
    for name, given in (("old", ["iv", "iv"]), ("new", ["none", "iv"])):
        table.assign(contrast=given).to_csv(data / f"{name}.csv", index=False)
    assert Segment().read(data / "old.csv").facts["contrasts"] == []
    assert len(like(Segment(), data / "old.csv", data / "new.csv")) == 2
    assert len(like(Segment(), data, data / "new.csv")) == 2


def test_a_net_of_several_contrasts_takes_each_of_them(tmp_path):
    data = grids.write_contrasts(tmp_path / "both", 2)
    for mask in data.rglob("*_mask.nii.gz"):
        for own in ("T1w", "T2w"):
            copy = mask.with_name(mask.name.replace("_label-", f"_{own}_label-"))
            copy.write_bytes(mask.read_bytes())
        mask.unlink()
    t2 = grids.write_contrasts(tmp_path / "t2", 1, lacking=("sub-0_T1w",))
    assert Segment().read(data).facts["contrasts"] == ["T1w", "T2w"]
    assert len(like(Segment(), data, data)) == 4
    found = Segment().read_like({"axes": Segment().read(data).facts}, t2, [], labelled=False)
    assert found.table["contrast"].tolist() == ["T2w"]


def test_a_table_of_bids_names_numbers(tmp_path):
    data = grids.write_contrasts(tmp_path, 2, lacking=("sub-0_T2w", "sub-1_T2w"))
    for mask in [*data.rglob("*_mask.nii.gz")]:
        mask.rename(mask.with_name(mask.name.replace("label-lesion_mask", "T1w_dseg")))
    table = data / "derivatives/labels/dseg.tsv"
    table.write_text("index\tname\tcolor\n0\tUnknown\t#000\n1\tHippocampus\t#f00\n9\tPons\t#0f0\n")
    assert Segment().read(data).facts["classes_of"] == {"0": "background", "1": "Hippocampus"}
    found = like(Segment(), data, data)
    assert found.facts["classes_of"]["1"] == "Hippocampus"
    assert len(found) == 2
    trained = Segment().read(data)
    table.write_text("index\tname\n1\tPons\n2\tHippocampus\n")
    with pytest.raises(DataError, match="the label holds 1 "):
        Segment().read_like({"axes": trained.facts}, data, [])
    for mask in data.rglob("*_dseg.nii.gz"):
        drawn = read_image(mask)
        write_image(mask, drawn.copy(data=drawn.values * 2))
    other = Segment().read_like({"axes": trained.facts}, data, [])
    assert np.unique(other.x[0].truth()).tolist() == [0, 1]


def test_names_of_ones_own_stand_for_those_of_the_files(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    recipe = Segment(channels=["CT", "MRI"])
    own = recipe.read(data).x[0].image()
    np.testing.assert_array_equal(like(recipe, data, data).x[0].image(), own)
    swapped = like(recipe, data, channels(tmp_path, data, {"T2": 1, "T1": 0}))
    np.testing.assert_array_equal(swapped.x[0].image(), own)


def test_names_of_the_data_in_another_order_move_the_channels(tmp_path):
    data = grids.write_nnunet(tmp_path / "a")
    own = Segment().read(data)
    recipe = Segment(channels=["t2", "T1"])
    turned = recipe.read(data)
    assert turned.facts["channels"] == ["t2", "T1"]
    np.testing.assert_array_equal(turned.x[0].image(), own.x[0].image()[::-1])
    for names in ({"T1": 0, "T2": 1}, {"T2": 1, "T1": 0}):
        found = like(recipe, data, channels(tmp_path, data, names))
        np.testing.assert_array_equal(found.x[0].image(), turned.x[0].image())
    with pytest.raises(DataError, match="call their channels T1, T2: T2 would be the name of"):
        Segment(channels=["T2", "PD"]).read(data)
    np.testing.assert_array_equal(
        Segment(channels=["T1", "PD"]).read(data).x[0].image(), own.x[0].image()
    )


def test_names_of_the_data_in_their_order_move_nothing(tmp_path):
    data = grids.write_msd(tmp_path)
    recipe = Segment(channels=["flair", "T1w"])
    assert recipe.read(data).x[0].order == ()
    assert Segment(channels=["T1w", "flair"]).read(data).x[0].order == (1, 0)


def test_channels_without_names_go_by_place():
    assert match_channels([], {"channels": ["T1", "T2"]}) == ()
    assert match_channels(["0000", "0001"], {"channels": ["T1", "T2"]}) == ()
    assert match_channels(["T2", "T1"], {"channels": ["channel 0", "channel 1"]}) == ()
    assert match_channels(["MRI", "MRI"], {"channels": ["MRI", "MRI"]}) == ()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (
            ["T1", "FLAIR", "T2"],
            r"have 2 channels, expected 3: T1, FLAIR, T2, as `channels` says\.",
        ),
        (["T1"], r"have 2 channels, expected 1: T1, as `channels` says\."),
    ],
)
def test_as_many_names_as_channels(tmp_path, named, words):
    data = grids.write_msd(tmp_path / "a")
    with pytest.raises(DataError, match=words):
        Segment(channels=named).run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_dataset_json_that_names_more_channels_than_there_are(tmp_path):
    data, other = grids.write_msd(tmp_path / "a"), grids.write_msd(tmp_path / "b")
    facts = json.loads((other / "dataset.json").read_text())
    facts["modality"] = {"0": "FLAIR", "1": "T1w", "2": "t1gd"}
    (other / "dataset.json").write_text(json.dumps(facts))
    for read in (Segment().read, lambda new: like(Segment(), data, new)):
        with pytest.raises(
            DataError, match="have 2 channels, expected 3: FLAIR, .*, as the data set"
        ):
            read(other)
    with pytest.raises(DataError, match="has 2 channels, expected 1: image"):
        like(
            Segment(), grids.write_blobs(tmp_path / "c", cases=2), data / "imagesTr/toy_001.nii.gz"
        )


def test_a_label_that_is_left_open_goes_by_its_name(tmp_path):
    data = bids(tmp_path / "bids")
    both = manifest(data, ["axon", "myelin"])
    recipe = Segment(ignore=2)  # myelin
    facts = recipe.read(both).facts
    assert facts["classes_of"] == {"0": "background", "1": "axon"}
    for columns, number in ((["axon", "myelin"], 2), (["myelin", "axon"], 1)):
        new = like(recipe, both, manifest(data, columns))
        drawn = find_cases(manifest(data, columns)).cases
        for case, own in zip(new.x, drawn, strict=True):
            assert np.array_equal(case.truth() == new.facts["ignore"], own.truth() == number)
            assert np.array_equal(case.truth() == 1, own.truth() == 3 - number)


def test_what_new_data_say_of_their_classes_counts_before_the_runs_greys(tmp_path):
    data = bids(tmp_path / "bids")
    table = manifest(data, ["axon", "myelin"])
    greys = tmp_path / "greys.csv"
    pairs = zip(masks(data, "axon"), masks(data, "myelin"), strict=True)
    rows = []
    from PIL import Image

    images = sorted(data.glob("sub-*/*/*.png"))
    for number, (axon, myelin) in enumerate(pairs):
        inside = [np.asarray(Image.open(file)) > 0 for file in (axon, myelin)]
        grey = np.where(inside[1], 128, np.where(inside[0], 255, 0)).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
        rows.append({"image": str(images[number]), "label": str(tmp_path / f"{number}.png")})
    pd.DataFrame(rows).to_csv(greys, index=False)
    recipe = Segment(values={"axon": 255, "myelin": 128})
    found = like(recipe, greys, table)
    known = recipe.read(greys)
    for case, own in zip(found.x, known.x, strict=True):
        assert np.array_equal(case.truth(), own.truth())
