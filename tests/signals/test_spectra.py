"""Power over time and frequency against MNE, SciPy and published filters."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.signals.spectra import (
    daubechies,
    decibels,
    dyadic_bands,
    morlet_power,
    stft_power,
    wavelet_energies,
)


def noise(n_times=300, dtype=np.float64):
    return np.random.default_rng(0).normal(size=(4, 3, n_times)).astype(dtype)


def tone(freq, rate=128.0, n_times=512):
    return np.sin(2 * np.pi * freq * np.arange(n_times) / rate)[None, None]


@pytest.mark.parametrize("n_times", [300, 301, 60])
@pytest.mark.parametrize("cycles", [7.0, np.array([2.0, 5.0, 8.0])])
def test_morlet_power_equals_mne(n_times, cycles):
    from mne.time_frequency import morlet, tfr_array_morlet

    freqs, x = np.array([6.0, 10.0, 27.0]), noise(n_times)
    ours = morlet_power(x, 128.0, freqs, cycles)
    if n_times > 200:
        theirs = tfr_array_morlet(x, 128.0, freqs, cycles, output="power", verbose="ERROR")
    else:  # MNE refuses wavelets longer than the signal: convolve with its wavelets here
        size = n_times
        waves = morlet(128.0, freqs, cycles, zero_mean=True)
        full = [
            [[np.convolve(t, w)[len(w) // 2 :][:size] for w in waves] for t in trial] for trial in x
        ]
        theirs = np.abs(full) ** 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_morlet_in_single_precision():
    x = noise(dtype=np.float32)
    ours = morlet_power(x, 128.0, [10.0, 20.0])
    assert ours.dtype == np.float32
    exact = morlet_power(x.astype(float), 128.0, [10.0, 20.0])
    np.testing.assert_allclose(ours, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("length", "step"), [(0.5, None), (0.5, 0.1), (0.7, 0.3)])
def test_stft_power_equals_scipy(length, step):
    from scipy.signal import spectrogram

    x, n_piece = noise(), round(length * 100)
    n_step = round(step * 100) if step else n_piece // 2
    freqs, times, theirs = spectrogram(
        x, 100.0, "hann", n_piece, n_piece - n_step, detrend="constant"
    )
    ours, our_freqs, our_times = stft_power(x, 100.0, length=length, step=step)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(our_freqs, freqs)
    np.testing.assert_allclose(our_times, times)


def test_log_power_has_a_floor():
    power, _, _ = stft_power(np.zeros((1, 1, 64)), 64.0, log=True)
    assert np.isfinite(power).all()
    assert decibels(np.array([1e-30, 1.0])).tolist() == [-120.0, 0.0]


def test_daubechies_filters_are_those_of_her_table():
    """Daubechies (1992), Ten Lectures on Wavelets, table 6.1 (N = 4 and the closed form N = 2)."""
    table = [0.2303778133, 0.7148465706, 0.6308807679, -0.0279837694]
    table += [-0.1870348117, 0.0308413818, 0.0328830117, -0.0105974018]
    np.testing.assert_allclose(daubechies(4), table, atol=1e-9)
    three = np.sqrt(3)
    closed = np.array([1 + three, 3 + three, 3 - three, 1 - three]) / (4 * np.sqrt(2))
    np.testing.assert_allclose(daubechies(2), closed, atol=1e-12)
    np.testing.assert_allclose(daubechies(1), [np.sqrt(0.5)] * 2)


@pytest.mark.parametrize("order", [1, 4, 8])
@pytest.mark.parametrize("n_times", [256, 16])
def test_octaves_share_out_the_energy(order, n_times):
    x = noise(n_times)
    np.testing.assert_allclose(
        wavelet_energies(x, 4, order=order).sum(-1), (x**2).sum(-1), rtol=1e-6
    )


@pytest.mark.parametrize("level", range(4))
def test_a_tone_lies_in_its_octave(level):
    low, high = dyadic_bands(128.0, 4)[level]
    energies = wavelet_energies(tone(np.sqrt(low * high)), 4)[0, 0]
    assert energies.argmax() == level
    assert energies[level] > 0.8 * energies.sum()


def test_a_constant_is_all_rest_also_at_an_odd_length():
    energies = wavelet_energies(np.ones((1, 2, 101)), 3)
    np.testing.assert_allclose(energies[0], [[0, 0, 0, 104]] * 2, atol=1e-10)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="Nyquist"):
        morlet_power(noise(), 100.0, [60.0])
    with pytest.raises(ConfigError, match="cycles"):
        morlet_power(noise(), 100.0, [10.0], 0)
    with pytest.raises(ConfigError, match="do not fit"):
        stft_power(noise(), 100.0, length=4.0)
    with pytest.raises(ConfigError, match="octaves"):
        wavelet_energies(noise(), 9)
