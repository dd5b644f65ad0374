"""Figures of what a decoder draws on: sensors, bands, times, kernels and attributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import INK, LINE, MODEL, WIDTH, canvas, colour, styled
from neuroloom.signals.figures.maps import (
    axes_at,
    draw_bar,
    draw_map,
    draw_maps,
    make_a_map,
    no_map,
    reach,
)
from neuroloom.signals.figures.trials import located

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf

FILL = "#a9d3cf"


@styled
def relevance(
    scores: np.ndarray,
    channels: Sequence[str],
    positions: np.ndarray,
    bands: pd.DataFrame | None = None,
) -> Figure:
    """Draw which sensors, and which frequency bands, the model's answers depend on.

    Parameters
    ----------
    scores
        Shape (channel,), not negative; shown as a share of the highest.
    channels, positions
        As in `Trials`.
    bands
        Columns `low`, `high` (Hz), one for each class, `relevance`; left out if not given.
    """
    from matplotlib.figure import Figure

    scores = np.nan_to_num(np.abs(np.asarray(scores, float)))
    scores = scores / max(scores.max(), 1e-30)
    known = located(positions)
    two = bands is not None
    if not make_a_map(positions[known]):
        figure, axes = canvas(2.9, columns=2 if two else 1, squeeze=False)
        _bars(axes[0, 0], scores, channels)
        if two:
            _draw_bands(axes[0, 1], bands)
        return figure
    figure = Figure(figsize=(WIDTH, 3.3), facecolor="white")
    panel = axes_at(figure, 0.05 if two else 1.2, 0.65, 2.6, 2.6)
    image = draw_map(panel, scores[known], positions[known], (0.0, 1.0), cmap="Purples")
    _name_highest(panel, scores[known], [str(channels[k]) for k in known])
    left = panel.get_position().x0 * WIDTH
    draw_bar(figure, image, axes_at(figure, left + 0.6, 0.52, 1.4, 0.09), "share of the highest")
    if two:
        _draw_bands(axes_at(figure, 3.3, 0.6, 1.55, 2.4), bands)
    return figure


def _draw_bands(axes: Axes, bands: pd.DataFrame) -> None:
    """Draw the relevance of each band, all classes as an area and each as a line."""
    edges = np.append(bands["low"], bands["high"].iloc[-1])
    axes.stairs(bands["relevance"], edges, orientation="horizontal", fill=True, color=FILL)
    names = _class_columns(bands, "low", "high")
    for number, name in enumerate(names if len(names) > 1 else []):
        axes.stairs(bands[name], edges, orientation="horizontal", color=colour(number), label=name)
    axes.set(ylabel="Frequency (Hz)", xlabel="Relevance (nats)" if names else "Relevance")
    axes.set_ylim(edges[0], edges[-1])
    axes.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    axes.locator_params(axis="x", nbins=4)
    if len(names) > 1:
        axes.legend(loc="upper right", handlelength=1.0, bbox_to_anchor=(1.05, 1.02))


def _class_columns(table: pd.DataFrame, *others: str) -> list[str]:
    return [str(name) for name in table.columns if name not in (*others, "relevance")]


@styled
def evoked_relevance(
    times: pd.DataFrame, maps: np.ndarray, channels: Sequence[str], name: str
) -> Figure:
    """Draw when a decoder looks, and at which sensors amplitude goes with its belief.

    Parameters
    ----------
    times
        Columns `start`, `stop` (s), one for each class, `relevance`.
    maps
        Shape (channel, window): the pattern of the belief in the class `name`, -1 to 1.
    channels
        Names, in the order of `maps`.
    """
    edges = _edges(times)
    shown = min(len(channels), 64)
    figure, (above, below) = canvas(
        2.6 + 0.045 * shown, rows=2, sharex=True, height_ratios=[1, 1 + 0.025 * shown]
    )
    above.stairs(times["relevance"], edges, fill=True, color=FILL)
    names = _class_columns(times, "start", "stop")
    for number, column in enumerate(names if len(names) > 1 else []):
        above.stairs(times[column], edges, color=colour(number), label=column)
    above.axhline(0, color=LINE, linewidth=0.8, zorder=0)
    above.set_ylabel("Relevance")
    if len(names) > 1:
        figure.legend(loc="outside upper right", ncols=min(len(names), 4))
    limits = reach(maps)
    rows = np.arange(len(channels) + 1) - 0.5
    image = below.pcolormesh(edges, rows, maps, cmap="RdBu_r", vmin=limits[0], vmax=limits[1])
    below.invert_yaxis()
    few = len(channels) <= 20
    step = 1 if few else int(np.ceil(len(channels) / 16))
    below.set_yticks(range(0, len(channels), step), [str(c) for c in channels[::step]], fontsize=8)
    below.tick_params(axis="y", length=0)
    below.set_xlabel("Time after the event (s)")
    figure.colorbar(image, ax=below, label=f"with belief in {name}", pad=0.02)
    return figure


def _edges(times: pd.DataFrame) -> np.ndarray:
    """Return the borders between neighbouring windows, s."""
    between = (times["stop"].to_numpy()[:-1] + times["start"].to_numpy()[1:]) / 2
    return np.concatenate([times["start"].iloc[:1], between, times["stop"].iloc[-1:]])


@styled
def moments(
    times: pd.DataFrame, maps: np.ndarray, positions: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draw the patterns over the head in the three windows that matter most.

    Parameters
    ----------
    times
        As for `evoked_relevance`.
    maps
        Shape (channel, window, class).
    positions
        As in `Trials`.
    names
        The classes; of two, whose patterns are each other's negative, the last is shown.
    """
    known = located(positions)
    if not make_a_map(positions[known]):
        return no_map(len(known))
    best = np.sort(np.argsort(-times["relevance"].to_numpy())[:3])
    classes = list(range(len(names)))[-1:] if len(names) == 2 else list(range(len(names)))[:4]
    middle = 1000 * (times["start"] + times["stop"]).to_numpy() / 2
    rows = [[[(f"{middle[k]:.0f} ms", maps[known, k, c]) for k in best]] for c in classes]
    return draw_maps(rows, positions[known], "rank correlation", [names[c] for c in classes])


@styled
def attributions(
    maps: Mapping[str, np.ndarray], positions: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw how much each sensor adds to the score of each class, by several methods.

    Parameters
    ----------
    maps
        Method -> shares, shape (class, channel).
    positions
        As in `Trials`.
    classes
        Names.
    """
    known = located(positions)
    if not make_a_map(positions[known]):
        return no_map(len(known))
    shown = classes[:4]
    rows = [
        [[(name, 100 * shares[k, known]) for k, name in enumerate(shown)]]
        for shares in maps.values()
    ]
    return draw_maps(rows, positions[known], "share (%)", list(maps), shares=True)


@styled
def kernel_spectra(hertz: np.ndarray, gain: np.ndarray) -> Figure:
    """Draw which frequencies each temporal kernel passes, sorted by its peak, and their mean.

    Parameters
    ----------
    hertz
        Shape (frequency,).
    gain
        Shape (kernel, frequency), the highest of each kernel 1.
    """
    order = np.argsort(gain.argmax(axis=1), kind="stable")
    figure, (above, below) = canvas(3.8, rows=2, sharex=True, height_ratios=[1, 1.6])
    mean = gain.mean(axis=0)
    above.fill_between(hertz, mean, color=FILL, linewidth=0)
    above.plot(hertz, mean, color=MODEL)
    above.set(ylabel="Mean gain", ylim=(0, None))
    rows = np.arange(len(gain) + 1)
    image = below.pcolormesh(hertz, rows, gain[order][:, :-1], cmap="viridis", vmin=0, vmax=1)
    below.set(xlabel="Frequency (Hz)", ylabel="Kernel", xlim=(hertz[0], hertz[-1]))
    below.locator_params(axis="y", integer=True, nbins=5)
    figure.colorbar(image, ax=[above, below], label="Gain", pad=0.02, aspect=30)
    return figure


@styled
def kernel_maps(
    weights: np.ndarray, patterns: np.ndarray, positions: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draw the weights of spatial filters over the head, and where their signals come from.

    Parameters
    ----------
    weights, patterns
        Shape (filter, channel).
    positions
        As in `Trials`.
    names
        Of each filter, such as the peak of its temporal kernel.
    """
    known = located(positions)
    if not make_a_map(positions[known]):
        return no_map(len(known))
    rows = []
    for values in (weights, patterns):
        scaled = values[:, known]
        scaled = scaled / np.abs(scaled).max(axis=1, keepdims=True).clip(1e-30)
        rows.append([list(zip(names, scaled, strict=True))])
    return draw_maps(rows, positions[known], "share of the highest", ["Weights", "Pattern"])


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


def _bars(axes: Axes, scores: np.ndarray, channels: Sequence[str], most: int = 12) -> None:
    """Draw the highest of the scores, for sensors without a place."""
    order = np.argsort(-scores, kind="stable")[:most]
    rows = np.arange(len(order))[::-1]
    axes.barh(rows, scores[order], color=MODEL, height=0.65)
    axes.set_yticks(rows, [str(channels[k]) for k in order])
    axes.set_xlabel("Share of the highest")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)


def add_relevance(
    shelf: Shelf,
    scores: np.ndarray,
    channels: Sequence[str],
    positions: np.ndarray,
    bands: pd.DataFrame | None = None,
    caption: str = "",
) -> None:
    """Put the map of relevance on a run's shelf.

    Parameters as for `relevance`; `caption` says how it was measured.
    """
    top = ", ".join(str(channels[k]) for k in np.argsort(-np.abs(scores))[:5])
    shelf.add_figure(
        "relevance",
        relevance(scores, channels, positions, bands),
        title="Sensors and bands that the answers depend on",
        caption=caption or "Dots mark the five sensors that matter most. Seen from above, nose up.",
        alt=f"Map of relevance; highest at {top}.",
        section="where",
    )
