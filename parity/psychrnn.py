"""PsychRNN: its weights run here; its constraints, its curriculum, its task learnt."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import study

TOOL = "PsychRNN"
TASK = "perceptual-discrimination"
STORED = "the weights that PsychRNN ships; 200 fresh trials at each of four coherences"
TRAINED = "50 units, Dale 0.8, a fifth of the weights masked, no autapses; trials drawn anew"


@cache
def played(data: Path) -> tuple[float, float]:
    """Return the lowest accuracy of the shipped net, and the largest error of its states."""
    import torch

    from neuroloom.cognition.nets.weights import read_psychrnn
    from neuroloom.cognition.task import task

    file = data / "cognition" / "psychrnn_weights" / "saved_weights.npz"
    net, perceptual = read_psychrnn(file), task(TASK)
    with np.load(file) as arrays:
        w, w_in, bias, start = (
            arrays[name].astype(float) for name in ("W_rec", "W_in", "b_rec", "init_state")
        )
    right, error = [], 0.0
    for number, coherence in enumerate((0.1, 0.3, 0.5, 0.7)):
        draw = torch.Generator().manual_seed(number)
        trials = perceptual.trials(200, draw, dt=10.0, coherence=coherence)
        with torch.no_grad():
            found = net(trials.inputs, 10.0)
        x = np.repeat(start, 200, 0)
        for step, u in enumerate(trials.inputs.double().numpy()):
            x = 0.9 * x + 0.1 * (np.maximum(x, 0) @ w.T + u @ w_in.T + bias)
            error = max(error, float(np.abs(found.states[step].numpy() - x).max()))
        right.append(float(perceptual.score(found.outputs, trials).float().mean()))
    return min(right), error


def shipped_accuracy(data: Path) -> float:
    """Return the lowest accuracy over coherences."""
    return played(data)[0]


def shipped_states(data: Path) -> float:
    """Return the largest distance of a state from float64."""
    return played(data)[1]


_spent: list[float] = []  # CPU seconds of the constrained run


def constrained() -> Run:
    """Return the run of the constrained net."""
    before = time.process_time()
    fields = {"task": (TASK,), "units": 50, "dale": 0.8, "density": 0.8, "budget": "60s"}
    run = study("cognition.train", None, **fields)
    _spent.append(time.process_time() - before)
    return run


def accuracy(data: Path) -> float:
    """Return the share of fresh trials that are solved."""
    row = constrained().metrics.set_index("metric").loc["accuracy"]
    return float(row["value"])


def seconds(data: Path) -> float:
    """Return the CPU time of the whole command with judging and report, s."""
    constrained()
    return max(_spent)


def violations(data: Path) -> float:
    """Count wrong signs, masked weights and autapses among the stored weights."""
    from neuroloom.cognition.learning.session import read_nets
    from neuroloom.cognition.nets.rate import RateRNN

    net = read_nets(constrained().folder / "model.safetensors")[0][0]
    assert isinstance(net, RateRNN)
    assert net.recurrent.mask is not None
    weight = net.recurrent().detach().numpy()
    there = net.recurrent.mask.numpy() > 0
    wrong = (weight[:, :40] < 0).sum() + (weight[:, 40:] > 0).sum() + (weight[~there] != 0).sum()
    masked = (~there).sum() - 50
    loops = (np.diag(weight) != 0).sum()
    outward = (net.readout().detach().numpy()[:, 40:] != 0).sum()
    lacking = abs(int(masked) - round(0.2 * 50 * 49))
    return float(wrong + loops + outward + lacking)


def hardest_stage(data: Path) -> float:
    """Return the accuracy at coherence 0.1 after a curriculum from 0.7 downwards."""
    run = study(
        "cognition.train", None, task=(TASK,), units=50, dale=0.8,
        stages=tuple(f"coherence={level}" for level in (0.7, 0.5, 0.3, 0.1)), target=0.95,
        budget="60s",
    )  # fmt: skip
    table = run.predictions
    mine = table[(table["role"] == "model") & np.isclose(table["coherence"], 0.1)]
    return float(mine["right"].mean())


CHECKS = [
    Check(TOOL, "lowest accuracy of its shipped net over four coherences", ">= 1.0",
          shipped_accuracy, STORED),
    Check(TOOL, "largest error of a state of its shipped net beside float64", "<= 1e-4",
          shipped_states, STORED),
    Check(TOOL, "accuracy of a constrained net on fresh trials", ">= 0.95", accuracy, TRAINED),
    Check(TOOL, "CPU seconds to train, judge and report it, one thread", "<= 60", seconds, TRAINED),
    Check(TOOL, "wrong signs, masked weights and autapses after training", "== 0", violations,
          TRAINED),
    Check(TOOL, "accuracy at coherence 0.1 after a curriculum from 0.7", ">= 0.9", hardest_stage,
          "50 units, Dale 0.8, four stages"),
]  # fmt: skip
