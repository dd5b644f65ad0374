"""Small recordings with planted spindles or sleep stages, whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.recording import signal
from tests import makers

RATE = 64.0
EVENTS = {"spindle/expert *": "spindle"}
DETECT: dict[str, Any] = {
    "events": EVENTS, "rate": RATE, "band": (0.5, 25.0), "window": 8.0, "split": "subject",
}  # fmt: skip
STAGE: dict[str, Any] = {"rate": RATE, "band": (0.5, 25.0), "epoch": 20.0, "split": "subject"}
RHYTHMS = {"W": (10.0, 12.0), "N2": (5.0, 20.0), "N3": (1.5, 45.0)}


def spindles(
    seed: int, seconds: float = 90.0, spacing: float = 5.0, size: float = 40.0, rate: float = RATE
) -> Any:
    """White noise of 8 µV; about every `spacing` s a 13 Hz burst of 1 s, marked by two experts.

    The first expert marks the burst, the second its last 0.6 s and 0.2 s more: their union is
    1.2 s.
    """
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 8, round(seconds * rate))
    onsets = np.arange(2.0, seconds - 3, spacing) + rng.uniform(0, spacing - 3)
    onsets = np.round(onsets * rate) / rate
    time = np.arange(round(rate)) / rate
    for onset in onsets:
        first = round(onset * rate)
        data[first : first + len(time)] += (
            size * np.sin(2 * np.pi * 13 * time) * np.hanning(len(time))
        )
    marks = [(o, 1.0, "spindle/expert 1") for o in onsets]
    marks += [(o + 0.4, 0.8, "spindle/expert 2") for o in onsets]
    table = pd.DataFrame(sorted(marks), columns=["onset", "duration", "label"])
    return signal(data[None] * 1e-6, ["Cz"], rate, annotations=table)


def write_spindles(folder: Path, subjects: int = 4, **more: Any) -> Path:
    """Write a recording for each of some subjects."""
    for s in range(subjects):
        makers.write(spindles(s, **more), folder / f"sub-{s + 1}_eeg.fif")
    return folder


def night(
    seed: int,
    epochs: int = 36,
    page: float = 20.0,
    words: str = "Sleep stage {}",
    channels: tuple[str, ...] = ("Cz",),
    rate: float = RATE,
) -> Any:
    """Noise of 8 µV and the rhythm of each stage: alpha in W, theta in N2, delta in N3."""
    rng = np.random.default_rng(seed)
    stages = np.repeat(rng.permutation(np.resize(list(RHYTHMS), epochs // 3)), 3)
    time = np.arange(round(page * rate)) / rate
    parts = []
    for stage in stages:
        hertz, size = RHYTHMS[stage]
        wave = size * np.sin(2 * np.pi * (hertz * time + rng.uniform()))
        parts.append(wave + rng.normal(0, 8, (len(channels), len(time))))
    marks = pd.DataFrame({"onset": page * np.arange(len(stages)), "duration": page})
    marks["label"] = [words.format(stage) for stage in stages]
    gain = 1 + 0.5 * rng.uniform()
    return signal(gain * np.concatenate(parts, 1) * 1e-6, channels, rate, annotations=marks)


def write_nights(folder: Path, subjects: int = 4, **more: Any) -> Path:
    """Write a recording for each of some subjects."""
    for s in range(subjects):
        makers.write(night(s, **more), folder / f"sub-{s + 1}_eeg.fif")
    return folder
