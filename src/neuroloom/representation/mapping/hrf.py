"""What the blood sees of activations: convolution with the haemodynamic response."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError

Floats = NDArray[np.float64]
# Delay and width of peak and undershoot (s), and their ratio.
SHAPES = {"glover": (6.0, 0.9, 12.0, 0.9, 0.48), "spm": (6.0, 1.0, 16.0, 1.0, 0.167)}
OVERSAMPLING = 50
BEFORE = -24.0


def response(tr: float, shape: str = "glover", step: float | None = None) -> Floats:
    """Return the haemodynamic response over 32 s, on a grid of `step` (tr / 50), with a sum of 1.

    A difference of two gamma densities (Glover 1999; Friston et al. 1998), as nilearn has it.

    Examples
    --------
    >>> round(float(response(2.0).argmax() * 2.0 / 50), 1)  # its peak, s
    5.0
    """
    from scipy.stats import gamma

    if shape not in SHAPES:
        raise ConfigError(f"hrf: no response is '{shape}'. Known: {', '.join(SHAPES)}.")
    delay, width, later, wider, ratio = SHAPES[shape]
    step = step or tr / OVERSAMPLING
    times = np.linspace(0, 32.0, np.rint(32.0 / step).astype(int))
    peak = gamma.pdf(times, delay / width, loc=step, scale=width)
    dip = gamma.pdf(times, later / wider, loc=step, scale=wider)
    curve = peak - ratio * dip
    return np.asarray(curve / curve.sum())


def convolve(
    features: ArrayLike,
    onset: ArrayLike,
    duration: ArrayLike,
    frames: ArrayLike,
    shape: str = "glover",
) -> Floats:
    """Return what a scanner would see of features, at the times of its frames.

    Convolution is linear: the course of each stimulus is found once, and serves all features.

    Parameters
    ----------
    features
        Shape (stimulus, feature).
    onset, duration
        Of each stimulus, s.
    frames
        Times of the scans, s, in even steps.

    Returns
    -------
    Shape (frame, feature).

    Examples
    --------
    >>> seen = convolve(np.ones((1, 1)), [0.0], [1.0], np.arange(0, 30, 1.0))
    >>> int(seen[:, 0].argmax())
    6
    """
    values = np.asarray(features, dtype=float)
    return courses(onset, duration, frames, shape) @ values.reshape(len(values), -1)


def courses(
    onset: ArrayLike, duration: ArrayLike, frames: ArrayLike, shape: str = "glover"
) -> Floats:
    """Return the response to each stimulus, shape (frame, stimulus).

    Raises
    ------
    DataError
        If onsets and durations differ in number, or there are fewer than two frames.
    """
    starts, lengths, times = (np.asarray(x, dtype=float) for x in (onset, duration, frames))
    if starts.shape != lengths.shape or len(times) < 2:
        raise DataError(
            f"Expected an onset and a duration a stimulus and two frames or more; got "
            f"{starts.shape}, {lengths.shape} and {len(times)} frames."
        )
    tr, count = float(np.diff(times).min()), len(times)
    first, last = times.min() + BEFORE, times.max() * (1 + 1 / (count - 1))
    rate = (count - 1) / (times.max() - times.min()) * OVERSAMPLING
    fine = np.linspace(first, last, int(np.rint((last - first) * rate)) + 1)
    box = _boxes(starts, lengths, fine)
    curve = response(tr, shape)
    from scipy.signal import fftconvolve

    seen = fftconvolve(box, curve[None], axes=1)[:, : len(fine)]
    return np.stack([np.interp(times, fine, row) for row in seen], axis=1)


def _boxes(starts: Floats, lengths: Floats, fine: Floats) -> Floats:
    """Return when each stimulus is there, on the fine grid (stimulus, time).

    One step of the grid where it has no length.
    """
    boxes = np.zeros((len(starts), len(fine)))
    begin = np.minimum(np.searchsorted(fine, starts), len(fine) - 1)
    end = np.minimum(np.searchsorted(fine, starts + lengths), len(fine) - 1)
    end += (end == begin) & (end < len(fine) - 1)
    for box, first, last in zip(boxes, begin, end, strict=True):
        box[first:last] = 1.0
    return boxes
