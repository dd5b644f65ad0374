"""How far off a point may be: the error that a map expects, made true on frames held out.

A net that is sure of its training frames is too sure of new ones. What it expects is laid beside
the errors it made on held-out frames: groups of points of like expectation, their mean errors made
to rise only (isotonic regression, Zadrozny & Elkan 2002), and lines between. Where few points show
little relation, that is partly chance: the curve is flattened until it predicts points it was not
made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.scoring.points import REACH_PX

Floats = NDArray[np.float64]
GROUP = 25  # points in a group, at least
MOST_GROUPS = 20
FOLDS = 5
FLAT = 0.02  # of their mean: expectations that vary less are all one


@dataclass(frozen=True)
class Calibration:
    """What a net's expectation means.

    Attributes
    ----------
    expected
        Rising, px: what the maps expect.
    error
        Rising, px: the mean error of such points.
    within
        Falling: the share of such points within reach, which is `REACH_PX` of a frame.
    """

    expected: tuple[float, ...]
    error: tuple[float, ...]
    within: tuple[float, ...]

    def errors(self, expected: Floats, apart: Floats | float = 0.0) -> Floats:
        """Return the mean error (px) of points with such expectations.

        Beyond the groups it stays as it is in the last one.

        Parameters
        ----------
        expected
            Shape (n,), px; NaN stays NaN.
        apart
            How far several nets lie from their mean, px. The errors that the curve was made of hold
            their usual scatter already: only what is wider raises an error.
        """
        known = np.asarray(expected, float)
        between = np.interp(known, self.expected, self.error)
        found: Floats = np.where(np.isnan(known), np.nan, np.maximum(between, apart))
        return found

    def confidence(self, expected: Floats, apart: Floats | float = 0.0) -> Floats:
        """Return the probability that points with such expectations lie within reach.

        Where nets lie further apart than the error of such points, it is that of points with so
        large an error; beyond the largest known it falls as the error grows.

        Parameters
        ----------
        expected, apart
            As of `errors`.
        """
        known = np.asarray(expected, float)
        near = np.interp(np.nan_to_num(known, nan=1e9), self.expected, self.within)
        largest = max(self.error[-1], 1e-9)
        spread = np.interp(apart, self.error, self.within) * largest / np.maximum(apart, largest)
        found: Floats = np.minimum(near, spread)
        return found

    def as_dict(self) -> dict[str, list[float]]:
        """Return plain data."""
        return {
            "expected": list(self.expected), "error": list(self.error), "within": list(self.within)
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, list[float]]) -> Calibration:
        """Rebuild it from JSON."""
        return cls(*(tuple(values[name]) for name in ("expected", "error", "within")))


PLAIN = Calibration((1e-3, 1e3), (1e-3, 1e3), (1.0, 0.0))


def calibrate(expected: Floats, error: Floats, reach: float = REACH_PX) -> Calibration:
    """Lay expectations beside errors, px or the unit of space; both (n,), NaN left out.

    Confidence is the probability of an error within `reach`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> said = rng.uniform(0.5, 4, 500)
    >>> found = calibrate(said, 2 * said * rng.uniform(0, 2, 500))
    >>> found.errors(np.array([1.0, 3.0])).round().tolist()
    [2.0, 6.0]
    """
    known = np.isfinite(expected) & np.isfinite(error)
    said, off = np.asarray(expected)[known], np.asarray(error)[known]
    if said.size == 0:
        return PLAIN
    found = _curve(said, off, reach)
    share = _reliable(said, off)
    middle = float(off.mean())
    rise = tuple(middle + share * (one - middle) for one in found.error)
    near = float((off <= reach).mean())
    within = tuple(near + share * (one - near) for one in found.within)
    return Calibration(found.expected, rise, within)


def _reliable(said: Floats, off: Floats) -> float:
    """Return how much of a curve's rise holds for points it was not made of, 0 to 1."""
    part = np.arange(said.size) * FOLDS // said.size
    there = np.full(said.size, np.nan)
    for number in range(FOLDS):
        own = part == number
        if own.any() and (~own).sum() >= 2:
            there[own] = _curve(said[~own], off[~own]).errors(said[own])
    found = slope(there, off)
    return float(np.clip(found, 0.0, 1.0)) if np.isfinite(found) else 0.0


def _curve(said: Floats, off: Floats, reach: float = REACH_PX) -> Calibration:
    """Return groups of points of like expectation, their errors made to rise."""
    order = np.argsort(said, kind="stable")
    groups = np.array_split(order, int(np.clip(said.size // GROUP, 1, MOST_GROUPS)))
    weight = np.array([len(group) for group in groups], float)
    middle = np.array([said[group].mean() for group in groups])
    mean = rising(np.array([off[group].mean() for group in groups]), weight)
    # Half a point of each kind: a group in which all are near does not make near certain.
    near = np.array([((off[g] <= reach).sum() + 0.5) / (len(g) + 1) for g in groups])
    within = -rising(-near, weight)
    middle = np.maximum.accumulate(middle + 1e-9 * np.arange(len(middle)))
    return Calibration(tuple(middle.tolist()), tuple(mean.tolist()), tuple(within.tolist()))


def rising(values: Floats, weight: Floats) -> Floats:
    """Return the nearest rising numbers: neighbours that fall are pooled.

    Examples
    --------
    >>> rising(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    from sklearn.isotonic import isotonic_regression

    found: Floats = isotonic_regression(values, sample_weight=weight)
    return found


def cross_fitted(
    expected: Floats, error: Floats, part: NDArray[np.int64], reach: float = REACH_PX
) -> Iterator[tuple[NDArray[np.bool_], Calibration]]:
    """Yield which points are of each part, and the calibration that the other parts taught.

    With one part it cannot be judged fairly, and what was learnt from it is yielded.
    """
    numbers = np.unique(part)
    for number in numbers:
        own = part == number
        rest = own if len(numbers) == 1 else ~own
        yield own, calibrate(expected[rest], error[rest], reach)


def cross_calibrated(expected: Floats, error: Floats, part: NDArray[np.int64]) -> Floats:
    """Return expected errors (n,), px, each calibrated as `cross_fitted` has it."""
    out = np.full(len(expected), np.nan)
    for own, found in cross_fitted(expected, error, part):
        out[own] = found.errors(expected[own])
    return out


def slope(expected: Floats, error: Floats, weights: Floats | None = None) -> Floats:
    """Return the slope of real over expected error, by least squares; 1 is calibrated.

    NaN where expectations are all but one: then there is nothing that a slope could tell.

    Parameters
    ----------
    expected, error
        Shape (n,), px; points that lack one do not count.
    weights
        Shape (resample, n): how often each point counts; None: once.

    Returns
    -------
    Shape (resample,), or one number.

    Examples
    --------
    >>> float(slope(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])))
    2.0
    """
    known = np.isfinite(expected) & np.isfinite(error)
    said, off = expected[known], error[known]
    times = np.ones(said.size) if weights is None else weights[..., known]
    total = np.maximum(times.sum(-1), 1e-12)
    mean = (times @ said / total)[..., None]
    away = said - mean
    spread = (times * away**2).sum(-1)
    flat = (np.sqrt(spread / total) <= FLAT * mean[..., 0]) | (said.size <= 2)
    found: Floats = (times * away * off).sum(-1) / np.where(flat, np.nan, spread)
    return found
