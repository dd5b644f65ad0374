"""When a net is good enough, and what it learns next: rules to stop by, and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, nearest

RULES = ("mean", "worst")
MOST_LEVELS = 16


@dataclass(frozen=True)
class StopRule:
    """A net is good enough when a score reaches a target, on average over its last validations.

    It must also be reached in the very last one, whose weights are kept.

    Attributes
    ----------
    target
        Share of right trials.
    rule
        "mean": of all trials; "worst": of the condition in which it is lowest.
    last
        How many validations are averaged (PyCog: 5).

    Examples
    --------
    >>> StopRule(0.8, last=2).reached([{"accuracy": 0.5}, {"accuracy": 0.8}, {"accuracy": 0.9}])
    True
    """

    target: float = 0.9
    rule: str = "mean"
    last: int = 5

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(
                f"No rule to stop by is called '{self.rule}'.{nearest(self.rule, RULES)} "
                f"Known: {', '.join(RULES)}."
            )
        if not 0 < self.target <= 1:
            raise ConfigError(f"target: a share above 0 and at most 1, got {self.target}.")

    def reached(self, entries: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether the last of these validations reach the target."""
        key = "accuracy" if self.rule == "mean" else "worst"
        seen = [float(entry[key]) for entry in entries if key in entry][-self.last :]
        return len(seen) == self.last and min(float(np.mean(seen)), seen[-1]) >= self.target


@dataclass(frozen=True)
class Stage:
    """A part of a curriculum: conditions that hold in it, and when it has been learnt.

    Attributes
    ----------
    conditions
        What is fixed in its trials, by the names that the task knows; empty: nothing.
    stop
        When the next one begins.
    name
        For the report.

    Examples
    --------
    >>> Stage({"coherence": 0.7}).title
    'coherence 0.7'
    """

    conditions: dict[str, Any] = field(default_factory=dict)
    stop: StopRule = StopRule()
    name: str = ""

    @property
    def title(self) -> str:
        """Its name, or what is fixed in it."""
        told = ", ".join(f"{name} {value}" for name, value in self.conditions.items())
        return self.name or told or "whole task"


def parse_stages(stages: Sequence[str], stop: StopRule, threshold: float) -> list[Stage]:
    """Return the stages that a recipe's strings describe, the last of them the goal.

    Parameters
    ----------
    stages
        Each "name=value name=value"; values are numbers or words. "whole" fixes nothing. None
        given: one stage, the whole task.
    stop
        Rule of the last one.
    threshold
        Accuracy at which an earlier one gives way to the next.

    Raises
    ------
    ConfigError
        If a string is no such list.

    Examples
    --------
    >>> [stage.title for stage in parse_stages(["coherence=0.7", "whole"], StopRule(), 0.9)]
    ['coherence 0.7', 'whole task']
    """
    if not stages:
        return [Stage(stop=stop)]
    early = StopRule(threshold, last=1)
    last = len(stages) - 1
    return [
        Stage(_conditions(text), stop if number == last else early)
        for number, text in enumerate(stages)
    ]


def _conditions(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split():
        name, equals, value = part.partition("=")
        if part == "whole":
            continue
        if not (name and equals and value):
            raise ConfigError(
                f"stages: '{text}' must be written as 'coherence=0.7' (more than one: with spaces "
                f"between) or 'whole'; '{part}' is neither."
            )
        found[name] = _number(value)
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def worst_condition(
    right: np.ndarray, conditions: Mapping[str, np.ndarray], per: Sequence[str] = ()
) -> tuple[float, str]:
    """Return the lowest accuracy over the values of conditions, and where it is.

    Parameters
    ----------
    right
        Shape (trial,), bool.
    conditions
        Name -> (trial,) values. Those of more than 16 different values are left out.
    per
        Names of conditions that are looked at jointly; default: each by itself.

    Examples
    --------
    >>> worst_condition(np.array([1, 1, 0, 1]), {"side": np.array([0, 0, 1, 1])})
    (0.5, 'side 1')
    """
    worst, where = float(np.mean(right)), "all"
    for group in [tuple(per)] if per else [(name,) for name in conditions]:
        values = np.stack([np.asarray(conditions[name], float) for name in group], 1)
        levels, index = np.unique(values, axis=0, return_inverse=True)
        if len(levels) > MOST_LEVELS and not per:
            continue
        shares = np.bincount(index.ravel(), right) / np.bincount(index.ravel())
        if shares.min() < worst:
            worst, place = float(shares.min()), levels[int(shares.argmin())]
            where = ", ".join(f"{n} {v:g}" for n, v in zip(group, place, strict=True))
    return worst, where


def switches(entries: Sequence[Mapping[str, Any]], stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Return one row a stage that was entered: when it began and ended, and how well it ended.

    Parameters
    ----------
    entries
        The history of a fit, each with step, stage, accuracy.
    """
    rows: list[dict[str, Any]] = []
    for number, stage in enumerate(stages):
        own = [entry for entry in entries if entry.get("stage") == number and "accuracy" in entry]
        if not own:
            continue
        rows.append({
            "stage": number + 1, "conditions": stage.title, "threshold": stage.stop.target,
            "first_step": rows[-1]["last_step"] + 1 if rows else 1, "last_step": own[-1]["step"],
            "accuracy": float(own[-1]["accuracy"]),
            "reached": stage.stop.reached(own),
        })  # fmt: skip
    return rows
