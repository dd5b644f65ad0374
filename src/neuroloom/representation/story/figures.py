"""Figures of representations: RDMs, their map, models beside the ceiling, pictures in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.learn.figures import BASELINE, CHANCE, MODEL, SOFT, canvas, colour, styled
from neuroloom.representation.rsa.rdm import stimuli_of, to_square
from neuroloom.representation.rsa.similarity import ranks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
COLUMNS = 3
MOST_POINTS = 400


@styled
def rdm_maps(rdms: Floats, names: Sequence[str]) -> Figure:
    """Draw RDMs (rdm, pair) as squares, in ranks from alike (dark) to unlike (bright).

    Of many stimuli every second, third … is drawn.
    """
    rows = -(-len(rdms) // COLUMNS)
    shown = min(COLUMNS, len(rdms))
    figure, panels = canvas(0.4 + 5.0 / shown * rows, rows=rows, columns=shown, squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    step = max(1, stimuli_of(rdms.shape[1]) // MOST_POINTS)
    for axes, pairs, name in zip(panels.ravel(), rdms, names, strict=False):
        known = np.isfinite(pairs)
        scaled = np.full(len(pairs), np.nan)
        scaled[known] = ranks(pairs[known]) / max(known.sum(), 1)
        image = axes.imshow(to_square(scaled)[::step, ::step], cmap="viridis", vmin=0, vmax=1)
        axes.set_title(_short(name), fontsize=8)
    bar = figure.colorbar(image, ax=panels, shrink=0.5, ticks=[0, 1], pad=0.02)
    bar.ax.set_yticklabels(["alike", "unlike"], fontsize=8)
    return figure


def place(pairs: Floats, axes: int = 2) -> Floats:
    """Return places of stimuli whose distances are like those of an RDM (classical scaling).

    Returns
    -------
    Shape (stimulus, axes), in the order of the axes' variance.

    Examples
    --------
    >>> abs(np.diff(place(np.array([1.0, 3.0, 2.0]), 1), axis=0)).round(3).ravel().tolist()
    [1.0, 2.0]
    """
    square = to_square(np.nan_to_num(pairs, nan=float(np.nanmean(pairs)))) ** 2
    mean = square.mean(0)
    product = -0.5 * (square - mean - mean[:, None] + mean.mean())
    sizes, directions = np.linalg.eigh(product)
    best = np.argsort(sizes)[::-1][:axes]
    found = directions[:, best] * np.sqrt(np.maximum(sizes[best], 0.0))
    # Eigenvectors have no sign of their own: the largest is made positive.
    peak = found[np.abs(found).argmax(0), np.arange(found.shape[1])]
    return found * np.where(peak < 0, -1.0, 1.0)


@styled
def stimulus_map(pairs: Floats, groups: Sequence[str] | None = None) -> Figure:
    """Draw stimuli as points, alike ones near each other, in the colours of their groups."""
    points = place(pairs)
    figure, axes = canvas(4.0)
    labels = np.asarray(groups if groups is not None else [""] * len(points), dtype=str)
    for number, label in enumerate(dict.fromkeys(labels.tolist())):
        mine = points[labels == label]
        axes.scatter(mine[:, 0], mine[:, 1], s=18, color=colour(number), label=label, alpha=0.8)
    if 1 < len(set(labels.tolist())) <= 12:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.set(xlabel="First axis", ylabel="Second axis")
    return figure


@styled
def model_bars(
    table: pd.DataFrame, ceiling: tuple[float, float] | None = None, label: str = "Similarity"
) -> Figure:
    """Draw a bar a model or layer with its interval, below the noise ceiling.

    Parameters
    ----------
    table
        Columns name, value, low, high, and `points` (a list of values of subjects) where known.
    ceiling
        Lower and upper bound.
    """
    count = len(table)
    figure, axes = canvas(max(2.4, 0.8 + 0.34 * count))
    places = np.arange(count)[::-1]
    if ceiling is not None:
        axes.axvspan(*ceiling, color=BASELINE, alpha=0.2, lw=0, label="noise ceiling")
    values = table["value"].to_numpy(float)
    axes.barh(places, values, height=0.62, color=MODEL, alpha=0.75)
    for spot, row in zip(places, table.itertuples(), strict=True):
        if np.isfinite([row.low, row.high]).all():
            axes.plot([row.low, row.high], [spot, spot], color="#1d2327", lw=1.4)
        points = getattr(row, "points", None)
        if points is not None and len(points) > 1:
            axes.plot(points, np.full(len(points), spot), ".", color=SOFT, ms=4)
    axes.axvline(0, color=CHANCE, lw=0.8)
    axes.set_yticks(places, [_short(str(name), 28) for name in table["name"]])
    axes.set(xlabel=label, ylim=(-0.7, count - 0.3))
    if ceiling is not None:
        axes.legend(loc="lower right", fontsize=8)
    return figure


@styled
def similarity_matrix(values: Floats, names: Sequence[str], label: str) -> Figure:
    """Draw how alike all are to each other, with numbers where they are few."""
    size = max(2.8, 0.9 + 0.42 * len(names))
    figure, axes = canvas(min(size, 8.0))
    image = axes.imshow(values, cmap="viridis", vmin=min(0.0, float(np.nanmin(values))), vmax=1)
    places = range(len(names))
    short = [_short(name, 20) for name in names]
    axes.set_xticks(places, short, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(places, short, fontsize=8)
    if len(names) <= 10:
        for i in places:
            for j in places:
                ink = "black" if values[i, j] > 0.6 else "white"
                axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=7,
                          color=ink)  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.7, label=label)
    return figure


@styled
def picture_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]], across: int) -> Figure:
    """Draw rows of pictures, each row with its name on the left."""
    height = 0.2 + 5.0 / (across + 0.6) * len(rows)
    figure, panels = canvas(min(height, 24.0), rows=len(rows), columns=across, squeeze=False)
    for line, (name, pictures) in zip(panels, rows, strict=True):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            for side in axes.spines.values():
                side.set_visible(False)
        for axes, picture in zip(line, pictures, strict=False):
            axes.imshow(picture, cmap="gray" if picture.ndim == 2 else None, aspect="auto")
        line[0].set_ylabel(_short(name, 24), fontsize=7, rotation=0, ha="right", va="center")
    return figure


@styled
def layer_lines(table: pd.DataFrame, columns: Sequence[tuple[str, str]]) -> Figure:
    """Draw statistics of layers along the depth of the net, a panel each."""
    figure, panels = canvas(1.5 * len(columns) + 0.7, rows=len(columns), squeeze=False, sharex=True)
    for axes, (column, label) in zip(panels[:, 0], columns, strict=True):
        axes.plot(np.arange(len(table)), table[column], "o-", color=MODEL, ms=4)
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0)
    names = [_short(name, 22) for name in table["layer"]]
    panels[-1, 0].set_xticks(np.arange(len(table)), names, rotation=45, ha="right", fontsize=8)
    return figure


def _short(name: str, longest: int = 26) -> str:
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"
