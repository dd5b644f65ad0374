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
UNITS = ("mm", "um", "px")
TRACK_UNITS = ("px", "um", "mm", "cm", "m", "units")  # "units": of a rig whose size nobody knows
_ROUNDED = 1e-3  # what affines may differ by: of a number, or of a unit if that is more


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


def volume(
    data: np.ndarray,
    affine: np.ndarray,
    channels: Sequence[str] | None = None,
    source: str = "",
    notes: Sequence[str] = (),
    unit: str = "mm",
) -> xr.DataArray:
    """Build a checked `volume` recording.

    Parameters
    ----------
    data
        Shape (x, y, z), which is one channel, or (channel, x, y, z).
    affine
        Shape (4, 4), from voxel indices to places, RAS: x to the right, y to the front, z up.
    channels
        One name a channel; "0", "1", … if not given.
    source
        Name of the file, without its folder.
    notes
        What a careful reader should know about the file, one sentence each.
    unit
        Of the affine: "mm"; "um" or "px" for stacks of a microscope.

    Raises
    ------
    DataError
        If the parts do not fit together, or the affine cannot be inverted.

    Examples
    --------
    >>> import numpy as np
    >>> ct = volume(np.zeros((4, 5, 6)), np.diag([1.0, 1.0, 2.5, 1.0]))
    >>> ct.shape, spacing(ct)
    ((1, 4, 5, 6), (2.5, 1.0, 1.0))
    """
    affine = np.array(affine, dtype=float)
    return _grid("volume", data, channels, source, notes, {"affine": affine, "unit": unit})


def image(
    data: np.ndarray,
    spacing: tuple[float, float] = (1.0, 1.0),
    unit: str = "px",
    channels: Sequence[str] | None = None,
    source: str = "",
    notes: Sequence[str] = (),
) -> xr.DataArray:
    """Build a checked `image` recording.

    Parameters
    ----------
    data
        Shape (y, x), which is one channel, or (channel, y, x).
    spacing
        Size of a pixel (dy, dx), in `unit`.
    unit
        "mm", "um", or "px" where the size is not known.
    channels, source, notes
        As for `volume`.

    Raises
    ------
    DataError
        If the parts do not fit together, or a pixel has no size.

    Examples
    --------
    >>> import numpy as np
    >>> image(np.zeros((3, 64, 48)), (0.1, 0.1), "um", ["red", "green", "blue"]).sizes["x"]
    48
    """
    dy, dx = (float(size) for size in spacing)
    return _grid("image", data, channels, source, notes, {"spacing": (dy, dx), "unit": unit})


def tracks(
    points: np.ndarray,
    keypoints: Sequence[str],
    individuals: Sequence[str] = ("individual_0",),
    rate: float = 1.0,
    confidence: np.ndarray | None = None,
    unit: str = "px",
    source: str = "",
    frames: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> xr.DataArray:
    """Build a checked `tracks` recording: where the points of animals are over time.

    Its dims are those of `movement`. Pixels count from the centre of the top-left one, x to the
    right and y down.

    Parameters
    ----------
    points
        Shape (time, space, keypoints, individuals); space is x, y or x, y, z. NaN is missing.
    keypoints, individuals
        One name each, no name twice.
    rate
        Frames a second, Hz.
    confidence
        Shape (time, keypoints, individuals), from 0 to 1; NaN, which is unknown, if not given.
    unit
        Of `points`: "px", "um", "mm", "cm" or "m"; "units" where nobody knows.
    source
        Name of the file, without its folder.
    frames
        Shape (time,): which frame of the video a row is; 0, 1, 2, … if not given.
    times
        Shape (time,), s: when a frame was taken, where the rate varies; else the frame over the
        rate.

    Raises
    ------
    DataError
        If the parts do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> mouse = tracks(np.zeros((50, 2, 3, 1)), ["snout", "back", "tail"], rate=25.0)
    >>> mouse.sizes["keypoints"], float(mouse.time[-1])
    (3, 1.96)
    """
    import xarray as xr

    points, name = np.asarray(points, float), source or "tracks"
    expected = (len(keypoints), len(individuals))
    if points.ndim != 4 or points.shape[1] not in (2, 3) or points.shape[2:] != expected:
        raise DataError(
            f"{name}: expected points of shape (time, 2 or 3, {expected[0]} keypoints, "
            f"{expected[1]} individuals), got {points.shape}."
        )
    if not rate > 0:
        raise DataError(f"{name}: the rate must be above 0 frames a second, it is {rate}.")
    shape = (len(points), *expected)
    sure = np.full(shape, np.nan) if confidence is None else np.asarray(confidence, float)
    number = np.arange(len(points)) if frames is None else np.asarray(frames)
    when = number / rate if times is None else np.asarray(times, float)
    if sure.shape != shape or {number.shape, when.shape} != {shape[:1]}:
        raise DataError(
            f"{name}: expected a confidence of shape {shape} and {shape[0]} frames, got "
            f"{sure.shape} and {number.shape}."
        )
    coords = {
        "time": ("time", when),
        "space": ("space", np.asarray(list("xyz"[: points.shape[1]]))),
        "keypoints": ("keypoints", np.asarray(keypoints, dtype=str)),
        "individuals": ("individuals", np.asarray(individuals, dtype=str)),
        "confidence": (("time", "keypoints", "individuals"), sure),
        "frame": ("time", number),
    }
    attrs = {"kind": "tracks", "rate": float(rate), "unit": unit, "source": source}
    return check(xr.DataArray(points, dims=DIMS["tracks"], coords=coords, attrs=attrs), "tracks")


def graph(
    weights: np.ndarray,
    nodes: Sequence[str] | None = None,
    source: str = "",
    labels: Sequence[str] | None = None,
) -> xr.DataArray:
    """Build a checked `graph` recording: the weight of every connection.

    Parameters
    ----------
    weights
        Shape (node, node_to), from the row's node to the column's.
    nodes
        One name a node; "0", "1", … if not given.
    source
        Name of the file, without its folder.
    labels
        A type for every node, "" where unknown.

    Raises
    ------
    DataError
        If it is not square, a weight is not finite, or two nodes have one name.

    Examples
    --------
    >>> import numpy as np
    >>> graph(np.zeros((3, 3)), ["A", "B", "C"]).sizes["node_to"]
    3
    """
    import xarray as xr

    weights, name = np.asarray(weights), source or "graph"
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise DataError(f"{name}: a graph is a square matrix (node, node_to), got {weights.shape}.")
    names = [str(k) for k in range(len(weights))] if nodes is None else list(map(str, nodes))
    for what, given in (("names", names), ("labels", labels)):
        if given is not None and len(given) != len(weights):
            raise DataError(f"{name}: {len(weights)} nodes have {len(given)} {what}.")
    coords: dict[str, Any] = {"node": names, "node_to": names}
    coords |= {} if labels is None else {"label": ("node", np.asarray(labels, dtype=str))}
    attrs = {"kind": "graph", "source": source}
    return check(xr.DataArray(weights, dims=DIMS["graph"], coords=coords, attrs=attrs), "graph")


def spacing(recording: xr.DataArray) -> tuple[float, ...]:
    """Return the size of a pixel or voxel in array order, (dy, dx) or (dz, dy, dx).

    Examples
    --------
    >>> import numpy as np
    >>> spacing(image(np.zeros((8, 8)), (0.2, 0.1), "um"))
    (0.2, 0.1)
    """
    if recording.attrs["kind"] == "image":
        return tuple(recording.attrs["spacing"])
    return affine_spacing(recording.attrs["affine"])


def affine_spacing(affine: np.ndarray) -> tuple[float, ...]:
    """Return the size of a voxel (dz, dy, dx) of a 4x4 affine.

    Examples
    --------
    >>> import numpy as np
    >>> affine_spacing(np.diag([-1.0, 2.0, 3.0, 1.0]))
    (3.0, 2.0, 1.0)
    """
    sizes = np.sqrt((np.asarray(affine, float)[:3, :3] ** 2).sum(0))
    return tuple(float(size) for size in sizes[::-1])


def affine_gap(one: np.ndarray, other: np.ndarray, unit: str) -> np.ndarray:
    """Return by how much two affines differ, absolutely; sizes alone where one says no place.

    Most formats of microscopes hold none: of two in micrometres, one may have a place, one not.

    Examples
    --------
    >>> import numpy as np
    >>> moved = np.eye(4)
    >>> moved[0, 3] = 7.0
    >>> affine_gap(moved, np.eye(4), "mm").max(), affine_gap(moved, np.eye(4), "um").max()
    (np.float64(7.0), np.float64(0.0))
    """
    gap = np.abs(one - other)
    placed = unit != "um" or (one[:3, 3].any() and other[:3, 3].any())
    return np.asarray(gap if placed else gap[:, :3])


def affine_mismatch(one: np.ndarray, other: np.ndarray, unit: str) -> float:
    """Return by how much two affines differ; 0 where that is no more than what files round.

    Examples
    --------
    >>> import numpy as np
    >>> moved = np.eye(4)
    >>> moved[0, 3] = 7.0
    >>> [affine_mismatch(own, np.eye(4), "mm") for own in (moved, np.eye(4) + 1e-5)]
    [7.0, 0.0]
    """
    gap = affine_gap(one, other, unit)
    room = _ROUNDED * np.maximum(1.0, np.abs(one))[:, : gap.shape[1]]
    return float(gap.max()) if (gap > room).any() else 0.0


def voxel_share(affine: np.ndarray | None) -> float:
    """Return the share of a box with the sides of a voxel that the voxel fills.

    It is 1 where the axes are at right angles, and in an image, which has no affine (None); the
    cosine of the tilt where the gantry of a CT was tilted, so that each slice lies beside the last.

    Examples
    --------
    >>> import numpy as np
    >>> tilted = np.eye(4)
    >>> tilted[1:3, 2] = np.sin(np.pi / 3), np.cos(np.pi / 3)
    >>> affine_spacing(tilted)[0], round(voxel_share(tilted), 3)
    (1.0, 0.5)
    """
    if affine is None:
        return 1.0
    sides = float(np.prod(affine_spacing(affine)))
    return abs(float(np.linalg.det(np.asarray(affine, float)[:3, :3]))) / sides if sides else 0.0


def _grid(
    kind: str,
    data: np.ndarray,
    channels: Sequence[str] | None,
    source: str,
    notes: Sequence[str],
    attrs: dict[str, Any],
) -> xr.DataArray:
    """Name the channels and dims of an image or a volume, and check it."""
    import xarray as xr

    data = np.asarray(data)
    if data.ndim == len(DIMS[kind]) - 1:
        data = data[None]
    names = [str(i) for i in range(len(data))] if channels is None else list(map(str, channels))
    if data.ndim != len(DIMS[kind]) or len(names) != len(data):
        raise DataError(
            f"{source or kind}: expected data of shape ({', '.join(DIMS[kind])}) with "
            f"{len(names)} channels, got shape {data.shape}."
        )
    coords = {"channel": ("channel", np.asarray(names, dtype=str))}
    attrs = {"kind": kind, **attrs, "source": source, "notes": list(notes)}
    return check(xr.DataArray(data, dims=DIMS[kind], coords=coords, attrs=attrs), kind)


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
    if kind in ("image", "volume"):
        _check_grid(recording, name)
    if kind == "tracks":
        _check_tracks(recording, name)
    if kind == "graph":
        _check_graph(recording, name)
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


def _check_tracks(recording: xr.DataArray, name: str) -> None:
    """Refuse names that stand twice, an unknown unit or space, and time that does not go on."""
    for dim in ("keypoints", "individuals"):
        names = list(map(str, recording.coords[dim].values)) if dim in recording.coords else []
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice or not names:
            raise DataError(
                f"{name}: every one of the {dim} needs a name of its own, "
                + (f"{', '.join(twice)} stands twice." if twice else "they have none.")
            )
    space = (
        "".join(map(str, recording.coords["space"].values)) if "space" in recording.coords else ""
    )
    if space not in ("xy", "xyz"):
        raise DataError(f"{name}: expected the space x, y or x, y, z, got '{space}'.")
    if (unit := recording.attrs.get("unit")) not in TRACK_UNITS:
        raise DataError(f"{name}: expected a unit of {', '.join(TRACK_UNITS)}, got '{unit}'.")
    if not recording.attrs.get("rate", 0) > 0:
        raise DataError(f"{name}: the rate must be above 0 frames a second.")
    if "confidence" not in recording.coords:
        raise DataError(f"{name}: tracks carry a confidence for each point; this one has none.")
    steps = np.diff(recording.coords["time"].values)
    if not (steps > 0).all():
        row = int(np.argmin(steps > 0)) + 1
        raise DataError(f"{name}: time goes back or stands still at row {row}; sort the frames.")


def _check_graph(recording: xr.DataArray, name: str) -> None:
    """Refuse weights that are no numbers, unlike sides, and two nodes of one name."""
    if recording.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected numbers, got the type {recording.dtype}.")
    if recording.shape[0] != recording.shape[1]:
        raise DataError(f"{name}: a graph is square, this one is {recording.shape}.")
    bad = np.argwhere(~np.isfinite(recording.values))
    if len(bad):
        row, column = (int(k) for k in bad[0])
        raise DataError(
            f"{name}: the weight from node {row + 1} to node {column + 1} is "
            f"{recording.values[row, column]}; {len(bad)} of {recording.size} are not finite."
        )
    if "node" not in recording.coords:
        return
    nodes = list(map(str, recording.coords["node"].values))
    if nodes != list(map(str, recording.coords["node_to"].values)):
        raise DataError(f"{name}: rows and columns must name the same nodes in the same order.")
    seen: set[str] = set()
    twice = next((node for node in nodes if node in seen or seen.add(node)), None)  # type: ignore[func-returns-value]
    if twice is not None:
        raise DataError(f"{name}: two nodes are called {twice}; rename one.")


def _check_grid(recording: xr.DataArray, name: str) -> None:
    """Refuse what are no numbers, channels of one name and pixels without a size."""
    if recording.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected numbers, got the type {recording.dtype}.")
    channels = list(map(str, recording.coords["channel"].values))
    twice = sorted({channel for channel in channels if channels.count(channel) > 1})
    if twice:
        raise DataError(f"{name}: two channels are called {', '.join(twice)}; rename one.")
    if (unit := recording.attrs.get("unit")) not in UNITS:
        raise DataError(f"{name}: expected a unit of {', '.join(UNITS)}, got '{unit}'.")
    if recording.attrs["kind"] == "volume":
        _check_affine(recording.attrs.get("affine"), name)
        return
    sizes = np.asarray(recording.attrs.get("spacing", ()), float)
    if sizes.shape != (2,) or not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise DataError(f"{name}: the size of a pixel must be above 0, it is {tuple(sizes)}.")


def _check_affine(affine: Any, name: str) -> None:
    affine = np.asarray(affine, float)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise DataError(
            f"{name}: expected an affine of 4 x 4 finite numbers, got {affine.tolist()}; the "
            "header is damaged."
        )
    if voxel_share(affine) < 1e-6:
        raise DataError(
            f"{name}: the affine cannot be inverted, its axes are {affine[:3, :3].T.tolist()}; "
            "two axes point the same way or a voxel has no size."
        )
