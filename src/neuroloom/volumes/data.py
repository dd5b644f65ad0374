"""From a folder of images to a dataset: a common grid, z-scores, targets, columns of a table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import Dataset, Task, require_classes
from neuroloom.core.errors import DataError
from neuroloom.volumes.frames import Frame, choose_frame, put_mask_on, put_on, standardised
from neuroloom.volumes.targets import Amount, Column, labels_of, read_columns, with_folders

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases

IN_MEMORY = 1_500_000_000
KEPT = ("name", "path", "subject", "session", "run", "split")


@dataclass(frozen=True)
class Wish:
    """What a whole-image task wants of the data.

    Attributes
    ----------
    task
        "classification" or "regression".
    target
        A column, "folder", "label:volume[:CLASS]", or None.
    tabular
        Columns that join the image.
    size
        Places along the longest axis of the common grid.
    cut
        Where numbers become two classes, "small" and "large"; None takes their median.
    maps
        Whether the model learns from where an amount is, beside how much there is.
    apart
        Whether channels of flat images, too, are standardised one by one: what is to be made of
        another must not reach it.
    """

    task: Task = "classification"
    target: str | None = None
    tabular: tuple[str, ...] = ()
    size: int | None = None
    cut: float | None = None
    maps: bool = False
    apart: bool = False


def read_whole(found: FoundCases, wish: Wish, facts: Mapping[str, Any] | None = None) -> Dataset:
    """Read all cases onto one grid.

    Parameters
    ----------
    found
        The cases (`io.cases.find_cases`).
    wish
        What is to be learnt.
    facts
        Of an earlier dataset whose grid, classes and columns are kept.

    Returns
    -------
    Dataset
        x: (n, channel, *axes) float32, each image standardised by itself; columns of the table are
        trailing channels that hold one number each.

    Raises
    ------
    DataError
        One that lists every case that cannot serve (`io.cases.check.check_cases`), or names the one
        that has no such target.
    """
    kept = dict(facts or {})
    amount = Amount.parse(wish.target)
    findings = audited(found, labels=amount is not None)
    found = measured_alike(found, kept.get("unit"))
    frame = Frame.of(kept) if kept else frame_of(found, wish)
    table = with_folders(found.table)
    columns = _columns(table, wish, kept)
    hashes = found.hashes()
    refuse_duplicates({path: hashes[path] for images in found.table["image"] for path in images})
    x, masks, amounts, channels = read_images(found, frame, columns, wish, amount)
    _fill_columns(x, table, columns)
    labels, origin = _labels(found, wish, amount, amounts, bool(kept))
    rows = table[[name for name in KEPT if name in table]].assign(onset=0.0, stop=1.0)
    rows, classes, cut = _with_labels(rows, labels, wish, kept)
    return Dataset(
        rows,
        x,
        wish.task,
        classes,
        facts={
            "kind": "image" if len(frame.shape) == 2 else "volume",
            "shape": list(frame.shape),
            "spacing": list(frame.spacing),
            "unit": frame.unit,
            "channels": list(kept.get("channels") or found.channels or names_of(channels)),
            "columns": [[column.name, list(column.levels)] for column in columns],
            "n_table": sum(column.width for column in columns),
            "target": origin,
            "cut": cut,
            "unit_volume": frame.place,
            "layout": found.layout,
        },
        findings=[*findings_of(found, rows), *findings],
        extra={"hashes": hashes},
        maps=masks if wish.maps and amount is not None and not kept else None,
    )


def audited(found: FoundCases, *, labels: bool) -> list[Finding]:
    """Check all cases, with their labels where these are used, and return what is doubtful.

    Raises
    ------
    DataError
        One, that lists everything that is wrong with the cases.
    """
    from neuroloom.io.cases.check import check_cases, findings_of_problems, require_sound

    cases = found.cases if labels else [replace(case, label=None) for case in found.cases]
    return findings_of_problems(require_sound(check_cases(cases, found.classes, found.ignore)))


def measured_alike(found: FoundCases, unit: str | None = None) -> FoundCases:
    """Return the cases all one way round, their sizes in `unit`; None: the one that most have."""
    return found.upright().in_unit(unit or found.usual_unit)


def frame_of(found: FoundCases, wish: Wish) -> Frame:
    """Choose the grid of the cases; see `frames.choose_frame`."""
    units = {case.unit for case in found.cases}
    if len(units) > 1:
        raise DataError(
            f"Sizes of pixels are given in {' and '.join(sorted(units))}: one unit is needed."
        )
    shapes = [case.shape for case in found.cases]
    return choose_frame(shapes, [case.spacing for case in found.cases], units.pop(), wish.size)


def _columns(table: pd.DataFrame, wish: Wish, kept: dict[str, Any]) -> list[Column]:
    if not kept:
        return read_columns(table, wish.tabular)
    columns = [Column(name, tuple(levels)) for name, levels in kept["columns"]]
    missing = [column.name for column in columns if column.name not in table]
    if missing:
        raise DataError(
            f"The model also reads the column {', '.join(missing)} beside the image: give a table "
            "that has it."
        )
    return columns


def read_images(
    found: FoundCases, frame: Frame, columns: list[Column], wish: Wish, amount: Amount | None
) -> tuple[np.ndarray, np.ndarray | None, list[float], int]:
    """Read image after image into one array, and count amounts on each label's own grid."""
    first = found.cases[0].image()
    channels, width = len(first), sum(column.width for column in columns)
    x = _room((len(found.cases), channels + width, *frame.shape))
    masks = np.zeros((len(x), *frame.shape), np.uint8) if wish.maps and amount else None
    amounts: list[float] = []
    for row, case in enumerate(found.cases):
        image = first if row == 0 else case.image()
        _check_axes(case, image, frame)
        together = len(frame.shape) == 2 and not wish.apart
        x[row, :channels] = put_on(standardised(image, together=together), case.spacing, frame)
        mask = amount.mask(case, found.classes) if amount else None
        if amount:
            place = float(np.prod(case.spacing))
            amounts.append(np.nan if mask is None else float(mask.sum()) * place)
        if masks is not None and mask is not None:
            masks[row] = put_mask_on(mask, case.spacing, frame)
    return x, masks, amounts, channels


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array to fill; on disk, in a file without a name, where it would be large."""
    if 4 * int(np.prod(shape)) <= IN_MEMORY:
        return np.zeros(shape, np.float32)
    file = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the array)
    return np.memmap(file, np.float32, "w+", shape=shape)  # type: ignore[arg-type]


def _check_axes(case: Case, image: np.ndarray, frame: Frame) -> None:
    if case.unit != frame.unit:
        raise DataError(
            f"{case.name}: its pixels are in {case.unit}, those that are learnt from in "
            f"{frame.unit}; pixels and lengths cannot be compared."
        )
    if image.ndim - 1 != len(frame.shape):
        raise DataError(f"{case.name}: has {image.ndim - 1} axes, expected {len(frame.shape)}.")


def _fill_columns(x: np.ndarray, table: pd.DataFrame, columns: list[Column]) -> None:
    place = x.shape[1] - sum(column.width for column in columns)
    for column in columns:
        values = column.encode(table[column.name].tolist())
        for one in range(column.width):
            x[:, place] = values[:, one].reshape(-1, *(1 for _ in x.shape[2:]))
            place += 1


def _labels(
    found: FoundCases, wish: Wish, amount: Amount | None, amounts: list[float], new: bool
) -> tuple[pd.Series, str]:
    import pandas as pd

    if amount is not None:
        return pd.Series(amounts, dtype=float), str(wish.target)
    try:
        return labels_of(found, wish.target, numbers=wish.task == "regression")
    except DataError:
        if not new:
            raise
        # New images that nobody labelled are predicted all the same.
        return pd.Series([None] * len(found.table), dtype=object), str(wish.target)


def _with_labels(
    rows: pd.DataFrame, labels: pd.Series, wish: Wish, kept: dict[str, Any]
) -> tuple[pd.DataFrame, list[str], float | None]:
    import pandas as pd

    cut = kept.get("cut")
    if wish.task == "classification" and Amount.parse(wish.target) is not None:
        cut = cut if cut is not None else wish.cut
        cut = float(labels.median()) if cut is None else cut
        words = [None if np.isnan(v) else "large" if v > cut else "small" for v in labels]
        labels = pd.Series(words, dtype=object)
    rows = rows.assign(label=labels.to_numpy())
    if wish.task == "regression":
        return rows, [], None
    return rows, list(kept["classes"]) if kept else require_classes(rows, "The images"), cut


def names_of(count: int) -> list[str]:
    """Name channels that nobody named."""
    return [f"channel {k + 1}" for k in range(count)] if count > 1 else ["image"]


def findings_of(found: FoundCases, rows: pd.DataFrame) -> list[Finding]:
    """Return what was noticed: the layout, its notes, and whether there is one subject only."""
    notes = [Finding("note", "How the data were read", found.layout.rstrip(".") + ".")]
    notes += [Finding("note", "Noticed while reading", note) for note in found.notes]
    if rows["subject"].nunique() == 1 and len(rows) > 1:
        notes.append(
            Finding(
                "objection",
                "One subject: no evidence",
                f"All {len(rows)} images count as one subject's. Contrasts, slices or repeats of "
                "one person share everything but the person: no score from them says how a model "
                "does on somebody else. Add subjects, or say whose the images are (`pattern`, or "
                "a table with a column subject).",
            )
        )
    return notes
