"""From recordings on disk to labelled examples: pick, filter, cut, reject."""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom import io
from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import UNITS, Dataset, Task, require_classes
from neuroloom.core.errors import DataError
from neuroloom.core.files import digest
from neuroloom.core.heap import Heap, memory
from neuroloom.core.recording import ANNOTATION_COLUMNS, require_sound
from neuroloom.core.step import RecordingStep, apply_all, describe_all, span_all
from neuroloom.io.recordings.find import Found
from neuroloom.signals.examples.cut import (
    Cut,
    common_channels,
    is_mark,
    needed_channels,
    pick_channels,
    require_channels,
    settle,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PLAUSIBLE_EEG_UV = (0.5, 500.0)
SHOWN_EXAMPLES = 300
BEFORE_EVENT = 0.5
PIECE_OF = "piece_of"
# Volts; a place that no electrode is near holds zeros.
DEAD = 1e-11


def align_to(trained: dict[str, Any], found: Found) -> Dataset:
    """Cut new recordings exactly as those that a model was trained on.

    A recording without any of the events is cut into neighbouring windows, unlabelled.

    Parameters
    ----------
    trained
        The facts stored with the model: `axes`, `task`, `classes`.
    found
        The new files.

    Raises
    ------
    DataError
        If a channel of the model is missing in a file.
    """
    axes = trained["axes"]
    cut = replace(Cut.of(axes["cut"]), rate=axes["rate"])
    if cut.montage == "as recorded":
        cut = replace(cut, picks=tuple(axes["picked"]))
    dataset = read_examples(found, cut, needed=axes["needed"])
    table = dataset.table
    if trained["task"] == "classification":
        table["label"] = table["label"].where(table["label"].isin(trained["classes"]), None)
    else:
        table["label"] = table["label"].astype(float)
    return replace(dataset, task=trained["task"], classes=list(trained["classes"]))


def peek_all(found: Found) -> dict[str, io.Header]:
    """Return path -> header of every recording that was found."""
    return {path: io.peek(found.root / path) for path in found.table["path"]}


def read_examples(
    found: Found,
    cut: Cut,
    *,
    needed: Sequence[str] | None = None,
    headers: dict[str, io.Header] | None = None,
) -> Dataset:
    """Cut examples from every recording that was found.

    Parameters
    ----------
    found
        Files with subject, session, run.
    cut
        What to pick and how to cut.
    needed
        For a model's new data: the channels that it was trained on (`cut.picks`) and those of
        their reference. Learning, without it, demands two classes and every named event; a model's
        new data may do without, recordings are then cut into neighbouring windows.
    headers
        What `peek_all` gave, where it was asked before.

    Returns
    -------
    Dataset
        `x` of shape (example, channel, time), float32, V (no unit after alignment).

    Raises
    ------
    ConfigError, DataError
        Naming the file, channel or event that is wrong.
    """
    headers = headers or peek_all(found)
    hashes = {path: hash_of(found.root / path) for path in headers}
    strict = needed is None
    if needed is None:
        needed = common_channels(cut, headers) if cut.montage == "as recorded" else []
        cut = settle(cut, headers, found)
        refuse_duplicates(hashes)
    else:
        require_channels(needed, headers)
    channels = _channels(cut, next(iter(headers.values())), strict=strict)
    reader = _Reader(found, cut, channels, list(needed), strict, Heap(0.4 * memory()))
    pieces = [reader.read(row, headers[row["path"]]) for row in found.table.to_dict("records")]
    dataset = _assemble(pieces, cut, found, reader)
    return replace(dataset, extra=dataset.extra | {"hashes": hashes})


def _channels(cut: Cut, first: io.Header, *, strict: bool) -> list[str]:
    """Return the channels of the examples."""
    if cut.montage != "as recorded":
        from neuroloom.signals.steps.montage import TEN_TEN

        return list(TEN_TEN)
    return pick_channels(first.channels, first.types, cut.picks) if strict else list(cut.picks)


@dataclass
class _Piece:
    """The examples of one recording."""

    rows: pd.DataFrame
    shown: np.ndarray
    shown_rows: np.ndarray
    offset: np.ndarray
    spread: np.ndarray
    rejected: pd.DataFrame
    facts: dict[str, Any]


@dataclass
class _Reader:
    found: Found
    cut: Cut
    channels: list[str]
    needed: list[str]
    strict: bool
    heap: Heap

    def read(self, row: dict[str, Any], header: io.Header) -> _Piece:
        """Read one recording and cut its examples."""
        recording, calm = self._open(row["path"], header)
        table = self._rows(row, header)
        stretch, onsets = self.cut.length, table["onset"].to_numpy(float)
        x, inside = cut_windows(calm, onsets, stretch)
        reason = self._reasons(table, x, inside, recording, row["path"])
        clean = apply_all(self.cut.last_steps(), calm)
        if clean is not calm:
            x, _ = cut_windows(clean, onsets, stretch)
        keep = reason == ""
        rejected = table[~keep].assign(reason=reason[~keep])
        kept = table[keep].reset_index(drop=True)
        lead = self._lead(recording)
        facts = recording_facts(recording, clean, self.cut.steps()) | {"lead": lead}
        raw, _ = cut_windows(recording, kept["onset"].to_numpy(float), stretch)
        offset, spread = raw.mean(2), np.log(raw.std(2) + 1e-12)
        begin = kept["onset"].to_numpy(float)[:SHOWN_EXAMPLES] - lead
        shown, inside = cut_windows(recording, begin, stretch + lead)
        rows = np.flatnonzero(inside)
        self.heap.add(x[keep])
        return _Piece(kept, shown[inside], rows, offset, spread, rejected, facts)

    def _open(self, path: str, header: io.Header) -> tuple[xr.DataArray, xr.DataArray]:
        """Return a recording as it came and after all steps that keep its unit."""
        fixed = self.cut.montage == "as recorded"
        needed = self.needed if fixed else needed_channels(self.cut, header)
        whole = with_channels(io.read(self.found.root / path), needed)
        require_sound(whole)
        picks = self.cut.picks
        own = self.channels if fixed else pick_channels(header.channels, header.types, picks)
        calm = clean_recording(whole, replace(self.cut, standardise="none"), own)
        recording = with_channels(whole, own)
        if not fixed:
            from neuroloom.signals.steps import MapMontage

            recording = MapMontage().apply(recording)
        return recording, calm

    def _lead(self, recording: xr.DataArray) -> float:
        """Return how long before a trial its picture begins: half a second before the event."""
        if self.cut.target or self.cut.window or "trials" in recording.attrs:
            return 0.0
        return max(self.cut.start, 0.0) + BEFORE_EVENT

    def _rows(self, row: dict[str, Any], header: io.Header) -> pd.DataFrame:
        """Return onset, stop and label of every example that the recording should give."""
        import pandas as pd

        onsets, labels, units = self._onsets(row, header)
        onset = np.asarray(onsets, float)
        table: dict[str, Any] = {"onset": onset, "stop": onset + self.cut.length}
        table["label"] = pd.Series(labels, dtype=object)
        table |= {name: units.get(name, row.get(name)) for name in ("path", *UNITS)}
        if self.cut.window and PIECE_OF in units:
            table[PIECE_OF] = [f"{row['path']}@{at}" for at in units[PIECE_OF]]
        return pd.DataFrame(table)

    def _onsets(
        self, row: dict[str, Any], header: io.Header
    ) -> tuple[list[float], list[Any], dict[str, list[str]]]:
        """Return onset and label of each example, and columns that the events themselves fill."""
        if self.cut.target:
            onsets = _tiles(0.0, header.duration, self.cut.window or header.duration)
            whole = {PIECE_OF: ["whole"] * len(onsets)}
            return onsets, [_known(row.get(self.cut.target))] * len(onsets), whole
        events = self._events(header)
        if len(events) == 0 and not self.strict:
            onsets = self._unmarked(header)
            return onsets, [None] * len(onsets), {}
        onsets, labels, sources = [], [], []
        columns = (events[name].tolist() for name in ANNOTATION_COLUMNS)
        for at, (onset, duration, label) in enumerate(zip(*columns, strict=True)):
            name = self.cut.events.get(label, label)
            starts = [onset + self.cut.start]
            if self.cut.window:
                stop = duration if self.cut.stop is None else self.cut.stop
                stop = max(stop, self.cut.start + self.cut.window)
                starts = _tiles(starts[0], onset + stop, self.cut.window)
            onsets += starts
            labels += [name] * len(starts)
            sources += [at] * len(starts)
        own = [name for name in UNITS if name in events]
        units = {name: events[name].iloc[sources].tolist() for name in own}
        units[PIECE_OF] = [f"{onset:.3f}" for onset in events["onset"].iloc[sources]]
        return onsets, labels, units

    def _unmarked(self, header: io.Header) -> list[float]:
        """Return where examples begin without events: in every trial, else one after another."""
        if header.trial is None:
            return _tiles(0.0, header.duration, self.cut.length)
        starts = np.arange(round(header.duration / header.trial)) * header.trial
        return (starts + self.cut.start).tolist()

    def _events(self, header: io.Header) -> pd.DataFrame:
        marks = header.annotations
        if not self.cut.events:
            return marks[~is_mark(marks["label"].astype(str))]
        known = [str(label) in self.cut.events for label in marks["label"]]
        return marks[np.array(known, bool)]

    def _reasons(
        self, table: pd.DataFrame, x: np.ndarray, inside: np.ndarray, recording: Any, path: str
    ) -> np.ndarray:
        """Return why each example is dropped; an empty string keeps it."""
        from neuroloom.signals.steps import reject_by_amplitude

        reason = np.full(len(table), "", dtype=object)
        reason[~inside] = "beyond the recording"
        if self.strict and len(table) and not inside.any():
            length = recording.sizes["time"] / recording.attrs["rate"]
            what, field = f"from {self.cut.start:g} to {self.cut.stop or 0:g}", "stop"
            if self.cut.window:
                what, field = f"of {self.cut.window:g}", "window"
            raise DataError(
                f"{path}: no example {what} s after its event lies inside the recording, which "
                f"lasts {length:.1f} s. Lower `{field}`."
            )
        reason[_in_bad(recording.attrs["annotations"], table) & inside] = "marked bad"
        if self.cut.reject is not None and len(x):
            loud = ~reject_by_amplitude(x, self.cut.reject)
            reason[loud & (reason == "")] = f"above {self.cut.reject:g} µV"
        return reason


def clean_recording(whole: xr.DataArray, cut: Cut, channels: Sequence[str]) -> xr.DataArray:
    """Apply the steps of a cut to a recording and return its picked channels.

    Parameters
    ----------
    whole
        The picked channels and those that reference and eye correction draw on.
    channels
        The picked ones.
    """
    referenced = apply_all(cut.steps_on_all(), whole)
    left = set(referenced.coords["channel"].values.astype(str))
    picked = with_channels(referenced, [name for name in channels if name in left])
    # The filters take the mean out first, so single precision costs nothing that an ADC gave.
    picked = picked.copy(deep=False, data=picked.values.astype(np.float32))
    return apply_all([*cut.steps_on_picked(), *cut.last_steps()], picked)


def with_channels(recording: xr.DataArray, channels: Sequence[str]) -> xr.DataArray:
    """Return the named channels in their order; the recording itself if these are all it has."""
    if list(recording.coords["channel"].values) == list(channels):
        return recording
    return recording.sel(channel=list(channels))


def cut_windows(
    recording: xr.DataArray, onsets: np.ndarray, length: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut equal windows.

    Parameters
    ----------
    onsets
        Starts, s.
    length
        Seconds.

    Returns
    -------
    windows
        Shape (window, channel, time), float32; zeros where a window leaves the recording.
    inside
        Shape (window,): whether it lies inside the recording, and inside one of its trials if it
        is a row of trials.
    """
    n_times = round(length * recording.attrs["rate"])
    first, border = _first_samples(recording, onsets)
    inside = (first >= 0) & (first + n_times <= border)
    windows = np.zeros((len(onsets), recording.sizes["channel"], n_times), np.float32)
    data = recording.values
    for k in np.flatnonzero(inside):
        windows[k] = data[:, first[k] : first[k] + n_times]
    return windows, inside


def _first_samples(recording: xr.DataArray, onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each window's first sample, and the sample that it must end before.

    Trials may have grown or shrunk by a part of a sample in resampling, so an onset is counted
    from its own trial's first sample.
    """
    rate, trial = recording.attrs["rate"], recording.attrs.get("trials")
    if trial is None:
        first = np.round(onsets * rate).astype(int)
        return first, np.full(len(first), recording.sizes["time"])
    seconds = recording.attrs["trial_seconds"]
    number = np.floor(onsets / seconds + 1e-6).astype(int)
    first = number * trial + np.round((onsets - number * seconds) * rate).astype(int)
    return first, np.minimum((number + 1) * trial, recording.sizes["time"])


def _assemble(pieces: list[_Piece], cut: Cut, found: Found, reader: _Reader) -> Dataset:
    import pandas as pd

    table = pd.concat([piece.rows for piece in pieces], ignore_index=True)
    rejected = pd.concat([piece.rejected for piece in pieces], ignore_index=True)
    if len(table) == 0:
        raise DataError(f"No example is left of {len(pieces)} recordings: {_why_none(rejected)}")
    x = reader.heap.whole()
    if cut.align == "euclidean":
        from neuroloom.signals.steps import euclidean_align

        groups = table["path"].astype(str) + "/" + table["run"].astype(str)
        x = euclidean_align(x, groups.to_numpy())
    onsets = table["onset"].map("{:.3f}".format)
    table.insert(0, "name", table["path"] + "@" + onsets)
    table.insert(0, "example", np.arange(len(table)))
    task, classes = _task(table, cut, found, reader)
    facts = pieces[0].facts | {"picked": reader.channels, "needed": reader.needed}
    facts |= {"cut": asdict(cut), "n_times": x.shape[2]}
    shown, shown_rows = _shown(pieces)
    extra = {
        "rejected": rejected,
        "shown": shown,
        "shown_rows": shown_rows,
        "offset": np.concatenate([piece.offset for piece in pieces]),
        "spread": np.concatenate([piece.spread for piece in pieces]),
    }
    findings = [Finding("note", "How the files were read", found.layout), *_findings(pieces, cut)]
    return Dataset(table, x, task, classes, facts, findings, extra)


def _why_none(rejected: pd.DataFrame) -> str:
    if len(rejected) == 0:
        return "none holds one of the events. Widen `events` or `include`."
    counts = rejected["reason"].value_counts()
    said = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    loud = any(str(reason).startswith("above") for reason in counts.index)
    return f"{said}. " + ("Raise `reject`." if loud else "Mend the marks or change start and stop.")


def _shown(pieces: list[_Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Join the pictures' trials with their rows; other rates than the first's are left out."""
    starts = np.cumsum([0, *(len(piece.rows) for piece in pieces)])
    same = [
        (piece.shown, start + piece.shown_rows)
        for piece, start in zip(pieces, starts, strict=False)
        if piece.shown.shape[1:] == pieces[0].shown.shape[1:]
    ]
    trials, rows = zip(*same, strict=True)
    return np.concatenate(trials), np.concatenate(rows)


def _task(table: pd.DataFrame, cut: Cut, found: Found, reader: _Reader) -> tuple[Task, list[str]]:
    """Tell classes from numbers: a numeric column is a regression, an entity never is."""
    import pandas as pd

    if not reader.strict:
        return "classification", []
    numeric = cut.target and pd.api.types.is_numeric_dtype(found.table[cut.target])
    if (
        numeric
        and cut.target not in UNITS
        and not pd.api.types.is_bool_dtype(found.table[cut.target])
    ):
        table["label"] = table["label"].astype(float)
        return "regression", []
    known = table["label"].notna()
    table.loc[known, "label"] = table.loc[known, "label"].astype(str)
    classes = require_classes(table, str(found.root.name))
    asked_for = list(dict.fromkeys(cut.events.values()))
    return "classification", sorted(
        classes, key=lambda name: asked_for.index(name) if name in asked_for else -1
    )


def _findings(pieces: list[_Piece], cut: Cut) -> list[Finding]:
    found = []
    spread = np.concatenate([piece.spread for piece in pieces])
    alive = spread[spread > math.log(DEAD)]
    typical = float(np.exp(np.median(alive)) * 1e6) if len(alive) else math.nan
    low, high = PLAUSIBLE_EEG_UV
    if pieces[0].facts["types"][0] == "eeg" and not low <= typical <= high:
        found.append(
            Finding(
                "warning",
                "Is the unit right?",
                f"A typical channel varies by {typical:.3g} µV inside a trial; scalp EEG varies by "
                "5 to 100 µV. Check the unit in the file's header.",
            )
        )
    if cut.align == "euclidean":
        found.append(
            Finding(
                "warning",
                "Alignment sees the whole test run",
                "Euclidean alignment whitens each recording by all of its own trials, without "
                "labels: a trial of a new recording can only be decoded once the others are there.",
            )
        )
    if cut.eyes != "none":
        found.append(
            Finding(
                "note",
                "Eye correction sees the whole recording",
                "What the eyes leave is measured on each whole recording, without labels, before "
                "trials are cut: a trial of a new recording can only be corrected like this once "
                "the recording is there.",
            )
        )
    notes = dict.fromkeys(note for piece in pieces for note in piece.facts.pop("notes"))
    return found + [Finding("warning", "The reader remarked", note) for note in notes]


def recording_facts(
    recording: xr.DataArray, clean: xr.DataArray, steps: list[RecordingStep]
) -> dict[str, Any]:
    """Return the facts of a dataset that one recording tells, before and after the steps."""
    rate = recording.attrs["rate"]
    xyz = np.stack([clean.coords[axis].values for axis in "xyz"], axis=1)
    return {
        "channels": clean.coords["channel"].values.astype(str).tolist(),
        "types": clean.coords["type"].values.astype(str).tolist(),
        "positions": np.where(np.isfinite(xyz), np.round(xyz, 5), np.nan).tolist(),
        "rate": float(clean.attrs["rate"]),
        "raw_rate": float(rate),
        "steps": describe_all(steps, rate),
        "span": span_all(steps, rate),
        "notes": list(clean.attrs.get("notes", [])),
    }


def _in_bad(annotations: pd.DataFrame, table: pd.DataFrame) -> np.ndarray:
    """Tell which examples touch a stretch that is annotated as bad."""
    touched = np.zeros(len(table), bool)
    onset, stop = table["onset"].to_numpy(float), table["stop"].to_numpy(float)
    marks = zip(*(annotations[name].tolist() for name in ANNOTATION_COLUMNS), strict=True)
    for start, duration, label in marks:
        if str(label).lower().startswith("bad"):
            touched |= (onset < start + duration) & (stop > start)
    return touched


def _tiles(start: float, stop: float, length: float) -> list[float]:
    """Return the starts of neighbouring windows that fit between start and stop."""
    return [start + k * length for k in range(int((stop - start) / length + 1e-6))]


def _known(value: Any) -> Any:
    return None if value is None or value != value or value == "" else value


def hash_of(path: Path) -> str:
    """Return the digest of a file; of its partners, too, where a format has several."""
    if path.suffix.lower() not in (".vhdr", ".set"):
        return digest(path)
    partners = sorted(p for p in path.parent.glob(f"{glob.escape(path.stem)}.*") if p.is_file())
    return "".join(digest(partner)[:32] for partner in partners)
