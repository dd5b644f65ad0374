"""What a run learns from: the labels as they stood then; what nobody has looked at is left open."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.files import read_json, write_json
from neuroloom.io.stills import PICTURES

Planes = set[tuple[int, int]]
UNDO = "undo"


def planes_touched(log: Iterable[dict[str, Any]]) -> dict[str, Planes]:
    """Return the planes of each image that somebody corrected, from the log: (axis, index).

    A plane counts where more strokes were made than undone.

    Examples
    --------
    >>> line = {"image": "brain", "axis": 0, "index": 3, "tool": "brush"}
    >>> planes_touched([line, {"label": "left"}])
    {'brain': {(0, 3)}}
    >>> planes_touched([line, line | {"tool": "undo"}])
    {}
    """
    strokes: Counter[tuple[str, int, int]] = Counter()
    for line in log:
        if "axis" in line and "index" in line:
            place = (str(line["image"]), int(line["axis"]), int(line["index"]))
            strokes[place] += -1 if line.get("tool") == UNDO else 1
    found: dict[str, Planes] = {}
    for (image, axis, index), count in strokes.items():
        if count > 0:
            found.setdefault(image, set()).add((axis, index))
    return found


def known_voxels(shape: tuple[int, ...], planes: Planes) -> np.ndarray:
    """Return where somebody has looked: in all voxels of the planes.

    Examples
    --------
    >>> known_voxels((3, 2, 2), {(0, 1)}).sum()
    np.int64(4)
    """
    known = np.zeros(shape, bool)
    for axis, index in planes:
        np.moveaxis(known, axis, 0)[index] = True
    return known


def copy_project(folder: Path, project: Path, before: Path | None = None) -> Path:
    """Copy a project as it stands and return the folder, which is made.

    Pictures are linked, as is what stands unchanged in the lesson `before`: nobody writes either.
    """
    folder.mkdir()
    for file in sorted(project.rglob("*")):
        copy = folder / file.relative_to(project)
        if file.is_dir():
            copy.mkdir()
        elif _is_picture(file):
            _link(file, copy)
        elif before and _is_same(file, old := before / file.relative_to(project)):
            _link(old, copy)
        else:
            shutil.copyfile(file, copy)
    return folder


def _is_same(file: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(file, other, shallow=False)


def _is_picture(file: Path) -> bool:
    """Tell a picture, which nobody changes, from a label that is painted on."""
    return file.parent.name != "labelsTr" and file.name.lower().endswith((*PICTURES, ".nii.gz"))


def write_lesson(
    folder: Path, project: Path, masks: dict[str, tuple[np.ndarray, np.ndarray]], names: list[str]
) -> Path:
    """Write a data set of nnU-Net's layout whose unseen voxels carry the class `ignore`.

    Parameters
    ----------
    folder
        Made, and returned.
    project
        The data set that is painted on; its images are linked, not copied.
    masks
        Of each image with something painted: its mask, and where somebody has looked.
    names
        Of the structures, in the order of their numbers.
    """
    (folder / "labelsTr").mkdir(parents=True)
    (folder / "imagesTr").mkdir()
    for image in sorted((project / "imagesTr").iterdir()):
        if image.name.rpartition("_")[0] in masks:
            _link(image, folder / "imagesTr" / image.name)
    labels = {"background": 0} | {name: k for k, name in enumerate(names, start=1)}
    for stem, (mask, known) in masks.items():
        _write(folder, project, stem, np.where(known, mask, len(labels)).astype(np.uint8))
    facts = {
        "channel_names": read_json(project / "dataset.json")["channel_names"],
        "labels": labels | {"ignore": len(labels)},
        "numTraining": len(masks),
        "file_ending": ".nii.gz",
    }
    write_json(folder / "dataset.json", facts)
    return folder


def _link(image: Path, copy: Path) -> None:
    try:
        os.link(image, copy)
    except OSError:  # another file system, or one without links
        shutil.copyfile(image, copy)


def _write(folder: Path, project: Path, stem: str, label: np.ndarray) -> None:
    from neuroloom.io.images import read_image, write_image

    painted = project / "labelsTr" / f"{stem}.nii.gz"
    write_image(folder / "labelsTr" / painted.name, label, like=read_image(painted))
