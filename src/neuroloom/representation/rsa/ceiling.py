"""How well the best model could do: noise ceilings, and mean RDMs of subjects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.representation.rsa import similarity

Floats = NDArray[np.float64]


def noise_ceiling(subjects: Floats, method: str = "spearman") -> tuple[float, float]:
    """Return the lower and upper bound of the mean similarity that the best model could reach.

    The upper bound compares each subject with the mean of all, the lower one with the mean of the
    others. RDMs are first put on the scale of the comparison (ranks for Spearman's, z for
    Pearson's), so that their mean is the best that can be; mean ranks are not ranked again, as no
    RDM at all, with ties or without, can then do better.

    Parameters
    ----------
    subjects
        Shape (subject, pair).

    Raises
    ------
    DataError
        With fewer than two subjects there is no ceiling.

    References
    ----------
    Nili et al. (2014), PLoS Comput. Biol. 10, e1003553.

    Examples
    --------
    >>> one = np.array([1.0, 2.0, 3.0])
    >>> low, high = noise_ceiling(np.stack([one, 2 * one, 3 * one]))
    >>> round(low, 6), round(high, 6)
    (1.0, 1.0)
    """
    if len(subjects) < 2:
        raise DataError("A noise ceiling needs two subjects or more.")
    scaled = on_scale(subjects, method)
    method = "pearson" if method == "spearman" else method
    whole = np.nanmean(scaled, 0)
    others = [np.nanmean(np.delete(scaled, k, 0), 0) for k in range(len(subjects))]
    upper = similarity.compare_rdms(scaled, whole, method).mean()
    pairs = zip(scaled, others, strict=True)
    lower = np.mean([similarity.compare_rdms(own, rest, method).item() for own, rest in pairs])
    return float(lower), float(upper)


def on_scale(rows: Floats, method: str) -> Floats:
    """Return RDMs (rdm, pair) of equal weight on the scale of a comparison."""
    if method in ("spearman", "rho-a", "kendall", "tau-a"):
        # Ranks of the known pairs; unknown ones stay unknown.
        out = np.full(rows.shape, np.nan)
        for row, target in zip(rows, out, strict=True):
            known = np.isfinite(row)
            target[known] = similarity.ranks(row[known])
        return out
    if method in ("pearson", "whitened-pearson"):
        rows = rows - np.nanmean(rows, 1, keepdims=True)
    return rows / np.sqrt(np.nanmean(rows**2, 1, keepdims=True))
