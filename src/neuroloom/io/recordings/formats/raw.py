"""What MNE opened, as our recording or header: the shared half of all formats that MNE reads."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError, NeuroloomError
from neuroloom.core.recording import signal
from neuroloom.io.recordings.electrodes import guess_type, normalise, template_positions
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import pandas as pd
    import xarray as xr

# Only warnings of these kinds become notes: others can quote a header, and with it a patient.
_TELLING = re.compile(
    r"omitted \d+ annot|limited \d+ annot|sampling (rate|frequenc)|unit|"
    r"scal(e|ing)|boundary|estimat|discontin",
    re.IGNORECASE,
)
_PRIVATE = re.compile(r"patient|subject|birth|date|/|\\", re.IGNORECASE)
_COMPOSITE = ("STI101", "STI 014", "Status")
_KEPT = 64
_OPEN: dict[tuple[str, int, int], tuple[mne.io.BaseRaw, tuple[str, ...]]] = {}


@contextmanager
def quiet(path: Path, what: str) -> Iterator[list[str]]:
    """Keep MNE off the terminal: collect its warnings as notes, turn its errors into ours.

    Raises
    ------
    DataError
        "PATH: cannot be read as WHAT: the first line of MNE's complaint".
    """
    import mne

    notes: list[str] = []
    with (
        warnings.catch_warnings(record=True) as caught,
        mne.utils.use_log_level("WARNING"),
        mne.utils.catch_logging(),
    ):
        warnings.simplefilter("always")
        try:
            yield notes
        except (NeuroloomError, MemoryError):
            raise
        except Exception as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
            raise DataError(f"{path}: cannot be read as {what}: {reason.strip()}") from error
        finally:
            texts = dict.fromkeys(" ".join(str(item.message).split()) for item in caught)
            notes += [text for text in texts if _TELLING.search(text) and not _PRIVATE.search(text)]


def read_raw(
    open_raw: Callable[[Path], mne.io.BaseRaw],
    path: Path,
    what: str,
    start: float | None = None,
    stop: float | None = None,
    notes: tuple[str, ...] = (),
) -> xr.DataArray:
    """Open a file with an MNE reader and return the window as a recording, float64.

    Parameters
    ----------
    open_raw
        Opens `path` without loading it.
    what
        The format's name, for errors.
    """
    raw, opening = _opened(open_raw, path, what)
    with quiet(path, what) as warned:
        first, last = window(path, raw.n_times, raw.info["sfreq"], start, stop)
        data = raw.get_data(start=first, stop=last)
        header = _header(raw, path)
        offset = first / header.rate
        events = within(header.annotations, offset, (last - first) / header.rate)
        positions = positions_of(raw.info, header.channels)
    recording = signal(
        data, header.channels, header.rate, types=header.types, positions=positions,
        annotations=events, source=path.name,
    )  # fmt: skip
    recording.attrs["notes"] = list(dict.fromkeys([*notes, *header.notes, *opening, *warned]))
    recording.attrs |= {"offset": offset} if offset else {}
    return recording


def peek_raw(
    open_raw: Callable[[Path], mne.io.BaseRaw], path: Path, what: str, notes: tuple[str, ...] = ()
) -> Header:
    """Open a file with an MNE reader and return its header; only marker channels are read."""
    from dataclasses import replace

    raw, opening = _opened(open_raw, path, what)
    with quiet(path, what) as warned:
        header = _header(raw, path)
    said = dict.fromkeys([*notes, *header.notes, *opening, *warned])
    return replace(header, notes=tuple(said))


def _opened(
    open_raw: Callable[[Path], mne.io.BaseRaw], path: Path, what: str
) -> tuple[mne.io.BaseRaw, tuple[str, ...]]:
    """Open a file with MNE, or hand back the object that was opened for its header.

    Only formats of one file are kept: a partner may change and leave the first as it is.
    """
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key in _OPEN:
        return _OPEN[key]
    with quiet(path, what) as notes:
        raw = open_raw(path)
    if path.suffix.lower() in (".edf", ".bdf"):
        while len(_OPEN) >= _KEPT:
            _OPEN.pop(next(iter(_OPEN)))
        _OPEN[key] = raw, tuple(notes)
    return raw, tuple(notes)


def _header(raw: mne.io.BaseRaw, path: Path) -> Header:
    names = normalise(raw.ch_names)
    types = channel_types(raw, names)
    table = annotation_table(raw)
    if not len(table):
        table = marker_table(raw)
    bad = [names[raw.ch_names.index(name)] for name in raw.info["bads"]]
    notes = [f"The file marks {', '.join(bad)} as bad; it is read like the others."] if bad else []
    rate = float(raw.info["sfreq"])
    return Header(
        path.name, tuple(names), tuple(types), rate, float(raw.n_times / rate), table, tuple(notes)
    )


def channel_types(opened: mne.io.BaseRaw | mne.BaseEpochs, names: Sequence[str]) -> list[str]:
    """Return MNE's channel types, bettered by the names where a format calls everything EEG."""
    return [
        guess_type(name, kind) if kind in ("eeg", "misc") else kind
        for name, kind in zip(names, opened.get_channel_types(), strict=True)
    ]


def annotation_table(raw: mne.io.BaseRaw) -> pd.DataFrame:
    """Return the annotations of `raw`, onsets counted from its first sample."""
    import pandas as pd

    marks = raw.annotations
    columns = {
        "onset": np.asarray(marks.onset, float) - raw.first_time,
        "duration": np.asarray(marks.duration, float),
        "label": [str(label) for label in marks.description],
    }
    return pd.DataFrame(columns)


def marker_table(raw: mne.io.BaseRaw) -> pd.DataFrame:
    """Return the events of the marker channels, named by their integers; 0 is none."""
    import pandas as pd

    stims = [n for n, t in zip(raw.ch_names, raw.get_channel_types(), strict=True) if t == "stim"]
    composite = [name for name in _COMPOSITE if name in stims]
    found = [table_of_marks(raw.get_data(picks=[name])[0], raw) for name in composite[:1] or stims]
    if not found:
        return no_marks()
    return pd.concat(found).sort_values("onset", kind="stable").reset_index(drop=True)


def no_marks() -> pd.DataFrame:
    """Return annotations of which there are none."""
    import pandas as pd

    return pd.DataFrame({"onset": [], "duration": [], "label": pd.Series([], dtype=str)})


def table_of_marks(values: np.ndarray, raw: Any) -> pd.DataFrame:
    """Turn one marker channel into annotations: one for each stretch of a constant integer.

    Parameters
    ----------
    values
        Shape (time,); integers, else it is no marker channel and gives nothing.
    """
    import pandas as pd

    codes = np.round(values).astype(np.int64)
    if not np.allclose(codes, values, atol=1e-3):
        codes[:] = 0
    if "Status" in raw.ch_names:
        # BioSemi: 16 bits of trigger below the state of the amplifier.
        codes &= 0xFFFF
    starts = np.flatnonzero(np.diff(codes, prepend=0))
    ends = np.append(starts[1:], len(codes))
    held = codes[starts] != 0
    rate = raw.info["sfreq"]
    columns = {
        "onset": starts[held] / rate,
        "duration": (ends - starts)[held] / rate,
        "label": [str(code) for code in codes[starts][held]],
    }
    return pd.DataFrame(columns)


def positions_of(info: mne.Info, names: tuple[str, ...]) -> np.ndarray:
    """Return head coordinates of the file, the template's where it places no EEG sensor."""
    xyz = np.array([channel["loc"][:3] for channel in info["chs"]], dtype=float)
    unset = ~np.isfinite(xyz).all(axis=1) | (np.abs(xyz).sum(axis=1) == 0)
    xyz[unset] = np.nan
    types = np.array(info.get_channel_types())
    meg = np.isin(types, ("mag", "grad", "ref_meg")) & ~unset
    if meg.any() and info["dev_head_t"] is not None:
        turn = info["dev_head_t"]["trans"]
        xyz[meg] = xyz[meg] @ turn[:3, :3].T + turn[:3, 3]
    if (~unset & ~meg).any():
        return xyz
    return np.where(unset[:, None], template_positions(names), xyz)


def window(
    path: Path, length: int, rate: float, start: float | None, stop: float | None
) -> tuple[int, int]:
    """Return the samples from `start` to `stop` (s; None: the ends), which must lie inside."""
    first = 0 if start is None else round(start * rate)
    last = length if stop is None else round(stop * rate)
    if not 0 <= first < last <= length:
        raise DataError(
            f"{path}: expected a window inside the recording of {length / rate:g} s, "
            f"got start={start}, stop={stop}."
        )
    return first, last


def within(table: pd.DataFrame, offset: float, length: float) -> pd.DataFrame:
    """Keep the annotations that begin in the window, and count them from its start."""
    onset = table["onset"].to_numpy(float) - offset
    inside = (onset >= 0) & (onset < length)
    if not offset and inside.all():
        return table.copy()
    return table.assign(onset=onset)[inside].reset_index(drop=True)
