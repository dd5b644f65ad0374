"""Many small fits as one: copies of a net, each on its own examples, trained in lockstep.

What a small net costs on a CPU is mostly the calls, not the arithmetic. The weights of all copies
are stacked, so that a step of all of them is one batched product (`torch.func.vmap`) and one step
of the optimiser. Each copy keeps its own seed, order of examples and standardisation: apart from
dropout, which draws from one stream, every copy ends where a fit of its own would have ended, to
the precision of float32.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.fit import (
    FitJob,
    History,
    count_steps,
    learning_rate,
    own_randomness,
    own_threads,
)
from neuroloom.learn.training.optimiser import decay_groups

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroloom.learn.training.learner import NetLearner

MOST_BYTES = 1 << 30
HOOKS = ("constrain", "adapt", "loss", "conclude")


def suits(learner: Any) -> bool:
    """Tell whether copies of this learner can be trained together.

    Not if examples are cropped or augmented (each copy would need its own stream of changes), nor
    if the net has norm limits or hooks that need the module of a single copy.
    """
    training = getattr(learner, "training", None)
    if training is None or training.augment or learner.crop_times < learner.n_times:
        return False
    return not any(hasattr(learner.model.nets[0], hook) for hook in HOOKS)


def fit_together(
    learners: Sequence[NetLearner],
    sets: Sequence[tuple[np.ndarray, np.ndarray]],
    jobs: Sequence[FitJob],
) -> list[History]:
    """Train learners of one kind, each on its own examples, as few batched fits.

    Parameters
    ----------
    learners
        Untrained, with equal `spec`.
    sets
        Examples (n, channel, time) and targets of each. Learners with equally many examples are
        trained in one batch.
    jobs
        Seed of each; the length is that of the first. Checkpoints and validation are not used.

    Returns
    -------
    list of History
        One a learner.

    Raises
    ------
    ConfigError
        If the learners differ, or are not suited (`suits`).

    Examples
    --------
    >>> from neuroloom.learn.training.learner import NetLearner, Training
    >>> from neuroloom.nets.mlp import MLP
    >>> def learner():
    ...     size = {"n_channels": 2, "n_times": 5, "n_outputs": 2}
    ...     return NetLearner("mlp", MLP, **size, training=Training(epochs=2, threads=1))
    >>> rng = np.random.default_rng(0)
    >>> sets = [(rng.normal(size=(8, 2, 5)), np.arange(8) % 2) for _ in range(3)]
    >>> jobs = [FitJob(seed=seed) for seed in range(3)]
    >>> len(fit_together([learner() for _ in range(3)], sets, jobs)[0].epochs)
    2
    """
    if any(learner.spec != learners[0].spec for learner in learners):
        raise ConfigError("Only learners of one kind and shape can be trained together.")
    if learners and not suits(learners[0]):
        raise ConfigError(f"{learners[0].name} cannot be trained together with copies of itself.")
    histories: dict[int, History] = {}
    for members in _groups(sets):
        part = _Together(
            [learners[m] for m in members], [sets[m] for m in members], [jobs[m] for m in members]
        )
        histories |= dict(zip(members, part.run(), strict=True))
    return [histories[member] for member in range(len(learners))]


def _groups(sets: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[list[int]]:
    """Yield members with equally many examples, no more than fit in memory when stacked."""
    by_size: dict[int, list[int]] = {}
    for member, (x, _) in enumerate(sets):
        by_size.setdefault(len(x), []).append(member)
    for members in by_size.values():
        most = max(1, MOST_BYTES // max(1, 4 * sets[members[0]][0].size))
        yield from (members[k : k + most] for k in range(0, len(members), most))


class _Together:
    """The state of one batched fit."""

    def __init__(
        self,
        learners: Sequence[NetLearner],
        sets: Sequence[tuple[np.ndarray, np.ndarray]],
        jobs: Sequence[FitJob],
    ) -> None:
        import torch

        self.learners, self.jobs = learners, jobs
        self.training = learners[0].training
        piles = zip(
            *(learner.begin(x, y, job) for learner, (x, y), job in zip(
                learners, sets, jobs, strict=True)),
            strict=True,
        )  # fmt: skip
        self.x, self.y = (torch.as_tensor(np.stack(pile)) for pile in piles)
        self.generators = [torch.Generator().manual_seed(job.seed) for job in jobs]
        self.total, self.per_epoch = count_steps(self.x.shape[1], self.training, jobs[0])
        self.histories = [History() for _ in jobs]

    def run(self) -> list[History]:
        """Train, and put the weights back into the learners."""
        threads = self.jobs[0].threads or self.training.threads
        with own_randomness(self.jobs[0].seed), own_threads(threads):
            self._stack()
            seconds = []
            for step in range(self.total):
                started = time.perf_counter()
                self._train_step(step)
                seconds.append(time.perf_counter() - started)
            self._unstack()
        for history in self.histories:
            history.stopped = f"all {self.total} steps done"
            history.step_seconds = float(np.quantile(seconds, 0.25)) / len(self.histories)
        return self.histories

    def _stack(self) -> None:
        """Put the weights of all members side by side, in front of one optimiser."""
        import torch

        modules = [learner.model.train() for learner in self.learners]
        params, self.buffers = torch.func.stack_module_state(modules)  # type: ignore[arg-type]
        self.params = {name: value.detach().requires_grad_() for name, value in params.items()}
        self.weights = self._class_weights()
        groups = decay_groups(modules[0], self.training.weight_decay)
        place = {id(value): name for name, value in modules[0].named_parameters()}
        for group in groups:
            group["params"] = [self.params[place[id(value)]] for value in group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=self.training.lr, fused=True)
        self.mean = {name: value.detach().clone() for name, value in self.params.items()}
        self.losses = torch.zeros(len(modules))

    def _class_weights(self) -> Tensor | None:
        import torch

        weights = [learner.model.class_weight for learner in self.learners]
        return None if weights[0] is None else torch.stack(weights)  # type: ignore[arg-type]

    def _train_step(self, step: int) -> None:
        import torch

        within = step % self.per_epoch
        n = self.x.shape[1]
        if within == 0:
            self.order = torch.stack([torch.randperm(n, generator=g) for g in self.generators])
            self.losses.zero_()
        index = self.order.tensor_split(self.per_epoch, 1)[within]
        members = torch.arange(len(index))[:, None]
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, self.total, self.training)
        self.optimiser.zero_grad()
        losses = self._loss(self.x[members, index], self.y[members, index])
        losses.sum().backward()
        self.optimiser.step()
        self._average(step)
        self.losses += losses.detach() * index.shape[1] / n
        if within == self.per_epoch - 1 or step == self.total - 1:
            self._end_epoch(step)

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Loss of every member on its own batch, shape (member,)."""
        import torch

        net = self.learners[0].model

        def one(
            params: dict[str, Tensor],
            buffers: dict[str, Tensor],
            weight: Tensor | None,
            x: Tensor,
            y: Tensor,
        ) -> Tensor:
            outputs = torch.func.functional_call(net, (params, buffers), (x,))
            return net.loss_of(outputs, y, weight)

        weighted = None if self.weights is None else 0
        batched = torch.func.vmap(one, in_dims=(0, 0, weighted, 0, 0), randomness="different")
        return batched(self.params, self.buffers, self.weights, x, y)

    def _average(self, step: int) -> None:
        """Keep the running mean of the weights, as a fit of its own would."""
        import torch

        if not self.training.average:
            return
        decay = min(self.training.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean.values()), list(self.params.values()), 1 - decay)

    def _end_epoch(self, step: int) -> None:
        rate = self.optimiser.param_groups[0]["lr"]
        epoch = step // self.per_epoch + 1
        for history, loss in zip(self.histories, self.losses.tolist(), strict=True):
            history.epochs.append({"epoch": epoch, "step": step + 1, "loss": loss, "lr": rate})

    def _unstack(self) -> None:
        """Hand every learner its own weights, and measure its batch normalisations anew."""
        final = self.mean if self.training.average else self.params
        for member, learner in enumerate(self.learners):
            state = {
                name: value[member].detach().clone()
                for name, value in (final | self.buffers).items()
            }
            learner.model.load_state_dict(state, strict=False)
            self._settle(learner.model, self.x[member])

    def _settle(self, model: nn.Module, x: Tensor) -> None:
        model.settle(x.split(self.training.batch))  # type: ignore[operator]
