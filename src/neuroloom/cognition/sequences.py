"""Trials end to end, cut into sequences: batches for nets that never stop between trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuroloom.cognition.task import Task, Trials
from neuroloom.core.errors import ConfigError

AHEAD = 100_000  # steps that are drawn at once


class Sequence(NamedTuple):
    """A batch of sequences.

    Attributes
    ----------
    inputs
        Shape (time, sequence, input).
    choice
        Shape (time, sequence), int64: the right action; -1 in tasks without actions.
    targets, mask
        Shape (time, sequence, output); empty where only actions were asked for.
    """

    inputs: Tensor
    choice: Tensor
    targets: Tensor
    mask: Tensor


def sequences(
    task: Task, batch: int, steps: int, generator: torch.Generator, dt: float = 20.0,
    targets: bool = True, **conditions: Any,
) -> Iterator[Sequence]:  # fmt: skip
    """Yield batches of sequences of whole trials end to end, without end; each goes on in the next.

    Many trials are drawn at once and laid end to end, so a batch costs a slice.

    Parameters
    ----------
    task
        One whose trials do not depend on answers.
    batch, steps
        Sequences in a batch, and steps of each.
    targets
        Whether to give targets and mask, beside inputs and right actions.

    Raises
    ------
    ConfigError
        If trials depend on answers, or there is nothing to give.

    Examples
    --------
    >>> from neuroloom.cognition.task import task
    >>> one = next(sequences(task("go-nogo"), 4, 30, torch.Generator(), dt=100))
    >>> one.inputs.shape, one.choice.shape
    (torch.Size([30, 4, 3]), torch.Size([30, 4]))
    """
    if task.carried:
        raise ConfigError(f"Trials of '{task.name}' depend on what was answered before: play it.")
    if batch < 1 or steps < 1:
        raise ConfigError(f"A batch of at least one sequence of one step, got {batch} x {steps}.")
    few = task.trials(16, generator, dt, **conditions)
    mean = max(float(few.length.float().mean()), 1.0)
    each = max(int(AHEAD / batch / mean), int(2 * steps / mean) + 2)
    left: Sequence | None = None
    while True:
        trials = task.trials(batch * each, generator, dt, **conditions)
        made = lay_end_to_end(trials, batch, targets)
        if left is not None:
            joined = zip(left, made, strict=True)
            made = Sequence(*(torch.cat([old, new]) for old, new in joined))
        whole = len(made.inputs) // steps
        for number in range(whole):
            own = slice(number * steps, (number + 1) * steps)
            yield Sequence(*(part[own] for part in made))
        left = Sequence(*(part[whole * steps :] for part in made))


def lay_end_to_end(trials: Trials, batch: int, targets: bool = True) -> Sequence:
    """Return sequences (time, sequence, ...) of trials without their padding.

    They are as long as the shortest of them; what is left of the others is dropped.

    Parameters
    ----------
    trials
        A multiple of `batch` of them.
    """
    length = trials.length.view(batch, -1)
    parts = (trials.inputs, trials.choice, *((trials.targets, trials.mask) if targets else ()))
    if int(length.min()) == len(trials.inputs):  # no padding: nothing to look for
        laid = [_side_by_side(part, batch) for part in parts]
    else:
        place = _places(length)
        laid = [part.flatten(0, 1)[place] for part in parts]
    none = trials.targets.new_empty(len(laid[0]), 0)
    return Sequence(*laid, *(() if targets else (none, none)))


def _side_by_side(part: Tensor, batch: int) -> Tensor:
    """Return (time * trials of a sequence, sequence, ...) of (time, sequence * trial, ...)."""
    tail = part.shape[2:]
    split = part.reshape(len(part), batch, -1, *tail)
    return split.permute(2, 0, 1, *range(3, split.ndim)).reshape(-1, batch, *tail)


def _places(length: Tensor) -> Tensor:
    """Return where steps (time, sequence) lie in (time * trial), from lengths (sequence, trial)."""
    batch = len(length)
    stop = length.cumsum(1)
    moment = torch.arange(int(stop[:, -1].min()), device=length.device).expand(batch, -1)
    which = torch.searchsorted(stop, moment.contiguous(), right=True)
    into = moment - (stop - length).gather(1, which)
    rows = which + length.shape[1] * torch.arange(batch, device=length.device)[:, None]
    return (into * length.numel() + rows).T.contiguous()
