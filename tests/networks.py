"""Small folders of network signals, whose graph is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.simulate import mixed_sources

CHAIN = 0.7 * np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.0]])


def write_text(folder: Path, name: str, signals: Signals) -> Path:
    """Write one recording as tab-separated text with a header."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.txt"
    np.savetxt(path, signals.values.T, delimiter="\t", header="\t".join(signals.names), comments="")
    return path


def write_network(
    folder: Path, recordings: int = 3, time: int = 160, shape: str = "skewed", seed: int = 0
) -> Path:
    """Write recordings of a chain of four nodes with its `ground_truth.txt`; return the folder."""
    rng = np.random.default_rng(seed)
    for number in range(recordings):
        write_text(folder, f"sim-{number}", mixed_sources(CHAIN, rng, time=time, shape=shape))
    edges = [f"{k}. N{k} --> N{k + 1}" for k in range(1, 4)]
    text = "\n".join(["Graph Nodes:", "N1,N2,N3,N4", "", "Graph Edges:", *edges])
    (folder / "ground_truth.txt").write_text(text + "\n")
    return folder
