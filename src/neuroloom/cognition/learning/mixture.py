"""Several tasks for one net, told apart by rule inputs (Yang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neuroloom.cognition.task import Task, Trials
from neuroloom.core.errors import ConfigError


class Mixture(Task):
    """Trials of several tasks in one batch; condition "task" is the number of the task.

    Inputs are the tasks' own channels, shared by name, and one rule channel a task that is 1
    throughout the trial; outputs are shared by name, too. Shorter trials are padded with steps that
    cost nothing.

    Parameters
    ----------
    parts
        Two or more tasks.

    Raises
    ------
    ConfigError
        If there are fewer than two, or one twice.
    """

    def __init__(self, parts: Sequence[Task]) -> None:
        names = [part.name for part in parts]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ConfigError(f"A mixture needs two or more different tasks, got {names}.")
        self.parts = list(parts)
        self.name = "+".join(names)
        self.summary = f"{len(parts)} tasks, told apart by a rule input"
        self.source = "Yang et al. 2019"
        shared = list(dict.fromkeys(name for part in parts for name in part.inputs))
        self.inputs = (*shared, *(f"rule {name}" for name in names))
        self.outputs = tuple(dict.fromkeys(name for part in parts for name in part.outputs))
        self.actions = max(part.actions for part in parts)

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return `n` trials, as evenly as can be of all tasks; `task` fixes which, by number."""
        which = conditions.pop("task", None)
        numbers = range(len(self.parts)) if which is None else [int(which)]
        first = int(torch.randint(len(numbers), (), generator=generator))
        drawn = [
            self._of(number, count, generator, dt, conditions)
            for k, number in enumerate(numbers)
            if (count := (n + (k - first) % len(numbers)) // len(numbers))
        ]
        longest = max(len(trials.inputs) for trials in drawn)
        return _join([_pad(trials, longest) for trials in drawn])

    def _of(
        self, number: int, n: int, generator: torch.Generator, dt: float, conditions: dict[str, Any]
    ) -> Trials:
        part = self.parts[number]
        own = part.trials(n, generator, dt=dt, **conditions)
        steps = len(own.inputs)
        inputs = own.inputs.new_zeros(steps, n, len(self.inputs))
        inputs[..., [self.inputs.index(name) for name in part.inputs]] = own.inputs
        inputs[..., self.inputs.index(f"rule {part.name}")] = 1.0
        targets = own.targets.new_zeros(steps, n, len(self.outputs))
        mask = torch.zeros_like(targets)
        places = [self.outputs.index(name) for name in part.outputs]
        targets[..., places], mask[..., places] = own.targets, own.mask
        told = own.conditions | {"task": torch.full((n,), number)}
        return replace(own, inputs=inputs, targets=targets, mask=mask, conditions=told)

    def score(self, outputs: Tensor, trials: Trials) -> Tensor:
        """Return right or wrong for each trial, as its own task says, (trial,)."""
        which = trials.conditions["task"]
        right = torch.zeros(len(which), dtype=torch.bool, device=which.device)
        for number, part in enumerate(self.parts):
            rows = (which == number).nonzero().flatten()
            if len(rows):
                inputs = [self.inputs.index(name) for name in part.inputs]
                places = [self.outputs.index(name) for name in part.outputs]
                own = _take(trials, rows, inputs, places)
                right[rows] = part.score(outputs[:, rows][..., places], own)
        return right


def _take(trials: Trials, rows: Tensor, inputs: list[int], outputs: list[int]) -> Trials:
    return replace(
        trials,
        inputs=trials.inputs[:, rows][..., inputs],
        targets=trials.targets[:, rows][..., outputs],
        mask=trials.mask[:, rows][..., outputs],
        choice=trials.choice[:, rows],
        conditions={name: value[rows] for name, value in trials.conditions.items()},
        epochs={name: (a[rows], b[rows]) for name, (a, b) in trials.epochs.items()},
    )


def _pad(trials: Trials, steps: int) -> Trials:
    """Lengthen trials; the last inputs and targets go on, and nothing is asked."""
    more = steps - len(trials.inputs)
    if more == 0:
        return trials

    def held(values: Tensor) -> Tensor:
        return torch.cat([values, values[-1:].expand(more, *values.shape[1:])])

    return replace(
        trials,
        inputs=held(trials.inputs),
        targets=held(trials.targets),
        mask=functional.pad(trials.mask, (0, 0, 0, 0, 0, more)),
        choice=functional.pad(trials.choice, (0, 0, 0, more), value=-1),
    )


def _join(drawn: Sequence[Trials]) -> Trials:
    """Put trials of tasks side by side; epochs that a task lacks are empty there, conditions 0."""
    names = list(dict.fromkeys(name for trials in drawn for name in trials.epochs))
    conditions = list(dict.fromkeys(name for trials in drawn for name in trials.conditions))
    epochs = {}
    for name in names:
        ends = [
            trials.epochs.get(name, (empty, empty))
            for trials in drawn
            for empty in [torch.zeros(trials.inputs.shape[1], dtype=torch.int64)]
        ]
        epochs[name] = (torch.cat([e[0] for e in ends]), torch.cat([e[1] for e in ends]))
    return Trials(
        inputs=torch.cat([trials.inputs for trials in drawn], 1),
        targets=torch.cat([trials.targets for trials in drawn], 1),
        mask=torch.cat([trials.mask for trials in drawn], 1),
        choice=torch.cat([trials.choice for trials in drawn], 1),
        conditions={name: _condition(name, drawn) for name in conditions},
        epochs=epochs,
        dt=drawn[0].dt,
    )


def _condition(name: str, drawn: Sequence[Trials]) -> Tensor:
    like = next(t.conditions[name] for t in drawn if name in t.conditions)
    empty = [like.new_zeros(t.inputs.shape[1], *like.shape[1:]) for t in drawn]
    return torch.cat([t.conditions.get(name, e) for t, e in zip(drawn, empty, strict=True)])
