"""A net of evoked responses that is fitted like an estimator, so that it can vote beside some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.model import find_model
from neuroloom.learn.training.solved import Solved
from neuroloom.signals.classical.base import SMALLEST_PROBABILITY
from neuroloom.signals.classical.evoked import clip_level, clipped

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

NET = "eegnet"
TRAINING = {"epochs": 30, "lr": 0.005, "members": 2, "balance": True}
LOWEST_RATE = 75.0


class EvokedNet:
    """EEGNet on clipped samples, averaged in bins down to 75 Hz or a little more.

    The trials are cut before they are thinned out, so that a response stands at the same place in
    each. The loss weighs classes alike, as Lawhern et al. do for the P300; the probabilities are
    given back the class frequencies of the training trials.

    Parameters
    ----------
    name
        Of the model.
    width
        Samples of a bin.
    net
        The untrained learner of the binned trials.

    References
    ----------
    Lawhern et al. (2018), J. Neural Eng. 15, 056013.
    """

    def __init__(self, name: str, width: int, net: Any) -> None:
        self.name, self.width, self.net = name, width, net
        self._arrays: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, name: str, facts: dict[str, Any], task: str, n_outputs: int) -> EvokedNet:
        """Return the untrained learner for data with these facts."""
        width = max(1, int(facts["rate"] // LOWEST_RATE))
        thin = {"rate": facts["rate"] / width, "n_times": facts["n_times"] // width}
        return cls(name, width, find_model(NET).make(facts | thin, task, n_outputs, **TRAINING))

    @property
    def spec(self) -> dict[str, Any]:
        """Name, width of the bins and the net's own spec."""
        return {"name": self.name, "width": self.width, "net": self.net.spec}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> EvokedNet:
        """Build the learner that `spec` describes, untrained."""
        return cls(spec["name"], spec["width"], find_model(NET).rebuild(spec["net"]))

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Train on trials `x` (trial, channel, time) and class indices `y`."""
        from neuroloom.learn.training.fit import FitJob

        counts = np.bincount(y, minlength=self.net.n_outputs)
        prior = np.maximum(counts / len(y), SMALLEST_PROBABILITY)
        self._arrays = {"clip": clip_level(x), "prior": prior}
        self.net.fit(self._thin(x), y, job=FitJob(seed=job.seed if job else 0))
        return Solved(stopped=f"{TRAINING['epochs']} epochs")

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (trial, class)."""
        from scipy.special import log_softmax

        return log_softmax(
            self.net.predict_scores(self._thin(x)) + np.log(self._arrays["prior"]), 1
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt as named arrays."""
        return self._arrays | {f"net.{name}": array for name, array in self.net.state().items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        own = {name: array for name, array in state.items() if name.startswith("net.")}
        self.net.load({name.removeprefix("net."): array for name, array in own.items()})
        self._arrays = {name: array for name, array in state.items() if name not in own}

    def _thin(self, x: np.ndarray) -> np.ndarray:
        whole = clipped(x, self._arrays)[..., : x.shape[2] // self.width * self.width]
        return whole.reshape(*x.shape[:2], -1, self.width).mean(axis=3).astype(np.float32)
