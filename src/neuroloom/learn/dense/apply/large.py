"""Arrays that may be too large for memory: laid out in a file, and worked off in slabs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LARGE_BYTES = 1e9
SLAB_VOXELS = 4_000_000


def room(
    shape: Sequence[int], spill: Path | None = None, large: float = LARGE_BYTES
) -> NDArray[np.floating]:
    """Return zeros: float32 in memory, or float16 in a nameless file if that is too much.

    Parameters
    ----------
    spill
        Folder of the file, which is gone with the last reference; None: the system's.
    large
        Bytes from which on the array lies in a file. Half precision is for numbers around one:
        probabilities differ by less than 0.0005.

    Examples
    --------
    >>> room((2, 3)).dtype.name, room((2, 3), large=1).dtype.name
    ('float32', 'float16')
    """
    if 4 * float(np.prod(shape, dtype=float)) <= large:
        return np.zeros(tuple(shape), np.float32)
    with tempfile.TemporaryFile(dir=spill, prefix="neuroloom-large-") as file:
        return np.memmap(file, np.float16, "w+", shape=tuple(shape))


def slabs(shape: Sequence[int], voxels: int = SLAB_VOXELS) -> Iterator[slice]:
    """Yield slices along the first axis, of about so many voxels each.

    Examples
    --------
    >>> [(part.start, part.stop) for part in slabs((5, 10), 20)]
    [(0, 2), (2, 4), (4, 5)]
    """
    across = max(1, int(np.prod(shape[1:], dtype=float)))
    thick = max(1, voxels // across)
    for start in range(0, shape[0], thick):
        yield slice(start, min(start + thick, shape[0]))


def add_share(total: NDArray[np.floating], more: NDArray[np.floating], count: int) -> None:
    """Add the share that one of `count` members has in their mean, in place, (class, *axes).

    Examples
    --------
    >>> total = np.zeros((1, 2), np.float32)
    >>> add_share(total, np.array([[1.0, 3.0]]), 2)
    >>> total.tolist()
    [[0.5, 1.5]]
    """
    for part in slabs(total.shape[1:]):
        total[:, part] += np.asarray(more[:, part], np.float32) / count
