"""The command, its answer, and two finished runs that several tests look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuroloom.apps.cli import main
from tests import makers

DECODE = ("run", "signals.decode")
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
CSP = ("--model", "csp-lda", "--stop", "1", "--split", "run")


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def neuroloom(capfd) -> Callable[..., Answer]:
    """Run a command in this process."""

    def run(*words: object) -> Answer:
        capfd.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def refused(neuroloom, tmp_path) -> Callable[..., str]:
    """Expect exit code 2 and one message that holds `says`; nothing is printed or written."""

    def run(*words: object, says: tuple[str, ...] | str = ()) -> str:
        before = snapshot(tmp_path)
        answer = neuroloom(*words)
        assert answer.code == 2, answer
        assert answer.out == ""
        assert "Traceback" not in answer.err
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("neuroloom: ")
        for word in (says,) if isinstance(says, str) else says:
            assert word in lines[0]
        assert snapshot(tmp_path) == before
        return lines[0]

    return run


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return every path below `folder` with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Three runs of one subject; nothing may write there."""
    return makers.write_runs(tmp_path_factory.mktemp("given") / "data", effect=4.0)


@pytest.fixture(scope="session")
def csp(data, tmp_path_factory) -> Path:
    """A finished run of CSP+LDA."""
    out = tmp_path_factory.mktemp("runs") / "csp"
    assert main([*DECODE, str(data), *CSP, "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture(scope="session")
def net(data, tmp_path_factory) -> Path:
    """A finished run of EEGNet, barely trained."""
    out = tmp_path_factory.mktemp("runs") / "net"
    words = ["--model", "eegnet", "--stop", "1", "--budget", "2 epochs", "--quiet"]
    assert main([*DECODE, str(data), *words, "--out", str(out)]) == 0
    return out


def mounted(folder: Path, *options: str) -> Path:
    folder.mkdir()
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode()}")
    return folder


@pytest.fixture
def disk(tmp_path):
    """Mount a disk of a given size; unmounted in the end."""
    places: list[Path] = []

    def mount(*options: str) -> Path:
        places.append(mounted(tmp_path / f"disk{len(places)}", *options))
        return places[-1]

    if not AS_ROOT or sys.platform != "linux":
        pytest.skip("mounting needs root on Linux")
    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)
