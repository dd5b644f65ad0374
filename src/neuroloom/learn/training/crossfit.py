"""Fit a learner on every fold and seed, keeping each finished fit so that a run can resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.dataset import UNITS, Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json, write_text
from neuroloom.core.run import FIT_PLANS
from neuroloom.core.split import Fold, Split, make_folds
from neuroloom.learn.store import Ragged, read_arrays, write_arrays, write_ragged
from neuroloom.learn.training.budget import Plan

if TYPE_CHECKING:
    from neuroloom.core.run import Run

VALIDATION_FROM = 200
PATIENCE = 20


@dataclass(frozen=True)
class Job:
    """One fit: which fold (its place in the list; -1 for all data), which seed, for what role."""

    fold: int
    seed: int
    role: str = "model"
    group: str = ""

    @property
    def key(self) -> str:
        """A file name."""
        return f"{self.role}-{'all' if self.fold < 0 else format(self.fold, '03d')}-{self.seed}" + (
            f"-{self.group}" if self.fold < 0 and self.group else ""
        )


@dataclass
class Fitted:
    """A finished fit: the trained learner, its scores of the held-out rows, how training went.

    The scores are one array, or an array a row where rows differ in shape (images, volumes).
    `noted` keeps what took long to work out of them, for all who ask while the run lasts.
    """

    job: Job
    learner: Any
    scores: Any  # an array, or `store.Ragged`
    history: list[dict[str, Any]]
    stopped: str
    noted: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


def fit_jobs(
    jobs: list[tuple[Job, Fold]],
    dataset: Dataset,
    make: Callable[[], Any],
    plan: Plan,
    run: Run,
    by: str,
) -> Iterator[Fitted]:
    """Fit every job that is not done yet and yield all, in order.

    Parameters
    ----------
    jobs
        Each with the fold that says which rows to learn from and which to score.
    dataset
        Labelled examples.
    make
        Returns an untrained learner.
    plan
        Epochs or steps of a fit.
    run
        Its work folder keeps finished fits and checkpoints.
    by
        The unit of the split; validation examples are held out by it, too.
    """
    _fit_in_batches(jobs, dataset, make, plan, run)
    for number, (job, fold) in enumerate(jobs):
        done = run.work_folder / f"{job.key}.safetensors"
        if not done.is_file():
            facts = {"role": job.role, "fit": number + 1, "fits": len(jobs), "fold": fold.name}
            _fit_one(job, fold, dataset, make(), plan, run, by, facts)
        yield _load(job, done, make())


def _fit_in_batches(
    jobs: list[tuple[Job, Fold]], dataset: Dataset, make: Callable[[], Any], plan: Plan, run: Run
) -> None:
    """Fit all jobs at once where the net asks for it and no example is needed for validation.

    A batch that was interrupted is done again whole: its fits are small, and share one stream of
    dropout.
    """
    learner = make()
    wanted = getattr(getattr(learner, "training", None), "together", False)
    small = all(len(fold.train) < VALIDATION_FROM for _, fold in jobs)
    places = [run.work_folder / f"{job.key}.safetensors" for job, _ in jobs]
    if not (wanted and small and len(jobs) > 1) or all(place.is_file() for place in places):
        return
    from neuroloom.learn.training.fit import FitJob
    from neuroloom.learn.training.together import fit_together, suits

    if not suits(learner):
        return
    learners = [make() for _ in jobs]
    sets = [(dataset.x[fold.train], dataset.y[fold.train]) for _, fold in jobs]
    fits = [FitJob(seed=job.seed, epochs=plan.epochs, steps=plan.steps) for job, _ in jobs]
    histories = fit_together(learners, sets, fits)
    for place, fitted, (_, fold), history in zip(places, learners, jobs, histories, strict=True):
        _save(place, fitted, _scores(fitted, dataset, fold), history)


def _scores(learner: Any, dataset: Dataset, fold: Fold) -> Any:
    return learner.predict_scores(dataset.x[fold.test]) if len(fold.test) else np.zeros((0,))


def _fit_one(
    job: Job, fold: Fold, dataset: Dataset, learner: Any, plan: Plan, run: Run, by: str, facts: Any
) -> None:
    from neuroloom.learn.training.fit import FitJob

    train, validation = hold_out(dataset, fold.train, by, job.seed, learner)
    checkpoint = run.work_folder / f"{job.key}.checkpoint.safetensors"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    y = dataset.y
    settle_plan(run, job.key, learner, dataset.x[train])
    history = learner.fit(
        dataset.x[train],
        y[train],
        job=FitJob(
            seed=job.seed,
            epochs=plan.epochs,
            steps=plan.steps,
            checkpoint=checkpoint,
            progress=lambda line: run.tell({"event": "progress", **facts, **line}),
            validation=(dataset.x[validation], y[validation]) if len(validation) else None,
            patience=PATIENCE,
            precision=plan.precision,
            seconds=plan.seconds_of_fit(run.elapsed, facts["fits"] - facts["fit"] + 1),
            all_seconds=plan.all_seconds,
            turns=plan.turns.get(job.key, {}),
            held_out=len(fold.test),
        ),
    )
    note_turns(run, plan, job.key, history.turns)
    place = run.work_folder / f"{job.key}.safetensors"
    _save(place, learner, _scores(learner, dataset, fold), history)
    checkpoint.unlink(missing_ok=True)
    counts = {"learnt": len(train), "validated": len(validation)}
    run.log("fitted", seed=job.seed, **facts, **counts, stopped=history.stopped)


def settle_plan(run: Run, key: str, learner: Any, x: Any) -> None:
    """Let a learner that plans its net follow the plan stored for this fit, or store what it makes.

    The machine has a say in such a plan: a run that goes on, or is done again, on another one must
    not get other nets.
    """
    if not hasattr(learner, "settle_plan"):
        return
    file = run.folder / FIT_PLANS
    stored = read_json(file) if file.is_file() else {}
    settled = learner.settle_plan(x, stored.get(key))
    if key not in stored:  # NaN, such as a mean of no voxel, stays NaN
        write_text(file, json.dumps(stored | {key: settled}, indent=1))


def note_turns(run: Run, plan: Plan, key: str, turns: dict[str, list[tuple[int, float]]]) -> None:
    """Write into the stored plan where a fit left steps out, so that a replay does the same."""
    file = run.folder / "plan.json"
    if turns and not plan.turns.get(key) and file.is_file():
        stored = read_json(file)
        write_json(file, stored | {"turns": stored.get("turns", {}) | {key: turns}})


def _save(path: Path, learner: Any, scores: Any, history: Any) -> None:
    """Keep a fit; scores that come one by one, in unlike shapes, get a file each."""
    arrays = {f"state/{name}": array for name, array in learner.state().items()}
    facts = {"spec": learner.spec, "epochs": history.epochs, "stopped": history.stopped}
    if isinstance(scores, np.ndarray):
        arrays["scores"] = scores
    else:
        write_ragged(path.with_suffix(""), scores)
    write_arrays(path, arrays, facts)


def _load(job: Job, path: Path, learner: Any) -> Fitted:
    arrays, facts = read_arrays(path)
    learner.load({n[6:]: array for n, array in arrays.items() if n.startswith("state/")})
    scores = arrays["scores"] if "scores" in arrays else Ragged(path.with_suffix(""))
    return Fitted(job, learner, scores, facts["epochs"], facts["stopped"])


def hold_out(
    dataset: Dataset, train: np.ndarray, by: str, seed: int, learner: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Set a fifth of the training units aside for early stopping, if there are enough examples.

    Fewer than 200 training examples are all learnt from, for the planned time: what a validation
    set of a few dozen says is noise, and costs the fit a fifth of its data.
    """
    none = train[:0]
    if len(train) < VALIDATION_FROM or not getattr(learner, "validates", False):
        return train, none
    table = dataset.table.iloc[train].reset_index(drop=True)
    for unit in (by, "time"):
        try:
            fold = make_folds(table, Split(by=unit, folds=1, seed=seed))[0]
        except ConfigError:
            continue
        known = table["label"].to_numpy()
        if dataset.task != "classification" or set(known[fold.train]) >= set(known):
            return train[fold.train], train[fold.test]
    return train, none


def groups_of(dataset: Dataset, per: str | None) -> dict[str, np.ndarray]:
    """Return the rows that share a final model: all of them, or one set a subject."""
    if per is None:
        return {"": np.arange(len(dataset))}
    column = dataset.table[UNITS[0]].astype(str).to_numpy()
    return {str(name): np.flatnonzero(column == name) for name in np.unique(column)}
