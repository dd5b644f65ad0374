"""Maps of where a keypoint is: the loss that makes them, and the place they tell.

A map is a probability over its cells, one softmax a keypoint. The place is the mean of the
probability near its peak, which is finer than a cell; the mean distance from that place, over all
cells, is the error that the map itself expects.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

REACH = 2  # cells round the peak over which the place is averaged


def cell_places(shape: tuple[int, int], stride: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the middles (v * u, 2) of the cells of a map, as (x, y) px of the view."""
    v, u = torch.meshgrid(*(torch.arange(n, device=device) for n in shape), indexing="ij")
    return torch.stack([u, v], -1).reshape(-1, 2).float() * stride + (stride - 1) / 2


def within(points: Tensor, shape: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Return which points (n, keypoint, 2) are known and in the view, and them, the others 0.

    Parameters
    ----------
    points
        px of the view; NaN where unknown.
    shape, stride
        Cells (v, u) of a map of the view, and the px that each covers.

    Examples
    --------
    >>> known, _ = within(torch.tensor([[[7.0, 3.0], [8.0, 3.0], [torch.nan, 0.0]]]), (2, 4), 2)
    >>> known.tolist()
    [[True, False, False]]
    """
    edge = torch.tensor([shape[1], shape[0]], device=points.device) * stride
    known = torch.isfinite(points).all(-1) & ((points >= -0.5) & (points < edge - 0.5)).all(-1)
    return known, torch.where(known[..., None], points, 0.0)


def map_loss(logits: Tensor, points: Tensor, stride: int, spread: float) -> Tensor:
    """Cross entropy of maps against Gaussians round the true places.

    Parameters
    ----------
    logits
        Shape (n, keypoint, v, u).
    points
        Shape (n, keypoint, 2), px of the view; NaN where unknown. A place beyond the view is not
        learnt from.
    stride
        Px of the view that a cell covers.
    spread
        SD of the Gaussian, px of the view.

    Examples
    --------
    >>> flat = torch.zeros(1, 1, 4, 4)
    >>> round(float(map_loss(flat, torch.tensor([[[3.0, 3.0]]]), 2, 2.0)), 4)
    2.7726
    """
    _n, _k, *shape = logits.shape
    cells = cell_places((shape[0], shape[1]), stride, logits.device)
    known, place = within(points, (shape[0], shape[1]), stride)
    # Separable: a Gaussian along each axis.
    axis_u, axis_v = cells[: shape[1], 0], cells[:: shape[1], 1]
    near = torch.exp(-((axis_u - place[..., :1]) ** 2) / (2 * spread**2))
    down = torch.exp(-((axis_v - place[..., 1:]) ** 2) / (2 * spread**2))
    near, down = (one / one.sum(-1, keepdim=True).clamp_min(1e-12) for one in (near, down))
    logits = logits.float()
    whole = torch.logsumexp(logits.flatten(2), -1)
    hit = torch.einsum("nkvu,nkv,nku->nk", logits, down, near)
    return ((whole - hit) * known).sum() / known.sum().clamp_min(1)


def places(logits: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return where maps say their keypoints are.

    Parameters
    ----------
    logits
        Shape (n, keypoint, v, u).

    Returns
    -------
    points
        Shape (n, keypoint, 2), px of the view.
    near
        Shape (n, keypoint): the probability that the map has near its peak.
    expected
        Shape (n, keypoint): the mean distance from the place, px of the view.

    Examples
    --------
    >>> logits = torch.full((1, 1, 6, 8), -20.0)
    >>> logits[0, 0, 2, 3:5] = 5.0
    >>> points, near, expected = places(logits, stride=2)
    >>> points.tolist(), round(float(near), 3), round(float(expected), 3)
    ([[[7.5, 4.5]]], 1.0, 1.0)
    """
    p = probabilities(logits)
    points, near, _ = near_peak(p, stride, REACH)
    return points, near, expected_error(p, stride, points)


def probabilities(logits: Tensor) -> Tensor:
    """Return maps (n, keypoint, v, u) as probabilities, which sum to one over the cells.

    Examples
    --------
    >>> probabilities(torch.zeros(1, 1, 1, 4)).tolist()
    [[[[0.25, 0.25, 0.25, 0.25]]]]
    """
    return logits.float().flatten(2).softmax(-1).view(logits.shape)


def mean_maps(every: Sequence[Tensor], keypoints: int) -> Tensor:
    """Return the mean of maps (n, map, v, u) that say the same, as logits.

    Probabilities of the keypoints' maps, which come first, are averaged; the logits of the others.

    Examples
    --------
    >>> one, other = torch.tensor([[[[9.0, -9.0]]]]), torch.tensor([[[[-9.0, 9.0]]]])
    >>> probabilities(mean_maps([one, other], 1)).round(decimals=3).tolist()
    [[[[0.5, 0.5]]]]
    """
    p = torch.stack([probabilities(one[:, :keypoints]) for one in every]).mean(0)
    maps = p.clamp_min(1e-12).log()
    rest = torch.stack([one[:, keypoints:].float() for one in every]).mean(0)
    return torch.cat([maps, rest], 1) if rest.shape[1] else maps


def near_peak(p: Tensor, stride: int, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean place (n, keypoint, 2) and the probability near each map's peak.

    Parameters
    ----------
    p
        Probabilities (n, keypoint, v, u).
    reach
        Cells round the peak, to all sides, that count as near.

    Returns
    -------
    place, near
        Shape (n, keypoint, 2), px of the view, and (n, keypoint).
    own
        Shape (n, keypoint, v, u): what of `p` is near.

    Examples
    --------
    >>> place, near, own = near_peak(torch.tensor([[[[0.1, 0.2, 0.6, 0.0, 0.1]]]]), 2, 1)
    >>> [round(float(one), 3) for one in place[0, 0]], round(float(near), 3)
    ([4.0, 0.5], 0.8)
    """
    height, width = p.shape[2:]
    cells = cell_places((height, width), stride, p.device)
    peak = p.flatten(2).argmax(-1)
    row, column = peak // width, peak % width
    away_v = (torch.arange(height, device=p.device) - row[..., None]).abs() <= reach
    away_u = (torch.arange(width, device=p.device) - column[..., None]).abs() <= reach
    own = p * away_v[..., :, None] * away_u[..., None, :]
    near = own.sum((2, 3)).clamp_min(1e-12)
    x = (own.sum(2) * cells[:width, 0]).sum(-1) / near
    y = (own.sum(3) * cells[::width, 1]).sum(-1) / near
    return torch.stack([x, y], -1), near, own


def expected_error(p: Tensor, stride: int, points: Tensor) -> Tensor:
    """Return the mean distance (n, keypoint) of a map's probability from a place, px of the view.

    Parameters
    ----------
    p
        Probabilities (n, keypoint, v, u).

    Examples
    --------
    >>> p = torch.full((1, 1, 1, 2), 0.5)
    >>> float(expected_error(p, 2, torch.tensor([[[0.5, 0.5]]])))
    1.0
    """
    n, k, height, width = p.shape
    cells = cell_places((height, width), stride, p.device)
    distance = torch.cdist(points.reshape(1, -1, 2).float(), cells[None]).view(n, k, -1)
    return (p.flatten(2) * distance).sum(-1)
