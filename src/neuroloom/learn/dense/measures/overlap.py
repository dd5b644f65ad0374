"""Voxel counts of label arrays, and every score that follows from them.

All scores take counts as numbers or arrays of any one shape (class, or case x class) and return
the same shape. What they are where nothing is there is said once, in `EMPTY_RULES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = float | NDArray[Any]
Classes = Mapping[str, int | Sequence[int]]
_MOST = 255  # up to this label all numbers have a row and a column of their own

EMPTY_RULES: dict[str, str] = {
    "agreement": "1 where truth and prediction are both empty, 0 where only one is: Dice, Jaccard, "
    "F-beta, volume similarity, surface Dice (NSD).",
    "share": "Undefined where what it is a share of is empty: sensitivity and false negative rate "
    "without truth, precision without prediction, specificity and fallout without background.",
    "distance": "0 where truth and prediction are both empty, undefined where only one is, since "
    "nothing is there to measure to: Hausdorff and mean surface distances.",
    "volume": "A count or volume is 0; a volume error relative to an empty truth is undefined.",
    "mean": "Undefined values are NaN, are left out of means, and are counted beside them.",
}


class Counts(NamedTuple):
    """Voxels by class: in both, in the prediction only, in the truth only, in neither."""

    tp: Any
    fp: Any
    fn: Any
    tn: Any


def same_grid(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as arrays, or raise `DataError` if their shapes differ.

    Examples
    --------
    >>> same_grid([1, 0], [0, 0])[0].shape
    (2,)
    """
    a, b = np.asarray(truth), np.asarray(predicted)
    if a.shape != b.shape:
        raise DataError(
            f"Truth has the grid {a.shape} and the prediction {b.shape}; they must be equal. "
            "Resample the prediction to the grid of the truth first."
        )
    return a, b


def without_ignored(
    truth: ArrayLike, predicted: ArrayLike, ignore: int | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both labels with 0 wherever the truth has the label that is not scored.

    Examples
    --------
    >>> [found.tolist() for found in without_ignored([1, 9, 9], [1, 1, 0], 9)]
    [[1, 0, 0], [1, 0, 0]]
    """
    a, b = same_grid(truth, predicted)
    if ignore is None:
        return a, b
    known = a != ignore
    return np.where(known, a, 0), np.where(known, b, 0)


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> Ints:
    """Return the voxels (n_classes, n_classes) with each pair of true and predicted label.

    Parameters
    ----------
    truth, predicted
        Integer labels 0 to n_classes - 1 on one grid (*axes); booleans count as 0 and 1.

    Raises
    ------
    DataError
        If grids differ or a label lies outside.

    Examples
    --------
    >>> confusion([0, 1, 1], [0, 1, 0], 2).tolist()
    [[1, 0], [1, 1]]
    """
    a, b = same_grid(truth, predicted)
    for name, labels in (("truth", a), ("prediction", b)):
        if labels.size and (labels.min() < 0 or labels.max() >= n_classes):
            odd = labels.min() if labels.min() < 0 else labels.max()
            raise DataError(f"The {name} holds label {odd}; expected 0 to {n_classes - 1}.")
    small = np.uint16 if n_classes <= 256 else np.int64  # pairs of 256 labels still fit
    pair: NDArray[Any] = a.astype(small).ravel() * np.array(n_classes, small)
    pair += b.astype(small).ravel()
    return np.bincount(pair, minlength=n_classes**2).reshape(n_classes, n_classes)


def counts(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> Counts:
    """Return true and false positives, false and true negatives of every label, each (n_classes,).

    Examples
    --------
    >>> counts([0, 1, 1, 2], [0, 1, 2, 2], 3).tp.tolist()
    [1, 1, 1]
    """
    table = confusion(truth, predicted, n_classes)
    tp = np.diag(table).copy()
    return _complete(tp, table.sum(0) - tp, table.sum(1) - tp, table.sum())


def counts_of(truth: ArrayLike, predicted: ArrayLike, classes: Classes) -> Counts:
    """Return the counts of named classes, which may be regions of several labels.

    Parameters
    ----------
    classes
        Name -> label, or labels that form the region, e.g. ``{"whole": (1, 2), "core": 2}``.

    Returns
    -------
    Counts, each (class,) in the order of `classes`.

    Examples
    --------
    >>> counts_of([0, 1, 2], [0, 2, 2], {"whole": (1, 2), "core": 2}).tp.tolist()
    [2, 1]
    """
    a, b = same_grid(truth, predicted)
    known = sorted({label for labels in classes.values() for label in labels_of(labels)})
    top = max(known[-1], int(a.max(initial=0)), int(b.max(initial=0)))
    if top <= _MOST:
        values, size = np.arange(top + 1), top + 1
    else:  # not even listed: a number of nine digits would take gigabytes
        values, size = np.array(known), len(known) + 1
        a, b = (_placed(values, labels) for labels in (a, b))
    table = confusion(a, b, size)
    member = np.zeros((len(classes), size), dtype=np.int64)
    for row, labels in enumerate(classes.values()):
        member[row, np.searchsorted(values, labels_of(labels))] = 1
    tp = np.einsum("kt,tp,kp->k", member, table, member)
    return _complete(tp, member @ table.sum(0) - tp, member @ table.sum(1) - tp, table.sum())


def _placed(values: Ints, labels: NDArray[Any]) -> Ints:
    """Return the place of each label among sorted values; of one that is not there, their number.

    Atlases number structures up to nine digits, and a table of all numbers would not fit.
    """
    labels = np.asarray(labels, np.int64)
    place = np.searchsorted(values, labels)
    there = values[np.minimum(place, len(values) - 1)] == labels
    return np.where(there, place, np.where(labels < 0, labels, len(values)))


def labels_of(labels: int | Sequence[int]) -> tuple[int, ...]:
    """Return the labels of a class as a tuple.

    Examples
    --------
    >>> labels_of(3), labels_of([1, 2])
    ((3,), (1, 2))
    """
    return (int(labels),) if np.ndim(labels) == 0 else tuple(int(v) for v in labels)  # type: ignore[arg-type, union-attr]


def mask_of(labels: ArrayLike, of: int | Sequence[int]) -> NDArray[np.bool_]:
    """Return where the array holds one of the labels.

    Examples
    --------
    >>> mask_of([0, 1, 2], (1, 2)).tolist()
    [False, True, True]
    """
    array, wanted = np.asarray(labels), labels_of(of)
    return array == wanted[0] if len(wanted) == 1 else np.isin(array, wanted)


def boxes_of(labels: ArrayLike, classes: Classes) -> dict[str, tuple[slice, ...]]:
    """Return the box (a slice an axis) that holds each class, of those that are there.

    Examples
    --------
    >>> boxes_of([0, 1, 2, 1], {"whole": (1, 2), "core": 2, "none": 7})
    {'whole': (slice(1, 4, None),), 'core': (slice(2, 3, None),)}
    """
    from scipy import ndimage

    values = np.array(sorted({v for own in classes.values() for v in labels_of(own)}), np.int64)
    array, numbers = np.asarray(labels), values
    if values.max(initial=0) >= 2**16:  # `find_objects` lists every number up to the largest
        array, numbers = _placed(values, array) + 1, np.arange(1, len(values) + 1)
    listed = ndimage.find_objects(array, int(numbers.max(initial=0)))
    box_of = {int(v): listed[number - 1] for v, number in zip(values, numbers, strict=True)}
    found = {}
    for name, own in classes.items():
        if boxes := [box for v in labels_of(own) if (box := box_of[v]) is not None]:
            found[name] = tuple(
                slice(min(side.start for side in sides), max(side.stop for side in sides))
                for sides in zip(*boxes, strict=True)
            )
    return found


def _complete(tp: Ints, fp: Ints, fn: Ints, total: int) -> Counts:
    return Counts(tp, fp, fn, total - tp - fp - fn)


def _share(top: Values, bottom: Values, empty: float = np.nan) -> Any:
    """`top / bottom`, and `empty` where the bottom is 0."""
    above, below = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    out = np.full(above.shape, empty)
    np.divide(above, below, out=out, where=below != 0)
    return out if out.ndim else float(out)


def _f(values: Values) -> Floats:
    return np.asarray(values, dtype=float)


def dice(tp: Values, fp: Values, fn: Values, tn: Values = 0) -> Any:
    """Return Dice's coefficient 2 TP / (2 TP + FP + FN) (Dice 1945); 1 where both are empty.

    Examples
    --------
    >>> dice(2, 1, 1), dice(0, 0, 0), dice(0, 3, 0)
    (0.6666666666666666, 1.0, 0.0)
    """
    return _share(2 * _f(tp), 2 * _f(tp) + fp + fn, empty=1.0)


def jaccard(tp: Values, fp: Values, fn: Values, tn: Values = 0) -> Any:
    """Return intersection over union TP / (TP + FP + FN); 1 where both are empty.

    Examples
    --------
    >>> jaccard(2, 1, 1)
    0.5
    """
    return _share(tp, _f(tp) + fp + fn, empty=1.0)


def f_beta(tp: Values, fp: Values, fn: Values, tn: Values = 0, beta: float = 1.0) -> Any:
    """Return the F-measure: recall counts `beta` times as much as precision (van Rijsbergen 1979).

    Examples
    --------
    >>> f_beta(2, 1, 1) == dice(2, 1, 1)
    True
    """
    more = 1 + beta**2
    return _share(more * _f(tp), more * _f(tp) + beta**2 * _f(fn) + fp, empty=1.0)


def sensitivity(tp: Values, fp: Values, fn: Values, tn: Values = 0) -> Any:
    """Return the share of the true voxels that were found, TP / (TP + FN).

    Examples
    --------
    >>> sensitivity(3, 9, 1)
    0.75
    """
    return _share(tp, _f(tp) + fn)


def specificity(tp: Values, fp: Values, fn: Values, tn: Values) -> Any:
    """Return the share of the background that was left alone, TN / (TN + FP).

    Examples
    --------
    >>> specificity(0, 1, 0, 3)
    0.75
    """
    return _share(tn, _f(tn) + fp)


def precision(tp: Values, fp: Values, fn: Values = 0, tn: Values = 0) -> Any:
    """Return the share of the found voxels that are true, TP / (TP + FP).

    Examples
    --------
    >>> precision(3, 1)
    0.75
    """
    return _share(tp, _f(tp) + fp)


def accuracy(tp: Values, fp: Values, fn: Values, tn: Values) -> Any:
    """Return the share of all voxels that are right; near 1 for any small structure.

    Examples
    --------
    >>> accuracy(1, 1, 0, 2)
    0.75
    """
    return _share(_f(tp) + tn, _f(tp) + tn + fp + fn)


def fallout(tp: Values, fp: Values, fn: Values, tn: Values) -> Any:
    """Return the false positive rate FP / (FP + TN) = 1 - specificity.

    Examples
    --------
    >>> fallout(0, 1, 0, 3)
    0.25
    """
    return _share(fp, _f(fp) + tn)


def false_negative_rate(tp: Values, fp: Values, fn: Values, tn: Values = 0) -> Any:
    """Return the missed share of the truth FN / (FN + TP) = 1 - sensitivity.

    Examples
    --------
    >>> false_negative_rate(3, 0, 1)
    0.25
    """
    return _share(fn, _f(fn) + tp)


def volume_similarity(tp: Values, fp: Values, fn: Values, tn: Values = 0) -> Any:
    """Return 1 - |FN - FP| / (2 TP + FP + FN): equal volumes give 1, wherever they lie.

    Cardenes et al. 2009; Taha & Hanbury 2015, eq. 4.

    Examples
    --------
    >>> volume_similarity(0, 5, 5)
    1.0
    """
    return 1 - _share(np.abs(_f(fn) - fp), 2 * _f(tp) + fp + fn, empty=0.0)


def volume_error(volume_true: Values, volume_pred: Values) -> Any:
    """Return |predicted - true| / true volume; NaN without truth.

    Examples
    --------
    >>> volume_error(200.0, 190.0)
    0.05
    """
    return _share(np.abs(_f(volume_pred) - volume_true), volume_true)
