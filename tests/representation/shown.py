"""Small stimuli and RDMs with known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, count: int = 6, size: int = 40) -> Path:
    """Write coloured noise pictures in two folders, a condition each."""
    rng = np.random.default_rng(3)
    for number in range(count):
        place = folder / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (size, size + 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"p{number}.png")
    return folder


def write_rdms(folder: Path, stimuli: int = 14, subjects: int = 4) -> Path:
    """Write RDMs of subjects who share a truth, and of two models: the truth and noise."""
    rng = np.random.default_rng(5)
    pairs = stimuli * (stimuli - 1) // 2
    truth = rng.random(pairs)
    folder.mkdir(parents=True, exist_ok=True)
    rows, others = np.triu_indices(stimuli, 1)

    def save(name: str, values: np.ndarray) -> None:
        square = np.zeros((stimuli, stimuli))
        square[rows, others] = square[others, rows] = values
        np.save(folder / f"{name}.npy", square)

    for number in range(subjects):
        save(f"sub-{number + 1:02d}_it", truth + 0.3 * rng.random(pairs))
    save("model-truth", truth)
    save("model-noise", rng.random(pairs))
    return folder
