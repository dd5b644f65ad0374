"""NeuroCAAS on one's own machine: data and settings in, a record out that gives the same elsewhere.

Its place in the cloud is another job (`cluster`); here is what an analysis promises wherever it
runs: a machine without a past, a folder that says all, and the same numbers from it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from parity.doors import Door, door, neuroloom
from parity.harness import Check
from parity.studies import scratch

TOOL = "NeuroCAAS"
DATA = "simulated EEG (demo data of signals.decode): EEGNet, 12 epochs, sent over HTTP"
RECORD = (
    "recipe.yaml", "dataset.json", "environment.json", "log.jsonl", "predictions.parquet",
    "metrics.json", "model.safetensors", "card.md", "report.html", "status.json",
)  # fmt: skip
FIELDS = {"model": "eegnet", "budget": "12 epochs"}


@cache
def sent(data: Path, turn: int = 0) -> tuple[Door, Path]:
    """Send data and settings; returns the studio and the folder that came of it."""
    where = door(data)
    made = where.ask("recipes/signals.decode/demo", {})
    line = where.run("signals.decode", made["data"], **(made["fields"] | FIELDS))
    return where, where.folder / "runs" / line["id"]


@cache
def elsewhere(data: Path) -> Path:
    """Carry out the record again in another folder and process; returns the new run."""
    _, run = sent(data)
    place = scratch() / "elsewhere"
    shutil.copytree(run, place / "run")
    neuroloom("replay", str(place / "run"), "--out", str(place / "again"), "--quiet")
    return place / "again"


def numbers_that_differ(data: Path) -> float:
    """Return how many predictions and metrics differ between the run and its replay."""
    (_, run), again = sent(data), elsewhere(data)
    first, second = (pd.read_parquet(one / "predictions.parquet") for one in (run, again))
    differ = int((first != second)[~(first.isna() & second.isna())].to_numpy().sum() > 0)
    ours, theirs = (json.loads((one / "metrics.json").read_text()) for one in (run, again))
    return float(differ + sum(ours[name] != theirs.get(name) for name in ours))


def weights_that_differ(data: Path) -> float:
    """Return whether a job after other jobs leaves other weights: a machine with a past."""
    where, run = sent(data)
    where.run("signals.simulate", "", trials=4, sessions=1)
    _, later = sent(data, 1)
    first, second = ((one / "model.safetensors").read_bytes() for one in (run, later))
    return float(first != second)


def lacking_from_the_record(data: Path) -> float:
    """Return how many files a run's folder lacks, and input files whose hash it has wrong."""
    where, run = sent(data)
    lacking = sum(not (run / name).is_file() for name in RECORD)
    told: dict[str, Any] = json.loads((run / "dataset.json").read_text())["files"]
    root = where.folder / where.ask("recipes/signals.decode/demo", {})["data"]
    for name, kept in told.items():
        said = kept["sha256"] if isinstance(kept, dict) else kept
        found = hashlib.sha256((root / name).read_bytes()).hexdigest()
        lacking += not found.startswith(str(said).removeprefix("sha256:"))
    return float(lacking + (not told))


def versions_not_told(data: Path) -> float:
    """Return how many of the libraries that matter the record does not give a version of."""
    _, run = sent(data)
    told = (run / "environment.json").read_text()
    return float(sum(name not in told for name in ("neuroloom", "torch", "numpy", "python")))


CHECKS = [
    Check(
        TOOL, "predictions and metrics that differ when the record is carried out elsewhere",
        "== 0", numbers_that_differ, DATA,
    ),
    Check(
        TOOL, "whether the same job leaves other weights after other jobs (history effects)",
        "== 0", weights_that_differ, DATA,
    ),
    Check(
        TOOL, f"of {len(RECORD)} files of a record those lacking, and inputs with a wrong SHA-256",
        "== 0", lacking_from_the_record, DATA,
    ),
    Check(
        TOOL, "of neuroloom, torch, numpy and Python those whose version the record does not tell",
        "== 0", versions_not_told, DATA,
    ),
]  # fmt: skip
