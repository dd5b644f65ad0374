"""DN3: recordings of many people, rates and montages in one training, people held out whole."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import DREAMS_DATA, FISTS_FEET, FISTS_FEET_DATA, scored, study

TOOL = "DN3"
STAGES = {
    "classes": ("W", "N1", "N2", "N3"),
    "split": "subject",
    "seeds": 3,
    "budget": "15 epochs",
}
# Sleep of one channel, caps of 64 and headbands, at 50 to 256 Hz; not the runs that score.
CORPUS: dict[str, Any] = {
    "include": ["S001R*", "P300*", "N170*", "SSVEP*", "excerpt*"],
    "exclude": ["S001R06*", "S001R10*", "S001R14*"],
    "hold_out": ["S001R12*"],
    "budget": "400 steps",
}
CORPUS_DATA = "DREAMS, PhysioNet eegmmidb S001 and NeuroTechX Muse together, 23 recordings"
MOST_LINES = 15
DRAWS, LABELS = 20, 10


def pretrained(data: Path) -> Run:
    """Pretrain an encoder on all recordings but those that score."""
    return study("signals.pretrain", data / "eeg", **CORPUS)


def rates_in_one_training(data: Path) -> float:
    """Return how many rates one training took, if its job file is short; 0 if it is not."""
    run = pretrained(data)
    lines = yaml.safe_dump({"recipe": "signals.pretrain", "data": "eeg"} | CORPUS).splitlines()
    rates = read_json(run.folder / "dataset.json")["rates"].values()
    return float(len(set(rates))) if len(lines) <= MOST_LINES else 0.0


@cache
def probed(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy of linear probes on the encoder, pretrained and random, of each draw.

    A draw is ten labelled trials of two runs, five a class; all trials of the third are told, and
    each run is the third once. Random weights are drawn anew for each.
    """
    from neuroloom.learn.model import find_model
    from neuroloom.signals import Decode
    from neuroloom.signals.pretraining.pretrained import fewer_labels

    place, init = data / "eeg" / "eegmmidb", str(pretrained(data).folder)
    prepared = Decode(**FISTS_FEET, model="probe", init=init).prepare(place)
    found = prepared.dataset
    right = np.zeros((2, DRAWS))
    for draw in range(DRAWS):
        for fold in fewer_labels(prepared.folds, found, LABELS, draw):
            for row, weights in enumerate((init, "random")):
                learner = find_model("probe").make(
                    found.facts, found.task, 2, init=weights, init_seed=draw
                )
                learner.fit(found.x[fold.train], found.y[fold.train])
                told = learner.predict_scores(found.x[fold.test]).argmax(1)
                right[row, draw] += np.sum(told == found.y[fold.test])
    return right[0] / len(found), right[1] / len(found)


def draws_won(data: Path) -> float:
    """Return in how many draws the pretrained encoder is better than a random one."""
    ours, random = probed(data)
    return float(np.sum(ours > random))


def gained(data: Path) -> float:
    """Return the mean gain in accuracy over random weights."""
    ours, random = probed(data)
    return float(np.mean(ours - random))


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
        TOOL, f"sampling rates in one training, three corpora, job of at most {MOST_LINES} lines",
        ">= 3", rates_in_one_training, CORPUS_DATA,
    ),
    Check(
        TOOL, f"{LABELS} labelled trials: draws of {DRAWS} won over random weights",
        ">= 16", draws_won, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, f"{LABELS} labelled trials: accuracy gained by pretraining, mean of {DRAWS} draws",
        ">= 0.05", gained, FISTS_FEET_DATA,
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
