"""The hippocampus of the Medical Segmentation Decathlon, as several checks use it."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from parity.studies import scratch, study

FOLD_0 = "MSD hippocampus, 208 cases, nnU-Net's official fold 0 of them held out"
CI_SIZE = "MSD hippocampus: 40 cases of fold 1 to learn from, the cases of fold 0 to judge on"


def folder(data: Path) -> Path:
    """Return the data set."""
    return data / "volumes" / "msd_hippocampus"


@cache
def reference(data: Path) -> dict[str, Any]:
    """Return nnU-Net's official splits and its Dice of every case."""
    return read_json(folder(data) / "nnunet_reference.json")


def fold(data: Path, number: int) -> list[str]:
    """Return the cases of an official fold that are here."""
    names = reference(data)["splits"][number]
    return [name for name in names if (folder(data) / "labels" / f"{name}.nii.gz").is_file()]


@cache
def some(data: Path, names: tuple[str, ...], labels: bool = True) -> Path:
    """Return a folder with these cases alone."""
    place = scratch() / f"cases-{abs(hash((names, labels))):x}"
    for half in ("images", "labels")[: 1 + labels]:
        (place / half).mkdir(parents=True)
        for name in names:
            shutil.copy(folder(data) / half / f"{name}.nii.gz", place / half)
    return place


def segmented(data: Path, number: int = 0, **fields: Any) -> Run:
    """Learn from all official folds but one, and judge on that one."""
    return study("volumes.segment", folder(data), test=fold(data, number), **fields)


def dice_of_cases(rows: pd.DataFrame) -> pd.Series:
    """Return the foreground Dice of every case from the counts of its classes."""
    own = rows[rows["role"] == "model"]
    dice = 2 * own["tp"] / (2 * own["tp"] + own["fp"] + own["fn"])
    return dice.groupby(own["example"]).mean()


def beside_nnunet(data: Path, run: Run) -> float:
    """Return the median over the cases of our Dice less nnU-Net's on the same case."""
    known = reference(data)["models"]["nnU-Net"]["cases"]
    ours = dice_of_cases(run.predictions)
    theirs = [np.mean([known[name][label] for label in ("1", "2")]) for name in ours.index]
    return float(np.median(ours.to_numpy() - theirs))
