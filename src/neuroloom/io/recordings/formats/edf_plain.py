"""Plain EDF without MNE, whose header alone takes longer than all samples.

Plain is a file of 16-bit samples, all at one rate, in volts or parts of them, with at most one
channel of annotations, none of which reaches beyond the recording. What is read then equals, to
the last bit, what MNE reads; every other file is left to MNE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import guess_type, normalise, template_positions
from neuroloom.io.recordings.formats.raw import no_marks, window, within
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroloom.io.recordings.formats.edf import Layout

VOLTS = {"uV": 1e-6, "\u00b5V": 1e-6, "mV": 1e-3, "V": 1.0, "": 1.0}
TIMED = "EDF Annotations"
# A time-stamped list: onset, duration where there is one, texts; then zeros up to the next.
_LIST = re.compile(rb"([+-]\d+\.?\d*)(?:\x15(\d+\.?\d*))?\x14((?:[^\x00\x14\n]*\x14)+)\x00+")


@dataclass(frozen=True, eq=False)
class Plain:
    """A plain EDF: where its samples are, what they mean, and its annotations.

    Attributes
    ----------
    layout
        From its header.
    signals
        First sample of each channel in a record.
    per_record
        Samples of a channel in a record.
    steps, offsets, units
        One a channel: volts = (digit * step + offset) * unit.
    annotations
        Columns onset (s), duration (s), label.
    """

    layout: Layout
    signals: tuple[int, ...]
    per_record: int
    steps: np.ndarray
    offsets: np.ndarray
    units: np.ndarray
    annotations: pd.DataFrame

    def header(self, path: Path, notes: tuple[str, ...]) -> Header:
        """Return what `neuroloom.io.peek` tells of the file."""
        layout = self.layout
        names = normalise([layout.labels[i] for i in layout.signals])
        types = tuple(guess_type(name) for name in names)
        rate = self.per_record / layout.seconds
        duration = layout.records * self.per_record / rate
        return Header(
            path.name, tuple(names), types, rate, duration, self.annotations.copy(), notes
        )

    def read(
        self, path: Path, start: float | None, stop: float | None, notes: tuple[str, ...]
    ) -> xr.DataArray:
        """Return the window as `neuroloom.io.read` does."""
        header = self.header(path, notes)
        first, last = window(path, self.layout.records * self.per_record, header.rate, start, stop)
        offset = first / header.rate
        recording = signal(
            self._volts(path, first, last), header.channels, header.rate, types=header.types,
            positions=template_positions(header.channels), source=path.name,
            annotations=within(header.annotations, offset, (last - first) / header.rate),
        )  # fmt: skip
        recording.attrs["notes"] = list(notes)
        recording.attrs |= {"offset": offset} if offset else {}
        return recording

    def _volts(self, path: Path, first: int, last: int) -> np.ndarray:
        """Return the samples of all channels from `first` to before `last`, V."""
        length, begin = self.per_record, first // self.per_record
        records = _digits(path, self.layout, begin, -(-last // length))
        data = np.empty((len(self.signals), len(records) * length))
        for row, at, step, offset, unit in zip(
            data, self.signals, self.steps, self.offsets, self.units, strict=True
        ):
            np.multiply(records[:, at : at + length], step, out=row.reshape(-1, length))
            row += offset
            row *= unit
        if len(records) * length == last - first:
            return data
        return data[:, first - begin * length : last - begin * length].copy()


def plain(path: Path, layout: Layout) -> Plain | None:
    """Return how a file is read without MNE; None where it takes MNE to read it."""
    signals, count = layout.signals, len(layout.labels)
    lengths = {layout.samples[i] for i in signals}
    there = (path.stat().st_size - layout.header_bytes) // max(layout.record_bytes, 1)
    whole = layout.records == there and layout.header_bytes == 256 * (count + 1)
    if not whole or len(lengths) > 1 or not layout.seconds > 0 or not _is_plain(layout):
        return None
    scale = _scale(layout)
    annotations = _annotations(path, layout)
    if scale is None or annotations is None:
        return None
    begins = np.cumsum([0, *layout.samples])
    return Plain(layout, tuple(begins[list(signals)].tolist()), lengths.pop(), *scale, annotations)


def _is_plain(layout: Layout) -> bool:
    """Tell whether the labels and units are those of signals and at most one annotation channel."""
    labels = [layout.labels[i] for i in layout.signals]
    others = [label for label in layout.labels if label not in labels]
    return (
        b"\0" not in layout.table
        and len(set(labels)) == len(labels)
        and others in ([], [TIMED])
        and all(label == label.strip() and guess_type(label) != "stim" for label in labels)
        and all(layout.units[i] in VOLTS for i in layout.signals)
    )


def _scale(layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return step, offset and unit of each channel; None where the header's limits give none."""
    try:
        limits = [[float(text) for text in layout.limits[i]] for i in layout.signals]
    except ValueError:
        return None
    low, high, lowest, highest = np.array(limits).T
    if not np.isfinite(limits).all() or (high == low).any() or (highest == lowest).any():
        return None
    steps = (high - low) / (highest - lowest)
    units = np.array([VOLTS[layout.units[i]] for i in layout.signals])
    return steps, low - lowest * steps, units


def _annotations(path: Path, layout: Layout) -> pd.DataFrame | None:
    """Return the annotations; None where they are not what EDF+ asks for, or leave the recording.

    The first list of the first record says by which part of a second the recording begins late.
    """
    import pandas as pd

    if TIMED not in layout.labels:
        return no_marks()
    text = _lists(path, layout)
    lists = list(_LIST.finditer(text))
    if sum(len(found[0]) for found in lists) != len(text) or b"@@" in text:
        return None
    rows, late = [], 0.0
    for at, found in enumerate(lists):
        onset, duration = float(found[1]) - late, float(found[2] or 0)
        for label in found[3].split(b"\x14")[:-1]:
            if label:
                rows.append((onset, duration, label))
            elif at == 0:
                late = onset
    if not rows:
        return no_marks()
    rows.sort(key=lambda row: row[:2])
    onsets, durations, labels = zip(*rows, strict=True)
    # Onsets count in whole microseconds, as MNE keeps them.
    begins = [timedelta(seconds=onset) for onset in onsets]
    ends = map(add, begins, (timedelta(seconds=duration) for duration in durations))
    if begins[0] < timedelta(0) or max(ends) > timedelta(seconds=layout.records * layout.seconds):
        return None
    columns = {"onset": [begin.total_seconds() for begin in begins], "duration": durations}
    try:
        return pd.DataFrame(columns | {"label": [label.decode() for label in labels]})
    except UnicodeDecodeError:
        return None


def _lists(path: Path, layout: Layout) -> bytes:
    """Return the annotation channel of all records, end to end."""
    at = layout.labels.index(TIMED)
    begin = sum(layout.samples[:at])
    shape = (layout.records, layout.record_bytes // 2)
    digits = np.memmap(path, "<i2", "r", layout.header_bytes, shape)
    return digits[:, begin : begin + layout.samples[at]].tobytes()


def _digits(path: Path, layout: Layout, first: int, last: int) -> np.ndarray:
    """Return the records from `first` to before `last`, shape (record, sample of any channel)."""
    width = layout.record_bytes // 2
    begin = layout.header_bytes + first * layout.record_bytes
    digits = np.fromfile(path, "<i2", (last - first) * width, offset=begin)
    return digits.reshape(last - first, width)
