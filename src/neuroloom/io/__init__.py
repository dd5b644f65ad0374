"""Files to recordings: one module per format, found by suffix in `core.registry.FORMATS`.

- `read(path)` gives a checked `signal` recording, `peek(path)` only its `Header`.
- `find.find(data)` lists the recordings of a file, a folder, a BIDS dataset or a manifest.
- `images.read_image`, `peek_image` and `write_image` are the door for images and volumes, whose
  formats stand in `IMAGES`; `cases.find_cases` lists them with labels, `casecheck` audits them.
- `labels.read_labels`, `write_labels` are the door for projects of labelled frames (`LABELS`),
  `tracks.read_tracks`, `write_tracks` for tracks of animals (`TRACKS`); `video.Video` reads any
  frame of a video by its number and streams in constant memory.
- `annotated.write_annotated` writes a recording with annotations as FIF, without personal data.
- `fetch.fetch_eegbci` downloads PhysioNet's motor imagery recordings, checksummed.

A format is a module with `read(path, start, stop) -> DataArray` and `peek(path) -> Header`;
to add one, write it and name its suffix in `FORMATS` (or in the entry-point group
`neuroloom.formats`). Names and birth dates in headers never leave these modules.
"""

from neuroloom.io.reader import Header, is_readable, peek, read

__all__ = ["Header", "is_readable", "peek", "read"]
