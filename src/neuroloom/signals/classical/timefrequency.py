"""Features of power over time: wavelets and short-time spectra."""

from __future__ import annotations

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.signals.classical.base import Arrays, Features
from neuroloom.signals.classical.power import SMALLEST
from neuroloom.signals.spectra import morlet_power, stft_power

FREQUENCIES = (4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 25.0, 30.0, 40.0)
CYCLES = 4.0
PIECES = 4
PIECE, HIGHEST = 0.5, 45.0


class Wavelet(Features):
    """Log power around ten frequencies from 4 to 40 Hz in each quarter of the trial.

    Parameters
    ----------
    rate
        Of the trials, Hz. Frequencies above its Nyquist frequency are left out.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.frequencies = [f for f in FREQUENCIES if f < rate / 2]

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log powers, shape (trial, channel x frequency x quarter)."""
        if not self.frequencies or x.shape[2] < PIECES:
            raise ConfigError(
                f"wavelet features need {PIECES} samples or more above {2 * FREQUENCIES[0]:g}"
                f" Hz, got {x.shape[2]} at {self.rate:g} Hz."
            )
        power = morlet_power(x, self.rate, self.frequencies, CYCLES)
        edges = np.arange(PIECES) * x.shape[2] // PIECES
        sizes = np.diff([*edges, x.shape[2]])
        quarters = np.add.reduceat(power, edges, axis=3) / sizes
        return np.log(np.maximum(quarters.astype(np.float64), SMALLEST)).reshape(len(x), -1)


class ShortTime(Features):
    """Log power densities up to 45 Hz of half-overlapping pieces of half a second.

    Parameters
    ----------
    rate
        Of the trials, Hz.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return log power densities, shape (trial, channel x frequency x piece)."""
        length = min(PIECE, x.shape[2] / self.rate)
        power, frequency, _ = stft_power(x, self.rate, length=length)
        inside = (frequency > 0) & (frequency <= HIGHEST)
        density = power[:, :, inside].astype(np.float64)
        return np.log(np.maximum(density, SMALLEST)).reshape(len(x), -1)
