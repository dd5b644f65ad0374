"""Every channel of every recording in windows, labelled clean or artefact."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset, require_classes
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.signals.examples.traces import Source, Trace, robust_spread
from neuroloom.signals.mending.contaminate import contaminate

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.recordings.find import Found
    from neuroloom.signals.artifacts import Artifacts

CLASSES = ["clean", "artifact"]
LEAST_SHARE, LEAST_OF_ARTIFACT = 0.25, 0.5
USUAL_THRESHOLD = 4.0
FEWEST_SAMPLES = 8


@dataclass
class _Piece:
    """The windows of one channel, once contaminated."""

    rows: pd.DataFrame
    x: np.ndarray


def read_windows(recipe: Artifacts, found: Found, trained: dict[str, Any] | None = None) -> Dataset:
    """Cut recordings into windows of one channel, with the labels that the recipe asks for.

    Parameters
    ----------
    trained
        The facts of a model, for its new data.

    Returns
    -------
    Dataset
        `x` (window, 1, time) in robust deviations of the recording; columns channel, copy, kind
        and level (dB) of what was put in. `extra["traces"]` holds the clean traces.
    """
    import pandas as pd

    axes = trained and trained["axes"]
    rate = axes["rate"] if axes else recipe.rate or _rate(found)
    source = Source(found, recipe.cut(rate), axes, scale="none")
    length = round(recipe.window * rate)
    if length < FEWEST_SAMPLES:
        raise ConfigError(
            f"window={recipe.window:g} s holds {length} samples; {FEWEST_SAMPLES} are the least. "
            "Raise it."
        )
    shortest = min(source.headers, key=lambda path: source.headers[path].duration)
    if recipe.window > source.headers[shortest].duration:
        raise ConfigError(
            f"window={recipe.window:g} s is longer than {shortest} "
            f"({source.headers[shortest].duration:g} s). Lower it."
        )
    traces = list(source)
    pieces = [piece for trace in traces for piece in _cut(recipe, trace, length)]
    table = pd.concat([piece.rows for piece in pieces], ignore_index=True)
    if trained is None:
        require_classes(table, found.root.name)
    where = table["path"] + "/" + table["channel"] + "#" + table["copy"].astype(str)
    table.insert(0, "name", where + "@" + table["onset"].map("{:.4f}".format))
    table.insert(0, "example", np.arange(len(table)))
    first = traces[0]
    notes = dict.fromkeys(note for trace in traces for note in trace.facts.pop("notes"))
    facts = first.facts | {
        "recorded": first.facts["channels"], "channels": ["signal"], "n_times": length,
        "types": first.facts["types"][:1], "positions": [[float("nan")] * 3],
    }  # fmt: skip
    findings = [*source.findings, *(Finding("warning", "The reader remarked", n) for n in notes)]
    findings += _how_labelled(recipe)
    x = np.concatenate([piece.x for piece in pieces])
    extra = {"hashes": source.hashes, "traces": traces}
    return Dataset(table, x, "classification", list(CLASSES), facts, findings, extra)


def spread_of(samples: np.ndarray) -> float:
    """Return the robust standard deviation of a channel (time,), or 1 where it is silent."""
    return float(robust_spread(samples[None])[0, 0]) or 1.0


def _rate(found: Found) -> float:
    from neuroloom import io

    return min(io.peek(found.root / path).rate for path in found.table["path"])


def _cut(recipe: Artifacts, trace: Trace, length: int) -> list[_Piece]:
    pieces = []
    for number, channel in enumerate(trace.facts["channels"]):
        clean = trace.x[number].astype(float) / spread_of(trace.x[number])
        copies = recipe.copies if recipe.labels == "inject" else 1
        for copy in range(copies):
            # The same recording gets the same artefacts wherever it stands among others.
            key = [recipe.seed, copy, number, len(clean)]
            samples, truth = _labelled(recipe, trace, clean, np.random.default_rng(key))
            rows, x = _windows(samples, truth, length, trace.rate)
            if recipe.labels == "threshold":
                rows["label"] = _by_power(x, recipe.threshold or USUAL_THRESHOLD)
            for name, value in {"path": trace.path, **trace.units}.items():
                rows[name] = value
            rows["channel"], rows["copy"] = channel, copy
            pieces.append(_Piece(rows, x))
    return pieces


def _labelled(
    recipe: Artifacts, trace: Trace, clean: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the samples of a channel, and its artefacts: kind, level, first, last."""
    import pandas as pd

    if recipe.labels == "inject":
        count = max(4, round(recipe.per_minute * trace.seconds / 60))
        return contaminate(clean, trace.rate, count, rng)
    rows = []
    labels = trace.marks["label"].astype(str)
    for onset, duration, label in zip(
        trace.marks["onset"], trace.marks["duration"], labels, strict=True
    ):
        if any(fnmatchcase(label, pattern) for pattern in recipe.events):
            first, last = round(onset * trace.rate), round((onset + duration) * trace.rate)
            rows.append(
                {"kind": label, "level": np.nan, "first": first, "last": max(last, first + 1)}
            )
    if recipe.labels == "events" and not rows:
        raise DataError(
            f"{trace.path}: none of its annotations is one of {', '.join(recipe.events)}. Mend "
            "`events`, or leave the file out with `include`."
        )
    return clean, pd.DataFrame(rows, columns=["kind", "level", "first", "last"])


def _windows(
    samples: np.ndarray, truth: pd.DataFrame, length: int, rate: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Cut neighbouring windows.

    A window is an artefact if a quarter of it is one, or if it holds half of one; if it touches one
    by less, nobody can say, and it has no label.
    """
    import pandas as pd

    firsts = np.arange(0, len(samples) - length + 1, length)
    x = np.stack([samples[f : f + length] for f in firsts])[:, None].astype(np.float32)
    begin, end = truth["first"].to_numpy(float), truth["last"].to_numpy(float)
    shared = np.minimum(firsts[:, None] + length, end) - np.maximum(firsts[:, None], begin)
    shared = np.maximum(shared, 0)
    enough = (shared >= LEAST_SHARE * length) | (shared >= LEAST_OF_ARTIFACT * (end - begin))
    enough &= shared > 0
    hit, touched = enough.any(1), (shared > 0).any(1)
    label = np.full(len(firsts), "clean", dtype=object)
    label[touched] = None
    label[hit] = "artifact"
    which = np.where(enough, shared, 0).argmax(1) if len(truth) else np.zeros(len(firsts), int)
    table = pd.DataFrame({"onset": firsts / rate, "stop": (firsts + length) / rate})
    table["label"] = pd.Series(label, dtype=object)
    table["kind"] = [truth["kind"].iloc[k] if h else "" for k, h in zip(which, hit, strict=True)]
    table["level"] = [
        float(truth["level"].iloc[k]) if h else np.nan for k, h in zip(which, hit, strict=True)
    ]
    return table, x


def _by_power(x: np.ndarray, threshold: float) -> np.ndarray:
    """Label windows whose power stands out from the channel's own.

    The power is the sum of squares; what stands out is so many robust deviations (1.4826 x the
    median absolute deviation) above the median of its logarithm.
    """
    power = np.log(np.square(x[:, 0]).sum(1) + 1e-12)
    middle = np.median(power)
    spread = 1.4826 * np.median(np.abs(power - middle)) + 1e-12
    return np.where(power > middle + threshold * spread, "artifact", "clean").astype(object)


def _how_labelled(recipe: Artifacts) -> list[Finding]:
    if recipe.labels == "threshold":
        return [
            Finding(
                "warning",
                "The labels are a threshold",
                "A window is called an artefact because its power is high: a detector that learns "
                "this can only be as right as the threshold. Look at the windows.",
            )
        ]
    if recipe.labels == "inject":
        return [
            Finding(
                "note",
                "The artefacts were put in",
                "Jumps, mains bursts, spikes and saturation of known strength were added to the "
                "recordings. Artefacts of another kind may be missed; what the recording already "
                "held counts as clean.",
            )
        ]
    return []
