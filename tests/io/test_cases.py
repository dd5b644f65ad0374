"""Which images belong together: every layout, subjects, and labels as class numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from neuroloom.core.errors import DataError
from neuroloom.core.files import digest
from neuroloom.core.recording import volume
from neuroloom.io.cases import find_cases
from neuroloom.io.cases.check import check_cases
from neuroloom.io.cases.model import Cases, FoundCases
from neuroloom.io.cases.truth import Coding, is_inside, is_two_tone, numbers_inside, read_drawn
from neuroloom.io.images import read_image, write_image
from tests.grids import (
    PATIENT,
    two_balls,
    write_bids,
    write_case,
    write_contrasts,
    write_dicom,
    write_msd,
    write_nnunet,
)


def png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def pictures(folder: Path, names: list[str]) -> Path:
    for seed, name in enumerate(names):
        png(folder / name, np.random.default_rng(seed).integers(0, 255, (6, 8)))
    return folder


def test_nnunet(tmp_path: Path) -> None:
    found = find_cases(write_nnunet(tmp_path))
    assert found.table["name"].tolist() == ["toy_000", "toy_001", "toy_002"]
    assert found.table["subject"].tolist() == found.table["name"].tolist()
    assert found.table["image"][1] == (
        "imagesTr/toy_001_0000.nii.gz",
        "imagesTr/toy_001_0001.nii.gz",
    )
    assert found.channels == ["T1", "T2"]
    assert found.classes == {1: "big", 2: "small"}
    assert "nnU-Net" in found.layout
    assert "each case counts as a subject" in found.layout
    case = found.cases[0]
    assert case.image().shape == (2, 10, 12, 14)
    assert case.image().dtype == np.float32
    np.testing.assert_array_equal(case.truth(), two_balls(1).T)
    assert case.spacing == pytest.approx((2.5, 1.1, 0.8))
    assert found.cases[2].truth() is None
    window = (slice(2, 5), slice(0, 12), slice(3, 4))
    np.testing.assert_array_equal(case.window(window), case.image()[:, 2:5, :, 3:4])


OVERLAPPING = {"background": 0, "left": [1, 2], "right": [2, 3], "rim": 3, "ignore": 4}


def test_the_order_in_which_nnunet_paints_regions(tmp_path: Path) -> None:
    write_nnunet(tmp_path, labels=OVERLAPPING)
    assert find_cases(tmp_path).painted == ()
    file = tmp_path / "dataset.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"regions_class_order": [1, 2, 3]}))
    assert find_cases(tmp_path).painted == (1, 2, 3)
    for odd in ([1, 2], [1, 2, 7], "123"):
        file.write_text(json.dumps(facts | {"regions_class_order": odd}))
        with pytest.raises(DataError, match=r"regions_class_order is .* regions left, right, rim"):
            find_cases(tmp_path)


def test_nnunet_regions_and_ignore(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}
    found = find_cases(write_nnunet(tmp_path, labels=labels))
    assert found.classes == {1: "1", 2: "core"}
    assert found.regions == {"whole": (1, 2), "core": (2,)}
    assert found.ignore == 3


def test_nnunet_with_a_channel_missing(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "imagesTr" / "toy_001_0001.nii.gz").unlink()
    with pytest.raises(DataError, match="toy_001 have fewer than the 2 channels"):
        find_cases(tmp_path)


def test_msd(tmp_path: Path) -> None:
    found = find_cases(write_msd(tmp_path))
    assert found.table["name"].tolist() == ["toy_000", "toy_001", "toy_002"]
    assert found.channels == ["FLAIR", "T1w"]
    assert found.classes == {1: "big", 2: "small"}
    assert found.cases[1].image().shape == (2, 10, 12, 14)
    assert "Decathlon" in found.layout
    (tmp_path / "labelsTr" / "toy_001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"labelsTr/toy_001\.nii\.gz', which is not there"):
        find_cases(tmp_path)


def test_bids(tmp_path: Path) -> None:
    found = find_cases(write_bids(tmp_path))
    assert found.table["subject"].tolist() == ["a", "a", "b"]
    assert found.table["sample"].tolist() == ["1", "2", "3"]
    assert found.table["species"].tolist() == ["rat", "rat", "mouse"]
    assert found.table["sample_type"].tolist() == ["tissue", "tissue", "cell"]
    assert PATIENT not in found.table.to_csv()
    assert found.classes == {1: "axon", 2: "myelin"}
    for case in found.cases:
        assert case.spacing == pytest.approx((0.1, 0.1))
        assert case.unit == "um"
        assert case.recording().attrs["spacing"] == pytest.approx((0.1, 0.1))
    truth = found.cases[0].truth()
    assert truth is not None
    assert [int((truth == number).sum()) for number in (1, 2)] == [6 * 14, 6 * 14]


def test_contrasts_of_bids_are_cases_unless_channels_are_asked_for(tmp_path: Path) -> None:
    write_contrasts(tmp_path, subjects=2)
    found = find_cases(tmp_path)
    assert found.table["name"].tolist() == [f"sub-{s}_{c}" for s in (0, 1) for c in ("T1w", "T2w")]
    assert "Labels without an image" in found.notes[0]
    assert find_cases(tmp_path, channels=["CT"]).table["name"].tolist() == list(found.table["name"])
    for asked in (["T2w", "T1w"], ["*"]):
        joined = find_cases(tmp_path, channels=asked)
        assert joined.table["name"].tolist() == ["sub-0", "sub-1"]
        assert joined.channels == (asked if len(asked) == 2 else ["T1w", "T2w"])
        names = [path.name for path in joined.cases[1].images]
        assert names == [f"sub-1_{contrast}.nii.gz" for contrast in joined.channels]
        assert joined.table["label"].notna().all()
        assert "are the channels of a case" in joined.layout
        assert joined.cases[0].image().shape == (2, 12, 14, 12)
    alone = find_cases(tmp_path, channels=["T2w"])
    assert alone.table["image"].tolist() == [(f"sub-{s}/anat/sub-{s}_T2w.nii.gz",) for s in (0, 1)]
    assert "Contrasts that are no channel were passed over: T1w." in alone.notes


def test_a_lacking_contrast_of_bids_is_named_or_borne(tmp_path: Path) -> None:
    write_contrasts(tmp_path, lacking=("sub-1_T1w", "sub-2_T2w"))
    with pytest.raises(DataError, match=r"sub-1, sub-2 have fewer than the 2 channels"):
        find_cases(tmp_path, channels=["T1w", "T2w"])
    found = find_cases(tmp_path, channels=["T1w", "T2w"], incomplete=True)
    assert [case.missing for case in found.cases] == [(), (0,), (1,), ()]
    with pytest.raises(DataError, match="no case has the channel FLAIR"):
        find_cases(tmp_path, channels=["T1w", "FLAIR"], incomplete=True)


def test_a_contrast_with_its_own_label_and_two_runs_of_one_contrast(tmp_path: Path) -> None:
    names = [f"sub-1/anat/sub-1_run-{r}_{c}.png" for r in (1, 2) for c in ("T1w", "T2w")]
    labels = [f"derivatives/labels/sub-1/anat/sub-1_run-1_{c}_seg.png" for c in ("T1w", "T2w")]
    found = find_cases(pictures(tmp_path, [*names, *labels]), channels=["T2w", "T1w"])
    assert found.table["name"].tolist() == ["sub-1_run-1", "sub-1_run-2"]
    assert found.table["label"].tolist() == [labels[1], None]
    assert found.table["run"].tolist() == ["1", "2"]
    (tmp_path / labels[0]).unlink()
    alone = find_cases(tmp_path, channels=["T1w"])
    assert alone.table["label"].tolist() == [None, None]
    assert labels[1] in alone.notes[-1]


def test_pixel_sizes_give_x_first(tmp_path: Path) -> None:
    found = find_cases(write_bids(tmp_path, false_size=True))
    assert found.cases[1].spacing == pytest.approx((0.2, 0.1))


def test_folders_by_stem_by_word_and_by_what_varies(tmp_path: Path) -> None:
    one = pictures(tmp_path / "1", ["images/a.png", "images/b.png", "labels/b.png", "labels/c.png"])
    found = find_cases(one)
    assert found.table["label"].tolist() == [None, "labels/b.png"]
    assert "the stem of their names" in found.layout
    assert "labels/c.png" in found.notes[0]
    two = pictures(tmp_path / "2", ["img/s1_img.png", "img/s2_img.png", "mask/s1_mask.png",
                                    "mask/s2_mask.png"])  # fmt: skip
    found = find_cases(two)
    assert found.table["label"].tolist() == ["mask/s1_mask.png", "mask/s2_mask.png"]
    assert "without words" in found.layout
    three = pictures(tmp_path / "3", ["images/emA07.png", "images/emA12.png",
                                      "labels/mito-07x.png", "labels/mito-12x.png"])  # fmt: skip
    found = find_cases(three)
    assert found.table["label"].tolist() == ["labels/mito-07x.png", "labels/mito-12x.png"]
    assert "what all begin and end with" in found.layout


def test_splits_above_folders_become_a_column(tmp_path: Path) -> None:
    names = [f"{s}/{kind}/{n}.png" for s, n in (("train", 1), ("val", 1)) for kind in
             ("images", "labels")]  # fmt: skip
    found = find_cases(pictures(tmp_path, names))
    assert found.table["split"].tolist() == ["train", "val"]
    assert found.table["name"].is_unique


def test_folders_below_are_part_of_a_name(tmp_path: Path) -> None:
    names = [f"{kind}/p{n}/scan.png" for n in (1, 2) for kind in ("images", "labels")]
    found = find_cases(pictures(tmp_path, names))
    assert found.table["label"].tolist() == ["labels/p1/scan.png", "labels/p2/scan.png"]
    assert found.table["name"].tolist() == ["images_p1_scan", "images_p2_scan"]


def test_channels_in_a_folder_of_images(tmp_path: Path) -> None:
    names = ["imagesTr/p_0000.png", "imagesTr/p_0001.png", "labelsTr/p.png"]
    found = find_cases(pictures(tmp_path, names))
    assert len(found.cases) == 1
    assert found.cases[0].image().shape == (2, 6, 8)


def test_new_cases_named_by_their_channels(tmp_path: Path) -> None:
    """As in nnU-Net's imagesTs; one name alone is one case only if its channels are counted."""
    for name in ("a_0000", "a_0001"):
        write_case(tmp_path / f"{name}.nii.gz", None, 0)
    assert list(find_cases(tmp_path).table["name"]) == ["a_0000", "a_0001"]
    assert list(find_cases(tmp_path, n_channels=1).table["name"]) == ["a_0000", "a_0001"]
    assert find_cases(tmp_path, n_channels=2).cases[0].image().shape[0] == 2
    for name in ("b_0000", "b_0001"):
        write_case(tmp_path / f"{name}.nii.gz", None, 1)
    found = find_cases(tmp_path)
    assert list(found.table["name"]) == ["a", "b"]
    assert found.table["image"][1] == ("b_0000.nii.gz", "b_0001.nii.gz")
    write_case(tmp_path / "c_0000.nii.gz", None, 2)
    assert len(find_cases(tmp_path).table) == 5


def test_pairs_in_one_folder(tmp_path: Path) -> None:
    names = ["demo_image.png", "demo_mask.png", "x_image_2.png", "x_mask_2.png", "other.png"]
    found = find_cases(pictures(tmp_path, names))
    assert found.table["label"].tolist() == ["demo_mask.png", "x_mask_2.png"]
    assert found.table["subject"].tolist() == ["1", "1"]
    assert "other.png" in found.notes[0]
    assert "one subject's" in found.notes[1]
    named = find_cases(tmp_path, pattern="{subject}_image*")
    assert named.table["subject"].tolist() == ["demo", "x"]
    with pytest.raises(DataError, match="does not match 'demo_image.png'"):
        find_cases(tmp_path, pattern="{subject}_scan")


def test_pixel_sizes_in_text_files(tmp_path: Path) -> None:
    pictures(tmp_path, ["a_image.png", "a_mask.png", "b_image.png"])
    (tmp_path / "a_pixel_size_um.txt").write_text("0.07\n")
    first, second = find_cases(tmp_path).cases
    assert (first.spacing, first.unit) == ((0.07, 0.07), "um")
    assert (second.spacing, second.unit) == ((1.0, 1.0), "px")
    (tmp_path / "a_pixel_size_um.txt").write_text("seven")
    with pytest.raises(DataError, match=r"a_pixel_size_um\.txt: expected the size.*'seven'"):
        find_cases(tmp_path)


def test_globs_with_a_file_a_class(tmp_path: Path) -> None:
    names = [f"{kind}_{n}.png" for n in "01" for kind in ("raw", "cell", "gap")]
    pictures(tmp_path, names)
    png(tmp_path / "cell_0.png", np.array([[0, 255, 255], [90, 200, 0]]))
    png(tmp_path / "gap_0.png", np.array([[0, 0, 255], [0, 0, 0]]))
    labels = {"cell": "cell_*.png", "gap": "gap_*.png"}
    found = find_cases(tmp_path, images=["raw_*.png"], labels=labels)
    assert found.classes == {1: "cell", 2: "gap"}
    assert found.table["label"][0] == {"cell": "cell_0.png", "gap": "gap_0.png"}
    truth = found.cases[0].truth()
    assert truth is not None
    assert truth.tolist() == [[0, 1, 2], [0, 1, 0]]
    (tmp_path / "gap_1.png").unlink()
    with pytest.raises(DataError, match=r"lacks a mask of gap"):
        find_cases(tmp_path, images=["raw_*.png"], labels=labels).cases[1].truth()
    with pytest.raises(DataError, match=r"nothing matches row_\*\.png"):
        find_cases(tmp_path, images=["row_*.png"])


def test_what_globs_name_as_a_label_is_no_image(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "a_cell.png", "b.png", "b_cell.png"])
    found = find_cases(tmp_path, images=["*.png"], labels={"cell": "*_cell.png"})
    assert found.table["name"].tolist() == ["a", "b"]


def test_globs_of_images_that_match_labels_too(tmp_path: Path) -> None:
    pictures(tmp_path, [f"{n}{kind}.png" for n in "ab" for kind in ("", "_seg")])
    found = find_cases(tmp_path, images=["*.png"], labels=["*_seg.png"])
    assert found.table["name"].tolist() == ["a", "b"]
    assert found.table["label"].tolist() == ["a_seg.png", "b_seg.png"]
    other = find_cases(tmp_path, images=["*_seg.png"], labels=["*.png"])
    assert other.table["name"].tolist() == ["a_seg", "b_seg"]


def test_images_alone_where_labels_are_not_wanted(tmp_path: Path) -> None:
    globs: dict[str, Any] = {"images": ["*.png"], "labels": ["*_seg.png"]}
    pictures(tmp_path / "new", ["a.png", "b.png"])
    with pytest.raises(DataError, match=r"nothing matches \*_seg\.png"):
        find_cases(tmp_path / "new", **globs)
    pictures(tmp_path / "new", ["a_seg.png"])
    pictures(tmp_path / "pairs", ["images/a.png", "labels/a.png"])
    for folder, names in (("new", ["a", "b"]), ("pairs", ["a"])):
        more = globs if folder == "new" else {}
        found = find_cases(tmp_path / folder, labelled=False, **more)
        assert found.table["name"].tolist() == names
        assert found.table["label"].tolist() == [None] * len(names)
        assert found.cases[0].truth() is None


@pytest.mark.parametrize(
    ("raw", "inside"),
    [
        (np.array([0, 1, 2, 2], np.uint8), [0, 1, 1, 1]),
        (np.arange(51, dtype=np.uint16), [0] + [1] * 50),
        (np.array([0, 0, 0, 128], np.uint8), [0, 0, 0, 1]),
        (np.array([0, 60, 200, 255, 255], np.uint8), [0, 0, 1, 1, 1]),
        (np.array([0, 9000, 40000, 65535, 65535], np.uint16), [0, 0, 1, 1, 1]),
        (np.array([0.0, 0.2, 0.6, 0.7], np.float32), [0, 0, 1, 1]),
        (np.array([0.0, 1.0, 2.0], np.float32), [0, 1, 1]),
        (np.array([False, True]), [0, 1]),
        (np.zeros(3, np.int16), [0, 0, 0]),
    ],
)
def test_what_is_inside_a_mask_of_one_class(raw: np.ndarray, inside: list[int]) -> None:
    assert is_inside(raw).astype(int).tolist() == inside


def test_masks_that_jpeg_has_touched(tmp_path: Path) -> None:
    """Noise on black is no class, and no grey of its own."""
    y, x = np.mgrid[:64, :64]
    disc, inner = np.hypot(y - 32, x - 32) < 24, np.hypot(y - 32, x - 32) < 12
    pictures(tmp_path, ["raw_0.png", "raw_1.png"])
    for number, drawn in enumerate((disc, disc * 0)):
        png(tmp_path / f"raw_{number}.png", drawn * 90 + x)
        png(tmp_path / f"cell_{number}.jpg", np.where(drawn, 255, x % 4))
        png(tmp_path / f"both_{number}.jpg", np.maximum(127 * drawn + 128 * (drawn & inner), x % 3))
    cases = find_cases(tmp_path, images=["raw_*.png"], labels={"cell": "cell_*.jpg"}).cases
    first, second = (case.truth() for case in cases)
    np.testing.assert_array_equal(first, disc)
    assert second is not None
    assert not second.any()
    cases = find_cases(tmp_path, images=["raw_*.png"], labels=["cell_*.jpg"]).cases
    np.testing.assert_array_equal(cases[0].truth(), disc)
    named = find_cases(
        tmp_path, images=["raw_*.png"], labels=["both_*.jpg"], classes=["ring", "core"]
    ).cases
    first, second = (case.truth() for case in named)
    assert first is not None
    assert second is not None
    assert np.mean(first == disc + 1 * inner) > 0.98
    assert not second.any()


def test_numbers_of_classes_do_not_live_in_a_jpeg(tmp_path: Path) -> None:
    pictures(tmp_path, ["raw_0.png"])
    png(tmp_path / "seg_0.jpg", np.repeat([0, 1, 2], 32)[:, None] * np.ones((1, 96)))
    found = find_cases(tmp_path, images=["raw_*.png"], labels=["seg_*.jpg"], classes=["a", "b"])
    with pytest.raises(DataError, match=r"hold only the values \[0\] and noise"):
        found.cases[0].truth()


def test_what_one_mask_a_class_leaves_open_stays_open(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "img_1.png")
    axon = np.array([[0, 1, 1, 255]] * 3, np.uint8)
    Image.fromarray(axon).save(tmp_path / "axon_1.png")
    Image.fromarray(np.array([[0, 0, 255, 0]] * 3, np.uint8)).save(tmp_path / "glia_1.png")
    masks = {"axon": "axon_*.png", "glia": "glia_*.png"}
    found = find_cases(tmp_path, images=["img_*.png"], labels=masks, ignore=255)
    assert found.cases[0].truth().tolist() == [[0, 1, 2, 255]] * 3


def test_a_straight_soft_edge_is_an_edge(tmp_path: Path) -> None:
    """A bar that ends in the picture, enlarged: its edge has equal greys along it."""
    bar = np.zeros((20, 20), np.uint8)
    bar[8:] = 255
    soft = np.asarray(Image.fromarray(bar).resize((80, 80), Image.Resampling.BILINEAR))
    shapes = {"a": soft, "b": soft.T, "c": soft[26:36]}
    for name, drawn in shapes.items():
        Image.fromarray(np.zeros(drawn.shape, np.uint8)).save(tmp_path / f"{name}_image.png")
        Image.fromarray(np.ascontiguousarray(drawn)).save(tmp_path / f"{name}_mask.png")
    for case, drawn in zip(find_cases(tmp_path).cases, shapes.values(), strict=True):
        assert np.array_equal(case.truth(), drawn > 127), case.name


def test_black_and_white_beside_masks_of_numbers_is_asked_about(tmp_path: Path) -> None:
    for name, top in (("a", 1), ("b", 255)):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}_image.png")
        mask = np.kron(np.eye(2, dtype=np.uint8) * top, np.ones((4, 4), np.uint8))
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
    with pytest.raises(DataError, match=r"If 255 is their 1, say values=\{'tumour': 1\}"):
        find_cases(tmp_path).cases[1].truth()
    one = find_cases(tmp_path, values={"tumour": 1}).cases
    assert np.array_equal(one[0].truth(), one[1].truth())


def tiles(folder: Path, kinds: str) -> Path:
    """Write a picture a letter: coloured, blank, grey in one channel, transparent, opaque."""
    folder.mkdir()
    for number, kind in enumerate(kinds):
        pixels = np.random.default_rng(number).integers(0, 200, (6, 8, 4), np.uint8)
        pixels[..., 3] = 255
        pixels[0, 0, 3] = 0 if kind == "t" else 255
        if kind in "bg":
            pixels[..., :3] = 255
        shown = {"g": pixels[..., 0], "t": pixels, "o": pixels}.get(kind, pixels[..., :3])
        Image.fromarray(shown).save(folder / f"{number}{kind}.png")
    return folder


def test_a_blank_or_transparent_picture_has_the_channels_of_the_others(tmp_path: Path) -> None:
    cases = find_cases(tiles(tmp_path / "many", "cbcgt")).cases
    for case in cases:
        image = case.image()
        assert image.shape == (3, 6, 8)
        assert case.header.channels == ("red", "green", "blue")
        np.testing.assert_array_equal(case.window((slice(1, 4), slice(2, 5))), image[:, 1:4, 2:5])
    assert (cases[1].image() == 255).all()
    assert "alpha channel was left out" in cases[4].header.notes[-1]
    assert not [problem for problem in check_cases(cases) if "other cases" in problem.text]
    # Grey ones stay grey, and four channels that all pictures have stay four.
    assert [len(case.image()) for case in find_cases(tiles(tmp_path / "grey", "gbg")).cases] == [
        1
    ] * 3
    assert [len(case.image()) for case in find_cases(tiles(tmp_path / "clear", "tt")).cases] == [
        4
    ] * 2


def test_a_blank_picture_for_a_run_that_has_learnt_colours(tmp_path: Path) -> None:
    """One channel that is no picture's colours is not made three."""
    blank = find_cases(tiles(tmp_path / "b", "b"), n_channels=3).cases[0]
    assert blank.image().shape == (3, 6, 8)
    grey = find_cases(tiles(tmp_path / "g", "g"), n_channels=3).cases[0]
    assert (len(grey.image()), len(grey.header.channels)) == (1, 1)
    assert len(find_cases(tiles(tmp_path / "o", "b"), n_channels=1).cases[0].image()) == 1


def stains(path: Path, count: int) -> None:
    """Write a TIFF with so many channels of a fluorescence microscope."""
    made = np.random.default_rng(count).integers(0, 255, (count, 6, 8)).astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, made, imagej=True, metadata={"axes": "CYX"})


def test_stains_are_no_colours(tmp_path: Path) -> None:
    """No channel of four is left out, and to three none is added for a run of four."""
    for number, count in enumerate((4, 4, 3)):
        stains(tmp_path / "many" / f"{number}.tif", count)
    cases = find_cases(tmp_path / "many").cases
    assert [len(case.image()) for case in cases] == [4, 4, 3]
    assert any("other cases" in p.text for p in check_cases(cases) if p.severity == "error")
    stains(tmp_path / "three" / "0.tif", 3)
    assert len(find_cases(tmp_path / "three", n_channels=4).cases[0].image()) == 3


def test_alpha_is_left_out_of_the_fewer_and_given_back_to_opaque_ones(tmp_path: Path) -> None:
    cases = find_cases(tiles(tmp_path / "most", "tto")).cases
    assert [len(case.image()) for case in cases] == [4] * 3
    for kinds in ("tcc", "ttc", "ttb"):
        some = find_cases(tiles(tmp_path / kinds, kinds)).cases
        assert [len(case.image()) for case in some] == [3] * 3, kinds
    names = ["red", "green", "blue", "alpha"]
    one = tiles(tmp_path / "one", "c")
    assert len(find_cases(one, n_channels=4).cases[0].image()) == 3
    clear = find_cases(tiles(tmp_path / "clear", "o"), n_channels=4).cases[0]
    assert (len(clear.image()), len(clear.header.channels)) == (4, 4)
    named = find_cases(one, n_channels=4, channels=names).cases[0].image()
    assert (named[3] == 255).all()


def test_globs_with_channels(tmp_path: Path) -> None:
    names = [f"p{n}/p{n}_{kind}.png" for n in (1, 2) for kind in ("t1", "t2", "seg")]
    images = {"T1": "*/*_t1.png", "T2": "*/*_t2.png"}
    found = find_cases(pictures(tmp_path, names), images=images, labels=["*/*_seg.png"])
    assert found.channels == ["T1", "T2"]
    assert found.table["image"][0] == ("p1/p1_t1.png", "p1/p1_t2.png")
    assert found.table["label"].tolist() == ["p1/p1_seg.png", "p2/p2_seg.png"]
    assert found.table["name"].tolist() == ["p1", "p2"]


def test_a_manifest(tmp_path: Path) -> None:
    pictures(tmp_path, ["i/a1.png", "i/a2.png", "i/b1.png", "i/b2.png", "m/a.png"])
    table = tmp_path / "cases.csv"
    rows = "i/a1.png,i/a2.png,m/a.png,07,61,X\ni/b1.png,i/b2.png,,08,47.5,Y\n"
    table.write_text("image_DAPI,image_GFP,label,SubjectID,age,site\n" + rows)
    found = find_cases(table)
    assert found.table["subject"].tolist() == ["07", "08"]
    assert found.table["age"].tolist() == [61, 47.5]
    assert found.channels == ["DAPI", "GFP"]
    assert found.cases[0].image().shape == (2, 6, 8)
    assert found.cases[1].label is None
    table.write_text("image,label\ni/a1.png,m/none.png\n")
    with pytest.raises(DataError, match=r"row 2: label: there is no file 'm/none\.png'"):
        find_cases(table)
    table.write_text("picture\ni/a1.png\n")
    with pytest.raises(DataError, match="needs a column 'image'"):
        find_cases(table)


def test_single_images_and_folders_that_are_one(tmp_path: Path) -> None:
    write_case(tmp_path / "x" / "one.nii.gz", None, 0)
    found = find_cases(tmp_path / "x" / "one.nii.gz")
    assert (found.cases[0].name, found.cases[0].truth()) == ("one", None)
    assert len(find_cases(tmp_path / "x").cases) == 1
    write_dicom(tmp_path / "d" / "p1", np.ones((3, 4, 5)))
    write_dicom(tmp_path / "d" / "p2", np.ones((2, 4, 5)))
    assert find_cases(tmp_path / "d").table["name"].tolist() == ["p1", "p2"]
    assert find_cases(tmp_path / "d" / "p1").cases[0].shape == (3, 4, 5)


def test_x_rays_in_a_folder_are_cases_and_stacks_that_lie_mixed_are_not(tmp_path: Path) -> None:
    rays = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    for number, kind in enumerate(("normal", "normal", "sick", "sick")):
        write_dicom(tmp_path / "rays" / kind, rays, series=number)
    for file in (tmp_path / "rays").rglob("*.dcm"):
        header = pydicom.dcmread(file)
        del header.ImagePositionPatient, header.FrameOfReferenceUID
        header.save_as(file)
    found = find_cases(tmp_path / "rays")
    assert found.table["path"].tolist() == [
        "normal/s0_000.dcm", "normal/s1_000.dcm", "sick/s2_000.dcm", "sick/s3_000.dcm"
    ]  # fmt: skip
    assert len(find_cases(tmp_path / "rays" / "sick").cases) == 2
    assert find_cases(f"{tmp_path / 'rays' / 'sick'}::3").cases[0].shape == (3, 4)
    table = tmp_path / "rays" / "t.csv"
    table.write_text("case,image\na,sick::2\nb,sick::3\n")
    assert [case.shape for case in find_cases(table).cases] == [(3, 4)] * 2
    with pytest.raises(DataError, match="2 series are in one folder"):
        read_image(tmp_path / "rays" / "sick")
    write_dicom(tmp_path / "rays" / "sick", rays.repeat(2, axis=0), series=4)
    mixed = find_cases(tmp_path / "rays" / "sick").cases
    with pytest.raises(DataError, match="3 series are in one folder"):
        mixed[0].image()


def test_a_table_beside_images_that_names_none_of_them_is_passed_over(tmp_path: Path) -> None:
    pictures(tmp_path, ["images/a.png", "labels/a.png"])
    (tmp_path / "cases.csv").write_text("image_id,image_quality\n17,good\n")
    assert find_cases(tmp_path).table["name"].tolist() == ["a"]


def test_what_is_not_there(tmp_path: Path) -> None:
    pictures(tmp_path, ["images/a.png", "labels/a.png"])
    with pytest.raises(DataError, match="no image matches include z"):
        find_cases(tmp_path, include=["z*"])
    with pytest.raises(DataError, match="no such file or folder. Did you mean 'images'"):
        find_cases(tmp_path / "image")
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="no image or volume"):
        find_cases(tmp_path / "void")


def test_rows_of_cases_and_hashes(tmp_path: Path) -> None:
    names = [f"{kind}/{n}.png" for n in range(4) for kind in ("images", "labels")]
    found = find_cases(pictures(tmp_path, names))
    assert [case.name for case in found.cases[np.array([2, 0])]] == ["2", "0"]
    assert len(found.cases[np.array([True, False, True, True])]) == 3
    assert found.hashes()["labels/3.png"] == digest(tmp_path / "labels" / "3.png")
    assert len(found.hashes()) == 8


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        (np.array([0, 1, 2, 5], np.int16), [0, 1, 2, 5]),
        (np.array([0.0, 1.0, 2.0], np.float64), [0, 1, 2]),
        (np.array([0.0, 0.3, 0.5, 0.9]), [0, 0, 1, 1]),
        (np.array([False, True]), [0, 1]),
        (np.array([0] * 50 + [255] * 40 + [40, 200], np.uint8), [0] * 50 + [1] * 40 + [0, 1]),
    ],
)
def test_numbers_of_undeclared_labels(raw: np.ndarray, numbers: list[int]) -> None:
    found = Coding().numbers(raw, "m.png")
    assert found.tolist() == numbers
    assert found.dtype.kind in "iu"


def masks(folder: Path, drawn: list[np.ndarray], kind: str = "png", **options: Any) -> list[Any]:
    """Return the truths of images with these masks."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(drawn):
        png(
            folder / f"image_{number}.png", np.random.default_rng(number).integers(0, 255, (64, 64))
        )
        file = folder / f"mask_{number}.{kind}"
        Image.fromarray(mask).save(file, **({"quality": 60} if kind == "jpg" else {}))
    return [case.truth() for case in find_cases(folder, **options).cases]


def disc(radius: float, y: int = 30, x: int = 30) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return np.hypot(rows - y, columns - x) < radius


def test_black_and_white_of_any_depth(tmp_path: Path) -> None:
    one, other = disc(20), disc(9, 40, 20)
    for number, white in enumerate((np.uint8(255), np.uint16(65535), np.uint8(254))):
        found = masks(tmp_path / str(number), [one * white, other * white])
        for truth, drawn in zip(found, (one, other), strict=True):
            np.testing.assert_array_equal(truth, drawn)
    mixed = masks(
        tmp_path / "mixed", [one * np.uint8(254), other * np.uint8(255), one * np.uint8(0)]
    )
    np.testing.assert_array_equal(mixed[0], one)
    np.testing.assert_array_equal(mixed[1], other)
    assert not mixed[2].any()


def test_soft_masks_below_white(tmp_path: Path) -> None:
    """Wide edges are no classes, and a dim mask is judged with the others."""
    soft = np.round(gaussian_filter(disc(20) * 254.0, 2)).astype(np.uint8)
    dim = np.round(gaussian_filter(disc(3) * 254.0, 2)).astype(np.uint8)
    assert 128 < dim.max() < 200
    first, second = masks(tmp_path, [soft, dim])
    np.testing.assert_array_equal(first, soft > 127)
    np.testing.assert_array_equal(second, dim > 127)
    named, _ = masks(tmp_path, [soft, dim], classes=["tumour"])
    np.testing.assert_array_equal(named, first)


def test_numbers_of_many_objects_are_not_black_and_white(tmp_path: Path) -> None:
    objects = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(masks(tmp_path, [objects])[0], objects)
    assert not is_two_tone(objects)
    objects[disc(24)] = 255
    assert not is_two_tone(objects)
    assert is_two_tone(np.round(gaussian_filter(disc(24) * 254.0, 2)).astype(np.uint8))


@pytest.mark.parametrize("radius", [2, 3, 5])
def test_small_objects_in_a_jpeg(radius: int, tmp_path: Path) -> None:
    """Edges fill most of what is drawn, and no grey of them a lot."""
    drawn = disc(radius) | disc(radius, 11, 50) | disc(radius, 52, 14)
    found = masks(tmp_path, [drawn * np.uint8(255), drawn * np.uint8(0)], "jpg")
    assert (found[0] != drawn).sum() <= 3
    assert not found[1].any()
    tones = np.where(disc(9), 255, disc(20) * 128).astype(np.uint8)
    with pytest.raises(DataError, match=r"mask_0\.jpg: a mask of the greys .*classes=\['tumour'\]"):
        masks(tmp_path, [tones], "jpg")


def coloured(*painted: tuple[np.ndarray, tuple[int, ...]]) -> np.ndarray:
    """Return a picture with colours painted one over the other on black, or on nothing."""
    picture = np.zeros((64, 64, len(painted[0][1])), np.uint8)
    for where, colour in painted:
        picture[where] = colour
    return picture


def in_palette(path: Path, numbers: np.ndarray, colours: list[tuple[int, int, int]]) -> None:
    made = Image.fromarray(numbers.astype(np.uint8), mode="P")
    made.putpalette(np.ravel(colours).tolist())
    made.save(path)


def test_numbers_of_a_palette_are_classes(tmp_path: Path) -> None:
    numbers = disc(20) * 2 - disc(9)
    mask = tmp_path / "mask_0.png"
    masks(tmp_path, [numbers.astype(np.uint8)])
    black, red, grey, green = (0, 0, 0), (128, 0, 0), (128, 128, 128), (0, 128, 0)
    in_palette(mask, numbers, [black, red, grey])
    np.testing.assert_array_equal(find_cases(tmp_path).cases[0].truth(), numbers)
    in_palette(mask, disc(20) * 2, [black, red, grey])
    np.testing.assert_array_equal(find_cases(tmp_path).cases[0].truth(), disc(20) * 2)
    # Programs that pack files number colours as they come: black tells.
    in_palette(mask, 1 - disc(20), [red, black, green])
    np.testing.assert_array_equal(find_cases(tmp_path).cases[0].truth(), disc(20))
    in_palette(mask, 1 - disc(20), [(255, 255, 255), black])
    np.testing.assert_array_equal(find_cases(tmp_path).cases[0].truth(), disc(20))
    assert read_drawn(mask).colours == {}


def blocks(*values: int) -> np.ndarray:
    """Return squares of 100 pixels with these values."""
    mask = np.zeros((64, 64), np.uint8)
    for number, value in enumerate(values):
        row, column = 12 * (number // 5), 12 * (number % 5)
        mask[row : row + 10, column : column + 10] = value
    return mask


@pytest.mark.parametrize("values", [(1, 255), (1, 2, 255), (1, 255, 255, 255), (1, 2, 3, 15, 255)])
def test_small_numbers_beside_255_are_no_black(values: tuple[int, ...], tmp_path: Path) -> None:
    """255 stands for what is left open in many data sets."""
    mask = blocks(*values)
    with pytest.raises(DataError, match=r"mask_0\.png: holds 255 beside 1.* Say ignore=255"):
        masks(tmp_path / "a", [mask])
    np.testing.assert_array_equal(masks(tmp_path / "b", [mask], ignore=255)[0], mask)
    deep = np.repeat(mask[None], 2, 0)
    with pytest.raises(DataError, match="holds 255 beside 1"):
        Coding().numbers(deep, "m.nii")
    np.testing.assert_array_equal(Coding(ignore=255).numbers(deep, "m.nii"), deep)
    np.testing.assert_array_equal(is_inside(mask), mask > 0)
    assert numbers_inside(mask) == [*dict.fromkeys(values)]
    assert not is_two_tone(mask)


def test_one_stray_white_pixel(tmp_path: Path) -> None:
    stray = disc(20).astype(np.uint8)
    stray[0, 0] = 255
    with pytest.raises(DataError, match="holds 255 beside 1"):
        masks(tmp_path / "a", [stray])
    np.testing.assert_array_equal(is_inside(stray), stray > 0)
    named = masks(tmp_path / "b", [stray], classes=["cell"])[0]
    np.testing.assert_array_equal(named, stray)


def test_one_declared_class_beside_what_is_left_open(tmp_path: Path) -> None:
    mask = blocks(1, 255, 255)
    for open_one in (mask, blocks(1, 1, 255)):
        found = masks(tmp_path / "said", [open_one], classes=["cell"])
        np.testing.assert_array_equal(found[0], open_one)
    found = masks(tmp_path / "left", [mask, blocks(1)], classes=["cell"], ignore=255)
    np.testing.assert_array_equal(found[0], mask)
    np.testing.assert_array_equal(found[1], blocks(1))


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_a_number_near_white_is_no_white(kind: type, tmp_path: Path) -> None:
    """Of a lesion of 1 with a voxel of 250, and of objects, nothing is lost."""
    objects = blocks(1, 1, 3, 250, 100, 100, 250).astype(kind)
    np.testing.assert_array_equal(is_inside(objects), objects > 0)
    np.testing.assert_array_equal(is_inside(blocks(100, 180, 250)), blocks(1, 1, 1) > 0)
    lesion = blocks(1, 1).astype(kind)
    lesion[-1, -1] = 250
    write_image(tmp_path / "a.nii.gz", volume(lesion[:, :, None], np.eye(4)))
    coding = Coding({1: "lesion"}, files=(tmp_path / "a.nii.gz",))
    np.testing.assert_array_equal(coding.numbers(lesion[None], "a.nii.gz"), lesion[None])


def test_a_palette_with_void(tmp_path: Path) -> None:
    """As of VOC: numbers of objects to 20, and 255 around them."""
    colours = [(k, 255 - k, 7) if k else (0, 0, 0) for k in range(256)]
    drawn = [blocks(1, 15, 255, 255, 255), blocks(20, 255), blocks(255)]
    masks(tmp_path, drawn, ignore=255)
    for number, numbers in enumerate(drawn):
        in_palette(tmp_path / f"mask_{number}.png", numbers, colours)
    for case, numbers in zip(find_cases(tmp_path).cases, drawn, strict=True):
        np.testing.assert_array_equal(case.truth(), numbers)


def test_palettes_that_give_a_colour_to_another_number_are_doubted(tmp_path: Path) -> None:
    numbers = disc(20) * 2 - disc(9)
    black, red, green, blue, grey = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (99, 99, 99)
    masks(tmp_path, [numbers.astype(np.uint8), np.roll(numbers, 3).astype(np.uint8)])
    in_palette(tmp_path / "mask_0.png", numbers, [black, red, green])
    for second, said in (
        ([black, red, green], []),
        ([black, blue, grey], []),
        ([black, green, red], ["shows 1 in (0, 255, 0) (red, green, blue), which is 2 in other"]),
    ):
        in_palette(tmp_path / "mask_1.png", np.roll(numbers, 3), second)
        problems = check_cases(find_cases(tmp_path).cases)
        doubts = [p.text for p in problems if "palette" in p.text or "painted" in p.text]
        assert len(doubts) == len(said)
        assert all(words in text for words, text in zip(said, doubts, strict=True))
        assert all(problem.severity != "error" for problem in problems)


@pytest.mark.parametrize(
    "paint", [(255, 0, 0), (128, 60, 0), (0, 90, 255, 255), (0, 0, 0, 255), (255, 255, 255, 255)]
)
def test_one_colour_on_black_or_on_nothing(paint: tuple[int, ...], tmp_path: Path) -> None:
    flat = coloured((disc(20), paint))
    smooth = np.asarray(
        Image.fromarray(flat).resize((64, 64), Image.Resampling.BOX, (8, 8, 40, 40))
    )
    sharp = np.kron(disc(20)[8:40, 8:40], np.ones((2, 2), bool))
    first, second = masks(tmp_path, [flat, smooth])
    np.testing.assert_array_equal(first, disc(20))
    np.testing.assert_array_equal(second, sharp)


def test_several_colours_ask_for_numbers(tmp_path: Path) -> None:
    red, green = (255, 0, 0), (0, 255, 0)
    with pytest.raises(DataError, match=r"mask_0.png: a mask in the colours .*\(0, 255, 0\)"):
        masks(tmp_path / "two", [coloured((disc(20), red), (disc(9), green))])
    with pytest.raises(DataError, match=r"mask_0.jpg.* JPEG smears colours"):
        masks(tmp_path / "jpeg", [coloured((disc(20), red))], "jpg")
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with pytest.raises(DataError, match="many colours, like a photograph"):
        masks(tmp_path / "photo", [photo])
    masks(tmp_path / "apart", [coloured((disc(20), red)), coloured((disc(9), green))])
    problems = check_cases(find_cases(tmp_path / "apart").cases)
    assert [problem.severity for problem in problems] == ["error"]
    assert r"painted in (0, 255, 0)" in problems[0].text


def test_a_noisy_third_grey_is_no_edge(tmp_path: Path) -> None:
    """As of a JPEG that was saved as PNG, where no single grey fills much."""
    noise = np.random.default_rng(0).integers(-6, 7, (64, 64))
    tones = (disc(28) * 255 - disc(12) * (120 + noise)).astype(np.uint8)
    named = masks(tmp_path, [tones], values={"core": 128, "ring": 255})[0]
    np.testing.assert_array_equal(named, 2 * disc(28) - disc(12))
    with pytest.raises(DataError, match="a mask of the greys 0, 129, .* …; say which is which"):
        masks(tmp_path, [tones])


def test_greys_in_areas_are_no_edges(tmp_path: Path) -> None:
    """Though none of them fills much."""
    greys = np.full((64, 64), 255, np.uint8)
    greys[:12] = np.repeat([32, 64, 96, 128, 159, 191, 0, 0], 8)
    with pytest.raises(DataError, match="a mask of the greys 0, 32, 64"):
        masks(tmp_path, [greys])
    assert numbers_inside(greys) == [1]


def test_greys_need_a_word(tmp_path: Path) -> None:
    grey = np.repeat([0, 128, 255], 30).reshape(9, 10)
    pictures(tmp_path, ["image_1.png", "image_2.png"])
    png(tmp_path / "mask_1.png", grey)
    # The second has no axon, and a smoothed edge.
    png(
        tmp_path / "mask_2.png",
        np.where(grey == 255, 0, grey) + (np.arange(90) == 29).reshape(9, 10),
    )
    with pytest.raises(DataError, match=r"mask_1\.png: a mask of the greys 0, 128, 255; say"):
        find_cases(tmp_path).cases[0].truth()
    for options in ({"classes": ["myelin", "axon"]}, {"values": {"myelin": 128, "axon": 255}}):
        found = find_cases(tmp_path, **options)  # type: ignore[arg-type]
        assert found.classes == {1: "myelin", 2: "axon"}
        first, second = (case.truth() for case in found.cases)
        np.testing.assert_array_equal(first, grey // 127)
        np.testing.assert_array_equal(second, np.where(grey == 128, 1, 0))
    turned = find_cases(tmp_path, values={"axon": 255, "myelin": 128}).cases[0].truth()
    np.testing.assert_array_equal(turned, np.array([0, 2, 1])[grey // 127])


def test_real_data_sets(test_data: Path) -> None:
    volumes, microscopy = test_data / "volumes", test_data / "microscopy"
    found = find_cases(volumes / "msd_hippocampus")
    assert len(found.cases) == 208
    assert found.table["subject"].nunique() == 208
    cord = find_cases(volumes / "ivadomed_testing")
    assert cord.table["subject"].tolist() == ["unf01"] * 3
    assert cord.table["contrast"].tolist() == ["T1w", "T2star", "T2w"]
    assert not {"first_name", "date_of_birth"} & set(cord.table)
    rats = find_cases(volumes / "ivadomed_testing" / "microscopy_png")
    assert rats.table["subject"].tolist() == ["rat2", "rat3", "rat3", "rat3"]
    assert [case.spacing for case in rats.cases] == [
        pytest.approx(size) for size in ((0.093, 0.093), (0.2, 0.1), (0.1, 0.1), (0.1, 0.1))
    ]
    assert find_cases(volumes / "ivadomed_testing" / "ct_scan").cases[0].label is not None
    labels = {"membranes": "membranes_*.png", "mitochondria": "mitochondria_*.png"}
    vnc = find_cases(microscopy / "vnc", images=["raw_*.tif"], labels=labels)
    assert len(vnc.cases) == 5
    truth = vnc.cases[0].truth()
    assert truth is not None
    assert np.unique(truth).tolist() == [0, 1, 2]
    mito = find_cases(microscopy / "mito_sbem")
    assert mito.table["label"].tolist() == [
        path.replace("image", "label") for path in mito.table["path"]
    ]
    axon = find_cases(microscopy / "axon", include=["demo_*"], values={"myelin": 128, "axon": 255})
    assert axon.table["label"].tolist() == ["demo_mask.png"]
    truth = axon.cases[0].truth()
    assert truth is not None
    assert np.unique(truth).tolist() == [0, 1, 2]


def test_a_class_is_found_by_what_it_is_called() -> None:
    found = FoundCases(
        pd.DataFrame(), Path(), "", (), [], {1: "edema", 2: "core"}, Cases([]),
        regions={"whole": (1, 2)}, names={5: "Left Hippocampus"},
    )  # fmt: skip
    names = ("core", "whole", "left_hippocampus", "7")
    assert [found.numbers_called(name) for name in names] == [(2,), (1, 2), (5,), (7,)]
    with pytest.raises(DataError, match="no class 'cor'. Did you mean 'core'"):
        found.numbers_called("cor")
