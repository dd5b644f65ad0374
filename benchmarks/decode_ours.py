"""neuroloom's side of `decode.py`; the same job as `decode_peer.py`, with public functions."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

START = time.perf_counter()
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402

from neuroloom import io  # noqa: E402
from neuroloom.learn.training.fit import FitJob, Training  # noqa: E402
from neuroloom.learn.training.learner import NetLearner  # noqa: E402
from neuroloom.signals.examples.data import cut_windows  # noqa: E402
from neuroloom.signals.nets.eegnet import EEGNet  # noqa: E402
from neuroloom.signals.nets.shallow import ShallowConvNet  # noqa: E402
from neuroloom.signals.steps import BandPass  # noqa: E402

NETS = {"eegnet": EEGNet, "shallow": ShallowConvNet}


def windows(job: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read, filter and cut."""
    x, y, run = [], [], []
    for number, path in enumerate(job["files"]):
        clean = BandPass(*job["band"]).apply(io.read(path))
        marks = clean.attrs["annotations"]
        marks = marks[marks["label"].isin(("T1", "T2"))]
        length = job["n_times"] / clean.attrs["rate"]
        x.append(cut_windows(clean, marks["onset"].to_numpy() + job["start"], length)[0])
        y.append((marks["label"] == "T2").to_numpy(int))
        run.append(np.full(len(marks), number))
    return np.concatenate(x), np.concatenate(y), np.concatenate(run)


def fit_fold(job: dict, x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[float, float]:
    """Return the accuracy on the held-out trials and the median seconds of an epoch."""
    times = [time.perf_counter()]
    learner = NetLearner(
        job["net"],
        NETS[job["net"]],
        n_channels=x.shape[1],
        n_times=x.shape[2],
        n_outputs=2,
        training=Training(epochs=job["epochs"], batch=job["batch"], lr=job["lr"]),
    )
    fit_job = FitJob(
        seed=job["seed"],
        threads=job["threads"],
        progress=lambda _: times.append(time.perf_counter()),
    )
    learner.fit(x[train], y[train], job=fit_job)
    scores = learner.predict_scores(x[~train])
    return float((scores.argmax(1) == y[~train]).mean()), float(np.median(np.diff(times)))


def main(job: dict) -> dict:
    if job["arrays"]:
        with np.load(job["arrays"]) as file:
            x, y, run = file["x"], file["y"], file["run"]
    else:
        x, y, run = windows(job)
    folds = np.unique(run)[: job["folds"]]
    results = [fit_fold(job, x, y, run != fold) for fold in folds]
    return {
        "accuracy": float(np.mean([accuracy for accuracy, _ in results])),
        "epoch_s": float(np.median([seconds for _, seconds in results])),
        "whole_s": time.perf_counter() - START,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "trials": len(x),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
