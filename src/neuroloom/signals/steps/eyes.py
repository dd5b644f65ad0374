"""What blinks and eye movements leave in EEG and MEG, taken out by regression or by ICA.

Both measure each recording by itself, never look at a class label, and see the whole recording.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.core.step import RecordingStep

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CORRECTED = ("eeg", "mag", "grad")
FRONTAL = ("Fp1", "Fpz", "Fp2", "AF7", "AF8")
FRONTAL_SIDES = (("F7", "F8"), ("AF7", "AF8"), ("FT7", "FT8"))
OCULAR_BAND, CALM_BAND = (1.0, 10.0), (1.0, 40.0)
EVOKED, FEWEST_EVENTS = (-0.1, 1.0), 10
NOT_EVENTS = "(?i)bad|edge|boundary"
BLINK_SECONDS, BLINK_DEVIATIONS, BLINK_RAMP = 0.45, 6.0, 0.05
MOST_FITTED_SAMPLES = 60_000
LEAST_SECONDS = 5.0


def eog_channels(
    names: Sequence[str], types: Sequence[str], wanted: Sequence[str] = ()
) -> list[str]:
    """Return the channels that watch the eyes: those wanted, or all of the type "eog".

    Raises
    ------
    ConfigError
        If a wanted channel is not there.

    Examples
    --------
    >>> eog_channels(["Cz", "VEOG"], ["eeg", "eog"])
    ['VEOG']
    """
    for name in wanted:
        if name not in names:
            raise ConfigError(
                f"eog: no channel is called '{name}'.{nearest(name, names)} "
                f"There are {', '.join(list(names)[:12])}{', …' if len(names) > 12 else ''}."
            )
    kinds = zip(names, types, strict=True)
    return list(wanted) or [name for name, kind in kinds if kind == "eog"]


@dataclass(frozen=True)
class EyeRegression(RecordingStep):
    """Subtract from each channel what it has in common with the EOG.

    The coefficients are those of a regression on all EOG channels (above 1 Hz), after the average
    response to the annotated events was taken out of both, and, as in EMCP, apart for blinks and
    for the rest. The paper averages by kind of event; here all events are averaged together, so
    that no label is used.

    Parameters
    ----------
    eog
        Channels that watch the eyes; empty takes those of the type "eog". They stay as they are.
    blinks_apart
        False fits one set of coefficients for blinks and all else.

    Raises
    ------
    ConfigError
        On a recording without EOG channels.

    References
    ----------
    Gratton, Coles & Donchin (1983), Electroencephalogr. Clin. Neurophysiol. 55(4), 468-484.

    Examples
    --------
    >>> EyeRegression(("VEOG", "HEOG")).eog
    ('VEOG', 'HEOG')
    """

    sees_whole: ClassVar[bool] = True
    eog: tuple[str, ...] = ()
    blinks_apart: bool = True

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the corrected recording."""
        watched, corrected = _rows(recording, self.eog)
        if not len(watched):
            raise ConfigError(
                f"{_source(recording)}: a regression on the EOG needs EOG channels, and none has "
                "that type. Name the channels near the eyes with `eog`, such as --eog Fp1, or take "
                "eyes='ica'."
            )
        _require_length(recording)
        rate, wide = recording.attrs["rate"], recording.values.astype(np.float64)
        rows = np.concatenate([watched, corrected])
        calm = subtract_evoked(
            _band(wide[rows], rate, CALM_BAND), rate, recording.attrs["annotations"]
        )
        eyes, rest = calm[: len(watched)], calm[len(watched) :]
        ocular = wide[watched] - np.median(wide[watched], axis=1, keepdims=True)
        wide[corrected] -= self._propagated(eyes, rest, ocular, rate)
        return recording.copy(data=wide.astype(recording.dtype))

    def _propagated(
        self, eyes: np.ndarray, rest: np.ndarray, ocular: np.ndarray, rate: float
    ) -> np.ndarray:
        """Return the part of every corrected channel that the EOG explains."""
        blinks = find_blinks(eyes, rate) if self.blinks_apart else np.zeros(eyes.shape[1], bool)
        if not rate <= blinks.sum() <= len(blinks) - rate:
            return _regress(eyes, rest) @ ocular
        share = _smooth(blinks, rate)
        during, between = (
            _regress(eyes[:, blinks], rest[:, blinks]),
            _regress(eyes[:, ~blinks], rest[:, ~blinks]),
        )
        return share * (during @ ocular) + (1 - share) * (between @ ocular)

    def describe(self, rate: float) -> str:
        """Return the method in one sentence."""
        by = f"the channels {', '.join(self.eog)}" if self.eog else "the EOG"
        apart = ", with coefficients of their own for blinks (EMCP)" if self.blinks_apart else ""
        return f"Eye movements taken out by regression on {by}{apart}, each recording by itself."


@dataclass(frozen=True)
class EyeICA(RecordingStep):
    """Take out the independent components that follow the eyes.

    FastICA (log cosh, from one seed) on the principal components, 1 to 40 Hz; components whose
    correlation with an EOG channel in 1 to 10 Hz reaches `threshold` are subtracted from the
    recording as it came. Without EOG channels the mean of the frontal-pole channels and the
    difference of the lateral frontal ones take their place, with `frontal_threshold`.

    Parameters
    ----------
    eog
        Channels that watch the eyes; empty takes those of the type "eog".
    components
        Principal components that are unmixed, at most; what the others hold stays.
    threshold, frontal_threshold
        Smallest absolute correlation of a component that goes.
    seed
        Of the first unmixing matrix.

    Raises
    ------
    ConfigError
        If there are fewer than three channels to unmix, or neither EOG nor frontal ones.

    References
    ----------
    Hyvärinen (1999), IEEE Trans. Neural Netw. 10(3), 626-634; Jung et al. (2000), Psychophysiology
    37(2), 163-178.

    Examples
    --------
    >>> EyeICA().describe(250.0).startswith("Eye movements taken out by ICA")
    True
    """

    sees_whole: ClassVar[bool] = True
    eog: tuple[str, ...] = ()
    components: int = 20
    threshold: float = 0.5
    frontal_threshold: float = 0.7
    seed: int = 0

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording without the components; a note says so if none was found."""
        watched, rows = _rows(recording, self.eog, keep_named=True)
        if len(rows) < 3:
            raise ConfigError(
                f"{_source(recording)}: eyes='ica' needs three EEG or MEG channels or more, there "
                f"are {len(rows)}. Take eyes='regression'."
            )
        _require_length(recording)
        rate, wide = recording.attrs["rate"], recording.values.astype(np.float64)
        eyes = wide[watched] if len(watched) else _frontal(recording, wide)
        filters, patterns = unmix(_band(wide[rows], rate, CALM_BAND), self.components, self.seed)
        sources = filters @ _band(wide[rows], rate, OCULAR_BAND)
        likeness = np.abs(_correlate(sources, _band(eyes, rate, OCULAR_BAND))).max(1)
        ocular = likeness >= (self.threshold if len(watched) else self.frontal_threshold)
        centred = wide[rows] - wide[rows].mean(1, keepdims=True)
        wide[rows] -= patterns[:, ocular] @ (filters[ocular] @ centred)
        cleaned = recording.copy(data=wide.astype(recording.dtype))
        if not ocular.any():
            note = (
                f"{_source(recording)}: no independent component follows the eyes (largest "
                f"correlation {likeness.max():.2f}), so none was taken out."
            )
            cleaned.attrs["notes"] = [*recording.attrs.get("notes", []), note]
        return cleaned

    def describe(self, rate: float) -> str:
        """Return the method in one sentence."""
        by = f"the channels {', '.join(self.eog)}" if self.eog else "the EOG"
        return (
            f"Eye movements taken out by ICA (FastICA of up to {self.components} principal "
            f"components, each recording by itself; those that correlate by {self.threshold:g} "
            f"or more with {by}, without EOG by {self.frontal_threshold:g} with the frontal pole)."
        )


def find_blinks(eyes: np.ndarray, rate: float) -> np.ndarray:
    """Return when the eyes blink, shape (time,).

    A blink is where the middle third of a window of 450 ms stands out from its outer thirds by more
    than six robust standard deviations of that difference (after the template of Gratton et al.
    1983, in units of the recording in place of theirs), in the EOG channel and with the sign that
    show it best; 150 ms before and after belong to it.

    Parameters
    ----------
    eyes
        EOG above 1 Hz, shape (channel, time), any unit.
    rate
        Hz.
    """
    from scipy.ndimage import convolve1d, maximum_filter1d

    third = max(1, round(BLINK_SECONDS * rate / 3))
    template = np.repeat([-0.5, 1.0, -0.5], third) / third
    shape = convolve1d(eyes, template, axis=1, mode="nearest")
    spread = np.median(np.abs(shape), axis=1, keepdims=True) / 0.6745
    ratio = shape / np.where(spread > 0, spread, np.inf)
    ratio = np.concatenate([ratio, -ratio])
    best = ratio[np.quantile(ratio, 0.99, axis=1).argmax()]
    return maximum_filter1d(best > BLINK_DEVIATIONS, 2 * third + 1)


def subtract_evoked(x: np.ndarray, rate: float, annotations: pd.DataFrame) -> np.ndarray:
    """Subtract the average response to events from each channel, whatever the events' names.

    Parameters
    ----------
    x
        Shape (channel, time), any unit.
    rate
        Hz.
    annotations
        With onset (s) and label; marks such as "bad" are no events.

    Returns
    -------
    Same shape; `x` itself if there are fewer than ten events.
    """
    events = annotations[~annotations["label"].astype(str).str.match(NOT_EVENTS)]
    first, last = (round(edge * rate) for edge in EVOKED)
    onsets = np.round(events["onset"].to_numpy(float) * rate).astype(int)
    onsets = onsets[(onsets + first >= 0) & (onsets + last <= x.shape[1])]
    if len(onsets) < FEWEST_EVENTS:
        return x
    places = onsets[:, None] + np.arange(first, last)
    evoked = x[:, places].mean(1)
    left = x.copy()
    for row, shape in zip(left, evoked, strict=True):
        np.subtract.at(row, places, np.broadcast_to(shape, places.shape))
    return left


def unmix(x: np.ndarray, components: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Find independent components by FastICA.

    Parameters
    ----------
    x
        Shape (channel, time), band-passed.
    components
        Principal components that are unmixed, at most; no more than the rank.
    seed
        Of the first unmixing matrix.

    Returns
    -------
    tuple
        Filters (component, channel), which turn channels into sources of variance 1, and patterns
        (channel, component), which turn sources back into channels.
    """
    from sklearn.decomposition import FastICA

    centred = x - x.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(centred @ centred.T / x.shape[1])
    order = np.argsort(values)[::-1][:components]
    order = order[values[order] > values.max() * 1e-8]
    if not len(order) or not values.max() > 0:
        raise DataError("ICA found no signal in the recording; drop it or leave `eyes` out.")
    roots = np.sqrt(values[order])
    white = (vectors[:, order] / roots).T
    stride = -(-x.shape[1] // MOST_FITTED_SAMPLES)
    machine = FastICA(whiten=False, fun="logcosh", random_state=seed, max_iter=200, tol=1e-4)
    with warnings.catch_warnings():
        # Not converged means that a few components are still mixed, not that the rest is wrong.
        warnings.simplefilter("ignore")
        machine.fit((white @ centred[:, ::stride]).T)
    rotation = machine.components_
    filters = rotation @ white
    return filters, (vectors[:, order] * roots) @ np.linalg.pinv(rotation)


def _rows(
    recording: xr.DataArray, wanted: Sequence[str], *, keep_named: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return which channels watch the eyes and which are corrected."""
    names = recording.coords["channel"].values.astype(str).tolist()
    types = recording.coords["type"].values.astype(str)
    eog = np.isin(names, eog_channels(names, types.tolist(), wanted))
    corrected = np.isin(types, CORRECTED)
    return np.flatnonzero(eog), np.flatnonzero(corrected if keep_named else corrected & ~eog)


def _frontal(recording: xr.DataArray, data: np.ndarray) -> np.ndarray:
    """Return what the frontal channels say of the eyes: up and down, left and right."""
    place = {str(name): k for k, name in enumerate(recording.coords["channel"].values)}
    pole = [place[name] for name in FRONTAL if name in place]
    if not pole:
        raise ConfigError(
            f"{_source(recording)}: eyes='ica' chooses components by EOG channels, or by "
            f"{', '.join(FRONTAL)}; there is none of them. Name the channels near the eyes with "
            "`eog`."
        )
    traces = [data[pole].mean(0)]
    sides = [pair for pair in FRONTAL_SIDES if set(pair) <= set(place)]
    traces += [data[place[left]] - data[place[right]] for left, right in sides[:1]]
    return np.stack(traces)


def _band(x: np.ndarray, rate: float, band: tuple[float, float]) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    low, high = band
    # Without an upper edge where the rate has none to spare.
    edges, kind = ([low, high], "bandpass") if high < 0.45 * rate else (low, "highpass")
    return sosfiltfilt(butter(2, edges, kind, fs=rate, output="sos"), x, axis=1)


def _regress(eyes: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return the coefficients (channel, eog) of a least-squares regression with a constant."""
    eyes, rest = (part - part.mean(1, keepdims=True) for part in (eyes, rest))
    return (rest @ eyes.T) @ np.linalg.pinv(eyes @ eyes.T, hermitian=True)


def _smooth(blinks: np.ndarray, rate: float) -> np.ndarray:
    """Return the share of the blinks' coefficients over time; a switch would leave a step."""
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(blinks.astype(float), 2 * round(BLINK_RAMP * rate) + 1, mode="nearest")


def _correlate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Pearson's r between the rows of two arrays; 0 where a row is constant."""
    scaled = []
    for rows in (first, second):
        centred = rows - rows.mean(1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        scaled.append(centred / np.where(norm > 0, norm, 1.0))
    return scaled[0] @ scaled[1].T


def _require_length(recording: xr.DataArray) -> None:
    seconds = recording.sizes["time"] / recording.attrs["rate"]
    if seconds < LEAST_SECONDS:
        raise DataError(
            f"{_source(recording)}: it lasts {seconds:.1f} s; to tell what the eyes leave takes "
            f"{LEAST_SECONDS:g} s or more. Leave `eyes` out."
        )


def _source(recording: xr.DataArray) -> str:
    return recording.attrs.get("source") or "recording"
