"""Nets of attention, graphs and sleep: counts as published, shapes, gradients, save and load."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.learn.model import find_model  # noqa: E402
from neuroloom.learn.training.fit import FitJob  # noqa: E402
from neuroloom.signals.nets.atcnet import ATCNet, CausalBlock, WindowAttention  # noqa: E402
from neuroloom.signals.nets.attention import SelfAttention  # noqa: E402
from neuroloom.signals.nets.chambon2018 import Chambon2018  # noqa: E402
from neuroloom.signals.nets.conformer import EEGConformer  # noqa: E402
from neuroloom.signals.nets.ctnet import CTNet  # noqa: E402
from neuroloom.signals.nets.deepsleepnet import DeepSleepNet, Padded, read_alone  # noqa: E402
from neuroloom.signals.nets.dgcnn import (  # noqa: E402
    DGCNN,
    band_gains,
    differential_entropy,
    scaled_laplacian,
)
from neuroloom.signals.nets.eegnet import EEGNet, FilteredSources  # noqa: E402
from neuroloom.signals.nets.usleep import USleep  # noqa: E402

WINDOWS = (ATCNet, EEGConformer, CTNet, DGCNN, Chambon2018)
NAMES = ("atcnet", "conformer", "ctnet", "dgcnn", "chambon2018", "usleep", "chambon2018-gru")


def weights(net):
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


# braindecode 1.8.1, models/summary.csv (its shapes in the ids), and for U-Sleep at 128 Hz also
# "about 3.1 million" of Perslev et al. 2021.
@pytest.mark.parametrize(
    ("build", "shape", "arguments", "expected"),
    [
        pytest.param(ATCNet, (22, 1000, 4), {}, 113_732, id="atcnet"),
        pytest.param(EEGConformer, (22, 1000, 4), {}, 789_572, id="conformer"),
        pytest.param(CTNet, (22, 1000, 4), {"kernel": 16}, 26_900, id="ctnet-kernel-16"),
        pytest.param(Chambon2018, (2, 3840, 5), {"rate": 128}, 5_835, id="chambon-128Hz"),
        pytest.param(USleep, (2, 3000, 5), {"rate": 100}, 2_482_011, id="usleep-100Hz"),
        pytest.param(USleep, (2, 3840, 5), {"rate": 128}, 3_114_337, id="usleep-128Hz"),
        pytest.param(DeepSleepNet, (1, 3000, 5), {"rate": 100}, 24_744_837, id="deepsleep"),
    ],
)
def test_parameters_as_published(build, shape, arguments, expected):
    assert weights(build(*shape, **arguments)) == expected


def test_parameters_of_dgcnn_by_its_paper():
    """Song et al. 2018: adjacency, K = 2 terms of five bands, two linear layers."""
    graph, filters = 62 * 62 + 1, 2 * 5 * 64 + 64
    linear = (62 * 64 + 1) * 256 + (256 + 1) * 3
    assert weights(DGCNN(62, 200, 3)) == graph + filters + linear


@pytest.mark.parametrize("build", WINDOWS)
@pytest.mark.parametrize(("n_channels", "n_times", "rate"), [(1, 400, 100), (21, 500, 125)])
def test_shapes_and_gradients(build, n_channels, n_times, rate):
    net = build(n_channels, n_times, 3, rate=rate)
    out = net(torch.randn(4, n_channels, n_times))
    out.square().sum().backward()
    assert out.shape == (4, 3)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("build", WINDOWS)
def test_shortest_window_is_what_the_error_says(build):
    with pytest.raises(ConfigError, match="at least") as caught:
        build(3, 5, 2, rate=100.0)
    shortest = int(str(caught.value).split("at least ")[1].split()[0])
    assert build(3, shortest, 2, rate=100.0).eval()(torch.zeros(1, 3, shortest)).shape == (1, 2)
    with pytest.raises(ConfigError):
        build(3, shortest - 1, 2, rate=100.0)


@pytest.mark.parametrize("build", [ATCNet, EEGConformer, CTNet])
def test_same_seconds_at_twice_the_rate(build):
    slow, fast = build(4, 1000, 2, rate=250), build(4, 2000, 2, rate=500)
    kernels = [m for m in slow.modules() if hasattr(m, "temporal")]
    twice = [m for m in fast.modules() if hasattr(m, "temporal")]
    assert twice[0].temporal.shape[1] == 2 * kernels[0].temporal.shape[1]


def test_chambon_and_usleep_follow_the_rate():
    assert Chambon2018(1, 7680, 5, rate=256).features[0].kernel_size == (128,)
    assert weights(Chambon2018(1, 7680, 5, rate=256).output) == weights(
        Chambon2018(1, 3840, 5, rate=128).output
    )
    assert USleep(1, 7680, 5, rate=256, depth=3).down[0][0].kernel_size == (17,)


@pytest.mark.parametrize("name", NAMES)
def test_learner_saves_and_loads(name):
    rng = np.random.default_rng(0)
    places = 3 if name in ("usleep", "chambon2018-gru") else None
    facts = {"channels": ["a", "b"], "n_times": 900, "rate": 100.0, "places": places}
    x, y = rng.normal(size=(6, 2, 900)).astype("float32"), np.arange(6) % 3
    model = find_model(name)
    learner = model.make(facts, "classification", 3, batch=3)
    learner.fit(x, y, job=FitJob(steps=1))
    scores = learner.predict_scores(x)
    again = model.rebuild(learner.spec)
    again.load(learner.state())
    assert scores.shape == (6, 3)
    np.testing.assert_array_equal(again.predict_scores(x), scores)


def test_limit_of_atcnet_holds():
    net = ATCNet(3, 1000, 2)
    with torch.no_grad():
        net.weight.mul_(50)
    net.constrain()
    assert net.weight.norm(dim=1).max() <= 0.25 * 1.0001


def test_filtered_sources_are_those_of_eegnet():
    torch.manual_seed(0)
    net, front = EEGNet(3, 256, 2), FilteredSources(3, 8, 2, 64)
    for name in ("temporal", "spatial"):
        getattr(front, name).data.copy_(getattr(net, name).data)
    x = torch.randn(4, 3, 256)
    torch.testing.assert_close(front(x), net.sources(x))


def test_window_attention_equals_one_layer_for_each_window():
    torch.manual_seed(0)
    layer = WindowAttention(3, 8, 2, 4, 0.0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x = torch.randn(3, 5, 7, 8)
    for w, mine in enumerate(layer(x)):
        twin = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        with torch.no_grad():
            twin.in_proj_weight.copy_(layer.project[w].T)
            twin.in_proj_bias.copy_(layer.project_bias[w, 0])
            twin.out_proj.weight.copy_(layer.merge[w].T)
            twin.out_proj.bias.copy_(layer.merge_bias[w, 0])
        normal = torch.nn.functional.layer_norm(
            x[w], (8,), layer.gain[w, 0], layer.shift[w, 0], 1e-6
        )
        torch.testing.assert_close(mine, twin(normal, normal, normal)[0], atol=1e-5, rtol=1e-4)


def test_attention_scales_by_the_root_of_the_width():
    """Four heads in one: scores of torch's own layer are larger by the root of their number."""
    torch.manual_seed(0)
    layer, twin = SelfAttention(8, 4, 0.0), torch.nn.MultiheadAttention(8, 4, batch_first=True)
    with torch.no_grad():
        scale = torch.ones(24, 1)
        scale[:8] = 4**-0.5
        twin.in_proj_weight.copy_(layer.project.weight * scale)
        twin.in_proj_bias.copy_(layer.project.bias * scale[:, 0])
        twin.out_proj.load_state_dict(layer.merge.state_dict())
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(layer(x), twin(x, x, x)[0], atol=1e-5, rtol=1e-4)


def test_causal_block_does_not_see_the_future_or_other_windows():
    torch.manual_seed(0)
    block = CausalBlock(2, 3, 2, 0.0).eval()
    x = torch.randn(1, 6, 12)
    changed = x.clone()
    changed[:, :3, 8:] += 1.0
    moved = (block(changed) - block(x)).abs().sum(0) > 0
    assert not moved[:, :8].any()
    assert not moved[3:].any()
    assert moved[:3, 8:].any()


def test_entropy_of_white_noise_follows_the_width_of_the_band():
    """Half the log of 2 pi e times the variance that falls into the band."""
    torch.manual_seed(0)
    x = 3 * torch.randn(200, 2, 512)
    bands = [(8.0, 16.0), (16.0, 48.0)]
    entropy = differential_entropy(x, band_gains(512, 128, bands))
    for band, (low, high) in enumerate(bands):
        variance = 9 * (high - low) / 64
        expected = 0.5 * np.log(2 * np.pi * np.e * variance)
        assert float(entropy[..., band].mean()) == pytest.approx(expected, abs=0.03)


def test_scaled_laplacian_is_symmetric_and_within_one():
    torch.manual_seed(0)
    laplacian = scaled_laplacian(torch.rand(7, 7))
    values = torch.linalg.eigvalsh(laplacian)
    torch.testing.assert_close(laplacian, laplacian.T)
    assert float(values[0]) == pytest.approx(-1, abs=1e-5)
    assert float(values[-1]) <= 1


def test_ctnet_refuses_more_tokens_than_places():
    with pytest.raises(ConfigError, match="at most 6463 samples"):
        CTNet(2, 6464, 2)


def test_padding_is_that_of_tensorflow():
    """500 samples by 8: 63 outputs with two zeros on either side (the rule of `SAME`)."""
    x = torch.arange(1.0, 501)[None, None]
    out = Padded(torch.nn.MaxPool1d(8), 8, 8)(x)[0, 0]
    assert out[[0, 1, -1]].tolist() == [6, 14, 500]
    assert len(out) == 63


def test_an_epoch_alone_is_read_as_by_the_whole_lstm():
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True)
    x = torch.randn(3, 1, 6)
    torch.testing.assert_close(read_alone(lstm, x), lstm(x)[0])
