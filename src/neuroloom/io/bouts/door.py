"""The door of bouts: which format a file is in, and back into it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.io.bouts.model import Bouts

# Name -> (module, ending, what it is), in the order in which they are tried.
FORMATS = {
    "bento": ("neuroloom.io.bouts.bento", ".annot", "BENTO .annot"),
    "boris": ("neuroloom.io.bouts.boris", ".csv", "BORIS tabular events"),
    "bids": ("neuroloom.io.bouts.events_tsv", "_events.tsv", "BIDS events.tsv"),
    "csv": ("neuroloom.io.bouts.plain", ".csv", "plain CSV"),
}


def read_bouts(path: str | Path) -> Bouts:
    r"""Read bouts from a file of any format that is known.

    Raises
    ------
    DataError
        If it is none of them, or damaged; the message names the row.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.csv"
    ...     _ = file.write_text("start,stop,behaviour\n1.5,2,groom\n")
    ...     read_bouts(file).rows()
    [(1.5, 2.0, 'groom', '', '')]
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    for name in FORMATS:
        module = _module(name)
        if module.claims(path):
            found: Bouts = module.read(path)
            return found
    known = ", ".join(shown for _, _, shown in FORMATS.values())
    raise DataError(
        f"{path}: holds no bouts in a format that is known ({known}). A CSV needs the columns "
        "start, stop, behaviour."
    )


def write_bouts(bouts: Bouts, path: str | Path, format: str) -> Path:
    """Write bouts in a format; what is read back is equal, times to the microsecond.

    Raises
    ------
    ConfigError
        If there is no such format.
    DataError
        If the format cannot hold them.
    """
    if format not in FORMATS:
        raise ConfigError(f"format: there is no '{format}'.{nearest(format, FORMATS)}")
    written: Path = _module(format).write(bouts, Path(path))
    return written


def head_of(path: Path, size: int = 4096) -> str:
    """Return the first characters of a file, "" if it cannot be opened."""
    try:
        with path.open("rb") as handle:
            return handle.read(size).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _module(name: str) -> Any:
    return import_module(FORMATS[name][0])
