"""Layouts told by names: folders called images and labels, files called image and mask.

Each returns a `Layout`, or None where it does not recognise its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.io.cases.layouts import (
    CHANNEL,
    IMAGE_WORDS,
    LABEL_WORDS,
    Layout,
    Row,
    few,
    folders,
    listed,
    pixel_beside,
    pixel_of,
    place_of,
    without,
    word_of,
)
from neuroloom.io.images import image_stem

_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


def by_folders(root: Path) -> Layout | None:
    """Recognise images/ beside labels/ and the like, in the folder itself or in those below."""
    rows: list[Row] = []
    notes: list[str] = []
    said: list[str] = []
    for parent in [root, *folders(root, 4)]:
        pair = _pair_of_folders(parent)
        if pair is None:
            continue
        found, how, more = _paired(root, *pair)
        split = next((part for part in parent.relative_to(root).parts if part in _SPLITS), None)
        for row in found:
            row.keys |= {"split": split} if split else {}
        rows += found
        notes += more
        said.append(f"{pair[0].name}/ and {pair[1].name}/ paired by {how}")
    if not rows:
        return None
    sentence = "; ".join(dict.fromkeys(said)) + "; each case counts as a subject"
    return Layout(rows, sentence, notes, each_a_subject=True)


def by_words(root: Path) -> Layout | None:
    """Recognise pairs in one folder whose names differ in a word: demo_image, demo_mask."""
    every = listed(root)
    images = {without(file, IMAGE_WORDS): file for file in every if without(file, IMAGE_WORDS)}
    labels = {without(file, LABEL_WORDS): file for file in every if without(file, LABEL_WORDS)}
    if not set(images) & set(labels):
        return None
    rows = [
        Row(image_stem(file), (file,), labels.get(key), pixel=pixel_beside(root, file, key))
        for key, file in sorted(images.items())
    ]
    used = set(images.values()) | {labels[key] for key in images if key in labels}
    notes = []
    if left := [file for file in every if file not in used]:
        notes.append(f"Files that pair with none were passed over: {few(left)}.")
    words = f"{word_of(rows[0].images[0], IMAGE_WORDS)} and "
    words += word_of(next(iter(labels.values())), LABEL_WORDS)
    return Layout(rows, f"images and labels in one folder, told by the words {words}", notes)


def _pair_of_folders(parent: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and of labels that lie in `parent`."""
    inside = {item.name.lower(): item for item in parent.iterdir() if item.is_dir()}
    images = next((inside[word] for word in IMAGE_WORDS if word in inside), None)
    labels = next((inside[word] for word in LABEL_WORDS if word in inside), None)
    return (images, labels) if images and labels else None


def _paired(root: Path, images: Path, labels: Path) -> tuple[list[Row], str, list[str]]:
    """Pair two folders by stems, by stems without their words, or by what varies."""
    files, masks = listed(root, images), listed(root, labels)
    if not files:
        raise DataError(f"{images}: no image or volume is in this folder.")
    inner = {file: Path(file).relative_to(images.relative_to(root)).as_posix() for file in files}
    inner |= {mask: Path(mask).relative_to(labels.relative_to(root)).as_posix() for mask in masks}
    grouped = _channels(files, {place_of(inner[mask]) for mask in masks}, inner)
    firsts = [paths[0] for paths in grouped.values()]
    best, how = _matched(firsts, masks, inner)
    if not best and len(grouped) == len(masks) == 1:
        best, how = {next(iter(grouped.values()))[0]: masks[0]}, "being the only two"
    rows = [
        Row(
            name.rsplit("/", 1)[-1],
            paths,
            best.get(paths[0]),
            pixel=pixel_of(root, paths[0]),
        )
        for name, paths in grouped.items()
    ]
    notes = []
    if alone := sorted(set(masks) - set(best.values())):
        notes.append(f"Labels without an image were passed over: {few(alone)}.")
    return rows, how, notes


def _matched(
    files: list[str], masks: list[str], inner: dict[str, str]
) -> tuple[dict[str, str], str]:
    """Return image -> label by the first way of naming that pairs any, and that way."""
    for how, key in _KEYS:
        images = key([inner[file] for file in files], IMAGE_WORDS)
        labels = dict(zip(key([inner[mask] for mask in masks], LABEL_WORDS), masks, strict=True))
        best = {f: labels[name] for f, name in zip(files, images, strict=True) if name in labels}
        if best:
            return best, how
    return {}, "nothing"


def _channels(
    files: list[str], labels: set[str], inner: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return place -> files; NAME_0000 and NAME_0001 are channels where a label is called NAME."""
    found: dict[str, list[str]] = {}
    for file in files:
        match = CHANNEL.match(place_of(inner[file]))
        name = match[1] if match and match[1] in labels else place_of(inner[file])
        found.setdefault(name, []).append(file)
    return {name: tuple(sorted(paths)) for name, paths in found.items()}


def _stems(files: list[str], words: tuple[str, ...]) -> list[str]:
    """Return folders and stems; the channel of an image's name is no part of it."""
    places = [place_of(file) for file in files]
    if words is not IMAGE_WORDS:
        return places
    matches = [CHANNEL.match(place) for place in places]
    return [m[1] if m and m[2] == "0000" else p for m, p in zip(matches, places, strict=True)]


def _wordless(files: list[str], words: tuple[str, ...]) -> list[str]:
    return [(without(file, words) or place_of(file)).strip("/") for file in files]


def _varied(files: list[str], words: tuple[str, ...]) -> list[str]:
    del words
    return _varying([image_stem(file) for file in files])


_KEYS: tuple[tuple[str, Any], ...] = (
    ("the stem of their names", _stems),
    ("their names without words such as image and mask", _wordless),
    ("their names without what all begin and end with", _varied),
)


def _varying(stems: list[str]) -> list[str]:
    """Return the stems without their common beginning and end; digits stay whole."""
    if len(stems) < 2:
        return stems
    head, tail = _common(stems), _common([stem[::-1] for stem in stems])[::-1]
    head, tail = re.sub(r"\d+$", "", head), re.sub(r"^\d+", "", tail)
    return [stem[len(head) : len(stem) - len(tail)] for stem in stems]


def _common(stems: list[str]) -> str:
    first, last = min(stems), max(stems)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    return first[:length]
