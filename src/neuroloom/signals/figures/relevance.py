"""Figures of what a decoder draws on: sensors, bands, times, kernels and attributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import INK, MODEL, WIDTH, canvas, styled
from neuroloom.signals.figures.maps import axes_at, draw_bar, draw_map, make_a_map
from neuroloom.signals.figures.trials import located

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf


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
    known = located(positions)
    if not make_a_map(positions[known]):
        figure, axes = canvas(2.9, columns=2 if bands else 1, squeeze=False)
        ranked = sorted(zip(map(str, channels), scores, strict=True), key=lambda pair: -pair[1])
        _bars(axes[0, 0], dict(ranked[:12]))
        if bands:
            _bars(axes[0, 1], bands)
        return figure
    figure = Figure(figsize=(WIDTH, 3.3), facecolor="white")
    panel = axes_at(figure, 0.05 if bands else 1.2, 0.65, 2.6, 2.6)
    image = draw_map(panel, scores[known], positions[known], (0.0, 1.0), cmap="Purples")
    _name_highest(panel, scores[known], [str(channels[k]) for k in known])
    left = panel.get_position().x0 * WIDTH
    draw_bar(figure, image, axes_at(figure, left + 0.6, 0.52, 1.4, 0.09), "share of the highest")
    if bands:
        _bars(axes_at(figure, 3.35, 0.65, 1.5, 2.3), bands)
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
