"""Data sets that say which image belongs to what: BIDS with derivatives, and CSV manifests.

Source: https://bids-specification.readthedocs.io (MR, CT, microscopy).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import DataError, nearest
from neuroloom.io import bids
from neuroloom.io.cases.layouts import Layout, Row, clash, drawn_again, few, listed
from neuroloom.io.images import image_stem, is_image, split_address

if TYPE_CHECKING:
    import pandas as pd

_KIND = re.compile(
    r"_(?:seg|label|desc)-([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)(?:_(?:mask|seg|dseg|probseg))?$"
)
_SOFT = re.compile(r"_probseg$")
_DRAWN = re.compile(r"_(?:dseg|mask|seg)$|_(?:seg|label)-(?!.*_probseg$)")
_PLAIN_KINDS = ("manual", "seg", "mask")
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "mm": 1e3}
# Suffixes of BIDS for what an image shows, and what else these contrasts are called.
_CONTRAST = re.compile(
    r"(?:inplane)?(?:T[12]|T2star|PD)(?:w|map|rho|c|ce|gd|k)?|R[12](?:star)?map|PDT2|UNIT1|MP2RAGE"
    r"|FLAIR|FLASH|MT(?:R|sat|V|W)(?:map)?|angio|swi|psir|stir|bold|sbref|dwi|adc|asl|m0scan|cbv|cta?|pet"
    r"|oct|[TS]EM|uCT|[BD]F|DIC|FLUO|CONF|PLI|CARS|[2M]PE|NLO|SPIM|XPCT",
    re.IGNORECASE,
)
# Columns of participants.tsv that say who somebody is.
_PERSONAL = re.compile(r"name|birth|dob|mrn|patient_?id|address|phone|mail|insurance", re.I)
_OWN = ("image", "label", "split", "session", "run")
_SUBJECT_COLUMNS = ("subject", "subjectid", "subject_id", "participant_id", "patient", "patientid")


def by_bids(root: Path, channels: Sequence[str] = ()) -> Layout | None:
    """Recognise BIDS: sub-* folders with images, labels in derivatives/labels or another one.

    Every image is a case, unless `channels` name contrasts (the last word of a name, T1w), or "*"
    for all of them: then the images of one subject and session are the channels of one case.
    """
    images = [file for file in _of_people(root, root) if not _is_any(file, _DRAWN, _SOFT)]
    if not images:
        return None
    folder, masks = _masks(root)
    joined = _joined(images, channels)
    groups = _groups(images, joined) if joined else [_Group(image_stem(f), {"": f}) for f in images]
    clashes: dict[str, str] = {}
    owners = _owners(images, groups, masks, clashes)
    classes = sorted({kind for kinds in owners.values() for kind in kinds})
    rows = []
    for group in groups:
        there = owners.get(group.name, {})
        named = {kind: there[kind] for kind in classes if kind in there}
        label = (named or None) if len(classes) > 1 else next(iter(named.values()), None)
        rows.append(_bids_row(root, group, joined, label))
    _join(root, rows)
    notes = [*_passed_over(images, groups), *_nested(root)]
    used = {mask for kinds in owners.values() for mask in kinds.values()}
    alone = [mask for mask in masks if mask not in used]
    said = f"BIDS, labels in {folder}" if folder else "BIDS without labels"
    said += f", the contrasts {', '.join(joined)} are the channels of a case" if joined else ""
    layout = Layout(rows, said, notes, joined, alone=alone, clashes=clashes, tells_contrasts=True)
    if len(classes) > 1:
        layout.classes = dict(enumerate(classes, start=1))
    elif classes != ["label"]:
        layout.kind = "".join(classes)
    if used and (tables := _sidecars(root, root / min(used), "tsv")):
        layout.names = bids.names_of_numbers(tables[0])
    return layout


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
    root: Path, group: _Group, channels: list[str], label: str | dict[str, str] | None
) -> Row:
    paths = tuple(group.files.values())
    keys = _keys(paths[0])
    if channels:
        keys["contrast"] = "+".join(group.files)
    missing = tuple(k for k, name in enumerate(channels) if name not in group.files)
    return Row(group.name, paths, label, keys, _pixel(root, paths[0]), missing)


def _passed_over(images: list[str], groups: list[_Group]) -> list[str]:
    used = {file for group in groups for file in group.files.values()}
    if left := sorted({_contrast(file) for file in images if file not in used}):
        return [f"Contrasts that are no channel were passed over: {few(left)}."]
    return []


def by_manifest(data: Path) -> Layout:
    """Read a CSV or TSV with `image` or `image_<channel>`, `label` or `label_<class>`, and more."""
    import pandas as pd

    try:
        table = pd.read_csv(data, sep=separator_of(data), dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{data}: cannot be read as a table: {str(error).rstrip('.')}.") from error
    held = ", ".join(table.columns)
    table.columns = pd.Index(own_names(table.columns))
    if twice := sorted(set(table.columns[table.columns.duplicated()])):
        raise DataError(f"{data}: several columns are called {few(twice)}; leave one of each.")
    images = file_columns(table, "image")
    if not images:
        raise DataError(
            f"{data}: a manifest of images needs a column 'image', or 'image_<channel>' several "
            f"times; this one has {held}.{nearest('image', table.columns)}"
        )
    if table.empty:
        raise DataError(f"{data}: the manifest has a head and no rows; name a case a row.")
    labels = file_columns(table, "label")
    rows = [_manifest_row(data, number, row, images, labels) for number, row in enumerate(
        table.to_dict("records"), start=2)]  # fmt: skip
    layout = Layout(rows, f"manifest {data.name} with the columns {held}")
    layout.channels = [name.removeprefix("image_") for name in images if name != "image"]
    classes = [name.removeprefix("label_") for name in labels if name != "label"]
    layout.classes = dict(enumerate(classes, start=1)) or None
    return layout


def separator_of(data: Path) -> str:
    """Return what parts the columns of a table's head: commas, semicolons or tabs."""
    with data.open(encoding="utf-8-sig", errors="replace") as lines:
        head = lines.readline()
    usual = "\t" if data.suffix.lower() == ".tsv" else ","
    return max((usual, ",", ";", "\t"), key=head.count)


def own_names(columns: Iterable[str]) -> list[str]:
    """Return columns without blanks around them; those that have a meaning here, in small letters.

    Examples
    --------
    >>> own_names([" Label", "Image_T1", "Label_Source", "Age", "SPLIT"])
    ['label', 'image_T1', 'Label_Source', 'Age', 'split']
    """
    names = [column.strip() for column in columns]
    small = [name.casefold() for name in names]
    begins = tuple(f"{word}_" for word in ("image", "label") if word not in small)
    return [
        low if low in _OWN else low[:6] + name[6:] if low.startswith(begins) else name
        for name, low in zip(names, small, strict=True)
    ]


def file_columns(table: pd.DataFrame, word: str) -> list[str]:
    """Return the column `word` of a manifest, else those that begin with it: label_axon."""
    several = [name for name in table.columns if name.startswith(f"{word}_")]
    return [word] if word in table else several


def _manifest_row(
    data: Path, number: int, row: dict[str, str], images: list[str], labels: list[str]
) -> Row:
    missing = tuple(k for k, name in enumerate(images) if not row[name].strip())
    given = [name for name in images if row[name].strip()] or images[:1]
    paths = tuple(_there(data, number, name, row[name]) for name in given)
    masks = {name.removeprefix("label_"): row[name] for name in labels if row[name].strip()}
    masks = {name: _there(data, number, name, path) for name, path in masks.items()}
    label: Any = masks.get("label", masks) or None
    known = {*images, *labels, "name", "case"}
    keys: dict[str, Any] = {name: value for name, value in row.items() if name not in known}
    alias = next((name for name in keys if name.lower() in _SUBJECT_COLUMNS), None)
    if alias is not None:
        keys = {"subject": keys.pop(alias), **keys}
        if not keys["subject"].strip():
            raise DataError(f"{data}: row {number}: the {alias} is empty.")
    name = row.get("name") or row.get("case") or image_stem(paths[0])
    numbers = {key: _number(value) for key, value in keys.items()}
    return Row(name, paths, label, numbers, missing=missing)


def _number(value: str) -> Any:
    """Return numbers of a table as numbers; "01" stays a name."""
    if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", value.strip()):
        return float(value) if "." in value or "e" in value.lower() else int(value)
    return value.strip() or None


def _there(data: Path, number: int, column: str, path: str) -> str:
    file, inside = split_address(path.strip())
    full = file if file.is_absolute() else data.parent / file
    if not path.strip() or not full.exists():
        raise DataError(
            f"{data}: row {number}: {column}: there is no file '{path}' (relative to the table)."
        )
    if not is_image(full):
        raise DataError(f"{data}: row {number}: {column}: no reader for '{path}'.")
    root = data.parent
    place = full.relative_to(root).as_posix() if full.is_relative_to(root) else full.as_posix()
    return f"{place}::{inside}" if inside else place


def _is_person(item: Path) -> bool:
    return item.is_dir() and item.name.startswith("sub-")


def _masks(root: Path) -> tuple[str, list[str]]:
    """Return the folder under derivatives that has labels, and them.

    Probabilities of classes (probseg) are labels only where none are drawn.
    """
    base = root / "derivatives"
    folders = [base / "labels", *sorted(base.iterdir())] if base.is_dir() else []
    soft: tuple[str, list[str]] = ("", [])
    for folder in filter(Path.is_dir, dict.fromkeys(folders)):
        name, files = folder.relative_to(root).as_posix(), _of_people(root, folder)
        if drawn := [file for file in files if _is_any(file, _DRAWN)]:
            return name, drawn
        if not soft[1]:
            soft = name, [file for file in files if _is_any(file, _SOFT)]
    return soft if soft[1] else ("", [])


def _of_people(root: Path, folder: Path) -> list[str]:
    people = [item for item in sorted(folder.iterdir()) if _is_person(item)]
    return [file for person in people for file in listed(root, person)]


def _is_any(file: str, *kinds: re.Pattern[str]) -> bool:
    return any(kind.search(image_stem(file)) for kind in kinds)


def _owners(
    images: list[str], groups: list[_Group], masks: list[str], clashes: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return case -> kind of label -> file: a label's name begins with its image's, or its case's.

    Where several channels of a case have a label of one kind, the first channel's is taken; that
    of a contrast which is no channel is nobody's.
    """
    stems = {image_stem(file): ("", 0) for file in images}
    stems |= {group.name: (group.name, len(group.files)) for group in groups}
    for group in groups:
        own = enumerate(group.files.values())
        stems |= {image_stem(file): (group.name, place) for place, file in own}
    found: dict[str, dict[str, dict[int, str]]] = {}
    for mask in masks:
        stem = image_stem(mask)
        begins = [name for name in stems if stem.startswith(f"{name}_")]
        case, place = stems[max(begins, key=len)] if begins else ("", 0)
        if case:
            there = found.setdefault(case, {}).setdefault(_kind(stem), {})
            if (first := there.setdefault(place, mask)) != mask:
                clashes[first] = clash(first, mask, case)
    owners = {
        case: {kind: there[min(there)] for kind, there in kinds.items()}
        for case, kinds in found.items()
    }
    for case, kinds in owners.items():
        clashes |= drawn_again(case, {k: f for k, f in kinds.items() if "_label-" not in f})
    return owners


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
    known = (word for word in words if _CONTRAST.fullmatch(word))
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


def _pixel(root: Path, file: str) -> tuple[tuple[float, ...], str] | None:
    """Return (dy, dx) or (dz, dy, dx) in µm from the sidecar, which gives x first."""
    for sidecar in _sidecars(root, root / file, "json"):
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


def _sidecars(root: Path, file: Path, suffix: str) -> list[Path]:
    """Return JSON or TSV files that speak of an image, the nearest first (BIDS's inheritance)."""
    parts = image_stem(file).split("_")
    found: list[Path] = []
    folder = file.parent
    while True:
        beside = [
            one for one in folder.glob(f"*.{suffix}") if _speaks_of(one.stem.split("_"), parts)
        ]
        found += sorted(beside, key=lambda one: -len(one.stem))
        if folder == root or root not in folder.parents:
            return found
        folder = folder.parent


def _speaks_of(sidecar: list[str], image: list[str]) -> bool:
    return sidecar[-1] == image[-1] and set(sidecar) <= set(image)


def _join(root: Path, rows: list[Row]) -> None:
    """Add the columns of participants.tsv and samples.tsv, but for those that name people."""
    import pandas as pd

    people = bids.participants(root)
    if people is not None:
        by_subject = {str(row["subject"]): row for row in people.to_dict("records")}
        for row in rows:
            _add(row, by_subject.get(str(row.keys.get("subject")), {}))
    path = root / "samples.tsv"
    if not path.is_file():
        return
    table = pd.read_csv(path, sep="\t", dtype=str, na_values=["n/a"])
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
        if name not in row.keys and not _PERSONAL.search(name):
            row.keys[name] = value
