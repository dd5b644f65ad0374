"""gumpy: hybrid interfaces from EEG and EMG: voting, feature selection, flicker, gestures.

Its real-time part waits for the recipes that decode while data arrive.
"""

from __future__ import annotations

from typing import Any

from parity.harness import Check
from parity.studies import FISTS_FEET_DATA, fists_feet, metric, scored

TOOL = "gumpy"
SSVEP = {
    "include": ("SSVEP*",),
    "events": {"1": "30 Hz", "2": "20 Hz"},
    "split": "run",
    "start": 0.5,
    "stop": 3.0,
    "picks": ("Right AUX",),
    "model": "band-power",
}
GESTURES = ("rest", "fist", "flexion", "extension", "radial", "ulnar")
EMG: dict[str, Any] = {
    "events": {str(k + 1): name for k, name in enumerate(GESTURES)},
    "window": 0.2,
    "split": "run",
    "per": "subject",
    "model": "emg",
}
NET = EMG | {"model": "musclenet", "budget": "100 epochs"}
PLACE = "eeg/emg_gestures"
SSVEP_DATA = "NeuroTechX Muse SSVEP, Right AUX, 4 files, leave one file out"
EMG_DATA = "UCI Myo gestures, 4 people, 200-ms windows, leave one series out"


def _fists_feet(claim: str, bar: str, **fields: Any) -> Check:
    return Check(
        TOOL, claim, bar, lambda data: metric(fists_feet(data, **fields), "accuracy"),
        FISTS_FEET_DATA,
    )  # fmt: skip


def _emg(claim: str, bar: str, name: str, fields: dict[str, Any]) -> Check:
    return Check(TOOL, claim, bar, scored("signals.decode", PLACE, name, **fields), EMG_DATA)


CHECKS = [
    _fists_feet("accuracy of voting, fists/feet", ">= 0.93", model="voting"),
    Check(
        TOOL, "accuracy for flicker of 20 or 30 Hz, one electrode", ">= 0.97",
        scored("signals.decode", "eeg/muse", "accuracy", **SSVEP), SSVEP_DATA,
    ),
    _emg("accuracy of 6 gestures within a person, per window", ">= 0.94", "accuracy", EMG),
    _emg(
        "accuracy of 6 gestures within a person, per movement", ">= 0.965", "accuracy_voted", EMG
    ),
    _emg(
        "accuracy of 6 gestures within a person, a net, per window", ">= 0.93", "accuracy", NET
    ),
]  # fmt: skip
