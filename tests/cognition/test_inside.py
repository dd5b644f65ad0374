"""Fixed points, lesions and population measures on nets whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroloom.cognition.inside.dynamics import find_fixed_points
from neuroloom.cognition.inside.lesions import Lesion, run_lesioned
from neuroloom.cognition.inside.population import (
    group_trials,
    regression_axes,
    task_variance,
    trajectories,
)
from neuroloom.cognition.nets.rate import RateRNN, RateSpec
from neuroloom.core.errors import ConfigError


def bistable() -> RateRNN:
    """Two units; the first excites itself with gain 2 through tanh, the second only decays."""
    net = RateRNN(RateSpec(1, 2, 1, rate="tanh"))
    with torch.no_grad():
        net.recurrent.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
        net.bias.zero_()
    return net


def test_the_three_fixed_points_of_a_bistable_unit_are_found():
    from scipy.optimize import brentq

    found = find_fixed_points(bistable(), 2 * torch.randn(40, 2), torch.zeros(1))
    place = brentq(lambda x: 2 * np.tanh(x) - x, 0.5, 4)
    order = np.argsort(found.states[:, 0])
    np.testing.assert_allclose(found.states[order, 0], [-place, 0, place], atol=1e-5)
    assert found.unstable[order].tolist() == [0, 1, 0]
    # d/dx (2 tanh x - x): 1 in the middle, 2 / cosh^2 - 1 outside; the other unit -1.
    outside = 2 / np.cosh(place) ** 2 - 1
    leading = found.eigenvalues[order].real[:, 0]
    np.testing.assert_allclose(leading, [outside, 1, outside], atol=1e-4)


def test_a_held_input_moves_the_fixed_point_of_a_linear_net():
    net = RateRNN(RateSpec(1, 4, 1, radius=0.5), torch.Generator().manual_seed(2))
    with torch.no_grad():
        net.input.weight.fill_(5.0)
        net.recurrent.weight.abs_()
        net.recurrent.weight.mul_(0.1)
    found = find_fixed_points(net, torch.rand(8, 4), torch.ones(1))
    w = net.recurrent().detach().double().numpy()
    wanted = np.linalg.solve(np.eye(4) - w, np.full(4, 5.0))  # all above 0: relu is linear
    assert len(found.states) == 1
    np.testing.assert_allclose(found.states[0], wanted, rtol=1e-6)


def test_without_lesions_the_net_is_the_plain_one():
    net = RateRNN(RateSpec(2, 6, 2, dale=0.5), torch.Generator().manual_seed(1))
    inputs = torch.randn(15, 4, 2)
    plain = net(inputs, 20.0, generator=torch.Generator().manual_seed(3))
    again = run_lesioned(net, inputs, 20.0, [], torch.Generator().manual_seed(3))
    assert torch.allclose(plain.outputs, again.outputs, atol=1e-5)


def test_a_lesion_acts_only_in_its_time_and_cuts_what_it_names():
    net = RateRNN(RateSpec(2, 6, 2), torch.Generator().manual_seed(1))
    inputs = torch.randn(20, 4, 2)
    plain = net(inputs, 20.0)
    late = run_lesioned(net, inputs, 20.0, [Lesion(part="input", start=200.0)])
    assert torch.allclose(plain.states[:10], late.states[:10], atol=1e-5)
    assert not torch.allclose(plain.states[10:], late.states[10:], atol=1e-2)
    cut = inputs.clone()
    cut[10:] = 0
    assert torch.allclose(net(cut, 20.0).states, late.states, atol=1e-5)
    silent = run_lesioned(net, inputs, 20.0, [Lesion(part="readout")])
    assert torch.allclose(silent.outputs, net.out_bias.expand_as(silent.outputs))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda net: Lesion(part="dendrite"), "not of 'dendrite'"),
        (lambda net: run_lesioned(net, torch.zeros(2, 1, 2), 20.0, [Lesion(senders=(6,))]),
         "numbers 0 to 5"),
    ],
)  # fmt: skip
def test_lesions_of_what_is_not_there_are_refused(make, told):
    with pytest.raises(ConfigError, match=told):
        make(RateRNN(RateSpec(2, 6, 2)))


def test_paths_hold_the_variance_of_known_axes():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(9, 2)))[0].T
    time = np.linspace(0, 1, 30)
    groups = np.repeat([0, 1], 20)
    plan = np.stack([4 * time[:, None] * (2 * groups - 1), np.sin(time)[:, None] + 0 * groups], -1)
    found = trajectories(plan @ basis, groups, ["left", "right"], 2)
    assert found.explained.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.abs(found.axes @ basis.T), np.eye(2), atol=1e-2)
    assert np.abs(found.paths[0, -1, 0] - found.paths[1, -1, 0]) == pytest.approx(8)


def test_regression_axes_are_the_ones_that_were_planted():
    rng = np.random.default_rng(1)
    motion, colour = rng.normal(size=(2, 800))
    a, b = np.linalg.qr(rng.normal(size=(12, 2)))[0].T
    rates = np.zeros((5, 800, 12))
    rates[2], rates[4] = np.outer(motion, a), np.outer(colour, b)
    rates += 0.05 * rng.normal(size=rates.shape)
    spread = rates.std((0, 1))
    axes, cosines = regression_axes(rates, {"motion": motion, "colour": colour})
    for name, planted in (("motion", a), ("colour", b)):
        wanted = planted / spread
        assert abs(axes[name] @ wanted) / np.linalg.norm(wanted) > 0.98
    assert cosines.shape == (2, 2)


def test_trials_are_grouped_by_conditions_of_few_values():
    groups, labels = group_trials({"side": np.array([0, 1, 0, 1]), "at": np.random.rand(4)})
    assert labels == ["side 0", "side 1"] or len(labels) == 4
    many = np.random.default_rng(0).random(100)
    groups, labels = group_trials({"side": np.arange(100) % 2, "at": many})
    assert labels == ["side 0", "side 1"]
    assert groups.tolist() == (np.arange(100) % 2).tolist()


def test_task_variance_is_zero_for_units_that_do_not_care():
    rates = np.zeros((4, 10, 2))
    rates[:, :, 0] = np.arange(10)
    found = task_variance([rates, np.zeros((4, 10, 2))])
    assert found[0, 0] == pytest.approx(np.arange(10).var())
    assert found[0, 1] == found[1, 0] == 0
