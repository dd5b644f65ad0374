"""The report of `connectivity.causal`: edges, scores, matrices, circles, brains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.connectivity import draw, measures, static
from neuroloom.connectivity.choose import UNSUPPORTED, stack_values
from neuroloom.connectivity.methods import UNDIRECTED
from neuroloom.connectivity.networks import Network, edge_table
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Fact, Facts, write_facts, write_report

if TYPE_CHECKING:
    from neuroloom.connectivity.causal import Causal, Prepared
    from neuroloom.core.run import Run

Floats = NDArray[np.float64]
SHOWN = 4  # networks with figures of their own
DRAWS = 200
MEANINGS = {
    "auc": "How often a true directed edge is stronger than one that is none, mean over "
    "recordings: 0.5 is guessing.",
    "auc_group": "The same for the mean graph of a network's recordings.",
    "auc_transposed": "AUC of the graph turned round: direction is only claimed where AUC beats "
    "it.",
    "auc_symmetric": "AUC of the graph without direction: direction is only claimed where AUC "
    "beats it too.",
    "orientation": "Share of true one-way edges that the mean graph puts the right way: 0.5 is "
    "guessing.",
    "edges": "Share of the possible edges that stand at the false discovery rate.",
    "stability": "Rank correlation of a recording's graph with the mean of the others.",
    "direction": "Gain in log-likelihood (nats a frame) of unseen frames that says which way edges "
    "point; nought or less: no direction is supported.",
}


def report_graphs(recipe: Causal, run: Run, prepared: Prepared, done: list[Network]) -> None:
    """Write edges, choices, metrics, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    edges = pd.concat([edge_table(one) for one in done], ignore_index=True)
    write_atomic(run.folder / "predictions.parquet", partial(edges.to_parquet, index=False))
    metrics = score(recipe, done)
    write_json(run.folder / "metrics.json", metrics)
    rows = [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    numbers = dict.fromkeys(("value", "low", "high", "baseline", "chance"), float)
    tidy = pd.DataFrame(rows).astype(numbers)
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", networks=len(done), edges=int(edges["edge"].sum()))
    _add_tables(shelf, edges, done)
    for number, one in enumerate(done[:SHOWN]):
        _add_figures(shelf, one, f"-{number}" if len(done) > 1 else "")
    write_facts(run.folder, Facts(**_facts(recipe, prepared, done, metrics)))
    run.log("reported", report=write_report(run.folder).name)


def score(recipe: Causal, done: Sequence[Network]) -> dict[str, dict[str, float | None]]:
    """Return all metrics of a run: each with value, low, high, baseline, chance."""
    rng = np.random.default_rng(recipe.seed)
    known = [one for one in done if one.recordings[0].truth is not None]
    out = _truth_scores(known, rng) if known else {}
    tested = [one for one in done if not np.isnan(one.p).all()]
    if tested:
        found = sum(int(one.edges.sum()) for one in tested)
        possible = sum(int(one.recordings[0].allowed().sum()) for one in tested)
        out["edges"] = _entry(found / max(possible, 1))
    alike = [measures.stability(one.drawn.strength) for one in done]
    alike = [value for value in alike if np.isfinite(value)]
    if alike:
        out["stability"] = _entry(float(np.mean(alike)), chance=0.0)
    sure = [max(e, key=lambda k: k.value) for one in done if (e := _evidences(one))]
    value, error = (float(np.mean([getattr(e, k) for e in sure])) for k in ("value", "error"))
    out["direction"] = _entry(value, value - 2 * error, value + 2 * error, chance=0.0)
    return out


def _evidences(one: Network) -> list[Any]:
    return [e for e in (one.choice.time, one.choice.shape) if e is not None]


def _entry(
    value: float,
    low: float | None = None,
    high: float | None = None,
    baseline: float | None = None,
    chance: float | None = None,
) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high, "baseline": baseline, "chance": chance}


def _truth_scores(
    known: Sequence[Network], rng: np.random.Generator
) -> dict[str, dict[str, float | None]]:
    graphs = [one.drawn.strength for one in known]
    value = _pooled(known, graphs)
    base = _pooled(known, [static.partial_correlation(stack_values(n.recordings)) for n in known])
    each = [_each(one, g) for one, g in zip(known, graphs, strict=True)]
    drawn = []
    for _ in range(DRAWS if max(map(len, graphs)) > 1 else 0):
        rows = [rng.integers(len(g), size=len(g)) for g in graphs]
        drawn.append(_pooled(known, graphs, rows, each))
    out = {}
    for name, number in value.items():
        low = high = None
        if drawn:
            ends = np.quantile([one[name] for one in drawn], [0.025, 0.975])
            low, high = min(float(ends[0]), number), max(float(ends[1]), number)
        out[name] = _entry(number, low, high, base[name], 0.5)
    return out


def _each(one: Network, graphs: Floats) -> dict[str, Floats]:
    """Return the scores of every recording alone."""
    truth = one.recordings[0].truth
    if truth is None:
        return {}
    rows = [measures.score_recording(truth, graph) for graph in graphs]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _pooled(
    known: Sequence[Network],
    graphs: Sequence[Floats],
    rows: Sequence[NDArray[np.int_]] | None = None,
    each: Sequence[dict[str, Floats]] | None = None,
) -> dict[str, float]:
    """Mean over recordings for AUC, over networks for scores of mean graphs.

    `rows` draws recordings anew; `each` has their scores, so that only mean graphs are scored.
    """
    each = each or [_each(one, g) for one, g in zip(known, graphs, strict=True)]
    rows = rows or [np.arange(len(g)) for g in graphs]
    out = {}
    for name in each[0]:
        values = np.concatenate([scores[name][row] for scores, row in zip(each, rows, strict=True)])
        out[name] = _mean(values)
    groups = [
        measures.score_group(one.recordings[0].truth, g[row].mean(0))
        for one, g, row in zip(known, graphs, rows, strict=True)
        if one.recordings[0].truth is not None
    ]
    out |= {name: _mean(np.array([one[name] for one in groups])) for name in groups[0]}
    order = ("auc", "auc_group", "auc_transposed", "auc_symmetric", "orientation")
    return {name: out[name] for name in order}


def _mean(values: Floats) -> float:
    """Return the mean of what is defined; a half, chance, where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.5


def _add_tables(shelf: Shelf, edges: pd.DataFrame, done: Sequence[Network]) -> None:
    shelf.add_table(
        "edges", edges, title="Edges, the strongest first",
        caption="low and high are the ends of 95 % intervals of the strength; edge: stands at the "
        "false discovery rate; direction: share of recordings in which this way is stronger.",
    )  # fmt: skip
    tables = [one.choice.table.assign(network=one.title) for one in done]
    choice = pd.concat(tables, ignore_index=True)
    shelf.add_table(
        "choice", choice, title="Lag, penalty and size: all that was tried", section="method",
        caption="Score: log-likelihood of unseen frames, nats a frame, higher is better (for a "
        "mixing model, beyond a Gaussian). The true graph was not looked at.",
    )  # fmt: skip
    for number, one in enumerate(done):
        rows = [
            {"recording": r.name, "target": r.names[i], "source": r.names[j], "strength": g[i, j]}
            for r, g in zip(one.recordings, one.drawn.strength, strict=True)
            for i, j in np.argwhere(r.allowed())
        ]
        name = f"graphs-{number}" if len(done) > 1 else "graphs"
        shelf.add_table(name, pd.DataFrame(rows), title=f"Graph of every recording: {one.title}",
                        section="data", caption="One row an edge.")  # fmt: skip
        if one.difference is not None:
            shelf.add_table(f"groups{name[6:]}", _difference_table(one), title="Two groups",
                            caption="Permutation of who is in which group.")  # fmt: skip


def _difference_table(one: Network) -> pd.DataFrame:
    from neuroloom.connectivity.evidence import discover

    if one.difference is None:
        return pd.DataFrame()
    change, p, names = one.difference
    may = one.recordings[0].allowed()
    found = discover(p, may)
    rows = [
        {"source": one.recordings[0].names[j], "target": one.recordings[0].names[i],
         f"{names[1]} minus {names[0]}": change[i, j], "p": p[i, j], "differs": found[i, j]}
        for i, j in np.argwhere(may)
    ]  # fmt: skip
    return pd.DataFrame(rows).sort_values("p", kind="stable")


def _add_figures(shelf: Shelf, one: Network, tail: str) -> None:
    first, group = one.recordings[0], one.group
    undirected = one.choice.model in UNDIRECTED
    shown = _shown_edges(one)
    where = "" if not tail else f": {one.title}"
    shelf.add_figure(
        f"matrix{tail}", draw.matrices(group, first.names, one.edges, first.truth),
        title=f"Who drives whom{where}",
        caption="Rows are targets, columns are sources. Dots are edges at the false discovery "
        "rate.", alt=f"{int(one.edges.sum())} edges among {first.nodes} nodes",
    )  # fmt: skip
    shelf.add_figure(
        f"circle{tail}", draw.circle(group, first.names, shown, directed=not undirected),
        title=f"The strongest edges{where}",
        caption=f"At most {draw.MOST} edges that stand; of two ways only the stronger is drawn.",
    )  # fmt: skip
    if first.places is not None:
        shelf.add_figure(
            f"brain{tail}", draw.brain(group, first.places, shown, directed=not undirected),
            title=f"In the brain{where}", caption="Nodes at their places (MNI, mm).",
        )  # fmt: skip
    if len(one.choice.table):
        shelf.add_figure(
            f"choice{tail}", draw.choices(one.choice.table), title=f"How it was chosen{where}",
            caption="Unseen frames: higher is better. The ring is what was taken.",
            section="method",
        )  # fmt: skip


def _shown_edges(one: Network) -> NDArray[np.bool_]:
    """Edges that stand, or the strongest tenth where none was tested; only the stronger way."""
    group = one.group
    kept = one.edges
    if np.isnan(one.p).all():
        kept = group >= np.quantile(group[one.recordings[0].allowed()], 0.9)
    return kept & ((group >= group.T) | ~kept.T) & one.recordings[0].allowed()


def _facts(
    recipe: Causal, prepared: Prepared, done: Sequence[Network], metrics: dict[str, Any]
) -> dict[str, Any]:
    models = ", ".join(dict.fromkeys(one.choice.model for one in done))
    recordings = sum(len(one.recordings) for one in done)
    unsupported = [one.title for one in done if not one.choice.direction]
    notes = []
    if unsupported:
        which = "" if len(done) == 1 else f" ({', '.join(unsupported[:5])})"
        notes.append(f"{UNSUPPORTED[0].upper()}{UNSUPPORTED[1:]}{which}: see the method.")
    if not {"auc", "stability"} & set(metrics):
        notes.append("One recording alone: nothing says whether another would give this graph.")
    told = [f"{one.title}: {' '.join(one.choice.reasons)}" for one in done[:SHOWN]]
    inputs = sum(r.inputs is not None for one in done for r in one.recordings)
    return {
        "title": f"Who drives whom: {models}",
        "question": "Which nodes of a network drive which others, as far as signals can tell?",
        "primary": "auc" if "auc" in metrics else "direction",
        "example": "edge",
        "model": models,
        "baseline": "partial correlation",
        "data": [
            Fact(label="Networks", value=str(len(done))),
            Fact(label="Recordings", value=str(recordings)),
            Fact(
                label="Nodes", value=", ".join(sorted({str(o.recordings[0].nodes) for o in done}))
            ),
            Fact(label="With known inputs", value=str(inputs)),
        ],
        "training": [Fact(label=one.title, value=one.plan) for one in done[:SHOWN]],
        "method": [
            *told,
            "Nodes were standardised. Edges were compared with "
            "surrogates in which every node is shifted in time by itself, "
            f"and stand at a false discovery rate of {recipe.alpha:g}. A graph from signals is a "
            "claim about prediction among the nodes that were measured: a common cause that was "
            "not can look like an edge.",
        ],
        "citations": _citations({one.choice.model for one in done}),
        "notes": notes,
        "meanings": {name: text for name, text in MEANINGS.items() if name in metrics},
    }


_PAPERS = {
    "vardnn": "Okuno & Woodward 2021, Front. Neurosci. 15:764796 (VARDNN)",
    "lingam": "Lacerda et al. 2008, UAI (cyclic LiNGAM)",
    "gc": "Granger 1969, Econometrica 37:424; Geweke 1984, JASA 79:907",
    "skew": "Hyvärinen & Smith 2013, JMLR 14:111",
    "pcmci": "Runge et al. 2019, Sci. Adv. 5:eaau4996",
    "partial": "Ledoit & Wolf 2004, J. Multivar. Anal. 88:365",
    "var": "Haufe et al. 2013, NeuroImage 64:120 (time-reversed Granger causality)",
}


def _citations(models: set[str]) -> list[str]:
    return [text for key, text in _PAPERS.items() if any(re.search(key, model) for model in models)]
