"""The report of `representation.compare`: models beside the ceiling, RDMs, maps of stimuli."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.representation.story import figures
from neuroloom.representation.story.extract import save_metrics

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.representation.compare import Compare, Prepared
    from neuroloom.representation.judged import Outcome

KEYS = {
    "rsa": "by_subject", "cka": "cka", "encode": "encoding", "decode": "decoding",
    "banded": "encoding", "probe": "accuracy", "odd-one-out": "agreement",
}  # fmt: skip
QUESTIONS = {
    "rsa": "Do models and brains find the same stimuli alike?",
    "cka": "Are representations the same up to rotation and scale?",
    "encode": "How well do features of a model predict responses to new stimuli?",
    "decode": "How well do responses tell a model's features of new stimuli?",
    "banded": "What does each model add to the others in predicting responses?",
    "probe": "Can a linear reader tell classes of new stimuli from features?",
    "odd-one-out": "Do features choose the odd one of three that people choose?",
}
TEXTS = {
    "similarity": "Similarity of a model's RDM with the mean RDM of the subjects.",
    "by_subject": "Mean over subjects of the similarity with each subject's own RDM: what the "
    "noise ceiling is a limit of.",
    "cka": "Centred kernel alignment: 1 is the same up to rotation and scale.",
    "encoding": "Mean correlation of predicted and real responses, stimuli held out.",
    "decoding": "Mean correlation of decoded and real features, weighted by their variance.",
    "accuracy": "Share of held-out stimuli whose class was read right.",
    "agreement": "Share of judgements whose odd one the features choose; stimuli were held out.",
    "ceiling_lower": "How well the mean of the other subjects does for a subject: a good model "
    "gets here.",
    "ceiling_upper": "No model can do better for these subjects.",
}
SHOWN_RDMS, MOST_PAIRS = 9, 5_000_000


def report_comparison(recipe: Compare, run: Run, prepared: Prepared, out: Outcome) -> None:
    """Write tables, metrics, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    shelf.folder.mkdir(parents=True, exist_ok=True)
    metrics = metrics_of(recipe, out)
    save_metrics(run.folder, metrics)
    run.log("scored", examples=len(prepared.stimuli))
    _add_result(shelf, out)
    if recipe.method == "rsa":
        _add_rdms(recipe, shelf, prepared, run)
    if out.matrix is not None and len(out.names) > 2:
        shelf.add_figure(
            "matrix", figures.similarity_matrix(out.matrix, out.names, out.label),
            title="All with all", caption="The reference is the mean of its subjects.",
            alt="Similarity of all representations with each other",
        )  # fmt: skip
        table = pd.DataFrame(out.matrix, columns=out.names)
        table.insert(0, "representation", out.names)
        shelf.add_table("matrix-table", table, title="All with all, in numbers")
    write_facts(run.folder, Facts(**_facts(recipe, prepared, out, metrics)))
    run.log("reported", report=write_report(run.folder).name)


def metrics_of(recipe: Compare, out: Outcome) -> dict[str, dict[str, float | None]]:
    """Return the content of `metrics.json`: models in their order, then the ceiling."""
    metrics: dict[str, dict[str, float | None]] = {}
    sets = [("similarity", out.overall)] if out.overall is not None else []
    for key, table in [*sets, (KEYS[recipe.method], out.table)]:
        for row in table.to_dict("records"):
            entry = {name: _number(row[name]) for name in ("value", "low", "high")}
            chance = _number(row["chance"])
            metrics[f"{key}/{row['name']}"] = entry | {"baseline": None, "chance": chance}
    if out.ceiling is not None:
        for name, value in zip(("ceiling_lower", "ceiling_upper"), out.ceiling, strict=True):
            metrics[name] = {"value": value, "low": None, "high": None}
            metrics[name] |= {"baseline": None, "chance": 0.0}
    return metrics


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _add_result(shelf: Shelf, out: Outcome) -> None:
    tell = "Bars are means over subjects, points single ones, lines 95 % intervals over other "
    tell += "stimuli and subjects."
    shelf.add_figure(
        "models", figures.model_bars(out.table, out.ceiling, out.label), title="Models",
        caption=tell, alt=f"{out.label} of {len(out.table)} models",
    )  # fmt: skip
    table = out.table.drop(columns="points")
    if out.overall is not None:
        table = table.assign(with_mean=out.overall["value"])
    shelf.add_table(
        "results", table, title="Models in numbers",
        caption="p is of random orders of stimuli (or an exact test), one-sided, uncorrected.",
    )  # fmt: skip
    if out.differences is not None:
        shelf.add_table(
            "differences", out.differences, title="Is one model better than another?",
            caption="Paired over the same stimuli and subjects; p_holm holds for all pairs.",
        )  # fmt: skip


def _add_rdms(recipe: Compare, shelf: Shelf, prepared: Prepared, run: Run) -> None:
    groups = prepared.groups
    rows = [group.rdms(recipe.distance).mean(0) for group in groups]
    if len(rows) * len(rows[0]) <= MOST_PAIRS:
        named = {group.name.replace("/", ":"): row for group, row in zip(groups, rows, strict=True)}
        np.savez(shelf.folder / "rdms.npz", **named)  # type: ignore[arg-type]
    shown = slice(0, SHOWN_RDMS)
    shelf.add_figure(
        "rdms", figures.rdm_maps(np.stack(rows[shown]), [g.name for g in groups[shown]]),
        title="Dissimilarities",
        caption="In ranks, from alike (dark) to unlike (bright); a row and a column a stimulus.",
        alt="Dissimilarity matrices",
    )  # fmt: skip
    if len(prepared.stimuli) <= 1000:
        labels = prepared.labels or _conditions(prepared.stimuli)
        shelf.add_figure(
            "map", figures.stimulus_map(rows[0], labels), title=f"Stimuli in {groups[0].name}",
            caption="Classical scaling of the mean RDM: alike stimuli lie near each other.",
            section="data", alt="Map of the stimuli",
        )  # fmt: skip


def _conditions(stimuli: list[str]) -> list[str] | None:
    """Return what names of stimuli say beside a number or a file: "012 face", "face/a.png"."""
    kinds = []
    for name in stimuli:
        folder, _, _ = name.rpartition("/")
        number, _, kind = name.partition(" ")
        kinds.append(folder or (kind if number.isdigit() else ""))
    return kinds if all(kinds) and len(set(kinds)) < len(kinds) else None


def _facts(
    recipe: Compare, prepared: Prepared, out: Outcome, metrics: dict[str, Any]
) -> dict[str, Any]:
    reference = prepared.reference
    rows = {
        "Stimuli": str(len(prepared.stimuli)),
        "Compared with": reference.name if reference else "",
        "Subjects": str(len(reference.items)) if reference else "",
        "Models": str(len(prepared.models)),
        "Measure": out.label,
        "Distance": recipe.distance if recipe.method == "rsa" else "",
    }
    best = out.table.loc[out.table["value"].idxmax(), "name"] if len(out.table) else ""
    first = f"similarity/{best}" if out.overall is not None else f"{KEYS[recipe.method]}/{best}"
    return {
        "title": f"Representations: {recipe.method}",
        "question": QUESTIONS[recipe.method],
        "primary": first,
        "example": "stimulus",
        "plural": "stimuli",
        "model": str(best),
        "how_sure": _sure(out, str(best)),
        "data": [{"label": label, "value": value} for label, value in rows.items() if value],
        "notes": [f"{f.title}: {f.detail}" for f in prepared.findings if f.severity != "note"],
        "method": [_method(recipe, prepared)],
        "citations": CITATIONS[recipe.method],
        "meanings": {key: TEXTS.get(key.partition("/")[0], "") for key in metrics},
    }


def _sure(out: Outcome, best: str) -> str:
    """Say whether the best model is better than the next, and how near the ceiling."""
    told = []
    if out.ceiling is not None and len(out.table):
        value = float(out.table["value"].max())
        place = "reaches" if value >= out.ceiling[0] else "is below"
        told.append(f"{best} {place} the noise ceiling ({out.ceiling[0]:.3f}).")
    gaps = out.differences
    if gaps is not None and len(gaps):
        mine = gaps[(gaps["first"] == best) | (gaps["second"] == best)]
        clear = int((mine["p_holm"] < 0.05).sum())
        told.append(f"It is better than {clear} of {len(mine)} others beyond doubt (Holm, 5 %).")
    return " ".join(told)


def _method(recipe: Compare, prepared: Prepared) -> str:
    head = f"Computed with neuroloom {__version__}. "
    if recipe.method == "rsa":
        return head + (
            f"RDMs of features by {recipe.distance} distance; similarity of RDMs: "
            f"{recipe.similarity}. Intervals: {recipe.resamples} bootstraps over stimuli, over "
            "subjects and over both, with the variance corrected for counting twice, and Student's "
            f"t. p: {recipe.permutations} random orders of stimuli. Sessions of a subject were "
            "averaged. Noise ceiling: each subject with the mean of all (upper) and of the others "
            "(lower), in ranks for Spearman's."
        )
    if recipe.method == "cka":
        return head + (
            f"Centred kernel alignment, {recipe.kernel} kernel"
            f"{', unbiased' if recipe.unbiased else ''}. Intervals: jackknife over stimuli."
        )
    if recipe.method in ("encode", "decode", "banded"):
        return head + (
            f"{'Banded ridge' if recipe.method == 'banded' else recipe.regression.capitalize()} "
            f"regression in {recipe.folds} folds of stimuli; penalties by leave-one-out error "
            "inside the training stimuli. Intervals: bootstrap over held-out stimuli, and over "
            "subjects where there are several; chance: random orders of held-out stimuli."
        )
    if recipe.method == "probe":
        return head + (
            f"Logistic regression on up to {recipe.components} principal components, "
            f"{recipe.folds} folds; the penalty is chosen inside the training stimuli. Wilson's "
            "intervals."
        )
    return head + (
        "Of three stimuli the two with the larger inner product belong together. Aligned: an "
        "affine map fitted to judgements of other stimuli, with locality kept (gLocal)."
    )


RSA = [
    "Kriegeskorte N et al. (2008). Neuron 60, 1126-1141 (RSA).",
    "Nili H et al. (2014). PLoS Comput Biol 10, e1003553 (noise ceiling).",
    "Schütt HH et al. (2023). eLife 12, e82566 (corrected bootstrap).",
]
RIDGE = ["Dupré la Tour T et al. (2022). NeuroImage 264, 119728 (banded ridge)."]
CITATIONS = {
    "rsa": RSA,
    "cka": [
        "Kornblith S et al. (2019). ICML (CKA).",
        "Song L et al. (2012). JMLR 13 (unbiased HSIC).",
    ],
    "encode": RIDGE,
    "decode": RIDGE,
    "banded": RIDGE,
    "probe": ["Alain G, Bengio Y (2017). ICLR workshop (linear probes)."],
    "odd-one-out": ["Muttenthaler L et al. (2023). NeurIPS 36 (gLocal)."],
}
