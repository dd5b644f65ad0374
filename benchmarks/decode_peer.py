"""braindecode's side of `decode.py`; runs in the peers' environment and prints one line of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

START = time.perf_counter()
warnings.filterwarnings("ignore")

import mne  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from braindecode import EEGClassifier  # noqa: E402
from braindecode.datasets import BaseConcatDataset, RawDataset  # noqa: E402
from braindecode.models import EEGNet, ShallowFBCSPNet  # noqa: E402
from braindecode.preprocessing import (  # noqa: E402
    Preprocessor,
    create_windows_from_events,
    preprocess,
)
from skorch.callbacks import Callback  # noqa: E402

NETS = {"eegnet": EEGNet, "shallow": ShallowFBCSPNet}
mne.set_log_level("ERROR")


class Clock(Callback):
    """When each epoch ends."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_begin(self, net, **_):
        self.times.append(time.perf_counter())

    def on_epoch_end(self, net, **_):
        self.times.append(time.perf_counter())


def windows(job: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read, filter and cut as braindecode's own tutorials do."""
    parts = []
    for number, path in enumerate(job["files"]):
        raw = mne.io.read_raw_edf(path, preload=True)
        parts.append(RawDataset(raw, {"run": number}))
    dataset = BaseConcatDataset(parts)
    preprocess(dataset, [Preprocessor("filter", l_freq=job["band"][0], h_freq=job["band"][1])])
    rate = parts[0].raw.info["sfreq"]
    cut = create_windows_from_events(
        dataset,
        trial_start_offset_samples=int(job["start"] * rate),
        trial_stop_offset_samples=0,
        window_size_samples=job["n_times"],
        window_stride_samples=job["n_times"],
        drop_last_window=True,
        mapping={"T1": 0, "T2": 1},
        preload=True,
    )
    run = np.asarray(cut.get_metadata()["run"])
    x = np.stack([cut[i][0] for i in range(len(cut))])
    return x, np.asarray([cut[i][1] for i in range(len(cut))]), run


def fit_fold(job: dict, x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[float, float]:
    """Return the accuracy on the held-out trials and the median seconds of an epoch."""
    torch.manual_seed(job["seed"])
    clock = Clock()
    net = NETS[job["net"]](n_chans=x.shape[1], n_outputs=2, n_times=x.shape[2])
    classifier = EEGClassifier(
        net,
        optimizer=torch.optim.AdamW,
        optimizer__lr=job["lr"],
        optimizer__weight_decay=0.01,
        batch_size=job["batch"],
        max_epochs=job["epochs"],
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[("clock", clock)],
        verbose=0,
        classes=[0, 1],
    )
    mean, spread = x[train].mean((0, 2))[:, None], x[train].std((0, 2))[:, None]
    z = ((x - mean) / spread).astype(np.float32)
    classifier.fit(z[train], y[train])
    accuracy = float((classifier.predict(z[~train]) == y[~train]).mean())
    return accuracy, float(np.median(np.diff(clock.times)))


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
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
