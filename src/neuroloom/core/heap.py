"""Arrays that may outgrow the memory, and memory that is used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Heap:
    """Examples piled up recording by recording: in memory, or in a temporary file once too many.

    Examples
    --------
    >>> heap = Heap(most_bytes=16)
    >>> for k in range(3):
    ...     heap.add(np.full((2, 1, 2), k, np.float32))
    >>> type(heap.whole()).__name__, heap.whole()[:, 0, 0].tolist()
    ('memmap', [0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    """

    def __init__(self, most_bytes: float) -> None:
        self.most_bytes = most_bytes
        self.parts: list[np.ndarray] = []
        self.file: Any = None
        self.length = 0

    def add(self, part: np.ndarray) -> None:
        """Put examples of the same shape on top."""
        self.length += len(part)
        if self.file is not None:
            part.tofile(self.file)
            self.shape = part.shape[1:]
            return
        self.parts.append(part)
        if sum(piece.nbytes for piece in self.parts) > self.most_bytes:
            self._spill()

    def _spill(self) -> None:
        import tempfile

        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the array
        self.shape, self.dtype = self.parts[0].shape[1:], self.parts[0].dtype
        for piece in self.parts:
            piece.tofile(self.file)
        self.parts = []

    def whole(self) -> np.ndarray:
        """Return all examples as one array, mapped from the file if there is one."""
        if self.file is None:
            return np.concatenate(self.parts)
        self.file.flush()
        return np.memmap(self.file, self.dtype, "r+", shape=(self.length, *self.shape))


def memory() -> float:
    """Return the bytes of memory that this machine has; 8 GB where it does not say."""
    import os

    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return 8e9


# Of mallopt(3): from where on free memory goes back to the system, from what size on a block is
# mapped, and how many may be. The usual values are those that glibc comes to by itself once large
# arrays have been freed; it stops adapting them when they are set.
_TRIM_FROM, _MAP_FROM, _MAPPED_BLOCKS = -1, -3, -4
_USUAL = {_TRIM_FROM: 2**26, _MAP_FROM: 2**25, _MAPPED_BLOCKS: 65_536}
_KEEPING = {_TRIM_FROM: 2**31 - 1, _MAPPED_BLOCKS: 0}


class _Kept:
    """How many contexts keep memory now: the first begins it, the last ends it."""

    contexts = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let memory that is freed stay with the process for a while, as far as the system can.

    The C library hands large arrays back to the system as soon as they are freed; the next one
    then comes page by page, filled with zeros: in a training step on a CPU that takes as long as
    the norms. Within this context arrays of the last step are written over instead. The largest
    extent that is reached stays occupied until the end, of the outermost of such contexts. Does
    nothing without the GNU C library.

    Examples
    --------
    >>> with kept_memory():
    ...     float(np.ones(10).sum())
    10.0
    """
    library = _gnu_library()
    if library is None:
        yield
        return
    _Kept.contexts += 1
    if _Kept.contexts == 1:
        for option, value in _KEEPING.items():
            library.mallopt(option, value)
    try:
        yield
    finally:
        _Kept.contexts -= 1
        if not _Kept.contexts:
            for option, value in _USUAL.items():
                library.mallopt(option, value)
            library.malloc_trim(0)


def _gnu_library() -> Any:
    """Return the C library of this process if it knows `mallopt` and `malloc_trim`."""
    import ctypes
    import sys

    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
