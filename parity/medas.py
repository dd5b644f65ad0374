"""MeDaS: preprocessing, training, judging and predicting from a page, without a line of code."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from parity.deepinfer import mask_of, opened
from parity.doors import Door, door
from parity.harness import Check

TOOL = "MeDaS"
# Recipes whose demo data stand for the tasks that its modules were shown on.
TASKS = {
    "segmentation": "volumes.segment", "classification": "volumes.classify",
    "detection": "signals.detect", "radiomics": "volumes.radiomics",
}  # fmt: skip
PAINTED = "painted volumes (demo data of volumes.segment), over HTTP alone"


@cache
def chain(data: Path) -> tuple[Door, dict[str, Any], float]:
    """Change volumes, learn from the changed ones, all by what a page asks; and how long it took.

    Returns
    -------
    tuple
        The studio, the run that has learnt, and seconds from the first question to its report.
    """
    where = door(data)
    began = time.perf_counter()
    made = where.ask("recipes/volumes.segment/demo", {})
    changed = where.run("volumes.augment", made["data"], transforms=["flip", "noise"], copies=1)
    copies = f"runs/{changed['id']}/artifacts"
    learnt = where.run("volumes.segment", copies, **(made["fields"] | {"budget": "150 steps"}))
    where.get(f"runs/{learnt['id']}/report")
    return where, learnt, time.perf_counter() - began


def seconds_of_the_chain(data: Path) -> float:
    """Return how long it took."""
    return chain(data)[2]


def dice_of_the_chain(data: Path) -> float:
    """Return the Dice on held-out cases that the run's page shows."""
    rows = {row["name"]: row["value"] for row in chain(data)[1]["metrics"]}
    return float(rows["dice"])


def dice_of_an_unchanged_scan(data: Path) -> float:
    """Return the Dice of an unchanged scan dropped on the model, with its painted mask."""
    where, learnt, _ = chain(data)
    demo = where.folder / where.ask("recipes/volumes.segment/demo", {})["data"]
    scan = sorted((demo / "images").iterdir())[0]
    out = where.predict(learnt["id"], where.bring(scan, "medas"))
    mask = np.asarray(mask_of(out).dataobj) > 0
    truth = np.asarray(opened(demo / "labels" / scan.name).dataobj) > 0
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def lacking_from_reports(data: Path) -> float:
    """Return how many of four tasks lack a metric, an interval, a figure or a report."""
    where, lacking = door(data), 0
    for recipe in TASKS.values():
        made = where.ask(f"recipes/{recipe}/demo", {})
        line = where.run(recipe, made["data"], **made["fields"])
        page = where.get(f"runs/{line['id']}/report").decode()
        figures = [row for row in line["artifacts"] if row["file"].endswith(".png")]
        known = [row for row in line["metrics"] if row["low"] is not None]
        lacking += not (known and figures and "<html" in page)
    return float(lacking)


CHECKS = [
    Check(
        TOOL, "seconds from demo data through augmentation and training to the report, no code",
        "<= 180", seconds_of_the_chain, PAINTED,
    ),
    Check(
        TOOL, "Dice on held-out cases of the net that learnt from another run's output", ">= 0.85",
        dice_of_the_chain, PAINTED,
    ),
    Check(
        TOOL, "Dice of an unchanged scan dropped on that net", ">= 0.85",
        dice_of_an_unchanged_scan, PAINTED,
    ),
    Check(
        TOOL, f"of {len(TASKS)} tasks ({', '.join(TASKS)}), those that lack a metric with "
        "interval, a figure or a report", "== 0", lacking_from_reports,
        "demo data of each recipe",
    ),
]  # fmt: skip
