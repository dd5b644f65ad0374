"""DeLINEATE: many models, seeds and splits from one job file, in one tidy table."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from neuroloom.core.errors import RunError
from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import FISTS_FEET_DATA, MOTOR, scratch, study, table

TOOL = "DeLINEATE"
RECIPE = "signals.mvpa"
JOB: dict[str, Any] = {
    "models": ["csp-lda", "cnn"],
    "seeds": 3,
    "over": "whole",
    "splits": ["run"],
    "include": ["S001R06*", "S001R10*", "S001R14*"],
    "events": {"T1": "fists", "T2": "feet"},
    "start": 1.0,
    "stop": 4.0,
    "band": [8.0, 30.0],
    "picks": list(MOTOR),
    "budget": "120 epochs",
}
ERP_JOB: dict[str, Any] = {
    "models": ["svm", "shrinkage-lda", "evoked-net"],
    "over": "whole",
    "include": ["N170*"],
    "events": {"1": "house", "2": "face"},
    "start": 0.0,
    "stop": 0.8,
    "band": [1.0, 30.0],
}
N170_DATA = "NeuroTechX Muse N170, 4 files, leave one file out"
CELLS = 2 * 3 * 3
FITS, EPOCHS, WINDOW = 50, 40, 0.3


def job(data: Path) -> Run:
    """Carry out the job undisturbed."""
    return study(RECIPE, data / "eeg" / "eegmmidb", **JOB)


@cache
def killed_and_resumed(data: Path) -> Run:
    """Start the job from its file, kill it after some cells, and resume it."""
    file, out = scratch() / "job.yaml", scratch() / "killed"
    place = str(data / "eeg" / "eegmmidb")
    file.write_text(yaml.safe_dump({"recipe": RECIPE, "data": place} | JOB), encoding="utf-8")
    command = [sys.executable, "-m", "neuroloom"]
    run = [*command, "run", str(file), "--out", str(out)]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(list(out.glob("work/*.safetensors"))) < CELLS // 4 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if Run(out).state == "done":
        raise RunError("The job was done before it could be killed: nothing was shown.")
    subprocess.run([*command, "resume", str(out)], check=True, stdout=subprocess.DEVNULL)
    return Run(out)


def different_cells(data: Path) -> float:
    """Return how many scores of the resumed table differ from the undisturbed one's."""
    columns = ["n", "accuracy", "balanced_accuracy", "auc", "chance"]
    keys = ["model", "split", "seed", "fold"]
    ours, whole = (
        table(run, "scores").set_index(keys)[columns]
        for run in (killed_and_resumed(data), job(data))
    )
    return float((~np.isclose(ours.reindex(whole.index), whole, atol=1e-12, equal_nan=True)).sum())


def tidy_rows(data: Path) -> float:
    """Return the rows of the table, if every model, seed and fold stands there once."""
    rows = table(job(data), "scores")
    return len(rows) if not rows.duplicated(["model", "split", "seed", "fold"]).any() else 0


def without_words(data: Path) -> float:
    """Return how many models miss chance, an interval that holds the score, or a p-value."""
    rows = table(job(data), "summary")
    sound = rows["chance"].between(0, 1) & rows["p"].between(0, 1)
    return float(
        (~(sound & (rows["low"] <= rows["accuracy"]) & (rows["accuracy"] <= rows["high"]))).sum()
    )


def p_of_both(data: Path) -> float:
    """Return the larger p-value of CSP+LDA and the net."""
    return float(table(job(data), "summary")["p"].max())


def p_of_all_on_faces(data: Path) -> float:
    """Return the largest p-value of an SVM, LDA and a net that went through one call."""
    rows: pd.DataFrame = table(study(RECIPE, data / "eeg" / "muse", **ERP_JOB), "summary")
    return float(rows["p"].max())


def speed_of_a_batched_fit(data: Path) -> float:
    """Return how many times less CPU time 50 fits of the MLP take as one than one by one.

    They see 0.3 s of the trials, as a window that slides over time does.
    """
    from neuroloom.learn.model import find_model
    from neuroloom.learn.training.fit import FitJob
    from neuroloom.learn.training.together import fit_together
    from neuroloom.signals import Decode

    decode = Decode(
        model="mlp", include=JOB["include"], events=JOB["events"], start=1.0, stop=4.0,
        picks=JOB["picks"],
    )  # fmt: skip
    found = decode.read(data / "eeg" / "eegmmidb").labelled()
    rng = np.random.default_rng(0)
    parts = [np.sort(rng.permutation(len(found))[:30]) for _ in range(FITS)]
    n_times = round(WINDOW * found.facts["rate"])
    facts = found.facts | {"n_times": n_times}
    sets = [(found.x[part][..., :n_times], found.y[part]) for part in parts]
    jobs = [FitJob(seed=seed, epochs=EPOCHS) for seed in range(FITS)]

    def made() -> list[Any]:
        model = find_model("mlp")
        return [model.make(facts, "classification", 2) for _ in range(FITS)]

    alone, together = made(), made()
    alone[0].fresh().fit(*sets[0], job=FitJob(epochs=1))
    started = time.process_time()
    for learner, examples, one in zip(alone, sets, jobs, strict=True):
        learner.fit(*examples, job=one)
    middle = time.process_time()
    fit_together(together, sets, jobs)
    return (middle - started) / (time.process_time() - middle)


CHECKS = [
    Check(
        TOOL, "rows of the tidy table: 2 models x 3 seeds x 3 runs, each once", f"== {CELLS}",
        tidy_rows, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "scores that differ after kill -9 and resume", "== 0", different_cells,
        FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "models without chance, 95 % interval and permutation p", "== 0", without_words,
        FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "the larger permutation p of CSP+LDA and a convolutional net", "<= 0.01", p_of_both,
        FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "faces/houses: the largest permutation p of SVM, LDA and net through one call",
        "<= 0.01", p_of_all_on_faces, N170_DATA,
    ),
    Check(
        TOOL, "50 fits of the MLP on 0.3-s windows as one: times less CPU than one by one", ">= 5",
        speed_of_a_batched_fit, FISTS_FEET_DATA,
    ),
]  # fmt: skip
