"""Bouts on videos: kept with every change, exported in four formats, read back equal."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.io.bouts import FORMATS, read_bouts
from neuroloom.io.video import write_video
from tests.apps.studio.conftest import message


@pytest.fixture
def begun(client, place):
    (place.root / "in").mkdir()
    frames = (np.full((32, 48, 3), 2 * k, np.uint8) for k in range(100))
    write_video(place.root / "in" / "m.mp4", frames, 25)
    options = {"behaviours": "groom, rear (p), gallop", "subjects": "a, b"}
    wanted = {"kind": "bouts", "data": "in/m.mp4", "options": options}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    return f"/api/labels/{answer.json()['id']}"


def send(client, address, *edits):
    return client.post(f"{address}/edits", json={"edits": list(edits), "who": "ab"})


def put(id, start, stop, behaviour="groom", subject="a", **more):
    row = {"id": id, "start": start, "stop": stop, "behaviour": behaviour, "subject": subject}
    return {"op": "put"} | row | more


def test_what_is_known_of_the_video_and_its_keys(client, begun):
    head = client.get(begun).json()
    assert (head["medium"], head["rate"], head["duration"], head["frames"]) == (
        "video", 25.0, 4.0, 100,
    )  # fmt: skip
    assert [(b["name"], b["kind"], b["key"]) for b in head["behaviours"]] == [
        ("groom", "state", "g"), ("rear", "point", "r"), ("gallop", "state", "l"),
    ]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_exports_read_back_equal(client, begun, tmp_path, format):
    send(client, begun, put("1", 0.4, 1.2), put("2", 1.2, 2.0), put("3", 1.0, 1.0, "rear", "b"))
    send(client, begun, put("1", 0.36, 1.2))
    answer = client.get(f"{begun}/export", params={"format": format})
    file = tmp_path / f"one{FORMATS[format][1]}"
    file.write_bytes(answer.content)
    assert read_bouts(file).rows() == [
        (0.36, 1.2, "groom", "a", ""), (1.0, 1.0, "rear", "b", ""), (1.2, 2.0, "groom", "a", ""),
    ]  # fmt: skip


def test_bouts_survive_a_kill_and_are_logged(client, begun, studio):
    send(client, begun, put("1", 0.4, 1.2))
    send(client, begun, put("1", 0.4, 1.6))
    send(client, begun, {"op": "remove", "id": "1"}, put("2", 3, 99))
    studio.desk._open.clear()
    (bout,) = client.get(begun).json()["bouts"]
    assert (bout["id"], bout["start"], bout["stop"]) == ("2", 3.0, 4.0), "cut at the video's end"
    lines = client.get(f"{begun}/log").json()[::-1]
    assert [(x["from"] or {}).get("stop") for x in lines] == [None, 1.2, 1.6, None]
    assert lines[1]["to"] == {"start": 0.4, "stop": 1.6, "behaviour": "groom", "subject": "a"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (put("9", 1, 0), "before the start"), (put("9", -1, 0), "start"),
        (put("9", 0, 1, "gallopp"), "Did you mean 'gallop'"),
        (put("9", 0, 1, subject="c"), "subject"),
        (put("9", 1.0, 1.5), "overlap"), ({"op": "remove", "id": "x"}, "no bout"),
        ({"op": "dance"}, "put, remove"), (put("../x", 0, 1), "id"),
        (put("9", 0, 1e12), "stop"),
        ({"op": "behaviour", "name": "new", "key": "g"}, "free key"),
    ],
)  # fmt: skip
def test_a_wrong_edit_changes_nothing(client, begun, wrong, says):
    send(client, begun, put("1", 0.4, 1.2))
    answer = send(client, begun, put("2", 2, 3), wrong)
    assert answer.status_code == 422
    assert says in message(answer)
    assert [b["id"] for b in client.get(begun).json()["bouts"]] == ["1"]


def test_work_goes_on_with_a_file_of_boris(client, begun, place):
    send(client, begun, put("1", 0.4, 1.2), put("3", 1.0, 1.0, "rear", "b"))
    exported = client.get(f"{begun}/export?format=boris").content
    (place.root / "in" / "m_boris.csv").write_bytes(exported)
    options = {"events": "in/m_boris.csv", "behaviours": "sleep"}
    wanted = {"kind": "bouts", "data": "in/m.mp4", "options": options}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    head = client.get(f"/api/labels/{answer.json()['id']}").json()
    assert [(b["name"], b["kind"]) for b in head["behaviours"]] == [
        ("sleep", "state"), ("groom", "state"), ("rear", "point"),
    ]  # fmt: skip
    assert head["subjects"] == ["a", "b"]
    assert len(head["bouts"]) == 2


def test_bouts_on_a_signal(client, place):
    import pandas as pd

    from neuroloom.core.recording import signal
    from neuroloom.io.recordings.annotated import write_annotated

    values = np.random.default_rng(0).normal(size=(2, 2000)) * 1e-6
    table = pd.DataFrame({"onset": [], "duration": [], "label": []})
    write_annotated(signal(values, ["C3", "C4"], 200.0), table, place.root / "a_raw.fif")
    options = {"behaviours": "spindle"}
    answer = client.post(
        "/api/labels", json={"kind": "bouts", "data": "a_raw.fif", "options": options}
    )
    assert answer.status_code == 201, answer.text
    address = f"/api/labels/{answer.json()['id']}"
    head = client.get(address).json()
    assert (head["medium"], head["rate"], head["duration"]) == ("signal", 200.0, 10.0)
    assert send(client, address, put("1", 1.005, 2.345678, "spindle", "")).json()["done"] == 1
