"""The audit finds every planted fault, all at once, and leaves sound data alone."""

from __future__ import annotations

import pickle
import re
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.core.recording import image, volume
from neuroloom.io.cases import Case, find_cases
from neuroloom.io.cases.check import Problem, check_cases, require_sound
from neuroloom.io.cases.compare import _number_names
from neuroloom.io.cases.look import Seen, _sides
from neuroloom.io.cases.sides import flips
from neuroloom.io.images import read_image, write_image
from neuroloom.io.names import says_who
from tests.grids import write_bids, write_case, write_nnunet

CLASSES = {1: "big", 2: "small"}


def folder(root: Path, cases: int = 7) -> Path:
    for case in range(cases):
        name = f"c{case}.nii.gz"
        write_case(root / "images" / name, root / "labels" / name, case)
    return root


def change(path: Path, work: object, affine: np.ndarray | None = None) -> None:
    opened = nibabel.load(path)
    data = work(np.asarray(opened.dataobj).copy())  # type: ignore[operator]
    place = opened.affine if affine is None else affine
    nibabel.Nifti1Image(data, place).to_filename(path)


def audit(root: Path, classes: dict[int, str] | None = CLASSES) -> list[Problem]:
    return check_cases(find_cases(root).cases, classes)


def only(problems: list[Problem], severity: str, text: str) -> Problem:
    assert len(problems) == 1, [problem.text for problem in problems]
    assert problems[0].severity == severity
    assert re.search(text, problems[0].text), problems[0].text
    return problems[0]


def test_sound_data_have_no_problem(tmp_path: Path) -> None:
    assert audit(folder(tmp_path / "a")) == []
    assert check_cases(find_cases(write_nnunet(tmp_path / "b")).cases, CLASSES) == []
    assert check_cases(find_cases(write_bids(tmp_path / "c")).cases) == []


def test_label_of_another_shape(tmp_path: Path) -> None:
    root = folder(tmp_path)
    change(root / "labels" / "c2.nii.gz", lambda label: label[:-1])
    found = only(audit(root), "error", r"c2\.nii\.gz: the label's grid is \(10, 12, 13\)")
    assert (found.case, found.file) == ("c2", "c2.nii.gz")


def test_label_that_lies_elsewhere(tmp_path: Path) -> None:
    root = folder(tmp_path)
    path = root / "labels" / "c1.nii.gz"
    moved = nibabel.load(path).affine.copy()
    moved[2, 3] += 0.4
    change(path, lambda label: label, moved)
    only(audit(root), "error", r"lies elsewhere.*differ by 0\.4 mm")


def test_label_whose_affine_is_flipped(tmp_path: Path) -> None:
    root = folder(tmp_path)
    path = root / "labels" / "c1.nii.gz"
    change(path, lambda label: label, nibabel.load(path).affine @ np.diag([-1, 1, 1, 1]))
    only(audit(root), "error", r"point to LAS, those of c1\.nii\.gz to RAS: it is flipped")


def test_label_whose_voxels_are_flipped(tmp_path: Path) -> None:
    root = folder(tmp_path)
    change(root / "labels" / "c4.nii.gz", lambda label: label[::-1])
    # Two unequal balls: where the voxels of one label are mirrored, it alone is unlike the others.
    found = [problem for problem in audit(root) if problem.severity == "warning"]
    assert [problem.case for problem in found] == ["c4"]
    assert "mirrored left to right" in found[0].text


def two_sides(root: Path, cases: int = 6, wide: float = 0.0) -> Path:
    """Write balls of one size on the left (1) and the right (2), `wide` apart from case to case."""
    x, y, z = np.mgrid[:20, :12, :10]
    for case in range(cases):
        rng = np.random.default_rng(case)
        label = np.zeros(x.shape, np.uint8)
        for number, middle in ((1, 5), (2, 14)):
            far = np.hypot(np.hypot(x - middle - rng.normal(0, wide), y - 6), z - 5)
            label[far < 3] = number
        for kind, voxels in (("images", rng.normal(0, 5, x.shape) + label), ("labels", label)):
            write_image(root / kind / f"c{case}.nii.gz", volume(voxels, np.diag([2.0, 1, 1, 1])))
    return root


def exchanged(label: np.ndarray) -> np.ndarray:
    return np.array([0, 2, 1], np.uint8)[label]


@pytest.mark.parametrize("change_sides", [exchanged, lambda label: label[::-1]])
def test_classes_that_have_changed_sides(change_sides: Any, tmp_path: Path) -> None:
    """The union of two equal balls is the same when they are exchanged or mirrored."""
    root = two_sides(tmp_path, wide=0.5)
    assert audit(root, {1: "left", 2: "right"}) == []
    change(root / "labels" / "c3.nii.gz", change_sides)
    text = (
        r"class 1 of its label lies 1\d.* mm to the right of class 2, in the other cases 1\d.* left"
    )
    found = only(audit(root, {1: "left", 2: "right"}), "warning", text)
    assert found.case == "c3"


def test_classes_without_a_side_are_left_alone(tmp_path: Path) -> None:
    """Neither lesions anywhere nor what lies within another class has one."""
    anywhere, inside = two_sides(tmp_path / "a", wide=6.0), two_sides(tmp_path / "b")
    for case in range(6):
        label = np.zeros((20, 12, 10), np.uint8)
        label[4:16, 3:9, 3:8] = 1
        label[6 if case == 3 else 12, 5, 5] = 2
        change(inside / "labels" / f"c{case}.nii.gz", lambda _, label=label: label)
    assert not [p for root in (anywhere, inside) for p in audit(root) if "sides" in p.text]


def placed(rng: np.random.Generator, cases: int, classes: int) -> np.ndarray:
    """Draw where classes lie, mean and deviation in mm: 10 mm off from case to case."""
    middles = rng.uniform(-100, 100, classes) if classes > 2 else np.array([-60.0, 60.0])
    means = middles + rng.normal(0, 10, (cases, classes))
    return np.stack([means, np.broadcast_to(rng.uniform(3, 20, classes), means.shape)], axis=-1)


def turned(sides: np.ndarray) -> list[str]:
    seen = [
        Seen(
            Case(f"c{number}", (Path(f"c{number}.nii"),), subject=str(number)),
            sides={k: (mean, spread) for k, (mean, spread) in enumerate(own.tolist(), start=1)},
        )
        for number, own in enumerate(sides)
    ]
    return [problem.case for problem in flips(seen)]


@pytest.mark.parametrize(("cases", "classes"), [(5, 117), (20, 117), (50, 40), (5, 10), (6, 2)])
def test_thousands_of_pairs_raise_no_false_alarm(cases: int, classes: int) -> None:
    """Of many pairs of classes some lie the other way round by chance."""
    rng = np.random.default_rng(classes)
    assert [turned(placed(rng, cases, classes)) for _ in range(8)] == [[]] * 8


@pytest.mark.parametrize(("cases", "classes"), [(8, 2), (20, 117)])
def test_one_exchanged_pair_is_found(cases: int, classes: int) -> None:
    sides = placed(np.random.default_rng(0), cases, classes)
    ends = np.argsort(sides[:, :, 0].mean(0))[[0, -1]]
    sides[3, ends] = sides[3, ends[::-1]]
    assert turned(sides) == ["c3"]


@pytest.mark.parametrize(("cases", "classes"), [(8, 2), (5, 10), (5, 117)])
def test_a_flipped_label_is_found(cases: int, classes: int) -> None:
    sides = placed(np.random.default_rng(0), cases, classes)
    sides[3, :, 0] *= -1
    assert turned(sides) == ["c3"]


def test_where_classes_lie_is_measured_without_copies_of_the_label() -> None:
    rng = np.random.default_rng(0)
    affine = np.array([[-0.8, 0.1, 0.3, 5], [0.1, 0.7, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    truth = rng.choice(np.array([0, 1, 3, 614454277]), (5, 7, 9))
    truth[2:4, 1:6, 2:8] = 3
    found = _sides(truth, [614454277, 1, 3], affine)
    for value, (mean, spread) in found.items():
        z, y, x = np.nonzero(truth == value)
        right = (affine @ [x, y, z, np.ones(len(x))])[0]
        assert (mean, spread) == pytest.approx((right.mean(), right.std()))
    assert list(found) == [1, 3, 614454277]
    large = np.zeros((60, 256, 256), np.uint8)
    large[10:50, 40:200, 40:200] = 1
    tracemalloc.start()
    _sides(large, [1], affine)
    assert tracemalloc.get_traced_memory()[1] < large.nbytes
    tracemalloc.stop()


def test_values_that_nobody_declared(tmp_path: Path) -> None:
    root = folder(tmp_path)

    def stray(label: np.ndarray) -> np.ndarray:
        label[0, 0, :3] = 7
        return label

    change(root / "labels" / "c3.nii.gz", stray)
    only(audit(root), "error", r"holds 7 \(3 voxels\); declared are 0, 1, 2")
    assert audit(root, None) == []
    assert check_cases(find_cases(root).cases, CLASSES, ignore=7) == []


def test_what_cases_serve_decides_what_is_wrong_with_them(tmp_path: Path) -> None:
    root = folder(tmp_path)

    def holed(image: np.ndarray) -> np.ndarray:
        image[0, 0, 0] = np.nan
        return image

    change(root / "images" / "c1.nii.gz", holed)
    change(root / "labels" / "c2.nii.gz", np.zeros_like)
    twice = (root / "images" / "c3.nii.gz").read_bytes()
    (root / "images" / "c4.nii.gz").write_bytes(twice)
    cases = find_cases(root).cases
    errors = {
        use: {p.case for p in check_cases(cases, CLASSES, None, use) if p.severity == "error"}
        for use in ("model", "image", "region")
    }
    assert errors == {"model": {"c1", "c4"}, "image": {"c1"}, "region": {"c2"}}
    (root / "labels" / "c0.nii.gz").unlink()
    change(root / "images" / "c5.nii.gz", lambda image: image * np.nan)
    found = [p.text for p in check_cases(find_cases(root).cases, CLASSES, None, "region")[:3]]
    assert "c0.nii.gz: has no mask" in found[0]
    assert "the label is empty" in found[1]
    assert "of the region's" in found[2]


def test_values_that_are_not_among_the_users_classes(tmp_path: Path) -> None:
    """Names of classes are no leave to number the values anew by their size."""
    root = folder(tmp_path)
    change(root / "labels" / "c3.nii.gz", lambda label: np.where(label == 2, 7, label))
    found = find_cases(root, classes=["big", "small"])
    assert found.classes == CLASSES
    only(check_cases(found.cases, CLASSES), "error", r"c3\.nii\.gz: the label holds 7 \(\d+ voxel")


def test_values_that_are_as_many_as_the_users_classes(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for path in (root / "labels").iterdir():
        change(path, lambda label: np.where(label == 2, 4, label))
    found = find_cases(root, classes=["big", "small"])
    only(check_cases(found.cases, CLASSES), "note", "numbered by grey: 1 as big, 4 as small")
    assert np.unique(found.cases[0].truth()).tolist() == [0, 1, 2]


def test_a_mask_of_one_class_that_holds_several_numbers(tmp_path: Path) -> None:
    root = folder(tmp_path)
    found = find_cases(root, images=["images/*"], labels={"tumour": "labels/*"})
    problems = check_cases(found.cases, found.classes)
    assert [problem.severity for problem in problems] == ["note"] * 7
    assert "c0.nii.gz: the mask holds 1, 2, and all of it counts as tumour" in problems[0].text
    whole = find_cases(root).cases[0].truth()
    assert whole is not None
    np.testing.assert_array_equal(found.cases[0].truth(), whole > 0)


def labelled(root: Path, slips: dict[int, int], cases: int = 6) -> Path:
    """Write cases of 2,000 labelled voxels; `slips`: case -> voxels that become 7."""
    rng = np.random.default_rng(0)
    for half in ("images", "labels"):
        (root / half).mkdir(parents=True)
    for case in range(cases):
        label = np.zeros((20, 20, 20), np.uint8)
        label[case : case + 10, 5:15] = 1
        label[10, 10, : slips.get(case, 0)] = 7
        image = rng.normal(size=label.shape).astype(np.float32)
        for half, content in (("images", image), ("labels", label)):
            nibabel.Nifti1Image(content, np.eye(4)).to_filename(root / half / f"c{case}.nii.gz")
    return root


def slips_found(root: Path) -> list[str]:
    return [p.text for p in audit(root, None) if "no other case" in p.text]


def test_a_slip_of_the_brush(tmp_path: Path) -> None:
    """One class more, of a voxel or two in one of many cases, would be learnt and judged."""
    (found,) = slips_found(labelled(tmp_path / "a", {2: 1}))
    assert found.startswith("c2.nii.gz: 1 voxel of the label holds 7, and no other case")
    (found,) = slips_found(labelled(tmp_path / "b", {2: 2}))
    assert found.startswith("c2.nii.gz: 2 voxels of the label hold 7")


@pytest.mark.parametrize("slips", [{2: 1, 4: 1}, {2: 9}])
def test_a_class_of_two_cases_or_of_many_voxels_is_none(tmp_path: Path, slips: Any) -> None:
    assert slips_found(labelled(tmp_path, slips)) == []


def test_of_few_cases_nothing_is_said(tmp_path: Path) -> None:
    assert slips_found(labelled(tmp_path, {2: 1}, cases=4)) == []


def test_an_empty_label_is_a_note(tmp_path: Path) -> None:
    root = folder(tmp_path)
    change(root / "labels" / "c3.nii.gz", np.zeros_like)
    problems = audit(root)
    only(problems, "note", "the label is empty")
    assert require_sound(problems) == problems


def test_a_label_that_leaves_all_open_is_empty(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for number in (2, 4):  # two of them: neither is a copy of the other
        change(root / f"labels/c{number}.nii.gz", lambda truth: np.full_like(truth, 2))
    cases = find_cases(root).cases
    found = {use: check_cases(cases, CLASSES, 2, use) for use in ("model", "region")}
    assert [problem.severity for problem in found["model"]] == ["note", "note"]
    assert [problem.severity for problem in found["region"]] == ["error", "error"]
    assert all("the label is empty" in problem.text for use in found for problem in found[use])


def test_nan_in_an_image_and_a_flat_one(tmp_path: Path) -> None:
    root = folder(tmp_path)

    def stray(image: np.ndarray) -> np.ndarray:
        image[0, 0, :2] = np.nan, np.inf
        return image

    change(root / "images" / "c3.nii.gz", stray)
    only(audit(root), "error", "2 of 1680 voxels are NaN or infinite")
    change(root / "images" / "c3.nii.gz", np.zeros_like)
    only(audit(root), "warning", "0 everywhere")


def test_a_header_that_does_not_say_where_the_voxels_are(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for kind in ("images", "labels"):
        path = root / kind / "c3.nii.gz"
        opened = nibabel.load(path)
        plain = nibabel.Nifti1Image(np.asarray(opened.dataobj), None, opened.header)
        plain.header["sform_code"] = plain.header["qform_code"] = 0
        plain.to_filename(path)
    text = r"c3\.nii\.gz: the header says neither sform nor qform: sides .* are unknown"
    only([p for p in audit(root) if "header" in p.text], "warning", text)


def test_kinds_and_channels(tmp_path: Path) -> None:
    root = folder(tmp_path)
    write_case(root / "images" / "c5.nii.gz", None, 5, channels=2)
    only(audit(root), "error", r"c5\.nii\.gz: has 2 channels, expected 1 as in the other cases")
    write_case(root / "images" / "c5.nii.gz", None, 5)
    write_image(root / "images" / "flat.png", read_image_2d())
    problems = [problem for problem in audit(root) if problem.severity == "error"]
    only(problems, "error", r"flat\.png: is an image among volumes")


def test_single_slices_among_volumes_are_named_and_alone_are_sound(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for name in ("c1", "c4"):
        for half in ("images", "labels"):
            change(root / half / f"{name}.nii.gz", lambda data: data[..., 4:5])
    change(root / "images" / "c4.nii.gz", lambda data: data[..., 0])  # a file of two axes
    change(root / "labels" / "c4.nii.gz", lambda data: data[..., 0])
    problems = audit(root)
    assert [problem.case for problem in problems] == ["c1", "c4"]
    assert all("is a single slice among volumes" in problem.text for problem in problems)
    assert [p.text for p in check_cases(find_cases(root).cases, CLASSES, None, "image")] == []
    slices = find_cases(root, include=["c1*", "c4*"])
    assert check_cases(slices.cases, CLASSES) == []


def test_channels_that_lie_elsewhere(tmp_path: Path) -> None:
    root = write_nnunet(tmp_path)
    for case in (0, 2):
        path = root / "imagesTr" / f"toy_00{case}_0001.nii.gz"
        moved = nibabel.load(path).affine.copy()
        moved[2, 3] += 5.0
        change(path, lambda image: image, moved)
    problems = audit(root)
    assert [problem.file for problem in problems] == ["toy_000_0001.nii.gz", "toy_002_0001.nii.gz"]
    text = r"lies elsewhere than toy_000_0000\.nii\.gz, by 2 voxels"
    only(problems[:1], "error", text)


def test_a_hair_between_channels_is_none(tmp_path: Path) -> None:
    path = write_nnunet(tmp_path) / "imagesTr" / "toy_000_0001.nii.gz"
    change(path, lambda image: image, nibabel.load(path).affine + 1e-3)
    assert audit(tmp_path) == []


def read_image_2d() -> object:
    from neuroloom.core.recording import image

    return image(np.arange(30, dtype=np.uint8).reshape(5, 6))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for kind, name in (("images", "c0"), ("labels", "c1")):
        path = root / kind / f"{name}.nii.gz"
        path.write_bytes(path.read_bytes()[:-60])
    (root / "images" / "c2.nii.gz").write_bytes(b"")
    problems = audit(root)
    assert [problem.severity for problem in problems] == ["error"] * 3
    assert sorted(problem.case for problem in problems) == ["c0", "c1", "c2"]
    with pytest.raises(DataError) as caught:
        require_sound(problems)
    said = str(caught.value)
    assert "3 problems in 3 cases" in said
    assert "c0.nii.gz: not a whole gzip file" in said
    assert "c1.nii.gz: not a whole gzip file" in said
    assert "c2.nii.gz: the file is empty" in said


def test_ten_in_full_then_a_number(tmp_path: Path) -> None:
    problems = [Problem("error", f"c{i}", f"c{i}.nii", f"c{i}.nii: broken.") for i in range(14)]
    with pytest.raises(DataError) as caught:
        require_sound(problems)
    assert str(caught.value).count("broken") == 10
    assert "- and 4 more: `neuroloom check" in str(caught.value)
    assert caught.value.problems == tuple(problem.text for problem in problems)
    with pytest.raises(DataError) as caught:
        require_sound(problems, whole=True)
    assert str(caught.value).count("broken") == 14
    assert "neuroloom check" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_an_image_twice_and_a_label_twice(tmp_path: Path) -> None:
    root = folder(tmp_path)
    copy = root / "images" / "c6.nii.gz"
    # The same voxels in another file.
    write_image(copy, read_image(root / "images" / "c0.nii.gz"))
    problems = audit(root)
    assert "is the same image as c0.nii.gz" in problems[0].text
    root = folder(tmp_path / "b")
    (root / "labels" / "c6.nii.gz").write_bytes((root / "labels" / "c0.nii.gz").read_bytes())
    only(audit(root), "warning", "exactly the label of c0")


def test_a_false_pixel_size(tmp_path: Path) -> None:
    cases = find_cases(write_bids(tmp_path, false_size=True)).cases
    found = only(check_cases(cases), "warning", r"said to be 0\.2 x 0\.1 um, not square")
    assert found.case == "sub-a_sample-2_SEM"
    assert "Other images of subject a have 0.1 x 0.1 um" in found.text


def test_sizes_in_mm_and_um_are_compared_and_pixels_are_not(tmp_path: Path) -> None:
    sizes = {"a.nii.gz": (0.5, "mm"), "b.tif": (500.0, "um"), "c.nrrd": (0.5, "mm")}
    rng = np.random.default_rng(0)
    for name, (size, unit) in sizes.items():
        affine = np.diag([size, size, size, 1.0])
        voxels = rng.integers(0, 99, (5, 6, 7)).astype(np.uint8)
        write_image(tmp_path / name, volume(voxels, affine, unit=unit))
    found = find_cases(tmp_path)
    assert check_cases(found.cases) == []
    assert found.usual_unit == "mm"
    assert {case.unit for case in found.in_unit("mm").cases} == {"mm"}
    for case in found.in_unit("mm").upright().cases:
        assert case.spacing == pytest.approx((0.5, 0.5, 0.5))
        np.testing.assert_allclose(case.header.affine, np.diag([0.5, 0.5, 0.5, 1]), atol=1e-9)
    write_image(tmp_path / "d.tif", volume(rng.random((5, 6, 7)), np.eye(4), unit="px"))
    found = find_cases(tmp_path)
    only(check_cases(found.cases), "warning", r"d\.tif: its pixels are in px, those of other .* mm")
    assert found.in_unit("mm").cases[3].unit == "px"


def test_a_label_in_another_unit_than_its_image(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.uint8)
    for name, size, unit in (("images/a.tif", 500.0, "um"), ("labels/a.nii.gz", 0.5, "mm")):
        drawn = voxels if "images" in name else voxels > 50
        write_image(tmp_path / name, volume(drawn, np.diag([size] * 3 + [1.0]), unit=unit))
    assert check_cases(find_cases(tmp_path).cases) == []
    write_image(tmp_path / "labels/a.nii.gz", volume(voxels > 50, np.diag([0.25, 0.5, 0.5, 1.0])))
    only(check_cases(find_cases(tmp_path).cases), "error", "lies elsewhere.* by 250 um")


@pytest.mark.parametrize("way", [1, 3])
def test_a_label_of_a_picture_that_was_turned(way: int, tmp_path: Path) -> None:
    """Drawn on the file's pixels it would lie upside down, and nothing would show it."""
    exif = Image.Exif()
    exif[274] = way
    ramp = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(ramp).save(tmp_path / "a_image.png", exif=exif)
    Image.fromarray(ramp // 24).save(tmp_path / "a_mask.png")
    found = [p.text for p in check_cases(find_cases(tmp_path).cases) if p.severity == "warning"]
    assert [text[:33] for text in found] == ["a_mask.png: its label was taken to"[:33]] * (way > 1)
    Image.fromarray(ramp // 24).save(tmp_path / "a_mask.png", exif=exif)
    assert not [p for p in check_cases(find_cases(tmp_path).cases) if p.severity == "warning"]


def test_names_of_labels_that_change(tmp_path: Path) -> None:
    write_bids(tmp_path)
    folder_ = tmp_path / "derivatives" / "labels" / "sub-b" / "micr"
    path = folder_ / "sub-b_sample-3_SEM_seg-myelin-manual.png"
    path.rename(path.with_name("sub-b_sample-3_SEM_seg-mylin-manual.png"))
    errors = [p for p in check_cases(find_cases(tmp_path).cases) if p.severity == "error"]
    assert any("masks called axon, mylin, other cases have axon, myelin" in p.text for p in errors)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ("1\twhite\n2\tgrey", "calls 1 white, 2 grey, those of the other cases 1 grey, 2 white."),
        ("2\twhite\n3\tgrey\n1\tgap", "calls 1 gap, those of the other cases 1 grey."),
        ("1\tGrey\n2\twhite\n3\tgrey matter", ""),
    ],
)
def test_names_of_numbers_that_change(odd: str, said: str, tmp_path: Path) -> None:
    """Each mask of BIDS may have a table of its own."""
    for subject in range(3):
        stem = f"sub-{subject}/anat/sub-{subject}_T1w"
        label = tmp_path / "derivatives/labels" / f"{stem}_dseg.nii.gz"
        write_case(tmp_path / f"{stem}.nii.gz", label, subject)
        rows = odd if subject == 2 else "1\tgrey\n2\twhite"
        label.with_name(f"sub-{subject}_T1w_dseg.tsv").write_text(f"index\tname\n{rows}\n")
    found = find_cases(tmp_path)
    assert {1: "grey", 2: "white"}.items() <= found.names.items()
    errors = [p for p in check_cases(found.cases) if p.severity == "error"]
    assert [p.text.partition(": its label ")[2][: len(said)] for p in errors] == (
        [said] if said else []
    )


GREY = {1: "Grey Matter", 2: "white"}
NAMES = [
    ([{1: "liver"}, {1: "spleen"}], {"c1"}),
    ([{1: "liver"}, {1: "liver"}, {2: "liver"}], {"c2"}),
    ([{1: "liver", 7: "spleen"}, {1: "liver", 8: "spleen"}], set()),  # nobody drew it
    ([GREY, {1: "grey_matter", 2: "White "}, {1: "GreyMatter"}], set()),
    ([{1: "MeA", 2: "MEA"}, {1: "MeA", 2: "MEA"}, {1: "MeA"}], set()),
    ([{1: "MeA", 2: "MEA"}, {1: "MeA", 2: "MEA"}, {1: "MEA", 2: "MeA"}], {"c2"}),
    ([{1: "cortex", 2: "cortex"}, {1: "cortex", 2: "Cortex"}, {2: "cortex"}], set()),
    ([{1: "Segment", 2: "Segment"}, {1: "Segment_2", 2: "liver"}, {}], set()),
]


@pytest.mark.parametrize(("tables", "odd"), NAMES)
def test_names_of_numbers_are_compared(tables: list[dict[int, str]], odd: set[str]) -> None:
    """Plainly between tables, letter by letter within one, and only where something is drawn."""
    seen = [
        Seen(Case(f"c{number}", (Path(f"c{number}.nii"),)), names=names, values={1: 9, 2: 9})
        for number, names in enumerate(tables)
    ]
    assert {problem.case for problem in _number_names(seen)} == odd


def test_channels_that_files_name_otherwise(tmp_path: Path) -> None:
    def write(case: str, names: list[str]) -> None:
        voxels = np.random.default_rng(ord(case)).integers(0, 999, (2, 9, 8)).astype(np.uint16)
        write_image(tmp_path / f"{case}.ome.tif", image(voxels, channels=names))

    write("a", ["DAPI", "GFP"])
    write("b", ["DAPI", "GFP"])
    assert find_cases(tmp_path).channels == ["DAPI", "GFP"]
    write("c", ["DAPI", "Cy5"])
    found = find_cases(tmp_path)
    assert found.channels == []
    only(check_cases(found.cases), "warning", "are DAPI, Cy5, those of .* by their places")
    write("c", ["GFP", "DAPI"])
    text = r"c\.ome\.tif: its channels are GFP, DAPI, those of the other cases DAPI, GFP; write"
    only(check_cases(find_cases(tmp_path).cases), "error", text)


def test_columns_that_say_who_somebody_is_are_left_out(tmp_path: Path) -> None:
    write_case(tmp_path / "a.nii.gz", None, 0)
    table = tmp_path / "t.csv"
    table.write_text(
        "image,case,patient_id,Patient Name,birth_date,DOB,E-Mail,Phone,postal_code,class_name,"
        "age_at_birth,birth_weight\n"
        "a.nii.gz,first,MRN-7,Mustermann,19640812,1964,erika@x,089,80331,glioma,38,3.1\n"
    )
    found = find_cases(table)
    said = found.table.to_csv() + found.layout
    assert not [told for told in ("Mustermann", "1964", "erika", "089", "80331") if told in said]
    assert "MRN-7" not in said
    kept = found.table.iloc[0]
    assert kept[["name", "subject", "class_name", "age_at_birth", "birth_weight"]].tolist() == [
        "first", "1", "glioma", 38, 3.1,
    ]  # fmt: skip
    assert "left out: Patient Name, birth_date, DOB, E-Mail, Phone and 1 more" in found.notes[0]
    assert found.notes[1] == "People of the column patient_id were given numbers."


@pytest.mark.parametrize(
    "column",
    [
        "name", "Name", "patient_name", "PatientName", "PATIENTNAME", "Name of patient",
        "first_name", "lastName", "Name (last)", "surname", "full name", "mother_maiden_name",
        "rater_name", "date_of_birth", "birth_date", "BirthDate", "Geburtsdatum", "year of birth",
        "birth",
        "dob", "DOB", "mrn", "medical_record_number", "patient_id", "PatientID", "address",
        "home_address_2", "street", "zip_code", "postal_code", "phone", "Phone-Number", "Telefon",
        "email", "E-Mail", "mail", "social_security_no", "ssn", "passport", "insurance_number",
    ],
)  # fmt: skip
def test_columns_that_say_who(column: str) -> None:
    assert says_who(column)


@pytest.mark.parametrize(
    "column",
    [
        "mRNA_level", "mRNA", "site_name", "gene_name", "strain_name", "class_name", "file_name",
        "scanner_name", "channelName", "preterm_birth", "birth_weight", "age_at_birth",
        "BirthOrder", "enamel_thickness", "phoneme", "phonemes", "telephonic", "ornament",
        "last_scan", "patient_age", "subject", "participant_id", "first_episode", "id", "code",
        "adobe", "blackmail", "streetlight", "record", "number", "age", "sex", "M/F",
    ],
)  # fmt: skip
def test_columns_that_do_not_say_who(column: str) -> None:
    assert not says_who(column)


def test_the_planted_pixel_size_of_ivadomed(test_data: Path) -> None:
    root = test_data / "volumes" / "ivadomed_testing" / "microscopy_png"
    found = [p for p in check_cases(find_cases(root).cases) if p.severity != "note"]
    only(found, "warning", r"sample-data9_SEM\.png: .*0\.2 x 0\.1 um, not square.*0\.1 x 0\.1")


@pytest.mark.long
def test_one_flipped_label_among_real_ones(test_data: Path, tmp_path: Path) -> None:
    real = test_data / "volumes" / "msd_hippocampus"
    names = sorted(path.name for path in (real / "images").iterdir())[:40]
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for name in names:
            (tmp_path / kind / name).write_bytes((real / kind / name).read_bytes())
    assert audit(tmp_path) == []
    change(tmp_path / "labels" / names[11], lambda label: label[::-1])
    only(audit(tmp_path), "warning", "mirrored left to right")
