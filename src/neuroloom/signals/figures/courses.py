"""Figures of a decoding sweep: over time, between times, over sensors, over models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import INK, SOFT, canvas, colour, styled
from neuroloom.signals.figures.maps import draw_map

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIGNIFICANT = 0.05


@styled
def time_course(summary: pd.DataFrame) -> Figure:
    """Draw accuracy over time, a line a model, with its interval and the significant moments.

    Parameters
    ----------
    summary
        Columns model, time (s), accuracy, low, high, chance, p_corrected; one way of splitting.
    """
    figure, axes = canvas(3.4)
    models = list(dict.fromkeys(summary["model"]))
    floor = float(summary["low"].min())
    for number, (model, rows) in enumerate(summary.groupby("model", sort=False)):
        rows = rows.sort_values("time")
        time = rows["time"].to_numpy()
        axes.fill_between(time, rows["low"], rows["high"], color=colour(number), alpha=0.18, lw=0)
        axes.plot(time, rows["accuracy"], color=colour(number), lw=1.8, label=str(model))
        sure = time[(rows["p_corrected"] < SIGNIFICANT).to_numpy()]
        height = floor - 0.03 * (number + 1)
        axes.plot(sure, np.full(len(sure), height), "s", ms=3, color=colour(number))
    axes.axhline(float(summary["chance"].iloc[0]), color=SOFT, lw=1, ls=(0, (4, 3)))
    axes.axvline(0, color=SOFT, lw=0.8)
    axes.set(xlabel="Centre of the window after the event (s)", ylabel="Accuracy")
    axes.margins(x=0.01)
    if len(models) > 1:
        axes.legend(frameon=False, ncols=min(4, len(models)), loc="upper left")
    return figure


@styled
def generalisation(rows: pd.DataFrame) -> Figure:
    """Draw accuracy for every time that is learnt at and every time that is tested.

    Parameters
    ----------
    rows
        Columns time, time_test (s), accuracy, chance of one model.
    """
    grid = rows.pivot(index="time", columns="time_test", values="accuracy")
    figure, axes = canvas(4.6)
    chance = float(rows["chance"].iloc[0])
    edge = max(float(np.abs(grid.to_numpy() - chance).max()), 1e-3)
    times = grid.index.to_numpy()
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.5
    extent = (times[0] - half, times[-1] + half, times[0] - half, times[-1] + half)
    image = axes.imshow(
        grid.to_numpy(), origin="lower", extent=extent, cmap="RdBu_r", vmin=chance - edge,
        vmax=chance + edge, interpolation="nearest",
    )  # fmt: skip
    axes.plot(times[[0, -1]], times[[0, -1]], color=INK, lw=0.6)
    for line in (axes.axhline, axes.axvline):
        line(0, color=INK, lw=0.6)
    axes.set(xlabel="Tested at (s)", ylabel="Learnt at (s)")
    figure.colorbar(image, ax=axes, label="Accuracy", shrink=0.8).outline.set_visible(False)
    return figure


@styled
def searchlight(summary: pd.DataFrame, positions: np.ndarray) -> Figure:
    """Draw a map of accuracy a model: each sensor stands for its neighbourhood.

    Parameters
    ----------
    summary
        Columns model, sensor, accuracy, chance.
    positions
        Of the sensors in the summary's order, shape (sensor, 3), m.
    """
    models = list(dict.fromkeys(summary["model"]))
    figure, axes = canvas(3.0, columns=len(models), squeeze=False)
    chance = float(summary["chance"].iloc[0])
    edge = max(float(np.abs(summary["accuracy"] - chance).max()), 1e-3)
    for panel, model in zip(axes[0], models, strict=True):
        values = summary.loc[summary["model"] == model, "accuracy"].to_numpy()
        image = draw_map(panel, values, positions, (chance - edge, chance + edge))
        panel.set_title(str(model))
    figure.colorbar(image, ax=list(axes[0]), label="Accuracy", shrink=0.8).outline.set_visible(
        False
    )
    return figure


@styled
def models_compared(summary: pd.DataFrame) -> Figure:
    """Draw a dot with its interval for every model (and way of splitting).

    Parameters
    ----------
    summary
        Columns model, split, accuracy, low, high, chance.
    """
    several = summary["split"].nunique() > 1
    rows = summary.reset_index(drop=True)
    figure, axes = canvas(0.9 + 0.38 * len(rows))
    splits = list(dict.fromkeys(rows["split"]))
    for place, row in rows.iterrows():
        tint = colour(splits.index(row["split"]))
        axes.plot([row["low"], row["high"]], [place, place], color=tint, lw=2)
        axes.plot(row["accuracy"], place, "o", color=tint, ms=6)
    axes.axvline(float(rows["chance"].iloc[0]), color=SOFT, lw=1, ls=(0, (4, 3)))
    labels = [f"{r.model} ({r.split})" if several else str(r.model) for r in rows.itertuples()]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="Accuracy, 95 % interval; dashed: chance")
    return figure
