"""GDF, the format of BCI Competition IV and BioSig, read by MNE.

Format: Schlögl, GDF: a general data format for biosignals, arXiv:cs/0608052.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from neuroloom.core.errors import DataError
from neuroloom.io.recordings.formats.raw import peek_raw, read_raw
from neuroloom.io.recordings.reader import Header

if TYPE_CHECKING:
    import mne
    import xarray as xr

# Bytes of a sample by GDF's type numbers.
_WIDTH = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 16: 4, 17: 8, 279: 3, 535: 3}


def read(path: Path, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Read a GDF file; see `neuroloom.io.read`."""
    _check(path)
    return read_raw(_open, path, "GDF", start, stop)


def peek(path: Path) -> Header:
    """Read the header and events of a GDF file; see `neuroloom.io.peek`."""
    _check(path)
    return peek_raw(_open, path, "GDF")


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    return mne.io.read_raw_gdf(path)


def _check(path: Path) -> None:
    """Hold the header against the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        fixed = handle.read(256)
        if not fixed.startswith(b"GDF"):
            raise DataError(
                f"{path}: is no GDF file: expected it to begin with b'GDF', it begins with "
                f"{fixed[:8]!r}. Was another file renamed?"
            )
        count = struct.unpack_from("<H", fixed, 252)[0] if len(fixed) == 256 else 0
        table = handle.read(256 * count)
    if len(fixed) < 256 or len(table) < 256 * count:
        needed = 256 * (count + 1)
        raise DataError(f"{path}: cut in its header: expected {needed} bytes, got {size}.")
    records = struct.unpack_from("<q", fixed, 236)[0]
    samples = struct.unpack_from(f"<{count}i", table, 216 * count)
    kinds = struct.unpack_from(f"<{count}i", table, 220 * count)
    record = sum(_WIDTH.get(kind, 0) * n for kind, n in zip(kinds, samples, strict=True))
    there = (size - _header_bytes(fixed)) // max(record, 1)
    if records > 0 and record and there < records:
        raise DataError(
            f"{path}: cut in its data: its header promises {records} records, {there} are there; "
            "copy the file again."
        )


def _header_bytes(fixed: bytes) -> int:
    """GDF 1 counts bytes, GDF 2 blocks of 256."""
    if float(fixed[4:8]) < 1.9:
        return int(struct.unpack_from("<q", fixed, 184)[0])
    return 256 * int(struct.unpack_from("<H", fixed, 184)[0])
