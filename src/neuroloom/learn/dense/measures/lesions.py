"""Lesion by lesion: how many were found, how many are false, and how well each is drawn.

A Dice over all voxels is the Dice of the largest lesion. Here a lesion is a connected component,
and each counts once. Where there is none the rules are those of `overlap.EMPTY_RULES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.learn.dense.measures.instances import Shared, match_instances, shared_voxels
from neuroloom.learn.dense.measures.overlap import Ints, dice, same_grid

NaN = float("nan")


def components(mask: ArrayLike, corners: bool = True) -> tuple[Ints, int]:
    """Return the connected components of a mask, numbered from 1, and their count.

    Parameters
    ----------
    corners
        True: voxels that touch at a corner belong together (26 neighbours, 8 in 2-D). False: faces
        only (6, 4).

    Examples
    --------
    >>> components([[1, 0], [0, 1]])[1], components([[1, 0], [0, 1]], corners=False)[1]
    (1, 2)
    """
    from scipy.ndimage import generate_binary_structure, label

    array = np.asarray(mask, dtype=bool)
    labels, n = label(array, generate_binary_structure(array.ndim, array.ndim if corners else 1))
    return labels, int(n)


@dataclass(frozen=True)
class Lesions:
    """The lesions of one case and what became of each.

    Attributes
    ----------
    true
        A row a true lesion: lesion, volume, covered (share of it that was found), found, dice (with
        all that touches it).
    predicted
        A row a predicted one: lesion, volume, covered (share of it that is true), real.
    """

    true: pd.DataFrame
    predicted: pd.DataFrame

    def scores(self) -> dict[str, float]:
        """Return how many there are, and tpr, fdr and f1 (harmonic mean of tpr and 1 - fdr)."""
        n, m = len(self.true), len(self.predicted)
        tpr = float(self.true["found"].mean()) if n else NaN
        precision = float(self.predicted["real"].mean()) if m else NaN
        return {
            "lesions_true": float(n),
            "lesions_pred": float(m),
            "lesion_tpr": tpr,
            "lesion_fdr": 1 - precision,
            "lesion_f1": _f1(tpr, precision, n, m),
        }


def _f1(tpr: float, precision: float, n: int, m: int) -> float:
    if not n or not m:
        return 1.0 if n == m else 0.0
    return 2 * tpr * precision / (tpr + precision) if tpr + precision else 0.0


def match_lesions(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    min_overlap: float = 0.0,
    smallest: float = 0.0,
    voxel: float | None = None,
) -> Lesions:
    """Match components of two masks by overlap; one may answer to several.

    A true lesion is found if more than `min_overlap` of it is predicted, a predicted one is real if
    more than that share of it is true; one voxel is enough at 0.

    Parameters
    ----------
    truth, predicted
        Masks (*axes).
    spacing
        Distance of voxel centres along each axis.
    smallest
        Components of less volume are left out, on both sides.
    voxel
        Volume of a voxel; None: the product of the spacing, as axes at right angles have it.

    Examples
    --------
    >>> match_lesions([[1, 1, 0, 1]], [[0, 1, 0, 0]], (1, 1)).true["found"].tolist()
    [True, False]
    """
    a, b = same_grid(truth, predicted)
    voxel = float(np.prod(spacing)) if voxel is None else voxel
    one, other = (_without_small(components(mask)[0], smallest / voxel) for mask in (a, b))
    shared = shared_voxels(one, other)
    covered = np.bincount(shared.row, shared.voxels, shared.true.size) / shared.size_true
    real = np.bincount(shared.column, shared.voxels, shared.predicted.size) / shared.size_predicted
    true = pd.DataFrame({"lesion": shared.true, "volume": shared.size_true * voxel})
    true = true.assign(covered=covered, found=covered > min_overlap, dice=_dice_of_each(shared))
    back = pd.DataFrame({"lesion": shared.predicted, "volume": shared.size_predicted * voxel})
    return Lesions(true, back.assign(covered=real, real=real > min_overlap))


def _without_small(labels: Ints, voxels: float) -> Ints:
    small = np.flatnonzero(np.bincount(labels.ravel()) < voxels)
    return np.where(np.isin(labels, small), 0, labels) if small.size else labels


def _dice_of_each(shared: Shared) -> NDArray[np.float64]:
    """Dice of each true lesion with the union of what touches it."""
    tp = np.bincount(shared.row, shared.voxels, shared.true.size)
    size = shared.size_predicted[shared.column]
    fp = np.bincount(shared.row, size, shared.true.size) - tp
    return np.asarray(dice(tp, fp, shared.size_true - tp))


def by_size(lesions: Lesions, edges: Sequence[float]) -> pd.DataFrame:
    """Return what share of the true lesions of each size class was found, and how well.

    Parameters
    ----------
    edges
        Ascending volumes between the classes, e.g. ``(10, 100)`` for three.

    Returns
    -------
    Columns from, to, n, found (share), dice (mean); NaN where a class has no lesion.

    Examples
    --------
    >>> told = by_size(match_lesions([[1, 1, 0, 1]], [[0, 1, 0, 0]], (1, 1)), (2,))
    >>> told["found"].tolist()
    [0.0, 1.0]
    """
    ends = np.array([0.0, *edges, np.inf])
    volume = lesions.true["volume"].to_numpy()
    rows = []
    for low, high in pairwise(ends):
        mine = lesions.true[(volume >= low) & (volume < high)]
        found = float(mine["found"].mean()) if len(mine) else NaN
        drawn = float(mine["dice"].mean()) if len(mine) else NaN
        rows.append({"from": low, "to": high, "n": len(mine), "found": found, "dice": drawn})
    return pd.DataFrame(rows)


def panoptic(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Return pq, sq and rq of the components of two masks, paired by overlap above one half.

    Examples
    --------
    >>> panoptic([[1, 1, 1, 0, 1]], [[1, 1, 0, 0, 1]])["rq"]
    1.0
    """
    a, b = same_grid(truth, predicted)
    found = match_instances(components(a)[0], components(b)[0], 0.5).scores()
    return {name: found[name] for name in ("pq", "sq", "rq")}


def lesionwise_dice(
    truth: ArrayLike, predicted: ArrayLike, dilation: int = 3, smallest: int = 0
) -> float:
    """Return the Dice of the BraTS challenges since 2023: lesions, and false ones, count alike.

    True lesions closer than `dilation` steps on either side are one. Each is compared with the
    union of the predicted components that touch it, dilated; predicted components that touch none
    score 0 (Saluja et al. 2023, the challenge's metric).

    Parameters
    ----------
    dilation
        Steps over faces and edges (18 neighbours, 8 in 2-D).
    smallest
        True lesions and false components of at most so many voxels are left out.

    Returns
    -------
    1 if nothing is there and nothing was found.

    Examples
    --------
    >>> lesionwise_dice([[1, 0, 0, 0, 0]], [[1, 0, 0, 0, 1]], dilation=1)
    0.5
    """
    a, b = (np.asarray(mask, dtype=bool) for mask in same_grid(truth, predicted))
    merged = components(_dilated(a, dilation))[0] * a
    found, n = components(b)
    size = np.bincount(found.ravel(), minlength=n + 1)
    used = np.zeros(n + 1, dtype=bool)
    scores = []
    for number in range(1, int(merged.max(initial=0)) + 1):
        mine = merged == number
        touched = np.unique(found[_dilated(mine, dilation)])
        touched = touched[touched > 0]
        used[touched] = True
        tp = int(np.isin(found[mine], touched).sum())
        if mine.sum() > smallest:
            scores.append(dice(tp, int(size[touched].sum()) - tp, int(mine.sum()) - tp))
    false = int((~used[1:] & (size[1:] > smallest)).sum())
    return float(sum(scores) / (len(scores) + false)) if scores or false else 1.0


def _dilated(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation, generate_binary_structure

    if steps == 0:
        return mask
    near = generate_binary_structure(mask.ndim, 2)
    return binary_dilation(mask, near, iterations=steps)
