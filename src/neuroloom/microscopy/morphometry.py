"""Axons and their myelin, one by one: from two masks to the table that a paper reports.

Instances follow the conventions of AxonDeepSeg, so that tables can be compared row by row: axons
are 8-connected; fibres (axon and myelin) are flooded from one seed an axon, its centroid, down the
depth of the axon mask, 4-connected, within axon or myelin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
Shape = Literal["circle", "ellipse"]

AXON_COLUMNS = (
    "x0 (px)", "y0 (px)", "gratio", "axon_area (um^2)", "axon_perimeter (um)",
    "myelin_area (um^2)", "axon_diam (um)", "myelin_thickness (um)", "axonmyelin_area (um^2)",
    "axonmyelin_perimeter (um)", "solidity", "eccentricity", "orientation",
    "image_border_touching", "bbox_min_y", "bbox_min_x", "bbox_max_y", "bbox_max_x",
)  # fmt: skip
BOX = ("bbox_min_y", "bbox_min_x", "bbox_max_y", "bbox_max_x")
OF_MYELIN = (
    "gratio", "myelin_area (um^2)", "myelin_thickness (um)", "axonmyelin_area (um^2)",
    "axonmyelin_perimeter (um)",
)  # fmt: skip
TILE = 2048
LEAST_HALO = 256


def as_mask(image: ArrayLike, name: str = "mask") -> Mask:
    """Return a 2-D image as a mask.

    An 8-bit image is split at half its maximum, because edges drawn by hand are often smoothed;
    other integers and real numbers at zero.

    Raises
    ------
    DataError
        If it is not 2-D, or holds NaN.

    Examples
    --------
    >>> as_mask(np.array([[0, 255], [80, 200]], np.uint8)).tolist()
    [[False, True], [False, True]]
    """
    array = np.asarray(image)
    if array.ndim != 2:
        raise DataError(f"The {name} must be 2-D (y, x), got shape {array.shape}.")
    if array.dtype == bool:
        return array
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(f"The {name} holds NaN: a mask is 0 outside and above 0 inside.")
    limit = int(array.max(initial=0)) // 2 if array.dtype == np.uint8 else 0
    return array > limit


def label_axons(axon: Mask, connectivity: int = 8) -> Labels:
    """Return the axons numbered in reading order.

    Parameters
    ----------
    axon
        Shape (y, x).
    connectivity
        8 or 4 neighbours.

    Examples
    --------
    >>> label_axons(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)).max()
    np.int32(1)
    """
    from scipy.ndimage import label

    labels = np.empty(axon.shape, np.int32)
    label(axon, np.ones((3, 3), bool) if connectivity == 8 else None, output=labels)
    return labels


def find_seeds(axons: Labels, inside: Mask) -> NDArray[np.int64]:
    """Return the seed (y, x) of each axon: the pixel of its centroid.

    Where an axon is bent so far that its centroid lies outside every fibre, the seed is the pixel
    of the axon nearest to it.

    Parameters
    ----------
    axons
        Labels 1 … n, shape (y, x).
    inside
        Where fibres are, shape (y, x).

    Examples
    --------
    >>> axons = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0]], np.int32)
    >>> find_seeds(axons, axons > 0).tolist()
    [[0, 1]]
    """
    from skimage.measure import regionprops

    regions = regionprops(axons)
    seeds = np.zeros((len(regions), 2), np.int64)
    for row, region in enumerate(regions):
        seed = np.floor(region.centroid).astype(np.int64)
        if not inside[tuple(seed)]:
            pixels = region.coords
            far = np.square(pixels - np.asarray(region.centroid)).sum(axis=1)
            seed = pixels[far.argmin()]
        seeds[row] = seed
    return seeds


def label_fibres(axon: Mask, myelin: Mask, axons: Labels, tile: int = TILE) -> Labels:
    """Give every pixel of axon or myelin to the axon it belongs to.

    Myelin that no axon reaches stays 0. An image wider than one and a half tiles is flooded tile
    by tile. A tile sees a halo twice as wide as the longest axon, and at least 256 pixels: what a
    pixel becomes depends on nothing farther away, unless its myelin is thicker than that. Only
    where two axons are equally deep can a few pixels halfway between them fall to the other one.

    Parameters
    ----------
    axon, myelin
        Shape (y, x).
    axons
        Labels of the axons, shape (y, x).
    tile
        Width of a tile, pixels.

    Returns
    -------
    Labels, shape (y, x): the number of the axon.

    References
    ----------
    Zaimi et al. (2018), Scientific Reports 8, 3816: the instances of AxonDeepSeg.

    Examples
    --------
    >>> axon = np.zeros((5, 11), bool)
    >>> axon[2, 2] = axon[2, 8] = True
    >>> label_fibres(axon, ~axon, label_axons(axon))[2].tolist()
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    """
    inside = axon | myelin
    seeds = find_seeds(axons, inside)
    fibres = np.zeros(axon.shape, np.int32)
    for core, crop in tiles(axon.shape, tile, _halo(axons)):
        flooded = _flood(axon[crop], inside[crop], _plant(seeds, crop))
        own = tuple(
            slice(part.start - around.start, part.stop - around.start)
            for part, around in zip(core, crop, strict=True)
        )
        fibres[core] = flooded[own]
    return fibres


def tiles(
    shape: tuple[int, ...], tile: int, halo: int
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Yield the tiles of an image and, around each, what it may see.

    An image that is at most half as wide again as a tile is one tile.

    Examples
    --------
    >>> [(core[0].start, seen[0].stop) for core, seen in tiles((10, 3), 5, 1)]
    [(0, 6), (5, 10)]
    """
    steps = [size if size <= 1.5 * tile else tile for size in shape]
    counts = [-(-size // max(step, 1)) for size, step in zip(shape, steps, strict=True)]
    for place in np.ndindex(*counts):
        spans = list(zip(place, steps, shape, strict=True))
        core = tuple(slice(i * step, min((i + 1) * step, size)) for i, step, size in spans)
        seen = tuple(
            slice(max(part.start - halo, 0), min(part.stop + halo, size))
            for part, size in zip(core, shape, strict=True)
        )
        yield core, seen


def _halo(axons: Labels) -> int:
    from scipy.ndimage import find_objects

    boxes = [box for box in find_objects(axons) if box]
    longest = max((part.stop - part.start for box in boxes for part in box), default=0)
    return max(LEAST_HALO, 2 * longest)


def _plant(seeds: NDArray[np.int64], crop: tuple[slice, ...]) -> Labels:
    """Return an image of the seeds that lie in a crop; each has the number of its axon."""
    first = np.array([part.start for part in crop])
    shape = np.array([part.stop for part in crop]) - first
    markers = np.zeros(shape, np.int32)
    near = seeds - first
    within = np.flatnonzero(((near >= 0) & (near < shape)).all(axis=1))
    markers[near[within, 0], near[within, 1]] = within + 1
    return markers


def _flood(axon: Mask, inside: Mask, markers: Labels) -> Labels:
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import watershed

    if not markers.any():
        return np.zeros(axon.shape, np.int32)
    return watershed(-distance_transform_edt(axon), markers, mask=inside).astype(np.int32)


def morphometry(
    axon: ArrayLike, myelin: ArrayLike | None, pixel_size_um: float, shape: Shape = "circle"
) -> pd.DataFrame:
    """Measure every axon and its myelin sheath.

    Parameters
    ----------
    axon, myelin
        Masks of shape (y, x); `myelin=None` where the axons have none: then axons are 4-connected,
        and the columns that need myelin are NaN.
    pixel_size_um
        Width of a square pixel, um.
    shape
        What a diameter is: of the circle of equal area ("circle"), or the minor axis of the ellipse
        with equal second moments ("ellipse").

    Returns
    -------
    One row an axon, in reading order, with the columns `AXON_COLUMNS`. The g-ratio is axon over
    fibre diameter; the thickness of the myelin half the difference; the boxes (upper ends
    exclusive) and the border flag are those of the fibre. A bare axon has g-ratio 1; one whose seed
    another axon holds has NaN where a fibre is needed.

    Raises
    ------
    DataError
        If the masks differ in shape, or are not 2-D.
    ConfigError
        If the pixel size is not above zero.

    References
    ----------
    Zaimi et al. (2018), Scientific Reports 8, 3816.

    Examples
    --------
    >>> y, x = np.mgrid[:101, :101] - 50
    >>> far = np.hypot(y, x)
    >>> table = morphometry(far < 24, (far >= 24) & (far < 40), pixel_size_um=0.05)
    >>> round(table["gratio"][0], 2), round(table["axon_diam (um)"][0], 2)
    (np.float64(0.6), np.float64(2.39))
    """
    import pandas as pd
    from skimage.measure import regionprops

    axon_mask, myelin_mask = _checked(axon, myelin, pixel_size_um)
    axons = label_axons(axon_mask, connectivity=4 if myelin_mask is None else 8)
    fibres: dict[int, Any] = {}
    if myelin_mask is not None:
        labels = label_fibres(axon_mask, myelin_mask, axons)
        fibres = {region.label: region for region in regionprops(labels)}
    rows = [
        _of_axon(region, pixel_size_um, shape)
        | _of_fibre(region, fibres.get(region.label), pixel_size_um, shape)
        | _place(fibres.get(region.label, region).bbox, axons.shape)
        for region in regionprops(axons)
    ]
    table = pd.DataFrame(rows, columns=list(AXON_COLUMNS))
    return table.astype({"image_border_touching": bool} | dict.fromkeys(BOX, np.int64))


def _checked(axon: ArrayLike, myelin: ArrayLike | None, pixel: float) -> tuple[Mask, Mask | None]:
    if not (np.isfinite(pixel) and pixel > 0):
        raise ConfigError(f"pixel_size_um: must be above 0 um, got {pixel!r}.")
    first = as_mask(axon, "axon mask")
    second = None if myelin is None else as_mask(myelin, "myelin mask")
    if second is not None and second.shape != first.shape:
        raise DataError(
            f"The axon mask has shape {first.shape} and the myelin mask {second.shape}: they must "
            "be of the same image, pixel by pixel."
        )
    return first, second


def _of_axon(region: Any, pixel: float, shape: Shape) -> dict[str, float]:
    y, x = region.centroid
    return {
        "x0 (px)": x,
        "y0 (px)": y,
        "axon_area (um^2)": region.area * pixel**2,
        "axon_perimeter (um)": region.perimeter * pixel,
        "axon_diam (um)": _diameter(region, shape) * pixel,
        "solidity": region.solidity,
        "eccentricity": region.eccentricity,
        "orientation": region.orientation,
    }


def _of_fibre(axon: Any, fibre: Any, pixel: float, shape: Shape) -> dict[str, float]:
    if fibre is None:
        return dict.fromkeys(OF_MYELIN, float("nan"))
    inner, outer = _diameter(axon, shape), _diameter(fibre, shape)
    return {
        "gratio": inner / outer if outer > 0 else float("nan"),
        "myelin_area (um^2)": (fibre.area - axon.area) * pixel**2,
        "myelin_thickness (um)": (outer - inner) / 2 * pixel,
        "axonmyelin_area (um^2)": fibre.area * pixel**2,
        "axonmyelin_perimeter (um)": fibre.perimeter * pixel,
    }


def _place(box: tuple[int, ...], shape: tuple[int, ...]) -> dict[str, int | bool]:
    touches = box[0] == 0 or box[1] == 0 or box[2] == shape[0] or box[3] == shape[1]
    return {"image_border_touching": touches, **dict(zip(BOX, box, strict=True))}


def _diameter(region: Any, shape: Shape) -> float:
    if shape == "circle":
        return float(region.equivalent_diameter_area)
    if shape == "ellipse":
        return float(region.axis_minor_length)
    raise ConfigError(f"shape: must be 'circle' or 'ellipse', got {shape!r}.")


def write_tables(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table of axons as .xlsx or .csv, with AxonDeepSeg's headings and row numbers.

    Raises
    ------
    ConfigError
        If the name ends in neither.

    Examples
    --------
    >>> import tempfile
    >>> table = morphometry(np.ones((3, 3), bool), None, 1.0)
    >>> write_tables(table, Path(tempfile.mkdtemp()) / "axons.csv").name
    'axons.csv'
    """
    from neuroloom.core.files import write_atomic

    path = Path(path)
    if path.suffix.lower() == ".xlsx":
        return write_atomic(path, lambda partial: table.to_excel(partial))
    if path.suffix.lower() == ".csv":
        return write_atomic(path, lambda partial: table.to_csv(partial, na_rep="NaN"))
    raise ConfigError(f"A table of axons is written as .xlsx or .csv, got '{path.name}'.")
