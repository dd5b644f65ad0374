"""ivadomed: contrasts that training did not have, doubt that flags errors, one subject's copies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.errors import DataError
from neuroloom.core.recording import volume
from neuroloom.core.run import Run
from neuroloom.io.images import read_image, write_image
from neuroloom.learn.dense.measures.overlap import dice
from neuroloom.volumes.segment import Segment
from parity.crops import score
from parity.harness import Check, minutes, spent
from parity.studies import scratch, study

TOOL = "ivadomed"
DATA = f"MSD hippocampus, 156 subjects in two drawn contrasts, 52 others in a third; {spent(10)}"
CORD = "ivadomed test data: one cord in three contrasts with one mask"
EVERY = 4  # each fourth subject is held out
BUDGET = minutes(10)  # as for the hippocampus in its own contrast; five minutes gave .837
FIELDS: dict[str, Any] = {"folds": 0, "contrasts": "any", "pattern": "{subject}_{session}"}


def as_it_is(voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the brightness from 0 to 1."""
    low, high = voxels.min(), voxels.max()
    return (voxels - low) / max(high - low, 1e-9)


def inverted(voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return dark for bright, raised to a random power between 0.6 and 1.6."""
    return (1 - as_it_is(voxels, rng)) ** rng.uniform(0.6, 1.6)


def looked_up(voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return brightness through a smooth random curve: a cubic through six random nodes."""
    from scipy.interpolate import PchipInterpolator

    curve = PchipInterpolator(np.linspace(0, 1, 6), rng.uniform(0, 1, 6))
    return np.asarray(curve(as_it_is(voxels, rng)))


RENDERED = {"plain": as_it_is, "inverted": inverted, "curve": looked_up}


@cache
def rendered(data: Path, folder: Path) -> Path:
    """Write images/ and labels/ of train (two contrasts) and test (the third, each its curve)."""
    place = data / "volumes" / "msd_hippocampus"
    files = sorted((place / "images").glob("*.nii.gz"))
    for number, file in enumerate(files):
        held_out = number % EVERY == 0
        for k, (name, render) in enumerate(RENDERED.items()):
            if held_out == (name == "curve"):
                part = folder / ("test" if held_out else "train")
                _write(part, place, file, render, np.random.default_rng([number, k]), name)
    return folder


def _write(
    part: Path, place: Path, file: Path, render: Any, rng: np.random.Generator, name: str
) -> None:
    image = read_image(file)
    label = read_image(place / "labels" / file.name)
    drawn = render(image.values[0].astype(np.float32), rng).astype(np.float32)
    stem = file.name.removesuffix(".nii.gz").replace("_", "")
    for half, voxels in (("images", drawn), ("labels", label.values[0])):
        (part / half).mkdir(parents=True, exist_ok=True)
        made = volume(voxels, image.attrs["affine"])
        write_image(part / half / f"{stem}_{name}.nii.gz", made)


@cache
def unseen(data: Path) -> pd.DataFrame:
    """Return the rows of the held-out subjects in the contrast that training did not have."""
    folder = rendered(data, scratch() / "contrasts")
    run = study("volumes.segment", folder / "train", budget=BUDGET, **FIELDS)
    return judged(run, folder)


def judged(run: Run, folder: Path) -> pd.DataFrame:
    """Return the rows of the model on the third contrast."""
    run.evaluate(folder / "test", run.folder.parent / f"{run.folder.name}-unseen")
    rows = pd.read_parquet(run.folder.parent / f"{run.folder.name}-unseen/predictions.parquet")
    return rows[rows["role"] == "model"]


def unseen_dice(data: Path) -> float:
    """Return the foreground Dice, mean over classes and cases."""
    rows = unseen(data)
    scores = dice(*(rows[name].to_numpy() for name in ("tp", "fp", "fn", "tn")))
    return float(pd.Series(scores).groupby(rows["example"].to_numpy()).mean().mean())


def unseen_auroc(data: Path) -> float:
    """Return the AUROC of the entropy for wrong voxels near the border, mean over cases."""
    return float(unseen(data).groupby("example")["error_auroc"].first().mean())


def one_subject(data: Path) -> float:
    """Return 1 if three contrasts of one subject with one mask are refused as evidence."""
    place = data / "volumes" / "ivadomed_testing"
    try:
        Segment(budget="10 steps", split="run").run(place, scratch() / "one-subject")
    except DataError as error:
        return float("evidence" in str(error))
    return 0.0


RATS = f"its SEM of rat cord: one animal to learn from, another to be judged on; {spent(5)}"

CHECKS = [
    Check(TOOL, "three contrasts of one subject with one mask are refused as evidence", "== 1",
          one_subject, CORD),
    Check(TOOL, "foreground Dice in a contrast that training did not have, other subjects",
          ">= 0.85", unseen_dice, DATA),
    Check(TOOL, "AUROC of the entropy for wrong voxels within 3 voxels of the predicted border",
          ">= 0.75", unseen_auroc, DATA),
    Check(TOOL, "Dice of axons of an animal that training did not have", ">= 0.82",
          score("rats", "microscopy.axon", "dice/axon", varied=True), RATS),
    Check(TOOL, "Dice of myelin of an animal that training did not have", ">= 0.80",
          score("rats", "microscopy.axon", "dice/myelin", varied=True), RATS),
]  # fmt: skip
