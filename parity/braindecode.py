"""braindecode: nets exact to their papers, and what they reach on real motor imagery.

Claims from braindecode's own table of models and its acceptance test on PhysioNet's recordings.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from neuroloom.core.files import read_json
from parity.harness import ROOT, Check

FISTS_FEET = {
    "include": ("S001R06*", "S001R10*", "S001R14*"),
    "events": {"T1": "fists", "T2": "feet"},
    "start": 1.0,
    "stop": 4.0,
    "band": (8.0, 30.0),
    "split": "run",
}
MOTOR = ("FC*", "C*")
FISTS_FEET_DATA = "PhysioNet eegmmidb S001 R06 R10 R14, 45 trials, leave one run out"
SPEED_DATA = "PhysioNet eegmmidb S001, six runs with T1 and T2, 90 trials"


def parameters(net: str, n_times: int) -> Callable[[Path], float]:
    """Return a measure that counts the weights of `net` for 22 channels and 4 classes."""

    def count(_: Path) -> float:
        from neuroloom.signals.nets import deep4, eegnet, shallow

        made = {
            "eegnet": eegnet.EEGNet,
            "shallow": shallow.ShallowConvNet,
            "deep4": deep4.DeepConvNet,
        }[net](22, n_times, 4)
        return sum(part.numel() for part in made.parameters() if part.requires_grad)

    return count


def accuracy(**fields: Any) -> Callable[[Path], float]:
    """Return a measure of the out-of-fold accuracy for fists against feet."""
    return lambda data: _decode(data, **fields)


@cache
def _decode(data: Path, **fields: Any) -> float:
    from neuroloom.signals import Decode

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        Decode(**(FISTS_FEET | fields)).run(data / "eeg" / "eegmmidb", out=out)
        return read_json(out / "metrics.json")["accuracy"]["value"]


def lost_by_crops(data: Path) -> float:
    """Return how much accuracy ShallowConvNet loses when it is trained on crops."""
    trialwise, cropped = (
        _decode(data, model="shallow", picks=MOTOR, mode=mode, seeds=3, budget="3min")
        for mode in ("trialwise", "cropped")
    )
    return trialwise - cropped


def time_ratio(benchmark: str) -> Callable[[Path], float]:
    """Return a reader of the ratio neuroloom / braindecode that `make bench` measures."""

    def ratio(data: Path) -> float:
        found = {row["benchmark"]: float(row["ratio"]) for row in _benchmarks(data)}
        return found[benchmark]

    return ratio


def _benchmarks(data: Path) -> list[dict[str, str]]:
    """Return the rows of `benchmarks/results.csv`; the benchmark runs first if there are none."""
    table = ROOT / "benchmarks" / "results.csv"
    if not table.is_file():
        recordings = str(data / "eeg" / "eegmmidb")
        script = str(ROOT / "benchmarks" / "decode.py")
        subprocess.run([sys.executable, script, "--data", recordings], check=True)
    with table.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _count(name: str, net: str, n_times: int, published: int) -> Check:
    claim = f"weights of {name} (22 channels, 4 classes, {n_times} samples)"
    return Check("braindecode", claim, f"== {published}", parameters(net, n_times))


def _accuracy(claim: str, bar: str, **fields: Any) -> Check:
    return Check("braindecode", claim, bar, accuracy(**fields), FISTS_FEET_DATA)


def _speed(name: str, net: str) -> Check:
    claim = f"time of an epoch of {name}, neuroloom / braindecode"
    ratio = time_ratio(f"decode: {net}, one epoch")
    return Check("braindecode", claim, "<= 0.7", ratio, SPEED_DATA)


CHECKS = [
    _accuracy(
        "accuracy of EEGNet, fists/feet, 21 motor channels, mean of 3 seeds in 5 min",
        ">= 0.955", model="eegnet", picks=MOTOR, seeds=3, budget="5min",
    ),
    _accuracy(
        "accuracy of EEGNet, fists/feet, 64 channels, mean of 3 seeds in 5 min",
        ">= 0.93", model="eegnet", seeds=3, budget="5min",
    ),
    _accuracy("accuracy of CSP+LDA, fists/feet, 64 channels", ">= 0.93", model="csp-lda"),
    _accuracy("accuracy of tangent space, fists/feet, 64 channels", ">= 0.91", model="riemann"),
    Check(
        "braindecode", "accuracy that ShallowConvNet loses by training on crops, mean of 3 seeds",
        "<= 0.03", lost_by_crops, FISTS_FEET_DATA,
    ),
    _count("EEGNet", "eegnet", 512, 2_484),
    _count("ShallowConvNet", "shallow", 1000, 46_084),
    _count("DeepConvNet", "deep4", 1000, 282_879),
    *(_speed(name, net) for name, net in (("EEGNet", "eegnet"), ("ShallowConvNet", "shallow"))),
]  # fmt: skip
