"""The forecaster: right where the signal can be foreseen, honest where it cannot."""

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.signals.mending.gaps import GapFiller, runs_of

RATE = 100.0


def rhythm(n: int, seed: int) -> np.ndarray:
    """A noisy 7-Hz rhythm whose phase wanders."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * 7 * np.arange(n) / RATE + 0.05 * np.cumsum(rng.normal(size=n))
    return np.sin(phase) + 0.05 * rng.normal(size=n)


@pytest.fixture(scope="module")
def filler() -> GapFiller:
    return GapFiller(RATE, context=0.5, gaps=(0.05, 0.1), epochs=2).fit([rhythm(4000, 0)])


def errors(filler: GapFiller, length: int) -> tuple[float, float, float]:
    x = filler.stretches([rhythm(1500, 1)], length, most=10**6)
    sides, inside = filler.split(x, length)
    c = filler.context
    ends = np.stack([sides[:, c - 1], sides[:, c]], 1)
    along = np.arange(1, length + 1) / (length + 1)
    straight = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * along
    guesses = (filler.predict(sides, length), filler.predict_linear(sides, length), straight)
    return tuple(float(np.sqrt(np.mean((guess - inside) ** 2))) for guess in guesses)


def test_it_beats_a_straight_line_by_far(filler):
    net, linear, straight = errors(filler, 10)
    assert net < 0.4 * straight
    assert net < 1.1 * linear


def test_the_linear_part_is_ridge_regression(filler):
    from sklearn.linear_model import Ridge

    net = filler.nets[10]
    x = filler.stretches([rhythm(4000, 0)], 10).astype(float)
    both = np.concatenate([x, x[:, ::-1]])
    sides, inside = filler.split(both, 10)
    penalty = net.penalty * sides.var(ddof=1)
    known = Ridge(alpha=penalty, fit_intercept=False).fit(sides, inside).coef_.T
    np.testing.assert_allclose(net.linear.numpy(), known, atol=2e-3)


def test_short_gaps_are_filled_and_long_ones_left(filler):
    trace = rhythm(1000, 2)
    bad = np.zeros(1000, bool)
    bad[300:308] = bad[500:540] = bad[995:998] = True
    dirty = np.where(bad, 9.0, trace)
    filled, left = filler.fill(dirty, bad)
    assert left == [(500, 540), (995, 998)]
    np.testing.assert_array_equal(filled[500:540], 9.0)
    assert np.abs(filled[300:308] - trace[300:308]).max() < 0.6
    np.testing.assert_array_equal(filled[~bad], trace[~bad])


def test_two_gaps_in_one_context(filler):
    trace = rhythm(1000, 3)
    bad = np.zeros(1000, bool)
    bad[400:408] = bad[420:428] = True
    filled, left = filler.fill(np.where(bad, 50.0, trace), bad)
    assert left == []
    assert np.abs(filled[bad] - trace[bad]).max() < 0.9


def test_the_state_comes_back(filler):
    again = GapFiller(**filler.spec).load(filler.state())
    sides = np.random.default_rng(0).normal(size=(3, 100))
    np.testing.assert_array_equal(again.predict(sides, 10), filler.predict(sides, 10))


def test_too_little_to_learn_from_is_said():
    with pytest.raises(DataError, match="Only 0 stretches of 1.1 s"):
        GapFiller(RATE, context=0.5, gaps=(0.1,)).fit([np.zeros(50)])


@pytest.mark.parametrize(
    ("mask", "runs"), [([], []), ([1, 1], [(0, 2)]), ([0, 1, 0, 1], [(1, 2), (3, 4)])]
)
def test_runs(mask, runs):
    assert runs_of(np.array(mask, bool)) == runs
