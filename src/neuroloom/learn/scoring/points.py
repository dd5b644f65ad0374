"""From rows of found points to scores: errors in px, shares within reach, precision of animals.

A pose job keeps a row for each keypoint of each animal in `predictions.parquet`; a frame is the
example, so that an interval resamples frames, never keypoints. `scores_of_frames` reads such a
table; the other functions compute, with weights of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.scoring.scores import Floats, Weights, ratio, shaped, weight_rows

MARKS = frozenset({"individual", "keypoint", "error_px", "known", "oks", "score", "there", "found"})
REACH_PX = 5.0
OKS_STEPS = tuple(np.arange(0.5, 0.951, 0.05).round(2).tolist())
RECALLS = np.linspace(0, 1, 101)


def mean_error(error: ArrayLike, weights: Weights = None) -> Any:
    """Return the mean Euclidean error, px: what DeepLabCut calls "rmse".

    Parameters
    ----------
    error
        Shape (frame, point), px; NaN where truth or prediction is missing.
    weights
        Shape (frame,) or (resample, frame); None: all frames once.

    Examples
    --------
    >>> mean_error([[3.0, np.nan], [1.0, 2.0]])
    2.0
    """
    values, known, w = _parts(error, weights)
    return shaped(ratio(w @ np.where(known, values, 0.0).sum(1), w @ known.sum(1)), weights)


def rmse(error: ArrayLike, weights: Weights = None) -> Any:
    """Return the root of the mean squared error, px; as `mean_error`.

    Examples
    --------
    >>> round(rmse([[3.0], [4.0]]) ** 2, 9)
    12.5
    """
    values, known, w = _parts(error, weights)
    square = np.where(known, values, 0.0) ** 2
    return shaped(np.sqrt(ratio(w @ square.sum(1), w @ known.sum(1))), weights)


def median_error(error: ArrayLike, weights: Weights = None) -> Any:
    """Return the median error, px; as `mean_error`.

    Examples
    --------
    >>> median_error([[1.0, 9.0], [2.0, np.nan]]), median_error([[1.0], [3.0]])
    (2.0, 2.0)
    """
    values, known, w = _parts(error, weights)
    frame = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[known]
    own = values[known]
    if own.size == 0:
        return shaped(np.full(len(w), np.nan), weights)
    order = np.argsort(own, kind="stable")
    own, mass = own[order], w[:, frame[order]]
    total = np.cumsum(mass, axis=1)
    half = total[:, -1:] / 2
    # Of an even number the mean of the two in the middle, as np.median has it.
    low = np.minimum((total >= half - 1e-9).argmax(1), own.size - 1)
    high = np.minimum((total > half + 1e-9).argmax(1), own.size - 1)
    found = np.where(total[:, -1] > 0, (own[low] + own[high]) / 2, np.nan)
    return shaped(found, weights)


def share_within(
    error: ArrayLike, known: ArrayLike, weights: Weights = None, reach: float = REACH_PX
) -> Any:
    """Return the share of true points that were found within `reach` px (PCK, in px).

    Parameters
    ----------
    known
        Shape (frame, point): 1 where the truth is known. A point that is not found is a miss.

    Examples
    --------
    >>> share_within([[1.0, 7.0, np.nan, np.nan]], [[1, 1, 1, 0]])
    0.3333333333333333
    """
    values, _, w = _parts(error, weights)
    there = np.nan_to_num(np.asarray(known, float)) > 0
    hit = there & (np.nan_to_num(values, nan=np.inf) <= reach)
    return shaped(ratio(w @ hit.sum(1), w @ there.sum(1)), weights)


def oks_precision(
    oks: ArrayLike, score: ArrayLike, there: ArrayLike, found: ArrayLike, weights: Weights = None
) -> Any:
    """Return the mean average precision of animals over OKS 0.50, 0.55, … 0.95.

    As COCO has it (Lin 2014, arXiv:1405.0312): found animals, the surest first, are right where
    their similarity to the animal they are matched with reaches the threshold; the precision is
    made to fall only, and averaged at 101 recalls.

    Parameters
    ----------
    oks, score, there, found
        Shape (frame, animal): similarity of a matched pair, how sure it is, whether the truth and
        the prediction exist. A pair has both, a miss only `there`, a false one only `found`.

    Examples
    --------
    >>> one = np.ones((2, 1))
    >>> oks_precision([[0.99], [0.72]], one, one, one)
    0.752...
    """
    similar, sure, true, seen = (
        np.nan_to_num(np.asarray(part, float)) for part in (oks, score, there, found)
    )
    w = weight_rows(weights, len(similar))
    frame, place = np.nonzero(seen > 0)
    order = np.argsort(-sure[frame, place], kind="stable")
    frame, place = frame[order], place[order]
    mass = w[:, frame]
    total = w @ true.sum(1)
    value = similar[frame, place] * (true[frame, place] > 0)
    precision = [_average_precision(value >= step - 1e-9, mass, total) for step in OKS_STEPS]
    return shaped(np.where(total > 0, np.mean(precision, axis=0), np.nan), weights)


def _average_precision(right: NDArray[np.bool_], mass: Floats, total: Floats) -> Floats:
    """Return the area under precision over recall, for each row of weights."""
    if right.size == 0:
        return np.zeros(len(mass))
    hits = np.cumsum(mass * right, axis=1)
    precision = hits / np.maximum(np.cumsum(mass, axis=1), 1e-12)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = hits / np.maximum(total, 1e-12)[:, None]
    out = np.empty(len(mass))
    for row, (own, exact) in enumerate(zip(recall, precision, strict=True)):
        at = np.searchsorted(own, RECALLS - 1e-9)
        out[row] = np.where(at < own.size, exact[np.minimum(at, own.size - 1)], 0.0).mean()
    return out


def scores_of_frames(
    rows: pd.DataFrame, frame: NDArray[np.int64], keypoints: Sequence[str]
) -> tuple[NDArray[np.int64], dict[str, Floats]]:
    """Return what the metrics need of every frame.

    Parameters
    ----------
    rows
        Rows of one model and seed, with the columns `MARKS`.
    frame
        Number of the frame of each row.
    keypoints
        Names in order.

    Returns
    -------
    The frames (n,) in order, and name -> (n, m): "error", "known" (of all points),
    "error/<keypoint>", "known/<keypoint>" (of all animals), "oks", "score", "there" and "found" (of
    all animals).

    Raises
    ------
    DataError
        If a keypoint is unknown.
    """
    frames, place = np.unique(frame, return_inverse=True)
    animal = np.zeros(len(rows), np.int64)
    names = rows["individual"].astype(str).to_numpy()
    for own in pd.Series(np.arange(len(rows))).groupby(place).indices.values():
        animal[own] = pd.factorize(names[own])[0]
    column = pd.Index(list(keypoints)).get_indexer(rows["keypoint"].astype(str)).astype(np.int64)
    if (column < 0).any():
        odd = rows["keypoint"].iloc[int(np.flatnonzero(column < 0)[0])]
        raise DataError(f"Column keypoint holds '{odd}', expected one of {list(keypoints)}.")
    shape = (frames.size, int(animal.max(initial=0)) + 1, len(keypoints))
    grids = {name: np.full(shape, np.nan) for name in ("error_px", "known")}
    for name, grid in grids.items():
        grid[place, animal, column] = rows[name].to_numpy(dtype=float)
    out = {"error": grids["error_px"].reshape(frames.size, -1)}
    out["known"] = grids["known"].reshape(frames.size, -1)
    for k, name in enumerate(keypoints):
        out[f"error/{name}"], out[f"known/{name}"] = (grid[:, :, k] for grid in grids.values())
    for name in ("oks", "score", "there", "found"):
        out[name] = np.zeros(shape[:2])
        out[name][place, animal] = np.nan_to_num(rows[name].to_numpy(dtype=float))
    return frames, out


def metrics(keypoints: Sequence[str]) -> dict[str, Callable[[dict[str, Floats], Weights], Any]]:
    """Return name -> function of (what `scores_of_frames` gives, weights), of each metric.

    Examples
    --------
    >>> list(metrics(["nose"]))[:3]
    ['mean_error_px', 'median_error_px', 'rmse_px']
    """
    out: dict[str, Callable[[dict[str, Floats], Weights], Any]] = {
        "mean_error_px": lambda part, w: mean_error(part["error"], w),
        "median_error_px": lambda part, w: median_error(part["error"], w),
        "rmse_px": lambda part, w: rmse(part["error"], w),
        f"pck@{REACH_PX:g}": lambda part, w: share_within(part["error"], part["known"], w),
        "oks_map": lambda part, w: oks_precision(
            part["oks"], part["score"], part["there"], part["found"], w
        ),
    }
    for name in keypoints if len(keypoints) > 1 else ():
        out |= {f"{metric}/{name}": made for metric, made in _of_keypoint(name).items()}
    return out


def _of_keypoint(name: str) -> dict[str, Callable[[dict[str, Floats], Weights], Any]]:
    error, known = f"error/{name}", f"known/{name}"
    return {
        "mean_error_px": lambda part, w: mean_error(part[error], w),
        "median_error_px": lambda part, w: median_error(part[error], w),
        "rmse_px": lambda part, w: rmse(part[error], w),
        f"pck@{REACH_PX:g}": lambda part, w: share_within(part[error], part[known], w),
    }


def _parts(error: ArrayLike, weights: Weights) -> tuple[Floats, NDArray[np.bool_], Floats]:
    values = np.asarray(error, dtype=float)
    return values, np.isfinite(values), weight_rows(weights, len(values))
