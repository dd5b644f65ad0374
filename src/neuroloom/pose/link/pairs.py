"""Files of tracks, and the files of their truth where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import (
    PREDICTION,
    at_home,
    check_there,
    names_apart,
    paths_inside,
    told_results,
)

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = (".h5", ".csv", ".slp", ".nc", ".nwb")
TRUTHS = ("truth", "true")
READS = (PREDICTION,)  # results of ours that hold tracks to be linked


@dataclass(frozen=True)
class TrackPair:
    """Tracks as a net gave them, and as they should be.

    Parameters
    ----------
    name
        Of the file, without its suffix; with its folder where another has it too.
    file
        Where the tracks lie.
    truth
        Where the truth lies, or None.
    """

    name: str
    file: Path
    truth: Path | None = None


def find_track_pairs(
    data: Path,
    truth: str | None = None,
    include: Sequence[str] = (),
    told: list[Finding] | None = None,
) -> list[TrackPair]:
    """Find files of tracks and their truths; of a .csv beside its .h5 the latter counts.

    What hides in a folder, runs of ours, and tables that hold no tracks are passed over.

    Parameters
    ----------
    data
        A file, or a folder that is searched through.
    truth
        A file or folder, also relative to `data`. In a folder, truths have the names of their
        tracks, and lie in folders like theirs where several have one name; `truth/` beside the
        tracks is found by itself.
    include
        Globs on the names of the tracks.
    told
        What is noticed is added.

    Raises
    ------
    DataError
        If `data` or tracks are not there, or a truth that was named is not there.
    """
    from neuroloom.io.cases.layouts import few

    check_there(data)
    root = data if data.is_dir() else data.parent
    named = _truth_place(root, truth)
    found = [data] if data.is_file() else [p for p in _inside(data) if _is_tracks(p, named)]
    found = [p for p in found if not include or any(fnmatch(p.name, glob) for glob in include)]
    others = _without_tracks(found) if data.is_dir() else []
    found = [p for p in found if p not in others]
    passed = f"Tables without tracks were passed over: {few(p.name for p in others)}."
    if not found:
        raise DataError(
            f"{data}: there is no file of tracks; expected one that ends in {', '.join(SUFFIXES)}."
            + f" {passed}" * bool(others)
            + (told_results(data, READS) if data.is_dir() else "")
        )
    if others and told is not None:
        told.append(Finding("note", "Files", passed))
    found = [p for p in found if p.suffix.lower() != ".csv" or p.with_suffix(".h5") not in found]
    folders = {p.stem: {q.parent for q in found if q.stem == p.stem} for p in found}
    pairs = [
        TrackPair(name, path, _truth_of(path, root, named, len(found), len(folders[path.stem])))
        for name, path in zip(names_apart(found), found, strict=True)
    ]
    if truth is not None and not any(pair.truth for pair in pairs):
        raise DataError(
            f"truth: no file in '{truth}' is called as one of the tracks ({found[0].stem}, …)."
        )
    return pairs


def _inside(place: Path) -> list[Path]:
    return [place] if place.is_file() else paths_inside(place, READS)


def _truth_place(root: Path, truth: str | None) -> Path | None:
    if truth is None:
        return next((root / name for name in TRUTHS if (root / name).is_dir()), None)
    place = root / at_home(truth)
    place = place if place.exists() else at_home(truth)
    if not place.exists():
        raise DataError(f"truth: there is no '{truth}', neither by itself nor in the data.")
    return place


def _is_tracks(path: Path, truth: Path | None) -> bool:
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        return False
    return truth is None or (path != truth and truth not in path.parents)


def _without_tracks(files: Sequence[Path]) -> list[Path]:
    """Return the tables of something else, such as the times of frames or the lengths of bones."""
    from neuroloom.io.tracks import is_tracks

    tables = [file for file in files if file.suffix.lower() == ".csv" or _is_table(file)]
    return [file for file in tables if not is_tracks(file)]


def _is_table(file: Path) -> bool:
    """Say whether a file is a table of pandas; one that is damaged is told when it is read."""
    from neuroloom.io.pandas_h5 import column_levels

    try:
        return file.suffix.lower() == ".h5" and column_levels(file) is not None
    except DataError:
        return False


def _truth_of(path: Path, root: Path, truth: Path | None, count: int, alike: int) -> Path | None:
    """Return the truth of a file, one of `count`; files called so lie in `alike` folders."""
    if truth is None or (truth.is_file() and count > 1):
        return None
    if truth.is_file():
        return truth
    every = [p for p in _inside(truth) if _is_tracks(p, None)]
    same = [p for p in every if p.stem == path.stem]
    if alike == 1:
        return next(iter(same), None)
    folder = path.relative_to(root).parent
    return next((p for p in same if p.relative_to(truth).parent == folder), None)


def to_detections(tracks: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return a recording as detections: points and confidence.

    Returns
    -------
    points
        Shape (time, individual, keypoint, 2), px.
    confidence
        Shape (time, individual, keypoint); 1 where a point has none.

    Raises
    ------
    DataError
        If the tracks are not in the plane.
    """
    if tracks.sizes["space"] != 2:
        raise DataError(
            f"{tracks.attrs.get('source') or 'tracks'}: has {tracks.sizes['space']} dimensions; "
            "identities are linked in the plane of a video, before points are lifted to 3-D."
        )
    points = tracks.transpose("time", "individuals", "keypoints", "space").values.astype(float)
    sure = tracks.coords["confidence"].transpose("time", "individuals", "keypoints").values
    sure = np.where(np.isfinite(sure), sure, 1.0).astype(float)
    seen = np.isfinite(points).all(-1)
    return np.where(seen[..., None], points, np.nan), np.where(seen, sure, 0.0)


def in_first_slots(
    points: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return detections in as few slots as a frame shows at most, and the slots they had.

    Where every tracklet has a name of its own there are hundreds of slots, and a frame fills a few.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px, NaN where missing.
    confidence
        Shape (time, slot, keypoint).

    Returns
    -------
    points, confidence
        The same of fewer slots.
    slots
        Shape (time, fewer slots): where each detection was.

    Examples
    --------
    >>> points = np.full((2, 5, 1, 2), np.nan)
    >>> points[0, 3] = points[1, 4] = 7.0
    >>> fewer, _, slots = in_first_slots(points, np.ones((2, 5, 1)))
    >>> fewer.shape, slots.tolist()
    ((2, 1, 1, 2), [[3], [4]])
    """
    there = np.isfinite(points).all(-1).any(-1)
    most = max(1, int(there.sum(1).max(initial=0)))
    if most == points.shape[1]:
        return points, confidence, np.broadcast_to(np.arange(most), there.shape)
    slots = np.argsort(~there, axis=1, kind="stable")[:, :most]
    fewer = np.take_along_axis(points, slots[..., None, None], axis=1)
    return fewer, np.take_along_axis(confidence, slots[..., None], axis=1), slots
