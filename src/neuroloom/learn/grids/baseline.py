"""Plain models of whole images: components of the coarse image and its histogram, then linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.core.blocks import block_means
from neuroloom.core.errors import RunError
from neuroloom.learn.grids.learner import amounts
from neuroloom.learn.scoring.scores import mean_known
from neuroloom.learn.training.fit import FitJob, History

COARSE, QUANTILES = 10, 15
PENALTIES = np.logspace(-2, 5, 15)


class Projected:
    """Ridge or logistic regression on principal components of coarse voxels and a histogram.

    Parameters
    ----------
    name
        What the model is called.
    n_outputs
        Classes, or None for a number.
    n_table
        Trailing channels that hold one number each.
    unit
        What one place of a map is worth where the target is a sum over places.
    components
        How many are kept at most; a fifth of the examples at most.

    Notes
    -----
    The penalty of the ridge is chosen by leave-one-out inside the training examples; that of the
    logistic regression by three folds of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(40) % 2
    >>> x = rng.normal(size=(40, 1, 8, 8)) + y[:, None, None, None]
    >>> model = Projected("pca", 2)
    >>> _ = model.fit(x, y)
    >>> bool((model.predict_scores(x).argmax(1) == y).mean() > 0.9)
    True
    """

    validates = False

    def __init__(
        self,
        name: str,
        n_outputs: int | None,
        *,
        n_table: int = 0,
        unit: float = 1.0,
        components: int = 30,
    ) -> None:
        self.name, self.n_outputs, self.n_table = name, n_outputs, n_table
        self.unit, self.components = unit, components
        self.arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again, as JSON can hold it."""
        return {
            "name": self.name,
            "n_outputs": self.n_outputs,
            "n_table": self.n_table,
            "unit": self.unit,
            "components": self.components,
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Projected:
        """Build the untrained learner that `spec` describes."""
        return cls(**spec)

    def fresh(self) -> Projected:
        """Return an untrained learner of the same kind."""
        return Projected.from_spec(self.spec)

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> History:
        """Learn components and weights.

        Parameters
        ----------
        x, y
            Images (n, channel, *axes); class index (n,), numbers (n,), or maps (n, *axes).
        """
        raw = features(x, self.n_table)
        known = np.where(np.isfinite(raw), raw, np.nan)
        middle = np.nan_to_num(mean_known(known.T))  # 0 of what no training image has
        filled = np.where(np.isfinite(raw), raw, middle)
        spread = filled.std(0)
        self.arrays = {"mean": middle, "scale": np.where(spread > 1e-9, spread, 1.0)}
        standard = self._standard(raw)
        voxels = standard.shape[1] - self._kept(x)
        self.arrays["axes"] = _components(standard[:, :voxels], self.components)
        self.arrays["spread"] = np.ones(0)
        scores = self._scores(standard)
        self.arrays["spread"] = np.maximum(scores.std(0), 1e-9)
        scores = scores / self.arrays["spread"]
        if self.n_outputs is None:
            self._ridge(scores, amounts(y, self.unit))
        else:
            self._logistic(scores, np.asarray(y, np.int64))
        return History(stopped="solved")

    def _kept(self, x: np.ndarray) -> int:
        """Return how many trailing features are taken as they are: histogram and table."""
        return (x.shape[1] - self.n_table) * QUANTILES + self.n_table

    def _standard(self, raw: np.ndarray) -> np.ndarray:
        filled = np.where(np.isfinite(raw), raw, self.arrays["mean"])
        return (filled - self.arrays["mean"]) / self.arrays["scale"]

    def _scores(self, standard: np.ndarray) -> np.ndarray:
        axes = self.arrays["axes"]
        scores = np.c_[standard[:, : len(axes)] @ axes, standard[:, len(axes) :]]
        return scores / self.arrays["spread"] if len(self.arrays["spread"]) else scores

    def _ridge(self, scores: np.ndarray, y: np.ndarray) -> None:
        from sklearn.linear_model import RidgeCV

        model = RidgeCV(PENALTIES).fit(scores, y)
        self.arrays |= {"weights": model.coef_[:, None], "bias": np.array([model.intercept_])}

    def _logistic(self, scores: np.ndarray, y: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV

        model: Any = LogisticRegression(C=0.01, max_iter=500)
        if np.bincount(y, minlength=self.n_outputs or 0).min() >= 3:
            grid = {"C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
            model = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3)
            model = model.fit(scores, y).best_estimator_
        else:
            model.fit(scores, y)
        weights, bias = model.coef_.T, model.intercept_
        if self.n_outputs == 2:
            weights, bias = np.c_[-weights / 2, weights / 2], np.r_[-bias / 2, bias / 2]
        self.arrays |= {"weights": weights, "bias": bias}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Score images: log-probabilities (n, class), or numbers (n,)."""
        if len(x) == 0:
            return np.empty((0, self.n_outputs) if self.n_outputs else 0)
        scores = self._scores(self._standard(features(x, self.n_table)))
        out = scores @ self.arrays["weights"] + self.arrays["bias"]
        if self.n_outputs is None:
            return out[:, 0]
        from scipy.special import log_softmax

        return log_softmax(out, axis=1)

    def state(self) -> dict[str, np.ndarray]:
        """Return all that was learnt as named arrays."""
        return dict(self.arrays)

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned.

        Raises
        ------
        RunError
            If an array is missing.
        """
        missing = {"mean", "scale", "axes", "spread", "weights", "bias"} - state.keys()
        if missing:
            raise RunError(f"The saved state of '{self.name}' lacks {', '.join(sorted(missing))}.")
        self.arrays = dict(state)


def features(x: np.ndarray, n_table: int = 0) -> np.ndarray:
    """Return coarse voxels, quantiles of each channel, and the table's numbers (n, feature).

    Examples
    --------
    >>> features(np.zeros((2, 1, 20, 30))).shape
    (2, 115)
    """
    images = x.shape[1] - n_table
    coarse, quantiles = [], []
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    for one in x:
        flat = np.asarray(one[:images], dtype=np.float64)
        coarse.append(_coarse(flat).ravel())
        quantiles.append(np.quantile(flat.reshape(images, -1), levels, axis=1).T.ravel())
    table = np.asarray(x[:, images:].reshape(len(x), n_table, -1)[:, :, 0] if n_table else
                       np.empty((len(x), 0)), dtype=np.float64)  # fmt: skip
    return np.c_[np.stack(coarse), np.stack(quantiles), table]


def _coarse(image: np.ndarray) -> np.ndarray:
    """Average (channel, *axes) over blocks, at most `COARSE` along each axis."""
    counts = [min(COARSE, size) for size in image.shape[1:]]
    ends = zip(image.shape[1:], counts, strict=True)
    starts = [np.linspace(0, size, count, endpoint=False).astype(int) for size, count in ends]
    return block_means(image, starts)


def _components(standard: np.ndarray, most: int) -> np.ndarray:
    """Return principal axes (feature, component) of centred features."""
    count = max(1, min(most, len(standard) // 5, standard.shape[1]))
    _, _, axes = np.linalg.svd(standard, full_matrices=False)
    # The sign of an axis is free: the largest entry is made positive, as machines differ.
    axes = axes[:count]
    largest = np.abs(axes).argmax(1)
    return (axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]).T
