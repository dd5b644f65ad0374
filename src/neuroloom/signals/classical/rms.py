"""The detector that everyone knows: an event is where the amplitude in a band is high."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.learn.training.solved import Solved
from neuroloom.signals.measures import find_events, match_events

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

BANDS = ((0.5, 4.0), (4.0, 8.0), (8.0, 12.0), (11.0, 16.0), (16.0, 24.0), (20.0, 40.0))
QUANTILES = np.linspace(0.7, 0.995, 16)
STEEPNESS = 8.0


class RmsThreshold:
    """Moving root mean square in the event's band, above a threshold.

    For each class of event the band is, of six, the one whose amplitude tells samples of events
    from others best (AUC), and the threshold the one with the best F1 of events, both on the
    training stretches.

    Parameters
    ----------
    n_outputs
        Classes of a sample, the background first.
    rate
        Hz.
    window
        Length of the moving mean, s.

    References
    ----------
    Mölle et al. (2002), J. Neurosci. 22(24), 10941-10947 (spindles by the RMS in their band).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(20, 1, 1000)), np.zeros((20, 1000), int)
    >>> y[::2, 400:500] = 1
    >>> x[::2, 0, 400:500] += 3 * np.sin(2 * np.pi * 13 * np.arange(100) / 100)
    >>> detector = RmsThreshold(2, 100.0)
    >>> _ = detector.fit(x, y)
    >>> detector.arrays["bands"].tolist()
    [[11.0, 16.0]]
    """

    def __init__(self, n_outputs: int, rate: float, window: float = 0.3) -> None:
        self.n_outputs, self.rate, self.window = n_outputs, rate, window
        self.arrays = {
            "bands": np.zeros((n_outputs - 1, 2)),
            "thresholds": np.zeros(n_outputs - 1),
        }

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build it again."""
        fields = {"n_outputs": self.n_outputs, "rate": self.rate, "window": self.window}
        return {"name": "rms-threshold"} | fields

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> Solved:
        """Choose band and threshold of each class.

        Parameters
        ----------
        x
            Stretches (n, channel, time).
        y
            Class of each sample (n, time), -1 where unknown.
        """
        bands = [band for band in BANDS if band[1] < self.rate / 2]
        best = dict.fromkeys(range(1, self.n_outputs), (-1.0, bands[0]))
        for band in bands:
            level = self.level(x, band)
            for k in best:
                best[k] = max(best[k], (_auc(level, y, k), band))
        for k, (_, band) in best.items():
            if not (y == k).any():
                raise DataError(f"rms-threshold: no training stretch has an event of class {k}.")
            self.arrays["bands"][k - 1] = band
            self.arrays["thresholds"][k - 1] = self._threshold(self.level(x, band), y, k)
        return Solved()

    def level(self, x: np.ndarray, band: tuple[float, float]) -> np.ndarray:
        """Return the log RMS in a band, mean over channels, shape (n, time)."""
        from scipy.ndimage import uniform_filter1d
        from scipy.signal import butter, sosfiltfilt

        sos = butter(4, band, "bandpass", fs=self.rate, output="sos")
        padding = min(x.shape[2] - 1, round(self.rate))
        filtered = sosfiltfilt(sos, np.asarray(x, np.float64), axis=2, padlen=padding)
        power = (filtered**2).mean(1)
        smooth = uniform_filter1d(power, max(1, round(self.window * self.rate)), axis=1)
        return 0.5 * np.log(np.maximum(smooth, 1e-12))

    def _threshold(self, level: np.ndarray, y: np.ndarray, k: int) -> float:
        """Return the level with the best F1 at an overlap of 0.2; stretches laid end to end."""
        truth = _laid_out(y == k)
        true = find_events(truth, self.rate)
        shortest = float(np.quantile(true[:, 1] - true[:, 0], 0.05)) / 2
        scored = []
        for threshold in np.quantile(level, QUANTILES):
            bounds = {"shortest": shortest, "gap": shortest / 2}
            found = find_events(_laid_out(level > threshold), self.rate, **bounds)
            if len(found) > 5 * len(true):
                continue
            hits = len(match_events(true, found, 0.2))
            scored.append((2 * hits / (len(true) + len(found)), float(threshold)))
        return max(scored)[1] if scored else float(np.quantile(level, QUANTILES[-1]))

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return log-probabilities (n, class, time): above one half where above the threshold."""
        levels = [
            self.level(x, (float(low), float(high))) - threshold
            for (low, high), threshold in zip(
                self.arrays["bands"], self.arrays["thresholds"], strict=True
            )
        ]
        logits = np.stack([np.zeros_like(levels[0]), *(STEEPNESS * level for level in levels)], 1)
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def state(self) -> dict[str, np.ndarray]:
        """Return bands and thresholds."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        self.arrays = {name: np.array(state[name]) for name in self.arrays}


def _laid_out(rows: np.ndarray) -> np.ndarray:
    """Lay stretches end to end, every second one: neighbours overlap by half."""
    some = np.array(rows[::2])
    some[:, -1] = False
    return some.ravel()


def _auc(level: np.ndarray, y: np.ndarray, k: int) -> float:
    """Return how well the level tells samples of class k from the background."""
    from scipy.stats import rankdata

    known = (y == k) | (y == 0)
    values, truth = level[known][::7], (y == k)[known][::7]
    n1, n0 = truth.sum(), (~truth).sum()
    if not n1 or not n0:
        return 0.5
    return float((rankdata(values)[truth].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
