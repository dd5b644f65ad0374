"""DN3: recordings of many people, rates and montages in one training, people held out whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parity.harness import Check
from parity.studies import DREAMS_DATA, FISTS_FEET, FISTS_FEET_DATA, scored

TOOL = "DN3"
STAGES = {
    "classes": ("W", "N1", "N2", "N3"),
    "split": "subject",
    "seeds": 3,
    "budget": "15 epochs",
}


def off_identity(data: Path) -> float:
    """Return how far the mean covariance of any aligned run is from the identity."""
    from neuroloom.signals import Decode

    fields = FISTS_FEET | {"align": "euclidean", "band": (8.0, 30.0), "picks": ("FC*", "C*")}
    found = Decode(**fields).read(data / "eeg" / "eegmmidb")
    worst = 0.0
    for _, rows in found.table.groupby("path"):
        x = np.asarray(found.x[rows["example"].to_numpy()], dtype=np.float64)
        mean = (x @ x.swapaxes(1, 2) / x.shape[2]).mean(0)
        worst = max(worst, float(np.abs(mean - np.eye(len(mean))).max()))
    return worst


def moved_by_the_montage(data: Path) -> float:
    """Return how far mapping onto the 10-10 places moves the recorded electrodes, in SD."""
    from neuroloom import io
    from neuroloom.signals.steps.montage import MapMontage

    found = io.read(data / "eeg" / "eegmmidb" / "S001R06.edf")
    mapped = MapMontage().apply(found)
    names = [
        name for name in found.channel.values.astype(str) if name in set(mapped.channel.values)
    ]
    before, after = (part.sel(channel=names).values for part in (found, mapped))
    return float(np.abs(after - before).max() / before.std()) if len(names) >= 60 else float("nan")


CHECKS = [
    Check(
        TOOL, "balanced accuracy of W, N1, N2 and N3 in people not seen, mean of 3 seeds",
        ">= 0.74", scored("signals.stage", "eeg/dreams", "balanced_accuracy", **STAGES),
        DREAMS_DATA,
    ),
    Check(
        TOOL, "Euclidean alignment: distance of a run's mean covariance from the identity",
        "<= 1e-6", off_identity, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "mapping onto 64 places of the 10-10 system: change of recorded electrodes, in SD",
        "<= 1e-6", moved_by_the_montage, "PhysioNet eegmmidb S001 R06",
    ),
]  # fmt: skip
