"""Tracks in NWB with the extension ndx-pose: a PoseEstimation an animal, a series a point.

Read with h5py alone, so that a file of any version of the extension opens; written through pynwb.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.core.recording import tracks
from neuroloom.io.labels.nwb import name_of, new_nwb, of_type, save_nwb, words
from neuroloom.io.pandas_h5 import open_h5
from neuroloom.io.tracks.units import LONG, known_unit
from neuroloom.io.videoindex import mean_rate

if TYPE_CHECKING:
    import xarray as xr

_SPAN = r"\d+( to \d+)?"
_FRAMES = re.compile(rf"^frames {_SPAN}(, {_SPAN})*$")  # as we write it
_SAID = re.compile(r"^[Kk]eypoint (.+) from individual (.+?)\.?$")  # DLC2NWB writes this


def claims(path: Path) -> bool:
    """Say whether `path` is an NWB file."""
    return path.suffix.lower() == ".nwb"


def read(path: Path, rate: float | None = None) -> xr.DataArray:
    """Read all animals of an NWB file."""
    with open_h5(path) as opened:
        groups = of_type(opened, "PoseEstimation")
        found = [
            (*_names(group, series, len(groups)), _values(path, series))
            for group in groups
            for series in of_type(group, "PoseEstimationSeries")
        ]
        if not found:
            raise DataError(f"{path}: has no tracks (ndx-pose's PoseEstimation).")
        nodes = [words(one["nodes"]) for one in of_type(opened, "Skeleton")[:1]]
        times = _times(of_type(groups[0], "PoseEstimationSeries")[0], rate)
        unit = _unit(of_type(groups[0], "PoseEstimationSeries")[0])
    who = list(dict.fromkeys(animal for animal, _, _ in found))
    what = list(dict.fromkeys(point for _, point, _ in found))
    if nodes and set(nodes[0]) == set(what):
        what = nodes[0]  # HDF5 itself has them by the alphabet
    shape = {values.shape for _, _, (values, _) in found}
    if len(shape) > 1:
        raise DataError(f"{path}: its series differ in length or axes: {sorted(shape)}.")
    count, axes = shape.pop()
    points = np.full((count, axes, len(what), len(who)), np.nan)
    sure = np.full((count, len(what), len(who)), np.nan)
    for animal, point, (values, trust) in found:
        points[:, :, what.index(point), who.index(animal)] = values
        sure[:, what.index(point), who.index(animal)] = trust
    hertz, frames, stamps = times
    return tracks(points, what, who, hertz, sure, unit, path.name, frames, stamps)


def write(recording: xr.DataArray, path: Path) -> Path:
    """Write an NWB file with one PoseEstimation for each animal."""
    return write_atomic(path, lambda partial: _fill(partial, recording))


def _names(group: Any, series: Any, groups: int) -> tuple[str, str]:
    """Return animal and point of a series, from its description or from where it stands."""
    said = series.attrs.get("description", b"")
    told = _SAID.match(said.decode() if isinstance(said, bytes) else str(said))
    if told:
        return told.group(2), told.group(1)
    alone = "individual_0" if groups == 1 else name_of(group)
    return alone, name_of(series)


def _values(path: Path, series: Any) -> tuple[np.ndarray, np.ndarray]:
    data = np.asarray(series["data"][()], float) * float(
        series["data"].attrs.get("conversion", 1.0)
    )
    if data.ndim != 2 or data.shape[1] not in (2, 3):
        raise DataError(f"{path}: {series.name}: expected x, y or x, y, z, got {data.shape}.")
    there = "confidence" in series
    trust = np.asarray(series["confidence"][()], float) if there else np.full(len(data), np.nan)
    return data, trust


def _unit(series: Any) -> str:
    stated = series["data"].attrs.get("unit", "pixels")
    return known_unit(stated.decode() if isinstance(stated, bytes) else str(stated)) or "px"


def _times(series: Any, rate: float | None) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the frame rate, the numbers of the frames, and their times.

    Times begin where the clock of the experiment stood: they say nothing of the frames' numbers.
    """
    count = len(series["data"])
    said = _said_frames(series, count)
    frames = np.arange(count) if said is None else said
    if "timestamps" in series:
        stamps = np.asarray(series["timestamps"][()], float)
        # Frames that were left out took their time as well.
        whole = np.interp(np.arange(frames[0], frames[-1] + 1), frames, stamps)
        return mean_rate(whole - whole[0], rate or 1.0), frames, stamps
    start = series.get("starting_time")
    stated = float(start.attrs.get("rate", 0)) if start is not None else 0.0
    hertz = stated or rate or 1.0
    first = float(start[()]) if start is not None else 0.0
    return hertz, frames, first + (frames - frames[0]) / hertz


def _said_frames(series: Any, count: int) -> np.ndarray | None:
    """Return the numbers of the frames where the comments of a series say them."""
    said = series.attrs.get("comments", b"")
    told = said.decode() if isinstance(said, bytes) else str(said)
    if not _FRAMES.match(told):
        return None
    spans = [span.split(" to ") for span in told.removeprefix("frames ").split(", ")]
    frames = np.concatenate([np.arange(int(ends[0]), int(ends[-1]) + 1) for ends in spans])
    return frames if len(frames) == count else None


def _listed(frames: np.ndarray) -> str:
    """Return the numbers of frames in words.

    Examples
    --------
    >>> _listed(np.array([3, 4, 5, 9, 20, 21]))
    'frames 3 to 5, 9, 20 to 21'
    """
    spans = np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
    told = (f"{one[0]} to {one[-1]}" if len(one) > 1 else f"{one[0]}" for one in spans)
    return f"frames {', '.join(told)}"


def _fill(file: Path, recording: xr.DataArray) -> None:
    held = new_nwb()
    from ndx_pose import PoseEstimation, Skeleton, Skeletons

    names = [str(name) for name in recording.keypoints.values]
    edges = np.asarray(recording.attrs.get("edges", []), np.uint16).reshape(-1, 2)
    nodes = Skeleton(name="skeleton", nodes=names, edges=edges if len(edges) else None)
    module = held.create_processing_module("behavior", "tracks of animals")
    module.add(Skeletons(skeletons=[nodes]))
    for who in map(str, recording.individuals.values):
        module.add(
            PoseEstimation(
                name=who.replace("/", "_"),
                description=f"tracks of {who}",
                pose_estimation_series=[_series(recording, who, name) for name in names],
                source_software="neuroloom",
                skeleton=nodes,
            )
        )
    save_nwb(held, file)


def _series(recording: xr.DataArray, who: str, name: str) -> Any:
    from ndx_pose import PoseEstimationSeries

    one = recording.sel(individuals=who, keypoints=name).transpose("time", "space")
    return PoseEstimationSeries(
        name=name.replace("/", "_"),
        description=f"Keypoint {name} from individual {who}.",
        data=one.values,
        unit=LONG.get(str(recording.attrs["unit"]), str(recording.attrs["unit"])),
        reference_frame="(0, 0) is the centre of the top-left pixel, y points down",
        timestamps=recording.time.values,
        confidence=one.confidence.values,
        confidence_definition="from 0 to 1; NaN where it is not known",
        comments=_listed(recording.frame.values),
    )
