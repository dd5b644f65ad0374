"""From probabilities of held-out cases to labels, and to the rows that judge them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.dataset import ENTITIES
from neuroloom.learn.dense.apply.large import room, slabs
from neuroloom.learn.dense.measures.doubt import doubt_of, entropy, error_auroc
from neuroloom.learn.dense.measures.flags import Volumes, usual_of, volumes_by_case, with_flags
from neuroloom.learn.dense.measures.judge import dice_of_cases, rows_of_case
from neuroloom.learn.dense.measures.overlap import (
    boxes_of,
    counts_of,
    dice,
    mask_of,
    without_ignored,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from neuroloom.core.dataset import Dataset
    from neuroloom.learn.dense.study import DenseStudy
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

    Label = NDArray[np.integer]

IMPORTING_S = 4.0  # a first time that is shorter may be that of libraries: it is measured again
HALF_BYTES = 2  # of a number in half precision


@dataclass(frozen=True)
class Held:
    """One case while it was held out: what was said of it, and by each net that has a vote."""

    fit: Fitted
    row: int
    unit: str
    p: np.ndarray
    nets: list[np.ndarray]


def held(prepared: Prepared, fits: Sequence[Fitted]) -> Iterator[Held]:
    """Yield every held-out case of these fits with its probabilities."""
    for fit in fits:
        fold = prepared.folds[fit.job.fold]
        for place, row in enumerate(fold.test):
            p = fit.scores[place]
            joint = getattr(fit.scores, "parts", ())  # of configurations that vote together
            nets = [part[place] for part in joint] if len(joint) > 1 else [p]
            yield Held(fit, int(row), fold.units[place], p, nets)


def bytes_of_held_out(prepared: Prepared, count: int) -> float:
    """Return the bytes of the probabilities of all held-out cases, as `store.Ragged` has them.

    Parameters
    ----------
    count
        Of the nets, baseline included, that each case is held out of.
    """
    facts = prepared.dataset.facts
    values = {int(value) for value in facts["classes_of"]} - {facts["ignore"]}
    outputs = len(facts["regions"] or values)
    rows = [int(row) for fold in prepared.folds for row in fold.test]
    voxels = sum(float(np.prod(prepared.dataset.x[row].shape)) for row in rows)
    return HALF_BYTES * outputs * voxels * count


def decode(p: np.ndarray, facts: dict[str, Any]) -> Label:
    """Return label values (*axes) from probabilities (class or region, *axes).

    Examples
    --------
    >>> facts = {"classes_of": {"0": "background", "7": "cell"}, "regions": None}
    >>> decode(np.array([[0.9, 0.2], [0.1, 0.8]]), facts).tolist()
    [0, 7]
    """
    if facts["regions"]:
        return paint(p, facts["regions"], facts.get("painted", ()))
    numbers = sorted(int(value) for value in facts["classes_of"])
    label = _blank(p, numbers)
    values = np.array(numbers, label.dtype)
    for part in slabs(label.shape):
        label[part] = values[np.asarray(p[:, part]).argmax(0)]
    return label


def paint(p: np.ndarray, regions: dict[str, Sequence[int]], order: Sequence[int] = ()) -> Label:
    """Return label values (*axes) from probabilities of regions (region, *axes).

    Parameters
    ----------
    order
        The value that each region is painted with, the later region over the earlier: nnU-Net's
        `regions_class_order`. Empty: the widest region first (`painted`); where regions overlap
        in part, a voxel has the first label that lies in just the regions that it was put in.

    Examples
    --------
    >>> p = np.array([[0.9, 0.9, 0.1], [0.1, 0.9, 0.9]])
    >>> regions = {"left": [1, 2], "right": [2, 3]}
    >>> paint(p, regions).tolist(), paint(p, regions, [1, 3]).tolist()
    ([1, 2, 3], [1, 3, 3])
    """
    values = sorted({*order, *(value for own in regions.values() for value in own)}, reverse=True)
    label = _blank(p, values)
    for k, value in enumerate(order) if order else painted(regions):
        label[np.asarray(p[k]) > 0.5] = value
    if not order and _overlap_in_part(regions):
        for part in slabs(label.shape):
            inside = [np.asarray(own[part]) > 0.5 for own in p]
            for value in values:
                wanted = [value in own for own in regions.values()]
                fits = [here == there for here, there in zip(inside, wanted, strict=True)]
                label[part][np.all(fits, axis=0)] = value
    return label


def _blank(p: np.ndarray, values: Sequence[int]) -> Label:
    """Return an empty label (*axes), 16 bits or as many as the values need."""
    wide = np.result_type(np.int16, np.min_scalar_type(-max(values)))
    return np.zeros(p.shape[1:], wide)


def _overlap_in_part(regions: dict[str, Sequence[int]]) -> bool:
    """Tell whether two regions share labels and neither lies in the other."""
    pairs = combinations([set(values) for values in regions.values()], 2)
    return any(one & other and one - other and other - one for one, other in pairs)


def painted(regions: dict[str, Sequence[int]]) -> list[tuple[int, int]]:
    """Return (place, label value) of every region, the widest first: each is painted over it.

    A region leaves the value that no narrower region within it has.

    Examples
    --------
    >>> painted({"core": [2, 3], "whole": [1, 2, 3], "enhancing": [3]})
    [(1, 1), (0, 2), (2, 3)]
    """
    order = sorted(enumerate(regions.values()), key=lambda item: -len(item[1]))
    found = []
    for rank, (place, values) in enumerate(order):
        inner = {
            v for _, narrower in order[rank + 1 :] for v in narrower if set(narrower) < set(values)
        }
        own = [value for value in values if value not in inner]
        found.append((place, int((own or list(values))[0])))
    return found


def keep_largest(label: Label, value: int | Sequence[int]) -> Label:
    """Return the label with all but the largest connected piece of a class (or region) removed.

    Examples
    --------
    >>> keep_largest(np.array([1, 1, 0, 1, 2]), 1).tolist()
    [1, 1, 0, 0, 2]
    """
    return kept(label, {"": value}, [""])


def kept(label: Label, parts: dict[str, Any], names: Sequence[str]) -> Label:
    """Return the label with the largest piece only of the classes `names`."""
    out = label
    for name, box in boxes_of(label, {name: parts[name] for name in names}).items():
        smaller = _smaller_pieces(mask_of(out[box], parts[name]))
        if smaller is not None:
            out = label.copy() if out is label else out
            out[box][smaller] = 0
    return out


def _smaller_pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return where all but the largest connected piece of a mask is; None: there is one at most."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count < 2:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    smaller: NDArray[np.bool_] = mask & (pieces != int(sizes.argmax()))
    return smaller


def gains(study: DenseStudy, prepared: Prepared, fits: Sequence[Fitted]) -> dict[int, np.ndarray]:
    """Return fold -> (case, class) Dice gained by keeping the largest piece only.

    They are worked out once for each fit: the table, what is usual and the figures all ask.
    """
    facts = prepared.dataset.facts
    found: dict[int, list[np.ndarray]] = {}
    for fit in fits if study.largest == "auto" else ():
        if "gains" not in fit.noted:
            fit.noted["gains"] = [
                _gain(prepared.dataset.x[case.row].truth(), decode(case.p, facts), facts)
                for case in held(prepared, [fit])
            ]
        found.setdefault(fit.job.fold, []).extend(fit.noted["gains"])
    return {fold: np.stack(rows) for fold, rows in found.items() if rows}


def _gain(truth: Label, label: Label, facts: dict[str, Any]) -> np.ndarray:
    """Return the Dice that each class (class,) of a case gains by its largest piece.

    Every class is looked at in its box only: a hundred of them in whole volumes took minutes.
    """
    parts, ignore = facts["parts"], facts["ignore"]
    counted = counts_of(*without_ignored(truth, label, ignore), parts)
    places = {name: k for k, name in enumerate(parts)}
    gained = np.zeros(len(parts))
    for name, box in boxes_of(label, parts).items():
        smaller = _smaller_pieces(mask_of(label[box], parts[name]))
        if smaller is None:
            continue
        k, there = places[name], truth[box][smaller]
        right = int(mask_of(there, parts[name]).sum())
        wrong = len(there) - right - (0 if ignore is None else int((there == ignore).sum()))
        tp, fp, fn = (int(part[k]) for part in counted[:3])
        gained[k] = dice(tp - right, fp - wrong, fn + right) - dice(tp, fp, fn)
    return gained


def chosen(study: DenseStudy, parts: dict[str, Any], gained: Sequence[np.ndarray]) -> list[str]:
    """Return the classes that keep their largest piece: where that raised the mean Dice."""
    if study.largest != "auto":
        return list(parts) if study.largest == "yes" else []
    if not gained:
        return []
    mean = np.concatenate(list(gained)).mean(0)
    return [name for name, gain in zip(parts, mean, strict=True) if gain > 0]


def tabulate(study: DenseStudy, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
    """Return the rows of all held-out cases.

    Whether a class keeps its largest piece only is chosen, for each fold, on the other folds, and
    a case is flagged by what these hold for usual.
    """
    import pandas as pd

    tables: list[pd.DataFrame] = []
    learnt = cache(partial(_volumes_in_label, study, prepared.dataset))
    models = study.roles(prepared.dataset.task)
    for role, seed in sorted({(f.job.role, f.job.seed) for f in fits}, reverse=True):
        own = [fit for fit in fits if (fit.job.role, fit.job.seed) == (role, seed)]
        gained = gains(study, prepared, own)
        rows: list[dict[str, Any]] = []
        for case in held(prepared, own):
            fold = case.fit.job.fold
            others = [rows_ for other, rows_ in gained.items() if other != fold]
            names = chosen(study, prepared.dataset.facts["parts"], others)
            head = {"fold": fold, "unit": case.unit, "seed": seed, "model": models[role]}
            head |= {"role": role}
            sure = doubt_of_nets(case.nets, names, prepared.dataset.facts)
            rows += rows_of(study, prepared.dataset, case.row, case.p, names, sure, head)
        tables.append(_flagged(study, prepared, pd.DataFrame(rows), learnt))
    if not tables:
        return pd.DataFrame(columns=_columns(prepared.dataset))
    return pd.concat(tables, ignore_index=True)


def doubt_of_nets(nets: Sequence[np.ndarray], names: Sequence[str], facts: dict[str, Any]) -> float:
    """Return the mean doubt of nets, each near the border that it draws by itself.

    The mean of what several nets say is never surer than they are, and of a held-out case there is
    often one net only: so one net is compared with one net, however many vote.

    Parameters
    ----------
    nets
        Probabilities (class or region, *axes) of each.
    names
        Classes that keep their largest piece only.
    """
    joined = bool(facts["regions"])
    labels = (kept(decode(p, facts), facts["parts"], names) for p in nets)
    doubts = [doubt_of(p, own, regions=joined) for p, own in zip(nets, labels, strict=True)]
    return float(np.mean(doubts))


def _flagged(
    study: DenseStudy, prepared: Prepared, rows: pd.DataFrame, learnt: Callable[[int], Volumes]
) -> pd.DataFrame:
    """Return rows of one role and seed, flagged by what other folds found and a fold learnt from.

    Parameters
    ----------
    learnt
        Returns the volumes in the label of a row of the data.
    """
    import pandas as pd

    middle, tables = float(dice_of_cases(rows).median()), []
    for number, own in rows.groupby("fold", sort=False):
        others = rows[rows["fold"] != number]
        found = volumes_by_case(others)
        doubts = others.groupby("example", sort=False)["doubt"].first()
        sure = [doubts[name] for name, volumes in found.items() if any(volumes.values())]
        true = [learnt(int(row)) for row in prepared.folds[int(number)].train]
        said = true if prepared.dataset.facts["ignore"] is None else list(found.values())
        usually = usual_of(sure, said if study.volumes_are_usual else [], true)
        tables.append(with_flags(own, usually, middle))
    return pd.concat(tables).sort_index()


def _volumes_in_label(study: DenseStudy, dataset: Dataset, row: int) -> Volumes:
    truth, voxel = dataset.x[row].truth(), study.voxel_in(dataset, row)
    return volumes_of(truth, voxel, dataset.facts["parts"])


def rows_of(
    study: DenseStudy,
    dataset: Dataset,
    row: int,
    p: np.ndarray,
    names: Sequence[str],
    sure: float,
    head: dict[str, Any],
) -> list[dict[str, Any]]:
    """Return the rows of one case: who it is, how it was judged, and how sure the net was.

    Parameters
    ----------
    sure
        As `doubt_of_nets` gives it.
    """
    facts, case = dataset.facts, dataset.x[row]
    truth = case.truth()
    label = kept(decode(p, facts), facts["parts"], names)
    h = entropy(p, regions=bool(facts["regions"]))
    known = {"regions": facts["regions"], "ignore": facts["ignore"]}
    own = {"doubt": sure, "error_auroc": error_auroc(h, truth, label, **known)}
    entities = dataset.table.iloc[row][list(ENTITIES)].to_dict()
    start = {"example": dataset.table["name"].iloc[row], **entities, **head}
    spacing, _ = study.measured_in(dataset, row)
    judged = rows_of_case(
        truth, label, spacing, facts["parts"], study.tolerance, facts["ignore"],
        voxel=study.voxel_in(dataset, row),
    )  # fmt: skip
    own |= study.judge_more(dataset, row, p, label)
    if facts["ignore"] is None:
        return [start | one | own for one in judged]
    whole = volumes_of(label, study.voxel_in(dataset, row), facts["parts"])
    return [start | one | own | {"volume_found": whole[one["class"]]} for one in judged]


def seconds_to_judge(study: DenseStudy, dataset: Dataset, row: int, outputs: int) -> float:
    """Measure how long one net's word on a held-out case takes to be judged, s.

    The true label, moved by a voxel, stands for what the net will say: one that has hardly learnt
    scatters specks, whose distances take far longer. What is done a second time is for what is
    usual and for the figures.
    """
    facts = dataset.facts
    p = _moved(dataset.x[row].truth(), outputs, facts)
    names = [] if study.largest == "no" else list(facts["parts"])

    def judge() -> float:
        began = time.monotonic()
        if study.largest == "auto":
            _gain(dataset.x[row].truth(), decode(p, facts), facts)
        sure = doubt_of_nets([p], names, facts)
        rows_of(study, dataset, row, p, names, sure, {})
        doubt_of_nets([p], names, facts)
        return time.monotonic() - began

    first = judge()
    return judge() if first < IMPORTING_S else first


def _moved(truth: Label, outputs: int, facts: dict[str, Any]) -> NDArray[np.floating]:
    """Return probabilities (class or region, *axes) of the true label, moved by a voxel."""
    moved, p = np.roll(truth, 1, -1), room((outputs, *truth.shape))
    numbers = sorted(int(value) for value in facts["classes_of"])
    groups = list(facts["regions"].values()) if facts["regions"] else numbers
    for k, values in enumerate(groups[:outputs]):
        p[k] = np.where(mask_of(moved, values), 0.9, 0.1)
    return p


def judged(
    study: DenseStudy, prepared: Prepared, fits: Sequence[Fitted]
) -> Iterator[tuple[Held, Label]]:
    """Yield every held-out case of these fits with its label, as it was judged."""
    parts = prepared.dataset.facts["parts"]
    gained = gains(study, prepared, fits)
    for case in held(prepared, fits):
        others = [rows for fold, rows in gained.items() if fold != case.fit.job.fold]
        names = chosen(study, parts, others)
        yield case, kept(decode(case.p, prepared.dataset.facts), parts, names)


def _columns(dataset: Dataset) -> list[str]:
    from neuroloom.learn.dense.measures.judge import COLUMNS

    head = ["example", *ENTITIES, "fold", "unit", "seed", "model", "role"]
    tail = ["y_true", "y_pred", "doubt", "error_auroc", "oddness", "flag", "why", "poor"]
    return [*head, *COLUMNS, *tail]


def rows_of_new(
    study: DenseStudy, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
) -> pd.DataFrame:
    """Return the rows of new labelled cases, flagged as `predict` flags them."""
    import pandas as pd

    units = head.pop("unit")
    rows: list[dict[str, Any]] = []
    for row, (p, sure) in enumerate(study.scores_of(ensemble, dataset)):
        names = ensemble.facts["largest"]
        rows += rows_of(study, dataset, row, p, names, sure, head | {"unit": units[row]})
    return with_flags(pd.DataFrame(rows), ensemble.facts, ensemble.facts.get("dice"))


def usual(study: DenseStudy, prepared: Prepared, fits: Sequence[Fitted]) -> dict[str, Any]:
    """Return what is stored beside a model: kept classes, median Dice, and what is usual.

    Volumes are those of the labels; where these leave parts of an image open, as scribbles do,
    those that were found in held-out cases, if there are any.
    """
    dataset, facts = prepared.dataset, prepared.dataset.facts
    largest = chosen(study, facts["parts"], list(gains(study, prepared, fits).values()))
    doubts, found, scores = [], [], []
    for case in held(prepared, fits):
        label = kept(decode(case.p, facts), facts["parts"], largest)
        found.append(volumes_of(label, study.voxel_in(dataset, case.row), facts["parts"]))
        both = without_ignored(dataset.x[case.row].truth(), label, facts["ignore"])
        scores.append(float(np.mean(dice(*counts_of(*both, facts["parts"])))))
        if any(found[-1].values()):
            doubts.append(doubt_of_nets(case.nets, largest, facts))
    learnt = [_volumes_in_label(study, dataset, row) for row in range(len(dataset.x))]
    said = learnt if facts["ignore"] is None else found
    usually = usual_of(doubts, said if study.volumes_are_usual else [], learnt)
    middle = float(np.median(scores)) if scores else None
    return {"largest": largest, "dice": middle} | usually


def volumes_of(label: Label, voxel: float, parts: dict[str, Sequence[int]]) -> dict[str, float]:
    """Return the volume (2-D: area) of each class, where that of a voxel is known.

    Examples
    --------
    >>> volumes_of(np.array([[1, 1, 0]]), 4.0, {"cell": [1]})
    {'cell': 8.0}
    """
    return {name: float(mask_of(label, values).sum()) * voxel for name, values in parts.items()}
