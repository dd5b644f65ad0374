"""Choose among models inside each training fold, so that the choice is judged, too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.split import Fold, Split, make_folds
from neuroloom.learn.training.budget import Plan, parse_budget
from neuroloom.learn.training.crossfit import Fitted, Job, fit_jobs

ATTEMPTS = 20

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.volumes.whole.study import WholeImage


def fit_chosen(study: WholeImage, prepared: Prepared, plan: Plan, run: Run) -> list[Fitted]:
    """Choose a model for each fold from its training examples, and fit it on all of them.

    What was chosen, and by what scores, is logged and written to `artifacts` by the story.
    """
    fits: list[Fitted] = []
    seeds = range(study.seed, study.seed + study.seeds)
    jobs = [(n, fold) for n, fold in enumerate(prepared.folds) if len(fold.test)]
    if study.folds == 0 or study.final == "refit":
        rows = np.arange(len(prepared.dataset))
        jobs.append((-1, Fold("all data", rows, rows[:0], [])))
    for number, fold in jobs:
        name, scores = choose(study, prepared, plan, run, number, fold)
        run.log("chosen", fold=fold.name, model=name, **scores)
        make = study._maker(study.find(name), prepared.dataset)
        own = [(Job(number, seed, "model"), fold) for seed in seeds]
        taught = study.taught(name, prepared.dataset)
        fits += fit_jobs(own, taught, make, plan, run, prepared.by)
    return fits


def choose(
    study: WholeImage, prepared: Prepared, plan: Plan, run: Run, number: int, fold: Fold
) -> tuple[str, dict[str, float]]:
    """Return the candidate that does best on inner folds of a training fold, and all scores.

    Scores are log-losses, or mean absolute errors: the smaller the better.
    """
    dataset = prepared.dataset
    inner = inner_folds(dataset, fold.train, prepared.by, study.inner_folds, study.seed)
    scores = {}
    for name in study.models:
        make = study._maker(study.find(name), dataset)
        role = f"inner-{name}-{'all' if number < 0 else number}"
        own = [(Job(k, study.seed, role), one) for k, one in enumerate(inner)]
        taught = study.taught(name, dataset)
        fits = list(fit_jobs(own, taught, make, plan, run, prepared.by))
        scores[name] = _error(dataset, inner, fits)
    return min(scores, key=lambda name: scores[name]), scores


def inner_folds(dataset: Dataset, train: np.ndarray, by: str, folds: int, seed: int) -> list[Fold]:
    """Split the rows `train` again by the same unit; row numbers refer to the whole dataset.

    Raises
    ------
    ConfigError
        If there are too few units, or an inner fold lacks a class.
    """
    table = dataset.table.iloc[train].reset_index(drop=True)
    y, classes = dataset.y[train], range(len(dataset.classes))
    for attempt in range(ATTEMPTS):
        try:
            own = make_folds(table, Split(by=by, folds=folds, seed=seed + attempt))
        except ConfigError as error:
            raise ConfigError(f"inner_folds={folds} within a training fold: {error}") from None
        if all(set(classes) <= set(np.atleast_1d(y[fold.train]).tolist()) for fold in own) or (
            dataset.task == "regression"
        ):
            return [replace(f, train=train[f.train], test=train[f.test]) for f in own]
    raise ConfigError(
        f"inner_folds={folds} leaves no example of a class to learn from, however the "
        f"{len(train)} training examples of a fold are dealt. Take fewer, or name one model."
    )


def _error(dataset: Dataset, folds: list[Fold], fits: list[Fitted]) -> float:
    rows = np.concatenate([folds[fit.job.fold].test for fit in fits])
    scores = np.concatenate([fit.scores for fit in fits])
    if dataset.task == "regression":
        return float(np.abs(scores - dataset.table["label"].to_numpy(float)[rows]).mean())
    return float(-scores[np.arange(len(rows)), dataset.y[rows]].mean())


def plan_choice(study: WholeImage, prepared: Prepared, run: Run) -> Plan:
    """Share the time among candidates: as many epochs of each as all can have."""
    budget = parse_budget(study.budget)
    nets = [name for name in study.models if study.find(name).is_net]
    if not nets:
        return Plan(reason="solved directly: no epochs")
    if budget.seconds is None:
        return Plan(budget.epochs, None, f"as asked for ({study.budget})")
    from neuroloom.learn.training.budget import plan_time, seconds_to_train
    from neuroloom.learn.training.cost import cost_of_fit

    learners = [study._maker(study.find(name), prepared.dataset)() for name in nets]
    sets = [study.taught(name, prepared.dataset).take(prepared.largest) for name in nets]
    costs = [
        cost_of_fit(learner, own.x, own.y, study.seed)
        for learner, own in zip(learners, sets, strict=True)
    ]
    refit = len(prepared.dataset) / len(prepared.largest)  # in fits on the largest fold
    refit *= study.folds == 0 or study.final == "refit"
    judged = sum(len(fold.test) > 0 for fold in prepared.folds) + refit
    # Inner fits learn from a share of the examples; the slowest may be the one that is chosen.
    inner, seconds = study.inner_folds, [cost.epoch for cost in costs]
    per_epoch = judged * ((inner - 1) * sum(seconds) + study.seeds * max(seconds))
    beside = [cost.around for cost in costs]
    around = judged * (inner * sum(beside) + study.seeds * max(beside))
    left = seconds_to_train(budget.seconds, run.elapsed, judged=study.folds != 0)
    ceiling = min(learner.training.epochs for learner in learners)
    plan = plan_time(left, per_epoch, 1, ceiling, around=around)
    a_fit = (plan.seconds or 0.0) * max(seconds) / per_epoch
    return replace(plan, seconds=a_fit * max(1.0, refit))
