"""Activations: choosing tokens and units, pooling, and statistics that merge over batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError

Floats = NDArray[np.float64]
TOKENS = ("all", "cls", "mean", "cls+mean")
CACHED = 256 * 1024  # bytes
POOLS: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean, "max": np.max, "min": np.min, "median": np.median, "std": np.std,
    "norm": lambda x, axis: np.sqrt((x**2).sum(axis)),
}  # fmt: skip


def choose_tokens(values: np.ndarray, tokens: str) -> np.ndarray:
    """Return the tokens of a transformer's layer that are wanted.

    Parameters
    ----------
    values
        Shape (stimulus, token, feature), the class token first; other shapes only with "all".
    tokens
        "all", "cls" (the first), "mean" (of the others), "cls+mean" (both, one after the other).

    Raises
    ------
    ConfigError
        If the layer has no tokens.

    Examples
    --------
    >>> choose_tokens(np.zeros((2, 5, 8)), "cls+mean").shape
    (2, 16)
    """
    if tokens == "all":
        return values
    if values.ndim != 3 or values.shape[1] < 2:
        raise ConfigError(
            f"tokens={tokens}: a layer of the shape {values.shape[1:]} has no tokens "
            "(token, feature); leave `tokens` at 'all', or choose layers of a transformer."
        )
    first, rest = values[:, 0], values[:, 1:].mean(1, dtype=values.dtype)
    parts = {"cls": [first], "mean": [rest], "cls+mean": [first, rest]}[tokens]
    return np.concatenate(parts, axis=1)


def pool(values: np.ndarray, method: str) -> np.ndarray:
    """Return one number a channel: `method` over all places of (stimulus, channel, …).

    Examples
    --------
    >>> pool(np.arange(8.0).reshape(1, 2, 2, 2), "max")
    array([[3., 7.]])
    """
    if method == "none" or values.ndim < 3:
        return values
    flat = values.reshape(*values.shape[:2], -1)
    return np.asarray(POOLS[method](flat, axis=2)).astype(values.dtype)


def mask(values: np.ndarray, places: Sequence[Sequence[int] | None]) -> np.ndarray:
    """Return chosen units of (stimulus, channel, row, column, …), numbered from 0.

    Parameters
    ----------
    places
        For each axis after the stimuli the units to keep, or None for all.

    Raises
    ------
    DataError
        If a unit is beyond its axis.

    Examples
    --------
    >>> mask(np.zeros((2, 4, 3, 3)), [[0, 2], None, [1]]).shape
    (2, 2, 3, 1)
    """
    for axis, chosen in enumerate(places, start=1):
        if chosen is None:
            continue
        if axis >= values.ndim or (len(chosen) and max(chosen) >= values.shape[axis]):
            raise DataError(
                f"The mask asks for unit {max(chosen)} of axis {axis}; the layer has the shape "
                f"{values.shape[1:]}, units counted from 0."
            )
        values = np.take(values, list(chosen), axis=axis)
    return values


def read_dmask(path: Path) -> dict[str, list[list[int] | None]]:
    """Read DNNBrain's `.dmask.csv`: layer -> units of channel, row and column, from 0.

    A line `layer=chn,row,col` names the axes that are chosen; a line of numbers (from 1) follows
    for each. A layer alone is taken whole.

    Raises
    ------
    DataError
        With file and line.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    lines = [line for line in lines if line]
    found: dict[str, list[list[int] | None]] = {}
    row = 0
    while row < len(lines):
        layer, sign, names = lines[row].partition("=")
        axes = [name.strip() for name in names.split(",") if name.strip()]
        if not sign or set(axes) - {"chn", "row", "col"}:
            raise DataError(f"{path}, line {row + 1}: expected 'layer=chn,row,col'.")
        chosen: dict[str, list[int]] = {}
        for offset, axis in enumerate(axes, start=1):
            chosen[axis] = _units(path, row + offset, lines)
        found[layer.strip()] = [chosen.get(axis) for axis in ("chn", "row", "col")]
        row += 1 + len(axes)
    return found


def _units(path: Path, row: int, lines: list[str]) -> list[int]:
    try:
        numbers = [int(text) for text in lines[row].split(",")]
    except (IndexError, ValueError) as error:
        raise DataError(
            f"{path}, line {row + 1}: expected units '1,2,3', counted from 1."
        ) from error
    if min(numbers) < 1:
        raise DataError(f"{path}, line {row + 1}: units are counted from 1, got {min(numbers)}.")
    return [number - 1 for number in numbers]


class Activity:
    """Statistics of a layer over stimuli, batch by batch; batches may come in any order.

    Attributes
    ----------
    n
        Stimuli seen.
    rows
        For each stimulus: mean, norm, share of units above zero, sparseness.

    Examples
    --------
    >>> seen = Activity()
    >>> seen.update(np.array([[1.0, 0.0], [0.0, 0.0]]))
    >>> seen.summary()["dead"]
    0.5
    """

    def __init__(self) -> None:
        self.n = 0
        self.rows: list[Floats] = []
        # Arrays in double precision once the first are added.
        self._sum: Any = np.zeros(1)
        self._squares: Any = np.zeros(1)
        self._absolute: Any = np.zeros(1)
        self._low, self._high = np.inf, -np.inf

    def update(self, values: np.ndarray) -> None:
        """Add a batch (stimulus, …)."""
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        flat = np.asarray(values, dtype=kind).reshape(len(values), -1)
        # A few stimuli at a time, as many as stay in the processor's cache.
        step = max(1, CACHED // max(1, flat.shape[1] * kind.itemsize))
        for start in range(0, len(flat), step):
            self._add(flat[start : start + step])

    def _add(self, flat: Any) -> None:
        """Sum up; sums of few in their own precision, as products with ones, all in double."""
        n, width = flat.shape
        down, across = np.ones(n, flat.dtype), np.ones(width, flat.dtype)
        low, high = flat.min(), flat.max()
        squares, size = flat * flat, flat if low >= 0 else np.abs(flat)
        self.n += n
        self._sum = self._sum + (down @ flat)
        self._squares = self._squares + (down @ squares)
        self._absolute = self._absolute + (down @ size)
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        rows = [(x @ across).astype(np.float64) for x in (flat, squares, size)]
        sparse = treves_rolls(rows[2] / width, rows[1] / width)
        active = np.count_nonzero(flat > 0, axis=1) / width
        self.rows.append(np.column_stack([rows[0] / width, np.sqrt(rows[1]), active, sparse]))

    def units(self) -> dict[str, Floats]:
        """Return mean, deviation and sparseness of each unit."""
        mean = self._sum / self.n
        spread = np.sqrt(np.maximum(self._squares / self.n - mean**2, 0.0))
        sparse = treves_rolls(self._absolute / self.n, self._squares / self.n)
        return {"mean": mean, "sd": spread, "sparseness": sparse}

    def summary(self) -> dict[str, float]:
        """Return what a layer does as a whole.

        Keys: mean, sd, low, high, active (share of activations above zero), dead (share of units
        that never change), lifetime and population sparseness (Vinje & Gallant 2000).
        """
        units, rows = self.units(), np.concatenate(self.rows)
        mean = float(units["mean"].mean())
        within = float((units["sd"] ** 2).mean() + ((units["mean"] - mean) ** 2).mean())
        return {
            "mean": mean,
            "sd": float(np.sqrt(within)),
            "low": float(self._low),
            "high": float(self._high),
            "active": float(rows[:, 2].mean()),
            "dead": float((units["sd"] <= 1e-12 * max(1.0, abs(self._high))).mean()),
            "lifetime_sparseness": _mean_known(units["sparseness"]),
            "population_sparseness": _mean_known(rows[:, 3]),
        }

    def table(self, names: Sequence[str], layer: str) -> pd.DataFrame:
        """Return a row a stimulus."""
        rows = np.concatenate(self.rows)
        columns = ("mean", "norm", "active", "sparseness")
        head = {"stimulus": list(names), "layer": layer}
        return pd.DataFrame(head | {name: rows[:, k] for k, name in enumerate(columns)})


def treves_rolls(mean: Floats, square: Floats) -> Floats:
    """Return sparseness, 1 - mean^2 / mean square: 0 if all respond alike, near 1 if few do.

    NaN where nothing responds. Taken of absolute values (Treves & Rolls 1991).

    Examples
    --------
    >>> treves_rolls(np.array([0.25]), np.array([0.25]))  # one of four responds
    array([0.75])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(square > 0, 1 - mean**2 / square, np.nan)


def _mean_known(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def dimension(product: Floats) -> float:
    """Return the participation ratio of centred inner products (stimulus, stimulus).

    How many directions the features fill: 1 if all vary together, n - 1 if in all ways alike.

    Examples
    --------
    >>> round(dimension(np.eye(3) - 1 / 3), 3)
    2.0
    """
    trace = float(np.trace(product))
    square = float((product**2).sum())
    return trace**2 / square if square > 0 else 0.0


def combine(first: Mapping[str, np.ndarray], second: Any, operation: str) -> dict[str, np.ndarray]:
    """Return activations, layer by layer, plus, minus, times or over others or a number.

    Examples
    --------
    >>> combine({"a": np.ones(2)}, 3, "times")["a"]
    array([3., 3.])
    """
    operations: dict[str, Callable[[Any, Any], Any]] = {
        "plus": np.add, "minus": np.subtract, "times": np.multiply, "over": np.divide,
    }  # fmt: skip
    if operation not in operations:
        raise ConfigError(f"No operation is '{operation}'. Known: {', '.join(operations)}.")
    act = operations[operation]
    return {
        layer: act(values, second[layer] if isinstance(second, Mapping) else second)
        for layer, values in first.items()
    }
