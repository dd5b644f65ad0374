"""Labels sent back to where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from neuroloom.learn.dense.augment.sample import Points

OWN = 16.0  # a voxel that was read itself outweighs all of its neighbours' eight shares


def label_back(moved: Tensor, points: Points, axes: Sequence[int]) -> Tensor:
    """Return labels on the original grid, from labels on the changed one.

    Reading the changed labels at the inverse points rounds twice, and small structures lose their
    rim. Here each changed voxel instead votes where it was read: strongly for the voxel that it was
    a copy of, weakly (linear shares) for the others around the point. What was read comes back
    exactly; what fell between is decided by its neighbours; what left the picture is 0.

    Parameters
    ----------
    moved
        (n, *out), any integer type.
    points
        Where each voxel was read, d tensors (n, *out).
    axes
        Shape of the original grid.

    Examples
    --------
    >>> moved = torch.tensor([[5, 6, 7]])[:, None]
    >>> points = [torch.zeros(1, 1, 3), torch.tensor([[[2.0, 1.0, 0.0]]])]
    >>> label_back(moved, points, (1, 3)).tolist()
    [[[7, 6, 5]]]
    """
    kinds, coded = torch.unique(moved, return_inverse=True)
    rows = [
        _decide(
            _votes(own, [p[min(i, len(p) - 1)] for p in points], axes, len(kinds)), kinds
        ).reshape(tuple(axes))
        for i, own in enumerate(coded)
    ]
    return torch.stack(rows).to(moved.dtype)


def _votes(coded: Tensor, points: Points, axes: Sequence[int], kinds: int) -> Tensor:
    """Return the votes (kinds, voxels) that labels (*out) cast at their points."""
    total = 1
    for size in axes:
        total *= size
    votes = torch.zeros(kinds * total, device=coded.device)
    floors = [p.floor() for p in points]
    parts = [p - f for p, f in zip(points, floors, strict=True)]
    for corner in product((0, 1), repeat=len(axes)):
        weight = torch.ones_like(parts[0])
        for side, part in zip(corner, parts, strict=True):
            weight = weight * (part if side else 1 - part)
        _cast(
            votes, coded, [f + side for f, side in zip(floors, corner, strict=True)], axes, weight
        )
    _cast(votes, coded, [p.round() for p in points], axes, torch.full_like(parts[0], OWN))
    return votes.reshape(kinds, total)


def _cast(votes: Tensor, coded: Tensor, places: Points, axes: Sequence[int], w: Tensor) -> None:
    index = torch.zeros_like(coded)
    inside = torch.ones_like(coded, dtype=torch.bool)
    total = 1
    for place, size in zip(places, axes, strict=True):
        inside &= (place >= 0) & (place <= size - 1)
        index = index * size + place.clamp(0, size - 1).long()
        total *= size
    votes.index_add_(0, (coded * total + index)[inside], w[inside])


def _decide(votes: Tensor, kinds: Tensor) -> Tensor:
    chosen = kinds[votes.argmax(0)]
    return chosen.masked_fill(votes.sum(0) == 0, 0)
