"""Lightning Pose projects: CollectedData.csv, one or one a view, beside the folder of pictures.

The table is DeepLabCut's; its rows name pictures from the project's folder. Numbers are pixels as
stored, nothing is shifted. Pictures without a row are not labelled (context frames, as a rule).
CollectedData_new.csv beside CollectedData.csv holds frames of other recordings, which Lightning
Pose tests on and never learns from: of a folder it is not read.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps
from neuroloom.io.labels.sheets import copy_picture, join_tables
from neuroloom.io.labels.table import PointTable, is_table, read_table, write_table


def claims(path: Path) -> bool:
    """Say whether `path` is a folder with CollectedData*.csv in it, or such a table."""
    if path.is_dir():
        return bool(_files(path))
    return path.suffix.lower() == ".csv" and (
        path.stem.startswith("CollectedData") or is_table(path)
    )


def read(path: Path) -> Labels:
    """Read the labelled frames of all tables of a project but those that are for tests."""
    root = path if path.is_dir() else path.parent
    files = _files(root) if path.is_dir() else [path]
    kept_away = [file for file in files if file.stem.endswith("_new") and _twin(file) in files]
    files = [file for file in files if file not in kept_away]
    tables = {file.name: read_table(file) for file in files}

    names: dict[str, str] = {}

    def place(table: str, row: str) -> tuple[str, str]:
        folder, found = PurePosixPath(row).parent.name, _found(root, row)
        names[found] = row
        return (folder if folder not in ("", "labeled-data") else root.name), found

    frames, points, individuals, keypoints, notes = join_tables(root, tables, (), place)
    notes += [
        f"{file.name}: left out, as frames for tests lie there; {_twin(file).name} is learnt from. "
        "Give its own name to evaluate on it."
        for file in kept_away
    ]
    if len(individuals) > 1:
        raise DataError(f"{path}: Lightning Pose has one animal a frame, found {len(individuals)}.")
    scorers = {name: table.scorer for name, table in tables.items()}
    extra = {"scorer": scorers, "names": names}
    skeleton = Skeleton(keypoints, (), guess_swaps(keypoints))
    return Labels(
        skeleton, frames, points, individuals, root, "lightning-pose", tuple(notes), extra
    )


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write the tables and, if asked for, the pictures."""
    if len(labels.individuals) > 1:
        raise DataError(
            f"{path}: a Lightning Pose table holds one animal, these labels have "
            f"{len(labels.individuals)}; write 'dlc' or 'slp'."
        )
    own = labels.source == "lightning-pose"
    stems = labels.frames["table"].tolist() if own else ["CollectedData.csv"] * len(labels)
    written = []
    for name in dict.fromkeys(stems):
        rows = [row for row, other in enumerate(stems) if other == name]
        places = [_picture(labels, row) for row in rows]
        written.append(write_table(path / name, _to_table(labels, rows, places, name)))
        if images:
            known = [(r, p) for r, p in zip(rows, places, strict=True) if labels.frames["image"][r]]
            written += [copy_picture(labels, row, path / place) for row, place in known]
    return written


def _found(root: Path, row: str) -> str:
    """Return where a picture is: as the row names it, beside the table, or two folders up.

    The last two are where it is when one folder of a DeepLabCut project is opened alone.
    """
    places = (row, PurePosixPath(row).name, f"../../{row}")
    return next((place for place in places if (root / place).is_file()), row)


def _files(root: Path) -> list[Path]:
    return sorted(file for file in root.glob("CollectedData*.csv") if file.is_file())


def _twin(file: Path) -> Path:
    """Return the table that one for tests, with _new behind its name, lies beside."""
    return file.with_name(f"{file.stem.removesuffix('_new')}.csv")


def _picture(labels: Labels, row: int) -> str:
    """Return where a picture stands in the project."""
    address = str(labels.frames["image"].iloc[row])
    address = labels.kept("lightning-pose", "names", {}).get(address, address)
    if address and "::" not in address and ".." not in PurePosixPath(address).parts:
        return address
    video, number = labels.frames["video"].iloc[row], int(labels.frames["frame"].iloc[row])
    return f"labeled-data/{video or 'video'}/img{number:08d}.png"


def _to_table(labels: Labels, rows: list[int], places: list[str], name: str) -> PointTable:
    points = labels.points[rows]
    scorers = labels.kept("lightning-pose", "scorer", {})
    return PointTable(
        rows=tuple(places),
        values=np.concatenate([points, np.full((*points.shape[:3], 1), np.nan)], axis=-1),
        keypoints=labels.skeleton.keypoints,
        individuals=(),
        scorer=scorers.get(name, "neuroloom"),
        present=np.ones((1, points.shape[2]), bool),
    )
