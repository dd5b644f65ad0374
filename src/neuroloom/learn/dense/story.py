"""What the report of a dense study shows and says: cases on their grids, plan, doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json, write_json
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.dense.configurations import CHOICE, Joint, choice_note, choice_table
from neuroloom.learn.dense.figures import Row, doubt_against_error, only_parts, overlays, planes
from neuroloom.learn.dense.held_out import judged
from neuroloom.learn.dense.measures.flags import POOR, cases_of
from neuroloom.learn.dense.measures.judge import dice_of_cases
from neuroloom.learn.dense.method import MUON, method_of
from neuroloom.learn.narrate import add_study_figures, study_facts

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.dense.planning.denseplan import DensePlan
    from neuroloom.learn.dense.study import DenseStudy
    from neuroloom.learn.dense.training.learner import DenseLearner
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

HELD_OUT = "held_out"
ROWS = 400  # of the table of cases that the report carries; the file has all


def illustrate(study: DenseStudy, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw cases, doubt and plan, and write `facts.json`."""
    shelf = Shelf(run.folder / "artifacts")
    rows = run.predictions
    mine = rows[rows["role"] == "model"] if len(rows) else rows
    if len(mine):
        cases = case_table(mine)
        _add_cases(shelf, cases)
        _add_held_out(shelf, study, prepared, fits, cases)
        _add_doubt(shelf, cases)
    add_study_figures(run, prepared, fits)
    choice = run.folder / CHOICE
    if choice.is_file():
        _add_choice(shelf, read_json(choice))
    learner = _learner_of(fits)
    for name, each in _plans_of(fits).items():
        _add_plan(shelf, run, name, each)
    facts = study_facts(study, run, prepared, fits) | dense_facts(study, prepared, mine, learner)
    if choice.is_file():
        facts["notes"] = [choice_note(read_json(choice)), *facts["notes"]]
    write_facts(run.folder, Facts(**facts))


def case_table(mine: pd.DataFrame) -> pd.DataFrame:
    """Return a row a case, the worst first: Dice of each class, distances, volumes, doubt, flag.

    Parameters
    ----------
    mine
        Rows of the model; seeds are averaged, and a case is flagged if it is with any of them.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"example": "a", "class": ["x"], "tp": [1], "fp": [1], "fn": [0],
    ...     "tn": [2], "nsd": [0.5], "hd95": [1.0], "volume_true": [1.0], "volume_pred": [2.0],
    ...     "doubt": [0.1], "error_auroc": [0.9], "role": "model", "unit": "a", "poor": False,
    ...     "oddness": [2.0], "flag": [True], "why": ["large"]})
    >>> case_table(rows)[["case", "dice", "why"]].values.tolist()
    [['a', 0.6666666666666666, 'large']]
    """
    from neuroloom.learn.dense.measures.overlap import dice

    own = mine.assign(dice=dice(*(mine[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))))
    known = ["dice", "nsd", "hd95", "volume_true", "volume_pred", "doubt", "error_auroc"]
    by = own.groupby(["example", "class"], sort=False)[known].mean().reset_index()
    means = by.groupby("example", sort=False)
    table = means[["dice", "nsd", "hd95", "doubt", "error_auroc"]].mean()
    table[["volume_true", "volume_pred"]] = means[["volume_true", "volume_pred"]].sum()
    each = by.pivot(index="example", columns="class", values="dice").add_prefix("dice/")
    table = table.join(each if each.shape[1] > 1 else each.iloc[:, :0])
    table = table.join(cases_of(mine).loc["model", ["oddness", "flag", "why"]])
    return table.sort_values("dice").reset_index().rename(columns={"example": "case"})


def _add_choice(shelf: Shelf, facts: dict[str, Any]) -> None:
    shelf.add_table(
        "configurations",
        choice_table(facts).round(4),
        title="What was chosen among",
        caption=choice_note(facts) + " `folds` counts those whose figures are of this candidate.",
        section="result",
    )


def _add_cases(shelf: Shelf, cases: pd.DataFrame) -> None:
    shelf.add_table(
        "cases",
        cases.head(ROWS).round(4),
        title="Every case, the worst first",
        caption="While it was held out; means over classes and seeds. Volumes in the cubed unit "
        "of the grid. `doubt` is the mean entropy near the predicted border, 0 sure to 1; "
        "`error_auroc` says how well the entropy tells wrong voxels there. A case is flagged, by "
        "what is usual in the other folds, if its `oddness` is above 1.",
        section="result",
    )


def _add_held_out(
    shelf: Shelf, study: DenseStudy, prepared: Prepared, fits: list[Fitted], cases: pd.DataFrame
) -> None:
    """Draw the best, the median and the worst case of the first seed, and keep every label."""
    from neuroloom.learn.dense.apply.predict import write_held_out

    dataset, words = prepared.dataset, _outstanding(cases)
    first = min((fit.job.seed for fit in fits), default=0)
    own = [f for f in fits if f.job.role == "model" and f.job.seed == first and f.job.fold >= 0]
    shown: dict[str, Row] = {}
    files = []
    for one, label in judged(study, prepared, own):
        name, case = str(dataset.table["name"].iloc[one.row]), dataset.x[one.row]
        drawn = study.deliver(dataset, one.row, one.p, label, None)[0]
        files.append(write_held_out(shelf.folder / HELD_OUT, name, case, drawn))
        if name in words:
            score = float(cases.set_index("case")["dice"][name])
            title = f"{words[name]}: {name}\nDice {score:.3f}"
            spacing, _ = study.measured_in(dataset, one.row)
            truth = only_parts(case.truth(), dataset.facts["parts"])
            shown[words[name]] = planes(case.image()[0], [truth, label], spacing), title
    _add_overlays(shelf, dataset.facts, shown)
    _add_labels(shelf, files)


def _outstanding(cases: pd.DataFrame) -> dict[str, str]:
    """Return name -> word of the worst, the median and the best case."""
    wanted = {"worst": 0, "median": len(cases) // 2, "best": len(cases) - 1}
    return {str(cases["case"].iloc[at]): word for word, at in wanted.items()}


def _add_overlays(shelf: Shelf, facts: dict[str, Any], shown: dict[str, Row]) -> None:
    rows = [shown[word] for word in ("best", "median", "worst") if word in shown]
    if rows:
        shelf.add_figure(
            "overlays",
            overlays(rows, facts["parts"], facts.get("painted", ())),
            title="The best, the median and the worst case",
            caption="Each while it was held out, cut where most of the label is. Filled: "
            "predicted; outlined: true.",
            section="result",
        )


def _add_labels(shelf: Shelf, files: list[str]) -> None:
    shelf.add_text(
        "held-out",
        f"artifacts/{HELD_OUT}/ has a file for each of {len(files)} cases, such as {files[0]}: "
        "what the net that had not seen it says, as it was judged, on the grid of its image.",
        title="Labels of held-out cases",
        section="result",
    )


def _add_doubt(shelf: Shelf, cases: pd.DataFrame) -> None:
    if len(cases) > 2 and cases["doubt"].notna().any():
        shelf.add_figure(
            "doubt",
            doubt_against_error(cases["doubt"].to_numpy(), cases["dice"].to_numpy()),
            title="Does the net know when it is wrong?",
            caption="One dot a held-out case: mean entropy near the predicted border against the "
            "Dice. A falling cloud means that doubtful cases can be picked out without truth.",
            section="where",
        )


def _plans_of(fits: list[Fitted]) -> dict[str, DensePlan]:
    """Return the plan that was learnt by; of several configurations each, by its name."""
    learners = [fit.learner for fit in fits if fit.job.role == "model"]
    if learners and isinstance(learners[0], Joint):
        return learners[0].plans
    learner = _learner_of(fits)
    return {"": learner.plan} if learner and learner.plan else {}


def _add_plan(shelf: Shelf, run: Run, name: str, plan: DensePlan) -> None:
    tail = name and f"-{name}"
    write_json(run.folder / f"denseplan{tail}.json", plan.as_dict())
    shelf.add_table(
        f"plan{tail}",
        plan_table(plan),
        title=f"The plan{name and f' of {name}'}",
        caption="Made of the training cases by nnU-Net's rules, then fitted to the time and "
        "the device. Any key can be set with --plan.KEY.",
        section="training",
    )


def _learner_of(fits: list[Fitted]) -> DenseLearner | None:
    """Return a learner of the model that has a plan: the first, of several that vote together."""
    learners = [fit.learner for fit in fits if fit.job.role == "model"]
    singles = [own.learners[0] if isinstance(own, Joint) else own for own in learners]
    return next((own for own in singles if getattr(own, "plan", None) is not None), None)


def plan_table(plan: DensePlan) -> pd.DataFrame:
    """Return the plan as a table: key, value, why."""
    import pandas as pd

    from neuroloom.learn.dense.nets.build import idle_keys
    from neuroloom.learn.dense.planning.denseplan import rows_of_plan, shortly

    stages = [("", plan)] + ([("coarse stage: ", plan.previous)] if plan.previous else [])
    rows = [
        {"key": f"{before}{key}", "value": shortly(value), "why": own.reasons.get(key, "")}
        for before, own in stages
        for key, value in rows_of_plan(own)
        if value not in (None, {}) and not idle_keys(own.net, [key])
    ]
    return pd.DataFrame(rows)


def dense_facts(
    study: DenseStudy, prepared: Prepared, mine: pd.DataFrame, learner: DenseLearner | None
) -> dict[str, Any]:
    """Return the fields of `core.report.Facts` that say what data and question are."""
    dataset = prepared.dataset
    facts = dataset.facts
    kind = "volume" if facts["dims"] == 3 else "image"
    left_open = dataset.extra["found"].ignore if study.ignore is None else study.ignore
    parts = ", ".join(facts["parts"])
    if all(name.isdigit() for name in facts["parts"]):
        parts = f"label{'s' * (len(facts['parts']) > 1)} {parts}"
    shapes = np.array([case.shape for case in dataset.x])
    measured = [study.measured_in(dataset, row) for row in range(len(dataset))]
    sizes, unit = np.array([sizes for sizes, _ in measured]), measured[0][1]
    middle = " x ".join(str(int(n)) for n in np.median(shapes, 0))
    spacing = " x ".join(f"{s:.3g}" for s in np.median(sizes, 0))
    rows = {
        "Cases": f"{len(dataset)} of {dataset.table['subject'].nunique()} subjects",
        "Channels": ", ".join(facts["channels"]),
        "Classes": parts,
        "Median grid": f"{middle} of {spacing} {unit}",
        "Left out": "" if left_open is None else f"voxels labelled {left_open}",
    }
    return {
        "title": f"{parts[0].upper()}{parts[1:]} in {kind}s" if len(parts) < 70 else
        f"{len(facts['parts'])} classes in {kind}s",
        "question": f"Which voxels of a {kind} are {parts}?",
        "example": "case",
        "data": [{"label": label, "value": value} for label, value in rows.items() if value],
        "where": _where(mine),
        "method": [_method(study, learner, unit)],
        "citations": [
            "Isensee et al. (2021), nnU-Net, Nature Methods 18, 203-211",
            "Nikolov et al. (2021), surface Dice, J. Med. Internet Res. 23, e26151",
            *([MUON] if learner and learner.plan and learner.plan.optimiser == "muon" else []),
            study.find(study.model).source,
        ],
        "meanings": {
            "dice": "Overlap of found and true voxels, twice the shared ones by the sum of both; "
            "the mean over classes of a case, then over cases. A class that a case does not have "
            f"counts 1 if nothing was found and 0 otherwise. Surfaces agree within "
            f"{study.tolerance:g} {unit} for the surface Dice.",
        },
    }  # fmt: skip


def _where(mine: pd.DataFrame) -> list[str]:
    if not len(mine):
        return []
    said = _said_of_flags(mine)
    if mine["error_auroc"].notna().any():
        value = float(mine.groupby("example")["error_auroc"].mean().mean())
        said.append(
            f"Within three voxels of the predicted border the entropy tells wrong from right "
            f"voxels with an AUROC of {value:.2f} (mean over cases; 0.5 is chance)."
        )
    return said


def _said_of_flags(mine: pd.DataFrame) -> list[str]:
    """Say how many held-out cases would have been flagged, and how many poor ones are among them.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "example": ["a", "b"], "unit": ["a", "b"],
    ...     "oddness": [0.1, 2.0], "flag": [False, True], "why": ["", "large"], "tp": [8, 1],
    ...     "fp": [2, 9], "fn": [2, 9], "tn": 9, "poor": [False, True]})
    >>> print(*_said_of_flags(rows))
    Had they been new, 1 of 2 held-out cases would be flagged, with 1 of 1 poor ones among them ...
    """
    cases = cases_of(mine).loc["model"]
    flagged, poor = cases["flag"].fillna(False).astype(bool), cases["poor"].astype(bool)
    scores = dice_of_cases(mine)[cases.index]
    text = f"Had they been new, {flagged.sum()} of {len(cases)} held-out cases would be flagged, "
    if poor.any():
        text += f"with {(flagged & poor).sum()} of {poor.sum()} poor ones among them"
    else:
        text += "and none is poor"
    text += f" (a Dice of at most {POOR:g} of the median)"
    if flagged.any() and not flagged.all():
        text += (
            f". The mean Dice of flagged cases is {scores[flagged].mean():.2f}, of the others "
            f"{scores[~flagged].mean():.2f}"
        )
    return [f"{text}."]


def _method(study: DenseStudy, learner: DenseLearner | None, unit: str) -> str:
    if learner is None or learner.plan is None:
        return f"{study.model}: {study.find(study.model).summary}."
    return method_of(learner.plan, learner.wishes, unit)
