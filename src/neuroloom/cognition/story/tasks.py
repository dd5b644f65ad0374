"""The report of `cognition.tasks`: what trials look like, and what can be read off them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.cognition.reader import read_answers, read_targets
from neuroloom.cognition.story.curves import Curves, curve_rows, draw_curves, fit_curves
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report

if TYPE_CHECKING:
    from pathlib import Path

    from neuroloom.cognition.reader import Drawn
    from neuroloom.cognition.task import Task, Trials
    from neuroloom.cognition.tasks import Prepared, Tasks
    from neuroloom.core.run import Run

RESAMPLES = 1000
_MEANINGS = {
    "accuracy": "Share of unseen trials that a linear reader of the mean inputs of each epoch "
    "answers rightly: what the task asks beyond adding up is what is missing to 1. Chance always "
    "gives the commonest answer.",
    "r2": "Share of the variance of the mean targets that a linear reader of the mean inputs of "
    "each epoch explains on unseen trials; 0 is the mean.",
}
Entry = dict[str, float | None]


def report_tasks(recipe: Tasks, run: Run, prepared: Prepared) -> None:
    """Write the arrays, tables, metrics, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    metrics: dict[str, Entry] = {}
    parts, rows = [], []
    for number, (name, task) in enumerate(prepared.tasks.items(), 1):
        shown = prepared.drawn[name][0].shown
        _save(run.folder / "artifacts" / f"trials-{name}.safetensors", shown)
        kind, told = _read(task, prepared.drawn[name], recipe.seed)
        entry = _accuracy(told, recipe.seed) if task.actions else _explained(told, recipe.seed)
        metrics[kind if len(prepared.tasks) == 1 else f"{kind}/{name}"] = entry
        parts.append(told.assign(task=name))
        _show_task(shelf, name, task, shown)
        if task.actions:
            rows += _add_curves(shelf, name, told, entry["chance"] or 0.0, recipe)
        run.log("fitted", role="reader", name=name, fit=number, fits=len(prepared.tasks))
    if prepared.answers is not None:
        rows += _add_answers(shelf, prepared, recipe)
    if rows:
        shelf.add_table(
            "curves", pd.DataFrame(rows), title="Curves",
            caption="Psychometric: guess + (1 - guess - lapse) x normal((x - threshold) / width). "
            "Intervals by bootstrap.",
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    write_atomic(run.folder / "predictions.parquet", partial(table.to_parquet, index=False))
    write_json(run.folder / "metrics.json", metrics)
    tidy = [{"fold": "all", "seed": "all", "metric": k, **v} for k, v in metrics.items()]
    write_atomic(run.folder / "metrics.parquet", lambda p: pd.DataFrame(tidy).to_parquet(p))
    run.log("scored", examples=len(table))
    _add_tables(shelf, prepared)
    write_facts(run.folder, Facts(**_facts(recipe, prepared, next(iter(metrics)))))
    run.log("reported", report=write_report(run.folder).name)


def _read(task: Task, sets: list[Drawn], seed: int) -> tuple[str, pd.DataFrame]:
    """Return the kind of metric, and what a reader of each set of trials said."""
    kind = "accuracy" if task.actions else "r2"
    told = [
        (read_answers(one, task.actions, k) if task.actions else read_targets(one, k)).assign(
            seed=k
        )
        for k, one in enumerate(sets, seed)
    ]
    return kind, pd.concat(told, ignore_index=True)


def _save(path: Path, trials: Trials) -> None:
    """Write the arrays of trials by name; axes as in `Trials`."""
    from safetensors.torch import save_file

    arrays = {name: getattr(trials, name).contiguous().clone()
              for name in ("inputs", "targets", "mask", "choice")}  # fmt: skip
    arrays |= {f"condition/{k}": v.contiguous().clone() for k, v in trials.conditions.items()}
    for name, (start, stop) in trials.epochs.items():
        arrays |= {f"start/{name}": start.clone(), f"stop/{name}": stop.clone()}
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"dt": str(trials.dt), "axes": "time, trial, channel"}
    write_atomic(path, lambda place: save_file(arrays, place, metadata=facts))


def _accuracy(told: pd.DataFrame, seed: int) -> Entry:
    right, truth = told["right"].to_numpy(float), told["truth"].to_numpy()
    drawn = np.random.default_rng(seed).integers(len(right), size=(RESAMPLES, len(right)))
    low, high = np.quantile(right[drawn].mean(1), [0.025, 0.975])
    value, common = float(right.mean()), float(np.bincount(truth).max() / len(truth))
    baseline = float((told["baseline"] == told["truth"]).mean())
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value),
            "baseline": baseline, "chance": common}  # fmt: skip


def _explained(told: pd.DataFrame, seed: int) -> Entry:
    truth = told.pivot(index=["seed", "trial"], columns="output", values="truth").to_numpy()
    answer = told.pivot(index=["seed", "trial"], columns="output", values="answer").to_numpy()
    left, whole = ((truth - answer) ** 2).sum(1), ((truth - truth.mean(0)) ** 2).sum(1)
    if whole.sum() < 1e-9:  # the same target in every trial: nothing to explain
        return dict.fromkeys(("value", "low", "high", "baseline", "chance"))
    drawn = np.random.default_rng(seed).integers(len(left), size=(RESAMPLES, len(left)))
    draws = 1 - left[drawn].sum(1) / whole[drawn].sum(1).clip(1e-9)
    low, high = np.quantile(draws, [0.025, 0.975])
    value = float(1 - left.sum() / whole.sum())
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value),
            "baseline": 0.0, "chance": 0.0}  # fmt: skip


def _show_task(shelf: Shelf, name: str, task: Task, trials: Trials) -> None:
    from neuroloom.cognition.story.pictures import draw_trials

    shelf.add_figure(
        f"trials-{name}", draw_trials(task, trials), title=f"{name}: three trials", section="data",
        caption=f"{task.summary[0].upper()}{task.summary[1:]} ({task.source}). Inputs, targets and "
        "the right action over time; names of epochs above, lines at their starts.",
    )  # fmt: skip


def _add_curves(
    shelf: Shelf, name: str, told: pd.DataFrame, chance: float, recipe: Tasks
) -> list[dict[str, Any]]:
    if recipe.answers is not None:
        return []
    asked = recipe.x if recipe.x in told else None
    curves = fit_curves(told, asked, min(chance, 0.95), recipe.resamples, recipe.seed)
    if curves is None:
        return []
    _add_figure(shelf, f"curve-{name}", curves, chance, f"{name}: the reader's answers")
    return curve_rows(name, curves)


def _add_answers(shelf: Shelf, prepared: Prepared, recipe: Tasks) -> list[dict[str, Any]]:
    assert prepared.answers is not None
    first = next(iter(prepared.tasks.values()))
    chance = 1 / max(first.actions - 1, 2)
    table = prepared.answers
    curves = fit_curves(table, recipe.x, chance, recipe.resamples, recipe.seed)
    if curves is None:
        return []
    _add_figure(shelf, "curve-answers", curves, chance, "The answers that were given")
    return curve_rows("answers", curves)


def _add_figure(shelf: Shelf, name: str, curves: Curves, chance: float, title: str) -> None:
    shelf.add_figure(
        name, draw_curves(curves, chance), title=title,
        caption=f"Points: share of right answers at each strength of '{curves.x}', with 95 % "
        "intervals; line: the fitted psychometric curve; dashed: chance.",
    )  # fmt: skip


def _add_tables(shelf: Shelf, prepared: Prepared) -> None:
    for name, sets in prepared.drawn.items():
        table = pd.concat([one.table for one in sets], ignore_index=True)
        shelf.add_table(
            f"drawn-{name}", table.describe().T.reset_index(names="quantity"),
            title=f"{name}: what was drawn", section="data",
            caption=f"Over {len(table)} trials.",
        )  # fmt: skip


def _facts(recipe: Tasks, prepared: Prepared, primary: str) -> dict[str, Any]:
    names = list(prepared.tasks)
    shapes = {
        name: f"{len(task.inputs)} inputs, {len(task.outputs)} outputs, {task.actions} actions"
        for name, task in prepared.tasks.items()
    }
    rows = {"Trials of each": f"{recipe.trials}", "Sets": f"{recipe.seeds}",
            "Step": f"{recipe.dt:g} ms", "Held fixed": ", ".join(recipe.fix) or "nothing",
            **shapes}  # fmt: skip
    return {
        "title": f"Tasks: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}",
        "question": "What do trials of these tasks look like, and how much of the answers can be "
        "had by adding up the inputs of each epoch?",
        "primary": primary,
        "example": "trial",
        "how_sure": "The interval is a bootstrap over unseen trials.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": ["Generated: nothing here was recorded from an animal or a person."],
        "method": [
            "Trials were drawn from the tasks' declarations (conditions and timing as laws), all "
            "at once, from one seed. The reader is a ridge regression on the mean of each input in "
            "each epoch, fitted on one half of the trials and judged on the other. " + "; ".join(
                f"{name}: {task.summary} ({task.source})" for name, task in prepared.tasks.items()
            ) + "."
        ],
        "citations": [
            "Molano-Mazon M et al. (2022). NeuroGym. doi:10.31234/osf.io/aqc9n",
            "Wichmann FA, Hill NJ (2001). Percept Psychophys 63, 1293-1313 (psychometric curves).",
            "Palmer J, Huk AC, Shadlen MN (2005). J Vis 5, 376-404 (chronometric curves).",
        ],
        "meanings": {primary: _MEANINGS[primary.split("/")[0]]},
    }  # fmt: skip
