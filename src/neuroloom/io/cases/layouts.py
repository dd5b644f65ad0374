"""How images and labels lie in a folder: what a layout is, and those that need no recognising."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.images import image_stem, image_suffix, is_image, peek_image

IMAGE_WORDS = (
    "images",
    "image",
    "imgs",
    "img",
    "raw",
    "imagestr",
    "scans",
    "em",
    "volume",
    "input",
)
IMAGE_FOLDERS = (*IMAGE_WORDS, "jpegimages")
LABEL_WORDS = (
    "labels", "label", "cp_masks", "masks", "mask", "labelstr", "seg", "segs", "segmentations",
    "segmentation", "annotations", "groundtruth", "gt", "truth", "labelled", "labeled",
)  # fmt: skip
_SKIPPED = ("derivatives", "sourcedata", "__MACOSX", "imagesTs", "labelsTs")
CHANNEL = re.compile(r"^(.+)_(\d{4})$")
# What says who drew a mask, how, or which of several it is: no part of what it shows.
_DRAWER = re.compile(
    r"(?:^|(?<=[_\-. ]))(?:(?:rater|reader|annotator|observer|grader|expert)[_\-. ]?(?:\d+|[a-z])?"
    r"|(?-i:v\d+)|manual|auto(?:matic)?|\d+|\d+(?:st|nd|rd|th)[a-z]*)(?=[_\-. ]|$)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"[_\-. ]?\d+$")
# Suffixes of BIDS for what an image shows, and what else these contrasts are called.
CONTRAST = re.compile(
    r"(?:inplane)?(?:T[12]|T2star|PD)(?:w|wks|map|rho|c|ce|gd|k|n|f)?|R[12](?:star)?map|PDT2|UNIT1"
    r"|MP2RAGE|FLAIR|FLASH|MT(?:R|sat|V|W)(?:map)?|angio|swi|psir|stir|bold|sbref|dwi|adc|asl"
    r"|m0scan|cbv|cta?|pet|oct|[TS]EM|uCT|[BD]F|DIC|FLUO|CONF|PLI|CARS|[2M]PE|NLO|SPIM|XPCT",
    re.IGNORECASE,
)


class NothingMatchesError(DataError):
    """Globs of images or labels that no file matches."""


@dataclass
class Row:
    """One case: paths are POSIX and relative to the root; `keys` become columns of the table."""

    name: str
    images: tuple[str, ...]
    label: str | dict[str, str] | tuple[str, ...] | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    pixel: tuple[tuple[float, ...], str] | None = None
    missing: tuple[int, ...] = ()  # places of the channels that no file holds
    names: dict[int, str] = field(default_factory=dict)  # of the numbers of this label
    named: bool = False  # by a table, and not after its file
    place: str = ""  # the folder in which its folder of images and that of labels lie
    folders: tuple[str, str] = ("", "")  # what these two are called there


@dataclass
class Layout:
    """What a folder was recognised as; `each_a_subject` where every case is another subject.

    `names` are those of numbers that labels may hold, where `classes` do not declare all of them.
    `tells_contrasts`: the key `contrast` is what names of files say, and no column of a user's own.
    `colours` number what labels are painted in, where a file beside them says so.
    `alone` are labels without an image; `clashes` say of a label which other is of its image.
    """

    rows: list[Row]
    sentence: str
    notes: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    classes: dict[int, str] | None = None
    names: dict[int, str] = field(default_factory=dict)
    kind: str = ""  # what the masks are called where there is one a case, of a class or of several
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    painted: tuple[int, ...] = ()
    colours: dict[tuple[int, int, int], int] = field(default_factory=dict)
    ignore: int | None = None
    strict: bool = False
    each_a_subject: bool = False
    tells_contrasts: bool = False
    alone: list[str] = field(default_factory=list)
    clashes: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)  # of what was passed over, to be warned of

    def unlabelled(self) -> Layout:
        """Return the same without labels and what is declared of them."""
        rows = [replace(row, label=None, names={}) for row in self.rows]
        none: dict[str, Any] = {"classes": None, "names": {}, "kind": "", "regions": {}}
        none |= {"painted": (), "colours": {}, "alone": [], "clashes": {}}
        return replace(self, rows=rows, ignore=None, strict=False, **none)


def listed(root: Path, folder: Path | None = None) -> list[str]:
    """Return the images below a folder, relative to `root`: files, Zarr stores, DICOM folders."""
    found: list[str] = []
    for item in sorted((folder or root).iterdir()):
        if is_passed_over(item):
            continue
        if item.is_dir() and not is_image(item):
            found += listed(root, item)
        elif is_image(item) and not _is_half(item):
            found.append(item.relative_to(root).as_posix())
    return found


def by_globs(
    root: Path,
    images: Sequence[str] | Mapping[str, str],
    labels: Sequence[str] | Mapping[str, str],
    *,
    labelled: bool = True,
    incomplete: bool = False,
) -> Layout:
    """Pair what matches globs by the part of the name that varies.

    A mapping of images names channels, one of labels names classes; lists are alternatives. What
    both match is what leaves less of its name to vary, and a mask of two of the classes in one is
    no image. Without `labelled`, labels may be missing; if `incomplete`, all images but those of
    one channel.
    """
    every = listed(root)
    channels = list(images) if isinstance(images, Mapping) else []
    wanted = _glob_groups(images)
    masks = [_matching(root, every, globs, needed=labelled) for globs in _glob_groups(labels)]
    taken = {file: len(key) for group in masks for key, file in group.items()}
    there = any(_matching(root, every, globs, needed=False) for globs in wanted)
    needed = not (incomplete and there)
    matches = [
        _less_labels(_matching(root, every, globs, needed=needed), taken) for globs in wanted
    ]
    classes = list(labels) if isinstance(labels, Mapping) else []
    united = _united(dict(zip(classes, masks, strict=False)))
    passed = sorted({file for group in matches for file in group.values() if file in united})
    matches = [{k: f for k, f in group.items() if f not in united} for group in matches]
    keys = sorted(set().union(*matches))
    rows = []
    for key in keys:
        paths = tuple(group[key] for group in matches if key in group)
        label = _label_of([group.get(key) for group in masks], classes)
        name = key if key and len(matches) > 1 else image_stem(paths[0])
        missing = tuple(k for k, group in enumerate(matches) if key not in group)
        pixel = pixel_of(root, paths[0])
        rows.append(Row(name, paths, label, missing=missing, pixel=pixel))
    alone = sorted(group[key] for group in masks for key in group if key not in keys)
    said = f"globs {', '.join(_flat(images))} with {', '.join(_flat(labels)) or 'no labels'}"
    said += ", paired by what varies in the names"
    notes = [f"Masks that hold two classes in one were passed over: {few(passed)}."]
    numbers = dict(enumerate(classes, start=1)) or None
    return Layout(rows, said, notes * bool(passed), channels=channels, classes=numbers, alone=alone)


def images_only(
    root: Path, n_channels: int = 0, folder: Path | None = None, *, incomplete: bool = False
) -> Layout:
    """Take every image as a case without a label, or NAME_0000, NAME_0001 … as one of channels.

    Those below `folder` are taken; None: below `root`. If `incomplete`, a case may lack some of
    `n_channels`.
    """
    every = listed(root, folder)
    if not every:
        left = [item.name for item in sorted(root.iterdir()) if item.name in _SKIPPED]
        but = f" but in {few(left)}, where none is looked for" if left else ""
        raise DataError(f"{root}: no image or volume is in this folder or below it{but}.")
    if numbered := _numbered(root, every, n_channels, incomplete=incomplete):
        rows = [_of_channels(root, place, files) for place, files in numbered.items()]
        lacking = few(row.name for row in rows if row.missing)
        notes = [f"There are files of fewer channels than {n_channels} of {lacking}."]
        said = "images without labels, a file a channel (NAME_0000, NAME_0001 …)"
        return Layout(rows, said, notes * bool(lacking))
    rows = [Row(image_stem(file), (file,), pixel=pixel_of(root, file)) for file in every]
    return Layout(rows, "images without labels")


def _of_channels(root: Path, place: str, files: Sequence[str | None]) -> Row:
    """Return a case of a file a channel, None for one that is not there."""
    there = tuple(file for file in files if file is not None)
    missing = tuple(k for k, file in enumerate(files) if file is None)
    name = place.rpartition("/")[2]
    return Row(name, there, missing=missing, pixel=pixel_of(root, there[0]))


def _numbered(
    root: Path, files: list[str], n_channels: int, *, incomplete: bool
) -> dict[str, list[str | None]]:
    """Return place -> channels if all files are named as nnU-Net's new cases are, else nothing.

    Several files of a single name may as well be several cases, unless there are `n_channels`, or
    fewer from 0000 on; and so may files that hold several channels themselves.
    """
    found: dict[str, dict[str, str]] = {}
    for file in files:
        match = CHANNEL.match(place_of(file))
        if match is None:
            return {}
        found.setdefault(match[1], {})[match[2]] = file
    there = {number for channels in found.values() for number in channels}
    numbers = [f"{k:04d}" for k in range(n_channels or len(there))]
    known = there <= {*numbers} and (n_channels > 0 or len(found) > 1)
    whole = all(len(channels) == len(numbers) for channels in found.values())
    lacking = incomplete and n_channels > 0 and (len(found) > 1 or numbers[0] in there)
    if not known or not (whole or lacking):
        return {}
    if n_channels > 1 and any(_holds_channels(root / file) for file in files):
        return {}
    return {place: [own.get(number) for number in numbers] for place, own in found.items()}


def _holds_channels(file: Path) -> bool:
    """Tell whether an image has several channels; what cannot be read the audit names."""
    with suppress(DataError):
        return len(peek_image(file).channels) > 1
    return False


def single(path: Path) -> Layout:
    """Take one file as one case without a label."""
    pixel = pixel_of(path.parent, path.name)
    return Layout([Row(image_stem(path), (path.name,), pixel=pixel)], "one image")


def one_each(labels: Iterable[tuple[str, str]], clashes: dict[str, str]) -> dict[str, str]:
    """Return name of an image -> its label; where two are of one, `clashes` says so."""
    found: dict[str, str] = {}
    for name, label in labels:
        if (first := found.setdefault(name, label)) != label:
            clashes[first] = clash(first, label, name)
    return found


def clash(one: str, other: str, name: str) -> str:
    """Say that two labels are of one image, or of one class of it."""
    return f"'{one}' and '{other}' would both be the label of {name.strip('/')}"


def drawn_again(name: str, masks: dict[str, str]) -> dict[str, str]:
    """Return label -> what clashes with it, of masks (word -> file) whose words are no classes.

    Examples
    --------
    >>> list(drawn_again("a", {"rater1": "a_rater1.png", "rater2": "a_rater2.png"}))
    ['a_rater1.png']
    >>> drawn_again("a", {"axon-manual": "a_axon-manual.png", "glia-manual": "a_glia-manual.png"})
    {}
    >>> list(drawn_again("a", {"axon": "a_axon.png", "axon2": "a_axon2.png"}))
    ['a_axon.png']
    >>> drawn_again("a", {"CA1": "a_CA1.png", "CA3": "a_CA3.png"})
    {}
    """
    shown = {word: _DRAWER.sub("", word).strip("_-. ").casefold() for word in masks}
    return {
        masks[one]: clash(masks[one], masks[other], name)
        for one, other in combinations(masks, 2)
        if _show_the_same(shown[one], shown[other])
    }


def _show_the_same(one: str, other: str) -> bool:
    copies = _NUMBERED.sub("", one) == other or _NUMBERED.sub("", other) == one
    return one == other or copies or not (one and other)


def unions(kinds: Iterable[str]) -> set[str]:
    """Return the classes that are two of the others in one: their masks hold nothing more.

    Examples
    --------
    >>> unions(["axon", "axonmyelin", "myelin"]), unions(["axon", "axonmyelin"])
    ({'axonmyelin'}, set())
    """
    known = set(kinds)
    return known & _two_in_one(known)


def _two_in_one(kinds: Iterable[str]) -> set[str]:
    """Return what a mask of two of the classes is called."""
    return {one + other for one, other in permutations(kinds, 2)}


def name_and_class(place: str, names: Container[str]) -> tuple[str, str]:
    """Return the longest name that a place begins with, and the word of letters after it.

    Examples
    --------
    >>> name_and_class("a_1_axon", ["a", "a_1"]), name_and_class("a_1", ["a"])
    (('a_1', 'axon'), ('', ''))
    """
    for mark in reversed([*re.finditer(r"[_\-. ]", place)]):
        name, kind = place[: mark.start()], place[mark.end() :]
        if name in names and re.search(r"[^\W\d_]", kind):
            return name, kind
    return "", ""


def masks_by_class(
    names: Container[str], labels: Iterable[tuple[str, str]], clashes: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return name of an image -> class -> mask, of labels that are called so and a word more.

    Parameters
    ----------
    labels
        What each is called, and its file; the class of one that is called as an image is "".
    clashes
        Where two masks are of one class, what is said of them is added.
    """
    found: dict[str, dict[str, str]] = {}
    for place, mask in labels:
        name, kind = (place, "") if place in names else name_and_class(place, names)
        if name and (first := found.setdefault(name, {}).setdefault(kind, mask)) != mask:
            clashes[first] = clash(first, mask, f"{name}, {kind}".strip(", "))
    return found


def few(names: Iterable[str]) -> str:
    """Return the first five names, and how many more there are."""
    listed_names = list(names)
    more = f" and {len(listed_names) - 5} more" if len(listed_names) > 5 else ""
    return ", ".join(listed_names[:5]) + more


def unlike_channels(count: int, expected: int, names: Iterable[str] = ()) -> str:
    """Return what is said where a case has more or fewer channels than are expected.

    Examples
    --------
    >>> unlike_channels(1, 2, ["T1", "T2"]), unlike_channels(3, 1)
    ('1 channel, expected 2: T1, T2', '3 channels, expected 1')
    """
    listed_names = ", ".join(names)
    said = f"{count} channel{'s' * (count != 1)}, expected {expected}"
    return f"{said}: {listed_names}" if listed_names else said


def included(file: str, include: Sequence[str]) -> bool:
    """Tell whether a relative path matches one of the globs, on its name unless they hold "/"."""
    name = file.rsplit("/", 1)[-1]
    return not include or any(fnmatchcase(file if "/" in glob else name, glob) for glob in include)


def _glob_groups(globs: Sequence[str] | Mapping[str, str]) -> list[list[str]]:
    """Return one group of globs a channel or class."""
    if isinstance(globs, Mapping):
        return [[one] if isinstance(one, str) else list(one) for one in globs.values()]
    if isinstance(globs, str):
        return [[globs]]
    return [list(globs)] if globs else []


def _flat(globs: Sequence[str] | Mapping[str, str]) -> list[str]:
    return [glob for group in _glob_groups(globs) for glob in group]


def _matching(
    root: Path, every: list[str], globs: Sequence[str], *, needed: bool = True
) -> dict[str, str]:
    """Return the varying part of a name -> file; `needed`: there must be one."""
    found: dict[str, str] = {}
    for glob in globs:
        pattern = re.compile(re.sub(r"\.\*", "(.*)", translate(glob)))
        for file in every:
            match = pattern.match(file if "/" in glob else file.rsplit("/", 1)[-1])
            if not match:
                continue
            key = "_".join(dict.fromkeys(part for part in match.groups() if part))
            if found.setdefault(key, file) != file:
                raise DataError(
                    f"{root}: '{found[key]}' and '{file}' both match {', '.join(globs)} with "
                    f"'{key}'; narrow the globs, or name them: {{'T1': …, 'T2': …}}."
                )
    if needed and not found:
        names = [file.rsplit("/", 1)[-1] for file in every]
        raise NothingMatchesError(
            f"{root}: nothing matches {', '.join(globs)}; there are {few(every) or 'no images'}."
            f"{nearest(globs[0], names)}"
        )
    return found


def _less_labels(found: dict[str, str], taken: Mapping[str, int]) -> dict[str, str]:
    """Leave out files of which the glob of a label leaves less to vary; `taken`: file -> length."""
    return {key: file for key, file in found.items() if len(key) <= taken.get(file, len(key))}


def _united(masks: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Return what files would be called that are masks of two classes in one.

    Parameters
    ----------
    masks
        Class -> key -> its mask; the words of two classes then stand where one does.

    Examples
    --------
    >>> found = _united({"axon": {"a": "1/a_axon.png"}, "myelin": {"a": "1/a_myelin.png"}})
    >>> sorted(found)
    ['1/a_axonmyelin.png', '1/a_myelinaxon.png']
    """
    found, both = set(), _two_in_one(masks)
    for kind, own in masks.items():
        for file in own.values():
            folder, slash, name = file.rpartition("/")
            before, word, after = name.rpartition(kind)
            found |= {f"{folder}{slash}{before}{two}{after}" for two in both if word}
    return found


def _label_of(there: list[str | None], classes: list[str]) -> str | dict[str, str] | None:
    """Return the label, or class -> mask of those that are there; None without any."""
    if classes:
        named = zip(classes, there, strict=True)
        return {name: path for name, path in named if path is not None} or None
    return there[0] if there else None


def folders(folder: Path, depth: int) -> list[Path]:
    """Return the folders below one, `depth` of them deep, that are no image themselves."""
    inside = [
        item
        for item in sorted(folder.iterdir())
        if item.is_dir() and not is_passed_over(item) and not is_image(item)
    ]
    return inside + [deep for item in inside if depth > 1 for deep in folders(item, depth - 1)]


def place_of(file: str) -> str:
    """Return folder and stem."""
    head, _, name = file.rpartition("/")
    return f"{head}/{image_stem(name)}".strip("/")


def without(file: str, words: tuple[str, ...]) -> str:
    """Return folder and name without the word that makes it an image or a label; "" without one."""
    word = word_of(file, words)
    if not word:
        return ""
    head, _, name = file.rpartition("/")
    return f"{head}/{bare(name, (word,)).lower()}"


def bare(name: str, words: tuple[str, ...]) -> str:
    """Return a name without one of the words, if it holds any, with "_" between the others.

    Examples
    --------
    >>> bare("WT-1 images", IMAGE_WORDS), bare("WT", IMAGE_WORDS)
    ('WT_1', 'WT')
    """
    stem, word = name.removesuffix(image_suffix(name)), word_of(name, words)
    rest = re.sub(_pattern(word), "", stem, count=1, flags=re.IGNORECASE) if word else stem
    return re.sub(r"[_\-. ]+", "_", rest).strip("_")


def word_of(file: str, words: tuple[str, ...]) -> str:
    """Return the first of the words that a name holds; "" without one."""
    stem = image_stem(file).lower()
    return next((word for word in words if re.search(_pattern(word), stem)), "")


def _pattern(word: str) -> str:
    return rf"(?:^|(?<=[_\-. ])){word}(?=[_\-. \d]|$)"


def pixel_of(root: Path, file: str) -> tuple[tuple[float, ...], str] | None:
    """Return what a text file beside an image of any name says of its pixels."""
    return pixel_beside(root, file, without(file, IMAGE_WORDS) or place_of(file))


def pixel_beside(root: Path, file: str, key: str) -> tuple[tuple[float, ...], str] | None:
    """Return the size of a pixel in µm from a text file, as AxonDeepSeg keeps it beside images."""
    own = key.rsplit("/", 1)[-1]
    names = (f"{own}_pixel_size_um.txt", f"{own}_pixel.txt", "pixel_size_in_micrometer.txt")
    place = (root / file).parent
    path = next((place / name for name in names if (place / name).is_file()), None)
    if path is None:
        return None
    text = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e4:
        raise DataError(f"{path}: expected the size of a pixel in µm, got '{text[:40]}'.")
    return (size, size), "um"


def _is_half(item: Path) -> bool:
    """Tell an .img or .hdr whose other half is listed; .img stands for both."""
    ending = image_suffix(item).lower()
    if ending not in (".hdr", ".hdr.gz"):
        return False
    return item.with_name(image_stem(item) + ending.replace("hdr", "img")).exists()


def is_passed_over(item: Path) -> bool:
    """Tell what holds no data of a user's own.

    Hidden files, side folders, runs, what a run made of other data, and links that lead back up.
    """
    if item.name.startswith(".") or item.name in _SKIPPED:
        return True
    if item.is_symlink() and item.is_dir():
        return item.resolve() in [above.resolve() for above in item.absolute().parents]
    made = ("recipe.yaml", "predictions.parquet")
    return (item / "status.json").is_file() and any((item / name).is_file() for name in made)
