"""Survival: concordance of risks with times, curves, the test of two groups; pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def comparable(time: ArrayLike, event: ArrayLike) -> np.ndarray:
    """Return which pairs are ordered: (i, j) is true where i is known to fail before j.

    Examples
    --------
    >>> comparable([1, 2, 3], [1, 0, 1]).astype(int).tolist()
    [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    """
    t, failed = np.asarray(time, float), np.asarray(event) > 0
    # Who leaves at the very time of another's event has lived longer than that.
    later = (t[:, None] < t) | ((t[:, None] == t) & ~failed)
    return failed[:, None] & later & ~np.eye(t.size, dtype=bool)


def c_index(
    time: ArrayLike, event: ArrayLike, risk: ArrayLike, weights: ArrayLike | None = None
) -> Any:
    """Return the share of ordered pairs whose risks are ordered alike, ties half (Harrell 1982).

    Parameters
    ----------
    time, event
        Follow-up (n,) and whether it ended in the event.
    risk
        Higher means sooner (n,).
    weights
        None, (n,) or (resample, n) counts; the result is a float or (resample,). NaN without a
        pair.

    Examples
    --------
    >>> c_index([1, 2, 3], [1, 1, 0], [0.9, 0.1, 0.5])
    0.6666666666666666
    """
    r, pairs = np.asarray(risk, float), comparable(time, event)
    right = pairs * ((r[:, None] > r) + 0.5 * (r[:, None] == r))
    w = np.ones((1, r.size)) if weights is None else np.atleast_2d(np.asarray(weights, float))
    above, below = (((w @ m) * w).sum(1) for m in (right, pairs.astype(float)))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(below > 0, above / below, np.nan)
    return value if weights is not None and np.ndim(weights) > 1 else float(value[0])


def kaplan_meier(time: ArrayLike, event: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return times of events, and the share that outlives each (Kaplan & Meier 1958).

    Examples
    --------
    >>> kaplan_meier([1, 2, 3], [1, 0, 1])[1].round(3).tolist()
    [0.667, 0.0]
    """
    t, failed = np.asarray(time, float), np.asarray(event) > 0
    at = np.unique(t[failed])
    deaths = np.array([(failed & (t == when)).sum() for when in at])
    exposed = np.array([(t >= when).sum() for when in at])
    return at, np.cumprod(1 - deaths / exposed) if at.size else np.zeros(0)


def survival_at(time: ArrayLike, event: ArrayLike, when: float) -> float:
    """Return the share that outlives a time.

    Examples
    --------
    >>> survival_at([1, 2, 3, 4], [1, 1, 1, 1], 2.5)
    0.5
    """
    at, share = kaplan_meier(time, event)
    before = np.searchsorted(at, when, side="right")
    return float(share[before - 1]) if before else 1.0


def log_rank_p(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> float:
    """Return the p-value of the log-rank test of two groups (Mantel 1966).

    NaN where they cannot be compared: one is empty, or nobody fails while both are followed.

    Examples
    --------
    >>> log_rank_p([1, 2, 3, 4], [1, 1, 1, 1], [True, False, True, False]) > 0.3
    True
    """
    from scipy.stats import chi2

    t, failed, high = np.asarray(time, float), np.asarray(event) > 0, np.asarray(group, bool)
    surplus = spread = 0.0
    for when in np.unique(t[failed]):
        exposed = t >= when
        n, n1 = exposed.sum(), (exposed & high).sum()
        d = (failed & (t == when)).sum()
        surplus += (failed & (t == when) & high).sum() - d * n1 / n
        if n > 1:
            spread += d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1)
    return float(chi2.sf(surplus**2 / spread, 1)) if spread > 0 else float("nan")
