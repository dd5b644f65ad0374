"""Classes of images: a table that volumes.classify reads."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import nibabel
import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.cases import find_cases
from tests.apps.studio.conftest import message


@pytest.fixture
def begun(client, place):
    folder = place.root / "pictures"
    (folder / "b").mkdir(parents=True)
    for k in range(4):
        Image.new("L", (30, 20), 60 * k).save(folder / ("b" if k == 3 else "") / f"p{k}.png")
    wanted = {"kind": "classes", "data": "pictures", "options": {"classes": "healthy, lesion"}}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    return f"/api/labels/{answer.json()['id']}"


def give(client, address, *pairs):
    edits = [{"image": image, "to": to} for image, to in pairs]
    return client.post(f"{address}/edits", json={"edits": edits, "who": "ab"})


def test_the_table_is_what_classify_reads(client, begun, studio, place):
    assert client.get(begun).json()["images"] == ["b/p3.png", "p0.png", "p1.png", "p2.png"]
    give(client, begun, (0, "lesion"), (1, "healthy"), (2, "healthy"))
    assert give(client, begun, (2, "lesion")).json()["done"] == 3
    rows = list(csv.DictReader(StringIO(client.get(f"{begun}/export").text)))
    assert [(row["image"].rpartition("/")[2], row["class"]) for row in rows] == [
        ("p3.png", "lesion"), ("p0.png", "healthy"), ("p1.png", "lesion"),
    ]  # fmt: skip
    found = find_cases(studio.desk.get(begun.rpartition("/")[2]).project / "classes.csv")
    assert list(found.table["class"]) == ["lesion", "healthy", "lesion"]
    last = client.get(f"{begun}/log").json()[0]
    assert (last["image"], last["from"], last["to"]) == ("p1.png", "healthy", "lesion")


def of_names(client, place, names):
    """Images of these names, each with a class."""
    for k, name in enumerate(names):
        (place.root / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 60 * k).save(place.root / "own" / name)
    wanted = {"kind": "classes", "data": "own", "options": {"classes": "healthy, lesion"}}
    id = client.post("/api/labels", json=wanted).json()["id"]
    give(client, f"/api/labels/{id}", *((k, "lesion") for k in range(len(names))))
    return place.root / "labels" / id / "project" / "classes.csv"


def test_an_image_is_no_subject(client, place):
    """Two pictures of P01 and one of P02 are one unknown's, until a pattern says whose they are."""
    table = of_names(client, place, ["P01_s1.png", "P01_s2.png", "P02_s1.png"])
    found = find_cases(table)
    assert list(found.table["subject"]) == ["1", "1", "1"]
    assert any("Nothing says whose the images are" in note for note in found.notes)
    found = find_cases(table, pattern="{subject}_s{run}")
    assert list(found.table["subject"]) == ["P01", "P01", "P02"]
    assert not any("Nothing says" in note for note in found.notes)


@pytest.mark.parametrize("folder", ["", "sub-{}/ses-{}/anat/"])
def test_keys_of_bids_say_whose_an_image_is(client, place, folder):
    names = [(1, 1), (1, 2), (2, 1)]
    stem = "T1w.png" if folder else "sub-{}_ses-{}_T1w.png"
    table = of_names(client, place, [(folder + stem).format(*pair) for pair in names])
    found = find_cases(table).table
    assert (
        list(zip(found["subject"].astype(int), found["session"].astype(int), strict=True)) == names
    )


def test_people_with_files_of_one_name_are_told_apart(client, place):
    table = of_names(client, place, ["P01/anat/T1w.png", "P02/anat/T1w.png"])
    found = find_cases(table, pattern="{subject}_anat_T1w").table
    assert list(found["name"]) == ["P01_anat_T1w", "P02_anat_T1w"]
    assert list(found["subject"]) == ["P01", "P02"]


EYES = ["P01/left_eye.png", "P01/right_eye.png", "P02/left_eye.png"]


@pytest.mark.parametrize("pattern", ["{subject}/*", "{subject}/{run}_eye.png"])
def test_a_pattern_reads_names_as_they_are_shown(client, place, studio, monkeypatch, pattern):
    asked = []
    monkeypatch.setattr(studio, "start", lambda *words: asked.append(words[1:]) or {"id": "run"})
    address = f"/api/labels/{of_names(client, place, EYES).parent.parent.name}"
    edits = [{"pattern": pattern}]
    assert client.post(f"{address}/edits", json={"edits": edits}).status_code == 200
    assert client.get(address).json()["pattern"] == pattern
    assert client.post(f"{address}/train", json={}).status_code == 201
    [(table, fields)] = asked
    assert list(find_cases(place.root / table).table["subject"]) == ["P01", "P01", "P02"]
    assert "pattern" not in fields


def test_a_pattern_that_does_not_fit_is_refused(client, place):
    address = f"/api/labels/{of_names(client, place, EYES).parent.parent.name}"
    for pattern in ("{session}/*", "P*"):
        answer = client.post(f"{address}/edits", json={"edits": [{"pattern": pattern}]})
        assert answer.status_code == 422
        assert f"pattern '{pattern}'" in message(answer)
    client.post(f"{address}/edits", json={"edits": [{"pattern": "{subject}_*"}]})
    refused = client.post(f"{address}/train", json={})
    assert "does not fit 'P01/left_eye.png'" in message(refused)
    assert not list((place.root / "labels").glob("*/lesson-*"))


def test_a_table_is_not_read_by_a_pattern_with_two_meanings(client, place):
    """By its files two eyes of P01 would be of two subjects."""
    table = of_names(client, place, EYES)
    with pytest.raises(DataError, match="'P01'.*'P01_left_eye'.*ending .png.*column subject"):
        find_cases(table, pattern="{subject}_*")
    found = find_cases(table, pattern="{subject}_eye.png")
    assert list(found.table["subject"]) == ["left", "right", "left"]


def test_a_run_keeps_the_classes_it_was_given(client, begun, place, studio, monkeypatch):
    asked = []
    monkeypatch.setattr(studio, "start", lambda *words: asked.append(words[1]) or {"id": "run"})
    give(client, begun, (0, "lesion"), (1, "healthy"))
    client.post(f"{begun}/train", json={})
    give(client, begun, (0, "healthy"), (2, "healthy"))
    assert list(find_cases(place.root / asked[0]).table["class"]) == ["lesion", "healthy"]


def test_classes_survive_a_kill_and_can_be_added(client, begun, studio):
    give(client, begun, (0, "lesion"))
    client.post(f"{begun}/edits", json={"edits": [{"class": "blurred"}]})
    studio.desk._open.clear()
    head = client.get(begun).json()
    assert head["classes"] == ["healthy", "lesion", "blurred"]
    assert head["labels"] == ["lesion", None, None, None]


@pytest.mark.parametrize("wrong", [(9, "lesion"), (0, "lesions"), (0, 3)])
def test_a_wrong_edit_changes_nothing(client, begun, wrong):
    answer = give(client, begun, (1, "lesion"), wrong)
    assert answer.status_code == 422
    assert message(answer)
    assert client.get(begun).json()["done"] == 0


def test_pictures_and_slices_of_volumes(client, begun, place):
    sent = client.get(f"{begun}/part/image?image=0").content
    assert np.asarray(Image.open(BytesIO(sent))).shape == (20, 30)
    (place.root / "scans").mkdir()
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    for k in range(2):
        nibabel.Nifti1Image(values, np.eye(4)).to_filename(place.root / "scans" / f"{k}.nii.gz")
    wanted = {"kind": "classes", "data": "scans", "options": {"classes": "a, b"}}
    address = f"/api/labels/{client.post('/api/labels', json=wanted).json()['id']}"
    sent = client.get(f"{address}/part/image?image=0&axis=0&share=50").content
    assert np.asarray(Image.open(BytesIO(sent))).shape == (5, 4)


def test_two_classes_are_needed(client, begun):
    wanted = {"kind": "classes", "data": "pictures", "options": {"classes": "one"}}
    assert "at least two" in message(client.post("/api/labels", json=wanted))
