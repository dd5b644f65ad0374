"""XDF, the format of the Lab Streaming Layer: several streams in one file, read by pyxdf.

Format: https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import guess_type, normalise, template_positions
from neuroloom.io.recordings.formats.raw import quiet, window
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_VOLTS = {"microvolts": 1e-6, "microvolt": 1e-6, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6,
          "millivolts": 1e-3, "mv": 1e-3, "nanovolts": 1e-9, "nv": 1e-9,
          "volts": 1.0, "volt": 1.0, "v": 1.0}  # fmt: skip


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read the largest EEG (else numeric) stream; marker streams become its annotations.

    The rate is the stream's nominal one. A marker gets the onset of the sample that was
    recorded at its time, so clock drift and dropped samples do not shift it.
    """
    stream, marks, notes = _load(path)
    rate, names, types = _rate(stream), *_channels(stream)
    values = np.asarray(stream["time_series"], dtype=float)
    first, last = window(path, len(values), rate, start, stop)
    scale, unit_notes = _scale(stream, types)
    table = _annotations(marks, np.asarray(stream["time_stamps"]), rate)
    onset = table["onset"] - first / rate
    inside = (onset >= 0) & (onset < (last - first) / rate)
    recording = signal(
        np.ascontiguousarray(values[first:last].T * scale[:, None]),
        names,
        rate,
        types=types,
        positions=template_positions(names),
        annotations=table.assign(onset=onset)[inside].reset_index(drop=True),
        source=path.name,
    )
    recording.attrs["notes"] = [*notes, *unit_notes]
    recording.attrs |= {"offset": first / rate} if first else {}
    return recording


def peek(path: Path) -> Header:
    """Read the header; as XDF keeps time stamps among the samples, this reads the file."""
    stream, marks, notes = _load(path)
    rate, names, types = _rate(stream), *_channels(stream)
    stamps = np.asarray(stream["time_stamps"])
    table = _annotations(marks, stamps, rate)
    notes += _scale(stream, types)[1]
    duration = len(stamps) / rate
    return Header(path.name, tuple(names), tuple(types), rate, duration, table, tuple(notes))


def _load(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """Return the signal stream, the marker streams, and notes on what was left out."""
    _check(path)
    import pyxdf

    logging.getLogger("pyxdf").addHandler(logging.NullHandler())
    with quiet(path, "XDF") as notes:
        streams, _ = pyxdf.load_xdf(str(path))
    filled = [stream for stream in streams if len(stream["time_series"])]
    signals = [stream for stream in filled if _is_signal(stream)]
    if not signals:
        kinds = ", ".join(_info(stream, "type") for stream in streams) or "no stream at all"
        raise DataError(f"{path}: expected a stream with a sampling rate, found {kinds}.")
    chosen = max(signals, key=lambda s: (_info(s, "type").upper() == "EEG", _width(s)))
    notes += [
        f"Stream '{_info(stream, 'name')}' ({_info(stream, 'type')}) was left out."
        for stream in signals
        if stream is not chosen
    ]
    return chosen, [stream for stream in filled if not _is_signal(stream)], notes


def _info(stream: dict[str, Any], key: str) -> str:
    return str((stream["info"].get(key) or [""])[0] or "")


def _width(stream: dict[str, Any]) -> int:
    return int(_info(stream, "channel_count"))


def _is_signal(stream: dict[str, Any]) -> bool:
    return float(_info(stream, "nominal_srate") or 0) > 0 and (
        _info(stream, "channel_format") != "string"
    )


def _rate(stream: dict[str, Any]) -> float:
    return float(_info(stream, "nominal_srate"))


def _described(stream: dict[str, Any], key: str) -> list[str]:
    """Return what the stream's description says of each channel, "" where it is silent."""
    described = (stream["info"].get("desc") or [None])[0] or {}
    inside = (described.get("channels") or [None])[0] or {}
    said = [str((item.get(key) or [""])[0] or "") for item in inside.get("channel", [])]
    return said if len(said) == _width(stream) else [""] * _width(stream)


def _channels(stream: dict[str, Any]) -> tuple[list[str], list[str]]:
    labels = [text.strip() or f"Ch{i + 1}" for i, text in enumerate(_described(stream, "label"))]
    counts = Counter(labels)
    names = normalise(
        [text if counts[text] == 1 else f"{text}-{i}" for i, text in enumerate(labels)]
    )
    given = "eeg" if _info(stream, "type").upper() == "EEG" else "misc"
    said = [text.lower() for text in _described(stream, "type")]
    known = {"eeg", "eog", "ecg", "emg", "misc", "stim"}
    types = [
        kind if kind in known else guess_type(name, given)
        for name, kind in zip(names, said, strict=True)
    ]
    return names, types


def _scale(stream: dict[str, Any], types: list[str]) -> tuple[np.ndarray, list[str]]:
    """Factors to volts; LSL's custom is microvolts where an EEG stream names no unit."""
    units = [unit.lower() for unit in _described(stream, "unit")]
    electric = [kind in ("eeg", "eog", "ecg", "emg") for kind in types]
    unsaid = any(a and not unit for a, unit in zip(electric, units, strict=True))
    factors = [
        _VOLTS.get(unit, 1.0 if unit else 1e-6) if a else 1.0
        for a, unit in zip(electric, units, strict=True)
    ]
    notes = ["The stream names no unit; microvolts were assumed."] if unsaid else []
    return np.array(factors), notes


def _annotations(marks: list[dict[str, Any]], stamps: np.ndarray, rate: float) -> pd.DataFrame:
    import pandas as pd

    pairs = [
        (time, _label(row))
        for stream in marks
        for time, row in zip(stream["time_stamps"], stream["time_series"], strict=True)
    ]
    margin = 1 / rate
    pairs = [(t, s) for t, s in pairs if s and stamps[0] - margin <= t <= stamps[-1] + margin]
    times = np.array([time for time, _ in pairs], dtype=float)
    onset = np.interp(times, stamps, np.arange(len(stamps))) / rate
    labels = pd.Series([text for _, text in pairs], dtype=str)
    table = pd.DataFrame({"onset": onset, "duration": np.zeros(len(onset)), "label": labels})
    return table.sort_values("onset", kind="stable").reset_index(drop=True)


def _label(row: Any) -> str:
    """Name a marker by its text or its integer; 0 is none."""
    value = np.atleast_1d(np.asarray(row, dtype=object))[0]
    if isinstance(value, str):
        return value
    return "" if not value else f"{float(value):g}"


def _check(path: Path) -> None:
    """Hold the chain of chunks against the size of the file; pyxdf would read what is left."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        first = handle.read(4)
        if first != b"XDF:":
            raise DataError(
                f"{path}: is no XDF file: expected it to begin with b'XDF:', it begins with "
                f"{first!r}. Was another file renamed?"
            )
        end = max(_chunk_ends(handle, size), default=4)
    if end > size:
        raise DataError(
            f"{path}: cut in its data: its last chunk needs {end} bytes, the file has {size}; "
            "copy it again."
        )


def _chunk_ends(handle: Any, size: int) -> Iterator[int]:
    at = 4
    while at < size:
        handle.seek(at)
        width = handle.read(1)[0]
        if width not in (1, 4, 8):
            return
        at += 1 + width + int.from_bytes(handle.read(width), "little")
        yield at
