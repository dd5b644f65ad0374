"""From images of a folder to what a net of microscopy sees: pixel sizes, objects, strips."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import ENTITIES, Dataset
from neuroloom.core.split import Fold
from neuroloom.io.cases.layouts import few
from neuroloom.learn.dense.data.audit import MANY_CLASSES, unnamed
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.planning.tissue import EDGE, LOOKED_AT, zoom_out
from neuroloom.microscopy.objects import (
    BLUR,
    LEFT_OUT,
    MANY,
    Objects,
    drawn_in,
    look_numbered,
    mostly,
    whole_numbers,
)
from neuroloom.microscopy.strips import common_axis, cut_case, neighbour_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from neuroloom.learn.study import Prepared
    from neuroloom.microscopy.segment import Segment

SQUARE = 1.05
COPIED = "copied"
STRIPS = 3
WIDE = 64  # pixels of a strip, where its number is free
ACROSS = 20.0  # pixels that the diameter of an object has as the net sees it
PIXELS = {
    "doubtful": (
        "Pixel sizes that were not believed",
        "the size of a pixel is missing or not square, so {pixel:g} {unit} was taken, as in the "
        "other images.",
    ),
    "taken over": (
        "Pixel size taken over from the run",
        "{pixel:g} {unit} a pixel was taken, the `pixel_size` of the run; their own files say none "
        "or another.",
    ),
    "beside": (
        "Another pixel size than that of the run",
        "the size that a file beside them says was taken, and not {pixel:g} {unit}, the "
        "`pixel_size` of the run.",
    ),
}
BESIDE = "A text file beside an image, NAME_pixel_size_um.txt, says how wide its pixels are."
OBJECTS = {"0": "background", "1": "interior", "2": "rim"}


def as_seen(study: Segment, dataset: Dataset, run: dict[str, Any] | None = None) -> Dataset:
    """Return the data set with pixel sizes that can be believed, and objects where they are meant.

    Parameters
    ----------
    dataset
        As read from files.
    run
        What is stored of a finished run that is to be applied; None: this is a new one.
    """
    known = dict(dataset.facts)
    known |= dict(run["axes"]) | {"ignore": dataset.facts.get("ignore")} if run else {}
    if not run:
        own = [case for case in dataset.x if case.unit == known["unit"]]
        known["pixel"] = usual_pixel(own, _given_pixel(study, known["unit"]))
        known["objects"] = _means_objects(study, dataset)
    cases: list[Any] = list(dataset.x)
    new = run is not None

    def spacing(case: Any) -> tuple[float, ...]:
        return believed(study, known, case, new=new)[0]

    findings = [*dataset.findings, *_told(study, known, cases, new=new)]
    if not run and not known["objects"]:
        findings += _may_be_objects(study, dataset)
    if known["objects"]:
        blur = known.setdefault("blur", 0.0 if run else BLUR)
        ignore = known.get("ignore")
        cases = [Objects(case, study.diameter, blur, spacing(case), ignore) for case in cases]
        spacing = _in_diameters
        known |= {"classes_of": OBJECTS, "parts": {known["objects"]: [1, 2]}, "regions": None}
        known["ignore"] = None if ignore is None else LEFT_OUT
    x: Any = DenseCases(cases, spacing=spacing)
    return replace(dataset, x=x, facts=known, findings=findings)


def usual_pixel(cases: Sequence[Any], given: float | None) -> float:
    """Return the width of a pixel: as given, else the median of images whose pixels are square."""
    if given:
        return given
    sizes = np.array([case.spacing[-2:] for case in cases], float)
    square = sizes.max(1) <= SQUARE * sizes.min(1)
    return float(np.median(sizes[square, 1]) if square.any() else sizes.min())


def _means_objects(study: Segment, dataset: Dataset) -> str:
    """Return the name of the objects that labels number; empty where they are classes."""
    named = [case.label for case in dataset.x if isinstance(case.label, dict)]
    if study.target == "semantic" or any(len(label) > 1 for label in named):
        return ""
    several = bool(named) or len(dataset.facts["classes_of"]) > MANY
    if study.target == "auto" and not (several and _number_objects(dataset)):
        return ""
    return str(next(iter(named[0]))) if named else "objects"


def _number_objects(dataset: Dataset) -> bool:
    """Tell whether the first labels that hold many numbers number objects; sparse ones abstain."""
    told = (vote for vote in map(look_numbered, _masks(dataset)) if vote is not None)
    votes = [*islice(told, LOOKED_AT)]
    return bool(votes) and all(votes)


def _masks(dataset: Dataset) -> Iterator[NDArray[Any]]:
    """Yield what the label of each case holds, in its first file where it has several.

    What is left open is 0.
    """
    for case in dataset.x:
        if case.label is not None:
            drawn, _ = next(iter(drawn_in(case, dataset.facts.get("ignore")).values()))
            yield drawn


def _may_be_objects(study: Segment, dataset: Dataset) -> list[Finding]:
    """Warn where numbers that nobody named are learnt as classes, and most are of one piece."""
    numbers = unnamed(dataset.facts["classes_of"])
    if study.target != "auto" or not 1 < len(numbers) <= MANY_CLASSES:
        return []
    drawn = islice((whole for whole in map(whole_numbers, _masks(dataset)) if whole), LOOKED_AT)
    if not mostly([one for whole in drawn for one in whole]):
        return []
    return [
        Finding(
            "warning",
            "Classes that may be objects",
            f"The labels hold the numbers {few(numbers)}, each is learnt as a class, and in most "
            "labels each marks a single piece. If they number nuclei or cells, say "
            "`target: instances`; if they are classes, name them in `classes`.",
        )
    ]


def believed(
    study: Segment, known: dict[str, Any], case: Any, *, new: bool
) -> tuple[tuple[float, ...], str]:
    """Return how large the pixels of a case are, and which finding that is worth, if any.

    `pixel_size` holds for all images but new ones with a file beside them that says another. Where
    nothing is given, pixels that are said to be oblong, or to have no size where the others have
    one, are taken as squares of the usual width.

    Returns
    -------
    Sizes in the unit of the training images, and a key of `PIXELS` or "".
    """
    said = tuple(float(s) for s in case.spacing)
    oblong = len(said) == 2 and max(said) > SQUARE * min(said)
    given = _given_pixel(study, known["unit"])
    if given is None:
        if oblong or (case.unit == "px") != (known["unit"] == "px"):
            return (*said[:-2], known["pixel"], known["pixel"]), "doubtful"
        return said, ""
    own = (*said[:-2], given, given)
    if not new or np.allclose(said[-2:], own[-2:]):
        return own, ""
    beside = case.pixel is not None and not oblong
    return (said, "beside") if beside else (own, "taken over")


def _given_pixel(study: Segment, unit: str) -> float | None:
    """Return `pixel_size`, which is in um, in the unit of the run; where that is px, as it is."""
    if study.pixel_size is None or unit != "mm":
        return study.pixel_size
    return study.pixel_size / 1000


def _told(
    study: Segment, known: dict[str, Any], cases: Sequence[Any], *, new: bool
) -> list[Finding]:
    """Say which pixel sizes were taken for images that do not say so themselves."""
    names: dict[str, list[str]] = {}
    for case in cases:
        names.setdefault(believed(study, known, case, new=new)[1], []).append(case.name)
    found, way = [], BESIDE if new else "`pixel_size` says it for all."
    for kind, (title, text) in PIXELS.items():
        if kind in names:
            told = f"{few(dict.fromkeys(names[kind]))}: {text.format(**known)} {way}"
            found.append(Finding("warning", title, told))
    return found


def _in_diameters(case: Any) -> tuple[float, ...]:
    """Return pixel sizes as parts of the diameter of an object, so that objects are of one size."""
    objects = getattr(case, "uncut", case)
    return tuple(s / objects.steps[-1] / objects.diameter for s in objects.steps)


def in_strips(
    dataset: Dataset,
    axis: int | None,
    folds: int | None,
    share: float,
    gap: int | None,
    detail: float,
) -> Dataset:
    """Return the data set with every image cut into strips; see `strips.places`.

    Parameters
    ----------
    axis
        As for `strips.common_axis`.
    folds
        None: three, or one where three would be too narrow.
    gap
        Pixels; None: half of a patch.
    detail
        As for `planning.tissue.zoom_out`, which tells how many pixels a patch covers.
    """
    axis = common_axis(list(dataset.x), axis)
    if gap is None:
        gap = _half_patch(dataset, detail)
    if folds is None:
        folds = STRIPS if _wide_enough(dataset, axis, gap) else 1
    strips, rows, parts = [], [], []
    for row, case in enumerate(dataset.x):
        for strip in cut_case(case, axis, folds, share, gap):
            strips.append(strip)
            rows.append(row)
            parts.append(strip.part)
    table = dataset.table.iloc[rows].reset_index(drop=True)
    table = table.assign(
        whole=table["name"], name=[strip.name for strip in strips], part=parts,
        example=np.arange(len(strips)),
    )  # fmt: skip
    x: Any = DenseCases(strips, spacing=dataset.x.spacing)  # type: ignore[attr-defined]
    note = Finding(
        "note",
        "Cut into strips",
        f"Every image was cut into {max(parts)} strips, all along axis {axis} at the same "
        f"places, with {gap} pixels left out between them. What is judged is tissue beside that "
        "which was learnt from, not another animal or another preparation.",
    )
    return replace(dataset, table=table, x=x, findings=[*dataset.findings, note])


def _wide_enough(dataset: Dataset, axis: int, gap: int) -> bool:
    return min(case.shape[axis] for case in dataset.x) // STRIPS - gap >= WIDE


def _half_patch(dataset: Dataset, detail: float) -> int:
    if dataset.facts["objects"] and dataset.facts["dims"] == 2:
        across = np.median([1 / dataset.x.spacing(case)[-1] for case in dataset.x])  # type: ignore[attr-defined]
        return round(float(EDGE // 2 * across / ACROSS))
    if dataset.facts["dims"] == 3:
        return EDGE // 2
    values = [
        int(v) for v in dataset.facts["classes_of"] if int(v) not in (0, dataset.facts["ignore"])
    ]
    labels = [case.truth() for case in list(dataset.x)[:LOOKED_AT]]
    known = [label for label in labels if label is not None]
    return round(EDGE // 2 * (zoom_out(known, values, detail) if known and detail < 1 else 1))


def folds_in_space(dataset: Dataset, *, one: bool) -> list[Fold]:
    """Return the folds of strips: the last one held out, or each in turn."""
    table = dataset.table
    part = table["part"].to_numpy()
    several = table["subject"].nunique() > 1
    folds = []
    for number in [int(part.max())] if one else range(1, int(part.max()) + 1):
        test = np.flatnonzero(part == number)
        owners = table["subject"].astype(str).iloc[test]
        units = [f"{who}/part {number}" if several else f"part {number}" for who in owners]
        train = np.flatnonzero(part != number)
        folds.append(Fold(f"part {number} of {part.max()}", train, test, units))
    return folds


def _neighbours(prepared: Prepared) -> list[tuple[int, int, int]]:
    """Return (fold, held-out row, row learnt from) of sections that adjoin."""
    dataset, found = prepared.dataset, []
    if prepared.by == "space" or dataset.facts["objects"]:
        return []
    subjects = dataset.table["subject"].astype(str).tolist()
    if _may_be_sections(prepared):
        subjects = [""] * len(subjects)
    for number, fold in enumerate(prepared.folds):
        for row in fold.test:
            other = neighbour_of(int(row), fold.train.tolist(), subjects, dataset.x)
            if other is not None:
                found.append((number, int(row), other))
    return found


def _may_be_sections(prepared: Prepared) -> bool:
    """Return whether images may be of one animal though each counts as another.

    They do where nothing but the file's name says whose they are. 00.tif and 01.tif are sections
    where the split says so (`run`); where it does not, names that differ by a number may be of
    sections as well as of animals.
    """
    table = prepared.dataset.table
    subjects, names = table["subject"].astype(str).tolist(), table["name"].astype(str).tolist()
    if prepared.by == "run":
        return all(name.isdigit() for name in subjects)
    alike = len({re.sub(r"\d+", "#", name) for name in names}) == 1
    return prepared.by == "subject" and subjects == names and alike


def audit_neighbours(prepared: Prepared) -> list[Finding]:
    """Object to sections of one tissue on both sides of the split; say where they may be that."""
    pairs = _neighbours(prepared)
    if not pairs:
        return []
    names = prepared.dataset.table["name"].astype(str).tolist()
    if prepared.by == "subject":
        return [
            Finding(
                "note",
                "Images that may be neighbours",
                "Nothing but a number tells whose the images are, and each counts as an animal of "
                "its own. If they are sections of one piece of tissue, much of the score is "
                "memory: compare it with the row 'copied neighbour', the score of the mask beside "
                f"({names[pairs[0][2]]} for {names[pairs[0][1]]}), or use `split: space`.",
            )
        ]
    return [
        Finding(
            "objection",
            "Neighbouring sections on both sides",
            f"{len(pairs)} held-out images have one of the same subject and shape among those "
            f"learnt from ({names[pairs[0][1]]} beside {names[pairs[0][2]]}). If they are sections "
            "of one piece of tissue, much of the score is memory: compare it with the row "
            "'copied neighbour', the score of that section's mask as it is, or use `split: space`.",
        )
    ]


def with_copied(study: Segment, prepared: Prepared, table: pd.DataFrame) -> pd.DataFrame:
    """Add rows, of role "copied", that judge the mask of the neighbouring section as it is."""
    import pandas as pd

    from neuroloom.learn.dense.measures.judge import rows_of_case

    dataset, rows = prepared.dataset, []
    for number, row, other in _neighbours(prepared):
        fold, case = prepared.folds[number], dataset.x[row]
        entities = dataset.table.iloc[row][list(ENTITIES)].to_dict()
        head = {"example": dataset.table["name"].iloc[row], **entities, "fold": number}
        head |= {"unit": fold.units[list(fold.test).index(row)], "seed": study.seed}
        head |= {"model": "mask of the neighbouring section", "role": COPIED}
        judged = rows_of_case(
            case.truth(), dataset.x[other].truth(), study.measured_in(dataset, row)[0],
            dataset.facts["parts"], study.tolerance, dataset.facts["ignore"],
            study.voxel_in(dataset, row),
        )  # fmt: skip
        rows += [head | one for one in judged]
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table
