"""Downloads against local mirrors; PhysioNet itself is never asked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.io.recordings import fetch
from neuroloom.io.recordings.fetch import fetch_eegbci

CONTENT = b"a small recording"
SUMS = {"S001/S001R06.edf": hashlib.sha256(CONTENT).hexdigest()}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(folder: Path) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    (folder / "S001").mkdir(parents=True)
    (folder / "S001" / "S001R06.edf").write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(mirror: Path) -> Iterator[str]:
    running = serve(mirror)
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def test_folder_file_and_http_mirrors(tmp_path: Path, mirror: Path, server: str) -> None:
    for i, base in enumerate([str(mirror), mirror.as_uri(), str(mirror / "S001"), server]):
        got = fetch_eegbci(1, [6], tmp_path / str(i), base, SUMS)
        assert got == [tmp_path / str(i) / "S001R06.edf"]
        assert got[0].read_bytes() == CONTENT


def test_mirror_from_the_environment_and_no_second_fetch(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fetch.MIRROR, str(mirror))
    fetch_eegbci(1, [6], tmp_path / "out", checksums=SUMS)
    monkeypatch.setenv(fetch.MIRROR, str(tmp_path / "gone"))
    assert fetch_eegbci(1, [6], tmp_path / "out", checksums=SUMS)[0].is_file()


def test_wrong_checksum_is_not_kept(tmp_path: Path, mirror: Path) -> None:
    (mirror / "S001" / "S001R06.edf").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"expected the SHA-256"):
        fetch_eegbci(1, [6], tmp_path / "out", str(mirror), SUMS)
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_offline_and_out_of_range(
    tmp_path: Path, mirror: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match="holds neither"):
        fetch_eegbci(1, [7], tmp_path / "out", str(mirror), {"S001/S001R07.edf": "0"})
    with pytest.raises(RunError, match="cannot be downloaded"):
        fetch_eegbci(1, [7], tmp_path / "out", server, {"S001/S001R07.edf": "0"})
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    monkeypatch.setattr(fetch, "PHYSIONET", "http://127.0.0.1:9/files/eegmmidb/1.0.0/")
    with pytest.raises(RunError, match=r"seems to be offline.*NEUROLOOM_MIRROR"):
        fetch_eegbci(1, [6], tmp_path / "out")
    with pytest.raises(ConfigError, match="runs 1 to 14, got 15"):
        fetch_eegbci(1, [15], tmp_path / "out")
    with pytest.raises(ConfigError, match="subjects 1 to 109, got 0"):
        fetch_eegbci(0, [1], tmp_path / "out")


def test_shipped_checksums_fit_the_originals(tmp_path: Path, test_data: Path) -> None:
    got = fetch_eegbci(1, [6, 14], tmp_path, str(test_data / "eeg/eegmmidb"))
    assert [path.name for path in got] == ["S001R06.edf", "S001R14.edf"]


def test_the_path_through_mne(
    tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PhysioNet's address is replaced by a local server with its folders; all else is real."""
    site = tmp_path / "site/files/eegmmidb/1.0.0/S001"
    site.mkdir(parents=True)
    (site / "S001R06.edf").symlink_to(test_data / "eeg/eegmmidb/S001R06.edf")
    running = serve(tmp_path / "site")
    address = f"http://127.0.0.1:{running.server_port}/files/eegmmidb/1.0.0/"
    monkeypatch.setattr(fetch, "PHYSIONET", address)
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    got = fetch_eegbci(1, [6], tmp_path / "out")
    running.shutdown()
    assert got[0].stat().st_size == 2596896
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["S001R06.edf"]
