"""Objects that touch: targets that teach a net to part them, and decoders that do part them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError

Labels = NDArray[np.int32]

BACKGROUND, INTERIOR, BOUNDARY = 0, 1, 2
TOLD = 0.5  # what a net's boundaries weigh beside the form of the foreground


def per_axis(length: float, spacing: Sequence[float]) -> tuple[float, ...]:
    """Return a length in pixels of the last axis as pixels of each axis.

    Examples
    --------
    >>> per_axis(4.0, (2.0, 1.0, 1.0))
    (2.0, 4.0, 4.0)
    """
    return tuple(length * spacing[-1] / step for step in spacing)


def depth(mask: ArrayLike, spacing: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Return how far inside a mask each pixel lies, in pixels of the last axis.

    Examples
    --------
    >>> depth([0, 1, 1, 1, 0]).tolist()
    [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.asarray(mask, bool)
    unit = None if spacing is None else [step / spacing[-1] for step in spacing]
    if inside.all():
        inside = np.pad(inside, 1)
        return distance_transform_edt(inside, sampling=unit)[(slice(1, -1),) * inside.ndim]
    return distance_transform_edt(inside, sampling=unit)


def find_peaks(landscape: ArrayLike, h: float, mask: ArrayLike) -> Labels:
    """Return a numbered seed for each peak that rises at least `h` above its saddles.

    Parameters
    ----------
    landscape
        Shape (*axes).
    h
        In units of `landscape`.
    mask
        Where seeds may lie, shape (*axes).

    Examples
    --------
    >>> find_peaks([0, 1, 3, 1, 1.2, 0, 5, 0], 0.5, np.ones(8)).tolist()
    [0, 0, 1, 0, 0, 0, 2, 0]
    """
    from scipy.ndimage import label
    from skimage.morphology import h_maxima

    inside = np.asarray(mask, bool)
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    peaks = h_maxima(np.asarray(landscape, float), h).astype(bool) & inside
    seeds, _ = label(peaks, np.ones((3,) * inside.ndim))
    return seeds.astype(np.int32)


def flood(landscape: ArrayLike, seeds: ArrayLike, mask: ArrayLike) -> Labels:
    """Part a mask among seeds along the valleys of a landscape (watershed).

    Examples
    --------
    >>> flood([1, 3, 1, 2, 3], [0, 1, 0, 0, 2], [1, 1, 1, 1, 0]).tolist()
    [1, 1, 1, 1, 0]
    """
    from skimage.segmentation import watershed

    inside, markers = np.asarray(mask, bool), np.asarray(seeds, np.int32)
    if not markers.any():
        return np.zeros(inside.shape, np.int32)
    return watershed(-np.asarray(landscape, float), markers, mask=inside).astype(np.int32)


def keep_objects(labels: ArrayLike, least: float) -> Labels:
    """Drop objects smaller than `least` pixels and number the rest 1 … n.

    Examples
    --------
    >>> keep_objects([1, 0, 5, 5, 0, 7, 7], least=2).tolist()
    [0, 0, 1, 1, 0, 2, 2]
    """
    array = np.asarray(labels)
    sizes = np.bincount(array.ravel())
    kept = sizes >= max(least, 1)
    kept[:1] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[array]


def instances_from_probability(
    interior: ArrayLike,
    boundary: ArrayLike | None = None,
    *,
    threshold: float = 0.5,
    h: float = 0.1,
    smooth: float = 1.0,
    least: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> Labels:
    """Turn a net's probabilities into numbered objects.

    Pixels are foreground where interior and boundary together pass `threshold`. The landscape is
    the depth in it, over the depth of a typical object, and with a boundary map also half of the
    interior less the boundary probability. One seed a peak, then a watershed within the foreground.

    Parameters
    ----------
    interior, boundary
        Probabilities, shape (*axes). Interior alone is the foreground probability.
    threshold
        Of the foreground.
    h
        How far a peak must rise above the saddle to be an object of its own; 1 is the depth of a
        typical object.
    smooth
        Standard deviation of a Gaussian over the landscape, pixels.
    least
        Smallest object, pixels.
    spacing
        Of the axes, any unit.

    Returns
    -------
    Labels 1 … n of shape (*axes), 0 outside.

    References
    ----------
    Caicedo et al. (2019), Cytometry A 95, 952-965: nuclei from three classes.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :36]
    >>> two = (np.hypot(y - 10, x - 10) < 8) | (np.hypot(y - 10, x - 24) < 8)
    >>> instances_from_probability(two.astype(float)).max()
    np.int32(2)
    """
    from scipy.ndimage import gaussian_filter

    inner = np.asarray(interior, float)
    edge = np.zeros_like(inner) if boundary is None else np.asarray(boundary, float)
    if inner.shape != edge.shape:
        raise DataError(f"Interior has shape {inner.shape} and boundary {edge.shape}: one grid.")
    steps = tuple(spacing or (1.0,) * inner.ndim)
    mask = inner + edge > threshold
    far = depth(mask, steps)
    landscape = far / typical_depth(far)
    if boundary is not None:
        landscape = landscape + TOLD * (inner - edge)
    landscape = gaussian_filter(landscape, per_axis(smooth, steps))
    return keep_objects(flood(landscape, find_peaks(landscape, h, mask), mask), least)


def typical_depth(far: ArrayLike, least: float = 1.5) -> float:
    """Return the median depth of the objects of a mask: how deep a pixel that is deepest around.

    Parameters
    ----------
    far
        Depth in the mask, as from `depth`.
    least
        Shallower peaks are specks and do not count; 3 pixels are returned if all are.

    Examples
    --------
    >>> typical_depth(depth(np.pad(np.ones((9, 9)), 1)))
    5.0
    """
    from scipy.ndimage import maximum_filter

    array = np.asarray(far, float)
    peaks = array[(array == maximum_filter(array, size=5)) & (array > least)]
    return float(np.median(peaks)) if peaks.size else 3.0


def boundary_targets(labels: ArrayLike, width: int = 1) -> NDArray[np.int8]:
    """Return the classes background 0, interior 1 and boundary 2 of numbered objects.

    The boundary is the rim of each object, `width` pixels wide, within the object: two that touch
    have two rims between them.

    Examples
    --------
    >>> boundary_targets([0, 1, 1, 1, 2, 2, 2, 0]).tolist()
    [0, 2, 1, 2, 2, 1, 2, 0]
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    array = np.asarray(labels, np.int32)
    size = 2 * width + 1
    # Beyond the edge of the image an object is taken to go on.
    rim = maximum_filter(array, size, mode="nearest") != minimum_filter(array, size, mode="nearest")
    target = np.where(array > 0, INTERIOR, BACKGROUND)
    return np.where(rim & (array > 0), BOUNDARY, target).astype(np.int8)
