"""A fit in parts, one after the other: what each gets of a job, and one history of them all."""

from __future__ import annotations

import dataclasses

from neuroloom.learn.training.fit import FitJob, History


def part_of(job: FitJob, part: str, share: float) -> FitJob:
    """Return the job of a part of a fit that has a share of its steps and of its time.

    Examples
    --------
    >>> job = FitJob(steps=10, seconds=60.0, turns={"coarse": [(3, 2.0)]})
    >>> own = part_of(job, "coarse", 0.35)
    >>> own.steps, own.seconds, own.turns
    (4, 21.0, {'': [(3, 2.0)]})
    """
    steps = None if job.steps is None else max(1, round(job.steps * share))
    place = job.checkpoint and job.checkpoint.with_name(f"{part}-{job.checkpoint.name}")
    turns = {"": job.turns[part]} if part in job.turns else {}
    seconds = None if job.seconds is None else share * job.seconds
    return dataclasses.replace(job, steps=steps, checkpoint=place, turns=turns, seconds=seconds)


def joined(early: History, fine: History) -> History:
    """Return one history of two parts of a fit, epochs and steps counted on."""
    last = early.epochs[-1] if early.epochs else {"epoch": 0, "step": 0}
    later = [
        one | {"epoch": one["epoch"] + last["epoch"], "step": one["step"] + last["step"]}
        for one in fine.epochs
    ]
    stopped = f"{early.stopped}; {fine.stopped}"
    turns = early.turns | fine.turns
    return dataclasses.replace(fine, epochs=[*early.epochs, *later], stopped=stopped, turns=turns)


def named(history: History, part: str) -> History:
    """Return the history of a part of a fit, its turns and its end under the part's name."""
    turns = {part: history.turns[""]} if history.turns else {}
    return dataclasses.replace(history, turns=turns, stopped=f"{part}: {history.stopped}")
