"""neuroloom's side of `pose.py`: the recipe as a user runs it, then every frame of a video."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from neuroloom.core.files import read_json
from neuroloom.pose.estimate import Estimate


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
    study = Estimate(test=job["test"], budget=f"{job['seconds']}s")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = study.run(Path(job["project"]), out=Path(folder) / "run")
        trained = time.perf_counter() - began
        metrics = read_json(run.folder / "metrics.json")
        began = time.perf_counter()
        table = run.predict(job["video"])
        seconds = time.perf_counter() - began
    frames = table["frame"].nunique()
    whole = np.isfinite(table[["x", "y"]].to_numpy()).all()
    return {
        "error_px": metrics["mean_error_px"]["value"],
        "trained_s": trained,
        "frame_s": seconds / frames if whole else float("nan"),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
