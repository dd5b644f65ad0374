"""BIDS with derivatives, and data sets whose names follow it: sub-* folders, key-value names.

Source: https://bids-specification.readthedocs.io (MR, CT, microscopy).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from neuroloom.core.errors import DataError
from neuroloom.io import bids
from neuroloom.io.cases.layouts import (
    CONTRAST,
    Layout,
    Row,
    clash,
    drawn_again,
    few,
    is_passed_over,
    listed,
    unions,
)
from neuroloom.io.images import image_stem, is_image
from neuroloom.io.names import MISSING, says_who

_KIND = re.compile(
    r"_(?:(?:seg|label|desc)-|(?=(?:lesion|gmseg)-manual))"
    r"([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)(?:_(?:mask|seg|dseg|probseg))?$"
)
# Labels, the first of which that are there count: drawn, the brain, probabilities. Points are none.
_BRAIN = re.compile(r"_desc-brain_mask$")
_SOFT = re.compile(r"_probseg$")
_POINTS = re.compile(r"_dlabel$")
_DRAWN = re.compile(
    r"_(?:dseg|(?<!desc-brain_)mask|msk|seg)$|_(?:lesion|gmseg)-manual$"
    r"|_(?:seg|label)-(?!.*_(?:probseg|dlabel)$)"
)
# Keys of BIDS that say what a label shows, and not on which image.
_SHOWS = ("label", "desc", "seg", "atlas", "hemi")
_PLAIN_KINDS = ("manual", "seg", "mask")
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "mm": 1e3}


def by_bids(root: Path, channels: Sequence[str] = ()) -> Layout | None:
    """Recognise BIDS: sub-* folders with images, labels in derivatives/labels or another one.

    Every image is a case, unless `channels` name contrasts (the last word of a name, T1w), or "*"
    for all of them: then the images of one subject and session are the channels of one case.
    """
    home = _home(root)
    if home is None:
        return None
    every = _of_people(root, home)
    images = [file for file in every if not _is_any(file, _DRAWN, _BRAIN, _SOFT, _POINTS)]
    if not images:
        return None
    folder, masks = _masks(root, every)
    joined = _joined(images, channels)
    groups = _groups(images, joined) if joined else [_Group(image_stem(f), {"": f}) for f in images]
    clashes: dict[str, str] = {}
    owners, other = _owners(images, groups, masks, clashes)
    classes = sorted({kind for kinds in owners.values() for kind in kinds})
    sidecars = _Sidecars(root)
    rows = []
    for group in groups:
        there = owners.get(group.name, {})
        named = {kind: there[kind] for kind in classes if kind in there}
        label = (named or None) if len(classes) > 1 else next(iter(named.values()), None)
        rows.append(_bids_row(sidecars, group, joined, label))
    notes = [*_passed_over(images, groups), *_nested(root), *_join(home, rows)]
    if other:
        notes.append(f"Atlases beside a plain dseg were passed over: {few(other)}.")
    used = {mask for kinds in owners.values() for mask in kinds.values()}
    passed = used.union(other)
    united = unions(_kind(image_stem(mask)) for mask in masks)
    alone = [m for m in masks if m not in passed and _kind(image_stem(m)) not in united]
    if united:
        notes.append(f"Masks that hold two classes in one were passed over: {few(sorted(united))}.")
    said = _sentence(folder, images if alone and not used else [], joined)
    layout = Layout(rows, said, notes, joined, alone=alone, clashes=clashes, tells_contrasts=True)
    if len(classes) > 1:
        layout.classes = dict(enumerate(classes, start=1))
    elif classes != ["label"]:
        layout.kind = "".join(classes)
    layout.names = _name_numbers(sidecars, rows, sorted(used))
    return layout


def _sentence(folder: str, undecided: list[str], joined: list[str]) -> str:
    """Say where the labels lie; `undecided` are images of which nothing says which they are of."""
    said = f"BIDS, labels in {folder}" if folder else "BIDS without labels"
    if joined:
        return f"{said}, the contrasts {', '.join(joined)} are the channels of a case"
    if undecided:
        contrasts = few(dict.fromkeys(map(_contrast, undecided)))
        said += (
            f", of which nothing says on which of {contrasts} they are drawn: name as `channels` "
            "those that have their grid"
        )
    return said


def _name_numbers(sidecars: _Sidecars, rows: list[Row], masks: list[str]) -> dict[int, str]:
    """Give each row what the table of its label calls the numbers; return those of all masks."""
    tables = {mask: sidecars.of(mask, ".tsv")[:1] for mask in masks}
    read = {table: bids.names_of_numbers(table) for own in tables.values() for table in own}
    names = {mask: read[table] for mask, own in tables.items() for table in own}
    for row in rows:
        if isinstance(row.label, str):
            row.names = names.get(row.label, {})
    found: dict[int, str] = {}
    for number, name in (pair for own in names.values() for pair in own.items()):
        if number not in found and name not in found.values():
            found[number] = name
    return found


@dataclass(frozen=True)
class _Group:
    """The images of one case: contrast -> file; a case of one image has no word for its own."""

    name: str
    files: dict[str, str]


def _contrast(file: str) -> str:
    """Return "T1w" of "sub-01_ses-2_T1w.nii.gz"."""
    return image_stem(file).rsplit("_", 1)[-1]


def _joined(images: list[str], channels: Sequence[str]) -> list[str]:
    """Return the contrasts that are channels; none where the names are no contrasts."""
    there = sorted({_contrast(file) for file in images})
    if list(channels) == ["*"]:
        return there
    return list(channels) if set(channels) & set(there) else []


def _groups(images: list[str], channels: list[str]) -> list[_Group]:
    """Group the contrasts of a subject and session; two of one by their names."""
    visits: dict[str, list[str]] = {}
    for file in images:
        if _contrast(file) in channels:
            visits.setdefault(_visit(file), []).append(file)
    found: dict[str, dict[str, str]] = {}
    for visit, files in visits.items():
        alone = len({_contrast(file) for file in files}) == len(files)
        for file in files:
            name = visit if alone else image_stem(file).rsplit("_", 1)[0]
            found.setdefault(name, {})[_contrast(file)] = file
    return [
        _Group(name, {own: files[own] for own in channels if own in files})
        for name, files in found.items()
    ]


def _visit(file: str) -> str:
    """Return "sub-01_ses-2"."""
    words = image_stem(file).split("_")
    return "_".join(word for word in words if word.startswith(("sub-", "ses-", "sample-")))


def _bids_row(
    sidecars: _Sidecars, group: _Group, channels: list[str], label: str | dict[str, str] | None
) -> Row:
    paths = tuple(group.files.values())
    keys = _keys(paths[0])
    if channels:
        keys["contrast"] = "+".join(group.files)
    missing = tuple(k for k, name in enumerate(channels) if name not in group.files)
    return Row(group.name, paths, label, keys, _pixel(sidecars, paths[0]), missing)


def _passed_over(images: list[str], groups: list[_Group]) -> list[str]:
    used = {file for group in groups for file in group.files.values()}
    if left := sorted({_contrast(file) for file in images if file not in used}):
        return [f"Contrasts that are no channel were passed over: {few(left)}."]
    return []


def _is_person(item: Path) -> bool:
    return item.is_dir() and item.name.startswith("sub-")


def _masks(root: Path, every: list[str]) -> tuple[str, list[str]]:
    """Return the folder under derivatives, or the images' (`every`), that has labels, and them.

    Probabilities of classes (probseg) are labels only where none are drawn.
    """
    base = root / "derivatives"
    folders = [base / "labels", *sorted(base.iterdir()), base] if base.is_dir() else []
    folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    there = {f.relative_to(root).as_posix(): _of_people(root, f) for f in folders}
    there["the folders of the images"] = every
    for kind in (_DRAWN, _BRAIN, _SOFT):
        for name, files in there.items():
            if drawn := [file for file in files if _is_any(file, kind)]:
                return name, drawn
    return "", []


def _of_people(root: Path, folder: Path) -> list[str]:
    return [file for person in _people(folder) for file in listed(root, person)]


def _people(folder: Path, depth: int = 3) -> list[Path]:
    """Return the folders of people in a folder or, where there are none, in those of its sites.

    Data sets of their own are no sites, nor are folders with the same people.
    """
    if not folder.is_dir() or not depth:
        return []
    inside = [item for item in sorted(folder.iterdir()) if item.is_dir()]
    if people := [item for item in inside if _is_person(item)]:
        return people
    sites = [item for item in inside if not is_passed_over(item) and not _is_data_set(item)]
    found = [person for site in sites for person in _people(site, depth - 1)]
    return found if len({person.name for person in found}) == len(found) else []


def _home(root: Path) -> Path | None:
    """Return the folder of people or, where all images are people's, that of sites; else None."""
    homes = [folder for folder in (root, root / "rawdata") if folder.is_dir()]
    direct = (home for home in homes if any(map(_is_person, home.iterdir())))
    sites = (home for home in homes if _people(home) and _is_whole(home))
    return next(direct, None) or next(sites, None)


def _is_whole(folder: Path) -> bool:
    """Tell a data set from a folder in which some images are people's and others are not."""
    files = (folder / "dataset_description.json", folder / "participants.tsv")
    return any(file.is_file() for file in files) or not _has_others(folder)


def _has_others(folder: Path) -> bool:
    """Tell whether there are images below a folder that lie in that of no person."""
    inside = [item for item in folder.iterdir() if not is_passed_over(item)]
    others = [item for item in inside if not _is_person(item)]
    return any(is_image(item) or item.is_dir() and _has_others(item) for item in others)


def _is_data_set(folder: Path) -> bool:
    return (folder / "dataset_description.json").is_file() or (folder / "derivatives").is_dir()


def _is_any(file: str, *kinds: re.Pattern[str]) -> bool:
    return any(kind.search(image_stem(file)) for kind in kinds)


def _owners(
    images: list[str], groups: list[_Group], masks: list[str], clashes: dict[str, str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return case -> kind of label -> file, and the atlases beside a plain dseg, which counts.

    A label's name begins with its image's, or its case's. Else it is of the one image that has its
    subject, session, space and run. Where several channels of a case have a label of one kind, the
    first channel's is taken; that of a contrast which is no channel is nobody's.
    """
    stems = {image_stem(file): ("", 0) for file in images}
    stems |= {group.name: (group.name, len(group.files)) for group in groups}
    for group in groups:
        own = enumerate(group.files.values())
        stems |= {image_stem(file): (group.name, place) for place, file in own}
    alike: dict[frozenset[str], set[str]] = {}
    for stem, (case, _) in stems.items():
        alike.setdefault(_place(stem), set()).add(case)
    found: dict[str, dict[str, dict[int, str]]] = {}
    for mask in masks:
        stem = image_stem(mask)
        case, place = _owner(stem, stems, alike)
        if case:
            there = found.setdefault(case, {}).setdefault(_kind(stem), {})
            if (first := there.setdefault(place, mask)) != mask:
                clashes[first] = clash(first, mask, case)
    owners, others = {}, []
    for case, every in found.items():
        united = unions(every)
        kinds = {kind: of[min(of)] for kind, of in every.items() if kind not in united}
        whole = {k: file for k, file in kinds.items() if image_stem(file).endswith("_dseg")}
        if "label" in whole:
            others += [file for kind, file in whole.items() if kind != "label"]
            kinds = {k: file for k, file in kinds.items() if k == "label" or k not in whole}
        else:
            pairs = pairwise(whole.values())
            clashes |= {one: clash(one, other, case) for one, other in pairs}
        owners[case] = kinds
        clashes |= drawn_again(case, {k: f for k, f in kinds.items() if "_label-" not in f})
    return owners, others


def _owner(
    mask: str, stems: Mapping[str, tuple[str, int]], alike: Mapping[frozenset[str], set[str]]
) -> tuple[str, int]:
    """Return the case that a label is of, and the place of its channel; "" for none."""
    for mark in [*re.finditer("_", mask)][::-1]:
        if (begin := mask[: mark.start()]) in stems:
            return stems[begin]
    only = alike.get(_place(mask), set())
    named = any(map(CONTRAST.fullmatch, mask.split("_")))  # a contrast whose image is not there
    return (next(iter(only)), 0) if len(only) == 1 and not named else ("", 0)


def _place(stem: str) -> frozenset[str]:
    """Return the keys that an image and its labels share: subject, session, space, run."""
    words = [word for word in stem.split("_") if "-" in word]
    return frozenset(word for word in words if not word.startswith(tuple(f"{k}-" for k in _SHOWS)))


def _kind(stem: str) -> str:
    """Return "axon" of "…_SEM_seg-axon-manual"; "label" where the name says no more than seg."""
    match = _KIND.search(stem)
    words = [word for word in (match[1].split("-") if match else []) if word not in _PLAIN_KINDS]
    return "-".join(words) or "label"


def _keys(file: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(bids.entities(file))
    if sample := re.search(r"_sample-([A-Za-z0-9]+)", file.rsplit("/", 1)[-1]):
        found["sample"] = sample[1]
    return {**found, "contrast": _known_contrast(file)}


def _known_contrast(file: str) -> str | None:
    """Return "T1w" of "sub-01_T1w_n4.nii.gz", else the last word that is no "key-value"."""
    words = [word for word in image_stem(file).split("_")[::-1] if "-" not in word]
    known = (word for word in words if CONTRAST.fullmatch(word))
    return next(known, words[0] if words else None)


def _nested(root: Path) -> list[str]:
    """Say which data sets further down were passed over."""
    inner = [
        item.name
        for item in sorted(root.iterdir())
        if item.is_dir() and (item / "dataset_description.json").is_file()
    ]
    if inner:
        return [f"Data sets of their own in folders were passed over: {few(inner)}."]
    return []


def _pixel(sidecars: _Sidecars, file: str) -> tuple[tuple[float, ...], str] | None:
    """Return (dy, dx) or (dz, dy, dx) in µm from the sidecar, which gives x first."""
    for sidecar in sidecars.of(file, ".json"):
        try:
            facts = json.loads(sidecar.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise DataError(f"{sidecar}: is no JSON ({error}).") from error
        if "PixelSize" not in facts:
            continue
        sizes, unit = facts["PixelSize"], str(facts.get("PixelSizeUnits", "um"))
        scale = _MICROMETRES.get(unit)
        numeric = isinstance(sizes, list) and all(isinstance(size, (int, float)) for size in sizes)
        if scale is None or not numeric or len(sizes) not in (2, 3) or min(sizes) <= 0:
            raise DataError(
                f"{sidecar}: expected PixelSize as two or three sizes above 0 with "
                f"PixelSizeUnits mm, um or nm, got {sizes} {unit}."
            )
        return tuple(round(float(size) * scale, 12) for size in sizes[::-1]), "um"
    return None


@dataclass
class _Sidecars:
    """JSON and TSV files in the folders of a data set, each of which is listed once."""

    root: Path
    beside: dict[Path, list[Path]] = field(default_factory=dict)

    def of(self, file: str, suffix: str) -> list[Path]:
        """Return those that speak of an image, the nearest first (BIDS's inheritance)."""
        parts = image_stem(file).split("_")
        found: list[Path] = []
        for folder in (self.root / file).parents:
            there = [one for one in self._in(folder) if one.suffix == suffix]
            own = [one for one in there if _speaks_of(one.stem.split("_"), parts)]
            found += sorted(own, key=lambda one: -len(one.stem))
            if folder == self.root:
                break
        return found

    def _in(self, folder: Path) -> list[Path]:
        if folder not in self.beside:
            there = sorted(folder.iterdir())
            self.beside[folder] = [one for one in there if one.suffix in (".json", ".tsv")]
        return self.beside[folder]


def _speaks_of(sidecar: list[str], image: list[str]) -> bool:
    return sidecar[-1] == image[-1] and set(sidecar) <= set(image)


def _join(root: Path, rows: list[Row]) -> list[str]:
    """Add the columns of participants.tsv and samples.tsv, but for those that name people.

    A participants.tsv above folders of sites that does not name participants is passed over; what
    is said of it is returned.
    """
    try:
        people = bids.participants(root)
    except DataError as error:
        if any(map(_is_person, root.iterdir())):
            raise
        return [f"Passed over: {error}"]
    if people is not None:
        by_subject = {str(row["subject"]): row for row in people.to_dict("records")}
        for row in rows:
            _add(row, by_subject.get(str(row.keys.get("subject")), {}))
    _join_samples(root / "samples.tsv", rows)
    return []


def _join_samples(path: Path, rows: list[Row]) -> None:
    import pandas as pd

    if not path.is_file():
        return
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, na_values=list(MISSING))
    if not {"sample_id", "participant_id"} <= set(table):
        raise DataError(f"{path}: expected the columns sample_id and participant_id.")
    samples = {}
    for one in table.to_dict("records"):
        subject, sample = one.pop("participant_id"), one.pop("sample_id")
        samples[subject.removeprefix("sub-"), sample.removeprefix("sample-")] = one
    for row in rows:
        _add(row, samples.get((row.keys.get("subject"), row.keys.get("sample")), {}))


def _add(row: Row, columns: dict[Any, Any]) -> None:
    for column, value in columns.items():
        name = "split" if str(column).strip().casefold() == "split" else str(column)
        if name not in row.keys and not says_who(name):
            row.keys[name] = value
