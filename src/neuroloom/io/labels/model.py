"""Frames that people labelled: points, names, where each picture is, and what was amiss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("video", "frame", "image")


@dataclass(frozen=True)
class Skeleton:
    """Names of points, bones between them, and which are left and right of each other.

    Attributes
    ----------
    keypoints
        Names, no name twice.
    edges
        Bones, as pairs of indices (from, to).
    swaps
        Left-right pairs of indices; a point is in at most one.

    Examples
    --------
    >>> Skeleton(("nose", "ear_l", "ear_r"), edges=((0, 1), (0, 2)), swaps=((1, 2),)).mirror
    (0, 2, 1)
    """

    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that stand twice and indices of no point."""
        names, count = self.keypoints, len(self.keypoints)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise DataError(
                f"A skeleton needs points with names of their own; {', '.join(twice)} twice."
                if twice
                else "A skeleton needs at least one point."
            )
        if any(not 0 <= index < count for pair in (*self.edges, *self.swaps) for index in pair):
            raise DataError(f"Bones and left-right pairs name points 0 to {count - 1}, got others.")
        paired = [index for pair in self.swaps for index in pair]
        if len(set(paired)) < len(paired):
            raise DataError("A point can be left or right of one other point only.")

    @property
    def mirror(self) -> tuple[int, ...]:
        """For each point the one that it becomes when left and right change sides."""
        order = list(range(len(self.keypoints)))
        for left, right in self.swaps:
            order[left], order[right] = right, left
        return tuple(order)


@dataclass(frozen=True, eq=False)
class Labels:
    """The labelled frames of a project.

    Attributes
    ----------
    skeleton
        Names of points, bones, left-right pairs.
    frames
        One row a labelled frame: `video` (name), `frame` (number in it, or order), `image`, and
        `subject`, `session` where known. `image` is a path under `root` ("a/img1.png"), a picture
        in an HDF5 file ("set.h5::images::3"), a frame of a video ("clip.mp4::17"), or "".
    points
        Shape (frame, individual, keypoint, 2), px, (x, y) as stored in the project: the centre of
        the top-left pixel is (0, 0). NaN where not labelled.
    individuals
        Names.
    root
        Folder of the project.
    source
        Name of the format.
    notes
        What was left out or mended, and why; one sentence each.
    extra
        What only the format needs to write the same again.
    classes
        Shape (frame, individual): what each animal is, such as its species, "" where nothing says
        it; None where animals are of one class.
    depth
        Bits of values in all pictures of more than 8: one number, so that none is brighter than
        it was taken. None where all have 8.
    """

    skeleton: Skeleton
    frames: pd.DataFrame
    points: np.ndarray
    individuals: tuple[str, ...]
    root: Path
    source: str
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    classes: np.ndarray | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        expected = (len(self.frames), len(self.individuals), len(self.skeleton.keypoints), 2)
        if self.points.shape != expected:
            raise DataError(
                f"{self.root}: expected points of shape {expected}, which is (frame, individual, "
                f"keypoint, 2), got {self.points.shape}."
            )
        if self.classes is not None and self.classes.shape != expected[:2]:
            raise DataError(
                f"{self.root}: expected classes of shape {expected[:2]}, which is (frame, "
                f"individual), got {self.classes.shape}."
            )
        lacking = [name for name in COLUMNS if name not in self.frames]
        if lacking:
            raise DataError(f"{self.root}: the table of frames lacks {', '.join(lacking)}.")

    def __len__(self) -> int:
        """Return how many frames are labelled."""
        return len(self.frames)

    def kept(self, format: str, name: str, default: Any) -> Any:
        """Return what a format keeps to write the same again, if the labels came from it."""
        return self.extra.get(name, default) if self.source == format else default

    def image(self, row: int) -> np.ndarray:
        """Return the picture of a row, (y, x, channel) uint8, read when asked for.

        Raises
        ------
        DataError
            If it is gone or cannot be read.
        """
        from neuroloom.io.labels.pictures import load_picture

        return load_picture(self.root, str(self.frames["image"].iloc[row]), self.depth)

    def take(self, rows: Sequence[int] | np.ndarray) -> Labels:
        """Return the labels of some rows, by number or as a mask, in the order given."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
        table = self.frames.iloc[chosen].reset_index(drop=True)
        classes = None if self.classes is None else self.classes[chosen]
        return replace(self, frames=table, points=self.points[chosen], classes=classes)

    def with_points(self, order: Sequence[int]) -> Labels:
        """Return the labels with some keypoints, by number in the order given, and their bones."""
        place = {old: new for new, old in enumerate(order)}
        names = tuple(self.skeleton.keypoints[old] for old in order)
        edges, swaps = (
            tuple((place[a], place[b]) for a, b in pairs if a in place and b in place)
            for pairs in (self.skeleton.edges, self.skeleton.swaps)
        )
        skeleton = Skeleton(names, edges, swaps)
        return replace(self, skeleton=skeleton, points=self.points[:, :, list(order)])


def guess_swaps(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return left-right pairs that the names of points tell: left/right, l/r, L/R.

    Where the number in a name differs between the sides ("paw1L", "paw4R") it is overlooked.

    Examples
    --------
    >>> guess_swaps(["nose", "leftear", "rightear", "pawL1", "pawR1", "tail"])
    ((1, 2), (3, 4))
    """
    pairs = _partners(names, list(map(mirror_name, names)))
    left = [i for i in range(len(names)) if i not in {index for pair in pairs for index in pair}]
    bare = [re.sub(r"\d+", "", names[i]) for i in left]
    # A limb of several numbered joints would be paired by chance.
    if len(set(bare)) == len(bare):
        found = _partners(bare, list(map(mirror_name, bare)))
        pairs += [(left[a], left[b]) for a, b in found]
    return tuple(sorted(pairs))


def mirror_name(name: str) -> str:
    """Return the name of the same point on the other side, or the name if it has no side.

    Examples
    --------
    >>> mirror_name("Left_Ear"), mirror_name("paw_l"), mirror_name("legR2"), mirror_name("tail")
    ('Right_Ear', 'paw_r', 'legL2', 'tail')
    """
    patterns = (
        r"left|right|Left|Right|LEFT|RIGHT",
        r"(?<![A-Z])[LR](?![a-z])",
        r"(?<![A-Za-z])[lr](?![a-z])",
    )
    for pattern in patterns:
        turned = re.sub(pattern, lambda found: _SIDES[found.group()], name)
        if turned != name:
            return turned
    return name


_SIDES = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "L": "R", "l": "r"}
_SIDES |= {right: left for left, right in _SIDES.items()}


def _partners(names: Sequence[str], mirrored: Sequence[str]) -> list[tuple[int, int]]:
    place = {name: index for index, name in enumerate(names)}
    pairs = ((i, place.get(other, i)) for i, other in enumerate(mirrored))
    return [(i, j) for i, j in pairs if i < j and mirrored[j] == names[i]]


def listed(words: Iterable[object], most: int = 5) -> str:
    """Return words with commas, the first few of many.

    Examples
    --------
    >>> listed(range(9), most=3)
    '0, 1, 2 and 6 more'
    """
    every = [str(word) for word in words]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
