"""What a dense fit trains: a net, the patches it draws, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from neuroloom.learn.dense.augment.pipeline import Augmenter
from neuroloom.learn.dense.augment.transform import SEEDS
from neuroloom.learn.dense.bank import Bank


class DenseModule(nn.Module):
    """A net that draws its own batches: an example of `learn.fit.fit` is the number of a case.

    Cutting, turning and changing patches happen on the device, from one seeded generator, so a fit
    that is resumed sees the same patches as one that was never stopped.

    Parameters
    ----------
    net
        From (n, channel, *patch) to logits, or to a list of them, full resolution first.
    criterion
        (outputs, labels (n, *patch)) -> loss.
    augmenter
        Changes the patches.
    """

    def __init__(
        self, net: nn.Module, criterion: Callable[[Any, Tensor], Tensor], augmenter: Augmenter
    ) -> None:
        super().__init__()
        self.net, self.criterion, self.augmenter = net, criterion, augmenter
        self.bank: Bank | None = None

    def forward(self, x: Tensor) -> Any:
        """Map patches to logits."""
        return self.net(x)

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of patches drawn from the cases numbered `x` (n,); `y` is not used."""
        images, labels = self.draw(x.tolist(), generator or torch.Generator().manual_seed(0))
        return self.criterion(self.net(images), labels)

    def draw(self, cases: Sequence[int], generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw one changed patch of each case; the last of them hold foreground."""
        assert self.bank is not None, "the bank is set before a fit"
        own = on_cpu(generator)
        sure = len(cases) - foreground_patches(len(cases), self.bank.plan.foreground_share)
        spots = [self.bank.spot(case, k >= sure, own) for k, case in enumerate(cases)]
        images, labels, starts = zip(*((s.image, s.label, s.start) for s in spots), strict=True)
        drawn = self.augmenter.draw(len(cases), own)
        x, y = self.augmenter.sample(images, labels, starts, drawn)
        assert y is not None
        return x, y.long()

    def constrain(self) -> None:
        """Nothing: these nets have no limits on their weights."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Nothing but evaluation mode: instance and group norms keep no moments."""
        self.eval()


def foreground_patches(batch: int, share: float) -> int:
    """Return how many patches of a batch must hold foreground: the share, and one at least.

    Examples
    --------
    >>> [foreground_patches(n, 0.33) for n in (1, 2, 9)]
    [0, 1, 3]
    """
    return min(max(round(batch * share), int(batch > 1)), batch) if share > 0 else 0


def on_cpu(generator: Generator) -> Generator:
    """Return a generator on the CPU: the given one, or one seeded by a number of its stream."""
    if generator.device.type == "cpu":
        return generator
    seed: Any = torch.randint(SEEDS, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed.item()))
