"""Data sets that say which image belongs to what: BIDS with derivatives, and CSV manifests.

Source: https://bids-specification.readthedocs.io (MR, CT, microscopy).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import DataError, nearest
from neuroloom.io import bids
from neuroloom.io.images import image_stem, is_image, split_address
from neuroloom.io.layouts import Layout, Row, few, listed

if TYPE_CHECKING:
    import pandas as pd

_KIND = re.compile(r"_(?:seg|label|desc)-([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)(?:_(?:mask|seg|dseg))?$")
_DERIVED = re.compile(r"_(?:dseg|mask|seg)$|_(?:seg|label)-")
_PLAIN_KINDS = ("manual", "seg", "mask")
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "mm": 1e3}
# Columns of participants.tsv that say who somebody is.
_PERSONAL = re.compile(r"name|birth|dob|mrn|patient_?id|address|phone|mail|insurance", re.I)
_SUBJECT_COLUMNS = ("subject", "subjectid", "subject_id", "participant_id", "patient", "patientid")


def by_bids(root: Path) -> Layout | None:
    """Recognise BIDS: sub-* folders with images, labels in derivatives/labels or another one."""
    people = [item for item in sorted(root.iterdir()) if _is_person(item)]
    if not people:
        return None
    images = [file for person in people for file in listed(root, person)]
    images = [file for file in images if not _DERIVED.search(image_stem(file))]
    if not images:
        return None
    folder, masks = _masks(root)
    owners = _owners(images, masks)
    several = {kind for kinds in owners.values() for kind in kinds}
    classes = sorted(several)
    rows, notes = [], []
    for file in images:
        there = owners.get(file, {})
        named = {kind: there[kind] for kind in classes if kind in there}
        label = (named or None) if len(classes) > 1 else next(iter(named.values()), None)
        rows.append(Row(image_stem(file), (file,), label, _keys(file), _pixel(root, file)))
    _join(root, rows)
    notes += _nested(root, masks, owners)
    said = f"BIDS, labels in {folder}" if folder else "BIDS without labels"
    layout = Layout(rows, said, notes)
    if len(classes) > 1:
        layout.classes = dict(enumerate(classes, start=1))
    elif classes != ["label"]:
        layout.kind = "".join(classes)
    return layout


def by_manifest(data: Path) -> Layout:
    """Read a CSV or TSV with `image` or `image_<channel>`, `label` or `label_<class>`, and more."""
    import pandas as pd

    separator = "\t" if data.suffix.lower() == ".tsv" else ","
    try:
        table = pd.read_csv(data, sep=separator, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{data}: cannot be read as a table: {str(error).rstrip('.')}.") from error
    images = _columns(table, "image")
    if not images:
        raise DataError(
            f"{data}: a manifest of images needs a column 'image', or 'image_<channel>' several "
            f"times; this one has {', '.join(table.columns)}.{nearest('image', table.columns)}"
        )
    if table.empty:
        raise DataError(f"{data}: the manifest has a head and no rows; name a case a row.")
    labels = _columns(table, "label")
    rows = [_manifest_row(data, number, row, images, labels) for number, row in enumerate(
        table.to_dict("records"), start=2)]  # fmt: skip
    layout = Layout(rows, f"manifest {data.name} with the columns {', '.join(table.columns)}")
    layout.channels = [name.removeprefix("image_") for name in images if name != "image"]
    classes = [name.removeprefix("label_") for name in labels if name != "label"]
    layout.classes = dict(enumerate(classes, start=1)) or None
    return layout


def _columns(table: pd.DataFrame, word: str) -> list[str]:
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
    """Return the folder under derivatives that has labels, and them."""
    base = root / "derivatives"
    folders = [base / "labels", *sorted(base.iterdir())] if base.is_dir() else []
    for folder in folders:
        people = [item for item in sorted(folder.iterdir()) if _is_person(item)] if (
            folder.is_dir()) else []  # fmt: skip
        files = [file for person in people for file in listed(root, person)]
        files = [file for file in files if _DERIVED.search(image_stem(file))]
        if files:
            return folder.relative_to(root).as_posix(), files
    return "", []


def _owners(images: list[str], masks: list[str]) -> dict[str, dict[str, str]]:
    """Return image -> kind of label -> file: a label's name begins with its image's."""
    stems = {image_stem(file): file for file in images}
    found: dict[str, dict[str, str]] = {}
    for mask in masks:
        stem = image_stem(mask)
        own = [name for name in stems if stem.startswith(f"{name}_")]
        if own:
            found.setdefault(stems[max(own, key=len)], {})[_kind(stem)] = mask
    return found


def _kind(stem: str) -> str:
    """Return "axon" of "…_SEM_seg-axon-manual"; "label" where the name says no more than seg."""
    match = _KIND.search(stem)
    words = [word for word in (match[1].split("-") if match else []) if word not in _PLAIN_KINDS]
    return "-".join(words) or "label"


def _keys(file: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(bids.entities(file))
    if sample := re.search(r"_sample-([A-Za-z0-9]+)", file.rsplit("/", 1)[-1]):
        found["sample"] = sample[1]
    return {**found, "contrast": image_stem(file).rsplit("_", 1)[-1]}


def _nested(root: Path, masks: list[str], owners: dict[str, dict[str, str]]) -> list[str]:
    """Say which labels and which data sets further down were passed over."""
    notes = []
    used = {mask for kinds in owners.values() for mask in kinds.values()}
    if alone := [mask for mask in masks if mask not in used]:
        notes.append(f"Labels without an image were passed over: {few(alone)}.")
    inner = [
        item.name
        for item in sorted(root.iterdir())
        if item.is_dir() and (item / "dataset_description.json").is_file()
    ]
    if inner:
        notes.append(f"Data sets of their own in folders were passed over: {few(inner)}.")
    return notes


def _pixel(root: Path, file: str) -> tuple[tuple[float, ...], str] | None:
    """Return (dy, dx) or (dz, dy, dx) in µm from the sidecar, which gives x first."""
    for sidecar in _sidecars(root, root / file):
        try:
            facts = json.loads(sidecar.read_text(encoding="utf-8"))
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


def _sidecars(root: Path, file: Path) -> list[Path]:
    """Return the JSON files that speak of an image, the nearest first (BIDS's inheritance)."""
    parts = image_stem(file).split("_")
    found: list[Path] = []
    folder = file.parent
    while True:
        beside = [one for one in folder.glob("*.json") if _speaks_of(one.stem.split("_"), parts)]
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
    for name, value in columns.items():
        if str(name) not in row.keys and not _PERSONAL.search(str(name)):
            row.keys[str(name)] = value
