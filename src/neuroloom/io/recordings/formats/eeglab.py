"""EEGLAB `.set`, with its `.fdt` where the samples are kept apart, read by MNE."""

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


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a continuous EEGLAB recording, or its epochs end to end; see `neuroloom.io.read`."""
    _check(path)
    epochs = _epochs(path)
    if epochs is not None:
        return read_epochs(epochs, path, start, stop)
    return read_raw(_open, path, "EEGLAB .set", start, stop)


def peek(path: Path) -> Header:
    """Read the header and events of an EEGLAB recording.

    A `.set` without `.fdt` keeps its samples inside the header, which is then read whole.
    """
    _check(path)
    epochs = _epochs(path)
    if epochs is not None:
        return epochs_header(epochs, path)
    return peek_raw(_open, path, "EEGLAB .set")


def _epochs(path: Path) -> mne.BaseEpochs | None:
    """Return the epochs of a file that holds some, None of a continuous one."""
    import mne

    with quiet(path, "EEGLAB .set"):
        try:
            mne.io.read_raw_eeglab(path)
        except TypeError as error:
            if "number of trials" not in str(error):
                raise
            return mne.io.read_epochs_eeglab(path)
        except FileNotFoundError:
            return None
    return None


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    try:
        raw = mne.io.read_raw_eeglab(path)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: its data file '{path.stem}.fdt' is not beside it; keep both together."
        ) from error
    _check_partner(path, raw)
    return raw


def _check_partner(path: Path, raw: mne.io.BaseRaw) -> None:
    """Hold the size of the .fdt, float32 samples and nothing else, against the header."""
    needed = raw.n_times * len(raw.ch_names) * 4
    partner = path.with_suffix(".fdt")
    if partner.is_file() and partner.stat().st_size < needed:
        raise DataError(
            f"{path}: its data file {partner.name} is cut: expected {needed} bytes, got "
            f"{partner.stat().st_size}; copy it again."
        )


def _check(path: Path) -> None:
    """Hold the top elements of a MATLAB 5 file against its size; 7.3 is HDF5, left to MNE."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(128)
        if not head.startswith((b"MATLAB", b"\x89HDF")):
            raise DataError(
                f"{path}: is no EEGLAB .set: expected a MATLAB file, it begins with "
                f"{head[:8]!r}. Was another file renamed?"
            )
        if not head.startswith(b"MATLAB 5"):
            return
        order, end = "<" if head[126:128] == b"IM" else ">", 128
        while end < size:
            handle.seek(end)
            tag = handle.read(8)
            end += 8 + (struct.unpack(f"{order}II", tag)[1] if len(tag) == 8 else 0)
    if end > size or size <= 128:
        raise DataError(
            f"{path}: cut in its data: expected at least {max(end, 136)} bytes, got {size}; copy "
            "the file again."
        )
