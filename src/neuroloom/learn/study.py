"""A study: a recipe that trains and judges, the same way for every domain.

A domain says how data become a dataset (`read`) and which model is the baseline; splitting,
fitting, calibrating, scoring, storing and resuming are here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from neuroloom.core import audit, registry
from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.run import Run, data_error_if_changed
from neuroloom.core.split import (
    Fold,
    Split,
    check_classes,
    default_unit,
    listed_names,
    make_folds,
    stated_fold,
)
from neuroloom.learn.model import Model, find_model
from neuroloom.learn.narrate import write_card
from neuroloom.learn.training.budget import (
    Plan,
    parse_budget,
    plan_time,
    readable_budget,
    seconds_to_train,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted


@dataclass(frozen=True)
class Prepared:
    """Everything read and checked: what `prepare` hands to `work`."""

    everything: Dataset
    dataset: Dataset
    folds: list[Fold]
    by: str
    findings: list[Finding]
    hashes: dict[str, str]

    @property
    def largest(self) -> np.ndarray:
        """The rows of the fold that learns from most examples: what is planned for."""
        return max((fold.train for fold in self.folds), key=len)


class Study(Recipe):
    """Base of the recipes that train: their common fields and the course of a run."""

    net_settings: ClassVar[tuple[str, ...]] = ()
    model_settings: ClassVar[tuple[str, ...]] = ()

    model: str = setting("eegnet", "what is trained", basic=True, kind="model")
    split: Literal["subject", "session", "run", "time", "random"] | None = setting(
        None, "what is held out whole; default: the widest of subject, session, run, else time",
        basic=True,
    )  # fmt: skip
    budget: str = setting(
        "5min", "wall time of the whole command ('90s', '10min') or '200 epochs' a fit", basic=True
    )
    folds: int | None = setting(
        None,
        "number of folds; 1 = one split, 0 = fit on everything; default: one a unit, at most ten",
        ge=0,
    )
    test: list[str] = setting(
        [], "names or globs, or a text file of names: these examples are held out instead of folds"
    )
    seeds: int = setting(1, "how many seeds a net is trained from; scores are averaged", ge=1)
    seed: int = setting(0, "the first seed", ge=0)
    per: Literal["subject"] | None = setting(None, "fit one model a subject")
    final: Literal["ensemble", "refit"] | None = setting(
        None, "model kept for predict: the folds' nets together, or one fitted on all data"
    )
    shuffle: bool = setting(False, "permute the labels: a check, the score must fall to chance")
    permutations: int = setting(0, "label permutations for a p-value of the first metric", ge=0)

    _budget_is_readable = field_validator("budget")(readable_budget)
    # Read once: what the run stores holds when the file has changed, and from any folder.
    _test_is_listed = field_validator("test")(listed_names)

    @field_validator("model", "models", check_fields=False)
    @classmethod
    def _without_family(cls, named: str | list[str]) -> str | list[str]:
        """Return names as the family says them: "dynunet" for "dense/dynunet"."""
        before = f"{cls.family}/" if cls.family else ""
        if isinstance(named, str):
            return named.removeprefix(before)
        return [name.removeprefix(before) for name in named]

    @abstractmethod
    def read(self, data: Path) -> Dataset:
        """Return all examples of `data`, labelled or not."""

    def read_again(self, run: Run) -> Dataset:
        """Return all examples of a run's own data.

        Raises
        ------
        DataError
            If the data are gone, or changed since.
        """
        _, data = run.reopened()
        dataset = self.read(data)
        stored = read_json(run.folder / "dataset.json")
        data_error_if_changed(stored["files"], dataset.extra["hashes"])
        return dataset

    @abstractmethod
    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Return the examples of new data, made the way the run's (its stored `facts`) were."""

    def read_new(self, facts: dict[str, Any], data: Path) -> Dataset:
        """Return new examples that are only predicted: what is learnt need not be known of them."""
        return self.read_like(facts, data, [])

    @abstractmethod
    def baseline(self, task: str) -> str | None:
        """Name the model that stands beside this one, if any can."""

    @abstractmethod
    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Fill the run's artifacts and `facts.json` for the report."""

    def find(self, name: str) -> Model:
        """Return a model of this study's family."""
        return find_model(name, self.family)

    def called(self) -> str:
        """Return what the model is called in tables, in the report and on the card."""
        return self.model

    def options(self) -> dict[str, Any]:
        """Return what `Model.make` gets beside the data's facts."""
        return {}

    def options_of(self, model: Model, dataset: Dataset) -> dict[str, Any]:
        """Return the options of the model that is asked for; a baseline has none."""
        return self.options() if model.name == self.model else {}

    def gap(self) -> float:
        """Return the seconds that a split in time must leave free."""
        return 0.0

    def gap_of(self, dataset: Dataset) -> float:
        """Return the gap for these data."""
        return self.gap()

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Return the domain's own objections to the data."""
        return []

    def prepare(self, data: Path) -> Prepared:
        """Read, check, audit and split; nothing is written."""
        model = self.find(self.model)
        self._refuse_idle_settings(model)
        everything = self.read(data)
        dataset = everything.labelled()
        if dataset.task not in model.tasks:
            raise ConfigError(
                f"model={self.model} cannot learn {dataset.task}; it learns {model.tasks[0]}."
            )
        self._maker(model, dataset)()
        if self.shuffle:
            dataset = shuffled(dataset, self.seed)
        by = self.split or default_unit(dataset.table)
        folds = self._split(dataset, by)
        findings = [*everything.findings, *self.audit(dataset)]
        findings += audit.audit_split(dataset, folds, by)
        return Prepared(everything, dataset, folds, by, findings, everything.extra["hashes"])

    def _refuse_idle_settings(self, model: Model) -> None:
        """Refuse settings that mean nothing to the model."""
        for name in self.model_settings:
            if getattr(self, name) is not None and name not in model.obeys:
                raise ConfigError(
                    f"{name} means nothing to model={self.model}, which has its own: leave it out, "
                    "or choose a plain classifier such as lda, svm, knn or forest."
                )
        given = self.settings()
        idle = [name for name in self.net_settings if name in given]
        if idle and not model.is_net:
            raise ConfigError(
                f"{' and '.join(idle)} is for nets and means nothing to model={self.model}: "
                "leave it out."
            )

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        rule = Split(by, self.folds, tuple(self.test), self.per, self.gap_of(dataset), self.seed)
        folds = make_folds(dataset.table, rule)
        for fold in folds if dataset.task == "classification" else ():
            check_classes(fold, dataset.y, dataset.classes)
        return folds

    def stated(self, dataset: Dataset) -> list[Fold] | None:
        """Return the one fold that a column `split` states, unless the settings say how to split.

        For the studies of images, whose tables and folders (`train/`, `test/`) say such things.
        """
        if self.split or self.test or self.folds is not None or self.per:
            return None
        fold = stated_fold(dataset.table)
        if fold is not None and dataset.task == "classification":
            check_classes(fold, dataset.y, dataset.classes)
        return None if fold is None else [fold]

    def outline(self, prepared: Prepared) -> list[tuple[str, str, str]]:
        """Return the examples, their classes and subjects, and the folds: what, value, why."""
        dataset, table = prepared.dataset, prepared.dataset.table
        rows = [("examples", str(len(prepared.everything)), f"{len(dataset)} of them labelled")]
        if dataset.task == "classification":
            counts = table["label"].value_counts()
            rows.append(("classes", ", ".join(f"{k}: {counts[k]}" for k in dataset.classes), ""))
        rows.append(("subjects", str(table["subject"].nunique()), ""))
        judged = [fold for fold in prepared.folds if len(fold.test)]
        for number, fold in enumerate(judged, start=1):
            sizes = f"learns from {len(fold.train)}, is judged on {len(fold.test)}"
            who = shorten(fold.name, 50, placeholder=" …")
            rows.append((f"fold {number}", sizes, f"held out: {who}"))
        if not judged:
            rows.append(("folds", "none", "fits on everything and judges nothing"))
        return [*rows, ("model", self.called(), f"budget {self.budget}")]

    def work(self, prepared: Prepared, run: Run) -> None:
        """Fit, judge, store, explain and report."""
        self._record(prepared, run)
        results = self._fit_everything(prepared, run)
        predictions = self._judge(prepared, run, results)
        self._keep(prepared, run, results)
        run.log("scored", examples=len(predictions))
        self.illustrate(run, prepared, results["model"])
        write_card(self, run, prepared)
        run.log("reported", report=self.report(run).name)

    def _record(self, prepared: Prepared, run: Run) -> None:
        """Write what was read; on resume and replay, refuse data that changed."""
        file, facts = run.folder / "dataset.json", _dataset_facts(prepared)
        if file.is_file():
            stored = read_json(file)
            data_error_if_changed(stored["files"], prepared.hashes)
            _refuse_other_folds(run, stored, facts)
        write_json(file, facts)
        write_json(run.folder / "audit.json", [f.as_dict() for f in prepared.findings])
        for finding in prepared.findings:
            run.log("audit", **finding.as_dict())

    def _fit_everything(self, prepared: Prepared, run: Run) -> dict[str, list[Fitted]]:
        """Fit the baseline, settle the plan by measured speed, then fit the model."""
        results = {}
        for role, name in self.roles(prepared.dataset.task).items():
            plan = self._plan(prepared, run) if role == "model" else Plan()
            results[role] = self._fit_role(role, name, prepared, plan, run)
        return results

    def roles(self, task: str) -> dict[str, str]:
        """Return role -> model, the baseline first: it is quick and must not eat the budget."""
        baseline = self.baseline(task)
        return ({"baseline": baseline} if baseline else {}) | {"model": self.model}

    def _fit_role(
        self, role: str, name: str, prepared: Prepared, plan: Plan, run: Run
    ) -> list[Fitted]:
        from neuroloom.learn.training.crossfit import Job, fit_jobs, groups_of

        model = self.find(name)
        seeds = range(self.seed, self.seed + (self.seeds if model.is_net else 1))
        jobs = [
            (Job(number, seed, role, fold.group), fold)
            for seed in seeds
            for number, fold in enumerate(prepared.folds)
            if len(fold.test)
        ]
        if self.refits(model):
            none = np.arange(0)
            jobs += [
                (Job(-1, seed, role, group), Fold("all data", rows, none, [], group))
                for seed in seeds
                for group, rows in groups_of(prepared.dataset, self.per).items()
                if group in {fold.group for fold in prepared.folds}
            ]
        make = self._maker(model, prepared.dataset)
        return list(fit_jobs(jobs, prepared.dataset, make, plan, run, prepared.by))

    def count_fits(self, model: Model, prepared: Prepared) -> int:
        """Return how many fits a model gets: on folds that are judged, and on all data."""
        judged = sum(len(fold.test) > 0 for fold in prepared.folds)
        groups = {fold.group for fold in prepared.folds} if self.refits(model) else ()
        return self.seeds * (judged + len(groups))

    def refits(self, model: Model) -> bool:
        """Tell whether the model that is kept is fitted on all data once more."""
        if self.final is None:
            return not model.is_net or self.folds == 0
        return self.final == "refit" or self.folds == 0

    def _maker(self, model: Model, dataset: Dataset) -> Callable[[], Any]:
        n_outputs = max(1, len(dataset.classes))
        options = self.options_of(model, dataset)
        facts = dataset.facts | {"classes": dataset.classes}
        return lambda: model.make(facts, dataset.task, n_outputs, **options)

    def _plan(self, prepared: Prepared, run: Run) -> Plan:
        """Return the stored plan, or settle one now."""
        file = run.folder / "plan.json"
        if file.is_file():
            plan = Plan(**read_json(file))
        else:
            plan = self._new_plan(prepared, run)
            write_json(file, plan.as_dict())
            run.log("plan", **plan.as_dict())
        object_to_short(run, [plan])
        return plan

    def _new_plan(self, prepared: Prepared, run: Run) -> Plan:
        model, budget = self.find(self.model), parse_budget(self.budget)
        if not model.is_net:
            return Plan(reason="solved directly: no epochs")
        if budget.seconds is None:
            return Plan(budget.epochs, budget.steps, f"as asked for ({self.budget})")
        from neuroloom.learn.training.cost import cost_of_fit

        learner = self._maker(model, prepared.dataset)()
        x, y = prepared.dataset.x[prepared.largest], prepared.dataset.y[prepared.largest]
        cost = cost_of_fit(learner, x, y, self.seed)
        judged = any(len(fold.test) for fold in prepared.folds)
        fits = self.count_fits(model, prepared)
        left = seconds_to_train(budget.seconds, run.elapsed, judged=judged)
        return plan_time(
            left, cost.epoch, fits, learner.training.epochs, steps=cost.steps, around=cost.around
        )

    def _judge(self, prepared: Prepared, run: Run, results: dict[str, Any]) -> pd.DataFrame:
        """Write `predictions.parquet`, and from it the metrics."""
        from neuroloom.learn.scoring.written import add_scores, write_scores

        on_folds = [fit for fits in results.values() for fit in fits if fit.job.fold >= 0]
        table = self.tabulate(prepared, on_folds)
        write_scores(run.folder, table, *self.judged_as(prepared.dataset), self.seed)
        if len(table) and (more := self.own_scores(table, prepared.dataset)):
            add_scores(run.folder, more)
        return table

    def own_scores(
        self, table: pd.DataFrame, dataset: Dataset
    ) -> dict[str, dict[str, float | None]]:
        """Return metrics beside those of the kind of task, from rows of held-out or of new data."""
        del table, dataset
        return {}

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return `predictions.parquet`: a row per held-out example, seed and role.

        A study whose unit of judgement is not the example (events of a recording, cases of a dense
        task) overrides this.
        """
        from neuroloom.learn.scoring import judge

        models = self.roles(prepared.dataset.task)
        return judge.predictions_table(prepared.dataset, prepared.folds, fits, models)

    def judged_as(self, dataset: Dataset) -> tuple[str, list[str]]:
        """Return the kind of the metrics (a key of `scoring.metrics.METRICS`) and the classes."""
        return dataset.task, dataset.classes

    def _keep(self, prepared: Prepared, run: Run, results: dict[str, Any]) -> None:
        """Store the final model and the final baseline."""
        from neuroloom.learn.store import save_ensemble

        for role, name in self.roles(prepared.dataset.task).items():
            ensemble = self._final(role, name, prepared, results[role])
            save_ensemble(run.folder / f"{role}.safetensors", ensemble)

    def _final(self, role: str, name: str, prepared: Prepared, fits: list[Fitted]) -> Ensemble:
        from neuroloom.learn.scoring.judge import temperatures
        from neuroloom.learn.store import Ensemble

        refitted = [fit for fit in fits if fit.job.fold < 0]
        members: dict[str, list[Any]] = {}
        for fit in refitted or fits:
            members.setdefault(fit.job.group, []).append(fit.learner)
        on_folds = [fit for fit in fits if fit.job.fold >= 0]
        dataset = prepared.dataset
        facts = {
            "role": role,
            "kind": "refit on all data" if refitted else f"ensemble of {len(fits)} fits on folds",
            "task": dataset.task,
            "classes": dataset.classes,
            "temperature": temperatures(dataset, prepared.folds, on_folds),
            "axes": dataset.facts,
            "by": prepared.by,
        }
        return Ensemble(registry.key("model", name, self.family), members, facts)

    def evaluate(
        self, run: Run, data: Path, out: Path | str | None = None, include: list[str] | None = None
    ) -> pd.DataFrame:
        """Score the run's model and baseline on the labelled examples of other data.

        A baseline that has learnt from some of the files, which the model has not, is left out.

        Returns
        -------
        DataFrame
            The metrics, tidy; also written to `out` with the predictions and the audit. `attrs`
            counts what was labelled, and lists what was found, such as files that the model, or
            the baseline alone, has learnt from.

        Raises
        ------
        DataError
            If nothing there is labelled, or channels are missing.
        """
        from neuroloom.learn.evaluation import Evaluation

        return Evaluation(self, run).of(data, None if out is None else Path(out), include or [])

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return prediction rows of new labelled data, as `tabulate` gives those of the run.

        Parameters
        ----------
        head
            Columns fold, unit (one an example), seed, model and role.
        """
        from neuroloom.learn.scoring.judge import rows_of

        outcome = self.outcome(ensemble, dataset)
        return rows_of(dataset, np.arange(len(dataset)), outcome, head)

    def load_model(self, run: Run, role: str = "model") -> Ensemble:
        """Load the run's final model, or its baseline."""
        from neuroloom.learn.store import load_ensemble

        return load_ensemble(run.folder / f"{role}.safetensors")

    def outcome(self, ensemble: Ensemble, dataset: Dataset) -> np.ndarray:
        """Return calibrated probabilities (n, K), or predicted numbers (n,), of all examples."""
        from neuroloom.learn.scoring import calibrate

        subjects = dataset.table["subject"].astype(str).to_numpy()
        groups = subjects if "" not in ensemble.members else np.full(len(dataset), "")
        parts: dict[int, Any] = {}
        for group in dict.fromkeys(groups):
            rows = np.flatnonzero(groups == group)
            scores = ensemble.scores(dataset.x[rows], group)
            if ensemble.facts["task"] == "classification":
                temperature = _temperature(ensemble.facts["temperature"], group)
                scores = calibrate.apply(scores, temperature)
            parts |= dict(zip(rows.tolist(), scores, strict=True))
        return np.stack([parts[row] for row in range(len(dataset))])

    def report(self, run: Run) -> Path:
        """Write `report.html` from the files of the run."""
        from neuroloom.core.report import write_report

        return write_report(run.folder)


def _temperature(known: dict[str, float], group: str) -> float:
    if group in known:
        return known[group]
    return float(np.median(list(known.values()))) if known else 1.0


def object_to_short(run: Run, plans: Iterable[Plan]) -> None:
    """Add to the audit of a run that its time was too short, where a plan says so."""
    title = "The time was over before a net could learn"
    found = [Finding("objection", title, plan.short) for plan in plans if plan.short]
    for finding in found[:1]:
        file = run.folder / "audit.json"
        write_json(file, [*read_json(file), finding.as_dict()])
        run.log("audit", **finding.as_dict())


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """Permute the labels within each recording, or over all where each has one class only."""
    table = dataset.table.copy()
    rng = np.random.default_rng([seed, 7])
    inside = table.groupby("path")["label"].nunique().max() > 1
    keys = table["path"].to_numpy() if inside else np.full(len(table), "")
    labels = table["label"].to_numpy()
    places = np.arange(len(table))
    for key in dict.fromkeys(keys):
        rows = np.flatnonzero(keys == key)
        places[rows] = rng.permutation(rows)
    table["label"] = labels[places]
    truth = None if dataset.truth is None else dataset.truth[places]
    maps = None if dataset.maps is None else dataset.maps[places]
    return replace(dataset, table=table, truth=truth, maps=maps)


def _refuse_other_folds(run: Run, stored: dict[str, Any], facts: dict[str, Any]) -> None:
    """Stop before what was learnt of some examples is paired with others."""
    before, now = ([fold["test"] for fold in own["split"]["folds"]] for own in (stored, facts))
    if before != now:
        raise ConfigError(
            f"{run.folder}: its data are now split another way than when it began: other examples "
            "are held out. Undo what was changed in its recipe.yaml, or start a new run."
        )


def _dataset_facts(prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    names = dataset.table["name"].astype(str).tolist()
    return {
        "files": prepared.hashes,
        "examples": len(prepared.everything),
        "labelled": len(dataset),
        "task": dataset.task,
        "classes": {str(k): int(v) for k, v in dataset.table["label"].value_counts().items()}
        if dataset.task == "classification"
        else {},
        "fingerprint": dataset.fingerprint(),
        "axes": dataset.facts,
        "split": {
            "by": prepared.by,
            "folds": [
                {"name": f.name, "train": len(f.train), "test": [names[i] for i in f.test]}
                for f in prepared.folds
            ],
        },
        "rows": dataset.table.drop(columns=["target"], errors="ignore").to_dict("records"),
    }
