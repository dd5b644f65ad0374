"""The nets are those of the papers: parameters, outputs, gradients and running statistics."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.signals.nets.deep4 import DeepConvNet, plan_blocks  # noqa: E402
from neuroloom.signals.nets.eegnet import EEGNet, map_moments, same_padding  # noqa: E402
from neuroloom.signals.nets.shallow import ShallowConvNet  # noqa: E402
from tests.signals.nets import reference  # noqa: E402

NETS = {
    "eegnet": (EEGNet, reference.eegnet),
    "shallow": (ShallowConvNet, reference.shallow),
    "deep4": (DeepConvNet, reference.deep4),
}


@pytest.mark.parametrize(
    ("net", "n_times", "expected"),
    [(EEGNet, 512, 2_484), (ShallowConvNet, 1000, 46_084), (DeepConvNet, 1000, 282_879)],
)
def test_parameters_as_published(net, n_times, expected):
    trainable = [p for p in net(22, n_times, 4).parameters() if p.requires_grad]
    assert sum(p.numel() for p in trainable) == expected


def pair(name, *, n_channels=5, n_times=500, rate=None):
    """A net and its textbook twin, with weights and statistics away from their start values."""
    torch.manual_seed(3)
    build, twin = NETS[name]
    net = build(n_channels, n_times, 3, rate=rate, dropout=0.0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net, twin(net)


def batch(n_channels=5, n_times=500):
    torch.manual_seed(4)
    slow = torch.randn(6, n_channels, n_times).cumsum(-1) / 10
    return slow + torch.randn(6, n_channels, n_times) + 0.5


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("rate", [None, 100.0])
def test_training_equals_textbook(name, rate):
    net, twin = pair(name, rate=rate)
    x = batch()
    mine, theirs = net(x), twin(x)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)

    weights = torch.randn_like(mine)
    (mine * weights).sum().backward()
    (theirs * weights).sum().backward()
    own = sorted(p.grad.abs().sum().item() for p in net.parameters())
    other = sorted(p.grad.abs().sum().item() for p in twin.parameters())
    assert own == pytest.approx(other, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("name", NETS)
def test_evaluation_equals_textbook_after_training_passes(name):
    net, twin = pair(name)
    for scale in (1.0, 2.0):
        net(scale * batch())
        twin(scale * batch())
    x = batch().flip(0)
    torch.testing.assert_close(net.eval()(x), twin.eval()(x), atol=1e-5, rtol=1e-4)


def test_eegnet_gradients_equal_textbook_in_double():
    net, twin = pair("eegnet")
    net, twin, x = net.double(), twin.double(), batch().double()
    net(x).square().sum().backward()
    twin(x).square().sum().backward()
    first = [m for m in twin.modules() if isinstance(m, torch.nn.Conv2d)]
    for mine, layer in zip((net.temporal, net.spatial, net.depthwise), first, strict=False):
        torch.testing.assert_close(mine.grad.flatten(), layer.weight.grad.flatten())


def test_eegnet_input_gradient_equals_textbook():
    net, twin = pair("eegnet")
    mine, theirs = (batch().double().requires_grad_() for _ in range(2))
    net.double()(mine).square().sum().backward()
    twin.double()(theirs).square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("kernel", [1, 2, 9, 64, 130])
def test_map_moments_equal_filtered_maps(kernel):
    torch.manual_seed(0)
    x, kernels = torch.randn(5, 3, 50) + 0.3, torch.randn(4, kernel)
    padded = torch.nn.functional.pad(x.reshape(15, 1, 50), same_padding(kernel))
    maps = torch.nn.functional.conv1d(padded, kernels[:, None])
    mean, variance = map_moments(x, kernels)
    torch.testing.assert_close(mean, maps.mean((0, 2)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(variance, maps.var((0, 2), unbiased=False), atol=1e-5, rtol=1e-4)


def test_map_moments_of_tiny_output_in_strong_drift():
    """A high-pass kernel on drifting data: little is left of much."""
    torch.manual_seed(0)
    drift = 100 * torch.sin(torch.linspace(0, 6, 400)).repeat(4, 2, 1)
    x = drift + torch.randn(4, 2, 400)
    kernel = torch.tensor([[-1.0, 3.0, -3.0, 1.0]])
    padded = torch.nn.functional.pad(x.double().reshape(8, 1, 400), same_padding(4))
    maps = torch.nn.functional.conv1d(padded, kernel.double()[:, None])
    _, variance = map_moments(x, kernel)
    assert float(variance) == pytest.approx(float(maps.var(unbiased=False)), rel=1e-3)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("n_channels", "n_times", "rate"), [(1, 300, 80), (64, 512, 128)])
def test_shapes_and_gradients(name, n_channels, n_times, rate):
    net = NETS[name][0](n_channels, n_times, 2, rate=rate)
    out = net(torch.randn(4, n_channels, n_times))
    out.sum().backward()
    net.constrain()
    assert out.shape == (4, 2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", NETS)
def test_same_seconds_at_twice_the_rate(name):
    slow = NETS[name][0](4, 750, 2, rate=250)
    fast = NETS[name][0](4, 1500, 2, rate=500)
    layers = [getattr(net, "filter", net).temporal.shape[1] for net in (slow, fast)]
    assert layers[1] == 2 * layers[0]


@pytest.mark.parametrize("name", NETS)
def test_shortest_window_is_what_the_error_says(name):
    build = NETS[name][0]
    with pytest.raises(ConfigError, match="at least") as caught:
        build(3, 5, 2, rate=100.0)
    shortest = int(str(caught.value).split("at least ")[1].split()[0])
    assert build(3, shortest, 2, rate=100.0).eval()(torch.zeros(1, 3, shortest)).shape == (1, 2)
    with pytest.raises(ConfigError):
        build(3, shortest - 1, 2, rate=100.0)


def test_deep4_blocks_follow_the_rate():
    assert plan_blocks(250) == [(10, 3)] * 4
    assert plan_blocks(500)[0] == (20, 6)


@pytest.mark.parametrize("name", NETS)
def test_limits_hold(name):
    net = NETS[name][0](6, 500, 2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(50)
    net.constrain()
    spatial = getattr(net, "filter", net).spatial
    dims = (2,) if name == "eegnet" else (1, 2)
    assert spatial.norm(dim=dims).max() <= net.max_norm * 1.0001
    assert net.output.weight.norm(dim=1).max() <= net.max_norm / 4 * 1.0001
