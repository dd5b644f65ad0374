"""DeepEEG: from a folder of Muse recordings to a decoder of evoked responses, with sanity checks.

Data of its kind (P300 and N170 of one person), its watermark, its eye correction, its simulation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import N170, P300, metric, scored, scratch, study

TOOL = "DeepEEG"
MUSE = "eeg/muse"
P300_DATA = "NeuroTechX Muse P300, 4 files, leave one file out"
N170_DATA = "NeuroTechX Muse N170, 4 files, leave one file out"
SHUFFLES = 4
MARK_VOLTS, MARK_SECONDS = 50e-6, 0.3


def watermarked(data: Path) -> Run:
    """Decode the P300 recordings with a channel that is raised after every target."""
    from neuroloom import io
    from neuroloom.core.recording import signal
    from neuroloom.signals.simulate import write_edf

    folder = scratch() / "watermark"
    if not folder.is_dir():
        folder.mkdir()
        for number, path in enumerate(sorted((data / MUSE).glob("P300*"))):
            found = io.read(path)
            marks, rate = found.attrs["annotations"], found.attrs["rate"]
            planted = np.zeros(found.sizes["time"])
            for onset in marks["onset"][marks["label"] == "2"]:
                planted[round(onset * rate) : round((onset + MARK_SECONDS) * rate)] = MARK_VOLTS
            names = [*found.channel.values.astype(str), "watermark"]
            values = np.vstack([found.values, planted])
            types = [*found.coords["type"].values.astype(str), "eeg"]
            made = signal(values, names, rate, types=types, annotations=marks)
            write_edf(made, folder / f"P300_run-{number + 1}.edf")
    return study("signals.decode", folder, **(P300 | {"model": "shrinkage-lda"}))


def named_by_the_audit(data: Path) -> float:
    """Return how many of the channels that the audit calls a give-away are the planted one."""
    findings = read_json(watermarked(data).folder / "audit.json")
    told = [
        found["title"] for found in findings if found["title"].endswith("gives the answer away")
    ]
    return float(told == ["Channel watermark gives the answer away"])


def off_chance_when_shuffled(data: Path) -> float:
    """Return how far the AUC of shuffled labels is from 0.5, the mean of several shuffles."""
    fields = P300 | {"model": "shrinkage-lda", "shuffle": True}
    runs = [study("signals.decode", data / MUSE, **fields, seed=seed) for seed in range(SHUFFLES)]
    return abs(float(np.mean([metric(run, "auc") for run in runs])) - 0.5)


def share_of_eyes_removed(data: Path) -> float:
    """Return how much of blinks and saccades, added to real EEG, the regression takes out."""
    from neuroloom import io
    from neuroloom.core.recording import signal
    from neuroloom.io.recordings.electrodes import template_positions
    from neuroloom.signals.steps import EyeRegression

    found = io.read(data / "eeg" / "eegmmidb" / "S001R06.edf")
    names, rate = list(found.channel.values.astype(str)), found.attrs["rate"]
    eyes = _eyes(found.sizes["time"], rate, np.random.default_rng(0))
    x, y, _ = template_positions(names).T
    front = np.clip(y / 0.09, 0, None) ** 2 + 0.03
    added = np.column_stack([0.6 * front, 0.4 * front * x / 0.04]) @ eyes
    noise = 5e-6 * np.random.default_rng(1).normal(size=eyes.shape)
    recording = signal(
        np.vstack([found.values + added, eyes + noise]),
        [*names, "VEOG", "HEOG"],
        rate,
        types=["eeg"] * len(names) + ["eog"] * 2,
        annotations=found.attrs["annotations"],
    )
    left = EyeRegression().apply(recording).values[: len(names)] - found.values
    left -= left.mean(1, keepdims=True)
    added -= added.mean(1, keepdims=True)
    return 1 - float(np.sum(left**2) / np.sum(added**2))


def _eyes(n_times: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return blinks and gaze, V: the vertical and the horizontal movement of the eyes."""
    times = np.arange(n_times) / rate
    blinks = np.arange(2.0, times[-1] - 2, 3.7)
    lids = 200e-6 * np.exp(-0.5 * ((times[:, None] - blinks) / 0.07) ** 2).sum(1)
    jumps = np.where(rng.random(n_times) < 1.5 / rate, rng.normal(size=n_times), 0.0)
    gaze = np.zeros(n_times)
    for k in range(1, n_times):
        gaze[k] = (1 - 2 / rate) * gaze[k - 1] + jumps[k]
    return np.stack([lids, 60e-6 * gaze / gaze.std()])


def simulated(effect: float) -> float:
    """Return the AUC for left and right hand in simulated recordings with a known effect."""
    from neuroloom.signals.simulate import simulate_motor, write_edf

    folder = scratch() / f"simulated-{effect:g}"
    if not folder.is_dir():
        folder.mkdir()
        for number, made in enumerate(simulate_motor(3, 3, effect=effect).recordings):
            write_edf(made, folder / f"sub-01_ses-{number + 1}_task-motor_eeg.edf")
    events = {"left": "left", "right": "right"}
    fields = {"events": events, "start": 0.5, "stop": 3.5, "split": "session", "model": "csp-lda"}
    return metric(study("signals.decode", folder, **fields), "auc")


def _erp(claim: str, bar: str, data: str, **fields: Any) -> Check:
    return Check(TOOL, claim, bar, scored("signals.decode", MUSE, "auc", **fields), data)


CHECKS = [
    _erp("AUC of the P300, all trials", ">= 0.755", P300_DATA, **P300, model="erp"),
    _erp(
        "AUC of the P300, trials above 75 uV left out", ">= 0.78", P300_DATA,
        **P300, model="erp", reject=75,
    ),
    _erp(
        "AUC of the P300 with a net alone, all trials", ">= 0.74", P300_DATA,
        **P300, model="evoked-net",
    ),
    _erp("AUC of the N170, all trials", ">= 0.7", N170_DATA, **N170, model="erp"),
    _erp(
        "AUC of the N170, trials above 75 uV left out", ">= 0.7", N170_DATA,
        **N170, model="erp", reject=75,
    ),
    Check(
        TOOL, "watermark: AUC with a channel that carries the label", ">= 0.99",
        lambda data: metric(watermarked(data), "auc"), P300_DATA,
    ),
    Check(
        TOOL, "watermark: the audit names that channel and no other (1 = yes)", "== 1",
        named_by_the_audit, P300_DATA,
    ),
    Check(
        TOOL, f"distance from 0.5 of the AUC of shuffled labels, mean of {SHUFFLES} shuffles",
        "<= 0.05", off_chance_when_shuffled, P300_DATA,
    ),
    Check(
        TOOL, "share of added blinks and saccades that EMCP removes", ">= 0.9",
        share_of_eyes_removed, "PhysioNet eegmmidb S001 R06, eyes simulated",
    ),
    Check(
        TOOL, "simulated recordings: AUC gained by an effect of 0.55 over none", ">= 0.3",
        lambda _: simulated(0.55) - simulated(0.0), "simulated, 3 sessions of 24 trials",
    ),
]  # fmt: skip
