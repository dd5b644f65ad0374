"""Learners of different kinds that vote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.model import find_model
from neuroloom.learn.training.solved import Solved
from neuroloom.signals.classical.base import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob


class Voting:
    """Soft voting: the mean of the members' probabilities, or of their numbers.

    Every member is fitted to the same training trials. Members are registered models, estimators
    or nets.

    Parameters
    ----------
    name
        Of the model.
    members
        Untrained learners.

    References
    ----------
    Kittler et al. (1998), IEEE Trans. Pattern Anal. Mach. Intell. 20(3), 226-239 (the sum rule).

    Examples
    --------
    >>> from neuroloom.signals.classical import CspLda, Riemann
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(40, 4, 200)), np.arange(40) % 2
    >>> x[y == 1, 0] *= 3
    >>> learner = Voting("voting", [CspLda(n_outputs=2), Riemann(n_outputs=2)])
    >>> _ = learner.fit(x, y)
    >>> bool((learner.predict_scores(x).argmax(1) == y).mean() > 0.95)
    True
    """

    def __init__(self, name: str, members: list[Any]) -> None:
        self.name, self.members = name, members

    @property
    def spec(self) -> dict[str, Any]:
        """Name, and the specs of the members."""
        return {"name": self.name, "members": [member.spec for member in self.members]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Voting:
        """Build the learner that `spec` describes, untrained."""
        return cls(spec["name"], [find_model(own["name"]).rebuild(own) for own in spec["members"]])

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Fit every member to trials `x` (trial, channel, time) and targets `y`."""
        for member in self.members:
            member.fit(x, y, job=job)
        return Solved()

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (trial, class), or predictions, shape (trial,)."""
        scores = np.stack([member.predict_scores(x) for member in self.members])
        if scores.ndim == 2:
            return scores.mean(axis=0)
        return np.log(np.maximum(np.exp(scores).mean(axis=0), SMALLEST_PROBABILITY))

    def state(self) -> dict[str, np.ndarray]:
        """Return what the members learnt; names begin with the member's number."""
        return {
            f"{k}.{name}": array
            for k, member in enumerate(self.members)
            for name, array in member.state().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        for k, member in enumerate(self.members):
            head = f"{k}."
            member.load(
                {name.removeprefix(head): a for name, a in state.items() if name.startswith(head)}
            )
