"""Rate networks against plain arithmetic: steps, gradients, constraints, PsychRNN's weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroloom.cognition.nets.connection import (
    Connection,
    cell_types,
    count_violations,
    recurrent_mask,
    recurrent_start,
)
from neuroloom.cognition.nets.gated import GatedRNN, GatedSpec, rebuild
from neuroloom.cognition.nets.rate import RateRNN, RateSpec
from neuroloom.cognition.nets.scan import RATES, leaky_scan
from neuroloom.cognition.nets.weights import read_psychrnn, write_psychrnn
from neuroloom.cognition.task import task
from neuroloom.core.errors import ConfigError, DataError

PLAIN = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
}


def by_hand(net: RateRNN, inputs: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """States and outputs in float64, a step at a time."""
    part = {name: value.double().numpy() for name, value in net.state_dict().items()}
    w, w_in, w_out = (
        x().detach().double().numpy() for x in (net.recurrent, net.input, net.readout)
    )
    f, a = PLAIN[net.spec.rate], dt / net.spec.tau
    x = np.repeat(part["start"][None], inputs.shape[1], 0)
    states, outputs = [], []
    for u in inputs:
        x = (1 - a) * x + a * (f(x) @ w.T + u @ w_in.T + part["bias"])
        states.append(x)
        outputs.append(f(x) @ w_out.T + part["out_bias"])
    return np.stack(states), np.stack(outputs)


@pytest.mark.parametrize("rate", sorted(RATES))
@pytest.mark.parametrize("dale", [None, 0.8])
def test_states_and_outputs_are_those_of_the_equation(rate, dale):
    net = RateRNN(RateSpec(3, 10, 2, rate=rate, dale=dale), torch.Generator().manual_seed(3))
    inputs = torch.randn(40, 5, 3, generator=torch.Generator().manual_seed(1))
    states, outputs = by_hand(net, inputs.double().numpy(), 20.0)
    found = net(inputs, 20.0)
    np.testing.assert_allclose(found.states.detach(), states, atol=1e-5)
    np.testing.assert_allclose(found.outputs.detach(), outputs, atol=1e-5)


@pytest.mark.parametrize("rate", sorted(RATES))
def test_gradients_are_those_of_finite_differences(rate):
    draw = torch.Generator().manual_seed(0)
    drive, start, weight = (
        torch.randn(*size, dtype=torch.double, generator=draw, requires_grad=True)
        for size in ((6, 3, 4), (3, 4), (4, 4))
    )
    assert torch.autograd.gradcheck(
        lambda *given: leaky_scan(*given, 0.3, RATES[rate]), (drive, start, weight)
    )


def test_noise_has_the_variance_of_the_equation_and_obeys_the_generator():
    net = RateRNN(RateSpec(1, 200, 1, noise=0.3, train_start=False))
    with torch.no_grad():
        net.recurrent.weight.zero_()
        net.bias.zero_()
    runs = [
        net(torch.zeros(150, 10, 1), 20.0, generator=torch.Generator().manual_seed(4)).states
        for _ in range(2)
    ]
    assert torch.equal(*runs)
    # x' = (1 - a) x + sqrt(2 a) s n has the variance 2 a s^2 / (1 - (1 - a)^2).
    wanted = (2 * 0.2 * 0.3**2 / (1 - 0.8**2)) ** 0.5
    assert float(runs[0][50:].detach().std()) == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("rule", ["abs", "relu"])
def test_constraints_hold_whatever_the_optimiser_does(rule):
    spec = RateSpec(2, 20, 2, dale=0.8, rule=rule, density=0.8, autapses=False)
    net = RateRNN(spec, torch.Generator().manual_seed(1))
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(5):
        optimiser.zero_grad()
        net(torch.randn(10, 4, 2), 20.0).outputs.square().mean().backward()
        optimiser.step()
    weight = net.recurrent().detach()
    signs = cell_types(20, 0.8)
    assert count_violations(weight, signs, net.recurrent.mask) == 0
    assert int(weight.diag().count_nonzero()) == 0
    assert int((net.recurrent.mask == 0).sum()) == 20 + round(0.2 * 380)
    assert (net.input().detach() >= 0).all()
    assert (net.readout().detach()[:, signs < 0] == 0).all()


def test_areas_are_a_row_joined_by_excitation_alone():
    net = RateRNN(RateSpec(2, 40, 2, dale=0.8, areas=2), torch.Generator().manual_seed(0))
    weight, area = net.recurrent().detach(), torch.tensor([0] * 16 + [1] * 16 + [0] * 4 + [1] * 4)
    across = area[:, None] != area[None]
    assert (weight[across] >= 0).all()
    forward = weight[area == 1][:, area == 0] != 0
    back = weight[area == 0][:, area == 1] != 0
    assert 0 < back.sum() < forward.sum() < 0.4 * forward.numel()
    assert (net.input().detach()[area == 1] == 0).all()
    assert (net.readout().detach()[:, area == 0] == 0).all()


def test_fixed_weights_stay_and_plastic_ones_move():
    plastic = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    part = Connection(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), plastic=plastic)
    torch.optim.SGD(part.parameters(), lr=0.1).zero_grad()
    part().sum().backward()
    with torch.no_grad():
        part.weight -= part.weight.grad
        part.weight[0, 1] = 99.0  # even if something moved it
    assert part().tolist() == [[0.0, 2.0], [3.0, 3.0]]


def test_first_weights_have_the_spectral_radius_and_balance():
    draw = torch.Generator().manual_seed(0)
    signs = cell_types(100, 0.8)
    mask = recurrent_mask(100, 0.7, draw)
    weight = recurrent_start(100, draw, signs=signs, mask=mask, radius=1.3)
    assert np.abs(np.linalg.eigvals(weight.double().numpy())).max() == pytest.approx(1.3, rel=1e-4)
    pull, push = weight[:, signs < 0].sum(), weight[:, signs > 0].sum()
    assert float(-pull / push) == pytest.approx(1, abs=0.1)


def test_plastic_synapses_with_full_resources_and_held_use_are_the_plain_net(monkeypatch):
    # Recovery in no time and use that is always 1: nothing is plastic any more.
    monkeypatch.setattr("neuroloom.cognition.nets.rate.SYNAPSES", ((1e9, 1e9, 1.0),) * 2)
    monkeypatch.setattr("neuroloom.cognition.nets.rate.FULL_RATE", 0.0)
    plain = RateRNN(RateSpec(2, 8, 1), torch.Generator().manual_seed(2))
    plastic = RateRNN(RateSpec(2, 8, 1, plasticity=True), torch.Generator().manual_seed(2))
    inputs = torch.randn(20, 3, 2)
    assert torch.allclose(plain(inputs, 20.0).states, plastic(inputs, 20.0).states, atol=1e-6)


def test_plastic_synapses_depress_and_facilitate():
    net = RateRNN(RateSpec(1, 4, 1, plasticity=True))
    played = net(torch.ones(30, 2, 1), 20.0)
    assert played.states.isfinite().all()
    played.outputs.mean().backward()
    assert net.recurrent.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("gates", ["lstm", "gru"])
def test_gated_nets_are_torchs_own_and_can_be_rebuilt(gates):
    net = GatedRNN(GatedSpec(gates, 2, 6, 3), torch.Generator().manual_seed(1))
    inputs = torch.randn(7, 4, 2)
    again = rebuild(net.describe())
    again.load_state_dict(net.state_dict())
    assert torch.equal(net(inputs, 20.0).outputs, again(inputs, 20.0).outputs)
    assert torch.equal(net.body(inputs)[0], net(inputs, 20.0).states)


def test_psychrnns_weights_solve_its_task_and_states_are_exact(test_data):
    file = test_data / "cognition/psychrnn_weights/saved_weights.npz"
    net, played = read_psychrnn(file), task("perceptual-discrimination")
    with np.load(file) as arrays:
        stored = {name: arrays[name].astype(float) for name in ("W_in", "W_rec", "b_rec")}
        stored["init_state"] = arrays["init_state"].astype(float)
    for coherence in (0.1, 0.3, 0.5, 0.7):
        trials = played.trials(200, torch.Generator().manual_seed(9), dt=10.0, coherence=coherence)
        with torch.no_grad():
            found = net(trials.inputs, 10.0)
        x = np.repeat(stored["init_state"], 200, 0)
        for step, u in enumerate(trials.inputs.double().numpy()):
            pushed = np.maximum(x, 0) @ stored["W_rec"].T + u @ stored["W_in"].T + stored["b_rec"]
            x = 0.9 * x + 0.1 * pushed
            np.testing.assert_allclose(found.states[step], x, atol=1e-4)
        assert float(played.score(found.outputs, trials).float().mean()) == 1.0


def test_weights_go_to_psychrnn_and_back(tmp_path):
    spec = RateSpec(2, 10, 2, dale=0.7, density=0.6, autapses=False)
    net = RateRNN(spec, torch.Generator().manual_seed(5))
    again = read_psychrnn(write_psychrnn(net, tmp_path / "w.npz"))
    inputs = torch.randn(20, 3, 2)
    assert torch.allclose(net(inputs, 10.0).outputs, again(inputs, 10.0).outputs, atol=1e-6)
    assert torch.equal(again.recurrent.signs, net.recurrent.signs)
    assert torch.equal(again.recurrent.mask, net.recurrent.mask)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"W_in": np.zeros((3, 2))}, "no array 'W_rec'"),
        (
            {
                "W_in": np.zeros((3, 2)), "W_rec": np.zeros((3, 4)), "W_out": np.zeros((1, 3)),
                "b_rec": np.zeros(3), "b_out": np.zeros(1), "init_state": np.zeros((1, 3)),
            },
            r"W_rec has shape \(3, 4\)",
        ),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(arrays, told, tmp_path):
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(DataError, match=told):
        read_psychrnn(tmp_path / "w.npz")


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "w.npz").write_text("no archive")
    with pytest.raises(DataError, match="cannot be read"):
        read_psychrnn(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: RateRNN(RateSpec(1, 4, 1, rate="relo")), "Did you mean 'relu'"),
        (lambda: RateRNN(RateSpec(1, 4, 1))(torch.zeros(3, 1, 1), 500.0), "step of 500.0 ms"),
        (lambda: cell_types(4, 0.99), "both kinds are needed"),
        (lambda: Connection(torch.ones(2, 2), mask=torch.ones(3, 2)), "mask: expected shape"),
        (lambda: GatedRNN(GatedSpec("gur", 1, 2, 1)), "Did you mean 'gru'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make, told):
    with pytest.raises(ConfigError, match=told):
        make()
