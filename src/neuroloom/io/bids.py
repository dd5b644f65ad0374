"""What BIDS keeps beside a recording: events, entities, participants.

Specification: https://bids-specification.readthedocs.io (EEG, MEG, iEEG).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.names import MISSING, says_who

if TYPE_CHECKING:
    import pandas as pd

# The short keys of BIDS file names and the columns they become.
ENTITIES = {
    "sub": "subject",
    "ses": "session",
    "task": "task",
    "acq": "acquisition",
    "proc": "processing",
    "run": "run",
    "rec": "recording",
    "space": "space",
    "split": "split",
    "desc": "description",
}
_ENTITY = re.compile(rf"(?:^|_)({'|'.join(ENTITIES)})-([A-Za-z0-9]+)(?=_|\.|$)")
_NO_VALUE = ("n/a", "")


def entities(path: Path | str) -> dict[str, str]:
    """Return the BIDS entities in a file name, by their long names.

    Examples
    --------
    >>> entities("sub-01_task-motor_run-02_eeg.edf")
    {'subject': '01', 'task': 'motor', 'run': '02'}
    """
    return {ENTITIES[key]: value for key, value in _ENTITY.findall(Path(path).name)}


def annotations_for(path: Path | str) -> pd.DataFrame | None:
    """Return the events of the `*_events.tsv` beside a BIDS recording; None if there is none.

    They replace the annotations in the file, as BIDS tools do. The label is the column
    `trial_type`, else `value`.

    Raises
    ------
    DataError
        If the table has no onset, or neither `trial_type` nor `value`.
    """
    path = Path(path)
    sidecar = path.with_name(re.sub(r"_[^_]+$", "_events.tsv", path.name))
    if "sub" not in path.name or not sidecar.is_file() or not entities(path):
        return None
    import pandas as pd

    table = pd.read_csv(sidecar, sep="\t", dtype=str, keep_default_na=False)
    label = next((name for name in ("trial_type", "value") if name in table), None)
    if "onset" not in table or label is None:
        raise DataError(
            f"{sidecar}: expected the columns onset, duration and trial_type (or value), "
            f"got {', '.join(table.columns)}."
        )
    table = table[~table[label].isin(_NO_VALUE)]
    columns = {
        "onset": _numbers(table["onset"], sidecar),
        "duration": _numbers(table.get("duration", table["onset"] * 0), sidecar).fillna(0.0),
        "label": table[label].astype(str),
    }
    found = pd.DataFrame(columns).dropna(subset=["onset"])
    return found.sort_values("onset", kind="stable").reset_index(drop=True)


def names_of_numbers(table: Path) -> dict[int, str]:
    """Return what a `dseg.tsv` calls the numbers of labels; a name that several have is nobody's.

    Nothing is returned of a table without the columns `index` and `name`.

    Raises
    ------
    DataError
        If it is no table.
    """
    import pandas as pd

    try:
        rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{table}: cannot be read as a table: {str(error).rstrip('.')}.") from error
    if not {"index", "name"} <= set(rows):
        return {}
    rows = rows[rows["index"].str.fullmatch(r"\d+") & (rows["name"] != "")]
    rows = rows.drop_duplicates("name", keep=False)
    return {int(row["index"]): row["name"] for row in rows.to_dict("records")}


def _numbers(column: pd.Series, sidecar: Path) -> pd.Series:
    import pandas as pd

    numbers = pd.to_numeric(column.where(~column.isin(_NO_VALUE)), errors="coerce")
    wrong = column[numbers.isna() & ~column.isin(_NO_VALUE)]
    if len(wrong):
        raise DataError(
            f"{sidecar}: row {wrong.index[0] + 2}: expected seconds in '{column.name}', "
            f"got '{wrong.iloc[0]}'."
        )
    return numbers.astype(float)


def root_of(folder: Path) -> Path | None:
    """Return the BIDS dataset that `folder` is or lies in (at most three levels), else None."""
    above = [folder, *folder.absolute().parents[:3]]
    return next((place for place in above if (place / "dataset_description.json").is_file()), None)


def participants(root: Path) -> pd.DataFrame | None:
    """Return `participants.tsv` with the column `subject` (without "sub-"); None if absent.

    Columns that say who somebody is (`io.names.says_who`) are left out.
    """
    table_path = root / "participants.tsv"
    if not table_path.is_file():
        return None
    import pandas as pd

    # "None" may be what somebody takes: `names.MISSING` says which cells are empty.
    table = pd.read_csv(
        table_path, sep="\t", keep_default_na=False, na_values=list(MISSING),
        dtype={"participant_id": str},
    )  # fmt: skip
    if "participant_id" not in table:
        raise DataError(f"{table_path}: expected the column participant_id, it is missing.")
    subject = table.pop("participant_id").str.removeprefix("sub-")
    told = [name for name in table if not says_who(str(name))]
    return table[told].assign(subject=subject)
