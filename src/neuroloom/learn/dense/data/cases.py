"""Cases as a study hands them to a learner: lazy, measured once, preprocessed once a plan."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.heap import memory as machine_memory
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.fingerprint import CaseFacts, Fingerprint, measure_case
from neuroloom.learn.dense.planning.resample import Preprocessed, preprocess

KEPT_BYTES = 4 * 1024**3
# What a preprocessed case depends on, beside the intensities of the training cases where a channel
# is a CT; all else of a plan is the net's.
DEPENDS = (
    "dims", "spacing", "transpose", "normalisation", "use_nonzero_mask", "image_order",
    "label_order", "channels",
)  # fmt: skip


class AnyCase(Protocol):
    """What is needed of a case (`io.cases.Case`)."""

    name: str

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel in array order."""

    def image(self) -> np.ndarray:
        """Read the image (channel, *axes), float32."""

    def truth(self) -> np.ndarray | None:
        """Read the label (*axes), or None."""


class DenseCases(Sequence[Any]):
    """Cases with a memory: rows can be taken, and all parts share what was measured before.

    Parameters
    ----------
    cases
        `io.cases.Cases`, or anything that behaves so.
    rows
        Their numbers in the whole data set.
    memory
        Shared by all parts; None begins a new one.
    limit
        Bytes of preprocessed cases that are kept; None: four gigabytes, or an eighth of the memory.
        Where they are too many, those of the plan in use stay.
    spacing
        Size of a case's voxels as the net is to see it; None: as its file says.

    Examples
    --------
    >>> class Blank:
    ...     name, spacing = "a", (1.0, 1.0)
    ...     def image(self): return np.ones((1, 4, 4), "f4")
    ...     def truth(self): return np.eye(4, dtype=int)
    >>> both = DenseCases([Blank(), Blank()])
    >>> len(both[np.array([1])]), both.fingerprint(["MRI"]).finalize()["n"]
    (1, 2)
    """

    def __init__(
        self,
        cases: Sequence[Any],
        rows: Sequence[int] | None = None,
        memory: dict[Any, Any] | None = None,
        limit: float | None = None,
        spacing: Callable[[Any], tuple[float, ...]] | None = None,
    ) -> None:
        self.cases = cases
        self.limit = min(KEPT_BYTES, machine_memory() / 8) if limit is None else limit
        self.spacing = spacing or (lambda case: tuple(case.spacing))
        self.rows = list(range(len(cases))) if rows is None else [int(row) for row in rows]
        self.memory: dict[Any, Any] = {"bytes": 0} if memory is None else memory

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Any:
        """Return one case, or the cases of a part."""
        if isinstance(rows, int | np.integer):
            return self.cases[self.rows[int(rows)]]
        chosen = np.asarray(self.rows)[rows].tolist()
        return DenseCases(self.cases, chosen, self.memory, self.limit, self.spacing)

    def __iter__(self) -> Iterator[Any]:
        return (self.cases[row] for row in self.rows)

    def facts(self) -> Iterator[CaseFacts]:
        """Yield what a fingerprint takes of each case."""
        for row in self.rows:
            if ("facts", row) not in self.memory:
                case = self.cases[row]
                self.memory["facts", row] = _named(
                    case, measure_case, case.image(), case.truth(), self.spacing(case)
                )
            yield self.memory["facts", row]

    def remember(self, row: int, facts: CaseFacts) -> None:
        """Take the facts of a case that was read anyhow, for the audit."""
        self.memory["facts", self.rows[row]] = facts

    def fingerprint(self, channels: Sequence[str]) -> Fingerprint:
        """Return the fingerprint of these cases."""
        found = Fingerprint(channels)
        for facts in self.facts():
            found.update(facts)
        return found

    def preprocessed(self, plan: DensePlan, *, labelled: bool = True) -> Iterator[Preprocessed]:
        """Yield every case as the plan wants it, without its label unless `labelled`."""
        key = _key(plan)
        for row in self.rows:
            place = ("case", row, key)
            if place in self.memory:
                yield self.memory[place]
                continue
            began, case = time.monotonic(), self.cases[row]
            truth = case.truth() if labelled else None
            done = _named(case, preprocess, case.image(), truth, self.spacing(case), plan)
            count, seconds = self.memory.get(("made", key), (0, 0.0))
            self.memory["made", key] = (count + 1, seconds + time.monotonic() - began)
            if labelled:
                self._keep(place, done)
            yield done

    def _keep(self, place: tuple[str, int, str], done: Preprocessed) -> None:
        """Keep a case if there is room, which cases of other plans make."""
        size = _bytes_of(done)
        others = [one for one in self.memory if one[0] == "case" and one[2] != place[2]]
        while others and self.memory["bytes"] + size > self.limit:
            self.memory["bytes"] -= _bytes_of(self.memory.pop(others.pop(0)))
        if self.memory["bytes"] + size <= self.limit:
            self.memory[place] = done
            self.memory["bytes"] += size

    def kept(self, plan: DensePlan) -> list[Preprocessed]:
        """Return those of the cases that are kept as the plan wants them."""
        key = _key(plan)
        places = [("case", row, key) for row in self.rows]
        return [self.memory[place] for place in places if place in self.memory]

    def seconds_of_making(self, plan: DensePlan) -> float:
        """Return how long reading and preprocessing as the plan wants it has taken so far, s."""
        return float(self.memory.get(("made", _key(plan)), (0, 0.0))[1])

    def seconds_to_make(self, plan: DensePlan, fits: int) -> float:
        """Return how long it will take for so many fits on so many cases, by what it took, s.

        A case is made once where it is kept for the fits to come: if there is room, and if it does
        not depend on what a fit learns from.
        """
        count, seconds = self.memory.get(("made", _key(plan)), (0, 0.0))
        kept = self.kept(plan)
        room = len(self)
        if kept:
            room = int(self.limit * len(kept) / sum(map(_bytes_of, kept)))
        again = len(self) if "ct" in plan.normalisation or not kept else max(0, len(self) - room)
        return float(seconds / max(1, count) * (len(self) - len(kept) + again * (fits - 1)))


def _bytes_of(done: Preprocessed) -> int:
    return done.x.nbytes + (0 if done.label is None else done.label.nbytes)


def _key(plan: DensePlan) -> str:
    values = plan.as_dict()
    depends = {name: values[name] for name in DEPENDS}
    known = zip(plan.normalisation, values["intensity"], strict=True)
    depends["intensity"] = [own if scheme == "ct" else None for scheme, own in known]
    return json.dumps(depends, sort_keys=True)


def _named(case: AnyCase, function: Any, *arguments: Any) -> Any:
    """Call, and let an error name the case."""
    try:
        return function(*arguments)
    except DataError as error:
        raise DataError(f"{case.name}: {error}") from error
