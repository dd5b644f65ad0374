"""Covariances of trials, and what makes them fit to be inverted."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import DataError

RANK_TOLERANCE = 1e-9
FLOOR = 1e-12
CHUNK = 256


def trial_covariances(x: np.ndarray) -> np.ndarray:
    """Return the covariance of each trial over time, in float64.

    Parameters
    ----------
    x
        Shape (trial, channel, time).

    Returns
    -------
    Shape (trial, channel, channel), squared unit of `x`.

    Raises
    ------
    DataError
        If `x` has another shape, or a value that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> trial_covariances(np.array([[[1.0, -1.0]]])).ravel().tolist()
    [1.0]
    """
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(f"Expected trials of shape (trial, channel, time), got {x.shape}.")
    covariances = np.empty((len(x), x.shape[1], x.shape[1]))
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK].astype(np.float64)
        part -= part.mean(axis=2, keepdims=True)
        covariances[start : start + CHUNK] = part @ part.swapaxes(1, 2) / x.shape[2]
    check_finite(np.diagonal(covariances, axis1=1, axis2=2))
    return covariances


def shrink_oas(covariance: np.ndarray, samples: int) -> np.ndarray:
    """Shrink covariances towards a multiple of the identity by oracle approximating shrinkage.

    Parameters
    ----------
    covariance
        Shape (…, channel, channel).
    samples
        Number of samples behind each.

    References
    ----------
    Chen et al. (2010), equation 23, without the `2 / p` terms, as scikit-learn has it.

    Examples
    --------
    >>> import numpy as np
    >>> shrink_oas(np.diag([2.0, 0.0]), samples=1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    size = covariance.shape[-1]
    level = np.trace(covariance, axis1=-2, axis2=-1) / size
    power = np.mean(covariance**2, axis=(-2, -1))
    excess = (samples + 1) * (power - level**2 / size)
    amount = np.divide(power + level**2, excess, out=np.ones_like(power), where=excess > 0)
    amount = np.minimum(amount, 1.0)[..., None, None]
    return (1 - amount) * covariance + amount * level[..., None, None] * np.eye(size)


def whitener(covariances: np.ndarray) -> np.ndarray:
    """Return W, shape (channel, rank), such that W' C W = I for the mean covariance C.

    Channels are brought to one scale first, so a weak unit (T beside V) does not count as no
    variance; directions below `RANK_TOLERANCE` of the strongest are left out.

    Raises
    ------
    DataError
        If no channel varies.
    """
    mean = covariances.mean(axis=0)
    scale = np.sqrt(np.diag(mean))
    if not scale.max() > 0:
        raise DataError(
            f"All {len(scale)} channels are flat in the training trials: nothing to learn. "
            "Check the file, the units and the reference."
        )
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(mean * inverse * inverse[:, None])
    keep = values > values.max() * RANK_TOLERANCE
    return inverse[:, None] * vectors[:, keep] / np.sqrt(values[keep])


def whiten(covariances: np.ndarray, white: np.ndarray, samples: int) -> np.ndarray:
    """Return shrunk covariances (trial, rank, rank) of the channels whitened by `white`.

    A trial that is flat has no logarithm; the floor that is added lies far below any real trial.
    """
    shrunk = shrink_oas(white.T @ covariances @ white, samples)
    return shrunk + FLOOR * np.eye(white.shape[1])


def check_finite(values: np.ndarray) -> None:
    """Raise a DataError unless `values`, of shape (trial, channel), are finite."""
    bad = ~np.isfinite(values)
    if bad.any():
        trial, channel = np.argwhere(bad)[0]
        raise DataError(
            f"Trial {trial}, channel {channel} (counted from 0) holds NaN or infinite values; "
            f"{bad.any(axis=1).sum()} of {len(bad)} trials do. Reject them, or drop the channel."
        )
