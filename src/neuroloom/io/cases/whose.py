"""What layouts of folders leave open, decided once for all: images in no row, whose, which side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from neuroloom.core.split import side_of
from neuroloom.io.cases.layouts import (
    IMAGE_FOLDERS,
    IMAGE_WORDS,
    LABEL_WORDS,
    Layout,
    Row,
    bare,
    few,
    included,
    listed,
    pixel_of,
    word_of,
)
from neuroloom.io.cases.model import label_paths
from neuroloom.io.images import image_stem, image_suffix
from neuroloom.io.recordings.find import compile_pattern

# How names say whose an image is, and of which visit: BIDS, the archives BraTS 2023, OASIS 1 to 3,
# ADNI and TCGA, and a word for somebody with a number, such as patient001_frame01 of ACDC.
_PEOPLE = tuple(
    re.compile(f"{pattern}(?=[-_. ]|$)", re.IGNORECASE)
    for pattern in (
        r"sub-(?P<subject>[a-z0-9]+)(?:_ses-(?P<session>[a-z0-9]+))?",
        r"(?P<subject>BraTS-[a-z]+-\d+)-(?P<session>\d+)",
        r"(?P<subject>OAS[12]_\d{4})_MR(?P<session>\d+)",
        r"(?P<subject>OAS3\d{4})_(?:[a-z]+_)?(?P<session>d\d{4})",
        r"(?:ADNI_)?(?P<subject>\d{3}_S_\d{4})",
        r"(?P<subject>TCGA[-_][a-z0-9]{2}[-_][a-z0-9]{4})",
        r"(?P<subject>(?:patient|subject|participant|volunteer|donor|monkey|mouse|rat|animal)"
        r"[-_ ]?\d+)",
    )
)


def completed(layout: Layout, root: Path, include: Sequence[str] = (), *, labelled: bool) -> Layout:
    """Return what a layout recognised in part with the images it left, people and sides.

    Of images that `include` leaves out nobody is warned.
    """
    passed = _take_left(layout, root, labelled=labelled)
    _tell_more_elsewhere(layout, passed, include)
    _tell_people(layout)
    tell_people_by_name(layout)
    _tell_sides(layout)
    return layout


def _take_left(layout: Layout, root: Path, *, labelled: bool) -> list[str]:
    """Make cases of images that no row uses, where labels are not wanted; return the others.

    Where every image lies in a folder called images, others outside of such are left. What is
    called as a label is no image, and of channels in files of their own no file is a case.
    """
    used = {file for row in layout.rows for file in (*row.images, *label_paths(row.label))}
    left = [file for file in listed(root) if file not in used.union(layout.alone)]
    alike = all(_in_images(row.images[0]) for row in layout.rows)
    new = [
        file
        for file in left
        if not (labelled or layout.channels or _may_be_label(file))
        and (_in_images(file) or not alike)
    ]
    layout.rows += [Row(image_stem(file), (file,), pixel=pixel_of(root, file)) for file in new]
    if passed := [file for file in left if file not in {*new}]:
        layout.notes.append(f"Files that pair with none were passed over: {few(passed)}.")
    return passed


def _tell_more_elsewhere(layout: Layout, passed: list[str], include: Sequence[str]) -> None:
    """Doubt that a data set was meant beside which there are more images than in it."""
    rows = [row for row in layout.rows if any(included(file, include) for file in row.images)]
    places = {row.place for row in rows}
    inside = tuple(f"{place}/" for place in places)
    far = [f for f in passed if not f.startswith(inside) and included(f, include)]
    if {"", "."} & places or len(far) <= sum(len(row.images) for row in rows):
        return
    layout.doubts.append(
        f"Images with labels lie in {few(sorted(places))} only; {len(far)} elsewhere, more than "
        f"these, were passed over: {few(far)}. Give the folder that is meant."
    )


def _in_images(file: str) -> bool:
    return any(part.lower() in IMAGE_FOLDERS for part in file.split("/")[:-1])


def _may_be_label(file: str) -> bool:
    """Tell what its name, or that of a folder of it, calls a label."""
    parts = file.lower().split("/")
    return any("mask" in part or "manual" in part or word_of(part, LABEL_WORDS) for part in parts)


def _tell_people(layout: Layout) -> None:
    """Let the outermost folder but for sides of a split say whose a case is.

    It does where each case has one of its own, or is called as it and a word more. Several days or
    slices in the folder of one person are not told from people in that of a site: nobody is named.
    """
    rows = layout.rows
    places = [PurePosixPath(row.images[0]).parent.parts for row in rows]
    inside = [[part for part in place if not _has_side(part)] for place in places]
    if layout.each_a_subject or not all(inside):
        return
    names = [place[0] for place in inside]
    apart = {(side_in(row.images[0]), name) for row, name in zip(rows, names, strict=True)}
    begin = all(row.name.startswith(name) for row, name in zip(rows, names, strict=True))
    if len(apart) > 1 and (begin or len(apart) == len(rows)):
        for row, name, person in zip(rows, names, _people(names), strict=True):
            row.keys |= {"subject": name, **person}
        layout.sentence += "; whose each is, its folder says"


def tell_people_by_name(layout: Layout) -> None:
    """Let several cases that are called as one person's be that person's."""
    rows = layout.rows
    people = _people([row.name for row in rows])
    known = any(row.keys.get("subject") not in (None, "") for row in rows)
    if known or not any(people) or not (layout.each_a_subject or all(people)):
        return
    for row, person in zip(rows, people, strict=True):
        row.keys |= {key: value for key, value in person.items() if not row.keys.get(key)}
    of_each = "; each case counts as a subject"
    layout.sentence = layout.sentence.removesuffix(of_each) + "; whose each is, its name says"


def _people(names: Sequence[str]) -> list[dict[str, str]]:
    """Return what each name says of somebody; nothing where none or all are one person's."""
    people = [person_in(name) for name in names]
    apart = {person.get("subject", name) for person, name in zip(people, names, strict=True)}
    return people if 1 < len(apart) < len({*names}) else [{} for _ in names]


def person_in(name: str) -> dict[str, str]:
    """Return the subject, and the session if there is one, that a name begins with; else nothing.

    Examples
    --------
    >>> person_in("sub-01_ses-2_T1w"), person_in("patient001_frame12"), person_in("img_001")
    ({'subject': '01', 'session': '2'}, {'subject': 'patient001'}, {})
    """
    found = next((match for form in _PEOPLE if (match := form.match(name))), None)
    return {key: value for key, value in found.groupdict().items() if value} if found else {}


def _has_side(folder: str) -> bool:
    """Tell train and stage1_train from a person's BraTS20_Training_001."""
    words = re.split(r"[_\-. ]", folder)
    return bool(side_of(words[0]) or side_of(words[-1]))


def _tell_sides(layout: Layout) -> None:
    """Say on which side of a split each case is, and give Train/1 and Test/1 their own subjects.

    Those on one side, such as t1/1 and t2/1, may be of one subject, and stay together.
    """
    on: dict[str, set[str]] = {}
    told = []
    for row in layout.rows:
        who = row.keys.get("subject") or (row.name if layout.each_a_subject else "")
        told.append((row, side_in(row.images[0]), who))
        on.setdefault(who, set()).add(told[-1][1])
    for row, side, who in told:
        row.keys |= {"split": side} if side else {}
        if side and who and len(on[who]) > 1:
            row.keys["subject"] = f"{side}_{who}"


def keys_in(name: str, pattern: str) -> dict[str, str]:
    """Return what a pattern reads from the name of an image; empty where it does not fit.

    A pattern without the ending of an image fits names with and without one.

    Raises
    ------
    ConfigError
        If it is no pattern.

    Examples
    --------
    >>> keys_in("P01/left_eye.png", "{subject}/*"), keys_in("P01/left_eye.png", "{subject}_*")
    ({'subject': 'P01'}, {})
    """
    if not image_suffix(pattern):
        name = name.removesuffix(image_suffix(name))
    match = compile_pattern(pattern).fullmatch(name)
    return match.groupdict() if match else {}


def side_in(file: str) -> str:
    """Return the first folder of a path that is called as a side of a split; "" without one.

    Examples
    --------
    >>> side_in("a/Test/images/1.png"), side_in("train_images/1.png"), side_in("a/test.png")
    ('Test', 'train', '')
    """
    names = (bare(part, IMAGE_WORDS) for part in file.split("/")[:-1])
    return next((name for name in names if side_of(name)), "")
