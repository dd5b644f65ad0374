"""Tracks of animals, in the files of the programs that make them.

- `read_tracks(path)` finds out what a file is and gives a `tracks` recording.
- `read_each_video(path)` does so of each video of a file that is of several.
- `is_tracks(path)` says whether a file is of a format that holds tracks, `format_of(path)` which.
- `write_tracks(recording, path, format)` writes one: "dlc" (.h5, .csv), "lightning-pose" (.csv),
  "slp", "analysis" (SLEAP's .analysis.h5), "movement" (.nc), "nwb" (ndx-pose).
- `ending_of(source)` is the ending for results in the format of a project of labels.
- `write_own(recording, stem, source)` writes results for COCO, DeepPoseKit and Label3D, which have
  no file of tracks.
- One file a format, with `claims(path)`, `read(path, rate)` and `write(recording, path)`; its name
  stands in `TRACKS` of `core/registry.py`.
"""

from neuroloom.io.tracks.door import (
    ending_of,
    format_of,
    is_tracks,
    read_each_video,
    read_tracks,
    write_tracks,
)
from neuroloom.io.tracks.own import write_own

__all__ = [
    "ending_of",
    "format_of",
    "is_tracks",
    "read_each_video",
    "read_tracks",
    "write_own",
    "write_tracks",
]
