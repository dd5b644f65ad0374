"""A task by declaration: conditions and timing are data, a short function writes the channels.

    @declare("light", "press when a light goes on", source="none", inputs=("light",), actions=2,
             outputs=("wait", "press"), timing={"wait": uniform(200, 900), "decision": 300})
    def light(draft):
        draft.add("light", 1.0, "decision")
        draft.answer(1, "decision")

The function is called once a batch; everything in it is an array over trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from neuroloom.cognition.answers import angles, loudest
from neuroloom.cognition.task import State, Task, Trials
from neuroloom.cognition.timing import Clock, Law, lay_out, parse_law, sample
from neuroloom.core.errors import ConfigError, nearest

DECISION_WEIGHT = 5.0  # what a wrong answer costs beside a broken fixation (Yang et al. 2019)
Value: TypeAlias = Tensor | float | int


class Draft:
    """A batch of trials that is being written.

    Parameters
    ----------
    task
        Whose trials they are.
    n
        How many.
    clock
        Its epochs.
    conditions, settings
        What was drawn, (trial,) each; numbers that hold for all.
    dt
        Step, ms.
    generator
        Everything random comes from it.
    state
        What is carried from earlier trials.
    """

    def __init__(
        self, task: Declared, n: int, clock: Clock, conditions: dict[str, Tensor],
        settings: Mapping[str, float], dt: float, generator: torch.Generator, state: State,
    ) -> None:  # fmt: skip
        self.task, self.n, self.clock, self.dt = task, n, clock, dt
        self.conditions, self.settings, self.state = conditions, settings, state
        self.generator, self.device = generator, generator.device
        shape, device = (clock.steps, n), generator.device
        self.inputs = torch.zeros(*shape, len(task.inputs), device=device)
        self.targets = self.mask = torch.empty(0, device=device)  # until something is aimed at
        self.step = torch.arange(clock.steps, device=device)[:, None]
        self.alive = self.step < clock.length
        self.choice = self.alive.long() - 1 if task.actions else torch.full(shape, -1)
        self.choice = self.choice.to(device)
        self._within: dict[str, Tensor] = {}
        caught = conditions.get("catch")
        self.present = None if caught is None else 1.0 - caught.float()

    def __getitem__(self, name: str) -> Any:
        """Return a condition (trial,), something carried (trial, ...), or a setting (number)."""
        for place in (self.conditions, self.state, self.settings):
            if name in place:
                return place[name]
        raise KeyError(name)

    def draw(self, law: Any) -> Tensor:
        """Return draws from a law, (trial,)."""
        return sample(parse_law(law, self.task.name), self.n, self.generator)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal noise."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def random(self, *shape: int) -> Tensor:
        """Return uniform noise from 0 to 1."""
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def note(self, name: str, values: Tensor) -> Tensor:
        """Record something derived, (trial,), as a condition; returns it."""
        self.conditions[name] = values
        return values

    def mark(self, name: str, start: Tensor, stop: Tensor) -> None:
        """Name a stretch of steps that is no epoch of the timing."""
        self.clock.epochs[name] = (start.long(), stop.long())
        self._within.pop(name, None)

    def during(self, *epochs: str) -> Tensor:
        """Return where one of the epochs goes on, (time, trial) bool; none named: the trial."""
        if not epochs:
            return self.alive
        found = [self._during(name) for name in epochs]
        for more in found[1:]:
            found[0] = found[0] | more
        return found[0]

    def _during(self, name: str) -> Tensor:
        if name not in self._within:
            start, stop = self.clock.epochs[name]
            self._within[name] = (self.step >= start) & (self.step < stop)
        return self._within[name]

    def since(self, epoch: str) -> Tensor:
        """Return the time since the start of an epoch, ms, (time, trial)."""
        return (self.step - self.clock.epochs[epoch][0]) * self.dt

    def add(self, channel: str, value: Value, *epochs: str) -> None:
        """Add to an input or a group of inputs, in some epochs.

        Parameters
        ----------
        channel
            Name of an input; or of a group, "stimulus" for "stimulus 0", "stimulus 1" …
        value
            A number; (trial,); (trial, channel of the group); or (time, trial, 1 or channel).
        epochs
            When; default: throughout the trial.
        """
        place = self.task.places["inputs"][channel]
        where = self.during(*epochs)[..., None]
        value = _spread(value)
        if self.present is not None and channel not in self.task.cues:
            value = value * self.present[:, None]
        self._add(place, value * where)

    def _add(self, place: Any, value: Tensor) -> None:
        if isinstance(place, slice):  # a view, so nothing is written twice
            self.inputs[..., place].add_(value)
        else:
            self.inputs[..., place] += value

    def noise(self, channel: str, sigma: Value, *epochs: str) -> None:
        """Add white noise to an input or a group of them, of one power at any `dt`.

        Parameters
        ----------
        sigma
            Standard deviation of a step of 1 ms; that of a step of dt is sigma / sqrt(dt / ms).
        """
        place = self.task.places["inputs"][channel]
        shape = self.inputs[..., place].shape
        level = self.during(*epochs)[..., None] * (_spread(sigma) / self.dt**0.5)
        self._add(place, self.normal(*shape).mul_(level))

    def aim(self, channel: str, value: Value, *epochs: str, weight: Value = 1.0) -> None:
        """Set what an output, or a group of them, should be in some epochs, and what it costs."""
        place, where = self.task.places["outputs"][channel], self.during(*epochs)[..., None]
        if not len(self.targets):
            shape = (*self.choice.shape, len(self.task.outputs))
            self.targets, self.mask = torch.zeros(2, *shape, device=self.device)
        value = _spread(value)
        if self.present is not None:
            value = value * self.present[:, None] + self.task.rest * (1 - self.present[:, None])
        old = self.targets[..., place]
        self.targets[..., place] = torch.where(where, value, old)
        self.mask[..., place] = torch.where(where, _spread(weight), self.mask[..., place])

    def bell(self, channel: str, angle: Tensor, strength: Value, *epochs: str) -> None:
        """Add a cosine bump around an angle (trial,) to a ring of inputs; 0 opposite to it."""
        size = sum(name.startswith(channel + " ") for name in self.task.inputs)
        hill = (1 + torch.cos(angle[:, None] - angles(size, self.device))) / 2
        self.add(channel, hill * _spread(strength), *epochs)

    def answer(self, action: Value, *epochs: str) -> None:
        """Set the right action of some epochs: a number, (trial,), or (time, trial)."""
        right = torch.as_tensor(action, device=self.device).long()
        if self.present is not None:
            right = right * self.present.long()
        self.choice = torch.where(self.during(*epochs), right, self.choice)

    def finish(self) -> Trials:
        """Return the trials; what was left open is to fixate, and targets follow the actions."""
        if not len(self.targets):
            self._follow_actions()
        return Trials(
            self.inputs, self.targets, self.mask, self.choice, self.conditions, self.clock.epochs,
            self.dt,
        )  # fmt: skip

    def _follow_actions(self) -> None:
        first = self.task.actions - len(self.task.outputs)
        due = torch.zeros(*self.choice.shape, self.task.actions, device=self.device)
        due.scatter_(-1, self.choice.clamp_min(0)[..., None], self.alive[..., None].float())
        self.targets = due[..., first:]
        asked = self.choice > 0
        if "decision" in self.clock.epochs:
            asked = asked | self.during("decision")
        weight = torch.where(asked, DECISION_WEIGHT, self.alive.float())
        self.mask = weight[..., None].expand_as(self.targets)


def _spread(value: Value) -> Any:
    """Return a value with a last dim for channels, where it has one for trials."""
    return value[:, None] if isinstance(value, Tensor) and value.ndim == 1 else value


@dataclass
class Declared(Task):
    """A task from its declaration; see `declare`."""

    name: str
    summary: str
    write: Callable[[Draft], None]
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    actions: int
    timing: dict[str, Law]
    laws: dict[str, Law] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    catch: float = 0.0
    cues: tuple[str, ...] = ("fixation",)
    rest: float = 0.0
    judge: Callable[[Tensor, Trials], Tensor] | None = None
    start: Callable[[int, torch.Generator], State] | None = None
    after: Callable[..., tuple[Tensor, State]] | None = None
    follow: Callable[[Trials, State, int, Tensor], None] | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.carried = self.start is not None
        self.places = {"inputs": _groups(self.inputs), "outputs": _groups(self.outputs)}

    @property
    def known(self) -> dict[str, Any]:
        """All that can be fixed by name: conditions, durations, settings, "catch"."""
        return self.laws | self.timing | self.settings | {"catch": self.catch}

    def trials(
        self, n: int, generator: torch.Generator, dt: float = 20.0, **conditions: Any
    ) -> Trials:
        """Return `n` trials on the generator's device, all at once.

        Parameters
        ----------
        n
            How many.
        generator
            Everything random comes from it.
        dt
            Step, ms.
        conditions
            Name of a condition, an epoch, or a setting -> number, law, or (trial,) tensor. "state"
            is what is carried from earlier trials.

        Raises
        ------
        ConfigError
            If a name is unknown, or the timing contradicts itself.
        """
        state = conditions.pop("state", None)
        if self.carried and state is None:
            state = self.begin(n, generator)
        laws, timing, settings, drawn = self._fixed(conditions, n)
        drawn = {name: value.to(generator.device) for name, value in drawn.items()}
        for name, law in laws.items():
            if name not in drawn:
                drawn[name] = sample(law, n, generator)
        drawn = {name: drawn[name] for name in [*laws, *set(drawn).difference(laws)]}
        clock = lay_out(timing, drawn | (state or {}), n, dt, generator)
        draft = Draft(self, n, clock, drawn, settings, dt, generator, state or {})
        self.write(draft)
        return draft.finish()

    def _fixed(self, given: dict[str, Any], n: int) -> tuple[Any, Any, Any, dict[str, Tensor]]:
        laws, timing, settings = dict(self.laws), dict(self.timing), dict(self.settings)
        drawn: dict[str, Tensor] = {}
        for name, value in given.items():
            if name not in self.known:
                raise ConfigError(
                    f"Task '{self.name}' has no condition '{name}'.{nearest(name, self.known)} "
                    f"Known: {', '.join(self.known)}."
                )
            if isinstance(value, Tensor) and value.ndim:
                drawn[name] = _per_trial(value, name, n)
                if name in timing:
                    timing[name] = Law("same", of=name)
            elif name in settings:
                settings[name] = float(parse_law(value, name).values[0])
            elif name == "catch":
                laws[name] = _caught(float(parse_law(value, name).values[0]))
            else:
                (timing if name in timing else laws)[name] = parse_law(value, name)
        if self.catch and "catch" not in given:
            laws["catch"] = _caught(self.catch)
        return laws, timing, settings, drawn

    def begin(self, n: int, generator: torch.Generator) -> State:
        """Return what `n` agents carry into their first trial."""
        return self.start(n, generator) if self.start else {}

    def settle(
        self, state: State, trials: Trials, action: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Return the reward (trial,) of an answer (trial,), and what is carried on."""
        if self.after is None:
            return super().settle(state, trials, action, generator)
        return self.after(state, trials, action, generator)

    def score(self, outputs: Tensor, trials: Trials) -> Tensor:
        """Return whether outputs (time, trial, output) solve the trials, (trial,) bool."""
        if self.judge is not None:
            return self.judge(outputs, trials)
        return loudest(outputs, trials, self.actions)


def _caught(share: float) -> Law:
    if not 0 <= share <= 1:
        raise ConfigError(f"catch: a share of trials from 0 to 1, got {share}.")
    return Law("catch", (share,))


def _per_trial(value: Tensor, name: str, n: int) -> Tensor:
    if value.shape != (n,):
        raise ConfigError(f"{name}: one value a trial, ({n},), got shape {tuple(value.shape)}.")
    return value


def _groups(names: Sequence[str]) -> dict[str, Any]:
    """Return name of a channel or of a group of them -> its places."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
        stem, _, number = name.rpartition(" ")
        if stem and number.isdigit():
            groups.setdefault(stem, []).append(place)
    return {
        name: slice(own[0], own[-1] + 1) if own[-1] - own[0] + 1 == len(own) else own
        for name, own in groups.items()
    }


def declare(
    name: str, summary: str, *, source: str, inputs: Sequence[str], outputs: Sequence[str],
    actions: int, timing: Mapping[str, Any], conditions: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[Callable[[Draft], None]], Declared]:  # fmt: skip
    """Make a task out of a function that writes a batch of its trials.

    Parameters
    ----------
    name, summary, source
        What it is called, what is done in it, the paper it comes from.
    inputs, outputs
        Names of the channels.
    actions
        How many actions, with fixation; 0: none, the function sets targets by `Draft.aim`.
    timing
        Epoch -> law of its duration, ms, in the order of time. "decision" is where answers count.
    conditions
        Name -> law that is drawn for each trial before the timing.
    options
        settings (numbers that hold for all trials), catch (share of trials without stimulus), cues
        (inputs that are there in those, too), rest (targets then), judge (what is right), start and
        after (what is carried over trials), follow (how a step changes the next), tags.

    Raises
    ------
    ConfigError
        If a law says what cannot be.

    Examples
    --------
    >>> @declare("light", "press at the light", source="none", inputs=("light",),
    ...          outputs=("wait", "press"), actions=2, timing={"wait": 100, "decision": 60})
    ... def light(draft):
    ...     draft.add("light", 1.0, "decision")
    ...     draft.answer(1, "decision")
    >>> light.trials(2, torch.Generator()).choice[:, 0].tolist()
    [0, 0, 0, 0, 0, 1, 1, 1]
    """
    clocked = {epoch: parse_law(law, f"{name}, {epoch}") for epoch, law in timing.items()}
    laws = {one: parse_law(law, f"{name}, {one}") for one, law in (conditions or {}).items()}
    for epoch, law in clocked.items():
        if law.kind == "same" and law.of not in laws and "start" not in options:
            raise ConfigError(f"{name}, {epoch}: no condition is called '{law.of}'."
                              f"{nearest(law.of, laws)}")  # fmt: skip

    def made(write: Callable[[Draft], None]) -> Declared:
        return Declared(
            name, summary, write, source, tuple(inputs), tuple(outputs), actions, clocked, laws,
            **options,
        )  # fmt: skip

    return made
