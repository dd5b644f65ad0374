"""Trials with all that a figure must know of them, and the sensors that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# C3, Cz and C4, and where they are as unit vectors from the middle of the head.
CENTRAL = ("C3", "Cz", "C4")
PLACES = np.array([[-0.73, 0.10, 0.67], [0.0, 0.13, 0.99], [0.73, 0.10, 0.67]])
UNITS = {"V": (1e6, "µV"), "T": (1e15, "fT"), "T/m": (1e13, "fT/cm")}
TOO_FEW = 4
TRIALS = 400


@dataclass(frozen=True)
class Trials:
    """Trials with all that a figure must know of them.

    Parameters
    ----------
    x
        Shape (trial, channel, time), in `unit`.
    y
        Shape (trial,): class names; or numbers, which are then shown as a lower and an upper half.
    channels
        Names, one for each channel.
    positions
        Shape (channel, 3), head coordinates in metres; NaN where unknown.
    rate
        Samples a second, Hz.
    start
        Time of the first sample, s after the event.
    unit
        "V", "T" or "T/m".
    classes
        Names in the order in which they are shown; sorted if empty.

    Examples
    --------
    >>> x = np.zeros((4, 2, 100))
    >>> trials = Trials(x, ["a", "b", "a", "b"], ["C3", "C4"], np.full((2, 3), np.nan), 100.0)
    >>> trials.names
    ['a', 'b']
    """

    x: np.ndarray
    y: Sequence[Any]
    channels: Sequence[str]
    positions: np.ndarray
    rate: float
    start: float = 0.0
    unit: str = "V"
    classes: Sequence[str] = ()

    @property
    def labels(self) -> np.ndarray:
        """The class of each trial, shape (trial,)."""
        y = np.asarray(self.y)
        if y.dtype.kind == "f":
            return np.where(y <= np.median(y), "lower half", "upper half")
        return y.astype(str)

    @property
    def names(self) -> list[str]:
        """The classes that have trials."""
        there = set(self.labels.tolist())
        return [str(c) for c in self.classes if str(c) in there] or sorted(there)

    @property
    def times(self) -> np.ndarray:
        """Time of each sample, s after the event."""
        return self.start + np.arange(self.x.shape[-1]) / self.rate

    def few(self, most: int = TRIALS) -> Trials:
        """Return at most `most` trials, evenly taken from all: enough for a picture."""
        if len(self.x) <= most:
            return self
        kept = np.linspace(0, len(self.x) - 1, most).astype(int)
        y = np.asarray(self.labels)[kept].tolist()
        return Trials(
            self.x[kept], y, self.channels, self.positions, self.rate, self.start, self.unit,
            self.classes,
        )  # fmt: skip


def choose_sensors(channels: Sequence[str], positions: np.ndarray) -> list[int]:
    """Return C3, Cz and C4, or the three sensors nearest to their places.

    The choice looks at where the sensors are, never at the labels: the sensors at which classes
    differ most differ most by luck, too. Of four channels or fewer, all are
    shown; without positions, the first three.

    Parameters
    ----------
    channels
        Names.
    positions
        Shape (channel, 3), head coordinates in metres.

    Examples
    --------
    >>> choose_sensors(["Fz", "C3", "Cz", "C4"], np.full((4, 3), np.nan))
    [1, 2, 3]
    """
    names = [str(name) for name in channels]
    if set(CENTRAL) <= set(names):
        return [names.index(name) for name in CENTRAL]
    if len(names) <= TOO_FEW:
        return list(range(len(names)))
    known = located(positions)
    if len(known) < TOO_FEW:
        return list(range(min(3, len(names))))
    arrows = positions[known] - _middle(positions[known])
    arrows = arrows / np.linalg.norm(arrows, axis=1, keepdims=True).clip(1e-12)
    return list(dict.fromkeys(int(known[np.argmax(arrows @ place)]) for place in PLACES))


def _middle(positions: np.ndarray) -> np.ndarray:
    """Return the centre of the sphere that fits the positions best."""
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    return np.linalg.lstsq(design, (positions**2).sum(axis=1), rcond=None)[0][:3]


def located(positions: np.ndarray) -> np.ndarray:
    """Return the indices of sensors whose place is known, each place once."""
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    _, first = np.unique(np.round(positions[known], 4), axis=0, return_index=True)
    return known[np.sort(first)]
