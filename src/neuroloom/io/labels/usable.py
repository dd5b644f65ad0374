"""Which labelled frames can teach or judge: their picture is there, and some point lies in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.labels.model import Labels, listed
from neuroloom.io.labels.pictures import depth_of, picture_size

_EDGE = 1.0  # px: a click on the border may fall just outside it


def keep_usable(labels: Labels) -> Labels:
    """Return the labels that can be used; what is left out stands in the notes by name.

    Left out are rows whose picture is missing, broken or beyond the end of its film, that stand
    twice, or in which nothing is labelled, and single points more than a pixel outside their
    picture. Where no picture is found at all the rows are kept: the points alone can be read and
    converted.

    Raises
    ------
    DataError
        If nothing is left.
    """
    sizes = [picture_size(labels.root, str(address)) for address in labels.frames["image"]]
    keep, notes = np.ones(len(labels), bool), list(labels.notes)
    if any(sizes):
        _leave_out(labels, keep, np.asarray([size is None for size in sizes]), notes, "picture")
    else:
        notes.append("No picture of any labelled frame was found; only the points can be used.")
    _leave_out(labels, keep, _repeated(labels), notes, "twice")
    points = _inside(labels, sizes, notes)
    blank = ~np.isfinite(points).all(-1).any((1, 2))
    _leave_out(labels, keep, blank, notes, "blank")
    if not keep.any():
        said = " ".join(notes)
        raise DataError(f"{labels.root}: none of {len(labels)} labelled frames can be used. {said}")
    left = replace(labels, points=points, notes=()).take(keep)
    never = ~np.isfinite(left.points).all(-1).any((0, 1))
    if never.any():
        names = np.asarray(labels.skeleton.keypoints)[never]
        notes.append(f"{listed(names)}: labelled in no frame.")
    return replace(left, notes=tuple(notes))


def with_depth(labels: Labels, least: int | None = None) -> Labels:
    """Return the labels with one bit depth for all pictures of more than 8, told in the notes.

    Parameters
    ----------
    labels
        As a format reads them.
    least
        Bits that a net learnt such pictures with; where there are more, it is these.
    """
    own = depth_of(labels.root, map(str, labels.frames["image"]))
    if own is None:
        return labels
    depth = max(own, least or own)
    other = f", {least} in those learnt from" if least and least != own else ""
    note = f"Pictures of 16 bits hold values of {own}{other}; {depth} are taken of all."
    return replace(labels, depth=depth, notes=(*labels.notes, note))


_WHY = {
    "picture": "their picture is missing, broken, or beyond the end of its film",
    "twice": "they stand twice, the first counts",
    "blank": "nothing is labelled in them",
}


def _leave_out(
    labels: Labels, keep: np.ndarray, bad: np.ndarray, notes: list[str], why: str
) -> None:
    bad = bad & keep
    if bad.any():
        notes.append(
            f"{bad.sum()} of {len(labels)} frames left out, {_WHY[why]}: "
            f"{listed(name_of(labels, int(row)) for row in np.flatnonzero(bad))}."
        )
    keep &= ~bad


def name_of(labels: Labels, row: int) -> str:
    """Return what a person calls a row: its picture, or its video and frame."""
    record = labels.frames.iloc[row]
    return str(record["image"]) or f"{record['video']}, frame {record['frame']}"


def _repeated(labels: Labels) -> np.ndarray:
    shown = labels.frames["image"] != ""
    names = labels.frames["image"].where(shown, labels.frames["video"])
    frames = labels.frames["frame"].where(~shown, 0)
    table = labels.frames.assign(image=names, frame=frames)
    return np.asarray(table.duplicated(["image", "frame"]))


def _inside(labels: Labels, sizes: list[tuple[int, int] | None], notes: list[str]) -> np.ndarray:
    """Return the points without those outside their picture, and infinite ones."""
    points = np.where(np.isfinite(labels.points), labels.points, np.nan)
    far = np.asarray([size[::-1] if size else (np.inf, np.inf) for size in sizes], float)
    far = far[:, None, None] - 0.5 + _EDGE
    out = np.asarray(((points < -0.5 - _EDGE) | (points > far)).any(-1))
    if out.any():
        said = []
        for row, who, point in np.argwhere(out)[:5]:
            x, y = points[row, who, point]
            name = labels.skeleton.keypoints[point]
            height, width = sizes[row] or (0, 0)
            said.append(f"{name_of(labels, row)} {name} ({x:.5g}, {y:.5g}) of {width} x {height}")
        more = f"; {out.sum() - 5} more" if out.sum() > 5 else ""
        notes.append(f"{out.sum()} points outside their picture left out: {'; '.join(said)}{more}.")
    return np.where(out[..., None], np.nan, points)
