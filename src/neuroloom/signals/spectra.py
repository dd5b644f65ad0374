"""Power over time and frequency of a batch of windows: wavelets, short-time spectra, octaves.

Pure functions over (n, channel, time); all examples and channels are worked on at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from neuroloom.core.errors import ConfigError

MORLET_REACH = 5.0


def morlet_power(
    x: np.ndarray,
    rate: float,
    freqs: Sequence[float] | np.ndarray,
    cycles: float | Sequence[float] | np.ndarray = 7.0,
) -> np.ndarray:
    """Measure the power around each frequency over time with complex Morlet wavelets.

    A wavelet is a wave of mean 0 under a Gaussian with a standard deviation of `cycles / (2 pi
    freq)` seconds, cut at 5 of them, and has the energy 2, as `mne.time_frequency.morlet` has it.
    Outside the window the signal is taken as 0, so the first and last `5 cycles / (2 pi freq)`
    seconds are too low.

    Parameters
    ----------
    x
        Shape (n, channel, time), any unit.
    rate
        Hz.
    freqs
        Hz, shape (freq,).
    cycles
        Number of waves in a wavelet, one for all frequencies or one each.

    Returns
    -------
    Shape (n, channel, freq, time), unit of `x` squared, in the precision of `x`.

    Raises
    ------
    ConfigError
        If a frequency is not between 0 and the Nyquist frequency.

    References
    ----------
    Tallon-Baudry et al. (1997), J. Neurosci. 17(2), 722-734.

    Examples
    --------
    >>> times = np.arange(512) / 128
    >>> power = morlet_power(np.sin(2 * np.pi * 10 * times)[None, None], 128, [5, 10, 20])
    >>> int(power[0, 0, :, 256].argmax())
    1
    """
    from scipy.fft import fft, ifft, next_fast_len

    freqs = _inside(freqs, rate)
    cycles = np.broadcast_to(np.asarray(cycles, float), freqs.shape)
    if not (cycles > 0).all():
        raise ConfigError(f"A wavelet has more than 0 cycles, got {cycles.min():g}.")
    n_times = x.shape[-1]
    wavelets = [_morlet(rate, *pair) for pair in zip(freqs, cycles, strict=True)]
    size = next_fast_len(n_times + max(map(len, wavelets)) - 1)
    spectrum = fft(x, size)
    power = np.empty((*x.shape[:-1], len(freqs), n_times), dtype=_precision(x))
    for k, wavelet in enumerate(wavelets):
        kernel = fft(wavelet, size).astype(spectrum.dtype)
        first = len(wavelet) // 2
        found = ifft(spectrum * kernel)[..., first : first + n_times]
        power[..., k, :] = found.real**2 + found.imag**2
    return power


def stft_power(
    x: np.ndarray, rate: float, *, length: float = 0.5, step: float | None = None, log: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure power densities of short, overlapping pieces (Hann window, mean taken out).

    Parameters
    ----------
    x
        Shape (n, channel, time), any unit.
    rate
        Hz.
    length
        Length of a piece, s.
    step
        From the start of a piece to that of the next, s; None for half a piece.
    log
        True returns decibels (10 log10), with a floor 120 dB below the largest value.

    Returns
    -------
    power
        Shape (n, channel, freq, piece), unit of `x` squared a Hz, one-sided; or dB.
    freqs
        Hz, shape (freq,).
    times
        Middle of each piece, s after the window's start, shape (piece,).

    Raises
    ------
    ConfigError
        If a piece does not fit into the window.

    References
    ----------
    Welch (1967), IEEE Trans. Audio Electroacoust. 15(2), 70-73 (one piece is his periodogram).

    Examples
    --------
    >>> power, freqs, times = stft_power(np.ones((2, 3, 256)), 128, length=0.5)
    >>> power.shape, float(freqs[1]), float(times[0])
    ((2, 3, 33, 7), 2.0, 0.25)
    """
    n_piece = round(length * rate)
    n_step = round(step * rate) if step is not None else n_piece // 2
    if not 2 <= n_piece <= x.shape[-1] or n_step < 1:
        raise ConfigError(
            f"Pieces of {length:g} s ({n_piece} samples) every {n_step} samples do not fit into a "
            f"window of {x.shape[-1]} samples at {rate:g} Hz; choose another length or step."
        )
    pieces = np.lib.stride_tricks.sliding_window_view(x, n_piece, axis=-1)[..., ::n_step, :]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_piece) / n_piece)
    tapered = (pieces - pieces.mean(-1, keepdims=True)) * hann.astype(_precision(x))
    spectrum = np.fft.rfft(tapered)
    power = (spectrum.real**2 + spectrum.imag**2) / (rate * np.sum(hann**2))
    power[..., 1 : (n_piece + 1) // 2] *= 2
    power = np.moveaxis(power, -1, -2).astype(_precision(x))
    times = (np.arange(power.shape[-1]) * n_step + n_piece / 2) / rate
    return (decibels(power) if log else power), np.fft.rfftfreq(n_piece, 1 / rate), times


def decibels(power: np.ndarray, floor: float = 120.0) -> np.ndarray:
    """Return 10 log10 of powers, none more than `floor` dB below the largest.

    Examples
    --------
    >>> decibels(np.array([1.0, 10.0, 0.0]), floor=20).tolist()
    [0.0, 10.0, -10.0]
    """
    least = max(float(power.max(initial=0.0)) * 10 ** (-floor / 10), np.finfo(power.dtype).tiny)
    return 10 * np.log10(np.maximum(power, least))


def wavelet_energies(x: np.ndarray, levels: int, *, order: int = 4) -> np.ndarray:
    """Measure the energy in octaves with Daubechies' orthogonal wavelets, periodic at the ends.

    The energies add up to that of the signal. The octaves are `dyadic_bands`; each filter's flanks
    reach about half an octave into its neighbours.

    Parameters
    ----------
    x
        Shape (n, channel, time), any unit; a length that 2 to the power of `levels` does not
        divide is filled up with the last sample, and that filling counts.
    levels
        Number of octaves, counted from the Nyquist frequency down.
    order
        Vanishing moments; the filter has twice as many coefficients ("db4" has eight).

    Returns
    -------
    Shape (n, channel, levels + 1), unit of `x` squared: the octaves from fast to slow, then the
    rest below.

    Raises
    ------
    ConfigError
        If the window is too short for so many octaves.

    References
    ----------
    Mallat (1989), IEEE Trans. Pattern Anal. 11(7), 674-693; Daubechies (1988), Commun. Pure Appl.
    Math. 41(7), 909-996.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 3, 256))
    >>> bool(np.allclose(wavelet_energies(x, 4).sum(-1), (x**2).sum(-1)))
    True
    """
    if levels < 1 or x.shape[-1] < 2**levels:
        raise ConfigError(
            f"{levels} octaves need {2 ** max(levels, 1)} samples or more, got {x.shape[-1]}."
        )
    low = daubechies(order)
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    missing = -x.shape[-1] % 2**levels
    rest = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)], mode="edge")
    energies = []
    for _ in range(levels):
        rest, detail = _halve(rest, low), _halve(rest, high)
        energies.append((detail**2).sum(-1))
    return np.stack([*energies, (rest**2).sum(-1)], axis=-1)


def dyadic_bands(rate: float, levels: int) -> list[tuple[float, float]]:
    """Return the bands (low, high), Hz, of the energies that `wavelet_energies` returns.

    Examples
    --------
    >>> dyadic_bands(128, 3)
    [(32.0, 64.0), (16.0, 32.0), (8.0, 16.0), (0.0, 8.0)]
    """
    edges = [rate / 2**k for k in range(1, levels + 2)]
    return [*zip(edges[1:], edges[:-1], strict=True), (0.0, edges[-1])]


@cache
def daubechies(order: int) -> np.ndarray:
    """Return Daubechies' low-pass filter with `order` vanishing moments, of minimal phase.

    Its `2 * order` coefficients add up to the square root of 2 and their squares to 1. They follow
    from the roots of her polynomial P (1988, section 4): those inside the unit circle are kept.

    Examples
    --------
    >>> daubechies(2).round(4).tolist()
    [0.483, 0.8365, 0.2241, -0.1294]
    """
    from scipy.special import comb

    if not 1 <= order <= 20:
        raise ConfigError(f"A Daubechies wavelet has the order 1 to 20, got {order}.")
    sine_squared = np.roots([comb(order - 1 + k, k) for k in range(order)][::-1])
    # sin(w / 2)^2 = y = (2 - z - 1 / z) / 4, so z solves z^2 - (2 - 4 y) z + 1 = 0.
    half = 1 - 2 * sine_squared.astype(complex)
    root = np.sqrt(half**2 - 1)
    inside = np.where(np.abs(half + root) < 1, half + root, half - root)
    taps = np.poly(np.concatenate([-np.ones(order), inside])).real
    return taps * np.sqrt(2) / taps.sum()


def _halve(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Filter around the circle and keep every other sample."""
    reach = -(-len(taps) // x.shape[-1])
    wrapped = np.concatenate([x] * (reach + 1), axis=-1)[..., : x.shape[-1] + len(taps) - 1]
    pieces = np.lib.stride_tricks.sliding_window_view(wrapped, len(taps), axis=-1)[..., ::2, :]
    return pieces @ taps.astype(_precision(x))


def _morlet(rate: float, freq: float, cycles: float) -> np.ndarray:
    deviation = cycles / (2 * np.pi * freq)
    half = np.arange(0, MORLET_REACH * deviation, 1 / rate)
    times = np.concatenate([-half[:0:-1], half])
    wave = np.exp(2j * np.pi * freq * times) - np.exp(-2 * (np.pi * freq * deviation) ** 2)
    wavelet = wave * np.exp(-(times**2) / (2 * deviation**2))
    return wavelet * np.sqrt(2) / np.linalg.norm(wavelet)


def _inside(freqs: Sequence[float] | np.ndarray, rate: float) -> np.ndarray:
    array = np.atleast_1d(np.asarray(freqs, float))
    if not (len(array) and array.min() > 0 and array.max() < rate / 2):
        raise ConfigError(
            f"Frequencies must lie between 0 and the Nyquist frequency ({rate / 2:g} Hz), got "
            f"{', '.join(f'{freq:g}' for freq in array) or 'none'}."
        )
    return array


def _precision(x: np.ndarray) -> np.dtype:
    return x.dtype if x.dtype in (np.float32, np.float64) else np.dtype(float)
