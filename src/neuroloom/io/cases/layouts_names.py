"""Layouts told by names of folders: images and labels, train_images and train_masks, 01 and 01_GT.

`by_folders` returns a `Layout`, or None where it does not recognise its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.core.split import side_of
from neuroloom.io.cases.layouts import (
    CHANNEL,
    IMAGE_WORDS,
    LABEL_WORDS,
    Layout,
    Row,
    clash,
    drawn_again,
    few,
    folders,
    listed,
    name_and_class,
    one_each,
    pixel_of,
    place_of,
    without,
    word_of,
)
from neuroloom.io.cases.model import label_paths
from neuroloom.io.cases.painted import named_colours
from neuroloom.io.images import image_stem, is_image

_IMAGE_FOLDERS = (*IMAGE_WORDS, "jpegimages")
# Those of vessels come first: what is called mask beside them is the field of view.
_LABEL_FOLDERS = (
    "1st_manual", "manual1", "manual", *LABEL_WORDS, "segmentationclass", "segmentationclasspng",
)  # fmt: skip


def by_folders(root: Path) -> Layout | None:
    """Recognise images/ beside labels/ and the like, in the folder itself or in those below."""
    layout = Layout([], "", each_a_subject=True)
    said: list[str] = []
    places = [root]
    for parent in [root, *folders(root, 4)]:
        for images, labels, own in _pairs_of_folders(parent):
            places.append(parent)
            rows, how = _paired(root, images, labels, layout)
            split = _side(f"{parent.relative_to(root).as_posix()}/{own}/")
            whose = "" if split or not own else own
            for row in rows:
                row.keys |= {"split": split} if split else {}
                row.keys |= {"subject": whose} if whose else {}
            layout.rows += rows
            paired = f"paired by {how}" if how else _unpaired(labels)
            said.append(f"{images.name}/ and {labels.relative_to(parent).as_posix()}/ {paired}")
    _tell_sides_apart(layout.rows)
    layout.sentence = "; ".join(dict.fromkeys(said)) + "; each case counts as a subject"
    named = [row.label for row in layout.rows if isinstance(row.label, dict)]
    classes = sorted({name for label in named for name in label})
    layout.classes = dict(enumerate(classes, start=1)) or None
    maps = [place / "labelmap.txt" for place in places]
    if not classes and (there := [file for file in maps if file.is_file()]):
        colours = named_colours(there[0])
        layout.classes, layout.strict = dict(enumerate(colours, start=1)) or None, bool(colours)
        layout.colours = {colour: k for k, colour in enumerate(colours.values(), start=1)}
    return layout if layout.rows else None


def _unpaired(labels: Path) -> str:
    """Say why no label was paired."""
    kinds = sorted({item.suffix for item in labels.rglob("*") if item.is_file()})
    if listed(labels) or not kinds:
        return "with no names that pair"
    return f"with no label that can be read but {few(kinds)} files: write them as .png or .tif"


def _tell_sides_apart(rows: list[Row]) -> None:
    """Give cases of one name on several sides of a split, Train/1 and Test/1, their own subjects.

    Those on one side, such as t1/1 and t2/1, may be of one subject, and stay together.
    """
    sides = [_side(row.images[0]) for row in rows]
    on: dict[str, set[str]] = {}
    for row, side in zip(rows, sides, strict=True):
        on.setdefault(row.name, set()).add(side)
    for row, side in zip(rows, sides, strict=True):
        if side and len(on[row.name]) > 1:
            row.keys["subject"] = f"{side}_{row.name}"


def _side(file: str) -> str:
    """Return the first folder of a path that is called as a side of a split; "" without one."""
    return next((part for part in file.split("/")[:-1] if side_of(part)), "")


def _pairs_of_folders(parent: Path) -> list[tuple[Path, Path, str]]:
    """Return folders of images and of labels that lie in `parent`, and what both are called.

    They are called images and labels, or alike but for such a word: train_images and train_masks,
    01 and 01_GT. Of a folder of labels that has one of its own, that is taken: 01_GT/SEG. Images
    of the same names may also lie in `parent` itself.
    """
    inside = {item.name.lower(): item for item in sorted(parent.iterdir()) if item.is_dir()}
    images = next((inside[word] for word in _IMAGE_FOLDERS if word in inside), None)
    labels = next((inside[word] for word in _LABEL_FOLDERS if word in inside), None)
    if images and labels:
        return [(images, _innermost(labels), "")]
    if labels and _have_names_of(labels, parent):
        return [(parent, labels, "")]
    pairs = []
    for name, folder in inside.items():
        own = without(name, LABEL_WORDS).strip("/")
        beside = next((inside[other] for other in inside if own and own == _of_images(other)), None)
        if beside and listed(parent, beside) and listed(parent, folder):
            pairs.append((beside, _innermost(folder), own))
    return pairs


def _have_names_of(labels: Path, parent: Path) -> bool:
    """Tell whether some labels are called as images that lie in the folder above them."""
    own = [item.name for item in parent.iterdir() if is_image(item)]
    masks = [Path(mask).name for mask in listed(labels)] if own else []
    keys = {key for way in (_stems, _wordless) for key in way(own, IMAGE_WORDS)}
    return any(keys & {*way(masks, LABEL_WORDS)} for way in (_stems, _wordless))


def _of_images(folder: str) -> str:
    """Return what a folder of images is called besides; "" of one of labels."""
    if word_of(folder, LABEL_WORDS):
        return ""
    return without(folder, IMAGE_WORDS).strip("/") or re.sub(r"[_\-. ]+", "_", folder)


def _innermost(labels: Path) -> Path:
    inside = {item.name.lower(): item for item in labels.iterdir() if item.is_dir()}
    return next((inside[word] for word in LABEL_WORDS if word in inside), labels)


def _paired(root: Path, images: Path, labels: Path, layout: Layout) -> tuple[list[Row], str]:
    """Pair two folders by stems, by stems without their words, or by what varies.

    The rows are returned, with how they were paired; labels that are alone or clash are added to
    the layout.
    """
    files, masks = listed(root, images), listed(root, labels)
    if labels.parent == images:
        files = [file for file in files if (root / file).parent == images]
    if not files:
        raise DataError(f"{images}: no image or volume is in this folder.")
    inner = {file: Path(file).relative_to(images.relative_to(root)).as_posix() for file in files}
    inner |= {mask: Path(mask).relative_to(labels.relative_to(root)).as_posix() for mask in masks}
    grouped = _channels(files, {place_of(inner[mask]) for mask in masks}, inner)
    firsts = [paths[0] for paths in grouped.values()]
    best: dict[str, Any]
    best, how = _matched(firsts, masks, inner, layout.clashes)
    if not best:
        best, how = _matched_by_class(firsts, masks, inner, layout.clashes)
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
    used = {file for label in best.values() for file in label_paths(label)}
    layout.alone += sorted(set(masks) - used)
    return rows, how


def _matched(
    files: list[str], masks: list[str], inner: dict[str, str], clashes: dict[str, str]
) -> tuple[dict[str, str], str]:
    """Return image -> label by the first way of naming that pairs any, and that way."""
    for how, key in _KEYS:
        images = key([inner[file] for file in files], IMAGE_WORDS)
        wanted = set(images)
        named = zip(key([inner[mask] for mask in masks], LABEL_WORDS), masks, strict=True)
        labels = one_each((pair for pair in named if pair[0] in wanted), clashes)
        best = {f: labels[name] for f, name in zip(files, images, strict=True) if name in labels}
        if best:
            return best, how
    return {}, ""


def _matched_by_class(
    files: list[str], masks: list[str], inner: dict[str, str], clashes: dict[str, str]
) -> tuple[dict[str, dict[str, str]], str]:
    """Return image -> class -> label where every image NAME has NAME_CLASS of the same classes."""
    for key in (_wordless, _stems):
        images = dict(zip(key([inner[file] for file in files], IMAGE_WORDS), files, strict=True))
        found: dict[str, dict[str, str]] = {name: {} for name in images}
        twice: dict[str, str] = {}
        for place, mask in zip(key([inner[m] for m in masks], LABEL_WORDS), masks, strict=True):
            name, kind = name_and_class(place, images)
            if name and (first := found[name].setdefault(kind, mask)) != mask:
                twice[first] = clash(first, mask, f"{name}, {kind}")
        classes = {tuple(sorted(own)) for own in found.values()}
        kinds = min(classes)
        if len(images) == len(files) and len(classes) == 1 and len(kinds) > 1:
            clashes |= twice
            for name, own in found.items():
                clashes |= drawn_again(name, own)
            best = {images[name]: {k: own[k] for k in kinds} for name, own in found.items()}
            return best, f"the stem of their names and the class after it, {' or '.join(kinds)}"
    return {}, ""


def _channels(
    files: list[str], labels: set[str], inner: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return place -> files; NAME_0000 and NAME_0001 are channels where a label is called NAME."""
    found: dict[str, list[str]] = {}
    for file in files:
        match = CHANNEL.match(place_of(inner[file]))
        is_channel = match is not None and match[1] in labels
        name = match[1] if match and is_channel else place_of(inner[file])
        if name in found and not is_channel:
            raise DataError(
                f"'{found[name][0]}' and '{file}' are two images of one name; move away the one "
                "that is not meant."
            )
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
