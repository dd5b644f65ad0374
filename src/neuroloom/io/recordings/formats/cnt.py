"""Neuroscan CNT, read by MNE.

Header: http://paulbourke.net/dataformats/eeg/ (900 bytes, then 75 a channel).
"""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.formats.raw import peek_raw, read_raw
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr

_CHANNELS, _SAMPLES, _EVENTS = 370, 864, 886  # where the header keeps uint16, uint32, uint32
_BIG = 2**31  # above it the place of the event table overflows its field


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a Neuroscan CNT file; see `neuroloom.io.read`."""
    width, notes = _checked(path)
    return read_raw(partial(_open, width=width), path, "Neuroscan CNT", start, stop, notes)


def peek(path: Path) -> Header:
    """Read the header and events of a Neuroscan CNT file; see `neuroloom.io.peek`."""
    width, notes = _checked(path)
    return peek_raw(partial(_open, width=width), path, "Neuroscan CNT", notes)


def _open(path: Path, width: int) -> mne.io.BaseRaw:
    """Open with `width` bytes a sample, and count them; 0 trusts the header."""
    import mne

    form = {2: "int16", 4: "int32"}.get(width, "auto")
    raw = mne.io.read_raw_cnt(path, data_format=form, recompute_n_samples=bool(width) or None)
    # Rows of the event table that carry no stimulus have the code 0.
    none = [i for i, label in enumerate(raw.annotations.description) if label == "0"]
    raw.annotations.delete(none)
    for channel in raw.info["chs"]:
        # The file keeps places on a flat drawing; MNE's sphere through them is no head.
        channel["loc"][:3] = float("nan")
    return raw


def _checked(path: Path) -> tuple[int, tuple[str, ...]]:
    """Return the bytes a sample where the header miscounts the samples, else 0, with notes.

    Some systems leave a wrong count; where the event table starts tells the true one.
    """
    head, size = path.open("rb").read(900), path.stat().st_size
    if not head.startswith(b"Version"):
        raise DataError(
            f"{path}: is no Neuroscan CNT file: expected it to begin with b'Version', it begins "
            f"with {head[:8]!r}. An ANT Neuro .cnt has to be exported as EDF or BrainVision."
        )
    if len(head) < 900:
        raise DataError(f"{path}: cut in its header: expected at least 900 bytes, got {len(head)}.")
    channels = struct.unpack_from("<H", head, _CHANNELS)[0]
    said, events = (struct.unpack_from("<I", head, at)[0] for at in (_SAMPLES, _EVENTS))
    data_from = 900 + 75 * channels
    if channels < 1 or size < data_from:
        raise DataError(f"{path}: cut in its header: {channels} channels need {data_from} bytes.")
    if size >= _BIG:
        return 0, ()
    if events > size:
        raise DataError(
            f"{path}: cut in its data: its event table should start at byte {events}, the file "
            f"has {size}; copy it again."
        )
    return _count(said, (events - data_from) / channels)


def _count(said: int, room: float) -> tuple[int, tuple[str, ...]]:
    width = min((2, 4), key=lambda width: abs(room - said * width))
    if room == said * width or room % width:
        return 0, ()
    there = int(room // width)
    return width, (f"The header counts {said} samples, {there} are there.",)
