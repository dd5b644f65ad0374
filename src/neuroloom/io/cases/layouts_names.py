"""Layouts told by names of folders: images and labels, train_images and train_masks, 01 and 01_GT.

`by_folders` returns a `Layout`, or None where it does not recognise its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.core.split import side_of
from neuroloom.io.cases.layouts import (
    CHANNEL,
    IMAGE_FOLDERS,
    IMAGE_WORDS,
    LABEL_WORDS,
    Layout,
    Row,
    bare,
    clash,
    drawn_again,
    few,
    folders,
    listed,
    masks_by_class,
    one_each,
    pixel_of,
    place_of,
    without,
    word_of,
)
from neuroloom.io.cases.model import label_paths
from neuroloom.io.cases.painted import named_colours
from neuroloom.io.images import image_stem, is_image

# Those of vessels come first: what is called mask beside them is the field of view.
_OF_VESSELS = ("1st_manual", "manual1", "manual")
_LABEL_FOLDERS = (*_OF_VESSELS, *LABEL_WORDS, "segmentationclass", "segmentationclasspng")
_OF_CVAT = re.compile(r"^[^:#\n]+:\d+,\d+,\d+:", re.MULTILINE)


@dataclass(frozen=True)
class _Pair:
    """A folder of images and one of labels, what both are called, and other folders of labels."""

    images: Path
    labels: Path
    own: str = ""
    rivals: tuple[Path, ...] = ()

    def called(self, parent: Path) -> tuple[str, str]:
        """Return what both are called in `parent`, without what is their own."""
        if self.own:
            return word_of(self.images.name, IMAGE_WORDS), word_of(self.labels.name, LABEL_WORDS)
        images, labels = (path.relative_to(parent) for path in (self.images, self.labels))
        return images.as_posix().lower(), labels.as_posix().lower()


def by_folders(root: Path) -> Layout | None:
    """Recognise images/ beside labels/ and the like, in the folder itself or in those below."""
    layout = Layout([], "", each_a_subject=True)
    said: list[str] = []
    places = [root]
    used: set[Path] = set()
    for parent in [root, *folders(root, 4)]:
        if used & {parent, *parent.parents}:
            continue
        for pair in _pairs_of_folders(parent):
            places.append(parent)
            used |= {pair.images, pair.labels} - {parent}
            rows, how = _paired(root, pair.images, pair.labels, layout)
            _refuse_rivals(root, pair, rows, layout)
            for row in rows:
                row.keys |= {"subject": pair.own} if pair.own and not side_of(pair.own) else {}
                row.place, row.folders = parent.relative_to(root).as_posix(), pair.called(parent)
            layout.rows += rows
            paired = f"paired by {how}" if how else _unpaired(pair.labels)
            names = f"{pair.images.name}/ and {pair.labels.relative_to(parent).as_posix()}/"
            said.append(f"{names} {paired}")
    layout.sentence = "; ".join(dict.fromkeys(said)) + "; each case counts as a subject"
    named = [row.label for row in layout.rows if isinstance(row.label, dict)]
    classes = sorted({name for label in named for name in label})
    layout.classes = dict(enumerate(classes, start=1)) or None
    if not classes:
        _number_colours(layout, places)
    return layout if layout.rows else None


def _number_colours(layout: Layout, places: list[Path]) -> None:
    """Take classes and their colours from the first labelmap.txt that is CVAT's."""
    for file in (place / "labelmap.txt" for place in places):
        text = file.read_text(encoding="utf-8-sig", errors="replace") if file.is_file() else ""
        if not _OF_CVAT.search(text):
            continue
        colours = named_colours(file)
        layout.classes, layout.strict = dict(enumerate(colours, start=1)) or None, bool(colours)
        layout.colours = {colour: k for k, colour in enumerate(colours.values(), start=1)}
        return


def _refuse_rivals(root: Path, pair: _Pair, rows: list[Row], layout: Layout) -> None:
    """Let labels clash with those that another folder has of the same images."""
    for folder in pair.rivals:
        others, _ = _paired(root, pair.images, folder, Layout([], ""))
        for row, other in zip(rows, others, strict=True):
            for one, two in zip(label_paths(row.label), label_paths(other.label), strict=False):
                layout.clashes[one] = clash(one, two, row.name)


def _unpaired(labels: Path) -> str:
    """Say why no label was paired."""
    kinds = sorted({item.suffix for item in labels.rglob("*") if item.is_file()})
    if listed(labels) or not kinds:
        return "with no names that pair"
    return f"with no label that can be read but {few(kinds)} files: write them as .png or .tif"


def _pairs_of_folders(parent: Path) -> list[_Pair]:
    """Return the folders of images and of labels that lie in `parent`.

    They are called images and labels, or alike but for such a word: train_images and train_masks,
    01 and 01_GT. Of a folder of labels that has one of its own, that is taken: 01_GT/SEG. Images
    of the same names may also lie in `parent` itself.
    """
    inside = [item for item in sorted(parent.iterdir()) if item.is_dir()]
    images = next(iter(_called(inside, IMAGE_FOLDERS)), None)
    there = _called(inside, _LABEL_FOLDERS)
    filled = [folder for folder in there if listed(parent, folder)] or there
    if images and filled:
        return [_Pair(images, _innermost(filled[0]), "", _rivals(filled))]
    if filled and _have_names_of(filled[0], parent):
        return [_Pair(parent, filled[0])]
    return _called_alike(parent, inside)


def _called_alike(parent: Path, inside: list[Path]) -> list[_Pair]:
    """Return pairs of folders whose names differ in their words alone; capitals tell them apart."""
    exact: dict[str, Path] = {}
    alike: dict[str, Path] = {}
    for folder in inside:
        if not word_of(folder.name, LABEL_WORDS):
            own = bare(folder.name, IMAGE_WORDS)
            exact.setdefault(own, folder)
            alike.setdefault(own.casefold(), folder)
    pairs: dict[Path, _Pair] = {}
    for folder in inside:
        own = bare(folder.name, LABEL_WORDS) if word_of(folder.name, LABEL_WORDS) else ""
        images = exact.get(own) or alike.get(own.casefold()) if own else None
        if images and images not in pairs and listed(parent, images) and listed(parent, folder):
            pairs[images] = _Pair(images, _innermost(folder), own)
    return [*pairs.values()]


def _called(inside: list[Path], words: tuple[str, ...]) -> list[Path]:
    """Return the folders that are called by one of the words, in the order of these."""
    places = {word: place for place, word in enumerate(words)}
    named = [folder for folder in inside if folder.name.lower() in places]
    return sorted(named, key=lambda folder: places[folder.name.lower()])


def _rivals(folders_of_labels: list[Path]) -> tuple[Path, ...]:
    """Return what else may be meant where a folder is called manual; masks are fields of view."""
    if folders_of_labels[0].name.lower() != "manual":
        return ()
    return tuple(f for f in folders_of_labels[1:] if f.name.lower() not in ("mask", "masks"))


def _have_names_of(labels: Path, parent: Path) -> bool:
    """Tell whether some labels are called as images that lie in the folder above them."""
    own = [item.name for item in parent.iterdir() if is_image(item)]
    masks = [Path(mask).name for mask in listed(labels)] if own else []
    keys = {key for way in (_stems, _wordless) for key in way(own, IMAGE_WORDS)}
    return any(keys & {*way(masks, LABEL_WORDS)} for way in (_stems, _wordless))


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
    else:
        files = [file for file in files if not _in_labels((root / file).relative_to(images))]
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


def _in_labels(file: Path) -> bool:
    return any(part.lower() in _LABEL_FOLDERS for part in file.parts[:-1])


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
        twice: dict[str, str] = {}
        places = key([inner[mask] for mask in masks], LABEL_WORDS)
        found = masks_by_class(images, zip(places, masks, strict=True), twice)
        classes = {tuple(sorted(found.get(name, {}))) for name in images}
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
