"""Networks whose graph is known: neural masses, and non-Gaussian sources mixed at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroloom.connectivity.data import Signals

Floats = NDArray[np.float64]


def random_graph(nodes: int, edges: int, rng: np.random.Generator) -> Floats:
    """Return a random directed graph (target, source) with exactly so many edges, weights 1.

    Examples
    --------
    >>> int(random_graph(8, 12, np.random.default_rng(0)).sum())
    12
    """
    graph = np.zeros(nodes * (nodes - 1))
    graph[rng.permutation(graph.size)[:edges]] = 1
    full = np.zeros((nodes, nodes))
    full[~np.eye(nodes, dtype=bool)] = graph
    return full


def neural_masses(
    graph: Floats,
    rng: np.random.Generator,
    *,
    time: int = 300,
    coupling: float = 3.0,
    noise: float = 0.3,
    steps: int = 10,
) -> Signals:
    """Simulate firing rates of excitatory and inhibitory pools at every node of a graph.

    Wilson & Cowan (1972): each node has an excitatory and an inhibitory pool with a sigmoid each;
    excitatory pools drive those of other nodes with a delay of one sample. Each node also has a
    known input of its own (white, held for a sample) and noise that nobody knows.

    Parameters
    ----------
    graph
        Shape (target, source), weights.
    rng
        Of inputs and noise.
    time
        Samples to return.
    coupling
        Weight of all sources of a node together.
    noise
        Standard deviation of the noise at every step.
    steps
        Of Euler's rule in a sample.

    Returns
    -------
    Signals
        Rates 0 to 1, `inputs` and `truth`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> neural_masses(random_graph(4, 5, rng), rng, time=60).values.shape
    (4, 60)
    """
    nodes, settle = len(graph), 50
    weights = graph * rng.uniform(0.6, 1.4, graph.shape)
    weights = coupling * weights / np.maximum(weights.sum(1, keepdims=True).mean(), 1e-9)
    drive = rng.normal(size=(nodes, time + settle))
    excite, inhibit = np.full(nodes, 0.3), np.full(nodes, 0.2)
    own = rng.uniform(0.8, 1.2, (nodes, 2))
    before, rates = excite.copy(), np.zeros((nodes, time + settle))
    for sample in range(time + settle):
        arrives = weights @ (before - 0.5)
        before = excite.copy()
        for _ in range(steps):
            push = 3 * (own[:, 0] * excite - own[:, 1] * inhibit) + arrives - 0.6
            push = push + 0.8 * drive[:, sample] + noise * rng.normal(size=nodes) * np.sqrt(steps)
            excite = excite + (_sigmoid(push) - excite) / steps
            inhibit = inhibit + (_sigmoid(6 * (excite - 0.4)) - inhibit) / (2 * steps)
        rates[:, sample] = excite
    names = tuple(f"N{k + 1}" for k in range(nodes))
    known = np.eye(nodes, dtype=bool)
    return Signals(
        rates[:, settle:], names, inputs=drive[:, settle:], input_control=known,
        truth=(graph != 0).astype(float),
    )  # fmt: skip


def _sigmoid(x: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-x))
    return out


def mixed_sources(
    graph: Floats,
    rng: np.random.Generator,
    *,
    time: int = 500,
    shape: str = "skewed",
    noise: float = 0.2,
) -> Signals:
    """Mix independent sources at the same moment: x = B x + e, then noise of the scanner.

    Parameters
    ----------
    graph
        Shape (target, source), weights B; the spectral radius must stay below 1.
    shape
        "skewed" (gamma), "heavy" (Laplace) or "gaussian" sources.
    noise
        Standard deviation of what is added to every node.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mixed_sources(0.5 * random_graph(4, 4, rng), rng, time=80).values.shape
    (4, 80)
    """
    size = (len(graph), time)
    sources = {
        "skewed": lambda: rng.gamma(1.0, size=size) - 1,
        "heavy": lambda: rng.laplace(scale=0.7, size=size),
        "gaussian": lambda: rng.normal(size=size),
    }[shape]()
    values = np.linalg.solve(np.eye(len(graph)) - graph, sources) + noise * rng.normal(size=size)
    names = tuple(f"N{k + 1}" for k in range(len(graph)))
    return Signals(values, names, truth=(graph != 0).astype(float))
