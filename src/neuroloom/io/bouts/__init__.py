"""What animals did, and when: bouts and point events, in the formats of who annotates them.

- `read_bouts(path)` finds out what a file is and gives `Bouts`: a table of start, stop (s),
  behaviour, subject and comment; a bout of no length is a point event.
- `write_bouts(bouts, path, format)` writes them as BORIS' tabular events, BENTO's .annot, BIDS
  events.tsv, or a plain CSV.
- One file a format, with `claims(path)`, `read(path)` and `write(bouts, path)`; its name stands in
  `door.FORMATS`.
"""

from neuroloom.io.bouts.door import FORMATS, read_bouts, write_bouts
from neuroloom.io.bouts.model import Bouts

__all__ = ["FORMATS", "Bouts", "read_bouts", "write_bouts"]
