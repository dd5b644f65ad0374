"""NiftyTorch: classify volumes together with what a table says of each person."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.files import read_json
from neuroloom.learn.model import find_model
from parity.harness import Check
from parity.studies import scratch, study

TOOL = "NiftyTorch"
DATA = "MSD hippocampus, 120 cases; a class made of volume and a simulated age in equal parts"
NETS = ("alexnet", "vgg", "resnet", "shufflenet", "squeezenet", "xnornet")
FIELDS: dict[str, Any] = {"target": "group", "folds": 3, "budget": "12 epochs", "size": 32}


@cache
def table(data: Path) -> Path:
    """Write a manifest of 120 cases: age as drawn, group by the sum of volume and age."""
    from neuroloom.io.cases import find_cases

    found = find_cases(data / "volumes" / "msd_hippocampus")
    cases = found.cases[:120]
    volume = np.array([float(((truth := case.truth()) is not None) and (truth > 0).sum())
                       for case in cases])  # fmt: skip
    age = np.random.default_rng(0).normal(50, 12, len(cases))
    both = (volume - volume.mean()) / volume.std() + (age - age.mean()) / age.std()
    rows = {
        "image": [str(case.images[0]) for case in cases],
        "subject": [case.name for case in cases],
        "age": age.round(1),
        "group": np.where(both > np.median(both), "patient", "control"),
    }
    file = scratch() / "niftytorch.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


def auc(data: Path, **fields: Any) -> float:
    """Return the AUC of a net."""
    run = study("volumes.classify", table(data), **(FIELDS | fields))
    return float(read_json(run.folder / "metrics.json")["auc"]["value"])


def fusion_gain(data: Path) -> float:
    """Return the AUC of image and age together less that of the image alone."""
    return auc(data, tabular=["age"]) - auc(data)


def nets_that_learn(data: Path) -> float:
    """Return how many of the tool's nets are there and take volumes with a table."""
    facts = {"channels": ["image"], "shape": [32, 40, 32], "n_table": 1, "unit_volume": 1.0}
    x = np.random.default_rng(0).normal(size=(4, 2, 32, 40, 32)).astype(np.float32)
    made = [find_model(name, "grid").make(facts, "classification", 2) for name in NETS]
    return float(sum(learner.predict_scores(x).shape == (4, 2) for learner in made))


CHECKS = [
    Check(TOOL, "AUC of image and table together beyond that of the image alone", ">= 0.02",
          fusion_gain, DATA),
    Check(TOOL, "nets of the tool that take volumes with a table", "== 6", nets_that_learn),
]  # fmt: skip
