"""The modules around a net: its members with their loss, and the prediction as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, mse_loss
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.augment import crop_evenly, crop_randomly, resolve
from neuroloom.learn.training.fit import Training


@contextmanager
def in_float32() -> Iterator[None]:
    """Compute in 32 bits what happens here, whatever numbers the fit computes its net with.

    Pictures that are drawn and losses that are summed lose too much in bf16.
    """
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


class Members(nn.Module):
    """One net, or several with different initial weights that see the same batches.

    Parameters
    ----------
    build
        Makes one net.
    training
        Number of members, crops, augmentation, smoothing.
    crop_times
        Samples that a net sees.
    task
        "classification", "regression" or "dense".
    facts
        What the augmentations may need to know (`augment.FACTS`), beside the task.

    Notes
    -----
    A net may have, beside `forward`, hooks that are called here: `constrain()` after each step,
    `adapt(x, y)` with the training examples before the first (a graph measured on them, say),
    `loss(x, y, generator)` in place of the usual loss, and `conclude(x, y)` after the last.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        training: Training,
        crop_times: int,
        task: str,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.nets = nn.ModuleList(build() for _ in range(training.members))
        self.training_plan, self.crop_times, self.task = training, crop_times, task
        known = {**(facts or {}), "task": task}
        self.augmentations = [found.bind(known) for found in resolve(training.augment)]
        self.class_weight: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map pieces (n, channel, crop) to raw outputs (member, n, output)."""
        return torch.stack([net(x) for net in self.nets])

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of a batch of standardised windows; with a generator as in training."""
        if generator is None:
            return self.loss_of(self.outputs(x), y, self.class_weight)
        if self.task == "dense" and self.crop_times < x.shape[-1]:
            both = crop_randomly(torch.cat([x, y[:, None].to(x)], 1), self.crop_times, generator)
            x, y = both[:, :-1], both[:, -1].to(y)
        x = crop_randomly(x, self.crop_times, generator)
        for change in self.augmentations:
            x, y = change(x, y, generator)
        if hasattr(self.nets[0], "loss"):
            return torch.stack([net.loss(x, y, generator) for net in self.nets]).mean()
        return self.loss_of(self(x), y, self.class_weight)

    def rehearse(self, n_channels: int) -> None:
        """Try the augmentations on empty windows, so that one that cannot work says so at once.

        Raises
        ------
        ConfigError
            If an augmentation does not fit the data, the task or the net's own loss.
        """
        x, generator = torch.zeros(2, n_channels, self.crop_times), torch.Generator()
        y = torch.zeros((2, self.crop_times) if self.task == "dense" else 2, dtype=torch.int64)
        y = y.float() if self.task == "regression" else y
        for change in self.augmentations:
            x, y = change(x, y, generator)
        if y.is_floating_point() and self.task != "regression" and hasattr(self.nets[0], "loss"):
            raise ConfigError(
                "augment: this net has a loss of its own, which needs whole classes and not the "
                "shares of classes that 'mixup' makes. Leave it out."
            )

    def outputs(self, x: Tensor) -> Tensor:
        """Scores of whole windows by each voter (crop x member): (voter, n, output)."""
        if self.task == "dense":
            return self(x)
        pieces = crop_evenly(x, self.crop_times, self.training_plan.crops)
        return self(pieces.flatten(0, 1)).unflatten(1, pieces.shape[:2]).flatten(0, 1)

    def constrain(self) -> None:
        """Bring every member back into the norm limits of its paper."""
        for net in self.nets:
            if hasattr(net, "constrain"):
                net.constrain()

    def tell(self, hook: str, x: Tensor, y: Tensor) -> None:
        """Call `hook` ("adapt", "conclude") of the nets that have it."""
        for net in self.nets:
            if hasattr(net, hook):
                getattr(net, hook)(x, y)

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor]) -> None:
        """Measure the moments of every batch normalisation anew, with the weights as they are."""
        settle_norms(self, batches, self.outputs)

    def counts(self, y: Tensor) -> float:
        """Return what the mean loss of a batch is divided by: known targets, by class weight."""
        if self.task == "regression" or y.is_floating_point():
            return float(len(y))
        known = y[y >= 0]
        if self.class_weight is None:
            return float(known.numel())
        return float(self.class_weight.to(y.device)[known].sum())

    def loss_of(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of raw outputs (voter, n, …), with a weight for each class (class,)."""
        voters = len(outputs)
        flat = outputs.flatten(0, 1)
        truth = y.repeat(voters, *(1 for _ in y.shape[1:]))
        if self.task == "regression":
            return mse_loss(flat[:, 0], truth)
        smoothing = self.training_plan.smoothing if self.training else 0.0
        weight = None if weight is None else weight.to(flat)
        return cross_entropy(flat, truth, weight=weight, ignore_index=-1, label_smoothing=smoothing)


class Predictor(nn.Module):
    """From raw windows (n, channel, time) to log-probabilities or numbers (n,).

    Log-probabilities are (n, class), of a dense task (n, class, place). Voters are averaged as
    log-probabilities, and the mean is normalised again.
    """

    def __init__(
        self, members: Members, given: dict[str, np.ndarray], target: dict[str, np.ndarray]
    ) -> None:
        super().__init__()
        self.members = members
        for prefix, moments in (("input", given), ("target", target)):
            for key, value in moments.items():
                self.register_buffer(f"{prefix}_{key}", torch.as_tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        """Score raw windows."""
        standard = ((x - self.input_mean) / self.input_scale).float()
        outputs = self.members.outputs(standard)
        if self.members.task == "regression":
            return outputs[..., 0].mean(0) * self.target_scale + self.target_mean
        return log_softmax(log_softmax(outputs, 2).mean(0), 1)


def settle_norms(
    module: nn.Module, batches: Iterable[Tensor], run: Callable[[Tensor], object]
) -> None:
    """Measure the moments of every batch normalisation anew, and turn to evaluation mode.

    Running moments lag behind the weights, and dropout in front of a layer widens them: after
    a few hundred steps a deep net can be right on every batch and at chance in evaluation. One
    pass without dropout mends that (as after weight averaging, Izmailov et al. 2018, 3.2).

    Parameters
    ----------
    batches
        Batches of the training examples.
    run
        Sends one through the net.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    module.train()
    for part in module.modules():
        if isinstance(part, _DropoutNd):
            part.eval()
    for batch in batches if norms else ():
        run(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
