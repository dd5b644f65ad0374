"""Cox regression through lifelines, on features that were chosen by their own concordance."""

from __future__ import annotations

import warnings

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.learn.scoring.survival import comparable

Arrays = dict[str, np.ndarray]
FEWEST, EVENTS_EACH = 3, 10
FLAT = 1e-9  # the SD of a standardised feature that is constant but for rounding


def choose_features(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the columns that order the times best alone: three, or one for every ten events.

    Examples
    --------
    >>> time = np.arange(1.0, 9.0)
    >>> z = np.column_stack([np.tile([1.0, -1.0], 4), -time, np.zeros(8), np.zeros(8)])
    >>> choose_features(z, np.column_stack([time, np.ones(8)]))[0]
    np.int64(1)
    """
    count = max(FEWEST, int(y[:, 1].sum()) // EVENTS_EACH)
    pairs = comparable(y[:, 0], y[:, 1])
    first, second = np.nonzero(pairs)
    apart = np.array([np.sign(column[first] - column[second]).mean() for column in z.T])
    return np.argsort(-np.abs(np.nan_to_num(apart)), kind="stable")[:count]


def fit_cox(z: np.ndarray, y: np.ndarray, penalty: float) -> Arrays:
    """Fit log-hazards that are linear in the features, with a quadratic penalty.

    A feature that does not vary in these rows has weight 0.

    Raises
    ------
    DataError
        If the fit does not converge.
    """
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    weights, varies = np.zeros(z.shape[1]), z.std(0) > FLAT
    if not varies.any():
        return {"weights": weights}
    table = pd.DataFrame(z[:, varies]).add_prefix("x")
    table["time"], table["event"] = y[:, 0], y[:, 1]
    fitter = CoxPHFitter(penalizer=penalty)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitter.fit(table, "time", "event")
    except (ConvergenceError, ValueError) as error:
        raise DataError(
            f"Cox regression on {varies.sum()} features and {int(y[:, 1].sum())} events did not "
            f"converge ({str(error).splitlines()[0]}). Are there more events than features?"
        ) from error
    weights[varies] = fitter.params_.to_numpy(float)
    return {"weights": weights}


def centred(z: np.ndarray, weights: np.ndarray) -> Arrays:
    """Return weights with the median log-hazard of the rows they were learnt from.

    Examples
    --------
    >>> centred(np.array([[1.0], [2.0], [6.0]]), np.array([0.5]))["middle"]
    array([1.])
    """
    return {"weights": weights, "middle": np.median(z @ weights, keepdims=True)}


def log_hazard(z: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return each row's log-hazard beside the median of the rows that were learnt from.

    Models of different folds so have one zero. Those of runs from before count from the mean of the
    features.

    Examples
    --------
    >>> z = np.array([[1.0], [2.0], [6.0]])
    >>> log_hazard(z, centred(z, np.array([0.5]))).tolist()
    [-0.5, 0.0, 2.0]
    """
    return z @ arrays["weights"] - arrays.get("middle", 0.0)


def baseline_hazard(y: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times of events and the cumulative hazard at a log-hazard of 0 (Breslow 1974).

    Examples
    --------
    >>> at, hazard = baseline_hazard(np.array([[1.0, 1], [2.0, 1]]), np.zeros(2))
    >>> hazard.tolist()
    [0.5, 1.5]
    """
    time, failed = y[:, 0], y[:, 1] > 0
    at = np.unique(time[failed])
    steps = [(failed & (time == t)).sum() / np.exp(risk[time >= t]).sum() for t in at]
    return at, np.cumsum(steps)


def predicted_survival(arrays: Arrays, risk: np.ndarray, when: float) -> np.ndarray:
    """Return each row's chance to outlive a time.

    Examples
    --------
    >>> learnt = {"times": np.array([1.0]), "hazard": np.array([0.5])}
    >>> predicted_survival(learnt, np.zeros(1), 2.0).round(3).tolist()
    [0.607]
    """
    before = np.searchsorted(arrays["times"], when, side="right")
    hazard = arrays["hazard"][before - 1] if before else 0.0
    return np.exp(-hazard * np.exp(risk))
