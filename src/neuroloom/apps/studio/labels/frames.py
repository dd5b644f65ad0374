"""Frames of a video to label: chosen evenly, by hand, or because they stand for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.apps.studio.labels.work import names_of
from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    from neuroloom.io.labels import Labels

LOOKED_AT = 240  # frames that are decoded to choose among


def of_video(video: Path, options: dict[str, Any]) -> Labels:
    """Return frames of a video with nothing labelled yet.

    Parameters
    ----------
    video
        The file.
    options
        `keypoints`, `bones`, `individuals`: names; `how`, `count`, `numbers`: which frames.

    Raises
    ------
    ConfigError
        If there are no names, a name stands twice, or a bone names no point.
    """
    from neuroloom.io.labels import Labels, Skeleton, guess_swaps

    names = _names(options.get("keypoints"), "keypoints")
    if not names:
        raise ConfigError("keypoints: name at least one point, for example nose, tailbase.")
    who = _names(options.get("individuals"), "individuals") or ("individual_0",)
    skeleton = Skeleton(names, _bones(options.get("bones"), names), guess_swaps(names))
    numbers = choose(video, options)
    points = np.full((len(numbers), len(who), len(names), 2), np.nan)
    return Labels(skeleton, _table(video, numbers), points, who, video.parent, "video")


def more_frames(labels: Labels, video: Path, options: dict[str, Any]) -> Labels | None:
    """Return frames of a video that a project does not have yet; None if it has all of them."""
    known = labels.frames.loc[labels.frames["video"] == video.stem, "frame"]
    numbers = np.setdiff1d(choose(video, options), known)
    if not len(numbers):
        return None
    shape = (len(numbers), len(labels.individuals), len(labels.skeleton.keypoints), 2)
    table = _table(video, numbers)
    scorer = labels.kept("dlc", "scorer", "neuroloom")
    table["table"] = f"labeled-data/{video.stem}/CollectedData_{scorer}"
    return replace(labels, frames=table, points=np.full(shape, np.nan), classes=None)


def joined(labels: Labels, new: Labels) -> Labels:
    """Return both, in one table."""
    import pandas as pd

    frames = pd.concat([labels.frames, new.frames], ignore_index=True)
    points = np.concatenate([labels.points, new.points])
    return replace(labels, frames=frames, points=points, classes=None)


def choose(video: Path, options: dict[str, Any]) -> np.ndarray:
    """Return numbers of frames, sorted.

    Raises
    ------
    ConfigError
        If a number is beyond the video, or `how` is unknown.
    """
    from neuroloom.io.video import Video

    how, count = options.get("how", "even"), options.get("count") or 10
    if not isinstance(count, int):
        raise ConfigError(f"count: expected how many frames, got {count!r:.80}.")
    with Video(video) as opened:
        if how == "hand":
            return _by_hand(options.get("numbers"), len(opened))
        count = max(1, min(count, len(opened)))
        if how == "even":
            return np.unique(np.linspace(0, len(opened) - 1, count + 2).round().astype(int)[1:-1])
    if how != "suggest":
        raise ConfigError(f"how: expected even, suggest or hand, got '{how}'.")
    return _suggested(video, count, options.get("labels"))


def _suggested(video: Path, count: int, project: Any) -> np.ndarray:
    """Choose as `pose.suggest` does: unlike one another, and doubtful where there are tracks."""
    from neuroloom.core import registry

    recipe = registry.load("recipe", "pose.suggest")(
        frames=count, apart=1, most=max(LOOKED_AT, 2 * count), labels=project
    )
    table, _ = recipe.choose(recipe.prepare(video).videos[0])
    return np.sort(table.loc[table["chosen"], "frame"].to_numpy(int))


def _by_hand(numbers: Any, frames: int) -> np.ndarray:
    if not isinstance(numbers, list) or not numbers:
        raise ConfigError("numbers: name the frames to label, for example 0, 120, 240.")
    for number in numbers:
        if not isinstance(number, int) or not 0 <= number < frames:
            raise ConfigError(
                f"numbers: the video has the frames 0 to {frames - 1}, got {number!r}."
            )
    return np.unique(np.asarray(numbers, int))


def _table(video: Path, numbers: np.ndarray) -> Any:
    import pandas as pd

    address = video.resolve().as_posix()
    rows = [{"video": video.stem, "frame": int(n), "image": f"{address}::{n}"} for n in numbers]
    return pd.DataFrame(rows, columns=["video", "frame", "image"])


def _names(given: Any, what: str) -> tuple[str, ...]:
    names = names_of(given, what)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{what}: '{twice[0]}' stands twice.")
    return tuple(names)


def _bones(given: Any, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return bones from pairs of names, or from "nose-neck, neck-tail"."""
    from neuroloom.core.errors import nearest

    parts = given.replace("\n", ",").split(",") if isinstance(given, str) else given or []
    if not isinstance(parts, list):
        raise ConfigError(f"bones: expected pairs of points, got {given!r:.80}.")
    pairs = [part.split("-", 1) if isinstance(part, str) else part for part in parts if part]
    bones = []
    for pair in pairs:
        ends = [str(end).strip() for end in pair] if isinstance(pair, list) else []
        unknown = [end for end in ends if end not in names]
        if len(ends) != 2 or unknown:
            odd = unknown[0] if unknown else str(pair)
            raise ConfigError(f"bones: '{odd}' is no point.{nearest(odd, names)}")
        bones.append((names.index(ends[0]), names.index(ends[1])))
    return tuple(bones)
