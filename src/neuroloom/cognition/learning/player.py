"""A net that plays a task: what `fit.fit` trains, batch by batch of fresh trials.

Nothing is learnt from a stored data set: an example of `fit` is a ticket for a trial, drawn anew
each time. Validation trials are the same throughout a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from neuroloom.cognition.answers import loudest
from neuroloom.cognition.learning.curriculum import Stage, worst_condition
from neuroloom.cognition.nets.gated import Net
from neuroloom.cognition.task import Task, Trials
from neuroloom.core.errors import ConfigError, nearest

LOSSES = ("squares", "choices")
Draw = Callable[[torch.Generator], Trials]


class Objective(Protocol):
    """How a net learns from trials: supervised, or by reward."""

    def loss(self, net: Net, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch of trials that `draw` makes."""

    def right(self, net: Net, task: Task, trials: Trials, generator: torch.Generator) -> Tensor:
        """Return what validation averages, (trial,): right or wrong."""


@dataclass(frozen=True)
class Supervised:
    """Learn the targets, or the right choice of every step, where the task's mask asks for them.

    Attributes
    ----------
    kind
        "squares": mean squared distance from the targets; "choices": cross entropy.
    rates
        Price of the mean squared firing rate.
    weights
        Price of the mean absolute recurrent weight.
    """

    kind: str = "squares"
    rates: float = 0.0
    weights: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ConfigError(f"No loss is called '{self.kind}'.{nearest(self.kind, LOSSES)}")

    def loss(self, net: Net, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch of trials that `draw` makes."""
        trials = draw(generator)
        played = net(trials.inputs, trials.dt, generator=generator)
        cost = masked_loss(played.outputs, trials, self.kind)
        if self.rates:
            cost = cost + self.rates * played.rates.square().mean()
        if self.weights:
            cost = cost + self.weights * recurrent_weights(net).abs().mean()
        return cost

    def right(self, net: Net, task: Task, trials: Trials, generator: torch.Generator) -> Tensor:
        """Return whether each trial was solved, (trial,)."""
        played = net(trials.inputs, trials.dt, generator=generator)
        return solved(played.outputs, task, trials, self.kind)


def masked_loss(outputs: Tensor, trials: Trials, kind: str) -> Tensor:
    """Return the mean loss over what the mask of the trials asks for.

    Parameters
    ----------
    outputs
        Shape (time, trial, output).
    kind
        "squares" or "choices".
    """
    if kind == "squares":
        return ((outputs - trials.targets).square() * trials.mask).sum() / trials.mask.sum()
    weight = trials.mask.amax(-1) * (trials.choice >= 0)
    surprise = nn.functional.cross_entropy(
        outputs.flatten(0, 1), trials.choice.clamp_min(0).flatten(), reduction="none"
    )
    return (surprise * weight.flatten()).sum() / weight.sum().clamp_min(1e-6)


def solved(outputs: Tensor, played: Task, trials: Trials, kind: str) -> Tensor:
    """Return whether outputs solve trials, (trial,).

    Parameters
    ----------
    outputs
        Shape (time, trial, output): as the task wants them or, if `kind` is "choices", a logit an
        action; then the loudest while an answer is due counts, where the task's own outputs are no
        actions.
    """
    if kind == "choices" and len(played.outputs) != played.actions:
        return loudest(outputs, trials, played.actions)
    return played.score(outputs, trials)


def recurrent_weights(net: Net) -> Tensor:
    """Return the effective recurrent weights, (to, from); of gated nets all gates."""
    return net.body.weight_hh_l0 if hasattr(net, "body") else net.recurrent()


@dataclass(frozen=True)
class Drill:
    """How a net is trained and examined; plain data.

    Attributes
    ----------
    dt
        Step of the trials, ms.
    batch
        Trials in a step of training.
    every
        Steps between validations.
    judged
        Trials of a validation.
    per
        Conditions that "worst" looks at jointly; none: each by itself.
    seed
        Of the validation trials.
    """

    dt: float = 20.0
    batch: int = 64
    every: int = 50
    judged: int = 512
    per: tuple[str, ...] = ()
    seed: int = 0


class Player(nn.Module):
    """A net with its curriculum, trainable by `fit.fit`.

    Parameters
    ----------
    net
        What is trained.
    task
        What it plays.
    objective
        How it learns.
    stages
        The curriculum; at least one.
    drill
        Batches and validations.
    """

    stage: Tensor

    def __init__(
        self, net: Net, task: Task, objective: Objective, stages: Sequence[Stage], drill: Drill
    ) -> None:
        super().__init__()
        self.net, self.task, self.objective = net, task, objective
        self.stages, self.drill = list(stages), drill
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    @property
    def tickets(self) -> np.ndarray:
        """What `fit` takes for examples: one epoch of them lies between two validations."""
        return np.zeros((self.drill.batch * self.drill.every, 1), np.float32)

    @property
    def at_stage(self) -> Stage:
        """The stage that is being learnt."""
        return self.stages[int(self.stage)]

    def draw(self, n: int, generator: torch.Generator) -> Trials:
        """Return trials of the present stage."""
        return self.task.trials(n, generator, dt=self.drill.dt, **self.at_stage.conditions)

    def loss(self, x: Tensor, y: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return the loss of as many fresh trials as there are tickets."""
        draw = generator or torch.Generator(x.device).manual_seed(self.drill.seed)
        return self.objective.loss(self.net, partial(self.draw, len(x)), draw)

    def constrain(self) -> None:
        """Weights keep their constraints by how they are made: nothing to repair."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Nothing depends on passed batches."""
        self.eval()

    def review(self, epochs: list[dict[str, Any]]) -> str:
        """Examine the net, note it in the history, move on a stage, and say when to stop."""
        number = int(self.stage)
        own = [entry for entry in epochs[:-1] if entry["stage"] == number]
        epochs[-1] |= self.examine() | {"stage": number}
        if not self.at_stage.stop.reached([*own, epochs[-1]]):
            return ""
        if number + 1 < len(self.stages):
            self.stage += 1
            return ""
        return f"the target was reached after {epochs[-1]['step']} steps"

    @torch.no_grad()
    def examine(self) -> dict[str, Any]:
        """Return accuracy, worst accuracy and its condition, on the stage's validation trials."""
        device = next(self.net.parameters()).device
        draw = torch.Generator(device).manual_seed(10_007 * (self.drill.seed + 1))
        trials = self.draw(self.drill.judged, draw)
        right = self.objective.right(self.net, self.task, trials, draw).float().cpu().numpy()
        drawn = {name: value.cpu().numpy() for name, value in trials.conditions.items()
                 if value.ndim == 1}  # fmt: skip
        per = self.drill.per or (("task",) if "task" in drawn else ())
        worst, where = worst_condition(right, drawn, per)
        return {"accuracy": float(right.mean()), "worst": worst, "where": where}
