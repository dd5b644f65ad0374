"""A budget in place of epochs: a wall time becomes epochs or steps once, and that is stored."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from neuroloom.core.errors import ConfigError

_SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
MARGIN = 1.15
FEW_EPOCHS = 10  # a fit of fewer is planned in steps
REPORT_S, REPORT_SHARE = 15.0, 0.2  # of a wall time, at most, for what comes after training
LEAST_OF_FIT = 0.5  # of its planned time that a fit gets, however late the fits before ended
UNJUDGED_S = 6.0  # the same where nothing is held out


@dataclass(frozen=True)
class Budget:
    """Exactly one of a wall time (s), epochs a fit, or steps a fit."""

    seconds: float | None = None
    epochs: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Plan:
    """What every fit of a run does; `reason` says in a sentence how it came about.

    `precision` is that of `fit.Training` where it was measured; None leaves it to the net.
    `seconds` is the wall time of a fit's steps, for a budget in time: what gets slower leaves steps
    out; with `all_seconds` what is quicker than planned takes more. `turns` says for each fit where
    it did (`pace.Pace`), once it is done; a replay follows it. `until` is when the steps of the
    last fit must end, in seconds of the run: where fits, or what lies around them, took longer than
    planned, each of the others gets less. `short` says why a budget is too short for what it is to
    do: the report objects to it.
    """

    epochs: int | None = None
    steps: int | None = None
    reason: str = ""
    precision: str | None = None
    seconds: float | None = None
    all_seconds: bool = False
    turns: dict[str, dict[str, list[tuple[int, float]]]] = field(default_factory=dict)
    until: float | None = None
    short: str = ""

    def seconds_of_fit(self, elapsed: float, fits: int) -> float | None:
        """Return the wall time of the steps of the next fit, s; None: as long as they take.

        Parameters
        ----------
        elapsed
            Seconds of the run that have gone by. A run that goes on counts them anew, so that its
            fits get what was planned.
        fits
            How many are to come, this one among them.

        Examples
        --------
        >>> plan = Plan(seconds=100.0, until=540.0)
        >>> [plan.seconds_of_fit(elapsed, 4) for elapsed in (0.0, 160.0, 500.0)]
        [100.0, 95.0, 50.0]
        """
        if self.seconds is None or self.until is None:
            return self.seconds
        due = (self.until - elapsed) / fits
        return min(self.seconds, max(due, LEAST_OF_FIT * self.seconds))

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)


def parse_budget(text: str) -> Budget:
    """Read "90s", "10min", "1.5h", "200 epochs" or "3000 steps".

    Raises
    ------
    ConfigError
        If it is none of these or not above zero.

    Examples
    --------
    >>> parse_budget("10min").seconds
    600.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", str(text))
    number, word = (float(match[1]), match[2].lower()) if match else (0.0, "")
    singular = word.removesuffix("s") if len(word) > 1 else word
    if number > 0 and singular in _SECONDS:
        return Budget(seconds=number * _SECONDS[singular])
    if number >= 1 and number == int(number) and singular in ("epoch", "step"):
        return Budget(**{singular + "s": int(number)})
    raise ConfigError(
        f"budget: expected a time ('90s', '10min', '1h') or a count ('200 epochs', '3000 steps'), "
        f"got '{text}'."
    )


def readable_budget(text: str) -> str:
    """Return a budget as it is, for the fields of recipes.

    Raises
    ------
    ValueError
        If `parse_budget` cannot read it; pydantic puts the field's name in front.
    """
    try:
        parse_budget(text)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("budget: ")) from None
    return text


def seconds_for_report(budget: float, *, judged: bool = True) -> float:
    """Return how much of a wall time is kept for scores, figures and the report, s.

    Parameters
    ----------
    budget
        The wall time, s.
    judged
        Whether anything is held out, to be scored and drawn.

    Examples
    --------
    >>> seconds_for_report(600), seconds_for_report(600, judged=False), seconds_for_report(30)
    (15.0, 6.0, 6.0)
    """
    return min(REPORT_S if judged else UNJUDGED_S, REPORT_SHARE * budget)


def seconds_to_train(budget: float, elapsed: float = 0.0, *, judged: bool = True) -> float:
    """Return what is left of a wall time beside what has gone by and the report's part, s.

    Examples
    --------
    >>> seconds_to_train(600, 60), seconds_to_train(60, 50)
    (525.0, 0.0)
    """
    return max(budget - elapsed - seconds_for_report(budget, judged=judged), 0.0)


def plan_time(
    seconds: float,
    per_epoch: float,
    fits: float,
    ceiling: int,
    *,
    steps: int | None = None,
    around: float = 0.0,
) -> Plan:
    """Share what is left of a wall time among the fits.

    Parameters
    ----------
    seconds
        What is left for training, s.
    per_epoch
        Measured time of one epoch of one fit, s.
    fits
        How many fits are to come.
    ceiling
        The epochs after which the net no longer gains.
    steps
        Of an epoch. A fit of few epochs is planned in steps: cut to whole epochs, it might leave
        half of its time unused.
    around
        Seconds of a fit beside its steps; half of its time is left to them in any case.

    Examples
    --------
    >>> plan_time(90, 10, 5, ceiling=20, steps=83).steps
    129
    """
    share = seconds / max(fits, 1)
    each = max(share - around, share / 2)
    affordable = each / (MARGIN * per_epoch)
    measured = f"({1000 * per_epoch:.0f} ms an epoch measured)"
    allows = f"for each of {fits:.0f} fits are what the time allows {measured}"
    if steps is not None and affordable < min(FEW_EPOCHS, ceiling):
        count = max(1, int(affordable * steps))
        reason = f"{count} steps, {affordable:.1f} epochs, {allows}"
        # All of these seconds are used: the margin is for what predicts, and for what validates.
        return Plan(steps=count, reason=reason, seconds=max(each, 1.0) / MARGIN, all_seconds=True)
    epochs = max(1, min(int(affordable), ceiling))
    reason = f"{epochs} epochs {allows}"
    if affordable >= ceiling:
        allowed = f"the time allowed {int(affordable):,} epochs a fit"
        reason = f"{allowed}; the net's own {ceiling} suffice {measured}"
    return Plan(epochs=epochs, reason=reason, seconds=max(each, 1.0 / max(fits, 1)))
