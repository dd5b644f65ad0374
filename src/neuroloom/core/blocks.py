"""Blocks of an array: the box around a mask, and sums and means over whole numbers of places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def block_sums(values: np.ndarray, starts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of every block.

    Parameters
    ----------
    values
        Shape (…, *axes); floats keep their type, all else becomes float64.
    starts
        Where the blocks begin along each of the last axes, from 0, rising; the last block reaches
        to the end.

    Returns
    -------
    Shape (…, *blocks).

    Examples
    --------
    >>> block_sums(np.arange(5), [np.array([0, 2, 4])])
    array([1., 5., 4.])
    """
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(float)
    for axis, own in enumerate(starts, start=values.ndim - len(starts)):
        if len(own) < values.shape[axis]:
            values = np.add.reduceat(values, own, axis=axis, dtype=kind)
    return np.asarray(values, kind)


def block_means(values: np.ndarray, starts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of every block, of what `block_sums` takes.

    Examples
    --------
    >>> block_means(np.array([[1.0, 3.0, 5.0]]), [np.array([0, 2])])
    array([[2., 5.]])
    """
    means = block_sums(values, starts)
    for axis, own in enumerate(starts, start=values.ndim - len(starts)):
        if len(own) < values.shape[axis]:
            sizes = np.diff(own, append=values.shape[axis]).astype(means.dtype)
            means = means / np.expand_dims(sizes, tuple(range(1, values.ndim - axis)))
    return means


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """Return the slices around a mask that is not empty, widened where the array allows it.

    Examples
    --------
    >>> bounding_box(np.array([0, 0, 1, 1, 0]) > 0, margin=1)
    (slice(1, 5, None),)
    """
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        found.append(slice(max(0, int(places[0]) - margin), int(places[-1]) + 1 + margin))
    return tuple(found)
