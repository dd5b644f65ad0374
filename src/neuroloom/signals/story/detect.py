"""What the report of a detection shows and says, in the order a reviewer asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.model import find_model
from neuroloom.learn.narrate import add_split_figure, study_facts
from neuroloom.signals.story.words import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.detect import Detect
    from neuroloom.signals.examples.events import Rule

SHOWN = 4
# One recording as one fit sees it: the fit, its rule, the path and the probabilities.
Seen = tuple["Fitted", "Rule", str, np.ndarray]


def illustrate(detect: Detect, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw and tabulate what was found, and write `facts.json`."""
    from neuroloom.learn import figures as common

    shelf = Shelf(run.folder / "artifacts")
    add_split_figure(run, prepared)
    on_folds = [fit for fit in fits if fit.job.fold >= 0]
    seen = list(detect.judged(prepared, on_folds))
    said: list[str] = []
    if seen:
        events = _events(detect, prepared.dataset, seen)
        _add_tables(shelf, run.predictions, events)
        _add_stretches(shelf, prepared.dataset, seen)
        said = _add_density(shelf, prepared.dataset, events)
        _add_errors(shelf, events)
        _add_curves(shelf, detect, prepared.dataset, seen, run.predictions)
    histories = [fit.history for fit in fits if fit.history]
    if histories:
        shelf.add_figure(
            "learning-curves",
            common.learning_curves(histories),
            title="Learning curves",
            caption="Thin: each fit. Bold: their mean, as far as all fits ran.",
            section="training",
        )
    write_facts(run.folder, Facts(**_facts(detect, run, prepared, fits), where=said))


def _events(detect: Detect, dataset: Dataset, seen: list[Seen]) -> pd.DataFrame:
    """Return every found and missed event of every seed."""
    import pandas as pd

    from neuroloom.signals.examples.events import judge

    parts = []
    for fit, rule, path, p in seen:
        table = judge(dataset, path, p, rule, detect.iou)[1]
        table.insert(0, "seed", fit.job.seed)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _add_tables(shelf: Shelf, predictions: pd.DataFrame, events: pd.DataFrame) -> None:
    from neuroloom.signals.measures import event_scores

    rows = predictions.groupby(["role", "unit"], sort=False)[["tp", "y_true", "y_pred"]].mean()
    table = rows.reset_index()
    scores = [event_scores(r.tp, r.y_true, r.y_pred) for r in table.itertuples()]
    for name in ("f1", "precision", "recall"):
        table[name] = [score[name] for score in scores]
    shelf.add_table(
        "unit-scores",
        table.rename(columns={"y_true": "true", "y_pred": "found", "tp": "hits"}),
        title="Each unit on its own",
        caption="Events there, found, and matched; means over seeds.",
        section="result",
    )
    shelf.add_table(
        "events",
        events,
        title="Every event",
        caption="Found events beside the true ones that they match, and missed ones. Times in s.",
        section="result",
    )


def _add_stretches(shelf: Shelf, dataset: Dataset, seen: list[Seen]) -> None:
    """Show of a few recordings the stretch with the most true events."""
    from neuroloom.signals.figures import events as figures

    rate, first = dataset.facts["rate"], seen[0][0].job.seed
    factor, unit = (1e6, "µV") if dataset.facts["scale"] == "none" else (1.0, "SD")
    drawn: list[Any] = []
    threshold = seen[0][1].threshold
    for fit, rule, path, p in seen:
        if fit.job.seed != first or len(drawn) == SHOWN:
            continue
        own = dataset.table[dataset.table["path"] == path]
        row = own.loc[own["label"].astype(float).idxmax()]
        start = round(float(row["onset"]) * rate)
        x = dataset.x[int(own.index[own["example"] == row["example"]][0]), 0] * factor
        part = p[:, start : start + len(x)]
        marks = dataset.extra["events"]
        true = marks.loc[marks["path"] == path, ["onset", "stop"]].to_numpy(float)
        found = np.concatenate([rule.find(trace, rate) for trace in p[1:]])
        begin, end = start / rate, (start + len(x)) / rate
        inside = [_within(rows, begin, end) for rows in (true, found)]
        title = f"{path}, from {begin:.0f} s"
        drawn.append((title, x, 1 - part[0], *inside))
    shelf.add_figure(
        "stretches",
        figures.stretches(drawn, rate, unit, threshold),
        title="True and found events",
        caption="Of each recording the stretch with the most true events, while it was held out. "
        "Orange: true. Green: found, where the probability below exceeds the dashed line.",
        section="result",
    )


def _within(events: np.ndarray, begin: float, end: float) -> np.ndarray:
    rows = events[(events[:, 1] > begin) & (events[:, 0] < end)]
    return rows.clip(begin, end) - begin


def _add_density(shelf: Shelf, dataset: Dataset, events: pd.DataFrame) -> list[str]:
    """Tabulate events per minute, in each sleep stage where the stages are known."""
    import pandas as pd

    from neuroloom.signals.figures import events as figures

    seeds, rows = events["seed"].nunique(), []
    for path, own in events.groupby("path", sort=False):
        seconds = dataset.extra["samples"][path] / dataset.facts["rate"]
        true = dataset.extra["events"]
        parts = {
            "true": (true[true["path"] == path]["onset"], 1),
            "found": (own[own["kind"] != "missed"]["onset"], seeds),
        }
        rows += _density_rows(str(path), dataset.extra["marks"][path], seconds, parts)
    table = pd.DataFrame(rows)
    shelf.add_table("density", table, title="Events per minute", section="result")
    shelf.add_figure(
        "density",
        figures.densities(table.head(40)),
        title="Events per minute",
        caption="In each recording and, where its sleep stages are known, in each stage.",
        section="result",
    )
    whole = table[table["stage"] == ""]
    gap = (whole["found"] - whole["true"]).abs().mean()
    return [f"Found and true density differ by {gap:.2f} events per minute on average."]


def _density_rows(
    path: str, marks: pd.DataFrame, seconds: float, parts: dict[str, Any]
) -> list[dict[str, Any]]:
    from neuroloom.signals.examples import sleep
    from neuroloom.signals.measures import density, density_by_stage

    known = sleep.stage_marks(marks, sleep.Staging())
    told: dict[str, dict[str, float]] = {"": {}}
    for which, (onset, seeds) in parts.items():
        begin = onset.to_numpy(float)
        both = np.column_stack([begin, begin])
        told[""][which] = density(both, seconds) / seeds
        if len(known):
            page = sleep.page_of(known["duration"].tolist())
            start, stages = sleep.hypnogram(known, page, seconds)
            shares = density_by_stage(both - start, stages, page)
            for stage, value in shares.items():
                told.setdefault(stage, {})[which] = value / seeds
    return [{"recording": path, "stage": stage, **values} for stage, values in told.items()]


def _add_errors(shelf: Shelf, events: pd.DataFrame) -> None:
    from neuroloom.signals.figures import events as figures

    hits = events[events["kind"] == "hit"]
    if len(hits) == 0:
        return
    onset = hits["onset"] - hits["true_onset"]
    length = hits["duration"] - hits["true_duration"]
    shelf.add_figure(
        "errors",
        figures.errors(hits),
        title="How well hits are placed",
        caption=f"Median onset error {onset.median():+.2f} s (absolute {onset.abs().median():.2f} "
        f"s), median duration error {length.median():+.2f} s, over {len(hits)} hits of all seeds.",
        section="result",
    )


def _add_curves(
    shelf: Shelf, detect: Detect, dataset: Dataset, seen: list[Seen], predictions: pd.DataFrame
) -> None:
    """Move the threshold over its range, all recordings and seeds pooled."""
    from dataclasses import replace

    import pandas as pd

    from neuroloom.signals.examples.events import THRESHOLDS, judge
    from neuroloom.signals.figures import events as figures
    from neuroloom.signals.measures import event_scores

    rows = []
    for threshold in THRESHOLDS:
        counts = [
            judge(dataset, path, p, replace(rule, threshold=threshold), detect.iou)[0]
            for _, rule, path, p in seen
        ]
        total = [float(sum(c[key] for c in counts)) for key in ("tp", "y_true", "y_pred")]
        rows.append({"threshold": threshold, **event_scores(*total)})
    table = pd.DataFrame(rows)
    chosen = {}
    for role, own in predictions.groupby("role"):
        told = event_scores(*(float(own[key].sum()) for key in ("tp", "y_true", "y_pred")))
        chosen[str(role)] = (told["recall"], told["precision"])
    curves = {"model": (table["recall"].to_numpy(), table["precision"].to_numpy())}
    if "baseline" in chosen:
        curves["baseline"] = tuple(np.array([value]) for value in chosen["baseline"])  # type: ignore[assignment]
    shelf.add_figure(
        "precision-recall",
        figures.precision_recall(curves, chosen),
        title="Precision and recall over thresholds",
        caption="All held-out recordings and seeds pooled. The dot is the threshold in use; the "
        "best point of the curve is not a result, as it was seen on what is judged.",
        section="result",
    )
    shelf.add_table("thresholds", table, title="Scores over thresholds", section="result")


def _facts(detect: Detect, run: Run, prepared: Prepared, fits: list[Fitted]) -> dict[str, Any]:
    dataset = prepared.dataset
    names = ", ".join(dataset.classes[1:])
    own = {
        "title": f"Events found in {kind_of(dataset)}: {names}",
        "question": f"Where are the events ({names}) in recordings that were not learnt from? A "
        f"found event is a hit if it overlaps a true one by {detect.iou:g} (intersection over "
        "union) or more.",
        "example": "recording",
        "data": [{"label": k, "value": v} for k, v in data_rows(prepared) if v],
        "method": [_method(detect, run, prepared)],
        "citations": [
            *dict.fromkeys(
                find_model(name).source
                for name in (detect.model, detect.baseline(dataset.task))
                if name
            ),
            "Warby et al. (2014), Nature Methods 11, 385-392 (events matched by overlap)",
        ],
    }
    return study_facts(detect, run, prepared, fits) | own


def data_rows(prepared: Prepared) -> list[tuple[str, str]]:
    """Return what the report says of recordings that were read whole."""
    dataset, facts = prepared.dataset, prepared.dataset.facts
    table = dataset.table
    unmarked = prepared.everything.table["path"].nunique() - table["path"].nunique()
    scale = "volts" if facts["scale"] == "none" else "each channel by its own robust deviation"
    rows = [
        ("Recordings", f"{table['path'].nunique()} files"),
        ("Subjects", str(table["subject"].nunique())),
        ("Channels", f"{len(facts['channels'])} ({', '.join(facts['channels'][:12])})"),
        ("Sampling rate", f"{facts['rate']:g} Hz"),
        ("Filters", " ".join(facts["steps"]) or "none"),
        ("Scale", scale),
        ("Without marks", f"{unmarked} recordings, not used" if unmarked else ""),
    ]
    events = dataset.extra.get("events")
    if events is None:
        return rows
    counts = events["event"].value_counts()
    return [*rows, ("Events", ", ".join(f"{n} {name}" for name, n in counts.items()))]


def _method(detect: Detect, run: Run, prepared: Prepared) -> str:
    dataset, model = prepared.dataset, find_model(detect.model)
    rule = read_json(run.folder / "plan.json").get("reason", "")
    how = (
        f"fixed at {detect.threshold:g}"
        if detect.threshold is not None
        else "chosen on the training recordings of each fold"
    )
    return (
        f"{kind_of(dataset)} was read whole. {' '.join(dataset.facts['steps'])} The model was "
        f"{detect.model} ({model.summary}; {model.source}), trained on stretches of "
        f"{detect.window:g} s ({rule}). Recordings that were held out were predicted in "
        "overlapping stretches, whose probabilities were averaged. Samples above the threshold, "
        f"{how}, became events; bounds of their length and the gap over which pieces are joined "
        "came from the training events where they were not given. Found and true events were "
        "matched one to one, as many as possible (linear assignment). Counts were pooled over "
        "recordings; intervals are 95 % bootstrap intervals over the units of the split."
    )
