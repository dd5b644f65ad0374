"""From a folder of volumes with masks, or a table of numbers, to a table of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError, nearest
from neuroloom.io.cases.layouts import few
from neuroloom.io.cases.layouts_table import file_columns, own_names
from neuroloom.io.images import is_image
from neuroloom.io.names import MISSING, numbered, plain, says_who, subject_columns, tells
from neuroloom.io.sheet import numbers_or_words, read_sheet
from neuroloom.volumes.radiomics.extract import (
    Chain,
    Measured,
    delineate,
    measure,
    measure_response,
)
from neuroloom.volumes.whole.columns import (
    numbers_of,
    or_missing,
    told_cells,
    words_among_numbers,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases

KEYS = ("name", "path", "subject", "session", "run")
SHOWN = 5
LENGTHY = 20
# What stands for nothing in a column of numbers; in one of classes these may be names.
BLANKS = (*MISSING, "None")


@dataclass(frozen=True)
class Wish:
    """Which numbers are taken of each case.

    Attributes
    ----------
    chain
        Processing and families of features.
    rois
        Classes or regions of the mask (names or numbers), each by itself; empty for all as one.
    channel
        Which channel of the image.
    filters
        Responses that are measured beside the image (see `features.filters.parse`).
    columns
        Columns of the table that are features.
    """

    chain: Chain = field(default_factory=Chain)
    rois: tuple[str, ...] = ()
    channel: int = 0
    filters: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Features of all cases.

    Attributes
    ----------
    rows
        One a case: name, path, subject, session, run and every column of the manifest.
    features
        One a case, in that order; NaN where undefined.
    findings
        What was noticed.
    hashes
        Of the files that were read.
    layout
        A sentence: how the data were recognised.
    channel
        Name of the channel that was measured; empty where nothing names it.
    """

    rows: pd.DataFrame
    features: pd.DataFrame
    findings: list[Finding]
    hashes: dict[str, str]
    layout: str
    channel: str = ""


def read_table(
    file: Path, columns: Sequence[str], taken: Sequence[str], *, labelled: bool = True
) -> Table:
    """Read features from the columns of a CSV or TSV.

    Parameters
    ----------
    columns
        Features; empty for every column of numbers that does not say who somebody is, or whose
        the row is.
    taken
        Columns that are targets, and so no features.
    labelled
        Whether the targets must be there.

    Raises
    ------
    DataError
        If a column is missing or holds words, or a row does not say whose it is.
    """
    from neuroloom.core.files import digest

    whole = _read(file, taken)
    if whole.empty:
        raise DataError(f"{file.name}: the table has no rows.")
    for name in (*columns, *(taken if labelled else ())):
        if name not in whole:
            raise DataError(f"{file.name}: no column '{name}'.{nearest(name, list(whole))}")
    names = [f"row {number}" for number in range(2, len(whole) + 2)]
    whose = _whose([name for name in whole if name == "subject" or name not in (*columns, *taken)])
    wanted = {*KEYS, *columns, *taken, *whose[:1]}
    whole = whole[[name for name in whole if name in wanted or not says_who(name)]]
    open_to = [name for name in whole if name not in {"split", *KEYS, *taken, *whose}]
    numbers = whole.select_dtypes("number")
    chosen = list(columns) or [name for name in open_to if name in numbers]
    left = [] if columns else _left_out(whole[open_to], names)
    words = [name for name in chosen if name not in numbers]
    if words or not chosen:
        raise DataError(
            f"{file.name}: features are numbers; "
            + (f"the column {words[0]} holds words." if words else "no column holds any.")
            + "".join(f" {finding.detail}" for finding in left)
        )
    rows = whole.drop(columns=whose[:1])
    rows["name"] = whole["name"].astype(str) if "name" in whole else names
    known = bool(whose) and (labelled or whole[whose[0]].notna().all())
    rows["subject"] = _subjects(whole[whose[0]], file) if known else rows["name"]
    rows["path"] = file.name
    rows["session"], rows["run"] = "1", "1"
    layout = f"table {file.name} with {len(chosen)} columns of numbers and no images"
    layout += f"; whose a row is, its column {whose[0]} says" if whose else ""
    note = Finding("note", "How the data were read", f"{layout[0].upper()}{layout[1:]}.")
    notes = [note, *([] if whose else [_each_a_subject()]), *left]
    hashes = {file.name: digest(file)}
    # Rows of one subject lie together, so that inner folds can keep them so.
    _, first, owner = np.unique(rows["subject"], return_index=True, return_inverse=True)
    order = np.argsort(first[owner], kind="stable") if labelled else np.arange(len(rows))
    rows, features = (one.iloc[order].reset_index(drop=True) for one in (rows, whole[chosen]))
    return Table(rows, features.astype(float), notes, hashes, layout)


def _whose(columns: Sequence[str]) -> list[str]:
    """Return the columns that say whose a row is, the first of which is taken: an ID last."""
    return [*subject_columns(columns), *(name for name in columns if plain(name) == "id")]


def _subjects(column: pd.Series, file: Path) -> list[str]:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0]) + 2
        raise DataError(f"{file.name}: row {row}: the {column.name} is empty.")
    words = column.astype(str).str.strip().tolist()
    return numbered(words) if says_who(str(column.name)) else words


def _each_a_subject() -> Finding:
    return Finding(
        "note",
        "Each row counts as a subject",
        "No column says whose a row is (subject, participant_id, patient_id). If several rows are "
        "of one person, add it: a model that has seen one of them would be judged on another.",
    )


def _left_out(table: pd.DataFrame, rows: Sequence[str]) -> list[Finding]:
    """Warn of columns that are no features for a few words among their numbers."""
    told = []
    for name in table:
        cells = table[name].tolist()
        if few := words_among_numbers(cells):
            told.append(f"{name} says {told_cells(cells, rows, few)}")
    if not told:
        return []
    said = f"Columns with words among their numbers are no features: {'; '.join(told)}."
    return [Finding("warning", "Columns that were left out", f"{said} Mend or empty these cells.")]


def _read(file: Path, taken: Sequence[str]) -> pd.DataFrame:
    """Read a table whose columns have no blanks around their names; of a split, in small letters.

    Raises
    ------
    DataError
        If it is no table, or two columns are called alike.
    """
    table = read_sheet(file)
    names = [name.strip() for name in table]
    names = ["split" if name.casefold() == "split" else name for name in names]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{file.name}: several columns are called {twice[0]}; leave one of each.")
    table = table.set_axis(names, axis=1)
    ids = {"split", *KEYS, *_whose([name for name in names if name not in taken])}
    return table.apply(lambda column: _cells(column, column.name in ids, column.name in taken))


def _cells(column: pd.Series, is_id: bool, is_target: bool) -> pd.Series:
    """Return words of a column that says which row it is; of others numbers, if all cells are."""
    import pandas as pd

    if is_target:
        return pd.Series(numbers_or_words(column))
    words = column.str.strip()
    known = words.mask(words.isin(MISSING if is_id else BLANKS), None)
    if is_id:
        return known
    numbers = pd.to_numeric(known, errors="coerce")
    return known if (numbers.isna() & known.notna()).any() else numbers


def has_images(file: Path) -> bool:
    """Tell whether a table is a manifest: `image` (or `image_<channel>`) and `label` name files.

    A table of features may repeat which image they are of, as PyRadiomics' tables do with their
    columns Image, Mask and Label (a number).
    """
    table = read_sheet(file)
    table = table.set_axis(own_names(table.columns), axis=1)
    images, labels = file_columns(table, "image"), file_columns(table, "label")

    def files(names: list[str]) -> bool:
        cells = table[names].to_numpy().ravel()
        return any(is_image(file.parent / cell) for cell in cells if cell.strip())

    if labels or not files(images):
        return files(images) and files(labels)
    return "mask" not in {name.casefold() for name in table}


def measure_cases(
    found: FoundCases, wish: Wish, *, learnt: bool = True, upright: bool = True
) -> Table:
    """Measure every case; all that cannot be measured are named at once.

    What a mask leaves open (`ignore`) is no part of its region.

    Parameters
    ----------
    found
        Lengths are measured in the unit of its cases.
    learnt
        Whether the cases are learnt from or judged: then none may be there twice.
    upright
        Whether all are turned one way; a run made before this was done measures files as they lie.

    Raises
    ------
    DataError
        Naming cases without mask, with a mask that lies elsewhere, with an empty mask …; or cases
        to be resampled whose voxels have no size.
    """
    import pandas as pd

    from neuroloom.core.audit import refuse_duplicates
    from neuroloom.io.cases.check import check_cases, findings_of_problems, require_sound

    if found.ignore is not None:
        found = found.changed(numbering={found.ignore: 0})
    problems = check_cases(found.cases, found.classes, found.ignore, use="region")
    doubts = findings_of_problems(require_sound(problems)) + _unsized(found, wish)
    hashes = found.hashes()
    if learnt:
        paths = [path for images in found.table["image"] for path in images]
        refuse_duplicates({path: hashes[path] for path in paths})
    measured = _measured(found.upright() if upright else found, wish)
    reasons: dict[str, list[str]] = {}
    for case, own in zip(found.cases, measured, strict=True):
        for reason in dict.fromkeys(own.reasons.values()):
            reasons.setdefault(reason, []).append(case.name)
    joined = {column: _numbers(found.table, column) for column in wish.columns}
    # Copied, since hundreds of columns in parts make pandas warn.
    features = pd.DataFrame([own.values for own in measured]).assign(**joined).copy()
    findings = found.noticed()
    findings += doubts
    findings += [_undefined(reason, names) for reason, names in reasons.items()]
    table = found.table.drop(columns=["image", "label"])
    named = "".join(found.channels[wish.channel : wish.channel + 1])
    return Table(table, features, findings, hashes, found.layout, named)


def find_channel(own: Sequence[str], wanted: str, usual: int) -> int:
    """Return the place of the channel that a run measured: by its name, where names tell it.

    Parameters
    ----------
    own
        Names of the new channels; empty where nothing says them.
    wanted
        Its name in the run's data, empty if it had none.
    usual
        Its place there.

    Raises
    ------
    DataError
        If there are names, and not this one.

    Examples
    --------
    >>> find_channel(["T2", "T1"], "T1", 0), find_channel([], "T1", 0)
    (1, 0)
    """
    if not tells(wanted) or not own or not all(map(tells, own)):
        return usual
    names = [*map(plain, own)]
    if plain(wanted) not in names:
        raise DataError(
            f"The channels are {', '.join(own)}, the run measured {wanted}: name them as the run's "
            "data do."
        )
    return names.index(plain(wanted))


def _measured(found: FoundCases, wish: Wish) -> list[Measured]:
    regions = {roi: found.numbers_called(roi) for roi in wish.rois}
    measured, wrong = [], []
    for case in found.cases:
        try:
            measured.append(measure_case(case, wish, regions))
        except DataError as error:
            wrong.append(f"{case.name}: {error}")
    if wrong:
        more = f" (and {len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
        raise DataError(" ".join(wrong[:SHOWN]) + more)
    return measured


def _unsized(found: FoundCases, wish: Wish) -> list[Finding]:
    """Warn of voxels that have no size; refuse to resample them."""
    names = [case.name for case in found.cases if case.unit == "px"]
    if not names:
        return []
    said = f"{few(names)}: no file says how large the voxels are"
    if wish.chain.spacing is not None:
        raise DataError(f"{said}, so that they cannot be resampled to mm; write it, or leave out "
                        "`resample`.")  # fmt: skip
    told = f"{said}; lengths, areas and volumes count voxels there, and are not those of others."
    return [Finding("warning", "Voxels without a size", told)]


def _undefined(reason: str, names: list[str]) -> Finding:
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return Finding(
        "warning", "Features without a value", f"In {shown}: {reason}. They are left empty."
    )


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    if column not in table:
        raise DataError(f"The table has no column '{column}'.{nearest(column, list(table))}")
    values = table[column].astype(object).map(or_missing)
    return numbers_of(values, column, table["name"], "Features are numbers.").to_numpy(float)


def measure_case(case: Case, wish: Wish, regions: Mapping[str, Sequence[int]]) -> Measured:
    """Measure one case: its regions, in its image and its filtered images.

    Parameters
    ----------
    regions
        Numbers in the mask of each region; empty for all as one.

    Returns
    -------
    Measured
        Tags are `<region>:<filter>/<tag>`, as far as there are several of either.
    """
    image, truth, spacing = _grids(case, wish.channel)
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for roi in regions or ("",):
        mask = np.isin(truth, regions[roi]) if regions else truth > 0
        head = f"{roi}:" if len(regions) > 1 else ""
        region = delineate(image, mask, spacing, wish.chain)
        for name in ("", *wish.filters):
            chain = wish.chain
            found = measure_response(region, name, chain) if name else measure(region, chain)
            before = f"{head}{name}/" if name else head
            values |= {before + tag: value for tag, value in found.values.items()}
            reasons |= {before + tag: why for tag, why in found.reasons.items()}
    return Measured(values, reasons)


def _grids(case: Case, channel: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return one channel, the mask and the voxel size."""
    if case.label is None:
        raise DataError("has no mask: radiomics measures a region that somebody outlined.")
    whole, truth = case.image(), case.truth()
    if channel >= len(whole):
        raise DataError(f"has {len(whole)} channels, channel {channel} was asked for.")
    assert truth is not None
    return whole[channel].astype(float), truth, tuple(float(step) for step in case.spacing)


def is_number_target(values: Sequence[Any]) -> bool:
    """Tell whether a target is a number to predict: more than ten different ones, twenty if whole.

    Words among so many numbers do not make them classes; they are for `numbers_of` to refuse.

    Examples
    --------
    >>> is_number_target([0, 1, 1, 0]), is_number_target([k / 7 for k in range(30)])
    (False, True)
    """
    import pandas as pd

    given = pd.Series([value for value in values if value is not None], dtype=object)
    numbers = set(pd.to_numeric(given, errors="coerce").dropna().astype(float))
    whole = all(value.is_integer() for value in numbers)
    return len(numbers) > (LENGTHY if whole else 10)
