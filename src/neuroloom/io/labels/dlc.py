"""DeepLabCut projects: config.yaml and labeled-data/<video>/CollectedData_<scorer>.csv, .h5.

One animal or several, with or without points that belong to none of them ("single"). Paths and
videos that config.yaml names may be gone. Where a folder has both files the .h5 counts, as it does
for DeepLabCut; a broken .h5 beside a sound .csv is noted. Numbers are pixels as stored: DeepLabCut
takes (0, 0) for the top-left pixel, nothing is shifted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_text
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.sheets import copy_picture, join_tables
from neuroloom.io.labels.table import PointTable, read_table, write_table

_DRAWN = "_labeled"  # ends the folders of DeepLabCut's drawings of its labels
# What a project of DeepLabCut 3 begins with; its functions have no defaults for these.
_NEW: dict[str, Any] = {
    "start": 0, "stop": 1, "numframes2pick": 20, "skeleton_color": "black", "pcutoff": 0.6,
    "dotsize": 12, "alphavalue": 0.7, "colormap": "rainbow", "TrainingFraction": [0.95],
    "iteration": 0, "default_net_type": "resnet_50", "default_augmenter": "default",
    "snapshotindex": -1, "detector_snapshotindex": -1, "batch_size": 8, "detector_batch_size": 1,
    "cropping": False, "x1": 0, "x2": 640, "y1": 277, "y2": 624, "corner2move2": [50, 50],
    "move2corner": True,
}  # fmt: skip
_NEW_OF_SEVERAL = {
    "default_net_type": "dlcrnet_ms5",
    "default_augmenter": "multi-animal-imgaug",
    "default_track_method": "ellipse",
}
_SINGLE = "single"  # DeepLabCut's name of the animal that unique points belong to


def claims(path: Path) -> bool:
    """Say whether `path` is a project's folder or its config.yaml."""
    root = path.parent if path.name == "config.yaml" else path
    return root.is_dir() and bool(list(_table_files(root)) or _is_config(root / "config.yaml"))


def read(path: Path) -> Labels:
    """Read all labelled frames of a project."""
    root = path.parent if path.name == "config.yaml" else path
    config = _config(root)
    notes: list[str] = []
    tables: dict[str, PointTable] = {}
    for folder, files in _by_folder(root).items():
        stem, table = _chosen(root, folder, files, str(config.get("scorer", "")), notes)
        tables[stem] = table
    if not tables:
        raise DataError(
            f"{root}: no labels; expected labeled-data/<video>/CollectedData_<scorer>.csv or .h5."
        )
    frames, points, individuals, keypoints, more = join_tables(
        root, tables, _named_points(config), _place
    )
    skeleton = Skeleton(keypoints, _edges(config, keypoints, notes), guess_swaps(keypoints))
    any_table = next(iter(tables.values()))
    extra = {
        "config": _config_text(root),
        "identity": bool(config.get("identity")),
        "scorer": any_table.scorer,
        "index_cells": {name: table.index_cells for name, table in tables.items()},
        "multi": bool(any_table.individuals),
        "unique": _unique(tables),
    }
    return Labels(skeleton, frames, points, individuals, root, "dlc", (*notes, *more), extra)


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write a project: config.yaml, a table a video as .csv and .h5, and the pictures."""
    written = [write_text(path / "config.yaml", _new_config(labels))]
    stems = _stems(labels)
    for stem in dict.fromkeys(stems):
        rows = [row for row, other in enumerate(stems) if other == stem]
        names = [f"{PurePosixPath(stem).parent}/{_file_name(labels, row)}" for row in rows]
        table = _to_table(labels, rows, names, stem)
        written += [write_table(path / f"{stem}{end}", table) for end in (".csv", ".h5")]
        if images:
            known = [(r, n) for r, n in zip(rows, names, strict=True) if labels.frames["image"][r]]
            written += [copy_picture(labels, row, path / name) for row, name in known]
    return written


def _table_files(root: Path) -> Iterator[Path]:
    for suffix in (".csv", ".h5"):
        for file in sorted((root / "labeled-data").glob(f"*/CollectedData_*{suffix}")):
            if not file.parent.name.endswith(_DRAWN):
                yield file


def _by_folder(root: Path) -> dict[str, list[Path]]:
    folders: dict[str, list[Path]] = {}
    for file in sorted(_table_files(root)):
        folders.setdefault(file.parent.name, []).append(file)
    return folders


def _chosen(
    root: Path, folder: str, files: list[Path], scorer: str, notes: list[str]
) -> tuple[str, PointTable]:
    """Return (path without suffix, table) of a folder: the .h5 if it is sound, else the .csv."""
    stems = sorted({file.stem for file in files})
    stem = f"CollectedData_{scorer}" if len(stems) > 1 else stems[0]
    if stem not in stems:
        raise DataError(
            f"{root}/labeled-data/{folder}: has tables of several people ({listed(stems)}), and "
            f"none is of config.yaml's scorer '{scorer}'; leave one."
        )
    found = {file.suffix: file for file in files if file.stem == stem}
    name = f"labeled-data/{folder}/{stem}"
    if len(found) == 1:
        return name, read_table(next(iter(found.values())))
    try:
        table = read_table(found[".h5"])
    except DataError as error:
        notes.append(f"{name}.h5 cannot be read, the .csv beside it was: {error}")
        return name, read_table(found[".csv"])
    if _differ(table, found[".csv"]):
        notes.append(f"{name}: .csv and .h5 differ; the .h5 counts, as it does for DeepLabCut.")
    return name, table


def _differ(table: PointTable, other: Path) -> bool:
    try:
        text = read_table(other)
    except DataError:
        return True
    same = text.rows == table.rows and text.values.shape == table.values.shape
    return not (same and np.allclose(text.values, table.values, atol=1e-6, equal_nan=True))


def _place(path: str, row: str) -> tuple[str, str]:
    """Name video and picture, which lies beside its table wherever the project was before."""
    folder = PurePosixPath(path).parent
    return folder.name, f"{folder}/{PurePosixPath(row).name}"


def _unique(tables: dict[str, PointTable]) -> tuple[str, ...]:
    """Return the points that belong to no animal."""
    every: dict[str, None] = {}
    for table in tables.values():
        if _SINGLE in table.individuals:
            own = table.present[table.individuals.index(_SINGLE)]
            every |= dict.fromkeys(np.asarray(table.keypoints)[own].tolist())
    return tuple(every)


def _is_config(file: Path) -> bool:
    if not file.is_file():
        return False
    text = _config_text(file.parent)
    return "multianimalproject" in text or ("bodyparts:" in text and "video_sets:" in text)


def _config_text(root: Path) -> str:
    file = root / "config.yaml"
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _config(root: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(_config_text(root)) or {}
    except yaml.YAMLError as error:
        raise DataError(f"{root / 'config.yaml'}: is no sound YAML: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"{root / 'config.yaml'}: expected settings by name, got a {type(found)}.")
    return found


def _named_points(config: dict[str, Any]) -> list[str]:
    if config.get("multianimalproject"):
        return [
            str(name)
            for part in ("multianimalbodyparts", "uniquebodyparts")
            for name in config.get(part) or []
        ]
    named = config.get("bodyparts") or []
    return [] if isinstance(named, str) else [str(name) for name in named]


def _edges(
    config: dict[str, Any], keypoints: tuple[str, ...], notes: list[str]
) -> tuple[tuple[int, int], ...]:
    edges: list[tuple[str, str]] = []
    unknown: list[tuple[str, str]] = []
    for bone in config.get("skeleton") or []:
        # A bone may be a chain of more than two points.
        chain = [str(name) for name in bone] if isinstance(bone, list) else []
        for start, end in pairwise(chain):
            known = start in keypoints and end in keypoints
            (edges if known else unknown).append((start, end))
    if unknown:
        notes.append(
            f"config.yaml: the skeleton names points that nobody labels: {listed(unknown)}."
        )
    return tuple((keypoints.index(start), keypoints.index(end)) for start, end in edges)


def _stems(labels: Labels) -> list[str]:
    """Return for each row the path of its table without suffix."""
    scorer = labels.kept("dlc", "scorer", "neuroloom")
    if labels.source == "dlc":
        return [str(stem) for stem in labels.frames["table"]]
    folders = _folders(labels)
    return [
        f"labeled-data/{folders[str(video)]}/CollectedData_{scorer}"
        for video in labels.frames["video"]
    ]


def _folders(labels: Labels) -> dict[str, str]:
    """Return the folder of each video: right below labeled-data/, where DeepLabCut looks."""
    folders: dict[str, str] = {}
    for video in map(str, labels.frames["video"].unique()):
        name = re.sub(r"[/\\]", "_", video) or "video"
        while name in folders.values() or name.endswith(_DRAWN):
            name += "_"
        folders[video] = name
    return folders


def _file_name(labels: Labels, row: int) -> str:
    """Return the name of a picture in the project: its own, or one after its frame."""
    address, number = str(labels.frames["image"].iloc[row]), int(labels.frames["frame"].iloc[row])
    return (
        PurePosixPath(address).name if address and "::" not in address else f"img{number:04d}.png"
    )


def _to_table(labels: Labels, rows: list[int], names: list[str], stem: str) -> PointTable:
    count = len(labels.skeleton.keypoints)
    multi = labels.kept("dlc", "multi", len(labels.individuals) > 1)
    points = labels.points[rows]
    return PointTable(
        rows=tuple(names),
        values=np.concatenate([points, np.full((*points.shape[:3], 1), np.nan)], axis=-1),
        keypoints=labels.skeleton.keypoints,
        individuals=labels.individuals if multi else (),
        scorer=labels.kept("dlc", "scorer", "neuroloom"),
        present=_present(labels, count),
        index_cells=labels.kept("dlc", "index_cells", {}).get(stem, 3),
    )


def _present(labels: Labels, count: int) -> np.ndarray:
    """Return (individual, keypoint): unique points belong to "single" and to nobody else."""
    present = np.ones((len(labels.individuals), count), bool)
    unique = set(labels.kept("dlc", "unique", ()))
    if unique:
        own = np.asarray([name in unique for name in labels.skeleton.keypoints])
        for row, who in enumerate(labels.individuals):
            present[row] = own if who == _SINGLE else ~own
    return present


def _new_config(labels: Labels) -> str:
    """Return the project's own config.yaml, or a new one that DeepLabCut opens."""
    import yaml

    if own := labels.kept("dlc", "config", ""):
        return str(own)
    names, skeleton = list(labels.skeleton.keypoints), labels.skeleton
    multi = labels.kept("dlc", "multi", len(labels.individuals) > 1)
    videos = {folder: {"crop": "0, 0, 0, 0"} for folder in _folders(labels).values()}
    settings: dict[str, Any] = {
        "Task": labels.root.name or "project",
        "scorer": labels.kept("dlc", "scorer", "neuroloom"),
        "date": "",
        "multianimalproject": bool(multi),
        "identity": False,
        "project_path": "",
        "engine": "pytorch",
        "video_sets": videos,
        "skeleton": [[names[a], names[b]] for a, b in skeleton.edges],
    }
    if multi:
        who = {"individuals": list(labels.individuals), "multianimalbodyparts": names}
        settings |= who | {"uniquebodyparts": [], "bodyparts": "MULTI!"}
    else:
        settings["bodyparts"] = names
    settings |= _NEW | (_NEW_OF_SEVERAL if multi else {})
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
