"""Labelled frames as a study hands them to a learner: lazy, read once, kept while they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.heap import memory as machine_memory

if TYPE_CHECKING:
    from torch import Tensor

    from neuroloom.io.labels import Labels

KEPT_BYTES = 4 * 1024**3


class PoseFrames(Sequence[Any]):
    """Frames of a project; rows can be taken, and all parts share what was read.

    Parameters
    ----------
    labels
        The project, or anything with `image(row)`, `points` and `len`.
    rows
        Their numbers in the project; None: all.
    memory
        Shared by all parts; None begins a new one.
    clips
        Videos that nobody labelled, to learn from as well.
    """

    def __init__(
        self,
        labels: Labels | Any,
        rows: Sequence[int] | None = None,
        memory: dict[Any, Any] | None = None,
        clips: Sequence[Path] = (),
    ) -> None:
        self.labels, self.clips = labels, tuple(clips)
        self.rows = list(range(len(labels))) if rows is None else [int(row) for row in rows]
        self.memory: dict[Any, Any] = {"bytes": 0} if memory is None else memory
        self.limit = min(KEPT_BYTES, machine_memory() / 8)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Any:
        """Return one picture (y, x, channel) uint8, or the frames of a part."""
        if isinstance(rows, int | np.integer):
            return self.picture(self.rows[int(rows)])
        chosen = np.asarray(self.rows)[rows].tolist()
        return PoseFrames(self.labels, chosen, self.memory, self.clips)

    def picture(self, row: int) -> np.ndarray:
        """Return the picture of a row of the project, grey where all of its colours are alike."""
        if row in self.memory:
            kept: np.ndarray = self.memory[row]
            return kept
        found = plain(self.labels.image(row))
        if self.memory["bytes"] + found.nbytes <= self.limit:
            self.memory[row] = found
            self.memory["bytes"] += found.nbytes
        return found

    @property
    def points(self) -> np.ndarray:
        """The labelled points (frame, individual, keypoint, 2), px; NaN where unknown."""
        found: np.ndarray = np.asarray(self.labels.points)[self.rows]
        return found

    @property
    def depth(self) -> int | None:
        """Bits of values in pictures of more than 8; None where all have 8."""
        found: int | None = getattr(self.labels, "depth", None)
        return found

    @property
    def classes(self) -> np.ndarray | None:
        """What the labelled animals are (frame, individual), "" where unknown; None: nothing."""
        found = getattr(self.labels, "classes", None)
        return None if found is None else np.asarray(found)[self.rows]

    def shapes(self) -> list[tuple[int, int]]:
        """Return the shape (y, x) of every frame; a picture is read for it once."""
        for row in self.rows:
            if ("shape", row) not in self.memory:
                self.memory["shape", row] = self.picture(row).shape[:2]
        return [self.memory["shape", row] for row in self.rows]

    def channels(self) -> int:
        """Return 3 if any of the first frames is coloured, else 1."""
        return max((one.shape[2] for one in self[: min(len(self), 16)]), default=1)

    def tensors(self, channels: int, level: int) -> list[Tensor]:
        """Return every frame (channel, y, x), halved `level` times: float16 where halved."""
        import torch

        from neuroloom.pose.nets.views import halved

        found = []
        for one in self:
            frame = torch.tensor(as_channels(one, channels)).permute(2, 0, 1)
            small = halved(frame[None], level)[0]
            found.append(small.half() if level else frame.contiguous())
        return found


def plain(picture: np.ndarray) -> np.ndarray:
    """Return a picture (y, x, channel) with one channel if its colours are alike.

    Examples
    --------
    >>> plain(np.full((2, 2, 3), 7, np.uint8)).shape
    (2, 2, 1)
    """
    picture = picture[..., None] if picture.ndim == 2 else picture[..., :3]
    few = picture[::4, ::4]
    if picture.shape[2] == 3 and all((few[..., 0] == few[..., k]).all() for k in (1, 2)):
        return np.ascontiguousarray(picture[..., :1])
    return picture if picture.shape[2] in (1, 3) else picture[..., :1]


def as_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return a picture (y, x, any) with 1 (their mean) or 3 channels, contiguous."""
    if picture.shape[2] == channels:
        return np.ascontiguousarray(picture)
    if channels == 1:
        return np.ascontiguousarray(picture.mean(2, keepdims=True).round().astype(np.uint8))
    return np.ascontiguousarray(np.repeat(picture[..., :1], channels, 2))
