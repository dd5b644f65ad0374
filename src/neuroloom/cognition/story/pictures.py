"""Pictures of trials: what comes in, what should go out, and what to do when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.figures import CHANCE, canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.cognition.task import Task, Trials

FEW = 8  # channels that are drawn as lines; more become a picture


@styled
def draw_trials(task: Task, trials: Trials, count: int = 3) -> Figure:
    """Draw a few trials, one a column: inputs, targets, right action over time (ms).

    Parameters
    ----------
    task
        Whose trials they are.
    trials
        At least one.
    """
    count = min(count, trials.inputs.shape[1])
    rows = 3 if task.actions else 2
    figure, axes = canvas(
        1.5 + 1.3 * rows, rows=rows, columns=count, squeeze=False, sharex="col",
        height_ratios=(2, 2, 1)[:rows],
    )  # fmt: skip
    for column in range(count):
        stop = int(trials.length[column])
        time = np.arange(stop) * trials.dt
        own = axes[:, column]
        legend = column == 0
        _draw_channels(own[0], time, trials.inputs[:stop, column].numpy(), task.inputs, legend)
        targets = np.where(trials.mask[:stop, column].numpy() > 0,
                           trials.targets[:stop, column].numpy(), np.nan)  # fmt: skip
        _draw_channels(own[1], time, targets, task.outputs, legend)
        if task.actions:
            style = {"marker": "o", "ms": 4} if stop == 1 else {}
            right = trials.choice[:stop, column].numpy()
            own[2].step(time, right, where="post", color=colour(0), **style)
            own[2].set(ylim=(-0.3, max(task.actions - 1, 1) + 0.3))
        _mark_epochs(own, trials, column)
        own[-1].set(xlabel="Time (ms)")
    for axis, label in zip(axes[:, 0], ("Inputs", "Targets", "Right action"), strict=False):
        axis.set(ylabel=label)
    return figure


def _draw_channels(
    axis: Axes, time: np.ndarray, values: np.ndarray, names: tuple[str, ...], legend: bool
) -> None:
    """Draw values (time, channel) as lines, or, if they are many, as a picture."""
    if values.shape[1] > FEW:
        step = time[1] - time[0] if len(time) > 1 else 1.0
        extent = (0.0, float(time[-1] + step), values.shape[1] - 0.5, -0.5)
        with np.errstate(invalid="ignore"):
            axis.imshow(values.T, aspect="auto", extent=extent, cmap="viridis",
                        interpolation="nearest")  # fmt: skip
        return
    for number, name in enumerate(names):
        # A step of its own would not be seen as a line.
        style: dict[str, Any] = {"marker": "o", "ms": 4} if len(time) == 1 else {}
        axis.plot(time, values[:, number], color=colour(number), lw=1.1, label=name, **style)
    if legend:
        axis.legend(fontsize=6, loc="upper left", framealpha=0.6)


def _mark_epochs(axes: np.ndarray, trials: Trials, column: int) -> None:
    shown = [(int(start[column]), int(stop[column]), name)
             for name, (start, stop) in trials.epochs.items()
             if stop[column] > start[column]]  # fmt: skip
    length = max(stop for _, stop, _ in shown)
    for number, (start, stop, name) in enumerate(shown):
        for axis in axes:
            axis.axvline(start * trials.dt, color=CHANCE, lw=0.6)
        wide = (stop - start) / length > 0.12 or len(shown) < 3
        axes[0].text(
            start * trials.dt, 1.02 + 0.09 * (number % 2), name if wide else "",
            transform=axes[0].get_xaxis_transform(), fontsize=6,
        )  # fmt: skip
