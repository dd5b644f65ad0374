"""Grey level co-occurrence: how often two levels are neighbours (IBSI section 3.6)."""

from __future__ import annotations

import numpy as np

from neuroloom.volumes.radiomics.features.levels import Levels, directions
from neuroloom.volumes.radiomics.features.tally import Tally, Values, marginal, ratio, tally


def cooccurrences(levels: Levels, flat: bool) -> Tally:
    """Count neighbouring levels at distance 1, both ways.

    Returns
    -------
    A symmetric matrix for every direction (13 in space), or for every slice and direction
    (number = 4 * slice + direction) where `flat`.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> t = cooccurrences(as_levels(np.array([[[1, 2, 2]]])), flat=True).merged(np.zeros(4, int))
    >>> list(zip(t.i.tolist(), t.j.tolist(), t.n.tolist()))
    [(1, 2, 1.0), (2, 1, 1.0), (2, 2, 2.0)]
    """
    steps = directions(flat)
    slices = levels.slices if flat else np.zeros(len(levels.inside), np.int64)
    parts = []
    for number, step in enumerate(steps):
        other = levels.flat[levels.inside + levels.stride(step)]
        both = np.flatnonzero(other)
        matrix = slices[both] * len(steps) + number
        parts.append(np.stack([matrix, levels.flat[levels.inside[both]], other[both]]))
    matrix, i, j = np.concatenate(parts, axis=1)
    voxels = np.bincount(slices).repeat(len(steps))
    once = tally(matrix, i, j, voxels)
    return tally(
        np.concatenate([once.matrix, once.matrix]),
        np.concatenate([once.i, once.j]),
        np.concatenate([once.j, once.i]),
        voxels,
        np.concatenate([once.n, once.n]),
    )


def cooccurrence_features(t: Tally, n_levels: int) -> Values:
    """Return the 25 features of each symmetric matrix (Haralick et al. 1973; IBSI section 3.6).

    Examples
    --------
    >>> one = tally(np.zeros(2, int), np.array([1, 2]), np.array([2, 1]), np.array([2]))
    >>> cooccurrence_features(one, 2)["contrast"]
    array([1.])
    """
    total = t.over(t.n)
    p = t.n / total[t.matrix]
    i, j = t.i.astype(float), t.j.astype(float)
    mean = t.over(p * i)
    variance = t.over(p * (i - mean[t.matrix]) ** 2)
    found = _sums(t, p, i, j, mean, variance) | _likeness(t, p, np.abs(i - j), n_levels)
    found |= _of_differences(t) | _information(t, p)
    return {name: np.where(total == 0, np.nan, value) for name, value in found.items()}


def _sums(
    t: Tally, p: np.ndarray, i: np.ndarray, j: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> Values:
    centre = mean[t.matrix]
    largest = np.zeros(t.size)
    np.maximum.at(largest, t.matrix, p)
    cluster = i + j - 2 * centre
    together = t.over(p * (i - centre) * (j - centre))
    flat = variance < 1e-12
    return {
        "joint_max": largest,
        "joint_avg": mean,
        "joint_var": variance,
        "energy": t.over(p**2),
        # A matrix of one level only is perfectly predicted by itself.
        "corr": np.where(flat, 1.0, ratio(together, np.where(flat, 0.0, variance))),
        "auto_corr": t.over(p * i * j),
        "clust_tend": t.over(p * cluster**2),
        "clust_shade": t.over(p * cluster**3),
        "clust_prom": t.over(p * cluster**4),
    }


def _likeness(t: Tally, p: np.ndarray, apart: np.ndarray, n_levels: int) -> Values:
    """Features that weigh entries by how far the two levels are apart."""
    differ = apart > 0
    return {
        "contrast": t.over(p * apart**2),
        "dissimilarity": t.over(p * apart),
        "inv_diff": t.over(p / (1 + apart)),
        "inv_diff_norm": t.over(p / (1 + apart / n_levels)),
        "inv_diff_mom": t.over(p / (1 + apart**2)),
        "inv_diff_mom_norm": t.over(p / (1 + (apart / n_levels) ** 2)),
        "inv_var": t.over(np.where(differ, p, 0) / np.where(differ, apart, 1) ** 2),
    }


def _of_differences(t: Tally) -> Values:
    """Mean, variance and entropy of the difference and of the sum of the two levels."""
    found = {}
    for name, values in (("diff", np.abs(t.i - t.j)), ("sum", t.i + t.j)):
        matrix, value, counts = marginal(t, values)
        total = np.bincount(matrix, weights=counts, minlength=t.size)
        p = counts / total[matrix]
        mean = np.bincount(matrix, weights=p * value, minlength=t.size)
        apart = (value - mean[matrix]) ** 2
        found[f"{name}_avg"] = mean
        found[f"{name}_var"] = np.bincount(matrix, weights=p * apart, minlength=t.size)
        found[f"{name}_entr"] = _entropy(matrix, p, t.size)
    return found


def _entropy(matrix: np.ndarray, p: np.ndarray, size: int) -> np.ndarray:
    return -np.bincount(matrix, weights=p * np.log2(p), minlength=size)


def _information(t: Tally, p: np.ndarray) -> Values:
    """Joint entropy and the two information measures of correlation.

    The entropy of the product of the marginals is the sum of theirs; no table of products is made.
    """
    matrix, level, counts = marginal(t, t.i)
    total = np.bincount(matrix, weights=counts, minlength=t.size)
    alone = counts / total[matrix]
    height = int(t.i.max(initial=0)) + 1
    table = np.zeros(t.size * height)
    table[matrix * height + level] = alone
    joint, single = _entropy(t.matrix, p, t.size), _entropy(matrix, alone, t.size)
    product = table[t.matrix * height + t.i] * table[t.matrix * height + t.j]
    crossed = -t.over(p * np.log2(product))
    surplus = np.maximum(2 * single - joint, 0)
    flat = single < 1e-12
    return {
        "joint_entr": joint,
        # One level only: the entropies agree, the quotient is 0 / 0; by convention no correlation.
        "info_corr1": np.where(flat, 0.0, ratio(joint - crossed, np.where(flat, 0.0, single))),
        "info_corr2": np.sqrt(1 - np.exp(-2 * surplus)),
    }
