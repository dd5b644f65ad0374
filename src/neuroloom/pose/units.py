"""Which labelled frames belong together: by whose they are, and by the moment that views share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError
from neuroloom.core.split import Fold
from neuroloom.io.recordings.find import compile_pattern

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.labels import Labels

ENTITIES = ("subject", "session", "run")
VIEW = re.compile(  # a word of a name that tells the camera
    r"(?<![a-z0-9])(?:(?:cam|camera|view)[ _-]?(?:\d+|[a-z])?|left|right|top|bottom|bot|side|front"
    r"|back|rear|above|below|overhead|lateral|dorsal|ventral)(?![a-z0-9])",
    re.IGNORECASE,
)


def keys_by_pattern(labels: Labels, pattern: str) -> pd.DataFrame:
    """Return what a pattern reads from the names of frames: a column a key.

    A pattern is held against the name of the video and that of the picture; one with a "/" against
    the path of the picture, and that of its folder.

    Raises
    ------
    ConfigError
        If it has an unknown key, or a frame does not match.

    Examples
    --------
    >>> import pandas as pd
    >>> from types import SimpleNamespace
    >>> table = pd.DataFrame({"video": ["m1_d2.avi"], "image": ["labeled-data/m1_d2/img1.png"]})
    >>> keys_by_pattern(SimpleNamespace(frames=table), "{subject}_d{session}").iloc[0].to_dict()
    {'subject': 'm1', 'session': '2'}
    """
    import pandas as pd

    rule = compile_pattern(pattern)
    odd = [key for key in rule.groupindex if key not in ENTITIES]
    if odd:
        raise ConfigError(
            f"pattern '{pattern}': '{odd[0]}' is no key; known are {', '.join(ENTITIES)}. What "
            "varies and means nothing is written '*'."
        )
    rows = []
    for video, image in zip(labels.frames["video"], labels.frames["image"], strict=True):
        names = _names(str(video), str(image), "/" in pattern)
        found = next((match for name in names if (match := rule.fullmatch(name))), None)
        if found is None:
            raise ConfigError(
                f"pattern '{pattern}' matches none of {', '.join(names)}. Write it like the names, "
                'with the parts that vary as keys: "{subject}_{session}".'
            )
        rows.append(found.groupdict())
    return pd.DataFrame(rows, labels.frames.index)


def _names(video: str, image: str, paths: bool) -> list[str]:
    address = image.partition("::")[0]
    folder, _, name = address.rpartition("/")
    names = [address, folder] if paths else [_bare(video), video, name]
    return [name for name in dict.fromkeys(names) if name]


def _bare(video: str) -> str:
    """Return the name of a video without its ending."""
    from neuroloom.io.stills import PICTURES
    from neuroloom.io.video import SUFFIXES

    path = PurePosixPath(video)
    return path.stem if path.suffix.lower() in SUFFIXES | PICTURES else video


def views_of(labels: Labels) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a number for the recording of each frame, and one for its moment in it.

    Label3D has one recording, whose moments are numbered. In Lightning Pose, which has a table a
    view, frames are of one recording where names of tables and videos differ by words for views
    only (`left`, `cam1`); those of one number are one moment of it.

    Returns
    -------
    None where no recording has several views, or frames are not numbered.
    """
    frames = labels.frames
    if "moment" in frames:
        return np.zeros(len(frames), int), frames["moment"].to_numpy(int)
    if labels.source != "lightning-pose" or frames.duplicated(["table", "video", "frame"]).any():
        return None
    view = frames[["table", "video"]].astype(str)
    rest = view.apply(lambda names: names.str.replace(VIEW, "", regex=True))
    session = rest.groupby(["table", "video"], sort=False).ngroup().to_numpy(int)
    several = len(view.drop_duplicates()) > len(np.unique(session))
    return (session, frames["frame"].to_numpy(int)) if several else None


def films_of(video: np.ndarray, session: np.ndarray) -> np.ndarray:
    """Return the name of each frame's recording: the videos that are its views, joined.

    Examples
    --------
    >>> films_of(np.array(["left", "right", "other"]), np.array([0, 0, 1])).tolist()
    ['left + right', 'left + right', 'other']
    """
    import pandas as pd

    told = pd.Series(video).groupby(session).agg(lambda own: " + ".join(dict.fromkeys(own)))
    return told.reindex(session).to_numpy(object)


def views_told(table: pd.DataFrame) -> list[Finding]:
    """Say which videos are taken for views of one recording."""
    joined = [name for name in dict.fromkeys(table["path"]) if " + " in name]
    if "moment" not in table or not joined:
        return []
    detail = (
        f"{'; '.join(joined)}: taken for views of one recording, whose frames of one number are "
        "one moment and stay on one side of every split."
    )
    return [Finding("note", "Views of one moment", detail)]


def whole_moments(folds: Sequence[Fold], table: pd.DataFrame) -> list[Fold]:
    """Return folds in which all views of a moment are where the first one is.

    Parameters
    ----------
    table
        With a column `moment`, or none where no frame shares one.
    """
    if "moment" not in table:
        return list(folds)
    key = table["moment"].to_numpy()
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    leader = first[which]
    out = []
    for fold in folds:
        unit = dict(zip(fold.test.tolist(), fold.units, strict=True))
        train, test = (np.flatnonzero(np.isin(leader, own)) for own in (fold.train, fold.test))
        units = [unit[row] for row in leader[test].tolist()]
        out.append(replace(fold, train=train, test=test, units=units))
    return out
