"""What a run of radiomics leaves: the table of features, figures, the report's facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.volumes.radiomics.outcome.models import volume_columns

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.volumes.radiomics.recipe import Radiomics
    from neuroloom.volumes.radiomics.table import Table

CITATIONS = [
    "Zwanenburg et al. (2020), Radiology 295(2), 328-338",
    "Whybra et al. (2024), Radiology 310(2), e231319",
]
SHOWN = 20
CAPTION = (
    "Named by the tags of the IBSI's reference tables; lengths in mm, or in voxels where no file "
    "says how large these are."
)


def write_features(recipe: Radiomics, table: Table, run: Run) -> None:
    """Fill the run of a recipe that measures only."""
    import pandas as pd

    others = table.rows.drop(columns=list(table.features), errors="ignore")
    rows = pd.concat([others, table.features], axis=1)
    run.write_dataset({"files": table.hashes, "examples": len(rows), "layout": table.layout})
    write_json(run.folder / "audit.json", [finding.as_dict() for finding in table.findings])
    write_json(run.folder / "plan.json", {"reason": "measured directly: nothing to learn"})
    for finding in table.findings:
        run.log("audit", **finding.as_dict())
    write_atomic(run.folder / "predictions.parquet", lambda p: rows.to_parquet(p, index=False))
    write_json(run.folder / "metrics.json", {})
    shelf = Shelf(run.folder / "artifacts")
    shelf.add_table(
        "features", rows, title="Features of every case",
        caption=CAPTION, section="data",
    )  # fmt: skip
    run.log("scored", examples=len(rows))
    write_facts(run.folder, Facts(**_plain_facts(recipe, table)))
    run.log("reported", report=write_report(run.folder).name)


def _plain_facts(recipe: Radiomics, table: Table) -> dict[str, Any]:
    features = table.features
    return {
        "title": "Radiomic features",
        "question": f"{features.shape[1]} features of each of {len(features)} cases.",
        "example": "case",
        "data": _data(recipe, len(features), features.shape[1], table.layout),
        "method": [method(recipe)],
        "citations": CITATIONS,
        "notes": ["Nothing was learnt: name `target`, or `time` and `event`, to learn an outcome."],
    }


def _data(recipe: Radiomics, cases: int, features: int, layout: str) -> list[dict[str, str]]:
    rows = {
        "Cases": str(cases),
        "Features": str(features),
        "Layout": layout,
        "Regions": ", ".join(recipe.rois),
        "Filters": ", ".join(recipe.filters),
    }
    return [{"label": label, "value": value} for label, value in rows.items() if value]


def method(recipe: Radiomics) -> str:
    """Say the chain of processing in a paragraph for a paper."""
    voxel = recipe.resample
    parts = ["Features follow the definitions of the Image Biomarker Standardisation Initiative"]
    if voxel:
        kind = "cubic splines" if recipe.interpolation == "cubic" else "trilinear interpolation"
        parts.append(f"images were resampled to {voxel} mm (z, y, x) by {kind}")
    else:
        parts.append("images were not resampled")
    if recipe.range:
        parts.append(f"intensities from {recipe.range[0]:g} to {recipe.range[1]:g} were kept")
    if recipe.outliers:
        parts.append(f"so were those within {recipe.outliers:g} standard deviations of the mean")
    levels = {
        "number": f"grey levels are {recipe.bins} bins over the range of each region",
        "width": f"grey levels are bins of {recipe.width:g}",
        "none": "grey levels are the intensities",
    }
    curves = {
        "continuous": "the intensity-volume curve is of 1000 bins over the range of each region",
        "definite": "the intensity-volume curve is in steps of 1",
        "width": f"the intensity-volume curve is of bins of {recipe.ivh_width:g}",
    }
    return "; ".join([*parts, levels[recipe.discretise], curves[recipe.ivh]]) + "."


def illustrate(recipe: Radiomics, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw split, result and weights, and write `facts.json`."""
    import pandas as pd

    from neuroloom.learn.narrate import add_split_figure, add_study_figures, study_facts

    shelf, dataset = Shelf(run.folder / "artifacts"), prepared.dataset
    everything = prepared.everything
    head = everything.table[["name", "path", "subject", "label"]]
    numbers = pd.DataFrame(everything.x, columns=dataset.facts["features"])
    shelf.add_table(
        "features", pd.concat([head, numbers], axis=1), title="Features of every case",
        caption=CAPTION, section="data",
    )  # fmt: skip
    more: dict[str, Any] = {}
    if dataset.task == "survival":
        from neuroloom.volumes.radiomics.outcome.courses import add_survival

        add_split_figure(run, prepared)
        more = add_survival(shelf, run, prepared, fits)
    else:
        add_study_figures(run, prepared, fits, target=str(recipe.target))
    where = add_weights(shelf, fits, dataset.facts["features"])
    facts = study_facts(recipe, run, prepared, fits)
    facts["notes"] = [*facts["notes"], *more.get("notes", [])]
    known = bool(facts["baseline"] and volume_columns(dataset.facts["features"]))
    if facts["baseline"] and not known:
        facts["baseline"] = "one prediction for all"
    facts |= {
        "title": f"Radiomics: {recipe.target or f'survival ({recipe.time})'}",
        "question": f"Can {dataset.facts['target']} be told from {dataset.x.shape[1]} features of "
        f"the region{', better than from its volume' * known}?",
        "example": "case",
        "data": _data(recipe, len(dataset), dataset.x.shape[1], dataset.facts["layout"]),
        "where": where,
        "method": [method(recipe)],
        "citations": CITATIONS,
    }
    write_facts(run.folder, Facts(**facts))


def add_weights(shelf: Shelf, fits: list[Fitted], names: list[str]) -> list[str]:
    """Keep a table of the features that the folds' models rest on."""
    import pandas as pd

    own = [fit.learner for fit in fits if fit.job.fold >= 0]
    linear = [state for learner in own if "weights" in (state := learner.state())]
    if not linear:
        return []
    size = np.zeros((len(linear), len(names)))
    for row, state in enumerate(linear):
        weights = np.abs(state["weights"]).reshape(len(state["kept"]), -1).max(1)
        size[row, state["kept"]] = weights
    used = (size > 1e-9).mean(0)
    order = np.argsort(-size.mean(0), kind="stable")[:SHOWN]
    table = pd.DataFrame({
        "feature": [names[k] for k in order],
        "folds that use it": [f"{used[k]:.0%}" for k in order],
        "mean weight": size.mean(0)[order].round(4),
    })  # fmt: skip
    shelf.add_table(
        "weights", table[table["mean weight"] > 0], section="where",
        title="Features that the models of the folds rest on",
        caption="Largest absolute weight, for a change of one standard deviation. Of features that "
        "say the same, one stands for all.",
    )  # fmt: skip
    stable = [names[k] for k in order if used[k] == 1]
    return [
        f"{len(stable)} of the features shown are used in every fold. A weight says what a model "
        "uses, not what causes the outcome."
    ]
