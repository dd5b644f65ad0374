"""Sleep stages by the power in the bands of sleep: the baseline of `signals.stage`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.training.solved import Solved

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

BANDS = ((0.5, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 11.0), (11.0, 16.0), (16.0, 30.0))
RIDGE = 1e-3


class StageLda:
    """Linear discriminant analysis, with equal priors, of log powers in the bands of sleep.

    Equal priors: half of a night is N2, and the priors of the data would let the rare stages go.

    Parameters
    ----------
    n_outputs
        Number of stages.
    rate
        Hz.
    places
        Epochs in an example; of a classification that in the middle is looked at.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(40) % 2
    >>> x = rng.normal(size=(40, 1, 2000)) * (1 + 3 * y)[:, None, None]
    >>> model = StageLda(2, 100.0)
    >>> _ = model.fit(x, y)
    >>> bool((model.predict_scores(x).argmax(1) == y).all())
    True
    """

    def __init__(self, n_outputs: int, rate: float, places: int = 1) -> None:
        self.n_outputs, self.rate, self.places = n_outputs, rate, places
        self.arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build it again."""
        fields = {"n_outputs": self.n_outputs, "rate": self.rate, "places": self.places}
        return {"name": "stage-lda"} | fields

    def features(self, epochs: np.ndarray) -> np.ndarray:
        """Return log power in each band of each channel, and its log SD, shape (n, feature)."""
        from scipy.signal import welch

        length = min(epochs.shape[2], round(4 * self.rate))
        frequency, power = welch(epochs, self.rate, nperseg=length, axis=2)
        inside = [(frequency >= low) & (frequency < high) for low, high in BANDS]
        bands = [power[..., band].mean(2) for band in inside if band.any()]
        values = np.stack([*bands, epochs.var(axis=2)], axis=2)
        return np.log(np.maximum(values, 1e-12)).reshape(len(epochs), -1)

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Learn means and the pooled covariance from epochs (n, channel, time) or stretches."""
        epochs, labels = self._epochs(x, whole=y.ndim == 2), y.ravel()
        known = labels >= 0
        features, labels = self.features(epochs[known]), labels[known]
        centre, spread = features.mean(0), features.std(0) + 1e-9
        z = (features - centre) / spread
        seen = np.unique(labels)
        means = np.stack([z[labels == k].mean(0) for k in seen])
        rest = z - means[np.searchsorted(seen, labels)]
        pooled = rest.T @ rest / max(1, len(z) - len(seen)) + RIDGE * np.eye(z.shape[1])
        weights = np.linalg.solve(pooled, means.T).T
        self.arrays = {
            "centre": centre, "spread": spread, "weights": weights, "classes": seen,
            "offsets": -0.5 * np.einsum("kf,kf->k", weights, means),
        }  # fmt: skip
        return Solved()

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities (n, class)."""
        return self._scores(self._epochs(x, whole=False))

    def predict_places(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities (n, class, place) of every epoch of stretches."""
        scores = self._scores(self._epochs(x, whole=True))
        return scores.reshape(len(x), self.places, self.n_outputs).swapaxes(1, 2)

    def _scores(self, epochs: np.ndarray) -> np.ndarray:
        from scipy.special import log_softmax

        a = self.arrays
        z = (self.features(epochs) - a["centre"]) / a["spread"]
        scores = np.full((len(epochs), self.n_outputs), -30.0)
        scores[:, a["classes"].astype(int)] = log_softmax(
            z @ a["weights"].T + a["offsets"], axis=1
        ).clip(-30.0)
        return log_softmax(scores, axis=1)

    def _epochs(self, x: np.ndarray, *, whole: bool) -> np.ndarray:
        """Return all epochs of stretches, or the middle ones, (n, channel, time)."""
        size = x.shape[2] // self.places
        parts = np.asarray(x)[..., : size * self.places].reshape(*x.shape[:2], self.places, size)
        if not whole:
            return parts[:, :, self.places // 2]
        return parts.swapaxes(1, 2).reshape(-1, x.shape[1], size)

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        self.arrays = {name: np.array(array) for name, array in state.items()}


class StageLdaSequence(StageLda):
    """The same for stretches: every epoch of them is labelled."""

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build it again."""
        return super().spec | {"dense": True}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities (n, class, place)."""
        return self.predict_places(x)
