"""What any study's report and card say: the split, the training, and what to bear in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.dataset import UNITS
from neuroloom.core.errors import NeuroloomError
from neuroloom.core.files import read_json, write_text
from neuroloom.core.run import Run
from neuroloom.core.split import unit_keys

if TYPE_CHECKING:
    from pathlib import Path

    from neuroloom.learn.study import Prepared, Study
    from neuroloom.learn.training.crossfit import Fitted

# The audit warns of unequal classes from the same ratio on.
OUTWEIGHS = 3
PRIMARY = {
    "classification": "accuracy",
    "regression": "r2",
    "detection": "f1",
    "survival": "c_index",
    "synthesis": "psnr",
    "segmentation": "dice",
    "pose": "mean_error_px",
}


def add_study_figures(run: Run, prepared: Prepared, fits: list[Fitted], target: str = "") -> None:
    """Draw the split, the results and the learning curves."""
    from neuroloom.learn import figures

    add_split_figure(run, prepared)
    metrics = read_json(run.folder / "metrics.json")
    figures.add_result_figures(
        Shelf(run.folder / "artifacts"),
        run.predictions,
        prepared.dataset.classes,
        histories=[fit.history for fit in fits],
        chance=metrics.get("accuracy", {}).get("chance"),
        target=target or "Target",
        unit=prepared.by,
    )


def add_split_figure(run: Run, prepared: Prepared) -> None:
    """Draw which unit is learnt from and which is judged, fold by fold."""
    from neuroloom.learn import figures

    shelf, dataset = Shelf(run.folder / "artifacts"), prepared.dataset
    judged = [fold for fold in prepared.folds if len(fold.test)]
    known = prepared.by in UNITS or prepared.by in dataset.table
    unit = prepared.by if known else "run"
    if judged:
        table = dataset.table
        keys = unit_keys(table, unit) if unit in UNITS else table[unit].astype(str).tolist()
        counts = figures.count_folds(keys, judged)
        shelf.add_figure(
            "folds",
            figures.fold_map(counts, unit),
            title="What is learnt from and what is tested, fold by fold",
            caption="Numbers of examples. Nothing that is tested is learnt from in its fold.",
            section="split",
        )


def study_facts(study: Study, run: Run, prepared: Prepared, fits: list[Fitted]) -> dict[str, Any]:
    """Return the fields of `core.report.Facts` that hold for any study."""
    task = prepared.dataset.task
    return {
        "primary": headline_metric(study, prepared),
        "unit": prepared.by,
        "model": study.called(),
        "baseline": study.baseline(task) or "",
        "how_sure": _how_sure(study, prepared, run),
        "split": [split_sentence(study, prepared)],
        "training": _training(study, run, fits),
        "notes": _notes(study, run, prepared),
    }


def headline_metric(study: Study, prepared: Prepared) -> str:
    """Return the metric that a report begins with: the accuracy, unless one class outweighs.

    Where one class holds most examples, always naming it is nearly right, and an accuracy at
    chance says nothing: then it is the AUC of two classes, or the balanced accuracy of more.
    """
    judged, classes = study.judged_as(prepared.dataset)
    if judged != "classification":
        return PRIMARY[judged]
    counts = prepared.dataset.table["label"].value_counts()
    if counts.max() <= OUTWEIGHS * counts.min():
        return PRIMARY[judged]
    return "auc" if len(classes) == 2 else "balanced_accuracy"


def split_sentence(study: Study, prepared: Prepared) -> str:
    """Say in a sentence what was held out."""
    folds, by = prepared.folds, prepared.by
    judged = [fold for fold in folds if len(fold.test)]
    if not judged:
        return "Nothing was held out: the model was fitted on everything and nothing was judged."
    each = f"{len(judged)} folds" if len(judged) > 1 else "one split"
    what = "what `test` names is held out" if study.test else _what_is_held_out(by)
    if by == "time" and not study.test and study.gap_of(prepared.dataset):
        what += ", with a gap as long as the filter"
    own = " Every subject has a model of its own." if study.per else ""
    names = ", ".join(fold.name for fold in judged[:6])
    return f"{each[0].upper()}{each[1:]}: {what} ({names}{', …' if len(judged) > 6 else ''}).{own}"


def _what_is_held_out(by: str) -> str:
    return {
        "time": "a contiguous stretch of every recording is held out",
        "space": "a strip of every image is held out, with a gap beside it",
        "random": "examples are dealt at random (neighbours in time stand on both sides)",
    }.get(by, f"whole {by}s are held out")


def _how_sure(study: Study, prepared: Prepared, run: Run) -> str:
    metrics = read_json(run.folder / "metrics.json")
    name = headline_metric(study, prepared)
    units = len({unit for fold in prepared.folds for unit in fold.units})
    by = next((fold.by for fold in prepared.folds if fold.by), prepared.by)
    if name not in metrics:
        return ""
    if units == 1 and by in UNITS:
        return (
            f"The interval is a bootstrap over the examples of one {by}: it does not say "
            f"how far another {by} may differ."
        )
    if by == "random" or units == 1:
        return "The interval is a bootstrap over the examples."
    level = f"{units} {by}s, then over the examples inside" if units < 10 else f"{units} {by}s"
    if by == "space":
        level = f"{units} strip{'s' * (units > 1)} of images, then over the cases inside"
    if by == "block":
        level = f"{units} blocks of neighbours in time, then over the examples inside"
    if by == "time":
        level = f"{units} stretches of time, then over the examples inside"
    return f"The interval is a bootstrap over {level}."


def _training(study: Study, run: Run, fits: list[Fitted]) -> list[dict[str, str]]:
    plan = read_json(run.folder / "plan.json")
    length = f"{plan['epochs']} epochs" if plan.get("epochs") else ""
    length = f"{plan['steps']} steps" if plan.get("steps") else length
    stopped = dict.fromkeys(fit.stopped for fit in fits if fit.stopped)
    seeds = len({fit.job.seed for fit in fits})
    rows = [
        ("Model", study.called()),
        ("Fits", f"{len(fits)} ({seeds} seed{'s' if seeds > 1 else ''})"),
        ("Budget", study.budget if length else ""),
        ("Plan", f"{length}: {plan['reason']}" if length else plan["reason"]),
        ("Ended", "; ".join(list(stopped)[:3])),
    ]
    return [{"label": label, "value": value} for label, value in rows if value]


def _notes(study: Study, run: Run, prepared: Prepared) -> list[str]:
    notes = []
    if study.shuffle:
        notes.append("The labels were permuted on purpose: the score must lie at chance.")
    if study.permutations:
        notes.append(_permutation_test(study, run, prepared))
    said = best_of_siblings(run, prepared.dataset.task)
    return notes + ([said] if said else [])


def _permutation_test(study: Study, run: Run, prepared: Prepared) -> str:
    """Say what permuting the labels tells of the first metric, or why it tells nothing."""
    from neuroloom.learn.scoring.intervals import permutation_test

    name, table = PRIMARY[study.judged_as(prepared.dataset)[0]], run.predictions
    if table.empty:
        return f"There is no permutation test of the {name}: nothing was held out."
    p, how = permutation_test(table, name, study.permutations, study.seed)
    if np.isnan(p):
        return f"There is no permutation test of the {name}: {how}."
    return (
        f"Permutation test of the {name}: p = {p:.2g} ({study.permutations} permutations of "
        f"{how}, the fitted models unchanged)."
    )


def best_of_siblings(run: Run, task: str) -> str:
    """Warn if other models were tried on the same folds in the runs beside this one."""
    from neuroloom.learn.scoring.compare import best_of

    if task != "classification":
        return ""
    tried = {run.recipe.called(): _accuracy(run)}  # type: ignore[attr-defined]
    own = _folds(run)
    for folder in _beside(run.folder.resolve()):
        try:
            if not (folder / "dataset.json").is_file():
                continue
            other = Run(folder)
            if other.state == "done" and _folds(other) == own and own[1]:
                tried.setdefault(other.recipe.called(), _accuracy(other))  # type: ignore[attr-defined]
        except (NeuroloomError, OSError, ValueError, KeyError):
            continue
    known = {name: value for name, value in tried.items() if value is not None}
    examples = sum(len(fold["test"]) for fold in own[1])
    return best_of(list(known.values()), examples, list(known)) if len(known) > 1 else ""


def _beside(folder: Path) -> list[Path]:
    """Return what lies beside a folder, by name; nothing where one may not look."""
    try:
        return sorted(other for other in folder.parent.iterdir() if other != folder)
    except OSError:
        return []


def _folds(run: Run) -> tuple[str, list[Any]]:
    facts = read_json(run.folder / "dataset.json")
    return facts["fingerprint"], facts["split"]["folds"]


def _accuracy(run: Run) -> float | None:
    return read_json(run.folder / "metrics.json").get("accuracy", {}).get("value")


def write_card(study: Study, run: Run, prepared: Prepared) -> None:
    """Write `card.md`: what the stored model is, what it learnt from, how well, and its limits."""
    from neuroloom.learn.store import read_arrays

    _, stored = read_arrays(run.folder / "model.safetensors")
    facts, dataset = stored["facts"], prepared.dataset
    metrics = read_json(run.folder / "metrics.json")
    rows = [
        f"| {name} | {_show(e['value'])} | {_show(e['low'])} to {_show(e['high'])} "
        f"| {_show(e['baseline'])} | {_show(e['chance'])} |"
        for name, e in metrics.items()
    ]
    table = [
        "| metric | value | 95 % interval | baseline | chance |",
        "|---|---|---|---|---|",
        *rows,
    ]
    people = dataset.table["subject"].nunique()
    findings = [f"- {f.title}: {f.detail}" for f in prepared.findings if f.severity != "note"]
    temperature = np.mean(list(facts["temperature"].values())) if facts["temperature"] else 1.0
    lines = [
        f"# {study.called()} ({study.name})",
        "",
        f"Stored model: {facts['kind']}; temperature of its probabilities {temperature:.2f}.",
        f"Learnt from {len(dataset)} labelled examples of {people} "
        f"subject{'s' if people > 1 else ''}"
        + (f", classes {', '.join(dataset.classes)}." if dataset.classes else "."),
        "",
        "## How well, on examples it had not seen",
        "",
        split_sentence(study, prepared),
        *(["", *table] if rows else []),
        "",
        "## Limits",
        "",
        *(findings or ["- The audit objected to nothing."]),
        "- For research. Not a medical device; it has not been tested on other sites or devices.",
        "",
    ]
    write_text(run.folder / "card.md", "\n".join(lines))


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
