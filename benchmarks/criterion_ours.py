"""neuroloom's side of `criterion.py`."""

from __future__ import annotations

import json
import sys
import time
from statistics import mean

BEGAN = time.process_time()

import torch  # noqa: E402

from neuroloom.cognition.learning.player import Supervised, solved  # noqa: E402
from neuroloom.cognition.nets.rate import RateRNN, RateSpec  # noqa: E402
from neuroloom.cognition.task import task  # noqa: E402

MOST = 3000


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
    played, objective = task("perceptual-discrimination"), Supervised()
    spec = RateSpec(2, job["units"], 2, dale=job["dale"], autapses=False)
    draw = torch.Generator().manual_seed(0)
    net = RateRNN(spec, draw)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.0, fused=True)
    seen, start = [], time.process_time()
    while len(seen) < MOST and (
        len(seen) < job["last"] or mean(seen[-job["last"] :]) < job["target"]
    ):
        trials = played.trials(job["batch"], draw, dt=job["dt"])
        # The accuracy is that of the batch before its step, as in PsychRNN.
        with torch.no_grad():
            outputs = net(trials.inputs, trials.dt, generator=draw).outputs
        seen.append(float(solved(outputs, played, trials, "squares").float().mean()))
        optimiser.zero_grad()
        objective.loss(net, lambda _, trials=trials: trials, draw).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    now = time.process_time()
    return {"training": now - start, "whole": now - BEGAN, "steps": len(seen)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
