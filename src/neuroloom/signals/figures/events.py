"""Figures of found events: where they are, how many, how well placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import BASELINE, CHANCE, CLASSES, INK, LINE, MODEL, canvas, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUE = CLASSES[1]


@styled
def stretches(
    traces: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    rate: float,
    unit: str,
    threshold: float,
) -> Figure:
    """Draw stretches of signal with the true and the found events and the probability.

    Parameters
    ----------
    traces
        For each: title, signal (time,), probability (time,), true and found events (onset, stop)
        in seconds of the stretch.
    rate
        Hz.
    unit
        Of the signal.
    threshold
        Of the probability.
    """
    figure, axes = canvas(2.3 * len(traces), rows=2 * len(traces), squeeze=False,
                          height_ratios=[3, 1] * len(traces))  # fmt: skip
    for k, (title, signal, p, true, found) in enumerate(traces):
        trace, below = axes[2 * k, 0], axes[2 * k + 1, 0]
        time = np.arange(len(signal)) / rate
        trace.plot(time, signal, color=INK, linewidth=0.5)
        low, high = float(signal.min()), float(signal.max())
        reach = high - low or 1.0
        _bars(trace, true, high + 0.08 * reach, TRUE, "true" if k == 0 else "")
        _bars(trace, found, low - 0.08 * reach, MODEL, "found" if k == 0 else "")
        trace.set_title(title, loc="left")
        trace.set_ylabel(unit)
        trace.tick_params(labelbottom=False)
        below.fill_between(time, np.nan_to_num(p), color=MODEL, alpha=0.5, linewidth=0)
        below.axhline(threshold, color=CHANCE, linestyle="--", linewidth=0.8)
        below.set(ylim=(0, 1), yticks=[0, 1], ylabel="p")
        for panel in (trace, below):
            panel.set_xlim(0, time[-1])
    axes[-1, 0].set_xlabel("Time (s)")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _bars(axes: Axes, events: np.ndarray, height: float, tint: str, name: str) -> None:
    for k, (onset, stop) in enumerate(events):
        label = name if k == 0 else ""
        axes.plot([onset, stop], [height] * 2, color=tint, lw=4, solid_capstyle="butt", label=label)


@styled
def densities(table: pd.DataFrame) -> Figure:
    """Draw true beside found events per minute, a row a recording and stage.

    Parameters
    ----------
    table
        Columns recording, stage, true, found.
    """
    names = [f"{row.recording} {row.stage}".strip() for row in table.itertuples()]
    figure, axes = canvas(1.0 + 0.24 * max(len(table), 2))
    rows = np.arange(len(table))[::-1]
    axes.hlines(rows, table["true"], table["found"], color=LINE, lw=2)
    axes.plot(table["true"], rows, "o", color=TRUE, label="true")
    axes.plot(table["found"], rows, "D", color=MODEL, label="found")
    axes.set_yticks(rows, names, fontsize=8)
    axes.set_xlabel("Events per minute")
    axes.set_xlim(left=0)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def errors(hits: pd.DataFrame) -> Figure:
    """Draw how far onsets and durations of the hits lie from the true ones.

    Parameters
    ----------
    hits
        Columns onset, true_onset, duration, true_duration, in seconds.
    """
    figure, axes = canvas(2.4, columns=2, squeeze=False)
    parts = {"Onset": ("onset", "true_onset"), "Duration": ("duration", "true_duration")}
    for panel, (name, (mine, theirs)) in zip(axes[0], parts.items(), strict=True):
        gap = (hits[mine] - hits[theirs]).to_numpy(float)
        reach = max(float(np.quantile(np.abs(gap), 0.98)), 0.05) if len(gap) else 1.0
        panel.hist(gap, bins=25, range=(-reach, reach), color=MODEL)
        panel.axvline(0, color=CHANCE, linestyle="--", linewidth=1)
        panel.set(xlabel=f"{name}, found \N{MINUS SIGN} true (s)", ylabel="Hits")
    return figure


@styled
def precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], chosen: Mapping[str, tuple[float, float]]
) -> Figure:
    """Draw precision against recall over the thresholds, and where the chosen one lies.

    Parameters
    ----------
    curves
        Role -> (recall, precision), a value a threshold.
    chosen
        Role -> (recall, precision) at the threshold in use.
    """
    figure, axes = canvas(3.6)
    grid = np.linspace(0.01, 1, 200)
    for level in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        with np.errstate(divide="ignore", invalid="ignore"):
            other = level * grid / (2 * grid - level)
        shown = (other > 0) & (other <= 1)
        axes.plot(grid[shown], other[shown], color=LINE, linewidth=0.8, zorder=0)
        axes.text(1.0, level / (2 - level), f"F1 {level:g}", fontsize=7, color=CHANCE)
    for role, (recall, precision) in curves.items():
        tint = MODEL if role == "model" else BASELINE
        axes.plot(recall, precision, "-", color=tint, label=role)
        if role in chosen:
            axes.plot(*chosen[role], "o", color=tint, markersize=8)
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.0), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    return figure
