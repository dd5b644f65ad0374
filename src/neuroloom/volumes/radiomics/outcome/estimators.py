"""Learners of a table of features: everything they choose is chosen inside their training rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.training.solved import Solved, one_thread
from neuroloom.volumes.radiomics.outcome.elastic import choose_penalty, inner_folds

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

ALIKE = 0.95
MISSING = 0.5
SMALLEST = 1e-12
Arrays = dict[str, np.ndarray]


def learn_scaling(x: np.ndarray, alike: float = ALIKE) -> Arrays:
    """Learn from training rows which features to keep, and how to fill and scale them.

    Left out are features that are missing in more than half of the rows or constant, and of two
    that say the same (|correlation| above `alike`) the later one. No target is looked at.

    Examples
    --------
    >>> x = np.array([[1.0, 2, 5], [2, 4, 5], [3, 6, 5]])
    >>> learn_scaling(x)["kept"].tolist()
    [0]
    """
    known = np.isfinite(x)
    median = np.array([np.median(c[k]) if k.any() else 0.0 for c, k in zip(x.T, known.T)])  # noqa: B905
    filled = np.where(known, x, median)
    spread = filled.std(0)
    useful = (known.mean(0) >= MISSING) & (spread > 1e-9 * (np.abs(filled).max(0) + 1e-300))
    kept = _unlike((filled - filled.mean(0)) / np.where(useful, spread, 1), useful, alike)
    return {
        "kept": kept,
        "median": median[kept],
        "mean": filled.mean(0)[kept],
        "spread": spread[kept],
    }


def _unlike(z: np.ndarray, useful: np.ndarray, alike: float) -> np.ndarray:
    candidates = np.flatnonzero(useful)
    near = np.abs(z[:, candidates].T @ z[:, candidates]) / len(z) > alike
    kept: list[int] = []
    for place in range(len(candidates)):
        if not near[place, kept].any():
            kept.append(place)
    return candidates[kept]


def scaled(x: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return the kept features, filled and standardised; extremes are drawn in to 5 SD."""
    own = x[:, arrays["kept"]]
    filled = np.where(np.isfinite(own), own, arrays["median"])
    return np.clip((filled - arrays["mean"]) / arrays["spread"], -5, 5)


class TableLearner(ABC):
    """A learner of rows of features, with the same verbs as every other learner.

    Parameters
    ----------
    name
        Of the model.
    settings
        Plain data that rebuild it: `task`, `n_outputs`, and what the model adds.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        self.name, self.settings = name, settings
        self._arrays: Arrays = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Name and constructor arguments."""
        return {"name": self.name, **self.settings}

    @property
    def task(self) -> str:
        """What it learns: classification, regression or survival."""
        return self.settings["task"]

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Fit to features (n, p) and class numbers (n,), numbers (n,), or times and events (n, 2).

        Raises
        ------
        DataError
            If there is one class, no event, or no feature that varies.
        """
        self._check(np.asarray(y))
        with one_thread():
            arrays = self._scale(np.asarray(x, float))
            z = scaled(x, arrays)
            self._arrays = arrays | self.solve(z, np.asarray(y), 0 if job is None else job.seed)
        return Solved()

    def _scale(self, x: np.ndarray) -> Arrays:
        arrays = learn_scaling(x)
        if not len(arrays["kept"]):
            raise DataError(
                f"{self.name}: none of the {x.shape[1]} features varies over the {len(x)} training "
                "rows: nothing to learn."
            )
        return arrays

    def _check(self, y: np.ndarray) -> None:
        if self.task == "classification" and len(np.unique(y)) < 2:
            raise DataError(f"{self.name}: the {len(y)} training rows are all of one class.")
        if self.task == "survival" and not (y[:, 1] > 0).any():
            raise DataError(f"{self.name}: no event among the {len(y)} training rows.")

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities (n, class), numbers (n,), or log-hazards (n,)."""
        if not self._arrays:
            raise ConfigError(f"{self.name} is not fitted yet; call fit or load first.")
        with one_thread():
            return self.scores(scaled(np.asarray(x, float), self._arrays), self._arrays)

    def state(self) -> Arrays:
        """Return what was learnt as named arrays."""
        return dict(self._arrays)

    def load(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        self._arrays = {name: np.asarray(array) for name, array in state.items()}

    @abstractmethod
    def solve(self, z: np.ndarray, y: np.ndarray, seed: int) -> Arrays:
        """Learn from scaled features."""

    @abstractmethod
    def scores(self, z: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Score scaled features."""


class Linear(TableLearner):
    """Elastic net: logistic for classes, least squares for numbers (Zou & Hastie 2005).

    The mix and the strength of the penalty have the least loss over five inner folds.
    """

    def solve(self, z: np.ndarray, y: np.ndarray, seed: int) -> Arrays:
        """Choose the penalty, then fit on all rows."""
        mixes = self.settings.get("mixes", (0.1, 0.5, 1.0))
        if self.task == "regression":
            middle, spread = float(y.mean()), float(y.std()) or 1.0
            weights, bias = choose_penalty(z, ((y - middle) / spread)[:, None], mixes)
            return {"weights": weights * spread, "bias": bias * spread + middle}
        classes = np.unique(y)
        weights, bias = choose_penalty(z, np.eye(len(classes))[np.searchsorted(classes, y)], mixes)
        share = np.array([(y == k).mean() for k in classes])
        # The fit treats classes as equally frequent; their shares come in here, coarsely. In finer
        # steps, folds of a model that learnt nothing would be ordered by who is missing in them.
        odds = np.round(np.log(share), 1)
        return {"weights": weights, "bias": bias + odds, "classes": classes}

    def scores(self, z: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-probabilities or numbers."""
        values = z @ arrays["weights"] + arrays["bias"]
        if "classes" not in arrays:
            return values[:, 0]
        return spread_classes(values, arrays["classes"], self.settings["n_outputs"])


def spread_classes(values: np.ndarray, classes: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return log-probabilities (n, n_outputs) of logits of the classes that were seen."""
    from scipy.special import log_softmax

    whole = np.full((len(values), n_outputs), np.log(SMALLEST))
    whole[:, classes.astype(int)] = np.maximum(log_softmax(values, axis=1), np.log(SMALLEST))
    return whole


class Volume(Linear):
    """What the size of the region says alone: the model beside which all others are judged.

    Of several regions it has the volume of each. Where no feature is a volume, nothing is known:
    one prediction for all.
    """

    def _scale(self, x: np.ndarray) -> Arrays:
        columns = np.asarray(self.settings["columns"], int)
        arrays = learn_scaling(x[:, columns])
        if len(arrays["kept"]):
            return arrays | {"kept": columns[arrays["kept"]]}
        # An infinite spread makes every value 0.
        nothing = {"median": np.zeros(1), "mean": np.zeros(1), "spread": np.full(1, np.inf)}
        return {"kept": np.zeros(1, int), **nothing}

    def solve(self, z: np.ndarray, y: np.ndarray, seed: int) -> Arrays:
        """Fit without a penalty to speak of."""
        if self.task != "survival":
            return super().solve(z, y, seed)
        from neuroloom.volumes.radiomics.outcome.cox import centred, choose_features, fit_cox

        weights = np.zeros(z.shape[1])
        if np.ptp(z) > 0:
            chosen = choose_features(z, y)
            weights[chosen] = fit_cox(z[:, chosen], y, 0.01)["weights"]
        return centred(z, weights)

    def scores(self, z: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return scores of the volumes."""
        from neuroloom.volumes.radiomics.outcome.cox import log_hazard

        return log_hazard(z, arrays) if self.task == "survival" else super().scores(z, arrays)


class Cox(TableLearner):
    """Proportional hazards with a penalty, on few features (Cox 1972; lifelines).

    As many features as a tenth of the events, three at least: those that order the training times
    best by themselves. Their penalty has the best concordance over five inner folds, in which the
    features are chosen anew.
    """

    penalties = (0.01, 0.1, 1.0)

    def solve(self, z: np.ndarray, y: np.ndarray, seed: int) -> Arrays:
        """Choose features and penalty, then fit on all rows."""
        from neuroloom.volumes.radiomics.outcome.cox import (
            baseline_hazard,
            centred,
            choose_features,
            fit_cox,
            log_hazard,
        )

        best = self._penalty(z, y) if len(y) >= 20 else 0.1
        chosen = choose_features(z, y)
        weights = np.zeros(z.shape[1])
        weights[chosen] = fit_cox(z[:, chosen], y, best)["weights"]
        arrays = centred(z, weights)
        at, hazard = baseline_hazard(y, log_hazard(z, arrays))
        return arrays | {"times": at, "hazard": hazard, "penalty": np.array([best])}

    def _penalty(self, z: np.ndarray, y: np.ndarray) -> float:
        from neuroloom.learn.scoring.survival import c_index
        from neuroloom.volumes.radiomics.outcome.cox import choose_features, fit_cox

        risk = np.zeros((len(self.penalties), len(y)))
        for held in inner_folds(y[:, 1].astype(int)):
            rest = np.setdiff1d(np.arange(len(y)), held)
            if not y[rest, 1].any():
                continue
            chosen = choose_features(z[rest], y[rest])
            for row, penalty in enumerate(self.penalties):
                fitted = fit_cox(z[np.ix_(rest, chosen)], y[rest], penalty)
                risk[row, held] = z[np.ix_(held, chosen)] @ fitted["weights"]
        reached = [c_index(y[:, 0], y[:, 1], one) for one in risk]
        return self.penalties[int(np.nan_to_num(reached, nan=0.5).argmax())]

    def scores(self, z: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log-hazards relative to the median of the training rows."""
        from neuroloom.volumes.radiomics.outcome.cox import log_hazard

        return log_hazard(z, arrays)
