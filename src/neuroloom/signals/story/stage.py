"""What the report of a sleep scoring shows and says, in the order a reviewer asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.model import find_model
from neuroloom.learn.narrate import add_study_figures, study_facts
from neuroloom.signals.measures import STAGES, sleep_statistics
from neuroloom.signals.story.detect import data_rows
from neuroloom.signals.story.words import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.stage import Stage

SHOWN = 6


def illustrate(stage: Stage, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw the nights, tabulate stages and sleep, and write `facts.json`."""
    shelf, dataset = Shelf(run.folder / "artifacts"), prepared.dataset
    predictions = run.predictions
    mine = predictions[predictions["role"] == "model"]
    if len(mine):
        _add_nights(shelf, mine, dataset.classes, dataset.facts["epoch"])
    add_study_figures(run, prepared, fits)
    if len(mine):
        _add_stages(shelf, mine, dataset.classes)
        _add_sleep(shelf, mine, dataset.classes, dataset.facts["epoch"])
    write_facts(run.folder, Facts(**_facts(stage, run, prepared, fits)))


def _add_nights(shelf: Shelf, mine: pd.DataFrame, classes: list[str], epoch: float) -> None:
    from neuroloom.signals.figures import night as figures

    first = mine[mine["seed"] == mine["seed"].iloc[0]]
    nights = []
    for path, own in list(first.groupby("path", sort=False))[:SHOWN]:
        right = (own["y_true"] == own["y_pred"]).mean()
        ordered = own.sort_values("onset")
        title = f"{path}: {100 * right:.0f} % of {len(own)} epochs"
        nights.append((title, figures.gaps_filled(ordered, epoch)))
    shelf.add_figure(
        "hypnograms",
        figures.hypnograms(nights, classes),
        title="Hypnograms, true and predicted",
        caption="Each recording while it was held out"
        + (", the first seed" if mine["seed"].nunique() > 1 else "")
        + ". Orange: true; thin black: predicted. Below: the probability of each stage, wake on "
        "top. Gaps were not scored.",
        section="result",
    )


def stage_table(mine: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Return recall, precision and F1 of every stage, means over seeds.

    Parameters
    ----------
    mine
        Prediction rows of one model: seed, y_true, y_pred.
    """
    import pandas as pd

    rows = []
    for _, own in mine.groupby("seed"):
        for name in classes:
            true, found = own["y_true"] == name, own["y_pred"] == name
            hits = float((true & found).sum())
            score = 2 * hits / (true.sum() + found.sum()) if (true | found).any() else np.nan
            rows.append({
                "stage": name, "epochs": int(true.sum()),
                "recall": hits / true.sum() if true.any() else np.nan,
                "precision": hits / found.sum() if found.any() else np.nan, "F1": score,
            })  # fmt: skip
    return pd.DataFrame(rows).groupby("stage", sort=False).mean().reset_index()


def _add_stages(shelf: Shelf, mine: pd.DataFrame, classes: list[str]) -> None:
    shelf.add_table(
        "stages",
        stage_table(mine, classes),
        title="Each stage",
        caption="Epochs of the stage, share of them that was found (recall), share of what was "
        "called so that is right (precision). Means over seeds.",
        section="result",
    )


def sleep_table(mine: pd.DataFrame, epoch: float) -> pd.DataFrame:
    """Return the statistics of each recording's sleep, true and predicted (mean over seeds)."""
    import pandas as pd

    rows = []
    for path, own in mine.groupby("path", sort=False):
        ordered = [night.sort_values("onset") for _, night in own.groupby("seed")]
        true = sleep_statistics(ordered[0]["y_true"].tolist(), epoch)
        told = [sleep_statistics(night["y_pred"].tolist(), epoch) for night in ordered]
        for name, value in true.items():
            found = np.array([night[name] for night in told])
            mean = float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")
            rows.append({"recording": path, "measure": name, "true": value, "predicted": mean})
    table = pd.DataFrame(rows)
    return table.assign(difference=table["predicted"] - table["true"])


def _add_sleep(shelf: Shelf, mine: pd.DataFrame, classes: list[str], epoch: float) -> None:
    if "W" not in classes or not set(classes) <= set(STAGES):
        return
    table = sleep_table(mine, epoch)
    kept = [f"{name} minutes" for name in classes]
    left_out = {f"{name} minutes" for name in STAGES} - set(kept)
    table = table[~table["measure"].isin(left_out)]
    means = table.groupby("measure", sort=False)[["true", "predicted"]].mean()
    gaps = table.assign(difference=table["difference"].abs())
    means["mean absolute difference"] = gaps.groupby("measure", sort=False)["difference"].mean()
    shelf.add_table(
        "sleep-mean",
        means.reset_index(),
        title="Sleep, means over recordings",
        caption="Minutes, and % for the efficiency, of the scored epochs of each recording. "
        "What never came is left out of a mean.",
        section="result",
    )
    shelf.add_table(
        "sleep",
        table,
        title="Sleep of each recording",
        caption="Minutes, and % for the efficiency; predicted are means over seeds.",
        section="result",
    )


def _facts(stage: Stage, run: Run, prepared: Prepared, fits: list[Fitted]) -> dict[str, Any]:
    dataset, epoch = prepared.dataset, prepared.dataset.facts["epoch"]
    names = ", ".join(dataset.classes)
    baseline = stage.baseline(dataset.task)
    epochs = dataset.extra["epochs"]
    counts = epochs["label"].value_counts()
    own = {
        "title": f"Sleep stages from {kind_of(dataset)}",
        "question": f"Which stage ({names}) is each epoch of {epoch:g} s, in recordings that were "
        "not learnt from?",
        "primary": "balanced_accuracy",
        "example": "epoch",
        "data": [{"label": k, "value": v} for k, v in _rows(prepared) if v],
        "trials": [
            {"class": name, "kept": int(counts.get(name, 0)), "rejected": 0}
            for name in dataset.classes
        ],
        "method": [_method(stage, prepared)],
        "citations": [
            *dict.fromkeys(find_model(name).source for name in (stage.model, baseline) if name),
            "Berry et al., The AASM Manual for the Scoring of Sleep and Associated Events",
        ],
    }
    return study_facts(stage, run, prepared, fits) | own


def _rows(prepared: Prepared) -> list[tuple[str, str]]:
    dataset = prepared.dataset
    epochs, facts = dataset.extra["epochs"], dataset.facts
    unknown = int(epochs["label"].isna().sum())
    around = facts["context"]
    return [
        *data_rows(prepared),
        ("Epochs", f"{len(epochs)} of {facts['epoch']:g} s"
            + (f", {unknown} of them not scored" if unknown else "")),
        ("Context", f"{around} epochs on either side" if around else "none: each by itself"),
    ]  # fmt: skip


def _method(stage: Stage, prepared: Prepared) -> str:
    dataset, model = prepared.dataset, find_model(stage.model)
    facts = dataset.facts
    return (
        f"{kind_of(dataset)} was cut into epochs of {facts['epoch']:g} s. "
        f"{' '.join(facts['steps'])} The model was {stage.model} ({model.summary}; "
        f"{model.source}); in its loss every stage counted alike. Everything else that is learnt "
        "from data was fitted on the training side of each fold. Balanced accuracy "
        "is the mean recall over the stages. "
        "Intervals are 95 % bootstrap intervals over the units of the split."
    )
