"""Right or wrong: how outputs are read as answers, and where angles lie on a ring."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neuroloom.cognition.task import Trials, right_answer

Judge = Callable[[Tensor, Trials], Tensor]


def ring(name: str, size: int) -> tuple[str, ...]:
    """Return the names of channels on a ring.

    Examples
    --------
    >>> ring("place", 2)
    ('place 0', 'place 1')
    """
    return tuple(f"{name} {number}" for number in range(size))


def angles(size: int, device: torch.device | None = None) -> Tensor:
    """Return the angles (rad) that the channels of a ring stand for, (channel,).

    Examples
    --------
    >>> round(angles(4)[2].item(), 4)
    3.1416
    """
    return torch.arange(size, device=device) * (2 * torch.pi / size)


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Return the distance of angles, rad, from 0 to pi.

    Examples
    --------
    >>> round(apart(torch.tensor(0.1), torch.tensor(6.2)).item(), 2)
    0.18
    """
    return (torch.remainder(one - other + torch.pi, 2 * torch.pi) - torch.pi).abs()


def epoch_mean(outputs: Tensor, trials: Trials, *epochs: str) -> Tensor:
    """Return the outputs (time, trial, output) averaged over epochs, (trial, output)."""
    inside = trials.within(*epochs).to(outputs.dtype)
    return torch.einsum("tn,tno->no", inside / inside.sum(0).clamp_min(1), outputs)


def loudest(outputs: Tensor, trials: Trials, actions: int) -> Tensor:
    """Return whether the largest output, averaged over the decision, is the right one, (trial,).

    Parameters
    ----------
    outputs
        Shape (time, trial, output): one an action; or one an action but fixation, then outputs that
        all stay below 0.6 (half way from rest, 0.2, to an answer, 1) mean that none was given.
    actions
        How many actions there are, with fixation.
    """
    if "decision" in trials.epochs:
        mean = epoch_mean(outputs, trials, "decision")
    else:
        inside = (trials.choice > 0).to(outputs.dtype)
        mean = torch.einsum("tn,tno->no", inside / inside.sum(0).clamp_min(1), outputs)
    due, said = right_answer(trials), mean.argmax(-1)
    if outputs.shape[-1] < actions:
        return torch.where(due > 0, said + 1 == due, mean.amax(-1) < 0.6)
    return said == due


def each_answer(*epochs: str) -> Judge:
    """Return a judge of tasks with several answers: every epoch's largest output must be right."""

    def judge(outputs: Tensor, trials: Trials) -> Tensor:
        right = torch.ones(outputs.shape[1], dtype=torch.bool, device=outputs.device)
        for name in epochs:
            due = trials.choice.masked_fill(~trials.within(name), 0).amax(0)
            right &= epoch_mean(outputs, trials, name).argmax(-1) == due
        return right

    return judge


def near(tolerance: float, *epochs: str) -> Judge:
    """Return a judge of continuous tasks: outputs on average within `tolerance` of the targets."""

    def judge(outputs: Tensor, trials: Trials) -> Tensor:
        inside = trials.within(*epochs)[..., None] * (trials.mask > 0)
        miss = ((outputs - trials.targets).abs() * inside).sum((0, 2))
        return miss / inside.sum((0, 2)).clamp_min(1) <= tolerance

    return judge


def in_time(margin: float, due: str) -> Judge:
    """Return a judge of timing: an answer first prevails within `margin` of its due time.

    Parameters
    ----------
    margin
        Share of the interval; a step is allowed besides.
    due
        Condition that holds the interval, ms, from the start of epoch "decision".
    """

    def judge(outputs: Tensor, trials: Trials) -> Tensor:
        window = trials.within("decision")
        said = (outputs.argmax(-1) > 0) & window
        when = (said.int().argmax(0) - trials.epochs["decision"][0]) * trials.dt
        wanted = trials.conditions[due]
        return said.any(0) & ((when - wanted).abs() <= margin * wanted + trials.dt)

    return judge


def toward(tolerance: float, size: int) -> Judge:
    """Return a judge of answers on a ring: the loudest within `tolerance` rad of the right place.

    Action 0 is fixation, action k the place k - 1 (Yang et al. 2019: within 36 degrees).
    """

    def judge(outputs: Tensor, trials: Trials) -> Tensor:
        due = right_answer(trials)
        said = epoch_mean(outputs, trials, "decision").argmax(-1)
        step = 2 * torch.pi / size
        close = apart(said * step, due * step) <= tolerance
        return torch.where(due > 0, (said > 0) & close, said == 0)

    return judge
