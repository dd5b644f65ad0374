"""The filter bank passes its bands, and the folded normalisation is batch normalisation."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.signals.nets.fbcnet import FBCNet, FilterBank  # noqa: E402


def bands_of(x: torch.Tensor, rate: float) -> torch.Tensor:
    bank = FilterBank(x.shape[-1], rate)
    return bank.synthesise(bank.analyse(x), torch.zeros(9, 1, 1, 1))


@pytest.mark.parametrize("rate", [100.0, 250.0])
@pytest.mark.parametrize(
    ("frequency", "gains"),
    [
        (6.0, {0: 1.0, 1: 0.0}),
        (22.0, {4: 1.0, 3: 0.0, 5: 0.0}),
        (12.0, {1: 0.5, 2: 0.5}),
        (45.0, {8: 0.0}),
    ],
)
def test_a_sine_is_in_its_band_alone(rate, frequency, gains):
    t = torch.arange(round(4 * rate)) / rate
    bands = bands_of(torch.sin(2 * torch.pi * frequency * t)[None, None], rate)[:, 0, 0]
    middle = bands[:, round(rate) : round(3 * rate)]
    for band, gain in gains.items():
        assert float(middle[band].std()) * 2**0.5 == pytest.approx(gain, abs=0.02)


def test_the_bands_add_up_without_delay():
    rng = np.random.default_rng(0)
    t = np.arange(1000) / 250
    parts = [np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) for f in (7.3, 12.0, 19.6, 33.1)]
    x = torch.tensor(np.hanning(1000) * np.sum(parts, 0)).float()[None, None]
    total = bands_of(x, 250.0).sum(0)
    assert float((total - x)[..., 200:800].abs().max()) < 0.02


def test_training_equals_textbook():
    torch.manual_seed(0)
    net = FBCNet(5, 400, 3, rate=125.0, filters=4)
    with torch.no_grad():
        net.bias.normal_()
        net.norm.weight.uniform_(0.5, 1.5)
        net.norm.bias.normal_()
    x = torch.randn(6, 5, 400).cumsum(-1)
    twin = nn.BatchNorm1d(36)
    twin.load_state_dict(net.norm.state_dict())
    maps = torch.einsum("bfc,bnct->nbft", net.spatial, bands_of(x, 125.0)).flatten(1, 2)
    maps = nn.functional.silu(twin(maps + net.bias[:, None]))
    features = maps.unflatten(-1, (4, 100)).var(-1).log().flatten(1)
    torch.testing.assert_close(net(x), net.output(features), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net.norm.running_mean, twin.running_mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net.norm.running_var, twin.running_var, atol=1e-5, rtol=1e-4)


def test_a_rate_too_low_is_refused_with_the_lowest():
    with pytest.raises(ConfigError, match="at least 82 Hz"):
        FBCNet(4, 300, 2, rate=80.0)
    assert FBCNet(4, 300, 2, rate=82.0)(torch.randn(2, 4, 300)).shape == (2, 2)
