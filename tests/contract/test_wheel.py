"""A wheel built here, installed in an empty environment, runs the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.long


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return what it printed; its words are shown where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)  # the wheel from the sdist
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment that holds the wheel and nothing of ours."""
    home = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", home)
    folder = home / ("Scripts" if os.name == "nt" else "bin")
    pins = {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    run(
        folder / "python", "-m", "pip", "install", "--quiet", f"{wheel}[signals]",
        env=os.environ | pins, cwd=home,
    )  # fmt: skip
    return folder


def test_wheel_is_pure_and_whole(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "neuroloom/py.typed",
        "neuroloom/catalogue/tools.csv",
        "neuroloom/catalogue/results.csv",
    } <= inside
    outside = {name for name in inside if not name.startswith(("neuroloom/", "neuroloom-"))}
    assert not outside


def test_wheel_knows_its_parity(scripts: Path, tmp_path: Path) -> None:
    code = "from neuroloom.catalogue.parity import load_parity; print(len(load_parity()))"
    printed = run(scripts / "python", "-c", code, cwd=tmp_path)
    table = (ROOT / "parity" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert int(printed) == len(table) - 1


def test_wheel_runs_the_demo(scripts: Path, tmp_path: Path) -> None:
    run(scripts / "neuroloom", "demo", "--out", tmp_path / "demo", cwd=tmp_path)
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "<html" in page.lower()
