"""neuroloom's side of `tasks.py`: batches of trials, and steps of an environment."""

from __future__ import annotations

import itertools
import json
import sys
import time

import torch

from neuroloom.cognition.environment import make_environment
from neuroloom.cognition.sequences import sequences
from neuroloom.cognition.task import task

NAMES = {"perceptual": "perceptual-decision-making", "anti": "anti-reach"}


def seconds(call, repeats: int) -> float:
    call()
    took = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return min(took)


def main(job: dict) -> dict:
    torch.set_num_threads(job["threads"])
    told, n, repeats = {}, job["batches"], job["repeats"]
    for name, own in NAMES.items():
        generator = torch.Generator().manual_seed(0)
        many = sequences(task(own), job["batch"], job["steps"], generator, 100, targets=False)
        told[name] = seconds(lambda many=many: [*itertools.islice(many, n)], repeats) / n
    env = make_environment(NAMES["perceptual"], dt=100)

    def walk() -> None:
        env.reset(seed=0)
        for _ in range(1000):
            if env.step(0)[2]:
                env.reset()

    told["step"] = seconds(walk, repeats)
    return told


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
