"""The three ways a job can go wrong, and whose turn it is to act."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # all that NumPy says of a full disk


class NeuroloomError(Exception):
    """Base of every error that neuroloom raises on purpose.

    The message says what was expected, what came (file, row, field, value) and what to do.
    """

    exit_code = 1


class DataError(NeuroloomError):
    """The data cannot serve as they are; the user can mend it (exit code 2).

    Parameters
    ----------
    message
        What is wrong.
    problems
        Each problem by itself, where there are more than the message can hold.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class ConfigError(NeuroloomError):
    """A setting does not fit; the user can mend it (exit code 2)."""

    exit_code = 2


class RunError(NeuroloomError):
    """The run itself failed: disk full, out of memory, a broken run folder (exit code 1)."""


def in_words(error: BaseException) -> str:
    """Say an error of the machine in words, without its type where the words suffice.

    Examples
    --------
    >>> import errno, os
    >>> in_words(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.bin"))
    'No space left on device: model.bin'
    >>> in_words(OSError("189000 requested and 61440 written"))
    'No space left on device'
    """
    if isinstance(error, OSError) and (error.strerror or _SHORT_WRITE.fullmatch(str(error))):
        full = error.errno in (errno.ENOSPC, None)  # whatever else a library says of it
        what = os.strerror(errno.ENOSPC) if full else str(error.strerror)
        return what + (f": {error.filename}" if error.filename else "")
    if isinstance(error, MemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {error}"


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error tells of a full disk, whichever library raised it.

    Examples
    --------
    >>> is_disk_full(RuntimeError("file write failed: errno = 28, 'No space left on device'"))
    True
    """
    return getattr(error, "errno", None) == errno.ENOSPC or "No space left" in in_words(error)


def nearest(name: str, choices: Iterable[object]) -> str:
    """Return `" Did you mean 'x'?"` for the closest of `choices`, or an empty string.

    Examples
    --------
    >>> nearest("egnet", ["eegnet", "shallow"])
    " Did you mean 'eegnet'?"
    """
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    given = str(name).lower()
    close = difflib.get_close_matches(given, by_lower, n=3, cutoff=0.5)
    close.sort(key=lambda word: sorted(word) != sorted(given))  # swapped letters come first
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""
