"""What folders and tables of images look like in the wild: copies, capitals, what systems leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.split import stated_fold
from neuroloom.io.cases import find_cases
from tests.grids import write_bids, write_case, write_nnunet
from tests.io.test_cases import pictures

TWO_CLASSES = ["images/a_1.png", "images/a.png", "masks/a_axon.png", "masks/a_myelin.png",
               "masks/a_1_axon.png", "masks/a_1_myelin.png"]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "two"),
    [
        (["images/a.png", "masks/a.png", "masks/a.tif"], ("masks/a.png", "masks/a.tif")),
        (["images/a.png", "masks/a_mask.png", "masks/a_seg.png"], ("a_mask.png", "a_seg.png")),
        (["a_image.png", "a_mask.png", "a_label.png"], ("a_label.png", "a_mask.png")),
        ([*TWO_CLASSES, "masks/a_axon.tif"], ("a_axon.png", "a_axon.tif")),
        *(
            (
                ["images/a.png", f"masks/a_{one}.png", f"masks/a_{two}.png"],
                (f"{one}.png", f"{two}.png"),
            )
            for one, two in (
                ("rater1", "rater2"),
                ("Reader-A", "Reader-B"),
                ("v1", "v2"),
                ("auto", "manual"),
                ("1stHO", "2ndHO"),
                ("axon_rater1", "axon_rater2"),
                ("axon", "axon2"),
            )
        ),
    ],
)
def test_two_labels_of_one_image_are_refused(tmp_path: Path, names: list[str], two: tuple) -> None:
    data = pictures(tmp_path, names)
    with pytest.raises(DataError, match=f"{two[0]}' and '.*{two[1]}' would both be the label of a"):
        find_cases(data)
    assert find_cases(data, labelled=False).alone == ()


def test_what_is_not_included_does_not_clash(tmp_path: Path) -> None:
    names = ["images/a.png", "images/b.png", "masks/a.png", "masks/b.png", "masks/b.tif"]
    found = find_cases(pictures(tmp_path, names), include=["a.png"])
    assert found.table["label"].tolist() == ["masks/a.png"]


def test_one_name_on_both_sides_of_a_split_is_two_subjects(tmp_path: Path) -> None:
    sides = ("Train/t1", "Train/t2", "Test")
    names = [f"{side}/{kind}/1.png" for side in sides for kind in ("images", "masks")]
    table = find_cases(pictures(tmp_path, names)).table
    assert table["subject"].tolist() == ["Test_1", "Train_1", "Train_1"]
    assert table["name"].is_unique
    fold = stated_fold(table)
    assert fold is not None
    assert fold.test.tolist() == [0]
    inside = [f"{kind}/{side}/1.png" for side in ("train", "test") for kind in ("images", "masks")]
    table = find_cases(pictures(tmp_path / "inside", inside)).table
    assert table["subject"].tolist() == ["test_1", "train_1"]


def test_two_labels_of_one_kind_in_bids_and_nnunet(tmp_path: Path) -> None:
    one, two = write_bids(tmp_path / "1"), write_nnunet(tmp_path / "2")
    mask = next((one / "derivatives").rglob("*sample-1*axon*"))
    mask.with_suffix(".tif").write_bytes(mask.read_bytes())
    label = two / "labelsTr/toy_000.nii.gz"
    label.with_name("toy_000.mha").write_bytes(label.read_bytes())
    for data in (one, two):
        with pytest.raises(DataError, match="would both be the label of"):
            find_cases(data)


def test_raters_of_bids_are_no_classes_and_numbers_after_label_are(tmp_path: Path) -> None:
    for key in ("desc-rater", "label-L"):
        names = [f"derivatives/labels/sub-1/sub-1_T1w_{key}{n}_mask.png" for n in (1, 2)]
        data = pictures(tmp_path / key, ["sub-1/sub-1_T1w.png", *names])
        if key == "label-L":
            assert find_cases(data).classes == {1: "L1", 2: "L2"}
            continue
        with pytest.raises(DataError, match="rater2_mask.png' would both .* columns image and"):
            find_cases(data)


def test_probabilities_are_labels_of_bids_only_where_none_are_drawn(tmp_path: Path) -> None:
    soft = ("sub-1_T1w_label-GM_probseg", "sub-1_T1w_label-WM_probseg")
    names = ["sub-1/anat/sub-1_T1w.png", "sub-1/anat/sub-1_probseg.png"]
    names += [f"derivatives/{p}/sub-1/anat/{n}.png" for p in ("fast", "labels") for n in soft]
    drawn = "derivatives/labels/sub-1/anat/sub-1_T1w_dseg.png"
    found = find_cases(pictures(tmp_path, [*names, drawn]))
    assert found.table["label"].tolist() == [drawn]
    assert found.alone == ()
    (tmp_path / drawn).unlink()
    assert find_cases(tmp_path).classes == {1: "GM", 2: "WM"}


def test_two_images_of_one_name_are_no_channels(tmp_path: Path) -> None:
    data = pictures(tmp_path, ["images/a.png", "images/a.tif", "masks/a.png"])
    with pytest.raises(DataError, match="'images/a.png' and 'images/a.tif' are two images"):
        find_cases(data)


def test_one_mask_a_class_in_folders(tmp_path: Path) -> None:
    found = find_cases(pictures(tmp_path, TWO_CLASSES))
    assert found.classes == {1: "axon", 2: "myelin"}
    assert found.table["label"][1] == {
        "axon": "masks/a_1_axon.png",
        "myelin": "masks/a_1_myelin.png",
    }
    assert "the class after it, axon or myelin" in found.layout
    assert found.alone == ()


def test_masks_of_other_classes_or_of_objects_are_no_classes(tmp_path: Path) -> None:
    other = [*TWO_CLASSES[:-1], "masks/a_1_glia.png"]
    objects = ["images/a.png", "images/b.png", *(f"masks/{n}_{k}.png" for n in "ab" for k in "12")]
    for number, names in enumerate((other, objects)):
        found = find_cases(pictures(tmp_path / str(number), names))
        assert found.table["label"].isna().all()
        assert len(found.alone) == 4


def test_capitals_of_folders_and_columns(tmp_path: Path) -> None:
    names = [f"{side}/{kind}/{side}.png" for side in ("Train", "Test") for kind in
             ("Images", "Labels")]  # fmt: skip
    data = pictures(tmp_path, names)
    assert find_cases(data).table["split"].tolist() == ["Test", "Train"]
    table = data / "t.csv"
    table.write_text("Image, Label,Split,Age\n" + "".join(
        f"{side}/Images/{side}.png, {side}/Labels/{side}.png,{side},7\n"
        for side in ("Train", "Test")))  # fmt: skip
    found = find_cases(table).table
    assert found["label"].tolist() == ["Train/Labels/Train.png", "Test/Labels/Test.png"]
    assert {"split", "Age"} <= set(found)
    table.write_text("image,Image\nx.png,y.png\n")
    with pytest.raises(DataError, match="several columns are called image"):
        find_cases(table)


@pytest.mark.parametrize("mark", [";", "\t", ","])
def test_what_parts_the_columns_is_seen(tmp_path: Path, mark: str) -> None:
    pictures(tmp_path, ["a.png"])
    table = tmp_path / "t.csv"
    table.write_text(f"image{mark}subject\na.png{mark}s1\n", encoding="utf-8-sig")
    assert find_cases(table).table["subject"].tolist() == ["s1"]


def test_what_systems_and_runs_leave_is_passed_over(tmp_path: Path) -> None:
    data = pictures(tmp_path, ["set/images/a.png", "set/masks/a.png", "set/old/a_picture.png"])
    for name in ("images", "masks"):
        (data / "__MACOSX/set" / name).mkdir(parents=True)
        (data / "__MACOSX/set" / name / "._a.png").write_bytes(b"mac")
    for name in ("status.json", "predictions.parquet"):
        (data / "set/old" / name).write_text("{}")
    (data / "set/up").symlink_to(data)
    (data / "set/images/pixel_size_in_micrometer.txt").write_text("0.1", encoding="utf-8-sig")
    assert find_cases(data).cases[0].spacing == (0.1, 0.1)
    (data / "set/masks").rename(data / "set/drawn")
    found = find_cases(data)
    assert found.table["path"].tolist() == ["set/drawn/a.png", "set/images/a.png"]


def test_new_images_of_nnunet_are_those_to_be_predicted(tmp_path: Path) -> None:
    data = write_nnunet(tmp_path)
    facts = (data / "dataset.json").read_text()
    (data / "dataset.json").write_text(facts, encoding="utf-8-sig")
    assert len(find_cases(data).cases) == 3
    for k in range(2):
        write_case(data / f"imagesTs/new_{k:04d}.nii.gz", None, k)
    found = find_cases(data, labelled=False, n_channels=2)
    assert found.table["image"].tolist() == [
        ("imagesTs/new_0000.nii.gz", "imagesTs/new_0001.nii.gz")
    ]
    assert found.channels == list(json.loads(facts)["channel_names"].values())
    (data / "imagesTr").rename(data / "away")
    (data / "dataset.json").unlink()
    assert len(find_cases(data, labelled=False, n_channels=2, include=["new*"]).cases) == 1
    (data / "away").rename(tmp_path.parent / "gone")
    (data / "labelsTr").rename(tmp_path.parent / "gone too")
    with pytest.raises(DataError, match="below it but in imagesTs, where none is looked for"):
        find_cases(data)
