"""The three ways a job can go wrong, and whose turn it is to act."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeuroloomError(Exception):
    """Base of every error that neuroloom raises on purpose.

    The message says what was expected, what came (file, row, field, value) and what to do.
    """

    exit_code = 1


class DataError(NeuroloomError):
    """The data cannot serve as they are; the user can mend it (exit code 2)."""

    exit_code = 2


class ConfigError(NeuroloomError):
    """A setting does not fit; the user can mend it (exit code 2)."""

    exit_code = 2


class RunError(NeuroloomError):
    """The run itself failed: disk full, out of memory, a broken run folder (exit code 1)."""


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
