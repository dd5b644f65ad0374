"""Many tables of labels as one: the same points in each, one row a picture.

What DeepLabCut (a table a video) and Lightning Pose (a table a project, or a view) have in common.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.labels.model import Labels, listed
from neuroloom.io.labels.table import PointTable

if TYPE_CHECKING:
    import pandas as pd

SINGLE = "individual_0"


def join_tables(
    root: Path,
    tables: Mapping[str, PointTable],
    keypoints: Sequence[str],
    place: Callable[[str, str], tuple[str, str]],
) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...], tuple[str, ...], list[str]]:
    """Return frames, points, individuals, keypoints and notes of several tables.

    Parameters
    ----------
    root
        Folder of the project.
    tables
        Path under `root` -> table.
    keypoints
        Names that the project's settings give, in their order; none if they give none.
    place
        From (path of the table, name of the row) to (name of the video, path of the picture).

    Raises
    ------
    DataError
        If a point is called otherwise in one of them.
    """
    import pandas as pd

    notes: list[str] = []
    names = _same_names(root, tables, keypoints, notes)
    individuals = tuple(
        dict.fromkeys(who for t in tables.values() for who in t.individuals or (SINGLE,))
    )
    records, parts = [], []
    for path, table in tables.items():
        for order, row in enumerate(table.rows):
            video, image = place(path, row)
            number = frame_number(image, order)
            records.append({"video": video, "frame": number, "image": image, "table": path})
        at = np.ix_(
            range(len(table.rows)),
            [individuals.index(who) for who in table.individuals or (SINGLE,)],
            [names.index(name) for name in table.keypoints],
        )
        points = np.full((len(table.rows), len(individuals), len(names), 2), np.nan)
        points[at] = table.values[..., :2]
        parts.append(points)
    return pd.DataFrame(records), np.concatenate(parts), individuals, tuple(names), notes


def frame_number(image: str, order: int) -> int:
    """Return the number that ends the name of a picture, or its order.

    Examples
    --------
    >>> frame_number("labeled-data/m4s1/img0042.png", 7), frame_number("a/left.png", 7)
    (42, 7)
    """
    found = re.search(r"(\d+)$", Path(image).stem)
    return int(found.group(1)) if found else order


def copy_picture(labels: Labels, row: int, target: Path) -> Path:
    """Write the picture of a row to `target`: the file itself where there is one, else a PNG."""
    from PIL import Image

    address = str(labels.frames["image"].iloc[row])
    source = labels.root / address
    target.parent.mkdir(parents=True, exist_ok=True)
    if "::" not in address and source.suffix.lower() == target.suffix.lower():
        if not (target.exists() and target.samefile(source)):
            shutil.copyfile(source, target)
        return target
    pixels = labels.image(row)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target)
    return target


def _same_names(
    root: Path, tables: Mapping[str, PointTable], keypoints: Sequence[str], notes: list[str]
) -> list[str]:
    """Return the names of points; a table that lacks some is noted, one that renames is refused."""
    first = next(iter(tables))
    names = list(keypoints) or list(tables[first].keypoints)
    said = "config.yaml" if keypoints else first
    for path, table in tables.items():
        new = [name for name in table.keypoints if name not in names]
        gone = [name for name in names if name not in table.keypoints]
        if new and gone:
            raise DataError(
                f"{root / path}: has the points {listed(new)} that {said} does not know, and lacks "
                f"{listed(gone)}; was one renamed?{nearest(new[0], gone)} Give it the same name in "
                "all tables."
            )
        if new:
            notes.append(f"{path}: has the points {listed(new)} that {said} does not name; kept.")
            names += new
        if gone:
            notes.append(f"{path}: lacks the points {listed(gone)}; they count as not labelled.")
    return names
