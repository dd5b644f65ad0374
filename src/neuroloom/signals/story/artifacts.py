"""What the report of an artefact study shows: artefacts found, by strength, and gaps filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.figures import MODEL, SOFT, canvas, colour, styled
from neuroloom.learn.model import find_model
from neuroloom.learn.narrate import add_study_figures, study_facts
from neuroloom.signals.story.words import kind_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.artifacts import Artifacts

SHOWN = 6


def illustrate(recipe: Artifacts, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw and say what a reader of an artefact study looks for."""
    from neuroloom.signals.mending.cleaning import load_filler

    shelf, metrics = Shelf(run.folder / "artifacts"), read_json(run.folder / "metrics.json")
    add_study_figures(run, prepared, fits)
    predictions = run.predictions
    mine = predictions[predictions["role"] == "model"]
    if len(mine):
        rows = worst_and_best(mine)
        by_example = prepared.dataset.table.reset_index(drop=True)
        place = {int(e): k for k, e in enumerate(by_example["example"])}
        x = prepared.dataset.x[[place[int(e)] for e in rows["example"]], 0]
        shelf.add_figure(
            "windows", draw_windows(x, rows, prepared.dataset.facts["rate"]),
            title="Windows that the detector was sure of, and wrong about",
            caption="Held-out windows, in robust deviations of the channel. Above each: what it "
            "is, and the probability of an artefact.", section="result",
        )  # fmt: skip
    levels = {k: v for k, v in metrics.items() if k.startswith("auc/") and "from" not in k}
    if levels:
        shelf.add_figure(
            "levels", draw_levels(levels), title="How strong must an artefact be to be found?",
            caption="AUC of the windows with artefacts of one strength against all clean ones; "
            "bars: 95 % interval. Grey: a threshold on the window's power.", section="result",
        )  # fmt: skip
    filler = load_filler(run)
    if filler is not None:
        shelf.add_figure(
            "gaps", draw_gaps(prepared, filler), title="Gaps filled by the forecaster",
            caption="Stretches of clean signal with 100 ms taken out. These are of the recordings "
            "it has learnt from; `gap_rmse` is measured on held-out ones.", section="result",
        )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, run, prepared, fits)))


def worst_and_best(mine: pd.DataFrame) -> pd.DataFrame:
    """Return a few windows: artefacts found, artefacts missed, clean ones called artefacts."""
    import pandas as pd

    truth, p = mine["y_true"] == "artifact", mine["p_artifact"]
    order = p.sort_values().index
    hit = [k for k in order[::-1] if truth[k]][:2]
    missed = [k for k in order if truth[k]][:2]
    false = [k for k in order[::-1] if not truth[k]][:2]
    return pd.concat([mine.loc[hit], mine.loc[missed], mine.loc[false]])


@styled
def draw_windows(x: np.ndarray, rows: pd.DataFrame, rate: float) -> Figure:
    """Draw windows side by side, all on one scale."""
    figure, axes = canvas(3.6, rows=2, columns=3, sharex=True, sharey=True)
    time = 1000 * np.arange(x.shape[1]) / rate
    for panel, samples, row in zip(axes.flat, x, rows.to_dict("records"), strict=False):
        truth = row["kind"] or row["y_true"]
        tint = MODEL if row["y_true"] == "clean" else colour(1)
        panel.plot(time, samples, color=tint, lw=1)
        panel.set_title(f"{truth}, p = {row['p_artifact']:.2f}", fontsize=10)
    for panel in axes[-1]:
        panel.set_xlabel("Time (ms)")
    for panel in axes.flat[len(rows) :]:
        panel.set_axis_off()
    return figure


@styled
def draw_levels(levels: dict[str, dict[str, float | None]]) -> Figure:
    """Draw the AUC by strength, with interval, beside the threshold's."""
    figure, axes = canvas(2.8)
    known = {float(k[4:-2]): v for k, v in levels.items()}
    for number, (_, entry) in enumerate(sorted(known.items())):
        if entry["baseline"] is not None:
            axes.plot(number, entry["baseline"], "o", color=SOFT, ms=6)
        if entry["low"] is not None:
            axes.plot([number, number], [entry["low"], entry["high"]], color=MODEL, lw=2)
        axes.plot(number, entry["value"], "o", color=MODEL, ms=7)
    axes.set_xticks(range(len(known)), [f"{level:g}" for level in sorted(known)])
    axes.axhline(0.5, color=SOFT, lw=1, ls=(0, (4, 3)))
    axes.set(xlabel="Artefact over signal (dB)", ylabel="AUC", ylim=(0.45, 1.02))
    axes.margins(x=0.2)
    return figure


@styled
def draw_gaps(prepared: Prepared, filler: Any) -> Figure:
    """Draw clean stretches with a gap, and what the forecaster puts in."""
    from neuroloom.signals.mending.cleaning import clean_stretches

    traces = clean_stretches(prepared, np.arange(len(prepared.dataset)))
    longest = max(traces, key=len)
    length = filler.lengths[0]
    x = filler.stretches([longest], length, most=10**9, fewest=1)
    x = x[np.linspace(0, len(x) - 1, min(SHOWN, len(x))).astype(int)]
    sides, _ = filler.split(x, length)
    figure, axes = canvas(3.6, rows=2, columns=3, sharex=True, sharey=True, squeeze=False)
    near = round(0.4 * filler.rate)
    time = 1000 * (np.arange(x.shape[1]) - filler.context) / filler.rate
    shown = slice(max(0, filler.context - near), filler.context + length + near)
    gap = slice(filler.context, filler.context + length)
    for panel, whole, guess in zip(axes.flat, x, filler.predict(sides, length), strict=False):
        panel.axvspan(time[gap][0], time[gap][-1], color="#ececec", lw=0)
        panel.plot(time[shown], whole[shown], color=SOFT, lw=1)
        panel.plot(time[gap], guess, color=MODEL, lw=1.8)
    for panel in axes[-1]:
        panel.set_xlabel("Time (ms)")
    return figure


def _facts(recipe: Artifacts, run: Run, prepared: Prepared, fits: list[Fitted]) -> dict[str, Any]:
    dataset = prepared.dataset
    facts = dataset.facts
    how = {
        "inject": f"{recipe.per_minute:g} known artefacts a minute were put into each channel, "
        f"{recipe.copies} times over: jumps, bursts of mains, spikes and saturation, as strong as "
        "the signal (0 dB) and stronger.",
        "threshold": "Windows whose power stands out were called artefacts.",
        "events": f"Artefacts are the annotations {', '.join(recipe.events)}.",
    }[recipe.labels]
    rows = {
        "Recordings": f"{dataset.table['path'].nunique()} files",
        "Channels": f"{len(facts['recorded'])}, each by itself",
        "Sampling rate": f"{facts['rate']:g} Hz",
        "Windows": f"{recipe.window:g} s",
        "Filters": " ".join(facts["steps"]) or "none",
    }
    counts = dataset.table["label"].value_counts()
    own = {
        "title": f"Artefacts in {kind_of(dataset)}: found and replaced",
        "question": "Which stretches are not signal, and what should stand in their place?",
        "example": "window",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "trials": [{"class": name, "kept": int(counts.get(name, 0))} for name in dataset.classes],
        "method": [
            f"{how} The detector was {recipe.model} ({find_model(recipe.model).summary}). What was "
            "found can be replaced by two-sided ridge regression, corrected by a small perceptron, "
            f"on {recipe.context:g} s of signal on both sides."
        ],
        "citations": [find_model(recipe.model).source],
        "meanings": {
            "gap_rmse": "Root mean square error inside 100-ms gaps of held-out clean signal (µV). "
            "Baseline: two-sided ridge regression. Chance: the mean.",
            "auc/from 6dB": "AUC of artefacts of 6 dB and more against clean windows.",
        },
    }  # fmt: skip
    return study_facts(recipe, run, prepared, fits) | {"primary": "auc"} | own
