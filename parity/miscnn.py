"""MIScnn: cross-validation, figures, tables and predictions from a few lines of Python."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pandas as pd

from neuroloom.core.files import read_json
from parity.harness import Check
from parity.hippocampus import CI_SIZE, fold, some
from parity.studies import scratch, study

TOOL = "MIScnn"
CASES, NEW = 40, 2
CV_DATA = f"MSD hippocampus: {CASES} cases of fold 1 in 3 folds, {NEW} of fold 0 to predict"
PROGRAM = """
import sys
from neuroloom.volumes import Segment
data, new, out, budget = sys.argv[1:]
run = Segment(model="unet", folds=3, budget=budget).run(data, out=out)
print(run.metrics)
run.predict(new, out=out + "-new")
"""


def lines() -> int:
    """Return the lines of the user's program."""
    return sum(bool(line.strip()) for line in PROGRAM.splitlines())


@cache
def carried_out(data: Path, budget: str = "3min") -> Path:
    """Run the program in a process of its own and return the folder of its run."""
    out = scratch() / "miscnn"
    cases = some(data, tuple(fold(data, 1)[:CASES]))
    new = some(data, tuple(fold(data, 0)[:NEW]), labels=False)
    words = [sys.executable, "-c", PROGRAM, str(cases), str(new), str(out), budget]
    subprocess.run(words, check=True, capture_output=True)
    return out


def lines_needed(data: Path, budget: str = "3min") -> float:
    """Return the lines of the program, or infinity if it left less than the job."""
    out = carried_out(data, budget)
    predicted = list(out.with_name(out.name + "-new").glob("hippocampus_*.nii.gz"))
    labels = [file for file in predicted if "_uncertainty" not in file.name]
    pictures = {file.stem for file in (out / "artifacts").glob("*.svg")}
    pictures |= {file.stem for file in (out / "artifacts").glob("*.png")}
    whole = len(labels) == NEW and "overlays" in pictures and (out / "report.html").is_file()
    return lines() if whole else float("inf")


def cases_scored(data: Path, budget: str = "3min") -> float:
    """Return the cases of the table that have a Dice, each while it was held out."""
    table = pd.read_csv(carried_out(data, budget) / "artifacts" / "cases.csv")
    return int(table.loc[table["dice"].notna(), "case"].nunique())


def dice_of_ci_size(data: Path, budget: str = "3min") -> float:
    """Return the Dice on unseen cases of a model that 40 cases and 3 minutes made."""
    run = study("volumes.segment", some(data, tuple(fold(data, 1)[:CASES])), folds=0, budget=budget)
    out = scratch() / f"judged-{run.folder.name}"
    if not out.exists():
        run.evaluate(some(data, tuple(fold(data, 0))), out=out)
    return float(read_json(out / "metrics.json")["dice"]["value"])


CHECKS = [
    Check(TOOL, "lines of Python for cross-validation, report, figures, tables and new labels",
          "<= 10", lines_needed, CV_DATA),
    Check(TOOL, "cases of the table that were scored while held out", f"== {CASES}", cases_scored,
          CV_DATA),
    Check(TOOL, "foreground Dice after 3 minutes with 40 cases", ">= 0.84", dice_of_ci_size,
          CI_SIZE),
]  # fmt: skip
