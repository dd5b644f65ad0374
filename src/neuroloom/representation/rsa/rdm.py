"""Representational dissimilarity matrices, block by block, so that memory is bounded.

An RDM is held as its upper triangle, row by row: shape (pair,), as SciPy's `squareform` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest

Floats = NDArray[np.float64]
METHODS = (
    "correlation", "euclidean", "squared-euclidean", "cosine", "gaussian", "mahalanobis",
    "crossnobis",
)  # fmt: skip
BLOCK = 64 * 2**20  # bytes of features in memory at a time


def rdm(
    features: Any,
    method: str = "correlation",
    *,
    precision: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    block: int = BLOCK,
) -> Floats:
    """Return how unlike stimuli are in their features.

    Parameters
    ----------
    features
        Shape (stimulus, …): anything that is sliced like an array, so that features larger than
        memory can stay on disk. With "crossnobis" (pattern, …), a pattern for each fold and
        stimulus, ordered by fold.
    method
        "correlation" (1 - Pearson's r), "cosine" (1 - cosine), "euclidean", "squared-euclidean"
        (mean of squared differences over features), "gaussian" (1 - exp(-d^2 / mean d^2), the mean
        over all places of the matrix), "mahalanobis" (squared, whitened by `precision`,
        mean over features), "crossnobis" (the same, unbiased by taking the two factors from
        different folds: it can be negative; Walther et al. 2016).
    precision
        Shape (feature, feature): inverse covariance of the noise, see `noise_precision`.
    folds
        Shape (pattern,): the fold (run, session) of each pattern.
    block
        Bytes of features that are held at a time.

    Returns
    -------
    Shape (pair,), float64.

    Raises
    ------
    ConfigError, DataError
        If the method is unknown or lacks what it needs; a stimulus has no variance or NaN.

    Examples
    --------
    >>> rdm([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "squared-euclidean").round(3)
    array([0.667, 0.   , 0.667])
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ConfigError(f"No distance is '{method}'.{nearest(method, METHODS)} Known: {known}.")
    table = features if hasattr(features, "shape") else np.asarray(features, dtype=float)
    check_stimuli(table)
    if method == "crossnobis":
        return crossnobis(_rows(table), folds, precision)
    if method == "mahalanobis":
        if precision is None:
            raise ConfigError("mahalanobis needs the precision of the noise.")
        root = np.linalg.cholesky(np.asarray(precision, dtype=float))
        table, method = _rows(table) @ root, "squared-euclidean"
    if method in ("correlation", "cosine"):
        return _angles(upper_gram(table, "row" if method == "correlation" else "", block))
    squared = _squared(upper_gram(table, "column", block))
    width = max(1, int(np.prod(table.shape[1:])))
    if method == "euclidean":
        return np.sqrt(squared)
    if method == "gaussian":
        mean = 2 * squared.sum() / table.shape[0] ** 2
        return 1 - np.exp(-squared / (mean or 1.0))
    return squared / width


def check_stimuli(table: Any) -> None:
    """Refuse features of fewer than two stimuli.

    Raises
    ------
    DataError
        With the shape that came.
    """
    if len(table.shape) < 2 or table.shape[0] < 2:
        raise DataError(
            f"Features have the shape {tuple(table.shape)}; expected (stimulus, feature, …) with "
            "two stimuli or more."
        )


def gram(features: Any, *, centre: str = "", block: int = BLOCK) -> Floats:
    """Return the inner products of stimuli, shape (stimulus, stimulus).

    Parameters
    ----------
    features
        Shape (stimulus, …).
    centre
        "row" takes the mean of each stimulus away, "column" that of each feature, "" none.

    Raises
    ------
    DataError
        If a feature is NaN or infinite; names the first stimulus.

    Examples
    --------
    >>> gram(np.eye(2), centre="column")
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    half = upper_gram(features, centre, block)
    below = np.tril_indices(len(half), -1)
    half[below] = half.T[below]
    return half


def upper_gram(features: Any, centre: str, block: int = BLOCK) -> Floats:
    """Return inner products in the upper triangle alone, zero below: half of the work.

    Examples
    --------
    >>> upper_gram(np.ones((2, 3)), "", BLOCK)
    array([[3., 3.],
           [0., 3.]])
    """
    from scipy.linalg.blas import dsyrk

    n = int(features.shape[0])
    # What fits in one block is read once.
    whole = n * int(np.prod(features.shape[1:])) * 8 <= block
    means = row_means(features, block) if centre == "row" and not whole else None
    total = np.zeros((n, n), order="F")
    with np.errstate(invalid="ignore", over="ignore"):
        for part in columns(features, block):
            if means is not None:
                part -= means[:, None]
            elif centre:
                part -= part.mean(0) if centre == "column" else part.mean(1, keepdims=True)
            # Fortran's lower triangle is the upper one of the transpose, which has rows in order.
            total = dsyrk(1.0, part.T, beta=1.0, c=total, trans=1, overwrite_c=1, lower=1)
    half = np.asarray(total.T)
    _check_finite(np.diag(half))
    return half


def row_means(features: Any, block: int = BLOCK) -> Floats:
    """Return the mean feature of each stimulus."""
    width = int(np.prod(features.shape[1:]))
    total = sum(part.sum(1) for part in columns(features, block))
    return np.asarray(total, dtype=float) / width


def columns(features: Any, block: int = BLOCK) -> Iterator[Floats]:
    """Yield features (stimulus, some features) in float64, at most `block` bytes at a time."""
    n = int(features.shape[0])
    inside = int(np.prod(features.shape[2:]))
    step = max(1, block // (8 * n * max(inside, 1)))
    for start in range(0, int(features.shape[1]), step):
        part = np.asarray(features[:, start : start + step]).reshape(n, -1)
        yield np.array(part, dtype=np.float64, order="C")


def _check_finite(diagonal: Floats) -> None:
    bad = np.flatnonzero(~np.isfinite(diagonal))
    if bad.size:
        raise DataError(
            f"Stimulus {bad[0]} has features that are NaN or infinite ({bad.size} such stimuli); "
            "leave them out, or look at the layer they come from."
        )


def _angles(half: Floats) -> Floats:
    norms = np.sqrt(np.diag(half))
    flat = np.flatnonzero(norms <= 1e-12 * max(norms.max(), 1e-300))
    if flat.size:
        raise DataError(
            f"Stimulus {flat[0]} has the same value in all features ({flat.size} such stimuli): "
            "its correlation is undefined. Choose another layer, or distance 'euclidean'."
        )
    inverse = 1 / norms

    def row(number: int, out: Floats) -> None:
        np.multiply(half[number, number + 1 :], -inverse[number] * inverse[number + 1 :], out=out)
        out += 1

    return _by_rows(row, len(half))


def _squared(half: Floats) -> Floats:
    own = np.diag(half)

    def row(number: int, out: Floats) -> None:
        np.multiply(half[number, number + 1 :], -2, out=out)
        out += own[number] + own[number + 1 :]
        np.maximum(out, 0, out=out)

    return _by_rows(row, len(half))


def _by_rows(fill: Callable[[int, Floats], None], n: int) -> Floats:
    """Return the pairs of an RDM, row by row: no indices of all pairs are made."""
    pairs, start = np.empty(n * (n - 1) // 2), 0
    for number in range(n - 1):
        stop = start + n - 1 - number
        fill(number, pairs[start:stop])
        start = stop
    return pairs


def _rows(table: Any) -> Floats:
    return np.asarray(table, dtype=float).reshape(table.shape[0], -1)


def crossnobis(
    patterns: Floats, folds: ArrayLike | None, precision: ArrayLike | None = None
) -> Floats:
    """Return unbiased squared distances: each fold against the mean of the others.

    Parameters
    ----------
    patterns
        Shape (pattern, feature), every fold with the same stimuli in the same order.
    folds
        Shape (pattern,).
    precision
        Shape (feature, feature); identity if None.

    References
    ----------
    Walther et al. (2016), NeuroImage 137, 188-200, eq. 8.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(2 * 30, 50))
    >>> bool(abs(crossnobis(noise, np.repeat([0, 1], 30)).mean()) < 0.1)  # none is expected
    True
    """
    if folds is None:
        raise ConfigError("crossnobis needs the fold (run) of each pattern.")
    labels = np.asarray(folds)
    names = np.unique(labels)
    sizes = {name: int((labels == name).sum()) for name in names}
    if len(names) < 2 or len(set(sizes.values())) > 1:
        raise DataError(
            f"crossnobis: folds hold {sizes} patterns; expected two folds or more, each with the "
            "same stimuli in the same order."
        )
    stacked = np.stack([patterns[labels == name] for name in names])
    weight = np.eye(patterns.shape[1]) if precision is None else np.asarray(precision)
    total, upper = 0.0, np.triu_indices(stacked.shape[1], 1)
    for number, test in enumerate(stacked):
        train = np.delete(stacked, number, 0).mean(0)
        product = train @ weight @ test.T
        own = np.diag(product)
        each = own[:, None] + own[None] - product - product.T
        total = total + each[upper]
    return np.asarray(total) / len(names) / patterns.shape[1]


def noise_precision(residuals: ArrayLike) -> Floats:
    """Return the inverse covariance of noise, shrunk towards a sphere (Ledoit & Wolf 2004).

    Parameters
    ----------
    residuals
        Shape (observation, feature): what is left of the data once stimuli are taken away.

    Examples
    --------
    >>> noise_precision(np.random.default_rng(0).normal(size=(500, 3))).round().astype(int)
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    from sklearn.covariance import ledoit_wolf

    return np.asarray(np.linalg.inv(ledoit_wolf(np.asarray(residuals, dtype=float))[0])) + 0.0


def to_square(pairs: ArrayLike) -> Floats:
    """Return an RDM as a square matrix, zero on its diagonal.

    Examples
    --------
    >>> to_square([1.0, 2.0, 3.0])
    array([[0., 1., 2.],
           [1., 0., 3.],
           [2., 3., 0.]])
    """
    values = np.asarray(pairs, dtype=float)
    n = stimuli_of(values.shape[-1])
    square = np.zeros((*values.shape[:-1], n, n))
    rows, others = np.triu_indices(n, 1)
    square[..., rows, others] = square[..., others, rows] = values
    return square


def to_pairs(square: ArrayLike) -> Floats:
    """Return the upper triangle of square matrices (…, stimulus, stimulus).

    Examples
    --------
    >>> to_pairs([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    array([1., 2., 3.])
    """
    matrix = np.asarray(square, dtype=float)
    return matrix[(..., *np.triu_indices(matrix.shape[-1], 1))]


def stimuli_of(pairs: int) -> int:
    """Return how many stimuli have so many pairs; 0 if none do.

    Examples
    --------
    >>> stimuli_of(4186), stimuli_of(5)
    (92, 0)
    """
    n = round((1 + np.sqrt(1 + 8 * pairs)) / 2)
    return n if pairs > 0 and n * (n - 1) // 2 == pairs else 0


def model_rdm(labels: Sequence[Any]) -> Floats:
    """Return the RDM of categories: 0 within, 1 between.

    Examples
    --------
    >>> model_rdm(["face", "house", "face"])
    array([1., 0., 1.])
    """
    names = np.asarray(labels)
    return to_pairs(names[:, None] != names[None])
