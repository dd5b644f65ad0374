"""What every convolutional net of an EEG paper keeps to, beside its own tests."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.core.registry import load  # noqa: E402
from neuroloom.learn.training.fit import FitJob  # noqa: E402
from neuroloom.signals.nets.bdtcn import BDTCN  # noqa: E402
from neuroloom.signals.nets.eeginception import EEGInception  # noqa: E402
from neuroloom.signals.nets.eegitnet import EEGITNet  # noqa: E402
from neuroloom.signals.nets.eegnex import EEGNeX  # noqa: E402
from neuroloom.signals.nets.eegtcnet import EEGTCNet  # noqa: E402
from neuroloom.signals.nets.fbcnet import FBCNet  # noqa: E402
from neuroloom.signals.nets.sccnet import SCCNet  # noqa: E402
from neuroloom.signals.nets.tidnet import TIDNet  # noqa: E402

NETS = {
    "eegnex": EEGNeX,
    "eeg-tcnet": EEGTCNet,
    "eeg-itnet": EEGITNet,
    "eeg-inception": EEGInception,
    "sccnet": SCCNet,
    "fbcnet": FBCNet,
    "tidnet": TIDNet,
    "bd-tcn": BDTCN,
}
GEMEIN = {"blocks": 5, "filters": 55, "kernel": 16}

# From the table of models that comes with braindecode 1.8.1, "table"; counted there on its own
# nets, "peer"; or from the paper.
COUNTS = [
    (EEGNeX, (22, 500, 4), {}, 55_940),  # table
    (EEGNeX, (22, 1000, 4), {}, 56_452),  # peer
    (EEGITNet, (22, 500, 4), {}, 3_686),  # peer; its table has 5,212 of an older net
    (EEGITNet, (22, 1000, 4), {}, 5_422),  # peer
    (EEGInception, (8, 128, 2), {}, 14_926),  # table
    (EEGInception, (22, 1000, 4), {}, 16_296),  # peer
    (SCCNet, (22, 1000, 4), {"rate": 125.0}, 12_070),  # table
    (FBCNet, (22, 1000, 4), {}, 11_812),  # table
    (TIDNet, (22, 1000, 4), {}, 240_404),  # table
    (TIDNet, (22, 500, 4), {}, 202_388),  # peer
    (BDTCN, (22, 1000, 4), {}, 26_974),  # peer
    (BDTCN, (21, 6000, 2), GEMEIN, 456_502),  # table
]


@pytest.fixture(autouse=True)
def one_thread():
    """These nets are small: on a busy machine a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("net", "shape", "options", "expected"), COUNTS)
def test_parameters_as_published(net, shape, options, expected):
    trainable = [p for p in net(*shape, **options).parameters() if p.requires_grad]
    assert sum(p.numel() for p in trainable) == expected


def test_parameters_of_eegtcnet_with_moving_statistics():
    """The 4,272 of the paper are as Keras counts, with means and variances."""
    net = EEGTCNet(22, 1125, 4)
    statistics = [b for name, b in net.named_buffers() if name.endswith(("_mean", "_var"))]
    assert sum(p.numel() for p in net.parameters()) == 4_096
    assert sum(t.numel() for t in [*net.parameters(), *statistics]) == 4_272


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("n_channels", "n_times", "rate"), [(1, 300, 100.0), (12, 257, 128.0)])
def test_shapes_and_gradients(name, n_channels, n_times, rate):
    torch.manual_seed(0)
    net = NETS[name](n_channels, n_times, 2, rate=rate)
    out = net(torch.randn(4, n_channels, n_times))
    (out * torch.randn_like(out)).sum().backward()
    constrain(net)
    assert out.shape == (4, 2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert sum(bool(p.grad.any()) for p in net.parameters()) > len(list(net.parameters())) / 2


def constrain(net):
    if hasattr(net, "constrain"):
        net.constrain()


@pytest.mark.parametrize("name", NETS)
def test_evaluation_is_training_with_the_same_moments(name):
    """One batch, its moments kept as running ones: both ways to compute a net must agree."""
    torch.manual_seed(1)
    net = NETS[name](3, 300, 3, rate=128.0)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    x = torch.randn(24, 3, 300) + 0.5
    expected = net(x)
    torch.testing.assert_close(net.eval()(x), expected, atol=3e-2, rtol=3e-2)


@pytest.mark.parametrize("name", NETS)
def test_shortest_window_is_what_the_error_says(name):
    build = NETS[name]
    with pytest.raises(ConfigError, match="at least") as caught:
        build(3, 3, 2, rate=100.0)
    shortest = int(str(caught.value).split("at least ")[1].split()[0])
    assert build(3, shortest, 2, rate=100.0).eval()(torch.zeros(1, 3, shortest)).shape == (1, 2)
    assert build(3, shortest, 2, rate=100.0)(torch.randn(4, 3, shortest)).shape == (4, 2)
    with pytest.raises(ConfigError):
        build(3, shortest - 1, 2, rate=100.0)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("eegnex", lambda net: net.sources.first.shape[1]),
        ("eeg-tcnet", lambda net: net.temporal.shape[1]),
        ("eeg-itnet", lambda net: net.temporal.shape[1]),
        ("eeg-inception", lambda net: net.scales.kernels[0].shape[1]),
        ("sccnet", lambda net: net.filter.shape[2]),
        ("tidnet", lambda net: net.pool.kernel_size),
        ("bd-tcn", lambda net: net.blocks[0].first.kernel_size[0]),
    ],
)
def test_same_seconds_at_twice_the_rate(name, kernel):
    slow, fast = (NETS[name](2, 250 * k, 2, rate=125.0 * k) for k in (1, 2))
    assert abs(kernel(fast) - 2 * kernel(slow)) <= 1
    assert slow(torch.randn(2, 2, 250)).shape == fast(torch.randn(2, 2, 500)).shape


@pytest.mark.parametrize(
    ("name", "spatial", "limit"),
    [
        ("eegnex", "sources.spatial", 1.0),
        ("eeg-tcnet", "spatial", 1.0),
        ("eeg-itnet", "spatial", 1.0),
        ("eeg-inception", "scales.spatial", 1.0),
        ("fbcnet", "spatial", 2.0),
    ],
)
def test_limits_hold(name, spatial, limit):
    net = NETS[name](6, 500, 2, rate=128.0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(50)
    net.constrain()
    assert net.get_parameter(spatial).norm(dim=2).max() <= limit * 1.0001
    if name != "eeg-inception":
        assert net.output.weight.norm(dim=1).max() <= limit / 4 * 1.0001


@pytest.mark.parametrize("name", NETS)
def test_a_trained_net_comes_back_from_its_file(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4, 200)).astype(np.float32), np.arange(12) % 2
    facts = {"channels": list("abcd"), "n_times": 200, "rate": 100.0}
    model = load("model", name)
    learner = model.make(facts, "classification", 2, members=1, epochs=1)
    learner.fit(x, y, job=FitJob(seed=0))
    again = model.rebuild(learner.spec)
    again.load(learner.state())
    np.testing.assert_allclose(again.predict_scores(x), learner.predict_scores(x), atol=1e-6)
