"""Views of a frame: which part a net sees, how large and how turned.

A view is a matrix (2, 3) from its own pixels (u, v) to those of the frame (x, y). The centre of the
first pixel is (0, 0) in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

Floats = NDArray[np.float64]


def similarity(
    centre: Floats,
    scale: Floats,
    angle: Floats,
    size: tuple[int, int],
    mirror: Floats | None = None,
) -> Floats:
    """Return views of `size` round places of frames.

    Parameters
    ----------
    centre
        Shape (n, 2), px of the frame that the middle of the view shows.
    scale
        Shape (n,), px of the frame that a pixel of the view covers.
    angle
        Shape (n,), rad: the u axis of the view points this way in the frame.
    size
        Of the view (v, u), px.
    mirror
        Shape (n,), -1 where the view is left-right reversed, else 1.

    Returns
    -------
    np.ndarray
        Shape (n, 2, 3).

    Examples
    --------
    >>> one = similarity(np.array([[50.0, 20.0]]), np.array([2.0]), np.zeros(1), (9, 5))
    >>> to_frame(one, np.array([[[2.0, 4.0], [3.0, 4.0]]])).tolist()
    [[[50.0, 20.0], [52.0, 20.0]]]
    """
    flip = np.ones(len(centre)) if mirror is None else mirror
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    # The v axis of a reversed view points the other way: it is the animal's left and right.
    turn = np.stack([np.stack([cos, -sin * flip], 1), np.stack([sin, cos * flip], 1)], 1)
    middle = (np.array([size[1], size[0]]) - 1) / 2
    shift = centre - turn @ middle
    return np.concatenate([turn, shift[:, :, None]], 2)


def to_frame(views: Floats, points: Floats) -> Floats:
    """Map points (n, k, 2) of views (n, 2, 3) to the frame."""
    return np.einsum("nij,nkj->nki", views[:, :, :2], points) + views[:, None, :, 2]


def to_view(views: Floats, points: Floats) -> Floats:
    """Map points (n, k, 2) of frames to the views (n, 2, 3).

    Examples
    --------
    >>> whole = whole_frame((100, 200), (50, 100))[None]
    >>> to_view(whole, np.array([[[199.0, 99.0]]])).round(2).tolist()
    [[[99.25, 49.25]]]
    """
    return np.einsum("nij,nkj->nki", np.linalg.inv(views[:, :, :2]), points - views[:, None, :, 2])


def whole_frame(shape: Sequence[int], size: Sequence[int]) -> Floats:
    """Return the view (2, 3) of `size` (v, u) that shows a frame of `shape` (y, x) whole.

    Proportions are kept; what is left over is empty, on both sides alike.
    """
    scale = max(shape[0] / size[0], shape[1] / size[1])
    middle = (np.array([[shape[1], shape[0]]]) - 1) / 2
    view: Floats = similarity(middle, np.array([scale]), np.zeros(1), (size[0], size[1]))[0]
    return view


def pyramid_level(scale: float) -> int:
    """Return how often a frame is halved before a view of this scale reads from it."""
    return max(0, int(np.floor(np.log2(max(scale, 1.0)) + 0.25)))


def halved(frames: Tensor, times: int) -> Tensor:
    """Average 2x2 pixels of frames (n, channel, y, x), `times` times; odd edges are repeated."""
    out, side = frames.float(), 2**times
    if frames.shape[2] % side == 0 and frames.shape[3] % side == 0:
        return avg_pool2d(out, side) if times else out
    for _ in range(times):
        out = avg_pool2d(out, 2, ceil_mode=True, count_include_pad=False)
    return out


def look(frames: Tensor, views: Tensor, size: tuple[int, int], level: int = 0) -> Tensor:
    """Read views off frames; what lies beyond a frame is as its edge.

    Parameters
    ----------
    frames
        Shape (n, channel, y, x), halved `level` times.
    views
        Shape (n, 2, 3), px of the full frame.
    size
        Of the views (v, u).

    Returns
    -------
    Tensor
        Shape (n, channel, v, u), float32.

    Examples
    --------
    >>> frames = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> look(frames, torch.eye(2, 3)[None], (3, 4)).equal(frames)
    True
    """
    height, width = frames.shape[2:]
    v, u = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float32), torch.arange(size[1], dtype=torch.float32),
        indexing="ij",
    )  # fmt: skip
    at = torch.stack([u, v, torch.ones_like(u)], -1).to(frames.device)
    xy = torch.einsum("nij,vuj->nvui", views.to(at), at)
    xy = (xy + 0.5) / 2**level - 0.5
    edge = torch.tensor([max(width - 1, 1), max(height - 1, 1)], device=frames.device)
    return grid_sample(frames.float(), 2 * xy / edge - 1, padding_mode="border", align_corners=True)
