"""What looks wrong: in tracks, frame by frame, and in labels, before a net learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.blocks import block_means
from neuroloom.io.labels.sides import FLIPPED, flips
from neuroloom.pose.alike import body_centres, body_scale, distance_between
from neuroloom.pose.group import choose_edges
from neuroloom.pose.link.track import link_nearest

if TYPE_CHECKING:
    import pandas as pd

Edges = Sequence[tuple[int, int]]

LENGTH = 5.0  # robust SDs of the logarithm from which on a length is suspicious …
STRETCH = 1.5  # … if it is also longer or shorter by such a factor
LEAST = 3.0  # … and by so many px, which no hand's tremor explains
SAME = 1.0  # grey levels: pictures that differ less on average are one
SMALL = (24, 32)  # rows and columns of the small picture by which frames are compared
COLUMNS = ("frame", "individual", "what", "score", "detail")


def edge_deviation(points: np.ndarray, edges: Edges | None = None) -> np.ndarray:
    """Return how unusual the length of each edge is, in robust SDs of its logarithm.

    Parameters
    ----------
    points
        Shape (frame, individual, keypoint, 2), px.
    edges
        Pairs of keypoints; the shortest tree if not given.

    Returns
    -------
    Shape (frame, individual, edge); positive is too long, NaN where an end is missing.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> points = np.array([[0.0, 0.0], [20.0, 0.0]]) + rng.normal(0, 0.2, (50, 1, 2, 2))
    >>> points[7, 0, 1, 0] = 60.0
    >>> int(edge_deviation(points)[:, 0, 0].argmax())
    7
    """
    pairs = np.array(edges if edges is not None else choose_edges(points), int).reshape(-1, 2)
    apart = np.linalg.norm(points[..., pairs[:, 0], :] - points[..., pairs[:, 1], :], axis=-1)
    logs = np.log(np.maximum(apart, 1e-3))
    flat = logs.reshape(points.shape[0] * points.shape[1], len(pairs))
    out = np.full(flat.shape, np.nan)
    for column, values in enumerate(flat.T):
        known = values[np.isfinite(values)]
        if len(known) < 3:
            continue
        middle = np.median(known)
        spread = np.median(np.abs(known - middle)) / 0.6745
        out[:, column] = (values - middle) / max(float(spread), 1e-3)
    return out.reshape(logs.shape)


def jumps(points: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Return how far keypoints move from frame to frame and back, in bodies.

    A keypoint that goes astray for a frame is far from where its neighbours in time would put it;
    one that moves fast but evenly is not.

    Parameters
    ----------
    points
        Shape (time, individual, keypoint, 2), px.
    scale
        Size of a body, px; measured if not given.

    Returns
    -------
    Shape (time, individual, keypoint): distance from the middle of the frame before and the one
    after, over the size of a body; NaN where one of the three is missing.

    Examples
    --------
    >>> points = np.arange(8.0).reshape(8, 1, 1, 1) * np.ones((8, 1, 2, 2))
    >>> points[4] += 10
    >>> int(np.nanargmax(jumps(points, scale=5.0)[:, 0, 0]))
    4
    """
    scale = body_scale(points) if scale is None else scale
    out = np.full(points.shape[:-1], np.nan)
    if len(points) > 2:
        middle = (points[:-2] + points[2:]) / 2
        out[1:-1] = np.linalg.norm(points[1:-1] - middle, axis=-1) / scale
    return out


def frame_doubts(
    points: np.ndarray, confidence: np.ndarray, spread: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return for each frame how much its worst keypoint is in doubt, for each of several reasons.

    Nets give the animals of a frame any slots: who moves is followed by where it was, and what
    is missing is counted over all animals.

    Parameters
    ----------
    points
        Shape (time, individual, keypoint, 2), px.
    confidence
        Shape (time, individual, keypoint), 0 to 1.
    spread
        Shape (time, individual, keypoint): how far several nets disagree, px.

    Returns
    -------
    Arrays (time,), larger is worse: `unsure` (1 - confidence), `jump` (bodies), `length` (robust
    SDs), `missing` (share of the keypoints that most frames show), and `spread` (bodies) where it
    is given.
    """
    scale = body_scale(points)
    seen = np.isfinite(points).all(-1)
    shown = seen.sum(1)
    usual = np.floor(np.median(shown, axis=0))
    worst = {
        "unsure": np.where(seen, 1 - confidence, np.nan),
        "jump": jumps(_followed(points), scale),
        "length": np.abs(edge_deviation(points)),
    }
    if spread is not None:
        worst["spread"] = spread / scale
    out = {name: _largest(values) for name, values in worst.items()}
    out["missing"] = np.maximum(usual - shown, 0).sum(1) / max(float(usual.sum()), 1)
    return out


def _followed(points: np.ndarray) -> np.ndarray:
    """Return points (time, individual, keypoint, 2) with each animal in the slot it was in."""
    if points.shape[1] < 2:
        return points
    who, out = link_nearest(points, points.shape[1]), np.full_like(points, np.nan)
    time, slot = np.nonzero(who >= 0)
    out[time, who[time, slot]] = points[time, slot]
    return out


def as_the_first(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return what another net found, frame by frame in the slots of what is nearest to it.

    Parameters
    ----------
    first, other
        Shape (time, individual, keypoint, 2), px; of `other` there may be more or fewer animals.

    Returns
    -------
    Shape of `first`; NaN where the other net found nobody.

    Examples
    --------
    >>> first = np.array([0.0, 9.0]).reshape(1, 2, 1, 1) * np.ones(2)
    >>> as_the_first(first, first[:, ::-1] + 0.5)[0, :, 0, 0]
    array([0.5, 9.5])
    """
    from scipy.optimize import linear_sum_assignment

    if first.shape[1] == other.shape[1] == 1:
        return other
    out = np.full_like(first, np.nan)
    for now, own, found in zip(out, first, other, strict=True):
        apart = distance_between(own, found)
        known = np.isfinite(apart)
        rows, columns = linear_sum_assignment(np.where(known, apart, 1e6))
        kept = known[rows, columns]
        now[rows[kept]] = found[columns[kept]]
    return out


def _largest(values: np.ndarray) -> np.ndarray:
    """Return the largest of each frame; 0 where nothing is known."""
    return np.where(np.isfinite(values), values, 0.0).reshape(len(values), -1).max(1, initial=0.0)


def disagreement(several: Sequence[np.ndarray]) -> np.ndarray:
    """Return how far nets disagree: root mean square distance from their mean, px.

    Parameters
    ----------
    several
        Points of each net, shape (time, individual, keypoint, 2).

    Examples
    --------
    >>> disagreement([np.zeros((1, 1, 1, 2)), np.full((1, 1, 1, 2), 2.0)]).round(2)
    array([[[1.41]]])
    """
    points = np.stack(several)
    known = np.isfinite(points).all(-1, keepdims=True)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, points, 0.0).sum(0) / count
    squared = np.where(known, (points - mean) ** 2, 0.0).sum((0, -1)) / count[..., 0]
    return np.where(known.sum(0)[..., 0] > 1, np.sqrt(squared), np.nan)


def shrink(images: np.ndarray, size: tuple[int, int] = SMALL) -> np.ndarray:
    """Return frames as small grey pictures, each pixel the mean of those it covers.

    Parameters
    ----------
    images
        Shape (n, y, x, channel).
    size
        (y, x) of the small pictures, or the frame's own where that is smaller.

    Returns
    -------
    Shape (n, y, x), float32.

    Examples
    --------
    >>> shrink(np.ones((2, 48, 64, 3))).shape
    (2, 24, 32)
    """
    grey = images.mean(-1, dtype=np.float32)
    goals = [(length, min(length, own)) for length, own in zip(grey.shape[1:], size, strict=True)]
    return block_means(grey, [np.arange(goal) * length // goal for length, goal in goals])


def same_frames(small: np.ndarray, limit: float = SAME) -> list[tuple[int, int]]:
    """Return pairs of frames that show the same, the earlier first.

    Parameters
    ----------
    small
        Shape (n, …): pictures as `shrink` gives them.
    limit
        Grey levels that two may differ by on average.

    Examples
    --------
    >>> same_frames(np.array([[0.0, 9.0], [50.0, 1.0], [0.2, 9.0]]))
    [(0, 2)]
    """
    flat = small.reshape(len(small), -1)
    pairs = []
    for i, own in enumerate(flat[:-1]):
        apart = np.abs(flat[i + 1 :] - own).mean(1)
        pairs += [(i, i + 1 + int(j)) for j in np.flatnonzero(apart < limit)]
    return pairs


def suspicious_labels(
    points: np.ndarray,
    keypoints: Sequence[str],
    *,
    edges: Edges | None = None,
    swaps: Edges = (),
    shape: tuple[int, int] | None = None,
    small: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return labels that look wrong, and why, the most suspicious first.

    Parameters
    ----------
    points
        Shape (frame, individual, keypoint, 2), px, NaN where not labelled.
    keypoints
        Names.
    edges, swaps
        Of the skeleton; the shortest tree, and no pairs, if not given.
    shape
        (y, x) of the frames: labels beyond are named.
    small
        Shape (frame, …): pictures as `shrink` gives them; frames that show the same are named.

    Returns
    -------
    Columns frame, individual, what ("flip", "length", "outside", "same frame", "same place"),
    score (above 1 is suspicious), detail. Whether a label is wrong is for a person to see.
    """
    import pandas as pd

    rows = [*_flip_rows(points, swaps), *_length_rows(points, keypoints, edges)]
    rows += _place_rows(points, keypoints, shape)
    for i, j in same_frames(small) if small is not None else ():
        rows.append((j, 0, "same frame", 2.0, f"shows the same as frame {i}"))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _flip_rows(points: np.ndarray, swaps: Edges) -> list[tuple[int, int, str, float, str]]:
    ratio = flips(points, swaps)
    told = "left and right fit the other labels better the other way round"
    return [
        (int(i), int(j), "flip", float(FLIPPED / max(ratio[i, j], 1e-3)), told)
        for i, j in np.argwhere(ratio < FLIPPED)
    ]


def _length_rows(
    points: np.ndarray, keypoints: Sequence[str], edges: Edges | None
) -> list[tuple[int, int, str, float, str]]:
    pairs = list(edges if edges else choose_edges(points))
    if not pairs:
        return []
    apart = np.stack(
        [np.linalg.norm(points[..., i, :] - points[..., j, :], axis=-1) for i, j in pairs], -1
    )
    usual = np.nanmedian(apart.reshape(-1, len(pairs)), 0)
    deviation = np.abs(edge_deviation(points, pairs))
    factor = np.abs(np.log(np.maximum(apart, 1e-3) / np.maximum(usual, 1e-3)))
    clear = np.abs(apart - usual) > LEAST
    odd = np.argwhere((deviation > LENGTH) & (factor > np.log(STRETCH)) & clear)
    return [
        (int(i), int(j), "length", float(deviation[i, j, e] / LENGTH),
         f"{keypoints[pairs[e][0]]} to {keypoints[pairs[e][1]]} is {apart[i, j, e]:.0f} px, "
         f"usually {usual[e]:.0f}")
        for i, j, e in odd
    ]  # fmt: skip


def _place_rows(
    points: np.ndarray, keypoints: Sequence[str], shape: tuple[int, int] | None
) -> list[tuple[int, int, str, float, str]]:
    rows = []
    if shape is not None:
        edge = np.array([shape[1], shape[0]]) - 0.5
        for i, j, k in np.argwhere(((points < -0.5) | (points > edge)).any(-1)):
            told = f"{keypoints[k]} lies beyond the frame"
            rows.append((int(i), int(j), "outside", 3.0, told))
    middles = body_centres(points)
    for a in range(points.shape[1]):
        for b in range(a + 1, points.shape[1]):
            near = np.linalg.norm(middles[:, a] - middles[:, b], axis=-1) < 1.0
            told = f"lies on individual {a}: one animal labelled twice?"
            rows += [(int(i), b, "same place", 2.0, told) for i in np.flatnonzero(near)]
    return rows
