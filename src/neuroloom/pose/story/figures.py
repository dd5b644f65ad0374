"""Figures of a pose run: errors by keypoint, shares within reach, expected beside real errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MANY = 40


@styled
def keypoint_errors(mine: pd.DataFrame) -> Figure:
    """Draw the errors of each keypoint: every point, the middle half, and the median.

    Parameters
    ----------
    mine
        Rows of the model, with keypoint and error_px.
    """
    names = list(dict.fromkeys(mine["keypoint"]))[:MANY]
    figure, axes = canvas(0.9 + 0.24 * len(names))
    rng = np.random.default_rng(0)
    for row, name in enumerate(names):
        own = mine.loc[mine["keypoint"] == name, "error_px"].dropna().to_numpy()
        if not own.size:
            continue
        axes.plot(
            np.maximum(own, 0.05), row + rng.uniform(-0.25, 0.25, own.size), ".", ms=3, alpha=0.4,
            color=colour(0), mew=0,
        )  # fmt: skip
        low, middle, high = np.quantile(own, (0.25, 0.5, 0.75))
        axes.plot([max(low, 0.05), high], [row, row], color=colour(1), lw=2)
        axes.plot(max(middle, 0.05), row, "o", ms=4, color=colour(1))
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Error (px)")
    return figure


@styled
def share_within_reach(mine: pd.DataFrame, theirs: pd.DataFrame) -> Figure:
    """Draw the share of points that lie within a reach, for each reach."""
    figure, axes = canvas(2.4)
    for rows, name, ink in ((mine, "model", colour(0)), (theirs, "mean pose", "0.55")):
        known = rows.loc[rows["known"] > 0, "error_px"].fillna(np.inf).to_numpy()
        if known.size:
            order = np.sort(np.maximum(known, 0.1))
            axes.step(order, np.arange(1, known.size + 1) / known.size, color=ink, label=name)
    axes.axvline(5, color="0.7", lw=0.8, ls="--")
    axes.set_xscale("log")
    axes.set_xlim(left=0.2)
    axes.set_ylim(0, 1)
    axes.set_xlabel("Reach (px)")
    axes.set_ylabel("Share of points")
    axes.legend(frameon=False)
    return figure


@styled
def expected_errors(mine: pd.DataFrame) -> Figure:
    """Draw the error that was expected against the error that was made, in groups."""
    figure, axes = canvas(2.6)
    rows = mine.dropna(subset=["expected_px", "error_px"])
    said, off = rows["expected_px"].to_numpy(), rows["error_px"].to_numpy()
    order = np.argsort(said, kind="stable")
    groups = [g for g in np.array_split(order, max(1, min(10, len(order) // 10))) if len(g)]
    x = np.array([said[g].mean() for g in groups])
    y = np.array([off[g].mean() for g in groups])
    half = np.array([1.96 * off[g].std() / max(len(g), 1) ** 0.5 for g in groups])
    end = 1.1 * float(max((y + half).max(initial=1.0), x.max(initial=1.0)))
    axes.plot([0, end], [0, end], color="0.7", lw=0.8, ls="--")
    axes.errorbar(x, y, half, fmt="o", ms=4, color=colour(0), lw=1)
    axes.set_xlim(0, 1.1 * float(x.max(initial=1.0)))
    axes.set_ylim(0, end)
    axes.set_xlabel("Expected error (px)")
    axes.set_ylabel("Real error (px)")
    return figure


@styled
def picture(pixels: np.ndarray) -> Figure:
    """Show a picture (y, x, 3) as it is."""
    height = 7.0 * pixels.shape[0] / pixels.shape[1]
    figure, axes = canvas(min(height, 9.0))
    axes.imshow(pixels, interpolation="lanczos")
    axes.set_axis_off()
    return figure
