"""Epochs that MNE opened (EEGLAB `.set` after epoching, `-epo.fif`) as trials laid end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.columns import annotation_rows, recording_of
from neuroloom.io.recordings.electrodes import normalise
from neuroloom.io.recordings.formats.raw import channel_types, positions_of
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr


def read_epochs(
    epochs: mne.BaseEpochs, path: Path, start: float | None = None, stop: float | None = None
) -> xr.DataArray:
    """Return the epochs as a recording; every event stands where it stood in its epoch."""
    data = epochs.get_data(copy=False)
    if not len(data):
        raise DataError(
            f"{path}: holds epochs and not one of them is left; save it before rejecting."
        )
    flat = data.transpose(1, 0, 2).reshape(data.shape[1], -1)
    header = epochs_header(epochs, path)
    return recording_of(header, flat, path, start, stop, positions_of(epochs.info, header.channels))


def epochs_header(epochs: mne.BaseEpochs, path: Path) -> Header:
    """Return what epochs say besides their samples."""
    names = tuple(normalise(epochs.ch_names))
    rate = float(epochs.info["sfreq"])
    length = len(epochs.times) / rate
    before = min(max(-float(epochs.tmin), 0.0), length)
    called = {code: name for name, code in epochs.event_id.items()}
    codes = np.asarray(epochs.events)[:, 2]
    rows = [
        (k * length + before, length - before, called.get(int(code), str(code)))
        for k, code in enumerate(codes)
    ]
    table = annotation_rows(rows)
    types = tuple(channel_types(epochs, names))
    return Header(path.name, names, types, rate, len(codes) * length, table, (), length)
