"""Keypoints: a project begins, is corrected, and is what DeepLabCut's reader finds."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from neuroloom.apps.studio.labels.doubts import weigh
from neuroloom.io.labels import read_labels, write_labels
from neuroloom.io.video import write_video
from tests.apps.studio.conftest import message, wait

OPTIONS = {
    "keypoints": "nose, ear_l, ear_r", "bones": "nose-ear_l", "individuals": "a, b",
    "how": "even", "count": 4,
}  # fmt: skip


def video(folder):
    folder.mkdir(parents=True, exist_ok=True)
    frames = (np.full((48, 64, 3), 4 * k, np.uint8) for k in range(30))
    return write_video(folder / "clip.mp4", frames, 25)


@pytest.fixture
def begun(client, place):
    video(place.root / "in")
    wanted = {"kind": "keypoints", "data": "in/clip.mp4", "options": OPTIONS, "who": "ab"}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    return f"/api/labels/{answer.json()['id']}"


def edit(client, address, *edits, who="ab"):
    return client.post(f"{address}/edits", json={"edits": list(edits), "who": who})


def at(frame, point, to, individual=0, **more):
    return {"frame": frame, "individual": individual, "point": point, "to": to} | more


def test_a_video_becomes_a_project_that_others_read(client, begun, studio):
    head = client.get(begun).json()
    assert head["swaps"] == [[1, 2]]
    assert head["edges"] == [[0, 1]]
    assert edit(client, begun, at(1, 0, [3.5, 4.0]), at(1, 2, [7, 8], 1)).json()["done"] == 1
    project = studio.desk.get(head["id"]).project
    found = wait(lambda: _read(project), 10)
    assert found.points[1, 0, 0].tolist() == [3.5, 4.0]
    assert found.points[1, 1, 2].tolist() == [7.0, 8.0]
    assert np.isfinite(found.points).sum() == 4
    level = found.image(1).mean()
    assert abs(level - 4 * head["frames"][1]["frame"]) < 4, "the picture is that frame"


def _read(project):
    found = read_labels(project, usable=False)
    return found if np.isfinite(found.points).any() else None


def test_what_was_answered_survives_a_kill(client, begun, studio):
    """The next studio reads the points even if the project was not written any more."""
    edit(client, begun, at(0, 1, [9.25, 2.0]))
    id = begun.rpartition("/")[2]
    studio.desk._open[id]._timer.cancel()  # as a kill would
    studio.desk._open.clear()
    assert client.get(begun).json()["points"][0][0][1] == [9.25, 2.0]


def test_every_correction_is_logged(client, begun):
    edit(client, begun, at(0, 1, [9, 2]))
    edit(client, begun, at(0, 1, [8, 2], origin="swap"), who="cd")
    edit(client, begun, at(0, 1, None))
    last, swap, first = client.get(f"{begun}/log").json()
    assert (first["from"], first["to"], first["who"]) == (None, [9.0, 2.0], "ab")
    assert (swap["from"], swap["to"], swap["who"], swap["origin"]) == (
        [9.0, 2.0], [8.0, 2.0], "cd", "swap",
    )  # fmt: skip
    assert (last["from"], last["to"], last["point"]) == ([8.0, 2.0], None, "ear_l")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (at(99, 0, [1, 2]), "frame"), (at(0, 3, [1, 2]), "point"), (at(0, 0, [1]), "to"),
        (at(0, 0, "x"), "to"), (at(True, 0, None), "frame"), ({}, "frame"),
    ],
)  # fmt: skip
def test_a_wrong_edit_changes_nothing(client, begun, wrong, says):
    answer = edit(client, begun, at(0, 0, [1, 1]), wrong)
    assert answer.status_code == 422
    assert says in message(answer)
    assert client.get(begun).json()["done"] == 0


def test_frames_are_added_and_points_stay(client, begun):
    edit(client, begun, at(2, 0, [5, 6]))
    added = client.post(f"{begun}/frames", json={"how": "hand", "numbers": [0, 29]}).json()
    assert added == {"added": 2}
    head = client.get(begun).json()
    assert head["total"] == 6
    assert {0, 29} < {frame["frame"] for frame in head["frames"]}
    points = [p for frame in head["points"] for animal in frame for p in animal if p]
    assert points == [[5.0, 6.0]]


def test_a_run_keeps_the_points_it_was_given(client, begun, place, studio, monkeypatch):
    asked = []
    monkeypatch.setattr(studio, "start", lambda *words: asked.append(words[1]) or {"id": "run"})
    edit(client, begun, at(0, 0, [5, 6]))
    client.post(f"{begun}/train", json={})
    edit(client, begun, at(0, 0, [9, 9]))
    client.post(f"{begun}/frames", json={"how": "hand", "numbers": [0, 29]})
    studio.desk.get(begun.rpartition("/")[2]).flush()
    found = read_labels(place.root / asked[0])
    assert found.points[0, 0, 0].tolist() == [5.0, 6.0]
    assert found.image(0).shape == (48, 64, 3)
    client.post(f"{begun}/train", json={})
    assert read_labels(place.root / asked[1]).points[0, 0, 0].tolist() == [9.0, 9.0]
    assert asked[0] != asked[1]


def test_names_are_asked_for(client, place):
    video(place.root / "in")
    wanted = {"kind": "keypoints", "data": "in/clip.mp4", "options": {"keypoints": "nose, nose"}}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 422
    assert "'nose' stands twice" in message(answer)
    wanted["options"] = {"keypoints": "nose, tail", "bones": "nose-tale"}
    assert "tail" in message(client.post("/api/labels", json=wanted))
    assert client.get("/api/labels").json() == []
    folder = place.root / "labels"
    assert not folder.exists() or not list(folder.iterdir()), "nothing is left behind"


PLACES = {"slp": ("slp", "a.slp"), "package": ("slp", "a.pkg.slp"), "coco": ("coco", "a.json"),
          "lightning-pose": ("lightning-pose", "")}  # fmt: skip


@pytest.mark.parametrize("kind", PLACES)
def test_projects_of_other_programs_keep_their_format(client, begun, place, studio, kind):
    """Begun, corrected and read back in the format it came in; the source stays as it is."""
    edit(client, begun, *(at(k, 0, [5 + k, 6]) for k in range(4)))
    work = studio.desk.get(begun.rpartition("/")[2])
    work.flush()
    one = work.labels
    one = replace(one, points=work.points[:, :1], individuals=one.individuals[:1])
    format, name = PLACES[kind]
    target = place.root / "theirs" / name
    target.parent.mkdir(exist_ok=True)
    write_labels(one, target, format)
    before = read_labels(target, usable=False).points
    wanted = {"kind": "keypoints", "data": str(target.relative_to(place.root))}
    answer = client.post("/api/labels", json=wanted)
    assert answer.status_code == 201, answer.text
    address = f"/api/labels/{answer.json()['id']}"
    assert edit(client, address, at(2, 0, [11, 12])).status_code == 200
    copy = studio.desk.get(answer.json()["id"])
    copy.flush()
    found = read_labels(copy.place, usable=False)
    assert found.points[2, 0, 0].tolist() == [11.0, 12.0]
    assert found.source == one.source or found.source == copy.facts["format"]
    assert np.array_equal(read_labels(target, usable=False).points, before, equal_nan=True)
    assert client.get(f"{address}/part/frame?row=2").headers["content-type"] == "image/jpeg"


def test_labels_without_pictures_are_refused(client, begun, place, studio):
    edit(client, begun, *(at(k, 0, [5 + k, 6]) for k in range(4)))
    work = studio.desk.get(begun.rpartition("/")[2])
    work.flush()
    write_labels(work.labels, place.root / "bare.nwb", "nwb")
    answer = client.post("/api/labels", json={"kind": "keypoints", "data": "bare.nwb"})
    assert answer.status_code == 422
    assert "no picture is known" in message(answer)


def test_offers_and_deletion(client, begun):
    offers = client.get("/api/label-offers").json()
    assert ("in/clip.mp4", "video") in {(one["path"], one["is"]) for one in offers}
    assert client.delete(begun).status_code == 200
    assert client.get(begun).status_code == 404
    assert client.get("/api/labels").json() == []


def test_projects_and_suggestions_are_offered(client, begun, place, studio):
    """A project two folders down, and one that a run of pose.suggest left; not what is inside."""
    work = studio.desk.get(begun.rpartition("/")[2])
    shutil.copytree(work.project, place.root / "theirs" / "mouse")
    shutil.copytree(work.project, place.runs / "suggest-1" / "artifacts" / "to-label")
    offers = {
        one["path"]: (one["name"], one["is"]) for one in client.get("/api/label-offers").json()
    }
    assert offers == {
        "theirs/mouse": ("mouse", "project"),
        "runs/suggest-1/artifacts/to-label": ("suggest-1", "suggested by a run"),
        "in/clip.mp4": ("clip.mp4", "video"),
    }
    data = "runs/suggest-1/artifacts/to-label"
    answer = client.post("/api/labels", json={"kind": "keypoints", "data": data})
    assert answer.status_code == 201, answer.text
    assert answer.json()["total"] == 4


def test_suggestions_without_a_point_are_not_offered(client, place):
    """COCO's of a run without tracks: the bench would refuse them."""
    made = place.runs / "suggest-1" / "artifacts" / "to-label"
    made.mkdir(parents=True)
    categories = [{"id": 1, "name": "rat", "keypoints": ["nose"]}]
    held = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [],
            "categories": categories}  # fmt: skip
    (made / "coco.json").write_text(json.dumps(held))
    found = client.get("/api/label-offers").json()
    assert not [one for one in found if "to-label" in one["path"]]


def test_the_most_doubtful_frame_comes_first(client, begun, studio, place):
    """A prediction as `predict` leaves it; frame 2 has a label far from what the net found."""
    import pandas as pd

    edit(client, begun, at(2, 0, [60, 40]), at(1, 0, [10, 10]), at(3, 0, [10, 10]))
    work = studio.desk.get(begun.rpartition("/")[2])
    work.pictures()
    rows = [
        {"video": "64x48x3", "frame": frame, "individual": "a", "keypoint": name,
         "x": 10.0 + 9 * k, "y": 10.0, "confidence": 0.9}
        for frame in range(4) for k, name in enumerate(("nose", "ear_l", "ear_r"))
    ]  # fmt: skip
    out = place.root / "said"
    out.mkdir()
    pd.DataFrame(rows).to_parquet(out / "predictions.parquet")
    found = work.doubts(out, place.runs / "pose-1")
    assert found["order"][0] == 2
    assert found["why"][2] == "nose: label and net disagree"
    assert found["points"][0][0][1] == [19.0, 10.0, 0.9]


def test_a_frame_whose_sides_are_exchanged_is_the_most_doubtful_though_the_net_learnt_it():
    """A net of few frames fits them all: what it finds says nothing of a label that is wrong."""
    rng = np.random.default_rng(0)
    body = np.array([[-5.5, -9.5], [-5.5, 8.5], [-30.0, 0.0]])
    walk = np.array([[60.0 + 12 * k, 50.0] for k in range(5)])[:, None]
    points = body + walk + rng.normal(0, 0.4, (5, 3, 2))
    points[2] = points[2][[1, 0, 2]]
    found = np.dstack([points, np.full((5, 3), 0.9)])[:, None]
    found[3, 0, 0, :2] += 60.0
    doubt, why = weigh(found, points[:, None], ("ear_l", "ear_r", "tail"), [(0, 1)])
    assert np.argsort(-doubt, kind="stable").tolist()[:2] == [2, 3]
    assert why[2] == "left and right fit the other frames the other way round"
    assert weigh(found, points[:, None], ("ear_l", "ear_r", "tail"))[0].argmax() == 3


def test_saving_is_quick(client, begun):
    edit(client, begun, at(0, 0, [1, 1]))
    took = []
    for k in range(20):
        start = time.perf_counter()
        edit(client, begun, at(0, 0, [k, 1]))
        took.append(time.perf_counter() - start)
    assert np.percentile(took, 95) < 0.2, json.dumps(took)
