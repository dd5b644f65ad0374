"""Agreement of two binary labellings beyond overlap, from their four counts of voxels.

Formulas as collected by Taha & Hanbury 2015 (BMC Med. Imaging 15:29), whose EvaluateSegmentation
pymia follows; equation numbers are theirs. A labelling in two parts is also a clustering, so that
Rand's index and the information measures apply.
"""

from __future__ import annotations

import math

from neuroloom.learn.dense.measures.overlap import Counts

NaN = float("nan")


def _ratio(top: float, bottom: float, empty: float = NaN) -> float:
    return top / bottom if bottom else empty


def _whole(c: Counts) -> tuple[int, int, int, int, int]:
    """Return the counts as Python's integers, which do not overflow, and their sum."""
    tp, fp, fn, tn = (int(part) for part in c)
    return tp, fp, fn, tn, tp + fp + fn + tn


def auc(c: Counts) -> float:
    """Return the area under the ROC curve of one operating point: mean of TPR and TNR (eq. 34).

    Examples
    --------
    >>> auc(Counts(1, 1, 1, 3))
    0.625
    """
    tp, fp, fn, tn, _ = _whole(c)
    return (_ratio(tp, tp + fn) + _ratio(tn, tn + fp)) / 2


def kappa(c: Counts) -> float:
    """Return Cohen's kappa, agreement beyond chance (eq. 31-33); 1 if all is one class for both.

    Examples
    --------
    >>> kappa(Counts(2, 1, 0, 1))
    0.5
    """
    tp, fp, fn, tn, n = _whole(c)
    chance = _ratio((tn + fn) * (tn + fp) + (fp + tp) * (fn + tp), n)
    return _ratio(tp + tn - chance, n - chance, 1.0)


def consistency_error(c: Counts) -> float:
    """Return the global consistency error (eq. 13-15); 0 where the two are equal.

    After Martin et al. 2001, but a voxel that one of the two has and the other has not counts as
    wholly wrong, where they would compare the region it lies in instead.

    Examples
    --------
    >>> consistency_error(Counts(2, 0, 0, 2))
    0.0
    """
    tp, fp, fn, tn, n = _whole(c)
    if not all((tp + fn, tn + fp, tp + fp, tn + fn)):
        return 0.0 if n and not (fp or fn) else NaN
    one = fn * (fn + 2 * tp) / (tp + fn) + fp * (fp + 2 * tn) / (tn + fp)
    other = fp * (fp + 2 * tp) / (tp + fp) + fn * (fn + 2 * tn) / (tn + fn)
    return min(one, other) / n


def _pair_counts(c: Counts) -> tuple[float, float, float, float]:
    """Pairs of voxels: together in both, in the truth only, in the prediction only, in neither."""
    tp, fp, fn, tn, n = _whole(c)
    together = sum(k * (k - 1) // 2 for k in (tp, fp, fn, tn))
    true = sum(k * (k - 1) // 2 for k in (tp + fn, fp + tn))
    found = sum(k * (k - 1) // 2 for k in (tp + fp, fn + tn))
    pairs = n * (n - 1) // 2
    return together, true - together, found - together, pairs - true - found + together


def rand_index(c: Counts) -> float:
    """Return Rand's index (1971; eq. 27): the share of pairs of voxels that both treat alike.

    Examples
    --------
    >>> round(rand_index(Counts(2, 1, 0, 1)), 3)
    0.5
    """
    both, true, found, neither = _pair_counts(c)
    return _ratio(both + neither, both + true + found + neither)


def adjusted_rand_index(c: Counts) -> float:
    """Return Rand's index less what chance gives (Hubert & Arabie 1985; eq. 28).

    1 where both put all voxels into one part.

    Examples
    --------
    >>> adjusted_rand_index(Counts(2, 0, 0, 2))
    1.0
    """
    both, true, found, neither = _pair_counts(c)
    expected = _ratio((both + true) * (both + found), both + true + found + neither)
    most = (2 * both + true + found) / 2
    return _ratio(both - expected, most - expected, 1.0)


def _bits(*shares: float) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0)


def information(c: Counts) -> tuple[float, float, float]:
    """Return the entropies of truth and prediction, and their joint one, in bits (eq. 19-21).

    Examples
    --------
    >>> information(Counts(1, 0, 0, 1))
    (1.0, 1.0, 1.0)
    """
    tp, fp, fn, tn, n = _whole(c)
    if n == 0:
        return NaN, NaN, NaN
    true = _bits((tp + fn) / n, (fp + tn) / n)
    return true, _bits((tp + fp) / n, (fn + tn) / n), _bits(tp / n, fp / n, fn / n, tn / n)


def mutual_information(c: Counts) -> float:
    """Return what either labelling tells of the other, in bits (eq. 18).

    Examples
    --------
    >>> mutual_information(Counts(1, 0, 0, 1))
    1.0
    """
    true, found, joint = information(c)
    return true + found - joint


def variation_of_information(c: Counts) -> float:
    """Return what neither tells of the other, in bits (Meila 2003; eq. 22).

    Examples
    --------
    >>> variation_of_information(Counts(1, 0, 0, 1))
    0.0
    """
    true, found, joint = information(c)
    return 2 * joint - true - found


def intraclass_correlation(c: Counts) -> float:
    """Return the intraclass correlation of the two as raters of each voxel (Shrout 1979; eq. 23).

    pymia calls it interclass. 1 where both are constant and equal.

    Examples
    --------
    >>> round(intraclass_correlation(Counts(50, 0, 0, 50)), 6)
    1.0
    """
    tp, fp, fn, _, n = _whole(c)
    mean = (2 * tp + fp + fn) / (2 * n)
    squares = tp * (1 - mean) ** 2 + (fp + fn) * (0.5 - mean) ** 2
    squares += (n - tp - fp - fn) * mean**2
    between = _ratio(2 * squares, n - 1)
    within = (fp + fn) / (2 * n)
    return _ratio(between - within, between + within, 1.0)


def probabilistic_distance(c: Counts) -> float:
    """Return the voxels that differ per twice those that both hold (Gerig et al. 2001; eq. 29).

    NaN where nothing is shared.

    Examples
    --------
    >>> probabilistic_distance(Counts(5, 1, 1, 9))
    0.2
    """
    tp, fp, fn, *_ = _whole(c)
    return _ratio(fp + fn, 2 * tp)
