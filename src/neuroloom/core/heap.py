"""Arrays that may outgrow the memory."""

from __future__ import annotations

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
