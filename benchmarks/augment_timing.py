"""What both sides of `augment.py` share: the patches, and how a call is timed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def patches(job: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 1, *patch) and labels (n, *patch) with three classes."""
    rng = np.random.default_rng(0)
    shape = (job["batch"], *job["patch"])
    x = rng.normal(size=shape).astype(np.float32)
    return x[:, None], rng.integers(0, 3, shape).astype(np.uint8)


def time_each(calls: dict[str, Callable], job: dict) -> dict[str, float]:
    """Return the least CPU time that a patch took, in each call, over some repeats."""
    # A process that trains has had large arrays: its heap is grown, and pages are not handed back
    # to the system after each call. Without this, both sides mostly wait for pages.
    large = np.ones(28_000_000, dtype=np.uint8)
    del large
    best = {}
    for name, call in calls.items():
        call()
        took = []
        for _ in range(job["repeats"]):
            began = time.process_time()
            call()
            took.append(time.process_time() - began)
        best[name] = min(took) / job["batch"]
    return best
