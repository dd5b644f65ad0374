"""rsatoolbox's side of `rdm.py`; runs in its own environment and prints one line of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from rsatoolbox.data import Dataset  # noqa: E402
from rsatoolbox.inference import eval_bootstrap_pattern  # noqa: E402
from rsatoolbox.model import ModelFixed  # noqa: E402
from rsatoolbox.rdm import calc_rdm, compare  # noqa: E402

BOOTSTRAPS = 2


def main(job: dict) -> dict:
    x, y = (Dataset(np.load(job[key])) for key in ("x", "y"))
    seconds, values, found = {}, {}, {}
    for name in ("correlation", "euclidean"):
        start = time.process_time()
        found[name] = calc_rdm(x, method=name)
        seconds[name] = time.process_time() - start
        values[name] = [float(found[name].dissimilarities[0][k]) for k in job["pairs"]]
    second = calc_rdm(y, method="euclidean")
    for name, theirs in {"spearman": "spearman", "whitened-cosine": "cosine_cov"}.items():
        start = time.process_time()
        values[name] = float(np.ravel(compare(found["euclidean"], second, method=theirs))[0])
        seconds[name] = time.process_time() - start
    for one in (found["euclidean"], second):
        one.pattern_descriptors["index"] = np.arange(one.n_cond)
    start = time.process_time()
    eval_bootstrap_pattern(
        ModelFixed("m", found["euclidean"]), second, None, "spearman", BOOTSTRAPS
    )
    seconds[f"{BOOTSTRAPS} bootstraps of spearman"] = time.process_time() - start
    # Its cosine of whitened RDMs is linear CKA.
    values["cka"] = values["whitened-cosine"]
    start = time.process_time()
    calc_rdm(x, method="euclidean")
    calc_rdm(y, method="euclidean")
    seconds["cka"] = time.process_time() - start + seconds["whitened-cosine"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "values": values, "peak_mb": peak}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
