"""Small pictures and dissimilarities to try the recipes of this folder on, of known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Demo = tuple[Path, dict[str, Any], str]


def pictures(folder: Path, fields: dict[str, Any], count: int = 12, size: int = 40) -> Demo:
    """Write coloured gratings, upright or flat, into two folders, a condition each."""
    from PIL import Image

    place, rng = Path(folder) / "gratings", np.random.default_rng(0)
    for number in range(count):
        kind = ("flat", "upright")[number % 2]
        (place / kind).mkdir(parents=True, exist_ok=True)
        wave = 90 * np.sin(2 * np.pi * np.arange(size) / 8 + rng.uniform(0, 6))
        grey = np.broadcast_to(wave if number % 2 else wave[:, None], (size, size))
        colour = 128 + grey[..., None] * rng.uniform(0.3, 1, 3) + rng.normal(0, 8, (size, size, 3))
        pixels = np.clip(colour, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / kind / f"p{number:02d}.png")
    return place, fields, f"{count} painted gratings, half of them upright and half flat."


def matrices(folder: Path, fields: dict[str, Any], stimuli: int = 16, subjects: int = 5) -> Demo:
    """Write dissimilarities of subjects who share a truth, and of two models: truth and noise."""
    place, rng = Path(folder) / "rdms", np.random.default_rng(5)
    place.mkdir(parents=True, exist_ok=True)
    pairs = stimuli * (stimuli - 1) // 2
    truth = rng.random(pairs)
    made = {f"sub-{k + 1:02d}_it": truth + 0.3 * rng.random(pairs) for k in range(subjects)}
    made |= {"model-truth": truth, "model-noise": rng.random(pairs)}
    rows, others = np.triu_indices(stimuli, 1)
    for name, values in made.items():
        square = np.zeros((stimuli, stimuli))
        square[rows, others] = square[others, rows] = values
        np.save(place / f"{name}.npy", square)
    what = f"Simulated dissimilarities of {subjects} people, of a model that fits and one of noise."
    return place, fields, what
