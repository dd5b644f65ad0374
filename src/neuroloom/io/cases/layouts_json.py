"""Data sets with a `dataset.json`: nnU-Net's raw folders and the Medical Segmentation Decathlon.

Sources: nnU-Net v2, documentation/dataset_format.md; http://medicaldecathlon.com.
"""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.io.cases.layouts import CHANNEL, Layout, Row, images_only, listed, one_each
from neuroloom.io.images import image_stem, image_suffix


def by_dataset_json(root: Path, *, incomplete: bool = False) -> Layout | None:
    """Recognise a folder by its `dataset.json`; None if there is none that declares labels.

    If `incomplete`, cases may lack channels that it declares.
    """
    path = root / "dataset.json"
    if not path.is_file():
        return None
    facts = _facts(path)
    if "labels" not in facts and "training" not in facts and "dataset" not in facts:
        return None
    if "dataset" in facts:
        layout = Layout(_from_listing(root, facts), "nnU-Net raw folder with a listing")
    elif _has_channels(root):
        layout = _from_folders(root, len(_channel_names(facts)) if incomplete else 0)
    elif "training" in facts:
        layout = _from_training(root, facts)
    else:
        return None
    if not layout.rows:
        raise DataError(f"{root}: its dataset.json is there and no training image is.")
    layout.sentence = f"{layout.sentence}; each case counts as a subject"
    layout.each_a_subject = True
    name_by_dataset_json(layout, root)
    return layout


def name_by_dataset_json(layout: Layout, root: Path) -> None:
    """Give a layout the names of channels, classes and regions that a `dataset.json` declares."""
    path = root / "dataset.json"
    facts = _facts(path)
    layout.channels = _channel_names(facts)
    layout.classes, layout.regions, layout.ignore = declared(facts.get("labels", {}), path)
    layout.painted = _painted(facts.get("regions_class_order"), layout, path)
    layout.strict = layout.classes is not None


def by_new_images(root: Path, n_channels: int = 0, *, incomplete: bool = False) -> Layout | None:
    """Recognise the new cases of nnU-Net and the Decathlon, imagesTs; None where there are none.

    If `incomplete`, a case may lack some of `n_channels`.
    """
    folder = root / "imagesTs"
    if not folder.is_dir() or not listed(root, folder):
        return None
    layout = images_only(root, n_channels, folder, incomplete=incomplete)
    layout.sentence = f"imagesTs alone, {layout.sentence}; each case counts as a subject"
    layout.each_a_subject = True
    if (root / "dataset.json").is_file():
        layout.channels = _channel_names(_facts(root / "dataset.json"))
    return layout


def declared(
    labels: dict[str, Any], path: Path
) -> tuple[dict[int, str] | None, dict[str, tuple[int, ...]], int | None]:
    """Return number -> name, region -> numbers, and the number that is left out of scoring.

    Both spellings are read: {"0": "background"} and {"background": 0}, and lists of numbers.

    Examples
    --------
    >>> declared({"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, Path("dataset.json"))
    ({1: '1', 2: 'core'}, {'whole': (1, 2), 'core': (2,)}, 3)
    """
    pairs: dict[str, tuple[int, ...]] = {}
    for key, value in labels.items():
        name, numbers = (value, key) if str(key).isdigit() else (key, value)
        try:
            several = numbers if isinstance(numbers, list) else [numbers]
            pairs[str(name)] = tuple(int(number) for number in several)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: labels: '{key}': expected numbers, got {value}.") from error
    ignore = pairs.pop("ignore", (None,))[0]
    pairs = {name: numbers for name, numbers in pairs.items() if numbers != (0,)}
    has_regions = any(len(numbers) > 1 for numbers in pairs.values())
    single = {numbers[0]: name for name, numbers in pairs.items() if len(numbers) == 1}
    every = sorted({number for numbers in pairs.values() for number in numbers} - {0})
    classes = {number: single.get(number, str(number)) for number in every}
    return classes or None, pairs if has_regions else {}, ignore


def _painted(order: Any, layout: Layout, path: Path) -> tuple[int, ...]:
    """Return the label that each region is painted with, in this order; none where none is said."""
    if order is None or not layout.regions:
        return ()
    known = sorted(layout.classes or {})
    if (
        not isinstance(order, list)
        or len(order) != len(layout.regions)
        or any(value not in known for value in order)
    ):
        raise DataError(
            f"{path}: regions_class_order is {order}, expected one of the labels "
            f"{', '.join(map(str, known))} for each of the regions {', '.join(layout.regions)}."
        )
    return tuple(order)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path}: is no JSON ({error}).") from error
    return facts if isinstance(facts, dict) else {}


def _channel_names(facts: dict[str, Any]) -> list[str]:
    named = facts.get("channel_names") or facts.get("modality") or {}
    if isinstance(named, dict):
        return [str(named[key]) for key in sorted(named, key=int)]
    return [str(name) for name in named]


def _has_channels(root: Path) -> bool:
    folder = root / "imagesTr"
    files = listed(root, folder) if folder.is_dir() else []
    return bool(files) and all(CHANNEL.match(image_stem(file)) for file in files)


def _from_folders(root: Path, n_channels: int) -> Layout:
    """Read imagesTr/NAME_0000.ext and labelsTr/NAME.ext; there are `n_channels`, or more."""
    folder = root / "labelsTr"
    labels = listed(root, folder) if folder.is_dir() else []
    clashes: dict[str, str] = {}
    masks = one_each(((image_stem(file), file) for file in labels), clashes)
    found: dict[str, dict[str, str]] = {}
    for file in listed(root, root / "imagesTr"):
        match = CHANNEL.match(image_stem(file))
        if match:
            found.setdefault(match[1], {})[match[2]] = file
    declared_ones = {f"{k:04d}" for k in range(n_channels)}
    wanted = sorted(declared_ones.union(*found.values()))
    rows = [
        Row(
            name,
            tuple(channels[key] for key in sorted(channels)),
            masks.get(name),
            missing=tuple(k for k, key in enumerate(wanted) if key not in channels),
        )
        for name, channels in sorted(found.items())
    ]
    alone = [masks[name] for name in sorted(set(masks) - set(found))]
    tests = (root / "imagesTs").is_dir()
    notes = ["The test images in imagesTs were passed over."] if tests else []
    return Layout(rows, "nnU-Net raw folder", notes, alone=alone, clashes=clashes)


def _from_listing(root: Path, facts: dict[str, Any]) -> list[Row]:
    """Read nnU-Net's own listing, whose paths are relative to the JSON or absolute."""
    rows = []
    for name, entry in sorted(facts["dataset"].items()):
        images = tuple(_inside(root, image) for image in entry["images"])
        label = entry.get("label")
        rows.append(Row(name, images, _inside(root, label) if label else None))
    return rows


def _from_training(root: Path, facts: dict[str, Any]) -> Layout:
    """Read the Decathlon's listing; what macOS left beside the files is passed over."""
    rows = []
    for number, entry in enumerate(facts["training"], start=1):
        entry = {"image": entry} if isinstance(entry, str) else entry
        if "image" not in entry:
            raise DataError(f"{root / 'dataset.json'}: training entry {number} names no image.")
        if Path(entry["image"]).name.startswith("._"):
            continue
        image = _inside(root, entry["image"])
        label = _inside(root, entry["label"]) if entry.get("label") else None
        rows.append(Row(image_stem(image), (image,), label))
    notes = ["The test images were passed over."] if facts.get("test") else []
    rows.sort(key=lambda row: row.name)
    return Layout(rows, "Medical Segmentation Decathlon", notes)


def _inside(root: Path, path: str) -> str:
    """Return a path of the listing relative to `root`, with the suffix that is really there."""
    place = Path(path)
    full = place if place.is_absolute() else root / place
    if not full.exists() and not image_suffix(full):
        beside = (
            sorted(full.parent.glob(f"{glob.escape(full.name)}.*")) if full.parent.is_dir() else []
        )
        full = beside[0] if beside else full
    if not full.exists():
        raise DataError(f"{root / 'dataset.json'}: names '{path}', which is not there.")
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()
