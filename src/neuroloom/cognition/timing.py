"""How long epochs last and what conditions are: laws to draw from, a batch at a time.

A law is plain data that can be written in Python, YAML or on a command line: a number, a list to
choose from, or a kind with its numbers, as in `("uniform", 200, 400)` or `"uniform 200 400"`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuroloom.core.errors import ConfigError, nearest

COUNTS = {"constant": 1, "until": 1, "steps": 1, "uniform": 2, "truncated exponential": 3}
KINDS = (*COUNTS, "choice", "same")
MOST_STEPS = 100_000


@dataclass(frozen=True)
class Law:
    """What a quantity is drawn from.

    Attributes
    ----------
    kind
        "constant" (value), "choice" (values), "uniform" (low, high), "truncated exponential" (mean
        before truncation, low, high), "until" (end of an epoch, ms from the start of the trial),
        "steps" (whatever a step lasts) or "same" (as a condition).
    values
        Its numbers.
    of
        Name of the condition, for "same".
    """

    kind: str
    values: tuple[float, ...] = ()
    of: str = ""

    @property
    def low(self) -> float:
        """The least it can be; NaN where that is not known beforehand."""
        place = {"uniform": 0, "truncated exponential": 1, "constant": 0}
        if self.kind == "choice":
            return min(self.values)
        return self.values[place[self.kind]] if self.kind in place else math.nan

    @property
    def whole(self) -> bool:
        """Whether only whole numbers come out of it."""
        listed = self.kind in ("constant", "choice")
        return listed and all(isinstance(value, int) for value in self.values)


def uniform(low: float, high: float) -> Law:
    """Return the law of all values from `low` to `high` alike.

    Examples
    --------
    >>> uniform(200, 400).low
    200
    """
    return Law("uniform", (low, high))


def choice(*values: float) -> Law:
    """Return the law of a few values alike.

    Examples
    --------
    >>> choice(1, 2, 4).values
    (1, 2, 4)
    """
    return Law("choice", values)


def exponential(mean: float, low: float, high: float) -> Law:
    """Return the law of waiting times with a flat hazard, cut off below and above, ms.

    Examples
    --------
    >>> exponential(300, 100, 1000).kind
    'truncated exponential'
    """
    return Law("truncated exponential", (mean, low, high))


def until(end: float) -> Law:
    """Return the law of an epoch that ends a fixed time (ms) after the trial's start.

    Examples
    --------
    >>> until(2000).values
    (2000,)
    """
    return Law("until", (end,))


def steps(number: int) -> Law:
    """Return the law of an epoch of so many steps, however long a step is.

    Examples
    --------
    >>> steps(1).kind
    'steps'
    """
    return Law("steps", (number,))


def same(name: str) -> Law:
    """Return the law of an epoch that lasts as long (ms) as a condition says.

    Examples
    --------
    >>> same("interval").of
    'interval'
    """
    return Law("same", of=name)


def parse_law(given: Any, name: str) -> Law:
    """Return a law from the ways in which it can be written.

    Parameters
    ----------
    given
        A `Law`; a number; a list of numbers; a kind and its numbers as a tuple, list, or string.
    name
        Whose law it is, for messages.

    Raises
    ------
    ConfigError
        If it is none of these, or says what cannot be.

    Examples
    --------
    >>> parse_law("uniform 200 400", "delay")
    Law(kind='uniform', values=(200, 400), of='')
    """
    if isinstance(given, Law):
        return _checked(given, name)
    if isinstance(given, bool | int | float):
        return _checked(Law("constant", (given,)), name)
    parts = given.split() if isinstance(given, str) else _listed(given, name)
    parts = [_number(part) for part in parts]
    words = [part for part in parts if isinstance(part, str)]
    values = tuple(part for part in parts if not isinstance(part, str))
    if not words:
        kind = "constant" if isinstance(given, str) and len(values) == 1 else "choice"
        return _checked(Law(kind, values), name)
    kind = " ".join(words).replace("_", " ").replace("exponential", "truncated exponential")
    kind = kind.replace("truncated truncated", "truncated")
    if kind.startswith("same ") or kind not in KINDS:
        if kind.startswith("same "):
            return Law("same", of=kind.removeprefix("same "))
        raise ConfigError(f"{name}: no law is called '{kind}'.{nearest(kind, KINDS)} "
                          f"Known: {', '.join(KINDS)}.")  # fmt: skip
    return _checked(Law(kind, values), name)


def _listed(given: Any, name: str) -> list[Any]:
    """Return a list in which ("uniform", (1, 2)) is laid flat."""
    if not isinstance(given, Sequence):
        raise ConfigError(f"{name}: expected a number, a list or a law, got {given!r}.")
    flat: list[Any] = []
    for part in given:
        flat += part if isinstance(part, list | tuple) else [part]
    return flat


def _number(part: Any) -> Any:
    if not isinstance(part, str):
        return part
    for kind in (int, float):
        try:
            return kind(part)
        except ValueError:
            continue
    return part


def _checked(law: Law, name: str) -> Law:
    values, kind = law.values, law.kind
    told = f"{name}: {kind} {' '.join(map(str, values))}"
    if kind in COUNTS and len(values) != COUNTS[kind]:
        raise ConfigError(f"{told}: expected {COUNTS[kind]} numbers, got {len(values)}.")
    if kind == "choice" and not values:
        raise ConfigError(f"{name}: there is nothing to choose from; give one value or more.")
    if not all(math.isfinite(value) for value in values):
        raise ConfigError(f"{told}: every value must be a finite number.")
    if kind in ("uniform", "truncated exponential") and values[-2] > values[-1]:
        raise ConfigError(f"{told}: the least, {values[-2]}, lies above the most, {values[-1]}.")
    if kind == "truncated exponential" and values[0] <= 0:
        raise ConfigError(f"{told}: the mean must be above 0.")
    return law


def sample(law: Law, n: int, generator: torch.Generator) -> Tensor:
    """Return `n` draws, (trial,): int64 where only whole numbers can come, else float32.

    The exponential is drawn through its inverse distribution, so a batch costs one draw.

    Examples
    --------
    >>> sample(choice(3), 2, torch.Generator()).tolist()
    [3, 3]
    """
    values, device = law.values, generator.device
    kind = torch.int64 if law.whole else torch.float32
    if law.kind == "constant":
        return torch.full((n,), values[0], dtype=kind, device=device)
    if law.kind == "catch":
        return (torch.rand(n, generator=generator, device=device) < values[0]).long()
    if law.kind == "choice":
        which = torch.randint(len(values), (n,), generator=generator, device=device)
        return torch.tensor(values, dtype=kind, device=device)[which]
    u = torch.rand(n, generator=generator, device=device)
    if law.kind == "uniform":
        return values[0] + (values[1] - values[0]) * u
    mean, low, high = values
    share = 1 - math.exp(-(high - low) / mean)
    return (low - mean * torch.log1p(-u * share)).clamp(low, high)


@dataclass(frozen=True)
class Clock:
    """When each epoch of each trial begins and ends.

    Attributes
    ----------
    epochs
        Name -> (start, stop) in steps, (trial,) each.
    length
        Steps of each trial, (trial,).
    steps
        Steps of the longest trial.
    """

    epochs: dict[str, tuple[Tensor, Tensor]]
    length: Tensor
    steps: int


def lay_out(
    laws: Mapping[str, Law], conditions: Mapping[str, Tensor], n: int, dt: float,
    generator: torch.Generator,
) -> Clock:  # fmt: skip
    """Draw the durations of epochs that follow each other, and round their ends to steps.

    Parameters
    ----------
    laws
        Name -> law, in the order of time; ms.
    conditions
        What durations can be the same as, (trial,), ms.
    dt
        Step, ms.

    Raises
    ------
    ConfigError
        If an epoch would end before it begins, or is shorter than a step.

    Examples
    --------
    >>> laws = {"cue": Law("constant", (100,)), "wait": until(300)}
    >>> lay_out(laws, {}, 1, 10.0, torch.Generator()).epochs["wait"][1].item()
    30
    """
    if not (math.isfinite(dt) and dt > 0):
        raise ConfigError(f"dt: a step must last more than 0 ms, got {dt}.")
    now = torch.zeros(n, dtype=torch.float64, device=generator.device)
    step, epochs = now.long(), {}
    for name, law in laws.items():
        now = _end(name, law, now, conditions, dt, generator)
        end = torch.floor(now / dt + 0.5 + 1e-6).long()
        epochs[name] = (step, end)
        step = end
    steps = int(step.max()) if n else 0
    if n and not 0 < steps <= MOST_STEPS:
        raise ConfigError(
            f"A trial of {steps} steps of {dt:g} ms: expected 1 to {MOST_STEPS}. Give the epochs "
            f"({', '.join(laws)}) other durations, or change dt."
        )
    return Clock(epochs, step, steps)


def _end(
    name: str, law: Law, now: Tensor, conditions: Mapping[str, Tensor], dt: float,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    if law.kind == "steps":
        return now + law.values[0] * dt
    if law.kind == "until":
        end = law.values[0]
        if bool((now > end).any()):
            raise ConfigError(
                f"Timing contradicts itself: epoch '{name}' must end {end:g} ms after the start of "
                f"the trial, but begins only at {float(now.max()):g} ms. Let it end later, or "
                "shorten what comes before."
            )
        return torch.full_like(now, end)
    if law.kind == "same":
        span = conditions[law.of]
        low = float(span.min()) if len(span) else math.nan
    else:
        span, low = sample(law, len(now), generator), law.low
    if low < 0:
        raise ConfigError(f"Timing contradicts itself: epoch '{name}' would last {low:g} ms.")
    if 0 < low < dt:
        raise ConfigError(
            f"Epoch '{name}' can last {low:g} ms, less than a step of {dt:g} ms: lengthen it, or "
            f"choose dt of at most {low:g}."
        )
    return now + span
