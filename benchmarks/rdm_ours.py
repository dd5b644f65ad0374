"""neuroloom's side of `rdm.py`; the same job as `rdm_peer.py`, with public functions."""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from neuroloom.representation.rsa import infer
from neuroloom.representation.rsa.cka import cka
from neuroloom.representation.rsa.rdm import rdm
from neuroloom.representation.rsa.similarity import compare_rdms

BOOTSTRAPS = 2


def main(job: dict) -> dict:
    x, y = (np.load(job[key]) for key in ("x", "y"))
    rdm(x[:3]), compare_rdms(rdm(x[:4]), rdm(y[:4]))  # libraries that wait inside functions
    seconds, values = {}, {}
    for name, run in {
        "correlation": lambda: rdm(x, "correlation"),
        "euclidean": lambda: rdm(x, "squared-euclidean"),
        "cka": lambda: cka(x, y),
    }.items():
        start = time.process_time()
        found = run()
        seconds[name] = time.process_time() - start
        values[name] = found if name == "cka" else [float(found[k]) for k in job["pairs"]]
    first, second = rdm(x, "squared-euclidean"), rdm(y, "squared-euclidean")
    for name in ("spearman", "whitened-cosine"):
        start = time.process_time()
        values[name] = compare_rdms(first, second, name).item()
        seconds[name] = time.process_time() - start
    rng = np.random.default_rng(0)
    n = x.shape[0]
    counts = rng.multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS).astype(float)
    people = np.ones((BOOTSTRAPS, 1))
    start = time.process_time()
    infer.resample(first[None], second[None], "spearman", counts, people)
    seconds[f"{BOOTSTRAPS} bootstraps of spearman"] = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "values": values, "peak_mb": peak}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
