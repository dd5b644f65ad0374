"""Morphology of a region: size, form, axes, and how its intensities lie in space (IBSI 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroloom.core.blocks import bounding_box
from neuroloom.volumes.radiomics.features.hulls import (
    ellipsoid_area,
    ellipsoid_volume,
    enclosing_ellipsoid,
    farthest,
    smallest_box,
)

SINGLE_FROM = 8_000_000
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """The closed surface of a region: its corners (mm), area (mm2) and volume (mm3)."""

    points: np.ndarray
    area: float
    volume: float


def surface(mask: np.ndarray, spacing: Spacing) -> Surface:
    """Wrap a region in triangles half-way to the voxels outside (Lewiner et al. 2003).

    Examples
    --------
    >>> found = surface(np.ones((1, 1, 1), bool), (1.0, 1.0, 1.0))
    >>> round(found.volume, 3)
    0.167
    """
    from skimage.measure import marching_cubes

    framed = np.pad(mask[bounding_box(mask)], 1).astype(np.float32)
    points, faces, _, _ = marching_cubes(framed, 0.5, spacing=spacing)
    a, b, c = (points[faces[:, corner]].astype(float) for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    volume = abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6
    return Surface(points.astype(float), float(area), float(volume))


def morphology(
    image: np.ndarray, mask: np.ndarray, spacing: Spacing, intensity_mask: np.ndarray | None = None
) -> dict[str, float]:
    """Return the morphological features of a region.

    Parameters
    ----------
    image
        Intensities (z, y, x).
    mask
        The region as outlined.
    spacing
        Size of a voxel (z, y, x), mm.
    intensity_mask
        The region after re-segmentation, which the features of intensity use; `mask` if None.

    Returns
    -------
    Tag -> value; lengths in mm, volumes in mm3.

    Examples
    --------
    >>> cube = np.pad(np.ones((8, 8, 8), bool), 1)
    >>> round(morphology(cube * 1.0, cube, (1.0, 1.0, 1.0))["morph_pca_flatness"], 6)
    1.0
    """
    inside = mask if intensity_mask is None else intensity_mask
    skin = surface(mask, spacing)
    found = _form(skin, float(mask.sum() * np.prod(spacing)))
    found |= _axes(mask, spacing, skin) | _boxes(skin)
    return found | in_space(image, mask, inside, spacing, skin.volume)


def _form(skin: Surface, counted: float) -> dict[str, float]:
    area, volume = skin.area, skin.volume
    sphere = (36 * np.pi * volume**2) ** (1 / 3)
    return {
        "morph_volume": volume,
        "morph_vol_approx": counted,
        "morph_area_mesh": area,
        "morph_av": area / volume,
        "morph_comp_1": volume / (np.sqrt(np.pi) * area**1.5),
        "morph_comp_2": 36 * np.pi * volume**2 / area**3,
        "morph_sph_dispr": area / sphere,
        "morph_sphericity": sphere / area,
        "morph_asphericity": area / sphere - 1,
    }


def _axes(mask: np.ndarray, spacing: Spacing, skin: Surface) -> dict[str, float]:
    """Axes of the cloud of voxel centres, and the ellipsoid that has them."""
    places = np.argwhere(mask) * np.asarray(spacing, dtype=float)
    # The references were made with the sample covariance (n - 1).
    spread = np.cov(places.T) if len(places) > 1 else np.full((3, 3), np.nan)
    if not np.isfinite(spread).all():
        spread = np.zeros((3, 3))
    least, minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0)).tolist()
    nan = float("nan")
    found = {
        "morph_pca_maj_axis": 4 * major,
        "morph_pca_min_axis": 4 * minor,
        "morph_pca_least_axis": 4 * least,
        "morph_pca_elongation": minor / major if major > 0 else nan,
        "morph_pca_flatness": least / major if major > 0 else nan,
        "morph_vol_dens_aee": nan,
        "morph_area_dens_aee": nan,
    }
    if least > 1e-9 * major:
        half = 2 * np.array([major, minor, least])
        found["morph_vol_dens_aee"] = skin.volume / ellipsoid_volume(half)
        found["morph_area_dens_aee"] = skin.area / ellipsoid_area(half)
    return found


def _boxes(skin: Surface) -> dict[str, float]:
    """Measure which part of bodies around it the region fills: boxes, hull, ellipsoid."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(skin.points)
    corners = skin.points[hull.vertices]
    half = enclosing_ellipsoid(corners)
    sides = {"aabb": np.ptp(corners, axis=0), "ombb": smallest_box(corners, hull.equations[:, :3])}
    bodies = {name: (float(np.prod(side)), _box_area(side)) for name, side in sides.items()}
    bodies["mvee"] = ellipsoid_volume(half), ellipsoid_area(half)
    bodies["conv_hull"] = float(hull.volume), float(hull.area)
    found = {"morph_diam": farthest(corners)}
    for name, (volume, area) in bodies.items():
        found[f"morph_vol_dens_{name}"] = skin.volume / volume
        found[f"morph_area_dens_{name}"] = skin.area / area
    return found


def _box_area(side: np.ndarray) -> float:
    a, b, c = side
    return float(2 * (a * b + b * c + a * c))


def in_space(
    image: np.ndarray, mask: np.ndarray, inside: np.ndarray, spacing: Spacing, volume: float
) -> dict[str, float]:
    """Return how intensities lie in the region: their centre, their sum, their autocorrelation.

    Examples
    --------
    >>> image = np.arange(8.0).reshape(2, 2, 2)
    >>> whole = np.ones((2, 2, 2), bool)
    >>> round(in_space(image, whole, whole, (1.0, 1.0, 1.0), 8.0)["morph_integ_int"], 3)
    28.0
    """
    x = image[inside].astype(float)
    size = np.asarray(spacing, dtype=float)
    centre = (np.argwhere(mask) * size).mean(0)
    weighed = x @ (np.argwhere(inside) * size)
    apart = float(np.linalg.norm(weighed / x.sum() - centre)) if x.sum() else float("nan")
    moran, geary = autocorrelation(image, inside, spacing)
    return {
        "morph_com": apart,
        "morph_integ_int": float(x.mean()) * volume,
        "morph_moran_i": moran,
        "morph_geary_c": geary,
    }


def autocorrelation(image: np.ndarray, mask: np.ndarray, spacing: Spacing) -> tuple[float, float]:
    """Return Moran's I and Geary's C with inverse distances as weights.

    The sums over all pairs are products with the kernel 1 / distance in Fourier space: exact, and
    n log n instead of n2.

    Examples
    --------
    >>> pair = np.array([[[0.0, 1.0]]])
    >>> moran, geary = autocorrelation(pair, pair >= 0, (1, 1, 1))
    >>> round(moran, 6), round(geary, 6)
    (-1.0, 1.0)
    """
    from scipy.fft import next_fast_len, rfftn

    box = bounding_box(mask)
    m, count = mask[box].astype(float), int(mask.sum())
    x = np.where(mask[box], image[box], 0.0)
    mean = x.sum() / count
    centred = np.where(mask[box], x - mean, 0.0)
    spread = float((centred**2).sum())
    if count < 2 or spread <= 1e-24 * max(1.0, mean**2) * count:
        return float("nan"), float("nan")
    shape = [next_fast_len(2 * n - 1, real=True) for n in m.shape]
    kind = np.float32 if np.prod(shape) > SINGLE_FROM else np.float64
    kernel = rfftn(_inverse_distance(shape, spacing).astype(kind)).real
    region = rfftn(m.astype(kind), shape)
    wide = rfftn(centred.astype(kind), shape)
    weights = _product(region, region, kernel, shape)
    together = _product(wide, wide, kernel, shape)
    squares = _product(rfftn((centred**2).astype(kind), shape), region, kernel, shape)
    moran = count / weights * together / spread
    geary = (count - 1) / weights * (squares - together) / spread
    return moran, geary


def _inverse_distance(shape: list[int], spacing: Spacing) -> np.ndarray:
    """1 / distance of every shift on the periodic grid, 0 for none."""
    axes = [
        (np.minimum(np.arange(n), n - np.arange(n)) * float(step)) ** 2
        for n, step in zip(shape, spacing, strict=True)
    ]
    squared = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    squared[0, 0, 0] = np.inf
    return 1 / np.sqrt(squared)


def _product(a: np.ndarray, b: np.ndarray, kernel: np.ndarray, shape: list[int]) -> float:
    """Sum over pairs of a * kernel * b, from the half spectra (Parseval)."""
    values = (a * b.conj()).real * kernel
    whole = 2 * values.sum(dtype=np.float64) - values[..., 0].sum(dtype=np.float64)
    if shape[-1] % 2 == 0:
        whole -= values[..., -1].sum(dtype=np.float64)
    return float(whole / np.prod(shape))
