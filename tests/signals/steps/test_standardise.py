"""Moving standardisation against pandas' exponential moments, whole and in chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.recording import signal
from neuroloom.signals.steps import MovingStandardize
from neuroloom.signals.steps.standardise import moving_standardise


def noise(n_times=3000, offset=0.0):
    return 1e-5 * np.random.default_rng(0).normal(size=(3, n_times)) + offset


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_equals_exponential_moments_of_pandas(offset):
    x, new = noise(offset=offset), 1 / (2.0 * 100)
    frame = pd.DataFrame(x.T)
    centred = frame - frame.ewm(alpha=new).mean()
    expected = centred / np.sqrt((centred**2).ewm(alpha=new).mean())
    ours, _ = moving_standardise(x, 100.0, 2.0)
    np.testing.assert_allclose(ours[:, 1:], expected.to_numpy().T[:, 1:], rtol=1e-6, atol=1e-6)
    assert (ours[:, 0] == 0).all()


def test_the_decay_of_the_paper():
    """0.999 a sample at 250 Hz: a step in the mean fades by that factor."""
    x = np.zeros((1, 20_000))
    x[:, 10_000:] = 1.0
    _, before = moving_standardise(x[:, :10_001], 250.0)
    assert before.mean[0] == pytest.approx(1e-3)


@pytest.mark.parametrize("size", [1, 7, 640, 2999])
def test_chunked_equals_whole(size):
    x = noise()
    whole, _ = moving_standardise(x, 160.0)
    parts, memory = [], None
    for start in range(0, x.shape[1], size):
        part, memory = moving_standardise(x[:, start : start + size], 160.0, memory=memory)
        parts.append(part)
    np.testing.assert_allclose(np.hstack(parts), whole, rtol=0, atol=1e-9)


def test_drift_and_gain_go():
    drift = np.linspace(0, 1e-4, 30_000)
    gain = np.where(np.arange(30_000) < 15_000, 1.0, 20.0)
    x = noise(30_000) * gain + drift
    recording = signal(x, ["C3", "C4", "STI"], 100.0, types=["eeg", "eeg", "stim"])
    after = MovingStandardize().apply(recording).values
    for part in (slice(8000, 15_000), slice(20_000, 30_000)):
        assert after[:2, part].std() == pytest.approx(1, abs=0.05)
        assert abs(after[:2, part].mean()) < 0.2
    np.testing.assert_array_equal(after[2], x[2])


def test_a_flat_channel_stays_finite():
    assert (moving_standardise(np.ones((1, 50)), 100.0)[0] == 0).all()
    with pytest.raises(ConfigError, match="time constant"):
        MovingStandardize(0)
