"""Figures of nets that play tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.figures import BASELINE, CHANCE, MODEL, canvas, colour, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from neuroloom.cognition.curves import Curve
    from neuroloom.cognition.inside.dynamics import FixedPoints
    from neuroloom.cognition.inside.population import Trajectories
    from neuroloom.cognition.learning.curriculum import Stage
    from neuroloom.cognition.nets.rate import RateRNN


@styled
def learning_curve(
    histories: Sequence[Sequence[Mapping[str, Any]]], stages: Sequence[Stage]
) -> Figure:
    """Draw loss and validation accuracy over the steps, and where stages begin.

    Parameters
    ----------
    histories
        A list of entries a net: step, loss, accuracy, stage.
    """
    figure, (upper, lower) = canvas(3.8, rows=2, sharex=True, height_ratios=(2, 1))
    for entries in histories:
        steps = [entry["step"] for entry in entries]
        upper.plot(steps, [entry["accuracy"] for entry in entries], color=MODEL, lw=1.4)
        upper.plot(steps, [entry["worst"] for entry in entries], color=BASELINE, lw=0.8)
        upper.plot(
            steps, [stages[entry["stage"]].stop.target for entry in entries],
            color=CHANCE, ls="--", lw=0.9,
        )  # fmt: skip
        lower.plot(steps, [entry["loss"] for entry in entries], color=MODEL, lw=1.2)
        for before, after in pairwise(entries):
            if after["stage"] != before["stage"]:
                upper.axvline(before["step"], color=CHANCE, lw=0.8)
    upper.plot([], [], color=MODEL, label="all trials")
    upper.plot([], [], color=BASELINE, label="worst condition")
    upper.plot([], [], color=CHANCE, ls="--", label="threshold")
    upper.legend(loc="lower right")
    upper.set(ylabel="Accuracy", ylim=(0, 1.03))
    lower.set(xlabel="Step of training", ylabel="Loss")
    return figure


@styled
def accuracy_curves(parts: Sequence[pd.DataFrame]) -> Figure:
    """Draw accuracy over the values of conditions, a panel each; see `marks.by_condition`."""
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    figure, panels = canvas(2.3 * rows, rows=rows, columns=columns, squeeze=False, sharey=True)
    for axes in panels.ravel()[len(parts) :]:
        axes.axis("off")
    for axes, part in zip(panels.ravel(), parts, strict=False):
        value = part["value"].to_numpy()
        share = part["accuracy"].to_numpy()
        reach = np.abs([share - part["low"], part["high"] - share])
        axes.errorbar(value, share, reach, color=MODEL, marker="o", ms=4, lw=1.2)
        axes.set(xlabel=str(part["condition"].iloc[0]).capitalize(), ylim=(0, 1.05))
    for row in panels:
        row[0].set_ylabel("Share right")
    return figure


@styled
def psychometric(curve: Curve, name: str) -> Figure:
    """Draw how often the second answer was given over the signed strength, and the fitted curve."""
    from neuroloom.learn.figures import wilson

    figure, axes = canvas(2.9)
    ends = np.array(
        [wilson(share * n, n) for share, n in zip(curve.share, curve.count, strict=True)]
    )
    reach = np.abs(np.stack([curve.share - ends[:, 0], ends[:, 1] - curve.share]))
    axes.errorbar(curve.x, curve.share, reach, color=MODEL, marker="o", ms=4, ls="none")
    x = np.linspace(curve.x.min(), curve.x.max(), 200)
    axes.plot(x, curve(x), color=MODEL, lw=1.4)
    axes.axhline(0.5, color=CHANCE, lw=0.8, ls="--")
    axes.axvline(0, color=CHANCE, lw=0.8, ls="--")
    axes.set(xlabel=f"{name.capitalize()} for answer 2", ylabel="Share of answer 2", ylim=(0, 1))
    return figure


@styled
def paths(found: Trajectories, places: np.ndarray, fixed: FixedPoints | None) -> Figure:
    """Draw mean paths and fixed points in the first two components."""
    import matplotlib as mpl

    figure, axes = canvas(4.0)
    many = len(found.labels) > 7
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(found.labels)))
    for number, (path, label) in enumerate(zip(found.paths, found.labels, strict=True)):
        tint = shades[number] if many else colour(number)
        axes.plot(path[:, 0], path[:, 1], color=tint, lw=1.3, label=label)
        axes.plot(*path[0, :2], marker="o", ms=4, color=tint)
    if fixed is not None and len(places):
        stable = fixed.unstable == 0
        axes.scatter(*places[stable, :2].T, marker="x", color="black", zorder=3, s=36)
        axes.scatter(
            *places[~stable, :2].T, marker="o", facecolors="none", edgecolors="black", zorder=3
        )
    figure.legend(loc="outside lower center", fontsize=8, ncols=2 if many else 3)
    axes.set(xlabel="Component 1", ylabel="Component 2")
    return figure


@styled
def weights(net: RateRNN) -> Figure:
    """Draw the effective recurrent weights, units sorted by kind and by what they send out."""
    matrix = net.recurrent().detach().cpu().numpy()
    signs = net.recurrent.signs
    kind = np.zeros(len(matrix)) if signs is None else -signs.cpu().numpy()
    order = np.lexsort((-np.abs(matrix).sum(0), kind))
    sorted_ = matrix[order][:, order]
    largest = max(float(np.quantile(np.abs(sorted_), 0.99)), 1e-9)
    figure, axes = canvas(4.3)
    image = axes.imshow(sorted_, cmap="RdBu_r", vmin=-largest, vmax=largest)
    if signs is not None:
        edge = int((signs > 0).sum()) - 0.5
        axes.axvline(edge, color="black", lw=0.8)
        axes.axhline(edge, color="black", lw=0.8)
    axes.set(xlabel="From unit", ylabel="To unit")
    figure.colorbar(image, ax=axes, label="Weight", shrink=0.8)
    return figure


@styled
def eigenvalues(fixed: FixedPoints) -> Figure:
    """Draw the eigenvalues of the Jacobian at each fixed point (unit: 1 / tau)."""
    figure, axes = canvas(3.2)
    for number, values in enumerate(fixed.eigenvalues[:7]):
        axes.scatter(values.real, values.imag, s=9, color=colour(number), label=str(number + 1))
    axes.axvline(0, color=CHANCE, lw=0.9)
    axes.legend(title="Point", fontsize=8)
    axes.set(xlabel="Real part", ylabel="Imaginary part")
    return figure
