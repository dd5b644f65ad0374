"""Sleep stages: names of many scorers, epochs of a hypnogram, and stretches to learn them from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset, Task
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.heap import Heap, memory
from neuroloom.signals.examples.traces import Source, Trace, labels_there
from neuroloom.signals.measures import STAGES

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.recordings.find import Found
    from neuroloom.signals.examples.cut import Cut

LEAST_EPOCHS = 20
USUAL_PAGES = (30.0, 20.0)
_WORDS = re.compile(r"^(sleep[ _-]*)?(stage[ _-]*)?(non[ _-]?rem|nrem|n|s)?[ _-]*([1-4])$")
_NAMES = {"w": "W", "wake": "W", "awake": "W", "wakefulness": "W", "r": "R", "rem": "R"}


def stage_of(label: str) -> str | None:
    """Return the AASM stage that an annotation names, or None.

    Stages 3 and 4 of Rechtschaffen and Kales are both N3. A bare number is no stage: markers are
    called so, too.

    Examples
    --------
    >>> [stage_of(word) for word in ("Sleep stage 4", "N2", "REM", "Sleep stage ?", "3", "S1")]
    ['N3', 'N2', 'R', None, None, 'N1']
    """
    word = label.strip().lower()
    bare = re.sub(r"^(sleep[ _-]*)?stage[ _-]*", "", word)
    if bare in _NAMES:
        return _NAMES[bare]
    match = _WORDS.match(word)
    if match is None or not any(match.groups()[:3]):
        return None
    return f"N{min(3, int(match[4]))}"


@dataclass(frozen=True)
class Staging:
    """What is told apart, and in pieces of what length.

    Attributes
    ----------
    epoch
        Seconds; None: that of the annotations.
    context
        Epochs on either side that a model sees beside the one it judges.
    sequence
        True labels all epochs of a stretch at once, False that in the middle.
    stages
        Annotation -> stage, for other names than the usual ones.
    classes
        "N2", or "NREM=N1+N2+N3": what is told apart; empty: every stage with enough epochs.
    """

    epoch: float | None = None
    context: int = 0
    sequence: bool = False
    stages: dict[str, str] | None = None
    classes: tuple[str, ...] = ()

    @property
    def merged(self) -> dict[str, str]:
        """Stage -> class, as far as `classes` says."""
        found: dict[str, str] = {}
        for item in self.classes:
            name, _, parts = item.partition("=")
            found |= dict.fromkeys((parts or name).split("+"), name)
        return found

    def class_of(self, label: str) -> str | None:
        """Return the class of an annotation."""
        stage = (self.stages or {}).get(label) or stage_of(label)
        return stage if stage is None or not self.classes else self.merged.get(stage)


def stage_marks(marks: pd.DataFrame, staging: Staging) -> pd.DataFrame:
    """Return the stretches of a hypnogram: onset, duration (s), label (the class)."""
    labels = [staging.class_of(str(label)) for label in marks["label"]]
    table = marks.assign(label=np.asarray(labels, dtype=object))
    return table[table["label"].notna()].sort_values("onset", ignore_index=True)


def page_of(durations: Sequence[float]) -> float:
    """Return the epoch that stretches of stages are made of: 30 s, or 20 s, else the usual 30.

    Examples
    --------
    >>> page_of([60, 20, 100]), page_of([30, 300]), page_of([7.5])
    (20.0, 30.0, 30.0)
    """
    lengths = np.asarray(durations, float)
    for page in USUAL_PAGES:
        if len(lengths) and np.allclose(lengths / page, np.round(lengths / page), atol=0.01):
            return page
    return USUAL_PAGES[0]


def hypnogram(marks: pd.DataFrame, epoch: float, seconds: float) -> tuple[float, list[str | None]]:
    """Return the first epoch's onset (s), and the stage of every epoch from there on.

    Parameters
    ----------
    marks
        Stretches of stages, as `stage_marks` gives them; empty: epochs from 0 s, all unknown.
    epoch
        Seconds; an epoch has the stage of more than half of it, or none.
    seconds
        Length of the recording.

    Examples
    --------
    >>> import pandas as pd
    >>> marks = pd.DataFrame({"onset": [20, 60], "duration": [40, 20], "label": ["W", "N1"]})
    >>> hypnogram(marks, 20.0, 85.0)
    (0.0, [None, 'W', 'W', 'N1'])
    """
    start = float(marks["onset"].min() % epoch) if len(marks) else 0.0
    count = int((seconds - start) / epoch + 1e-6)
    names = list(dict.fromkeys(marks["label"]))
    share = np.zeros((len(names), count))
    for onset, duration, label in marks[["onset", "duration", "label"]].itertuples(index=False):
        left = start + epoch * np.arange(count)
        inside = np.minimum(left + epoch, onset + duration) - np.maximum(left, onset)
        share[names.index(label)] += inside.clip(0) / epoch
    if not names:
        return start, [None] * count
    best = share.argmax(0)
    return start, [names[k] if share[k, e] > 0.5 else None for e, k in enumerate(best)]


def read_epochs(
    found: Found,
    cut: Cut,
    staging: Staging,
    trained: dict[str, Any] | None = None,
    scale: str = "none",
) -> Dataset:
    """Cut recordings into epochs, each with its neighbours, or into stretches of epochs.

    Parameters
    ----------
    found, cut
        The files, and what to pick and how to filter.
    staging
        What is told apart; `epoch` must be given where `trained` is.
    trained
        The facts of a model, for its new data: recordings without stages are then unlabelled.
    scale
        "none" or "recording", see `traces.Source`.

    Returns
    -------
    Dataset
        Classification: an example an epoch, with zeros where its context leaves the recording. Of a
        sequence, "dense": an example 2 context + 1 epochs in a row, the next half of it later, and
        `truth` (example, epoch). `extra["epochs"]` is a row an epoch either way.

    Raises
    ------
    ConfigError, DataError
        If no recording has stages, fewer than two can be told apart, or one is shorter than an
        epoch.
    """
    source = Source(found, cut, trained and trained["axes"], scale)
    if trained is None:
        _require_stages(source, staging)
    marks = {path: stage_marks(h.annotations, staging) for path, h in source.headers.items()}
    if staging.epoch is None:
        durations = np.concatenate([table["duration"].to_numpy(float) for table in marks.values()])
        staging = replace(staging, epoch=page_of(durations.tolist()))
    cutter = _Cutter(staging, Heap(0.4 * memory()))
    pieces = [cutter.cut(trace, marks[trace.path]) for trace in source]
    return _assembled(source, pieces, cutter, trained)


def _require_stages(source: Source, staging: Staging) -> None:
    there = labels_there(source.headers)
    if any(staging.class_of(label) for label in there):
        return
    raise DataError(
        f"No annotation names a sleep stage ({', '.join(STAGES)}, 'Sleep stage 2', …); there are "
        f"{', '.join(there[:12])}. Say which is which by `stages`, such as --stages.'{there[0]}' W."
    )


@dataclass
class _Piece:
    """The examples and epochs of one recording."""

    rows: pd.DataFrame
    epochs: pd.DataFrame
    places: np.ndarray
    trace: Trace


class _Cutter:
    def __init__(self, staging: Staging, heap: Heap) -> None:
        self.staging, self.heap = staging, heap
        self.epoch = float(staging.epoch or USUAL_PAGES[0])
        self.width = 2 * staging.context + 1

    def cut(self, trace: Trace, marks: pd.DataFrame) -> _Piece:
        """Put the examples of a recording on the heap and return what they are."""
        import pandas as pd

        start, stages = hypnogram(marks, self.epoch, trace.seconds)
        if not stages:
            raise DataError(
                f"{trace.path} lasts {trace.seconds:g} s, less than an epoch of {self.epoch:g} s. "
                "Leave it out with `include`."
            )
        onset = start + self.epoch * np.arange(len(stages))
        bad = [bool((trace.bad[:, 0] < o + self.epoch) @ (trace.bad[:, 1] > o)) for o in onset]
        known = [None if gone else stage for stage, gone in zip(stages, bad, strict=True)]
        epochs = pd.DataFrame({"onset": onset, "stop": onset + self.epoch})
        epochs["label"] = pd.Series(known, dtype=object)
        for name, value in {"path": trace.path, **trace.units}.items():
            epochs[name] = value
        first = self._firsts(len(stages))
        self.heap.add(self._windows(trace, onset, first))
        middle = np.clip(first + self.staging.context, 0, len(stages) - 1)
        rows = epochs.iloc[middle].reset_index(drop=True)
        places = first[:, None] + np.arange(self.width)
        if self.staging.sequence:
            inside = places.clip(0, len(stages) - 1)
            rows["onset"], rows["stop"] = onset[inside[:, 0]], onset[inside[:, -1]] + self.epoch
        places = np.where((places >= 0) & (places < len(stages)), places, -1)
        slim = replace(trace, x=trace.x[:, :0].copy())
        return _Piece(rows, epochs, places, slim)

    def _firsts(self, count: int) -> np.ndarray:
        """Return the first epoch of each example; it may lie before the recording."""
        if not self.staging.sequence:
            return np.arange(count) - self.staging.context
        if count <= self.width:
            return np.zeros(1, int)
        firsts = np.arange(0, count - self.width + 1, max(1, self.width // 2))
        return firsts if firsts[-1] + self.width == count else np.append(firsts, count - self.width)

    def _windows(self, trace: Trace, onset: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return (example, channel, time), zeros outside the recording."""
        size = round(self.epoch * trace.rate)
        before = max(0, -int(first.min())) * size
        after = max(0, int(first.max()) + self.width - len(onset)) * size
        begin = round(onset[0] * trace.rate)
        # The last epoch may lack a sample where the rate does not divide the epoch.
        inside = trace.x[:, begin : begin + len(onset) * size]
        after += len(onset) * size - inside.shape[1]
        padded = np.pad(inside, ((0, 0), (before, after)))
        starts = before + first * size
        return np.stack([padded[:, s : s + self.width * size] for s in starts])


def _assembled(
    source: Source, pieces: list[_Piece], cutter: _Cutter, trained: dict[str, Any] | None
) -> Dataset:
    import pandas as pd

    staging = cutter.staging
    table = pd.concat([piece.rows for piece in pieces], ignore_index=True)
    epochs = pd.concat([piece.epochs for piece in pieces], ignore_index=True)
    dropped: list[Finding] = []
    if trained is not None:
        classes = list(trained["classes"])
    else:
        classes, dropped = _judged_classes(epochs, staging, len(pieces))
    for frame in (table, epochs):
        frame["label"] = frame["label"].where(frame["label"].isin(classes), None)
    starts = np.cumsum([0, *(len(piece.epochs) for piece in pieces)])
    places = np.concatenate([
        np.where(piece.places >= 0, piece.places + start, -1)
        for piece, start in zip(pieces, starts, strict=False)
    ])  # fmt: skip
    truth, task = None, "classification"
    if staging.sequence:
        task = "dense"
        number = np.array([classes.index(n) if n in classes else -1 for n in epochs["label"]])
        truth = np.where(places >= 0, number[places], -1).astype(np.int64)
        table["label"] = _spoken(truth, classes)
    table.insert(0, "name", table["path"] + "@" + table["onset"].map("{:.3f}".format))
    table.insert(0, "example", np.arange(len(table)))
    epochs.insert(0, "example", np.arange(len(epochs)))
    x = cutter.heap.whole()
    facts = pieces[0].trace.facts | {"n_times": x.shape[2], "epoch": cutter.epoch}
    facts |= {"places": cutter.width, "context": staging.context, "sequence": staging.sequence}
    notes = dict.fromkeys(note for piece in pieces for note in piece.trace.facts.pop("notes"))
    facts.pop("notes", None)
    findings = source.findings + dropped
    findings += [Finding("warning", "The reader remarked", note) for note in notes]
    extra = {"hashes": source.hashes, "epochs": epochs, "places": places}
    return Dataset(table, x, _task(task), classes, facts, findings, extra, truth)


def _task(name: str) -> Task:
    return "dense" if name == "dense" else "classification"


def _spoken(truth: np.ndarray, classes: list[str]) -> pd.Series:
    """Return the stages of each stretch as text; None where none is known."""
    import pandas as pd

    said = [
        " ".join(classes[k] if k >= 0 else "?" for k in row) if (row >= 0).any() else None
        for row in truth
    ]
    return pd.Series(said, dtype=object)


def _judged_classes(
    epochs: pd.DataFrame, staging: Staging, recordings: int
) -> tuple[list[str], list[Finding]]:
    """Return the classes that can be learnt and judged, in the order of a hypnogram.

    Without `classes`, a stage needs 20 epochs, and two recordings where there are more than one:
    what stands in a single recording is never in training and test at once.
    """
    known = epochs[epochs["label"].notna()]
    counts = known["label"].value_counts()
    spread = known.groupby("label")["path"].nunique()
    order = list(staging.merged.values()) if staging.classes else list(STAGES)
    order = list(dict.fromkeys([*order, *map(str, counts.index)]))
    there = [name for name in order if name in counts.index]
    if staging.classes:
        missing = [name for name in order if name not in counts.index]
        if missing:
            raise ConfigError(
                f"classes: no epoch is {missing[0]}; there are {', '.join(map(str, there))}."
            )
        return there, []
    least = min(2, recordings)
    kept = [n for n in there if counts[n] >= LEAST_EPOCHS and spread[n] >= least]
    if len(kept) < 2:
        said = ", ".join(f"{n} {counts[n]}" for n in there) or "none"
        raise DataError(
            f"Two stages with {LEAST_EPOCHS} epochs in {least} recordings or more are needed; "
            f"there are {said}. Add recordings, or name `classes`."
        )
    return kept, [_left_out(n, int(counts[n]), int(spread[n])) for n in there if n not in kept]


def _left_out(name: str, epochs: int, recordings: int) -> Finding:
    return Finding(
        "warning",
        f"Stage {name} is left out",
        f"{epochs} epochs in {recordings} recordings are too few to learn or judge it (20 epochs "
        "in two recordings are the least); they count as unlabelled. Name `classes` to keep it.",
    )
