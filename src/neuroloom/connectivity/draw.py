"""Pictures of graphs: matrices, circles, brains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
MOST = 60
NAMED = 40  # nodes whose names still fit beside a matrix


@styled
def matrices(
    graph: Floats, names: Sequence[str], edges: NDArray[np.bool_], truth: Floats | None = None
) -> Figure:
    """Draw a graph as a matrix, dots on the edges that stand, the true graph beside it.

    Parameters
    ----------
    graph
        Shape (target, source).
    names
        Of the nodes.
    edges
        Shape (target, source), those with a dot.
    truth
        The true graph, or None.
    """
    count = 1 if truth is None else 2
    figure, axes = canvas(3.6 if count == 2 else 4.6, columns=count, squeeze=False)
    shown = np.where(np.eye(len(graph), dtype=bool), np.nan, graph)
    image = axes[0, 0].imshow(shown, cmap="viridis", vmin=0)
    row, column = np.nonzero(edges)
    size = max(2.0, 90 / len(graph))
    axes[0, 0].scatter(column, row, s=size, c="white", edgecolors="black", linewidths=0.4)
    figure.colorbar(image, ax=axes[0, 0], shrink=0.8, label="strength")
    axes[0, 0].set_title("found")
    if truth is not None:
        axes[0, 1].imshow(truth != 0, cmap="Greys", vmin=0, vmax=1.4)
        axes[0, 1].set_title("true")
    for one in axes[0]:
        one.set(xlabel="source", ylabel="target")
        if len(names) <= NAMED:
            one.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
            one.set_yticks(range(len(names)), names, fontsize=6)
    return figure


@styled
def circle(
    graph: Floats, names: Sequence[str], edges: NDArray[np.bool_], *, directed: bool = True
) -> Figure:
    """Draw the strongest edges as arrows on a circle of nodes.

    Parameters
    ----------
    graph, edges
        Shape (target, source).
    directed
        Draw heads.
    """
    figure, axes = canvas(5.2)
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    spots = np.stack([np.cos(angle), np.sin(angle)], 1)
    strongest = sorted(np.argwhere(edges), key=lambda e: -graph[e[0], e[1]])[:MOST]
    most = max((graph[i, j] for i, j in strongest), default=1.0)
    for target, source in strongest[::-1]:
        _arrow(axes, spots[source], spots[target], float(graph[target, source] / most), directed)
    axes.scatter(*spots.T, s=40, color=colour(0), zorder=3)
    for name, spot, turn in zip(names, spots, np.degrees(angle), strict=True):
        flip = spot[0] < -1e-9
        axes.text(
            *(1.07 * spot), name, rotation=turn + 180 * flip, rotation_mode="anchor", fontsize=7,
            ha="right" if flip else "left", va="center",
        )  # fmt: skip
    if not strongest:
        axes.text(0, 0, "no edge stands", ha="center", va="center")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    axes.set_axis_off()
    return figure


def _arrow(axes: Axes, start: Floats, end: Floats, weight: float, directed: bool) -> None:
    axes.annotate(
        "", xy=tuple(0.97 * end), xytext=tuple(0.97 * start),
        arrowprops={
            "arrowstyle": "-|>" if directed else "-", "color": colour(1),
            "alpha": 0.25 + 0.7 * weight, "lw": 0.5 + 1.8 * weight,
            "connectionstyle": "arc3,rad=0.15",
        },
    )  # fmt: skip


def brain(
    graph: Floats, places: Floats, edges: NDArray[np.bool_], *, directed: bool = True
) -> Figure:
    """Draw the strongest edges in a glass brain, through nilearn.

    Parameters
    ----------
    graph, edges
        Shape (target, source).
    places
        Shape (node, 3), MNI, mm.
    """
    from matplotlib.figure import Figure as Canvas
    from nilearn import plotting

    strong = np.where(edges, graph, 0.0)
    limit = np.sort(strong[strong > 0])[-MOST] if (strong > 0).sum() > MOST else 0.0
    strong[strong < limit] = 0
    # nilearn has sources in rows, and takes an asymmetric matrix for a directed graph.
    shown = strong.T if directed else np.maximum(strong, strong.T)
    figure = Canvas(figsize=(7.2, 3.0))
    plotting.plot_connectome(shown, places, node_size=18, figure=figure, edge_cmap="viridis",
                             edge_vmin=0, edge_vmax=max(float(shown.max()), 1e-6))  # fmt: skip
    return figure


@styled
def choices(table: pd.DataFrame) -> Figure:
    """Draw the score of unseen frames over the penalty, a line for every lag or size."""
    families = list(dict.fromkeys(table["family"]))
    figure, axes = canvas(2.8, columns=len(families), squeeze=False)
    for axis, family in zip(axes[0], families, strict=True):
        _choices(axis, table[table["family"] == family])
        axis.set(title=family, xlabel="penalty", ylabel="nats a frame")
    return figure


def _choices(axis: Any, rows: pd.DataFrame) -> None:
    for number, (lag, line) in enumerate(rows.groupby("lags")):
        axis.plot(line["penalty"], line["score"], "o-", ms=3, color=colour(number),
                  label=f"{lag} lags" if lag else None)  # fmt: skip
    taken = rows[rows["chosen"]]
    axis.plot(taken["penalty"], taken["score"], "o", ms=9, mfc="none", mec="black")
    if (rows["penalty"] > 0).all() and len(rows) > 1:
        axis.set_xscale("log")
    if rows["lags"].nunique() > 1:
        axis.legend(fontsize=6, frameon=False)
