"""EDF, EDF+ and BDF: checked against their own header, read directly where plain, else by MNE.

Format: https://www.edfplus.info/specs/edf.html and https://www.biosemi.com/faq/file_format.htm
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.electrodes import guess_type
from neuroloom.io.recordings.formats.raw import peek_raw, quiet, read_raw, within
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import pandas as pd
    import xarray as xr

    from neuroloom.io.recordings.formats.edf_plain import Plain

_HYPNOGRAM = "-hypnogram.edf"
_MAGIC = {".edf": b"0       ", ".bdf": b"\xffBIOSEMI"}
_WIDTH = {".edf": 2, ".bdf": 3}


@dataclass(frozen=True)
class Layout:
    """The part of an EDF header that says where the samples are; no personal field."""

    labels: tuple[str, ...]
    units: tuple[str, ...]
    limits: tuple[tuple[str, ...], ...]
    samples: tuple[int, ...]
    table: bytes
    records: int
    seconds: float
    header_bytes: int
    record_bytes: int
    gaps_allowed: bool

    @property
    def signals(self) -> list[int]:
        """Which channels hold samples and no annotations."""
        return [i for i, label in enumerate(self.labels) if not label.endswith("Annotations")]


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read an EDF, EDF+ or BDF file; see `neuroloom.io.read`."""
    layout, notes = _checked(path)
    simple = _plain(path, layout)
    if simple is not None:
        recording = simple.read(path, start, stop, notes)
    else:
        recording = read_raw(partial(_open, layout=layout), path, _name(path), start, stop, notes)
    stages = _stages_beside(path)
    if stages is not None:
        length = recording.sizes["time"] / recording.attrs["rate"]
        own = within(stages, recording.attrs.get("offset", 0.0), length)
        recording.attrs["annotations"] = _merged(recording.attrs["annotations"], own)
    return recording


def peek(path: Path) -> Header:
    """Read the header and annotations of an EDF, EDF+ or BDF file; see `neuroloom.io.peek`."""
    layout, notes = _checked(path)
    simple = _plain(path, layout)
    if simple is not None:
        header = simple.header(path, notes)
    else:
        header = peek_raw(partial(_open, layout=layout), path, _name(path), notes)
    stages = _stages_beside(path)
    if stages is None:
        return header
    within_file = within(stages, 0.0, header.duration)
    return replace(header, annotations=_merged(header.annotations, within_file))


def is_recording(path: Path) -> bool:
    """Tell a hypnogram of Sleep-EDF from the recording that it is read with."""
    return not path.name.lower().removesuffix(".gz").endswith(_HYPNOGRAM)


def partners(path: Path) -> list[Path]:
    """Return the hypnogram of a recording of Sleep-EDF: SC4001EC- beside SC4001E0-PSG.edf.

    The letter before the hyphen names the scorer.
    """
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith("-psg.edf") or not path.parent.is_dir():
        return []
    stem = name.removesuffix("-psg.edf")[:-1]
    return sorted(
        item
        for item in path.parent.iterdir()
        if item.name.lower().startswith(stem) and item.name.lower().endswith(_HYPNOGRAM)
    )


def _stages_beside(path: Path) -> pd.DataFrame | None:
    """Return the annotations of the hypnogram beside a recording, in its seconds."""
    beside = partners(path)[:1]
    if not beside:
        return None
    import mne

    from neuroloom.io.recordings.columns import annotation_rows

    with quiet(beside[0], "EDF+ hypnogram"):
        marks = mne.read_annotations(beside[0])
    late = _begin(beside[0]) - _begin(path)
    rows = zip(marks.onset + late, marks.duration, map(str, marks.description), strict=True)
    return annotation_rows([(float(at), float(length), label) for at, length, label in rows])


def _begin(path: Path) -> float:
    """Return when a file begins, in seconds of an epoch of its own; the date stays here."""
    with path.open("rb") as handle:
        text = handle.read(184)[168:184].decode("latin-1")
    try:
        return datetime.strptime(text, "%d.%m.%y%H.%M.%S").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise DataError(f"{path}: its EDF header holds no date and time of its start.") from error


def _merged(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    both = [table for table in (first, second) if len(table)] or [first]
    return pd.concat(both).sort_values("onset", kind="stable").reset_index(drop=True)


def _plain(path: Path, layout: Layout) -> Plain | None:
    return (
        _plain_at(path, layout, path.stat().st_mtime_ns) if path.suffix.lower() == ".edf" else None
    )


@lru_cache(maxsize=64)
def _plain_at(path: Path, layout: Layout, changed: int) -> Plain | None:
    """Look once at a file that is asked for its header and then for its samples."""
    from neuroloom.io.recordings.formats.edf_plain import plain

    return plain(path, layout)


def _open(path: Path, layout: Layout) -> mne.io.BaseRaw:
    import mne

    stims = [layout.labels[i] for i in layout.signals if guess_type(layout.labels[i]) == "stim"]
    reader = mne.io.read_raw_bdf if path.suffix.lower() == ".bdf" else mne.io.read_raw_edf
    return reader(path, stim_channel=stims or "auto")


def _name(path: Path) -> str:
    return path.suffix[1:].upper()


def _checked(path: Path) -> tuple[Layout, tuple[str, ...]]:
    """Hold the header against the size of the file; return it with what is odd about it."""
    layout = _layout(path)
    size = path.stat().st_size
    there, rest = divmod(size - layout.header_bytes, max(layout.record_bytes, 1))
    if not layout.signals:
        raise DataError(f"{path}: holds annotations and no signal; expected at least one channel.")
    if layout.records >= 0 and there < layout.records:
        raise DataError(
            f"{path}: cut in its data: its header promises {layout.records} records of "
            f"{layout.seconds:g} s, {there} are there; copy the file again."
        )
    if there < 1:
        raise DataError(f"{path}: holds a header and no whole record of data.")
    if layout.gaps_allowed:
        _check_gaps(path, layout, there)
    return layout, tuple(_oddities(layout, there, rest))


def _oddities(layout: Layout, there: int, rest: int) -> list[str]:
    notes = []
    if layout.records < 0:
        notes.append(f"The header leaves the number of records open; {there} were found.")
    elif there > layout.records or rest:
        notes.append(f"The file is longer than the {layout.records} records of its header.")
    counts = {layout.samples[i] for i in layout.signals}
    if len(counts) > 1:
        slow = [layout.labels[i] for i in layout.signals if layout.samples[i] < max(counts)]
        notes.append(f"Sampled slower than the rest and resampled to it: {', '.join(slow)}.")
    bare = [layout.labels[i] for i in layout.signals if not layout.units[i]]
    bare = [label for label in bare if guess_type(label) != "stim"]
    if bare:
        notes.append(f"No unit in the file, taken as volts: {', '.join(bare)}.")
    return notes


def _layout(path: Path) -> Layout:
    with path.open("rb") as handle:
        fixed = handle.read(256)
        _check_magic(path, fixed[:8])
        if len(fixed) < 256:
            raise DataError(
                f"{path}: cut in its header: expected at least 256 bytes, got {len(fixed)}."
            )
        try:
            count = int(fixed[252:256])
            header_bytes, records = int(fixed[184:192]), int(fixed[236:244])
            seconds = float(fixed[244:252])
            table = handle.read(256 * count)
            if len(table) < 256 * count or count < 1:
                raise DataError(
                    f"{path}: cut in its header: {count} channels need {256 * (count + 1)} "
                    f"bytes, the file has {path.stat().st_size}; copy it again."
                )
            samples = tuple(int(item) for item in _column(table, count, 216, 8))
        except ValueError as error:
            raise DataError(f"{path}: its {_name(path)} header is damaged ({error}).") from error
    return Layout(
        labels=tuple(_column(table, count, 0, 16)),
        units=tuple(_column(table, count, 96, 8)),
        limits=tuple(
            zip(*(_column(table, count, at, 8) for at in (104, 112, 120, 128)), strict=True)
        ),
        table=table,
        samples=samples,
        records=records,
        seconds=seconds,
        header_bytes=header_bytes,
        record_bytes=sum(samples) * _WIDTH[path.suffix.lower()],
        gaps_allowed=fixed[192:197] in (b"EDF+D", b"BDF+D"),
    )


def _column(table: bytes, count: int, at: int, width: int) -> list[str]:
    """One field of all channels: the header keeps it as `count` neighbours of `width` bytes."""
    text = table[at * count : (at + width) * count].decode("latin-1")
    return [text[i * width : (i + 1) * width].strip(" \0") for i in range(count)]


def _check_magic(path: Path, first: bytes) -> None:
    suffix = path.suffix.lower()
    if first == _MAGIC[suffix][: len(first)]:
        return
    other = next((kind for kind, magic in _MAGIC.items() if first == magic), None)
    if other:
        raise DataError(f"{path}: is a {other} file by its content; rename it to end in {other}.")
    raise DataError(
        f"{path}: is no {_name(path)} file: expected it to begin with {_MAGIC[suffix]!r}, "
        f"it begins with {first!r}. Was another file renamed?"
    )


def _check_gaps(path: Path, layout: Layout, there: int) -> None:
    """EDF+D may have gaps, which a regular time axis cannot show; most have none."""
    import numpy as np

    where = next((i for i, label in enumerate(layout.labels) if label.endswith("Annotations")), -1)
    if where < 0:
        return
    width = _WIDTH[path.suffix.lower()]
    at, length = sum(layout.samples[:where]) * width, layout.samples[where] * width
    shape = (there, layout.record_bytes)
    records = np.memmap(path, np.uint8, "r", layout.header_bytes, shape)[:, at : at + length]
    onsets = [float(record.tobytes().split(b"\x14")[0]) for record in records]
    late = np.flatnonzero(np.abs(np.diff(onsets) - layout.seconds) > 1e-3)
    if len(late):
        raise DataError(
            f"{path}: the recording has {len(late)} gaps (EDF+D), the first after "
            f"{(late[0] + 1) * layout.seconds:g} s; export it as continuous EDF+C or in pieces."
        )
