"""NeuroGym: the field's tasks, supervised and as environments, all of them switched on.

What nets learn on them is checked in `players`.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from parity.harness import ROOT, Check
from parity.players import CHECKS as PLAYED

TOOL = "NeuroGym"
ALL = "81 tasks, 20 ms a step"
BENCHMARK = "tasks: perceptual decision making, batch of 16 x 100"


def names() -> list[str]:
    """Return all tasks that can be had."""
    from neuroloom.cognition.task import tasks

    return tasks()


def counted(tag: str) -> Callable[[Path], float]:
    """Return a counter of the tasks of one collection."""

    def count(data: Path) -> float:
        from neuroloom.cognition.task import task

        return sum(tag in task(name).tags for name in names())

    return count


def repeated(data: Path) -> float:
    """Return the share of tasks whose trials are the same bits again for the same seed."""
    import torch

    from neuroloom.cognition.task import task

    def bits(name: str) -> bytes:
        trials = task(name).trials(32, torch.Generator().manual_seed(7))
        parts = (trials.inputs, trials.targets, trials.mask.contiguous(), trials.choice)
        return b"".join(part.numpy().tobytes() for part in parts)

    return float(np.mean([bits(name) == bits(name) for name in names()]))


def least_p(data: Path) -> float:
    """Return the least p of KS tests of batched against single trials, times their number."""
    import torch
    from scipy.stats import ks_2samp

    from neuroloom.cognition.task import task

    found = []
    for name in names():
        own, generator = task(name), torch.Generator().manual_seed(11)
        many = own.trials(300, torch.Generator().manual_seed(10))
        ones = [own.trials(1, generator) for _ in range(60)]
        pairs = [(many.length, [one.length for one in ones])]
        pairs += [(v, [one.conditions[k] for one in ones]) for k, v in many.conditions.items()]
        found += [ks_2samp(a.double().numpy(), torch.cat(b).double().numpy()).pvalue
                  for a, b in pairs]  # fmt: skip
    return float(min(found) * len(found))


@cache
def environments() -> tuple[float, float]:
    """Return the shares of tasks that pass Gymnasium's checker, and whose truth agrees.

    Agreement: the actions that the supervised view calls right, step by step, solve three trials,
    and the environment tells the same ones.
    """
    from gymnasium.utils.env_checker import check_env

    from neuroloom.cognition.environment import make_environment

    checked, agreed = [], []
    for name in names():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                check_env(make_environment(name, dt=20.0), skip_render_check=True)
                checked.append(True)
            except AssertionError:
                checked.append(False)
        agreed.append(_solved(make_environment(name, dt=20.0, trials=3)))
    return float(np.mean(checked)), float(np.mean(agreed))


def _solved(env: Any) -> bool:
    _, info = env.reset(seed=2)
    over, right = False, True
    while not over:
        due = int(env.trial.choice[env.t, 0])
        right &= due == info["next"]
        action = due if env.task.actions else env.trial.targets[env.t, 0].numpy()
        _, _, over, _, info = env.step(action)
        right &= info["right"] == due and info.get("performance", 1.0) == 1.0
    return right


def checker(data: Path) -> float:
    """Return the share of environments that pass Gymnasium's checker."""
    return environments()[0]


def agreement(data: Path) -> float:
    """Return the share of tasks whose two views agree."""
    return environments()[1]


def times_faster(data: Path) -> float:
    """Return how many times as many batches a second we make; measured by `benchmarks/tasks.py`."""
    file = ROOT / "benchmarks" / "results.csv"

    def ratios() -> dict[str, float]:
        with file.open(encoding="utf-8", newline="") as handle:
            return {row["benchmark"]: float(row["ratio"]) for row in csv.DictReader(handle)}

    if BENCHMARK not in ratios():
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tasks.py")], check=True)
    return 1 / ratios()[BENCHMARK]


def evidence(data: Path) -> float:
    """Return by how many standard errors an ideal observer misses the share that theory gives."""
    import torch
    from scipy.stats import norm

    from neuroloom.cognition.task import right_answer, task

    n, generator = 20_000, torch.Generator().manual_seed(5)
    trials = task("perceptual-decision-making").trials(n, generator, 100, coherence=3.0)
    right = (trials.inputs[..., 1:].sum(0).argmax(1) + 1 == right_answer(trials)).double().mean()
    expected = norm.cdf(0.03 * np.sqrt(2000) / np.sqrt(2))
    return float(abs(right - expected) / np.sqrt(expected * (1 - expected) / n))


OWN = [
    Check(TOOL, "tasks of NeuroGym, those switched off there too (28 + 19)", ">= 47",
          counted("neurogym"), ALL),
    Check(TOOL, "tasks of yang19", "== 20", counted("yang19"), ALL),
    Check(TOOL, "share of tasks whose trials are the same bits for the same seed", "== 1",
          repeated, ALL),
    Check(TOOL, "batched against single trials: least KS p of all conditions, times their number",
          ">= 0.01", least_p, "60 single trials, 300 in a batch, of each task"),
    Check(TOOL, "share of tasks that pass Gymnasium 1.x's environment checker", "== 1", checker,
          ALL),
    Check(TOOL, "share of tasks in which supervised and reward view agree step by step", "== 1",
          agreement, "3 trials of each"),
    Check(TOOL, "batches of 16 x 100 a second over those of neurogym.Dataset", ">= 20",
          times_faster, "benchmarks/results.csv"),
    Check(TOOL, "ideal observer's accuracy, standard errors from theory", "<= 3", evidence,
          "20,000 trials at 3 %"),
]  # fmt: skip
CHECKS = [*OWN, *PLAYED]
