"""From a labelled project to the data set of a pose study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import at_home, digest, names_apart
from neuroloom.pose.animals import NOBODY, as_trained, classes_of, labelled_animals, to_learn
from neuroloom.pose.nets.frames import PoseFrames

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.labels import Labels

FEW = 20
FEWEST_TO_DOUBT = 10  # frames from which on a usual length can be told
MOST_DOUBTED = 8


def read_frames(
    data: Path,
    include: list[str],
    trained: dict[str, Any] | None = None,
    clips: Sequence[str] = (),
    identity: bool | None = None,
    pattern: str | None = None,
) -> Dataset:
    """Read the labelled frames of a project.

    Parameters
    ----------
    data
        A project, as `io.labels.read_labels` has it.
    include
        Globs on the names of frames or videos; empty: all.
    trained
        Facts of the run that is to be applied; its keypoints then hold, in its order.
    clips
        Videos to learn from without labels: paths, or globs below `data`.
    identity
        Whether names of animals say who they are; None: as the project says.
    pattern
        Keys subject, session, run in the names of videos or pictures: "{subject}_{session}".

    Returns
    -------
    Dataset
        A row a frame: `name` (its picture), `path` (its video, or those that are views of one
        recording), `onset` (its place in it), `moment` where views share one;
        `truth` is points (frame, individual, keypoint, 2), px.

    Raises
    ------
    ConfigError
        If animals are to be told apart and only one is labelled, or a name does not match the
        pattern.
    DataError
        If nothing usable is labelled, no picture is there, or keypoints of the run are missing.
    """
    from neuroloom.io.labels import read_labels
    from neuroloom.pose.units import views_told

    depth = None if trained is None else trained.get("depth")
    labels = chosen(read_labels(data, depth=depth), include, data)
    if not any(str(image) for image in labels.frames["image"]):
        raise DataError(f"{data}: the points have no pictures beside them to learn from.")
    told = list(labels.notes)
    if trained is not None:
        labels, places = as_trained(labels, trained, data)
        facts = trained | {"individuals": places}
    else:
        known = _told_apart(labels, identity)
        labels, changed = to_learn(labels, known)
        told += changed
        facts = _facts(labels, known)
    table = frame_table(labels, pattern)
    findings = [
        Finding("note", "How the data were read", f"A project of the format {labels.source}.")
    ]
    findings += [Finding("warning", "Noticed while reading", note) for note in told]
    findings += views_told(table)
    videos, noticed = find_clips(data, clips)
    findings += noticed
    hashes = hashes_of(labels, data)
    for name, video in zip(names_apart(videos), videos, strict=True):
        hashes[f"{name}{video.suffix}"] = digest(video)
    extra = {"hashes": hashes, "labels": labels}
    x = PoseFrames(labels, clips=videos)
    return Dataset(table, x, "pose", [], facts, findings, extra, labels.points)  # type: ignore[arg-type]


def _facts(labels: Labels, identity: bool) -> dict[str, Any]:
    """Return what a run stores: names, bones, sides, animals, COCO's categories, bit depth."""
    skeleton = labels.skeleton
    return {
        "kind": "frames",
        "keypoints": list(skeleton.keypoints),
        "mirror": list(skeleton.mirror),
        "edges": [list(pair) for pair in skeleton.edges],
        "individuals": list(labels.individuals),
        "identity": identity,
        "kinds": [] if identity else classes_of(labels),
        "source": labels.source,
        "categories": labels.kept("coco", "categories", []),
        "depth": labels.depth,
    }


def _told_apart(labels: Labels, wished: bool | None) -> bool:
    named = [labels.individuals[place] for place in labelled_animals(labels)]
    several = len([name for name in named if name != NOBODY]) > 1
    if wished and not several:
        raise ConfigError(
            "identity tells animals of one frame apart; the project has labels of one animal only. "
            "Leave it out."
        )
    return several and bool(labels.kept("dlc", "identity", False) if wished is None else wished)


def find_clips(data: Path, clips: Sequence[str]) -> tuple[list[Path], list[Finding]]:
    """Return the videos that paths, or globs below a project, name, and what is odd about them.

    Raises
    ------
    ConfigError
        If one of them matches no video.
    DataError
        If a video cannot be opened.
    """
    from neuroloom.io.video import Video, is_video

    root = data if data.is_dir() else data.parent
    found: list[Path] = []
    for clip in clips:
        own = at_home(clip)
        below = [] if own.is_absolute() else sorted(root.glob(clip))
        videos = [path for path in below or [root / clip, own] if path.exists() and is_video(path)]
        if not videos:
            raise ConfigError(
                f"unlabelled: '{clip}' is no video, nor a glob of videos below {root.name}."
            )
        found += videos
    found, told = list(dict.fromkeys(found)), []
    for path in found:  # not after an hour of training
        with Video(path, patch=True) as video:
            told += [Finding("warning", "Video", note) for note in video.notes]
    return found, told


def chosen(labels: Labels, include: list[str], data: Path) -> Labels:
    """Return the frames whose name or video one of the globs matches."""
    from fnmatch import fnmatch

    if not include:
        return labels
    names = zip(labels.frames["image"], labels.frames["video"], strict=True)
    keep = [
        any(
            fnmatch(text, glob) or fnmatch(Path(text).name, glob)
            for text in map(str, pair)
            for glob in include
        )
        for pair in names
    ]
    if not any(keep):
        raise DataError(f"{data}: include={include} matches none of {len(labels)} frames.")
    return labels.take(np.asarray(keep))


def frame_table(labels: Labels, pattern: str | None = None) -> pd.DataFrame:
    """Return a row a frame with the columns of `core.dataset.Dataset`."""
    from neuroloom.pose.units import ENTITIES, films_of, keys_by_pattern, views_of

    frames = labels.frames
    picture = frames["image"].astype(str)
    number = frames["frame"].astype(int)
    name = picture.where(picture != "", frames["video"].astype(str) + "::" + number.astype(str))
    video = frames["video"].astype(str)
    video = video.where(video != "", "frames")
    table = frames[[]].copy()
    table["name"] = name.to_numpy()
    table["path"] = table["run"] = video.to_numpy()
    for unit in ("subject", "session"):
        known = frames[unit].astype(str) if unit in frames else ""
        table[unit] = known
    views, order = views_of(labels), number.to_numpy()
    if views is not None:
        session, order = views
        table["path"] = table["run"] = films_of(video.to_numpy(), session)
        table["moment"] = frames.groupby([session, order]).ngroup().to_numpy(int)
    keys = frames[[]] if pattern is None else keys_by_pattern(labels, pattern)
    for unit in (unit for unit in ENTITIES if unit in keys):
        table[unit] = keys[unit]
    if "run" in keys and views is None:
        table["path"] = keys.agg("/".join, axis=1)
        table["moment"] = table["path"] + "::" + number.astype(str)
    if "moment" not in table:  # then frames of one number are not one moment
        order = order.argsort(kind="stable").argsort()
    table["onset"] = _order(table["path"].to_numpy(str), order)
    table["stop"] = table["onset"]
    labelled = np.isfinite(labels.points).all(-1).any((1, 2))
    table["label"] = ["points" if known else None for known in labelled]
    table["example"] = table["name"]
    return table.reset_index(drop=True)


def _order(video: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the place of each frame among the labelled ones of its video; views share one."""
    place = np.empty(len(video))
    for name in np.unique(video):
        own = np.flatnonzero(video == name)
        place[own] = np.unique(number[own], return_inverse=True)[1]
    return place


def hashes_of(labels: Labels, data: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of every file that labels and frames are read from."""
    addresses = [str(image).partition("::")[0] for image in labels.frames["image"]]
    found = {data.name: digest(data)} if data.is_file() else {}
    tables = dict.fromkeys(map(str, labels.frames.get("table", ())))
    own = [f"{table}{end}" for table in tables for end in ("", ".csv", ".h5")]
    addresses = [str(labels.extra.get("file", "")), *own, *addresses]
    for name in dict.fromkeys(address for address in addresses if address):
        file = labels.root / name
        if file.is_file() and name not in found:
            found[name] = digest(file)
    return found


def audit_frames(dataset: Dataset) -> list[Finding]:
    """Say what the figures can mean: one video, few frames, points that are seldom labelled."""
    findings = []
    videos = dataset.table["path"].nunique()
    if videos == 1 and len(dataset) > 1:
        findings.append(
            Finding(
                "warning",
                "All frames are of one video",
                "What is held out is of the same animal, light and cage: the figures say how well "
                "more of this video is tracked, not another one.",
            )
        )
    if len(dataset) < FEW:
        findings.append(
            Finding(
                "warning",
                "Few labelled frames",
                f"{len(dataset)} labelled frames: the intervals are wide. 50 to 200 are usual; "
                "`pose.suggest` names those that would help most.",
            )
        )
    assert dataset.truth is not None
    share = np.isfinite(dataset.truth).all(-1).any(1).mean(0)
    names = dataset.facts["keypoints"]
    rare = [
        f"{name} ({100 * own:.0f} %)" for name, own in zip(names, share, strict=True) if own < 0.2
    ]
    if rare:
        findings.append(
            Finding(
                "warning",
                "Keypoints that are seldom labelled",
                f"{', '.join(rare)} of the frames show these: they are learnt from few examples.",
            )
        )
    return [*findings, *doubtful_labels(dataset)]


def doubtful_labels(dataset: Dataset) -> list[Finding]:
    """Name the labels that look wrong: left and right exchanged, limbs of odd length, two in one.

    A person has to look; nothing is left out or changed.
    """
    from neuroloom.pose.doubt.signs import suspicious_labels

    if len(dataset) < FEWEST_TO_DOUBT or dataset.truth is None:
        return []
    facts = dataset.facts
    swaps = [(i, j) for i, j in enumerate(facts["mirror"]) if i < j]
    table = suspicious_labels(
        dataset.truth, facts["keypoints"], edges=facts.get("edges") or None, swaps=swaps
    )
    if not len(table):
        return []
    names = dataset.table["name"].to_numpy()[table["frame"]]
    doubts = table["detail"].groupby(names, sort=False).agg(", ".join)
    told = [f"{name}: {detail}" for name, detail in doubts.head(MOST_DOUBTED).items()]
    more = f", and {len(doubts) - len(told)} frames more" if len(doubts) > len(told) else ""
    detail = f"Worth a look before the net learns them: {'; '.join(told)}{more}."
    return [Finding("warning", "Labels that look wrong", detail)]
