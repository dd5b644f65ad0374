"""Psychometric and chronometric curves, beside statsmodels and a simulated diffusion."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from neuroloom.cognition.curves import fit_chronometric, fit_psychometric
from neuroloom.core.errors import DataError


def answers(rng, n=4000, threshold=1.5, width=6.0, guess=0.0, lapse=0.0):
    from scipy.stats import norm

    x = rng.choice([-16.0, -8, -4, -2, 0, 2, 4, 8, 16], n)
    p = guess + (1 - guess - lapse) * norm.cdf((x - threshold) / width)
    return x, (rng.random(n) < p).astype(float)


def test_without_lapses_it_is_a_probit_regression():
    x, y = answers(np.random.default_rng(0))
    curve = fit_psychometric(x, y, most_lapses=0.0)
    family = sm.families.Binomial(sm.families.links.Probit())
    start, rise = sm.GLM(y, sm.add_constant(x), family=family).fit().params
    assert curve.values["threshold"] == pytest.approx(-start / rise, abs=1e-2)
    assert curve.values["width"] == pytest.approx(1 / rise, rel=1e-2)


def test_planted_lapses_and_guesses_are_found():
    rng = np.random.default_rng(1)
    x, y = answers(rng, 20000, guess=0.06, lapse=0.06)
    curve = fit_psychometric(x, y, guess=None)
    assert curve.values["lapse"] == pytest.approx(0.06, abs=0.01)
    assert curve.values["threshold"] == pytest.approx(1.5, abs=0.3)
    levels = np.abs(x)
    strength = fit_psychometric(levels, rng.random(20000) < 0.5 + 0.5 * (levels > 3), guess=0.5)
    assert 2 < strength.values["threshold"] < 4


@pytest.mark.long
def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = answers(rng, 900)
        curve = fit_psychometric(x, y, most_lapses=0.02, resamples=60, rng=rng)
        held += curve.low["threshold"] <= 1.5 <= curve.high["threshold"]
    assert held >= 33


def test_a_diffusion_to_a_bound_is_recovered():
    """First passages of simulated walks, independent of the formula that is fitted."""
    rng = np.random.default_rng(0)
    drift, bound, delay, dt = 0.05, 1.0, 0.35, 0.002
    x = np.repeat([0.0, 4, 8, 16, 32, 64], 400)
    at, time = np.zeros(len(x)), np.full(len(x), np.nan)
    for step in range(5000):
        at = at + drift * x * dt + np.sqrt(dt) * rng.standard_normal(len(x))
        time[(np.abs(at) >= bound) & np.isnan(time)] = (step + 1) * dt
    curve = fit_chronometric(x, np.nan_to_num(time, nan=10.0) + delay)
    assert curve.values["delay"] == pytest.approx(delay, abs=0.04)
    assert curve.values["drift"] == pytest.approx(drift, rel=0.12)
    assert curve.values["bound"] == pytest.approx(bound, rel=0.08)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([1, 2], [0, 1], "three levels"),
        ([1, 2, 3], [0, 1], "as many"),
        ([1, 2, np.nan], [0, 1, 1], "trial 2"),
        ([1, 2, 3], [0, 1, 2], "0 or 1"),
    ],
)
def test_what_is_no_table_of_answers_is_refused(x, y, words):
    with pytest.raises(DataError, match=words):
        fit_psychometric(x, y)
