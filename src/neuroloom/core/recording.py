"""The data contract: one recording as an `xarray.DataArray`, checked at the gate.

Kinds and their dims are in `DIMS`. Everything past the gate may rely on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

DIMS: dict[str, tuple[str, ...]] = {
    "signal": ("channel", "time"),
    "image": ("channel", "y", "x"),
    "volume": ("channel", "x", "y", "z"),
    "movie": ("time", "y", "x", "channel"),
    "tracks": ("time", "space", "keypoints", "individuals"),
    "graph": ("node", "node_to"),
}
ANNOTATION_COLUMNS = ("onset", "duration", "label")


def signal(
    data: np.ndarray,
    channels: Sequence[str],
    rate: float,
    *,
    types: Sequence[str] | None = None,
    positions: np.ndarray | None = None,
    annotations: pd.DataFrame | None = None,
    source: str = "",
) -> xr.DataArray:
    """Build a checked `signal` recording.

    Parameters
    ----------
    data
        Shape (channel, time), in SI units (V; T; T/m), as MNE has them.
    channels
        One name a row of `data`.
    rate
        Samples a second, Hz.
    types
        MNE's channel types ("eeg", "mag", "emg", …); all "eeg" if not given.
    positions
        Shape (channel, 3), head coordinates in metres; NaN where unknown.
    annotations
        Columns onset (s), duration (s), label.
    source
        Name of the file, without its folder.

    Raises
    ------
    DataError
        If the parts do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> signal(np.zeros((2, 100)), ["C3", "C4"], rate=100.0).sizes["time"]
    100
    """
    import pandas as pd
    import xarray as xr

    data = np.asarray(data)
    if data.ndim != 2 or len(channels) != len(data):
        raise DataError(
            f"{source or 'signal'}: expected data of shape (channel, time) with "
            f"{len(channels)} channels, got shape {data.shape}."
        )
    xyz = np.full((len(data), 3), np.nan) if positions is None else np.asarray(positions, float)
    coords: dict[str, Any] = {
        "channel": ("channel", np.asarray(channels, dtype=str)),
        "time": ("time", np.arange(data.shape[1]) / rate),
        "type": ("channel", np.asarray(types if types is not None else ["eeg"] * len(data))),
    }
    coords |= {axis: ("channel", xyz[:, i]) for i, axis in enumerate("xyz")}
    table = annotations if annotations is not None else pd.DataFrame(columns=ANNOTATION_COLUMNS)
    attrs = {"kind": "signal", "rate": float(rate), "units": "V", "annotations": table}
    array = xr.DataArray(data, dims=DIMS["signal"], coords=coords, attrs=attrs | {"source": source})
    return check(array, "signal")


def check(recording: xr.DataArray, kind: str) -> xr.DataArray:
    """Return `recording` if it honours the contract of `kind`.

    Raises
    ------
    DataError
        Naming the file, the dim or the attribute that is wrong.
    """
    name = recording.attrs.get("source") or "recording"
    if kind not in DIMS:
        raise DataError(f"{name}: unknown kind '{kind}'; known are {', '.join(DIMS)}.")
    if tuple(recording.dims) != DIMS[kind]:
        raise DataError(
            f"{name}: a {kind} has the dims {DIMS[kind]}, this one has {tuple(recording.dims)}."
        )
    if 0 in recording.shape:
        raise DataError(f"{name}: the {kind} is empty, its shape is {recording.shape}.")
    if kind == "signal":
        _check_signal(recording, name)
    return recording


def bad_channels(recording: xr.DataArray) -> dict[str, str]:
    """Return channel -> reason for the channels that cannot be used; empty if all are sound.

    Marker channels ("stim") may be constant. Call it after picking: a channel that is left out
    harms nobody.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([[0.0, 0.0, 0.0], [1.0, np.nan, 2.0], [1.0, 2.0, 3.0]])
    >>> bad_channels(signal(data, ["C3", "Cz", "C4"], rate=10.0))["Cz"]
    'not a number from 0.1 s on (1 of 3 samples)'
    """
    found = {}
    for name, kind, row in zip(
        recording.channel.values, recording.type.values, recording.values, strict=True
    ):
        # Not a number, or infinite, is also the least or the largest of such a row.
        low, high = row.min(), row.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = np.isfinite(row)
            first = recording.time.values[int(np.argmin(finite))]
            missing = f"{len(row) - np.count_nonzero(finite)} of {len(row)} samples"
            found[str(name)] = f"not a number from {first:.6g} s on ({missing})"
        elif kind != "stim" and low == high:
            found[str(name)] = "flat (constant) for the whole recording"
    return found


def require_sound(recording: xr.DataArray) -> xr.DataArray:
    """Return `recording` if no channel is flat or holds what is not a number.

    Raises
    ------
    DataError
        Naming the file and each such channel, and how to leave them out.
    """
    bad = bad_channels(recording)
    if not bad:
        return recording
    name = recording.attrs.get("source") or "recording"
    listed = "; ".join(f"channel {channel} is {reason}" for channel, reason in bad.items())
    without = " ".join(f"--picks '!{channel}'" for channel in bad)
    raise DataError(f"{name}: {listed}. Mend the file or leave it out with {without}.")


def _check_signal(recording: xr.DataArray, name: str) -> None:
    rate = recording.attrs.get("rate", 0)
    if not rate > 0:
        raise DataError(f"{name}: the sampling rate must be above 0 Hz, it is {rate}.")
    channels = list(map(str, recording.coords["channel"].values))
    twice = sorted({channel for channel in channels if channels.count(channel) > 1})
    if twice:
        raise DataError(f"{name}: two channels are called {', '.join(twice)}; rename one.")
    missing = set(ANNOTATION_COLUMNS) - set(recording.attrs["annotations"].columns)
    if missing:
        raise DataError(f"{name}: the annotations lack the columns {sorted(missing)}.")
