"""Projects of labelled frames, read and written as their programs keep them.

- `read_labels(path)` finds out what a folder or a file is and gives `Labels`: skeleton, frames,
  points (frame, individual, keypoint, 2), and pictures that are read when asked for.
- `write_labels(labels, path, format)` writes them back, in their own format or another.
- One file a format, with `claims(path)`, `read(path)` and `write(labels, path, images)`; its name
  stands in `LABELS` of `core/registry.py`.
- `model.guess_swaps` reads left and right from names; `sides.flips` tells labels that exchange
  them; `usable.keep_usable` leaves out what cannot teach, by name.
"""

from neuroloom.io.labels.door import read_labels, write_labels
from neuroloom.io.labels.model import Labels, Skeleton, guess_swaps

__all__ = ["Labels", "Skeleton", "guess_swaps", "read_labels", "write_labels"]
