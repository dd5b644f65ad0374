"""What a dense fit trains: a net, the patches it draws, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import torch
from torch import Generator, Tensor, nn

from neuroloom.learn.dense.augment.pipeline import Augmenter, Drawn
from neuroloom.learn.dense.augment.sample import sample_and_warp
from neuroloom.learn.dense.augment.spatial import Affine
from neuroloom.learn.dense.augment.transform import SEEDS, Canvas, Transform
from neuroloom.learn.dense.data.bank import Bank, Spot
from neuroloom.learn.dense.planning.denseplan import DensePlan
from neuroloom.learn.dense.training.twostage import spoilt, unpacked
from neuroloom.learn.training.modules import in_float32
from neuroloom.learn.training.pace import effort_of_stages


class DenseModule(nn.Module):
    """A net that draws its own batches: an example of `fit.fit` is the number of a case.

    Cutting, turning and changing patches happen on the device, from one seeded generator, so a fit
    that is resumed sees the same patches as one that was never stopped.

    Parameters
    ----------
    net
        From (n, channel, *patch) to logits, or to a list of them, full resolution first.
    criterion
        (outputs, labels (n, *patch)) -> loss.
    chain
        Changes of patches; an affine one that comes first reads from the whole case.
    plan
        Patch and stages of training.
    """

    def __init__(
        self,
        net: nn.Module,
        criterion: Callable[[Any, Tensor], Tensor],
        chain: Sequence[Transform],
        plan: DensePlan,
    ) -> None:
        super().__init__()
        self.net, self.criterion = net, criterion
        self.chain, self.plan = tuple(chain), plan
        self.bank: Bank | None = None
        self.hides = 0.0  # share of channels hidden by chance, where the net bears missing ones
        self.stage = 0
        ends = [stage[0] for stage in plan.stages]
        voxels = [prod(plan.patch_of(k)) * stage[3] for k, stage in enumerate(plan.stages)]
        self._effort = effort_of_stages(ends, voxels)
        # Turns are true in millimetres; lengths are in voxels of the finest axis.
        self._spacing = tuple(length / min(plan.spacing) for length in plan.spacing)

    def forward(self, x: Tensor) -> Any:
        """Map patches to logits."""
        return self.net(x)

    def at(self, share: float) -> None:
        """Turn to the stage that belongs to this share of the fit."""
        ends = [stage[0] for stage in self.plan.stages]
        self.stage = next((k for k, end in enumerate(ends) if share < end), len(ends) - 1)

    def effort(self, share: float) -> float:
        """Return the share of the time that goes by until this share of the steps is done."""
        return self._effort(share)

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of patches drawn from the cases numbered `x` (n,); `y` is not used."""
        with in_float32():
            images, labels = self.draw(x.tolist(), generator or torch.Generator().manual_seed(0))
        outputs = self.net(images)
        with in_float32():
            return self.criterion(outputs, labels)

    def draw(self, cases: Sequence[int], generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw changed patches of each case, as the stage says; the last hold foreground."""
        assert self.bank is not None, "the bank is set before a fit"
        own = on_cpu(generator)
        _, zoom, _, copies = self.plan.stages[self.stage]
        patch = self.plan.patch_of(self.stage)
        several = list(cases) * int(copies)
        sure = len(several) - foreground_patches(len(several), self.plan.foreground_share)
        covered = tuple(round(n * zoom) for n in patch)
        spots = [self.bank.spot(case, k >= sure, own, covered) for k, case in enumerate(several)]
        augmenter = Augmenter(self.chain, Canvas(len(spots[0].image), patch, self._spacing))
        drawn = augmenter.draw(len(several), own)
        pairs = [cut(spot, drawn, k, self.chain, patch, zoom) for k, spot in enumerate(spots)]
        # What is mapped from disk was cut on the CPU.
        parts = ([one.to(self.bank.device) for one in part] for part in zip(*pairs, strict=True))
        images, labels = map(torch.stack, parts)
        first = int(bool(self.chain) and isinstance(self.chain[0], Affine))
        gone = images.flatten(2).isnan().any(2) if self.hides else None
        images = images if gone is None else images.nan_to_num(0.0)
        x, y = augmenter.apply(images, labels, drawn, first=first)
        assert y is not None
        x = x if gone is None else self._lacking(x, gone, own)
        if self.plan.previous is None:
            return x, y.long()
        y, said = unpacked(y.long(), self.plan)
        return torch.cat([x, spoilt(said, self.plan, own)], 1), y

    def _lacking(self, x: Tensor, gone: Tensor, generator: Generator) -> Tensor:
        """Return patches that are NaN where their case lacks a channel, or chance hides it."""
        from neuroloom.learn.dense.nets.conditioning import hide

        assert self.bank is not None
        gone, channels, slab = gone.clone(), len(self.plan.channels), self.bank.slab
        shown = hide(~gone[:, :channels], self.hides, generator)
        gone[:, : channels * slab] = ~shown.repeat(1, slab)  # a channel lacks in all slices
        return x.masked_fill(gone.reshape(*gone.shape, *[1] * (x.ndim - 2)), torch.nan)

    def constrain(self) -> None:
        """Nothing: these nets have no limits on their weights."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Nothing but evaluation mode: instance and group norms keep no moments."""
        self.eval()


def cut(
    spot: Spot, drawn: Drawn, row: int, chain: Sequence[Transform], patch: Sequence[int],
    zoom: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Cut one patch out of its case, turned as drawn and looked at `zoom` times as coarsely."""
    affine = chain[0] if chain and isinstance(chain[0], Affine) else None
    turned = affine is not None and bool(drawn.params[0]["on"][row])
    matrix = drawn.params[0]["matrix"][row] if turned else None
    shift = drawn.params[0]["shift"][row] if turned else None
    start: Any = spot.start
    if zoom != 1:
        matrix = zoom * (torch.eye(len(patch)) if matrix is None else matrix)
        shift = None if shift is None else zoom * shift
        # The middle stays where it is, though the patch has fewer voxels.
        start = [a + (round(n * zoom) - n) / 2 for a, n in zip(spot.start, patch, strict=True)]
    outside = "zeros" if affine is None else affine.outside
    x, y = sample_and_warp(
        spot.image,
        spot.label,
        start,
        patch,
        matrix,
        shift,
        outside,
    )
    assert y is not None
    return x, y


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
