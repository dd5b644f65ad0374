"""COCO keypoints (.json): one annotation an animal, x, y and how visible for each point.

`v` 0 is not labelled, 1 labelled though hidden, 2 seen; which were hidden is written back. Pixels
are taken as stored, nothing is shifted. Boxes are those of the points where the file had none.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_json
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.pictures import picture_size
from neuroloom.io.labels.sheets import copy_picture, frame_number

_PARTS = ("images", "annotations", "categories")
_NEAR = (".", "images", "data", "..", "../images", "../data", "train", "../train")


def claims(path: Path) -> bool:
    """Say whether `path` is such a file, or a folder with just one."""
    return len(_files(path)) == 1


def read(path: Path) -> Labels:
    """Read all annotated pictures."""
    import pandas as pd

    file = _files(path)[0]
    held = _load(file)
    skeleton, columns, notes = _skeleton(held, file)
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for number, one in enumerate(held["annotations"]):
        if one.get("keypoints"):
            _check_annotation(file, number, one, columns)
            by_image.setdefault(one["image_id"], []).append(one)
    pictures = [one for one in held["images"] if one.get("id") in by_image]
    if not pictures:
        raise DataError(f"{file}: no picture has an annotation with keypoints.")
    bare = len(held["images"]) - len(pictures)
    if bare:
        notes.append(f"{file.name}: {bare} pictures have no annotation and were left out.")
    most = max(len(found) for found in by_image.values())
    individuals = tuple(f"individual_{number}" for number in range(most))
    points = np.full((len(pictures), most, len(skeleton.keypoints), 2), np.nan)
    records, hidden = [], set()
    for row, picture in enumerate(pictures):
        records.append(_record(picture, file, row))
        for slot, one in enumerate(by_image[picture["id"]]):
            values = np.asarray(one["keypoints"], float).reshape(-1, 3)
            at = columns[one.get("category_id")]
            points[row, slot, at] = np.where(values[:, 2:] > 0, values[:, :2], np.nan)
            name = str(picture["file_name"])
            hidden |= {(name, slot, at[i]) for i in np.flatnonzero(values[:, 2] == 1)}
    extra = {
        "file": file.name,
        "hidden": frozenset(hidden),
        "names": {
            record["image"]: str(p["file_name"])
            for record, p in zip(records, pictures, strict=True)
        },
        "category": next(one["name"] for one in held["categories"] if one.get("keypoints")),
    }
    frames = pd.DataFrame(records)
    return Labels(skeleton, frames, points, individuals, file.parent, "coco", tuple(notes), extra)


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write the file, and the pictures beside it."""
    file = path if path.suffix == ".json" else path / str(labels.kept("coco", "file", "coco.json"))
    names = [_name(labels, row) for row in range(len(labels))]
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row, name in enumerate(names):
        size = picture_size(labels.root, str(labels.frames["image"].iloc[row])) or (0, 0)
        about = {"id": row + 1, "file_name": name, "height": size[0], "width": size[1]}
        pictures.append(about)
        for slot in range(len(labels.individuals)):
            if np.isfinite(labels.points[row, slot]).any():
                number = len(annotations) + 1
                annotations.append({"id": number} | _annotation(labels, row, slot, name))
    skeleton = labels.skeleton
    category = {
        "id": 1,
        "name": labels.kept("coco", "category", "animal"),
        "supercategory": "animal",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[start + 1, end + 1] for start, end in skeleton.edges],
    }
    held = {"images": pictures, "annotations": annotations, "categories": [category]}
    written = [write_json(file, held)]
    if images:
        known = [(row, name) for row, name in enumerate(names) if labels.frames["image"].iloc[row]]
        written += [copy_picture(labels, row, file.parent / name) for row, name in known]
    return written


def _files(path: Path) -> list[Path]:
    candidates = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return [file for file in candidates if file.suffix.lower() == ".json" and _is_coco(file)]


def _is_coco(file: Path) -> bool:
    try:
        held = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    known = isinstance(held, dict) and all(isinstance(held.get(part), list) for part in _PARTS)
    return known and any(one.get("keypoints") for one in held["categories"])


def _load(file: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    return held


def _skeleton(held: dict[str, Any], file: Path) -> tuple[Skeleton, dict[Any, list[int]], list[str]]:
    """Return the points of all categories, and where those of each stand among them."""
    named = [one for one in held["categories"] if one.get("keypoints")]
    names = list(dict.fromkeys(str(point) for one in named for point in one["keypoints"]))
    columns = {one["id"]: [names.index(str(point)) for point in one["keypoints"]] for one in named}
    edges: dict[tuple[int, int], None] = {}
    for one in named:
        at = columns[one["id"]]
        for start, end in one.get("skeleton") or []:
            if not (1 <= start <= len(at) and 1 <= end <= len(at)):
                raise DataError(
                    f"{file}: category '{one['name']}' has a bone {start}-{end}, its points are "
                    f"numbered 1 to {len(at)}."
                )
            edges[at[start - 1], at[end - 1]] = None
    notes = []
    if len(named) > 1:
        kinds = listed(one["name"] for one in named)
        notes.append(f"{file.name}: the categories {kinds} are one set of points here.")
    return Skeleton(tuple(names), tuple(edges), guess_swaps(names)), columns, notes


def _check_annotation(
    file: Path, number: int, one: dict[str, Any], columns: dict[Any, list[int]]
) -> None:
    at = columns.get(one.get("category_id"))
    if at is None or len(one["keypoints"]) != 3 * len(at):
        wanted = f"{3 * len(at)} numbers" if at else f"a category of {listed(columns)}"
        raise DataError(
            f"{file}: annotation {one.get('id', number)}: expected {wanted}, got category "
            f"{one.get('category_id')} with {len(one['keypoints'])} numbers."
        )


def _record(picture: dict[str, Any], file: Path, row: int) -> dict[str, Any]:
    name = str(picture["file_name"]).replace("\\", "/")
    places = [
        str(PurePosixPath(near) / end) for end in (name, PurePosixPath(name).name) for near in _NEAR
    ]
    found = next((place for place in places if (file.parent / place).is_file()), "")
    folder = PurePosixPath(name).parent.name
    return {"video": folder or file.stem, "frame": frame_number(name, row), "image": found or name}


def _name(labels: Labels, row: int) -> str:
    address = str(labels.frames["image"].iloc[row])
    if labels.source == "coco":
        return str(labels.extra["names"].get(address, address))
    if address and "::" not in address:
        return address
    video, number = labels.frames["video"].iloc[row], int(labels.frames["frame"].iloc[row])
    return f"images/{video or 'video'}/img{number:08d}.png"


def _annotation(labels: Labels, row: int, slot: int, name: str) -> dict[str, Any]:
    points = labels.points[row, slot]
    there = np.isfinite(points).all(-1)
    hidden = labels.kept("coco", "hidden", frozenset())
    flat: list[float] = []
    for place, (x, y) in enumerate(points):
        seen = 1 if (name, slot, place) in hidden else 2
        flat += [float(x), float(y), seen] if there[place] else [0.0, 0.0, 0]
    low, high = points[there].min(0), points[there].max(0)
    width, height = map(float, high - low)
    return {
        "image_id": row + 1,
        "category_id": 1,
        "keypoints": flat,
        "num_keypoints": int(there.sum()),
        "bbox": [float(low[0]), float(low[1]), width, height],
        "area": width * height,
        "iscrowd": 0,
    }
