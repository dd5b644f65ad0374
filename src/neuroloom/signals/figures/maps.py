"""Maps of the head, drawn alike in every figure: a value for each sensor, seen from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.figures import INK, SOFT, WIDTH, canvas, styled
from neuroloom.signals.figures.trials import TOO_FEW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Group = list[tuple[str, np.ndarray]]


def draw_maps(
    rows: Sequence[Sequence[Group]],
    positions: np.ndarray,
    unit: str = "dB",
    names: Sequence[str] = (),
    *,
    shares: bool = False,
) -> Figure:
    """Draw rows of groups of maps; each group has one scale and its bar below.

    Places are set by hand: an automatic layout does not see what a map draws outside its axes.

    Parameters
    ----------
    rows
        Each a list of groups, each a list of (title, values of the sensors).
    positions
        Shape (channel, 3), all known.
    unit
        Of the values, below the bars.
    names
        What each row is, written at its left.
    shares
        A scale begins at zero where all values lie above it; else it is even about zero.
    """
    from matplotlib.figure import Figure

    columns = max(sum(map(len, groups)) for groups in rows)
    margin = 0.3 if names else 0.0
    side, above, below = min(1.7, (WIDTH - 0.2 - margin) / columns), 0.32, 0.62
    tall = side + above + below
    figure = Figure(figsize=(WIDTH, tall * len(rows)), facecolor="white")
    for row, groups in enumerate(rows):
        left = (WIDTH + margin - side * columns) / 2
        bottom = tall * (len(rows) - 1 - row) + below
        if names:
            middle = (bottom + side / 2) / (tall * len(rows))
            figure.text(0.02, middle, names[row], rotation=90, va="center", fontweight="bold")
        for group in groups:
            _draw_group(figure, group, positions, (left, bottom, side), unit, shares)
            left += side * len(group)
    return figure


def _draw_group(
    figure: Figure, group: Group, positions: np.ndarray, place: tuple[float, float, float],
    unit: str, shares: bool,
) -> None:  # fmt: skip
    left, bottom, side = place
    all_values = np.array([values for _, values in group])
    limits, cmap = reach(all_values), "RdBu_r"
    if shares and all_values.min() >= 0:
        limits, cmap = (0.0, limits[1]), "Purples"
    for number, (name, values) in enumerate(group):
        panel = axes_at(figure, left + side * number, bottom, side, side)
        image = draw_map(panel, values, positions, limits, cmap)
        panel.set_title(name, pad=2)
    bar = axes_at(figure, left + side * len(group) / 2 - 0.55, bottom - 0.13, 1.1, 0.09)
    draw_bar(figure, image, bar, unit)


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place given in inches."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))


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


def make_a_map(positions: np.ndarray) -> bool:
    """Say whether the positions span a plane, so that there is something between them."""
    if len(positions) < TOO_FEW:
        return False
    spread = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(spread[1] > 0.02 * spread[0])


def reach(maps: np.ndarray) -> tuple[float, float]:
    """Return a scale that is even about zero and holds every value."""
    edge = max(float(np.abs(maps).max(initial=0.0)), 1e-9)
    return -edge, edge


def draw_map(
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


def draw_bar(figure: Figure, image: Any, axes: Axes, label: str) -> None:
    """Draw the scale of a map into `axes`, with few ticks."""
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(
        image, cax=axes, orientation="horizontal", label=label, ticks=MaxNLocator(3)
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9)
