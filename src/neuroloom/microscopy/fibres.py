"""From labels of axons and myelin to counts, masks and tables of single axons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.learn.dense.measures.overlap import without_ignored
from neuroloom.microscopy.morphometry import label_axons, label_fibres, morphometry
from neuroloom.microscopy.objects import OPEN, without_open

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset

LEAST_AXON = 0.05  # of the area of the median axon: less is a speck and no axon
SUMS = {
    "axons": "axons",
    "median_diameter": "median axon diameter",
    "median_gratio": "median g-ratio",
    "axon_density": "axon density",
    "axon_area_fraction": "axon area fraction",
    "myelin_area_fraction": "myelin area fraction",
    "aggregate_gratio": "aggregate g-ratio",
}  # name here -> measure of `measures.density_table`
UNITS = {"um": 1.0, "mm": 1000.0, "px": 1.0}


def masks_of(label: ArrayLike, facts: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the masks of axons and of myelin of a label (y, x)."""
    array, parts = np.asarray(label), facts["parts"]
    return np.isin(array, parts["axon"]), np.isin(array, parts["myelin"])


def without_specks(axon: NDArray[Any]) -> NDArray[Any]:
    """Return the mask without pieces that are far smaller than the median axon.

    Examples
    --------
    >>> mask = np.zeros((9, 40), bool)
    >>> mask[1:8, 1:8] = mask[1:8, 11:18] = mask[1:8, 21:28] = mask[4, 35] = True
    >>> int(mask.sum() - without_specks(mask).sum())
    1
    """
    numbers = label_axons(axon)
    sizes = np.bincount(numbers.ravel())
    if len(sizes) < 2:
        return axon
    large = sizes >= LEAST_AXON * np.median(sizes[1:])
    large[0] = False
    kept: NDArray[Any] = large[numbers]
    return kept


def count_axons(label: ArrayLike, facts: dict[str, Any]) -> int:
    """Return the number of axons of a label (y, x), specks left out."""
    axon, _ = masks_of(label, facts)
    return int(label_axons(without_specks(axon)).max(initial=0))


def where_known(
    truth: ArrayLike, found: ArrayLike, facts: dict[str, Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a true and a found label (y, x) with 0 where the true one is left open.

    What is left of a found axon that lies mostly there goes too, unless it meets a true one.

    Examples
    --------
    >>> facts = {"ignore": 9, "parts": {"axon": [2], "myelin": [1]}}
    >>> where_known([[9, 9, 9, 0, 1, 2]], [[2, 2, 2, 2, 0, 2]], facts)[1].tolist()
    [[0, 0, 0, 0, 0, 2]]
    """
    known = without_ignored(truth, found, facts["ignore"])
    if facts["ignore"] is None:
        return known
    numbers = [label_axons(masks_of(label, facts)[0]) for label in (truth, found)]
    numbers[0][np.asarray(truth) == facts["ignore"]] = OPEN
    gone = (without_open(*numbers)[1] == 0) & (numbers[1] > 0)
    return known[0], np.where(gone, 0, known[1])


def table_of(
    label: ArrayLike,
    dataset: Dataset,
    row: int,
    shape: Literal["circle", "ellipse"],
    within: NDArray[Any] | None = None,
) -> pd.DataFrame:
    """Return the table of the axons of an image, in um; in pixels where their size is unknown.

    Parameters
    ----------
    label
        Shape (y, x).
    within
        Mask of the part of the image that is known: where it ends, it cuts axons as the border of
        the image does. None: all is.
    """
    axon, myelin = masks_of(label, dataset.facts)
    axon = without_specks(axon)
    table = morphometry(axon, myelin, width_of(dataset, row), shape)
    if within is not None:
        fibres = label_fibres(axon, myelin, label_axons(axon))
        cut = np.unique(fibres[_beside(~within)])
        table.loc[cut[cut > 0] - 1, "image_border_touching"] = True
    return table


def _beside(mask: NDArray[Any]) -> NDArray[Any]:
    from scipy import ndimage

    found: NDArray[Any] = ndimage.binary_dilation(mask)
    return found


def width_of(dataset: Dataset, row: int) -> float:
    """Return the width of an image's pixels, um; 1 where no image says how wide they are."""
    width = float(dataset.x.spacing(dataset.x[row])[-1])  # type: ignore[attr-defined]
    return width * UNITS[dataset.facts["unit"]]


def sum_up(
    table: pd.DataFrame,
    label: ArrayLike,
    dataset: Dataset,
    row: int,
    *,
    known: bool,
    within: NDArray[Any] | None = None,
) -> dict[str, float]:
    """Return how many axons an image has, their medians, and how densely they and myelin lie.

    Parameters
    ----------
    table
        The image's own, as from `table_of`.
    label
        Shape (y, x).
    known
        Whether the size of a pixel is: else there is no density, only shares of the area.
    within
        Mask of the part of the image that is counted, (y, x); None: all is.

    Returns
    -------
    Keys of `SUMS`. Axon density is axons per mm^2; see `measures.density_table` for the others.
    """
    from neuroloom.microscopy.measures import density_table

    axon, myelin = masks_of(label, dataset.facts)
    whole = table.astype({"image_border_touching": bool})
    found = density_table(whole, without_specks(axon), myelin, width_of(dataset, row), within)
    values = found.set_index("measure")["value"]
    sums = {name: float(values[measure]) for name, measure in SUMS.items()}
    sums["axons"] = int(sums["axons"])
    return sums if known else sums | {"axon_density": float("nan")}


def write_masks(folder: Path, name: str, label: ArrayLike, dataset: Dataset, row: int) -> None:
    """Write what AxonDeepSeg writes, under its names: two masks, and one file of both classes.

    The masks are 0 and 255; in the file of both myelin is 127 and axons are 255.
    """
    from neuroloom.io.images import write_image

    axon, myelin = masks_of(label, dataset.facts)
    like = dataset.x[row].recording()
    files = {"axon": 255 * axon, "myelin": 255 * myelin, "axonmyelin": both(axon, myelin)}
    for word, greys in files.items():
        write_image(folder / f"{name}_seg-{word}.png", greys.astype(np.uint8), like=like)


def both(axon: NDArray[Any], myelin: NDArray[Any]) -> NDArray[np.uint8]:
    """Return one grey image of both masks, as AxonDeepSeg draws it.

    Examples
    --------
    >>> both(np.array([False, False, True]), np.array([False, True, False])).tolist()
    [0, 127, 255]
    """
    return np.where(axon, 255, np.where(myelin, 127, 0)).astype(np.uint8)


def globs_of_masks(data: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return globs of images and of their axon and myelin masks, where names tell them.

    Nothing is returned unless every image has one mask of each, called as the image is and then
    the word: a.png, a_seg-axon.png, a_seg-myelin.png.
    """
    from neuroloom.io.cases.layouts import listed
    from neuroloom.io.images import image_stem, image_suffix

    if not data.is_dir() or any(data.glob("sub-*")):
        return {}, {}
    files = listed(data)
    stems = {file: image_stem(file.rsplit("/", 1)[-1]) for file in files}
    words = {word: [f for f in files if re.search(rf"{word}(?!myelin)", stems[f])]
             for word in ("axon", "myelin")}  # fmt: skip
    words["myelin"] = [file for file in words["myelin"] if "axonmyelin" not in stems[file]]
    tails = {word: {_tail(stems[f], stems, files) + image_suffix(f) for f in own}
             for word, own in words.items()}  # fmt: skip
    if any(len(own) != 1 or not next(iter(own)).strip(".") for own in tails.values()):
        return {}, {}
    images = [f for f in files if not re.search("axon|myelin", stems[f])]
    places = {f.rsplit("/", 1)[0] + "/" if "/" in f else "" for f in images}
    if len(places) != 1 or len(images) != len(words["axon"]):
        return {}, {}
    labels = {word: f"*{next(iter(tail))}" for word, tail in tails.items()}
    return {"image": f"{places.pop()}*{image_suffix(images[0])}"}, labels


def _tail(stem: str, stems: dict[str, str], files: list[str]) -> str:
    """Return what a mask's name adds to that of its image."""
    owners = [stems[f] for f in files if stem.startswith(stems[f]) and stems[f] != stem]
    return stem.removeprefix(max(owners, key=len)) if owners else ""
