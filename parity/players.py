"""NeuroGym's nets: rewards alone teach two of its tasks, one net learns the twenty of yang19."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import study

TOOL = "NeuroGym"
AGENTS = "64 leaky units, 500 steps of PPO on 128 trials, 50 ms a step"
TWENTY = "one net of 256 leaky units, 2000 steps of 128 trials, 50 ms a step"
TRIALS = 4000


def by_reward(task: str) -> Run:
    """Return the run that learnt a task by reward."""
    return study(
        "cognition.train", None, task=(task,), learn="ppo", dt=50.0, batch=128, lr=5e-3,
        target=0.99, budget="500 steps",
    )  # fmt: skip


def gained(task: str) -> float:
    """Return the mean reward of a trial."""
    return float(by_reward(task).metrics.set_index("metric").loc["reward", "value"])


def go_nogo(data: Path) -> float:
    """Return the reward over that of an observer who knows the cue: it gets 1 for each go."""
    table = by_reward("go-nogo").predictions
    return gained("go-nogo") / float((table["truth"] > 0).mean())


def perceptual(data: Path) -> float:
    """Return the reward over that of an observer who sums all evidence."""
    import torch

    from neuroloom.cognition.task import right_answer, task

    own = task("perceptual-decision-making")
    trials = own.trials(TRIALS, torch.Generator().manual_seed(3), dt=50.0)
    inside = trials.within("stimulus")[..., None]
    summed = (trials.inputs * inside).sum(0)[:, 1:3]
    ideal = float((summed.argmax(1) + 1 == right_answer(trials)).float().mean())
    return gained("perceptual-decision-making") / ideal


@cache
def twenty() -> np.ndarray:
    """Return the accuracy on fresh trials of each of the tasks of yang19."""
    from neuroloom.cognition.task import tasks

    names = tuple(name for name in tasks() if name.startswith("yang19"))
    run = study(
        "cognition.train", None, task=names, units=256, dt=50.0, batch=128, every=100,
        target=0.99, judged=TRIALS, budget="2000 steps",
    )  # fmt: skip
    table = run.predictions
    return table[table["role"] == "model"].groupby("task")["right"].mean().to_numpy()


def twenty_mean(data: Path) -> float:
    """Return the mean accuracy of the twenty."""
    return float(twenty().mean())


def twenty_least(data: Path) -> float:
    """Return the lowest accuracy of the twenty."""
    return float(twenty().min())


CHECKS = [
    Check(TOOL, "go-nogo by reward: reward over the ideal observer's", ">= 0.9", go_nogo, AGENTS),
    Check(TOOL, "perceptual decision by reward: reward over the ideal observer's", ">= 0.9",
          perceptual, AGENTS),
    Check(TOOL, "yang19, twenty tasks by one net: mean accuracy", ">= 0.9", twenty_mean, TWENTY),
    Check(TOOL, "yang19, twenty tasks by one net: lowest accuracy", ">= 0.8", twenty_least, TWENTY),
]  # fmt: skip
