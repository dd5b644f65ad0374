"""What is done to the trials of a recording together: alignment, and rejection by amplitude."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import ConfigError, DataError


def euclidean_align(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whiten each group of trials by the inverse square root of its mean covariance.

    Label-blind, but it sees all trials of a group, also of a test run. With fewer than ten samples
    a channel the covariance is shrunk (OAS) first; directions without variance are left out.

    Parameters
    ----------
    x
        Shape (trial, channel, time), any unit.
    groups
        Shape (trial,): what is aligned together, usually the run or the session.

    Returns
    -------
    Same shape and precision, no unit; the mean covariance of each group is the identity.

    References
    ----------
    He & Wu (2020), IEEE Trans. Biomed. Eng. 67(2), 399-410, equations 10 and 11.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(8, 3, 200))
    >>> z = euclidean_align(x, np.repeat([0, 1], 4))
    >>> bool(np.allclose((z[:4] @ z[:4].swapaxes(1, 2) / 200).mean(0), np.eye(3)))
    True
    """
    aligned = np.empty_like(x)
    for group in np.unique(groups):
        members = np.asarray(groups) == group
        trials = x[members].astype(np.float64)
        aligned[members] = _inverse_root(_mean_covariance(trials)) @ trials
    return aligned


def reject_by_amplitude(x: np.ndarray, threshold_uV: float) -> np.ndarray:  # noqa: N803
    """Return which trials to keep: those whose peak-to-peak amplitude stays within a threshold.

    Label-blind. A trial goes if any of its channels exceeds the threshold.

    Parameters
    ----------
    x
        Shape (trial, channel, time), in volts.
    threshold_uV
        Largest peak-to-peak amplitude that is kept, microvolts.

    Returns
    -------
    Shape (trial,), True to keep.

    Examples
    --------
    >>> import numpy as np
    >>> reject_by_amplitude(np.array([[[0.0, 5e-5]], [[0.0, 5e-4]]]), 100).tolist()
    [True, False]
    """
    if not threshold_uV > 0:
        raise ConfigError(f"The rejection threshold must be above 0 µV, got {threshold_uV}.")
    return np.ptp(x, axis=2).max(axis=1) * 1e6 <= threshold_uV


def _mean_covariance(trials: np.ndarray) -> np.ndarray:
    """Return the mean of x x' / time over trials, shrunk if there are few samples."""
    from neuroloom.signals.classical.covariance import shrink_oas

    n_trials, n_channels, n_times = trials.shape
    mean = (trials @ trials.swapaxes(1, 2)).mean(axis=0) / n_times
    few = n_trials * n_times < 10 * n_channels
    return shrink_oas(mean, n_trials * n_times) if few else mean


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    if not values.max() > 0:
        raise DataError("Alignment found a group of trials without any signal; drop that run.")
    keep = values > values.max() * 1e-12
    return (vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T
