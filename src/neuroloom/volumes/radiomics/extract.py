"""All features of one region: the chain of the IBSI from an image and a mask to named numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from neuroloom.core.blocks import bounding_box
from neuroloom.core.errors import DataError
from neuroloom.volumes.radiomics.features import discretise
from neuroloom.volumes.radiomics.features.intensity import (
    histogram,
    local_peaks,
    statistics,
    volume_curve,
)
from neuroloom.volumes.radiomics.features.shape import morphology
from neuroloom.volumes.radiomics.features.texture import FAMILIES, MODES, texture

Spacing = tuple[float, float, float]
ALL_FAMILIES = ("morph", "loc", "stat", "ih", "ivh", *FAMILIES)
IVH_BINS = 1000


@dataclass(frozen=True)
class Chain:
    """What is done to an image before features are measured; the defaults suit any unit.

    Attributes
    ----------
    spacing
        Voxel size (z, y, x) to interpolate to, mm; None keeps the grid.
    order
        Of the image's interpolation: 1 trilinear, 3 cubic. The mask's is trilinear, cut at 0.5.
    whole
        Round interpolated intensities to whole numbers, as a CT's are.
    inside
        Re-segmentation: intensities that stay in the region; an end may be infinite.
    outliers
        Re-segmentation: standard deviations from the mean that stay.
    method
        "number": `bins` of equal width over the region's range; "width": bins of `width` from the
        lower end of `inside`, else the smallest value; "none": intensities are levels.
    bins, width
        How many, or how wide (in the image's unit).
    ivh
        The intensity-volume curve: "continuous" over 1000 bins of the range, its intensities bin
        numbers; "definite" in steps of 1; "width" over bins of `ivh_width`, at their middles.
    families, modes
        Which features; see `texture` for the modes.
    """

    spacing: Spacing | None = None
    order: int = 1
    whole: bool = False
    inside: tuple[float, float] | None = None
    outliers: float | None = None
    method: Literal["number", "width", "none"] = "number"
    bins: int = 32
    width: float = 25.0
    ivh: Literal["continuous", "definite", "width"] = "continuous"
    ivh_width: float = 2.5
    families: tuple[str, ...] = ALL_FAMILIES
    modes: tuple[str, ...] = MODES

    def ends(self, x: np.ndarray) -> tuple[float, float]:
        """Return the ends of `inside`, those of the values where it is open or not given.

        Examples
        --------
        >>> Chain(inside=(-np.inf, 400)).ends(np.array([-7.0, 90.0]))
        (-7.0, 400.0)
        """
        low, high = self.inside or (-np.inf, np.inf)
        return (
            float(low if np.isfinite(low) else x.min()),
            float(high if np.isfinite(high) else x.max()),
        )


@dataclass(frozen=True)
class Measured:
    """Features of a region, and why some have no value.

    Attributes
    ----------
    values
        IBSI tag -> number, NaN where undefined.
    reasons
        Tag -> why it is NaN.
    notes
        Counts of voxels along the chain.
    """

    values: dict[str, float]
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Region:
    """An image on the grid where it is measured, and the region there.

    Attributes
    ----------
    image
        Interpolated intensities (z, y, x), or a filter's response to them.
    mask
        The region, bool, that its form is of.
    kept
        What re-segmentation left of it, by the intensities.
    spacing
        Size of a voxel (z, y, x), mm.
    """

    image: np.ndarray
    mask: np.ndarray
    kept: np.ndarray
    spacing: Spacing


def extract(
    image: np.ndarray, mask: np.ndarray, spacing: Spacing, chain: Chain | None = None
) -> Measured:
    """Return the features of a region.

    Parameters
    ----------
    image
        Intensities (z, y, x).
    mask
        The region, on the same grid; what is not 0 is inside.
    spacing
        Size of a voxel (z, y, x), mm.
    chain
        Processing; the defaults if None.

    Raises
    ------
    DataError
        If the grids differ, the mask is empty or a single voxel, or an intensity is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = extract(rng.random((6, 6, 6)), np.ones((6, 6, 6), bool), (1.0, 1.0, 1.0))
    >>> len(found.values), found.reasons
    (487, {})
    """
    chain = chain or Chain()
    return measure(delineate(image, mask, spacing, chain), chain)


def delineate(image: np.ndarray, mask: np.ndarray, spacing: Spacing, chain: Chain) -> Region:
    """Interpolate image and mask, and re-segment the mask by the intensities; see `extract`.

    Examples
    --------
    >>> image = np.arange(8.0).reshape(2, 2, 2)
    >>> found = delineate(image, image >= 0, (1.0, 1.0, 1.0), Chain(inside=(2, 5)))
    >>> int(found.mask.sum()), int(found.kept.sum())
    (8, 4)
    """
    region = np.asarray(mask) != 0
    check_region(image, region, spacing)
    x, region, size = _on_grid(np.asarray(image, float), region, spacing, chain)
    _require_finite(x[region])
    return Region(x, region, discretise.resegment(x, region, chain.inside, chain.outliers), size)


def measure(region: Region, chain: Chain) -> Measured:
    """Return the features of a region that is delineated; see `extract`."""
    x, mask, kept = region.image, region.mask, region.kept
    values = _plain(x, mask, kept, region.spacing, chain) | _discretised(x, mask, kept, chain)
    order = {name: rank for rank, name in enumerate(ALL_FAMILIES)}
    values = dict(sorted(values.items(), key=lambda item: order[item[0].split("_", 1)[0]]))
    notes = {"voxels": float(mask.sum()), "voxels_resegmented": float(kept.sum())}
    return Measured(values, _reasons(values, x[kept]), notes)


def measure_response(region: Region, name: str, chain: Chain) -> Measured:
    """Return the features of a filter's response on the grid of a region (IBSI 2).

    The filter works on the interpolated image, and the region is the one that the intensities
    left. Responses have no unit: their bins are counted, and the region's form is not theirs.

    Parameters
    ----------
    name
        Of the filter; see `features.filters.parse`.

    Raises
    ------
    DataError
        If NaN beside the region reach into its responses.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((6, 6, 6))
    >>> chain = Chain(families=("morph", "stat"))
    >>> found = delineate(image, image > 0.2, (1.0, 1.0, 1.0), chain)
    >>> "stat_mean" in measure_response(found, "mean:3", chain).values
    True
    """
    from neuroloom.volumes.radiomics.features.filters import respond

    response = respond(region.image, name, region.spacing)
    _require_finite(response[region.kept], f" of the response to {name}")
    families = tuple(family for family in chain.families if family != "morph")
    counted = replace(chain, families=families, method="number", ivh="continuous")
    return measure(replace(region, image=response), counted)


def check_region(image: np.ndarray, mask: np.ndarray, spacing: Spacing) -> None:
    """Refuse what no feature can be measured of.

    Raises
    ------
    DataError
        Saying what was expected and what came.
    """
    if image.ndim != 3:
        raise DataError(
            f"Radiomics expects a volume (z, y, x), got an array of shape {image.shape}."
        )
    if image.shape != mask.shape:
        raise DataError(
            f"The mask's grid {mask.shape} is not the image's {image.shape}: resample the mask to "
            "the image, or choose the mask that was drawn on it."
        )
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise DataError(f"The voxel size must be three positive lengths in mm, got {spacing}.")
    count = int(mask.sum())
    if count == 0:
        raise DataError("The mask is empty: no voxel is in the region.")
    if count == 1:
        raise DataError("The mask holds one voxel: it has neither a shape nor a texture.")
    _require_finite(image[mask])


def _require_finite(x: np.ndarray, what: str = "") -> None:
    lost = int((~np.isfinite(x)).sum())
    if lost:
        raise DataError(
            f"{lost} of the region's {x.size} intensities{what} are not finite numbers. Mend them; "
            "interpolation and filters also need what lies beside the region."
        )


def _on_grid(
    image: np.ndarray, mask: np.ndarray, spacing: Spacing, chain: Chain
) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Interpolate where asked for."""
    if chain.spacing is None:
        return image, mask, spacing
    image = discretise.interpolate(image, spacing, chain.spacing, chain.order)
    region = discretise.interpolate(mask, spacing, chain.spacing, 1) >= 0.5
    if region.sum() < 2:
        raise DataError(
            f"The region has {int(region.sum())} voxels left at {chain.spacing} mm: choose a finer "
            "spacing."
        )
    return np.rint(image) if chain.whole else image, region, chain.spacing


def _plain(
    x: np.ndarray, region: np.ndarray, kept: np.ndarray, size: Spacing, chain: Chain
) -> dict[str, float]:
    """Features of the intensities as they are."""
    found: dict[str, float] = {}
    if "morph" in chain.families:
        found |= morphology(x, region, size, kept)
    if "loc" in chain.families:
        found |= local_peaks(x, kept, size)
    if "stat" in chain.families:
        found |= statistics(x[kept])
    if "ivh" in chain.families:
        found |= volume_curve(*_curve(x[kept], chain))
    return found


def _curve(x: np.ndarray, chain: Chain) -> tuple[np.ndarray, float, float, float]:
    """Return the values that the curve is of, its lowest and highest, and its step (IBSI 3.5)."""
    if chain.ivh == "continuous":
        # Without a unit the curve is one of bin numbers, as in the reference values.
        flat = np.ptp(x) == 0
        return discretise.bin_number(x, IVH_BINS), 1.0, 1.0 if flat else float(IVH_BINS), 1.0
    low, high = chain.ends(x)
    if chain.ivh == "definite":
        return x, low, high, 1.0
    step = chain.ivh_width
    middle = low + (np.floor((x - low) / step) + 0.5) * step
    last = low + (np.ceil((high - low) / step) - 0.5) * step
    return middle, low + step / 2, max(last, float(middle.max())), step


def _discretised(
    x: np.ndarray, region: np.ndarray, kept: np.ndarray, chain: Chain
) -> dict[str, float]:
    """Features of grey levels."""
    if not {"ih", *FAMILIES} & set(chain.families):
        return {}
    values = x[kept]
    if chain.method == "number":
        level = discretise.bin_number(values, chain.bins)
    elif chain.method == "width":
        low, _ = chain.ends(values)
        level = discretise.bin_size(values, chain.width, low)
    else:
        level = discretise.whole_levels(values)
    box = bounding_box(region)
    levels = np.zeros(x.shape, np.int64)
    levels[kept] = level
    found = histogram(level) if "ih" in chain.families else {}
    families = [name for name in FAMILIES if name in chain.families]
    return found | texture(levels[box], region[box], families, chain.modes)


def _reasons(values: dict[str, float], x: np.ndarray) -> dict[str, str]:
    """Say why features have no value."""
    constant = "every voxel of the region has the same intensity" if np.ptp(x) == 0 else ""
    reason = constant or "the region is too small or too flat: nothing of this kind is in it"
    return {tag: reason for tag, value in values.items() if not np.isfinite(value)}
