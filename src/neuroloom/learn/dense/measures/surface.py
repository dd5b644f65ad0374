"""Distances between the surfaces of two masks, each piece weighted by its area.

The surface lies between voxels. Every block of 2 x 2 x 2 voxel centres (2 x 2 in an image) that
holds both inside and outside is one surface element at the block's centre; its area is that of the
polygons which marching cubes (Lorensen & Cline 1987) puts through the middles of the cut edges.
Distances run from each element to the nearest element of the other surface, and means and
percentiles weigh elements by area: the definition of Nikolov et al. 2021 (J Med Internet Res
23(7):e26151), which does not depend on how fine or how anisotropic the grid is.

`voxel_distances` has the older definition, between the voxels at the edge of each mask, all of one
weight: the one of MONAI, and of most tables of HD95. The two differ by up to a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.measures.overlap import Floats, same_grid

SPARSE = 1 / 20  # of all voxels; with fewer elements a tree is the quicker way, by 2 to 30 times
Mask = NDArray[np.bool_]
Triangles = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, in the unit of the spacing.

    Attributes
    ----------
    to_predicted
        From each element of the true surface to the predicted one, ascending; infinite if that is
        empty.
    to_truth
        The other way round.
    area_true, area_predicted
        Area (3-D) or length (2-D) of each of these elements; ones between voxels.
    weighted
        False for `voxel_distances`.
    """

    to_predicted: Floats
    to_truth: Floats
    area_true: Floats
    area_predicted: Floats
    weighted: bool = True

    @property
    def empty(self) -> str:
        """Return "both", "truth" or "prediction", whichever has no surface; "" if both have one."""
        none = self.to_predicted.size == 0, self.to_truth.size == 0
        return "both" if all(none) else "truth" if none[0] else "prediction" if none[1] else ""

    @property
    def reason(self) -> str:
        """Say why distances are undefined; "" where they are defined."""
        return f"the {self.empty} is empty" if self.empty in ("truth", "prediction") else ""


def surface_distances(
    truth: ArrayLike, predicted: ArrayLike, spacing: Sequence[float]
) -> SurfaceDistances:
    """Return the distances between the surfaces of two masks, both ways, with areas.

    Parameters
    ----------
    truth, predicted
        Masks (*axes) of two or three axes on one grid.
    spacing
        Distance of voxel centres along each axis.

    Raises
    ------
    DataError
        If grids differ, or axes and spacing do not fit.

    Examples
    --------
    >>> a, b = np.zeros((2, 8, 8), bool)
    >>> a[2:4, 2:4] = b[2:4, 3:5] = True
    >>> found = surface_distances(a, b, (1.0, 1.0))
    >>> float(found.area_true.sum()), float(found.to_predicted.max())
    (6.82842712474619, 1.0)
    """
    masks, steps = _cropped(truth, predicted, spacing)
    codes = [_codes(mask) for mask in masks]
    full = 2 ** (2 ** len(steps)) - 1
    borders = [(code != 0) & (code != full) for code in codes]
    table = _areas(steps)
    areas = [table[code[border]] for code, border in zip(codes, borders, strict=True)]
    return _both_ways(borders, areas, steps, weighted=True)


def voxel_distances(
    truth: ArrayLike, predicted: ArrayLike, spacing: Sequence[float]
) -> SurfaceDistances:
    """Return the distances between the edge voxels of two masks, as MONAI defines them.

    A voxel is at the edge if a face neighbour (in the crop around both masks, or beyond it) is
    outside. See `surface_distances` for parameters.

    Examples
    --------
    >>> a, b = np.zeros((2, 8, 8), bool)
    >>> a[2:4, 2:4] = b[2:4, 3:5] = True
    >>> voxel_distances(a, b, (1.0, 1.0)).to_predicted.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    from scipy.ndimage import binary_erosion

    masks, steps = _cropped(truth, predicted, spacing)
    edges = [mask & ~binary_erosion(mask) for mask in masks]
    areas = [np.ones(int(edge.sum())) for edge in edges]
    return _both_ways(edges, areas, steps, weighted=False)


def _cropped(
    truth: ArrayLike, predicted: ArrayLike, spacing: Sequence[float]
) -> tuple[list[Mask], tuple[float, ...]]:
    """Both masks in the box around their union, and the spacing as floats."""
    a, b = same_grid(truth, predicted)
    steps = tuple(float(s) for s in spacing)
    if a.ndim not in (2, 3) or len(steps) != a.ndim or min(steps) <= 0:
        raise DataError(
            f"Surfaces need masks of 2 or 3 axes and a positive spacing for each; came {a.ndim} "
            f"axes and the spacing {steps}."
        )
    masks = [np.asarray(mask, dtype=bool) for mask in (a, b)]
    box = _box(masks)
    return [mask[box] for mask in masks], steps


def _box(masks: Sequence[Mask]) -> tuple[slice, ...]:
    """Box that holds the foreground of all masks; empty if there is none."""
    out = []
    for axis in range(masks[0].ndim):
        others = tuple(k for k in range(masks[0].ndim) if k != axis)
        there = np.flatnonzero(np.any([mask.any(axis=others) for mask in masks], axis=0))
        out.append(slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0, 0))
    return tuple(out)


def _both_ways(
    borders: Sequence[Mask], areas: Sequence[Floats], steps: tuple[float, ...], *, weighted: bool
) -> SurfaceDistances:
    found = []
    for mine, area, other in zip(borders, areas, borders[::-1], strict=True):
        distance = _to_nearest(other, mine, steps)
        order = np.argsort(distance, kind="stable")
        found.append((distance[order], area[order]))
    (there, area_true), (back, area_predicted) = found
    return SurfaceDistances(there, back, area_true, area_predicted, weighted)


def _to_nearest(target: Mask, places: Mask, steps: tuple[float, ...]) -> Floats:
    """Return how far each place is from the nearest target.

    Few elements are looked up in a tree: specks of a class all over a volume would have the
    distances of every voxel computed, seconds for each class.
    """
    from scipy.ndimage import distance_transform_edt

    count = int(target.sum()), int(places.sum())
    if not count[0]:
        return np.full(count[1], np.inf)
    if sum(count) > SPARSE * target.size:
        return distance_transform_edt(~target, sampling=steps)[places]
    from scipy.spatial import KDTree

    there, here = np.argwhere(target), np.argwhere(places)
    _, nearest = KDTree(there * np.array(steps)).query(here * np.array(steps))
    apart: Floats = (there[nearest] - here) * np.array(steps)  # as the transform rounds it
    return np.sqrt((apart * apart).sum(1))


def _codes(mask: Mask) -> NDArray[np.uint8]:
    """Which corners of every 2 x 2 (x 2) block are inside, one bit each: (*axes + 1)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    shape = [n + 1 for n in mask.shape]
    code = np.zeros(shape, dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        block = padded[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))]
        code |= block << np.uint8(bit)
    return code


def element_areas(spacing: tuple[float, ...]) -> Floats:
    """Return the area (length in 2-D) of the surface in a block, by the code of its corners.

    Bit k of a code says that the k-th corner, counted with the last axis fastest, is inside.

    Parameters
    ----------
    spacing
        Two or three numbers.

    Returns
    -------
    Array (16,) or (256,).

    Examples
    --------
    >>> element_areas((1.0, 1.0))[[0, 1, 3, 6]].round(3).tolist()
    [0.0, 0.707, 1.0, 1.414]
    """
    return _areas(tuple(float(step) for step in spacing)).copy()


@lru_cache
def _areas(spacing: tuple[float, ...]) -> Floats:
    """Sum the pieces of every code at a spacing: a segment grows with it, an area with the rest."""
    steps = np.asarray(spacing)
    scale = steps if steps.size == 2 else steps.prod() / steps
    pieces = _pieces(steps.size)
    return np.array([sum(np.linalg.norm(piece * scale) for piece in code) for code in pieces])


@lru_cache
def _pieces(ndim: int) -> list[list[Floats]]:
    """Of every code the contour's segments (2-D) or the triangles' area vectors (3-D).

    The smaller set of corners is cut off, each connected part by itself, so that corners which
    touch only across a diagonal stay apart.
    """
    corners = np.array(list(product((0, 1), repeat=ndim)))
    out = []
    for code in range(2 ** len(corners)):
        inside = [k for k in range(len(corners)) if code >> k & 1]
        if len(inside) > len(corners) // 2:
            inside = [k for k in range(len(corners)) if k not in inside]
        parts = _connected(inside, corners)
        cut = _segment if ndim == 2 else _area_vectors
        out.append([piece for part in parts for piece in cut(_cut_edges(part, corners))])
    return out


def _next_to(a: int, b: int, corners: NDArray[np.int64]) -> bool:
    return bool(np.abs(corners[a] - corners[b]).sum() == 1)


def _connected(inside: list[int], corners: NDArray[np.int64]) -> list[list[int]]:
    """Group corners that hang together along edges of the block."""
    parts: list[list[int]] = []
    for corner in inside:
        near = [part for part in parts if any(_next_to(corner, k, corners) for k in part)]
        parts = [part for part in parts if part not in near]
        parts.append([corner, *(k for part in near for k in part)])
    return parts


def _cut_edges(part: list[int], corners: NDArray[np.int64]) -> Floats:
    """Middles (n, axes) of the edges that lead out of a part."""
    outside = [k for k in range(len(corners)) if k not in part]
    ends = [(a, b) for a in part for b in outside if _next_to(a, b, corners)]
    return np.array([(corners[a] + corners[b]) / 2 for a, b in ends])


def _segment(points: Floats) -> list[Floats]:
    return [points[1] - points[0]]


def _area_vectors(points: Floats) -> list[Floats]:
    """Area vectors of the triangles of the polygon through the cut edges.

    A polygon that is not flat can be split in several ways; the one of the largest area at equal
    spacing is the convex one, and is what Nikolov et al. use.
    """
    ring = points[_ring(points)]
    splits = [
        [np.cross(ring[b] - ring[a], ring[c] - ring[a]) / 2 for a, b, c in split]
        for split in _triangulations(0, len(ring) - 1)
    ]
    return max(splits, key=_total)


def _total(vectors: list[Floats]) -> float:
    return round(float(np.linalg.norm(vectors, axis=1).sum()), 9)


def _ring(points: Floats) -> list[int]:
    """Order of the points around the polygon: neighbours lie in one face of the block."""
    joined = {
        frozenset(pair)
        for pair in combinations(range(len(points)), 2)
        if ((points[pair[0]] == points[pair[1]]) & (points[pair[0]] % 1 == 0)).any()
    }
    ring = [0]
    while len(ring) < len(points):
        ring.append(
            next(
                k
                for k in range(len(points))
                if k not in ring and frozenset((ring[-1], k)) in joined
            )
        )
    return ring


@lru_cache
def _triangulations(first: int, last: int) -> list[Triangles]:
    """All ways to split the polygon first .. last into triangles."""
    if last - first < 2:
        return [()]
    return [
        ((first, k, last), *left, *right)
        for k in range(first + 1, last)
        for left in _triangulations(first, k)
        for right in _triangulations(k, last)
    ]


def hausdorff(distances: SurfaceDistances, percentile: float = 100.0) -> float:
    """Return the larger of the two directed distances at a percentile of the area.

    Parameters
    ----------
    percentile
        100 is Hausdorff's distance, 95 the usual robust one. Weighted: the smallest distance within
        which that share of the area lies. Between voxels: interpolated linearly.

    Returns
    -------
    In the unit of the spacing; 0 where both are empty, NaN where one is (`EMPTY_RULES`).

    Examples
    --------
    >>> d = SurfaceDistances(np.array([0.0, 2.0]), np.array([1.0]), np.ones(2), np.ones(1))
    >>> hausdorff(d), hausdorff(d, 50)
    (2.0, 1.0)
    """
    if distances.empty:
        return _undefined(distances)
    at = _weighted_percentile if distances.weighted else _plain_percentile
    there = at(distances.to_predicted, distances.area_true, percentile)
    return max(there, at(distances.to_truth, distances.area_predicted, percentile))


def hd95(distances: SurfaceDistances) -> float:
    """Return `hausdorff` at 95 %, which a few stray voxels do not decide.

    Examples
    --------
    >>> hd95(SurfaceDistances(np.zeros(99), np.r_[np.zeros(98), 9.0], np.ones(99), np.ones(99)))
    0.0
    """
    return hausdorff(distances, 95.0)


def _weighted_percentile(distance: Floats, area: Floats, percentile: float) -> float:
    reached = np.cumsum(area) / area.sum()
    place = np.searchsorted(reached, percentile / 100)
    return float(distance[min(int(place), distance.size - 1)])


def _plain_percentile(distance: Floats, area: Floats, percentile: float) -> float:
    return float(np.percentile(distance, percentile))


def average_distances(distances: SurfaceDistances) -> tuple[float, float]:
    """Return the mean distance from the true surface to the predicted one, and back.

    Examples
    --------
    >>> d = SurfaceDistances(np.array([0.0, 2.0]), np.array([1.0]), np.ones(2), np.ones(1))
    >>> average_distances(d)
    (1.0, 1.0)
    """
    if distances.empty:
        return (_undefined(distances),) * 2
    there = np.average(distances.to_predicted, weights=distances.area_true)
    back = np.average(distances.to_truth, weights=distances.area_predicted)
    return float(there), float(back)


def average_symmetric(distances: SurfaceDistances) -> float:
    """Return the mean distance over both surfaces together (ASSD).

    Examples
    --------
    >>> d = SurfaceDistances(np.array([0.0, 2.0]), np.array([4.0]), np.ones(2), np.ones(1))
    >>> average_symmetric(d)
    2.0
    """
    if distances.empty:
        return _undefined(distances)
    total = distances.area_true.sum() + distances.area_predicted.sum()
    there = distances.to_predicted @ distances.area_true
    return float((there + distances.to_truth @ distances.area_predicted) / total)


def surface_overlap(distances: SurfaceDistances, tolerance: float) -> tuple[float, float]:
    """Return the share of the true surface within `tolerance` of the predicted one, and back.

    Examples
    --------
    >>> d = SurfaceDistances(np.array([0.0, 2.0]), np.array([1.0]), np.ones(2), np.ones(1))
    >>> surface_overlap(d, 1.0)
    (0.5, 1.0)
    """
    if distances.empty == "both":
        return 1.0, 1.0
    near = _within(distances, tolerance)
    totals = distances.area_true.sum(), distances.area_predicted.sum()
    there, back = (n / t if t else float("nan") for n, t in zip(near, totals, strict=True))
    return float(there), float(back)


def nsd(distances: SurfaceDistances, tolerance: float) -> float:
    """Return the surface Dice: the share of both surfaces within `tolerance` of the other.

    Parameters
    ----------
    tolerance
        In the unit of the spacing; what two experts differ by is a fair choice.

    Returns
    -------
    1 where both are empty, 0 where one is (`EMPTY_RULES`).

    Examples
    --------
    >>> d = SurfaceDistances(np.array([0.0, 2.0]), np.array([1.0]), np.ones(2), np.ones(1))
    >>> round(nsd(d, 1.0), 3)
    0.667
    """
    total = distances.area_true.sum() + distances.area_predicted.sum()
    return float(sum(_within(distances, tolerance)) / total) if total else 1.0


def _within(distances: SurfaceDistances, tolerance: float) -> tuple[float, float]:
    there = distances.area_true[distances.to_predicted <= tolerance].sum()
    return float(there), float(distances.area_predicted[distances.to_truth <= tolerance].sum())


def _undefined(distances: SurfaceDistances) -> float:
    """Return what a distance is where something is empty."""
    return 0.0 if distances.empty == "both" else float("nan")
