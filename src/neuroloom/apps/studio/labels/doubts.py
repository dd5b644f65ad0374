"""What a model found in labelled frames, and which frames a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.labels.sides import FLIPPED, flips

if TYPE_CHECKING:
    from neuroloom.io.labels import Labels


def read_found(prediction: Path, pictures: Path, labels: Labels) -> np.ndarray:
    """Return what a model found, (frame, individual, keypoint, 3): x, y (px) and confidence.

    Parameters
    ----------
    prediction
        Folder of `predict`, with predictions.parquet.
    pictures
        Folder a size, whose pictures are named by the frame's row.
    labels
        Whose names of points and animals count; others are left out.

    Raises
    ------
    DataError
        If the model knows none of the points.
    """
    import pandas as pd

    table = pd.read_parquet(prediction / "predictions.parquet")
    names = list(labels.skeleton.keypoints)
    point = pd.Index(names).get_indexer(table["keypoint"].astype(str))
    if not (point >= 0).any():
        known = ", ".join(sorted(map(str, table["keypoint"].unique()))[:8])
        raise DataError(f"The model finds {known}; this project has {', '.join(names[:8])}.")
    people = list(dict.fromkeys(table["individual"].astype(str)))
    who = pd.Index(people).get_indexer(table["individual"].astype(str))
    rows = {
        (folder.name, order): int(file.stem)
        for folder in pictures.iterdir()
        for order, file in enumerate(sorted(folder.iterdir()))
    }
    pairs = zip(table["video"].astype(str), table["frame"].astype(int), strict=True)
    row = np.array([rows.get(pair, -1) for pair in pairs])
    found = np.full((len(labels), len(labels.individuals), len(names), 3), np.nan)
    good = (row >= 0) & (point >= 0) & (who < found.shape[1])
    values = table[["x", "y", "confidence"]].to_numpy(float)
    found[row[good], who[good], point[good]] = values[good]
    return found


def weigh(
    found: np.ndarray,
    points: np.ndarray,
    names: tuple[str, ...],
    swaps: Sequence[tuple[int, int]] = (),
) -> tuple[np.ndarray, list[str]]:
    """Return the doubt of each frame, 0 to 1, and why in words.

    Where somebody labelled, the doubt grows with how far the label lies from what the net found,
    over the size of the animal, as 1 - exp(-distance); where nobody did, it is how unsure the net
    is of its least sure point. A frame of which the labels fit the other frames only once left and
    right are exchanged comes before all: a net learns such a mistake and then agrees with it.

    Parameters
    ----------
    found
        Shape (frame, individual, keypoint, 3): x, y, confidence.
    points
        Shape (frame, individual, keypoint, 2): labels, NaN where there are none.
    names
        Of the keypoints.
    swaps
        Left-right pairs of keypoints.

    Examples
    --------
    >>> found = np.array([[[[0, 0, 0.9], [10, 0, 0.2]]], [[[0, 0, 0.9], [10, 0, 0.9]]]])
    >>> points = np.array([[[[np.nan] * 2] * 2], [[[0, 0], [10, 0.0]]]])
    >>> weigh(found, points, ("nose", "tail"))[0].round(2).tolist()
    [0.8, 0.0]
    """
    unsure = np.where(np.isfinite(found[..., 2]), 1 - found[..., 2], 1.0)
    gap = np.linalg.norm(found[..., :2] - points, axis=-1)
    share = 1 - np.exp(-gap / _size(points, found)[:, None, None])
    labelled = np.isfinite(points).all(-1)
    each = np.where(labelled, np.where(np.isfinite(share), share, 0.5), unsure)
    empty = ~labelled.any(2, keepdims=True)
    each = np.where(empty & (np.arange(each.shape[1])[:, None] > 0), 0.0, each)  # animals not there
    flat = each.reshape(len(each), -1)
    worst = flat.argmax(1)
    animal, point = np.divmod(worst, each.shape[2])
    why = [
        f"{names[p]}: label and net disagree" if labelled[row, a, p]
        else f"{names[p]}: the net is unsure"
        for row, (a, p) in enumerate(zip(animal, point, strict=True))
    ]  # fmt: skip
    doubt = np.clip(flat.max(1), 0, 1)
    for row in np.flatnonzero((flips(points, swaps) < FLIPPED).any(1)):
        doubt[row], why[row] = 1.0, "left and right fit the other frames the other way round"
    return doubt, why


def _size(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the size of the animal in each frame, px: the diagonal round its points."""
    both = np.where(np.isfinite(points), points, found[..., :2])
    flat = both.reshape(len(both), -1, 2)
    known = np.isfinite(flat).all(-1, keepdims=True)
    low = np.where(known, flat, np.inf).min(1)
    high = np.where(known, flat, -np.inf).max(1)
    span = np.where(np.isfinite(low) & np.isfinite(high), high - low, 0.0)
    return np.maximum(np.linalg.norm(span, axis=-1), 1.0)
