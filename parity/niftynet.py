"""NiftyNet: one set of settings, and its nets by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from neuroloom.core.recipe import read_yaml
from neuroloom.core.run import Run
from parity.harness import Check, minutes, spent
from parity.hippocampus import FOLD_0, segmented
from parity.studies import metric

TOOL = "NiftyNet"
NETS = ("highresnet", "vnet", "deepmedic", "unet")
DATA = f"{FOLD_0}; {spent(10)} a net"


def learnt(data: Path, model: str) -> Run:
    """Return the run of one net; nothing but `model` differs."""
    return segmented(data, model=model, budget=minutes(10))


def worst_dice(data: Path) -> float:
    """Return the lowest foreground Dice of the four nets."""
    return min(metric(learnt(data, net), "dice") for net in NETS)


def least_gain(data: Path) -> float:
    """Return by how much the worst net is beyond the linear model of single voxels."""
    runs = [learnt(data, net) for net in NETS]
    return min(metric(run, "dice") - metric(run, "dice", "baseline") for run in runs)


@cache
def settings_changed(data: Path) -> float:
    """Return how many settings of the four recipes differ, as stored in the runs."""
    stored = [read_yaml(learnt(data, net).folder / "recipe.yaml")[0].model_dump() for net in NETS]
    return sum(any(one[key] != stored[0][key] for one in stored) for key in stored[0])


CHECKS = [
    Check(TOOL, "settings that differ between runs of HighRes3DNet, V-Net, DeepMedic and U-Net",
          "== 1", settings_changed, DATA),
    Check(TOOL, "lowest foreground Dice of the four nets",
          ">= 0.86", worst_dice, DATA),
    Check(TOOL, "least Dice of the four beyond that of a linear model of voxels", ">= 0",
          least_gain, DATA),
]  # fmt: skip
