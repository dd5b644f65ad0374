"""What a paper on pose reports: errors in px, shares within reach, OKS and its precision.

Arrays here are (…, keypoint, 2) in px, NaN where missing. The "rmse" of DeepLabCut is the mean
Euclidean distance, here `mean_error`; `rmse` is the root of the mean square.
"""

from __future__ import annotations

import numpy as np

from neuroloom.learn.scoring.points import (
    mean_error,
    median_error,
    oks_precision,
    rmse,
    share_within,
)
from neuroloom.pose.alike import body_scale, oks_between

__all__ = [
    "body_scale",
    "distances",
    "mean_error",
    "median_error",
    "oks_between",
    "oks_precision",
    "rmse",
    "share_within",
]


def distances(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return how far each point lies from its truth, px.

    Parameters
    ----------
    truth, found
        Shape (…, keypoint, 2); NaN where missing.

    Returns
    -------
    Shape (…, keypoint).

    Examples
    --------
    >>> distances(np.zeros((2, 2)), np.array([[3.0, 4.0], [np.nan, 0.0]]))
    array([ 5., nan])
    """
    away: np.ndarray = np.linalg.norm(np.asarray(found) - np.asarray(truth), axis=-1)
    return away
