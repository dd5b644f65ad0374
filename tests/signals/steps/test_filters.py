"""Filters against MNE, resampling against known tones, references by their law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import signal
from neuroloom.signals.steps import BandPass, Notch, Reference, Resample


def noise(n_channels=4, seconds=20.0, rate=160.0, dtype=np.float64, **kwargs):
    data = 1e-5 * np.random.default_rng(0).normal(size=(n_channels, int(seconds * rate)))
    names = ["C3", "Cz", "C4", "Pz", "Oz", "Fz"][:n_channels]
    return signal(data.astype(dtype), names, rate, **kwargs)


def tone(freq, rate=160.0, seconds=20.0, offset=0.0):
    times = np.arange(int(seconds * rate)) / rate
    return signal(1e-5 * np.sin(2 * np.pi * freq * times)[None] + offset, ["Cz"], rate)


def amplitude(recording) -> float:
    inner = recording.values[0, recording.sizes["time"] // 4 : -recording.sizes["time"] // 4]
    return float(np.sqrt(2) * inner.std() / 1e-5)


@pytest.mark.parametrize("band", [(8, 30), (4, 38), (1, None), (None, 40), (0.5, 45)])
def test_bandpass_equals_mne(band):
    from mne.filter import filter_data

    recording = noise()
    theirs = filter_data(recording.values, 160.0, *band, verbose="ERROR")
    ours = BandPass(*band).apply(recording).values
    assert np.abs(ours - theirs).max() < 1e-9 * np.abs(theirs).max()


def test_notch_equals_mne():
    from mne.filter import notch_filter

    recording = noise()
    theirs = notch_filter(recording.values, 160.0, 50.0, verbose="ERROR")
    ours = Notch(50.0).apply(recording).values
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


def test_notch_removes_only_the_line():
    assert amplitude(Notch((50.0, 60.0)).apply(tone(60.0))) < 1e-2
    assert amplitude(Notch((50.0, 60.0)).apply(tone(57.0))) == pytest.approx(1, abs=0.01)


def test_float32_survives_a_large_offset():
    """A DC-coupled amplifier: 10 µV of signal on 0.3 V of offset."""
    exact, offset = tone(12.0), tone(12.0, offset=0.3)
    ours = BandPass(8, 30).apply(offset.astype(np.float32))
    assert ours.dtype == np.float32
    quantised = BandPass(8, 30).apply(exact.copy(data=offset.values.astype(np.float32) - 0.3))
    assert np.abs(ours.values - quantised.values).max() < 1e-8


def test_bandpass_says_what_it_does():
    sentence = BandPass(8, 30).describe(160.0)
    for part in ("8-30 Hz", "order 264", "1.66 s", "2 Hz", "7.5 Hz", "delay of 0.82 s"):
        assert part in sentence


def test_stimulus_channels_are_left_alone():
    recording = noise(3, types=["eeg", "eeg", "stim"])
    filtered = BandPass(8, 30).apply(recording)
    np.testing.assert_array_equal(filtered.values[2], recording.values[2])


def test_bandpass_refuses():
    with pytest.raises(ConfigError, match="low"):
        BandPass(30, 8)
    with pytest.raises(ConfigError, match="Nyquist"):
        BandPass(8, 100).apply(noise())
    with pytest.raises(ConfigError, match="50 Hz"):
        Notch(50).apply(noise(rate=100.0))
    with pytest.raises(DataError, match="shorter than the filter"):
        BandPass(8, 30).apply(noise(seconds=1.0))


@pytest.mark.parametrize("rate", [80.0, 128.0, 250.0, 33.3])
def test_resample_keeps_what_fits_and_drops_the_rest(rate):
    lowest = min(rate, 160.0) / 2
    assert amplitude(Resample(rate).apply(tone(0.6 * lowest))) == pytest.approx(1, abs=5e-3)
    if rate < 160:
        assert amplitude(Resample(rate).apply(tone(1.05 * lowest))) < 5e-3


@pytest.mark.parametrize(("dtype", "close"), [(np.float64, 1e-12), (np.float32, 5e-6)])
@pytest.mark.parametrize(
    ("rate", "up", "down"), [(100, 5, 8), (250, 25, 16), (16, 1, 10), (159, 159, 160)]
)
@pytest.mark.parametrize("length", [40, 3333])
def test_resample_equals_scipy(rate, up, down, length, dtype, close):
    """The same polyphase filter, ends and all, on a trace that drifts."""
    from scipy.signal import firwin, kaiserord, resample_poly

    drift = 1e-5 * np.random.default_rng(0).normal(size=(3, length)).cumsum(axis=1)
    order, beta = kaiserord(60, 0.2 / max(up, down))
    window = firwin(order // 2 * 2 + 1, 0.9 / max(up, down), window=("kaiser", beta))
    theirs = resample_poly(drift, up, down, axis=1, window=window, padtype="line")
    ours = Resample(rate).apply(signal(drift.astype(dtype), ["C3", "Cz", "C4"], 160.0))
    assert ours.dtype == dtype
    assert ours.shape == theirs.shape
    assert np.abs(ours.values - theirs).max() < close * np.abs(theirs).max()


def test_resample_keeps_events_in_place():
    data = np.zeros((1, 3200))
    data[0, 1600] = 1.0
    marks = pd.DataFrame({"onset": [10.0], "duration": [0.0], "label": ["T1"]})
    resampled = Resample(100.0).apply(signal(data, ["Cz"], 160.0, annotations=marks))
    assert resampled.attrs["rate"] == 100.0
    peak = resampled.time.values[resampled.values[0].argmax()]
    assert peak == pytest.approx(resampled.attrs["annotations"].onset[0], abs=1e-9)


def test_references():
    recording = noise(4, types=["eeg", "eeg", "eeg", "eog"])
    average = Reference().apply(recording)
    assert np.abs(average.values[:3].mean(axis=0)).max() < 1e-18
    np.testing.assert_array_equal(average.values[3], recording.values[3])
    single = Reference("Cz").apply(recording)
    assert list(single.channel.values) == ["C3", "C4", "Pz"]
    np.testing.assert_allclose(single.values[0], recording.values[0] - recording.values[1])
    pair = Reference(("C3", "C4")).apply(recording)
    np.testing.assert_allclose(
        pair.values[0], recording.values[1] - recording.values[[0, 2]].mean(axis=0)
    )
    with pytest.raises(ConfigError, match="Did you mean 'Cz'"):
        Reference("CzZ").apply(recording)
    with pytest.raises(ConfigError, match="two EEG"):
        Reference().apply(noise(1))
