"""What runs learn from takes no more of the disk than it must, and goes with them."""

from __future__ import annotations

import errno
import os

import pytest
from PIL import Image

from neuroloom.apps.studio.labels import lesson
from tests.apps.studio.conftest import message


@pytest.fixture
def begun(client, place, studio):
    """Two images with a class each; runs wait, and never start."""
    studio.queue._start_waiting = lambda: None
    (place.root / "pictures").mkdir()
    for k in range(2):
        Image.new("L", (30, 20), 60 * k).save(place.root / "pictures" / f"p{k}.png")
    wanted = {"kind": "classes", "data": "pictures", "options": {"classes": "healthy, lesion"}}
    address = f"/api/labels/{client.post('/api/labels', json=wanted).json()['id']}"
    edits = [{"image": 0, "to": "healthy"}, {"image": 1, "to": "lesion"}]
    client.post(f"{address}/edits", json={"edits": edits})
    return address


def train(client, address):
    answer = client.post(f"{address}/train", json={})
    assert answer.status_code == 201, answer.text
    return answer.json()


def lessons(place):
    return sorted(path.name for path in place.labels.glob("*/lesson-*"))


def test_a_lesson_goes_with_the_last_run_that_reads_it(client, begun, place):
    first, second = train(client, begun), train(client, begun)
    assert lessons(place) == ["lesson-1", "lesson-2"]
    wanted = {"recipe": first["recipe"], "data": first["data"], "fields": {"target": "class"}}
    third = client.post("/api/runs", json=wanted).json()
    assert third["data"].endswith("lesson-1/classes.csv")
    client.delete(f"/api/runs/{first['id']}")
    assert lessons(place) == ["lesson-1", "lesson-2"]
    client.delete(f"/api/runs/{third['id']}")
    assert lessons(place) == ["lesson-2"]
    train(client, begun)
    client.delete(f"/api/runs/{second['id']}")
    assert lessons(place) == ["lesson-3"]


@pytest.mark.parametrize("data", ["pictures", "labels/../pictures/lesson-1", "labels/a/project"])
def test_what_is_no_lesson_stays(studio, begun, place, data):
    (place.root / "pictures" / "lesson-1").mkdir()
    studio.desk.drop_lesson(data, [])
    assert (place.root / "pictures" / "lesson-1").is_dir()
    assert len(list((place.root / "pictures").glob("*.png"))) == 2


def test_a_disk_that_is_full_beforehand_makes_no_lesson(client, begun, place, monkeypatch):
    monkeypatch.setattr(lesson.shutil, "copyfile", lambda *_: pytest.fail("nothing is copied"))
    place.keep_free = 2**62
    answer = client.post(f"{begun}/train", json={})
    assert answer.status_code == 409
    assert "are kept free" in message(answer)
    assert lessons(place) == []


def test_a_disk_that_fills_up_meanwhile_keeps_no_half_lesson(client, begun, place, monkeypatch):
    def half(file, copy):
        copy.write_bytes(file.read_bytes()[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lesson.shutil, "copyfile", half)
    answer = client.post(f"{begun}/train", json={})
    assert answer.status_code == 409
    assert "could not be kept for a run (No space left" in message(answer)
    assert lessons(place) == []
    assert client.get("/api/runs").json() == []


def test_what_nobody_corrected_is_not_copied_again(client, begun, place):
    tables = [place.root / train(client, begun)["data"] for _ in range(2)]
    assert tables[0].samefile(tables[1])
    before = tables[0].read_text()
    client.post(f"{begun}/edits", json={"edits": [{"image": 0, "to": "lesion"}]})
    third = place.root / train(client, begun)["data"]
    assert not third.samefile(tables[0])
    assert (tables[0].read_text(), third.read_text().count("lesion")) == (before, 2)
    assert not third.samefile(third.parents[1] / "project" / "classes.csv")


def test_labelling_is_counted_on_the_disk_and_links_once(client, begun, place):
    before = place.disk().labels
    assert before > 0
    size = (place.root / train(client, begun)["data"]).stat().st_size
    added = place.disk().labels - before
    assert added >= size
    train(client, begun)
    assert place.disk().labels - before - added < size
    assert client.get("/api/state").json()["disk"]["labels"] == place.disk().labels
