"""Pictures inside a net: spectra against SciPy, maps against what they go through."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from scipy.signal import stft

torch = pytest.importorskip("torch")

from neuroloom.core.errors import ConfigError  # noqa: E402
from neuroloom.nets.image import (  # noqa: E402
    CNN3D,
    Spectrogram,
    SpectrogramCNN,
    flatten_head,
    scalp_maps,
    thin_plate,
)


def test_spectrogram_equals_scipy():
    x = np.random.default_rng(0).normal(size=(2, 3, 200))
    frequency, _, spectra = stft(
        x, 100.0, window="hann", nperseg=50, noverlap=38, boundary=None, padded=False
    )
    layer = Spectrogram(50, 12, (4, 40), 100.0)
    inside = (frequency >= 4) & (frequency <= 40)
    hann = layer.hann.numpy()
    expected = np.log(np.abs(spectra[:, :, inside] * hann.sum()) ** 2 / hann.sum() + 1e-6)
    got = layer(torch.as_tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_spectrogram_peaks_where_the_sine_is():
    time = torch.arange(300) / 100
    layer = Spectrogram(50, 10, (0, 50), 100.0)
    x = torch.sin(2 * torch.pi * 12 * time)[None, None]
    assert (layer(x).argmax(2) == 6).all()


def test_a_band_without_a_bin_is_refused():
    with pytest.raises(ConfigError, match="Widen the band"):
        SpectrogramCNN(3, 300, 2, rate=100, band=(4.5, 5.5))


def head(n=20, seed=0):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(n, 3))
    direction[:, 2] = np.abs(direction[:, 2])
    return 0.09 * direction / np.linalg.norm(direction, axis=1, keepdims=True)


def test_maps_go_through_the_electrodes():
    flat = flatten_head(head())
    values = np.random.default_rng(1).normal(size=20)
    np.testing.assert_allclose(thin_plate(flat, flat) @ values, values, atol=1e-6)


def test_maps_equal_scipy_and_keep_planes():
    flat = flatten_head(head())
    grid = np.random.default_rng(2).uniform(-1, 1, size=(50, 2))
    values = np.random.default_rng(1).normal(size=20)
    expected = RBFInterpolator(flat, values, kernel="thin_plate_spline", degree=1)(grid)
    np.testing.assert_allclose(thin_plate(flat, grid) @ values, expected, atol=1e-5)
    plane = 2 + flat @ [0.5, -1.0]
    np.testing.assert_allclose(thin_plate(flat, grid) @ plane, 2 + grid @ [0.5, -1.0], atol=1e-6)


def test_front_is_up_and_left_is_left():
    places = head()
    matrix, inside = scalp_maps(places, 9)
    flat = flatten_head(places)
    front = np.where(inside, matrix @ flat[:, 1], np.nan).reshape(9, 9)
    right = np.where(inside, matrix @ flat[:, 0], np.nan).reshape(9, 9)
    assert front[0, 4] > 0 > front[8, 4]
    assert right[4, 8] > 0 > right[4, 0]
    assert not inside[0]
    assert inside[40]


def test_unknown_places_do_not_enter():
    places = head()
    places[3] = np.nan
    matrix, _ = scalp_maps(places, 7)
    assert not matrix[:, 3].any()
    assert np.isfinite(matrix).all()
    net = CNN3D(20, 200, 2, rate=100, positions=places).eval()
    x = torch.randn(2, 20, 200)
    changed = x.clone()
    changed[:, 3] += 9
    torch.testing.assert_close(net(x), net(changed))


@pytest.mark.parametrize(
    "places", [None, head()[:3], np.c_[np.linspace(-0.05, 0.05, 6), np.zeros(6), np.ones(6) * 0.08]]
)
def test_maps_need_places(places):
    with pytest.raises(ConfigError, match="at least four electrodes"):
        CNN3D(6 if places is None else len(places), 200, 2, rate=100, positions=places)
