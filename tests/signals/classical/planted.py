"""Planted trials for the classical decoders."""

from __future__ import annotations

import numpy as np


def powers(n_classes: int = 2, n_channels: int = 6, trials: int = 40, seed: int = 0):
    """Trials in µV-scaled volts where class k has more power in source k, and the mixing matrix."""
    rng = np.random.default_rng(seed)
    y = np.arange(trials) % n_classes
    sources = rng.normal(size=(trials, n_channels, 240))
    for k in range(n_classes):
        sources[y == k, k] *= 2.5
    mixing = rng.normal(size=(n_channels, n_channels))
    return (1e-5 * mixing @ sources).astype(np.float32), y, mixing


def responses(trials: int = 120, channels: int = 4, rate: float = 128.0, seed: int = 0):
    """Trials of 0.75 s in volts, every third with a response at 300 ms, a few with huge blinks."""
    rng = np.random.default_rng(seed)
    y = (np.arange(trials) % 3 == 0).astype(int)
    times = np.arange(round(0.75 * rate)) / rate
    wave = np.exp(-(((times - 0.3) / 0.05) ** 2))
    x = 1e-5 * rng.normal(size=(trials, channels, len(times)))
    x += 1e-5 * y[:, None, None] * np.linspace(1.5, 0.5, channels)[:, None] * wave
    for trial in range(0, trials, 10):
        x[trial] += 3e-4 * np.exp(-(((times - rng.uniform(0, 0.75)) / 0.1) ** 2))
    return x.astype(np.float32), y, wave
