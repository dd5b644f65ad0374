"""Classes of images: a table that volumes.classify reads."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import nibabel
import numpy as np
import pytest
from PIL import Image

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
