"""Grey tone difference (IBSI section 3.10) and grey level dependence (3.11) of neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroloom.volumes.radiomics.features.levels import Levels
from neuroloom.volumes.radiomics.features.tally import Tally, Values, emphases, tally

NAMES = (
    "lde", "hde", "lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge", "glnu", "glnu_norm",
    "dcnu", "dcnu_norm", "dc_perc", "gl_var", "dc_var", "dc_entr",
)  # fmt: skip
MOST_COARSE = 1e6


@dataclass(frozen=True)
class Neighbourhood:
    """What the voxels of a region see around them: all arrays have an entry a voxel."""

    slices: np.ndarray
    level: np.ndarray
    neighbours: np.ndarray
    mean: np.ndarray
    alike: np.ndarray


def look_around(levels: Levels, flat: bool) -> Neighbourhood:
    """Count and average the neighbours of every voxel that are in the region.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> look_around(as_levels(np.array([[[1, 2, 2]]])), flat=True).mean.tolist()
    [2.0, 1.5, 2.0]
    """
    own = levels.flat[levels.inside]
    count, total, alike = (np.zeros(len(own), np.int64) for _ in range(3))
    for stride in levels.neighbours(flat):
        other = levels.flat[levels.inside + stride]
        count += other > 0
        total += other
        alike += other == own
    slices = levels.slices if flat else np.zeros(len(own), np.int64)
    return Neighbourhood(slices, own, count, total / np.maximum(count, 1), alike)


def dependences(seen: Neighbourhood) -> Tally:
    """Count voxels by level and by one more than the neighbours of the same level (Sun & Wee 1983).

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> dependences(look_around(as_levels(np.array([[[1, 2, 2]]])), True)).j.tolist()
    [1, 2]
    """
    return tally(seen.slices, seen.level, seen.alike + 1, np.bincount(seen.slices))


def dependence_features(t: Tally) -> Values:
    """Return the 17 features of each matrix.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> t = dependences(look_around(as_levels(np.array([[[2, 2]]])), True))
    >>> dependence_features(t)["dc_energy"]
    array([1.])
    """
    p = t.n / t.over(t.n)[t.matrix]
    energy = np.where(t.over(t.n) == 0, np.nan, t.over(p**2))
    return emphases(t, NAMES) | {"dc_energy": energy}


def tone_differences(seen: Neighbourhood, merged: bool) -> Values:
    """Return the 5 features of grey tone difference, a value a slice or one for all `merged`.

    Amadasun & King (1989). Voxels without a neighbour do not count.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> around = look_around(as_levels(np.array([[[1, 2, 2]]])), flat=True)
    >>> tone_differences(around, merged=True)["coarseness"].round(3)
    array([1.5])
    """
    slices = np.zeros_like(seen.slices) if merged else seen.slices
    height = int(seen.level.max()) + 1
    size = (int(slices.max()) + 1) * height
    valid = seen.neighbours > 0
    key = (slices * height + seen.level)[valid]
    counts = np.bincount(key, minlength=size).reshape(-1, height)
    apart = np.abs(seen.level - seen.mean)[valid]
    sums = np.bincount(key, weights=apart, minlength=size).reshape(-1, height)
    rows = [_of_one(n, s) for n, s in zip(counts, sums, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _of_one(counts: np.ndarray, sums: np.ndarray) -> dict[str, float]:
    names = ("coarseness", "contrast", "busyness", "complexity", "strength")
    level = np.flatnonzero(counts).astype(float)
    if level.size == 0:
        return dict.fromkeys(names, float("nan"))
    n_voxels = counts.sum()
    p, s = counts[counts > 0] / n_voxels, sums[counts > 0]
    weighed, apart = float(p @ s), np.abs(level[:, None] - level)
    coarse = min(1 / weighed, MOST_COARSE) if weighed > 0 else MOST_COARSE
    if level.size == 1 or weighed == 0:
        return dict(zip(names, (coarse, 0.0, 0.0, 0.0, 0.0), strict=True))
    contrast = (p @ apart**2 @ p) / (level.size * (level.size - 1)) * s.sum() / n_voxels
    mixed = np.abs((level * p)[:, None] - level * p).sum()
    pair, both = p[:, None] + p, (p * s)[:, None] + p * s
    complexity = (apart * both / pair).sum() / n_voxels
    strength = (pair * apart**2).sum() / s.sum()
    busy = weighed / mixed if mixed > 0 else 0.0
    return dict(zip(names, (coarse, contrast, busy, complexity, strength), strict=True))
