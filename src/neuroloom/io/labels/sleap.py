"""SLEAP files, .slp and .pkg.slp with pictures inside, through sleap-io.

What people placed counts; predictions are taken only where a file has nothing else, which the notes
say. An animal with a track is named by it, others are numbered within their frame. Points are
pixels as sleap-io gives them, where the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.pictures import is_bgr, told_apart, where_all
from neuroloom.io.labels.sheets import frame_number
from neuroloom.io.labels.sleapfile import is_film, is_packed, load_sleap, sleap_io, video_names

_FREE = "individual_"


def claims(path: Path) -> bool:
    """Say whether `path` is a SLEAP file, or a folder with just one."""
    return len(_files(path)) == 1


def read(path: Path) -> Labels:
    """Read the labelled frames of a SLEAP file."""
    file = _files(path)[0]
    return from_sleap(load_sleap(file), file, "slp")


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write .slp, or .pkg.slp with the pictures inside.

    Pictures that came in a .pkg.slp stay in one whatever `images` says: there may be no others.
    """
    own = str(labels.kept("slp", "file", "labels.slp"))
    file = path if path.suffix.lower() == ".slp" else path / own
    made = to_sleap(labels)
    package = file.name.lower().endswith(".pkg.slp")
    kept = package and any(map(is_packed, made.videos))
    embed = None if kept else package and images  # None: copied as they are, not embedded anew

    def save(partial: Path) -> None:
        sleap_io().save_slp(made, str(partial), verbose=False, embed=embed)
        if kept:
            _keep_colours(made.videos, partial)

    file.parent.mkdir(parents=True, exist_ok=True)
    return [write_atomic(file, save)]


def _keep_colours(videos: list[Any], copy: Path) -> None:
    """State for pictures copied into a .pkg.slp which colour is first: old files do not say it."""
    import h5py

    from neuroloom.io.pandas_h5 import open_h5

    with h5py.File(copy, "r+") as new:
        for place, video in enumerate(videos):
            if is_packed(video):
                with open_h5(Path(video.filename)) as old:
                    first = "BGR" if is_bgr(old, video.backend_metadata["dataset"]) else "RGB"
                new[f"video{place}/video"].attrs["channel_order"] = first


def write_suggestions(labels: Labels, file: Path) -> list[Path]:
    """Write .slp that suggests frames to label; the points in them are predictions."""
    made = to_sleap(labels, placed=False)
    made.suggestions = [
        sleap_io().SuggestionFrame(video=frame.video, frame_idx=frame.frame_idx)
        for frame in made.labeled_frames
    ]
    made.labeled_frames = [frame for frame in made.labeled_frames if frame.instances]

    def save(partial: Path) -> None:
        sleap_io().save_slp(made, str(partial), verbose=False, embed=False)

    file.parent.mkdir(parents=True, exist_ok=True)
    return [write_atomic(file, save)]


def from_sleap(held: Any, file: Path, source: str) -> Labels:
    """Return the labels of sleap-io's own object.

    Raises
    ------
    DataError
        If there is no labelled frame, or skeletons differ.
    """
    import pandas as pd

    notes: list[str] = []
    skeleton = _skeleton(held, file)
    people = any(frame.user_instances for frame in held.labeled_frames)
    if not people:
        notes.append(f"{file.name}: nobody placed a point; predictions are taken as labels.")
    kept = [
        (frame, chosen)
        for frame in held.labeled_frames
        if (chosen := frame.user_instances if people else frame.predicted_instances)
    ]
    if not kept:
        raise DataError(f"{file}: has no labelled frame; label one first.")
    left = len(held.labeled_frames) - len(kept)
    if left:
        notes.append(f"{file.name}: {left} frames hold predictions only and were left out.")
    tracks = [track.name for track in held.tracks]
    placed, individuals = place_animals([chosen for _, chosen in kept], tracks)
    points = np.full((len(kept), len(individuals), len(skeleton.keypoints), 2), np.nan)
    for row, (chosen, slots) in enumerate(zip((c for _, c in kept), placed, strict=True)):
        for instance, slot in zip(chosen, slots, strict=True):
            points[row, slot] = instance.numpy()[:, :2]
    names = video_names(held.videos)
    places, doubtful = where_all(
        _files_named(held, [frame for frame, _ in kept], file), file.parent
    )
    notes += told_apart(doubtful)
    records = [_record(frame, names, file, places) for frame, _ in kept]
    extra = {
        "file": file.name,
        "tracks": tuple(tracks),
        "videos": {names[id(video)]: video.filename for video in held.videos},
    }
    frames = pd.DataFrame(records)
    return Labels(skeleton, frames, points, individuals, file.parent, source, tuple(notes), extra)


def to_sleap(labels: Labels, placed: bool = True) -> Any:
    """Return sleap-io's own object of any labels, as a person placed them or as predictions."""
    package = sleap_io()
    kind = package.Instance if placed else package.PredictedInstance
    skeleton = make_skeleton(labels.skeleton)
    several = labels.individuals if len(labels.individuals) > 1 else ()
    tracked = set(labels.kept("slp", "tracks", several))
    tracks = {name: package.Track(name) for name in labels.individuals if name in tracked}
    videos, numbers = _videos(labels)
    frames = []
    for row in range(len(labels)):
        instances = [
            kind.from_numpy(labels.points[row, slot], skeleton=skeleton, track=tracks.get(name))
            for slot, name in enumerate(labels.individuals)
            if np.isfinite(labels.points[row, slot]).any()
        ]
        video = videos[str(labels.frames["video"].iloc[row])]
        frame = package.LabeledFrame(video=video, frame_idx=numbers[row], instances=instances)
        frames.append(frame)
    return package.Labels(
        labeled_frames=frames,
        videos=list(videos.values()),
        skeletons=[skeleton],
        tracks=list(tracks.values()),
    )


def make_skeleton(skeleton: Skeleton) -> Any:
    """Return sleap-io's skeleton."""
    package = sleap_io()
    nodes = [package.Node(name) for name in skeleton.keypoints]
    return package.Skeleton(
        nodes=nodes,
        edges=[package.Edge(nodes[start], nodes[end]) for start, end in skeleton.edges],
        symmetries=[package.Symmetry([nodes[a], nodes[b]]) for a, b in skeleton.swaps],
        name="skeleton",
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() == ".slp")
    return [path] if path.suffix.lower() == ".slp" else []


def _skeleton(held: Any, file: Path) -> Skeleton:
    if not held.skeletons:
        raise DataError(f"{file}: has no skeleton; label a frame first.")
    first = held.skeletons[0]
    other = [one for one in held.skeletons if one.node_names != first.node_names]
    if other:
        raise DataError(
            f"{file}: has skeletons with other points ({listed(first.node_names)}; "
            f"{listed(other[0].node_names)}); leave one."
        )
    names = tuple(map(str, first.node_names))
    swaps = tuple(
        tuple(sorted(first.index(node) for node in pair.nodes)) for pair in first.symmetries
    )
    return Skeleton(names, tuple(map(tuple, first.edge_inds)), swaps or guess_swaps(names))  # type: ignore[arg-type]


def place_animals(
    chosen: Iterable[Any], tracks: list[str]
) -> tuple[list[list[int]], tuple[str, ...]]:
    """Return a place for each animal of each frame, its track's or a free one, and their names."""
    used: dict[str, None] = {}
    for instances in chosen:
        used |= dict.fromkeys(_track_slots(instances))
    known = [name for name in tracks if name in used]
    free = sorted((name for name in used if name not in known), key=lambda name: int(name[11:]))
    individuals = (*known, *free)
    slots = [[individuals.index(name) for name in _track_slots(one)] for one in chosen]
    return slots, individuals


def _track_slots(instances: Iterable[Any]) -> list[str]:
    names: list[str] = []
    for instance in instances:
        track = instance.track.name if instance.track is not None else ""
        if not track or track in names:  # the second of one track cannot be the same animal
            free = (f"{_FREE}{number}" for number in range(len(names) + 1))
            track = next(name for name in free if name not in names)
        names.append(track)
    return names


def _files_named(held: Any, frames: Iterable[Any], file: Path) -> list[str]:
    """Return the files of all films, and those of the labelled frames that are pictures."""
    films = [_file_named(video, 0, file) for video in held.videos if is_film(video)]
    return films + [_file_named(frame.video, int(frame.frame_idx), file) for frame in frames]


def _file_named(video: Any, number: int, file: Path) -> str:
    """Return the file that a frame is in, as the project names it; "" if it names none."""
    if not is_film(video):
        return str(video.filename[number]) if number < len(video.filename) else ""
    inside = str(video.filename)
    return file.name if is_packed(video) and inside in ("", ".", str(file)) else inside


def _record(
    frame: Any, names: dict[int, str], file: Path, places: dict[str, str]
) -> dict[str, Any]:
    video, number = frame.video, int(frame.frame_idx)
    named = _file_named(video, number, file)
    found, image = places[named], ""
    dataset = (video.backend_metadata or {}).get("dataset")
    if not is_film(video):
        image, number = found, frame_number(named, number)
    elif found:
        image = _stored(file.parent, found, dataset, number) if dataset else f"{found}::{number}"
    return {"video": names[id(video)], "frame": number, "image": image}


def _stored(root: Path, found: str, dataset: str, number: int) -> str:
    """Return the address of a picture inside HDF5, by the numbers of the frames stored there."""
    from neuroloom.io.pandas_h5 import open_h5

    with open_h5(root / found) as opened:
        beside = dataset.rpartition("/")[0] + "/frame_numbers"
        if beside not in opened:
            return f"{found}::{dataset}::{number}"
        rows = np.flatnonzero(np.asarray(opened[beside]) == number)
    return f"{found}::{dataset}::{rows[0]}" if len(rows) else ""


def _videos(labels: Labels) -> tuple[dict[str, Any], list[int]]:
    """Return sleap-io's video of each name, and for each row its frame in it."""
    own = labels.root / str(labels.kept("slp", "file", ""))
    if own.is_file():
        held = load_sleap(own)
        names = video_names(held.videos)
        given = [name for video in held.videos for name in _given(video)]
        places, _ = where_all(given, own.parent)
        videos = {names[id(video)]: _here(video, own.parent, places) for video in held.videos}
        return videos, _own_numbers(labels, videos)
    made: dict[str, Any] = {}
    numbers = [0] * len(labels)
    for name in labels.frames["video"].astype(str).unique():
        rows = np.flatnonzero(labels.frames["video"].astype(str) == name)
        made[name], inside = _new_video(labels, rows, name)
        for row, number in zip(rows, inside, strict=True):
            numbers[row] = number
    return made, numbers


def _given(video: Any) -> list[str]:
    return [str(name) for name in ([video.filename] if is_film(video) else video.filename)]


def _here(video: Any, root: Path, places: dict[str, str]) -> Any:
    """Return a video that names its file where it is now, so that a .slp elsewhere finds it."""
    if is_packed(video):
        return video
    given = [(name, places[name]) for name in _given(video)]
    here = [str((root / place).resolve()) if place else name for name, place in given]
    if not is_film(video):
        return sleap_io().Video.from_filename(here)
    video.replace_filename(here[0], open=False)
    return video


def _own_numbers(labels: Labels, videos: dict[str, Any]) -> list[int]:
    """Return frames as SLEAP counts them: of a list of pictures, the place in the list."""
    numbers = []
    for video, frame, image in labels.frames[["video", "frame", "image"]].itertuples(index=False):
        listed_ = videos[str(video)].filename
        ends = [PureWindowsPath(one).name for one in listed_] if isinstance(listed_, list) else []
        name = PureWindowsPath(str(image)).name
        numbers.append(ends.index(name) if name in ends else int(frame))
    return numbers


def _new_video(labels: Labels, rows: np.ndarray, name: str) -> tuple[Any, list[int]]:
    package = sleap_io()
    addresses = [str(labels.frames["image"].iloc[row]) for row in rows]
    frames = [int(labels.frames["frame"].iloc[row]) for row in rows]
    file, *inside = addresses[0].split("::")
    path = str(labels.root / file)
    if not file:
        known = labels.kept("slp", "videos", {}).get(name, f"{name}.mp4")
        return package.Video(filename=known, open_backend=False), frames
    if not inside:
        pictures = [str(labels.root / address) for address in addresses]
        return package.Video.from_filename(pictures), list(range(len(rows)))
    if len(inside) == 1:
        return package.Video.from_filename(path), [int(one.split("::")[1]) for one in addresses]
    video = package.Video.from_filename(path, dataset=inside[0])
    return video, [int(one.split("::")[2]) for one in addresses]
