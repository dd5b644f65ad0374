"""Psychometric and chronometric curves: answers and reaction times against the stimulus.

A psychometric curve is guess + (1 - guess - lapse) Phi((x - threshold) / width), fitted by maximum
likelihood (Wichmann and Hill 2001); intervals come from a parametric bootstrap. A chronometric
curve is that of a diffusion to a bound, A / (k |x|) tanh(A k |x|) + t0 (Palmer, Huk, Shadlen 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Floats = NDArray[np.float64]
SMALL = 1e-9


@dataclass(frozen=True)
class Curve:
    """A fitted curve.

    Attributes
    ----------
    kind
        "psychometric" or "chronometric".
    values
        Name of a parameter -> value. Psychometric: threshold and width, in units of the stimulus;
        guess, lapse. Chronometric: bound, drift (per unit of the stimulus), delay.
    low, high
        95 % intervals of the same; NaN without a bootstrap.
    x, share, count
        Levels of the stimulus, mean of what was measured there, and of how many trials.
    """

    kind: str
    values: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    x: Floats
    share: Floats
    count: Floats

    def __call__(self, x: ArrayLike) -> Floats:
        """Return the curve at some levels."""
        own = tuple(self.values.values())
        return (_sigmoid if self.kind == "psychometric" else _diffusion)(np.asarray(x, float), own)

    @property
    def slope(self) -> float:
        """Steepest rise of a psychometric curve, per unit of the stimulus."""
        span = 1 - self.values["guess"] - self.values["lapse"]
        return span / (self.values["width"] * np.sqrt(2 * np.pi))


def _sigmoid(x: Floats, values: tuple[float, ...]) -> Floats:
    from scipy.special import ndtr

    threshold, width, guess, lapse = values
    return guess + (1 - guess - lapse) * ndtr((x - threshold) / width)


def _diffusion(x: Floats, values: tuple[float, ...]) -> Floats:
    bound, drift, delay = values
    pull = np.maximum(np.abs(drift * x), SMALL)
    return bound / pull * np.tanh(bound * pull) + delay


def _levels(x: ArrayLike, y: ArrayLike, what: str) -> tuple[Floats, Floats, Floats]:
    x, y = np.asarray(x, float).ravel(), np.asarray(y, float).ravel()
    if len(x) != len(y):
        raise DataError(f"{what}: {len(x)} stimuli and {len(y)} answers; there must be as many.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        row = int(np.argmin(np.isfinite(x) & np.isfinite(y)))
        raise DataError(f"{what}: trial {row} has stimulus {x[row]} and answer {y[row]}; leave out "
                        "trials without an answer.")  # fmt: skip
    levels, which = np.unique(x, return_inverse=True)
    if len(levels) < 3:
        raise DataError(f"{what}: a curve needs three levels of the stimulus, got {levels}.")
    count = np.bincount(which).astype(float)
    return levels, np.bincount(which, y) / count, count


def fit_psychometric(
    x: ArrayLike, answer: ArrayLike, *, guess: float | None = 0.0, most_lapses: float = 0.1,
    resamples: int = 0, rng: np.random.Generator | None = None,
) -> Curve:  # fmt: skip
    """Fit a cumulative normal with guesses and lapses to answers.

    Parameters
    ----------
    x
        Stimulus of each trial; signed for "how often was it called right?", or its strength for
        "how often was it right?".
    answer
        0 or 1 of each trial.
    guess
        Share of 1 where there is no stimulus at all: 0 for signed stimuli, 0.5 for two
        alternatives; None: as many as the lapses (signed).
    most_lapses
        Largest share of lapses.
    resamples
        Bootstrap samples for the intervals.

    Raises
    ------
    DataError
        If there are fewer than three levels, a value is missing, or an answer is not 0 or 1.

    Examples
    --------
    >>> x = np.repeat([-2.0, -1, 0, 1, 2], 200)
    >>> y = np.random.default_rng(0).random(1000) < 1 / (1 + np.exp(-1.7 * x))
    >>> abs(fit_psychometric(x, y).values["threshold"]) < 0.15
    True
    """
    levels, share, count = _levels(x, answer, "psychometric")
    odd = np.setdiff1d(np.asarray(answer, float), [0.0, 1.0])
    if len(odd):
        raise DataError(f"psychometric: answers are 0 or 1, got {odd[0]:g}.")
    best = _most_likely(levels, share * count, count, guess, most_lapses)
    names = ("threshold", "width", "guess", "lapse")
    draws = []
    for _ in range(resamples):
        made = (rng or np.random.default_rng(0)).binomial(count.astype(int), _sigmoid(levels, best))
        draws.append(_most_likely(levels, made, count, guess, most_lapses, best))
    return _curve("psychometric", names, best, draws, (levels, share, count))


def _most_likely(
    x: Floats, hits: ArrayLike, count: Floats, guess: float | None, most: float,
    first: tuple[float, ...] | None = None,
) -> tuple[float, ...]:  # fmt: skip
    from scipy.optimize import minimize

    span, given = x[-1] - x[0], np.asarray(hits, float)

    def unpack(own: Floats) -> tuple[float, ...]:
        threshold, width, lapse = own[0], np.exp(own[1]), own[2]
        return (
            float(threshold),
            float(width),
            float(lapse if guess is None else guess),
            float(lapse),
        )

    def cost(own: Floats) -> float:
        p = np.clip(_sigmoid(x, unpack(own)), SMALL, 1 - SMALL)
        return float(-(given * np.log(p) + (count - given) * np.log(1 - p)).sum())

    limits = [(x[0] - span, x[-1] + span), (np.log(span / 500), np.log(5 * span)), (0.0, most)]
    starts = [(first[0], np.log(first[1]), first[3])] if first else [
        (middle, np.log(span * share), 0.01)
        for middle in np.quantile(x, (0.2, 0.5, 0.8)) for share in (0.05, 0.3)
    ]  # fmt: skip
    found = [minimize(cost, start, method="L-BFGS-B", bounds=limits) for start in starts]
    return unpack(min(found, key=lambda one: one.fun).x)


def fit_chronometric(
    x: ArrayLike, seconds: ArrayLike, *, resamples: int = 0,
    rng: np.random.Generator | None = None,
) -> Curve:  # fmt: skip
    """Fit mean reaction times with a diffusion to a bound.

    Parameters
    ----------
    x
        Stimulus of each trial; its sign does not matter.
    seconds
        Reaction time of each trial, in any unit.
    resamples
        Bootstrap samples (of trials within levels) for the intervals.

    Raises
    ------
    DataError
        If there are fewer than three levels, or a value is missing.

    Examples
    --------
    >>> x = np.repeat([1.0, 2, 4, 8], 50)
    >>> curve = fit_chronometric(x, 0.3 + 0.8 / x * np.tanh(0.8 * x))
    >>> round(curve.values["delay"], 2)
    0.3
    """
    x, seconds = np.abs(np.asarray(x, float)), np.asarray(seconds, float)
    levels, mean, count = _levels(x, seconds, "chronometric")
    spread = np.array([seconds[x == level].std() for level in levels])
    error = np.maximum(spread / np.sqrt(count), SMALL + 1e-3 * mean.max())
    best = _least_squares(levels, mean, error)
    generator, draws = rng or np.random.default_rng(0), []
    for _ in range(resamples):
        made = [generator.choice(seconds[x == level], int(n)).mean()
                for level, n in zip(levels, count, strict=True)]  # fmt: skip
        draws.append(_least_squares(levels, np.array(made), error))
    return _curve("chronometric", ("bound", "drift", "delay"), best, draws, (levels, mean, count))


def _least_squares(x: Floats, mean: Floats, error: Floats) -> tuple[float, ...]:
    from scipy.optimize import least_squares

    def miss(own: Floats) -> Floats:
        return (_diffusion(x, (*np.exp(own[:2]), own[2])) - mean) / error

    gap, top = max(np.ptp(mean), SMALL), max(float(np.abs(x).max()), SMALL)
    starts = [(np.log(np.sqrt(gap) * b), np.log(k / top / np.sqrt(gap)), mean.min() * d)
              for b in (0.7, 1.5) for k in (1.0, 10.0) for d in (0.3, 0.9)]  # fmt: skip
    found: Any = min((least_squares(miss, start) for start in starts), key=lambda one: one.cost)
    return float(np.exp(found.x[0])), float(np.exp(found.x[1])), float(found.x[2])


def _curve(
    kind: str, names: tuple[str, ...], best: tuple[float, ...], draws: list[tuple[float, ...]],
    points: tuple[Floats, Floats, Floats],
) -> Curve:  # fmt: skip
    ends = np.quantile(draws, (0.025, 0.975), axis=0) if draws else np.full((2, len(names)), np.nan)
    low, high = (dict(zip(names, map(float, end), strict=True)) for end in ends)
    return Curve(kind, dict(zip(names, best, strict=True)), low, high, *points)
