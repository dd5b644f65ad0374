"""What the report of a decoding run shows and says, in the order a reviewer asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import RunError
from neuroloom.core.files import read_json
from neuroloom.core.report import Facts, write_facts
from neuroloom.learn.model import find_model
from neuroloom.learn.narrate import add_study_figures, study_facts

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.crossfit import Fitted
    from neuroloom.learn.study import Prepared
    from neuroloom.signals.decode import Decode
    from neuroloom.signals.figures import Trials
    from neuroloom.signals.relevance import Relevance

EXPLAINED_TRIALS = 200
ATTRIBUTED_TRIALS = 24
MOTOR_RUNS = (6, 10, 14)
KINDS = {"eeg": "EEG", "mag": "MEG", "grad": "MEG", "emg": "EMG", "seeg": "SEEG", "ecog": "ECoG"}


def illustrate(decode: Decode, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
    """Draw data, split, results and relevance, and write `facts.json`."""
    from neuroloom.signals import figures

    dataset = prepared.dataset
    shelf = Shelf(run.folder / "artifacts")
    trials = shown_trials(dataset)
    if trials is not None:
        band = dataset.facts["cut"]["band"]
        figures.add_data_figures(shelf, trials, band and tuple(band), what=kind_of(dataset))
    add_study_figures(run, prepared, fits, target=decode.target or "")
    where = explain_fits(run, prepared, fits)
    write_facts(run.folder, Facts(**_facts(decode, run, prepared, fits), where=where))


def kind_of(dataset: Dataset) -> str:
    """Return what the signals are called, such as "EEG"."""
    return KINDS.get(dataset.facts["types"][0], "Signal")


def shown_trials(dataset: Dataset) -> Trials | None:
    """Return unfiltered trials for the pictures, or None if there are none."""
    from neuroloom.signals.figures import Trials

    place = {int(example): row for row, example in enumerate(dataset.table["example"])}
    chosen = [(k, place[r]) for k, r in enumerate(dataset.extra["shown_rows"]) if int(r) in place]
    if not chosen:
        return None
    taken, rows = map(list, zip(*chosen, strict=True))
    kept = np.isin(dataset.facts["picked"], dataset.facts["channels"])
    facts = dataset.facts
    return Trials(
        dataset.extra["shown"][taken][:, kept],
        dataset.table["label"].to_numpy()[rows].tolist(),
        facts["channels"],
        np.asarray(facts["positions"], float),
        facts["raw_rate"],
        (facts["cut"]["start"] or 0.0) - facts["lead"],
        classes=dataset.classes,
    )


def explain_fits(run: Run, prepared: Prepared, fits: list[Fitted]) -> list[str]:
    """Measure on held-out trials which sensors and bands count, and check the attribution."""
    on_folds = [fit for fit in fits if fit.job.fold >= 0 and fit.job.seed == fits[0].job.seed]
    if not on_folds:
        return []
    rows = np.concatenate([prepared.folds[fit.job.fold].test for fit in on_folds])
    owner = np.concatenate(
        [np.full(len(prepared.folds[fit.job.fold].test), k) for k, fit in enumerate(on_folds)]
    )
    kept = np.linspace(0, len(rows) - 1, min(len(rows), EXPLAINED_TRIALS)).astype(int)
    rows, owner = rows[kept].astype(int), owner[kept]

    def score(x: np.ndarray) -> np.ndarray:
        """Score each trial by the model that did not learn from it."""
        parts = [fit.learner.predict_scores(x[owner == k]) for k, fit in enumerate(on_folds)]
        out = np.zeros((len(x), *parts[0].shape[1:]))
        for k, part in enumerate(parts):
            out[owner == k] = part
        return out

    found = _relevance(prepared.dataset, score, rows)
    said = _show_relevance(run, prepared.dataset, found, "trials that the models had not seen")
    first = on_folds[0]
    held_out = prepared.folds[first.job.fold].test[:ATTRIBUTED_TRIALS]
    return said + _attribute(run, prepared.dataset, first.learner, held_out)


def explain_again(decode: Decode, run: Run) -> pd.DataFrame:
    """Measure relevance for the final model on the run's own data."""
    from neuroloom.core.report import write_report

    ensemble = decode.load_model(run)
    recipe, data = run.study
    dataset = recipe.read(data).labelled()  # type: ignore[attr-defined]
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), EXPLAINED_TRIALS)).astype(int)
    found = _relevance(dataset, ensemble.scores, rows)
    where = _show_relevance(run, dataset, found, "the final model, on the trials of the run")
    first = next(iter(ensemble.members.values()))[0]
    where += _attribute(run, dataset, first, rows[:ATTRIBUTED_TRIALS])
    facts = read_json(run.folder / "facts.json")
    write_facts(run.folder, Facts(**(facts | {"where": where})))
    write_report(run.folder)
    return found.channels


def _relevance(dataset: Dataset, score: Any, rows: np.ndarray) -> Relevance:
    from neuroloom.signals.relevance import explain

    facts = dataset.facts
    band = facts["cut"]["band"]
    return explain(
        score,
        dataset.x[rows],
        dataset.y[rows],
        facts["rate"],
        facts["channels"],
        classes=dataset.classes,
        band=band and tuple(band),
    )


def _show_relevance(run: Run, dataset: Dataset, found: Relevance, on: str) -> list[str]:
    """Put maps and tables on the shelf and say what they show."""
    from neuroloom.signals import figures

    shelf, facts = Shelf(run.folder / "artifacts"), dataset.facts
    by_name = found.channels.set_index("channel")["relevance"]
    scores = by_name.reindex(facts["channels"]).to_numpy(float)
    bands = {f"{r.low:g}-{r.high:g}": r.relevance for r in found.bands.itertuples()}
    figures.add_relevance(
        shelf, scores, facts["channels"], np.asarray(facts["positions"], float), bands,
        caption=f"Measured on {on}. Sensors: how closely the power of a sensor follows the "
        "model's belief (Haufe et al. 2014). Bands: how much worse the truth is told when a band "
        "is swapped between trials.",
    )  # fmt: skip
    words = {"section": "where"}
    shelf.add_table("relevance-by-channel", found.channels, title="Relevance by sensor", **words)
    shelf.add_table("relevance-by-band", found.bands, title="Relevance by band", **words)
    top = found.channels["channel"].head(10).tolist()
    best = found.bands.loc[found.bands["relevance"].idxmax()]
    return [
        f"The ten sensors that count most: {', '.join(top)}.",
        f"The band that counts most: {best.low:g} to {best.high:g} Hz.",
    ]


def _attribute(run: Run, dataset: Dataset, learner: Any, rows: np.ndarray) -> list[str]:
    """Attribute a net's scores to sensors by gradients, and check against random weights."""
    if not hasattr(learner, "as_module"):
        return []
    import pandas as pd

    from neuroloom.learn.explain import attribute, in_units_of, sanity_check

    x = np.array(dataset.x[rows])
    scale = x.std((0, 2))[:, None]
    module = in_units_of(learner.as_module(), scale)
    target = dataset.y[rows].copy() if dataset.task == "classification" else None
    share = np.abs(attribute(module, x / scale, target, method="saliency")).sum(2)
    share /= share.sum(1, keepdims=True)
    names = dataset.facts["channels"]
    table = pd.DataFrame({"channel": names, "attribution": share.mean(0)})
    table = table.sort_values("attribution", ascending=False, ignore_index=True)
    sanity = sanity_check(module, x / scale, target, method="saliency")
    Shelf(run.folder / "artifacts").add_table(
        "attribution_channels",
        table,
        title="Gradients, by sensor",
        caption="Share of the absolute gradient of the true class by each sensor, in units of the "
        f"sensor's own variation (captum). {sanity.verdict}",
        section="where",
    )
    return [sanity.verdict]


def _facts(decode: Decode, run: Run, prepared: Prepared, fits: list[Fitted]) -> dict[str, Any]:
    dataset = prepared.dataset
    own = {
        "title": _title(dataset),
        "question": _question(decode, dataset),
        "example": "window" if decode.window else "trial",
        "data": [{"label": k, "value": v} for k, v in _data_rows(prepared) if v],
        "trials": trial_counts(prepared),
        "method": [_method(decode, prepared)],
        "citations": _citations(decode, dataset),
    }
    return study_facts(decode, run, prepared, fits) | own


def _title(dataset: Dataset) -> str:
    if dataset.task == "regression":
        return f"{dataset.facts['cut']['target']} from {kind_of(dataset)}"
    names = dataset.classes
    said = f"{', '.join(names[:-1])} or {names[-1]}, from {kind_of(dataset)}"
    return said[0].upper() + said[1:]


def _question(decode: Decode, dataset: Dataset) -> str:
    cut = dataset.facts["cut"]
    length = cut["window"] or cut["stop"] - cut["start"]
    span = f"{length:g} s of {kind_of(dataset)}"
    if not decode.window:
        span = f"{kind_of(dataset)} from {cut['start']:g} to {cut['stop']:g} s after the event"
    if dataset.task == "regression":
        return f"How well does {span} predict {cut['target']}?"
    *first, last = dataset.classes
    return f"Can {', '.join(first)} and {last} be told apart from {span}?"


def _data_rows(prepared: Prepared) -> list[tuple[str, str]]:
    table, facts = prepared.dataset.table, prepared.dataset.facts
    cut = facts["cut"]
    channels = facts["channels"]
    shown = ", ".join(channels) if len(channels) <= 24 else f"{', '.join(channels[:10])}, …"
    resampled = facts["rate"] != facts["raw_rate"]
    unlabelled = len(prepared.everything) - len(prepared.dataset)
    return [
        ("Recordings", f"{table['path'].nunique()} files"),
        ("Subjects, sessions, runs", ", ".join(str(_units(table, k)) for k in range(3))),
        ("Channels", f"{len(channels)} ({shown})"),
        ("Sampling rate", f"{facts['rate']:g} Hz"
            + (f" (recorded at {facts['raw_rate']:g} Hz)" if resampled else "")),
        ("Reference", ", ".join(cut["reference"]) or "as recorded"),
        ("Filters", " ".join(facts["steps"]) or "none"),
        ("Rejection", f"peak to peak above {cut['reject']:g} µV, whatever the label"
            if cut["reject"] else "by amplitude: none"),
        ("Alignment", "Euclidean, each recording by itself" if cut["align"] != "none" else ""),
        ("Without a label", f"{unlabelled} examples, not used" if unlabelled else ""),
    ]  # fmt: skip


def _units(table: pd.DataFrame, level: int) -> int:
    return len(table[["subject", "session", "run"][: level + 1]].drop_duplicates())


def trial_counts(prepared: Prepared) -> list[dict[str, Any]]:
    """Count trials kept and rejected of each class, with the reasons."""
    dataset = prepared.dataset
    if dataset.task == "regression":
        return []
    rejected = dataset.extra["rejected"]
    counts = dataset.table["label"].value_counts()
    rows = []
    for name in dataset.classes:
        gone = rejected[rejected["label"].astype(str) == name]
        reasons = gone["reason"].value_counts()
        said = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        kept = int(counts.get(name, 0))
        rows.append({"class": name, "kept": kept, "rejected": len(gone), "reasons": said})
    return rows


def _method(decode: Decode, prepared: Prepared) -> str:
    dataset = prepared.dataset
    facts, model = dataset.facts, find_model(decode.model)
    cut = facts["cut"]
    window = f"pieces of {cut['window']:g} s" if cut["window"] else (
        f"trials from {cut['start']:g} to {cut['stop']:g} s after the event"
    )  # fmt: skip
    steps = " ".join(facts["steps"])
    baseline = decode.baseline(dataset.task)
    beside = f" {baseline} was fitted on the same folds as a baseline." if baseline else ""
    return (
        f"{kind_of(dataset)} of {len(facts['channels'])} channels was cut into {window}. {steps} "
        f"The model was {decode.model} ({model.summary}; {model.source}). Everything that is "
        f"learnt from data, standardisation included, was fitted on the training side of each "
        f"fold.{beside} Probabilities were calibrated by a temperature fitted on the held-out "
        "scores of the other folds. Intervals are 95 % bootstrap intervals over the units of the "
        "split."
    )


def _citations(decode: Decode, dataset: Dataset) -> list[str]:
    names = [decode.model, decode.baseline(dataset.task)]
    sources = [find_model(name).source for name in names if name]
    more = [
        "Haufe et al. (2014), NeuroImage 87, 96-110 (patterns)",
        "Guo et al. (2017), ICML, On calibration of modern neural networks (temperature)",
    ]
    return [*dict.fromkeys(sources), *more]


def demo(folder: Path) -> tuple[Path, dict[str, Any], str]:
    """See `Decode.demo`."""
    from neuroloom.io.fetch import fetch_eegbci

    fields = {"start": 1.0, "stop": 4.0, "model": "eegnet"}
    try:
        fetch_eegbci(1, list(MOTOR_RUNS), folder / "eegbci")
        imagery = {"events": {"T1": "fists", "T2": "feet"}, "split": "run"}
        what = "Decoding imagined fists and feet: PhysioNet EEGBCI, subject 1 (ODC-BY 1.0)."
        return folder / "eegbci", fields | imagery, what
    except RunError as error:
        why = str(error)
    from neuroloom.signals.simulate import write_demo

    if not any((folder / "simulated").glob("*.edf")):
        write_demo(folder / "simulated")
    hands = {"events": {"left": "left", "right": "right"}, "split": "session"}
    what = f"{why}\nInstead: EEG simulated on a template head, with two planted motor sources."
    return folder / "simulated", fields | hands, what
