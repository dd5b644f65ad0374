"""Zones: connected voxels of one grey level, by size and by distance to the border.

IBSI sections 3.8 (size zones) and 3.9 (distance zones).
"""

from __future__ import annotations

import numpy as np

from neuroloom.volumes.radiomics.features.levels import Levels
from neuroloom.volumes.radiomics.features.tally import Tally, tally

SIZE_NAMES = (
    "sze", "lze", "lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge", "glnu", "glnu_norm",
    "zsnu", "zsnu_norm", "z_perc", "gl_var", "zs_var", "zs_entr",
)  # fmt: skip
DISTANCE_NAMES = (
    "sde", "lde", "lgze", "hgze", "sdlge", "sdhge", "ldlge", "ldhge", "glnu", "glnu_norm",
    "zdnu", "zdnu_norm", "z_perc", "gl_var", "zd_var", "zd_entr",
)  # fmt: skip


def zones(levels: Levels, distance: np.ndarray, flat: bool) -> tuple[Tally, Tally]:
    """Count zones by level and size (Thibault et al. 2014), and by level and distance.

    Parameters
    ----------
    levels
        Of the region.
    distance
        Of every voxel of `levels.flat` to the border, 1 on it, from `border_distance`.
    flat
        Whether zones stay inside a slice (8 neighbours) or not (26); then a matrix for each slice.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> framed = as_levels(np.array([[[1, 1, 2]]]))
    >>> size, _ = zones(framed, np.ones(framed.flat.size, int), flat=False)
    >>> size.i.tolist(), size.j.tolist()
    ([1, 2], [2, 1])
    """
    label = _connected(levels, flat)[levels.inside] - 1
    n_zones = int(label.max()) + 1
    level = np.zeros(n_zones, np.int64)
    level[label] = levels.flat[levels.inside]
    sizes = np.bincount(label, minlength=n_zones)
    nearest = np.full(n_zones, np.iinfo(np.int64).max)
    np.minimum.at(nearest, label, distance[levels.inside])
    slices = levels.slices if flat else np.zeros(len(label), np.int64)
    matrix = np.zeros(n_zones, np.int64)
    matrix[label] = slices
    voxels = np.bincount(slices)
    return tally(matrix, level, sizes, voxels), tally(matrix, level, nearest, voxels)


def _connected(levels: Levels, flat: bool) -> np.ndarray:
    """Return the number of every voxel's zone; empty slices in between part the slices."""
    from skimage.measure import label

    box = levels.box
    if not flat:
        return label(box, background=0, connectivity=3).ravel()
    apart = np.zeros((2 * box.shape[0], *box.shape[1:]), box.dtype)
    apart[::2] = box
    return label(apart, background=0, connectivity=3)[::2].ravel()


def border_distance(mask: np.ndarray, flat: bool) -> np.ndarray:
    """Return each voxel's city-block distance to the outside of the mask, 1 on its border.

    Parameters
    ----------
    mask
        Region (z, y, x); what lies beyond the array is outside.

    Examples
    --------
    >>> border_distance(np.ones((1, 3, 3), bool), flat=True)[0].tolist()
    [[1, 1, 1], [1, 2, 1], [1, 1, 1]]
    """
    from scipy.ndimage import distance_transform_cdt, generate_binary_structure

    metric = generate_binary_structure(3, 1)
    if flat:
        metric[0], metric[2] = False, False
    return distance_transform_cdt(np.pad(mask, 1), metric)[1:-1, 1:-1, 1:-1]
