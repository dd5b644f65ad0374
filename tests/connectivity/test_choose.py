"""Family, lag and penalty come from unseen frames, and are right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.connectivity.choose import choose_family, choose_forecast
from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.methods import draw_graphs
from neuroloom.connectivity.simulate import mixed_sources, neural_masses, random_graph
from tests.networks import CHAIN


def lagged(seed: int, graph: int = 0, nodes: int = 6, time: int = 500) -> Signals:
    """A VAR(1) with Gaussian innovations on a graph of its own seed."""
    truth = random_graph(nodes, 8, np.random.default_rng(graph))
    mixing = 0.6 * truth + 0.2 * np.eye(nodes)
    mixing *= 0.8 / max(0.8, np.abs(np.linalg.eigvals(mixing)).max())
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(nodes, time))
    for t in range(1, time):
        x[:, t] += mixing @ x[:, t - 1]
    names = tuple(f"n{k}" for k in range(nodes))
    return Signals(x, names, truth=truth).standardised()


def mixed(shape: str, count: int = 4) -> list[Signals]:
    """Recordings of the chain of four nodes."""
    rng = np.random.default_rng(3)
    return [mixed_sources(CHAIN, rng, time=300, shape=shape).standardised() for _ in range(count)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_past_that_foretells_is_seen(seed):
    choice = choose_family([lagged(10 * seed + k, graph=seed) for k in range(4)])
    assert choice.model == "ridge-var"


def test_a_past_that_foretells_better_than_the_future_gives_a_direction():
    choice = choose_family([lagged(k) for k in range(4)])
    assert choice.direction
    assert choice.time is not None
    assert choice.time.holds


@pytest.mark.parametrize("shape", ["skewed", "heavy"])
def test_effects_within_a_frame_are_seen_by_their_shape(shape):
    choice = choose_family(mixed(shape))
    assert choice.model == "cyclic-lingam"
    assert choice.time is not None
    assert not choice.time.holds


def test_gaussian_mixing_supports_no_direction_and_it_is_said():
    choice = choose_family(mixed("gaussian"))
    assert choice.model == "partial"
    assert not choice.direction
    assert "unsupported" in choice.reasons[-1]


def test_nodes_that_are_not_gaussian_but_unrelated_support_no_direction():
    rng = np.random.default_rng(0)
    apart = [mixed_sources(np.zeros((4, 4)), rng, noise=0.0).standardised() for _ in range(4)]
    choice = choose_family(apart)
    assert not choice.direction


def test_the_lag_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 500))
    x[1, 3:] += 0.7 * x[0, :-3]
    assert choose_forecast([Signals(x, ("a", "b", "c")).standardised()]).lags == 3


def test_the_truth_is_not_looked_at():
    one = lagged(0)
    other = Signals(one.values, one.names, truth=1 - one.truth)
    a, b = choose_family([one]), choose_family([other])
    assert (a.model, a.lags, a.penalty, a.time) == (b.model, b.lags, b.penalty, b.time)


@pytest.mark.long
def test_five_networks_of_neural_masses():
    """The default method is not behind ridge-VAR, paired, on graphs nobody has seen."""
    from dataclasses import replace

    from neuroloom.connectivity.measures import edge_auc

    default, ridge = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        one = neural_masses(random_graph(32, 150, rng), rng).standardised()
        choice = choose_family([one])
        default.append(edge_auc(one.truth, draw_graphs([one], choice).strength[0]))
        plain = draw_graphs([one], replace(choice, model="ridge-var"))
        ridge.append(edge_auc(one.truth, plain.strength[0]))
    assert np.mean(default) >= np.mean(ridge) - 1e-9
    assert np.mean(default) > 0.7
