"""The report of `cognition.train`: how it learnt, what it does, and how it does it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.cognition.learning.marks import (
    by_condition,
    condition_names,
    metrics_of,
    tabulate,
    tidy,
)
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json, write_text
from neuroloom.core.report import Facts, write_facts, write_report

if TYPE_CHECKING:
    from neuroloom.cognition.learning.session import Lesson, Taught
    from neuroloom.cognition.train import Prepared, Train
    from neuroloom.core.run import Run

MOST_LEVELS = 16
_MEANINGS = {
    "accuracy": "Share of fresh trials that the net solves. The baseline is a net of the same size "
    "with untrained recurrent weights and a fitted read-out; chance always gives the commonest "
    "answer.",
    "worst": "The same in the condition in which it is lowest.",
    "reward": "Mean reward of a trial under the likeliest actions.",
}
_CITED = {
    "rate": "Song HF, Yang GR, Wang X-J (2016). PLoS Comput Biol 12, e1004792 (rate networks).",
    "signs": "Ehrlich DB et al. (2021). eNeuro 8(1) (PsychRNN).",
    "points": "Sussillo D, Barak O (2013). Neural Comput 25, 626-649 (fixed points).",
    "axes": "Mante V et al. (2013). Nature 503, 78-84 (state space).",
    "reservoir": "Jaeger H (2001). GMD Report 148 (untrained recurrent nets).",
    "actor-critic": "Mnih V et al. (2016). ICML (actor-critic).",
    "ppo": "Schulman J et al. (2017). arXiv:1707.06347 (PPO).",
    "policy-gradient": "Williams RJ (1992). Mach Learn 8, 229-256 (REINFORCE).",
}


def report_training(recipe: Train, run: Run, prepared: Prepared, taught: list[Taught]) -> None:
    """Write weights, predictions, metrics, tables, figures and the page."""
    from neuroloom.cognition.learning.session import write_nets

    lesson = prepared.lesson
    facts = {"tasks": list(lesson.tasks), "dt": lesson.drill.dt, "learn": lesson.learn,
             "seeds": [one.seed for one in taught]}  # fmt: skip
    write_nets(run.folder / "model.safetensors", [one.net for one in taught], facts)
    table = tabulate(lesson, taught, recipe.judged)
    write_atomic(run.folder / "predictions.parquet", partial(table.to_parquet, index=False))
    metrics = metrics_of(table, recipe.per, recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    write_atomic(run.folder / "metrics.parquet", partial(tidy(metrics).to_parquet, index=False))
    run.log("scored", examples=len(table))
    shelf = Shelf(run.folder / "artifacts")
    _add_learning(shelf, lesson, taught)
    _add_conditions(shelf, table)
    _add_psychometric(shelf, table)
    _add_insides(shelf, lesson, taught[0])
    write_facts(run.folder, Facts(**_facts(recipe, lesson, taught)))
    write_text(run.folder / "card.md", _card(recipe, lesson, metrics))
    run.log("reported", report=write_report(run.folder).name)


def _add_learning(shelf: Shelf, lesson: Lesson, taught: list[Taught]) -> None:
    from neuroloom.cognition.story.figures import learning_curve

    rows = [{"seed": one.seed, **stage} for one in taught for stage in one.stages]
    shelf.add_figure(
        "learning", learning_curve([one.epochs for one in taught], lesson.stages),
        title="How it learnt", section="training",
        caption="Accuracy on validation trials of the stage being learnt, a line a seed; dashed: "
        "its threshold. Vertical lines: a new stage.",
    )  # fmt: skip
    shelf.add_table(
        "stages", pd.DataFrame(rows), title="Stages", section="training",
        caption="Steps of training in which each stage was learnt, and the accuracy it ended with.",
    )  # fmt: skip


def _add_conditions(shelf: Shelf, table: pd.DataFrame) -> None:
    from neuroloom.cognition.story.figures import accuracy_curves

    names = [name for name in condition_names(table)
             if 2 <= table[name].nunique() <= MOST_LEVELS]  # fmt: skip
    if not names:
        return
    parts = [by_condition(table, name) for name in names]
    shelf.add_table(
        "conditions", pd.concat(parts, ignore_index=True), title="Accuracy by condition",
        caption="Fresh trials; 95 % intervals (Wilson).",
    )  # fmt: skip
    shelf.add_figure(
        "psychometric", accuracy_curves(parts[:6]), title="What is hard",
        caption="Share of right trials at each value of a condition, with 95 % intervals.",
    )  # fmt: skip


def _add_psychometric(shelf: Shelf, table: pd.DataFrame) -> None:
    """Show the curve of choices, where there are two and evidence has a strength."""
    from neuroloom.cognition.curves import fit_psychometric
    from neuroloom.cognition.learning.marks import signed_answers
    from neuroloom.cognition.story.curves import find_strength
    from neuroloom.cognition.story.figures import psychometric

    name = find_strength(table, None) if "truth" in table else None
    found = signed_answers(table, name) if name else None
    if name is None or found is None or len(np.unique(found[0])) < 4:
        return
    curve = fit_psychometric(found[0], found[1].astype(float), guess=None)
    told = ", ".join(f"{key} {value:.3g}" for key, value in curve.values.items())
    shelf.add_figure(
        "choices", psychometric(curve, name), title="Psychometric curve",
        caption=f"Cumulative normal with lapses; {told}; slope {curve.slope:.3g} per unit.",
    )  # fmt: skip


def _add_insides(shelf: Shelf, lesson: Lesson, one: Taught) -> None:
    """Show the first net: its weights, its paths, its fixed points, its units."""
    from neuroloom.cognition.nets.rate import RateRNN
    from neuroloom.cognition.story import figures
    from neuroloom.cognition.story.inside import constraints, look

    seen = look(one.net, lesson)
    shelf.add_figure(
        "trajectories", figures.paths(seen.paths, seen.places, seen.fixed),
        title="Paths of the population", section="where",
        caption="Mean firing by right answer, without noise, in its first two principal "
        f"components ({100 * float(seen.paths.explained[:2].sum()):.0f} % of its variance); a dot "
        "is the start. Crosses: stable fixed points, rings: unstable ones.",
    )  # fmt: skip
    shelf.add_table(
        "units", seen.units, title="Units", section="where",
        caption="Kind of cell, mean rate, d' between trials of the first and the last condition.",
    )  # fmt: skip
    if not isinstance(one.net, RateRNN):
        return
    shelf.add_figure(
        "weights", figures.weights(one.net), title="Recurrent weights, sorted", section="where",
        caption="From column to row; units are sorted by kind (excitatory first), then by what "
        "they send out. Red excites, blue inhibits.",
    )  # fmt: skip
    shelf.add_table(
        "constraints", constraints(one.net), title="Constraints after training", section="where",
        caption="How many effective weights break them.",
    )  # fmt: skip
    if seen.fixed is not None and len(seen.fixed.states):
        shelf.add_table(
            "fixed-points", seen.table, title="Fixed points", section="where",
            caption="States in which the net stays while the input of the decision is held: speed "
            "squared, directions that lead away, time constant of the slowest direction (in tau).",
        )  # fmt: skip
        shelf.add_figure(
            "eigenvalues", figures.eigenvalues(seen.fixed), title="Around the fixed points",
            section="where", caption="Eigenvalues of the Jacobian; right of the line: unstable.",
        )  # fmt: skip


def _facts(recipe: Train, lesson: Lesson, taught: list[Taught]) -> dict[str, Any]:
    played = lesson.find_task()
    net = taught[0].net
    weights = sum(value.numel() for value in net.parameters())
    cells = "free signs" if recipe.dale is None else f"{recipe.dale:.0%} excitatory"
    rows = {
        "Task": f"{played.name}: {played.summary}",
        "Source": played.source,
        "Inputs": ", ".join(played.inputs[:12]),
        "Outputs": ", ".join(played.outputs[:12]),
        "Step": f"{recipe.dt:g} ms",
    }
    training = {
        "Network": f"{lesson.net}, {net.spec.units} units, {weights:,} weights"
        + (f", {cells}" if lesson.net == "rate" else ""),
        "Learnt": lesson.learn,
        "Steps": ", ".join(str(one.epochs[-1]["step"]) for one in taught),
        "Stopped": "; ".join(dict.fromkeys(one.stopped for one in taught)),
    }
    cited = ["rate", "signs", "points", "reservoir", lesson.learn]
    missed = [one.seed for one in taught if not one.stages or not one.stages[-1]["reached"]]
    notes = []
    if missed:
        notes = [f"The stop rule was not reached within the budget (seed {missed[0]})."]
    return {
        "title": f"{played.name.capitalize()[:60]}, learnt by a network",
        "question": played.summary.capitalize(),
        "primary": "accuracy",
        "example": "trial",
        "unit": "net" if len(taught) > 1 else "trial",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "training": [{"label": label, "value": value} for label, value in training.items()],
        "split": ["Trials are drawn anew in every step; those that judge are drawn from other "
                  "random numbers."],
        "notes": notes,
        "method": [
            f"Trained with neuroloom {__version__}: AdamW at {recipe.lr:g}, {recipe.batch} trials "
            f"a step, gradients clipped at 1, validated every {recipe.every} steps on 512 trials, "
            f"until the {recipe.stop} accuracy of {recipe.last} validations was {recipe.target:g}."
        ],
        "citations": [_CITED[key] for key in cited if key in _CITED],
        "meanings": _MEANINGS,
    }  # fmt: skip


def _card(recipe: Train, lesson: Lesson, metrics: dict[str, Any]) -> str:
    rows = [f"| {name} | {entry['value']:.3f} |" for name, entry in metrics.items()]
    lines = [
        f"# {lesson.net} network that plays {', '.join(lesson.tasks)}",
        "",
        f"{recipe.units} units, trained by {lesson.learn} on trials drawn anew.",
        "",
        "| metric | value |",
        "|---|---|",
        *rows,
        "",
        "A model of how a task can be solved; nothing in it was fitted to a brain.",
        "",
    ]
    return "\n".join(lines)
