"""PsychRNN's side of `criterion.py`; runs in an environment of its own."""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from psychrnn.backend.models.basic import Basic
from psychrnn.tasks.perceptual_discrimination import PerceptualDiscrimination

MOST = 3000


def main(job: dict) -> dict:
    began = time.process_time()
    tf.compat.v1.disable_eager_execution()
    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
    task = PerceptualDiscrimination(dt=job["dt"], tau=100, T=2000, N_batch=job["batch"])
    params = task.get_task_params() | {
        "name": "peer", "N_rec": job["units"], "dale_ratio": job["dale"], "autapses": False,
    }  # fmt: skip
    net, seen = Basic(params), []

    def judge(_batch, wanted, mask, output, _epoch, _losses, _verbosity) -> float:
        right = task.accuracy_function(wanted, output, mask)
        seen.append((right, time.process_time() - began))
        last = [one for one, _ in seen[-job["last"] :]]
        return float(np.mean(last)) if len(last) == job["last"] else 0.0

    net.train(task, {
        "training_iters": MOST * job["batch"], "performance_measure": judge,
        "performance_cutoff": job["target"], "verbosity": False,
    })  # fmt: skip
    whole = seen[-1][1]
    # The first step carries the set-up; it counts in training as a later one.
    each = (whole - seen[0][1]) / max(len(seen) - 1, 1)
    return {"training": each * len(seen), "whole": whole, "steps": len(seen)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
