"""Pictures of survival: risk groups over time, and predicted against observed survival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.learn.figures import canvas, colour, styled
from neuroloom.learn.scoring.survival import kaplan_meier, log_rank_p, survival_at

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

GROUPS = 4


def add_survival(
    shelf: Shelf, run: Run, prepared: Prepared, fits: list[Fitted]
) -> dict[str, list[str]]:
    """Draw the groups and the calibration of unseen cases; return what the report notes."""
    table = run.predictions
    mine = table[table["role"] == "model"]
    if mine.empty:
        return {}
    time, event = mine["y_true"].to_numpy(float), mine["event"].to_numpy(int)
    # The zero of a risk is the median of those that the model of its fold learnt from.
    high = mine["y_pred"].to_numpy(float) > 0
    tested = tell_log_rank(time, event, high)
    shelf.add_figure(
        "kaplan-meier",
        survival_curves(time, event, high),
        title="Survival of cases above and below the median risk",
        caption="Each case was put into its group by a model that had not seen it, at the median "
        f"risk of those that it learnt from. {tested} Ticks: follow-up ended without the event.",
    )
    when = float(np.median(time[event > 0])) if event.any() else float(np.median(time))
    expected = expected_survival(prepared, fits, when)
    if expected is not None:
        rows = mine["example"].to_numpy(int)
        shelf.add_figure(
            "calibration",
            calibration_plot(expected[rows], time, event, when),
            title=f"Predicted and observed survival at {when:g}",
            caption="Cases in four groups of predicted survival, each against the Kaplan-Meier "
            "estimate of its group. On the diagonal, predictions mean what they say.",
        )
    return {"notes": [tested]}


def tell_log_rank(time: np.ndarray, event: np.ndarray, high: np.ndarray) -> str:
    """Say how two risk groups differ, or why they cannot be compared.

    Examples
    --------
    >>> tell_log_rank(np.arange(1, 5), np.ones(4), np.array([True, True, False, False]))
    'Log-rank test of the two risk groups, cases unseen: p = 0.09.'
    """
    p = log_rank_p(time, event, high)
    if np.isfinite(p):
        return f"Log-rank test of the two risk groups, cases unseen: p = {p:.2g}."
    if high.any() and not high.all():
        return "No log-rank test: nobody had the event while both risk groups were followed."
    side = "above" if high.any() else "at or below"
    return (
        f"No log-rank test: every case is {side} the median risk of those that its model learnt "
        "from, so that one of the two groups is empty."
    )


def expected_survival(prepared: Prepared, fits: list[Fitted], when: float) -> np.ndarray | None:
    """Return each case's chance to outlive a time, by the model that had not seen it."""
    from neuroloom.volumes.radiomics.outcome.cox import predicted_survival

    expected = np.full(len(prepared.dataset), np.nan)
    for fit in fits:
        state = fit.learner.state()
        if fit.job.fold < 0 or "hazard" not in state:
            continue
        risk, held = np.asarray(fit.scores), prepared.folds[fit.job.fold].test
        expected[held] = predicted_survival(state, risk, when)
    return expected if np.isfinite(expected).any() else None


@styled
def survival_curves(time: np.ndarray, event: np.ndarray, high: np.ndarray) -> Figure:
    """Draw the Kaplan-Meier curves of two groups."""
    figure, axes = canvas(3.2)
    for number, (name, inside) in enumerate((("low risk", ~high), ("high risk", high))):
        at, share = kaplan_meier(time[inside], event[inside])
        end = float(time[inside].max(initial=0))
        axes.step([0, *at, end], [1, *share, share[-1] if len(share) else 1], where="post",
                  color=colour(number), label=f"{name} (n = {int(inside.sum())})")  # fmt: skip
        gone = time[inside & (event == 0)]
        axes.plot(gone, [survival_at(time[inside], event[inside], t) for t in gone], "|",
                  color=colour(number), markersize=5)  # fmt: skip
    axes.set(xlabel="Time", ylabel="Share without event", ylim=(0, 1.02))
    axes.legend(frameon=False)
    return figure


@styled
def calibration_plot(
    expected: np.ndarray, time: np.ndarray, event: np.ndarray, when: float
) -> Figure:
    """Draw observed against predicted survival in groups."""
    figure, axes = canvas(3.2)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    edges = np.quantile(expected, np.linspace(0, 1, GROUPS + 1)[1:-1])
    group = np.searchsorted(edges, expected)
    for k in np.unique(group):
        inside = group == k
        axes.plot(
            expected[inside].mean(), survival_at(time[inside], event[inside], when), "o",
            color=colour(0),
        )  # fmt: skip
    axes.set(xlabel="Predicted", ylabel="Observed", xlim=(0, 1), ylim=(0, 1))
    return figure
