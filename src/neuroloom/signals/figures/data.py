"""Figures of trials recorded with sensors: what a reviewer of EEG or MEG looks at first.

Inputs are trials `x` of shape (trial, channel, time) in SI units and one label for each trial.
Evoked responses and spectra should come from broadband trials, not from those that were filtered
for the model: a figure of a narrow band shows the filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import LINE, SOFT, canvas, colour, styled
from neuroloom.signals.figures.maps import Group, draw_maps, make_a_map, no_map
from neuroloom.signals.figures.trials import UNITS, Trials, choose_sensors, located

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf

SMOOTH_HZ = 20.0
HALF_PEAK = 0.01
CHOSEN = "The sensors were chosen by their place, not by the labels."
RHYTHMS = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0))


@styled
def evoked(trials: Trials, sensors: Sequence[int] | None = None) -> Figure:
    """Draw the mean response of each class with its 95 % interval, at a few sensors.

    Parameters
    ----------
    trials
        Broadband trials, smoothed here by a low-pass of 20 Hz; where they begin before the
        event, that part is the baseline.
    sensors
        Channels to show; `choose_sensors` if not given.
    """
    trials = trials.few()
    sensors = choose_sensors(trials.channels, trials.positions) if sensors is None else sensors
    x = _from_baseline(trials, sensors)
    unit = UNITS[trials.unit][1]
    figure, axes = stack(trials, sensors, f"Amplitude ({unit})", "Time after the event (s)")
    for row, panel in enumerate(axes):
        if trials.times[0] <= 0 <= trials.times[-1]:
            panel.axvline(0, color=SOFT, linewidth=0.8)
        panel.axhline(0, color=LINE, linewidth=0.8, zorder=0)
        draw_classes(panel, trials, trials.times, x[:, row])
    axes[0].set_xlim(trials.times[0], trials.times[-1])
    class_legend(figure, axes[0])
    return figure


@styled
def spectra(
    trials: Trials, band: tuple[float, float] | None = None, sensors: Sequence[int] | None = None
) -> Figure:
    """Draw each class's power spectrum, 3 to 45 Hz, with its 95 % interval, at a few sensors.

    Parameters
    ----------
    trials
        Broadband trials.
    band
        The model's pass band (Hz), shaded.
    sensors
        Channels to show; `choose_sensors` if not given.

    Notes
    -----
    Welch's method, windows of 1 s half overlapping, Hann; mean over trials of the log power.
    """
    trials = trials.few()
    sensors = choose_sensors(trials.channels, trials.positions) if sensors is None else sensors
    factor, unit = UNITS[trials.unit]
    hertz, power = _welch(trials.x[:, list(sensors)] * factor, trials.rate)
    shown = (hertz >= 3) & (hertz <= min(45.0, trials.rate / 2))
    figure, axes = stack(trials, sensors, f"Power (dB re 1 {unit}²/Hz)", "Frequency (Hz)")
    for row, panel in enumerate(axes):
        if band is not None:
            panel.axvspan(*band, color="#eef0ec", zorder=0)
        draw_classes(panel, trials, hertz[shown], _decibel(power[:, row, shown]))
    axes[0].set_xlim(hertz[shown][0], hertz[shown][-1])
    class_legend(figure, axes[0])
    return figure


def band_power(trials: Trials, band: tuple[float, float]) -> np.ndarray:
    """Return the power in `band` of every trial and channel, dB, shape (trial, channel)."""
    hertz, power = _welch(trials.x * UNITS[trials.unit][0], trials.rate)
    inside = (hertz >= band[0]) & (hertz <= band[1])
    if not inside.any():
        inside = np.abs(hertz - np.mean(band)) == np.abs(hertz - np.mean(band)).min()
    return _decibel(power[..., inside].mean(axis=-1))


@styled
def topomaps(trials: Trials, *bands: tuple[float, float]) -> Figure:
    """Draw where the power in each band lies in each class, and where the classes differ.

    Class maps are relative to the mean over sensors; beside them is the difference of two classes
    or, for more, below them that of each class from the mean of the others.

    Parameters
    ----------
    trials
        Trials that hold the bands.
    bands
        Hz; a row of maps for each.
    """
    trials = trials.few()
    known = located(trials.positions)
    if not make_a_map(trials.positions[known]):
        return no_map(len(known))
    rows: list[list[Group]] = []
    names: list[str] = []
    for low, high in bands:
        power = band_power(trials, (low, high))[:, known]
        rows += _class_maps(trials, power, relative=True)
        names += [f"{low:g}–{high:g} Hz"] * (len(rows) - len(names))
    return draw_maps(rows, trials.positions[known], "dB", names)


def _class_maps(trials: Trials, values: np.ndarray, *, relative: bool = False) -> list[list[Group]]:
    """Return the rows of maps that show `values` (trial, channel) by class."""
    names = trials.names[:4]
    means = np.array([values[trials.labels == name].mean(axis=0) for name in names])
    middle = means.mean(axis=1, keepdims=True) if relative else 0.0
    shapes = list(zip(names, means - middle, strict=True))
    groups = [group for group in (shapes, _differences(means, names)) if group]
    return [[group] for group in groups] if len(names) > 2 else [groups]


@styled
def evoked_maps(trials: Trials, most: int = 3) -> Figure:
    """Draw the mean response over the head at its peaks, by class, and where the classes differ.

    Peaks are those of the global field power, the SD over sensors of the mean of *all* trials: no
    label has a say in which moments are shown.

    Parameters
    ----------
    trials
        As for `evoked`.
    most
        Number of peaks.

    References
    ----------
    Lehmann & Skrandies (1980), Electroencephalogr. Clin. Neurophysiol. 48, 609-621.
    """
    trials = trials.few()
    known = located(trials.positions)
    if not make_a_map(trials.positions[known]):
        return no_map(len(known))
    x = _from_baseline(trials, known.tolist())
    rows: list[list[Group]] = []
    names: list[str] = []
    for peak in find_peaks(x.mean(axis=0), trials.times, most):
        near = np.abs(trials.times - trials.times[peak]) <= HALF_PEAK
        rows += _class_maps(trials, x[..., near].mean(axis=2))
        names += [f"{1000 * trials.times[peak]:.0f} ms"] * (len(rows) - len(names))
    return draw_maps(rows, trials.positions[known], UNITS[trials.unit][1], names)


def find_peaks(mean: np.ndarray, times: np.ndarray, most: int = 3) -> list[int]:
    """Return the samples of the highest peaks of the global field power after the event.

    Parameters
    ----------
    mean
        Mean over trials, shape (channel, time).
    times
        s after the event; peaks are at least 0.1 s apart.

    Examples
    --------
    >>> times = np.arange(100) / 100
    >>> wave = np.exp(-(((times - 0.3) / 0.05) ** 2))
    >>> find_peaks(np.stack([wave, -wave]), times)
    [30]
    """
    from scipy import signal

    power = mean.std(axis=0) * (times >= 0)
    apart = max(1, round(0.1 / (times[1] - times[0])))
    peaks, facts = signal.find_peaks(power, distance=apart, prominence=0.05 * power.max())
    if len(peaks) == 0:
        return [int(power.argmax())]
    highest = np.argsort(-facts["prominences"])[:most]
    return sorted(int(peak) for peak in peaks[highest])


def _differences(means: np.ndarray, names: Sequence[str]) -> Group:
    if len(names) == 1:
        return []
    if len(names) == 2:
        return [(f"{names[0]} \N{MINUS SIGN} {names[1]}", means[0] - means[1])]
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    return [(f"{n} \N{MINUS SIGN} rest", m) for n, m in zip(names, means - others, strict=True)]


@styled
def trial_counts(kept: Mapping[str, int], rejected: Mapping[str, int]) -> Figure:
    """Draw how many trials of each class were kept and rejected.

    Parameters
    ----------
    kept, rejected
        Class -> number of trials.
    """
    names = list(kept)
    rows = np.arange(len(names))[::-1]
    figure, axes = canvas(0.9 + 0.4 * max(len(names), 1))
    left = np.array([kept[name] for name in names])
    lost = np.array([rejected.get(name, 0) for name in names])
    axes.barh(rows, left, color=[colour(k) for k in range(len(names))], height=0.6)
    axes.barh(rows, lost, left=left, color="white", edgecolor=SOFT, hatch="////", height=0.6)
    for row, n, out in zip(rows, left, lost, strict=True):
        text = f" {n} kept" + (f", {out} rejected" if out else "")
        axes.text(n + out, row, text, va="center")
    axes.set_yticks(rows, names)
    axes.set(xlabel="Trials", xlim=(0, 1.45 * max((left + lost).max(initial=1), 1)))
    axes.tick_params(axis="y", length=0)
    return figure


def shown_bands(band: tuple[float, float] | None, what: str) -> list[tuple[float, float]]:
    """Return the bands whose power is mapped: the rhythms of EEG that the model's band holds.

    Parameters
    ----------
    band
        Pass band, Hz; None for none.
    what
        Kind of signal; theta, alpha and beta mean something in EEG and MEG only.

    Examples
    --------
    >>> shown_bands((8, 30), "EEG"), shown_bands((20, 45), "EMG")
    ([(8.0, 13.0), (13.0, 30.0)], [(20, 45)])
    """
    low, high = band or (8.0, 30.0)
    held = [(a, b) for a, b in RHYTHMS if low <= a + 1 and high >= b - 1]
    return held if held and what in ("EEG", "MEG") else [(low, high)]


def add_data_figures(
    shelf: Shelf,
    broadband: Trials,
    band: tuple[float, float] | None = None,
    *,
    what: str = "EEG",
    events: bool = True,
) -> None:
    """Put evoked responses, spectra and maps by class on a run's shelf.

    Parameters
    ----------
    shelf
        The run's artifacts.
    broadband
        Trials before the model's own filter, from before the event where there is data.
    band
        The model's pass band, Hz; maps show alpha and beta (8 to 30 Hz) if there is none.
    what
        Kind of signal, for the captions.
    events
        Whether trials lie around an event; windows out of a recording have no evoked response.
    """
    trials = broadband.few()
    if events:
        _add_evoked(shelf, trials, what)
    shelf.add_figure(
        "spectra",
        spectra(trials, band),
        title="Power spectra by class",
        caption="Welch's method, 1 s windows; mean and its 95 % interval over trials. "
        + ("The model's band is shaded. " if band else "")
        + CHOSEN,
        section="data",
    )
    shelf.add_figure(
        "topomaps",
        topomaps(trials, *shown_bands(band, what)),
        title="Where the power lies",
        caption="Each class relative to the mean over sensors; then the difference between "
        "classes, on a scale of its own. Seen from above, nose up.",
        section="data",
    )


def _add_evoked(shelf: Shelf, trials: Trials, what: str) -> None:
    counts = ", ".join(f"{name} {int((trials.labels == name).sum())}" for name in trials.names)
    sensors = choose_sensors(trials.channels, trials.positions)
    where = ", ".join(str(trials.channels[k]) for k in sensors)
    shelf.add_figure(
        "evoked",
        evoked(trials),
        title="Evoked responses by class",
        caption=f"{what} at {where}, smoothed by a low-pass of {SMOOTH_HZ:g} Hz: mean and its "
        f"95 % interval over trials ({counts}). {CHOSEN}",
        section="data",
    )
    if make_a_map(trials.positions[located(trials.positions)]):
        shelf.add_figure(
            "evoked-maps",
            evoked_maps(trials),
            title="Evoked responses over the head, at their peaks",
            caption="Amplitude from the baseline, mean of 20 ms, at the peaks of the global field "
            "power of all trials together (the labels did not choose them); then the difference "
            "between classes, on a scale of its own.",
            section="data",
        )


def _from_baseline(trials: Trials, sensors: Sequence[int]) -> np.ndarray:
    """Return the signals of `sensors`, smoothed, from the mean before the event (or of it all)."""
    x = _smooth(trials.x[:, list(sensors)] * UNITS[trials.unit][0], trials.rate)
    before = trials.times < 0
    return x - (x[..., before] if before.any() else x).mean(axis=-1, keepdims=True)


def _smooth(x: np.ndarray, rate: float) -> np.ndarray:
    """Low-pass without a shift in time; slow recordings stay as they are."""
    from scipy.signal import butter, sosfiltfilt

    if rate <= 2.5 * SMOOTH_HZ or x.shape[-1] < 30:
        return x
    low_pass = butter(4, SMOOTH_HZ, fs=rate, output="sos")
    # Even: an odd extension turns about the last sample, and takes its noise for the level.
    length = min(x.shape[-1] - 1, round(rate / 2))
    return sosfiltfilt(low_pass, x, axis=-1, padtype="even", padlen=length)


def _welch(x: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.signal import welch

    return welch(x, rate, nperseg=min(round(rate), x.shape[-1]), detrend="constant")


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-12))


def stack(
    trials: Trials, sensors: Sequence[int], ylabel: str, xlabel: str
) -> tuple[Figure, np.ndarray]:
    """Return one panel above the other, one for each sensor, with common axes."""
    height = 0.7 + 1.15 * len(sensors)
    figure, axes = canvas(height, rows=len(sensors), sharex=True, sharey=True, squeeze=False)
    for panel, sensor in zip(axes[:, 0], sensors, strict=True):
        panel.set_title(str(trials.channels[sensor]), loc="left", pad=3, fontweight="bold")
        panel.locator_params(axis="y", nbins=4)
    figure.supylabel(ylabel, fontsize=10)
    axes[-1, 0].set_xlabel(xlabel)
    return figure, axes[:, 0]


def draw_classes(panel: Axes, trials: Trials, at: np.ndarray, values: np.ndarray) -> None:
    """Draw the mean of each class with its 95 % interval; `values` is (trial, place)."""
    for number, name in enumerate(trials.names):
        part = values[trials.labels == name]
        mean = part.mean(axis=0)
        panel.plot(at, mean, color=colour(number), linewidth=1.4, label=name)
        if len(part) > 1:
            half = 1.96 * part.std(axis=0, ddof=1) / np.sqrt(len(part))
            panel.fill_between(
                at, mean - half, mean + half, color=colour(number), alpha=0.2, linewidth=0
            )


def class_legend(figure: Figure, axes: Axes) -> None:
    """Put the names of the lines of `axes` above the figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 4))
