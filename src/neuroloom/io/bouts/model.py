"""Bouts: a table of who did what from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("start", "stop", "behaviour", "subject", "comment")


@dataclass(frozen=True, eq=False)
class Bouts:
    """Bouts and point events of one recording.

    Attributes
    ----------
    table
        Columns `start`, `stop` (s from the recording's beginning), `behaviour`, `subject` ("" if
        nobody is named), `comment`; in the order of starts. A point event starts and stops at once.
    rate
        Frames or samples a second, Hz; None if unknown.
    duration
        Of the recording, s; None if unknown.
    media
        Name or path of what was watched; "" if unknown.
    notes
        What was odd, one sentence each.

    Raises
    ------
    DataError
        If a time is missing or negative, a bout ends before it starts, or has no behaviour.

    Examples
    --------
    >>> found = Bouts.of([(1.0, 2.5, "groom"), (4.0, 4.0, "rear")])
    >>> found.behaviours, found.is_point.tolist()
    (('groom', 'rear'), [False, True])
    """

    table: pd.DataFrame
    rate: float | None = None
    duration: float | None = None
    media: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows that are no bouts."""
        lacking = [name for name in COLUMNS if name not in self.table]
        if lacking:
            raise DataError(f"A table of bouts lacks the columns {', '.join(lacking)}.")
        times = self.table[["start", "stop"]].to_numpy(float)
        bad = ~np.isfinite(times).all(1) | (times[:, 0] < 0) | (times[:, 1] < times[:, 0])
        bad |= self.table["behaviour"].astype(str).str.strip().eq("").to_numpy()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            start, stop, what = self.table.iloc[row][["start", "stop", "behaviour"]]
            raise DataError(
                f"Row {row + 1}: '{what}' from {start} to {stop} s is no bout; it needs a "
                "behaviour, and a start from 0 s on that is not after its stop."
            )

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], **facts: Any) -> Bouts:
        """Return bouts of rows (start, stop, behaviour[, subject[, comment]])."""
        import pandas as pd

        filled = [(*row, *("",) * (5 - len(row))) for row in rows]
        table = pd.DataFrame(filled, columns=list(COLUMNS))
        for name in ("start", "stop"):
            table[name] = table[name].astype(float)
        for name in COLUMNS[2:]:
            table[name] = table[name].astype(str)
        order = ["start", "stop", "subject", "behaviour"]
        return cls(table.sort_values(order, kind="stable", ignore_index=True), **facts)

    @property
    def behaviours(self) -> tuple[str, ...]:
        """Names, as they first occur."""
        return tuple(dict.fromkeys(self.table["behaviour"]))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names, as they first occur; "" is nobody."""
        return tuple(dict.fromkeys(self.table["subject"]))

    @property
    def is_point(self) -> np.ndarray:
        """Shape (bout,): whether it is a point event."""
        same: np.ndarray = self.table["start"].to_numpy() == self.table["stop"].to_numpy()
        return same

    def rows(self) -> list[tuple[float, float, str, str, str]]:
        """Return plain rows (start, stop, behaviour, subject, comment)."""
        return [tuple(row) for row in self.table[list(COLUMNS)].itertuples(index=False)]

    def overlaps(self) -> list[tuple[int, int]]:
        """Return pairs of rows in which a subject does the same twice at once.

        Examples
        --------
        >>> Bouts.of([(0, 2, "sit"), (1, 3, "sit"), (1, 4, "eat")]).overlaps()
        [(0, 1)]
        """
        found: list[tuple[int, int]] = []
        last: dict[tuple[str, str], tuple[float, int]] = {}
        for row, (start, stop, what, who, _) in enumerate(self.rows()):
            if start == stop:
                continue
            before = last.get((what, who))
            if before is not None and start < before[0]:
                found.append((before[1], row))
            if before is None or stop > before[0]:
                last[what, who] = (stop, row)
        return found

    def in_frames(
        self, behaviour: str, frames: int, rate: float, subject: str | None = None
    ) -> Any:
        """Return whether a behaviour goes on in each frame, shape (frame,) bool.

        A frame at time k / rate counts if start <= time < stop; a point event counts in its frame.

        Examples
        --------
        >>> Bouts.of([(0.1, 0.3, "groom")]).in_frames("groom", 5, 10.0).tolist()
        [False, True, True, False, False]
        """
        out = np.zeros(frames, bool)
        for start, stop, what, who, _ in self.rows():
            if what != behaviour or (subject is not None and who != subject):
                continue
            first = int(np.ceil(start * rate - 1e-6))
            last = int(np.ceil(stop * rate - 1e-6))
            if start == stop:
                first = int(np.floor(start * rate + 1e-6))
                last = first + 1
            out[max(first, 0) : last] = True
        return out


def seconds(value: float) -> str:
    """Return a time with at least three and at most six places.

    Examples
    --------
    >>> seconds(1.5), seconds(2.0000401)
    ('1.500', '2.00004')
    """
    whole, _, part = f"{value:.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(3, '0')}"
