"""PyCog: its eleven tasks, each learnt to its own stop rule; context, and another step of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import study

TOOL = "PyCog"
NETS = "100 units, Dale 0.8, no autapses; trials drawn anew"
# Task -> accuracy at which its example stops (mean of five validations).
TARGETS = {
    "rdm-varstim": 0.85, "rdm-rt": 0.85, "rdm-nodale": 0.85, "rdm-dense": 0.85, "rdm-fixed": 0.85,
    "mante": 0.9, "mante-areas": 0.9, "multisensory": 0.9, "romo": 0.85, "lee": 0.9,
    "sinewave": 0.9,
}  # fmt: skip
TRIALS = 3000
MARGIN = 0.02  # fresh trials, not those that training watched, must reach the target
_spent: dict[str, float] = {}  # CPU seconds of each run


def trained(name: str) -> Run:
    """Return the run of a task."""
    fields: dict[str, Any] = {"target": TARGETS[name] + MARGIN, "last": 5, "dale": 0.8}
    if name == "rdm-nodale":
        del fields["dale"]
    if name == "romo":  # its rule: the worst pair of vibrations
        fields |= {"stop": "worst", "per": ("pair", "direction"), "dt": 50.0, "threshold": 0.95}
        fields |= {"stages": (*(f"delay={ms}" for ms in (100, 500, 1000, 2000)), "whole")}
    if name == "mante-areas":
        fields |= {"areas": 2}
    if name == "rdm-fixed":
        fields |= {"density": 0.2}
    before = time.process_time()
    fields |= {"task": (f"pycog-{name}",), "units": 100, "budget": "3000 steps"}
    run = study("cognition.train", None, **fields)
    _spent.setdefault(name, time.process_time() - before)
    return run


def reached(name: str, data: Path) -> float:
    """Return the accuracy by the task's own stop rule, on fresh trials, over its target."""
    key = "worst" if name == "romo" else "accuracy"
    row = trained(name).metrics.set_index("metric").loc[key]
    return float(row["value"]) / TARGETS[name]


def seconds(data: Path) -> float:
    """Return the CPU time of all eleven with judging and reports, s."""
    for name in TARGETS:
        trained(name)
    return sum(_spent.values())


def _choices(run: Run, dt: float, **conditions: Any) -> tuple[Any, Any, np.ndarray]:
    """Return fresh trials, rates, and which trials were answered with the first choice."""
    import torch

    from neuroloom.cognition.answers import epoch_mean
    from neuroloom.cognition.learning.session import read_nets

    net = read_nets(run.folder / "model.safetensors")[0][0]
    played = run.recipe.lesson().find_task()  # type: ignore[attr-defined]
    draw = torch.Generator().manual_seed(11)
    trials = played.trials(TRIALS, draw, dt=dt, catch=0.0, **conditions)
    with torch.no_grad():
        activity = net(trials.inputs, dt, generator=draw)
    first = epoch_mean(activity.outputs, trials, "decision").argmax(-1).numpy() == 0
    return trials, activity, first


def _signed(trials: Any, name: str) -> np.ndarray:
    side = trials.conditions[f"{name} direction"].numpy()
    return trials.conditions[f"{name} coherence"].numpy() * (1 - 2 * side)


def irrelevant(data: Path) -> float:
    """Return the largest weight of uncued over that of cued evidence in the choice."""
    from sklearn.linear_model import LogisticRegression

    trials, _, first = _choices(trained("mante"), 20.0)
    context = trials.conditions["context"].numpy()
    evidence = np.stack([_signed(trials, "motion"), _signed(trials, "colour")], 1)
    shares = []
    for rule in (0, 1):
        own = context == rule
        slopes = LogisticRegression(C=1e3).fit(evidence[own], first[own]).coef_[0]
        shares.append(abs(slopes[1 - rule]) / abs(slopes[rule]))
    return float(max(shares))


def axes_apart(data: Path) -> float:
    """Return |cos| between the axes of motion and of colour."""
    from neuroloom.cognition.inside.population import regression_axes

    trials, activity, first = _choices(trained("mante"), 20.0)
    variables = {
        "motion": _signed(trials, "motion"),
        "colour": _signed(trials, "colour"),
        "context": trials.conditions["context"].numpy(),
        "choice": first,
    }
    inside = trials.within("stimulus").any(1).numpy()
    _, cosines = regression_axes(activity.rates.numpy()[inside], variables)
    return float(abs(cosines[0, 1]))


def slope_at_half_the_step(data: Path) -> float:
    """Return how far the psychometric slope moves when the step is halved, as a share."""
    from neuroloom.cognition.curves import fit_psychometric

    slopes = []
    for dt in (20.0, 10.0):
        trials, _, first = _choices(trained("rdm-varstim"), dt)
        side = trials.conditions["direction"].numpy()
        signed = trials.conditions["coherence"].numpy() * (1 - 2 * side)
        slopes.append(fit_psychometric(signed, first.astype(float)).slope)
    return float(abs(slopes[1] / slopes[0] - 1))


def _of(name: str) -> Callable[[Path], float]:
    return partial(reached, name)


CHECKS = [
    *(
        Check(TOOL, f"{name}: accuracy by its own stop rule, over its target", ">= 1.0", _of(name),
              f"pycog-{name}; {NETS}")
        for name in TARGETS
    ),
    Check(TOOL, "CPU seconds for all eleven, judged and reported, one thread", "<= 900", seconds,
          NETS),
    Check(TOOL, "mante: weight of uncued over cued evidence in the choice", "<= 0.2", irrelevant,
          f"pycog-mante; {NETS}"),
    Check(TOOL, "mante: absolute cosine of the axes of motion and colour", "<= 0.3", axes_apart,
          f"pycog-mante; {NETS}"),
    Check(TOOL, "rdm: change of the psychometric slope when the step is halved", "<= 0.2",
          slope_at_half_the_step, f"pycog-rdm-varstim; {NETS}"),
]  # fmt: skip
