"""Recordings of signals: one module per format, found by suffix in `core.registry.FORMATS`.

- `read(path)` gives a checked `signal` recording, `peek(path)` only its `Header`.
- `find.find(data)` lists the recordings of a file, a folder, a BIDS dataset or a manifest.
- `annotated.write_annotated` writes a recording with annotations as FIF, without personal data.
- `fetch.fetch_eegbci` downloads PhysioNet's motor imagery recordings, checksummed.

A format is a module of `formats` with `read(path, start, stop) -> DataArray` and
`peek(path) -> Header`; to add one, write it and name its suffix in `FORMATS` (or in the entry-point
group `neuroloom.formats`). One of text stands in `text`, and among the `KINDS` of its door. Names
and birth dates in headers never leave these modules.
"""

from neuroloom.io.recordings.reader import Header, is_readable, peek, read

__all__ = ["Header", "is_readable", "peek", "read"]
