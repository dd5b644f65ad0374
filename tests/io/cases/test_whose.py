"""What layouts of folders leave open: images in no row, whose cases are, on which side they lie."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.split import stated_fold
from neuroloom.io.cases import find_cases
from tests.io.test_cases import pictures


def spelled(*places: str) -> list[str]:
    """Return the pictures that places stand for: "s1,s2/ct" is s1/ct.png and s2/ct.png."""
    return [
        f"{'/'.join(parts)}.png"
        for place in places
        for parts in product(*(part.split(",") for part in place.split("/")))
    ]


ORGANS = spelled("s1,s2/ct", "s1,s2/segmentations/liver,spleen")
# Files, those that are found to learn from, and what is predicted besides.
LEFT = {
    "a case without organs": ([*ORGANS, *spelled("s3/ct")], ORGANS[:2], ["s3/ct.png"]),
    "a stack without labels": (
        spelled("stack1,stack1_labels,stack2/1"),
        ["stack1/1.png"],
        ["stack2/1.png"],
    ),
    "a folder beside masks": (
        spelled("a", "masks/a", "more/c"),
        ["a.png"],
        ["more/c.png"],
    ),
    "a day without masks": (
        spelled("day1/1", "day1/masks/1", "day2/3"),
        ["day1/1.png"],
        ["day2/3.png"],
    ),
    "folders that differ in capitals": (
        spelled("A,A_masks,a,a_masks/1"),
        ["A/1.png", "a/1.png"],
        [],
    ),
    "a side without labels": (
        spelled("train/images,labels/a", "test/images/b"),
        ["train/images/a.png"],
        ["test/images/b.png"],
    ),
    "overlays beside images": (spelled("images,labels,overlays/a"), ["images/a.png"], []),
    "masks in images beside labels": (
        spelled("images/a", "images/masks/a", "labels/a"),
        ["images/a.png"],
        [],
    ),
    "a picture without a mask": (
        spelled("demo_image", "demo_mask", "other"),
        ["demo_image.png"],
        ["other.png"],
    ),
    "results of somebody": (
        spelled("images,labels/a,b", "results/sub-01/x"),
        ["images/a.png", "images/b.png"],
        [],
    ),
    "people's images and labels in one folder": (
        spelled("images/sub-1/sub-1_T1w", "images/sub-2/sub-2_T1w", "labels/sub-1_T1w,sub-2_T1w"),
        ["images/sub-1/sub-1_T1w.png", "images/sub-2/sub-2_T1w.png"],
        [],
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_images_that_pair_with_none_are_predicted_or_named(name: str, tmp_path: Path) -> None:
    files, learnt, more = LEFT[name]
    found = find_cases(pictures(tmp_path, files))
    assert found.table["path"].tolist() == learnt
    assert found.table["label"].notna().all()
    assert all(file in " ".join(found.notes) for file in more)
    found = find_cases(tmp_path, labelled=False)
    assert found.table["path"].tolist() == [*learnt, *more]


def test_one_picture_above_others_is_no_image_of_their_masks(tmp_path: Path) -> None:
    files = spelled("preview", "masks,pictures/a,b")
    found = find_cases(pictures(tmp_path, files))
    assert set(files) == set(found.table["path"])
    assert found.table["label"].isna().all()


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("raw_em_1", "label_em_1"),
        ("img_raw_1", "seg_raw_1"),
        ("image_volume1", "label_volume1"),
        ("seg_image_1", "seg_mask_1"),
    ],
)
def test_the_word_of_a_label_counts_before_that_of_an_image(
    images: str, labels: str, tmp_path: Path
) -> None:
    names = [name.replace("1", n) for name in (images, labels) for n in "12"]
    data = pictures(tmp_path, spelled(",".join(names)))
    found = find_cases(data)
    assert found.table["name"].tolist() == names[:2]
    assert found.table["label"].tolist() == [f"{name}.png" for name in names[2:]]
    assert find_cases(data, labelled=False).table["name"].tolist() == names[:2]


WHOSE = {
    "days": (spelled("P1/20190101,20200303/flair,seg", "P2/20210101/flair,seg"), ["1", "1", "1"]),
    "days with the name": (
        spelled(*(f"P1/P1_{day}/P1_{day}_flair,P1_{day}_seg" for day in ("pre", "post"))),
        ["1", "1"],
    ),
    "days of two": (
        spelled(*(f"{p}/{p}_pre/{p}_pre_t1,{p}_pre_t2,{p}_pre_seg" for p in ("P1", "P2"))),
        ["P1", "P2"],
    ),
    "slices": (spelled("mouse1/slice0,slice1,slice2/image,mask"), ["1", "1", "1"]),
    "organs in visits": (
        spelled("P1/s11,s12/ct", "P1/s11,s12/segmentations/liver,spleen"),
        ["1", "1"],
    ),
    "a folder each": (spelled("s1,s2/image,mask"), ["s1", "s2"]),
    "capitals": (spelled("WT,WT_masks/1,2", "KO,KO_masks/1"), ["KO", "WT", "WT"]),
}


@pytest.mark.parametrize("name", WHOSE)
def test_people_are_named_only_where_folders_tell_them(name: str, tmp_path: Path) -> None:
    files, subjects = WHOSE[name]
    found = find_cases(pictures(tmp_path, files))
    assert found.table["subject"].tolist() == subjects
    assert ("whose the images are" in " ".join(found.notes)) == (set(subjects) == {"1"})


@pytest.mark.parametrize("place", ["images,labels/{}", "{}/t1,seg"])
@pytest.mark.parametrize(
    ("names", "subject"),
    [
        ("patient001_frame01,patient001_frame12,patient002_frame01", "patient001"),
        ("BraTS-GLI-00001-000,BraTS-GLI-00001-001,BraTS-GLI-00002-000", "BraTS-GLI-00001"),
        ("OAS1_0001_MR1,OAS1_0001_MR2,OAS1_0002_MR1", "OAS1_0001"),
        ("OAS30001_MR_d0129,OAS30001_MR_d0757,OAS30002_MR_d0001", "OAS30001"),
        ("TCGA_CS_4941_1996_1,TCGA_CS_4941_1996_2,TCGA_DU_5849_1995_1", "TCGA_CS_4941"),
    ],
)
def test_names_of_one_person_are_one_subject(
    names: str, subject: str, place: str, tmp_path: Path
) -> None:
    found = find_cases(pictures(tmp_path, spelled(place.format(names))), labelled=False)
    got = dict(zip(found.table["name"], found.table["subject"], strict=True))
    one, two, other = ([got[n] for n in got if n.startswith(name)] for name in names.split(","))
    assert {*one, *two} == {subject}
    assert not {*other} & {*one}


def test_names_of_visits_in_one_folder(tmp_path: Path) -> None:
    files = spelled("images,labels/sub-01_ses-1,sub-01_ses-2,sub-02_ses-1")
    found = find_cases(pictures(tmp_path, files))
    assert found.table["subject"].tolist() == ["01", "01", "02"]
    assert found.table["session"].tolist() == ["1", "2", "1"]
    assert "whose each is, its name says" in found.layout


def test_names_of_one_person_in_the_folder_of_nnunet(tmp_path: Path) -> None:
    names = [f"patient{who}_frame{n}" for who in "12" for n in "ab"]
    files = [f"imagesTr/{name}_0000.png" for name in names]
    data = pictures(tmp_path, [*files, *(f"labelsTr/{name}.png" for name in names)])
    facts = {"channel_names": {"0": "cine"}, "labels": {"background": 0, "wall": 1},
             "numTraining": 4, "file_ending": ".png"}  # fmt: skip
    (data / "dataset.json").write_text(json.dumps(facts))
    assert find_cases(data).table["subject"].tolist() == 2 * ["patient1"] + 2 * ["patient2"]


def test_names_of_as_many_people_as_cases_stay_as_they_are(tmp_path: Path) -> None:
    found = find_cases(pictures(tmp_path, spelled("images,labels/patient1_x,patient2_x")))
    assert found.table["subject"].tolist() == ["patient1_x", "patient2_x"]


@pytest.mark.parametrize(
    "files",
    [
        spelled("train/s1,s2/ct", "train/s1,s2/segmentations/liver,spleen")
        + spelled("test/s3/ct", "test/s3/segmentations/liver,spleen"),
        spelled("train/a,a_mask", "test/b,b_mask"),
        spelled("train,test/1/image,mask"),
        spelled("train_images,train_masks,test_images,test_masks/1"),
    ],
)
def test_sides_are_kept(files: list[str], tmp_path: Path) -> None:
    table = find_cases(pictures(tmp_path, files)).table
    assert set(table["split"]) == {"train", "test"}
    fold = stated_fold(table)
    assert fold is not None
    assert len(fold.test) == 1


def test_one_name_on_two_sides_is_two_subjects(tmp_path: Path) -> None:
    table = find_cases(pictures(tmp_path, spelled("train,test/1/image,mask"))).table
    assert table["subject"].tolist() == ["test_1", "train_1"]


def test_times_are_no_channels(tmp_path: Path) -> None:
    found = find_cases(pictures(tmp_path, spelled("m1,m2/t001,t002,t003,mask")))
    assert found.channels == []
    assert found.table["label"].isna().all()


def test_a_labelmap_that_is_not_of_cvat_is_passed_over(tmp_path: Path) -> None:
    data = pictures(tmp_path, spelled("images,labels/a"))
    (data / "labelmap.txt").write_text("1 axon\n2 myelin\n")
    assert find_cases(data).classes is None


def test_a_folder_called_manual(tmp_path: Path) -> None:
    data = pictures(tmp_path, spelled("images,labels/a"))
    (data / "manual").mkdir()
    (data / "manual/manual.pdf").write_bytes(b"%PDF")
    assert find_cases(data).table["label"].tolist() == ["labels/a.png"]
    pictures(data, spelled("manual/a"))
    with pytest.raises(DataError, match="'manual/a.png' and 'labels/a.png' would both be the lab"):
        find_cases(data)
    assert len(find_cases(data, labelled=False).cases) == 1


@pytest.mark.parametrize("table", ["", "participant_id\tage\nsub-1\t7\n", "id\tage\n1\t7\n"])
def test_sites_with_a_table_of_any_kind(table: str, tmp_path: Path) -> None:
    data = pictures(tmp_path, spelled("A/sub-1/sub-1_T1w", "B/sub-2/sub-2_T1w"))
    if table:
        (data / "participants.tsv").write_text(table)
    found = find_cases(data)
    assert found.table["subject"].tolist() == ["1", "2"]
    assert ("age" in found.table) == table.startswith("participant_id")
    assert ("column participant_id, it is missing" in str(found.notes)) == (table[:2] == "id")


def test_people_in_rawdata_are_joined_with_their_table(tmp_path: Path) -> None:
    data = pictures(tmp_path, spelled("rawdata/sub-1/sub-1_T1w", "figures/x"))
    (data / "rawdata/participants.tsv").write_text("participant_id\tage\nsub-1\t7\n")
    assert find_cases(data).table["age"].tolist() == [7]


SEVERAL = spelled("volumes/hippo/images,labels/a,b", "volumes/ibsi/nifti/image,mask/x")


def test_folders_of_several_data_sets_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures(tmp_path, SEVERAL)
    for name in ("peek_image", "read_image"):
        monkeypatch.setattr(f"neuroloom.io.images.door.{name}", lambda *_: pytest.fail("read"))
    said = r"several data sets: volumes/hippo \(2 cases\), volumes/ibsi/nifti \(1 case\)\. .*"
    with pytest.raises(DataError, match=said + r"--include 'volumes/hippo/\*'"):
        find_cases(data)
    with pytest.raises(DataError, match="several data sets"):
        find_cases(data, include=["*.png"])


def test_what_include_names_of_several_data_sets_is_taken(tmp_path: Path) -> None:
    data = pictures(tmp_path, SEVERAL)
    one = find_cases(data, include=["volumes/hippo/*"])
    assert one.table["name"].tolist() == ["a", "b"]
    both = find_cases(data, include=["volumes/hippo/*", "volumes/ibsi/*"])
    assert both.table["label"].notna().tolist() == [True] * 3
    assert len(find_cases(data, labelled=False).cases) == 3


def test_more_images_beside_a_data_set_than_in_it_are_warned_of(tmp_path: Path) -> None:
    data = pictures(tmp_path, spelled("hippo/images,labels/a,b", "sem/1,2,3"))
    found = find_cases(data)
    assert found.table["name"].tolist() == ["a", "b"]
    (told,) = found.doubts
    assert told.startswith("Images with labels lie in hippo only; 3 elsewhere, more than these")
    assert not find_cases(data / "hippo").doubts
    assert not find_cases(data, include=["hippo/*"]).doubts
    assert find_cases(data, include=["*/a.*", "sem/*"]).doubts
    (data / "sem/3.png").unlink()
    assert not find_cases(data).doubts


@pytest.mark.parametrize(
    "files",
    [
        spelled("A/images,labels/a", "B/imgs,masks/b"),
        spelled("A/images,labels/a", "more/B/images,labels/b"),
        spelled("train_images,train_masks/a", "more/val_images,val_masks/b"),
    ],
)
def test_sites_are_one_data_set(files: list[str], tmp_path: Path) -> None:
    assert find_cases(pictures(tmp_path, files)).table["label"].notna().tolist() == [True] * 2
