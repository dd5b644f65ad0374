"""Losses of dense prediction: Dice with cross entropy, regions, unknown voxels, many resolutions.

Logits are (n, class, *place), truths (n, *place) integers. A voxel whose truth is `IGNORE` counts
nowhere, so a scribble is a label. Whatever comes in is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate

from neuroloom.core.errors import ConfigError

IGNORE = -1
Loss = Callable[[Tensor, Tensor], Tensor]


class DiceCE(nn.Module):
    """Soft Dice loss plus cross entropy.

    The Dice of a class is (2 Σ p g + s) / (Σ p + Σ g + s) over the known voxels, the loss one
    minus its mean.

    Parameters
    ----------
    batch_dice
        Sum over the whole batch before dividing, as suits small patches that often lack a class.
    background
        Count class 0 in the Dice.
    smooth
        The s above: a class that is neither there nor predicted is then a hit.
    dice, ce
        Weights of the two parts.
    weights
        Of each class in the cross entropy (class,).

    References
    ----------
    Drozdzal et al. (2016), DLMIA 179-187; with cross entropy: Isensee et al. (2021).

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(float(DiceCE()(sure, torch.tensor([[0, 1]]))), 4)
    0.0
    """

    def __init__(
        self,
        *,
        batch_dice: bool = False,
        background: bool = False,
        smooth: float = 1e-5,
        dice: float = 1.0,
        ce: float = 1.0,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.batch_dice, self.background, self.smooth = batch_dice, background, smooth
        self.dice, self.ce = dice, ce
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of logits (n, class, *place) against classes (n, *place)."""
        logits, truth = logits.float(), truth.long()
        first = 0 if self.background else 1
        known = truth != IGNORE
        overlap = soft_dice(
            logits.softmax(1)[:, first:],
            one_hot(truth, logits.shape[1])[:, first:],
            known.unsqueeze(1),
            batch=self.batch_dice,
            smooth=self.smooth,
        )
        return self.dice * (1 - overlap.mean()) + self.ce * entropy(logits, truth, self.weights)


class RegionLoss(nn.Module):
    """Sigmoid Dice plus binary cross entropy for regions that overlap.

    Parameters
    ----------
    regions
        The labels that make up each region: `[[1, 2, 3], [2, 3], [3]]` is the whole tumour, its
        core, and what enhances. One channel of the logits a region.
    batch_dice, smooth
        As of `DiceCE`.

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]]])
    >>> round(float(RegionLoss([[1, 2], [2]])(sure, torch.tensor([[0, 1, 2]]))), 4)
    0.0
    """

    def __init__(
        self, regions: Sequence[Sequence[int]], *, batch_dice: bool = False, smooth: float = 1e-5
    ) -> None:
        super().__init__()
        self.regions = [tuple(region) for region in regions]
        if not self.regions or not all(self.regions):
            raise ConfigError(f"Each region needs one label or more, got {list(regions)}.")
        self.batch_dice, self.smooth = batch_dice, smooth

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of logits (n, region, *place) against labels (n, *place)."""
        logits = logits.float()
        known = (truth != IGNORE).unsqueeze(1)
        target = encode_regions(truth, self.regions)
        overlap = soft_dice(
            logits.sigmoid(), target, known, batch=self.batch_dice, smooth=self.smooth
        )
        each = binary_cross_entropy_with_logits(logits, target, reduction="none")
        return 1 - overlap.mean() + mean_of_known(each, known)


class EachRegion(nn.Module):
    """A loss of classes for regions that overlap: each region against all that is not of it.

    Parameters
    ----------
    regions
        As of `RegionLoss`.
    loss
        From logits (n, 2, *place) and truths (n, *place) to a number.

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]]])
    >>> round(float(EachRegion([[1, 2], [2]], entropy)(sure, torch.tensor([[0, 1, 2]]))), 4)
    0.0
    """

    def __init__(self, regions: Sequence[Sequence[int]], loss: Loss) -> None:
        super().__init__()
        self.regions, self.loss = [tuple(region) for region in regions], loss

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of logits (n, region, *place) against labels (n, *place)."""
        known = (truth != IGNORE).unsqueeze(1)
        inside = encode_regions(truth, self.regions).long().masked_fill(~known, IGNORE)
        each = logits.float().flatten(0, 1)
        # What is not of the region stays at 0: the softmax of both is the sigmoid of the region.
        return self.loss(torch.stack([torch.zeros_like(each), each], 1), inside.flatten(0, 1))


class DeepSupervision(nn.Module):
    """Weigh the loss over all resolutions, the full one most.

    Parameters
    ----------
    loss
        From logits and truth to a number; the truth of lower resolutions is its nearest voxel.
    drop_lowest
        Give the lowest of several resolutions no weight, as nnU-Net does. The planned nets leave
        that resolution out, so there it stays False.

    Examples
    --------
    >>> loss = DeepSupervision(DiceCE())
    >>> y = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)]
    >>> round(float(loss(y, torch.zeros(1, 8, 8, dtype=torch.long))), 3)
    1.693
    """

    def __init__(self, loss: Loss, *, drop_lowest: bool = False) -> None:
        super().__init__()
        self.loss, self.drop_lowest = loss, drop_lowest

    def forward(self, logits: Tensor | Sequence[Tensor], truth: Tensor) -> Tensor:
        """Return the weighted loss of one or several logits, full resolution first."""
        if isinstance(logits, Tensor):
            return self.loss(logits, truth)
        weights = supervision_weights(len(logits), drop_lowest=self.drop_lowest)
        losses = [
            weight * self.loss(each, shrink(truth, each.shape[2:]))
            for weight, each in zip(weights, logits, strict=True)
            if weight
        ]
        return torch.stack(losses).sum()


def supervision_weights(count: int, *, drop_lowest: bool = False) -> list[float]:
    """Return weights that halve with each resolution and sum to one.

    Examples
    --------
    >>> supervision_weights(3, drop_lowest=True)
    [0.6666666666666666, 0.3333333333333333, 0.0]
    """
    raw = [0.5**i for i in range(count)]
    if drop_lowest and count > 1:
        raw[-1] = 0.0
    return [weight / sum(raw) for weight in raw]


def shrink(truth: Tensor, size: Sequence[int]) -> Tensor:
    """Return labels (n, *place), or soft ones (n, class, *place), at a lower resolution.

    Labels take the nearest voxel, soft ones an average.

    Examples
    --------
    >>> shrink(torch.tensor([[0, 1, 2, 3]]), (2,))
    tensor([[0, 2]])
    """
    size = tuple(size)
    if truth.is_floating_point():
        kind = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
        same = tuple(truth.shape[2:]) == size
        return truth if same else interpolate(truth.float(), size=size, mode=kind)
    if tuple(truth.shape[1:]) == size:
        return truth
    for axis, (now, then) in enumerate(zip(truth.shape[1:], size, strict=True), start=1):
        places = torch.arange(then, device=truth.device) * now // then
        truth = truth.index_select(axis, places)
    return truth


def soft_dice(
    p: Tensor, truth: Tensor, known: Tensor, *, batch: bool = False, smooth: float = 1e-5
) -> Tensor:
    """Return the soft Dice overlap of each example and class, or of each class.

    Parameters
    ----------
    p, truth
        Probabilities and zeros and ones (n, class, *place).
    known
        What counts (n, 1, *place).
    batch
        Sum over the batch first.
    smooth
        Added above and below the line.

    Examples
    --------
    >>> one = torch.ones(1, 1, 4)
    >>> soft_dice(one, one, one > 0)
    tensor([[1.]])
    """
    places = [0] * batch + list(range(2, p.ndim))
    p = p * known
    truth = truth * known
    both = (p * truth).sum(places)
    return (2 * both + smooth) / (p.sum(places) + truth.sum(places) + smooth)


def entropy(logits: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross entropy over the known voxels; zero if none is known.

    Examples
    --------
    >>> round(float(entropy(torch.zeros(1, 2, 3), torch.tensor([[0, 1, -1]]))), 4)
    0.6931
    """
    if not (truth != IGNORE).any():
        return logits.float().sum() * 0.0
    return cross_entropy(logits.float(), truth.long(), weight=weights, ignore_index=IGNORE)


def mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean of values (n, channel, *place) where `known` (n, 1, *place); zero if nowhere.

    Examples
    --------
    >>> known = torch.tensor([[[True, True, False]]])
    >>> float(mean_of_known(torch.tensor([[[1.0, 3.0, 9.0]]]), known))
    2.0
    """
    share = known.sum() * values.shape[1]
    return torch.where(known, values, 0.0).sum() / share.clamp(min=1)


def one_hot(truth: Tensor, classes: int) -> Tensor:
    """Return labels (n, *place) as float32 zeros and ones (n, class, *place); unknown is all zeros.

    Examples
    --------
    >>> one_hot(torch.tensor([[1, -1]]), 2)[0].tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    each = torch.arange(classes, device=truth.device).view(1, -1, *[1] * (truth.ndim - 1))
    return (truth.unsqueeze(1) == each).float()


def encode_regions(truth: Tensor, regions: Sequence[Sequence[int]]) -> Tensor:
    """Return which voxels belong to each region, float32 (n, region, *place).

    Examples
    --------
    >>> encode_regions(torch.tensor([[0, 1, 2]]), [[1, 2], [2]])[0].tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """
    return torch.stack(
        [torch.isin(truth, torch.as_tensor(region, device=truth.device)) for region in regions], 1
    ).float()
