"""A command answers at once: no heavy library before it is needed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

from neuroloom.core.registry import RECIPES

HEAVY = ("torch", "mne", "scipy", "matplotlib", "sklearn", "pyriemann", "captum")
BAR_S = 0.5
LOADED_MACHINE = 4.0  # tests share their cores; the bar itself is for a quiet machine


def modules_after(code: str) -> set[str]:
    """Return the top-level packages loaded once `code` has run in a fresh process."""
    tail = "\nimport sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


QUICK = (
    "--help", "run signals.decode --help", "predict --help", "recipes", "describe signals.decode",
    "models", "tools --like braindecode", "doctor",
)  # fmt: skip


def command(words: str) -> str:
    """Return code that runs a command and expects it to succeed."""
    return f"from neuroloom.apps.cli import main\nassert main({words.split()!r}) == 0"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import neuroloom", id="import"),
        *(pytest.param(command(words), id=words) for words in QUICK),
        pytest.param("import neuroloom.catalogue.search as s; s.load_tools()", id="catalogue"),
        *(
            pytest.param(f"import {place.partition(':')[0]}", id=name)
            for name, place in RECIPES.items()
        ),
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert not modules_after(code) & set(HEAVY)


@pytest.mark.parametrize(
    "command", [["-c", "import neuroloom"], ["-m", "neuroloom", "--help"]], ids=["import", "help"]
)
def test_start_is_quick(command: list[str]) -> None:
    seconds = [_time(command) for _ in range(4)][1:]
    assert statistics.median(seconds) < BAR_S * LOADED_MACHINE, seconds


def _time(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    return time.perf_counter() - started
