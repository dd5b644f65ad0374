"""Events in recordings: from marks to targets a sample, and from probabilities back to events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import UNITS, Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.heap import Heap, memory
from neuroloom.learn.scoring.metrics import OTHER_IOUS
from neuroloom.signals.examples.traces import Source, Trace, labels_there, match_labels
from neuroloom.signals.measures import as_events, find_events, match_events, merge_events, overlap

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.recordings.find import Found
    from neuroloom.signals.examples.cut import Cut

BACKGROUND = "background"
THRESHOLDS = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2).tolist())
BEYOND = 0.5


@dataclass(frozen=True)
class Rule:
    """How a probability at every sample becomes events.

    Attributes
    ----------
    threshold
        An event lasts as long as its probability is above this.
    shortest, longest
        Seconds; others are dropped.
    gap
        Seconds; pieces no further apart are one event.

    Examples
    --------
    >>> Rule().fitted_to(np.array([[1.0, 2.0], [5.0, 6.0]]))
    Rule(threshold=0.5, shortest=0.5, longest=2.0, gap=0.25)
    """

    threshold: float = 0.5
    shortest: float | None = None
    longest: float | None = None
    gap: float | None = None

    def fitted_to(self, events: np.ndarray) -> Rule:
        """Fill in what is open from the durations of training events (onset, stop).

        Half of what 95 % of them exceed, twice what 95 % of them stay below, and for the gap half
        of the shortest.
        """
        if len(events) == 0:
            return Rule(self.threshold, self.shortest or 0.0, self.longest or 1e9, self.gap or 0.0)
        low, high = np.quantile(events[:, 1] - events[:, 0], [0.05, 0.95])
        shortest = low / 2 if self.shortest is None else self.shortest
        longest = 2 * high if self.longest is None else self.longest
        gap = shortest / 2 if self.gap is None else self.gap
        return Rule(self.threshold, float(shortest), float(longest), float(gap))

    def find(self, p: np.ndarray, rate: float) -> np.ndarray:
        """Return the events (onset, stop) of a probability (time,); NaN is no event."""
        bounds = {"shortest": self.shortest or 0.0, "longest": self.longest or np.inf}
        above = np.nan_to_num(p) > self.threshold
        return find_events(above, rate, gap=self.gap or 0.0, **bounds)


def read_events(
    found: Found,
    cut: Cut,
    wanted: dict[str, str],
    window: float,
    trained: dict[str, Any] | None = None,
    scale: str = "none",
) -> Dataset:
    """Cut recordings into overlapping stretches with the class of every sample.

    Parameters
    ----------
    found, cut
        The files, and what to pick and how to filter.
    wanted
        Annotation label or glob -> class of event. Marks of one class that overlap are one event.
    window
        Length of a stretch, s; the next one begins half of it later.
    trained
        The facts of a model, for its new data; recordings without marks are then just unlabelled.
    scale
        "none" or "recording", see `traces.Source`.

    Returns
    -------
    Dataset
        `x` (stretch, channel, time), `truth` (stretch, time): 0 background, 1 … the classes, -1 in
        bad stretches and in recordings without any such mark. `extra` holds the events.

    Raises
    ------
    ConfigError, DataError
        If no mark is of the wanted kind, one lies outside its recording, or a stretch is longer
        than a recording.
    """
    source = Source(found, cut, trained and trained["axes"], scale)
    if trained is None:
        labels = match_labels(wanted, labels_there(source.headers), "events")
    else:
        there = {str(label) for h in source.headers.values() for label in h.annotations["label"]}
        known = {pattern: name for pattern, name in wanted.items() if _fits(pattern, there)}
        labels = match_labels(known, sorted(there), "events")
    _check_lengths(source, window)
    names = [BACKGROUND, *dict.fromkeys(wanted.values())]
    heap = Heap(0.4 * memory())
    pieces = [_cut(trace, labels, names, window, heap) for trace in source]
    return _assembled(source, pieces, names, heap)


@dataclass
class _Piece:
    rows: pd.DataFrame
    truth: np.ndarray
    events: pd.DataFrame
    trace: Trace


def _fits(pattern: str, there: Iterable[str]) -> bool:
    from fnmatch import fnmatchcase

    return any(label == pattern or fnmatchcase(label, pattern) for label in there)


def _check_lengths(source: Source, window: float) -> None:
    shortest = min(source.headers, key=lambda path: source.headers[path].duration)
    seconds = source.headers[shortest].duration
    if window > seconds:
        raise ConfigError(
            f"window: a stretch of {window:g} s is longer than {shortest} ({seconds:g} s). Lower "
            "`window`, or leave that file out with `include`."
        )


def _cut(
    trace: Trace, labels: dict[str, str], names: list[str], window: float, heap: Heap
) -> _Piece:
    import pandas as pd

    events = events_of(trace, labels)
    target = target_of(trace, events, names) if len(events) else np.full(trace.x.shape[1], -1, "i1")
    length = round(window * trace.rate)
    starts = stretch_starts(trace.x.shape[1], length)
    heap.add(np.stack([trace.x[:, s : s + length] for s in starts]))
    onset = starts / trace.rate
    begins = events["onset"].to_numpy(float)
    table = pd.DataFrame({"onset": onset, "stop": onset + window})
    counts = [int(((begins >= s) & (begins < s + window)).sum()) for s in onset]
    table["label"] = pd.Series(counts if len(events) else [None] * len(onset), dtype=object)
    for name, value in {"path": trace.path, **trace.units}.items():
        table[name] = value
    truth = np.stack([target[s : s + length] for s in starts])
    # The samples are in the heap: keeping them here, too, would double the memory.
    slim = replace(trace, x=trace.x[:, :0].copy(), facts=trace.facts | {"n": len(target)})
    return _Piece(table, truth, events, slim)


def stretch_starts(n_times: int, length: int) -> np.ndarray:
    """Return the first samples of stretches that overlap by half and reach both ends.

    Examples
    --------
    >>> stretch_starts(1050, 400).tolist()
    [0, 200, 400, 600, 650]
    """
    starts = np.arange(0, n_times - length + 1, max(1, length // 2))
    return starts if starts[-1] + length == n_times else np.append(starts, n_times - length)


def events_of(trace: Trace, labels: dict[str, str]) -> pd.DataFrame:
    """Return the events of a recording: path, event, onset, stop; marks of a class united."""
    import pandas as pd

    marks = trace.marks[trace.marks["label"].astype(str).isin(labels)]
    for onset, duration, label in marks[["onset", "duration", "label"]].itertuples(index=False):
        if onset < 0 or onset + duration > trace.seconds + BEYOND:
            raise DataError(
                f"{trace.path}: '{label}' from {onset:g} to {onset + duration:g} s lies outside "
                f"the recording, which lasts {trace.seconds:g} s. Mend the marks."
            )
    kinds = marks["label"].astype(str).map(labels)
    parts = []
    for name in dict.fromkeys(labels.values()):
        own = marks[(kinds == name).to_numpy()]
        rows = merge_events(as_events(own["onset"], own["duration"]))
        parts.append(pd.DataFrame({"event": name, "onset": rows[:, 0], "stop": rows[:, 1]}))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    table = table.reindex(columns=["event", "onset", "stop"])
    table.insert(0, "path", trace.path)
    return table


def target_of(trace: Trace, events: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Return the class of every sample, int8: 0 background, -1 where it is marked bad."""
    target = np.zeros(trace.x.shape[1], np.int8)
    for name, onset, stop in events[["event", "onset", "stop"]].itertuples(index=False):
        target[round(onset * trace.rate) : round(stop * trace.rate)] = names.index(name)
    for onset, stop in trace.bad:
        target[max(0, round(onset * trace.rate)) : round(stop * trace.rate)] = -1
    return target


def _assembled(source: Source, pieces: list[_Piece], names: list[str], heap: Heap) -> Dataset:
    import pandas as pd

    table = pd.concat([piece.rows for piece in pieces], ignore_index=True)
    table.insert(0, "name", table["path"] + "@" + table["onset"].map("{:.3f}".format))
    table.insert(0, "example", np.arange(len(table)))
    traces = {piece.trace.path: piece.trace for piece in pieces}
    x = heap.whole()
    first = pieces[0].trace
    notes = dict.fromkeys(note for t in traces.values() for note in t.facts.pop("notes"))
    facts = {k: v for k, v in first.facts.items() if k != "n"} | {"n_times": x.shape[2]}
    unmarked = [piece.trace.path for piece in pieces if len(piece.events) == 0]
    findings = source.findings + [Finding("warning", "The reader remarked", n) for n in notes]
    if unmarked:
        findings.append(_unmarked(unmarked))
    extra = {
        "hashes": source.hashes,
        "events": pd.concat([piece.events for piece in pieces], ignore_index=True),
        "samples": {path: trace.facts["n"] for path, trace in traces.items()},
        "bad": {path: trace.bad for path, trace in traces.items()},
        "marks": {path: trace.marks for path, trace in traces.items()},
    }
    truth = np.concatenate([piece.truth for piece in pieces])
    return Dataset(table, x, "dense", names, facts, findings, extra, truth)


def _unmarked(paths: list[str]) -> Finding:
    return Finding(
        "warning",
        "Recordings without a mark",
        f"{len(paths)} recordings have no event of the kinds that are looked for: they are taken "
        f"as not scored, and neither learnt from nor judged ({', '.join(paths[:6])}).",
    )


def join_stretches(p: np.ndarray, starts: np.ndarray, n_times: int) -> np.ndarray:
    """Average the overlapping stretches of a recording, the middle of each counting most.

    Parameters
    ----------
    p
        Shape (stretch, class, time).
    starts
        First sample of each.
    n_times
        Samples of the recording.

    Returns
    -------
    Shape (class, n_times), float32; NaN where no stretch reaches.

    Examples
    --------
    >>> join_stretches(np.ones((2, 1, 4)), np.array([0, 2]), 7).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, nan]]
    """
    length = p.shape[2]
    ramp = np.minimum(np.arange(length) + 1.0, np.arange(length)[::-1] + 1.0)
    total, weight = np.zeros((p.shape[1], n_times)), np.zeros(n_times)
    for part, start in zip(p, starts, strict=True):
        total[:, start : start + length] += ramp * part
        weight[start : start + length] += ramp
    joined = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return joined.astype(np.float32)


def probabilities(
    dataset: Dataset, rows: np.ndarray, scores: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each recording with its probabilities (class, time), NaN where bad or not asked.

    Parameters
    ----------
    rows
        Stretches of the dataset that were scored.
    scores
        Log-probabilities (row, class, time).
    """
    table, rate = dataset.table.iloc[rows], dataset.facts["rate"]
    paths = table["path"].to_numpy()
    starts = np.round(table["onset"].to_numpy(float) * rate).astype(int)
    for path in dict.fromkeys(paths):
        own = np.flatnonzero(paths == path)
        p = join_stretches(np.exp(scores[own]), starts[own], dataset.extra["samples"][path])
        for onset, stop in dataset.extra["bad"][path]:
            p[:, max(0, round(onset * rate)) : round(stop * rate)] = np.nan
        yield str(path), p


def judge(
    dataset: Dataset, path: str, p: np.ndarray, rule: Rule, iou: float
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Find the events of a recording and match them with the true ones, class by class.

    Parameters
    ----------
    p
        Probabilities (class, time); what is NaN is not judged.
    iou
        Least intersection over union of a hit.

    Returns
    -------
    counts
        The columns `scoring.metrics.COUNTS`, and fp and fn.
    events
        A row each found and each missed event: see `event_rows`.
    """
    import pandas as pd

    rate, known = dataset.facts["rate"], ~np.isnan(p[0])
    marks = dataset.extra["events"]
    marks = marks[marks["path"] == path]
    hits = dict.fromkeys((iou, *OTHER_IOUS), 0)
    counts, tables = {"y_true": 0, "y_pred": 0}, []
    for k, name in enumerate(dataset.classes[1:], start=1):
        true = marks.loc[marks["event"] == name, ["onset", "stop"]].to_numpy(float)
        true = true[_inside(true, known, rate)]
        found = rule.find(p[k], rate)
        found = found[_inside(found, known, rate)]
        for least in hits:
            hits[least] += len(match_events(true, found, least))
        tables.append(event_rows(name, true, found, p[k], rate, iou))
        counts["y_true"] += len(true)
        counts["y_pred"] += len(found)
    counts |= {"tp": hits[iou], "fp": counts["y_pred"] - hits[iou]}
    counts |= {"fn": counts["y_true"] - hits[iou]}
    counts |= {f"tp_at_{least:g}": hits[least] for least in OTHER_IOUS}
    events = pd.concat(tables, ignore_index=True)
    events.insert(0, "path", path)
    return counts | {"minutes": float(known.sum() / rate / 60)}, events


def _inside(events: np.ndarray, known: np.ndarray, rate: float) -> np.ndarray:
    """Tell which events have their middle where the recording is judged."""
    middle = np.round(events.mean(1) * rate).astype(int).clip(0, len(known) - 1)
    return known[middle]


def event_rows(
    name: str, true: np.ndarray, found: np.ndarray, p: np.ndarray, rate: float, iou: float
) -> pd.DataFrame:
    """Return found events beside the true ones that they match, then the missed ones.

    Returns
    -------
    DataFrame
        event, kind ("hit", "false alarm", "missed"), onset, duration (s), peak (probability),
        true_onset, true_duration, iou; NaN where there is none.
    """
    import pandas as pd

    pairs = match_events(true, found, iou)
    partner = np.full(len(found), -1)
    partner[pairs[:, 1]] = pairs[:, 0]
    missed = np.setdiff1d(np.arange(len(true)), pairs[:, 0])
    shown = np.concatenate([found, true[missed]])
    mate = np.concatenate([partner, missed]).astype(int)
    kinds = ["false alarm" if k < 0 else "hit" for k in partner] + ["missed"] * len(missed)
    truth = np.where((mate >= 0)[:, None], true[mate] if len(true) else np.nan, np.nan)
    table = pd.DataFrame({"event": name, "kind": kinds})
    table["onset"], table["duration"] = shown[:, 0], shown[:, 1] - shown[:, 0]
    table["peak"] = [_peak(p, row, rate) for row in shown]
    table["true_onset"], table["true_duration"] = truth[:, 0], truth[:, 1] - truth[:, 0]
    both = overlap(shown, np.nan_to_num(truth)).diagonal() if len(shown) else np.zeros(0)
    table["iou"] = np.where(np.asarray(kinds) == "hit", both, np.nan)
    return table.sort_values("onset", ignore_index=True)


def _peak(p: np.ndarray, event: np.ndarray, rate: float) -> float:
    first, last = (round(end * rate) for end in event)
    part = p[first : max(last, first + 1)]
    return float(np.nanmax(part)) if np.isfinite(part).any() else float("nan")


def choose_threshold(
    dataset: Dataset, parts: list[tuple[str, np.ndarray]], rule: Rule, iou: float
) -> float:
    """Return the threshold with the best F1 on recordings that were learnt from.

    Of several as good the one nearest to one half.
    """
    scores = []
    for threshold in THRESHOLDS:
        counts = [
            judge(dataset, path, p, replace(rule, threshold=threshold), iou)[0] for path, p in parts
        ]
        total = {key: sum(c[key] for c in counts) for key in ("tp", "y_true", "y_pred")}
        scores.append(2 * total["tp"] / max(1, total["y_true"] + total["y_pred"]))
    best = np.asarray(THRESHOLDS)[np.isclose(scores, max(scores))]
    return float(best[np.argmin(np.abs(best - 0.5))])


def training_events(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the events (onset, stop) that begin in the stretches at `rows`."""
    events = dataset.extra["events"]
    parts = []
    for path, own in dataset.table.iloc[rows].groupby("path", sort=False):
        mine = events[events["path"] == path]
        last = float(own["stop"].max())
        first = float(own["onset"].min())
        inside = mine["onset"].between(first, last, inclusive="left")
        parts.append(mine.loc[inside, ["onset", "stop"]].to_numpy(float))
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def entity_columns(dataset: Dataset, path: str) -> dict[str, Any]:
    """Return path, subject, session and run of a recording."""
    row = dataset.table[dataset.table["path"] == path].iloc[0]
    return {"path": path} | {name: row[name] for name in UNITS}
