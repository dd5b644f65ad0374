"""`signals.mvpa`: when, where and how stably brain signals tell conditions apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator, model_validator

from neuroloom.core import audit
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.split import Fold, Split, check_classes, make_folds
from neuroloom.learn.model import find_model
from neuroloom.learn.training.budget import (
    Plan,
    parse_budget,
    plan_time,
    readable_budget,
    seconds_to_train,
)
from neuroloom.signals.examples.cut import Cut
from neuroloom.signals.spots import Spot, fit_spots, make_spots, score_spots

if TYPE_CHECKING:
    from neuroloom.core.run import Run


@dataclass(frozen=True)
class Sweep:
    """Everything read, checked and split: what `prepare` hands to `work`."""

    everything: Dataset
    dataset: Dataset
    spots: list[Spot]
    folds: dict[str, list[Fold]]
    findings: list[audit.Finding]


@dataclass(frozen=True)
class Cell:
    """One fit of the sweep: a model, a way of splitting, a seed and a fold."""

    model: str
    split: str
    seed: int
    fold: int

    @property
    def key(self) -> str:
        """A file name."""
        return f"{self.model}-{self.split}-{self.seed}-{self.fold:03d}"


class Mvpa(Recipe):
    """Decode conditions with many models at once: over time, between times, over sensors.

    Every model, split, seed and fold is one cell of a tidy table; a run that was interrupted goes
    on with the cells that are missing. Nets and estimators are asked in the same way.

    Examples
    --------
    >>> Mvpa(models=["lda", "mlp"], seeds=3, splits=["run"], over="whole").seeds
    3
    """

    name: ClassVar[str] = "signals.mvpa"
    summary: ClassVar[str] = "decoding over time, between times or over sensors, with many models"
    data_kind: ClassVar[str] = "EEG, MEG, EMG"

    models: list[str] = setting(
        ["shrinkage-lda"], "one or more models (`neuroloom models`)", basic=True
    )
    over: Literal["whole", "time", "generalise", "sensors"] = setting(
        "time", "whole trials, a sliding window, every window tested on every other, or a "
        "searchlight over sensors", basic=True,
    )  # fmt: skip
    events: dict[str, str] = setting(
        {}, "annotation -> class, such as 1: house; default: every annotation", basic=True
    )
    start: float = setting(-0.1, "begin of a trial after its event", unit="s", basic=True)
    stop: float = setting(0.8, "end of a trial after its event", unit="s", basic=True)
    splits: list[Literal["subject", "session", "run", "time", "random"]] = setting(
        ["run"], "one or more ways of holding out", basic=True
    )
    seeds: int = setting(1, "how many seeds every model is trained from", ge=1, basic=True)
    seed: int = setting(0, "the first seed", ge=0)
    folds: int | None = setting(None, "number of folds; default: one a unit, at most ten", ge=1)
    width: float = setting(0.05, "of the sliding window", unit="s", gt=0)
    step: float = setting(0.02, "between two windows", unit="s", gt=0)
    radius: float = setting(4.0, "of a sensor's neighbourhood", unit="cm", gt=0)
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out")
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}R{run}.edf"')
    band: tuple[float, float] | None = setting((0.5, 40.0), "pass-band", unit="Hz")
    notch: list[float] = setting([], "line frequencies to remove", unit="Hz")
    rate: float | None = setting(None, "resample to", unit="Hz", gt=0)
    reference: list[str] = setting([], "'average', or the channels to subtract")
    reject: float | None = setting(
        None, "drop trials whose peak-to-peak amplitude exceeds this", unit="uV", gt=0
    )
    permutations: int = setting(1000, "label permutations for p-values", ge=99)
    budget: str = setting("10min", "wall time of the nets' training, or '200 epochs' a fit")

    _budget_is_readable = field_validator("budget")(readable_budget)

    @model_validator(mode="after")
    def _fields_agree(self) -> Mvpa:
        if self.stop <= self.start:
            raise ValueError(f"stop ({self.stop:g} s) must come after start ({self.start:g} s)")
        for what, names in (("models", self.models), ("splits", self.splits)):
            if len(set(names)) != len(names) or not names:
                raise ValueError(f"{what} must name one or more, each once, got {list(names)}")
        return self

    def cut(self) -> Cut:
        """Return how trials are cut."""
        return Cut(
            picks=tuple(self.picks),
            events=self.events,
            start=self.start,
            stop=self.stop,
            band=self.band,
            notch=tuple(self.notch),
            rate=self.rate,
            reference=tuple(self.reference),
            reject=self.reject,
        )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated EEG to try this on, the fields that fit it, and what it is."""
        from neuroloom.signals.story.demo import simulated

        data, fields, what = simulated(folder, {"start": 1.0, "stop": 4.0, "over": "whole"})
        fields |= {"splits": [fields.pop("split")], "models": ["riemann", "csp-lda"]}
        return data, fields, what

    def prepare(self, data: Path) -> Sweep:
        """Read, check, audit and split; nothing is written."""
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.data import read_examples

        models = [find_model(name) for name in self.models]
        everything = read_examples(find(data, self.include, self.pattern), self.cut())
        dataset = everything.labelled()
        spots = make_spots(
            dataset.facts, self.over, width=self.width, step=self.step, radius=self.radius / 100
        )
        for model in models:
            if dataset.task not in model.tasks:
                raise ConfigError(f"models: {model.name} cannot learn {dataset.task}.")
            for spot in {(len(s.channels), s.last - s.first): s for s in spots}.values():
                _make(model.name, dataset)(spot.facts(dataset.facts))
        folds = {str(by): self._folds(dataset, by) for by in self.splits}
        findings = list(everything.findings)
        for by, each in folds.items():
            findings += audit.audit_split(dataset, each, by)
        unique = {(f.title, f.detail): f for f in findings}
        return Sweep(everything, dataset, spots, folds, list(unique.values()))

    def _folds(self, dataset: Dataset, by: str) -> list[Fold]:
        rule = Split(by, self.folds, gap=float(dataset.facts["span"]), seed=self.seed)
        folds = make_folds(dataset.table, rule)
        for fold in folds:
            check_classes(fold, dataset.y, dataset.classes)
        return folds

    def cells(self, sweep: Sweep) -> Iterator[Cell]:
        """Yield every cell of the sweep, in the order of the table."""
        for model in self.models:
            for by, folds in sweep.folds.items():
                for seed in range(self.seed, self.seed + self.seeds):
                    yield from (Cell(model, by, seed, number) for number in range(len(folds)))

    def work(self, prepared: Sweep, run: Run) -> None:
        """Fill every cell, then make the table, the tests, the figures and the report."""
        _record(prepared, run)
        plans = self._plans(prepared, run)
        cells = list(self.cells(prepared))
        scores = {}
        for number, cell in enumerate(cells):
            scores[cell] = self._fill(cell, prepared, plans[cell.model], run)
            run.log("fitted", role=cell.model, fit=number + 1, fits=len(cells), cell=cell.key)
        self.illustrate(run, prepared, scores)

    def illustrate(self, run: Run, prepared: Sweep, scores: dict[Cell, np.ndarray]) -> None:
        """Write tables, metrics, figures and the report."""
        from neuroloom.signals.story.sweep import report_sweep

        report_sweep(self, run, prepared, scores)

    def _fill(self, cell: Cell, sweep: Sweep, plan: Plan, run: Run) -> np.ndarray:
        """Return the scores of a cell's held-out trials, from its file if it is done."""
        from neuroloom.learn.store import read_arrays, write_arrays

        # Seeds mean nothing to an estimator: its first fit stands for all.
        first = self.seed if not find_model(cell.model).is_net else cell.seed
        file = run.work_folder / f"{Cell(cell.model, cell.split, first, cell.fold).key}.safetensors"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            fold, dataset = sweep.folds[cell.split][cell.fold], sweep.dataset
            make = _make(cell.model, dataset)
            x, y = dataset.x[fold.train], dataset.y[fold.train]
            learners = fit_spots(make, dataset.facts, sweep.spots, x, y, first, plan)
            generalise = self.over == "generalise"
            held_out = dataset.x[fold.test]
            scores = score_spots(learners, sweep.spots, held_out, generalise=generalise)
            write_arrays(file, {"scores": scores.astype(np.float32)}, {})
        return read_arrays(file)[0]["scores"]

    def _plans(self, sweep: Sweep, run: Run) -> dict[str, Plan]:
        """Return the stored plans, or settle them: the time goes to the nets in equal parts."""
        file = run.folder / "plan.json"
        if not file.is_file():
            plans = {name: self._plan(name, sweep) for name in self.models}
            write_json(file, {name: plan.as_dict() for name, plan in plans.items()})
            for name, plan in plans.items():
                run.log("plan", model=name, **plan.as_dict())
        return {name: Plan(**plan) for name, plan in read_json(file).items()}

    def _plan(self, name: str, sweep: Sweep) -> Plan:
        budget = parse_budget(self.budget)
        if not find_model(name).is_net:
            return Plan(reason="solved directly: no epochs")
        if budget.seconds is None:
            return Plan(budget.epochs, budget.steps, f"as asked for ({self.budget})")
        from neuroloom.learn.training.cost import cost_of_fit

        dataset, spot = sweep.dataset, max(sweep.spots, key=lambda s: len(s.channels))
        learner = _make(name, dataset)(spot.facts(dataset.facts))
        folds = [fold for each in sweep.folds.values() for fold in each]
        largest = max(folds, key=lambda fold: len(fold.train)).train
        x, y = spot.of(dataset.x[largest]), dataset.y[largest]
        fits = len(folds) * self.seeds * len(sweep.spots)
        nets = sum(find_model(model).is_net for model in self.models)
        cost = cost_of_fit(learner, x, y, self.seed)
        left = seconds_to_train(budget.seconds) / nets
        return plan_time(left, cost.epoch, fits, learner.training.epochs, steps=cost.steps)


def _make(name: str, dataset: Dataset) -> Any:
    model, n_outputs = find_model(name), len(dataset.classes)
    return lambda facts: model.make(facts, dataset.task, n_outputs)


def _record(sweep: Sweep, run: Run) -> None:
    """Write what was read; on resume and replay, refuse data that changed."""
    dataset = sweep.dataset
    names = dataset.table["name"].astype(str).tolist()

    def shown(fold: Fold) -> dict[str, Any]:
        held_out = [names[row] for row in fold.test]
        return {"name": fold.name, "train": len(fold.train), "test": held_out}

    folds = {by: [shown(fold) for fold in each] for by, each in sweep.folds.items()}
    counts = dataset.table["label"].value_counts()
    facts = {
        "files": sweep.everything.extra["hashes"],
        "examples": len(sweep.everything),
        "labelled": len(dataset),
        "classes": {str(name): int(n) for name, n in counts.items()},
        "fingerprint": dataset.fingerprint(),
        "axes": dataset.facts,
        "splits": folds,
    }
    run.write_dataset(facts)
    write_json(run.folder / "audit.json", [finding.as_dict() for finding in sweep.findings])
    for finding in sweep.findings:
        run.log("audit", **finding.as_dict())
