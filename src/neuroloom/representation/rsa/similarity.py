"""How alike two RDMs are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.representation.rsa.rdm import stimuli_of

Floats = NDArray[np.float64]


def compare_rdms(first: ArrayLike, second: ArrayLike, method: str = "spearman") -> Floats:
    """Return the similarity of each RDM of `first` with each of `second`.

    Parameters
    ----------
    first, second
        Shapes (rdm, pair), or (pair,). Pairs that are NaN anywhere are left out.
    method
        One of `METHODS`. "spearman", "pearson", "cosine"; "kendall" (tau-b) and "tau-a"; "rho-a",
        the mean of Spearman's over random orders of ties: fair to models with few values;
        "whitened-pearson" and "whitened-cosine", which know that the distances of one stimulus
        depend on each other (Diedrichsen et al. 2021).

    Returns
    -------
    Shape (rdms of first, rdms of second).

    Raises
    ------
    ConfigError, DataError
        If the method is unknown; pairs differ in number.

    Examples
    --------
    >>> compare_rdms([1.0, 2.0, 3.0], [[1.0, 4.0, 9.0], [3.0, 2.0, 1.0]]).round(6)
    array([[ 1., -1.]])
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ConfigError(f"No comparison is '{method}'.{nearest(method, METHODS)} Known: {known}.")
    a, b = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (first, second))
    if a.shape[1] != b.shape[1]:
        sizes = [stimuli_of(x.shape[1]) for x in (a, b)]
        raise DataError(f"The RDMs have {sizes[0]} and {sizes[1]} stimuli; expected the same.")
    known_pairs = np.isfinite(a).all(0) & np.isfinite(b).all(0)
    if known_pairs.all():
        return METHODS[method](a, b)
    if method.startswith("whitened"):
        raise DataError("Whitened comparisons need every pair: an RDM has NaN.")
    return METHODS[method](a[:, known_pairs], b[:, known_pairs])


def ranks(rows: Floats) -> Floats:
    """Return ranks along the last axis from 1, mean ranks where values are equal.

    Examples
    --------
    >>> ranks(np.array([3.0, 1.0, 3.0]))
    array([2.5, 1. , 2.5])
    """
    flat = np.asarray(rows, dtype=float).reshape(-1, rows.shape[-1])
    out = np.empty_like(flat)
    for row, target in zip(flat, out, strict=True):
        order = np.argsort(row)
        ordered = row[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        if len(starts) == len(row):
            target[order] = np.arange(1.0, len(row) + 1)
            continue
        sizes = np.diff(np.append(starts, len(row)))
        target[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return out.reshape(rows.shape)


def pearson(a: Floats, b: Floats) -> Floats:
    """Return Pearson's correlations of rows."""
    return cosine(a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True))


def cosine(a: Floats, b: Floats) -> Floats:
    """Return cosines of rows; NaN where a row is all zero."""
    norms = [np.sqrt(np.einsum("ij,ij->i", x, x)) for x in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a @ b.T) / np.outer(norms[0], norms[1]))


def spearman(a: Floats, b: Floats) -> Floats:
    """Return Spearman's correlations of rows."""
    return pearson(ranks(a), ranks(b))


def rho_a(a: Floats, b: Floats) -> Floats:
    """Return the expected Spearman correlation if ties were broken at random.

    References
    ----------
    Schuett et al. (2023), eLife 12, e82566, eq. 12.
    """
    n = a.shape[1]
    x, y = (ranks(rows) - (n + 1) / 2 for rows in (a, b))
    return 12 * (x @ y.T) / (n**3 - n)


def tau_b(a: Floats, b: Floats) -> Floats:
    """Return Kendall's tau-b of rows."""
    from scipy.stats import kendalltau

    return np.array([[kendalltau(x, y).statistic for y in b] for x in a])


def tau_a(a: Floats, b: Floats) -> Floats:
    """Return Kendall's tau-a of rows: ties count as half right (Nili et al. 2014)."""
    n = a.shape[1]
    total = n * (n - 1) / 2
    free = [np.array([total - _ties(row) for row in rows]) for rows in (a, b)]
    return np.nan_to_num(tau_b(a, b)) * np.sqrt(np.outer(free[0], free[1])) / total


def _ties(row: Floats) -> float:
    counts = np.unique(row, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1) / 2).sum())


def whitened_cosine(a: Floats, b: Floats) -> Floats:
    """Return the cosine of whitened RDMs, which is linear CKA if they are squared distances.

    With noise of the same size in all stimuli the covariance of squared distances is undone by
    taking the inner products of centred patterns, -H D H / 2 (Diedrichsen et al. 2021, eq. 24).
    Products of two such matrices need the distances and their row sums only.
    """
    sums = [np.stack([_row_sums(row) for row in rows]) for rows in (a, b)]
    n = sums[0].shape[1]

    def product(i: int, j: int, first: Floats, second: Floats, k: int, m: int) -> float:
        r, s = sums[i][k], sums[j][m]
        whole = 2 * float(first[k] @ second[m])
        return whole - 2 / n * float(r @ s) + float(r.sum()) * float(s.sum()) / n**2

    own = [
        [product(i, i, rows, rows, k, k) for k in range(len(rows))] for i, rows in enumerate((a, b))
    ]
    across = [[product(0, 1, a, b, k, m) for m in range(len(b))] for k in range(len(a))]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(across) / np.sqrt(np.outer(np.array(own[0]), np.array(own[1])))


def _row_sums(pairs: Floats) -> Floats:
    """Return the sum of each row of the square matrix of an RDM, shape (stimulus,)."""
    n = stimuli_of(len(pairs))
    sums, start = np.zeros(n), 0
    for number in range(n - 1):
        row = pairs[start : start + n - 1 - number]
        sums[number] += row.sum()
        sums[number + 1 :] += row
        start += len(row)
    return sums


def whitened_pearson(a: Floats, b: Floats) -> Floats:
    """Return the cosine of whitened RDMs without their means."""
    return whitened_cosine(a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True))


METHODS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "spearman": spearman,
    "pearson": pearson,
    "cosine": cosine,
    "kendall": tau_b,
    "tau-a": tau_a,
    "rho-a": rho_a,
    "whitened-pearson": whitened_pearson,
    "whitened-cosine": whitened_cosine,
}
