"""What the repository itself promises: pins, licences, one version, no private paths, no data."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import neuroloom

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = ["setup", "demo", "test", "test-long", "check", "parity", "bench", "docs"]
TEXT = {".py", ".md", ".rst", ".toml", ".txt", ".yaml", ".yml", ".cff", ".csv", ".html", ".css"}


def tracked() -> list[Path]:
    """Return the files under version control, or skip outside a checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    pinned = {normal(pin.partition("==")[0]) for pin in pins}
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    asked = {normal(re.split(r"[<>=!\[;]", need)[0].strip()) for group in groups for need in group}
    assert asked - {"neuroloom"} <= pinned
    assert not {name for name in pinned if name.startswith(("nvidia", "torchvision", "torchaudio"))}
    assert "torch==2.13.0" in pins


def test_core_needs_no_domain_library() -> None:
    core = {normal(re.split(r"[<>=]", need)[0]) for need in PROJECT["dependencies"]}
    assert not core & {"torch", "mne", "scipy", "scikit-learn", "matplotlib"}


def test_all_holds_every_domain() -> None:
    extras = PROJECT["optional-dependencies"]
    held = {name for need in extras["all"] for name in re.findall(r"[\w-]+", need.split("[")[-1])}
    reached = held | {
        name
        for extra in held
        for need in extras[extra]
        if need.startswith("neuroloom[")
        for name in re.findall(r"[\w-]+", need.split("[")[-1])
    }
    assert set(extras) - {"all", "dev", "docs"} <= reached


def test_one_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {neuroloom.__version__}\n" in citation
    assert PROJECT["dynamic"] == ["version"]


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "limitations under the License." in text


def test_make_knows_the_promised_targets() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not [name for name in TARGETS if not re.search(rf"^{name}:", text, re.MULTILINE)]
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"make .*\btest$", run, re.MULTILINE)


def test_no_private_paths() -> None:
    private = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/")
    for file in tracked():
        if file.suffix in TEXT or file.name in ("Makefile", "run"):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                where = f"{file.relative_to(ROOT)}:{number}"
                assert file == Path(__file__) or not private.search(line), f"{where}: {line}"


def test_no_recordings_and_nothing_big() -> None:
    data = {".edf", ".bdf", ".fif", ".set", ".vhdr", ".eeg", ".cnt", ".xdf", ".mat", ".nii", ".npz"}
    for file in tracked():
        assert file.suffix not in data, f"{file.relative_to(ROOT)}: recordings are not committed"
        assert file.stat().st_size < 2_000_000, f"{file.relative_to(ROOT)} is too big to commit"


def test_readme_shows_the_parity_table() -> None:
    from docs.parity_table import README, with_table

    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "run `make parity`, or python docs/parity_table.py"
