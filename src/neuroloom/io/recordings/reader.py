"""The door to every format: `read` and `peek` by suffix, through any `.gz`."""

from __future__ import annotations

import gzip
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core import registry
from neuroloom.core.errors import DataError, nearest
from neuroloom.core.files import check_there
from neuroloom.io.recordings.sidecar import names_beside

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Header:
    """What a file says about itself before its samples are read.

    Attributes
    ----------
    source
        Name of the file, without its folder.
    channels, types
        One normalised name and one MNE type a channel.
    rate, duration
        Hz and seconds.
    annotations
        Columns onset (s), duration (s), label.
    notes
        What a careful reader should know about the file, one sentence each.
    trial
        Seconds of a trial where the file holds trials, laid end to end; None: it is continuous.
    """

    source: str
    channels: tuple[str, ...]
    types: tuple[str, ...]
    rate: float
    duration: float
    annotations: pd.DataFrame
    notes: tuple[str, ...] = ()
    trial: float | None = None


def read(path: Path | str, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a file, or the window from `start` to `stop`, as a `signal` recording.

    Parameters
    ----------
    path
        A file with a suffix of `core.registry.FORMATS`, or that suffix and `.gz`.
    start, stop
        Window in seconds of the file; only it is read. `time` and the annotations of the
        recording then count from `start`, which `attrs["offset"]` keeps.

    Returns
    -------
    Dims (channel, time), float64, SI units; `attrs["notes"]` says what is odd about the file.
    Where the file holds trials, they lie end to end, `attrs["trials"]` samples each.

    Raises
    ------
    DataError
        If the file is missing, empty, cut short, or not what its suffix says.

    Examples
    --------
    >>> read("sub-01_task-motor_eeg.edf").sel(channel="C3")  # doctest: +SKIP
    """
    path = Path(path)
    with _uncompressed(path) as plain, _named(plain, path):
        recording = _module(path).read(plain, start, stop)
    recording.attrs["source"] = path.name
    events = _sidecar(path)
    if events is not None:
        recording.attrs["annotations"] = _within(events, recording)
    return recording


def peek(path: Path | str) -> Header:
    """Read the header and the annotations of a file, and no signal.

    Raises
    ------
    DataError
        As `read`, as far as the header and the size of the file can tell.
    """
    path = Path(path)
    with _uncompressed(path) as plain, _named(plain, path):
        header: Header = _module(path).peek(plain)
    events = _sidecar(path)
    return replace(
        header,
        source=path.name,
        annotations=header.annotations if events is None else events,
    )


def is_readable(path: Path | str) -> bool:
    """Tell from the suffix alone whether there is a reader for `path`."""
    return suffix(path) in registry.table("format")


def is_recognised(path: Path | str) -> bool:
    """Tell whether the content of a shared suffix is one that a reader would try."""
    if not is_readable(path):
        return False
    module = registry.load("format", suffix(path))
    return bool(module.is_recognised(Path(path))) if hasattr(module, "is_recognised") else True


def is_recording(path: Path | str) -> bool:
    """Tell whether `path`, a file that was come across, is a recording and no table or note.

    A suffix such as `.txt` or `.csv` says too little: its module then looks at the first lines.
    """
    if not is_readable(path):
        return False
    module = registry.load("format", suffix(path))
    return bool(module.is_recording(Path(path))) if hasattr(module, "is_recording") else True


def suffix(path: Path | str) -> str:
    """Return the suffix that decides the format: ".edf" for both x.EDF and x.edf.gz."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _module(path: Path) -> Any:
    if not is_readable(path):
        known = registry.names("format")
        raise DataError(
            f"{path}: no reader for '{suffix(path) or path.name}' files."
            f"{nearest(suffix(path), known)} Readable are {', '.join(known)}, each also as .gz."
        )
    return registry.load("format", suffix(path))


@contextmanager
def _uncompressed(path: Path) -> Iterator[Path]:
    """Yield `path`, or a temporary file with what its `.gz` holds."""
    _check_whole(path)
    _module(path)
    if path.suffix.lower() != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="neuroloom-") as folder:
        plain = Path(folder) / path.name[: -len(".gz")]
        try:
            with gzip.open(path, "rb") as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: not a whole gzip file ({error}); copy it again.") from error
        _bring_partners(path, Path(folder))
        yield plain


def _bring_partners(path: Path, folder: Path) -> None:
    """Put beside an uncompressed copy what its format reads together with it."""
    module, facts = _module(path), names_beside(path)
    partners = module.partners(path) if hasattr(module, "partners") else []
    for partner in [*partners, *facts]:
        if not partner.is_file():
            continue
        if partner.suffix.lower() == ".gz":
            (folder / partner.stem).write_bytes(gzip.decompress(partner.read_bytes()))
        else:
            shutil.copy(partner, folder / partner.name)


@contextmanager
def _named(plain: Path, path: Path) -> Iterator[None]:
    """Let errors name the file that the user has, and own up to none but ours."""
    try:
        yield
    except DataError as error:
        text = str(error).replace(str(plain), str(path))
        raise DataError(text.replace(str(plain.parent), str(path.parent))) from error
    except (ValueError, LookupError, struct.error, OverflowError) as error:
        raise DataError(f"{path}: its header is damaged ({error}); copy it again.") from error


def _check_whole(path: Path) -> None:
    check_there(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected one recording; `find` searches folders.")
    try:
        first = path.open("rb").read(1)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}).") from error
    if not first:
        raise DataError(f"{path}: the file is empty (0 bytes); copy it again or leave it out.")


def _sidecar(path: Path) -> pd.DataFrame | None:
    from neuroloom.io.bids import annotations_for

    return annotations_for(path)


def _within(events: pd.DataFrame, recording: xr.DataArray) -> pd.DataFrame:
    """Cut file-time events to the window that was read, and count them from its start."""
    offset = recording.attrs.get("offset", 0.0)
    onset = events["onset"] - offset
    inside = (onset >= 0) & (onset < recording.sizes["time"] / recording.attrs["rate"])
    return events.assign(onset=onset)[inside].reset_index(drop=True)
