"""BrainVision: a `.vhdr` header with its data and marker files, read by MNE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.recordings.formats.raw import peek_raw, read_raw
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr

_BYTES = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a BrainVision recording by its `.vhdr`; see `neuroloom.io.read`."""
    _check(path)
    return read_raw(_open, path, "BrainVision", start, stop)


def peek(path: Path) -> Header:
    """Read the header and markers of a BrainVision recording; see `neuroloom.io.peek`."""
    _check(path)
    return peek_raw(_open, path, "BrainVision")


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    return mne.io.read_raw_brainvision(path)


def fields(path: Path) -> dict[str, str]:
    """Return the `Key=value` lines of a BrainVision header."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    lines = re.findall(r"^\s*([A-Za-z]\w*)\s*=\s*(.*?)\s*$", text, re.MULTILINE)
    return {key: value.replace("$b", path.stem) for key, value in lines}


def _check(path: Path) -> None:
    """Hold the header against its partners: both there, the data as long as it says."""
    first = path.open("rb").read(64)
    if b"rain" not in first or b"ision" not in first:
        raise DataError(
            f"{path}: is no BrainVision header: expected it to begin with 'Brain Vision Data "
            f"Exchange Header File', it begins with {first[:16]!r}. Was another file renamed?"
        )
    said = fields(path)
    for key in ("DataFile", "MarkerFile"):
        partner = path.parent / said.get(key, "")
        if said.get(key) and not partner.is_file():
            around = [item.name for item in path.parent.iterdir() if item.suffix != ".vhdr"]
            raise DataError(
                f"{path}: its {key} '{said[key]}' is not beside it; keep the .vhdr, .vmrk and "
                f"data file together under their own names.{nearest(said[key], around)}"
            )
    if "DataFile" not in said:
        raise DataError(f"{path}: cut in its header: expected a line DataFile=…, there is none.")
    _check_length(path, said)


def _check_length(path: Path, said: dict[str, str]) -> None:
    size = (path.parent / said["DataFile"]).stat().st_size
    frame = _BYTES.get(said.get("BinaryFormat", ""), 0) * int(said.get("NumberOfChannels", 0))
    points = int(said.get("DataPoints", 0) or 0)
    if frame and (size < frame or size < points * frame):
        raise DataError(
            f"{path}: its data file {said['DataFile']} is cut: expected {max(points, 1)} samples "
            f"of {frame} bytes, {size // frame} are there; copy it again."
        )
    if frame and size % frame:
        raise DataError(
            f"{path}: its data file {said['DataFile']} is cut: {size} bytes are no whole number "
            f"of samples of {frame} bytes; copy it again."
        )
    if frame:
        _check_markers(path, said, size // frame)


def _check_markers(path: Path, said: dict[str, str], there: int) -> None:
    """Find data that were cut between two samples: the markers go on behind their end."""
    partner = path.parent / said.get("MarkerFile", "")
    if not partner.is_file():
        return
    text = partner.read_bytes().decode("utf-8", errors="replace")
    places = re.findall(r"^Mk\d+=[^,\n]*,[^,\n]*,(\d+),", text, re.MULTILINE)
    last = max(map(int, places), default=0)
    if last > there + 1:
        raise DataError(
            f"{path}: its data file {said['DataFile']} is cut: it has {there} samples, its last "
            f"marker stands at sample {last}; copy it again."
        )
