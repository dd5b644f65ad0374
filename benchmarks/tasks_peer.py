"""NeuroGym's side of `tasks.py`; runs in an environment of its own."""

from __future__ import annotations

import json
import sys
import time
import warnings

import neurogym as ngym
import torch

warnings.filterwarnings("ignore")
NAMES = {"perceptual": "PerceptualDecisionMaking-v0", "anti": "AntiReach-v0"}


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
        dataset = ngym.Dataset(
            own, env_kwargs={"dt": 100}, batch_size=job["batch"], seq_len=job["steps"]
        )
        told[name] = seconds(lambda dataset=dataset: [dataset() for _ in range(n)], repeats) / n
    env = ngym.make(NAMES["perceptual"], dt=100)

    def walk() -> None:
        env.reset(seed=0)
        for _ in range(1000):
            env.step(0)

    told["step"] = seconds(walk, repeats)
    return told


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
