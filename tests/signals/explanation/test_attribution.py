"""Shares of the sensors in a net's score: what a linear net weighs is what each method finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neuroloom.signals.explanation.attribution import NAMES, attribute_sensors

CHANNELS = ["C3", "Cz", "C4"]


def linear(weights: list[list[float]]) -> nn.Module:
    """A net that weighs the mean of each sensor: (class, channel)."""
    net = nn.Linear(3, len(weights), bias=False)
    with torch.no_grad():
        net.weight[:] = torch.as_tensor(weights)

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log_softmax(self.net(x.mean(2)), 1)

    return Mean()


@pytest.fixture
def trials() -> tuple[np.ndarray, np.ndarray]:
    """Class 1 has a positive mean at C3, class 0 one at C4; C4 is recorded 1000 times as large."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = 0.1 * rng.normal(size=(40, 3, 20))
    x[:, 0] += y[:, None]
    x[:, 2] += 1 - y[:, None]
    return (x * np.array([[1.0], [1.0], [1000.0]])).astype(np.float32), y


@pytest.mark.parametrize("method", NAMES)
def test_sensors_of_each_class(method: str, trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    net = linear([[-1.0, 0.0, 0.001], [1.0, 0.0, -0.001]])
    found = attribute_sensors(net, x, y, CHANNELS, 2)
    shares = found.maps[method]
    assert shares.shape == (2, 3)
    assert abs(shares[:, 1]).max() < 0.02
    if method == "saliency":
        np.testing.assert_allclose(shares, [[0.5, 0, 0.5]] * 2, atol=0.02)
    else:
        assert shares[0].argmax() == 2
        assert shares[1].argmax() == 0
    assert found.channels.attribution.sum() == pytest.approx(1)
    assert found.channels.channel.tolist()[-1] == "Cz"


def test_numbers_have_one_map(trials: tuple[np.ndarray, np.ndarray]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(60, 1), nn.Flatten(0))
    found = attribute_sensors(net, trials[0], trials[1].astype(float), CHANNELS)
    assert all(shares.shape == (1, 3) for shares in found.maps.values())


def test_a_class_without_trials_has_an_empty_map(trials: tuple[np.ndarray, np.ndarray]) -> None:
    net = linear([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = attribute_sensors(net, *trials, CHANNELS, 3)
    assert (found.maps["occlusion"][2] == 0).all()
