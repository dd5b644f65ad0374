"""Whatever is sent: refused in words or carried out, never broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from neuroloom.io.video import write_video

ODD = [
    None, True, -1, 10**30, 1.5, "", "x", "\ud800", "a\tb\n", "٣", [], [[]], [1], {}, {"a": 1},
    ["a", "a"], [None], "../..", "a" * 5000,
]  # fmt: skip
BEGIN = {
    "keypoints": ("in/m.mp4", {"keypoints": "a, b", "bones": "a-b", "individuals": "x",
                               "how": "hand", "numbers": [0, 1], "count": 2}),
    "masks": ("in/pictures/p0.png", {"labels": "a", "mask": "in/pictures/p1.png"}),
    "bouts": ("in/m.mp4", {"behaviours": "a", "subjects": "s", "events": "in/e.csv"}),
    "classes": ("in/pictures", {"classes": "a, b"}),
}  # fmt: skip
EDITS = {
    "keypoints": [{"frame": 0, "individual": 0, "point": 0, "to": [1, 2], "origin": "hand"}],
    "masks": [{"image": 0, "axis": 0, "index": 0, "runs": [[0, 1, 1]], "tool": "fill"},
              {"label": "z", "number": 1}],
    "bouts": [{"op": "put", "id": "1", "start": 0, "stop": 1, "behaviour": "a", "subject": "s",
               "comment": "c"},
              {"op": "behaviour", "name": "n", "kind": "point", "key": "n"},
              {"op": "subject", "name": "t"}, {"op": "remove", "id": "1"}],
    "classes": [{"image": 0, "to": "a"}, {"class": "c"}],
}  # fmt: skip
PARTS = {
    "keypoints": ("frame", {"row": "0"}), "bouts": ("x", {}),
    "masks": ("slice", {"image": "0", "axis": "0", "index": "0"}),
    "classes": ("image", {"image": "0", "axis": "0", "share": "5"}),
}  # fmt: skip


@pytest.fixture
def source(place):
    folder = place.root / "in" / "pictures"
    folder.mkdir(parents=True)
    for k in range(2):
        Image.fromarray(np.full((6, 7), k, np.uint8)).save(folder / f"p{k}.png")
    frames = (np.full((16, 16, 3), k, np.uint8) for k in range(6))
    write_video(place.root / "in" / "m.mp4", frames, 25)
    (place.root / "in" / "e.csv").write_text("start,stop,behaviour\n0,0.1,b\n")


def post(client, address, body):
    sent = json.dumps(body).encode()  # half characters as escapes, which clients may send
    return client.post(address, content=sent, headers={"content-type": "application/json"})


def begin_oddly(client, kind, options):
    for name in options:
        for odd in ODD:
            body = {"kind": kind, "data": BEGIN[kind][0], "options": options | {name: odd}}
            answer = post(client, "/api/labels", body)
            assert answer.status_code < 500, (name, odd)
            if answer.status_code == 201:
                assert client.get(f"/api/labels/{answer.json()['id']}").status_code == 200
                client.delete(f"/api/labels/{answer.json()['id']}")


def edit_oddly(client, address, edit):
    for name in edit:
        for odd in ODD:
            answer = post(client, f"{address}/edits", {"edits": [edit | {name: odd}]})
            assert answer.status_code < 500, (edit, name, odd)


def look_oddly(client, address, what, asked):
    for name in asked:
        for odd in ("", "x", "-1", "²", "9" * 30, "1.5"):
            answer = client.get(f"{address}/part/{what}", params=asked | {name: odd})
            assert answer.status_code < 500, (name, odd)
    for format in ("", "x", "../../etc/passwd"):
        assert client.get(f"{address}/export", params={"format": format}).status_code < 500


def learn_oddly(client, address):
    odd = (
        ("frames", {"how": "hand", "numbers": [10**30]}), ("frames", {"data": "in/e.csv"}),
        ("predict", {"model": "x"}), ("train", {"fields": {"budget": []}}),
    )  # fmt: skip
    for rest, body in odd:
        assert post(client, f"{address}/{rest}", body).status_code < 500, rest


@pytest.mark.long
@pytest.mark.parametrize("kind", BEGIN)
def test_odd_values_never_break_anything(client, source, place, kind):
    data, options = BEGIN[kind]
    answer = post(client, "/api/labels", {"kind": kind, "data": data, "options": options})
    assert answer.status_code == 201, answer.text
    address = f"/api/labels/{answer.json()['id']}"
    begin_oddly(client, kind, options)
    for edit in EDITS[kind]:
        edit_oddly(client, address, edit)
    look_oddly(client, address, *PARTS[kind])
    learn_oddly(client, address)
    post(client, f"{address}/edits", {"edits": [EDITS[kind][0]], "who": "\ud800"})
    assert client.get(address).status_code == 200
    assert client.get(f"{address}/log").status_code == 200
    inside = {path.name for path in place.root.iterdir()}
    assert inside <= {"in", "labels", "runs", "uploads", "predictions", ".studio"}


@pytest.mark.parametrize("kind", BEGIN)
@pytest.mark.parametrize("data", ["in/e.csv", "in", "in/pictures", "in/m.mp4", "nowhere", ""])
def test_what_does_not_fit_a_kind_is_refused_in_words(client, source, kind, data):
    answer = post(client, "/api/labels", {"kind": kind, "data": data, "options": BEGIN[kind][1]})
    assert answer.status_code in (201, 404, 422)
    if answer.status_code != 201:
        assert answer.json()["message"]
