"""CSV and TSV manifests, which name a case a row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import DataError, nearest
from neuroloom.io.cases.layouts import Layout, Row, few, listed
from neuroloom.io.cases.layouts_json import name_by_dataset_json
from neuroloom.io.cases.model import label_paths
from neuroloom.io.images import image_stem, is_image, split_address
from neuroloom.io.names import numbered, says_who, subject_columns
from neuroloom.io.sheet import numbers_or_words, read_sheet

if TYPE_CHECKING:
    import pandas as pd

CASES = "cases.csv"
_OWN = ("image", "label", "split", "session", "run")
_CASE_COLUMNS = ("name", "case")


def by_cases_csv(root: Path) -> Layout | None:
    """Recognise a folder by a manifest in it, `cases.csv`; None if there is none of images.

    A `dataset.json` beside it names the classes and channels of files that hold several.
    """
    file = root / CASES
    if not file.is_file() or not _names_images(file):
        return None
    layout = by_manifest(file)
    if (root / "dataset.json").is_file() and layout.classes is None and not layout.channels:
        name_by_dataset_json(layout, root)
    used = {path for row in layout.rows for path in (*row.images, *label_paths(row.label))}
    if left := [path for path in listed(root) if path not in used]:
        layout.notes.append(f"Files that {CASES} does not name were passed over: {few(left)}.")
    return layout


def _names_images(data: Path) -> bool:
    """Tell from its first rows whether a table has a column of images that are there."""
    try:
        table = read_sheet(data, rows=9)
    except DataError:
        return False
    table = table.set_axis(own_names(table.columns), axis=1)
    cells = [cell.strip() for cell in table[file_columns(table, "image")].to_numpy().ravel()]
    return any(is_image(data.parent / cell) for cell in cells if cell)


def by_manifest(data: Path) -> Layout:
    """Read a CSV or TSV with `image` or `image_<channel>`, `label` or `label_<class>`, and more.

    Columns that say who somebody is are left out; `name` or `case` name the case itself. A column
    holds numbers if all its cells do that say something, else words.
    """
    table = read_sheet(data)
    held = ", ".join(table.columns)
    table = table.set_axis(own_names(table.columns), axis=1)
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
    keys = {*images, *labels, *_CASE_COLUMNS}
    whose = subject_columns(table)[:1]
    personal = [name for name in table if says_who(name) and name not in {*keys, *whose}]
    hidden = [name for name in whose if says_who(name)]
    table = table.assign(**{name: numbered(table[name]) for name in hidden})
    table = _with_numbers(table.drop(columns=personal), keys)
    rows = [_manifest_row(data, number, row, images, labels) for number, row in enumerate(
        table.to_dict("records"), start=2)]  # fmt: skip
    layout = Layout(rows, f"manifest {data.name} with the columns {held}")
    if personal:
        layout.notes.append(f"Columns that say who somebody is were left out: {few(personal)}.")
    layout.notes += [f"People of the column {name} were given numbers." for name in hidden]
    layout.channels = [name.removeprefix("image_") for name in images if name != "image"]
    classes = [name.removeprefix("label_") for name in labels if name != "label"]
    layout.classes = dict(enumerate(classes, start=1)) or None
    return layout


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


def _with_numbers(table: pd.DataFrame, apart: set[str]) -> pd.DataFrame:
    """Return a table of words with numbers in the columns that hold nothing else, but for some."""
    import pandas as pd

    made = {
        name: table[name]
        if name in apart
        else pd.Series(numbers_or_words(table[name]), dtype=object)
        for name in table
    }
    return pd.DataFrame(made)


def _manifest_row(
    data: Path, number: int, row: dict[str, Any], images: list[str], labels: list[str]
) -> Row:
    missing = tuple(k for k, name in enumerate(images) if not row[name].strip())
    given = [name for name in images if row[name].strip()] or images[:1]
    paths = tuple(_there(data, number, name, row[name]) for name in given)
    masks = {name.removeprefix("label_"): row[name] for name in labels if row[name].strip()}
    masks = {name: _there(data, number, name, path) for name, path in masks.items()}
    label: Any = masks.get("label", masks) or None
    known = {*images, *labels, *_CASE_COLUMNS}
    keys: dict[str, Any] = {name: value for name, value in row.items() if name not in known}
    alias = next(iter(subject_columns(keys)), None)
    if alias is not None:
        keys = {"subject": keys.pop(alias), **keys}
        if keys["subject"] is None:
            raise DataError(f"{data}: row {number}: the {alias} is empty.")
    stem = image_stem(paths[0])
    own = next((row[name] for name in _CASE_COLUMNS if row.get(name)), stem)
    return Row(own, paths, label, keys, missing=missing, named=own != stem)


def _there(data: Path, number: int, column: str, path: str) -> str:
    file, inside = split_address(path.strip())
    full = file if file.is_absolute() else data.parent / file
    if not path.strip() or not full.exists():
        raise DataError(
            f"{data}: row {number}: {column}: there is no file '{path}' (relative to the table)."
        )
    if not is_image(f"{full}::{inside}" if inside else full):
        raise DataError(f"{data}: row {number}: {column}: no reader for '{path}'.")
    root = data.parent
    place = full.relative_to(root).as_posix() if full.is_relative_to(root) else full.as_posix()
    return f"{place}::{inside}" if inside else place
