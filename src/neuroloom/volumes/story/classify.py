"""What the report of a study of whole images shows and says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.narrate import add_study_figures, study_facts
from neuroloom.volumes.story.planes import planes

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.grids.learner import GridLearner
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.volumes.whole.study import WholeImage

SHOWN = 2
OF_FOLDS = (
    "The maps are of the nets of the folds, each in images that it was not trained on; first those "
    "that were told best, then those that were told worst."
)
OF_ALL = "The maps are of the net that learnt from all images, these among them."


def illustrate(study: WholeImage, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw data, split, results and where the net looked, and write `facts.json`."""
    shelf, dataset = Shelf(run.folder / "artifacts"), prepared.dataset
    _add_examples(shelf, dataset)
    add_study_figures(run, prepared, fits, target=str(dataset.facts["target"]))
    where = _add_maps(shelf, run, prepared, fits)
    _add_choices(shelf, study, fits, prepared)
    facts = study_facts(study, run, prepared, fits) | whole_facts(study, prepared)
    write_facts(run.folder, Facts(**facts, where=where))


def _add_examples(shelf: Shelf, dataset: Dataset) -> None:
    """Draw one image of each class, or of the least, the middle and the greatest number."""
    labels = dataset.table["label"]
    if dataset.task == "classification":
        rows = [int(np.flatnonzero(labels == name)[0]) for name in dataset.classes[:5]]
        titles = [str(name) for name in dataset.classes[:5]]
    else:
        order = np.argsort(labels.to_numpy(float))
        rows = [int(order[k]) for k in (0, len(order) // 2, -1)]
        titles = [f"{labels.iloc[row]:.4g}" for row in rows]
    spacing = dataset.facts["spacing"]
    shelf.add_figure(
        "examples",
        planes([dataset.x[row, 0] for row in rows], titles, spacing=spacing),
        title="What the net sees",
        caption="The first channel on the common grid, standardised; volumes through the middle.",
        section="data",
    )


def _add_maps(shelf: Shelf, run: Run, prepared: Prepared, fits: list[Fitted]) -> list[str]:
    """Draw where the nets looked, in images that they had not seen if any were held out."""
    from neuroloom.learn.grids.cam import attention_of
    from neuroloom.volumes.whole.explain import Voters, look_at, sanity_of_looks

    dataset, held_out = prepared.dataset, not run.predictions.empty
    chosen = _told_by_folds(run, prepared, fits) if held_out else _told_by_final(prepared, fits)
    if not chosen:
        return []
    looks = [look_at(Voters.of([one.net]), dataset, one.row, one.told) for one in chosen]
    images, titles = [look.image for look in looks], [look.title for look in looks]
    spacing, seen = dataset.facts["spacing"], "had not seen" if held_out else "learnt from"
    shelf.add_figure(
        "where", planes(images, titles, [look.where for look in looks], spacing=spacing),
        title=f"Where the net looked, in images that it {seen}",
        caption="Warm: places that speak for what was predicted (Grad-CAM, or the map that was "
        "summed). Volumes are cut through the strongest place. A map says where, not why.",
        section="where",
    )  # fmt: skip
    attention = [attention_of(one.net, np.asarray(dataset.x[[one.row]])) for one in chosen]
    looked = [one[0] for one in attention if one is not None]
    if len(looked) == len(images):
        shelf.add_figure(
            "attention", planes(images, titles, looked, spacing=spacing),
            title="Places that other places attended to",
            caption="Mean attention weight of each place of the last map, largest 1.",
            section="where",
        )  # fmt: skip
    sanity = sanity_of_looks([look.alike for look in looks])
    return [OF_FOLDS if held_out else OF_ALL, *([sanity.verdict] if sanity else [])]


class _Told(NamedTuple):
    """A net, the row of an image that it looks at, and what it predicted of it."""

    net: GridLearner
    row: int
    told: Any


def _told_by_folds(run: Run, prepared: Prepared, fits: list[Fitted]) -> list[_Told]:
    """Return images that were told best and worst, each with the net that had not seen it."""
    nets = _nets(fits)
    rows = told_rows(run.predictions, prepared.dataset.task).itertuples()
    return [
        _Told(nets[int(row.fold)], int(row.example), row.y_pred) for row in rows if row.fold in nets
    ]


def _told_by_final(prepared: Prepared, fits: list[Fitted]) -> list[_Told]:
    """Return images of all sorts with the net that learnt from all of them."""
    dataset, net = prepared.dataset, _nets(fits).get(-1)
    if net is None:
        return []
    rows = np.unique(np.linspace(0, len(dataset) - 1, 2 * SHOWN).astype(int))
    told = net.predict_scores(np.asarray(dataset.x[rows]))
    if dataset.classes:
        told = np.asarray(dataset.classes, dtype=object)[told.argmax(1)]
    return [_Told(net, int(row), one) for row, one in zip(rows, told, strict=True)]


def _nets(fits: list[Fitted]) -> dict[int, GridLearner]:
    """Return the net of the first seed of each fold; -1 for all data."""
    from neuroloom.learn.grids.learner import GridLearner

    own = {fit.job.fold: fit.learner for fit in reversed(fits)}
    return {fold: learner for fold, learner in own.items() if isinstance(learner, GridLearner)}


def told_rows(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the rows of the model that were told best and worst, two of each.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"role": "model", "seed": 0, "y_true": [1.0, 2.0], "y_pred": [1, 5]})
    >>> told_rows(rows, "regression")["y_true"].tolist()
    [1.0, 2.0]
    """
    mine = table[(table["role"] == "model") & (table["seed"] == table["seed"].min())]
    if task == "regression":
        error = (mine["y_true"].astype(float) - mine["y_pred"].astype(float)).abs()
    else:
        names = mine["y_true"].astype(str)
        error = 1 - np.array([mine[f"p_{name}"].iloc[k] for k, name in enumerate(names)])
    order = np.argsort(np.asarray(error), kind="stable")
    picked = dict.fromkeys([*order[:SHOWN].tolist(), *order[-SHOWN:].tolist()])
    return mine.iloc[list(picked)]


def _add_choices(shelf: Shelf, study: WholeImage, fits: list[Fitted], prepared: Prepared) -> None:
    """Say which candidate was chosen in which fold."""
    if not study.models:
        return
    import pandas as pd

    rows = [
        {
            "fold": "all data" if fit.job.fold < 0 else prepared.folds[fit.job.fold].name[:40],
            "seed": fit.job.seed,
            "chosen": fit.learner.name,
        }
        for fit in fits
    ]
    shelf.add_table(
        "chosen", pd.DataFrame(rows), title="The model chosen in each fold",
        caption=f"By {study.inner_folds} inner folds of the training examples: nothing that was "
        "judged took part in the choice.",
        section="training",
    )  # fmt: skip


def whole_facts(study: WholeImage, prepared: Prepared) -> dict[str, Any]:
    """Return the fields of `core.report.Facts` that say what the data and the question are."""
    dataset = prepared.dataset
    facts = dataset.facts
    kind = facts["kind"]
    rows = {
        "Images": f"{len(dataset)} of {dataset.table['subject'].nunique()} subjects",
        "Channels": ", ".join(facts["channels"]),
        "Common grid": " x ".join(map(str, facts["shape"])) + " of "
        + " x ".join(f"{size:.3g}" for size in facts["spacing"]) + f" {facts['unit']}",
        "Beside the image": ", ".join(name for name, _ in facts["columns"]),
        "Target": str(facts["target"]),
        "Small and large": "" if facts["cut"] is None else f"apart at {facts['cut']:.4g}",
    }  # fmt: skip
    counts = dataset.table["label"].value_counts()
    out: dict[str, Any] = {
        "title": _title(dataset),
        "question": _question(dataset),
        "example": kind,
        "data": [{"label": label, "value": value} for label, value in rows.items() if value],
        "method": [_method(study, dataset)],
        "citations": [
            "Selvaraju et al. (2017), Grad-CAM, ICCV, 618-626",
            *[study.find(name).source for name in (study.models or [study.model])],
        ],
    }
    if study.models:
        out["model"] = f"the best of {', '.join(study.models)}, chosen inside each fold"
    if dataset.task == "classification":
        out["trials"] = [{"class": str(k), "kept": int(n)} for k, n in counts.items()]
    return out


def _title(dataset: Dataset) -> str:
    if dataset.task == "regression":
        return f"{dataset.facts['target']} from {dataset.facts['kind']}s"
    names = dataset.classes
    said = f"{', '.join(names[:-1])} or {names[-1]}, from {dataset.facts['kind']}s"
    return said[0].upper() + said[1:]


def _question(dataset: Dataset) -> str:
    kind = dataset.facts["kind"]
    if dataset.task == "regression":
        return f"How well does a {kind} tell {dataset.facts['target']}?"
    *first, last = dataset.classes
    return f"Can {', '.join(first)} and {last} be told apart from one {kind}?"


def _method(study: WholeImage, dataset: Dataset) -> str:
    facts = dataset.facts
    maps = (
        " The net learnt from the masks of the training images where the amount is; of the images "
        "that are judged it saw no mask."
        if dataset.truth is not None
        else ""
    )
    return (
        f"Each {facts['kind']} was standardised by its own mean and deviation and put, centre on "
        f"centre, on a grid of {' x '.join(map(str, facts['shape']))}."
        f"{maps} Training images were varied ({study.augment or 'light'}: turned, shifted, "
        "changed in contrast and noise)."
    )
