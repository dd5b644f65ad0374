"""Runs of one grey level along a direction (IBSI section 3.7)."""

from __future__ import annotations

import numpy as np

from neuroloom.volumes.radiomics.features.levels import Levels, directions
from neuroloom.volumes.radiomics.features.tally import Tally, tally

NAMES = (
    "sre", "lre", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge", "glnu", "glnu_norm",
    "rlnu", "rlnu_norm", "r_perc", "gl_var", "rl_var", "rl_entr",
)  # fmt: skip


def run_lengths(levels: Levels, flat: bool) -> Tally:
    """Count the runs by level and length (Galloway 1975).

    The frame of zeros parts the lines: folded at the stride of a direction, the flat array holds
    all lines of that direction one after another, and runs end where the value changes.

    Returns
    -------
    A matrix for every direction, or every slice and direction, as `glcm.cooccurrences` has them.

    Examples
    --------
    >>> from neuroloom.volumes.radiomics.features.levels import as_levels
    >>> t = run_lengths(as_levels(np.array([[[2, 2, 1]]])), flat=True)
    >>> rows = t.matrix == 0
    >>> list(zip(t.i[rows].tolist(), t.j[rows].tolist(), t.n[rows].tolist()))
    [(1, 1, 1.0), (2, 2, 1.0)]
    """
    steps = directions(flat)
    plane = levels.shape[1] * levels.shape[2]
    parts = []
    for number, step in enumerate(steps):
        level, length, place = _runs(levels.flat, levels.stride(step))
        matrix = number + (len(steps) * (place // plane - 1) if flat else 0 * place)
        parts.append(np.stack([matrix, level, length]))
    matrix, i, j = np.concatenate(parts, axis=1)
    slices = levels.slices if flat else np.zeros(len(levels.inside), np.int64)
    return tally(matrix, i, j, np.bincount(slices).repeat(len(steps)))


def _runs(flat: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return level, length and first place of every run along a stride."""
    rows = -(-len(flat) // stride)
    folded = np.zeros(rows * stride, flat.dtype)
    folded[: len(flat)] = flat
    line = folded.reshape(rows, stride).T.ravel()
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    lengths = np.diff(starts, append=len(line))
    kept = line[starts] > 0
    column, row = np.divmod(starts[kept], rows)
    return line[starts[kept]], lengths[kept], row * stride + column
