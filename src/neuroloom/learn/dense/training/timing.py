"""How many steps a time allows: measured on the very cases and machine that will train."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn.training.budget import Plan, parse_budget, seconds_for_report

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared

MARGIN = 1.02  # a fit keeps its time, but for what lies around its steps: if it is more, it counts
MOST_STEPS = 100_000  # that are planned; a fit that has so many does not take more
FEW_STEPS = 150  # of 55 to 106 on the hippocampus, one of three nets learnt nothing
SCORE_S = 0.06  # of a case and million voxels, where a study does not say how long judging takes
JUDGED = 1 / 3  # of the time for the report, that judging may take: more is kept beside it
MOST_BEFORE = 0.75  # of the time, that may go by before training without an objection
MOST_KEPT = 0.5  # of the time that is left, for predicting, scoring and the report
# What a setting says, as `fit.Training` has it; None is chosen by measurement, or by the net.
FORMATS = {"auto": None, "32": "32-true", "bf16": "bf16-mixed"}
FASTER = 1.15  # bf16 must be so much faster to be taken
Judge = Callable[[Any, int, int], float]


def plan_fits(
    study: Any,
    prepared: Prepared,
    run: Run,
    left: float | None = None,
    judge: Judge | None = None,
) -> Plan:
    """Return the plan of every fit of a study whose learners can say how long a step takes.

    Parameters
    ----------
    study
        With `budget`, `seeds` and `precision`.
    left
        Seconds that are left of the budget; None: it less what the run has taken.
    judge
        As `plan_steps` has it; None: the study's own `seconds_to_judge`, if it has one.
    """
    model, budget = study.find(study.model), parse_budget(study.budget)
    if not model.is_net:
        return Plan(reason="solved directly: no epochs")
    if budget.seconds is None:
        return Plan(
            budget.epochs, budget.steps, f"as asked for ({study.budget})", FORMATS[study.precision]
        )
    fits = study.count_fits(model, prepared)
    left = budget.seconds - run.elapsed if left is None else left
    learner = study._maker(model, prepared.dataset)()
    judge = judge or getattr(study, "seconds_to_judge", None)
    plan = plan_steps(learner, prepared, left, budget.seconds, fits, study.precision, judge)
    return replace(plan, until=run.elapsed + (plan.until or 0.0))


def plan_steps(
    learner: Any,
    prepared: Prepared,
    left: float,
    budget: float,
    fits: int,
    wanted: str = "auto",
    judge: Judge | None = None,
) -> Plan:
    """Return the plan of each fit; its `until` counts from now.

    Parameters
    ----------
    learner
        Untrained.
    left, budget
        Seconds that are left, and that there were.
    fits
        How many fits are to come.
    wanted
        "32", "bf16" or "auto": bf16 where it is measured to be faster, if the learner bears it.
    judge
        Data, row and number of outputs -> seconds that judging this held-out case takes in all.
    """
    began = time.monotonic()
    dataset = prepared.dataset
    largest, at_least = dataset.x[prepared.largest], min(8.0, budget / 40)

    def measured(precision: str) -> float:
        return float(learner.seconds_per_step(largest, at_least=at_least, precision=precision))

    if wanted == "auto" and not getattr(learner, "bears_bf16", False):
        wanted = "32"
    precision, seconds = chosen_precision(measured, wanted)
    held_out = [row for fold in prepared.folds for row in fold.test]
    predicting, judging = _seconds_held_out(learner, dataset, held_out, judge)
    reserve = seconds_for_report(budget, judged=bool(held_out))
    reserve += max(0.0, judging - JUDGED * reserve)
    around = predicting / max(1, len(prepared.folds)) + getattr(learner, "overhead_s", 0.0)
    left -= time.monotonic() - began
    before = budget - left
    if hasattr(learner, "seconds_to_lay"):
        laying = learner.seconds_to_lay(dataset.x[prepared.largest], fits)
        around += max(0.0, laying - left * (1 - 1 / MARGIN)) / fits
    reserve += around * fits
    left = max(left - reserve, MOST_KEPT * left, 1.0)
    a_fit = left / (MARGIN * fits)
    steps = int(max(1, min(a_fit / seconds, MOST_STEPS)))
    reason = (
        f"{steps:,} steps for each of {fits} fits are what the time allows ({1000 * seconds:.0f} "
        f"ms a step measured on {os.cpu_count()} cores, {reserve:.0f} s kept for preparing "
        "cases, predicting, scoring and the report)"
    )
    if steps < FEW_STEPS:
        reason += "; a net learns little in so few: give it more time, or take a quicker one"
    return Plan(
        steps=steps, reason=reason, precision=precision, seconds=a_fit,
        all_seconds=steps < MOST_STEPS, until=left + (fits - 1) * around,
        short=_short(before, budget, steps, fits),
    )  # fmt: skip


def _short(before: float, budget: float, steps: int, fits: int) -> str:
    """Say what is to be done where most of a budget went by before training; else nothing."""
    if steps >= FEW_STEPS or before < MOST_BEFORE * budget:
        return ""
    return (
        f"Reading the data, the baseline and measuring the speed took {before:.0f} of the "
        f"{budget:.0f} s of the budget. What was left is enough for {steps} steps of each of "
        f"{fits} fits, in which a net learns next to nothing: what it scores says nothing of the "
        "net. Give `budget` more time, or fit less often, as with folds=1."
    )


def chosen_precision(measured: Callable[[str], float], wanted: str) -> tuple[str, float]:
    """Return the number format to train with, as `fit.Training` names it, and a step's seconds.

    On a CPU bf16 is only worth a try where it has instructions for tiles (AMX): without them it
    took half as long again.

    Parameters
    ----------
    measured
        Says how many seconds a step takes in a format.
    wanted
        As `plan_steps` has it.
    """
    import torch

    named = FORMATS[wanted]
    if named is None and torch.cuda.is_available():
        named = "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    if named is None and not torch.cpu._is_amx_tile_supported():
        named = "32-true"
    if named is not None:
        return named, measured(named)
    seconds, quick = measured("32-true"), measured("bf16-mixed")
    return ("bf16-mixed", quick) if quick * FASTER < seconds else ("32-true", seconds)


def _seconds_held_out(
    learner: Any, dataset: Any, rows: list[int], judge: Judge | None
) -> tuple[float, float]:
    """Measure how long predicting all held-out cases once takes, and judging them, s.

    On the case of median size, and then by size: two slides beside small crops take a thousand
    times as long. A net looks at a whole patch at least.
    """
    if not rows:
        return 0.0, 0.0
    probe = learner.rehearsed
    sizes = np.array([np.prod(dataset.x[row].shape, dtype=float) for row in rows])
    middle = int(np.argsort(sizes)[len(sizes) // 2])
    work = np.maximum(sizes, np.prod(getattr(probe.plan, "patch", ()), dtype=float))
    times, outputs = float(work.sum() / work[middle]), 0
    began = time.monotonic()
    for found in probe.predict_scores(dataset.x[np.array([rows[middle]])]):
        outputs = len(found)
    predicting = (time.monotonic() - began) * getattr(probe, "dearest", 1.0)
    if judge is None:
        return times * (predicting + SCORE_S * max(sizes[middle] / 1e6, 0.3)), 0.0
    return times * predicting, times * judge(dataset, rows[middle], outputs)
