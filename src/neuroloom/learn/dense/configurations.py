"""Several configurations in the same folds, and the one, or the pair, that held-out cases favour.

nnU-Net trains slices, whole volumes and a cascade, joins them by twos (the mean of their
probabilities) and keeps what has the best mean Dice over all cross-validated cases (Isensee et al.
2021). So does this; but what is reported of a fold was chosen by the other folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.split import Fold
from neuroloom.learn.dense.planning.denseplan import CONFIGURATIONS, DensePlan
from neuroloom.learn.study import object_to_short
from neuroloom.learn.training.budget import Plan, parse_budget
from neuroloom.learn.training.crossfit import Fitted, Job, fit_jobs

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.dense.study import DenseStudy
    from neuroloom.learn.dense.training.timing import Judge
    from neuroloom.learn.study import Prepared

CHOICE = "configurations.json"
Names = tuple[str, ...]
Fits = Mapping[str, Sequence[Fitted]]


class Mean(Sequence[np.ndarray]):
    """Probabilities of cases, the mean over some nets, computed when a case is asked for.

    Examples
    --------
    >>> both = Mean([[np.zeros(2)], [np.ones(2)]])
    >>> len(both), both[0].tolist()
    (1, [0.5, 0.5])
    """

    def __init__(self, parts: Sequence[Sequence[np.ndarray]]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, row: Any) -> Any:
        return mean_of([np.asarray(part[row]) for part in self.parts])


@dataclass(frozen=True)
class Joint:
    """What was chosen, in one fold: the nets that vote, and what they say of its held-out cases.

    `kept` belongs to what all folds together chose and is stored; the scores of the fit that holds
    this are those of what the other folds chose.
    """

    names: Names
    learners: tuple[Any, ...]
    kept: Any

    @property
    def plan(self) -> DensePlan:
        """The plan of the first net."""
        made: DensePlan = self.learners[0].plan
        return made

    @property
    def plans(self) -> dict[str, DensePlan]:
        """The plan of each net, by its configuration."""
        return {name: own.plan for name, own in zip(self.names, self.learners, strict=True)}


def mean_of(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of arrays as float32; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    return np.mean([np.asarray(part, np.float32) for part in parts], axis=0)


def candidates(names: Sequence[str]) -> list[Names]:
    """Return each configuration, then each pair.

    Examples
    --------
    >>> candidates(["2d", "3d_fullres"])
    [('2d',), ('3d_fullres',), ('2d', '3d_fullres')]
    """
    return [(name,) for name in names] + list(combinations(names, 2))


def called(names: Names) -> str:
    """Return how a candidate is written: "2d + 3d_fullres"."""
    return " + ".join(names)


def alone(study: DenseStudy, name: str, share: float = 1.0) -> DenseStudy:
    """Return the study with one configuration, and its share of the time."""
    seconds = parse_budget(study.budget).seconds
    budget = study.budget if seconds is None else f"{seconds * share:.3f}s"
    update = {"configuration": name, "configurations": [], "budget": budget}
    return study.model_copy(update=update)


def wanted(study: DenseStudy, prepared: Prepared) -> list[str]:
    """Return the configurations that are to be trained: those named, or all that the data admit.

    Raises
    ------
    ConfigError
        If there are fewer than two, or the data do not admit one that was named.
    """
    named: list[str] = list(dict.fromkeys(study.configurations))
    if named != ["auto"]:
        if len(named) < 2 or "auto" in named:
            raise ConfigError(
                f"configurations is {named}, expected two or more of {', '.join(CONFIGURATIONS)}, "
                "or auto alone. A single one is set with configuration."
            )
        for name in named:
            _admitted(study, prepared, name)
        return named
    found = [name for name in CONFIGURATIONS if _admits(study, prepared, name)]
    if len(found) < 2:
        raise ConfigError(
            f"configurations=auto finds only {', '.join(found)} for these data: there is nothing "
            "to choose from. Leave it out."
        )
    return found


def _admitted(study: DenseStudy, prepared: Prepared, name: str) -> None:
    alone(study, name).plan_of_largest(prepared)


def _admits(study: DenseStudy, prepared: Prepared, name: str) -> bool:
    try:
        _admitted(study, prepared, name)
    except ConfigError:
        return False
    return True


def refuse_senseless(study: DenseStudy, *, is_net: bool) -> None:
    """Refuse settings among which nothing could be chosen."""
    if not is_net:
        raise ConfigError(f"configurations are of nets; model={study.model} is none.")
    if study.configuration != "auto":
        raise ConfigError("Set configuration or configurations, not both.")
    if study.folds == 0:
        raise ConfigError(
            "configurations are chosen on held-out cases, and folds=0 holds nothing out: leave "
            "folds out, or set one configuration."
        )


def fit_configurations(study: DenseStudy, prepared: Prepared, run: Run) -> list[Fitted]:
    """Train every configuration in every fold, choose, and return one joint fit a fold and seed."""
    plans = settled(study, prepared, run)
    names = list(plans)
    jobs = [
        (Job(number, seed, "model", fold.group), fold)
        for seed in range(study.seed, study.seed + study.seeds)
        for number, fold in enumerate(prepared.folds)
        if len(fold.test)
    ]
    fits = {name: _fit(study, name, prepared, plans, run, jobs) for name in names}
    scores = table_of(prepared, fits)
    choice = choose(scores)
    _record(run, prepared, choice, scores)
    joint = [
        _joined(choice, {name: fits[name][place] for name in names}) for place in range(len(jobs))
    ]
    if study.final == "refit":
        joint += _refitted(study, prepared, run, choice["kept"], plans)
    return joint


def _fit(
    study: DenseStudy,
    name: str,
    prepared: Prepared,
    plans: Mapping[str, Plan],
    run: Run,
    jobs: Sequence[tuple[Job, Fold]],
) -> list[Fitted]:
    """Fit one of the configurations with the share of the time that its steps were planned for."""
    own = [(replace(job, role=f"model-{name}"), fold) for job, fold in jobs]
    sharing = alone(study, name, 1 / len(plans))
    make = sharing._maker(study.find(study.model), prepared.dataset)
    return list(fit_jobs(own, prepared.dataset, make, plans[name], run, prepared.by))


def settled(study: DenseStudy, prepared: Prepared, run: Run) -> dict[str, Plan]:
    """Return the plan of each configuration: stored, or each by its share of what time is left."""
    file = run.folder / "plan.json"
    if file.is_file():
        stored = read_json(file)
        turns = {"turns": stored.get("turns", {})}  # of all fits, by their keys
        plans = {name: Plan(**plan | turns) for name, plan in stored["configurations"].items()}
        object_to_short(run, plans.values())
        return plans
    seconds = parse_budget(study.budget).seconds
    plans = {}
    lasts: dict[str, float | None] = {}
    names = wanted(study, prepared)
    judge = _shared(study.seconds_to_judge, len(names))
    for name in names:
        left = None if seconds is None else (seconds - run.elapsed) / len(names)
        own = alone(study, name, 1 / len(names))
        plans[name] = plan = own._new_plan(prepared, run, left, judge)
        lasts[name] = None if plan.until is None else plan.until - run.elapsed
    plans = _one_after_another(plans, lasts, run.elapsed)
    reason = "; ".join(f"{name}: {plan.reason}" for name, plan in plans.items())
    steps = {name: plan.as_dict() for name, plan in plans.items()}
    write_json(file, {"reason": reason, "configurations": steps})
    run.log("plan", reason=reason)
    object_to_short(run, plans.values())
    return plans


def _shared(judge: Judge, among: int) -> Judge:
    """Measure once how long judging a case takes, and give each plan its share.

    Only what was chosen is judged, once, however many configurations there are.
    """
    known: list[float] = []

    def share(dataset: Any, row: int, outputs: int) -> float:
        if not known:
            known.append(judge(dataset, row, outputs) / among)
        return known[0]

    return share


def _one_after_another(
    plans: Mapping[str, Plan], lasts: Mapping[str, float | None], elapsed: float
) -> dict[str, Plan]:
    """Let the fits of each plan end after those before it, from when all plans were measured, s."""
    placed, ends = dict(plans), elapsed
    for name, seconds in lasts.items():
        if seconds is not None:
            ends += seconds
            placed[name] = replace(plans[name], until=ends)
    return placed


def table_of(prepared: Prepared, fits: Fits) -> pd.DataFrame:
    """Return the mean Dice of every held-out case with every candidate.

    Returns
    -------
    DataFrame
        fold, case, then a column a candidate; a case has a row a seed.
    """
    import pandas as pd

    return pd.DataFrame(list(_rows(prepared, fits)))


def _rows(prepared: Prepared, fits: Fits) -> Iterator[dict[str, Any]]:
    for together in zip(*fits.values(), strict=True):
        fold = prepared.folds[together[0].job.fold]
        for place, row in enumerate(fold.test):
            said = {
                name: np.asarray(fit.scores[place])
                for name, fit in zip(fits, together, strict=True)
            }
            truth = prepared.dataset.x[int(row)].truth()
            scores = {
                called(names): _dice(prepared, truth, mean_of([said[name] for name in names]))
                for names in candidates(list(fits))
            }
            name = str(prepared.dataset.table["name"].iloc[int(row)])
            yield {"fold": together[0].job.fold, "case": name} | scores


def _dice(prepared: Prepared, truth: np.ndarray, p: np.ndarray) -> float:
    from neuroloom.learn.dense.held_out import decode
    from neuroloom.learn.dense.measures.overlap import counts_of, dice, without_ignored

    facts = prepared.dataset.facts
    both = without_ignored(truth, decode(p, facts), facts["ignore"])
    return float(np.nanmean(dice(*counts_of(*both, facts["parts"]))))


def choose(scores: pd.DataFrame) -> dict[str, Any]:
    """Return what all folds choose, and what the others choose for each fold.

    Parameters
    ----------
    scores
        As `table_of` gives them.

    Returns
    -------
    dict
        `kept`: names; `by_fold`: fold -> names; `cross_fitted`: whether other folds chose.

    Examples
    --------
    >>> import pandas as pd
    >>> seen = {"fold": [0, 1, 1], "case": list("abc"), "2d": [0.9, 0.1, 0.2], "3d": [0.5] * 3}
    >>> choose(pd.DataFrame(seen))
    {'kept': ('3d',), 'by_fold': {0: ('3d',), 1: ('2d',)}, 'cross_fitted': True}
    """
    known = [name for name in scores if name not in ("fold", "case")]
    folds = sorted(set(scores["fold"]))

    def best(rows: pd.DataFrame) -> Names:
        return tuple(str(rows[known].mean().idxmax()).split(" + "))

    kept = best(scores)
    if len(folds) < 2:
        return {"kept": kept, "by_fold": dict.fromkeys(folds, kept), "cross_fitted": False}
    by_fold = {int(fold): best(scores[scores["fold"] != fold]) for fold in folds}
    return {"kept": kept, "by_fold": by_fold, "cross_fitted": True}


def _joined(choice: Mapping[str, Any], fits: Mapping[str, Fitted]) -> Fitted:
    """Return one fit of those of a fold: judged by the other folds' choice, kept by all folds'."""
    first = next(iter(fits.values()))
    judged = choice["by_fold"][first.job.fold]
    kept = choice["kept"]
    learner = Joint(
        kept,
        tuple(fits[name].learner for name in kept),
        Mean([fits[name].scores for name in kept]),
    )
    stopped = "; ".join(f"{name}: {fits[name].stopped}" for name in kept)
    return Fitted(
        replace(first.job, role="model"),
        learner,
        Mean([fits[name].scores for name in judged]),
        fits[kept[0]].history,
        stopped,
    )


def _refitted(
    study: DenseStudy, prepared: Prepared, run: Run, names: Names, plans: Mapping[str, Plan]
) -> list[Fitted]:
    """Fit what was chosen on all cases."""
    rows = np.arange(len(prepared.dataset))
    everything = Fold("all data", rows, rows[:0], [])
    jobs = [
        (Job(-1, seed, "model"), everything) for seed in range(study.seed, study.seed + study.seeds)
    ]
    plans = _to_the_end(plans)
    fits = {name: _fit(study, name, prepared, plans, run, jobs) for name in names}
    choice = {"kept": names, "by_fold": {-1: names}}
    return [_joined(choice, {name: fits[name][k] for name in names}) for k in range(len(jobs))]


def _to_the_end(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """Let all fits last until those of the last plan would: a refit comes after every fold."""
    ends = max((plan.until for plan in plans.values() if plan.until is not None), default=None)
    return {name: replace(plan, until=ends) for name, plan in plans.items()}


def _record(run: Run, prepared: Prepared, choice: Mapping[str, Any], scores: pd.DataFrame) -> None:
    """Write what was chosen and by what; the report reads it."""
    by_fold = {prepared.folds[k].name: called(names) for k, names in choice["by_fold"].items()}
    facts = {
        "kept": called(choice["kept"]),
        "by_fold": by_fold,
        "cross_fitted": choice["cross_fitted"],
        "dice": scores.drop(columns=["fold", "case"]).mean().to_dict(),
    }
    write_json(run.folder / CHOICE, facts)
    run.log("chosen", **facts)


def as_kept(fits: Sequence[Fitted]) -> list[Fitted]:
    """Return fits with what the stored model says of held-out cases as their scores."""
    return [
        replace(fit, scores=fit.learner.kept) if isinstance(fit.learner, Joint) else fit
        for fit in fits
    ]


def voters(learners: Sequence[Any]) -> list[Any]:
    """Return the nets of some learners, those of joint ones each for itself."""
    found: list[Any] = []
    for learner in learners:
        found += learner.learners if isinstance(learner, Joint) else [learner]
    return found


def choice_table(facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row a candidate, the best first: its Dice, the folds that it was chosen for.

    Examples
    --------
    >>> facts = {"kept": "2d", "by_fold": {"fold 1": "2d"}, "dice": {"3d": 0.5, "2d": 0.6}}
    >>> choice_table(facts).values.tolist()
    [['2d', 0.6, 1, True], ['3d', 0.5, 0, False]]
    """
    import pandas as pd

    chosen = list(facts["by_fold"].values())
    rows = [
        {"candidate": name, "dice": value, "folds": chosen.count(name),
         "kept": name == facts["kept"]}
        for name, value in sorted(facts["dice"].items(), key=lambda item: -item[1])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def choice_note(facts: Mapping[str, Any]) -> str:
    """Say how the choice was made, and what that does to the figures.

    Examples
    --------
    >>> choice_note({"kept": "2d", "cross_fitted": False, "dice": {"2d": 0.6, "3d": 0.5}})[:32]
    'Picked: 2d, the best of 2 on the'
    """
    number = len(facts["dice"])
    if facts["cross_fitted"]:
        return (
            f"Kept: {facts['kept']}, the best of {number} candidates by the mean Dice of all "
            "held-out cases. The figures of a fold are of what the other folds chose, so the "
            "choice is judged with the model."
        )
    return (
        f"Picked: {facts['kept']}, the best of {number} on the very cases that score it: with one "
        "split there are no others to choose by, and the figures are a little too good."
    )
