"""Which sensors, frequencies and times a decoder's answers go with, in the terms of physiology.

Bands: how much is lost when a band is swapped between trials, on all sensors at once, so that the
spatial structure a spatial filter relies on stays whole. Sensors: how a sensor's power goes with
the model's answer from trial to trial, in the bands that matter. Zeroing single sensors is not used
for that: neighbouring sensors are so alike that a decoder subtracts them from each other, and the
sensor whose loss hurts most is often one that only cancels noise (Haufe et al. 2014).

A decoder of evoked responses reads the polarity of the signal instead of its power: for it, windows
in time take the place of bands, and amplitude that of power. `polarity` tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.explain import Scorer, pattern, permutation_relevance, select_parts

if TYPE_CHECKING:
    import pandas as pd

Bands = Sequence[tuple[float, float]]
WINDOW_SECONDS = 0.05
MOST_WINDOWS = 24


@dataclass(frozen=True)
class Relevance:
    """Two tables.

    Attributes
    ----------
    channels
        `channel`, one column a class (-1 to 1: power falls or rises with the model's belief in the
        class), `relevance` (0 to 1); most relevant first.
    bands
        `low`, `high` (Hz), one column a class, `relevance` (loss of log-probability in nats, or
        rise of squared error).
    """

    channels: pd.DataFrame
    bands: pd.DataFrame


@dataclass(frozen=True)
class EvokedRelevance:
    """What a decoder of evoked responses draws on.

    Attributes
    ----------
    channels
        As in `Relevance`, with amplitude in place of power.
    times
        `start`, `stop` (s after the event, half height), one column a class, `relevance`.
    maps
        Shape (channel, window, class), -1 to 1: amplitude goes up or down with the model's belief.
    """

    channels: pd.DataFrame
    times: pd.DataFrame
    maps: np.ndarray


def explain(
    score: Scorer,
    x: np.ndarray,
    y: np.ndarray,
    rate: float,
    channels: Sequence[str],
    *,
    classes: Sequence[str] = (),
    band: tuple[float | None, float | None] | None = None,
    width: float = 2.0,
    repeats: int = 2,
    seed: int = 0,
) -> Relevance:
    """Say which sensors and bands a trained decoder draws on.

    Parameters
    ----------
    score
        `learner.predict_scores`, or anything that maps trials to scores.
    x
        Trials, shape (trial, channel, time), as the model gets them; held-out trials are best.
    y
        Class index, or number, of each trial.
    rate
        Of `x`, Hz.
    channels, classes
        Names; without `classes` the columns are called by index.
    band
        Pass-band of the data, Hz; nothing outside it is asked about.
    width
        Of the bands, Hz.
    repeats, seed
        Permutations of each band.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(60, 3, 200)), np.arange(60) % 2
    >>> x[:, 1] += 4 * y[:, None] * np.sin(2 * np.pi * 11 * np.arange(200) / 100)
    >>> def score(x):
    ...     power = np.log(x[:, 1].var(axis=1)) - 1
    ...     return -np.logaddexp(0, np.stack([power, -power], axis=1))
    >>> found = explain(score, x, y, 100.0, ["C3", "Cz", "C4"])
    >>> found.channels.channel[0], found.bands.sort_values("relevance").low.iloc[-1]
    ('Cz', np.float64(10.0))
    """
    edges = make_bands(rate, band, width)
    bands = band_relevance(score, x, y, rate, edges, classes, repeats=repeats, seed=seed)
    return Relevance(channel_relevance(x, score(x), rate, channels, bands, classes), bands)


def make_bands(
    rate: float, band: tuple[float | None, float | None] | None = None, width: float = 2.0
) -> list[tuple[float, float]]:
    """Return neighbouring bands of `width` Hz that cover `band`, or 1 Hz to Nyquist.

    Examples
    --------
    >>> make_bands(160.0, (8, 13), width=2)
    [(8.0, 10.0), (10.0, 12.0), (12.0, 13.0)]
    """
    low, high = band or (None, None)
    low, high = float(low or 0.0), float(min(high or rate / 2, rate / 2))
    edges = np.append(np.arange(low, high - 1e-9, width), high)
    edges[0] = max(edges[0], 1.0)
    return [(float(a), float(b)) for a, b in pairwise(edges) if b > a]


def keep_band(x: np.ndarray, rate: float, low: float, high: float) -> np.ndarray:
    """Return the part of `x` from `low` up to, not with, `high` Hz, by Fourier transform.

    Parts of neighbouring bands add up to the whole.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(2 * np.pi * 10 * np.arange(100) / 100)
    >>> bool(np.allclose(keep_band(wave, 100.0, 8, 12), wave))
    True
    """
    from scipy import fft

    n_times = x.shape[-1]
    spectrum = fft.rfft(x, axis=-1)
    freqs = fft.rfftfreq(n_times, 1 / rate)
    spectrum[..., (freqs < low) | (freqs >= high)] = 0
    return fft.irfft(spectrum, n_times, axis=-1).astype(x.dtype, copy=False)


def band_relevance(
    score: Scorer,
    x: np.ndarray,
    y: np.ndarray,
    rate: float,
    bands: Bands,
    classes: Sequence[str] = (),
    *,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what swapping each band between trials costs: `low`, `high`, classes, `relevance`.

    Parameters as for `explain`. Bands narrower than the resolution (1 / trial length) hold nothing.
    """

    def part(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: keep_band(x, rate, low, high)

    parts = {str(k): part(*band) for k, band in enumerate(bands)}
    table = permutation_relevance(score, x, y, parts, repeats=repeats, seed=seed)
    table.insert(0, "low", [low for low, _ in bands])
    table.insert(1, "high", [high for _, high in bands])
    return _named(table.drop(columns="part"), classes)


def _named(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Call the columns of classes by name instead of by index."""
    return table.rename(columns={str(k): name for k, name in enumerate(classes)})


def channel_relevance(
    x: np.ndarray,
    scores: np.ndarray,
    rate: float,
    channels: Sequence[str],
    bands: pd.DataFrame,
    classes: Sequence[str] = (),
) -> pd.DataFrame:
    """Return how each sensor's power goes with the model's answer, in the bands that matter.

    Parameters
    ----------
    x
        Trials, shape (trial, channel, time).
    scores
        Log-probabilities, shape (trial, class), or numbers, shape (trial,); out-of-fold ones do.
    rate
        Hz.
    channels, classes
        Names.
    bands
        Columns `low`, `high`, `relevance`: bands are weighted by relevance, equally if none is
        above 0.

    Returns
    -------
    `channel`, one column a class, `relevance`: the root of the weighted mean square correlation;
    most relevant first.
    """
    edges = [(low, high) for low, high in zip(bands["low"], bands["high"], strict=True)]
    maps = np.stack([pattern(_log_power(x, rate, *edge), scores) for edge in edges], axis=1)
    return _rank_channels(maps, bands["relevance"].to_numpy(float), channels, scores, classes)


def _rank_channels(
    maps: np.ndarray,
    relevance: np.ndarray,
    channels: Sequence[str],
    scores: np.ndarray,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Sum patterns (channel, part, class) over the parts that matter; most relevant first."""
    import pandas as pd

    weights = np.maximum(relevance, 0)
    count = len(relevance)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(count, 1 / count)
    signed = np.einsum("b,cbk->ck", weights, maps)
    total = np.sqrt(np.einsum("b,cbk->c", weights, maps**2) / maps.shape[2])
    names = list(classes) or [str(k) for k in range(signed.shape[1])]
    table = pd.DataFrame(signed, columns=names if scores.ndim > 1 else ["value"])
    table.insert(0, "channel", list(channels))
    table["relevance"] = total
    return table.sort_values("relevance", ascending=False, ignore_index=True)


def polarity(score: Scorer, x: np.ndarray) -> float:
    """Return how alike a model answers to trials and to the same trials turned upside down.

    The rank correlation of its answers: near 1 for a model that reads power, near 0 or below for
    one that reads the shape of evoked responses; NaN if it answers everything alike.

    Parameters
    ----------
    score
        As for `explain`.
    x
        Trials, shape (trial, channel, time); turned about the mean of each channel.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(40, 2, 50))
    >>> round(polarity(lambda x: np.log(x[:, 0].var(axis=1)), x), 3)
    1.0
    >>> round(polarity(lambda x: x[:, 0, 20:30].mean(axis=1), x), 3)
    -1.0
    """
    upright, turned = score(x), score(2 * x.mean(axis=(0, 2), keepdims=True) - x)
    columns = range(upright.shape[1]) if upright.ndim > 1 else [None]
    found = [
        pattern(upright if k is None else upright[:, k], turned if k is None else turned[:, k])
        for k in columns
    ]
    varies = [value.item() for value in found if value.item() != 0]
    return float(np.mean(varies)) if varies else float("nan")


def explain_evoked(
    score: Scorer,
    x: np.ndarray,
    y: np.ndarray,
    rate: float,
    channels: Sequence[str],
    *,
    start: float = 0.0,
    classes: Sequence[str] = (),
    repeats: int = 2,
    seed: int = 0,
) -> EvokedRelevance:
    """Say at which times and sensors a decoder of evoked responses looks.

    Times: what it costs to swap a window, on all sensors at once, between trials. Sensors: how the
    amplitude in the windows that matter goes with the model's answer (Haufe's pattern).

    Parameters
    ----------
    score, x, y, rate, channels, classes, repeats, seed
        As for `explain`.
    start
        Of the first sample, s after the event.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(80, 3, 60)), np.arange(80) % 2
    >>> x[:, 1, 28:33] += 2 * y[:, None]
    >>> def score(x):
    ...     margin = x[:, 1, 28:33].sum(1) - 5
    ...     return -np.logaddexp(0, np.stack([margin, -margin], axis=1))
    >>> found = explain_evoked(score, x, y, 100.0, ["C3", "Cz", "C4"])
    >>> best = found.times.loc[found.times.relevance.idxmax()]
    >>> found.channels.channel[0], bool(best.start <= 0.3 <= best.stop)
    ('Cz', True)
    """
    windows = make_windows(x.shape[2], rate)
    parts = {str(k): _inside(window) for k, window in enumerate(windows)}
    times = permutation_relevance(score, x, y, parts, repeats=repeats, seed=seed)
    edges = [start + np.flatnonzero(window >= 0.5)[[0, -1]] / rate for window in windows]
    times.insert(0, "start", [first for first, _ in edges])
    times.insert(1, "stop", [last for _, last in edges])
    scores = score(x)
    amplitude = x @ (windows / windows.sum(axis=1, keepdims=True)).T
    maps = pattern(amplitude, scores)
    ranked = _rank_channels(maps, times["relevance"].to_numpy(float), channels, scores, classes)
    return EvokedRelevance(ranked, _named(times.drop(columns="part"), classes), maps)


def make_windows(n_times: int, rate: float) -> np.ndarray:
    """Return smooth windows of about 50 ms, shape (window, time), that add up to 1 everywhere.

    Smooth, because a hard edge between two trials would be a jump that no model has seen.

    Examples
    --------
    >>> windows = make_windows(100, 200.0)
    >>> len(windows), bool(np.allclose(windows.sum(0), 1))
    (10, True)
    """
    count = int(np.clip(round(n_times / rate / WINDOW_SECONDS), 1, min(MOST_WINDOWS, n_times)))
    centres = (np.arange(count) + 0.5) * n_times / count - 0.5
    step = n_times / count
    away = np.abs(np.arange(n_times) - centres[:, None]) / step
    windows = np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2
    return windows / windows.sum(axis=0)


def _inside(window: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: (x * window).astype(x.dtype)


def channel_dependence(
    score: Scorer,
    x: np.ndarray,
    y: np.ndarray,
    channels: Sequence[str],
    *,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what swapping each sensor between trials costs: which sensors the model *needs*.

    Not where the sources are: see the head of this file. Columns `channel`, classes, `relevance`.
    """
    parts = select_parts(len(channels), names=[str(channel) for channel in channels])
    table = permutation_relevance(score, x, y, parts, repeats=repeats, seed=seed)
    table = table.rename(columns={"part": "channel"})
    return table.sort_values("relevance", ascending=False, ignore_index=True)


def _log_power(x: np.ndarray, rate: float, low: float, high: float) -> np.ndarray:
    power = np.mean(keep_band(x, rate, low, high).astype(np.float64) ** 2, axis=-1)
    return np.log(power + 1e-12 * max(power.max(), 1e-300))
