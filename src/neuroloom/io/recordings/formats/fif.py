"""FIF, the format of MNE and of Elekta/MEGIN systems: continuous recordings and epochs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.formats.epochs import epochs_header, read_epochs
from neuroloom.io.recordings.formats.raw import peek_raw, quiet, read_raw
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr

_FILE_ID = bytes((0, 0, 0, 100))  # the tag FIFF_FILE_ID opens every FIF file


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a raw FIF file with its split parts, or epochs end to end; no projector is applied."""
    _check(path)
    if _holds_epochs(path):
        with quiet(path, "FIF epochs"):
            return read_epochs(_open_epochs(path), path, start, stop)
    return read_raw(_open, path, "raw FIF", start, stop)


def peek(path: Path) -> Header:
    """Read the header and annotations of a raw FIF file; see `neuroloom.io.peek`."""
    _check(path)
    if _holds_epochs(path):
        with quiet(path, "FIF epochs"):
            return epochs_header(_open_epochs(path), path)
    return peek_raw(_open, path, "raw FIF")


def _holds_epochs(path: Path) -> bool:
    """Tell from the name that MNE asks for: `-epo.fif` or `_epo.fif`."""
    return path.name.lower().endswith(("-epo.fif", "_epo.fif"))


def _open_epochs(path: Path) -> mne.BaseEpochs:
    import mne

    return mne.read_epochs(path, proj=False, preload=True)


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    return mne.io.read_raw_fif(path, allow_maxshield="yes")


def _check(path: Path) -> None:
    """FIF is a chain of tags; it must begin as one and not end inside a tag."""
    first = path.open("rb").read(4)
    if first != _FILE_ID:
        raise DataError(
            f"{path}: is no FIF file: expected it to begin with {_FILE_ID!r}, it begins with "
            f"{first!r}. Was another file renamed?"
        )
    end = _end_of_tags(path)
    if end > path.stat().st_size:
        raise DataError(
            f"{path}: cut in its data: expected at least {end} bytes, got "
            f"{path.stat().st_size}; copy the file again."
        )


def _end_of_tags(path: Path) -> int:
    """Follow the tags (kind, type, size, next: four big-endian int32) to where the last ends."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as handle:
        while at + 16 <= size:
            handle.seek(at)
            length, following = struct.unpack(">8x2i", handle.read(16))
            if following < 0:
                return at + 16 + length
            behind = following if following > 0 else at + 16 + length
            if behind <= at:
                raise ValueError(f"the tag at byte {at} points back to {behind}")
            at = behind
    # A chain that does not say where it ends was cut.
    return max(at, size) + 1
