"""Which sensors and which frequencies a decoder's answers go with, in the terms of physiology.

Bands: how much is lost when a band is swapped between trials, on all sensors at once, so that the
spatial structure a spatial filter relies on stays whole. Sensors: how a sensor's power goes with
the model's answer from trial to trial, in the bands that matter. Zeroing single sensors is not used
for that: neighbouring sensors are so alike that a decoder subtracts them from each other, and the
sensor whose loss hurts most is often one that only cancels noise (Haufe et al. 2014).
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


@dataclass(frozen=True)
class Relevance:
    """Two tables.

    Attributes
    ----------
    channels
        `channel`, one column a class (-1 to 1: power falls or rises with the model's belief in the
        class), `relevance` (0 to 1); most relevant first.
    bands
        `low`, `high` (Hz), `relevance` (loss of log-probability in nats, or rise of squared error).
    """

    channels: pd.DataFrame
    bands: pd.DataFrame


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
    bands = band_relevance(
        score, x, y, rate, make_bands(rate, band, width), repeats=repeats, seed=seed
    )
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
    return table.drop(columns="part")


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
    import pandas as pd

    weights = np.maximum(bands["relevance"].to_numpy(float), 0)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(bands), 1 / len(bands))
    edges = [(low, high) for low, high in zip(bands["low"], bands["high"], strict=True)]
    maps = np.stack([pattern(_log_power(x, rate, *edge), scores) for edge in edges])
    signed = np.einsum("b,bck->ck", weights, maps)
    total = np.sqrt(np.einsum("b,bck->c", weights, maps**2) / maps.shape[2])
    names = list(classes) or [str(k) for k in range(signed.shape[1])]
    table = pd.DataFrame(signed, columns=names if scores.ndim > 1 else ["value"])
    table.insert(0, "channel", list(channels))
    table["relevance"] = total
    return table.sort_values("relevance", ascending=False, ignore_index=True)


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
