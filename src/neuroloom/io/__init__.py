"""Files to recordings: a package for each kind of data, in it one module per format.

- `recordings`: signals; `images`: images and volumes; `cases`: images with labels, found in any
  layout and audited.
- `labels`: projects of labelled frames; `tracks`: tracks of animals; `bouts`: scored behaviour.
- `video.Video` reads any frame of a video by its number and streams in constant memory.
- `bids` and `pandas_h5` are read by several of them.
"""

from neuroloom.io.recordings import Header, is_readable, peek, read

__all__ = ["Header", "is_readable", "peek", "read"]
