"""How fast a fit must go to end in its time: the busier the machine, the fewer its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LOOKS = 20  # times a fit looks at the clock
EARLIEST = 5.0  # seconds between two looks, at least
TOLERANCE = 0.03  # a rate that would change by less stays
MOST = 10.0  # planned steps that one may stand for: the rate must fall somehow
LEAST = 0.05  # the same, at least, where a quick machine may take more steps than planned

Effort = Callable[[float], float]


@dataclass
class Pace:
    """Where a fit is on the way that was planned for it, and how far a step takes it.

    The learning rate and the stages of a fit are functions of the planned step. A fit that is slow
    takes more than one planned step at a time, so that it still goes through the whole schedule and
    ends when it must; one that is in time takes one, exactly. One that is quick takes one too, and
    ends early, or less than one, and uses its time: the machine may have been busy while the steps
    were planned.

    Attributes
    ----------
    planned
        Steps of the fit, as planned.
    seconds
        Wall time it may take; None: as long as it takes.
    effort
        Share of the fit (0 to 1) -> share of its time (0 to 1), for fits whose steps differ in
        cost; None: all steps cost alike.
    turns
        (step, planned steps a step from there on), as another fit took them: with `seconds` None
        they are followed, so that a replay does the same.
    least
        Planned steps that one may stand for, at least: 1, or less if time is to be used up.

    Examples
    --------
    >>> pace = Pace(100, seconds=100.0)
    >>> while not pace.done:
    ...     pace.step(2.0)  # twice as slow as it must be
    >>> pace.spent, round(pace.share, 6), pace.turns[0][0]
    (100.0, 1.0, 5)
    """

    planned: int
    seconds: float | None = None
    effort: Effort | None = None
    turns: list[tuple[int, float]] = field(default_factory=list)
    least: float = 1.0
    at: float = 0.0
    rate: float = 1.0
    steps: int = 0
    spent: float = 0.0
    looked: tuple[float, float] = (0.0, 0.0)  # planned step and time spent at the last look

    @property
    def share(self) -> float:
        """Share of the planned steps that is done."""
        return self.at / self.planned

    @property
    def done(self) -> bool:
        """Whether the planned way is at its end."""
        return self.planned - self.at < 0.5 * min(1.0, self.rate)

    @property
    def expected(self) -> int:
        """Steps of the whole fit, if it goes on as it does."""
        return self.steps + round((self.planned - self.at) / self.rate)

    def step(self, seconds: float) -> None:
        """Note a step that took so long, with all that came between it and the one before."""
        self.steps += 1
        self.at = min(self.at + self.rate, float(self.planned))
        self.spent += seconds
        if self.seconds is None:
            self.rate = dict(self.turns).get(self.steps, self.rate)
        elif self._may_look():
            self._look()

    def _may_look(self) -> bool:
        at, spent = self.looked
        far = self.at - at >= self.planned / LOOKS
        return far and self.spent - spent >= EARLIEST and not self.done

    def _look(self) -> None:
        """Set the rate at which the rest of the way takes the time that is left."""
        assert self.seconds is not None
        at, spent = self.looked
        self.looked = (self.at, self.spent)
        taken = (self.spent - spent) * self.rate  # of the way since then, at one planned step each
        unit = taken / max(self._cost(at, self.at), 1e-9)
        left = unit * self._cost(self.at, self.planned)
        wanted = min(max(self.least, left / max(self.seconds - self.spent, 1e-9)), MOST)
        way = self.planned - self.at
        rate = way / max(1, int(way / wanted))
        if abs(rate / self.rate - 1) > TOLERANCE:
            self.rate = rate
            self.turns.append((self.steps, rate))

    def _cost(self, start: float, stop: float) -> float:
        if self.effort is None:
            return (stop - start) / self.planned
        return self.effort(stop / self.planned) - self.effort(start / self.planned)

    def as_dict(self) -> dict[str, Any]:
        """Return what a fit that was stopped needs to go on."""
        return {
            "at": self.at,
            "rate": self.rate,
            "steps": self.steps,
            "spent": self.spent,
            "looked": self.looked,
            "turns": self.turns,
        }

    def restore(self, stored: dict[str, Any]) -> None:
        """Go on where `as_dict` was taken."""
        for name in ("at", "rate", "steps", "spent"):
            setattr(self, name, stored[name])
        self.looked = tuple(stored["looked"])
        self.turns = [(int(step), float(rate)) for step, rate in stored["turns"]]


def effort_of_stages(ends: Sequence[float], costs: Sequence[float]) -> Effort:
    """Return the effort of a fit in stages whose steps differ in cost.

    Parameters
    ----------
    ends
        Share of the steps at which each stage ends; the last is 1.
    costs
        Of a step of each stage, in any unit.

    Examples
    --------
    >>> effort = effort_of_stages([0.5, 1.0], [1.0, 3.0])
    >>> effort(0.5), effort(0.75), effort(1.0)
    (0.25, 0.625, 1.0)
    """

    def before(share: float) -> float:
        total, start = 0.0, 0.0
        for end, cost in zip(ends, costs, strict=True):
            total += cost * max(0.0, min(share, end) - start)
            start = end
        return total

    whole = before(1.0)
    return lambda share: before(share) / whole
