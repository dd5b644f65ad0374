"""Layouts in which a label lies beside its image: names that differ in a word, a folder a case.

Each returns a `Layout`, or None where it does not recognise its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from neuroloom.io.cases.layouts import (
    CONTRAST,
    IMAGE_WORDS,
    LABEL_WORDS,
    Layout,
    Row,
    drawn_again,
    folders,
    listed,
    masks_by_class,
    one_each,
    pixel_of,
    unions,
    without,
    word_of,
)
from neuroloom.io.images import image_stem, is_image

_BREAK = re.compile(r"[_\-. ]+")
# What stands before the word of a label and says who drew it.
_BY_WHOM = re.compile(rf"(?:^|_)(?:{'|'.join(LABEL_WORDS)}|consensus|manual)$")
_HASH = re.compile(r"[0-9a-f]{16,}|\d+")


@dataclass
class _Told:
    """Files by the telling word of their names: key without it -> file, or those without one.

    A key is the folder and what is left of a name, in small letters, with "_" between its words.
    """

    images: dict[str, str] = field(default_factory=dict)
    labels: list[tuple[str, str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def by_mask_folders(root: Path) -> Layout | None:
    """Recognise one image beside a folder of masks, of a class or of an object each.

    Masks that are called alike beside several images are classes (ct, segmentations/liver), those
    called by nothing but numbers and hashes objects (images/0a7d, masks/07a9).
    """
    found = _images_with_masks(root)
    called = [(place, image, _called(place, masks)) for place, image, masks in found]
    times = Counter(name for *_, masks in called for name in masks)
    if len(times) < 2 or any(_is_called_alike(image, masks) for _, image, masks in called):
        return None
    objects = len(found) > 1 and all(map(_HASH.fullmatch, times))
    alone = len(found) == 1 and _is_all_there_is(root, *found[0])
    if not objects and (any(map(_HASH.fullmatch, times)) or min(times.values()) == 1 and not alone):
        return None
    rows: list[Row] = []
    for place, image, masks in called:
        name = place.rpartition("/")[2] or root.absolute().name
        label = tuple(masks.values()) if objects else masks
        rows.append(Row(name, (image,), label, pixel=pixel_of(root, image)))
    of = "an object" if objects else "a class"
    said = f"an image beside a folder of masks, a file {of}"
    if objects:
        return Layout(rows, said)
    clashes = drawn_again(rows[0].name, called[0][2])
    return Layout(rows, said, classes=dict(enumerate(sorted(times), start=1)), clashes=clashes)


def _images_with_masks(root: Path) -> list[tuple[str, str, list[str]]]:
    """Return folder, image and masks of each folder with labels; none where one has more images."""
    found = []
    for parent in [root, *folders(root, 3)]:
        items = sorted(parent.iterdir())
        inside = {item.name.lower(): item for item in items if item.is_dir()}
        masks = next((listed(root, inside[word]) for word in LABEL_WORDS if word in inside), [])
        if not masks:
            continue
        images = [item.relative_to(root).as_posix() for item in items if is_image(item)]
        images += next((listed(root, inside[word]) for word in IMAGE_WORDS if word in inside), [])
        if len(images) > 1:
            return []
        if images:
            place = parent.relative_to(root).as_posix()
            found.append(("" if parent == root else place, images[0], masks))
    return found


def _called(place: str, masks: list[str]) -> dict[str, str]:
    """Return name -> mask, without the name of their folder's folder before it."""
    own = place.rpartition("/")[2]
    return {re.sub(rf"^{re.escape(own)}[_\-. ]+", "", image_stem(m)) or own: m for m in masks}


def _is_called_alike(image: str, masks: Iterable[str]) -> bool:
    """Tell whether a mask is called as the image is."""
    own = _plain(image_stem(image))
    return any(f"{_plain(name)}_".startswith(f"{own}_") for name in masks)


def _is_all_there_is(root: Path, place: str, image: str, masks: list[str]) -> bool:
    """Tell whether an image lies right beside its masks, and no other image anywhere."""
    beside = "/" not in image.removeprefix(f"{place}/")
    return beside and {*listed(root)} == {image, *masks}


def by_names(root: Path, channels: Sequence[str] = ()) -> Layout | None:
    """Recognise labels beside their images by what is left of their names without their words.

    That is what is left of an image's name (demo_image, demo_mask), the whole of it (Case00,
    Case00_gt), more than that, a class (s1, s1_seg-axon), or how the names of the contrasts of
    one case begin, which are its channels (p1_T1, p1_FLAIR, p1_seg).

    Parameters
    ----------
    channels
        Contrasts that are wanted, in this order; none: all that most cases have.
    """
    told = _told(listed(root))
    layout = _by_words(root, told) or _by_whole_names(root, told)
    return layout or _by_contrasts(root, told, channels)


def _told(files: list[str]) -> _Told:
    """Tell images from labels by their words; a mask called otherwise is neither.

    A name with words of both is a label's, unless a label pairs with it: seg_image, seg_mask.
    """
    told = _Told()
    told.labels = [(_key_of_label(file), file) for file in files if word_of(file, LABEL_WORDS)]
    keys = {key for key, file in told.labels if not word_of(file, IMAGE_WORDS)}
    both = set()
    for file in files:
        is_label = bool(word_of(file, LABEL_WORDS))
        key = without(file, IMAGE_WORDS)
        if key and (not is_label or key in keys):
            told.images[key] = file
            both |= {file} if is_label else set()
        elif not is_label and "mask" not in image_stem(file).lower():
            told.others.append(file)
    told.labels = [(key, file) for key, file in told.labels if file not in both]
    return told


def _key(file: str) -> str:
    """Return folder and name.

    Examples
    --------
    >>> _key("a/Demo-01.NII.gz")
    'a/demo_01'
    """
    return f"{file.rpartition('/')[0]}/{_plain(image_stem(file))}"


def _key_of_label(file: str) -> str:
    """Return folder and name without the word of a label, and without who drew it.

    Examples
    --------
    >>> _key_of_label("a/Case00_manual_seg.nii.gz")
    'a/case00'
    """
    folder, _, rest = without(file, LABEL_WORDS).rpartition("/")
    while _BY_WHOM.search(rest):
        rest = _BY_WHOM.sub("", rest)
    return f"{folder}/{rest}"


def _plain(name: str) -> str:
    """Return a name in small letters with "_" between its words."""
    return _BREAK.sub("_", name.lower()).strip("_")


def _by_words(root: Path, told: _Told) -> Layout | None:
    """Pair what is left of images' names without their words with that of labels' names."""
    clashes: dict[str, str] = {}
    labels = one_each((pair for pair in told.labels if pair[0] in told.images), clashes)
    if not labels:
        return None
    rows = [
        Row(image_stem(file), (file,), labels.get(key), pixel=pixel_of(root, file))
        for key, file in sorted(told.images.items())
    ]
    words = f"{word_of(rows[0].images[0], IMAGE_WORDS)} and "
    words += word_of(next(iter(labels.values())), LABEL_WORDS)
    said = f"images and labels in one folder, told by the words {words}"
    return Layout(rows, said, clashes=clashes)


def _by_whole_names(root: Path, told: _Told) -> Layout | None:
    """Pair images with labels whose names begin with the whole of theirs; a class may follow."""
    clashes: dict[str, str] = {}
    images = sorted([*told.images.values(), *told.others])
    names = {_key(file): file for file in reversed(images)}
    found = masks_by_class(names, told.labels, clashes)
    if not found:
        return None
    masks = {names[name]: _by_class(name, own, clashes) for name, own in found.items()}
    for file in images:
        if (first := names[_key(file)]) != file and first in masks:
            clashes |= dict.fromkeys(masks[first].values(), _two(first, file))
    classes = sorted({kind for own in masks.values() for kind in own if kind})
    rows = [
        Row(image_stem(file), (file,), _label(masks.get(file, {}), classes))
        for file in images
        if file in masks
    ]
    for row in rows:
        row.pixel = pixel_of(root, row.images[0])
    said = "labels beside their images, called as they are and a word more"
    layout = Layout(rows, said, clashes=clashes)
    layout.classes = dict(enumerate(classes, start=1)) if len(classes) > 1 else None
    layout.kind = "" if len(classes) > 1 else "".join(classes)
    return layout


def _by_class(image: str, own: dict[str, str], clashes: dict[str, str]) -> dict[str, str]:
    """Return class -> mask, or "" -> the label that has all of them."""
    if "" in own:
        return {"": own[""]}
    clashes |= drawn_again(image, own)
    united = unions(own)
    return {kind: mask for kind, mask in own.items() if kind not in united}


def _label(own: Mapping[str, str], classes: list[str]) -> str | dict[str, str] | None:
    return (dict(own) or None) if len(classes) > 1 else next(iter(own.values()), None)


@dataclass
class _Group:
    """One case: contrast in small letters -> image, and the label of all."""

    name: str
    label: str | None = None
    files: dict[str, str] = field(default_factory=dict)


def _by_contrasts(root: Path, told: _Told, channels: Sequence[str]) -> Layout | None:
    """Join the images of a folder whose names begin as that of a label does, or all of them."""
    clashes: dict[str, str] = {}
    asked = {_plain(name): name for name in channels if re.search(r"[^\W\d_]", name)}
    groups, alone = _grouped([*told.images.values(), *told.others], told.labels, clashes)
    wanted = _wanted(groups, asked) if groups else asked if len(asked) > 1 else {}
    if wanted:
        groups += _unlabelled(alone, wanted)
    elif any(len(group.files) > 1 for group in groups):
        return None
    rows = [
        _row_of(root, group, wanted)
        for group in groups
        if {*wanted} <= {""} or wanted.keys() & group.files
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: row.images[0])
    said = "an image and its label in one folder"
    if wanted:
        said = f"a file a contrast: {', '.join(wanted.values())} are the channels of a case"
    return Layout(rows, said, channels=[*wanted.values()], clashes=clashes)


def _grouped(
    images: list[str], labels: list[tuple[str, str]], clashes: dict[str, str]
) -> tuple[list[_Group], list[str]]:
    """Return the images of each label, and those of none."""
    groups = {key: _Group("", label) for key, label in one_each(labels, clashes).items()}
    alone = []
    for file in images:
        folder, _, stem = _key(file).rpartition("/")
        begins = (stem[:end] for end in _breaks(stem) if f"{folder}/{stem[:end]}" in groups)
        if (own := next(begins, None)) is None:
            alone.append(file)
            continue
        group = groups[f"{folder}/{own}"]
        contrast = stem[len(own) :].strip("_") if own else _beyond_folder(folder, stem)
        group.name = _before(file, contrast)
        if (first := group.files.setdefault(contrast, file)) != file:
            clashes[str(group.label)] = _two(first, file)
    for group in groups.values():
        # What is called as its folder is the image, and what lies beside it no contrast.
        group.files = {"": group.files[""]} if "" in group.files else group.files
    return [group for group in groups.values() if group.files], alone


def _breaks(stem: str) -> list[int]:
    """Return where a name may end before one of its words, the last first; 0 before all."""
    return [0, *(mark.start() for mark in re.finditer("_", stem))][::-1]


def _two(one: str, other: str) -> str:
    return f"'{one}' and '{other}' are two images of one name"


def _beyond_folder(folder: str, stem: str) -> str:
    """Return what a name says more than that of its folder."""
    own = _plain(PurePosixPath(folder).name)
    return stem[len(own) :].strip("_") if f"{stem}_".startswith(f"{own}_") else stem


def _before(file: str, contrast: str) -> str:
    """Return a name without the contrast at its end; that of its folder where nothing is left."""
    stem = image_stem(file)
    return stem[: len(stem) - len(contrast)].rstrip("_-. ") or PurePosixPath(file).parent.name


def _wanted(groups: list[_Group], asked: dict[str, str]) -> dict[str, str]:
    """Return contrast -> its spelling, of those that are channels: asked for, or in most cases.

    Unasked only known contrasts are, and no times or slices of one name.
    """
    times = Counter(contrast for group in groups for contrast in group.files)
    if len(times) == 1 or all(len(group.files) == 1 for group in groups):
        return {}
    if known := {name: spelled for name, spelled in asked.items() if name in times}:
        return known
    often = sorted(name for name, n in times.items() if n > len(groups) / 2)
    if not all(map(CONTRAST.fullmatch, often)):
        return {}
    files = {name: file for group in groups for name, file in group.files.items()}
    return {name: image_stem(files[name])[-len(name) :] for name in often}


def _unlabelled(images: list[str], wanted: Iterable[str]) -> list[_Group]:
    """Return cases without a label: images whose names end with contrasts."""
    found: dict[str, _Group] = {}
    for file in images:
        key = _key(file)
        contrast = next((name for name in wanted if key.endswith((f"_{name}", f"/{name}"))), "")
        if contrast:
            group = found.setdefault(key[: -len(contrast)], _Group(_before(file, contrast)))
            group.files[contrast] = file
    return [*found.values()]


def _row_of(root: Path, group: _Group, wanted: Mapping[str, str]) -> Row:
    files = [group.files[name] for name in wanted or group.files if name in group.files]
    missing = tuple(k for k, name in enumerate(wanted) if name not in group.files)
    return Row(group.name, tuple(files), group.label, {}, pixel_of(root, files[0]), missing)
