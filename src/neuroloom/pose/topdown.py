"""One animal at a time: maps of centres, crops around them, and the way back to the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def body_centres(points: np.ndarray, anchor: int | None = None) -> np.ndarray:
    """Return the centre of each body: its anchor keypoint, or the middle of the box around all.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px, NaN where missing.
    anchor
        A keypoint; where it is missing, the middle of the box serves.

    Returns
    -------
    Shape (…, 2); NaN where a body shows nothing.

    Examples
    --------
    >>> body_centres(np.array([[0.0, 0.0], [10.0, 4.0], [np.nan, np.nan]]))
    array([5., 2.])
    """
    known = np.isfinite(points).all(-1, keepdims=True)
    low = np.where(known, points, np.inf).min(-2)
    high = np.where(known, points, -np.inf).max(-2)
    middle = np.where(known.any(-2), (np.where(np.isfinite(low), low, 0) + high) / 2, np.nan)
    if anchor is None:
        return middle
    at = points[..., anchor, :]
    return np.where(np.isfinite(at).all(-1, keepdims=True), at, middle)


def centre_targets(
    centres: Tensor, shape: tuple[int, int], stride: int = 1, sigma: float = 8.0
) -> Tensor:
    """Return the map of centres that a net should give: a Gaussian peak an animal.

    Parameters
    ----------
    centres
        Shape (batch, individual, 2), px, NaN where there is no animal.
    shape
        (y, x) of the map.
    stride
        Pixels a cell; cell 0 is centred at (stride - 1) / 2 px.
    sigma
        px.

    Returns
    -------
    Shape (batch, 1, y, x); where peaks overlap, the higher.

    Examples
    --------
    >>> import torch
    >>> centre_targets(torch.tensor([[[4.0, 2.0]]]), (5, 9), sigma=1.0)[0, 0, 2, 3:6]
    tensor([0.6065, 1.0000, 0.6065])
    """
    import torch

    known = torch.isfinite(centres).all(-1)
    at = torch.where(known[..., None], centres, 0.0)
    rows, columns = (
        torch.arange(n, device=centres.device) * stride + (stride - 1) / 2 for n in shape
    )
    dx = columns.to(at) - at[..., 0, None]
    dy = rows.to(at) - at[..., 1, None]
    squared = dx[..., None, :] ** 2 + dy[..., :, None] ** 2
    peaks = torch.exp(-squared / (2 * sigma**2)) * known[..., None, None]
    return peaks.amax(1, keepdim=True)


def crops_around(
    images: np.ndarray, centres: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a box of whole pixels around each centre; beyond the frame its edge is repeated.

    Parameters
    ----------
    images
        Shape (n, y, x, channel), an image a centre; or (y, x, channel), one for all.
    centres
        Shape (n, 2), px.
    size
        (y, x) of a crop.

    Returns
    -------
    crops
        Shape (n, y, x, channel).
    corners
        Shape (n, 2): x, y of each crop's first pixel; may lie outside the frame.

    Examples
    --------
    >>> image = np.arange(35).reshape(5, 7, 1)
    >>> crops, corners = crops_around(image, np.array([[3.0, 2.0]]), (3, 3))
    >>> crops[0, :, :, 0].tolist(), corners.tolist()
    ([[9, 10, 11], [16, 17, 18], [23, 24, 25]], [[2, 1]])
    """
    if images.ndim == 3:
        images = np.broadcast_to(images, (len(centres), *images.shape))
    height, width = size
    half = np.array([width - 1, height - 1]) / 2
    corners = np.ceil(np.asarray(centres, float) - half - 0.5).astype(int)
    rows = np.clip(corners[:, 1, None] + np.arange(height), 0, images.shape[1] - 1)
    columns = np.clip(corners[:, 0, None] + np.arange(width), 0, images.shape[2] - 1)
    which = np.arange(len(centres))[:, None, None]
    return images[which, rows[:, :, None], columns[:, None, :]], corners


def back_to_frame(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return points of crops as points of the frame.

    Parameters
    ----------
    points
        Shape (n, keypoint, 2), px of each crop.
    corners
        Shape (n, 2), as `crops_around` gives them.

    Examples
    --------
    >>> back_to_frame(np.array([[[1.0, 1.0]]]), np.array([[2, 1]]))
    array([[[3., 2.]]])
    """
    return points + corners[:, None, :]


def crop_size(points: np.ndarray, margin: float = 0.25, multiple: int = 32) -> int:
    """Return the side of a square that holds nearly every body, px.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px.
    margin
        To be added, as a share of the body.
    multiple
        The side is rounded up to a multiple, as a net's strides ask for.

    Examples
    --------
    >>> crop_size(np.array([[[0.0, 0.0], [100.0, 20.0]]]))
    128
    """
    bodies = points.reshape(-1, *points.shape[-2:])
    bodies = bodies[np.isfinite(bodies).all(-1).any(-1)]
    apart = np.nanmax(bodies, 1) - np.nanmin(bodies, 1)
    needed = float(np.quantile(np.hypot(*apart.T), 0.99)) * (1 + margin)
    return int(max(np.ceil(needed / multiple), 1) * multiple)
