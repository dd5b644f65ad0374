"""From image and mask to grey levels: interpolation, re-segmentation, bins (IBSI section 2)."""

from __future__ import annotations

import math

import numpy as np

from neuroloom.core.errors import DataError

Spacing = tuple[float, float, float]


def interpolate(array: np.ndarray, spacing: Spacing, target: Spacing, order: int = 1) -> np.ndarray:
    """Resample onto a grid of another voxel size with the same centre (IBSI 2.4).

    Parameters
    ----------
    array
        Image, or mask as numbers, (z, y, x).
    spacing, target
        Size of the voxels before and after, mm.
    order
        1 trilinear, 3 cubic spline, 0 nearest neighbour.

    Examples
    --------
    >>> interpolate(np.arange(4.0).reshape(1, 1, 4), (1, 1, 1), (1, 1, 2)).ravel().tolist()
    [0.5, 2.5]
    """
    from scipy.ndimage import affine_transform

    scale = np.asarray(target, float) / np.asarray(spacing, float)
    shape = [math.ceil(n / s - 1e-9) for n, s in zip(array.shape, scale, strict=True)]
    # Grids share their centre: (new - (m - 1) / 2) * scale + (n - 1) / 2.
    offset = (np.array(array.shape) - 1) / 2 - scale * (np.array(shape) - 1) / 2
    values = array.astype(float)
    return affine_transform(values, scale, offset, tuple(shape), order=order, mode="nearest")


def resegment(
    image: np.ndarray,
    mask: np.ndarray,
    inside: tuple[float, float] | None = None,
    sigmas: float | None = None,
) -> np.ndarray:
    """Return the mask without intensities out of range and without outliers (IBSI 2.5).

    Both criteria are measured on the mask as it came: outliers before the range is applied.

    Examples
    --------
    >>> image = np.array([[[-900.0, 10, 20]]])
    >>> resegment(image, np.ones((1, 1, 3), bool), inside=(-500, 400)).ravel().tolist()
    [False, True, True]
    """
    kept = mask.copy()
    if inside is not None:
        kept &= (image >= inside[0]) & (image <= inside[1])
    if sigmas is not None:
        mean, spread = image[mask].mean(), image[mask].std()
        kept &= np.abs(image - mean) <= sigmas * spread
    if not kept.any():
        raise DataError(
            f"No voxel of the region is left after re-segmentation (range {inside}, outliers "
            f"{sigmas}): its intensities go from {image[mask].min():g} to {image[mask].max():g}. "
            "Widen the range, or check the unit of the image."
        )
    return kept


def bin_number(x: np.ndarray, bins: int) -> np.ndarray:
    """Return levels 1..bins of equal width over the values' own range (FBN, IBSI 2.7).

    Examples
    --------
    >>> bin_number(np.array([0.0, 0.4, 0.6, 1.0]), 2).tolist()
    [1, 1, 2, 2]
    """
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return np.ones(x.shape, np.int64)
    level = np.floor(bins * ((x - low) / (high - low))).astype(np.int64) + 1
    return np.minimum(level, bins)


def bin_size(x: np.ndarray, width: float, start: float | None = None) -> np.ndarray:
    """Return levels of a fixed width from `start`, or the smallest value (FBS, IBSI 2.7).

    Examples
    --------
    >>> bin_size(np.array([-10.0, 0.0, 24.9, 25.0]), 25, start=-25).tolist()
    [1, 2, 2, 3]
    """
    low = float(x.min()) if start is None else start
    level = np.floor((x - low) / width).astype(np.int64) + 1
    if level.min() < 1:
        raise DataError(
            f"The region has intensities down to {x.min():g}, below the first bin's edge {low:g}. "
            "Re-segment to the range that the bins start from."
        )
    return level


def whole_levels(x: np.ndarray) -> np.ndarray:
    """Return intensities that are levels already: whole numbers; the smallest is at least 1.

    Examples
    --------
    >>> whole_levels(np.array([1.0, 6.0])).tolist()
    [1, 6]
    """
    level = np.rint(x).astype(np.int64)
    if not np.allclose(x, level, atol=1e-6):
        raise DataError(
            "discretise=none takes the intensities as grey levels, but they are no whole numbers. "
            "Choose discretise=number or discretise=width."
        )
    return level if level.min() >= 1 else level - level.min() + 1
