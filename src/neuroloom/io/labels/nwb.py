"""Labelled frames in NWB with the extension ndx-pose: PoseTraining, read and written whole.

Read with h5py alone, so that a file of any version of the extension opens; written through pynwb.
Pixels are taken as stored. NWB keeps the names of videos, not what they show. A list of pictures is
read as a video whose frames are numbered by their names; it is written as the name of a video,
since sleap-io opens no NWB file with such a list, not even its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import names_apart, write_atomic
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.pictures import told_apart, where_all
from neuroloom.io.labels.sheets import frame_number
from neuroloom.io.pandas_h5 import open_h5
from neuroloom.io.stills import PICTURES


def claims(path: Path) -> bool:
    """Say whether `path` is an NWB file."""
    return path.suffix.lower() == ".nwb"


def read(path: Path) -> Labels:
    """Read the labelled frames of an NWB file."""
    import pandas as pd

    with open_h5(path) as opened:
        found = of_type(opened, "TrainingFrame")
        if not found:
            tracks = of_type(opened, "PoseEstimation")
            hint = "; it holds tracks, which `read_tracks` reads." if tracks else "."
            raise DataError(f"{path}: has no labelled frames (ndx-pose's PoseTraining){hint}")
        skeletons = of_type(opened, "Skeleton")
        skeleton = _skeleton(path, skeletons)
        animals = [of_type(frame, "SkeletonInstance") for frame in found]
        names = tuple(dict.fromkeys(name_of(one) for frame in animals for one in frame))
        points = np.full((len(found), len(names), len(skeleton.keypoints), 2), np.nan)
        for row, instances in enumerate(animals):
            for one in instances:
                points[row, names.index(name_of(one))] = _located(path, one, skeleton)
        records, notes = _records(path, found)
    frames = pd.DataFrame(records)
    order = frames.sort_values(["video", "frame"], kind="stable").index.to_numpy()
    labels = Labels(skeleton, frames, points, names, path.parent, "nwb", tuple(notes))
    return labels.take(order)


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write an NWB file with the labelled frames."""
    file = path if path.suffix == ".nwb" else path / "labels.nwb"
    file.parent.mkdir(parents=True, exist_ok=True)
    return [write_atomic(file, lambda partial: _fill(partial, labels, file.parent))]


def of_type(group: Any, kind: str) -> list[Any]:
    """Return all groups of an NWB type under a group of HDF5, in the order of their paths."""
    found: list[Any] = []

    def look(_: str, item: Any) -> None:
        stated = item.attrs.get("neurodata_type", b"")
        if (stated.decode() if isinstance(stated, bytes) else str(stated)) == kind:
            found.append(item)

    group.visititems(look)
    return found


def name_of(group: Any) -> str:
    """Return the last part of a group's path."""
    return str(group.name).rsplit("/", 1)[-1]


def new_nwb() -> Any:
    """Return an empty NWB file in memory; when it was recorded is not known.

    Raises
    ------
    ConfigError
        If pynwb or ndx-pose is not installed.
    """
    try:
        import ndx_pose  # noqa: F401
        from pynwb import NWBFile
    except ImportError as error:
        raise ConfigError(
            f"NWB needs pynwb and ndx-pose: pip install 'neuroloom[pose]' ({error})."
        ) from error
    return NWBFile(
        session_description="pose, written by neuroloom; the start of the session is not known",
        identifier="neuroloom",
        session_start_time=datetime(1970, 1, 1, tzinfo=UTC),
    )


def save_nwb(held: Any, file: Path) -> None:
    """Write an NWB file."""
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(file), "w") as io:
        io.write(held)


def words(dataset: Any) -> list[str]:
    """Return the texts of a dataset of HDF5."""
    values = np.ravel(dataset[()])
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _skeleton(path: Path, found: list[Any]) -> Skeleton:
    every = {tuple(words(one["nodes"])) for one in found}
    if len(every) != 1:
        raise DataError(f"{path}: expected one skeleton, found {len(every)} with other points.")
    names = every.pop()
    pairs: Any = found[0]["edges"][()] if "edges" in found[0] else np.zeros((0, 2))
    pairs = np.asarray(pairs, int).reshape(-1, 2)
    return Skeleton(names, tuple((int(a), int(b)) for a, b in pairs), guess_swaps(names))


def _located(path: Path, instance: Any, skeleton: Skeleton) -> np.ndarray:
    points = np.asarray(instance["node_locations"][()], float)[:, :2]
    if len(points) != len(skeleton.keypoints):
        raise DataError(
            f"{path}: {instance.name} has {len(points)} points, the skeleton "
            f"{len(skeleton.keypoints)}."
        )
    if "node_visibility" in instance:
        seen = np.asarray(instance["node_visibility"][()], bool)
        return np.where(seen[:, None], points, np.nan)
    return points


@dataclass(frozen=True)
class _Source:
    """What frames are of: the name of the entry, its files, and the first frame of each."""

    name: str
    files: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()

    @property
    def place(self) -> Path:
        """Return the film, or the folder of the pictures."""
        first = PurePosixPath(self.files[0].replace("\\", "/")) if self.files else None
        if first is None:
            return Path(self.name)
        inside = first.suffix.lower() in PICTURES and first.parent.name
        return Path(first.parent if inside else first.with_suffix(""))

    def address(self, number: int, places: dict[str, str]) -> tuple[int, str]:
        """Return the number of a frame in the video, and where its picture is now, "" if gone."""
        part = int(np.searchsorted(self.starts, number, "right")) - 1
        if part < 0:
            return number, ""
        file, inside = self.files[part], number - self.starts[part]
        found = places[file]
        if PureWindowsPath(file).suffix.lower() not in PICTURES:
            return number, f"{found}::{inside}" if found else ""
        return frame_number(PureWindowsPath(file).name, number), "" if inside else found


def _records(path: Path, frames: list[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return video, frame and picture of each, and what is to be known of their files.

    Other files are videos of other names.
    """
    sources = [_source(path, frame) for frame in frames]
    known = list(dict.fromkeys(sources))
    places = [one.place for one in known]
    names = dict(zip(known, names_apart(places, [one.name for one in places]), strict=True))
    now, doubtful = where_all([file for one in known for file in one.files], path.parent)
    records = []
    for row, (frame, source) in enumerate(zip(frames, sources, strict=True)):
        number = int(frame.attrs.get("source_video_frame_index", row))
        number, image = source.address(number, now)
        records.append({"video": names[source], "frame": number, "image": image})
    return records, told_apart(doubtful)


def _source(path: Path, frame: Any) -> _Source:
    link = frame.get("source_video", getlink=True)
    if link is None:
        return _Source(path.stem)
    video = frame["source_video"]
    if "external_file" not in video:
        return _Source(str(getattr(link, "path", video.name)).rsplit("/", 1)[-1])
    external = video["external_file"]
    files = tuple(words(external))
    starts = np.ravel(external.attrs.get("starting_frame", ())).astype(int)
    if len(starts) == len(files) and (np.diff(starts) > 0).all():
        return _Source("", files, tuple(starts.tolist()))
    films = [name for name in files if PureWindowsPath(name).suffix.lower() not in PICTURES]
    if len(files) > 1 and films:
        raise DataError(
            f"{path}: {name_of(video)} has {len(files)} films ({listed(films)}) and does not say "
            "with which frame each begins: give starting_frame a number for each."
        )
    # Nobody says where they begin: pictures come one after another.
    return _Source("", files, tuple(range(len(files))))


def _fill(file: Path, labels: Labels, folder: Path) -> None:
    held = new_nwb()
    from ndx_pose import (
        PoseTraining,
        SkeletonInstance,
        SkeletonInstances,
        Skeletons,
        SourceVideos,
        TrainingFrame,
        TrainingFrames,
    )  # fmt: skip
    from ndx_pose import Skeleton as Nodes

    names = list(labels.skeleton.keypoints)
    edges = np.asarray(labels.skeleton.edges, np.uint16).reshape(-1, 2)
    nodes = Nodes(name="skeleton", nodes=names, edges=edges if len(edges) else None)
    every = labels.frames["video"].astype(str)
    videos = {name: _series(labels, name, folder) for name in every.unique()}
    frames = []
    for row in range(len(labels)):
        instances = [
            SkeletonInstance(
                name=name.replace("/", "_"),
                id=np.uint16(slot),
                node_locations=labels.points[row, slot],
                node_visibility=np.isfinite(labels.points[row, slot]).all(-1),
                skeleton=nodes,
            )
            for slot, name in enumerate(labels.individuals)
            if np.isfinite(labels.points[row, slot]).any()
        ]
        frames.append(
            TrainingFrame(
                name=f"frame_{row:06d}",
                annotator="unknown",
                skeleton_instances=SkeletonInstances(skeleton_instances=instances),
                source_video=videos[every.iloc[row]],
                source_video_frame_index=np.uint32(labels.frames["frame"].iloc[row]),
            )
        )
    training = PoseTraining(
        training_frames=TrainingFrames(training_frames=frames),
        source_videos=SourceVideos(image_series=list(videos.values())),
    )
    module = held.create_processing_module("behavior", "labelled frames")
    module.add(Skeletons(skeletons=[nodes]))
    module.add(training)
    save_nwb(held, file)


def _series(labels: Labels, name: str, folder: Path) -> Any:
    """Return the entry of a video: its file, or one of its name where frames are pictures."""
    from pynwb.image import ImageSeries

    own = labels.frames[labels.frames["video"].astype(str) == name]
    film, *frame = str(own["image"].iloc[0]).split("::")
    file = _from(folder, labels.root / film) if len(frame) == 1 else f"{name}.mp4"
    return ImageSeries(
        name=name.replace("/", "_"),
        description="labelled video",
        unit="n.a.",
        format="external",
        external_file=[file],
        starting_frame=[0],
        rate=1.0,
        num_samples=int(own["frame"].max()) + 1,
    )


def _from(folder: Path, file: Path) -> str:
    """Return a path from a folder; whole where they are on two drives."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:
        return file.resolve().as_posix()
