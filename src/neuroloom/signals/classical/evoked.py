"""Features of evoked responses: samples, and covariances that hold the average response.

Blinks and movements are many times larger than a response, and least squares heeds what is large.
Every feature here clips each channel at five times its median absolute value, learnt in training.
"""

from __future__ import annotations

import numpy as np

from neuroloom.signals.classical.base import Arrays, Features
from neuroloom.signals.classical.covariance import shrink_oas, trial_covariances, whitener
from neuroloom.signals.classical.riemann import riemannian_mean, tangent

CLIP = 5.0
BIN = 1 / 32
XDAWN_FILTERS, LARGEST_PROTOTYPE = 2, 8


class Samples(Features):
    """The clipped signal itself, averaged over neighbouring bins of about 30 ms.

    Parameters
    ----------
    rate
        Of the trials, Hz.

    References
    ----------
    Blankertz et al. (2011), NeuroImage 56(2), 814-825, section 3.
    """

    def __init__(self, rate: float) -> None:
        self.width = max(1, round(BIN * rate))

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return where each channel is clipped, `clip` (channel,)."""
        return {"clip": clip_level(x)}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the means of the bins, shape (trial, channel x bin)."""
        width = min(self.width, x.shape[2])
        whole = clipped(x, arrays)[..., : x.shape[2] // width * width]
        return whole.reshape(*x.shape[:2], -1, width).mean(axis=3).reshape(len(x), -1)


class Prototypes(Features):
    """Tangent space of the covariance of each trial stacked on average responses.

    The block between response and trial says how much of the response is in the trial, which a
    trial's own covariance cannot: it does not know when something happened.

    References
    ----------
    Congedo et al. (2013), arXiv:1310.8115; Barachant & Congedo (2014), arXiv:1409.0107.
    """

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Return `clip`, `filters` (filter, channel), `prototype` (filter, time), `reference`."""
        arrays = {"clip": clip_level(x)}
        signal = clipped(x, arrays)
        white = whitener(trial_covariances(signal))
        arrays |= self._responses(white.T @ signal, y)
        arrays["filters"] = arrays["filters"] @ white.T
        return arrays | {"reference": riemannian_mean(self._stacked(signal, arrays))}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return tangent vectors."""
        return tangent(self._stacked(clipped(x, arrays), arrays), arrays["reference"])

    def _responses(self, white: np.ndarray, y: np.ndarray) -> Arrays:
        """Return spatial `filters` of the whitened trials and the `prototype` responses."""
        raise NotImplementedError

    def _stacked(self, signal: np.ndarray, arrays: Arrays) -> np.ndarray:
        inner = arrays["filters"] @ signal
        prototype = np.broadcast_to(arrays["prototype"], (len(inner), *arrays["prototype"].shape))
        both = np.concatenate([prototype, inner], axis=1)
        return shrink_oas(trial_covariances(both), both.shape[2])


class Xdawn(Prototypes):
    """Average responses and trials seen through the filters that bring the responses out most.

    The filters of a class maximise the power of its average response over that of the trials.

    References
    ----------
    Rivet et al. (2009), IEEE Trans. Biomed. Eng. 56(8), 2035-2043; Barachant & Congedo (2014),
    arXiv:1409.0107.
    """

    def _responses(self, white: np.ndarray, y: np.ndarray) -> Arrays:
        filters, prototype = [], []
        for label in np.unique(y):
            response = white[y == label].mean(axis=0)
            _, vectors = np.linalg.eigh(response @ response.T)
            own = vectors[:, ::-1][:, :XDAWN_FILTERS].T
            filters.append(own)
            prototype.append(own @ response)
        return {"filters": np.concatenate(filters), "prototype": np.concatenate(prototype)}


class ErpCovariance(Prototypes):
    """Average responses of each class, and all channels of the trial.

    With many channels the responses, and the trials, are seen through their largest components.

    References
    ----------
    Congedo et al. (2013), arXiv:1310.8115.
    """

    def _responses(self, white: np.ndarray, y: np.ndarray) -> Arrays:
        responses = np.stack([white[y == label].mean(axis=0) for label in np.unique(y)])
        _, vectors = np.linalg.eigh((responses @ responses.swapaxes(1, 2)).sum(axis=0))
        filters = vectors[:, ::-1][:, :LARGEST_PROTOTYPE].T
        return {"filters": filters, "prototype": (filters @ responses).reshape(-1, white.shape[2])}


def clip_level(x: np.ndarray) -> np.ndarray:
    """Return five times the median absolute value of each channel; infinite where that is 0.

    Examples
    --------
    >>> import numpy as np
    >>> clip_level(np.array([[[1.0, -1.0, 100.0]]])).tolist()
    [5.0]
    """
    level = CLIP * np.median(np.abs(x), axis=(0, 2))
    return np.where(level > 0, level, np.inf).astype(np.float64)


def clipped(x: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Return trials in float64 with each channel held within its level."""
    level = arrays["clip"][:, None]
    return np.clip(x.astype(np.float64), -level, level)
