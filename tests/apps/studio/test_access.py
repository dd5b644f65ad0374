"""Who may come in, what may be brought, and that nothing lies where it should not."""

from __future__ import annotations

import errno
import os
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient, WebSocketDenialResponse

from neuroloom.apps.studio.access import Access
from neuroloom.apps.studio.api import build_api
from neuroloom.core.errors import ConfigError
from tests.apps.conftest import snapshot
from tests.apps.studio.conftest import message

SCRIPT = "<img src=x onerror=alert(1)>.csv"
TRAVERSALS = (
    "../../etc/passwd", "/etc/passwd", "runs/../../secret", "..\\..\\secret", "~root/.bashrc",
    ".studio/settings.json", "%2e%2e/secret", "\x00", "a\nb", "runs/" + "a" * 5000,
)  # fmt: skip


def guarded(studio, host="127.0.0.1", token=None) -> TestClient:
    app = Access(
        build_api(studio), host=host, port=1, token=token,
        most_upload=studio.workspace.most_upload,
    )  # fmt: skip
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


@pytest.fixture
def local(studio) -> TestClient:
    return guarded(studio)


@pytest.fixture
def remote(studio) -> TestClient:
    return guarded(studio, "0.0.0.0", "right-token")


def test_a_foreign_host_name_is_refused(local):
    """DNS rebinding: a page of evil.com whose name suddenly leads to this machine."""
    assert local.get("/api/state").status_code == 200
    answer = local.get("/api/state", headers={"host": "evil.com"})
    assert answer.status_code == 403
    assert local.get("/api/state", headers={"host": "[::1]:8642"}).status_code == 200
    assert local.get("/api/state", headers={"host": "localhost.evil.com"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.com"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
     {"origin": "http://localhost:9"}],
)  # fmt: skip
def test_another_page_cannot_post(local, headers):
    answer = local.post("/api/runs", json={"recipe": "signals.simulate"}, headers=headers)
    assert answer.status_code == 403
    assert local.get("/api/runs").json() == []


def test_its_own_page_can_post(local):
    address = "/api/recipes/signals.simulate/check"
    headers = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert local.post(address, json={}, headers=headers).status_code == 200


def test_another_page_cannot_open_a_socket(local):
    with (
        pytest.raises((WebSocketDenialResponse, Exception)) as refusal,
        local.websocket_connect("/_nicegui_ws/socket.io", headers={"origin": "http://evil.com"}),
    ):
        pass
    assert getattr(refusal.value, "code", 1008) == 1008


@pytest.mark.parametrize(
    "how",
    [{}, {"headers": {"authorization": "Bearer wrong"}}, {"params": {"token": "right-toke"}},
     {"cookies": {"neuroloom-1": "wrong"}}, {"params": {"token": "é"}}],
)  # fmt: skip
def test_a_wrong_token_is_refused(remote, how):
    answer = remote.get("/api/state", **how)
    assert answer.status_code == 401
    assert "right-token" not in answer.text


def test_the_token_becomes_a_cookie_and_leaves_the_address(remote):
    answer = remote.get("/runs", params={"token": "right-token", "q": "a"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/runs?q=a"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert remote.get("/api/state").status_code == 200
    bearer = {"authorization": "Bearer right-token"}
    remote.cookies.clear()
    assert remote.get("/api/state", headers=bearer).status_code == 200


def test_a_page_without_token_asks_for_it(remote):
    answer = remote.get("/runs")
    assert answer.status_code == 401
    assert '<input name="token"' in answer.text


def test_every_answer_forbids_foreign_content(local):
    policy = local.get("/api/state").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("door", ["data", "browse", "files", "view/table"])
def test_nothing_outside_can_be_read(local, place, path, door):
    place.root.parent.joinpath("secret").write_text("secret")
    answer = local.get(f"/api/{door}", params={"path": path})
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["../../etc/passwd", "%2e%2e%2f%2e%2e%2fsecret", "%2e%2e", "%00"])
def test_nothing_outside_a_run_can_be_read_or_deleted(local, place, path):
    (place.runs / "r" / "artifacts").mkdir(parents=True)
    (place.runs / "r" / "recipe.yaml").write_text("recipe: signals.simulate\n")
    before = snapshot(place.root.parent)
    for address in (f"/api/runs/r/artifacts/{path}", f"/api/runs/{path}/report"):
        assert local.get(address).status_code == 404
    assert local.delete(f"/api/runs/{path}").status_code == 404
    assert local.post(f"/api/runs/{path}/delete").status_code == 404
    assert snapshot(place.root.parent) == before


def test_a_link_that_leads_out_is_not_followed(local, place):
    place.root.parent.joinpath("secret").write_text("secret")
    (place.root / "link").symlink_to(place.root.parent / "secret")
    assert local.get("/api/files", params={"path": "link"}).status_code == 404


@pytest.mark.parametrize("name", ["../a", "a/b", "a\\b", ".hidden", "", "..", "nul.csv", SCRIPT])
def test_an_upload_has_a_plain_name(local, place, name):
    before = snapshot(place.root.parent)
    answer = local.post("/api/uploads", params={"name": name}, content=b"x")
    assert answer.status_code == 422
    answer = local.post("/api/uploads", params={"name": "a", "folder": name}, content=b"x")
    assert answer.status_code == 422 or not name  # no folder at all is fine
    after = snapshot(place.root.parent)
    after.pop("workspace/uploads/files", None), after.pop("workspace/uploads/files/a", None)
    assert after == before


def chunks():
    for _ in range(200):
        yield b"x" * 1000


@pytest.mark.parametrize("content", [b"x" * 200_000, chunks()], ids=["declared", "streamed"])
def test_an_oversized_upload_leaves_nothing(local, place, content):
    answer = local.post("/api/uploads?name=big.edf", content=content)
    assert answer.status_code == 413
    assert [p for p in place.uploads.rglob("*") if p.is_file()] == []


def test_a_disk_that_is_full_beforehand_takes_nothing(local, place):
    place.keep_free = 2**62
    for answer in (
        local.post("/api/uploads?name=a.csv", content=b"x"),
        local.post("/api/runs", json={"recipe": "signals.simulate"}),
        local.post("/api/recipes/signals.decode/demo", json={}),
    ):
        assert answer.status_code == 409
        assert "are kept free" in message(answer)
    assert [p for p in place.uploads.rglob("*") if p.is_file()] == []
    assert local.get("/api/state").json()["disk"]["low"] is True


def test_a_disk_that_fills_up_meanwhile_keeps_no_half_file(local, place, monkeypatch):
    async def no_space(work, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("neuroloom.apps.studio.api.run_in_threadpool", no_space)
    answer = local.post("/api/uploads?name=a.csv", content=b"x" * 1000)
    assert answer.status_code == 409
    assert "could not be kept" in message(answer)
    assert [p for p in place.uploads.rglob("*") if p.is_file()] == []


def test_an_oversized_body_is_refused(local):
    answer = local.post("/api/runs", content=b"x" * 3_000_000)
    assert answer.status_code == 413


def test_a_script_in_a_file_name_is_text(local, place):
    (place.root / SCRIPT).write_text("a,b\n1,2\n")
    listed = local.get("/api/browse")
    assert listed.headers["content-type"] == "application/json"
    assert SCRIPT in [entry["name"] for entry in listed.json()]
    kept = local.get("/api/files", params={"path": SCRIPT})
    assert "sandbox" in kept.headers["content-security-policy"]
    assert "text/html" not in kept.headers["content-type"]


def test_an_odd_name_that_is_no_unicode_is_shown(local, place):
    name = os.fsdecode(b"caf\xe9.csv")
    (place.root / name).write_text("a,b\n1,2\n")
    assert local.get("/api/browse").status_code == 200
    assert local.get("/api/data").json()["counts"] == {"table": 1}


def test_folders_are_added_from_this_machine_only(studio, place, tmp_path):
    (tmp_path / "more").mkdir()
    wanted = {"folder": str(tmp_path / "more")}
    app = build_api(studio, may_add_folders=False)
    assert TestClient(app).post("/api/folders", json=wanted).status_code == 409
    local = TestClient(build_api(studio))
    assert local.get("/api/data", params={"path": wanted["folder"]}).status_code == 404
    assert local.post("/api/folders", json=wanted).status_code == 200
    assert local.get("/api/data", params={"path": wanted["folder"]}).status_code == 200
    missing = local.post("/api/folders", json={"folder": str(tmp_path / "none")})
    assert missing.status_code == 422
    assert "There is no folder" in message(missing)


def test_a_workspace_that_cannot_be_made_is_refused(tmp_path):
    from neuroloom.apps.studio.workspace import Workspace

    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot serve as workspace"):
        Workspace(tmp_path / "file")
