"""The report of `representation.extract`: layers, what they do, and what drives them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.representation.activations import dimension
from neuroloom.representation.rsa.rdm import gram, rdm
from neuroloom.representation.store import open_array
from neuroloom.representation.story import figures

if TYPE_CHECKING:
    from pathlib import Path

    from neuroloom.core.run import Run
    from neuroloom.representation.extract import Extract, Prepared
    from neuroloom.representation.features import Extracted

MOST_STIMULI = 3000  # for inner products of all pairs


def report_features(recipe: Extract, run: Run, prepared: Prepared, done: Extracted) -> None:
    """Write tables, metrics, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    features = run.folder / "artifacts" / "features"
    table = describe_layers(prepared, done, features)
    index = {"net": prepared.net.name, "weights": prepared.net.weights, "layers": done.files}
    index |= {"tokens": recipe.tokens, "pool": recipe.pool, "stimuli": prepared.stimuli.names}
    write_json(features / "features.json", index)
    write_metrics(run, prepared, done, table)
    run.log("scored", examples=len(prepared.stimuli))
    shelf.add_table(
        "layers", table, title="Layers",
        caption="Shape of one stimulus, and statistics over all: active is the share of "
        "activations above zero, dead that of units that never change; sparseness is 0 if all "
        "respond alike. Files lie in artifacts/features.",
    )  # fmt: skip
    shelf.add_table(
        "all-layers", prepared.table, title="All layers of the net", section="method",
        caption="Any of these can be named in `layers`.",
    )  # fmt: skip
    _add_lines(shelf, table)
    _add_top(recipe, shelf, prepared, done)
    _add_geometry(shelf, prepared, done, features)
    from neuroloom.representation.story.maps import add_maps

    add_maps(recipe, shelf, prepared)
    write_facts(run.folder, Facts(**_facts(recipe, prepared, table)))
    run.log("reported", report=write_report(run.folder).name)


def describe_layers(prepared: Prepared, done: Extracted, folder: Path) -> pd.DataFrame:
    """Return a row a layer: shape, statistics, dimension, file."""
    rows = []
    known = prepared.table.set_index("layer")
    for layer in prepared.layers:
        features = features_of(done, layer, folder)
        row = {"layer": layer, "kind": known.loc[layer, "kind"]}
        row |= {"kept": " x ".join(map(str, features.shape[1:]))}
        row |= done.activity[layer].summary()
        few = len(prepared.stimuli) <= MOST_STIMULI
        size = dimension(gram(features, centre="column")) if few else float("nan")
        rows.append(row | {"dimension": size, "file": done.files[layer]})
    return pd.DataFrame(rows)


def features_of(done: Extracted, layer: str, folder: Path) -> Any:
    """Return the features of a layer, on disk."""
    name, _, key = done.files[layer].partition("::")
    found = open_array(folder / name, key)
    return found if len(found.shape) > 1 else np.asarray(found)[:, None]


def write_metrics(run: Run, prepared: Prepared, done: Extracted, table: pd.DataFrame) -> None:
    """Write `metrics.json` and `metrics.parquet`: statistics of layers, with intervals."""
    from neuroloom.representation.rsa.infer import interval

    metrics: dict[str, dict[str, float | None]] = {}
    for row in table.itertuples():
        stimuli = np.concatenate(done.activity[str(row.layer)].rows)[:, 2]
        n = len(stimuli)
        error = float(stimuli.var(ddof=1)) / n if n > 1 else float("nan")
        low, high = interval(float(row.active), error, n - 1) if n > 1 else (None, None)
        value = {"value": float(row.active), "low": low, "high": high}
        metrics[f"active/{row.layer}"] = value | {"baseline": None, "chance": None}
    for row in table.itertuples():
        value = {"value": float(row.dimension), "low": None, "high": None}
        metrics[f"dimension/{row.layer}"] = value | {"baseline": None, "chance": None}
    save_metrics(run.folder, metrics)


def save_metrics(folder: Path, metrics: dict[str, dict[str, float | None]]) -> None:
    """Write metrics as JSON and as a tidy table."""
    write_json(folder / "metrics.json", metrics)
    rows = [{"fold": "all", "seed": "all", "metric": key} | row for key, row in metrics.items()]
    tidy = pd.DataFrame(rows)
    for column in ("value", "low", "high", "baseline", "chance"):
        tidy[column] = tidy[column].astype(float)
    write_atomic(folder / "metrics.parquet", partial(tidy.to_parquet, index=False))


def _add_lines(shelf: Shelf, table: pd.DataFrame) -> None:
    if len(table) < 2:
        return
    shelf.add_figure(
        "depth",
        figures.layer_lines(
            table,
            [
                ("dimension", "Dimension"),
                ("active", "Active share"),
                ("lifetime_sparseness", "Sparseness"),
            ],
        ),
        title="Along the depth of the net",
        caption="Dimension is the participation ratio: how many directions the stimuli fill.",
        alt="Dimension, active share and sparseness of each layer",
    )


def _add_top(recipe: Extract, shelf: Shelf, prepared: Prepared, done: Extracted) -> None:
    stimuli = prepared.stimuli
    shelf.add_figure(
        "stimuli",
        figures.picture_rows(
            [("", [stimuli.picture(k) for k in range(min(len(stimuli), 8))])],
            min(len(stimuli), 8),
        ),
        title="The first stimuli", section="data", alt="The first stimuli as pictures",
    )  # fmt: skip
    if not recipe.top:
        return
    parts = [done.top[layer].table(stimuli.names, layer) for layer in prepared.layers]
    shelf.add_table(
        "top-stimuli", pd.concat(parts, ignore_index=True), title="Best stimuli of each channel",
        caption="Of channels with places, by their largest response.", section="where",
    )  # fmt: skip
    last = prepared.layers[-1]
    best = done.top[last]
    order = np.argsort(-best.values[:, 0], kind="stable")[: recipe.shown]
    rows = [(f"channel {c}", [stimuli.picture(int(k)) for k in best.rows[c]]) for c in order]
    shelf.add_figure(
        "top", figures.picture_rows(rows, best.rows.shape[1]),
        title=f"What drives {last} most",
        caption="A row a channel: those with the largest responses, and their best stimuli.",
        section="where", alt=f"Best stimuli of {len(rows)} channels",
    )  # fmt: skip


def _add_geometry(shelf: Shelf, prepared: Prepared, done: Extracted, folder: Path) -> None:
    if not 3 <= len(prepared.stimuli) <= MOST_STIMULI:
        return
    layers = prepared.layers[-6:]
    found = []
    for layer in layers:
        features = features_of(done, layer, folder)
        found.append(rdm(features, "euclidean"))
    shelf.add_figure(
        "rdms", figures.rdm_maps(np.stack(found), layers), title="Distances between stimuli",
        caption="Euclidean, in ranks. `representation.compare` compares them with brains.",
        alt="Distance matrices of the last layers",
    )  # fmt: skip


def _facts(recipe: Extract, prepared: Prepared, table: pd.DataFrame) -> dict[str, Any]:
    net, stimuli = prepared.net, prepared.stimuli
    size = "" if net.transform is None else f"{net.transform.size[1]} x {net.transform.size[0]} px"
    rows = {
        "Stimuli": f"{len(stimuli)} ({stimuli.kind})",
        "Shown at": size,
        "Net": net.name,
        "Weights": net.weights,
        "Layers": f"{len(prepared.layers)} of {len(prepared.table)}",
    } | net.facts
    return {
        "title": f"Features of {net.name}",
        "question": "What do the layers of a net answer to these stimuli?",
        "primary": f"dimension/{prepared.layers[-1]}",
        "example": "stimulus",
        "plural": "stimuli",
        "model": net.name,
        "data": [{"label": label, "value": value} for label, value in rows.items() if value],
        "notes": [f"{f.title}: {f.detail}" for f in prepared.findings if f.severity != "note"],
        "method": [
            f"Features were extracted with neuroloom {__version__}: what forward hooks give, "
            f"{recipe.batch} stimuli at a time, written as they come. Tokens: {recipe.tokens}; "
            f"pooling: {recipe.pool}."
        ],
        "citations": [
            "Muttenthaler L, Hebart MN (2021). Front Neuroinform 15, 679838 (features of nets).",
            "Vinje WE, Gallant JL (2000). Science 287, 1273-1276 (sparseness).",
        ],
        "meanings": {
            f"{key}/{row.layer}": text
            for row in table.itertuples()
            for key, text in (
                ("active", "Share of activations above zero."),
                ("dimension", "Participation ratio: how many directions the stimuli fill."),
            )
        },
    }
