"""What a task is: something that makes batches of trials and knows right from wrong."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from neuroloom.core.errors import ConfigError, nearest

State = dict[str, Tensor]


@dataclass(frozen=True)
class Trials:
    """A batch of trials; time comes first, trials that end early are padded.

    Attributes
    ----------
    inputs
        Shape (time, trial, input), float32.
    targets
        Shape (time, trial, output), float32: what the outputs should be.
    mask
        Shape (time, trial, output), float32: what a wrong output costs; 0: nothing.
    choice
        Shape (time, trial), int64: the right action of each step, 0 to fixate; -1 after the end
        of a trial, and throughout a task without actions.
    conditions
        Name -> (trial,): what was drawn.
    epochs
        Name -> (start, stop) in steps, (trial,) each.
    dt
        Step, ms.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    choice: Tensor
    conditions: dict[str, Tensor]
    epochs: dict[str, tuple[Tensor, Tensor]]
    dt: float

    @property
    def length(self) -> Tensor:
        """Steps of each trial, (trial,): the end of its last epoch."""
        return torch.stack([stop for _, stop in self.epochs.values()]).amax(0)

    def within(self, *epochs: str) -> Tensor:
        """Return where one of these epochs goes on, (time, trial) bool."""
        step = torch.arange(len(self.inputs), device=self.inputs.device)[:, None]
        inside = torch.zeros_like(self.choice, dtype=torch.bool)
        for name in epochs:
            start, stop = self.epochs[name]
            inside |= (step >= start) & (step < stop)
        return inside

    def take(self, rows: Tensor | slice) -> Trials:
        """Return some of the trials, with as many steps as before."""
        parts = {f.name: getattr(self, f.name)[:, rows] for f in fields(self)[:4]}
        return replace(
            self, **parts,
            conditions={name: value[rows] for name, value in self.conditions.items()},
            epochs={name: (a[rows], b[rows]) for name, (a, b) in self.epochs.items()},
        )  # fmt: skip


class Task:
    """A task. `Declared` is the usual one; wrappers and mixtures are others.

    Attributes
    ----------
    name, summary, source
        What it is called, what is done in it, and the paper that it comes from.
    inputs, outputs
        Names of the channels.
    actions
        How many actions there are with fixation, which is 0; zero: it has none, only targets.
    carried
        Whether trials depend on what was done in those before.
    tags
        Words to find it by.
    """

    name: str
    summary: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    actions: int
    carried: bool = False
    tags: tuple[str, ...] = ()

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return `n` trials on the generator's device; conditions are fixed by their names."""
        raise NotImplementedError

    def score(self, outputs: Tensor, trials: Trials) -> Tensor:
        """Return whether outputs (time, trial, output) solve the trials, (trial,) bool."""
        raise NotImplementedError

    def begin(self, n: int, generator: torch.Generator) -> State:
        """Return what `n` agents carry into their first trial; nothing in most tasks."""
        return {}

    def settle(
        self, state: State, trials: Trials, action: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return the reward (trial,) of an answer (trial,), and what is carried on.

        1 for the right answer in its time; nothing for a wrong one, or for withholding.
        """
        return ((action == right_answer(trials)) & (action > 0)).float(), state


def right_answer(trials: Trials) -> Tensor:
    """Return the answer that is right in the decision, (trial,) int64; 0 is to withhold."""
    choice = trials.choice
    if "decision" in trials.epochs:
        choice = choice.masked_fill(~trials.within("decision"), 0)
    return choice.amax(0).clamp_min(0)


def task(name: str) -> Task:
    """Return a task of the library.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest is suggested.

    Examples
    --------
    >>> task("perceptual-discrimination").actions
    3
    """
    from importlib import import_module

    from neuroloom.cognition.library import TASKS

    if name not in TASKS:
        raise ConfigError(
            f"No task is called '{name}'.{nearest(name, TASKS)} All {len(TASKS)} are listed by "
            "`neuroloom.cognition.task.tasks()` and in the docs of cognition.tasks."
        )
    module, _, attribute = TASKS[name].partition(":")
    return getattr(import_module(f"neuroloom.cognition.library.{module}"), attribute)


def tasks() -> list[str]:
    """Return the names of all tasks of the library.

    Examples
    --------
    >>> "perceptual-discrimination" in tasks()
    True
    """
    from neuroloom.cognition.library import TASKS

    return list(TASKS)
