"""Statistics that can be taken in parts and merged: over files, workers or hospitals.

For every one, three shards merged equal the pooled data up to rounding, in any grouping; an empty
one changes nothing. The state is a dict of arrays, so that it can be stored or sent, never pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Floats = NDArray[np.float64]
State = dict[str, NDArray[Any]]


class Mergeable(Protocol):
    """What every mergeable statistic can do."""

    def update(self, *data: Any, **options: Any) -> None:
        """Add data; what they are differs from one statistic to the next."""
        ...

    def merge(self, other: Self) -> Self:
        """Return the statistic of both parts; neither part changes."""
        ...

    def finalize(self) -> Any:
        """Return the numbers that it stands for."""
        ...

    def state(self) -> State:
        """Return everything it knows as named arrays."""
        ...

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Self:
        """Rebuild it from `state()`."""
        ...


class Moments:
    """Count, mean and variance of examples of any shape, by Chan, Golub & LeVeque (1979).

    Parameters
    ----------
    shape
        Shape of one example; () for numbers.
    nan
        "refuse" raises on NaN; "skip" leaves NaN out, value by value.

    Examples
    --------
    >>> a, b = Moments(), Moments()
    >>> a.update([1.0, 2.0]), b.update([6.0])
    (None, None)
    >>> float(a.merge(b).finalize()["mean"])
    3.0
    """

    def __init__(self, shape: tuple[int, ...] = (), nan: str = "refuse") -> None:
        if nan not in ("refuse", "skip"):
            raise ValueError(f"nan is '{nan}', expected 'refuse' or 'skip'.")
        self.nan = nan
        self.count = np.zeros(shape)
        self.mean = np.zeros(shape)
        self.squares = np.zeros(shape)

    def update(self, x: ArrayLike) -> None:
        """Add examples (n, *shape).

        Raises
        ------
        DataError
            If the shape differs, or on NaN under "refuse".
        """
        values = np.asarray(x, dtype=float)
        _same("examples", values.shape[1:], self.count.shape)
        known = ~np.isnan(values)
        if self.nan == "refuse" and not known.all():
            where = np.argwhere(~known)[0]
            raise DataError(f"Value {tuple(map(int, where))} is NaN; mend it, or use nan='skip'.")
        part = Moments(self.count.shape, self.nan)
        part.count = known.sum(0).astype(float)
        part.mean = np.where(known, values, 0).sum(0) / np.maximum(part.count, 1)
        part.squares = (np.where(known, values - part.mean, 0) ** 2).sum(0)
        self.__dict__.update(self.merge(part).__dict__)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both parts."""
        _same("moments", other.count.shape, self.count.shape)
        both = Moments(self.count.shape, self.nan)
        both.count = self.count + other.count
        share = other.count / np.maximum(both.count, 1)
        shift = other.mean - self.mean
        both.mean = self.mean + shift * share
        both.squares = self.squares + other.squares + shift**2 * self.count * share
        return both

    def finalize(self, ddof: int = 0) -> dict[str, Floats]:
        """Return count, mean, variance and std; NaN where there are too few values."""
        few = self.count <= ddof
        variance = np.where(few, np.nan, self.squares / np.where(few, 1, self.count - ddof))
        mean = np.where(self.count > 0, self.mean, np.nan)
        return {"count": self.count, "mean": mean, "variance": variance, "std": np.sqrt(variance)}

    def state(self) -> State:
        """Return count, mean, squares and the NaN policy as arrays."""
        parts: State = {"count": self.count, "mean": self.mean, "squares": self.squares}
        return parts | {"skip_nan": np.array(self.nan == "skip")}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Moments:
        """Rebuild the moments from `state()`."""
        made = cls(np.shape(state["count"]), "skip" if np.asarray(state["skip_nan"]) else "refuse")
        made.count, made.mean, made.squares = (
            np.array(state[key], dtype=float) for key in ("count", "mean", "squares")
        )
        return made


class Histogram:
    """Counts between fixed edges, and below and above them; NaN is counted apart.

    As `numpy.histogram`: bins hold their left edge, the last one both.

    Examples
    --------
    >>> h = Histogram([0.0, 1.0, 2.0])
    >>> h.update([0.5, 1.0, 2.0, 9.0])
    >>> h.finalize()["counts"].tolist(), int(h.finalize()["above"])
    ([1, 2], 1)
    """

    def __init__(self, edges: ArrayLike) -> None:
        self.edges = np.asarray(edges, dtype=float)
        if self.edges.ndim != 1 or self.edges.size < 2 or not (np.diff(self.edges) > 0).all():
            raise ValueError("edges must be two or more rising numbers.")
        self.counts = np.zeros(self.edges.size - 1, dtype=np.int64)
        self.outside = np.zeros(3, dtype=np.int64)

    def update(self, x: ArrayLike) -> None:
        """Add values of any shape."""
        values = np.asarray(x, dtype=float).ravel()
        self.counts = self.counts + np.histogram(values[~np.isnan(values)], self.edges)[0]
        below, above = values < self.edges[0], values > self.edges[-1]
        more = np.array([below.sum(), above.sum(), np.isnan(values).sum()])
        self.outside = self.outside + more

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both parts."""
        if not np.array_equal(self.edges, other.edges):
            raise DataError("Two histograms with different edges cannot be merged; fix the edges.")
        both = Histogram(self.edges)
        both.counts, both.outside = self.counts + other.counts, self.outside + other.outside
        return both

    def finalize(self) -> dict[str, Any]:
        """Return edges, counts, and the counts below, above and NaN."""
        names = ("below", "above", "nan")
        outside = dict(zip(names, self.outside, strict=True))
        return {"edges": self.edges, "counts": self.counts, **outside}

    def state(self) -> State:
        """Return edges and counts as arrays."""
        return {"edges": self.edges, "counts": self.counts, "outside": self.outside}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Histogram:
        """Rebuild the histogram from `state()`."""
        made = cls(state["edges"])
        made.counts = np.array(state["counts"], dtype=np.int64)
        made.outside = np.array(state["outside"], dtype=np.int64)
        return made


class Confusion:
    """How often each class was taken for each: rows are true, columns predicted.

    Examples
    --------
    >>> c = Confusion(2)
    >>> c.update([0, 1, 1], [0, 1, 0])
    >>> c.finalize()["counts"].tolist(), round(float(c.finalize()["accuracy"]), 3)
    ([[1, 0], [1, 1]], 0.667)
    """

    def __init__(self, n_classes: int) -> None:
        self.counts = np.zeros((n_classes, n_classes), dtype=np.int64)

    def update(self, y: ArrayLike, predicted: ArrayLike) -> None:
        """Add class numbers, true and predicted (n,).

        Raises
        ------
        DataError
            If their lengths differ or a number is no class.
        """
        truth, guess = (np.asarray(v).astype(np.int64).ravel() for v in (y, predicted))
        _same("predictions", guess.shape, truth.shape)
        k = len(self.counts)
        numbers = np.concatenate([truth, guess])
        if ((numbers < 0) | (numbers >= k)).any():
            odd = numbers[(numbers < 0) | (numbers >= k)][0]
            raise DataError(f"Class {odd} is none of the {k} classes 0 to {k - 1}.")
        self.counts = self.counts + np.bincount(truth * k + guess, minlength=k * k).reshape(k, k)

    def merge(self, other: Confusion) -> Confusion:
        """Return the confusion of both parts."""
        _same("confusions", other.counts.shape, self.counts.shape)
        both = Confusion(len(self.counts))
        both.counts = self.counts + other.counts
        return both

    def finalize(self) -> dict[str, Any]:
        """Return counts, recall of each class (NaN for an absent one) and accuracy."""
        rows, right = self.counts.sum(1), np.diag(self.counts)
        total = rows.sum()
        recall = np.where(rows > 0, right / np.maximum(rows, 1), np.nan)
        accuracy = right.sum() / total if total else np.float64(np.nan)
        return {"counts": self.counts, "recall": recall, "accuracy": accuracy}

    def state(self) -> State:
        """Return the counts."""
        return {"counts": self.counts}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Confusion:
        """Rebuild the confusion from `state()`."""
        made = cls(len(np.asarray(state["counts"])))
        made.counts = np.array(state["counts"], dtype=np.int64)
        return made


class Gram:
    """X'X, X'Y and their means and count: enough for ridge regression, LDA or PCA.

    Products are kept about the mean (as in `Moments`), so that large offsets lose no digits.

    Parameters
    ----------
    n_features, n_targets
        Columns of X and of Y.

    Examples
    --------
    >>> g = Gram(1, 1)
    >>> g.update([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]])
    >>> weights, intercept = g.ridge(0.0)
    >>> round(float(weights[0, 0]), 6), round(float(intercept[0]), 6)
    (2.0, 1.0)
    """

    def __init__(self, n_features: int, n_targets: int) -> None:
        self.n = 0
        self.mean_x, self.mean_y = np.zeros(n_features), np.zeros(n_targets)
        self.xx, self.xy = np.zeros((n_features, n_features)), np.zeros((n_features, n_targets))

    def update(self, x: ArrayLike, y: ArrayLike) -> None:
        """Add rows: x (n, feature), y (n, target).

        Raises
        ------
        DataError
            If a shape differs or a value is NaN or infinite.
        """
        xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        _same("rows of x", xs.shape, (len(xs), self.mean_x.size))
        _same("rows of y", ys.shape, (len(xs), self.mean_y.size))
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            raise DataError("x or y holds NaN or infinity; leave those rows out before `update`.")
        if not len(xs):
            return
        part = Gram(self.mean_x.size, self.mean_y.size)
        part.n, part.mean_x, part.mean_y = len(xs), xs.mean(0), ys.mean(0)
        centred = xs - part.mean_x
        part.xx, part.xy = centred.T @ centred, centred.T @ (ys - part.mean_y)
        self.__dict__.update(self.merge(part).__dict__)

    def merge(self, other: Gram) -> Gram:
        """Return the products of both parts."""
        _same("grams", other.xy.shape, self.xy.shape)
        both = Gram(self.mean_x.size, self.mean_y.size)
        both.n = self.n + other.n
        share = other.n / max(both.n, 1)
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        both.mean_x, both.mean_y = self.mean_x + dx * share, self.mean_y + dy * share
        both.xx = self.xx + other.xx + np.outer(dx, dx) * self.n * share
        both.xy = self.xy + other.xy + np.outer(dx, dy) * self.n * share
        return both

    def finalize(self) -> dict[str, Any]:
        """Return n, the raw products xx = X'X and xy = X'Y, and the means."""
        xx = self.xx + self.n * np.outer(self.mean_x, self.mean_x)
        xy = self.xy + self.n * np.outer(self.mean_x, self.mean_y)
        return {"n": self.n, "xx": xx, "xy": xy, "mean_x": self.mean_x, "mean_y": self.mean_y}

    def ridge(self, penalty: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return weights (feature, target) and intercept (target,); the intercept is free."""
        system = self.xx + penalty * np.eye(self.mean_x.size)
        weights = np.linalg.lstsq(system, self.xy, rcond=None)[0]
        return weights, self.mean_y - self.mean_x @ weights

    def state(self) -> State:
        """Return count, means and centred products as arrays."""
        parts: State = {"mean_x": self.mean_x, "mean_y": self.mean_y, "xx": self.xx, "xy": self.xy}
        return parts | {"n": np.array(self.n)}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Gram:
        """Rebuild the products from `state()`."""
        made = cls(*np.shape(state["xy"]))
        made.n = int(np.asarray(state["n"]))
        made.mean_x, made.mean_y, made.xx, made.xy = (
            np.array(state[key], dtype=float) for key in ("mean_x", "mean_y", "xx", "xy")
        )
        return made


def _same(what: str, came: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if came != expected:
        raise DataError(f"The {what} have shape {came}, expected {expected}.")
