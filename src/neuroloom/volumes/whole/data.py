"""From a folder of images to a dataset: a common grid, z-scores, targets, columns of a table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.dataset import Dataset, Task, require_classes
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.data.match import (
    contrasts_of,
    match_channels,
    of_learnt_contrasts,
    ordered_by,
)
from neuroloom.learn.dense.data.read import MEND, require_names
from neuroloom.volumes.whole.columns import Column, odd_words, read_columns
from neuroloom.volumes.whole.frames import Frame, choose_frame, put_mask_on, put_on, standardised
from neuroloom.volumes.whole.targets import (
    Amount,
    labels_of,
    labels_where_known,
    of_the_run,
    target_of,
    with_folders,
    without_target,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.io.cases import Case, FoundCases
    from neuroloom.io.cases.check import Use

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
    channels
        Their names; empty: as the data say.
    cut
        Where numbers become two classes, "small" and "large"; None takes their median.
    maps
        Whether the model learns from where an amount is, beside how much there is.
    apart
        Whether channels of a flat image in one file, too, are standardised one by one: what is to
        be made of another must not reach it.
    """

    task: Task = "classification"
    target: str | None = None
    tabular: tuple[str, ...] = ()
    size: int | None = None
    channels: tuple[str, ...] = ()
    cut: float | None = None
    maps: bool = False
    apart: bool = False


def read_whole(
    found: FoundCases,
    wish: Wish,
    facts: Mapping[str, Any] | None = None,
    *,
    labelled: bool = True,
) -> Dataset:
    """Read all cases onto one grid.

    Parameters
    ----------
    found
        The cases (`io.cases.find_cases`).
    wish
        What is to be learnt.
    facts
        Of an earlier dataset whose grid, channels, classes, columns and target are kept.
    labelled
        Whether the cases are learnt from or judged; without, each is worked on by itself, and what
        its target is need not be known.

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
    advice = "doubt what it says of them."
    found, findings = of_learnt_contrasts(found, kept.get("contrasts", []), advice)
    use: Use = "model" if labelled else "image"
    findings += audited(found, labels=amount is not None, use=use, whole=facts is not None)
    found = measured_alike(found, kept.get("unit"))
    hashes = found.hashes()
    if labelled:
        paths = [path for images in found.table["image"] for path in images]
        refuse_duplicates({path: hashes[path] for path in paths})
    found = in_order(found, kept) if kept else ordered_by(found, wish.channels)
    frame = Frame.of(kept) if kept else frame_of(found, wish)
    table = with_folders(found.table)
    columns = _columns(table, wish, kept)
    joined = [column.encode(table[column.name].tolist(), table["path"]) for column in columns]
    x, masks, amounts, channels = read_images(found, frame, columns, wish, amount)
    named = _channels(found, channels, wish, kept)
    _join(x, joined)
    labels, origin = _labels(found, wish, amount, amounts, kept, labelled=labelled)
    rows = table[[name for name in KEPT if name in table]].assign(onset=0.0, stop=1.0)
    rows, classes, cut = _with_labels(rows, labels, wish, kept, labelled=labelled)
    return Dataset(
        rows,
        x,
        wish.task,
        classes,
        facts=_facts(frame, named, columns)
        | {"called": kept.get("called", list(found.channels))}
        | {"contrasts": kept.get("contrasts", contrasts_of(found))}
        | {"target": origin, "cut": cut, "layout": found.layout},
        findings=[
            *findings_of(found, rows if labelled else None),
            *findings,
            *([] if kept else _doubts(labels, origin, classes, columns)),
            *([] if kept else apart(found)),
        ],
        extra={"hashes": hashes, "cases": found.cases},
        maps=masks if wish.maps and amount is not None and not kept else None,
    )


def _facts(frame: Frame, channels: list[str], columns: list[Column]) -> dict[str, Any]:
    """Return what a model and new data must know of the axes."""
    return {
        "kind": "image" if len(frame.shape) == 2 else "volume",
        "shape": list(frame.shape),
        "spacing": list(frame.spacing),
        "unit": frame.unit,
        "unit_volume": frame.place,
        "channels": channels,
        "columns": [[column.name, list(column.levels)] for column in columns],
        "n_table": sum(column.width for column in columns),
    }


def _doubts(
    labels: pd.Series, target: str, classes: list[str], columns: list[Column]
) -> list[Finding]:
    """Say what may be wrong with the words of the table, and how many examples have no target."""
    found = [*without_target(labels, target), *odd_words(classes, "classes")]
    for column in columns:
        found += odd_words(column.levels, f"values of the column '{column.name}'")
    return found


def audited(
    found: FoundCases, *, labels: bool, use: Use = "model", whole: bool = False
) -> list[Finding]:
    """Check all cases, with their labels where these are used, and return what is doubtful.

    Parameters
    ----------
    use
        What the cases serve; see `io.cases.check.check_cases`.
    whole
        Whether all that is wrong is told at once; see `io.cases.check.require_sound`.

    Raises
    ------
    DataError
        One, that lists everything that is wrong with the cases.
    """
    from neuroloom.io.cases.check import check_cases, findings_of_problems, require_sound

    cases = found.cases if labels else [replace(case, label=None) for case in found.cases]
    problems = check_cases(cases, found.classes, found.ignore, use)
    advice = () if use == "model" else (MEND,)
    return findings_of_problems(require_sound(problems, *advice, whole=whole))


def in_order(found: FoundCases, trained: Mapping[str, Any]) -> FoundCases:
    """Return new cases with their channels in the order of the run's, where names tell them.

    Parameters
    ----------
    trained
        Facts of the run: `channels`, and as `called` what they were called in its data.

    Raises
    ------
    DataError
        If the run does not know a channel, or one of the run's is not there.
    """
    return found.changed(order=match_channels(found.channels, {"called": []} | dict(trained)))


def _channels(found: FoundCases, count: int, wish: Wish, kept: dict[str, Any]) -> list[str]:
    """Return the names of the channels: the run's, those that are wished, or those of the data."""
    if not kept:
        require_names(count, found.channels, "the data set says")
        require_names(count, list(wish.channels), "`channels` says")
        return list(wish.channels or found.channels or names_of(count))
    trained = list(kept["channels"])
    if count != len(trained):
        raise DataError(
            f"{found.cases[0].name}: has {count} channel{'s' * (count != 1)}, the run learnt from "
            f"{len(trained)}: {', '.join(trained)}. Give images that have these."
        )
    return trained


def apart(found: FoundCases) -> list[Finding]:
    """Say that contrasts of one subject are examples of their own, where they are."""
    if not found.tells_contrasts or found.channels:
        return []
    names = sorted(found.table["contrast"].dropna().astype(str).unique())
    if len(names) < 2:
        return []
    said = f"Images of {', '.join(names)} are examples of their own, each with one channel. "
    said += f"`channels` ({', '.join(names[:2])}) makes them the channels of one example."
    return [Finding("note", "Contrasts stand apart", said)]


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
        _refuse_target_beside_itself(table, wish)
        return read_columns(table, wish.tabular)
    columns = [Column(name, tuple(levels)) for name, levels in kept["columns"]]
    missing = [column.name for column in columns if column.name not in table]
    if missing:
        raise DataError(
            f"The model also reads the column {', '.join(missing)} beside the image: give a table "
            "that has it."
        )
    return columns


def _refuse_target_beside_itself(table: pd.DataFrame, wish: Wish) -> None:
    if wish.tabular and (name := target_of(table, wish.target)) in wish.tabular:
        raise ConfigError(
            f"tabular: the column '{name}' is what is to be learnt, and cannot join the image: "
            "leave it out of `tabular`, or set another `target`."
        )


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
        if len(image) != channels:
            raise DataError(
                f"{case.name}: has {len(image)} channels, {found.cases[0].name} has {channels}: "
                "all need the same."
            )
        together = are_colours(case) and not wish.apart
        x[row, :channels] = put_on(standardised(image, together=together), case.spacing, frame)
        mask = amount.mask(case, found) if amount else None
        if amount:
            place = case.header.voxel
            amounts.append(np.nan if mask is None else float(mask.sum()) * place)
        if masks is not None and mask is not None:
            masks[row] = put_mask_on(mask, case.spacing, frame)
    return x, masks, amounts, channels


def are_colours(case: Case) -> bool:
    """Return whether channels of a flat image share a scale: those of one file do."""
    return len(case.shape) == 2 and len(case.images) == 1


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


def _join(x: np.ndarray, joined: list[np.ndarray]) -> None:
    """Fill the last channels with the columns, each (n, width)."""
    place = x.shape[1] - sum(values.shape[1] for values in joined)
    for one in (values for column in joined for values in column.T):
        x[:, place] = one.reshape(-1, *(1 for _ in x.shape[2:]))
        place += 1


def _labels(
    found: FoundCases,
    wish: Wish,
    amount: Amount | None,
    amounts: list[float],
    kept: dict[str, Any],
    *,
    labelled: bool,
) -> tuple[pd.Series, str]:
    """Return the target of each case, and what it is: of new cases it is what the run learnt."""
    import pandas as pd

    if amount is not None:
        return pd.Series(amounts, dtype=float), str(wish.target)
    target, numbers = kept.get("target") or wish.target, wish.task == "regression"
    if labelled:
        return labels_of(found, target, numbers=numbers)
    return labels_where_known(found, str(target), numbers=numbers), str(target)


def _with_labels(
    rows: pd.DataFrame, labels: pd.Series, wish: Wish, kept: dict[str, Any], *, labelled: bool
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
    if not kept:
        return rows, require_classes(rows, "The images"), cut
    classes = list(kept["classes"])
    return of_the_run(rows, classes, labelled=labelled), classes, cut


def names_of(count: int) -> list[str]:
    """Name channels that nobody named."""
    return [f"channel {k + 1}" for k in range(count)] if count > 1 else ["image"]


def findings_of(found: FoundCases, rows: pd.DataFrame | None) -> list[Finding]:
    """Return what was noticed: the layout, its notes, and whether there is one subject only.

    Parameters
    ----------
    rows
        One an example; None where nothing is judged.
    """
    notes = found.noticed()
    if rows is not None and rows["subject"].nunique() == 1 and len(rows) > 1:
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
