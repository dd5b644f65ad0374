"""SLEAP's analysis files (.analysis.h5): tracks of one video as plain arrays of HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.core.recording import tracks
from neuroloom.io.labels.nwb import words
from neuroloom.io.pandas_h5 import open_h5

if TYPE_CHECKING:
    import xarray as xr

_PARTS = {"tracks", "node_names", "track_names"}


def claims(path: Path) -> bool:
    """Say whether `path` is such a file."""
    if path.suffix.lower() not in (".h5", ".hdf5"):
        return False
    try:
        with open_h5(path) as opened:
            return set(opened) >= _PARTS
    except DataError:
        return False


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read the tracks; confidence is NaN where a person placed the point."""
    with open_h5(path) as opened:
        try:
            data = np.asarray(opened["tracks"][()], float)  # (track, space, node, frame)
            nodes, names = words(opened["node_names"]), words(opened["track_names"])
            sure = (
                np.asarray(opened["point_scores"][()], float) if "point_scores" in opened else None
            )
            edges: Any = opened["edge_inds"][()] if "edge_inds" in opened else []
            video = words(opened["video_path"])[:1] if "video_path" in opened else []
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{path}: the analysis file is damaged: {error}.") from error
    if data.ndim != 4 or data.shape[1] != 2 or data.shape[2] != len(nodes):
        raise DataError(
            f"{path}: expected tracks (animal, 2, {len(nodes)} points, frame), got {data.shape}."
        )
    named = names if len(names) == len(data) else [f"individual_{i}" for i in range(len(data))]
    made = tracks(
        data.transpose(3, 1, 2, 0),
        nodes,
        named,
        rate or 1.0,
        None if sure is None else sure.transpose(2, 1, 0),
        source=path.name,
    )
    made.attrs |= {"edges": [list(map(int, pair)) for pair in edges], "video": "".join(video)}
    return made


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write the arrays of an analysis file, a frame that is left out being empty."""
    if recording.sizes["space"] != 2:
        raise DataError(f"{path.name}: holds x and y only; write 3-D tracks as .nc or .nwb.")
    return write_atomic(path, lambda partial: _fill(partial, recording))


def _fill(file: Path, recording: xr.DataArray) -> None:
    import h5py

    numbers = recording.frame.values.astype(int)
    count = int(numbers[-1]) + 1
    points = _spread(
        recording.transpose("individuals", "space", "keypoints", "time").values, numbers
    )
    sure = _spread(
        recording.confidence.transpose("individuals", "keypoints", "time").values, numbers
    )
    there = np.isfinite(points).all(1).any(1)  # (animal, frame)
    nodes = [str(name) for name in recording.keypoints.values]
    edges = np.asarray(recording.attrs.get("edges", []), np.int32).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        scored = np.isfinite(sure)
        mean = np.where(scored, sure, 0).sum(1) / np.maximum(scored.sum(1), 1)
    held: dict[str, Any] = {
        "tracks": points,
        "point_scores": sure,
        "instance_scores": np.where(there, mean, np.nan),
        "tracking_scores": np.full((len(points), count), np.nan),
        "track_occupancy": there.T.astype(np.uint8),
        "node_names": np.asarray(nodes, "S"),
        "track_names": np.asarray([str(name) for name in recording.individuals.values], "S"),
        "edge_inds": edges,
        "edge_names": np.asarray([[nodes[a], nodes[b]] for a, b in edges], "S").reshape(-1, 2),
        "video_ind": 0,
        "video_path": str(recording.attrs.get("video", "")),
        "labels_path": "",
        "provenance": "{}",
    }
    with h5py.File(file, "w") as made:
        for name, value in held.items():
            made.create_dataset(name, data=value)


def _spread(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return values with a place for every frame from 0 on."""
    full = np.full((*values.shape[:-1], int(numbers[-1]) + 1), np.nan)
    full[..., numbers] = values
    return full
