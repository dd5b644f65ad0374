"""Known artefacts put into clean traces, to learn from and to be judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.0, 6.0, 12.0, 20.0)
LINE = 50.0
LONG, SHORT = (0.1, 0.5), (0.01, 0.03)


def step(trace: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a jump of the baseline and back."""
    return np.full(len(trace), rng.choice([-1.0, 1.0]))


def burst(trace: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a burst of mains hum."""
    time = np.arange(len(trace)) / rate
    edge = np.minimum(1, 0.5 * (1 + np.minimum(np.arange(len(trace)), np.arange(len(trace))[::-1])))
    return edge * np.sin(2 * np.pi * (LINE * time + rng.random()))


def spike(trace: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a sharp transient, up and half as far down."""
    phase = np.linspace(0, 1, len(trace))
    shape = np.where(
        phase < 0.4, 1 - np.abs(phase / 0.2 - 1), 0.5 * (np.abs(phase / 0.3 - 7 / 3) - 1)
    )
    return rng.choice([-1.0, 1.0]) * shape


def saturation(trace: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return what an amplifier at its rail does to the trace: it shows a constant."""
    return -trace


KINDS: dict[str, tuple[Callable[..., np.ndarray], tuple[float, float]]] = {
    "step": (step, LONG),
    "burst": (burst, LONG),
    "spike": (spike, SHORT),
    "saturation": (saturation, LONG),
}


def contaminate(
    trace: np.ndarray,
    rate: float,
    count: int,
    rng: np.random.Generator,
    levels: Sequence[float] = LEVELS,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Put artefacts of every kind and level into a trace, none over another.

    Parameters
    ----------
    trace
        Shape (time,).
    rate
        Hz.
    count
        How many.
    levels
        Power of what is added, in its own stretch, over the mean power of the trace, dB. An
        artefact of 0 dB is as strong as the signal.

    Returns
    -------
    dirty
        The trace with the artefacts.
    truth
        A row each: kind, level (dB), first, last (samples, `last` not included).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> dirty, truth = contaminate(rng.normal(size=10_000), 1000.0, 4, rng)
    >>> len(truth), bool((truth["last"] > truth["first"]).all())
    (4, True)
    """
    import pandas as pd

    dirty = np.asarray(trace, float).copy()
    power = float(np.var(dirty))
    names = list(KINDS)
    edges = np.linspace(0, len(trace), count + 1).astype(int)
    kinds = rng.permutation(np.resize(names, count))
    strengths = rng.permutation(np.repeat(list(levels), -(-count // len(levels)))[:count])
    rows = []
    for begin, end, kind, level in zip(edges[:-1], edges[1:], kinds, strengths, strict=True):
        make, (shortest, longest) = KINDS[kind]
        length = min(round(rng.uniform(shortest, longest) * rate), (end - begin) // 2)
        length = max(length, 3)
        first = int(rng.integers(begin, max(begin + 1, end - length)))
        own = slice(first, first + length)
        added = make(dirty[own], rate, rng)
        wanted = power * 10 ** (level / 10)
        dirty[own] += _rail(added, wanted, rng) if kind == "saturation" else _at(added, wanted)
        rows.append({"kind": kind, "level": level, "first": first, "last": first + length})
    return dirty, pd.DataFrame(rows, columns=["kind", "level", "first", "last"])


def _at(shape: np.ndarray, power: float) -> np.ndarray:
    """Scale a shape to a mean power."""
    return shape * np.sqrt(power / max(float(np.mean(shape**2)), 1e-30))


def _rail(minus: np.ndarray, power: float, rng: np.random.Generator) -> np.ndarray:
    """Return what turns the trace (its negative is given) into a constant, at a mean power.

    The constant c solves mean((c - x)^2) = power; if even the mean of x changes it by more, that.
    """
    middle, spread = -float(np.mean(minus)), float(np.var(minus))
    return middle + rng.choice([-1.0, 1.0]) * np.sqrt(max(power - spread, 0.0)) + minus
