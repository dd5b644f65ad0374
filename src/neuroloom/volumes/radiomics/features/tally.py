"""Stacks of texture matrices, kept as the list of their entries that are not zero.

A matrix of grey levels against anything (levels, run lengths, zone sizes) is nearly empty; features
are sums over its entries. The list makes one code serve six levels and a thousand, one slice and a
hundred, without a loop over either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DENSE = 20_000_000
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Tally:
    """Entries of a stack of matrices.

    Attributes
    ----------
    matrix, i, j, n
        Of every entry: which matrix it is in, its row (a grey level), its column, its count.
    voxels
        Number of voxels behind each matrix, shape (matrix,).
    """

    matrix: np.ndarray
    i: np.ndarray
    j: np.ndarray
    n: np.ndarray
    voxels: np.ndarray

    @property
    def size(self) -> int:
        """Number of matrices."""
        return len(self.voxels)

    def over(self, values: np.ndarray) -> np.ndarray:
        """Sum a value of every entry over each matrix."""
        return np.bincount(self.matrix, weights=values, minlength=self.size)

    def merged(self, group: np.ndarray) -> Tally:
        """Add up the matrices of each group (group of every matrix, counted from 0)."""
        size = int(group.max()) + 1
        voxels = np.bincount(group, weights=self.voxels, minlength=size)
        return tally(group[self.matrix], self.i, self.j, voxels, self.n)


def tally(
    matrix: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    voxels: np.ndarray,
    n: np.ndarray | None = None,
) -> Tally:
    """Count how often (matrix, row, column) occurs.

    Examples
    --------
    >>> tally(np.array([0, 0, 0]), np.array([1, 1, 2]), np.array([3, 3, 1]), np.array([3])).n
    array([2., 1.])
    """
    height, width = int(i.max(initial=0)) + 1, int(j.max(initial=0)) + 1
    key = (matrix * height + i) * width + j
    where, counts = _count(key, n, len(voxels) * height * width)
    rest, column = np.divmod(where, width)
    which, row = np.divmod(rest, height)
    return Tally(which, row, column, counts, np.asarray(voxels, dtype=float))


def _count(key: np.ndarray, n: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys that occur, ascending, and how often; by sorting where they are sparse."""
    if size <= DENSE:
        counts = np.bincount(key, weights=n)
        where = np.flatnonzero(counts)
        return where, counts[where].astype(float)
    where, place = np.unique(key, return_inverse=True)
    return where, np.bincount(place, weights=n).astype(float)


def marginal(t: Tally, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return matrix, value and count of the marginal of each matrix over `values` of its entries.

    Examples
    --------
    >>> t = tally(np.zeros(3, int), np.array([1, 1, 2]), np.array([1, 2, 2]), np.array([3]))
    >>> marginal(t, t.i)
    (array([0, 0]), array([1, 2]), array([2., 1.]))
    """
    height = int(values.max(initial=0)) + 1
    where, counts = _count(t.matrix * height + values, t.n, t.size * height)
    return where // height, where % height, counts


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide; NaN where the divisor is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below == 0, np.nan, above / below)


def averaged(values: Mapping[str, np.ndarray], prefix: str, mode: str) -> dict[str, float]:
    """Average each feature over the matrices in which it is defined.

    Examples
    --------
    >>> averaged({"energy": np.array([1.0, np.nan, 3.0])}, "cm", "2D_avg")
    {'cm_energy_2D_avg': 2.0}
    """
    return {f"{prefix}_{name}_{mode}": _mean(value) for name, value in values.items()}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def emphases(t: Tally, names: tuple[str, ...]) -> Values:
    """Return the 16 features that runs, zones, distances and dependences share.

    Parameters
    ----------
    t
        Grey level against length, size, distance or number.
    names
        The features' names in the order: small, large, low level, high level; small low, small
        high, large low, large high; level non-uniformity, normalised; the column's
        non-uniformity, normalised; percentage; variance of the level, of the column; entropy.

    Returns
    -------
    Name -> value of every matrix, NaN for an empty one (Zwanenburg et al., IBSI reference manual,
    sections 3.7 to 3.9 and 3.11).
    """
    total = t.over(t.n)
    p = t.n / total[t.matrix]
    i, j = t.i.astype(float), t.j.astype(float)
    mean_i, mean_j = t.over(p * i), t.over(p * j)
    rows, columns = _squares(t, t.i), _squares(t, t.j)
    values = (
        t.over(p / j**2), t.over(p * j**2), t.over(p / i**2), t.over(p * i**2),
        t.over(p / (i * j) ** 2), t.over(p * (i / j) ** 2),
        t.over(p * (j / i) ** 2), t.over(p * (i * j) ** 2),
        ratio(rows, total), ratio(rows, total**2),
        ratio(columns, total), ratio(columns, total**2),
        ratio(total, t.voxels),
        t.over(p * (i - mean_i[t.matrix]) ** 2), t.over(p * (j - mean_j[t.matrix]) ** 2),
        -t.over(p * np.log2(p)),
    )  # fmt: skip
    empty = total == 0
    return {name: np.where(empty, np.nan, value) for name, value in zip(names, values, strict=True)}


def _squares(t: Tally, values: np.ndarray) -> np.ndarray:
    """Sum of the squared marginal of every matrix."""
    matrix, _, counts = marginal(t, values)
    return np.bincount(matrix, weights=counts**2, minlength=t.size)
