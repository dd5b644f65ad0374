"""What a decoding report says in words: title, question, data, method, citations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroloom.learn.model import find_model
from neuroloom.learn.narrate import study_facts

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.signals.decode import Decode

KINDS = {"eeg": "EEG", "mag": "MEG", "grad": "MEG", "emg": "EMG", "seeg": "SEEG", "ecog": "ECoG"}


def kind_of(dataset: Dataset) -> str:
    """Return what the signals are called, such as "EEG"."""
    return KINDS.get(dataset.facts["types"][0], "Signal")


def decode_facts(
    decode: Decode, run: Run, prepared: Prepared, fits: list[Fitted]
) -> dict[str, Any]:
    """Return the fields of `core.report.Facts` for a decoding run, all but `where`."""
    dataset = prepared.dataset
    own = {
        "title": _title(dataset),
        "question": _question(decode, dataset),
        "example": "window" if decode.window else "trial",
        "data": [{"label": k, "value": v} for k, v in _data_rows(prepared) if v],
        "trials": trial_counts(prepared.dataset),
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


def trial_counts(dataset: Dataset) -> list[dict[str, Any]]:
    """Count trials kept and rejected of each class, with the reasons."""
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
