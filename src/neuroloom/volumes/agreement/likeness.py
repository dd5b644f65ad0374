"""How near an image comes to a reference: errors, signal to noise, structural similarity.

Values are compared in double precision whatever the type of the arrays. (pymia subtracts them as
they are, so that its errors of unsigned integers wrap around.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.learn.dense.measures.overlap import same_grid

Floats = NDArray[np.float64]
WINDOW = 7
STABLE = (0.01, 0.03)


def _both(reference: ArrayLike, image: ArrayLike) -> tuple[Floats, Floats]:
    a, b = same_grid(reference, image)
    return a.astype(float), b.astype(float)


def _over(top: Any, bottom: Any) -> float:
    return float(top / bottom) if bottom else float("nan")


def mean_absolute_error(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the mean of |reference - image|, in the unit of the image.

    Examples
    --------
    >>> mean_absolute_error([0, 2], [1, 2])
    0.5
    """
    a, b = _both(reference, image)
    return float(np.abs(a - b).mean())


def mean_squared_error(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the mean of (reference - image)^2.

    Examples
    --------
    >>> mean_squared_error([0, 2], [2, 2])
    2.0
    """
    a, b = _both(reference, image)
    return float(np.square(a - b).mean())


def root_mean_squared_error(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the square root of the mean squared error, in the unit of the image.

    Examples
    --------
    >>> root_mean_squared_error([0, 0], [2, 2])
    2.0
    """
    return float(np.sqrt(mean_squared_error(reference, image)))


def normalised_error(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the root mean squared error per range of the reference; NaN where that is 0.

    Examples
    --------
    >>> normalised_error([0, 4], [2, 2])
    0.5
    """
    return _over(root_mean_squared_error(reference, image), np.ptp(_both(reference, image)[0]))


def explained(reference: ArrayLike, image: ArrayLike) -> float:
    """Return R^2 over voxels: 1 - squared error / squares of the reference about its mean.

    Examples
    --------
    >>> explained([0, 1, 2], [0, 1, 1])
    0.5
    """
    a, b = _both(reference, image)
    return 1 - _over(np.square(a - b).sum(), np.square(a - a.mean()).sum())


def signal_to_noise(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the peak signal-to-noise ratio in dB; the peak is the largest reference value.

    Infinite where the two are equal.

    Examples
    --------
    >>> signal_to_noise([0, 10], [1, 9])
    20.0
    """
    a, b = _both(reference, image)
    error = np.square(a - b).mean()
    return float(10 * np.log10(a.max() ** 2 / error)) if error else float("inf")


def structural_similarity(reference: ArrayLike, image: ArrayLike) -> float:
    """Return the mean structural similarity in windows of 7 voxels a side.

    Wang et al. 2004, eq. 13, with sample variances, K = (0.01, 0.03) and the largest reference
    value as the range; windows lie wholly inside.

    Parameters
    ----------
    reference, image
        Arrays (*axes) of at least 7 voxels a side.

    Returns
    -------
    At most 1; NaN where an axis is shorter than the window.

    Examples
    --------
    >>> structural_similarity(np.eye(9), np.eye(9))
    1.0
    """
    from scipy.ndimage import uniform_filter

    a, b = _both(reference, image)
    if min(a.shape) < WINDOW:
        return float("nan")
    n = WINDOW**a.ndim
    inner = (slice(WINDOW // 2, -(WINDOW // 2)),) * a.ndim
    mean_a, mean_b, aa, bb, ab = (
        uniform_filter(x, WINDOW)[inner] for x in (a, b, a * a, b * b, a * b)
    )
    sample = n / (n - 1)
    var_a, var_b = sample * (aa - mean_a**2), sample * (bb - mean_b**2)
    cov = sample * (ab - mean_a * mean_b)
    flat, spread = ((k * a.max()) ** 2 for k in STABLE)
    top = (2 * mean_a * mean_b + flat) * (2 * cov + spread)
    return float((top / ((mean_a**2 + mean_b**2 + flat) * (var_a + var_b + spread))).mean())
