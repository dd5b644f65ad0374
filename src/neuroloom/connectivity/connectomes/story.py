"""What a run of connectomes shows: data, scores beside degrees and site, edges and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.connectivity.connectomes.saliency import PERMUTATIONS, Saliency, agreement, slopes
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts

if TYPE_CHECKING:
    from neuroloom.connectivity.graphs import Graphs
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

SHOWN = 20
ROOM = 4e7  # numbers that the permutations of all edges may take


def illustrate(recipe: Graphs, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw data, split, result and saliency, and write `facts.json`."""
    from neuroloom.learn.narrate import add_study_figures, headline_metric, study_facts

    shelf, dataset = Shelf(run.folder / "artifacts"), prepared.dataset
    level, target = dataset.facts["level"], str(dataset.facts["target"])
    add_study_figures(run, prepared, fits, target=target)
    where = []
    if level == "graph":
        _draw_means(shelf, prepared)
        if recipe.explain:
            where = add_saliency(shelf, prepared, fits, recipe.seed)
    facts = study_facts(recipe, run, prepared, fits)
    said = _against(run, headline_metric(recipe, prepared))
    facts |= {
        "title": f"Connectomes: {'types of nodes' if level == 'node' else target}",
        "question": _question(prepared),
        "example": "node" if level == "node" else "connectome",
        "data": _data(prepared, fits),
        "where": where,
        "notes": [*facts["notes"], *said],
        "method": [_method(prepared)],
        "citations": _citations(fits[0].learner.name if fits else recipe.model),
        "meanings": MEANINGS | _recalls(dataset.classes if level == "node" else []),
    }
    write_facts(run.folder, Facts(**facts))


MEANINGS = {
    "auc/degree": "AUC of the linear model of degrees and strengths alone.",
    "accuracy/degree": "Accuracy of the linear model of degrees and strengths alone.",
    "r2/degree": "R2 of the linear model of degrees and strengths alone.",
    "auc/site alone": "AUC of guessing by the site: how often each class occurs there.",
    "auc/within site": "AUC of pairs from one site: what a site adds to a score is not in it.",
}


def _recalls(classes: list[str]) -> dict[str, str]:
    return {
        f"recall/{name}": f"Share of the nodes of type {name} that were found." for name in classes
    }


def _question(prepared: Prepared) -> str:
    dataset = prepared.dataset
    if dataset.facts["level"] == "node":
        return (
            "Can the type of a node be told from how it is connected, in a graph whose types are "
            "unknown?"
        )
    return (
        f"Can {dataset.facts['target']} be told from connectomes of {dataset.x.shape[1]} nodes, "
        "better than by ridge on the edges, by degrees, or by the site?"
    )


def _data(prepared: Prepared, fits: list[Fitted]) -> list[dict[str, str]]:
    dataset = prepared.dataset
    facts = dataset.facts
    rows = {"Layout": facts["layout"], "Model": fits[0].learner.name if fits else ""}
    if facts["level"] == "node":
        rows |= {"Nodes": str(len(dataset)), "Types": ", ".join(dataset.classes)}
    else:
        rows |= {
            "Connectomes": str(len(dataset)),
            "Nodes": str(dataset.x.shape[1]),
            "Edges": "directed" if facts["directed"] else "both ways alike",
            "Weights": "log(1 + weight)" if facts["weights"] == "log" else "as they are",
            "Sites": str(dataset.table["site"].nunique()) if facts["site"] else "",
            "Might tell the label": ", ".join(facts["covariates"]),
        }
        shares = [float(n.share) for n in _nets(fits)]
        if shares:
            rows["Share of the net beside the linear path"] = ", ".join(f"{s:.2f}" for s in shares)
    return [{"label": label, "value": value} for label, value in rows.items() if value]


def _nets(fits: list[Fitted]) -> list[Any]:
    models = [getattr(fit.learner, "model", None) for fit in fits]
    return [net for m in models for net in getattr(m, "nets", []) if hasattr(net, "share")]


def _against(run: Run, main: str) -> list[str]:
    """Say where the score is no better than what is simpler, or than the site."""
    metrics = read_json(run.folder / "metrics.json")
    said = []
    mine = metrics.get(main, {})
    if mine.get("baseline") is not None and mine["value"] <= mine["baseline"]:
        said.append(
            f"No better than the linear baseline ({main} {mine['value']:.3f} against "
            f"{mine['baseline']:.3f}): prefer the baseline."
        )
    alone, within = metrics.get("auc/site alone"), metrics.get("auc/within site")
    if alone is None or within is None:
        return said
    if within["value"] is None:
        said.append("No site has both classes: site and label cannot be told apart in these data.")
    elif within["low"] <= 0.5 < alone["low"]:
        said.append(
            f"Within sites the score is at chance (AUC {within['value']:.2f}, {within['low']:.2f} "
            f"to {within['high']:.2f}), while the site alone reaches {alone['value']:.2f}: what "
            "was learnt is the site."
        )
    return said


def _method(prepared: Prepared) -> str:
    if prepared.dataset.facts["level"] == "node":
        return (
            "Nodes are described by degrees, weights, reciprocity, the same of their neighbours "
            "and of those neighbours' neighbours, standardised within each graph; no name and no "
            "place enters, so that what is learnt holds for another graph."
        )
    return (
        "Every edge is standardised over the training graphs. Ridge penalties come from exact "
        "leave-one-out errors of the training graphs. A net is trained on four fifths of them; by "
        "the rest its best epoch and its share beside a linear path are chosen. Saliency: the "
        "slope of the score with an edge, learnt in training, times the edge's covariance with the "
        "target in unseen graphs; p-values by permuting the labels of the unseen graphs within "
        "sites, corrected by the largest value."
    )


def _citations(model: str) -> list[str]:
    from neuroloom.learn.model import find_model

    names = dict.fromkeys([model, "ridge"])
    return [source for name in names if (source := find_model(name, "graph").source)]


def _draw_means(shelf: Shelf, prepared: Prepared) -> None:
    """Draw the mean connectome, and how the last class differs from the first."""
    dataset = prepared.dataset
    mean = dataset.x.mean(0)
    panels = [("mean connectome", mean)]
    if len(dataset.classes) == 2:
        a, b = (dataset.x[dataset.y == k] for k in (0, 1))
        spread = np.sqrt((a.var(0) + b.var(0)) / 2)
        d = np.divide(b.mean(0) - a.mean(0), spread, out=np.zeros_like(mean), where=spread > 0)
        panels.append((f"{dataset.classes[1]} less {dataset.classes[0]} (SD)", d))
    shelf.add_figure(
        "connectomes", _matrices(panels), title="The connectomes", section="data",
        caption="Mean weight of every edge, and how much two classes differ (all data, for the eye "
        "only: nothing is chosen by it).",
    )  # fmt: skip


def _matrices(panels: list[tuple[str, np.ndarray]]) -> Any:
    from neuroloom.learn.figures import canvas, styled

    @styled
    def draw() -> Any:
        figure, axes = canvas(3.8, columns=len(panels), squeeze=False)
        for axis, (title, values) in zip(axes[0], panels, strict=True):
            high = float(np.quantile(np.abs(values), 0.995)) or 1.0
            low = -high if (values < 0).any() else 0.0
            shown = axis.imshow(
                values, cmap="RdBu_r" if low < 0 else "viridis", vmin=low, vmax=high
            )
            axis.set(title=title, xlabel="to node", ylabel="from node")
            figure.colorbar(shown, ax=axis, shrink=0.7)
        return figure

    return draw()


def find_saliency(prepared: Prepared, fits: list[Fitted], seed: int) -> Saliency | None:
    """Return what the models of the folds rest on; None of models that read no edges."""
    dataset, parts, groups = prepared.dataset, [], []
    for fit in fits:
        if fit.job.fold < 0 or fit.job.seed != fits[0].job.seed:
            continue
        rows = prepared.folds[fit.job.fold].test
        slope = slopes(fit.learner, dataset.x[rows])
        if slope is None or len(rows) < 2:
            continue
        y = dataset.y[rows]
        wanted = np.eye(len(dataset.classes))[y] if dataset.classes else y[:, None].astype(float)
        if len(dataset.classes) == 2:
            slope, wanted = slope[1:], wanted[:, 1:]
        parts.append((slope, np.asarray(dataset.x[rows], float), wanted))
        groups.append(dataset.table["site"].astype(str).to_numpy()[rows])
    if not parts:
        return None
    count = int(min(PERMUTATIONS, max(39, ROOM // dataset.x.shape[1] ** 2)))
    return agreement(parts, np.random.default_rng([seed, 11]), count, groups)


def add_saliency(shelf: Shelf, prepared: Prepared, fits: list[Fitted], seed: int) -> list[str]:
    """Keep tables of regions and edges with their p-values, a picture, and what they say."""
    import pandas as pd

    found = find_saliency(prepared, fits, seed)
    if found is None:
        return ["This model reads no edges one by one: there is no saliency to show."]
    names = list(map(str, prepared.dataset.facts["nodes"]))
    order = np.argsort(-found.node, kind="stable")
    regions = pd.DataFrame({
        "region": [names[k] for k in order],
        "agreement": found.node[order],
        "p (corrected)": found.node_p[order],
    })  # fmt: skip
    edge = found.edge if prepared.dataset.facts["directed"] else np.triu(found.edge, 1)
    best = np.argsort(-edge.ravel(), kind="stable")[: 10 * SHOWN]
    a, b = np.unravel_index(best, edge.shape)
    edges = pd.DataFrame({
        "from": [names[k] for k in a],
        "to": [names[k] for k in b],
        "agreement": found.edge[a, b],
        "slope per SD": found.slope[a, b],
        "p (corrected)": found.edge_p[a, b],
    })  # fmt: skip
    words = "Slope learnt in training times covariance in unseen graphs; p by permuted labels, "
    shelf.add_table("regions", regions, title="Regions that the score rests on", section="where",
                    caption=words + "corrected over regions.")  # fmt: skip
    shelf.add_table("edges", edges, title="Edges that the score rests on", section="where",
                    caption=words + "corrected over edges.")  # fmt: skip
    panels = [
        ("slope of the score (per SD)", found.slope),
        ("agreement in unseen graphs", found.edge),
    ]
    shelf.add_figure("saliency", _matrices(panels), title="What the score rests on",
                     section="where", caption="Left: what the models learnt. Right: where unseen "
                     "graphs agree.")  # fmt: skip
    sure = [str(name) for name in regions["region"][regions["p (corrected)"] < 0.05]]
    shown = ", ".join(sure[:SHOWN]) + (", …" if len(sure) > SHOWN else "")
    return [
        f"{len(sure)} regions agree with unseen graphs beyond permuted labels (p < 0.05, corrected)"
        + (f": {shown}." if sure else ": none; do not read the pictures as findings."),
        "Saliency says what a model uses, not what causes a difference.",
    ]
