"""COCO keypoints (.json): one annotation an animal, x, y and how visible for each point.

`v` 0 is not labelled, 1 labelled though hidden, 2 seen. Pixels are taken as stored, nothing is
shifted. Where there are several categories with keypoints, they are the classes of the animals.
What else the file says is kept and written back: ids, categories, boxes, areas, crowds and
which points are hidden. An annotation in which no point is labelled is no animal, and is written
back as it was, until an animal is placed in its box: then it is that animal's. Boxes are those of
the points where the file had none, or an empty one; where a point was moved out of its box, that
grows. An area that is missing is the box's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_json
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps, listed
from neuroloom.io.labels.pictures import picture_size
from neuroloom.io.labels.sheets import copy_picture, frame_number

_PARTS = ("images", "annotations", "categories")
_SIDE = 32.0  # px, of the box round a single point where no animal shows two
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
    by_image, blank = _by_image(held, file, columns, notes)
    pictures = [one for one in held["images"] if one.get("id") in by_image]
    if not pictures:
        raise DataError(f"{file}: no picture has an annotation with keypoints.")
    bare = len(held["images"]) - len(pictures)
    if bare:
        notes.append(f"{file.name}: {bare} pictures have no annotation and were left out.")
    most = max(1, *(len(found) for found in by_image.values()))
    individuals = tuple(f"individual_{number}" for number in range(most))
    points = np.full((len(pictures), most, len(skeleton.keypoints), 2), np.nan)
    records = []
    kinds = {one["id"]: str(one.get("name", one["id"])) for one in held["categories"]}
    classes = np.full(points.shape[:2], "", dtype=object)
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for row, picture in enumerate(pictures):
        records.append(_record(picture, file, row))
        for slot, one in enumerate(by_image[picture["id"]]):
            values = np.asarray(one["keypoints"], float).reshape(-1, 3)
            at = columns[one.get("category_id")]
            points[row, slot, at] = np.where(values[:, 2:] > 0, values[:, :2], np.nan)
            classes[row, slot] = kinds[one["category_id"]]
            kept[str(picture["file_name"]), slot] = one
    extra = _extra(held, file, pictures, records) | {"annotations": kept, "blank": blank}
    frames = pd.DataFrame(records)
    several = classes if len(columns) > 1 else None
    return Labels(
        skeleton, frames, points, individuals, file.parent, "coco", tuple(notes), extra, several
    )


def _extra(
    held: dict[str, Any], file: Path, pictures: list[dict[str, Any]], records: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the file says besides, to be written back."""
    named = zip(records, pictures, strict=True)
    return {
        "file": file.name,
        "names": {record["image"]: str(p["file_name"]) for record, p in named},
        "rest": {name: part for name, part in held.items() if name not in _PARTS},
        "categories": held["categories"],
        "pictures": {str(picture["file_name"]): picture for picture in pictures},
    }


def write(labels: Labels, path: Path, images: bool = True) -> list[Path]:
    """Write the file, and the pictures beside it."""
    file = path if path.suffix == ".json" else path / str(labels.kept("coco", "file", "coco.json"))
    names = [_name(labels, row) for row in range(len(labels))]
    pictures, categories = _pictures(labels, names), _categories(labels)
    held = {
        **labels.kept("coco", "rest", {}),
        "images": pictures,
        "annotations": _annotations(labels, names, pictures, categories),
        "categories": categories,
    }
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
        notes.append(
            f"{file.name}: the categories {kinds} are one set of points here, and classes of the "
            "animals."
        )
    return Skeleton(tuple(names), tuple(edges), guess_swaps(names)), columns, notes


def _by_image(
    held: dict[str, Any], file: Path, columns: dict[Any, list[int]], notes: list[str]
) -> tuple[dict[Any, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Return the annotations with a labelled point, by the picture's id, and those without."""
    by_image: dict[Any, list[dict[str, Any]]] = {}
    blank: list[dict[str, Any]] = []
    for number, one in enumerate(held["annotations"]):
        if one.get("keypoints"):
            _check_annotation(file, number, one, columns)
            own = by_image.setdefault(one["image_id"], [])
            (own if any(seen > 0 for seen in one["keypoints"][2::3]) else blank).append(one)
    others = sum(not one.get("keypoints") for one in held["annotations"])
    for count_, what in ((others, "keypoints"), (len(blank), "labelled point")):
        if count_:
            notes.append(f"{file.name}: {count_} annotations have no {what} and were left out.")
    return by_image, blank


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


def _fresh(kept: Iterable[dict[str, Any]]) -> Iterator[int]:
    """Return ids that none has."""
    return count(1 + max((one["id"] for one in kept if isinstance(one.get("id"), int)), default=0))


def _pictures(labels: Labels, names: list[str]) -> list[dict[str, Any]]:
    kept = labels.kept("coco", "pictures", {})
    fresh, out = _fresh(kept.values()), []
    for name, address in zip(names, labels.frames["image"], strict=True):
        known = kept.get(name) or {"id": next(fresh), "file_name": name, "height": 0, "width": 0}
        size = picture_size(labels.root, str(address))
        out.append(known | ({"height": size[0], "width": size[1]} if size else {}))
    return out


def _categories(labels: Labels) -> list[dict[str, Any]]:
    """Return the categories of the file with the points that are left, or one with all points."""
    skeleton, kept = labels.skeleton, labels.kept("coco", "categories", [])
    known = {str(point) for one in kept for point in one.get("keypoints") or ()}
    if not known >= set(skeleton.keypoints):
        kept = [{"id": 1, "name": "animal", "supercategory": "animal",
                 "keypoints": skeleton.keypoints}]  # fmt: skip
    return [_with_bones(one, skeleton) if one.get("keypoints") else one for one in kept]


def _with_bones(category: dict[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    names = [str(name) for name in category["keypoints"] if str(name) in skeleton.keypoints]
    bones = [[skeleton.keypoints[end] for end in bone] for bone in skeleton.edges]
    own = [[names.index(a) + 1, names.index(b) + 1] for a, b in bones if {a, b} <= set(names)]
    return category | {"keypoints": names, "skeleton": own}


def _annotations(
    labels: Labels,
    names: list[str],
    pictures: list[dict[str, Any]],
    categories: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return an annotation for every animal that has a point, and those that came without."""
    kept = labels.kept("coco", "annotations", {})
    blank = _blank(labels, pictures, categories)
    told = {one["id"]: one for one in labels.kept("coco", "categories", [])}
    every_id = [*kept.values(), *labels.kept("coco", "blank", [])]
    fresh, lone, out = _fresh(every_id), _usual_side(labels.points), []
    for row, slot in np.argwhere(np.isfinite(labels.points).all(-1).any(-1)).tolist():
        every = zip(labels.skeleton.keypoints, labels.points[row, slot], strict=True)
        points = {name: (float(x), float(y)) for name, (x, y) in every if np.isfinite([x, y]).all()}
        picture = pictures[row]["id"]
        old = kept.get((names[row], slot)) or _taken(blank, picture, points, categories)
        said = _said(old, told.get(old.get("category_id"), {}))
        category = _category_of(points, old, categories, names[row])
        about = {"id": old.get("id") or next(fresh), "image_id": picture, "iscrowd": 0}
        about |= old | {"category_id": category["id"], "num_keypoints": len(points)}
        about["keypoints"] = _flat(points, said, category["keypoints"])
        box = _stated_box(old)
        if box is None or any(said.get(name, ())[:2] != points[name] for name in points):
            about |= _box(np.array(list(points.values())), box, lone)
        elif about.get("area") is None:
            about["area"] = float(box[2] * box[3])
        out.append(about)
    return out + blank


def _blank(
    labels: Labels, pictures: list[dict[str, Any]], categories: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the annotations of these pictures that came without a labelled point."""
    there = {one["id"] for one in pictures}
    points = {one["id"]: len(one.get("keypoints") or ()) for one in categories}
    return [
        one
        for one in labels.kept("coco", "blank", [])
        if one["image_id"] in there
        and len(one["keypoints"]) == 3 * points.get(one["category_id"], 0)
    ]


def _taken(
    blank: list[dict[str, Any]],
    picture: int,
    points: dict[str, tuple[float, float]],
    categories: list[dict[str, Any]],
) -> dict[str, Any]:
    """Take from the blank annotations the first that may be of a new animal; empty if none is."""
    named = {one["id"]: set(one.get("keypoints") or ()) for one in categories}
    middle = np.mean(list(points.values()), 0)
    for place, one in enumerate(blank):
        box = _stated_box(one)
        within = box is None or bool((np.abs(middle - box[:2] - box[2:] / 2) <= box[2:] / 2).all())
        fits = set(points) <= named[one["category_id"]] and not one.get("iscrowd")
        if one["image_id"] == picture and fits and within:
            return blank.pop(place)
    return {}


def _said(old: dict[str, Any], category: dict[str, Any]) -> dict[str, tuple[float, float, int]]:
    """Return x, y and v of the points that the file had, by name."""
    flat = np.asarray(old.get("keypoints", ()), float).reshape(-1, 3)
    names = category.get("keypoints") or ()
    return {str(name): (float(x), float(y), int(v))
            for name, (x, y, v) in zip(names, flat, strict=False) if v > 0}  # fmt: skip


def _category_of(
    points: Iterable[str], old: dict[str, Any], categories: list[dict[str, Any]], name: str
) -> dict[str, Any]:
    """Return the animal's category if it has all its points, else the first that has."""
    fits = [one for one in categories if set(points) <= set(one.get("keypoints") or ())]
    if not fits:
        raise DataError(f"{name}: no category has all points of one animal: {listed(points)}.")
    return next((one for one in fits if one["id"] == old.get("category_id")), fits[0])


def _flat(
    points: dict[str, tuple[float, float]],
    said: dict[str, tuple[float, float, int]],
    names: Iterable[str],
) -> list[float]:
    """Return x, y and v of each point; a new one is seen."""
    every = [
        (*points[name], said[name][2] if name in said else 2) if name in points else (0.0, 0.0, 0)
        for name in names
    ]
    return [number for one in every for number in one]


def _usual_side(points: np.ndarray) -> float:
    """Return the usual side of a box round several points, px; that of one point is drawn so."""
    bodies = points.reshape(-1, *points.shape[-2:])
    bodies = bodies[np.isfinite(bodies).all(-1).sum(-1) > 1]
    if not len(bodies):
        return _SIDE
    return float(np.median(np.nanmax(bodies, 1) - np.nanmin(bodies, 1))) or _SIDE


def _stated_box(old: dict[str, Any]) -> np.ndarray | None:
    """Return left, top, width and height that the file had; an empty box is none."""
    box = np.asarray(old.get("bbox") or (), float)
    return box if box.shape == (4,) and (box[2:] > 0).all() else None


def _box(points: np.ndarray, old: np.ndarray | None, lone: float) -> dict[str, Any]:
    """Return box and area round points (point, 2), and round the box there was."""
    low, high = points.min(0), points.max(0)
    if old is not None:
        low, high = np.minimum(low, old[:2]), np.maximum(high, old[:2] + old[2:])
    # A box without area says that nothing is there: no side is less than a third of the diagonal.
    least = float(np.hypot(*(high - low))) / 3 or lone
    grow = np.maximum(least - (high - low), 0) / 2
    low, sides = low - grow, high - low + 2 * grow
    return {"bbox": [*map(float, low), *map(float, sides)], "area": float(sides.prod())}
