"""What several cameras say of the same points: found on disk, brought together, lifted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import PREDICTION, check_there, digest, paths_inside, told_results
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.limbs import hold_lengths
from neuroloom.pose.rig.networks import one_film, one_rate, shared_points
from neuroloom.pose.rig.same import match_animals, numbered_alike
from neuroloom.pose.rig.smooth import TAIL, combine, smooth_tracks
from neuroloom.pose.rig.triangulate import Method, in_front, triangulate, triangulate_robust

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

READS = (PREDICTION, "pose.track")  # results of ours that hold tracks of a camera
TRACKS = (".analysis.h5", ".h5", ".csv", ".nc", ".nwb", ".slp")
# What DeepLabCut puts behind a film's name: the net, the project and its training.
SCORER = re.compile(r"(?<=[^\W_])(DLC|DeepCut)[_-].*")


@dataclass(frozen=True, eq=False)
class Seen:
    """Points that the cameras of a rig saw at the same moments.

    Attributes
    ----------
    pixels
        Shape (camera, network, time, point, 2), px; a point is a keypoint of an individual.
    confidence
        Shape (camera, network, time, point), 0 to 1; 1 where nobody said.
    points
        Names of the points: (individual, keypoint).
    frames
        Number of each moment's frame.
    follows
        True if the moments follow each other, so that they may be smoothed.
    truth
        Shape (time, point, 3) in the rig's unit where it is known.
    """

    rig: Rig
    pixels: Floats
    confidence: Floats
    points: tuple[tuple[str, str], ...]
    frames: NDArray[np.int64]
    rate: float = 1.0
    follows: bool = True
    truth: Floats | None = None
    files: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its name with its folder."""
        return {f"{file.parent.name}/{file.name}": digest(file) for file in self.files}

    def without(self, number: int) -> Seen:
        """Return the same without one camera."""
        names = [name for i, name in enumerate(self.rig.names) if i != number]
        rest = [i for i in range(len(self.rig)) if i != number]
        return replace(
            self, rig=self.rig.take(names), pixels=self.pixels[rest],
            confidence=self.confidence[rest],
        )  # fmt: skip

    def combined(self, least: float = 0.0) -> tuple[Floats, Floats]:
        """Return the networks' common pixels and their standard deviation, px."""
        kept = np.where((self.confidence >= least)[..., None], self.pixels, np.nan)
        parts = [combine(own) for own in kept]
        return np.stack([p for p, _ in parts]), np.stack([d for _, d in parts])


@dataclass(frozen=True, eq=False)
class Lifted:
    """Points in space.

    Attributes
    ----------
    places, deviation
        Shape (time, point, 3), in the rig's unit; NaN where a point is not seen by two cameras and
        not `bridged`, or would lie behind a camera that it is made from.
    used
        Shape (camera, time, point), True where a camera's pixel counted.
    bridged
        Shape (time, point), True where two cameras do not see a point, but did so shortly before
        and do shortly after: it is where a smooth path leads.
    """

    places: Floats
    deviation: Floats
    used: NDArray[np.bool_]
    bridged: NDArray[np.bool_]


def find_seen(
    data: Path,
    rig: Rig,
    include: Sequence[str] = (),
    rate: float | None = None,
    cameras: Sequence[str] = (),
) -> Seen:
    """Find what the cameras of a rig saw: a label3d .mat, or a file of tracks for each camera.

    A file belongs to the camera whose name is in its name or in the name of its folder; several of
    one camera are several networks, but for what DeepLabCut filtered beside it. Cameras are
    brought together by the numbers of their frames.

    Parameters
    ----------
    data, rig
        Where the files are, and the cameras.
    include
        Globs on the names of the files, or on their paths below the data where they contain "/".
    rate
        Frames a second, Hz, where a file does not say.
    cameras
        Those to use; all if empty. Files of the others remain theirs.

    Raises
    ------
    DataError
        If `data` is not there, a camera has no file, or the files do not fit together: other
        points, other rates, or several trials where networks were expected.
    """
    from neuroloom.io.cases.layouts import few
    from neuroloom.io.labels import label3d

    check_there(data)
    used = rig.take(cameras) if cameras else rig
    if label3d.claims(data):
        return _from_label3d(data, used, rate)
    by_camera, others = _files_of(data, rig, include)
    rig = used
    lacking = [name for name in rig.names if not by_camera[name]]
    if len(rig) - len(lacking) < 2:
        raise DataError(
            f"{data}: no tracks were found for camera '{lacking[0]}'. The name of a camera "
            f"({', '.join(rig.names)}) must be in the name of its file or folder; files end in "
            f"{', '.join(TRACKS)}.{told_results(data, READS) if data.is_dir() else ''}"
        )
    findings = [Finding("warning", "A camera without tracks", f"camera '{name}' is left out.")
                for name in lacking]  # fmt: skip
    if others:
        detail = f"No tracks, or no camera's name in theirs: {few(file.name for file in others)}."
        findings.append(Finding("warning", "Files left out", detail))
    rig = rig.take(name for name in rig.names if by_camera[name])
    return _from_tracks(rig, {name: by_camera[name] for name in rig.names}, findings, rate)


def _files_of(
    data: Path, rig: Rig, include: Sequence[str]
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the files of each camera, and those that are of none or hold no tracks."""
    from neuroloom.io.cases.layouts import included
    from neuroloom.io.tracks.door import FILTERED, is_tracks

    root = data if data.is_dir() else data.parent
    found: dict[str, dict[str, Path]] = {name: {} for name in rig.names}
    others: dict[Path, None] = {}
    every = paths_inside(root, READS)
    for ending in TRACKS:
        for file in (path for path in every if path.name.endswith(ending)):
            inside = file.relative_to(root)
            if not included(inside.as_posix(), include):
                continue
            name = _camera_of(inside, rig)
            stem = str(file.parent / file.name.removesuffix(".h5").removesuffix(".analysis"))
            if not name or not is_tracks(file):
                others[file] = None
                continue
            # The same tracks are often kept in two formats; the first one counts.
            stem = stem.removesuffix(Path(stem).suffix) if Path(stem).suffix in TRACKS else stem
            found[name].setdefault(stem.removesuffix(FILTERED), file)
    return {name: list(files.values()) for name, files in found.items()}, sorted(others)


def _camera_of(path: Path, rig: Rig) -> str:
    """Return the camera whose name stands in the path, nearest to its end; "" if none does.

    "cam1" is the camera "1" sooner than any other 1 in the path.
    """
    parts = (SCORER.sub("", path.name), *reversed(path.parts))
    for before in (r"cam(?:era)?[-_ ]?", ""):
        for part in parts:
            named = [
                name for name in rig.names
                if re.search(rf"(?<![a-z0-9]){before}{re.escape(name.lower())}(?![a-z0-9])",
                             part.lower())
            ]  # fmt: skip
            if named:
                return max(named, key=len)
    return ""


def _from_tracks(
    rig: Rig, files: dict[str, list[Path]], findings: list[Finding], rate: float | None
) -> Seen:
    from neuroloom.io.tracks import read_tracks
    from neuroloom.pose.link.spans import at_frames

    read = {name: [read_tracks(file, rate) for file in own] for name, own in files.items()}
    networks = {len(own) for own in read.values()}
    if len(networks) > 1:
        told = ", ".join(f"{name}: {len(own)}" for name, own in read.items())
        raise DataError(
            f"Every camera needs tracks of as many networks; there are {told}. Narrow them with "
            "`include` if they are of several trials."
        )
    rate = one_rate(read, files)
    alike = numbered_alike(read)
    keypoints, individuals = shared_points(alike, files, findings)
    frames = _moments(read, findings)
    picked = [[at_frames(r.sel(keypoints=keypoints, individuals=individuals), frames) for r in own]
              for own in alike.values()]  # fmt: skip
    pixels = np.stack([np.stack([_points(r) for r in own]) for own in picked])
    sure = np.stack([np.stack([_confidence(r) for r in own]) for own in picked])
    names = tuple((i, k) for i in individuals for k in keypoints)
    pixels, sure, notes = match_animals(rig, pixels, sure, individuals)
    one_film(dict(zip(read, pixels, strict=True)), files, findings)
    findings += notes
    return Seen(
        rig, pixels, sure, names, frames, rate, bool((np.diff(frames) == 1).all()),
        files=tuple(file for own in files.values() for file in own), findings=tuple(findings),
    )  # fmt: skip


def _moments(read: dict[str, list[xr.DataArray]], findings: list[Finding]) -> NDArray[np.int64]:
    """Return the numbers of the frames that two cameras or more have.

    A few that are lacking between are there all the same: nobody saw anything then.
    """
    own = {
        name: np.unique(np.concatenate([r.coords["frame"].values for r in every])).astype(np.int64)
        for name, every in read.items()
    }
    every, cameras = np.unique(np.concatenate(list(own.values())), return_counts=True)
    frames: NDArray[np.int64] = every[cameras >= 2]
    if not len(frames):
        spans = ", ".join(f"{name}: {one[0]} to {one[-1]}" for name, one in own.items())
        raise DataError(f"No two cameras have tracks of the same frames; there are {spans}.")
    if len(every) > len(frames) or (cameras < len(own)).any():
        told = ", ".join(f"{name}: {len(one)}" for name, one in own.items())
        findings.append(
            Finding("warning", "Lengths", f"Frames by camera: {told}; {len(frames)} are of two or "
                    "more and are used, a camera that lacks one sees nothing there.")
        )  # fmt: skip
    whole = np.arange(frames[0], frames[-1] + 1)
    return whole if len(whole) <= 2 * len(frames) else frames


def _points(recording: xr.DataArray) -> Floats:
    """Return (time, point, 2), individuals outermost."""
    order = recording.transpose("time", "individuals", "keypoints", "space").values
    return np.asarray(order[..., :2], float).reshape(len(order), -1, 2)


def _confidence(recording: xr.DataArray) -> Floats:
    known = recording.coords["confidence"].transpose("time", "individuals", "keypoints").values
    return np.nan_to_num(np.asarray(known, float), nan=1.0).reshape(len(known), -1)


def _from_label3d(data: Path, rig: Rig, rate: float | None) -> Seen:
    from neuroloom.io.labels import label3d
    from neuroloom.pose.rig.files import labelled_places, load_mat

    labels = label3d.read(data)
    file = data if data.is_file() else data / str(labels.extra["file"])
    cameras = [name for name in rig.names if name in labels.extra["cameras"]]
    if len(cameras) < 2:
        raise DataError(
            f"{file.name}: its cameras are {', '.join(labels.extra['cameras'])}, those of the "
            f"calibration {', '.join(rig.names)}; two or more must have the same name."
        )
    rows = [np.flatnonzero((labels.frames["video"] == name).to_numpy()) for name in cameras]
    pixels = np.stack([labels.points[own, 0] for own in rows])[:, None]
    stored = np.atleast_1d(load_mat(file)["labelData"])[0]
    places = labelled_places(file, stored, *pixels.shape[2:4])
    truth = places if np.isfinite(places).any() else None
    frames = labels.frames["frame"].to_numpy(np.int64)[rows[0]]
    names = tuple(("individual_0", name) for name in labels.skeleton.keypoints)
    follows = bool(len(frames) > 2 and (np.diff(frames) == 1).all())
    return Seen(rig.take(cameras), pixels, np.ones(pixels.shape[:-1]), names, frames,
                rate or 1.0, follows=follows, truth=truth, files=(file,))  # fmt: skip


def lift(
    seen: Seen,
    method: Method = "robust",
    tolerance: float = 10.0,
    smooth: float = 0.0,
    least: float = 0.0,
    limbs: Sequence[tuple[int, int]] = (),
    fill: int = 15,
) -> Lifted:
    """Lift points into space.

    Parameters
    ----------
    method, tolerance
        As in `triangulate`; with `smooth`, "robust" stands for Student's t, the others for least
        squares, and views that agree within the tolerance make the path that is begun with.
    smooth
        0: each moment by itself; else the ratio of `smooth_tracks`.
    least
        Confidence below which a pixel counts as missing.
    limbs
        Pairs of points whose distance stays the same.
    fill
        Longest gap that `smooth` bridges, frames; where two cameras see a point again only later,
        or never before, it has no place.
    """
    pixels, noise = seen.combined(least)
    places, deviation, used, sighted = _places(seen.rig, pixels, noise, method, tolerance, smooth)
    kept = spanned(sighted, seen.frames, fill) & in_front(seen.rig, places, used)
    places, deviation = (np.where(kept[..., None], one, np.nan) for one in (places, deviation))
    if limbs:
        places = hold_lengths(places, deviation, limbs)
    return Lifted(places, deviation, used & kept, kept & ~sighted)


def _places(
    rig: Rig, pixels: Floats, noise: Floats, method: Method, tolerance: float, smooth: float
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return places, their deviation, which pixels counted, and which points two cameras see."""
    if smooth > 0:
        tail = TAIL if method == "robust" else np.inf
        done = smooth_tracks(rig, pixels, noise, smooth, tail, tolerance=tolerance)
        sighted = np.asarray((done.trust > 0).sum(0) >= 2)
        return done.points, done.deviation, np.asarray(done.trust > 0.2), sighted
    there: NDArray[np.bool_] = np.asarray(np.isfinite(pixels).all(-1))
    weights = 1 / noise**2
    if method == "robust":
        places, used = triangulate_robust(rig, pixels, weights, tolerance)
        used = used & there
    else:
        places, used = triangulate(rig, pixels, weights, method), there
    deviation = place_deviation(rig, places, np.where(used, weights, 0))
    return places, deviation, used, np.asarray(np.isfinite(places).all(-1))


def spanned(sighted: NDArray[np.bool_], frames: np.ndarray, longest: int) -> NDArray[np.bool_]:
    """Say where points are sighted, or lie in a short gap between two sightings.

    Parameters
    ----------
    sighted
        Shape (time, point).
    frames
        Number of each moment's frame, rising.
    longest
        Gap, frames.

    Examples
    --------
    >>> seen = np.array([0, 1, 0, 1, 0, 0, 1, 0], bool)[:, None]
    >>> spanned(seen, np.arange(8), 1)[:, 0].astype(int).tolist()
    [0, 1, 1, 1, 0, 0, 1, 0]
    """
    number = np.asarray(frames)[:, None]
    before = np.maximum.accumulate(np.where(sighted, number, -np.inf))
    after = np.minimum.accumulate(np.where(sighted, number, np.inf)[::-1])[::-1]
    return np.asarray(after - before - 1 <= longest)


def place_deviation(rig: Rig, places: np.ndarray, weights: np.ndarray) -> Floats:
    """Return the standard deviation of triangulated places (…, 3), from that of the pixels.

    Parameters
    ----------
    weights
        1 / variance of each pixel, shape (camera, …).

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.diag([100.0, 100, 1])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> off = place_deviation(rig, np.array([25.0, 0, 100]), np.ones(2))
    >>> bool(off[2] > off[0])
    True
    """
    total = np.zeros((*np.shape(places), 3))
    for camera, own in zip(rig, weights, strict=True):
        slope = np.nan_to_num(camera.slope(places))
        total += np.einsum("...,...ij,...il->...jl", own, slope, slope)
    sound = np.isfinite(places).all(-1) & (np.linalg.cond(total) < 1e14)
    out = np.full(np.shape(places), np.nan)
    out[sound] = np.sqrt(np.einsum("nii->ni", np.linalg.inv(total[sound])))
    return out


def parse_limbs(limbs: Sequence[str], seen: Seen) -> list[tuple[int, int]]:
    """Return pairs of points for limbs such as "nose-head", one for each individual.

    Raises
    ------
    ConfigError
        If a limb has no such form, or a keypoint does not exist.
    """
    known = list(dict.fromkeys(keypoint for _, keypoint in seen.points))
    pairs = []
    for limb in limbs:
        ends = [(a, b) for a in known for b in known if f"{a}-{b}" == limb]
        if not ends:
            raise ConfigError(
                f"limbs: '{limb}' are no two keypoints with a dash between; there are "
                f"{', '.join(known)}."
            )
        a, b = ends[0]
        pairs += [
            (seen.points.index((name, a)), seen.points.index((name, b)))
            for name in dict.fromkeys(individual for individual, _ in seen.points)
        ]
    return pairs


def left_out(seen: Seen, **how: Any) -> tuple[Floats, Floats]:
    """Return what each camera should see by the others: pixels, and the distance from its own, px.

    Both have the shape (camera, time, point[, 2]); NaN where fewer than two others see a point.
    """
    own, _ = seen.combined(how.get("least", 0.0))
    told = np.full_like(own, np.nan)
    for number, camera in enumerate(seen.rig):
        if len(seen.rig) > 2:
            others = lift(seen.without(number), **how | {"fill": 0})
            told[number] = camera.project(others.places)
    return told, np.linalg.norm(told - own, axis=-1)


def agreement(told: np.ndarray, own: np.ndarray) -> Floats:
    """Return the median correlation, over points and axes, of each camera's told and own tracks.

    Parameters
    ----------
    told, own
        Shape (camera, time, point, 2).

    Examples
    --------
    >>> track = np.random.default_rng(0).normal(size=(1, 50, 3, 2))
    >>> agreement(2 * track, track).round(6).tolist()
    [1.0]
    """
    both = np.isfinite(told) & np.isfinite(own)
    a, b = np.where(both, told, np.nan), np.where(both, own, np.nan)
    with np.errstate(all="ignore"):
        a, b = a - np.nanmean(a, axis=1, keepdims=True), b - np.nanmean(b, axis=1, keepdims=True)
        r = np.nansum(a * b, 1) / np.sqrt(np.nansum(a**2, 1) * np.nansum(b**2, 1))
    r = np.where(both.sum(1) > 2, r, np.nan)
    return np.array([np.nanmedian(own) if np.isfinite(own).any() else np.nan for own in r])
