"""Filters and resampling of continuous recordings; zero phase, so none is causal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.step import RecordingStep

if TYPE_CHECKING:
    import xarray as xr

NOT_FILTERED = ("stim", "misc", "syst")
NOTCH_TRANSITION = 1.0
STOPBAND_DB = 60.0
# Samples: filtered by blocks from here on, and filtered together at most, as the cache holds them.
LONG = 2**17
AT_ONCE = 2**18
# Samples at the new rate that one matrix product makes, at least.
BLOCK = 64


@dataclass(frozen=True)
class BandPass(RecordingStep):
    """Zero-phase FIR filter that keeps `low` to `high` Hz.

    The design is MNE's default (`mne.filter.create_filter`, "firwin", Hamming window): transition
    `min(max(f / 4, 2), f)` Hz below, likewise above up to Nyquist, -6 dB in the middle of each.
    Non-causal: it is symmetric and its delay is taken out.

    Parameters
    ----------
    low
        Lower pass-band edge, Hz; None for a low-pass.
    high
        Upper pass-band edge, Hz; None for a high-pass.

    Raises
    ------
    ConfigError
        If neither is given, or `low` is not below `high`.

    References
    ----------
    Widmann, Schröger & Maess (2015), J. Neurosci. Methods 250, 34-46.

    Examples
    --------
    >>> round(BandPass(8, 30).span(160.0), 2)
    1.66
    """

    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        edges = [edge for edge in (self.low, self.high) if edge is not None]
        if not edges or min(edges) <= 0 or (len(edges) == 2 and edges[0] >= edges[1]):
            raise ConfigError(
                f"A band is two frequencies in Hz, 0 < low < high, such as 8 and 30; "
                f"got low={self.low}, high={self.high}."
            )

    def taps(self, rate: float) -> np.ndarray:
        """Return the filter's odd-length, symmetric coefficients for data at `rate` Hz."""
        if (self.high or self.low or 0.0) >= rate / 2:
            raise ConfigError(
                f"The band {self._name()} reaches the Nyquist frequency of data at {rate:g} Hz; "
                f"choose edges below {rate / 2:g} Hz."
            )
        return _design(rate, self.low, self.high)

    def span(self, rate: float) -> float:
        """Return the length of the filter in seconds."""
        return len(self.taps(rate)) / rate

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the filtered recording; stimulus and miscellaneous channels stay as they are."""
        return _filter(recording, self.taps(recording.attrs["rate"]), restore_mean=not self.low)

    def describe(self, rate: float) -> str:
        """Return order, length, transitions and delay in one sentence."""
        below, above = _transitions(rate, self.low, self.high)
        widths = " and ".join(f"{width:.3g} Hz" for width in (below, above) if width)
        anatomy = _anatomy(self.taps(rate), rate)
        return f"Zero-phase FIR filter, pass-band {self._name()}, {anatomy}, transition {widths}."

    def _name(self) -> str:
        if self.low is None:
            return f"up to {self.high:g} Hz"
        return f"above {self.low:g} Hz" if self.high is None else f"{self.low:g}-{self.high:g} Hz"


@dataclass(frozen=True)
class Notch(RecordingStep):
    """Zero-phase FIR filter that removes line noise at the given frequencies.

    Each notch is `f / 200` Hz wide with transitions of 0.5 Hz, as in `mne.filter.notch_filter`.

    Parameters
    ----------
    freqs
        One frequency or several, Hz; harmonics are not added by themselves.

    Examples
    --------
    >>> Notch(50.0).freqs
    (50.0,)
    """

    freqs: tuple[float, ...]

    def __init__(self, freqs: float | Sequence[float]) -> None:
        given = np.atleast_1d(np.asarray(freqs, dtype=float))
        object.__setattr__(self, "freqs", tuple(given.tolist()))
        if not self.freqs or min(self.freqs) <= NOTCH_TRANSITION:
            raise ConfigError(f"A notch is one or more frequencies above 1 Hz, got {freqs!r}.")

    def taps(self, rate: float) -> np.ndarray:
        """Return the filter's odd-length, symmetric coefficients for data at `rate` Hz."""
        taps = np.ones(1)
        for freq in self.freqs:
            half = freq / 400 + NOTCH_TRANSITION / 2
            if freq + half >= rate / 2:
                raise ConfigError(
                    f"A notch at {freq:g} Hz does not fit below the Nyquist frequency of data at "
                    f"{rate:g} Hz; leave it out."
                )
            taps = np.convolve(taps, _design(rate, freq + half, freq - half, NOTCH_TRANSITION / 2))
        return taps

    def span(self, rate: float) -> float:
        """Return the length of the filter in seconds."""
        return len(self.taps(rate)) / rate

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording without the line noise."""
        return _filter(recording, self.taps(recording.attrs["rate"]), restore_mean=True)

    def describe(self, rate: float) -> str:
        """Return frequencies, order, length and delay in one sentence."""
        freqs = ", ".join(f"{freq:g}" for freq in self.freqs)
        return f"Zero-phase FIR notch at {freqs} Hz, {_anatomy(self.taps(rate), rate)}."


@dataclass(frozen=True)
class Resample(RecordingStep):
    """Polyphase resampling to `rate` Hz behind an anti-alias filter.

    The filter (Kaiser, 60 dB) passes up to 0.8 of the lower Nyquist frequency and stops from there.
    Annotations are in seconds and stay where they are.

    Parameters
    ----------
    rate
        New sampling rate, Hz.

    Examples
    --------
    >>> Resample(80.0).out_length(20000, rate=160.0)
    10000
    """

    rate: float

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ConfigError(f"The new sampling rate must be above 0 Hz, got {self.rate}.")

    def out_rate(self, rate: float) -> float:
        """Return the new rate, Hz."""
        return float(self.rate)

    def out_length(self, length: int, rate: float) -> int:
        """Return the number of samples at the new rate."""
        up, down = self._ratio(rate)
        return -(-length * up // down)

    def span(self, rate: float) -> float:
        """Return the length of the anti-alias filter in seconds."""
        up, down = self._ratio(rate)
        return 0.0 if up == down else len(_antialias(up, down)) / (rate * up)

    def apply(self, recording: xr.DataArray) -> xr.DataArray:
        """Return the recording at the new rate, in the precision it came in."""
        up, down = self._ratio(recording.attrs["rate"])
        if up == down:
            return recording
        new = _resample(recording.values, up, down)
        return _with_data(recording, new, rate=float(self.rate))

    def describe(self, rate: float) -> str:
        """Return old and new rate and the filter's length in one sentence; "" if they are equal."""
        if rate == self.rate:
            return ""
        span = f"anti-alias filter of {self.span(rate):.2f} s"
        return f"Resampled from {rate:g} to {self.rate:g} Hz (polyphase, {span})."

    def _ratio(self, rate: float) -> tuple[int, int]:
        ratio = Fraction(self.rate / rate).limit_denominator(1000)
        return ratio.numerator, ratio.denominator


@cache
def _design(
    rate: float, low: float | None, high: float | None, transition: float | str = "auto"
) -> np.ndarray:
    from mne.filter import create_filter

    below, above = {"l_trans_bandwidth": transition}, {"h_trans_bandwidth": transition}
    taps = create_filter(None, rate, low, high, **below, **above, verbose="ERROR")
    taps.flags.writeable = False
    return taps


def _transitions(rate: float, low: float | None, high: float | None) -> tuple[float, float]:
    """Return the widths (Hz) of MNE's "auto" transition bands, 0 where there is no edge."""
    below = min(max(low / 4, 2.0), low) if low else 0.0
    above = min(max(high / 4, 2.0), rate / 2 - high) if high else 0.0
    return below, above


def _anatomy(taps: np.ndarray, rate: float) -> str:
    order, delay = len(taps) - 1, (len(taps) - 1) / 2 / rate
    length = f"order {order} ({len(taps) / rate:.2f} s at {rate:g} Hz, Hamming window)"
    return f"{length}, delay of {delay:.2f} s compensated"


def _filter(recording: xr.DataArray, taps: np.ndarray, *, restore_mean: bool) -> xr.DataArray:
    """Convolve each signal channel with symmetric `taps`, without delay, odd-reflected ends."""
    rate, n_times = recording.attrs["rate"], recording.sizes["time"]
    if n_times < len(taps):
        raise DataError(
            f"{recording.attrs.get('source') or 'recording'}: it lasts {n_times / rate:.2f} s, "
            f"shorter than the filter ({len(taps) / rate:.2f} s). Use a wider transition (a higher "
            f"low edge), no filter, or longer recordings."
        )
    traces = recording.values
    taps, data = taps.astype(traces.dtype), np.empty_like(traces)
    filtered = ~np.isin(recording.coords["type"].values, NOT_FILTERED)
    data[~filtered] = traces[~filtered]
    rows, together = np.flatnonzero(filtered), max(1, AT_ONCE // n_times)
    for some in (rows[at : at + together] for at in range(0, len(rows), together)):
        data[some] = _convolve(traces[some], taps, restore_mean=restore_mean)
    return _with_data(recording, data)


def _convolve(traces: np.ndarray, taps: np.ndarray, *, restore_mean: bool) -> np.ndarray:
    """Filter traces; their mean goes first, or a large offset would eat the float32 precision."""
    mean = traces.mean(axis=1, keepdims=True, dtype=np.float64)
    half, length = len(taps) // 2, traces.shape[1]
    padded = np.empty((len(traces), length + 2 * half), taps.dtype)
    inner = padded[:, half : half + length]
    np.subtract(traces, mean, out=inner, casting="same_kind")
    padded[:, :half] = 2 * inner[:, :1] - inner[:, half:0:-1]
    padded[:, half + length :] = 2 * inner[:, -1:] - inner[:, -2 : -half - 2 : -1]
    filtered = _multiply(padded, taps)
    return filtered + mean.astype(taps.dtype) if restore_mean else filtered


def _multiply(padded: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Convolve by one transform a trace where it is short, else by blocks; "valid" samples."""
    from scipy import fft
    from scipy.signal import oaconvolve

    length = padded.shape[1]
    if length > LONG:
        return oaconvolve(padded, taps[None], mode="valid", axes=1)
    size = fft.next_fast_len(length, real=True)
    spectra = fft.rfft(padded, size, axis=1)
    spectra *= fft.rfft(taps, size)
    return fft.irfft(spectra, size, axis=1)[:, len(taps) - 1 : length]


def _resample(data: np.ndarray, up: int, down: int) -> np.ndarray:
    """Return traces (trace, time) at up / down of their rate.

    `up` samples of the output, and `down` of the input, are a period, after which the weights
    repeat: a block of whole periods is one matrix product of the input around it. Beyond both ends
    the traces go on along the line from their first to their last sample.
    """
    length = data.shape[1]
    weights, before = _weights(up, down, data.dtype)
    reach, block = weights.shape
    step, n_out = block // up * down, -(-length * up // down)
    n_blocks = -(-n_out // block)
    at = np.arange(-before, max((n_blocks - 1) * step + reach - before, length))
    padded = np.empty((len(data), len(at)), data.dtype)
    padded[:, before : before + length] = data
    slope = (data[:, -1:] - data[:, :1]) / max(length - 1, 1)
    for ends in (slice(0, before), slice(before + length, None)):
        padded[:, ends] = data[:, :1] + slope * at[ends]
    new = np.empty((len(data), n_blocks * block), data.dtype)
    np.matmul(
        _blocks(padded, n_blocks, step, reach), weights, out=_blocks(new, n_blocks, block, block)
    )
    return new[:, :n_out]


def _blocks(traces: np.ndarray, count: int, step: int, length: int) -> np.ndarray:
    """Return a view of shape (block, trace, time) of traces (trace, time)."""
    along, size = traces.strides
    shape, strides = (count, len(traces), length), (step * size, along, size)
    return np.lib.stride_tricks.as_strided(traces, shape, strides)


@cache
def _weights(up: int, down: int, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Return what each input sample around a block adds to each output sample of it.

    Returns
    -------
    weights
        Shape (input sample, output sample).
    before
        How many input samples come before the block.
    """
    taps = _antialias(up, down) * up
    half = len(taps) // 2
    block = -(-BLOCK // up) * up
    before, after = half // up, ((block - 1) * down + half) // up
    lag = np.arange(block) * down - np.arange(-before, after + 1)[:, None] * up
    hit = np.abs(lag) <= half
    return np.where(hit, taps[np.where(hit, lag + half, 0)], 0).astype(dtype), before


def _antialias(up: int, down: int) -> np.ndarray:
    from scipy.signal import firwin, kaiserord

    nyquist = 1 / max(up, down)
    order, beta = kaiserord(STOPBAND_DB, 0.2 * nyquist)
    return firwin(order // 2 * 2 + 1, 0.9 * nyquist, window=("kaiser", beta))


def _with_data(
    recording: xr.DataArray, data: np.ndarray, rate: float | None = None
) -> xr.DataArray:
    """Return `recording` with other samples, and another rate if the samples were resampled."""
    if rate is None:
        return recording.copy(deep=False, data=data)
    import xarray as xr

    coords = {name: coord for name, coord in recording.coords.items() if name != "time"}
    coords["time"] = ("time", np.arange(data.shape[1]) / rate)
    attrs = recording.attrs | {"rate": rate}
    return xr.DataArray(data, dims=recording.dims, coords=coords, attrs=attrs)
