"""Runs that several checks read: each is carried out once, and its folder goes when Python ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from neuroloom.core import registry
from neuroloom.core.files import read_json
from neuroloom.core.run import Run

MOTOR = ("FC*", "C*")
FISTS_FEET = {
    "include": ("S001R06*", "S001R10*", "S001R14*"),
    "events": {"T1": "fists", "T2": "feet"},
    "start": 1.0,
    "stop": 4.0,
    "split": "run",
}
FISTS_FEET_DATA = "PhysioNet eegmmidb S001 R06 R10 R14, 45 trials, leave one run out"
P300 = {
    "include": ("P300*",),
    "events": {"1": "nontarget", "2": "target"},
    "stop": 0.8,
    "split": "run",
}
N170 = {"include": ("N170*",), "events": {"1": "house", "2": "face"}, "stop": 0.8, "split": "run"}
DREAMS_DATA = "DREAMS, 6 subjects x 30 min, leave one subject out"

_made: dict[str, Run] = {}


@cache
def scratch() -> Path:
    """Return a folder that lasts as long as the process."""
    return Path(_folder().name)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="parity-")


def study(recipe: str, data: Path | None, **fields: Any) -> Run:
    """Carry out a recipe on `data`, or return the run if the same was carried out before."""
    key = json.dumps([recipe, str(data), fields], sort_keys=True)
    if key not in _made:
        made = registry.load("recipe", recipe)(**fields)
        _made[key] = made.run(data, out=scratch() / f"run-{len(_made)}")
    return _made[key]


def fists_feet(data: Path, **fields: Any) -> Run:
    """Decode fists against feet on the motor electrodes, unless `fields` say otherwise."""
    return study(
        "signals.decode", data / "eeg" / "eegmmidb", **(FISTS_FEET | {"picks": MOTOR} | fields)
    )


def metric(run: Run, name: str, part: str = "value") -> float:
    """Return a score of a run, or its `part` "low", "high", "baseline", "chance"."""
    return float(read_json(run.folder / "metrics.json")[name][part])


def scored(recipe: str, place: str, name: str, **fields: Any) -> Callable[[Path], float]:
    """Return a measure: the score `name` of a recipe on the folder `place` of the test data."""
    return lambda data: metric(study(recipe, data / place, **fields), name)


def table(run: Run, name: str) -> pd.DataFrame:
    """Return a table of a run's artifacts."""
    return pd.read_csv(run.folder / "artifacts" / f"{name}.csv")
