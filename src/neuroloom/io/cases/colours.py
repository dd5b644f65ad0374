"""How many channels the pictures of a data set have, where single ones are grey or transparent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.io.images import ImageHeader, peek_image

_COLOURS = ("red", "green", "blue", "alpha")
_GREY = ("grey",)
_REPEATED = "Its grey is given in three channels, as the colours of the other pictures are."
_LEFT_OUT = "Its alpha channel was left out: most other pictures have none."
_ADDED = "It was given an opaque alpha channel, as the other pictures have one."


@dataclass(frozen=True, eq=False)
class Colours:
    """The channels that pictures are given in, so that all of a data set have as many.

    A blank tile among coloured ones has three equal channels, which a reader gives as one; a
    single transparent pixel makes four.

    Attributes
    ----------
    files
        The image of each case that has but one.
    wanted
        Channels of the run that is applied; 0: as many as most of the files have.
    alpha
        Whether a channel of the run is called alpha: it is then added to pictures whose files
        have none.
    """

    files: tuple[Path, ...] = ()
    wanted: int = 0
    alpha: bool = False

    @cached_property
    def usual(self) -> int:
        """Channels that most pictures have; alpha counts where every picture has it."""
        pictures = list(self._pictures())
        counts = Counter(len(header.channels) for header in pictures)
        if not all(len(header.channels) == 4 or header.opaque for header in pictures):
            counts[3] += counts.pop(4, 0)
        return max(counts, key=lambda count: (counts[count], count), default=0)

    def _pictures(self) -> Iterator[ImageHeader]:
        for file in self.files:
            try:
                header = peek_image(file)
            except DataError:  # the audit names it
                continue
            if _is_picture(header):
                yield header

    def header(self, header: ImageHeader) -> ImageHeader:
        """Return the header of a picture with the channels that it is given in."""
        own, count = len(header.channels), self._count(header)
        if own == count:
            return header
        told = [_REPEATED] if own == 1 else []
        told += [_LEFT_OUT] if count < own else [_ADDED] if count == 4 else []
        return replace(header, channels=_COLOURS[:count], notes=(*header.notes, *told))

    def array(self, array: np.ndarray, header: ImageHeader) -> np.ndarray:
        """Return a picture or a part of it, (channel, y, x), with these channels."""
        count = self._count(header)
        if len(header.channels) == count:
            return array
        shown = np.repeat(array, 3, axis=0) if len(array) == 1 else array[:3]
        if count == 3:
            return shown
        return np.concatenate([shown, np.full_like(shown[:1], np.iinfo(array.dtype).max)])

    def _count(self, header: ImageHeader) -> int:
        own = len(header.channels)
        clear = header.opaque or self.alpha
        if not _is_picture(header) or (own == (self.wanted or 3) and not clear):
            return own
        # One channel without colours in its file may be anything, unless it is among pictures.
        known = self.wanted if header.folded or own > 1 else 0
        count = known or self.usual
        if count == 4 and not clear:
            return own
        return count if count in (3, 4) and self.wanted in (0, count) else own


def _is_picture(header: ImageHeader) -> bool:
    names = header.channels
    coloured = len(names) > 2 and names == _COLOURS[: len(names)]
    whole = header.dtype.startswith("uint")
    return header.kind == "image" and whole and (names == _GREY or coloured)
