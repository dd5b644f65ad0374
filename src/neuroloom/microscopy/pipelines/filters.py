"""Filters that answer to spots and to filaments, and the size at which they answer most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.microscopy.pipelines.smooth import sigmas

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Scales = Sequence[Sequence[float]]
Structure = Literal["spot", "filament"]


def spot_response(
    image: Image, sigma: float, slices: bool = False, spacing: Sequence[float] = ()
) -> Image:
    """Return how much each pixel is the centre of a bright spot: -sigma^2 times the LoG.

    Parameters
    ----------
    image
        Shape (*axes).
    sigma
        Of the Gaussian, pixels of the last axis.
    slices
        Look at each slice alone.
    spacing
        Of the axes.

    References
    ----------
    Lindeberg (1998), International Journal of Computer Vision 30, 79-116.

    Examples
    --------
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> spot = np.exp(-(y**2 + x**2) / (2 * 3.0**2))
    >>> round(float(spot_response(spot, 3.0)[10, 10]), 2)  # 1/2 at the spot's own size
    0.5
    """
    return -_strength(_curvatures(image, sigma, slices, spacing), sigma)


def _strength(curvatures: list[Image], sigma: float) -> Image:
    return sigma**2 * np.sum(curvatures, axis=0)


def _curvatures(image: Image, sigma: float, slices: bool, spacing: Sequence[float]) -> list[Image]:
    """Return the second derivative along each axis, per pixel of the last axis squared."""
    each = sigmas(image, sigma, slices, spacing)
    axes = [axis for axis, width in enumerate(each) if width > 0]
    return [_derivative(image, each, (axis, axis), sigma) for axis in axes]


def _derivative(
    image: Image, each: tuple[float, ...], along: tuple[int, int], unit: float
) -> Image:
    from scipy.ndimage import gaussian_filter

    order = [0] * image.ndim
    for axis in along:
        order[axis] += 1
    # A step along a coarse axis is worth more pixels of the last one.
    scale = (each[along[0]] / unit) * (each[along[1]] / unit)
    return scale * gaussian_filter(np.asarray(image, float), each, order=order, truncate=5.0)


def ridge_curvatures(
    image: Image, sigma: float, slices: bool = False, spacing: Sequence[float] = ()
) -> Image:
    """Return the eigenvalues of the Hessian, sign turned, so that bright ridges are positive.

    Returns
    -------
    Shape (*axes, axis), rising, per pixel squared: across a bright tube all but the first are high.

    Examples
    --------
    >>> line = np.zeros((15, 15))
    >>> line[7] = 1
    >>> ridge_curvatures(line, 1.0)[7, 7].round(2).tolist()
    [0.0, 0.4]
    """
    each = sigmas(image, sigma, slices, spacing)
    axes = [axis for axis, width in enumerate(each) if width > 0]
    hessian = np.empty((*image.shape, len(axes), len(axes)))
    for i, first in enumerate(axes):
        for j, second in enumerate(axes[: i + 1]):
            part = -_derivative(image, each, (first, second), sigma)
            hessian[..., i, j] = hessian[..., j, i] = part
    return np.linalg.eigvalsh(hessian)


def ridge_strength(
    image: Image, sigma: float, slices: bool = False, spacing: Sequence[float] = ()
) -> Image:
    """Return how strongly each pixel lies on a bright ridge or tube, normalised over scales.

    In 2-D sigma^1.5 times the curvature across, in 3-D sigma^2 times the mean of the two: both are
    highest where sigma equals the standard deviation of the tube's profile.

    References
    ----------
    Lindeberg (1998), International Journal of Computer Vision 30, 117-154: gamma 3/4 for ridges.

    Examples
    --------
    >>> line = np.zeros((15, 15))
    >>> line[7] = 1
    >>> bool(ridge_strength(line, 1.0).argmax() // 15 == 7)
    True
    """
    curvatures = ridge_curvatures(image, sigma, slices, spacing)
    power = 1.5 if curvatures.shape[-1] == 2 else 2.0
    return sigma**power * curvatures[..., 1:].mean(axis=-1).clip(0)


def vesselness(
    image: Image,
    sigma: float,
    slices: bool = False,
    tau: float = 1.0,
    spacing: Sequence[float] = (),
) -> Image:
    """Return how much like a tube each pixel's surroundings are, 0 to 1, at even contrast.

    Parameters
    ----------
    image
        Shape (*axes).
    sigma
        Pixels of the last axis.
    slices
        Look at each slice alone.
    tau
        0 to 1: lower answers fully to weaker tubes, and to noise.
    spacing
        Of the axes.

    References
    ----------
    Jerman et al. (2016), IEEE Transactions on Medical Imaging 35, 2107-2118, eq. 10-13.

    Examples
    --------
    >>> line = np.zeros((15, 15))
    >>> line[7] = 1
    >>> float(vesselness(line, 1.0)[7, 7]), float(vesselness(line, 1.0)[1, 1])
    (1.0, 0.0)
    """
    curvatures = sigma**2 * ridge_curvatures(image, sigma, slices, spacing)
    second, last = curvatures[..., 1], curvatures[..., -1]
    floor = tau * float(last.max())
    strong = np.where(last > floor, last, np.where(last > 0, floor, 0.0))
    safe = np.where(strong > 0, second + strong, 1.0)
    grown = second**2 * (strong - second) * (3 / np.where(safe == 0, 1.0, safe)) ** 3
    response = np.where(second >= strong / 2, 1.0, grown)
    return np.where((second > 1e-12) & (strong > 0), response, 0.0)


def spots(
    image: Image,
    scales: Scales = ((1.0, 0.04),),
    slices: bool = False,
    spacing: Sequence[float] = (),
) -> Mask:
    """Return where the spot filter passes its cutoff at any of some scales.

    Parameters
    ----------
    image
        Shape (*axes), intensities 0 to 1.
    scales
        Pairs of sigma (pixels of the last axis) and cutoff.
    slices
        Look at each slice alone.
    spacing
        Of the axes.

    Examples
    --------
    >>> image = np.zeros((9, 9))
    >>> image[4, 4] = 1
    >>> int(spots(image, [[1.0, 0.1]]).sum())
    1
    """
    found = np.zeros(image.shape, bool)
    for sigma, cutoff in _pairs(scales):
        found |= spot_response(image, sigma, slices, spacing) > cutoff
    return found


def filaments(
    image: Image,
    scales: Scales = ((1.0, 0.2),),
    slices: bool = False,
    tau: float = 1.0,
    spacing: Sequence[float] = (),
) -> Mask:
    """Return where the filament filter passes its cutoff at any of some scales.

    Parameters
    ----------
    image, scales, slices, spacing
        As of `spots`.
    tau
        As of `vesselness`.

    Examples
    --------
    >>> line = np.zeros((15, 15))
    >>> line[7] = 1
    >>> filaments(line, [[1.0, 0.5]]).any(axis=1).nonzero()[0].tolist()
    [7]
    """
    found = np.zeros(image.shape, bool)
    for sigma, cutoff in _pairs(scales):
        found |= vesselness(image, sigma, slices, tau, spacing) > cutoff
    return found


def _pairs(scales: Scales) -> list[tuple[float, float]]:
    try:
        return [(float(sigma), float(cutoff)) for sigma, cutoff in scales]
    except (TypeError, ValueError):
        raise ConfigError(
            f"scales: must be pairs [sigma, cutoff] such as [[1.0, 0.04]], got {scales!r}."
        ) from None


def measure_width(
    image: Image,
    at: Sequence[int],
    structure: Structure,
    widths: Sequence[float] = tuple(np.geomspace(0.7, 12, 25)),
    spacing: Sequence[float] = (),
) -> float:
    """Return the standard deviation of a Gaussian spot's, or filament's, profile.

    The scale at which the filter answers most tells the width: for a spot of standard deviation s
    in D dimensions it is sigma = s sqrt(2 / D), for a filament s itself.

    Parameters
    ----------
    image
        Shape (*axes).
    at
        A pixel at the centre.
    structure
        "spot" or "filament".
    widths
        Scales to try, pixels, rising; the best is interpolated between them.
    spacing
        Of the axes.

    Raises
    ------
    DataError
        If the answer is highest at an end of `widths`: the width lies beyond.

    References
    ----------
    Lindeberg (1998), International Journal of Computer Vision 30, 79-116 and 117-154.

    Examples
    --------
    >>> y, x = np.mgrid[:41, :41] - 20
    >>> round(measure_width(np.exp(-(y**2 + x**2) / (2 * 3.0**2)), (20, 20), "spot"), 1)
    3.0
    """
    measure = spot_response if structure == "spot" else ridge_strength
    place = tuple(int(position) for position in at)
    answers = np.array(
        [measure(image, width, spacing=spacing)[place] for width in widths]  # type: ignore[operator]
    )
    best = int(answers.argmax())
    if best in (0, len(widths) - 1):
        raise DataError(
            f"The {structure} at {place} is narrower or wider than {widths[0]:.2g} to "
            f"{widths[-1]:.2g} pixels; give other `widths`."
        )
    near = slice(best - 1, best + 2)
    a, b, _ = np.polyfit(np.log(np.asarray(widths)[near]), answers[near], 2)
    sigma = float(np.exp(-b / (2 * a)))
    return float(sigma / np.sqrt(2 / image.ndim)) if structure == "spot" else sigma
