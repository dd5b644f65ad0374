"""Masks: what is painted is what is written, to the voxel, on the image's own grid."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image

from neuroloom.apps.studio.labels.found import numbers_here
from neuroloom.apps.studio.labels.grid import planes
from neuroloom.core.errors import DataError
from neuroloom.core.files import digest, read_json, write_json
from neuroloom.io.cases import find_cases
from tests.apps.studio.conftest import message

AFFINE = np.array([[-0.9, 0.1, 0, 12.3], [0.05, 1.1, 0.2, -7.7], [0, -0.1, 2.5, 3.1], [0, 0, 0, 1]])


@pytest.fixture
def scan(place):
    folder = place.root / "in"
    folder.mkdir()
    voxels = np.random.default_rng(2).normal(100, 20, (7, 6, 5)).astype(np.float32)
    nibabel.Nifti1Image(voxels, AFFINE).to_filename(folder / "brain.nii.gz")
    return folder / "brain.nii.gz"


@pytest.fixture
def begun(client, scan):
    wanted = {"kind": "masks", "data": "in/brain.nii.gz", "options": {"labels": "left, right"}}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    return f"/api/labels/{answer.json()['id']}"


def paint(client, address, *edits):
    return client.post(f"{address}/edits", json={"edits": list(edits), "who": "ab"})


def runs_between(before, after):
    """The plain definition: one run a voxel."""
    where = np.flatnonzero(before.ravel() != after.ravel())
    return [[int(k), 1, int(after.ravel()[k])] for k in where]


def test_what_is_painted_is_written_to_the_voxel(client, begun, scan, studio):
    """A mask drawn at random is painted in all three planes; nibabel finds it, and the affine."""
    rng = np.random.default_rng(3)
    truth = np.zeros((5, 6, 7), np.uint8)
    for axis, count in enumerate(truth.shape):
        for index in range(0, count, 2):
            plane = np.moveaxis(truth, axis, 0)[index]
            new = np.where(rng.random(plane.shape) < 0.3, rng.integers(0, 3, plane.shape), plane)
            edit = {"image": 0, "axis": axis, "index": index, "runs": runs_between(plane, new)}
            assert paint(client, begun, edit).status_code == 200
            np.moveaxis(truth, axis, 0)[index] = new
    answer = client.get(f"{begun}/export")
    file = scan.parent / "back.nii.gz"
    file.write_bytes(answer.content)
    mask, image = nibabel.load(file), nibabel.load(scan)
    assert np.array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), truth)
    assert np.array_equal(mask.affine, image.affine)
    assert mask.shape == image.shape
    for axis, index in ((0, 2), (1, 1), (2, 6)):
        sent = client.get(f"{begun}/part/mask", params={"axis": axis, "index": index}).content
        assert sent == np.moveaxis(truth, axis, 0)[index].tobytes()


def test_slices_are_the_voxels(client, begun, scan):
    voxels = nibabel.load(scan).get_fdata(dtype=np.float32).transpose(2, 1, 0)
    sent = client.get(f"{begun}/part/slice", params={"axis": 1, "index": 3}).content
    assert np.array_equal(np.frombuffer(sent, "<f4").reshape(5, 7), voxels[:, 3])


def test_the_copy_is_labelled_when_the_source_is_gone(client, begun, scan, studio):
    voxels = nibabel.load(scan).get_fdata(dtype=np.float32).transpose(2, 1, 0)
    scan.unlink()
    studio.desk._open.clear()
    sent = client.get(f"{begun}/part/slice", params={"axis": 0, "index": 3}).content
    assert np.array_equal(np.frombuffer(sent, "<f4").reshape(6, 7), voxels[3])
    assert client.get(f"{begun}/part/grid").json()["planes"][0]["count"] == 5
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]})
    file = scan.parent / "back.nii.gz"
    file.write_bytes(client.get(f"{begun}/export").content)
    assert (np.asarray(nibabel.load(file).dataobj) == 2).sum() == 4


def test_channels_stay_in_their_order(client, place):
    """Of a picture, and of a stack that is kept as a file a channel."""
    rng = np.random.default_rng(5)
    voxels = rng.integers(0, 999, (6, 5, 4, 2)).astype(np.int16)
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(place.root / "two.nii.gz")
    address = client.post("/api/labels", json={"kind": "masks", "data": "two.nii.gz"}).json()["id"]
    sent = client.get(f"/api/labels/{address}/part/slice", params={"axis": 0, "index": 1}).content
    shown = np.frombuffer(sent, "<f4").reshape(5, 6, 2)
    assert np.array_equal(shown, voxels[:, :, 1].transpose(1, 0, 2))


def test_strokes_survive_a_kill(client, begun, studio):
    edit = {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]}
    paint(client, begun, edit)
    id = begun.rpartition("/")[2]
    studio.desk._open[id]._timer.cancel()
    studio.desk._open.clear()
    sent = client.get(f"{begun}/part/mask", params={"axis": 0, "index": 1}).content
    assert list(sent)[:9] == [0, 0, 0, 2, 2, 2, 2, 0, 0]


def test_corrections_are_logged_in_voxels(client, begun):
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[0, 5, 1]], "tool": "fill"})
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]})
    last = client.get(f"{begun}/log").json()[0]
    assert (last["from"], last["to"], last["who"]) == ({"0": 2, "1": 2}, {"2": 4}, "ab")


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": [[0, 43, 1]]}, {"runs": [[-1, 2, 1]]}, {"runs": [[0, 1, 3]]}, {"runs": "x"},
        {"runs": [[0, 1]]}, {"index": 5}, {"axis": 3}, {"image": 1},
    ],
)  # fmt: skip
def test_a_wrong_stroke_changes_nothing(client, begun, wrong):
    good = {"image": 0, "axis": 0, "index": 1, "runs": [[0, 1, 1]]}
    assert paint(client, begun, good, good | wrong).status_code == 422
    assert client.get(begun).json()["done"] == 0


def test_structures_are_added_and_renamed(client, begun, studio):
    paint(client, begun, {"label": "cyst"}, {"label": "LEFT", "number": 1})
    assert client.get(begun).json()["labels"] == ["LEFT", "right", "cyst"]
    assert "there already" in message(paint(client, begun, {"label": "cyst"}))


def test_a_folder_of_images_becomes_what_segment_reads(client, scan, studio):
    for name in ("b", "c"):
        (scan.parent / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    answer = client.post("/api/labels", json={"kind": "masks", "data": "in", "options": {}})
    address = f"/api/labels/{answer.json()['id']}"
    assert answer.json()["total"] == 3
    edits = [{"image": k, "axis": 0, "index": 2, "runs": [[8, 9, 1]]} for k in range(3)]
    assert paint(client, address, *edits).json()["done"] == 3
    work = studio.desk.get(answer.json()["id"])
    work.flush()
    found = find_cases(work.project)
    assert found.layout.startswith("nnU-Net")
    assert found.classes == {1: "structure"}
    assert found.table["label"].notna().sum() == 3


def test_a_colour_image_and_a_mask_to_begin_with(client, place):
    folder = place.root / "cells"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (9, 11, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    mask = np.zeros((9, 11), np.uint8)
    mask[2:5, 3:7] = 1
    Image.fromarray(mask).save(place.root / "mask.png")
    options = {"labels": "cell", "mask": "mask.png"}
    wanted = {"kind": "masks", "data": "cells/a.png", "options": options}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    address = f"/api/labels/{answer.json()['id']}"
    assert client.get(f"{address}/part/mask").content == mask.tobytes()
    sent = client.get(f"{address}/part/slice").content
    assert np.array_equal(np.frombuffer(sent, "<f4").reshape(9, 11, 3), pixels)
    project = next(place.root.rglob("project/dataset.json"))
    assert list(read_json(project)["channel_names"].values()) == ["red", "green", "blue"]
    wanted["options"]["mask"] = "../../etc/passwd"
    assert client.post("/api/labels", json=wanted).status_code == 404
    wanted["options"] = {"mask_path": "/etc/passwd"}
    address = f"/api/labels/{client.post('/api/labels', json=wanted).json()['id']}"
    assert client.get(address).json()["done"] == 0


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SPL"])
def test_the_top_is_up_whatever_the_order_of_the_axes(codes):
    """nibabel says where each axis goes; shown as said, S is above I and A above P."""
    orient = nibabel.orientations.axcodes2ornt(codes)
    affine = nibabel.orientations.inv_ornt_aff(orient, (4, 5, 6))
    made = planes((6, 5, 4), (1, 1, 1), affine)
    ends = nibabel.aff2axcodes(affine)[::-1]
    for axis, plane in enumerate(made):
        rows, columns = (k for k in range(3) if k != axis)
        down, across = (columns, rows) if plane["turn"] else (rows, columns)
        end = {"S": "I", "I": "S", "A": "P", "P": "A", "L": "R", "R": "L"}
        bottom = end[ends[down]] if plane["flip"][0] else ends[down]
        right = end[ends[across]] if plane["flip"][1] else ends[across]
        left_side, right_side, top, under = plane["sides"]
        assert (bottom, right) == (under, right_side)
        assert top in ("S", "A")
        assert end[right_side] == left_side


def test_the_slice_that_a_model_sees_differently_comes_first(client, begun, studio, scan, place):
    """A prediction as `predict` leaves it: right on slice 1, wrong on 2, unsure of 3."""
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[0, 8, 1]]})
    paint(client, begun, {"image": 0, "axis": 0, "index": 2, "runs": [[0, 8, 1]]})
    found = np.zeros((5, 42), np.uint8)
    found[1, :8], found[2, 20:28], found[3, :4] = 1, 1, 2
    unsure = np.zeros((5, 42), np.float32)
    unsure[3, :8], unsure[4] = 0.25, 0.4
    said = place.root / "said"
    said.mkdir()
    for name, values in (("brain", found), ("brain_uncertainty", unsure)):
        made = nibabel.Nifti1Image(values.reshape(5, 6, 7).transpose(2, 1, 0), AFFINE)
        made.to_filename(said / f"{name}.nii.gz")
    work = studio.desk.get(begun.rpartition("/")[2])
    assert client.get(f"{begun}/part/found?axis=0&index=2").status_code == 404
    slices = work.doubts(said, trained(place, {"1": "left", "2": "right"}))["slices"]
    assert [(one["index"], one["doubt"]) for one in slices] == [(2, 1.0), (3, 0.5), (1, 0.0)]
    sent = client.get(f"{begun}/part/found?axis=0&index=2").content
    assert sent == found[2].tobytes()


@pytest.mark.parametrize(
    ("classes", "structures", "own", "numbers"),
    [
        ({"1": "Right", "2": "left", "3": "cyst"}, ["left", "right"], False, {1: 2, 2: 1}),
        ({"1": "LEFT", "2": "right"}, ["left", "right"], True, {1: 1, 2: 2}),
        ({"1": "1"}, ["structure"], False, {1: 1}),
        ({"1": "1", "2": "2"}, ["tumour", "oedema"], False, {1: 1, 2: 2}),
        ({"1": "1", "2": "2"}, ["2", "1"], False, {1: 2, 2: 1}),
    ],
)
def test_what_a_model_found_goes_by_the_names_of_its_classes(
    place, classes, structures, own, numbers
):
    """Only what learnt here, under names that may be others now, goes by number."""
    run = trained(place, classes)
    assert numbers_here(run, structures, own=own) == numbers


@pytest.mark.parametrize("classes", [{"1": "1", "3": "3"}, {"1": "1"}, {"1": "1", "2": "cyst"}])
def test_numbers_without_names_are_no_others_than_those_of_the_structures(place, classes):
    with pytest.raises(DataError, match="here are tumour, oedema"):
        numbers_here(trained(place, classes), ["tumour", "oedema"], own=False)


def test_every_object_that_a_model_numbers_is_the_one_structure(place):
    run = trained(place, {"1": "interior", "2": "rim"}, objects="cell")
    assert numbers_here(run, ["nucleus"], own=False) == 1
    assert numbers_here(run, ["nerve", "cell"], own=True) == 2
    with pytest.raises(DataError, match="finds cell; here are nerve, axon"):
        numbers_here(run, ["nerve", "axon"], own=True)


def test_a_model_of_other_structures_is_refused_in_words(client, begun, place, studio, monkeypatch):
    work = studio.desk.get(begun.rpartition("/")[2])
    run = trained(place, {"1": "oedema", "2": "tumour"})
    work.keep(prediction="predict-1")
    line = {"id": "predict-1", "state": "done", "message": "", "model": run.name}
    monkeypatch.setattr(studio, "prediction", lambda id: line)
    answer = client.get(f"{begun}/doubts")
    assert answer.status_code == 422
    assert "finds oedema, tumour; here are left, right" in message(answer)


def trained(place, classes, objects=""):
    """A run's folder with the facts that it keeps of its classes."""
    axes = {"classes_of": {"0": "background"} | classes, "objects": objects}
    write_json(place.runs / "seg" / "dataset.json", {"rows": [], "axes": axes})
    return place.runs / "seg"


def test_few_masks_stay_in_memory_and_none_that_waits_to_be_written(client, scan, studio):
    for k in range(6):
        voxels = np.full((4, 3, 2), k, np.float32)
        nibabel.Nifti1Image(voxels, AFFINE).to_filename(scan.parent / f"more{k}.nii.gz")
    wanted = {"kind": "masks", "data": "in", "options": {"labels": "left"}}
    id = client.post("/api/labels", json=wanted).json()["id"]
    work = studio.desk.get(id)
    with work.lock:  # nothing is written meanwhile
        for k in range(1, 6):
            work._draw({"image": k, "axis": 0, "index": 0, "runs": [[k, 1, 1]]})
        work.mask(0), work.mask(6)
        assert all(work.mask(k).ravel()[k] == 1 for k in range(1, 6))
        work.flush()
        for k in range(7):
            work.mask(k)
        assert sorted(work.masks) == [4, 5, 6]
        assert all(work.mask(k).ravel()[k] == 1 for k in range(1, 6))


def test_slices_that_nobody_touched_teach_nothing(client, begun, place, studio, monkeypatch):
    """One slice is painted: a net learns from that one; once the image is finished, from all."""
    asked = []
    monkeypatch.setattr(studio, "start", lambda *words: asked.append(words) or {"id": "run"})
    id = begun.rpartition("/")[2]
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]})
    assert client.post(f"{begun}/train", json={}).status_code == 201
    recipe, data, fields = asked[0]
    assert (recipe, data, fields) == ("volumes.segment", f"labels/{id}/lesson-1", {"folds": 0})
    found = find_cases(place.root / data)
    assert found.ignore == 3
    assert found.classes == {1: "left", 2: "right"}
    label = found.cases[0].truth()
    assert (label[1].ravel()[3:7] == 2).all()
    assert (label[1] == 3).sum() == 0
    assert (label[[0, 2, 3, 4]] == 3).all()
    assert client.get(begun).json()["images"][0]["finished"] is False
    paint(client, begun, {"image": 0, "finished": True})
    assert client.get(begun).json()["images"][0]["finished"] is True
    assert client.get(f"{begun}/log").json()[0]["finished"] is True
    client.post(f"{begun}/train", json={})
    assert asked[1][1] == f"labels/{id}/lesson-2"
    assert (find_cases(place.root / asked[1][1]).cases[0].truth() > 0).sum() == 4


def test_a_stroke_that_was_undone_says_nothing_of_its_slice(client, begun, place, studio):
    painted = {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]}
    slip = {"image": 0, "axis": 0, "index": 3, "runs": [[0, 2, 1]]}
    paint(client, begun, painted, slip, slip | {"runs": [[0, 2, 0]], "tool": "undo"})
    label = find_cases(studio.desk.get(begun.rpartition("/")[2]).teach()).cases[0].truth()
    assert (label[1] < 3).all()
    assert (label[3] == 3).all()
    paint(client, begun, slip)
    label = find_cases(studio.desk.get(begun.rpartition("/")[2]).teach()).cases[0].truth()
    assert (label[3] < 3).all()


@pytest.mark.parametrize("reopened", [False, True])
def test_a_finished_image_without_a_lesion_is_learnt_from(client, scan, studio, reopened):
    (scan.parent / "healthy.nii.gz").write_bytes(scan.read_bytes())
    answer = client.post("/api/labels", json={"kind": "masks", "data": "in", "options": {}})
    id = answer.json()["id"]
    address = f"/api/labels/{id}"
    paint(client, address, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 1]]})
    assert paint(client, address, {"image": 1, "finished": True}).json()["done"] == 2
    if reopened:
        studio.desk._open.pop(id)._timer.cancel()
    found = find_cases(studio.desk.get(id).teach())
    labels = {case.name: case.truth() for case in found.cases if case.label is not None}
    assert sorted(labels) == ["brain", "healthy"]
    assert (labels["healthy"] == 0).all()
    assert (labels["brain"] == 2).sum() == 4 * 42
    paint(client, address, {"image": 0, "finished": True})
    found = find_cases(studio.desk.get(id).teach())
    assert found.table["label"].notna().sum() == 2
    assert paint(client, address, {"image": 1, "finished": False}).json()["done"] == 1
    assert find_cases(studio.desk.get(id).teach()).table["label"].notna().sum() == 1


def test_a_run_keeps_what_it_was_given_whatever_is_painted_later(
    client, begun, place, studio, monkeypatch
):
    """Between two fits of a run a mask is erased, a structure added, and Train pressed again."""
    asked = []
    monkeypatch.setattr(studio, "start", lambda *words: asked.append(words) or {"id": "run"})
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]})
    client.post(f"{begun}/train", json={})
    paint(client, begun, {"image": 0, "finished": True})
    client.post(f"{begun}/train", json={})
    lessons = [place.root / words[1] for words in asked]
    before = [digest(lesson) for lesson in lessons]
    assert [len(find_cases(lesson).cases) for lesson in lessons] == [1, 1]
    erased = {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 0]], "tool": "eraser"}
    paint(client, begun, {"label": "cyst"}, erased)
    studio.desk.get(begun.rpartition("/")[2]).flush()
    client.post(f"{begun}/train", json={})
    assert [digest(lesson) for lesson in lessons] == before
    assert len({words[1] for words in asked}) == 3


def test_a_refused_run_leaves_no_lesson(client, begun, place):
    paint(client, begun, {"image": 0, "axis": 0, "index": 1, "runs": [[3, 4, 2]]})
    assert client.post(f"{begun}/train", json={"fields": {"budget": []}}).status_code == 422
    assert not list(place.root.rglob("lesson*"))
