"""How hard is a task? What a linear reader of each epoch's mean input can answer.

The reader sees the mean of every input in every epoch and fits answers (or targets) by ridge
regression on one half of the trials; it is judged on the other. It solves what needs no more than
adding up; context, comparison with memory, and exclusive-or it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.cognition.task import Task, Trials

Floats = NDArray[np.float64]
AGENTS = 50  # who play side by side where trials depend on each other
PIECE = 4_000_000  # numbers of input that are held at once
PENALTY = 1e-2


@dataclass(frozen=True)
class Drawn:
    """Trials of a task, as a table and as features.

    Attributes
    ----------
    table
        One row a trial: trial, steps, milliseconds of each epoch, conditions, and with actions the
        right answer, truth.
    features
        Shape (trial, epoch x input): mean inputs.
    targets
        Shape (trial, output): mean targets of the decision, or wherever they are asked for.
    shown
        Some trials as they are.
    """

    table: pd.DataFrame
    features: Floats
    targets: Floats
    shown: Trials


def draw_trials(
    task: Task, n: int, seed: int, dt: float, conditions: dict[str, Any], shown: int = 100
) -> Drawn:
    """Draw trials; where they depend on answers, the right ones are given, by agents side by side.

    Raises
    ------
    ConfigError
        If a condition is unknown, or the timing contradicts itself.
    """
    import pandas as pd
    import torch

    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Any] | None = None
    parts: list[tuple[pd.DataFrame, Floats, Floats]] = []
    first = task.trials(min(n, 2), torch.Generator().manual_seed(seed), dt, **conditions)
    most = max(1, PIECE // max(first.inputs[:, 0].numel(), 1))
    each = min(n, AGENTS if task.carried else most)
    kept: Trials | None = None
    while (left := n - sum(len(part[0]) for part in parts)) > 0:
        each = min(each, left)
        if task.carried:
            state = task.begin(each, generator) if state is None else _first(state, each)
            trials = task.trials(each, generator, dt, state=state, **conditions)
            state = task.settle(state, trials, _right(trials), generator)[1]
        else:
            trials = task.trials(each, generator, dt, **conditions)
        kept = trials.take(slice(0, shown)) if kept is None else kept
        parts.append((tabulate_trials(task, trials), _features(trials), _targets(trials)))
    assert kept is not None
    table = pd.concat([part[0] for part in parts], ignore_index=True)
    table.insert(0, "trial", np.arange(len(table)))
    return Drawn(
        table, np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts]), kept
    )


def _first(state: dict[str, Any], n: int) -> dict[str, Any]:
    return {name: value[:n] for name, value in state.items()}


def _right(trials: Trials) -> Any:
    from neuroloom.cognition.task import right_answer

    return right_answer(trials)


def tabulate_trials(task: Task, trials: Trials) -> pd.DataFrame:
    """Return one row a trial: steps, duration of the epochs (ms), conditions, right answer."""
    import pandas as pd

    columns: dict[str, Any] = {"steps": trials.length.numpy()}
    for name, (start, stop) in trials.epochs.items():
        columns[f"{name} (ms)"] = ((stop - start) * trials.dt).numpy()
    columns |= {name: value.numpy() for name, value in trials.conditions.items()}
    if task.actions:
        columns["truth"] = _right(trials).numpy()
    return pd.DataFrame(columns)


def _features(trials: Trials) -> Floats:
    import torch

    parts = []
    for name in trials.epochs:
        inside = trials.within(name).float()
        weight = inside / inside.sum(0).clamp_min(1)
        parts.append(torch.einsum("tn,tnc->nc", weight, trials.inputs))
    return torch.cat(parts, 1).double().numpy()


def _targets(trials: Trials) -> Floats:
    mask = trials.mask
    if "decision" in trials.epochs:
        mask = mask * trials.within("decision")[..., None]
    mean = (trials.targets * mask).sum(0) / mask.sum(0).clamp_min(1e-6)
    return mean.double().numpy()


def read_answers(drawn: Drawn, actions: int, seed: int) -> pd.DataFrame:
    """Return the reader's answers to the half of the trials that it did not learn from.

    Returns
    -------
    DataFrame
        The rows of the table with answer, right, and baseline: the answer commonest among the
        trials learnt from.

    Raises
    ------
    ConfigError
        If there are fewer than 20 trials.
    """
    if len(drawn.table) < 20:
        raise ConfigError(f"trials: a reader needs 20 or more, got {len(drawn.table)}.")
    learn, judge = _halves(len(drawn.table), seed)
    truth = drawn.table["truth"].to_numpy()
    told = _ridge(drawn.features, np.eye(actions)[truth], learn)
    held = drawn.table.iloc[judge].reset_index(drop=True)
    answer = told[judge].argmax(1)
    common = int(np.bincount(truth[learn], minlength=actions).argmax())
    return held.assign(answer=answer, right=answer == held["truth"], baseline=common)


def read_targets(drawn: Drawn, seed: int) -> pd.DataFrame:
    """Return what the reader makes of the mean targets of the trials it did not learn from.

    Returns
    -------
    DataFrame
        trial, output, truth, answer: a row an output and trial.
    """
    import pandas as pd

    learn, judge = _halves(len(drawn.table), seed)
    told = _ridge(drawn.features, drawn.targets, learn)
    rows = [
        pd.DataFrame({"trial": drawn.table["trial"].to_numpy()[judge], "output": output,
                      "truth": drawn.targets[judge, output], "answer": told[judge, output]})
        for output in range(drawn.targets.shape[1])
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _halves(n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def _ridge(features: Floats, wanted: Floats, learn: NDArray[np.int64]) -> Floats:
    own, goal = features[learn], wanted[learn]
    centre, spread = own.mean(0), own.std(0)
    spread[spread < 1e-9] = np.inf
    scaled, middle = (features - centre) / spread, goal.mean(0)
    gram = scaled[learn].T @ scaled[learn] / len(learn) + PENALTY * np.eye(own.shape[1])
    weights = np.linalg.solve(gram, scaled[learn].T @ (goal - middle) / len(learn))
    return scaled @ weights + middle
