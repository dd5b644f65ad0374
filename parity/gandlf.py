"""GaNDLF: classification and regression of volumes from the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuroloom.core.files import read_json
from parity.harness import Check, minutes, spent
from parity.studies import study

TOOL = "GaNDLF"
DATA = "MSD hippocampus, 208 cases, 5 folds"
MEAN_VOLUME = 3295.0
FIELDS: dict[str, Any] = {"target": "label:volume", "folds": 5}


def metric(recipe: str, data: Path, name: str, **fields: Any) -> float:
    """Return a metric of a whole-image study of the volume of the hippocampus."""
    run = study(recipe, data / "volumes" / "msd_hippocampus", **(FIELDS | fields))
    return float(read_json(run.folder / "metrics.json")[name]["value"])


def volume_error(data: Path) -> float:
    """Return the mean absolute error of the volume over the mean volume."""
    return metric("volumes.regress", data, "mae", budget=minutes(5)) / MEAN_VOLUME


def large_or_small(data: Path) -> float:
    """Return the AUC of large against small hippocampi."""
    return metric("volumes.classify", data, "auc", budget=minutes(2))


def shuffled(data: Path) -> float:
    """Return how far chance lies outside the interval when labels are dealt anew (0: inside)."""
    place = data / "volumes" / "msd_hippocampus"
    run = study("volumes.classify", place, **FIELDS, model="pca", shuffle=True)
    auc = read_json(run.folder / "metrics.json")["auc"]
    return max(0.0, auc["low"] - 0.5, 0.5 - auc["high"])


CHECKS = [
    Check(TOOL, "mean absolute error of the volume told from the image, of the mean", "<= 0.05",
          volume_error, f"{DATA}; {spent(5)}"),
    Check(TOOL, "AUC of large against small", ">= 0.95", large_or_small,
          f"{DATA}; {spent(2)}"),
    Check(TOOL, "distance of chance from the interval when labels are dealt anew", "<= 0",
          shuffled, DATA),
]  # fmt: skip
