"""First steps of a pipeline: intensities on one scale, and less noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.microscopy.instances import per_axis

Image = NDArray[np.floating]


def suggest_scaling(image: Image) -> tuple[float, float]:
    """Return how many standard deviations below and above the mean an image reaches.

    The darkest pixel, and the 99.99th percentile, in steps of a half outwards: what `normalise`
    takes so that neither structures are cut nor a few hot pixels rule the scale.

    Examples
    --------
    >>> suggest_scaling(np.r_[np.zeros(90), np.ones(10)])
    (0.5, 3.0)
    """
    mean, spread = float(image.mean()), float(image.std()) or 1.0
    below = np.ceil(2 * (mean - float(image.min())) / spread - 1e-9) / 2
    above = np.ceil(2 * (float(np.percentile(image, 99.99)) - mean) / spread - 1e-9) / 2
    return float(below), float(above)


def normalise(image: Image, below: float | None = None, above: float | None = None) -> Image:
    """Cut an image `below` and `above` standard deviations from its mean, and stretch it to 0 … 1.

    Parameters
    ----------
    image
        Shape (*axes).
    below, above
        None for what `suggest_scaling` says.

    References
    ----------
    Chen et al. (2018), bioRxiv 491035: the Allen Cell and Structure Segmenter.

    Examples
    --------
    >>> normalise(np.array([0.0, 5.0, 10.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = suggest_scaling(image)
    low, high = (low if below is None else below), (high if above is None else above)
    mean, spread = image.mean(), image.std()
    cut = np.clip(image, mean - low * spread, mean + high * spread)
    reach = float(np.ptp(cut))
    return (cut - cut.min()) / reach if reach > 0 else np.zeros_like(cut)


def stretch(image: Image, low: float, high: float) -> Image:
    """Cut an image at two absolute intensities and stretch it to 0 … 1.

    Examples
    --------
    >>> stretch(np.array([0.0, 5.0, 20.0]), 5, 15).tolist()
    [0.0, 0.0, 1.0]
    """
    return np.clip((image - low) / (high - low), 0, 1)


def compress(image: Image) -> Image:
    """Take the logarithm over a floor: a bright object and a dim one get edges of one size.

    The floor is half the first percentile, and at least a thousandth of the range.

    Examples
    --------
    >>> compress(np.array([1.0, 1.0, 1001.0])).round(1).tolist()
    [0.9, 0.9, 6.9]
    """
    lifted = image - min(float(image.min()), 0.0)
    floor = 0.5 * float(np.percentile(lifted, 1)) + 1e-3 * float(lifted.max())
    return np.log(lifted + (floor or 1.0))


def smooth(
    image: Image, sigma: float = 1.0, slices: bool = False, spacing: Sequence[float] = ()
) -> Image:
    """Smooth with a Gaussian.

    Parameters
    ----------
    image
        Shape (*axes).
    sigma
        Standard deviation, pixels of the last axis.
    slices
        Smooth each slice alone.
    spacing
        Of the axes; coarser axes are smoothed over fewer pixels.

    Examples
    --------
    >>> smooth(np.array([0.0, 0, 1, 0, 0]), 0.5).round(2).tolist()
    [0.0, 0.11, 0.79, 0.11, 0.0]
    """
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.asarray(image, float), sigmas(image, sigma, slices, spacing))


def sigmas(
    image: NDArray[Any], sigma: float, slices: bool = False, spacing: Sequence[float] = ()
) -> tuple[float, ...]:
    """Return a Gaussian's standard deviation along each axis; 0 across slices.

    Examples
    --------
    >>> sigmas(np.zeros((3, 4, 4)), 2.0, spacing=(2.0, 1.0, 1.0))
    (1.0, 2.0, 2.0)
    """
    each = per_axis(sigma, tuple(spacing) or (1.0,) * image.ndim)
    return (0.0, *each[1:]) if slices and image.ndim == 3 else each


def smooth_edges(
    image: Image, steps: int = 10, conductance: float = 1.2, slices: bool = False
) -> Image:
    """Smooth by diffusion that stops at edges.

    Each step lets neighbours flow together by exp(-(difference / (conductance x rms
    difference))^2 / 2).

    Parameters
    ----------
    image
        Shape (*axes).
    steps
        Of diffusion.
    conductance
        Higher smooths over higher edges.
    slices
        Diffuse within each slice alone.

    References
    ----------
    Perona & Malik (1990), IEEE TPAMI 12, 629-639.

    Examples
    --------
    >>> step = np.r_[np.zeros(8), np.ones(8)] + 0.05 * np.cos(np.arange(16) * np.pi)
    >>> float(np.abs(smooth_edges(step)[:7]).max()) < 0.05
    True
    """
    out = np.array(image, float)
    axes = range(1, out.ndim) if slices and out.ndim == 3 else range(out.ndim)
    pace = 1.0 / (2 * len(axes) + 2)  # stable below 1 / (2 axes)
    for _ in range(steps):
        jumps = [np.diff(out, axis=axis) for axis in axes]
        size = np.sqrt(np.mean([np.mean(jump**2) for jump in jumps]))
        if size == 0:
            return out
        for axis, jump in zip(axes, jumps, strict=True):
            flow = pace * jump * np.exp(-((jump / (conductance * size)) ** 2) / 2)
            edge = [(0, 0)] * out.ndim
            edge[axis] = (1, 1)
            out += np.diff(np.pad(flow, edge), axis=axis)
    return out
