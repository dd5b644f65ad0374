"""braindecode: nets exact to their papers, and what they reach on real motor imagery and sleep.

Claims from braindecode's own table of models and its acceptance test on PhysioNet's recordings.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from parity.harness import ROOT, Check
from parity.studies import (
    DREAMS_DATA,
    FISTS_FEET_DATA,
    fists_feet,
    metric,
    scored,
)

TOOL = "braindecode"
BAND = (8.0, 30.0)
SPEED_DATA = "PhysioNet eegmmidb S001, six runs with T1 and T2, 90 trials"
# Module, class, channels, samples, outputs, more arguments -> weights in its paper or that table.
PUBLISHED: dict[str, tuple[str, str, tuple[int, int, int], dict[str, Any], int]] = {
    "EEGNet": ("eegnet", "EEGNet", (22, 512, 4), {}, 2_484),
    "ShallowConvNet": ("shallow", "ShallowConvNet", (22, 1000, 4), {}, 46_084),
    "DeepConvNet": ("deep4", "DeepConvNet", (22, 1000, 4), {}, 282_879),
    "EEGNeX": ("eegnex", "EEGNeX", (22, 500, 4), {}, 55_940),
    "EEGInception": ("eeginception", "EEGInception", (8, 128, 2), {}, 14_926),
    "SCCNet": ("sccnet", "SCCNet", (22, 1000, 4), {"rate": 125.0}, 12_070),
    "FBCNet": ("fbcnet", "FBCNet", (22, 1000, 4), {}, 11_812),
    "TIDNet": ("tidnet", "TIDNet", (22, 1000, 4), {}, 240_404),
    "ATCNet": ("atcnet", "ATCNet", (22, 1000, 4), {}, 113_732),
    "EEGConformer": ("conformer", "EEGConformer", (22, 1000, 4), {}, 789_572),
    "CTNet": ("ctnet", "CTNet", (22, 1000, 4), {"kernel": 16}, 26_900),
    "Chambon2018": ("chambon2018", "Chambon2018", (2, 3840, 5), {"rate": 128}, 5_835),
    "USleep": ("usleep", "USleep", (2, 3000, 5), {"rate": 100}, 2_482_011),
    "DeepSleepNet": ("deepsleepnet", "DeepSleepNet", (1, 3000, 5), {"rate": 100}, 24_744_837),
}
# Its transforms, by the names that they have here.
AUGMENTATIONS = (
    "reverse", "sign", "phase", "channel-shuffle", "channels", "symmetry", "rereference",
    "smooth-mask", "band-stop", "frequency-shift", "rotate-x", "rotate-y", "rotate-z", "mixup",
    "segmentation-reconstruction", "mask-encoding", "scale", "noise",
)  # fmt: skip
SPINDLES = {
    "events": {"spindle/expert *": "spindle"},
    "split": "subject",
    "seeds": 3,
    "budget": "8 epochs",
}


ONE_RUN: dict[str, Any] = {
    "include": ["S001R06*"],
    "events": {"T1": "fists", "T2": "feet"},
    "start": 1.0,
    "stop": 4.0,
    "band": BAND,
}


def weights(name: str) -> Callable[[Path], float]:
    """Return a measure that counts the weights of a net."""
    module, class_name, shape, more, _ = PUBLISHED[name]

    def count(_: Path) -> float:
        made = getattr(import_module(f"neuroloom.signals.nets.{module}"), class_name)
        return sum(p.numel() for p in made(*shape, **more).parameters() if p.requires_grad)

    return count


def accuracy(**fields: Any) -> Callable[[Path], float]:
    """Return a measure of the out-of-fold accuracy for fists against feet, 8 to 30 Hz."""
    return lambda data: metric(fists_feet(data, **({"band": BAND} | fields)), "accuracy")


def lost_by_crops(data: Path) -> float:
    """Return how much accuracy ShallowConvNet loses when it is trained on crops."""
    trialwise, cropped = (
        accuracy(model="shallow", mode=mode, seeds=3, budget="150 epochs")(data)
        for mode in ("trialwise", "cropped")
    )
    return trialwise - cropped


def working_augmentations(data: Path) -> float:
    """Return how many of the transforms change a batch of real trials, and leave it finite."""
    import torch

    from neuroloom.learn.training.augment import resolve
    from neuroloom.signals import Decode

    dataset = Decode(**ONE_RUN).read(data / "eeg" / "eegmmidb").labelled()
    x = torch.as_tensor(dataset.x / dataset.x.std())
    y = torch.tensor(dataset.y)
    facts = dict(dataset.facts) | {"classes": dataset.classes, "n_outputs": 2}
    facts |= {"task": "classification"}
    works = 0
    for found in resolve(AUGMENTATIONS):
        changed, _ = found.bind(facts)(x, y, torch.Generator().manual_seed(0))
        works += changed.shape == x.shape and bool(changed.isfinite().all() & (changed != x).any())
    return works


def time_ratio(benchmark: str) -> Callable[[Path], float]:
    """Return a reader of the ratio neuroloom / braindecode that `make bench` measures."""
    return lambda data: float(_benchmarks(data)[benchmark])


def slowest_net(data: Path) -> float:
    """Return the largest ratio of a training step over all nets that were measured."""
    ratios = [ratio for name, ratio in _benchmarks(data).items() if name.startswith("nets: ")]
    return max(ratios, default=float("nan"))


def _benchmarks(data: Path) -> dict[str, float]:
    """Return the ratios of `benchmarks/results.csv`; the benchmark runs first if there are none."""
    file = ROOT / "benchmarks" / "results.csv"
    if not file.is_file():
        recordings = str(data / "eeg" / "eegmmidb")
        script = str(ROOT / "benchmarks" / "decode.py")
        subprocess.run([sys.executable, script, "--data", recordings], check=True)
    with file.open(encoding="utf-8", newline="") as handle:
        return {row["benchmark"]: float(row["ratio"]) for row in csv.DictReader(handle)}


def _count(name: str) -> Check:
    channels, n_times, classes = PUBLISHED[name][2]
    claim = f"weights of {name} ({channels} channels, {classes} classes, {n_times} samples)"
    return Check(TOOL, claim, f"== {PUBLISHED[name][4]}", weights(name))


def _accuracy(claim: str, bar: str, **fields: Any) -> Check:
    return Check(TOOL, claim, bar, accuracy(**fields), FISTS_FEET_DATA)


def _speed(claim: str, bar: str, measure: Callable[[Path], float]) -> Check:
    return Check(TOOL, f"{claim}, neuroloom / braindecode", bar, measure, SPEED_DATA)


CHECKS = [
    _accuracy(
        "accuracy of EEGNet, fists/feet, 21 motor channels, mean of 3 seeds",
        ">= 0.955", model="eegnet", seeds=3, budget="150 epochs",
    ),
    _accuracy(
        "accuracy of EEGNet, fists/feet, 64 channels, mean of 3 seeds",
        ">= 0.93", model="eegnet", picks=(), seeds=3, budget="150 epochs",
    ),
    _accuracy("accuracy of CSP+LDA, fists/feet, 64 channels", ">= 0.93", model="csp-lda", picks=()),
    _accuracy(
        "accuracy of tangent space, fists/feet, 64 channels", ">= 0.91", model="riemann", picks=()
    ),
    Check(
        TOOL, "accuracy that ShallowConvNet loses by training on crops, mean of 3 seeds",
        "<= 0.03", lost_by_crops, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "F1 of sleep spindles at IoU 0.2, truth: union of the experts, mean of 3 seeds",
        ">= 0.73", scored("signals.detect", "eeg/dreams", "f1", **SPINDLES), DREAMS_DATA,
    ),
    *map(_count, PUBLISHED),
    Check(
        TOOL, "its transforms that change a batch of trials, of 18", "== 18",
        working_augmentations, "PhysioNet eegmmidb S001 R06",
    ),
    _speed("time of an epoch of EEGNet", "<= 0.7", time_ratio("decode: eegnet, one epoch")),
    _speed(
        "time of an epoch of ShallowConvNet", "<= 0.7", time_ratio("decode: shallow, one epoch")
    ),
    _speed("time of a training step, the slowest net", "<= 1", slowest_net),
    _speed(
        "time to load six EDF runs", "<= 0.5", time_ratio("loading: six EDF runs, wall time")
    ),
]  # fmt: skip
