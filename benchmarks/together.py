"""Fifty small fits as one batched fit, beside the same fits one after another.

    python benchmarks/together.py [--fits 50] [--repeats 3]

The registered `mlp` on 38 simulated windows of 21 channels and 0.3 s at 80 Hz, as a sliding window
over time has them: ten seeds of five folds. Both sides are neuroloom; they take turns in one
process. That a batched fit ends where its fits end alone is tested in tests/learn.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

CHANNELS, RATE, SECONDS, TRIALS, EPOCHS = 21, 80.0, 0.3, 38, 60


def learner() -> Any:
    from neuroloom.learn.model import find_model

    facts = {
        "channels": [f"E{k}" for k in range(CHANNELS)],
        "types": ["eeg"] * CHANNELS,
        "positions": [[float("nan")] * 3] * CHANNELS,
        "rate": RATE,
        "n_times": round(RATE * SECONDS),
    }
    return find_model("mlp").make(facts, "classification", 2)


def sets(fits: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    shape = (TRIALS, CHANNELS, round(RATE * SECONDS))
    return [
        (rng.normal(size=shape).astype(np.float32), rng.permutation(np.arange(TRIALS) % 2))
        for _ in range(fits)
    ]


def main() -> None:
    from neuroloom.learn.training.fit import FitJob
    from neuroloom.learn.training.together import fit_together

    arguments = parse()
    examples = sets(arguments.fits)
    jobs = [FitJob(seed=seed, epochs=EPOCHS) for seed in range(arguments.fits)]
    ours, theirs = [], []
    for _ in range(arguments.repeats):
        together = [learner() for _ in jobs]
        alone = [learner() for _ in jobs]
        ours.append(timed(fit_together, together, examples, jobs))
        theirs.append(timed(one_by_one, alone, examples, jobs))
    row = decode.row(f"{arguments.fits} fits of a small net as one", ours, theirs, "cpu_s")
    row |= {"benchmark": f"together: {arguments.fits} fits of mlp as one, CPU time",
            "peer": "one after another"}  # fmt: skip
    row["machine"] = str(row["machine"]).replace("2 threads", "1 thread")
    decode.write([row])


def one_by_one(learners: list[Any], examples: list[Any], jobs: list[Any]) -> None:
    for one, (x, y), job in zip(learners, examples, jobs, strict=True):
        one.fit(x, y, job=job)


def timed(work: Any, *arguments: Any) -> dict[str, float]:
    cpu = time.process_time()
    work(*arguments)
    return {"cpu_s": time.process_time() - cpu}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fits", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    return parser.parse_args()


if __name__ == "__main__":
    main()
