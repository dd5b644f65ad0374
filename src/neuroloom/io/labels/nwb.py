"""Labelled frames in NWB with the extension ndx-pose: PoseTraining, read and written whole.

Read with h5py alone, so that a file of any version of the extension opens; written through pynwb.
Pixels are taken as stored. NWB keeps the names of videos, not their pictures.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps
from neuroloom.io.pandas_h5 import open_h5


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
        records = []
        for row, (frame, instances) in enumerate(zip(found, animals, strict=True)):
            records.append(_record(path, frame, row))
            for one in instances:
                points[row, names.index(name_of(one))] = _located(path, one, skeleton)
    frames = pd.DataFrame(records)
    order = frames.sort_values(["video", "frame"], kind="stable").index.to_numpy()
    labels = Labels(skeleton, frames, points, names, path.parent, "nwb")
    return labels.take(order)


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write an NWB file with the labelled frames."""
    file = path if path.suffix == ".nwb" else path / "labels.nwb"
    file.parent.mkdir(parents=True, exist_ok=True)
    return [write_atomic(file, lambda partial: _fill(partial, labels))]


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


def _record(path: Path, frame: Any, row: int) -> dict[str, Any]:
    """Return video, frame and picture; a video beside the NWB file is found by its name."""
    number = int(frame.attrs.get("source_video_frame_index", row))
    video = frame.get("source_video")
    if video is None:
        return {"video": path.stem, "frame": number, "image": ""}
    external = words(video["external_file"]) if "external_file" in video else []
    name = PureWindowsPath(external[0]).name if external else ""
    there = [place for place in (*external[:1], name) if place and (path.parent / place).is_file()]
    image = f"{there[0]}::{number}" if there else ""
    return {"video": PureWindowsPath(name).stem or name_of(video), "frame": number, "image": image}


def _fill(file: Path, labels: Labels) -> None:
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
    videos = {name: _series(labels, name) for name in labels.frames["video"].astype(str).unique()}
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
                source_video=videos[str(labels.frames["video"].iloc[row])],
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


def _series(labels: Labels, name: str) -> Any:
    """Return the entry of a video: its file, or one of its name where frames are pictures."""
    from pynwb.image import ImageSeries

    own = labels.frames[labels.frames["video"].astype(str) == name]
    file, *frame = str(own["image"].iloc[0]).split("::")
    return ImageSeries(
        name=name.replace("/", "_"),
        description="labelled video",
        unit="n.a.",
        format="external",
        external_file=[file if len(frame) == 1 else f"{name}.mp4"],
        starting_frame=[0],
        rate=1.0,
        num_samples=int(own["frame"].max()) + 1,
    )
