"""`neuroloom doctor` names what each extra lacks, and knows what the extras are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from neuroloom.apps.cli.lookup import NEEDS, doctor
from neuroloom.core import run
from neuroloom.core.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def extra(name: str) -> set[str]:
    """Return what an extra brings, with the extras that it names."""
    listed = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"][name]
    found: set[str] = set()
    for line in listed:
        inner = re.fullmatch(r"neuroloom\[(.*)\]", line)
        names = inner[1].split(",") if inner else []
        found |= set().union(*map(extra, names)) if inner else {re.split("[<>=]", line)[0]}
    return found


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_it_asks_for_what_the_extra_brings(name):
    assert set(NEEDS[name]) == extra(name)
    assert extra(name) <= set(run.LIBRARIES)


def without(monkeypatch, *gone: str) -> None:
    whole = run.environment()
    left = {k: v for k, v in whole["libraries"].items() if k not in gone}
    monkeypatch.setattr(run, "environment", lambda: whole | {"libraries": left})


def test_one_extra_is_enough(monkeypatch, capsys):
    without(monkeypatch, "mne", "openpyxl")
    assert doctor() == 0
    said = capsys.readouterr().out
    assert "All that volumes need is here." in said
    assert "For signals, mne not installed: pip install 'neuroloom[signals]'" in said
    assert "For microscopy, openpyxl not installed: pip install 'neuroloom[microscopy]'" in said


def test_nothing_usable_is_an_error_that_names_the_way_out(monkeypatch):
    without(monkeypatch, "torch")
    with pytest.raises(ConfigError, match=r"torch.*neuroloom\[volumes\]"):
        doctor()
