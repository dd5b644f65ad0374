"""Maps of where a keypoint is: the loss that makes them, and the place they tell.

A map is a probability over its cells, one softmax a keypoint. The place is the mean of the
probability near its peak, which is finer than a cell; the mean distance from that place, over all
cells, is the error that the map itself expects.
"""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 2  # cells round the peak over which the place is averaged


def cell_places(shape: tuple[int, int], stride: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the middles (v * u, 2) of the cells of a map, as (x, y) px of the view."""
    v, u = torch.meshgrid(*(torch.arange(n, device=device) for n in shape), indexing="ij")
    return torch.stack([u, v], -1).reshape(-1, 2).float() * stride + (stride - 1) / 2


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
    edge = torch.tensor([shape[1], shape[0]], device=logits.device) * stride
    known = torch.isfinite(points).all(-1) & ((points >= -0.5) & (points < edge - 0.5)).all(-1)
    place = torch.where(known[..., None], points, 0.0)
    # Separable: a Gaussian along each axis.
    axis_u, axis_v = cells[: shape[1], 0], cells[:: shape[1], 1]
    near = torch.exp(-((axis_u - place[..., :1]) ** 2) / (2 * spread**2))
    down = torch.exp(-((axis_v - place[..., 1:]) ** 2) / (2 * spread**2))
    near, down = (one / one.sum(-1, keepdim=True).clamp_min(1e-12) for one in (near, down))
    logits = logits.float()
    whole = torch.logsumexp(logits.flatten(2), -1)
    hit = torch.einsum("nkvu,nkv,nku->nk", logits, down, near)
    return ((whole - hit) * known).sum() / known.sum().clamp_min(1)


def places(logits: Tensor, stride: int, temperature: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
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
    n, k, height, width = logits.shape
    flat = (logits.float() / temperature).flatten(2).softmax(-1)
    cells = cell_places((height, width), stride, logits.device)
    peak = flat.argmax(-1)
    row, column = peak // width, peak % width
    away_v = (torch.arange(height, device=flat.device) - row[..., None]).abs() <= REACH
    away_u = (torch.arange(width, device=flat.device) - column[..., None]).abs() <= REACH
    window = flat.view(n, k, height, width) * away_v[..., :, None] * away_u[..., None, :]
    near = window.sum((2, 3))
    axis_u, axis_v = cells[:width, 0], cells[::width, 1]
    x = (window.sum(2) * axis_u).sum(-1) / near
    y = (window.sum(3) * axis_v).sum(-1) / near
    points = torch.stack([x, y], -1)
    return points, near, expected_error(logits, stride, points, temperature)


def expected_error(logits: Tensor, stride: int, points: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the mean distance (n, keypoint) of a map's probability from a place, px of the view.

    Examples
    --------
    >>> logits = torch.zeros(1, 1, 1, 2)
    >>> float(expected_error(logits, 2, torch.tensor([[[0.5, 0.5]]])))
    1.0
    """
    n, k, height, width = logits.shape
    flat = (logits.float() / temperature).flatten(2).softmax(-1)
    cells = cell_places((height, width), stride, logits.device)
    distance = torch.cdist(points.reshape(1, -1, 2).float(), cells[None]).view(n, k, -1)
    return (flat * distance).sum(-1)
