"""Thresholds that make masks, and what mends a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.microscopy.pipelines.smooth import sigmas

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Method = Literal["otsu", "triangle", "median", "average"]
METHODS = ("otsu", "triangle", "median", "average")


def find_threshold(values: Image, method: Method = "otsu") -> float:
    """Return a global threshold: Otsu's, the triangle's, the median, or the mean of the last two.

    Examples
    --------
    >>> 0.1 <= find_threshold(np.array([0.1, 0.1, 0.9, 0.9])) < 0.9
    True
    """
    from skimage.filters import threshold_otsu, threshold_triangle

    if method not in METHODS:
        raise ConfigError(f"method: must be one of {', '.join(METHODS)}, got {method!r}."
                          f"{nearest(method, METHODS)}")  # fmt: skip
    if float(np.ptp(values)) == 0:
        return float(values.flat[0]) if values.size else 0.0
    if method == "otsu":
        return float(threshold_otsu(values))
    triangle, median = float(threshold_triangle(values)), float(np.percentile(values, 50))
    return {"triangle": triangle, "median": median, "average": (triangle + median) / 2}[method]


def threshold(image: Image, method: Method = "otsu", factor: float = 1.0) -> Mask:
    """Return where an image is above a global threshold times `factor`.

    Examples
    --------
    >>> threshold(np.array([0.1, 0.2, 0.8, 0.9])).tolist()
    [False, False, True, True]
    """
    return np.asarray(image) > factor * find_threshold(image, method)


def masked_threshold(
    image: Image, method: Method = "triangle", least: int = 100, factor: float = 1.0
) -> Mask:
    """Threshold twice: a low global threshold finds objects, Otsu's within each its outline.

    Parameters
    ----------
    image
        Shape (*axes).
    method
        Of the global threshold.
    least
        Objects of fewer pixels are dropped first.
    factor
        By which each object's own threshold is multiplied; below 1 is laxer.

    References
    ----------
    Chen et al. (2018), bioRxiv 491035: masked object thresholding.

    Examples
    --------
    >>> image = np.zeros((20, 40))
    >>> image[5:15, 5:15], image[8:12, 8:12] = 0.2, 0.4  # dim
    >>> image[5:15, 25:35], image[8:12, 28:32] = 1.0, 2.0  # bright
    >>> int(masked_threshold(image).sum())
    32
    """
    from scipy.ndimage import find_objects, label

    low = remove_small(np.asarray(image) > find_threshold(image, method), least)
    labels, _ = label(low, np.ones((3,) * image.ndim))
    found = np.zeros(image.shape, bool)
    for number, box in enumerate(find_objects(labels), start=1):
        own = labels[box] == number
        limit = factor * find_threshold(image[box][own])
        found[box] |= own & (image[box] > limit)
    return found


def local_threshold(
    image: Image, sigma: float = 10.0, offset: float = 0.0, slices: bool = False,
    spacing: Sequence[float] = (),
) -> Mask:  # fmt: skip
    """Return where an image is brighter than its Gaussian-weighted surroundings by `offset`.

    Examples
    --------
    >>> ramp = np.arange(20.0)
    >>> ramp[10] += 5
    >>> local_threshold(ramp, 2.0, 1.0).nonzero()[0].tolist()
    [10, 19]
    """
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(np.asarray(image, float), sigmas(image, sigma, slices, spacing))
    return image > around + offset


def fill_holes(mask: Mask, largest: float = np.inf, slices: bool = False) -> Mask:
    """Fill holes of up to `largest` pixels; in each slice alone if `slices`.

    Examples
    --------
    >>> ring = np.pad(np.zeros((1, 1), bool), 1, constant_values=True)
    >>> bool(fill_holes(ring).all())
    True
    """
    from scipy.ndimage import binary_fill_holes, label

    if slices and mask.ndim == 3:
        return np.stack([fill_holes(part, largest) for part in mask])
    holes = binary_fill_holes(mask) & ~mask
    if np.isfinite(largest):
        labels, _ = label(holes)
        holes &= np.bincount(labels.ravel())[labels] <= largest
    return mask | holes


def remove_small(mask: NDArray[Any], least: float, slices: bool = False) -> NDArray[Any]:
    """Drop objects of fewer than `least` pixels from a mask, or from labels.

    Examples
    --------
    >>> remove_small(np.array([1, 0, 1, 1], bool), 2).tolist()
    [False, False, True, True]
    """
    from scipy.ndimage import label

    from neuroloom.microscopy.instances import keep_objects

    if mask.dtype != bool:
        return keep_objects(mask, least)
    if slices and mask.ndim == 3:
        return np.stack([remove_small(part, least) for part in mask])
    labels, _ = label(mask, np.ones((3,) * mask.ndim))
    return mask & (np.bincount(labels.ravel())[labels] >= least)


def thin(mask: Mask, by: int = 1, keep: int = 1) -> Mask:
    """Thin objects by up to `by` pixels on each side without breaking or opening them.

    Works slice by slice.

    Parameters
    ----------
    mask
        Shape (y, x) or (z, y, x).
    by
        How many layers of pixels to take off.
    keep
        Half the width below which nothing is thinned, pixels.

    References
    ----------
    Guo & Hall (1989), Communications of the ACM 32, 359-373: thinning that keeps the topology.

    Examples
    --------
    >>> bar = np.zeros((9, 20), bool)
    >>> bar[2:7, 2:18] = True
    >>> thin(bar, by=1)[:, 10].nonzero()[0].tolist()
    [3, 4, 5]
    """
    if mask.ndim == 3:
        return np.stack([thin(part, by, keep) for part in mask])
    from scipy.ndimage import binary_dilation
    from skimage.morphology import skeletonize
    from skimage.morphology import thin as guo_hall

    # One call of two steps takes a layer off all around; what is within `keep` of the skeleton
    # comes back.
    thinned = guo_hall(mask, max_num_iter=by)
    if keep > 1:
        near = binary_dilation(skeletonize(mask), iterations=keep - 1, mask=mask)
        thinned |= near
    return thinned
