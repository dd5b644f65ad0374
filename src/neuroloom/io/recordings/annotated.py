"""A recording with annotations, written so that MNE opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic

if TYPE_CHECKING:
    import mne
    import pandas as pd
    import xarray as xr


_ONE_FILE = 1.9e9  # bytes that MNE puts into one FIF file, less some room


def write_annotated(recording: xr.DataArray, annotations: pd.DataFrame, path: Path) -> Path:
    """Write a recording with `annotations` as a raw FIF file (float32), naming nobody.

    Parameters
    ----------
    recording
        Dims (channel, time).
    annotations
        Columns onset (s from the first sample), duration (s), label; they replace those of
        the recording.
    path
        Ends in `_raw.fif`, `_eeg.fif` or at least `.fif`, as MNE wants it.

    Examples
    --------
    >>> write_annotated(recording, table, Path("new_raw.fif"))  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix != ".fif":
        raise DataError(f"{path}: expected a name that ends in .fif, got '{path.suffix}'.")
    raw = to_mne(recording, annotations)
    if recording.size * 4 > _ONE_FILE:
        # MNE splits it, and the parts name each other: they cannot be renamed afterwards.
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(raw, path)
        return path
    return write_atomic(path, lambda partial: _save(raw, partial))


def to_mne(recording: xr.DataArray, annotations: pd.DataFrame) -> mne.io.RawArray:
    """Return an MNE raw object of a recording, anonymous and without a date."""
    import mne

    types = [str(kind) for kind in recording.type.values]
    names = [str(name) for name in recording.channel.values]
    info = mne.create_info(names, recording.attrs["rate"], types, verbose="ERROR")
    raw = mne.io.RawArray(recording.values.astype(float), info, verbose="ERROR")
    xyz = np.stack([recording.coords[axis].values for axis in "xyz"], axis=1)
    for channel, place in zip(raw.info["chs"], xyz, strict=True):
        if np.isfinite(place).all():
            channel["loc"][:3] = place
    marks = mne.Annotations(
        annotations["onset"].to_numpy(float),
        annotations["duration"].to_numpy(float),
        annotations["label"].astype(str).tolist(),
    )
    return raw.set_annotations(marks, verbose="ERROR")


def _save(raw: mne.io.RawArray, path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        # MNE would like the name to end in _raw.fif; ours is still a partial one.
        warnings.simplefilter("ignore", RuntimeWarning)
        raw.save(path, fmt="single", overwrite=True, split_naming="neuromag", verbose="ERROR")
