"""Parts of a trial, and learners that see only theirs."""

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.model import find_model
from neuroloom.learn.training.budget import Plan
from neuroloom.signals.spots import fit_spots, make_spots, neighbours, score_spots

N_TIMES, RATE = 60, 100.0


def facts(n_channels: int = 3) -> dict:
    return {
        "channels": [f"E{k}" for k in range(n_channels)],
        "types": ["eeg"] * n_channels,
        "positions": [[0.03 * k, 0.0, 0.1] for k in range(n_channels)],
        "rate": RATE,
        "n_times": N_TIMES,
        "cut": {"start": -0.1},
    }


def planted(seed: int, first: int = 20, last: int = 40, channel: int = 0, n: int = 40):
    """Noise, stronger in one channel between two samples for the second class."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3, N_TIMES)), np.arange(n) % 2
    x[y == 1, channel, first:last] *= 8
    return x.astype(np.float32), y


def make(own: dict):
    return find_model("riemann").make(own, "classification", 2)


def accuracies(over: str, generalise: bool = False, **words: float) -> tuple[list, np.ndarray]:
    spots = make_spots(facts(), over, **({"width": 0.1, "step": 0.1, "radius": 0.01} | words))
    x, y = planted(0)
    learners = fit_spots(make, facts(), spots, x, y, 0, Plan())
    new, truth = planted(1)
    scores = score_spots(learners, spots, new, generalise=generalise)
    right = scores.argmax(-1) == truth.reshape(-1, *[1] * (scores.ndim - 2))
    return spots, right.mean(0)


def test_a_window_slides_over_the_trial() -> None:
    spots = make_spots(facts(), "time", width=0.1, step=0.05, radius=1)
    assert [(s.first, s.last) for s in spots[:2]] == [(0, 10), (5, 15)]
    assert spots[-1].last == N_TIMES
    np.testing.assert_allclose([s.time for s in spots[:2]], [-0.05, 0.0])
    with pytest.raises(ConfigError, match="width=2 s is longer"):
        make_spots(facts(), "time", width=2, step=0.1, radius=1)


def test_what_differs_is_found_when_it_does() -> None:
    spots, right = accuracies("time")
    inside = np.array([s.first >= 20 and s.last <= 40 for s in spots])
    assert right[inside].min() > 0.9
    assert abs(right[~inside].mean() - 0.5) < 0.15


def test_a_lasting_pattern_generalises_and_an_absent_one_does_not() -> None:
    spots, right = accuracies("generalise", generalise=True)
    inside = np.array([s.first >= 20 and s.last <= 40 for s in spots])
    assert right[np.ix_(inside, inside)].min() > 0.9
    assert abs(right[np.ix_(inside, ~inside)].mean() - 0.5) < 0.15


def test_a_searchlight_finds_the_sensor() -> None:
    spots, right = accuracies("sensors")
    assert [s.sensor for s in spots] == ["E0", "E1", "E2"]
    assert right[0] > 0.9
    assert right[1:].max() < 0.75


def test_neighbours_are_those_within_the_radius() -> None:
    places = np.array([[0, 0, 0], [0.03, 0, 0], [0.09, 0, 0], [np.nan] * 3])
    assert neighbours(places, 0.04) == [[0, 1], [0, 1], [2], []]
    with pytest.raises(ConfigError, match="1 of 2 have one"):
        neighbours(places[2:], 0.04)
