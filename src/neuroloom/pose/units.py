"""Which labelled frames belong together: by whose they are, and by the moment that views share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.split import Fold
from neuroloom.io.recordings.find import compile_pattern

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.labels import Labels

ENTITIES = ("subject", "session", "run")
ENDING = re.compile(r"\.[a-z]\w{2,3}$", re.IGNORECASE)  # of a video's name


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
    names = [address, folder] if paths else [ENDING.sub("", video), video, name]
    return [name for name in dict.fromkeys(names) if name]


def moments_of(labels: Labels) -> np.ndarray | None:
    """Return a number for the moment of each frame where several views show one; else None.

    Label3D numbers moments. Tables of Lightning Pose, one a view, have a row for each in one order.
    """
    frames = labels.frames
    if "moment" in frames:
        return frames["moment"].to_numpy(int)
    if labels.source != "lightning-pose" or frames["table"].nunique() < 2:
        return None
    place = frames.groupby("table", sort=False).cumcount().to_numpy(int)
    numbers = [own["frame"].tolist() for _, own in frames.groupby("table", sort=False)]
    return place if all(own == numbers[0] for own in numbers) else None


def films_of(video: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Return the name of each frame's recording: the videos that show its moment, joined.

    Examples
    --------
    >>> films_of(np.array(["left", "left", "right"]), np.array([0, 1, 0])).tolist()
    ['left + right', 'left', 'left + right']
    """
    import pandas as pd

    told = pd.Series(video).groupby(moment).agg(lambda own: " + ".join(dict.fromkeys(own)))
    return told.reindex(moment).to_numpy(object)


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
