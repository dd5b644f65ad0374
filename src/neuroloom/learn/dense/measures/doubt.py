"""How sure a net is: entropy of its probabilities, and whether it is high where errors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.learn.dense.apply.large import slabs
from neuroloom.learn.dense.measures.overlap import mask_of

if TYPE_CHECKING:
    import pandas as pd

REACH = 3


def entropy(p: ArrayLike, *, regions: bool = False) -> NDArray[np.float32]:
    """Return the entropy of probabilities (class, *axes), from 0 (sure) to 1 (all alike).

    Parameters
    ----------
    regions
        The probabilities are of regions, each on its own: the mean of their binary entropies.

    Examples
    --------
    >>> entropy([[0.5, 1.0], [0.5, 0.0]]).round(3).tolist()
    [1.0, 0.0]
    """
    a = np.asarray(p)
    found = np.empty(a.shape[1:], np.float32)
    for part in slabs(found.shape):  # a large volume would not fit in memory some times over
        found[part] = _entropy(a[:, part], regions)
    return found


def _entropy(p: NDArray[np.floating], regions: bool) -> NDArray[np.floating]:
    q = np.clip(p.astype(np.float32), 1e-7, 1)
    if regions:
        other = np.clip(1 - q, 1e-7, 1)
        found = -(q * np.log2(q) + other * np.log2(other)).mean(0)
    else:
        found = -(q * np.log(q)).sum(0) / np.log(len(q))
    return np.clip(found, 0, 1)


def near_border(label: ArrayLike, reach: int = REACH) -> NDArray[np.bool_]:
    """Return which voxels lie within `reach` steps of where the label changes.

    Examples
    --------
    >>> near_border([0, 0, 0, 1, 1, 1], 1).tolist()
    [False, False, True, True, False, False]
    """
    from scipy import ndimage

    a = np.asarray(label)
    edge = np.zeros(a.shape, bool)
    for axis in range(a.ndim):
        here = [slice(None)] * a.ndim
        there = [slice(None)] * a.ndim
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        change = a[tuple(here)] != a[tuple(there)]
        edge[tuple(here)] |= change
        edge[tuple(there)] |= change
    if reach <= 1 or not edge.any():
        return edge
    near: NDArray[np.bool_] = ndimage.binary_dilation(edge, iterations=reach - 1)
    return near


def doubt(h: NDArray[np.float32], label: ArrayLike, reach: int = REACH) -> float:
    """Return the mean entropy near the predicted border; of all voxels if there is none."""
    band = near_border(label, reach)
    return float(h[band].mean()) if band.any() else float(h.mean())


def doubt_of(p: ArrayLike, label: ArrayLike, *, regions: bool = False) -> float:
    """Return the `doubt` of probabilities (class, *axes), the entropy taken near the border alone.

    Examples
    --------
    >>> p = np.array([[0.9, 0.8, 0.1, 0.1], [0.1, 0.2, 0.9, 0.9]])
    >>> doubt_of(p, [0, 0, 1, 1]) == doubt(entropy(p), [0, 0, 1, 1])
    True
    """
    band = near_border(label)
    near = np.asarray(p)[:, band] if band.any() else p
    return float(entropy(near, regions=regions).mean())


def score_of_doubt(predictions: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, float | None]]:
    """Return "error_auroc" as a metric: the mean over held-out cases, resampled by split units.

    Parameters
    ----------
    predictions
        Rows with example, unit, role and error_auroc; seeds and classes of a case share one value.

    Returns
    -------
    Nothing, where no case has right and wrong voxels near its border.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"example": ["a", "b", "c"], "unit": ["a", "b", "c"], "role": "model",
    ...     "error_auroc": [0.7, 0.8, 0.9]})
    >>> round(score_of_doubt(rows)["error_auroc"]["value"], 3)
    0.8
    """
    from neuroloom.learn.scoring.intervals import bounds_of_mean

    known = predictions[predictions["error_auroc"].notna()]
    cases = known.groupby(["role", "example"])["error_auroc"].mean()
    if "model" not in cases.index.get_level_values("role"):
        return {}
    own = cases.loc["model"]
    units = known.drop_duplicates("example").set_index("example")["unit"].loc[own.index]
    value, (low, high) = float(own.mean()), bounds_of_mean(own, units, seed)
    beside = "baseline" in cases.index.get_level_values("role")
    baseline = float(cases.loc["baseline"].mean()) if beside else None
    row = {"value": value, "low": low, "high": high, "baseline": baseline, "chance": 0.5}
    return {"error_auroc": row}


def error_auroc(
    h: NDArray[np.float32],
    truth: ArrayLike,
    label: ArrayLike,
    reach: int = REACH,
    *,
    regions: Mapping[str, Sequence[int]] | None = None,
    ignore: int | None = None,
) -> float:
    """Return the AUROC of the entropy for wrong voxels, counted near the predicted border.

    NaN where none or all of these are wrong.

    Parameters
    ----------
    regions
        Name -> label values of overlapping regions: a voxel is wrong where it is in one of them and
        was not put there, or the reverse. None: where the labels differ.
    ignore
        Label of the truth whose voxels are neither right nor wrong.

    Examples
    --------
    >>> h = np.array([0.1, 0.2, 0.9, 0.3], "f4")
    >>> error_auroc(h, [0, 0, 0, 1], [0, 0, 1, 1])
    1.0
    """
    from scipy.stats import rankdata

    true, found = np.asarray(truth), np.asarray(label)
    band = near_border(found, reach)
    if ignore is not None:
        band &= true != ignore
    wrong = _wrong(true[band], found[band], regions)
    bad, good = int(wrong.sum()), int((~wrong).sum())
    if not bad or not good:
        return float("nan")
    ranks = rankdata(h[band])
    return float((ranks[wrong].sum() - bad * (bad + 1) / 2) / (bad * good))


def _wrong(
    truth: NDArray[np.integer],
    label: NDArray[np.integer],
    regions: Mapping[str, Sequence[int]] | None,
) -> NDArray[np.bool_]:
    if not regions:
        return truth != label
    wrong = np.zeros(truth.shape, bool)
    for values in regions.values():
        wrong |= mask_of(truth, values) != mask_of(label, values)
    return wrong
