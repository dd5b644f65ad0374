"""Scores of labelled instances: were the right cells, nuclei, axons, lesions found.

Instances are integer labels, 0 is background; which number an object has does not matter. Where
truth or prediction has no instance the rules are those of `overlap.EMPTY_RULES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.measures.overlap import Floats, Ints, same_grid

SURE = 0.5  # above this intersection over union a partner can only be one


@dataclass(frozen=True)
class Shared:
    """How many voxels each true and each predicted instance have in common.

    Attributes
    ----------
    true, predicted
        Which labels they are (n,), (m,), without background.
    size_true, size_predicted
        Voxels of each.
    row, column, voxels
        The pairs that overlap: positions in `true` and `predicted`, and the voxels shared (pairs,).
    """

    true: Ints
    predicted: Ints
    size_true: Ints
    size_predicted: Ints
    row: Ints
    column: Ints
    voxels: Ints

    @property
    def iou(self) -> Floats:
        """Intersection over union of each overlapping pair (pairs,)."""
        union = self.size_true[self.row] + self.size_predicted[self.column] - self.voxels
        return self.voxels / union


def shared_voxels(truth: ArrayLike, predicted: ArrayLike) -> Shared:
    """Count what true and predicted instances share, in one pass whatever their number.

    Examples
    --------
    >>> found = shared_voxels([1, 1, 0, 5], [2, 2, 2, 0])
    >>> found.voxels.tolist(), found.iou.round(2).tolist()
    ([2], [0.67])
    """
    table = _pairs(truth, predicted)
    (true, size_true), (found, size_found) = (_sizes(table, side) for side in (0, 1))
    both = (table[0] != 0) & (table[1] != 0)
    row = np.searchsorted(true, table[0][both])
    column = np.searchsorted(found, table[1][both])
    return Shared(true, found, size_true, size_found, row, column, table[2][both])


def _pairs(truth: ArrayLike, predicted: ArrayLike) -> tuple[Ints, Ints, Ints]:
    """Return the true label, the predicted label and the voxels of every combination."""
    a, b = same_grid(truth, predicted)
    names_a, a = np.unique(a, return_inverse=True)
    names_b, b = np.unique(b, return_inverse=True)
    pair, count = np.unique(a.ravel() * len(names_b) + b.ravel(), return_counts=True)
    return names_a[pair // len(names_b)], names_b[pair % len(names_b)], count


def _sizes(table: tuple[Ints, Ints, Ints], side: int) -> tuple[Ints, Ints]:
    labels, place = np.unique(table[side], return_inverse=True)
    size = np.bincount(place, weights=table[2], minlength=labels.size).astype(np.int64)
    return labels[labels != 0], size[labels != 0]


@dataclass(frozen=True)
class Matching:
    """True and predicted instances paired one to one at a threshold.

    Attributes
    ----------
    threshold
        Least intersection over union of a pair.
    n_true, n_predicted
        How many there are.
    pairs
        Their labels (tp, 2): true, predicted.
    iou
        Of each pair (tp,).
    """

    threshold: float
    n_true: int
    n_predicted: int
    pairs: Ints
    iou: Floats

    @property
    def tp(self) -> int:
        """Return how many true instances were found."""
        return len(self.pairs)

    @property
    def fp(self) -> int:
        """Return how many predicted instances are none."""
        return self.n_predicted - self.tp

    @property
    def fn(self) -> int:
        """Return how many true instances were missed."""
        return self.n_true - self.tp

    def scores(self) -> dict[str, float]:
        """Return precision, recall, f1, ap, pq (panoptic quality), sq and rq.

        ap is TP / (TP + FP + FN), the "average precision" of StarDist (Schmidt et al. 2018) and
        the 2018 Data Science Bowl; pq = sq x rq: mean overlap of the pairs x F1 (Kirillov et al.
        2019).
        """
        tp, fp, fn = self.tp, self.fp, self.fn
        f1 = _share(2 * tp, 2 * tp + fp + fn, 1.0)
        quality = _share(float(self.iou.sum()), tp, 1.0 if f1 else np.nan)
        return {
            "precision": _share(tp, tp + fp),
            "recall": _share(tp, tp + fn),
            "f1": f1,
            "ap": _share(tp, tp + fp + fn, 1.0),
            "pq": quality * f1 if f1 else 0.0,
            "sq": quality,
            "rq": f1,
        }


def _share(top: float, bottom: float, empty: float = float("nan")) -> float:
    return float(top / bottom) if bottom else empty


def match_instances(truth: ArrayLike, predicted: ArrayLike, threshold: float = 0.5) -> Matching:
    """Pair instances one to one: as many as overlap by `threshold`, then those that overlap most.

    Parameters
    ----------
    truth, predicted
        Integer labels (*axes), 0 is background.
    threshold
        Least intersection over union of a pair, in (0, 1].

    Raises
    ------
    DataError
        If grids differ.
    ConfigError
        If the threshold is no share.

    Examples
    --------
    >>> found = match_instances([1, 1, 1, 0, 2], [7, 7, 0, 8, 0])
    >>> found.pairs.tolist(), found.scores()["f1"]
    ([[1, 7]], 0.5)
    """
    return _matched(shared_voxels(truth, predicted), threshold)


def _matched(shared: Shared, threshold: float) -> Matching:
    if not 0 < threshold <= 1:
        raise ConfigError(f"An overlap threshold lies above 0 and at most at 1; came {threshold}.")
    close = np.flatnonzero(shared.iou >= threshold)
    if threshold <= SURE:
        close = _best_pairs(shared, close)
    pairs = np.stack([shared.true[shared.row[close]], shared.predicted[shared.column[close]]], 1)
    return Matching(threshold, shared.true.size, shared.predicted.size, pairs, shared.iou[close])


def _best_pairs(shared: Shared, close: Ints) -> Ints:
    """Choose among candidates so that the most are paired, and among those the closest."""
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(shared.row[close], return_inverse=True)
    columns, column = np.unique(shared.column[close], return_inverse=True)
    most = max(min(rows.size, columns.size), 1)
    gain = np.zeros((rows.size, columns.size))
    gain[row, column] = 1 + shared.iou[close] / (2 * most)
    chosen = np.zeros(gain.shape, bool)
    chosen[linear_sum_assignment(gain, maximize=True)] = True
    return close[chosen[row, column]]


def average_precision(
    truth: ArrayLike,
    predicted: ArrayLike,
    thresholds: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9),
) -> dict[float, dict[str, float]]:
    """Return the scores of `match_instances` at each threshold.

    Examples
    --------
    >>> told = average_precision([1, 1, 1, 0, 2], [7, 7, 0, 8, 2], (0.5, 0.9))
    >>> [round(at["ap"], 3) for at in told.values()]
    [0.667, 0.25]
    """
    shared = shared_voxels(truth, predicted)
    return {level: _matched(shared, level).scores() for level in thresholds}


def adapted_rand(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Return the adapted Rand error, 1 - F of pairs of voxels, with its precision and recall.

    Precision is the share of the pairs that lie in one predicted instance which also lie in one
    true one, so that merging lowers it; recall the other way round.
    Voxels of the true background are left out (Arganda-Carreras et al. 2015, eq. 2-4; the SNEMI3D
    and CREMI score).

    Examples
    --------
    >>> adapted_rand([1, 1, 2, 2], [1, 1, 1, 1])["error"]
    0.5
    """
    true, found, count = _pairs(truth, predicted)
    kept = true != 0
    table = true[kept], found[kept], count[kept].astype(float)
    both = float((table[2] ** 2).sum())
    by_true, by_found = (_square_sum(table[side], table[2]) for side in (0, 1))
    total = table[2].sum()
    precision = _share(both - total, by_found - total)
    recall = _share(both - total, by_true - total)
    f = _share(2 * (both - total), by_true + by_found - 2 * total, 1.0)
    return {"error": 1 - f, "precision": precision, "recall": recall}


def _square_sum(labels: Ints, count: Floats) -> float:
    place = np.unique(labels, return_inverse=True)[1]
    return float((np.bincount(place, weights=count) ** 2).sum())


def variation_of_information(
    truth: ArrayLike, predicted: ArrayLike, ignore: int | None = None
) -> tuple[float, float]:
    """Return how much is split and how much merged, in bits: H(predicted | truth), H(truth | pred).

    Meila 2007; their sum is the variation of information. Background counts as an instance unless
    `ignore` names a true label to leave out.

    Examples
    --------
    >>> variation_of_information([1, 1, 2, 2], [1, 1, 1, 1])
    (0.0, 1.0)
    """
    true, found, count = _pairs(truth, predicted)
    kept = np.ones(true.size, bool) if ignore is None else true != ignore
    share = count[kept] / max(count[kept].sum(), 1)
    joint = _entropy(share)
    alone = [_entropy(_grouped(labels[kept], share)) for labels in (true, found)]
    return max(joint - alone[0], 0.0), max(joint - alone[1], 0.0)


def _grouped(labels: Ints, share: Floats) -> Floats:
    return np.bincount(np.unique(labels, return_inverse=True)[1], weights=share).astype(float)


def _entropy(share: NDArray[Any]) -> float:
    known = share[share > 0]
    return float(-(known * np.log2(known)).sum())
