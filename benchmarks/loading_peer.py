"""braindecode's side of `loading.py`; runs in the peers' environment."""

from __future__ import annotations

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import mne  # noqa: E402
import numpy as np  # noqa: E402
from braindecode.datasets import BaseConcatDataset, RawDataset  # noqa: E402
from braindecode.preprocessing import (  # noqa: E402
    Preprocessor,
    create_windows_from_events,
    preprocess,
)

mne.set_log_level("ERROR")


def windows(job: dict) -> np.ndarray:
    """Read, filter, resample and cut with braindecode's own functions."""
    raws = [mne.io.read_raw_edf(path, preload=True) for path in job["files"]]
    dataset = BaseConcatDataset([RawDataset(raw, {"run": i}) for i, raw in enumerate(raws)])
    low, high = job["band"]
    preprocess(
        dataset,
        [
            Preprocessor("filter", l_freq=low, h_freq=high),
            Preprocessor("resample", sfreq=job["rate"]),
        ],
    )
    size = round((job["stop"] - job["start"]) * job["rate"])
    cut = create_windows_from_events(
        dataset,
        trial_start_offset_samples=round(job["start"] * job["rate"]),
        trial_stop_offset_samples=0,
        window_size_samples=size,
        window_stride_samples=size,
        drop_last_window=True,
        mapping={"T1": 0, "T2": 1},
        preload=True,
    )
    return np.stack([cut[i][0] for i in range(len(cut))])


def main(job: dict) -> dict:
    cpu, wall = [], []
    for _ in range(job["times"]):
        began, busy = time.perf_counter(), time.process_time()
        x = windows(job)
        cpu.append(time.process_time() - busy)
        wall.append(time.perf_counter() - began)
    return {"cpu_s": min(cpu), "wall_s": min(wall), "shape": list(x.shape)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
