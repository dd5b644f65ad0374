"""Features of strength: band power, variance, and the time-domain features of muscle activity."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.signals.classical.base import Arrays, Features
from neuroloom.signals.classical.covariance import trial_covariances, whiten, whitener

BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 20.0), (20.0, 30.0), (30.0, 45.0))
SMALLEST = 1e-40


class BandPower(Features):
    """Log power of each channel in the usual bands: delta, theta, alpha, low and high beta, gamma.

    Parameters
    ----------
    rate
        Of the trials, Hz. Bands that the trials cannot resolve are left out.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log powers of Hann-tapered trials, shape (trial, channel x band)."""
        centred = x - x.mean(axis=2, keepdims=True, dtype=np.float64)
        power = np.abs(np.fft.rfft(centred * np.hanning(x.shape[2]), axis=2)) ** 2
        frequency = np.fft.rfftfreq(x.shape[2], 1 / self.rate)
        inside = [(frequency >= low) & (frequency < high) for low, high in BANDS]
        bands = [power[..., band].mean(axis=2) for band in inside if band.any()]
        if not bands:
            raise ConfigError(
                f"band power: trials of {x.shape[2] / self.rate:g} s at {self.rate:g} Hz hold no "
                "frequency between 1 and 45 Hz. Use longer trials."
            )
        return _log(np.stack(bands, axis=2)).reshape(len(x), -1)


class Variance(Features):
    """Log variance of each channel."""

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log variances, shape (trial, channel)."""
        return _log(x.var(axis=2, dtype=np.float64))


class RootMeanSquare(Features):
    """Log root mean square of each channel."""

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log amplitudes, shape (trial, channel)."""
        return _log(np.mean(x.astype(np.float64) ** 2, axis=2)) / 2


class LogCovariance(Features):
    """Matrix logarithm of the shrunk covariance of whitened channels.

    References
    ----------
    Arsigny et al. (2007), SIAM J. Matrix Anal. Appl. 29(1), 328-347 (log-Euclidean).
    """

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return the `whitener`."""
        return {"whitener": whitener(trial_covariances(x))}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the upper triangles, off-diagonals times sqrt 2, (trial, rank (rank + 1) / 2)."""
        values, vectors = np.linalg.eigh(
            whiten(trial_covariances(x), arrays["whitener"], x.shape[2])
        )
        logarithm = (vectors * np.log(values)[:, None]) @ vectors.swapaxes(1, 2)
        rows, columns = np.triu_indices(logarithm.shape[1])
        return logarithm[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2))


class Muscle(Features):
    """What gestures are told by: amplitude, waveform length, zero crossings and log-covariance.

    A crossing counts where the step across zero exceeds a tenth of the channel's median absolute
    value in training, so that the noise of a silent channel does not count.

    References
    ----------
    Hudgins et al. (1993), IEEE Trans. Biomed. Eng. 40(1), 82-94 (time-domain features).
    """

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return the `whitener`, and the smallest step that counts, `step` (channel,)."""
        step = 0.1 * np.median(np.abs(x), axis=(0, 2)).astype(np.float64)
        return LogCovariance().learn(x, y) | {"step": step}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return features of all channels, then the log-covariance."""
        steps = np.diff(x.astype(np.float64), axis=2)
        length = _log(np.abs(steps).mean(axis=2))
        crosses = (x[..., 1:] * x[..., :-1] < 0) & (np.abs(steps) > arrays["step"][:, None])
        parts = [RootMeanSquare().of(x, arrays), length, crosses.mean(axis=2)]
        return np.concatenate([*parts, LogCovariance().of(x, arrays)], axis=1)


def _log(values: np.ndarray) -> np.ndarray:
    """Return logarithms; a flat channel gets a small one, not -inf."""
    return np.log(np.maximum(values, SMALLEST))
