"""DeepPoseKit annotation sets: pictures and points in one HDF5 file, names in skeleton.csv by it.

`annotations` are pixels (x, y) of `images`, as stored. `annotated` tells point by point what was
checked; a set in which nobody ticked anything is taken whole, and the notes say so. Where points
begin that were not read as labels is written back as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.sheets import SINGLE
from neuroloom.io.pandas_h5 import open_h5

_PARTS = {"images", "annotations", "skeleton"}


def claims(path: Path) -> bool:
    """Say whether `path` is an annotation set, or a folder with one."""
    return any(_is_set(file) for file in _candidates(path))


def read(path: Path) -> Labels:
    """Read an annotation set."""
    import pandas as pd

    sets = [file for file in _candidates(path) if _is_set(file)]
    if len(sets) > 1:
        raise DataError(f"{path}: has {len(sets)} annotation sets ({listed(sets)}); name one.")
    file = sets[0]
    notes: list[str] = []
    with open_h5(file) as opened:
        try:
            points = np.asarray(opened["annotations"][()], float)
            tree = np.asarray(opened["skeleton"][()], int)
            ticked = _ticked(opened, points)
            shape = opened["images"].shape
            stored = (
                [_word(name) for name in opened["skeleton_names"]]
                if "skeleton_names" in opened
                else []
            )
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{file}: the annotation set is damaged: {error}.") from error
    if points.ndim != 3 or points.shape[-1] != 2 or len(points) != shape[0]:
        raise DataError(
            f"{file}: expected annotations (frame, point, 2) for {shape[0]} images, got "
            f"{points.shape}."
        )
    given, points = points, _only_ticked(file, points, ticked, notes)
    begin = np.where(np.isfinite(points), np.nan, given)
    skeleton = _skeleton(file, tree, stored, notes)
    if len(skeleton.keypoints) != points.shape[1]:
        raise DataError(
            f"{file}: has {points.shape[1]} points, its skeleton has {len(skeleton.keypoints)}."
        )
    order = range(len(points))
    frames = pd.DataFrame(
        {
            "video": file.stem,
            "frame": list(order),
            "image": [f"{file.name}::images::{row}" for row in order],
        }
    )
    beside = file.parent / "skeleton.csv"
    extra = {
        "skeleton": tree,
        "file": file.name,
        "ticked": bool(ticked.any()),
        "begin": dict(zip(skeleton.keypoints, np.swapaxes(begin, 0, 1), strict=True)),
        "text": beside.read_bytes().decode("utf-8", "replace") if beside.is_file() else "",
    }
    return Labels(
        skeleton,
        frames,
        points[:, None],
        (SINGLE,),
        file.parent,
        "deepposekit",
        tuple(notes),
        extra,
    )


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write an annotation set and its skeleton.csv; the pictures are part of it."""
    if len(labels.individuals) > 1:
        raise DataError(f"{path}: a DeepPoseKit set holds one animal; write 'dlc' or 'slp'.")
    file = path if path.suffix.lower() in (".h5", ".hdf5") else path / _name(labels)
    done = write_atomic(file, lambda partial: _fill(partial, labels))
    text = labels.kept("deepposekit", "text", "") or _skeleton_text(labels.skeleton)
    beside = file.parent / "skeleton.csv"
    return [done, write_atomic(beside, lambda partial: partial.write_bytes(text.encode()))]


def _name(labels: Labels) -> str:
    return str(labels.kept("deepposekit", "file", "annotation_set.h5"))


def _candidates(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted([*path.glob("*.h5"), *path.glob("*.hdf5")])
    return [path] if path.suffix.lower() in (".h5", ".hdf5") else []


def _is_set(file: Path) -> bool:
    try:
        with open_h5(file) as opened:
            return set(opened) >= _PARTS
    except DataError:
        return False


def _word(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _ticked(opened: Any, points: np.ndarray) -> np.ndarray:
    if "annotated" not in opened:
        return np.zeros(points.shape[:2], bool)
    return np.asarray(opened["annotated"][()], bool).reshape(points.shape[:2])


def _only_ticked(
    file: Path, points: np.ndarray, ticked: np.ndarray, notes: list[str]
) -> np.ndarray:
    """Leave out what nobody checked, if anybody checked anything."""
    if not ticked.any():
        notes.append(f"{file.name}: no point is marked as annotated; all of them are used.")
        return points
    if not ticked.all():
        notes.append(
            f"{file.name}: {np.sum(~ticked)} points are not marked as annotated: left out."
        )
    return np.where(ticked[..., None], points, np.nan)


def _skeleton(file: Path, tree: np.ndarray, stored: list[str], notes: list[str]) -> Skeleton:
    """Return names, bones and sides: from skeleton.csv, else from the set itself."""
    table = _table(file, len(tree))
    if table is None:
        names = tuple(stored) or tuple(f"keypoint_{i}" for i in range(len(tree)))
        parents, swaps = tree[:, 0].tolist(), tree[:, 1].tolist()
    else:
        names = tuple(table["name"])
        parents = [names.index(name) if name in names else -1 for name in table["parent"]]
        swaps = [names.index(name) if name in names else -1 for name in table["swap"]]
    edges = tuple((parent, child) for child, parent in enumerate(parents) if parent >= 0)
    return Skeleton(names, edges, mutual_pairs(names, swaps, notes) or guess_swaps(names))


def mutual_pairs(
    names: tuple[str, ...], swaps: list[int], notes: list[str]
) -> tuple[tuple[int, int], ...]:
    """Return left-right pairs; where the two do not name each other, the notes say what was taken.

    Examples
    --------
    >>> notes = []
    >>> mutual_pairs(("nose", "l1", "l2", "r1", "r2"), [-1, 3, 4, 1, 1], notes)
    ((1, 3), (2, 4))
    >>> notes
    ['l2 and r2 count as left and right of each other, though r2 names l1.']
    """
    pairs = {(min(a, b), max(a, b)) for a, b in enumerate(swaps) if b >= 0 and swaps[b] == a != b}
    paired = {index for pair in pairs for index in pair}
    for a, b in enumerate(swaps):
        if b >= 0 and a != b and not {a, b} & paired:
            pairs.add((min(a, b), max(a, b)))
            paired |= {a, b}
            other = names[swaps[b]] if swaps[b] >= 0 else "nothing"
            notes.append(
                f"{names[a]} and {names[b]} count as left and right of each other, though "
                f"{names[b]} names {other}."
            )
    return tuple(sorted(pairs))


def _table(file: Path, count: int) -> Any:
    """Return skeleton.csv beside the set, or another table of that form with as many rows."""
    import pandas as pd

    for candidate in sorted(file.parent.glob("*.csv"), key=lambda one: one.name != "skeleton.csv"):
        try:
            found = pd.read_csv(candidate, dtype=str, keep_default_na=False, skipinitialspace=True)
        except (OSError, ValueError):
            continue
        if {"name", "parent", "swap"} <= set(found.columns) and len(found) == count:
            return found.apply(lambda column: column.str.strip())
    return None


def _fill(file: Path, labels: Labels) -> None:
    """Write the set; without pictures it would be none, so they are always there."""
    import h5py

    points = labels.points[:, 0]
    checked = np.isfinite(points).all(-1)
    size = labels.image(0).shape if len(labels) else (1, 1, 1)
    with h5py.File(file, "w") as made:
        stack = made.create_dataset(
            "images", (len(labels), *size), np.uint8, chunks=(1, *size), compression="gzip"
        )
        for row in range(len(labels)):
            pixels = labels.image(row)
            if pixels.shape != size:
                raise DataError(
                    f"{file.name}: a DeepPoseKit set has pictures of one size; row 0 is {size}, "
                    f"row {row} is {pixels.shape}."
                )
            stack[row] = pixels
        made["annotations"] = np.where(checked[..., None], points, _begin(labels))
        made["annotated"] = checked & bool(labels.kept("deepposekit", "ticked", True))
        made["skeleton"] = labels.kept("deepposekit", "skeleton", _tree(labels.skeleton)).astype(
            np.int32
        )
        made["skeleton_names"] = np.asarray(labels.skeleton.keypoints, dtype="S64")


def _begin(labels: Labels) -> np.ndarray:
    """Return where points begin that are no labels (frame, point, 2), NaN where nothing says."""
    begin = np.full(labels.points[:, 0].shape, np.nan)
    known = labels.kept("deepposekit", "begin", {})
    rows = labels.frames["frame"].to_numpy(int)
    for place, name in enumerate(labels.skeleton.keypoints):
        if name in known:
            begin[:, place] = known[name][rows]
    return begin


def _tree(skeleton: Skeleton) -> np.ndarray:
    """Return (point, 2): index of the parent and of the other side, -1 for none."""
    tree = np.full((len(skeleton.keypoints), 2), -1)
    for parent, child in skeleton.edges:
        if tree[child, 0] < 0:
            tree[child, 0] = parent
    for left, right in skeleton.swaps:
        tree[left, 1], tree[right, 1] = right, left
    return tree


def _skeleton_text(skeleton: Skeleton) -> str:
    import pandas as pd

    names = (*skeleton.keypoints, "")  # the last stands for -1
    parents, swaps = _tree(skeleton).T
    columns = {"parent": [names[i] for i in parents], "swap": [names[i] for i in swaps]}
    table = pd.DataFrame({"name": skeleton.keypoints, **columns})
    return str(table.to_csv(index=False, lineterminator="\n"))
