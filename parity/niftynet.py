"""NiftyNet: one set of settings, and its nets by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from neuroloom.core.recipe import read_yaml
from neuroloom.core.run import Run
from parity.harness import Check
from parity.hippocampus import fold, some
from parity.studies import metric, study

TOOL = "NiftyNet"
NETS = ("highresnet", "vnet", "deepmedic", "unet")
LEARNT, JUDGED = 40, 10
DATA = f"MSD hippocampus: {LEARNT} cases of fold 1 to learn from, {JUDGED} of fold 0 to judge on"
# A short course of small patches, so that four nets take minutes: no net shows what it can.
SHORT: dict[str, Any] = {
    "budget": "200 steps", "plan": {"patch": "24,32,24", "features": "8", "batch": "2"},
}  # fmt: skip


def learnt(data: Path, model: str, **fields: Any) -> Run:
    """Return the run of one net; nothing but `model` differs."""
    names = tuple(fold(data, 1)[:LEARNT]), tuple(fold(data, 0)[:JUDGED])
    place = some(data, names[0] + names[1])
    return study("volumes.segment", place, test=list(names[1]), model=model, **SHORT | fields)


def worst_dice(data: Path, **fields: Any) -> float:
    """Return the lowest foreground Dice of the four nets."""
    return min(metric(learnt(data, net, **fields), "dice") for net in NETS)


def least_gain(data: Path, **fields: Any) -> float:
    """Return by how much the worst net is beyond the linear model of single voxels."""
    runs = [learnt(data, net, **fields) for net in NETS]
    return min(metric(run, "dice") - metric(run, "dice", "baseline") for run in runs)


@cache
def settings_changed(data: Path) -> float:
    """Return how many settings of the four recipes differ, as stored in the runs."""
    stored = [read_yaml(learnt(data, net).folder / "recipe.yaml")[0].model_dump() for net in NETS]
    return sum(any(one[key] != stored[0][key] for one in stored) for key in stored[0])


CHECKS = [
    Check(TOOL, "settings that differ between runs of HighRes3DNet, V-Net, DeepMedic and U-Net",
          "== 1", settings_changed, DATA),
    Check(TOOL, "lowest foreground Dice of the four nets after 200 steps of small patches",
          ">= 0.6", worst_dice, DATA),
    Check(TOOL, "least Dice of the four beyond that of a linear model of voxels", ">= 0",
          least_gain, DATA),
]  # fmt: skip
