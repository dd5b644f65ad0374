"""Simulated recordings with planted spindles, sleep stages or clean epochs, to try recipes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RATE, PAGE = 64.0, 20.0
RHYTHMS = {"W": (10.0, 12.0), "N2": (5.0, 20.0), "N3": (1.5, 45.0)}  # Hz, uV
Demo = tuple[Path, dict[str, Any], str]


def spindles(folder: Path, fields: dict[str, Any], subjects: int = 4) -> Demo:
    """Write noise with a 13 Hz burst of 1 s about every 5 s, marked, a file a subject."""
    place = Path(folder) / "spindles"
    time = np.arange(round(RATE)) / RATE
    burst = 40 * np.sin(2 * np.pi * 13 * time) * np.hanning(len(time))
    for subject in range(subjects):
        rng = np.random.default_rng(subject)
        data = rng.normal(0, 8, round(90 * RATE))
        onsets = np.round((np.arange(2.0, 87, 5) + rng.uniform(0, 2)) * RATE) / RATE
        for first in np.round(onsets * RATE).astype(int):
            data[first : first + len(burst)] += burst
        marks = pd.DataFrame({"onset": onsets, "duration": 1.0, "label": "spindle"})
        _save(place / f"sub-{subject + 1}_eeg.fif", data, marks)
    return place, fields, "Simulated EEG of four sleepers with a spindle about every 5 s."


def stages(folder: Path, fields: dict[str, Any], subjects: int = 4, pages: int = 36) -> Demo:
    """Write noise with alpha in W, theta in N2 and delta in N3, a file a subject."""
    place = Path(folder) / "nights"
    time = np.arange(round(PAGE * RATE)) / RATE
    for subject in range(subjects):
        rng = np.random.default_rng(subject)
        names = np.repeat(rng.permutation(np.resize(list(RHYTHMS), pages // 3)), 3)
        waves = [
            size * np.sin(2 * np.pi * (hertz * time + rng.uniform()))
            for hertz, size in map(RHYTHMS.__getitem__, names)
        ]
        data = np.concatenate(waves) + rng.normal(0, 8, len(waves) * len(time))
        marks = pd.DataFrame({"onset": PAGE * np.arange(len(names)), "duration": PAGE})
        marks["label"] = [f"Sleep stage {name}" for name in names]
        _save(place / f"sub-{subject + 1}_eeg.fif", data, marks)
    return place, fields, "Simulated EEG of four sleepers, a rhythm of its own in each stage."


def motor(folder: Path, fields: dict[str, Any]) -> Demo:
    """Write the recordings that `signals.decode` simulates; this recipe's fields go with them."""
    from neuroloom.signals.story.demo import simulated

    data, _, what = simulated(Path(folder), {})
    return data, fields, what


def _save(file: Path, data: np.ndarray, marks: pd.DataFrame) -> None:
    from neuroloom.core.recording import signal
    from neuroloom.io.recordings.annotated import write_annotated

    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        made = signal(data[None] * 1e-6, ["Cz"], RATE, annotations=marks)
        write_annotated(made, marks, file)
