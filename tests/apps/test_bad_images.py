"""Bad images and labels through the command line: exit code 2, one sentence, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.recording import image, volume
from neuroloom.io.images import read_image, to_array, write_image
from tests import grids

SEGMENT = ("run", "volumes.segment")
QUICK = (
    "--budget", "3 steps", "--folds", "2", "--plan.patch", "8,8,8", "--plan.features", "4",
    "--plan.batch", "2", "--quiet",
)  # fmt: skip


def toy(folder: Path) -> Path:
    """Three labelled cases of nnU-Net's layout, labels 0 to 2 declared, and one without a label."""
    return grids.write_nnunet(folder / "Dataset001_Toy", cases=4)


def label_of(data: Path, case: int) -> Path:
    return data / f"labelsTr/toy_{case:03d}.nii.gz"


def image_of(data: Path, case: int) -> Path:
    return data / f"imagesTr/toy_{case:03d}_0000.nii.gz"


def rewrite(path: Path, change) -> None:
    """Write a file again with changed voxels (z, y, x), on its own grid."""
    found = read_image(path)
    write_image(path, change(to_array(found)[0].copy()), like=found)


def shrunk(data: Path) -> None:
    small = grids.two_balls(1)[:-1]
    write_image(label_of(data, 1), volume(small, grids.OBLIQUE))


def moved(data: Path) -> None:
    affine = grids.OBLIQUE.copy()
    affine[0, 3] += 5
    write_image(label_of(data, 1), volume(grids.two_balls(10), affine))


def flipped(data: Path) -> None:
    affine = grids.OBLIQUE.copy()
    affine[:3, 0] *= -1
    write_image(label_of(data, 1), volume(grids.two_balls(10), affine))


def seven(data: Path) -> None:
    def change(label):
        label[2, 2, 2] = 7
        return label

    rewrite(label_of(data, 1), change)


def holed(data: Path) -> None:
    def change(voxels):
        voxels[1, 2, 3] = np.nan
        return voxels

    rewrite(image_of(data, 1), change)


def cut(data: Path) -> None:
    path = image_of(data, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(data: Path) -> None:
    path = image_of(data, 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 60] = bytes(60)
    path.write_bytes(bytes(content))


DAMAGE = {
    "other grid": (shrunk, ("toy_001.nii.gz", "(10, 12, 13)", "(10, 12, 14)", "resample")),
    "elsewhere": (moved, ("toy_001.nii.gz", "lies elsewhere", "5 mm")),
    "flipped": (flipped, ("toy_001.nii.gz", "flipped")),
    "label 7": (seven, ("toy_001.nii.gz", "holds 7 (1 voxels)", "declared are 0, 1, 2")),
    "nan": (holed, ("toy_001_0000.nii.gz", "1 of", "NaN")),
    "cut gzip": (cut, ("toy_001_0000.nii.gz", "copy it again")),
    "garbled gzip": (garbled, ("toy_001_0000.nii.gz", "copy it again")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_case_is_named(refused, tmp_path, name):
    damage, says = DAMAGE[name]
    data = toy(tmp_path)
    damage(data)
    refused(*SEGMENT, data, *QUICK, "--out", tmp_path / "out", says=says)


def test_all_problems_are_said_at_once(refused, tmp_path):
    data = toy(tmp_path)
    shrunk(data)
    rewrite(label_of(data, 0), lambda label: label + 5)
    path = image_of(data, 2)
    path.write_bytes(path.read_bytes()[:200])
    says = ("3 problems in 3 cases", "toy_000.nii.gz", "toy_001.nii.gz", "toy_002_0000.nii.gz")
    refused(*SEGMENT, data, *QUICK, "--out", tmp_path / "out", says=says)


def test_check_lists_every_problem_as_json(neuroloom, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=12)
    for path in (data / "labels").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    answer = neuroloom("check", SEGMENT[1], data, "--json")
    assert answer.code == 2
    assert "and 2 more" in answer.err
    problems = json.loads(answer.out)["problems"]
    assert len(problems) == 12
    assert all(sum(path.name in text for text in problems) == 1
               for path in (data / "labels").iterdir())  # fmt: skip
    unfit = neuroloom("check", SEGMENT[1], tmp_path / "nowhere", "--json")
    assert len(json.loads(unfit.out)["problems"]) == 1


def test_images_among_volumes(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=3)
    write_image(data / "images/case_90.png", image(np.ones((9, 9), np.uint8)))
    write_image(data / "labels/case_90.png", image(np.eye(9).astype(np.uint8)))
    refused(
        *SEGMENT, data, *QUICK, "--out", tmp_path / "out",
        says=("case_90.png", "is an image among volumes"),
    )  # fmt: skip


def test_labels_that_hold_nothing(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=3)
    for path in sorted((data / "labels").iterdir()):
        rewrite(path, np.zeros_like)
    refused(*SEGMENT, data, *QUICK, "--out", tmp_path / "out", says="nothing but background")


def test_labels_that_belong_to_no_image(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=3)
    for number, path in enumerate(sorted((data / "labels").iterdir())):
        path.rename(path.with_name(f"{'abc'[number]}.nii.gz"))
    says = ("no label belongs to any image", "labels such as labels/a.nii.gz", "--labels.label")
    refused(*SEGMENT, data, *QUICK, "--out", tmp_path / "out", says=says)
    table = data / "t.csv"
    table.write_text("image,drawn\nimages/case_00.nii.gz,labels/a.nii.gz\n")
    says = ("no label belongs to any image", "with the columns image, drawn")
    refused(*SEGMENT, table, *QUICK, "--out", tmp_path / "out", says=says)


def test_one_case(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=1)
    refused(
        *SEGMENT, data, *QUICK, "--out", tmp_path / "out",
        says=("1 case", "nothing can be held out", "--folds 0"),
    )  # fmt: skip


def test_names_of_classes_that_change(refused, tmp_path):
    data = grids.write_bids(tmp_path / "d")
    place = data / "derivatives/labels/sub-b/micr/sub-b_sample-3_SEM_seg-myelin-manual.png"
    place.rename(place.with_name(place.name.replace("myelin", "sheath")))
    refused(
        *SEGMENT, data, "--budget", "3 steps", "--out", tmp_path / "out",
        says=("sub-b_sample-3_SEM.png", "axon, sheath", "axon, myelin"),
    )  # fmt: skip


def test_one_subject_on_both_sides(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=4)
    for half in ("images", "labels"):
        for case in range(4):
            path = data / half / f"case_{case:02d}.nii.gz"
            path.rename(path.with_name(f"p{case // 2}_v{case % 2}.nii.gz"))
    (tmp_path / "held.txt").write_text("p0_v1\n")
    for test in ("p0_v1*", tmp_path / "held.txt"):
        refused(
            *SEGMENT, data, *QUICK, "--pattern", "{subject}_{session}", "--test", test,
            "--out", tmp_path / "out", says=("both sides", "p0 (p0_v1, p0_v0)"),
        )  # fmt: skip


def test_a_model_a_subject_is_refused(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=3)
    refused(
        *SEGMENT, data, *QUICK, "--per", "subject", "--out", tmp_path / "out", says="per=subject"
    )


def test_a_configuration_that_the_data_do_not_admit(refused, tmp_path):
    data = grids.write_blobs(tmp_path / "d", cases=3)
    refused(
        *SEGMENT, data, *QUICK, "--configuration", "3d_lowres", "--out", tmp_path / "out",
        says=("no '3d_lowres' of these data", "2d, 3d_fullres"),
    )  # fmt: skip


def test_doubts_that_are_no_errors_are_in_the_audit(neuroloom, tmp_path):
    """A lesion-free case and a mirrored label are legal: the run goes on, and says so."""
    data = grids.write_blobs(tmp_path / "d", cases=4)
    rewrite(data / "labels/case_00.nii.gz", np.zeros_like)
    mirrored = to_array(read_image(data / "labels/case_02.nii.gz"))[0, ..., ::-1]
    rewrite(data / "labels/case_01.nii.gz", lambda _: mirrored)
    answer = neuroloom(*SEGMENT, data, *QUICK, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    said = " ".join(row["detail"] for row in json.loads((tmp_path / "out/audit.json").read_text()))
    assert "case_00.nii.gz: the label is empty" in said
    assert "case_02.nii.gz: its label is the left-right mirror image of that of case_01" in said


def test_a_false_pixel_size_is_in_the_audit(neuroloom, tmp_path):
    data = grids.write_bids(tmp_path / "d", false_size=True)
    answer = neuroloom(
        *SEGMENT, data, "--budget", "3 steps", "--folds", "2", "--plan.patch", "16,16",
        "--plan.features", "4", "--quiet", "--out", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    said = " ".join(row["detail"] for row in json.loads((tmp_path / "out/audit.json").read_text()))
    assert "sub-a_sample-2_SEM.png: its pixels are said to be 0.2 x 0.1 um, not square" in said


def test_the_name_of_a_patient_reaches_no_output(neuroloom, tmp_path):
    data = tmp_path / "d"
    for case in range(4):
        content, mask = grids.blob(case)
        scan = np.clip(content + 1024, 0, 4000).astype(np.uint16)
        series = data / f"images/p{case}"
        grids.write_dicom(series, scan, (1.0, 1.0, 1.0), series=case + 1)
        like = read_image(series)
        write_image(data / f"labels/p{case}.nii.gz", mask.astype(np.uint8), like=like)
    grids.identify(data / "images/p0")
    out, new = tmp_path / "out", tmp_path / "new"
    answer = neuroloom(*SEGMENT, data, *QUICK, "--out", out)
    assert answer.code == 0, answer.err
    assert neuroloom("predict", out, data / "images/p0", "--out", new).code == 0
    assert (
        neuroloom("evaluate", out, data, "--include", "p0", "--out", tmp_path / "judged").code == 0
    )
    assert neuroloom("report", out).code == 0
    told = (grids.PATIENT, grids.PATIENT.split("^")[0], grids.BORN, "PID-4711", "A-4711", "234711")
    places = (out, new, tmp_path / "judged")
    everything = [p for place in places for p in place.rglob("*") if p.is_file()]
    assert len(everything) > 15
    assert (new / "p0_seg.dcm").is_file()
    for path in everything:
        content = path.read_bytes()
        assert not [word for word in told if word.encode() in content], path


@pytest.mark.parametrize("kilobytes", [40, 240])
def test_a_full_disk_loses_nothing(neuroloom, disk, tmp_path, kilobytes):
    """The run says why it stopped, and goes on once there is room."""
    data = grids.write_blobs(tmp_path / "d", cases=4)
    place = disk("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    (place / "holiday.jpg").write_bytes(bytes(4_000_000 - 1000 * kilobytes))
    answer = neuroloom(*SEGMENT, data, *QUICK, "--out", place / "run")
    assert answer.code == 1
    assert "No space left" in answer.err
    assert "Traceback" not in answer.err
    assert not (place / "run/report.html").exists()
    (place / "holiday.jpg").unlink()
    answer = neuroloom("resume", place / "run", "--quiet")
    assert answer.code == 0, answer.err
    assert json.loads((place / "run/status.json").read_text())["state"] == "done"
