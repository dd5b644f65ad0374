"""Which keypoints belong to one animal: part-affinity fields, and bodies put together from them.

A field points along each edge of the skeleton from one keypoint to the other (Cao et al. 2017,
"Realtime multi-person 2D pose estimation using part affinity fields"); two peaks are of one animal
if the field runs along the line between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Edges = Sequence[tuple[int, int]]

SAMPLES = 12
ON_THE_WAY = 0.3  # a sample of the field counts for a pair if it points at least so far along it
ENOUGH = 0.6  # of the samples between two peaks that must count


def choose_edges(points: np.ndarray, extra: int = 0) -> tuple[tuple[int, int], ...]:
    """Return the edges of a skeleton for keypoints that have none: the shortest spanning tree.

    Short edges are crossed least by other animals. `extra` adds as many of the next shortest, so
    that a body holds together where one keypoint is missing.

    Parameters
    ----------
    points
        Shape (…, keypoint, 2), px; the length of a pair is its median over bodies that show both.

    Examples
    --------
    >>> choose_edges(np.array([[[0.0, 0.0], [20.0, 0.0], [10.0, 1.0]]]))
    ((0, 2), (1, 2))
    """
    from scipy.sparse.csgraph import minimum_spanning_tree

    bodies = points.reshape(-1, *points.shape[-2:])
    count = bodies.shape[1]
    length = np.full((count, count), np.nan)
    for i in range(count):
        apart = np.linalg.norm(bodies - bodies[:, i : i + 1], axis=-1)
        seen = np.isfinite(apart).any(0)
        length[i, seen] = np.nanmedian(apart[:, seen], axis=0)
    unseen = 10 * np.nanmax(length, initial=1.0)
    length = np.maximum(np.where(np.isfinite(length), length, unseen), 1e-6)
    np.fill_diagonal(length, 0.0)
    tree = minimum_spanning_tree(length).tocoo()
    edges = {(min(i, j), max(i, j)) for i, j in zip(tree.row, tree.col, strict=True)}
    rest = [(length[i, j], i, j) for i in range(count) for j in range(i + 1, count)]
    more = [(i, j) for _, i, j in sorted(rest) if (i, j) not in edges][:extra]
    return tuple((int(i), int(j)) for i, j in [*sorted(edges), *more])


def affinity_targets(
    points: Tensor, edges: Edges, shape: tuple[int, int], stride: int = 1, width: float = 8.0
) -> Tensor:
    """Return the fields a net should give: along each edge a unit vector, fading beside it.

    Parameters
    ----------
    points
        Shape (batch, individual, keypoint, 2), px, NaN where missing.
    edges
        Pairs of keypoints; the field points from the first to the second.
    shape
        (y, x) of the map.
    stride
        Pixels a cell of the map; cell 0 is centred at (stride - 1) / 2 px.
    width
        px from the line at which the field has fallen to 0.6 (a Gaussian).

    Returns
    -------
    Shape (batch, 2 edges, y, x): x and y of the first edge, then of the second, … Where edges of
    animals cross, vectors are averaged by their weights.

    Examples
    --------
    >>> import torch
    >>> body = torch.tensor([[[[2.0, 4.0], [8.0, 4.0]]]])
    >>> affinity_targets(body, [(0, 1)], (9, 11), width=2.0)[0, :, 4, 5].tolist()
    [1.0, 0.0]
    """
    import torch

    ends = torch.as_tensor(edges, dtype=torch.long, device=points.device)
    start, stop = points[:, :, ends[:, 0]], points[:, :, ends[:, 1]]
    known = (torch.isfinite(start) & torch.isfinite(stop)).all(-1)
    along = torch.where(known[..., None], stop - start, 0.0)
    length = along.norm(dim=-1).clamp(min=1e-6)
    unit = along / length[..., None]
    start = torch.where(known[..., None], start, 0.0)
    rows, columns = (
        torch.arange(n, device=points.device) * stride + (stride - 1) / 2 for n in shape
    )
    dx = columns.to(points) - start[..., 0, None]  # (batch, individual, edge, x)
    dy = rows.to(points) - start[..., 1, None]
    ux, uy = unit[..., 0, None, None], unit[..., 1, None, None]
    dx, dy = dx[..., None, :], dy[..., :, None]
    beyond = (ux * dx + uy * dy) - (ux * dx + uy * dy).clamp(min=0).minimum(length[..., None, None])
    beside = ux * dy - uy * dx
    weight = torch.exp(-(beyond**2 + beside**2) / (2 * width**2)) * known[..., None, None]
    total = weight.sum(1).clamp(min=1.0)
    field = torch.stack([(weight * ux).sum(1) / total, (weight * uy).sum(1) / total], 2)
    return field.flatten(1, 2)


def pair_scores(
    a: np.ndarray, b: np.ndarray, field: np.ndarray, stride: int = 1, longest: float = np.inf
) -> np.ndarray:
    """Return how far the field runs along the line from each `a` to each `b`: 1 all the way.

    Parameters
    ----------
    a, b
        Shape (n, 2) and (m, 2), px.
    field
        Shape (2, y, x): x and y of one edge.
    longest
        px; pairs that are farther apart lose as much as they are longer, relative to it.

    Returns
    -------
    Shape (n, m); -inf where too few samples point along the line.

    Examples
    --------
    >>> field = np.stack([np.ones((5, 9)), np.zeros((5, 9))])
    >>> pair_scores(np.array([[1.0, 2.0]]), np.array([[7.0, 2.0], [1.0, 4.0]]), field)
    array([[  1., -inf]])
    """
    from scipy.ndimage import map_coordinates

    along = b[None] - a[:, None]
    length = np.linalg.norm(along, axis=-1)
    unit = along / np.maximum(length, 1e-6)[..., None]
    share = np.linspace(0.0, 1.0, SAMPLES)
    at = a[:, None, None] + share[:, None] * along[:, :, None]  # (n, m, sample, 2)
    cell = (at - (stride - 1) / 2) / stride
    places = [cell[..., 1], cell[..., 0]]
    dot = sum(
        map_coordinates(field[axis], places, order=1, mode="nearest") * unit[..., axis, None]
        for axis in (0, 1)
    )
    score = dot.mean(-1) - np.maximum(length / longest - 1, 0)
    score[(dot > ON_THE_WAY).mean(-1) < ENOUGH] = -np.inf
    return np.asarray(score)


def group(
    peaks: np.ndarray,
    paf: np.ndarray,
    edges: Edges,
    keypoints: int,
    *,
    stride: int = 1,
    longest: float | Sequence[float] = np.inf,
    fewest: int = 2,
    most: int | None = None,
) -> np.ndarray:
    """Put the peaks of one frame together into animals.

    The pairs of each edge are chosen by the best assignment of its field's line integrals; pairs
    are then joined into bodies from the best to the worst, so that no body has a keypoint twice.

    Parameters
    ----------
    peaks
        Shape (n, 4): keypoint, x, y (px), score.
    paf
        Shape (2 edges, y, x).
    edges
        Pairs of keypoints, as the net was trained with.
    keypoints
        How many there are.
    stride
        Pixels a cell of the field.
    longest
        Usual longest length of an edge, px; one, or one an edge.
    fewest
        A body of fewer keypoints is dropped.
    most
        At most so many animals; those of the highest sum of scores stay.

    Returns
    -------
    Shape (individual, keypoint, 3): x, y, score; NaN, NaN, 0 where missing. Best first.

    Examples
    --------
    >>> field = np.stack([np.ones((9, 9)), np.zeros((9, 9))])
    >>> peaks = np.array([[0, 1, 2, 0.9], [0, 1, 7, 0.8], [1, 6, 2, 0.9], [1, 6, 7, 0.9]])
    >>> group(peaks, field, [(0, 1)], 2)[:, :, 1]
    array([[2., 2.],
           [7., 7.]])
    """
    reach = np.broadcast_to(longest, len(edges))
    pairs: list[tuple[float, int, int]] = []
    for number, (first, second) in enumerate(edges):
        own = paf[2 * number : 2 * number + 2]
        pairs += _pairs_of_edge(peaks, own, first, second, stride, float(reach[number]))
    bodies = [body for body in _join(peaks, pairs) if len(body) >= fewest]
    bodies.sort(key=lambda body: -peaks[body, 3].sum())
    out = np.full((len(bodies[:most]), keypoints, 3), np.nan)
    out[..., 2] = 0.0
    for row, body in zip(out, bodies, strict=False):
        row[peaks[body, 0].astype(int)] = peaks[body, 1:]
    return out


def _pairs_of_edge(
    peaks: np.ndarray, field: np.ndarray, first: int, second: int, stride: int, longest: float
) -> list[tuple[float, int, int]]:
    """Return (score, peak, peak) of the best one-to-one pairs of an edge."""
    from scipy.optimize import linear_sum_assignment

    a, b = (np.flatnonzero(peaks[:, 0] == kind) for kind in (first, second))
    if not len(a) or not len(b):
        return []
    scores = pair_scores(peaks[a, 1:3], peaks[b, 1:3], field, stride, longest)
    usable = np.maximum(np.where(np.isfinite(scores), scores, 0.0), 0.0)
    rows, columns = linear_sum_assignment(-usable)
    chosen = zip(rows, columns, strict=True)
    return [(float(usable[i, j]), int(a[i]), int(b[j])) for i, j in chosen if usable[i, j] > 0]


def _join(peaks: np.ndarray, pairs: list[tuple[float, int, int]]) -> list[list[int]]:
    """Join peaks into bodies, best pairs first; a body never has one keypoint twice."""
    body_of = {i: [i] for i in range(len(peaks))}
    kinds = peaks[:, 0].astype(int)
    for _, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        one, other = body_of[i], body_of[j]
        if one is other or {kinds[k] for k in one} & {kinds[k] for k in other}:
            continue
        one += other
        body_of |= dict.fromkeys(other, one)
    return list({id(body): body for body in body_of.values()}.values())
