"""Maps find what was planted; receptive fields are those of the closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neuroloom.core.errors import ConfigError
from neuroloom.representation.seeing.fields import (
    field_of_chain,
    receptive_field,
    used_field,
    width_of,
)
from neuroloom.representation.seeing.maximise import maximise
from neuroloom.representation.seeing.saliency import grad_cam, occlusion, over_places, saliency
from neuroloom.representation.seeing.units import ablated


class Detector(nn.Module):
    """Answers to a bright square of 8 x 8 anywhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8, padding=4, bias=False)
        self.relu = nn.ReLU(inplace=True)
        with torch.no_grad():
            self.conv.weight[0].fill_(1 / 64)
            self.conv.weight[1].fill_(-1 / 64)

    def forward(self, x):
        return self.relu(self.conv(x) - 0.5).amax((2, 3))


def planted(size=48):
    rng = np.random.default_rng(0)
    x = 0.05 * rng.normal(size=(3, 1, size, size)).astype(np.float32)
    truth = np.zeros((3, size, size), bool)
    for number, (top, left) in enumerate([(6, 10), (30, 20), (18, 36)]):
        x[number, 0, top : top + 8, left : left + 8] += 1
        truth[number, top : top + 8, left : left + 8] = True
    return x, truth


def overlap(found, truth):
    """IoU of the strongest places, as many as the truth has."""
    values = []
    for one, real in zip(found, truth, strict=True):
        strongest = one >= np.sort(one.ravel())[-int(real.sum())]
        values.append((strongest & real).sum() / (strongest | real).sum())
    return np.mean(values)


@pytest.mark.parametrize("method", ["plain", "guided", "smooth"])
def test_gradients_find_a_planted_square(method):
    x, truth = planted()
    given = saliency(Detector(), x, "", 0, method=method)
    assert given.shape == x.shape
    assert overlap(over_places(given), truth) >= 0.5


def test_occlusion_and_grad_cam_find_it_too():
    x, truth = planted()
    assert overlap(occlusion(Detector(), x, "", 0, window=8, stride=2), truth) >= 0.5
    assert overlap(grad_cam(Detector(), x, "conv", 0), truth) >= 0.5


def test_a_plain_gradient_is_the_analytic_one():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), np.ones((2, 3, 2, 2), np.float32)
    given = saliency(net, x, "1", [3, 1])
    weights = net[1].weight.detach().numpy()
    np.testing.assert_allclose(given.reshape(2, 12), weights[[3, 1]], rtol=1e-6)


def test_guided_gradients_need_relus_and_leave_the_net_as_it_was():
    net, x = Detector(), planted()[0]
    saliency(net, x, method="guided")
    assert net.relu.inplace
    assert not net.relu._backward_hooks
    with pytest.raises(ConfigError, match="needs ReLU"):
        saliency(nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 2)), x, method="guided")
    with pytest.raises(ConfigError, match="there is no 7"):
        saliency(net, x, "", 7)
    with pytest.raises(ConfigError, match="Did you mean 'conv'"):
        saliency(net, x, "con")


@pytest.mark.parametrize(
    "chain", [[(11, 4, 1), (3, 2, 1), (5, 1, 1)], [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(7, 2, 1)]]
)
def test_fields_are_those_of_the_closed_form(chain):
    layers, channels = [], 1
    for number, (kernel, stride, dilation) in enumerate(chain):
        if number == 1 and dilation == 1:
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(kernel, stride)]
            continue
        layers += [nn.Conv2d(channels, 3, kernel, stride, dilation=dilation), nn.BatchNorm2d(3)]
        channels = 3
    net = nn.Sequential(*layers).eval()
    size, _ = field_of_chain(*zip(*chain, strict=True))
    found = receptive_field(net, str(len(layers) - 1), (1, size + 40, size + 40))
    assert found.sizes == (size, size)
    assert not any(found.whole)


def test_fields_of_skips_and_of_traces():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.near, self.far = nn.Conv1d(1, 1, 3, padding=1), nn.Conv1d(1, 1, 9, padding=4)

        def forward(self, x):
            return self.near(x) + self.far(x)

    net = nn.Sequential(Skip(), nn.Conv1d(1, 1, 2, dilation=5))
    field = receptive_field(net, "1", (1, 60))
    assert field.sizes == (14,)
    pooled = nn.Sequential(nn.Conv1d(1, 1, 3), nn.AdaptiveAvgPool1d(1))
    assert receptive_field(pooled, "1", (1, 60)).whole == (True,)


def test_what_is_used_lies_inside_what_can_be_seen():
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Conv2d(1 if k == 0 else 8, 8, 5, padding=2) for k in range(4))).eval()
    x = np.random.default_rng(0).normal(size=(6, 1, 41, 41)).astype(np.float32)
    field = receptive_field(net, "3", (1, 41, 41))
    used = used_field(net, "3", x)
    outside = np.ones((41, 41), bool)
    outside[np.ix_(field.seen[0], field.seen[1])] = False
    assert np.abs(used[outside]).max() < 1e-12
    assert width_of(used)[0] <= field.sizes[0] == 17


@pytest.mark.parametrize("spectrum", [True, False])
def test_ascent_finds_the_pattern_that_a_unit_likes(spectrum):
    pattern = torch.zeros(1, 1, 16, 16)
    pattern[..., 4:12, 4:12] = 1
    pattern -= pattern.mean()
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 1, bias=False))
    net[1].weight.data = pattern.reshape(1, -1)
    options = {"steps": 200, "jitter": 0, "spectrum": spectrum}
    best, climb = maximise(net, (1, 16, 16), **options)
    again, _ = maximise(net, (1, 16, 16), **options)
    np.testing.assert_array_equal(best, again)
    assert climb[-1] > climb[0] + 10
    assert np.corrcoef(best.ravel(), pattern.numpy().ravel())[0, 1] > 0.8


def test_an_ablated_channel_is_silent_for_a_while():
    net, x = Detector().eval(), torch.as_tensor(planted()[0])
    with ablated(net, "conv", [0]):
        assert float(net(x)[:, 0].detach().abs().max()) == 0
    assert float(net(x)[:, 0].detach().max()) > 0.2
