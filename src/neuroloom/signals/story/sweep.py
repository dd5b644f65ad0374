"""What a decoding sweep leaves: the tidy table, the tests, the figures and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.core.split import unit_keys
from neuroloom.learn.model import find_model
from neuroloom.learn.scoring import intervals, metrics
from neuroloom.signals.story.words import kind_of, trial_counts

if TYPE_CHECKING:
    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.signals.mvpa import Cell, Mvpa, Sweep

RESAMPLES = 1000
PLACE = ("time", "time_test", "sensor")
KING = "King & Dehaene (2014), Trends Cogn. Sci. 18, 203-210"
METRICS = ("accuracy", "balanced_accuracy", "auc")


def report_sweep(mvpa: Mvpa, run: Run, sweep: Sweep, scores: dict[Cell, np.ndarray]) -> None:
    """Write tables, metrics, figures and the report of a sweep.

    Parameters
    ----------
    scores
        Of every cell: log-probabilities of its held-out trials, (trial, spot…, class).
    """
    shelf = Shelf(run.folder / "artifacts")
    table = score_cells(sweep, scores)
    summary = summarise(mvpa, sweep, scores)
    shelf.add_table(
        "scores", table, title="Every fit and its score",
        caption="One row for each model, split, seed, fold and place; chance is the share of the "
        "most frequent class in the fold.", section="result",
    )  # fmt: skip
    shelf.add_table(
        "summary", summary, title="Scores over all held-out trials",
        caption="Mean over seeds; 95 % bootstrap interval over the units of the split; p by "
        f"{mvpa.permutations} permutations of the labels within units with the fitted models "
        "unchanged; p_corrected: against the largest accuracy over all places (max statistic).",
        section="result",
    )  # fmt: skip
    predictions = predictions_of(mvpa, sweep, scores)
    write_atomic(
        run.folder / "predictions.parquet", lambda path: predictions.to_parquet(path, index=False)
    )
    values = headline(mvpa, sweep, summary, predictions)
    write_json(run.folder / "metrics.json", values)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": k, **v} for k, v in values.items()]
    )
    tidy = tidy.astype(dict.fromkeys(("value", "low", "high", "baseline", "chance"), float))
    write_atomic(run.folder / "metrics.parquet", lambda path: tidy.to_parquet(path, index=False))
    run.log("scored", examples=len(predictions))
    _draw(mvpa, sweep, shelf, summary)
    write_facts(run.folder, Facts(**_facts(mvpa, sweep, summary)))
    run.log("reported", report=write_report(run.folder).name)


def score_cells(sweep: Sweep, scores: dict[Cell, np.ndarray]) -> pd.DataFrame:
    """Return the tidy table: model, split, seed, fold, place, n, accuracy, …, chance."""
    parts = []
    for cell, values in scores.items():
        fold = sweep.folds[cell.split][cell.fold]
        y = sweep.dataset.y[fold.test]
        part = _places(sweep, values.ndim == 4)
        flat = values.reshape(len(y), -1, values.shape[-1])
        guess = flat.argmax(2)
        part["n"] = len(y)
        part["accuracy"] = (guess == y[:, None]).mean(0)
        recalls = [(guess[y == k] == k).mean(0) for k in np.unique(y)]
        part["balanced_accuracy"] = np.mean(recalls, axis=0)
        part["auc"] = _aucs(y, flat) if values.ndim == 3 else np.nan
        part["chance"] = np.bincount(y).max() / len(y)
        head = {"model": cell.model, "split": cell.split, "seed": cell.seed, "fold": cell.fold}
        for place, (name, value) in enumerate((head | {"held_out": fold.name}).items()):
            part.insert(place, name, value)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _aucs(y: np.ndarray, scores: np.ndarray) -> list[float]:
    if len(np.unique(y)) < 2:
        return [float("nan")] * scores.shape[1]
    return [float(metrics.auc(y, scores[:, spot])) for spot in range(scores.shape[1])]


def _places(sweep: Sweep, pairs: bool) -> pd.DataFrame:
    """Return a row a spot (or pair of spots): time, time_test, sensor."""
    spots = sweep.spots
    one = pd.DataFrame({"time": [s.time for s in spots], "sensor": [s.sensor for s in spots]})
    if not pairs:
        return pd.DataFrame(
            {"time": one["time"], "time_test": one["time"], "sensor": one["sensor"]}
        )
    n = len(spots)
    return pd.DataFrame(
        {
            "time": np.repeat(one["time"].to_numpy(), n),
            "time_test": np.tile(one["time"].to_numpy(), n),
            "sensor": np.repeat(one["sensor"].to_numpy(), n),
        }
    )


def summarise(mvpa: Mvpa, sweep: Sweep, scores: dict[Cell, np.ndarray]) -> pd.DataFrame:
    """Return accuracy over all held-out trials with interval, chance and p, for each place."""
    parts = []
    for model in mvpa.models:
        for by in mvpa.splits:
            right, y, units, guesses = _collect(sweep, scores, model, by)
            part = _places(sweep, mvpa.over == "generalise")
            part.insert(0, "split", by)
            part.insert(0, "model", model)
            part["accuracy"] = right.mean(0)
            part["low"], part["high"] = _intervals(right, units, mvpa.seed)
            part["chance"] = np.bincount(y).max() / len(y)
            part["p"], part["p_corrected"] = _p_values(guesses, y, units, mvpa)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _collect(
    sweep: Sweep, scores: dict[Cell, np.ndarray], model: str, by: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Join folds and seeds of one model and split.

    Returns
    -------
    Share of seeds that were right (trial, place), classes (trial,), units (trial,), and the
    guesses of each seed (seed, trial, place).
    """
    cells = [cell for cell in scores if (cell.model, cell.split) == (model, by)]
    folds = sweep.folds[by]
    guesses = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        own = [scores[cell] for cell in cells if cell.seed == seed]
        guesses.append(np.concatenate([s.argmax(-1).reshape(len(s), -1) for s in own]))
    y = np.concatenate([sweep.dataset.y[fold.test] for fold in folds])
    names = np.concatenate([np.asarray(fold.units, dtype=object) for fold in folds])
    units = np.unique(names.astype(str), return_inverse=True)[1]
    stacked = np.stack(guesses)
    return (stacked == y[:, None]).mean(0), y, units, stacked


def _intervals(right: np.ndarray, units: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap the mean of every place over units, with pseudo-trials as in `metrics`."""
    if len(units) < 3:
        return np.full(right.shape[1], np.nan), np.full(right.shape[1], np.nan)
    rng = np.random.default_rng(seed)
    drawn = []
    value = right.mean(0)
    for weights in intervals.resample(units, RESAMPLES, rng):
        wide = intervals.add_pseudo(weights, 2, intervals.PSEUDO / 2, rng)
        ends = np.stack([np.zeros_like(value), np.ones_like(value)])
        drawn.append(wide @ np.vstack([right, ends]) / wide.sum(1, keepdims=True))
    out = intervals.tail(units)
    low, high = np.quantile(np.concatenate(drawn), [out, 1 - out], axis=0)
    return np.minimum(low, value), np.maximum(high, value)


def _p_values(
    guesses: np.ndarray, y: np.ndarray, units: np.ndarray, mvpa: Mvpa
) -> tuple[np.ndarray, np.ndarray]:
    """Permute labels within units; uncorrected p, and p against the largest over all places."""
    rng = np.random.default_rng([mvpa.seed, 11])
    order = intervals.permute_within(units, mvpa.permutations, rng)
    shuffled = y[order]
    null = np.zeros((mvpa.permutations, guesses.shape[2]))
    for k in np.unique(y):
        votes = (guesses == k).mean(0)
        null += (shuffled == k).astype(float) @ votes / len(y)
    observed = (guesses == y[:, None]).mean((0, 1))
    largest = null.max(1)
    own = (1 + (null >= observed - 1e-12).sum(0)) / (1 + mvpa.permutations)
    corrected = (1 + (largest[:, None] >= observed - 1e-12).sum(0)) / (1 + mvpa.permutations)
    if all(len(np.unique(y[units == unit])) < 2 for unit in np.unique(units)):
        return np.full(len(observed), np.nan), np.full(len(observed), np.nan)
    return own, corrected


def predictions_of(mvpa: Mvpa, sweep: Sweep, scores: dict[Cell, np.ndarray]) -> pd.DataFrame:
    """Return a row for each held-out trial, model, split, seed and place.

    Of an analysis between times, the diagonal.
    """
    from neuroloom.learn.scoring.judge import rows_of

    parts = []
    for cell, values in scores.items():
        fold = sweep.folds[cell.split][cell.fold]
        for number, spot in enumerate(sweep.spots):
            own = values[:, number, number] if values.ndim == 4 else values[:, number]
            more = {"fold": cell.fold, "unit": fold.units, "seed": cell.seed, "model": cell.model}
            more |= {"role": "model" if cell.model == mvpa.models[0] else "compared"}
            more |= {"split": cell.split, "time": spot.time, "sensor": spot.sensor}
            parts.append(rows_of(sweep.dataset, fold.test, np.exp(own.astype(float)), more))
    return pd.concat(parts, ignore_index=True)


def headline(
    mvpa: Mvpa, sweep: Sweep, summary: pd.DataFrame, predictions: pd.DataFrame
) -> dict[str, dict[str, float | None]]:
    """Return `metrics.json`, an entry for each model and split.

    Of whole trials the usual metrics; else the mean over places after the event, and the peak with
    its p-value. The first model's entries also stand under the plain names.
    """
    found: dict[str, dict[str, float | None]] = {}
    classes = sweep.dataset.classes
    for model in mvpa.models:
        for by in mvpa.splits:
            tail = f"/{model}" + (f"/{by}" if len(mvpa.splits) > 1 else "")
            own = summary[(summary["model"] == model) & (summary["split"] == by)]
            if mvpa.over == "whole":
                mine = (predictions["model"] == model) & (predictions["split"] == by)
                rows = predictions[mine].assign(role="model")
                entries = metrics.summary(rows, "classification", classes, mvpa.seed)
                found |= {f"{name}{tail}": entries[name] for name in METRICS}
            else:
                found |= {f"{name}{tail}": entry for name, entry in _peak(own).items()}
            p = own["p_corrected"].min()
            found[f"p{tail}"] = _entry(None if np.isnan(p) else float(p))
    first = f"/{mvpa.models[0]}" + (f"/{mvpa.splits[0]}" if len(mvpa.splits) > 1 else "")
    return {k.removesuffix(first): v for k, v in found.items() if k.endswith(first)} | found


def _peak(own: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Return the mean over places after the event, and the best place."""
    after = own[~(own["time"] <= 0)]
    used = after if len(after) else own
    best, chance = own.loc[own["accuracy"].idxmax()], float(own["chance"].iloc[0])
    mean = {name: float(used[name].mean()) for name in ("accuracy", "low", "high")}
    return {
        "accuracy": _entry(mean["accuracy"], mean["low"], mean["high"], chance),
        "peak_accuracy": _entry(float(best["accuracy"]), chance=chance),
        **({} if np.isnan(best["time"]) else {"peak_time": _entry(float(best["time"]))}),
    }


def _entry(
    value: float | None, low: float | None = None, high: float | None = None,
    chance: float | None = None,
) -> dict[str, float | None]:  # fmt: skip
    known = {"value": value, "low": low, "high": high, "baseline": None, "chance": chance}
    return {k: None if v is None or not np.isfinite(v) else v for k, v in known.items()}


def _draw(mvpa: Mvpa, sweep: Sweep, shelf: Shelf, summary: pd.DataFrame) -> None:
    from neuroloom.signals.figures import courses

    if mvpa.over == "whole":
        shelf.add_figure(
            "models", courses.models_compared(summary), title="Models side by side",
            caption="All on the same held-out trials.",
        )  # fmt: skip
    for by in mvpa.splits:
        own = summary[summary["split"] == by]
        tail, held = (f"-{by}", f", held out: {by}s") if len(mvpa.splits) > 1 else ("", "")
        diagonal = own[own["time"] == own["time_test"]]
        if mvpa.over in ("time", "generalise"):
            shelf.add_figure(
                f"course{tail}", courses.time_course(diagonal), title=f"Accuracy over time{held}",
                caption="Band: pointwise 95 % interval. Squares: p < 0.05 against the largest "
                "accuracy over all times. Dashed: chance. A window shows what it holds, filters "
                "smear that by their length.",
            )  # fmt: skip
        if mvpa.over == "generalise":
            for model, rows in own.groupby("model", sort=False):
                shelf.add_figure(
                    f"generalise-{model}{tail}", courses.generalisation(rows),
                    title=f"Learnt at one time, tested at another: {model}{held}",
                    caption="A square off the diagonal: one lasting pattern. Only the diagonal: a "
                    "chain of passing ones (King & Dehaene 2014).",
                )  # fmt: skip
        if mvpa.over == "sensors":
            facts = sweep.dataset.facts
            place = dict(zip(facts["channels"], facts["positions"], strict=True))
            positions = np.array([place[s.sensor] for s in sweep.spots], float)
            shelf.add_figure(
                f"searchlight{tail}", courses.searchlight(own, positions),
                title=f"Accuracy of each neighbourhood{held}",
                caption=f"Each sensor with those within {mvpa.radius:g} cm.",
            )  # fmt: skip


def _facts(mvpa: Mvpa, sweep: Sweep, summary: pd.DataFrame) -> dict[str, Any]:
    dataset = sweep.dataset
    best = summary.loc[summary["accuracy"].idxmax()]
    where = {"whole": "in whole trials", "sensors": f"around {best['sensor']}"}.get(
        mvpa.over, f"at {best['time']:.3f} s"
    )
    p = best["p_corrected"]
    said = "" if np.isnan(p) else f" (p = {p:.2g}, corrected for all places)"
    peak = (
        f"The highest accuracy, {best['accuracy']:.3f}, is that of {best['model']} {where}{said}."
    )
    sources = [find_model(name).source for name in mvpa.models]
    return {
        "title": f"{', '.join(dataset.classes)}: {_QUESTION[mvpa.over]}, from {kind_of(dataset)}",
        "question": f"{_ASKED[mvpa.over]} are {', '.join(dataset.classes)} told apart?",
        "primary": "accuracy" if mvpa.over == "whole" else "peak_accuracy",
        "example": "trial",
        "unit": mvpa.splits[0],
        "model": ", ".join(mvpa.models),
        "data": _data(mvpa, dataset),
        "trials": trial_counts(sweep.dataset),
        "split": [f"{len(folds)} folds: whole {by}s are held out." if by in ("subject", "session",
                  "run") else f"{len(folds)} folds, {by}." for by, folds in sweep.folds.items()],
        "where": [peak],
        "notes": ["The best of several models and places was found on the trials that score them; "
                  "p_corrected accounts for the places, not for the number of models."]
        if len(mvpa.models) > 1 or mvpa.over != "whole" else [],
        "method": [
            "Everything learnt from data was fitted on the training side of each fold. Intervals "
            "are 95 % bootstrap intervals over units; p-values permute labels within units and "
            "leave the fitted models as they are (Phipson & Smyth 2010)."
        ],
        "citations": [*dict.fromkeys(sources), KING],
        "meanings": {
            "peak_accuracy": "The highest accuracy over all places; chosen on the result, so it "
            "has no interval: see p.",
            "peak_time": "Where that is, s after the event.",
            "p": "How often permuted labels reach the highest accuracy anywhere.",
        },
    }  # fmt: skip


_QUESTION = {"whole": "which model", "time": "when", "generalise": "how stably", "sensors": "where"}
_ASKED = {
    "whole": "How well", "time": "When", "generalise": "When, and how stably,", "sensors": "Where",
}  # fmt: skip


def _data(mvpa: Mvpa, dataset: Dataset) -> list[dict[str, str]]:
    facts, table = dataset.facts, dataset.table
    rows = {
        "Recordings": f"{table['path'].nunique()} files",
        "Units": ", ".join(f"{len(set(unit_keys(table, u)))} {u}s" for u in ("subject", "run")),
        "Channels": str(len(facts["channels"])),
        "Sampling rate": f"{facts['rate']:g} Hz",
        "Filters": " ".join(facts["steps"]) or "none",
        "Models": ", ".join(mvpa.models),
        "Seeds": str(mvpa.seeds),
    }
    if mvpa.over in ("time", "generalise"):
        rows["Sliding window"] = f"{mvpa.width:g} s, every {mvpa.step:g} s"
    return [{"label": label, "value": value} for label, value in rows.items()]
