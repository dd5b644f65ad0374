"""Two nets, one after the other: what a coarse one says of the whole joins a fine one's input.

The coarse stage learns first, from the same training cases, with half of the steps. What it then
says of these very cases is better than what it will say of new ones, so the fine stage sees its
masks spoilt (`cascade.corrupt_onehot`, as nnU-Net does); nothing of a held-out case is in either.

While patches are cut, turned and mirrored, the coarse segmentation travels inside the labels as one
number with them: what moves voxels moves both, what changes brightness touches neither.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.planning.resample import Grid, Preprocessed, label_on_grid
from neuroloom.learn.dense.training.cascade import corrupt_onehot, onehot
from neuroloom.learn.training.parts import joined, named, part_of

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from neuroloom.learn.dense.data.cases import DenseCases
    from neuroloom.learn.dense.training.learner import DenseLearner
    from neuroloom.learn.training.fit import FitJob, History

Ints = NDArray[np.integer]


def coarse_of(learner: DenseLearner, plan: DensePlan) -> DenseLearner:
    """Return an untrained learner of the stage before."""
    made = learner.fresh()
    made.given = plan.previous
    return made


def rehearse(
    learner: DenseLearner,
    x: DenseCases,
    plan: DensePlan,
    seed: int,
    at_least: float,
    precision: str,
) -> float:
    """Return the mean time of a step of both stages, s, and note what lies between them."""
    coarse = coarse_of(learner, plan)
    first = coarse.seconds_per_step(x, seed, at_least / 2, precision)
    second = learner.seconds_of_stage(x, plan, seed, at_least / 2, precision)
    learner.rehearsed.coarse = coarse.rehearsed
    began = time.monotonic()
    next(iter(coarse.rehearsed.predict_scores(x[np.array([len(x) // 2])])))
    learner.overhead_s = (time.monotonic() - began) * len(x)
    return (first + second) / 2


def fit_in_two(learner: DenseLearner, x: DenseCases, job: FitJob) -> History:
    """Fit the coarse stage, let it say what it sees of the training cases, fit the fine stage.

    Each gets half of the steps. A fit that was stopped goes on in the stage that it was in.
    """
    assert learner.plan is not None
    first, second = halves(job)
    learner.coarse = coarse_of(learner, learner.plan)
    early = named(learner.coarse.fit(x, job=first), "coarse")
    fine = learner.fit_stage(x, second, before_cases(learner, x))
    return joined(early, dataclasses.replace(fine, stopped=f"fine: {fine.stopped}"))


def halves(job: FitJob) -> tuple[FitJob, FitJob]:
    """Return the jobs of both stages.

    Examples
    --------
    >>> from neuroloom.learn.training.fit import FitJob
    >>> [part.steps for part in halves(FitJob(steps=7))]
    [4, 3]
    """
    early = part_of(job, "coarse", 0.5)
    steps = None if job.steps is None else max(1, job.steps - (early.steps or 0))
    late = dataclasses.replace(part_of(job, "", 0.5), steps=steps, checkpoint=job.checkpoint)
    return early, late


def before_cases(learner: DenseLearner, x: DenseCases) -> Iterator[Ints]:
    """Yield what the coarse stage says of each case, on the grid of the fine stage."""
    assert learner.plan is not None
    for row, done in enumerate(x.preprocessed(learner.plan)):
        yield before_case(learner, x[np.array([row])], done.properties)


def before_case(learner: DenseLearner, one: DenseCases, grid: Grid) -> Ints:
    """Return what the coarse stage says of one case; nothing, if there is no such stage yet."""
    assert learner.plan is not None
    if learner.coarse is None:
        return np.zeros(grid.size, np.int32)
    said = said_before(next(iter(learner.coarse.predict_scores(one))), learner.plan)
    return carried(said, grid, learner.plan)


def said_before(p: NDArray[Any], plan: DensePlan) -> Ints:
    """Return probabilities (class or region, *axes) as one number a voxel.

    Of classes the place of the most probable, 0 for the background; of regions, which overlap, a
    binary digit each.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> said_before(np.array([[0.9, 0.2], [0.1, 0.8]]), plan).tolist()
    [0, 1]
    """
    if not plan.regions:
        return p.argmax(0).astype(np.int32)
    found = np.zeros(p.shape[1:], np.int32)
    for k, own in enumerate(p):
        found |= (np.asarray(own) > 0.5).astype(np.int32) << k
    return found


def carried(said: Ints, grid: Grid, plan: DensePlan) -> Ints:
    """Bring what was said on the file's grid to the grid of the fine stage."""
    if not plan.regions:
        return label_on_grid(said, grid, plan.label_order)
    digits = [
        label_on_grid((said >> k) & 1, grid, plan.label_order) << k
        for k in range(plan.outputs_of_stage)
    ]
    return np.sum(digits, axis=0).astype(np.int32)


def masks_of(said: Ints, plan: DensePlan) -> NDArray[np.float32]:
    """Return the masks (class or region, *axes) that join the channels of the fine stage.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> masks_of(np.array([0, 1]), plan).tolist()
    [[0.0, 1.0]]
    """
    count = plan.outputs_of_stage
    if not plan.regions:
        return onehot(said, range(1, count + 1))
    return np.stack([(said >> k) & 1 for k in range(count)]).astype(np.float32)


def with_masks(done: Preprocessed, said: Ints, plan: DensePlan) -> Preprocessed:
    """Return a case whose image has the masks of the coarse stage as further channels."""
    return dataclasses.replace(done, x=np.concatenate([done.x, masks_of(said, plan)]))


def packed(label: Ints, said: Ints, plan: DensePlan) -> NDArray[np.int32]:
    """Return label (places of classes, -1 not learnt) and coarse segmentation as one number."""
    base = len(plan.classes) + 1
    return (np.where(label < 0, base - 1, label) + base * said).astype(np.int32)


def unpacked(both: Tensor, plan: DensePlan) -> tuple[Tensor, Tensor]:
    """Return label and coarse segmentation of what `packed` made one; 0 is nothing of both.

    Examples
    --------
    >>> import torch
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> both = packed(np.array([0, 1, -1]), np.array([1, 0, 1]), plan)
    >>> [part.tolist() for part in unpacked(torch.as_tensor(both), plan)]
    [[0, 1, -1], [1, 0, 1]]
    """
    import torch

    base = len(plan.classes) + 1
    label, said = both % base, torch.div(both, base, rounding_mode="floor")
    return torch.where(label == base - 1, -1, label), said


def spoilt(said: Tensor, plan: DensePlan, generator: Generator) -> Tensor:
    """Return the masks of a batch (n, class, *axes), spoilt as `cascade.corrupt_onehot` does.

    Parameters
    ----------
    said
        (n, *axes).
    generator
        On the CPU: a number of it seeds what is drawn.
    """
    import torch

    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator).item()))
    masks = [corrupt_onehot(masks_of(one, plan), rng) for one in said.cpu().numpy()]
    return torch.as_tensor(np.stack(masks)).to(said.device)
