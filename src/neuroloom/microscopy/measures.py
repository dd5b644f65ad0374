"""Numbers that papers on nerves report: densities, calibres, fascicles. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from neuroloom.core.errors import DataError
from neuroloom.microscopy.morphometry import as_mask, label_axons

if TYPE_CHECKING:
    import pandas as pd

CALIBRES_UM = (0.5, 1.0, 1.25, 1.5, 1.75)


def density_table(
    table: pd.DataFrame,
    axon: ArrayLike,
    myelin: ArrayLike | None,
    pixel_size_um: float,
    nerve: ArrayLike | None = None,
) -> pd.DataFrame:
    """Sum up an image: how many axons, how much axon and myelin, and typical sizes.

    Parameters
    ----------
    table
        As from `morphometry`; with `nerve` the rows that `nerve_morphometry` leaves.
    axon, myelin
        The masks it came from.
    pixel_size_um
        Width of a pixel, um.
    nerve
        Mask of the fascicles: what lies outside them is no part of the image; None: all is.

    Returns
    -------
    Columns measure, value, unit. The aggregate g-ratio is sqrt(1 / (1 + MVF / AVF)), of the
    fractions of the image's area that are myelin and axon. Medians leave out axons at the border,
    which are cut; axons whose g-ratio is 1 have no myelin and count as bare. Density and fractions
    are NaN where `nerve` leaves no pixel.

    References
    ----------
    Stikov et al. (2015), NeuroImage 118, 397-405: the aggregate g-ratio.

    Examples
    --------
    >>> from neuroloom.microscopy.morphometry import morphometry
    >>> y, x = np.mgrid[:101, :101] - 50
    >>> axon, myelin = np.hypot(y, x) < 24, (np.hypot(y, x) >= 24) & (np.hypot(y, x) < 40)
    >>> found = density_table(morphometry(axon, myelin, 0.05), axon, myelin, 0.05)
    >>> round(found.set_index("measure")["value"]["aggregate g-ratio"], 2)
    np.float64(0.6)
    """
    import pandas as pd

    inner = as_mask(axon)
    sheath = np.zeros_like(inner) if myelin is None else as_mask(myelin) & ~inner
    within = np.ones_like(inner) if nerve is None else as_mask(nerve, "nerve mask")
    inner, sheath = inner[within], sheath[within]
    nan = float("nan")
    area = inner.size or nan  # pixels
    pixel_mm2 = (pixel_size_um / 1000) ** 2
    avf, mvf = float(inner.sum() / area), float(sheath.sum() / area)
    whole = table[~table["image_border_touching"]]
    orphans = sheath.sum() * pixel_size_um**2 - table["myelin_area (um^2)"].sum()
    rows = [
        ("axons", len(table), "count"),
        ("axons at the border", int(table["image_border_touching"].sum()), "count"),
        ("bare axons", int((table["gratio"] == 1).sum()), "count"),
        ("axon density", len(table) / (area * pixel_mm2), "1/mm^2"),
        ("axon area fraction", avf, ""),
        ("myelin area fraction", mvf, ""),
        ("myelin without axon", max(float(orphans), 0.0), "um^2"),
        ("aggregate g-ratio", np.sqrt(avf / (avf + mvf)) if avf + mvf > 0 else nan, ""),
        ("median g-ratio", whole["gratio"].median(), ""),
        ("median axon diameter", whole["axon_diam (um)"].median(), "um"),
        ("median myelin thickness", whole["myelin_thickness (um)"].median(), "um"),
        ("median eccentricity", whole["eccentricity"].median(), ""),
    ]
    found = pd.DataFrame(rows, columns=["measure", "value", "unit"])
    return found.astype({"value": float})


def calibre_table(table: pd.DataFrame, edges: Sequence[float] = CALIBRES_UM) -> pd.DataFrame:
    """Sum up axons by calibre: count, mean and SD of diameter, thickness and g-ratio.

    Parameters
    ----------
    table
        As from `morphometry`.
    edges
        Lower ends of the classes, um; the last is open upwards, thinner axons count below the
        first.

    Examples
    --------
    >>> from neuroloom.microscopy.morphometry import morphometry
    >>> table = morphometry(np.ones((9, 9), bool), None, 0.1)
    >>> calibre_table(table)[["calibre (um)", "axons"]].to_dict("records")[1]
    {'calibre (um)': '0.5-1', 'axons': 0}
    """
    import pandas as pd

    ends = [0.0, *edges, float("inf")]
    rows: list[dict[str, Any]] = []
    for low, high in pairwise(ends):
        diameter = table["axon_diam (um)"]
        own = table[(diameter >= low) & (diameter < high)]
        name = f"{low:g} and more" if high == float("inf") else f"{low:g}-{high:g}"
        row: dict[str, Any] = {"calibre (um)": name, "axons": len(own)}
        for column in ("axon_diam (um)", "myelin_thickness (um)", "gratio"):
            row |= {f"{column} mean": own[column].mean(), f"{column} SD": own[column].std()}
        rows.append(row)
    return pd.DataFrame(rows)


def nerve_morphometry(
    table: pd.DataFrame, nerve: ArrayLike, pixel_size_um: float
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure fascicles and how densely axons lie in them.

    Parameters
    ----------
    table
        As from `morphometry`.
    nerve
        Mask of the fascicles, shape (y, x); each connected piece is one.
    pixel_size_um
        Width of a pixel, um.

    Returns
    -------
    What AxonDeepSeg's JSON file of a nerve holds (areas in um^2, densities in axons per um^2), and
    the rows of `table` whose centroid lies in a fascicle.

    Raises
    ------
    DataError
        If the mask is empty, or smaller than the image the axons are from.

    Examples
    --------
    >>> from neuroloom.microscopy.morphometry import morphometry
    >>> axon = np.zeros((20, 20), bool)
    >>> axon[4:6, 4:6] = axon[15:17, 15:17] = True
    >>> nerve = np.zeros((20, 20), bool)
    >>> nerve[:10, :10] = True
    >>> found, inside = nerve_morphometry(morphometry(axon, None, 1.0), nerve, 1.0)
    >>> found["total_axon_density"]["value"], len(inside)
    (0.01, 1)
    """
    mask = as_mask(nerve, "nerve mask")
    if not mask.any():
        raise DataError("The nerve mask is empty: draw the fascicles, or leave it out.")
    y, x = (np.floor(table[name]).astype(int).to_numpy() for name in ("y0 (px)", "x0 (px)"))
    if len(table) and (y.max() >= mask.shape[0] or x.max() >= mask.shape[1]):
        raise DataError(
            f"The nerve mask has shape {mask.shape}, but an axon lies at y={y.max()}, x={x.max()}: "
            "it must be of the same image as the axons."
        )
    fascicles = label_axons(mask)
    home = fascicles[y, x]
    areas = np.bincount(fascicles.ravel())[1:] * pixel_size_um**2
    counts = np.bincount(home, minlength=len(areas) + 1)[1:]
    parts = {
        str(i): _quantity(area, "um^2") | {"axon_density": _quantity(n / area, "axon/um^2")}
        for i, (area, n) in enumerate(zip(areas, counts, strict=True))
    }
    found = {
        "fascicle_areas": parts,
        "total_area": _quantity(areas.sum(), "um^2"),
        "total_axon_density": _quantity(counts.sum() / areas.sum(), "axon/um^2"),
    }
    return found, table[home > 0].reset_index(drop=True)


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": float(value), "unit": unit}
