"""Standardising channels: by the training examples, or by what went before."""

from __future__ import annotations

import numpy as np

from neuroloom.core.step import FittedStep


class Standardize(FittedStep):
    """Bring every channel to mean 0 and standard deviation 1 of the training examples.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(5, 3, (10, 2, 100))
    >>> bool(abs(Standardize().fit(x).transform(x).std() - 1) < 0.01)
    True
    """

    causal = True

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Standardize:
        """Learn mean and standard deviation of each channel over examples and time."""
        mean = x.mean(axis=(0, 2), dtype=np.float64)
        deviation = x.std(axis=(0, 2), dtype=np.float64)
        self.load({"mean": mean, "deviation": np.where(deviation > 0, deviation, 1.0)})
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled examples in the precision they came in."""
        return ((x - self.mean[:, None]) / self.deviation[:, None]).astype(x.dtype)

    def state(self) -> dict[str, np.ndarray]:
        """Return `mean` and `deviation`, each of shape (channel,)."""
        return {"mean": self.mean, "deviation": self.deviation}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back `mean` and `deviation`."""
        self.mean, self.deviation = state["mean"], state["deviation"]

    def describe(self, rate: float) -> str:
        """Return the scaling in one sentence."""
        return "Each channel scaled to mean 0 and standard deviation 1 of the training examples."
