"""What a name behind `model=` stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from neuroloom.core import registry


@dataclass(frozen=True)
class Model:
    """A registered model: what it is, what it likes, and how to make a learner of it.

    Attributes
    ----------
    name, summary, source
        Its name, one line, and the paper.
    is_net
        True for a net, False for an estimator.
    make
        `make(facts, task, n_outputs, **options)` returns an untrained learner, where `facts` are
        the dataset's.
    rebuild
        `rebuild(spec)` returns an untrained learner from a stored spec.
    tasks
        What it can learn: "classification", "regression", "dense".
    likes
        Preprocessing the model was made for, read by the recipe where the user gives none.
    obeys
        Settings of the recipe that only some models heed, and this one does.
    """

    name: str
    summary: str
    source: str
    is_net: bool
    make: Callable[..., Any]
    rebuild: Callable[[dict[str, Any]], Any]
    tasks: tuple[str, ...] = ("classification", "regression")
    likes: dict[str, Any] = field(default_factory=dict)
    obeys: tuple[str, ...] = ()


def find_model(name: str, family: str = "") -> Model:
    """Return the model of that name, in a family ("grid", "table") or under its full name.

    Raises
    ------
    ConfigError
        With the nearest name.

    Examples
    --------
    >>> find_model("eegnet").is_net
    True
    """
    return registry.load("model", registry.key("model", name, family))
