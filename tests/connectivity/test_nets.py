"""Batched nets end where one net per node ends; gradients are those of autograd; LiNGAM finds."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from neuroloom.connectivity.choose import Choice
from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.measures import edge_auc
from neuroloom.connectivity.methods import NETS, Options, draw_graphs
from neuroloom.connectivity.nets.draw import ablate, fit_nets, make_task
from neuroloom.connectivity.nets.lingam import fit_lingam
from neuroloom.connectivity.nets.vardnn import Nets, Schedule, train


def chain(nodes: int = 4, frames: int = 200, seed: int = 0) -> Signals:
    """Each node follows the square of the one before: no correlation, but a forecast."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(nodes, frames))
    x[1:, 1:] += 1.2 * (x[:-1, :-1] ** 2 - 1)
    return Signals(x, tuple(f"n{k}" for k in range(nodes))).standardised()


def alone(start: Nets, k: int, x: torch.Tensor, y: torch.Tensor, plan: Schedule) -> nn.Module:
    """Train net `k` by itself, with modules and the optimiser of PyTorch."""
    layers: list[nn.Module] = []
    for place in (0, 2, 4):
        made = nn.Linear(*start.weights[place][k].shape)
        with torch.no_grad():
            made.weight.copy_(start.weights[place][k].T)
            made.bias.zero_()
        layers += [made, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    adam = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=plan.decay)
    order = torch.Generator().manual_seed(7)
    for _ in range(plan.epochs):
        for rows in torch.randperm(len(y), generator=order).split(plan.batch):
            adam.zero_grad()
            ((net(x[rows])[:, 0] - y[rows]) ** 2).mean().backward()
            adam.step()
    return net


def both(nodes: int, plan: Schedule) -> tuple[float, float, float]:
    """Return the largest difference, and the seconds of the batch and of the loop."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(nodes, 300, nodes, generator=rng)
    y = torch.randn(nodes, 300, generator=rng)

    def fresh() -> Nets:
        return Nets(
            nodes, nodes, (16, 12), [torch.Generator().manual_seed(k) for k in range(nodes)]
        )

    nets = fresh()
    began = time.perf_counter()
    train(nets, x, y, plan, torch.Generator().manual_seed(7))
    batch = time.perf_counter() - began
    told, start, worst = nets.predict(x), fresh(), 0.0
    began = time.perf_counter()
    for k in range(nodes):
        single = alone(start, k, x[k], y[k], plan)(x[k])[:, 0]
        worst = max(worst, float((single - told[k]).detach().abs().max()))
    return worst, batch, time.perf_counter() - began


def test_a_batch_of_nets_is_the_loop_over_nodes():
    assert both(5, Schedule(epochs=4))[0] < 1e-4


@pytest.mark.long
def test_the_batch_is_twenty_times_the_loop():
    both(4, Schedule(epochs=1))
    worst, batch, loop = both(32, Schedule(epochs=8))
    assert worst < 1e-3
    assert loop > 20 * batch


@pytest.mark.parametrize("name", NETS)
def test_what_only_a_net_can_foretell_is_found(name):
    one = chain(frames=400)
    options = Options(hidden=16, decay=1.0, epochs=40)
    graph = draw_graphs([one], Choice(name), options).strength[0]
    assert edge_auc(np.eye(4, k=-1), graph) >= 0.95


def test_a_net_ends_the_same_in_any_company():
    one, other = chain(seed=0), chain(seed=1)
    options = Options(hidden=8, epochs=5)
    pair = draw_graphs([one, other], Choice("vardnn-di"), options).strength
    single = draw_graphs([other], Choice("vardnn-di"), options).strength
    np.testing.assert_allclose(pair[1], single[0], rtol=1e-4, atol=1e-6)


def test_a_forbidden_source_changes_no_forecast():
    may = np.ones((4, 4), bool)
    may[1, 0] = False
    task = make_task([replace(chain(), control=may)], 1)
    options = Options(hidden=8, epochs=3)
    change, _ = ablate("vardnn-di", fit_nets("vardnn-di", task, options, 1), task)
    assert change[1, 0] == 0
    assert change[2, 1] > 0


@pytest.mark.parametrize("shape", ["skewed", "heavy"])
def test_lingam_finds_a_cycle(shape):
    rng = np.random.default_rng(0)
    b = np.array([[0, 0, 0.5], [0.6, 0, 0], [0, 0.6, 0]])
    noise = rng.exponential(size=(3, 3000)) if shape == "skewed" else rng.laplace(size=(3, 3000))
    x = np.linalg.solve(np.eye(3) - b, noise - noise.mean(1, keepdims=True))
    spread = x.std(1)
    found = fit_lingam((x / spread[:, None])[None], 0.003).weights[0]
    scaled = found * spread[:, None] / spread[None]
    np.testing.assert_allclose(scaled, b, atol=0.08)
