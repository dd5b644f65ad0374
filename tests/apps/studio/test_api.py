"""The API: what it offers, in which words it refuses, and that it never breaks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from PIL import Image

from neuroloom.apps.studio.api import build_api
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import BusyError, Workspace
from neuroloom.core import registry
from neuroloom.core.files import write_json
from neuroloom.io.video import write_video
from tests import makers
from tests.apps.studio.conftest import TestClient, message, wait, write_table

OVER = ("done", "failed", "refused", "stopped")


def test_every_recipe_is_listed_and_described(client):
    names = [line["name"] for line in client.get("/api/recipes").json()]
    assert names == registry.names("recipe")
    found = client.get("/api/recipes/signals.decode").json()
    assert sum(field["basic"] for field in found["fields"]) <= 7
    assert found["json_schema"]["properties"]["budget"]["default"] == "5min"


def test_find_answers_in_plain_words(client):
    found = client.get("/api/find", params={"q": "I have EEG and want to score sleep"}).json()
    assert found[0]["recipe"] == "signals.stage"
    assert len(client.get("/api/find").json()) == len(registry.names("recipe"))
    assert client.get("/api/find", params={"q": "xyzzy"}).json() == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"trials": 1}, "trials: should be greater than or equal to 2, got 1."),
        ({"trails": 3}, "Did you mean 'trials'?"),
        ({"experiment": "motr"}, "Did you mean 'motor'?"),
        ({"self": 1}, "has no setting 'self'"),
    ],
)
def test_a_wrong_setting_is_refused_in_the_words_of_the_command_line(client, fields, says):
    answer = client.post("/api/runs", json={"recipe": "signals.simulate", "fields": fields})
    assert answer.status_code == 422
    assert says in message(answer)
    assert client.get("/api/runs").json() == []


def test_check_tells_each_field_its_problem_and_shows_the_command(client):
    address = "/api/recipes/signals.simulate/check"
    bad = client.post(address, json={"fields": {"trials": 1, "rate": 200}}).json()
    assert list(bad["problems"]) == ["trials"]
    assert "--rate 200.0" in bad["command"]
    good = client.post(address, json={"fields": {"channels": ["C3", "C4"]}}).json()
    assert good["problems"] == {}
    assert good["command"] == "neuroloom run signals.simulate --channels C3 --channels C4"
    assert "- C3" in good["yaml"]


def test_outline_says_what_a_run_would_do_or_why_it_would_not(client, place):
    data = place.root / "runs of one"
    makers.write_runs(data, runs=2, trials=6)
    address, fields = "/api/recipes/signals.decode/outline", {"model": "csp-lda", "stop": 1.0}
    found = client.post(address, json={"data": str(data), "fields": fields}).json()
    assert {"examples", "classes", "subjects", "model"} <= {row[0] for row in found["outline"]}
    assert {one["severity"] for one in found["findings"]} <= {"note", "warning", "objection"}
    answer = client.post(
        address, json={"data": str(data), "fields": fields | {"events": {"9": "x"}}}
    )
    assert answer.status_code == 422
    assert "9" in message(answer)


def test_unknown_things_are_404_with_the_nearest_name(client):
    for address in ("recipes/signals.decod", "runs/none", "models/none", "predictions/none",
                    "runs/none/report", "view/tabel?path=.", "nonsense"):  # fmt: skip
        answer = client.get(f"/api/{address}")
        assert answer.status_code == 404, address
        assert message(answer)
    assert "Did you mean 'signals.decode'?" in message(client.get("/api/recipes/signals.decod"))


def test_data_that_are_needed_or_missing_are_named(client):
    run = {"recipe": "signals.decode"}
    assert "needs DATA" in message(client.post("/api/runs", json=run))
    answer = client.post("/api/runs", json=run | {"data": "nowhere"})
    assert answer.status_code == 404
    assert "There is no 'nowhere'" in message(answer)


def test_a_run_from_start_to_report_model_and_deletion(client):
    """Two recordings are simulated by the real command, in a process of its own."""
    fields = {"trials": 2, "sessions": 1, "channels": ["C3", "C4", "Cz", "Pz", "Oz", "Fz"]}
    made = client.post("/api/runs", json={"recipe": "signals.simulate", "fields": fields})
    assert made.status_code == 201
    id = made.json()["id"]
    assert made.json()["settings"] == fields
    line = wait(lambda: (r := client.get(f"/api/runs/{id}").json())["state"] in OVER and r, 120)
    assert line["state"] == "done", line["message"]
    assert line["metrics"][0]["name"] == "lateralisation"
    assert line["settings"] == fields
    assert "--trials 2" in line["command"]
    report = client.get(f"/api/runs/{id}/report")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "Simulated" in report.text
    kept = client.get(f"/api/runs/{id}/artifacts").json()
    assert kept
    for row in kept:
        assert client.get(f"/api/runs/{id}/artifacts/{row['file']}").status_code == 200
    assert '"event": "done"' in client.get(f"/api/runs/{id}/log").text
    assert client.get(f"/api/runs/{id}/settings").json()["fields"] == fields
    found = client.get("/api/data", params={"path": f"runs/{id}"}).json()
    assert found["counts"] == {"signal": 1}
    assert found["labels"]["left"] == 1
    assert client.post(f"/api/runs/{id}/resume").status_code == 409
    assert client.delete(f"/api/runs/{id}").status_code == 200
    assert client.get(f"/api/runs/{id}").status_code == 404


def test_a_refusal_of_the_command_is_the_runs_message(client, place):
    write_table(place.root / "tables")
    run = {"recipe": "volumes.segment", "data": "tables"}
    id = client.post("/api/runs", json=run).json()["id"]
    line = wait(lambda: (r := client.get(f"/api/runs/{id}").json())["state"] in OVER and r, 120)
    assert line["state"] == "refused"
    assert "tables" in line["message"]
    assert not (place.runs / id).exists()
    assert line["can_resume"]


@pytest.fixture
def idle(place):
    """A studio that starts nothing: what became of a job is written by the test."""
    opened = Studio(place, at_once=0).open()
    yield opened
    opened.close()


def end(job, code, said=""):
    (job.folder / "err.txt").write_text(said)
    if code is not None:
        write_json(job.folder / "exit.json", {"code": code})
    write_json(job.folder / "started.json", {"pid": 1})


def test_a_resume_that_was_refused_says_why_and_not_why_the_run_ended_before(idle, place):
    folder = place.runs / "a"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("recipe: signals.simulate\n")
    write_json(folder / "status.json", {"state": "stopped", "error": "stopped by the user"})
    idle.resume("a")
    end(idle.queue.get("a"), 2, "neuroloom: /data is gone.\n")
    line = wait(lambda: (r := idle.run("a"))["state"] == "refused" and r)
    assert line["message"] == "/data is gone."


@pytest.mark.parametrize("kept", ["scans", "masks"])
def test_a_prediction_that_died_with_the_machine_is_done_again(place, kept):
    """Scans of videos are gone on with; what else was left would be refused as no empty folder."""
    out = place.predictions / "p"
    (out / kept).mkdir(parents=True)
    first = Studio(place, at_once=0).open()
    job = first.queue.add("p", ["predict", "--out", str(out)], kind="predict", model="a", data="b")
    end(job, None)
    first.close()
    again = Studio(place, at_once=0).open()
    job = again.queue.get("p")
    assert (job.state, job.words, job.revived) == ("waiting", ["predict", "--out", str(out)], 1)
    assert out.exists() == (kept == "scans")
    again.close()


def test_a_table_is_seen_by_windows(client, place):
    write_table(place.root / "tables")
    path = {"path": "tables/ages.csv"}
    head = client.get("/api/view/table", params=path).json()
    assert head["rows"] == 120
    assert [column["name"] for column in head["columns"]] == ["subject", "age", "note"]
    window = client.get("/api/view/table/window", params=path | {"start": 118, "count": 50})
    assert [row["subject"] for row in window.json()["rows"]] == ["s118", "s119"]
    falling = client.get("/api/view/table/window", params=path | {"sort": "-age", "count": 1})
    assert falling.json()["rows"][0]["age"] == 69
    assert client.get("/api/view/table/window", params=path | {"start": "x"}).status_code == 422


def test_uploads_lie_where_they_should_and_are_found(client, place):
    answer = client.post("/api/uploads?name=a.csv&folder=mine", content=b"x,y\n1,2\n")
    assert answer.json() == {"path": "uploads/mine/a.csv", "size": 8}
    assert client.post("/api/uploads?name=a.csv&folder=mine", content=b"").status_code == 409
    assert client.get("/api/data?path=uploads").json()["counts"] == {"table": 1}
    names = [entry["name"] for entry in client.get("/api/browse").json()]
    assert names == ["predictions", "runs", "uploads"]


def test_a_full_disk_is_foreseen(tmp_path):
    with pytest.raises(BusyError, match="are kept free"):
        Studio(Workspace(tmp_path, keep_free=2**62)).open()


def test_two_studios_do_not_share_a_workspace(studio, place):
    with pytest.raises(BusyError, match="Another studio"):
        Studio(place).open()


def test_200_requests_at_once_are_all_answered(client, place):
    write_table(place.root / "tables")
    addresses = ["/api/state", "/api/runs", "/api/recipes", "/api/data?path=tables", "/api/browse"]
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(client.get, addresses * 40))
    assert {answer.status_code for answer in found} == {200}


def fuzz(place: Workspace, examples: int) -> None:
    """Let schemathesis try the API on a studio with something of each kind, that starts nothing."""
    studio = Studio(place)
    studio.queue._start_waiting = lambda: None
    studio.open()
    app = build_api(studio)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    there = furnish(place, TestClient(app))
    outside = place.root.parent
    (outside / "secret").write_text("secret")
    try:
        for operation in schema.get_all_operations():
            run_one(operation.ok(), there, examples)
    finally:
        studio.close()
    assert {path.name for path in outside.iterdir()} == {"secret", place.root.name}
    assert (outside / "secret").read_text() == "secret"


def furnish(place: Workspace, client: TestClient) -> dict[str, list[str]]:
    """Put files, labelling, a run and jobs there; return what made-up requests may be about."""
    write_table(place.root / "tables")
    pictures = place.root / "pictures"
    pictures.mkdir()
    for k in range(2):
        Image.fromarray(np.full((6, 7), k, np.uint8)).save(pictures / f"p{k}.png")
    write_video(place.root / "m.mp4", (np.full((16, 16, 3), k, np.uint8) for k in range(6)), 25)
    done = place.runs / "done"
    (done / "artifacts").mkdir(parents=True)
    (done / "recipe.yaml").write_text("recipe: signals.simulate\n")
    (done / "status.json").write_text('{"state": "done"}')
    (done / "artifacts" / "a.csv").write_text("a\n1\n")
    begin = {
        "keypoints": ("m.mp4", {"keypoints": "a, b", "how": "even", "count": 2}),
        "masks": ("pictures/p0.png", {"labels": "a"}), "bouts": ("m.mp4", {"behaviours": "a"}),
        "classes": ("pictures", {"classes": "a, b"}),
    }  # fmt: skip
    labels = []
    for kind, (data, options) in begin.items():
        wanted = {"kind": kind, "data": data, "options": options}
        labels.append(client.post("/api/labels", json=wanted).json()["id"])
    waiting = client.post("/api/runs", json={"recipe": "signals.simulate"}).json()["id"]
    return {
        "/labels/": labels, "/runs/": ["done", waiting], "/recipes/": registry.names("recipe"),
        "/view/": ["table", "signal", "volume", "video", "graph"], "/models/": ["done"],
        "what": ["frame", "slice", "mask", "image", "tile"], "file": ["a.csv"],
        "path": [".", "tables/ages.csv", "m.mp4", "pictures", "pictures/p0.png", "runs/done"],
    }  # fmt: skip


def run_one(operation, there: dict[str, list[str]], examples: int) -> None:
    """Try one operation of the API with made-up requests, half of them about what is there."""
    if operation.path.endswith(("/demo", "/outline")):
        return
    own = next((names for key, names in there.items() if f"/api{key}" in operation.path), ["done"])

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), data=strategies.data())
    def tried(case, data):
        for key in ("id", "name", "kind", "what", "file"):
            if key in case.path_parameters and data.draw(strategies.booleans()):
                known = there.get(key, own)
                case.path_parameters[key] = data.draw(strategies.sampled_from(known))
        if "path" in case.query and data.draw(strategies.booleans()):
            case.query["path"] = data.draw(strategies.sampled_from(there["path"]))
        answer = case.call()
        assert answer.status_code < 500, f"{case.as_curl_command()} -> {answer.text[:500]}"

    tried()


def test_made_up_requests_never_break_it(place):
    fuzz(place, 3)


@pytest.mark.long
def test_many_made_up_requests_never_break_it(place):
    fuzz(place, int(os.environ.get("NEUROLOOM_FUZZ", "150")))
