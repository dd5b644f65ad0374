"""What may set animals apart besides where they are: proportions, and colour in the video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroloom.pose.group import choose_edges

if TYPE_CHECKING:
    from neuroloom.io.video import Video

BLOCK = 64
MORE = 3  # edges across the shortest tree of a body


def body_shape(points: np.ndarray) -> np.ndarray:
    """Return the proportions of each body: the logarithms of how long its edges are, px.

    Parameters
    ----------
    points
        Shape (time, slot, keypoint, 2), px.

    Returns
    -------
    Shape (time, slot, edge); NaN where an end is missing. Bodies of one keypoint have none.

    Examples
    --------
    >>> body = np.array([[0.0, 0.0], [10.0, 0.0]])
    >>> body_shape(np.stack([body, 2 * body])[None]).round(2).ravel()
    array([2.3, 3. ])
    """
    edges = _edges(points, MORE)
    apart = np.linalg.norm(points[..., edges[:, 0], :] - points[..., edges[:, 1], :], axis=-1)
    return np.log(np.maximum(apart, 1.0))


def body_colour(video: Video, points: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    """Return the colour of each body: the median over its keypoints and the middles of its edges.

    Parameters
    ----------
    video
        It is read once from end to end, a block at a time.
    points
        Shape (time, slot, keypoint, 2), px.
    frames
        Shape (time,): number in the video of each row; 0, 1, … if not given.

    Returns
    -------
    Shape (time, slot, channel), 0 to 255; NaN where nothing is seen.
    """
    from neuroloom.io.video import frames_at_once

    edges = _edges(points)
    middles = (points[..., edges[:, 0], :] + points[..., edges[:, 1], :]) / 2
    places = np.concatenate([points, middles], -2)
    numbers = np.arange(len(points)) if frames is None else np.asarray(frames)
    row_of = {int(number): row for row, number in enumerate(numbers)}
    out = np.full((*points.shape[:2], video.shape[-1]), np.nan)
    for first, block in video.blocks(frames_at_once(video.shape, BLOCK)):
        for offset, image in enumerate(block):
            row = row_of.get(first + offset)
            if row is not None:
                out[row] = _colours(image, places[row])
    return out


def _edges(points: np.ndarray, more: int = 0) -> np.ndarray:
    """Return (edge, 2) of a body; a body of one keypoint has none."""
    return np.array(choose_edges(points, more), int).reshape(-1, 2)


def _colours(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (slot, channel): medians of 3 x 3 pixels at each body's places, (slot, place, 2)."""
    height, width = image.shape[:2]
    known = np.isfinite(places).all(-1)
    at = np.round(np.where(known[..., None], places, 0)).astype(int)
    around = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1).reshape(-1, 2)
    at = at[..., None, :] + around
    inside = (at >= 0).all(-1) & (at < [width, height]).all(-1) & known[..., None]
    at = np.clip(at, 0, [width - 1, height - 1])
    values = image[at[..., 1], at[..., 0]].astype(float)
    out = np.full((len(places), image.shape[-1]), np.nan)
    for slot in range(len(places)):
        if inside[slot].any():
            out[slot] = np.median(values[slot][inside[slot]], axis=0)
    return out
