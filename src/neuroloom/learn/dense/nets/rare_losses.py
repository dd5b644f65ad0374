"""Losses beside Dice with cross entropy: for rare, thin or doubtful structures.

They take what `losses.DiceCE` takes: logits (n, class, *place), integers (n, *place) with -1 for
unknown; and compute in float32. Wherever it says foreground, class 0 is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d, max_pool3d

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.learn.dense.nets.losses import (
    IGNORE,
    DiceCE,
    Loss,
    entropy,
    mean_of_known,
    one_hot,
    soft_dice,
)


def focal(logits: Tensor, truth: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the focal loss: cross entropy, each voxel weighted by (1 - p)^gamma.

    Source: Lin et al. 2017 (ICCV, 2999-3007), equation 4.

    Examples
    --------
    >>> round(float(focal(torch.zeros(1, 2, 3), torch.tensor([[0, 1, -1]]))), 4)
    0.1733
    """
    each = _entropies(logits, truth)
    weighted = (1 - (-each).exp()) ** gamma * each
    return mean_of_known(weighted.unsqueeze(1), (truth != IGNORE).unsqueeze(1))


def tversky(
    logits: Tensor, truth: Tensor, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1e-5
) -> Tensor:
    """Return one minus the Tversky index of the foreground, mean over examples and classes.

    `alpha` weighs false positives and `beta` false negatives; one half each is the Dice.
    Source: Salehi et al. 2017 (MLMI, 379-387), equation 2.

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(float(tversky(sure, torch.tensor([[0, 1]]))), 4)
    0.0
    """
    p, g = _foreground(logits, truth)
    hit, false, missed = _sums(p * g), _sums(p * (1 - g)), _sums((1 - p) * g)
    return 1 - ((hit + smooth) / (hit + alpha * false + beta * missed + smooth)).mean()


def focal_dice(logits: Tensor, truth: Tensor, gamma: float = 2.0) -> Tensor:
    """Return soft Dice plus focal loss: what is rare and what is hard.

    Source: Zhu et al. 2019 (Medical Physics 46:576).

    Examples
    --------
    >>> round(float(focal_dice(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))), 3)
    0.673
    """
    return DiceCE(ce=0.0)(logits, truth) + focal(logits, truth, gamma)


def generalised_dice(logits: Tensor, truth: Tensor, smooth: float = 1e-5) -> Tensor:
    """Return one minus the Dice over all foreground classes, each weighted by 1 / size².

    A class that an example lacks takes the largest weight of those that it has.
    Source: Sudre et al. 2017 (DLMIA, 240-248).

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(float(generalised_dice(sure, torch.tensor([[0, 1]]))), 4)
    0.0
    """
    p, g = _foreground(logits, truth)
    size = _sums(g)
    weight = size.square().reciprocal()
    weight = torch.where(weight.isinf(), 0.0, weight)
    weight = torch.where(weight == 0, weight.amax(1, keepdim=True), weight)
    both = (weight * _sums(p * g)).sum(1)
    either = (weight * (_sums(p) + size)).sum(1)
    return (1 - (2 * both + smooth) / (either + smooth)).mean()


def top_k(logits: Tensor, truth: Tensor, share: float = 0.1) -> Tensor:
    """Return the cross entropy of the hardest `share` of the known voxels.

    Source: Wu et al. 2016 (arXiv:1605.06885).

    Examples
    --------
    >>> y = torch.tensor([[[0.0, 9.0], [0.0, 0.0]]])
    >>> round(float(top_k(y, torch.tensor([[0, 0]]), share=0.5)), 4)
    0.6931
    """
    each = _entropies(logits, truth)[truth != IGNORE]
    if not each.numel():
        return logits.float().sum() * 0.0
    return each.topk(max(1, round(share * each.numel())), sorted=False).values.mean()


def lovasz(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the Lovász-softmax loss over the classes that occur: a smooth Jaccard loss.

    Source: Berman et al. 2018 (CVPR, 4413-4421), algorithm 1, over the whole batch.

    Examples
    --------
    >>> round(float(lovasz(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))), 3)
    0.5
    """
    known = truth != IGNORE
    p = logits.float().softmax(1).movedim(1, -1)[known]
    labels = truth[known]
    losses = []
    for k in labels.unique().tolist():
        here = (labels == k).float()
        error, order = (here - p[:, k]).abs().sort(descending=True)
        losses.append((error * _jaccard_steps(here[order])).sum())
    return torch.stack(losses).mean() if losses else logits.float().sum() * 0.0


def cl_dice(
    logits: Tensor, truth: Tensor, rounds: int = 3, share: float = 0.5, smooth: float = 1.0
) -> Tensor:
    """Return a mix of soft Dice and centre-line Dice, which holds tubes together.

    Parameters
    ----------
    logits, truth
        As everywhere here.
    rounds
        Erosions until only the centre line is left: half the thickest tube, in voxels.
    share
        Of the centre-line Dice in the sum.
    smooth
        Added above and below the lines.

    References
    ----------
    Shit et al. (2021), CVPR 16560-16569.

    Examples
    --------
    >>> sure = 50 * torch.tensor([[[[1.0, -1.0, 1.0]], [[-1.0, 1.0, -1.0]]]])
    >>> round(float(cl_dice(sure, torch.tensor([[[0, 1, 0]]]))), 4)
    0.0
    """
    p, g = _foreground(logits, truth)
    thin_p, thin_g = soft_skeleton(p, rounds), soft_skeleton(g, rounds)
    places = list(range(p.ndim))
    precision = ((thin_p * g).sum(places) + smooth) / (thin_p.sum(places) + smooth)
    recall = ((thin_g * p).sum(places) + smooth) / (thin_g.sum(places) + smooth)
    lines = 1 - 2 * precision * recall / (precision + recall)
    known = (truth != IGNORE).unsqueeze(1)
    dice = 1 - soft_dice(p, g, known, batch=True, smooth=smooth).mean()
    return (1 - share) * dice + share * lines


def soft_skeleton(p: Tensor, rounds: int = 3) -> Tensor:
    """Return the centre lines of a soft map (n, class, *place) by repeated soft opening.

    Examples
    --------
    >>> bar = torch.zeros(1, 1, 5, 7)
    >>> bar[..., 1:4, 1:6] = 1
    >>> soft_skeleton(bar)[0, 0].sum(1).tolist()
    [0.0, 0.0, 3.0, 0.0, 0.0]
    """
    line = (p - _dilate(_erode(p))).relu()
    for _ in range(rounds):
        p = _erode(p)
        rest = (p - _dilate(_erode(p))).relu()
        line = line + (rest - line * rest).relu()
    return line


class SoftDice(nn.Module):
    """Soft Dice plus cross entropy against soft labels: doubt at a border is kept (SoftSeg).

    Parameters
    ----------
    dice, ce, smooth
        As of `DiceCE`.

    References
    ----------
    Gros et al. (2021), Medical Image Analysis 71:102038.

    Examples
    --------
    >>> half = torch.full((1, 2, 4), 0.5)
    >>> round(float(SoftDice()(torch.zeros(1, 2, 4), half)), 4)
    1.1931
    """

    def __init__(self, *, dice: float = 1.0, ce: float = 1.0, smooth: float = 1e-5) -> None:
        super().__init__()
        self.dice, self.ce, self.smooth = dice, ce, smooth

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss against shares of each class (n, class, *place); NaN is unknown."""
        logits = logits.float()
        known = ~truth.isnan().any(1, keepdim=True)
        truth = truth.float().nan_to_num(0.0)
        p = logits.softmax(1)
        overlap = soft_dice(p[:, 1:], truth[:, 1:], known, smooth=self.smooth)
        each = -(truth * logits.log_softmax(1)).sum(1, keepdim=True)
        return self.dice * (1 - overlap.mean()) + self.ce * mean_of_known(each, known)


LOSSES: dict[str, Loss] = {
    "dice-ce": DiceCE(),
    "dice": DiceCE(ce=0.0),
    "ce": entropy,
    "focal": focal,
    "focal-dice": focal_dice,
    "tversky": tversky,
    "generalised-dice": generalised_dice,
    "top-k": top_k,
    "lovasz": lovasz,
    "cl-dice": cl_dice,
    "soft-dice": SoftDice(),
}


def loss_named(name: str) -> Loss:
    """Return a loss by its name.

    Raises
    ------
    ConfigError
        If there is none of this name.

    Examples
    --------
    >>> loss_named("tversky").__name__
    'tversky'
    """
    if name not in LOSSES:
        raise ConfigError(
            f"There is no loss {name!r}.{nearest(name, LOSSES)} There are {', '.join(LOSSES)}."
        )
    return LOSSES[name]


def _entropies(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross entropy of each voxel (n, *place); zero where the truth is unknown."""
    return cross_entropy(logits.float(), truth.long(), ignore_index=IGNORE, reduction="none")


def _foreground(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probabilities and the truth of all classes but 0, zero where unknown."""
    known = (truth != IGNORE).unsqueeze(1)
    p = logits.float().softmax(1)[:, 1:]
    return torch.where(known, p, 0.0), one_hot(truth, logits.shape[1])[:, 1:]


def _sums(values: Tensor) -> Tensor:
    return values.flatten(2).sum(2)


def _jaccard_steps(here: Tensor) -> Tensor:
    """Return how the Jaccard loss grows with each further error, the largest error first."""
    total = here.sum()
    union = total + (1 - here).cumsum(0)
    jaccard = 1 - (total - here.cumsum(0)) / union
    return jaccard.diff(prepend=jaccard.new_zeros(1))


def _erode(p: Tensor) -> Tensor:
    """Return the smallest of each voxel and its neighbours along the axes."""
    axes = p.ndim - 2
    shapes = [tuple(3 if i == axis else 1 for i in range(axes)) for axis in range(axes)]
    pool = max_pool2d if axes == 2 else max_pool3d
    parts = [-pool(-p, k, 1, tuple(n // 2 for n in k)) for k in shapes]
    return torch.stack(parts).amin(0)


def _dilate(p: Tensor) -> Tensor:
    return (max_pool2d if p.ndim == 4 else max_pool3d)(p, 3, 1, 1)
