"""Tasks made of tasks: more noise, trials that depend on the last one, several in a schedule.

Several tasks mixed in one batch, told apart by rule inputs, are `learning.mixture.Mixture`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from neuroloom.cognition.declare import Declared
from neuroloom.cognition.task import State, Task, Trials, right_answer
from neuroloom.core.errors import ConfigError, nearest

KINDS = ("sequential", "random", "block")


class Wrapped(Task):
    """A task that changes another one; what it does not change is that of the other."""

    def __init__(self, inner: Task) -> None:
        self.inner = inner
        self.name, self.summary, self.source = inner.name, inner.summary, inner.source
        self.inputs, self.outputs, self.actions = inner.inputs, inner.outputs, inner.actions
        self.carried = inner.carried

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return `n` trials of the other task."""
        return self.inner.trials(n, generator, dt, **conditions)

    def score(self, outputs: Tensor, trials: Trials) -> Tensor:
        """Return right or wrong for each trial, (trial,)."""
        return self.inner.score(outputs, trials)

    def begin(self, n: int, generator: torch.Generator) -> State:
        """Return what `n` agents carry into their first trial."""
        return self.inner.begin(n, generator)

    def settle(
        self, state: State, trials: Trials, action: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return the reward of an answer, and what is carried on."""
        return self.inner.settle(state, trials, action, generator)


class Noisy(Wrapped):
    """White noise on every input, throughout.

    Parameters
    ----------
    inner
        The task.
    sigma
        Standard deviation of a step of 1 ms; of a step of dt, sigma / sqrt(dt / ms).

    Examples
    --------
    >>> from neuroloom.cognition.task import task
    >>> trials = Noisy(task("go-nogo"), 1.0).trials(5, torch.Generator(), dt=100)
    >>> 0.05 < float(trials.inputs[..., 2].std()) < 0.6
    True
    """

    def __init__(self, inner: Task, sigma: float) -> None:
        super().__init__(inner)
        if sigma < 0:
            raise ConfigError(f"sigma: noise of at least 0, got {sigma}.")
        self.sigma = sigma

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return `n` trials with more noise."""
        trials = self.inner.trials(n, generator, dt, **conditions)
        noise = torch.randn(trials.inputs.shape, generator=generator, device=generator.device)
        return replace(trials, inputs=trials.inputs + noise * self.sigma / dt**0.5)


class Repeating(Wrapped):
    """A condition that tends to stay as it was a trial ago (Hermoso-Mendizabal et al. 2020).

    Parameters
    ----------
    inner
        The task.
    condition
        Its name; a list of values to choose from.
    odds
        Probability that it is repeated; else it becomes one of the others.

    Raises
    ------
    ConfigError
        If there is no such condition, or the odds are no probability.

    Examples
    --------
    >>> from neuroloom.cognition.task import task
    >>> Repeating(task("perceptual-decision-making"), "side", 0.8).carried
    True
    """

    def __init__(self, inner: Declared, condition: str, odds: float) -> None:
        super().__init__(inner)
        chosen = {name: law for name, law in inner.laws.items() if law.kind == "choice"}
        if condition not in chosen:
            raise ConfigError(
                f"Task '{inner.name}' has no listed condition '{condition}'."
                f"{nearest(condition, chosen)} Known: {', '.join(chosen)}."
            )
        if not 0 <= odds <= 1:
            raise ConfigError(f"odds: a probability from 0 to 1, got {odds}.")
        self.condition, self.odds, self.carried = condition, odds, True
        kind = torch.int64 if chosen[condition].whole else torch.float32
        self.values = torch.tensor(chosen[condition].values, dtype=kind)

    def begin(self, n: int, generator: torch.Generator) -> State:
        """Return what `n` agents carry into their first trial."""
        level = torch.randint(len(self.values), (n,), generator=generator, device=generator.device)
        return {**self.inner.begin(n, generator), "level": level}

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return a trial for each of `n` agents."""
        state = conditions.pop("state", None) or self.begin(n, generator)
        rest = {name: value for name, value in state.items() if name != "level"}
        more = {"state": rest} if self.inner.carried else {}
        fixed = {self.condition: self.values.to(generator.device)[state["level"]]} | conditions
        return self.inner.trials(n, generator, dt, **fixed, **more)

    def settle(
        self, state: State, trials: Trials, action: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return the reward of an answer; the condition stays, or becomes another."""
        reward, rest = self.inner.settle(state, trials, action, generator)
        n, size = len(action), len(self.values)
        stays = torch.rand(n, generator=generator, device=generator.device) < self.odds
        step = torch.randint(1, max(size, 2), (n,), generator=generator, device=generator.device)
        level = torch.where(stays, state["level"], (state["level"] + step) % size)
        return reward, {**rest, "level": level}


class Scheduled(Task):
    """Several tasks one after the other; a rule input tells which it is.

    Parameters
    ----------
    mixture
        The tasks, with shared channels: `learning.mixture.Mixture`.
    kind
        "sequential" (one trial each, in turn), "random", or "block".
    length
        Trials of a block.

    Raises
    ------
    ConfigError
        If there is no such schedule.
    """

    def __init__(self, mixture: Any, kind: str = "block", length: int = 20) -> None:
        if kind not in KINDS:
            raise ConfigError(f"No schedule is called '{kind}'.{nearest(kind, KINDS)} "
                              f"Known: {', '.join(KINDS)}.")  # fmt: skip
        if length < 1:
            raise ConfigError(f"length: blocks of at least one trial, got {length}.")
        self.inner, self.kind, self.length, self.carried = mixture, kind, length, True
        self.name, self.summary, self.source = mixture.name, mixture.summary, mixture.source
        self.inputs, self.outputs, self.actions = mixture.inputs, mixture.outputs, mixture.actions

    def begin(self, n: int, generator: torch.Generator) -> State:
        """Return what is carried into the first trial: its number, and which task it is."""
        zero = torch.zeros(n, dtype=torch.int64, device=generator.device)
        return {"number": zero, "task": zero.clone()}

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return a trial for each of `n` agents, of the task whose turn it is."""
        state = conditions.pop("state", None) or self.begin(n, generator)
        return self.inner.trials(n, generator, dt, task=int(state["task"][0]), **conditions)

    def score(self, outputs: Tensor, trials: Trials) -> Tensor:
        """Return right or wrong for each trial, (trial,)."""
        return self.inner.score(outputs, trials)

    def settle(
        self, state: State, trials: Trials, action: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return the reward of an answer, and whose turn it is next; all agents go together."""
        number, parts = state["number"] + 1, len(self.inner.parts)
        if self.kind == "random":
            drawn = torch.randint(parts, (1,), generator=generator, device=generator.device)
            which = drawn.expand(len(number))
        else:
            which = number // (self.length if self.kind == "block" else 1) % parts
        reward, _ = super().settle(state, trials, action, generator)
        return reward, {"number": number, "task": which}


Policy = Callable[[Trials, torch.Generator], Tensor]


def play_session(
    task: Task, policy: Policy, agents: int, count: int, generator: torch.Generator,
    dt: float = 20.0, **conditions: Any,
) -> dict[str, Tensor]:  # fmt: skip
    """Let agents play a session of trials, all agents at once, what is carried on with them.

    Parameters
    ----------
    task
        Any; of one that carries nothing, trials are just drawn one after the other.
    policy
        Gives the answers (agent,) to a batch of trials, one an agent.
    agents, count
        How many agents, and trials of each.

    Returns
    -------
    dict
        "action", "right" and "reward", (trial number, agent) each.

    Examples
    --------
    >>> from neuroloom.cognition.task import right_answer, task
    >>> def know(trials, generator):
    ...     return right_answer(trials)
    >>> told = play_session(task("context-switch"), know, 3, 10, torch.Generator())
    >>> told["reward"].mean().item()
    1.0
    """
    state, parts = task.begin(agents, generator), []
    for _ in range(count):
        more = {"state": state} if task.carried else {}
        trials = task.trials(agents, generator, dt, **more, **conditions)
        action = policy(trials, generator)
        reward, state = task.settle(state, trials, action, generator)
        parts.append((action, right_answer(trials), reward))
    columns = [torch.stack(own) for own in zip(*parts, strict=True)]
    return dict(zip(("action", "right", "reward"), columns, strict=True))
