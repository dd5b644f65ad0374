"""Figures of trials recorded with sensors: what a reviewer of EEG or MEG looks at first.

Inputs are trials `x` of shape (trial, channel, time) in SI units and one label for each trial.
Evoked responses and spectra should come from broadband trials, not from those that were filtered
for the model: a figure of a narrow band shows the filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.figures import INK, LINE, MODEL, SOFT, WIDTH, canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf

# C3, Cz and C4, and where they are as unit vectors from the middle of the head.
CENTRAL = ("C3", "Cz", "C4")
PLACES = np.array([[-0.73, 0.10, 0.67], [0.0, 0.13, 0.99], [0.73, 0.10, 0.67]])
UNITS = {"V": (1e6, "µV"), "T": (1e15, "fT"), "T/m": (1e13, "fT/cm")}
SMOOTH_HZ = 20.0
TOO_FEW = 4
TRIALS = 400


@dataclass(frozen=True)
class Trials:
    """Trials with all that a figure must know of them.

    Parameters
    ----------
    x
        Shape (trial, channel, time), in `unit`.
    y
        Shape (trial,): class names; or numbers, which are then shown as a lower and an upper half.
    channels
        Names, one for each channel.
    positions
        Shape (channel, 3), head coordinates in metres; NaN where unknown.
    rate
        Samples a second, Hz.
    start
        Time of the first sample, s after the event.
    unit
        "V", "T" or "T/m".
    classes
        Names in the order in which they are shown; sorted if empty.

    Examples
    --------
    >>> x = np.zeros((4, 2, 100))
    >>> trials = Trials(x, ["a", "b", "a", "b"], ["C3", "C4"], np.full((2, 3), np.nan), 100.0)
    >>> trials.names
    ['a', 'b']
    """

    x: np.ndarray
    y: Sequence[Any]
    channels: Sequence[str]
    positions: np.ndarray
    rate: float
    start: float = 0.0
    unit: str = "V"
    classes: Sequence[str] = ()

    @property
    def labels(self) -> np.ndarray:
        """The class of each trial, shape (trial,)."""
        y = np.asarray(self.y)
        if y.dtype.kind == "f":
            return np.where(y <= np.median(y), "lower half", "upper half")
        return y.astype(str)

    @property
    def names(self) -> list[str]:
        """The classes that have trials."""
        there = set(self.labels.tolist())
        return [str(c) for c in self.classes if str(c) in there] or sorted(there)

    @property
    def times(self) -> np.ndarray:
        """Time of each sample, s after the event."""
        return self.start + np.arange(self.x.shape[-1]) / self.rate

    def few(self, most: int = TRIALS) -> Trials:
        """Return at most `most` trials, evenly taken from all: enough for a picture."""
        if len(self.x) <= most:
            return self
        kept = np.linspace(0, len(self.x) - 1, most).astype(int)
        y = np.asarray(self.labels)[kept].tolist()
        return Trials(
            self.x[kept], y, self.channels, self.positions, self.rate, self.start, self.unit,
            self.classes,
        )  # fmt: skip


def choose_sensors(channels: Sequence[str], positions: np.ndarray) -> list[int]:
    """Return C3, Cz and C4, or the three sensors nearest to their places.

    The choice looks at where the sensors are, never at the labels: the sensors at which classes
    differ most differ most by luck, too. Without positions it is the first three channels.

    Parameters
    ----------
    channels
        Names.
    positions
        Shape (channel, 3), head coordinates in metres.

    Examples
    --------
    >>> choose_sensors(["Fz", "C3", "Cz", "C4"], np.full((4, 3), np.nan))
    [1, 2, 3]
    """
    names = [str(name) for name in channels]
    if set(CENTRAL) <= set(names):
        return [names.index(name) for name in CENTRAL]
    known = _located(positions)
    if len(known) < TOO_FEW:
        return list(range(min(3, len(names))))
    arrows = positions[known] - _middle(positions[known])
    arrows = arrows / np.linalg.norm(arrows, axis=1, keepdims=True).clip(1e-12)
    return list(dict.fromkeys(int(known[np.argmax(arrows @ place)]) for place in PLACES))


def _middle(positions: np.ndarray) -> np.ndarray:
    """Return the centre of the sphere that fits the positions best."""
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    return np.linalg.lstsq(design, (positions**2).sum(axis=1), rcond=None)[0][:3]


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
    factor, unit = UNITS[trials.unit]
    x = _smooth(trials.x[:, list(sensors)] * factor, trials.rate)
    before = trials.times < 0
    x = x - (x[..., before] if before.any() else x).mean(axis=-1, keepdims=True)
    figure, axes = _stack(trials, sensors, f"Amplitude ({unit})", "Time after the event (s)")
    for row, panel in enumerate(axes):
        if trials.times[0] <= 0 <= trials.times[-1]:
            panel.axvline(0, color=SOFT, linewidth=0.8)
        panel.axhline(0, color=LINE, linewidth=0.8, zorder=0)
        _draw_classes(panel, trials, trials.times, x[:, row])
    axes[0].set_xlim(trials.times[0], trials.times[-1])
    _legend(figure, axes[0])
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
    figure, axes = _stack(trials, sensors, f"Power (dB re 1 {unit}²/Hz)", "Frequency (Hz)")
    for row, panel in enumerate(axes):
        if band is not None:
            panel.axvspan(*band, color="#eef0ec", zorder=0)
        _draw_classes(panel, trials, hertz[shown], _decibel(power[:, row, shown]))
    axes[0].set_xlim(hertz[shown][0], hertz[shown][-1])
    _legend(figure, axes[0])
    return figure


def band_power(trials: Trials, band: tuple[float, float]) -> np.ndarray:
    """Return the power in `band` of every trial and channel, dB, shape (trial, channel)."""
    hertz, power = _welch(trials.x * UNITS[trials.unit][0], trials.rate)
    inside = (hertz >= band[0]) & (hertz <= band[1])
    if not inside.any():
        inside = np.abs(hertz - np.mean(band)) == np.abs(hertz - np.mean(band)).min()
    return _decibel(power[..., inside].mean(axis=-1))


@styled
def topomaps(trials: Trials, band: tuple[float, float]) -> Figure:
    """Draw where the power in `band` lies in each class, and where the classes differ.

    Class maps are relative to the mean over sensors; the last row is the difference of two
    classes or, for more, of each class from the mean of the others.

    Parameters
    ----------
    trials
        Trials that hold the band.
    band
        Hz.
    """
    trials = trials.few()
    known = _located(trials.positions)
    if not _make_a_map(trials.positions[known]):
        return no_map(len(known))
    power = band_power(trials, band)[:, known]
    names = trials.names[:4]
    means = np.array([power[trials.labels == name].mean(axis=0) for name in names])
    shapes = list(zip(names, means - means.mean(axis=1, keepdims=True), strict=True))
    groups = [group for group in (shapes, _differences(means, names)) if group]
    rows = [[group] for group in groups] if len(names) > 2 else [groups]
    return _draw_maps(rows, trials.positions[known])


Group = list[tuple[str, np.ndarray]]


def _draw_maps(rows: list[list[Group]], positions: np.ndarray) -> Figure:
    """Draw rows of groups of maps; each group has one scale and its bar below.

    Places are set by hand: an automatic layout does not see what a map draws outside its axes.
    """
    from matplotlib.figure import Figure

    columns = max(sum(map(len, groups)) for groups in rows)
    side, above, below = min(1.7, (WIDTH - 0.2) / columns), 0.32, 0.62
    tall = side + above + below
    figure = Figure(figsize=(WIDTH, tall * len(rows)), facecolor="white")
    for row, groups in enumerate(rows):
        left = (WIDTH - side * columns) / 2
        bottom = tall * (len(rows) - 1 - row) + below
        for group in groups:
            limits = _reach(np.array([values for _, values in group]))
            for number, (name, values) in enumerate(group):
                panel = _axes(figure, left + side * number, bottom, side, side)
                image = _map(panel, values, positions, limits)
                panel.set_title(name, pad=2)
            width = side * len(group)
            bar = _axes(figure, left + width / 2 - 0.55, bottom - 0.13, 1.1, 0.09)
            _bar(figure, image, bar, "dB")
            left += width
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place given in inches."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))


def _differences(means: np.ndarray, names: Sequence[str]) -> Group:
    if len(names) == 1:
        return []
    if len(names) == 2:
        return [(f"{names[0]} \N{MINUS SIGN} {names[1]}", means[0] - means[1])]
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    return [(f"{n} \N{MINUS SIGN} rest", m) for n, m in zip(names, means - others, strict=True)]


@styled
def relevance(
    scores: np.ndarray,
    channels: Sequence[str],
    positions: np.ndarray,
    bands: Mapping[str, float] | None = None,
) -> Figure:
    """Draw which sensors, and which frequency bands, the model's answers depend on.

    Parameters
    ----------
    scores
        Shape (channel,), not negative; shown as a share of the highest.
    channels, positions
        As in `Trials`.
    bands
        Relevance of each band, for instance `{"8–13 Hz": 0.6, …}`; left out if not given.
    """
    from matplotlib.figure import Figure

    scores = np.nan_to_num(np.abs(np.asarray(scores, float)))
    scores = scores / max(scores.max(), 1e-30)
    known = _located(positions)
    if not _make_a_map(positions[known]):
        figure, axes = canvas(2.9, columns=2 if bands else 1, squeeze=False)
        ranked = sorted(zip(map(str, channels), scores, strict=True), key=lambda pair: -pair[1])
        _bars(axes[0, 0], dict(ranked[:12]))
        if bands:
            _bars(axes[0, 1], bands)
        return figure
    figure = Figure(figsize=(WIDTH, 3.3), facecolor="white")
    panel = _axes(figure, 0.05 if bands else 1.2, 0.65, 2.6, 2.6)
    image = _map(panel, scores[known], positions[known], (0.0, 1.0), cmap="Purples")
    _name_highest(panel, scores[known], [str(channels[k]) for k in known])
    left = panel.get_position().x0 * WIDTH
    _bar(figure, image, _axes(figure, left + 0.6, 0.52, 1.4, 0.09), "share of the highest")
    if bands:
        _bars(_axes(figure, 3.35, 0.65, 1.5, 2.3), bands)
    return figure


def _name_highest(axes: Axes, scores: np.ndarray, names: Sequence[str], most: int = 5) -> None:
    """Write the names of the highest sensors beside their dots, unless two would overlap."""
    from matplotlib.patheffects import withStroke

    places = next(dots.get_xydata() for dots in axes.lines if dots.get_marker() == ".")
    room = np.ptp(places, axis=0).max() * np.array([0.16, 0.10])
    written: list[np.ndarray] = []
    for k in np.argsort(-scores)[:most]:
        axes.plot(*places[k], "o", color=INK, markersize=4, mec="white", mew=0.5)
        if any((np.abs(places[k] - other) < room).all() for other in written):
            continue
        written.append(places[k])
        words = axes.annotate(
            names[k], places[k], (0, 4), textcoords="offset points", ha="center", fontsize=9,
            fontweight="bold",
        )  # fmt: skip
        words.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _bars(axes: Axes, values: Mapping[str, float]) -> None:
    rows = np.arange(len(values))[::-1]
    axes.barh(rows, list(values.values()), color=MODEL, height=0.65)
    axes.set_yticks(rows, list(values))
    if not any(part.isalpha() for name in values for part in name):
        axes.set_title("Band (Hz)", loc="left")
    axes.set_xlabel("Relevance")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)


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


@styled
def no_map(known: int) -> Figure:
    """Draw a note in place of a map: without positions there is nothing to map."""
    figure, axes = canvas(1.2)
    axes.set_axis_off()
    text = (
        f"No map: {known} of the sensors have a position;\n"
        f"a map needs {TOO_FEW} or more, not all in a row.\n"
        "Name the channels by the 10–10 system, or give a montage."
    )
    axes.text(0.5, 0.5, text, ha="center", va="center", color=INK, transform=axes.transAxes)
    return figure


def add_data_figures(
    shelf: Shelf, broadband: Trials, band: tuple[float, float] | None = None, *, what: str = "EEG"
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
    """
    trials = broadband.few()
    counts = ", ".join(f"{name} {int((trials.labels == name).sum())}" for name in trials.names)
    where = ", ".join(
        str(trials.channels[k]) for k in choose_sensors(trials.channels, trials.positions)
    )
    chosen = "The sensors were chosen by their place, not by the labels."
    shelf.add_figure(
        "evoked",
        evoked(trials),
        title="Evoked responses by class",
        caption=f"{what} at {where}, smoothed by a low-pass of {SMOOTH_HZ:g} Hz: mean and its "
        f"95 % interval over trials ({counts}). {chosen}",
        section="data",
    )
    shelf.add_figure(
        "spectra",
        spectra(trials, band),
        title="Power spectra by class",
        caption="Welch's method, 1 s windows; mean and its 95 % interval over trials. "
        + ("The model's band is shaded. " if band else "")
        + chosen,
        section="data",
    )
    low, high = band or (8.0, 30.0)
    shelf.add_figure(
        "topomaps",
        topomaps(trials, (low, high)),
        title=f"Where the power lies, {low:g} to {high:g} Hz",
        caption="Each class relative to the mean over sensors; then the difference between "
        "classes, on a scale of its own. Seen from above, nose up.",
        section="data",
    )


def add_relevance(
    shelf: Shelf,
    scores: np.ndarray,
    channels: Sequence[str],
    positions: np.ndarray,
    bands: Mapping[str, float] | None = None,
    caption: str = "",
) -> None:
    """Put the map of relevance on a run's shelf, and the numbers behind it as a table."""
    import pandas as pd

    order = np.argsort(-np.abs(scores))
    top = ", ".join(str(channels[k]) for k in order[:5])
    shelf.add_figure(
        "relevance",
        relevance(scores, channels, positions, bands),
        title="Sensors and bands that the answers depend on",
        caption=caption or "Dots mark the five sensors that matter most. Seen from above, nose up.",
        alt=f"Map of relevance; highest at {top}.",
        section="where",
    )
    highest = max(float(np.abs(scores).max()), 1e-30)
    rows = [(str(channels[k]), float(abs(scores[k]) / highest)) for k in order]
    table = pd.DataFrame(rows, columns=["channel", "relevance"])
    shelf.add_table("relevance-by-channel", table, title="Relevance by sensor", section="where")


def _smooth(x: np.ndarray, rate: float) -> np.ndarray:
    """Low-pass without a shift in time; slow recordings stay as they are."""
    from scipy.signal import butter, sosfiltfilt

    if rate <= 2.5 * SMOOTH_HZ or x.shape[-1] < 30:
        return x
    return sosfiltfilt(butter(4, SMOOTH_HZ, fs=rate, output="sos"), x, axis=-1)


def _welch(x: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.signal import welch

    return welch(x, rate, nperseg=min(round(rate), x.shape[-1]), detrend="constant")


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-12))


def _stack(
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


def _draw_classes(panel: Axes, trials: Trials, at: np.ndarray, values: np.ndarray) -> None:
    for number, name in enumerate(trials.names):
        part = values[trials.labels == name]
        mean = part.mean(axis=0)
        panel.plot(at, mean, color=colour(number), linewidth=1.4, label=name)
        if len(part) > 1:
            half = 1.96 * part.std(axis=0, ddof=1) / np.sqrt(len(part))
            panel.fill_between(
                at, mean - half, mean + half, color=colour(number), alpha=0.2, linewidth=0
            )


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 4))


def _located(positions: np.ndarray) -> np.ndarray:
    """Return the indices of sensors whose place is known, each place once."""
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    _, first = np.unique(np.round(positions[known], 4), axis=0, return_index=True)
    return known[np.sort(first)]


def _make_a_map(positions: np.ndarray) -> bool:
    """Say whether the positions span a plane, so that there is something between them."""
    if len(positions) < TOO_FEW:
        return False
    spread = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(spread[1] > 0.02 * spread[0])


def _reach(maps: np.ndarray) -> tuple[float, float]:
    """Return a scale that is even about zero and holds every value."""
    edge = max(float(np.abs(maps).max(initial=0.0)), 1e-9)
    return -edge, edge


def _map(
    axes: Axes, values: np.ndarray, positions: np.ndarray, limits: tuple[float, float],
    cmap: str = "RdBu_r",
) -> Any:  # fmt: skip
    """Draw one map with MNE's projection and outlines, the ones that readers know."""
    import mne

    labels = [f"S{k}" for k in range(len(values))]
    info = mne.create_info(labels, 1.0, "eeg", verbose="error")
    # Sensors exactly on one circle cannot be triangulated; 10 µm apart from it they can.
    shaken = positions + np.random.default_rng(0).uniform(-1e-5, 1e-5, positions.shape)
    places = dict(zip(labels, shaken, strict=True))
    montage = mne.channels.make_dig_montage(places, coord_frame="head")
    info.set_montage(montage, verbose="error")
    image, _ = mne.viz.plot_topomap(
        values, info, axes=axes, show=False, cmap=cmap, vlim=limits, contours=0, res=96,
        sensors="k.", image_interp="linear",
    )  # fmt: skip
    for dots in axes.lines:
        if dots.get_marker() == ".":
            dots.set(markersize=2, color=SOFT)
    return image


def _bar(figure: Figure, image: Any, axes: Axes, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(
        image, cax=axes, orientation="horizontal", label=label, ticks=MaxNLocator(3)
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9)
