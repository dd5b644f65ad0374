"""Cases: images with their labels, found under DATA however they lie there.

- `find_cases(data)` recognises the layout (`layouts`, `layouts_json`, `layouts_bids`,
  `layouts_names`, `layouts_beside`, `layouts_table`) and gives `FoundCases`, whose `Case`s read
  their voxels when they are asked for. `whose` decides for all layouts of folders what becomes of
  images in no row, whose each case is and on which side of a split.
- `check.check_cases` is the audit: it reads every case once (`look`), holds them side by side
  (`compare`) and lists all problems.
- `truth` makes class numbers of what label files hold, as `tones` tells how they were drawn, and
  `painted` of those in a colour; `upright` turns volumes one way round; `colours` gives all
  pictures as many channels.
"""

from neuroloom.io.cases.door import find_cases
from neuroloom.io.cases.model import Case, Cases, FoundCases

__all__ = ["Case", "Cases", "FoundCases", "find_cases"]
