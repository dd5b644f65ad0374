"""From masks to numbered objects; nuclei whose size the image itself tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroloom.microscopy.instances import (
    depth,
    find_peaks,
    flood,
    keep_objects,
    per_axis,
    typical_depth,
)
from neuroloom.microscopy.pipelines.masks import fill_holes, find_threshold

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

ROUNDS = 3


def number_objects(mask: Mask) -> Labels:
    """Return connected objects numbered, corners included.

    Examples
    --------
    >>> number_objects(np.array([1, 0, 1], bool)).tolist()
    [1, 0, 2]
    """
    from scipy.ndimage import label

    return label(mask, np.ones((3,) * mask.ndim))[0].astype(np.int32)


def cut(mask: Mask, h: float = 0.1, smooth: float = 1.0, spacing: Sequence[float] = ()) -> Labels:
    """Cut objects that touch at their waists: watershed on the depth of the mask.

    Parameters
    ----------
    mask
        Shape (*axes).
    h
        How much shallower than its neighbours a waist must be; 1 is the depth of a typical object.
    smooth
        Of the depth, pixels.
    spacing
        Of the axes.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :36]
    >>> two = (np.hypot(y - 10, x - 10) < 8) | (np.hypot(y - 10, x - 24) < 8)
    >>> cut(two).max()
    np.int32(2)
    """
    from scipy.ndimage import gaussian_filter

    steps = tuple(spacing) or (1.0,) * mask.ndim
    far = depth(mask, steps)
    landscape = gaussian_filter(far / typical_depth(far), per_axis(smooth, steps))
    return flood(landscape, find_peaks(landscape, h, mask), mask)


def local_foreground(
    image: Image,
    smooth: float = 0.15,
    around: float = 3.0,
    near: float = 1.5,
    spacing: Sequence[float] = (),
) -> Mask:
    """Find bright objects over an uneven background; their size is estimated on the way.

    A first mask by Otsu's threshold tells the typical depth of an object, the radius r. Then the
    image, less its surroundings, is thresholded again; three rounds, each with the radius of the
    one before.

    Parameters
    ----------
    image
        Shape (*axes), best on a logarithmic scale.
    smooth
        Of the image, in units of r.
    around
        Width of the surroundings that are taken off before Otsu's threshold, in units of r.
    near
        Objects are also brighter than their surroundings of this width, in units of r.
    spacing
        Of the axes.

    Examples
    --------
    >>> y, x = np.mgrid[:80, :80]
    >>> image = 1.0 * (np.hypot(y - 40, x - 20) < 8) + (np.hypot(y - 40, x - 60) < 8) + 0.01 * x
    >>> found = local_foreground(image)
    >>> bool(found[40, 20]), bool(found[40, 60]), bool(found[40, 40])
    (True, True, False)
    """
    from scipy.ndimage import gaussian_filter

    steps = tuple(spacing) or (1.0,) * image.ndim
    first = gaussian_filter(image, per_axis(1.0, steps))
    mask = first > find_threshold(first)
    for _ in range(ROUNDS):
        radius = typical_depth(depth(mask, steps))
        calm = gaussian_filter(image, per_axis(max(0.7, smooth * radius), steps))
        over = calm - gaussian_filter(calm, per_axis(around * radius, steps))
        close = calm - gaussian_filter(calm, per_axis(near * radius, steps))
        mask = fill_holes((over > find_threshold(over)) & (close > 0))
    return mask


def split(
    mask: Mask,
    image: Image,
    weight: float = 0.7,
    smooth: float = 0.3,
    h: float = 0.05,
    spacing: Sequence[float] = (),
) -> Labels:
    """Part objects that touch, by their outline and their brightness together.

    The landscape is the depth of the mask in radii, and `weight` times the brightness over the
    surroundings in standard deviations.

    Parameters
    ----------
    mask, image
        Shape (*axes).
    weight
        Of the brightness.
    smooth
        Of the brightness, in radii (the depth gets half of it).
    h
        How far a seed must rise above its saddles.
    spacing
        Of the axes.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :36]
    >>> two = (np.hypot(y - 10, x - 10) < 8) | (np.hypot(y - 10, x - 24) < 8)
    >>> split(two, two.astype(float)).max()
    np.int32(2)
    """
    from scipy.ndimage import gaussian_filter

    steps = tuple(spacing) or (1.0,) * mask.ndim
    far = depth(mask, steps)
    radius = typical_depth(far)
    bright = gaussian_filter(image, per_axis(smooth * radius, steps))
    bright = bright - gaussian_filter(image, per_axis(1.5 * radius, steps))
    unit = float(bright[mask].std()) if mask.any() else 1.0
    form = gaussian_filter(far / radius, per_axis(smooth * radius / 2, steps))
    landscape = form + weight * bright / (unit or 1.0)
    return flood(landscape, find_peaks(landscape, h, mask), mask)


def tighten(
    labels: Labels,
    image: Image,
    share: float = 0.5,
    least: float = 0.25,
    smooth: float = 0.15,
    spacing: Sequence[float] = (),
) -> Labels:
    """Draw each object's outline where it has half its own height over the background.

    A blurred edge lies at half the height, so that one threshold for all would draw bright objects
    too wide. What falls off one and is large and compact enough becomes an object of its own: a
    dim neighbour that a bright one had swallowed.

    Parameters
    ----------
    labels, image
        Shape (*axes); `image` on a linear scale.
    share
        Of the height (the upper quartile of the object), where the outline lies.
    least
        Smallest object, as a share of the disc (ball) of the typical radius.
    smooth
        Of the image, in radii.
    spacing
        Of the axes.

    Examples
    --------
    >>> y, x = np.mgrid[:40, :40] - 20
    >>> image = np.exp(-(y**2 + x**2) / (2 * 5.0**2))
    >>> wide = number_objects(image > 0.05)
    >>> int((wide > 0).sum()) > 2 * int((tighten(wide, image, smooth=0.01) > 0).sum())
    True
    """
    from scipy.ndimage import gaussian_filter

    steps = tuple(spacing) or (1.0,) * labels.ndim
    radius = typical_depth(depth(labels > 0, steps))
    calm = gaussian_filter(np.asarray(image, float), per_axis(smooth * radius, steps))
    height = calm - _background(calm, labels, radius, steps)
    core = (labels > 0) & (height > share * _tops(height, labels)[labels])
    out = np.where(core, labels, 0).astype(np.int32)
    size = least * _ball(radius, steps)
    rest = _rest((labels > 0) & ~core, radius, size)
    out = np.where(rest > 0, rest + labels.max(), out)
    return keep_objects(_whole(out), size)


def _background(image: Image, labels: Labels, radius: float, steps: tuple[float, ...]) -> Image:
    """Return the mean of what lies outside objects, weighted by nearness."""
    from scipy.ndimage import binary_dilation, gaussian_filter

    margin = max(1, round(0.3 * radius))
    outside = (~binary_dilation(labels > 0, iterations=margin)).astype(float)
    width = per_axis(4 * radius, steps)
    weight = gaussian_filter(outside, width)
    mean = gaussian_filter(image * outside, width) / np.maximum(weight, 1e-6)
    far = float(np.median(image[outside > 0])) if outside.any() else float(image.min())
    return np.where(weight > 1e-3, mean, far)


def _tops(height: Image, labels: Labels) -> NDArray[np.float64]:
    from scipy.ndimage import find_objects

    tops = [0.0]
    for number, box in enumerate(find_objects(labels), start=1):
        own = height[box][labels[box] == number] if box else height[:0]
        tops.append(float(np.percentile(own, 75)) if own.size else 0.0)
    return np.array(tops)


def _ball(radius: float, steps: tuple[float, ...]) -> float:
    """Return how many pixels a disc, or ball, of a radius in pixels of the last axis has."""
    volume = {1: 2 * radius, 2: np.pi * radius**2}.get(len(steps), 4 / 3 * np.pi * radius**3)
    return float(volume * np.prod([steps[-1] / step for step in steps]))


def _rest(rest: Mask, radius: float, least: float) -> Labels:
    from scipy.ndimage import binary_opening, label
    from skimage.morphology import ball, disk

    reach = max(1, round(0.35 * radius))
    element = disk(reach) if rest.ndim == 2 else ball(reach)
    return keep_objects(label(binary_opening(rest, element))[0], least)


def _whole(labels: Labels) -> Labels:
    """Keep the largest piece of each object and fill its holes."""
    from scipy.ndimage import binary_fill_holes, find_objects, label

    out = labels.copy()
    for number, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        own = labels[box] == number
        pieces, count = label(own)
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            out[box][own & (pieces != sizes.argmax())] = 0
            own = pieces == sizes.argmax()
        out[box][binary_fill_holes(own) & (out[box] == 0)] = number
    return out
