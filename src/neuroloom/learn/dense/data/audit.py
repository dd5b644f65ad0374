"""What a careful reader objects to: few cases, one subject, and what stands on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.split import Fold
from neuroloom.io.cases.layouts import few
from neuroloom.io.cases.tones import is_flat_between
from neuroloom.io.cases.truth import is_filled

if TYPE_CHECKING:
    from neuroloom.learn.dense.study import DenseStudy
    from neuroloom.learn.study import Prepared

FEW_CASES = 10
MANY_CLASSES = 32  # so many that nobody named may be no classes


def audit_cases(dataset: Dataset) -> list[Finding]:
    """Say how much the figures can mean: few cases, one subject, neighbouring slices."""
    findings = []
    subjects = dataset.table["subject"].nunique()
    if len(dataset) > 1 and subjects == 1:
        findings.append(
            Finding(
                "objection",
                "All cases are of one subject",
                "Whatever is held out is of the same subject, maybe of the same tissue: the "
                "figures say how well more of this subject is labelled, not another one. If the "
                "names tell subjects apart, give `pattern`.",
            )
        )
    elif len(dataset) < FEW_CASES:
        findings.append(
            Finding(
                "warning",
                "Few cases",
                f"{len(dataset)} labelled cases: the intervals are wide, and say little of others.",
            )
        )
    if numbers := _many_unnamed(dataset):
        findings.append(
            Finding(
                "warning",
                "Many classes that nobody named",
                f"The labels hold {len(numbers)} numbers, and each is learnt as a class. Numbers "
                "of objects are none: they are for microscopy.segment --target instances. Classes "
                "are named by `classes` or a dataset.json.",
            )
        )
    return findings


def refuse_shades(dataset: Dataset) -> None:
    """Refuse pictures' labels of many greys that blend into each other: they are no classes.

    Raises
    ------
    DataError
        With some of the greys.
    """
    numbers = _many_unnamed(dataset)
    greys = sorted(map(int, numbers))
    # Shades go all the way down to black.
    if not greys or dataset.facts["dims"] != 2 or not 0 < 2 * greys[0] < greys[-1]:
        return
    truths = (case.truth() for case in dataset.x)
    if not any(is_flat_between(truth, greys[-1]) for truth in truths if truth is not None):
        raise DataError(
            f"The labels hold {len(numbers)} greys, {few(numbers)}, that blend into each other, "
            "and nothing names classes. A mask of one class with soft edges is cut at half: "
            "--values.tumour 255, or what is white in it."
        )


def _many_unnamed(dataset: Dataset) -> list[str]:
    """Return the numbers of classes without a name, if they are many."""
    numbers = unnamed(dataset.facts["classes_of"])
    return numbers if len(numbers) > MANY_CLASSES else []


def unnamed(classes: Mapping[str, str]) -> list[str]:
    """Return the numbers of classes without a name.

    Examples
    --------
    >>> unnamed({"0": "background", "1": "1", "2": "axon"})
    ['1']
    """
    return [k for k, name in classes.items() if k == name]


def refuse_copies(dataset: Dataset, folds: list[Fold]) -> None:
    """Refuse a split that has one and the same mask on both sides.

    Several contrasts of one subject share their mask: a net that has seen it once knows it.

    Raises
    ------
    DataError
        Naming two such cases.
    """
    if not any(len(fold.test) for fold in folds):
        return
    marks = [_mark(case.truth(), dataset.facts["ignore"]) for case in dataset.x]
    names = dataset.table["name"].astype(str).tolist()
    for fold in folds:
        learnt = {marks[row]: names[row] for row in fold.train if marks[row]}
        for row in fold.test:
            if marks[row] and marks[row] in learnt:
                raise DataError(
                    f"{names[row]} and {learnt[marks[row]]} have the same label, voxel for voxel, "
                    "and would stand on both sides of the split: contrasts or copies of one "
                    "subject are no evidence. Name whose they are with `pattern` or a table, and "
                    "have more than one subject; `--folds 0` fits without judging."
                )


def refuse_views(study: DenseStudy, prepared: Prepared) -> None:
    """Refuse views that these images have not, or do not bear.

    Raises
    ------
    ConfigError
        If there is one side only, voxels are long along one axis, or a mirror is forbidden.
    """
    from neuroloom.learn.dense.apply.views import ALL_SIDES
    from neuroloom.learn.dense.planning.plan import ANISOTROPY

    cases, facts = prepared.dataset.x, prepared.dataset.facts
    if facts["dims"] < 3:
        raise ConfigError(
            f"views={study.views} is of stacks; these images have two axes: leave it out."
        )
    sizes = np.median([cases.spacing(case) for case in cases], 0)  # type: ignore[attr-defined]
    if study.views in ALL_SIDES and sizes.max() > ANISOTROPY * sizes.min():
        raise ConfigError(
            f"views={study.views} looks along every axis, and voxels of "
            f"{' x '.join(f'{s:.3g}' for s in sizes)} {facts['unit']} are more than "
            f"{ANISOTROPY:g} times as long along one: leave it out."
        )
    if study.views in ALL_SIDES and study.mirror and len({*study.mirror}) < facts["dims"]:
        raise ConfigError(
            f"views={study.views} looks along every axis, and mirror={study.mirror} names some: an "
            "axis of one side is another of the next. Name all, none ([]), or leave mirror out."
        )
    mirror = facts["mirror"] if study.mirror is None else study.mirror
    within = study.plan_of_largest(prepared).transpose[1:]
    if study.views == "sixteen" and mirror is not None and not {*within} <= {*mirror}:
        raise ConfigError(
            f"views=sixteen mirrors slices along all axes, and these may be mirrored along "
            f"{list(mirror) or 'none'} only: take twelve, or set mirror."
        )


def _mark(truth: np.ndarray | None, ignore: int | None) -> str:
    """Return a hash of a label; empty for one that has one value, but for an open margin.

    Tiles that one class fills are alike and no copies.
    """
    if truth is None or is_filled(truth, ignore):
        return ""
    small = np.ascontiguousarray(truth, np.int32)
    return hashlib.sha256(str(small.shape).encode() + small.tobytes()).hexdigest()
