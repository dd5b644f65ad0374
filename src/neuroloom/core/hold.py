"""One writer a folder: a name that nobody else has, a lock that ends with its process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

from neuroloom.core.errors import RunError, in_words

Lock = IO[Any]
_PATIENCE_S = 0.4


def take(file: Path) -> Lock | None:
    """Lock `file`, made if absent, until the lock is closed or this process ends.

    Who only looks whether it is held (`is_taken`) holds it for an instant: so it is tried for a
    moment.

    Returns
    -------
    The open file; None if another holds it. Where a file system knows no locks, everybody gets one.
    """
    until = time.monotonic() + _PATIENCE_S
    while (lock := _tried(file)) is None and time.monotonic() < until:
        time.sleep(_PATIENCE_S / 20)
    return lock


def is_taken(file: Path) -> bool:
    """Tell whether a living process, or another place in this one, holds the lock."""
    if not file.is_file():
        return False
    try:
        handle = _tried(file)
    except OSError:
        return False
    if handle is None:
        return True
    handle.close()
    return False


def free(name: Path) -> Path:
    """Return a folder's name, or the first of its numbered neighbours that does not exist."""
    return next(path for path in _numbered(name) if not path.exists())


def claim(name: Path) -> Path:
    """Make the first folder of that name, or with a number, that nobody else has made.

    Raises
    ------
    RunError
        If none can be made.
    """
    try:
        return next(path for path in _numbered(name) if _made(path))
    except OSError as error:
        raise RunError(f"{name} cannot be written: {in_words(error)}.") from error


def _numbered(name: Path) -> Iterator[Path]:
    yield name
    yield from (name.with_name(f"{name.name}-{k}") for k in count(2))


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _tried(file: Path) -> Lock | None:
    handle = file.open("a")
    try:
        _lock(handle.fileno())
    except (BlockingIOError, PermissionError):
        handle.close()
        return None
    except OSError:
        return handle
    return handle


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
