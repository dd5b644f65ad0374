"""First filters of a net: planted ones come back, whatever the net is written with."""

from __future__ import annotations

from typing import Any

import mne
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroloom.core.registry import names
from neuroloom.learn.model import find_model
from neuroloom.signals.explanation.kernels import (
    Kernels,
    activation_patterns,
    filter_power,
    frequency_response,
    learner_kernels,
    read_kernels,
)

RATE, TIMES = 128.0, 256
CHANNELS = ["F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "Oz"]
HERTZ, SENSORS = (10.0, 22.0, 40.0), (3, 5, 9)
SIZE = len(CHANNELS)


def gabor(hertz: float, size: int = 65) -> np.ndarray:
    at = (np.arange(size) - size // 2) / RATE
    return np.cos(2 * np.pi * hertz * at) * np.exp(-((at / 0.1) ** 2))


KERNELS = torch.as_tensor(np.array([gabor(hertz) for hertz in HERTZ]), dtype=torch.float32)
PICKS = torch.eye(SIZE)[list(SENSORS)]


class Planes(nn.Module):
    """Temporal, then spatial convolution over (n, filter, channel, time), as most papers write."""

    def __init__(self, between: nn.Module | None = None) -> None:
        super().__init__()
        self.temporal = nn.Conv2d(1, 3, (1, 65), padding=(0, 32), bias=False)
        self.between = between or nn.BatchNorm2d(3)
        self.spatial = nn.Conv2d(3, 3, (SIZE, 1), groups=3)
        self.act = nn.ELU(inplace=True)
        self.out = nn.Linear(3 * TIMES, 2)
        with torch.no_grad():
            self.temporal.weight[:, 0, 0] = KERNELS
            self.spatial.weight[:, 0, :, 0] = PICKS

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial(self.between(self.temporal(x[:, None])))
        return self.out(self.act(x).flatten(1))


class Merged(nn.Module):
    """The same as one convolution, applied to patches, with time before the maps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.einsum("kc,kt->kct", PICKS, KERNELS))
        self.out = nn.Linear(3 * 48, 2)

    def forward(self, x: Tensor) -> Tensor:
        maps = nn.functional.conv1d(x, self.weight, stride=4).permute(0, 2, 1)
        return self.out(torch.tanh(maps).flatten(1))


class Spectral(nn.Module):
    """The same by multiplying spectra, and a constant."""

    def forward(self, x: Tensor) -> Tensor:
        size = TIMES + 64
        gain = torch.fft.rfft(KERNELS.flip(1), size)
        full = torch.fft.irfft(torch.fft.rfft(PICKS @ x, size) * gain, size)
        return (full[..., 32:-32] + 3.0).square().mean(2).log()


@pytest.mark.parametrize("make", [Planes, Merged, Spectral])
def test_planted_filters_come_back(make: type[nn.Module]) -> None:
    kernels = read_kernels(make(), SIZE, TIMES)
    assert kernels is not None
    hertz, gain = frequency_response(kernels.temporal, RATE)
    np.testing.assert_allclose(hertz[gain.argmax(1)], HERTZ, atol=0.5)
    assert np.abs(kernels.spatial).argmax(1).tolist() == list(SENSORS)
    assert kernels.follows.tolist() == [0, 1, 2]
    like = [np.corrcoef(a, b)[0, 1] for a, b in zip(kernels.temporal, KERNELS, strict=True)]
    assert min(like) > 0.999
    shares = np.abs(kernels.spatial) / np.abs(kernels.spatial).max(1, keepdims=True)
    assert np.sort(shares, axis=1)[:, -2].max() < 1e-4


def test_a_nonlinearity_between_time_and_space_parts_the_two() -> None:
    kernels = read_kernels(Planes(nn.ELU()), SIZE, TIMES)
    assert kernels is not None
    hertz, gain = frequency_response(kernels.temporal, RATE)
    np.testing.assert_allclose(hertz[gain.argmax(1)], HERTZ, atol=0.5)
    assert np.abs(kernels.spatial).argmax(1).tolist() == list(SENSORS)
    assert (kernels.follows == -1).all()


def test_a_net_may_name_its_own_kernels() -> None:
    net = Planes()
    net.kernels = lambda: (KERNELS[:2], PICKS[:2])  # type: ignore[attr-defined, assignment]
    kernels = read_kernels(net, SIZE, TIMES)
    assert kernels is not None
    np.testing.assert_array_equal(kernels.temporal, KERNELS[:2])


class Normed(nn.Module):
    """Divides by the SD first, so that nothing linear stands in front: the weights must do."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = Planes()

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x / x.std(2, keepdim=True))


def test_after_a_nonlinear_norm_the_weights_are_read() -> None:
    kernels = read_kernels(Normed(), SIZE, TIMES)
    assert kernels is not None
    hertz, gain = frequency_response(kernels.temporal, RATE)
    np.testing.assert_allclose(hertz[gain.argmax(1)], HERTZ, atol=0.5)
    assert np.abs(kernels.spatial).argmax(1).tolist() == list(SENSORS)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(SIZE, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x.mT)[0][:, -1]


@pytest.mark.parametrize(
    "net", [Recurrent(), nn.Sequential(nn.Flatten(), nn.Linear(SIZE * TIMES, 4), nn.ReLU())]
)
def test_a_net_without_convolution_has_none(net: nn.Module) -> None:
    assert read_kernels(net, SIZE, TIMES) is None


def test_reading_leaves_the_net_alone() -> None:
    net = Planes().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    read_kernels(net, SIZE, TIMES)
    assert net.training
    assert all(bool((before[name] == value).all()) for name, value in net.state_dict().items())


def test_one_channel_has_kernels_in_time_alone() -> None:
    net = nn.Sequential(nn.Conv1d(1, 4, 9), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 248, 2))
    kernels = read_kernels(net, 1, TIMES)
    assert kernels is not None
    assert kernels.temporal.shape == (4, 9)
    assert kernels.spatial.shape == (0, 1)


def test_pattern_is_where_the_source_is_and_not_what_cancels_noise() -> None:
    """Haufe et al. 2014, figure 1: the second sensor holds noise only, yet gets a weight of -1."""
    rng = np.random.default_rng(0)
    at = np.arange(512) / RATE
    source = np.sin(2 * np.pi * 10 * at + rng.uniform(0, 6.3, (30, 1)))
    noise = 2 * np.sin(2 * np.pi * 11 * at + rng.uniform(0, 6.3, (30, 1)))
    slow = 20 * np.sin(2 * np.pi * 2 * at + rng.uniform(0, 6.3, (30, 1)))
    x = np.stack([source + noise, noise, slow + noise], axis=1)
    kernels = Kernels(gabor(10)[None], np.array([[1.0, -1.0, 0.0]]), np.zeros(1, int))
    pattern = activation_patterns(kernels, x)[0]
    np.testing.assert_allclose(pattern, [1, 0, 0], atol=0.15)
    power = filter_power(kernels, x)
    np.testing.assert_allclose(power.mean(), 0.5 * abs(gain_at(10)) ** 2, rtol=0.05)


def gain_at(hertz: float) -> float:
    response, gain = frequency_response(gabor(10)[None], RATE)
    return float(gain[0][np.abs(response - hertz).argmin()])


def every_net() -> list[str]:
    return [name for name in names("model", "") if find_model(name).is_net]


@pytest.mark.parametrize("name", every_net())
def test_every_net_of_the_zoo(name: str) -> None:
    montage = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    facts: dict[str, Any] = {
        "channels": CHANNELS,
        "types": ["eeg"] * SIZE,
        "positions": [montage[channel].tolist() for channel in CHANNELS],
        "rate": RATE,
        "n_times": 2 * TIMES,
    }
    task = find_model(name).tasks[0]
    kernels = learner_kernels(find_model(name).make(facts, task, 3 if task != "regression" else 1))
    if kernels is None:
        return
    assert np.isfinite(kernels.temporal).all()
    assert kernels.temporal.shape[1] <= 2 * TIMES
    assert kernels.spatial.shape[1] == SIZE
    assert kernels.follows.shape == (len(kernels.spatial),)
    assert kernels.follows.max(initial=-1) < len(kernels.temporal)


@pytest.mark.parametrize("name", ["eegnet", "shallow", "deep4"])
def test_filters_of_known_nets(name: str) -> None:
    facts = {"channels": CHANNELS, "rate": RATE, "n_times": 4 * TIMES}
    learner = find_model(name).make(facts, "classification", 2)
    kernels = learner_kernels(learner)
    assert kernels is not None
    net = learner.model.nets[0]
    if name == "eegnet":
        maps = net.spatial.shape[0] * net.spatial.shape[1]
        for k in range(maps):
            planted = net.temporal[k // net.spatial.shape[1]].detach().numpy()
            assert abs(np.corrcoef(kernels.temporal[k], planted)[0, 1]) > 0.999
    else:
        merged = net.filter.kernel()[0].detach().numpy()
        best = np.linalg.svd(merged)[2][:, 0]
        like = np.abs(np.sum(best * kernels.temporal, axis=1))
        np.testing.assert_allclose(like, 1, atol=1e-3)
