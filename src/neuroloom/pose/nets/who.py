"""Which animal it is, or of which class, by its looks: a mark, a coat, a species.

Beside the maps of keypoints the fine net has a map for each name. What they say where an animal's
keypoints lie, taken together, tells whose they are (as DeepLabCut's identity heads do it, Lauer et
al. 2022, https://doi.org/10.1038/s41592-022-01443-0). A name is that of one animal of a frame; a
class may be that of several.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroloom.pose.nets.align import Floats
from neuroloom.pose.nets.maps import within

WEIGHT = 0.5  # of the names' loss beside that of the keypoints


def told(maps: Tensor, points: Tensor, sure: Tensor, stride: int) -> Tensor:
    """Return what maps of names say of an animal, as logits (n, name).

    Parameters
    ----------
    maps
        Shape (n, name, v, u).
    points
        Shape (n, keypoint, 2), px of the view. Places that are unknown or beyond it say nothing.
    sure
        Shape (n, keypoint): how much each place counts.
    stride
        Px of the view that a cell covers.

    Examples
    --------
    >>> maps = torch.zeros(1, 2, 4, 4)
    >>> maps[0, 1, 2, 1] = 6.0
    >>> points = torch.tensor([[[2.5, 4.5], [torch.nan, 0.0]]])
    >>> told(maps, points, torch.ones(1, 2), 2).tolist()
    [[0.0, 6.0]]
    """
    height, width = maps.shape[2:]
    known, place = within(points, (height, width), stride)
    column, row = ((place - (stride - 1) / 2) / stride).round().long().unbind(-1)
    at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    here = maps.flatten(2).gather(2, at[:, None].expand(-1, maps.shape[1], -1))
    weight = torch.where(known, sure, 0.0)
    share = weight / weight.sum(-1, keepdim=True).clamp_min(1e-9)
    return (here.float() * share[:, None].float()).sum(-1)


def who_loss(maps: Tensor, points: Tensor, who: Tensor, stride: int) -> Tensor:
    """Cross entropy of the names (n,) that maps tell where keypoints (n, keypoint, 2) lie.

    A name may be -1: nobody said it.
    """
    logits = told(maps, points, torch.ones_like(points[..., 0]), stride)
    total = torch.nn.functional.cross_entropy(logits, who, ignore_index=-1, reduction="sum")
    return WEIGHT * total / (who >= 0).sum().clamp_min(1)


def with_classes(found: Floats, logits: Floats) -> Floats:
    """Return what was found of animals with the probability of each class behind it.

    Unlike a name, a class may be that of several animals of a frame.

    Parameters
    ----------
    found
        Shape (animal, keypoint, 4).
    logits
        Shape (animal, class); no classes leave `found` as it is.

    Returns
    -------
    np.ndarray
        Shape (animal, keypoint, 4 + class): all keypoints of an animal are of one class.

    Examples
    --------
    >>> with_classes(np.zeros((1, 1, 4)), np.array([[0.0, 0.0]]))[0, 0, 4:].tolist()
    [0.5, 0.5]
    """
    from scipy.special import softmax

    if not logits.shape[1]:
        return found
    chances = np.repeat(softmax(logits, axis=1)[:, None], found.shape[1], axis=1)
    return np.concatenate([found, chances], -1)


def names_of(logits: Floats) -> NDArray[np.int64]:
    """Return a name for each animal of one frame (animal,), each name once, the likeliest in all.

    Parameters
    ----------
    logits
        Shape (animal, name); not more animals than names.

    Examples
    --------
    >>> names_of(np.array([[4.0, 0.0], [2.0, 1.0]])).tolist()
    [0, 1]
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.special import log_softmax

    _, names = linear_sum_assignment(-log_softmax(logits, axis=1))
    return np.asarray(names, np.int64)
