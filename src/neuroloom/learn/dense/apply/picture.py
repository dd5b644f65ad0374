"""A picture of one prediction for whoever checks it: three planes, classes in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neuroloom.learn.dense.figures import planes

HEIGHT = 256  # pixels, about
GAP = 4
FILL = 0.35  # how much of the colour is seen inside of a class; its rim is all colour


def picture(
    image: np.ndarray, label: np.ndarray, spacing: Sequence[float], shades: Mapping[int, str]
) -> np.ndarray:
    """Return an image with its label as pixels (y, x, 3), uint8.

    A volume is cut where most of the label lies, seen from below, from the front and from a side.
    What has more than 2000 pixels along an edge is drawn smaller (`figures.planes`).

    Parameters
    ----------
    image, label
        Grey values and class numbers (*axes), on one grid.
    spacing
        Size of a voxel along each axis: the picture has the proportions of the tissue.
    shades
        Label value -> colour, as `figures.shades_of` has it.

    Examples
    --------
    >>> label = np.zeros((10, 20, 30), int)
    >>> label[4:6, 8:12, 10:20] = 1
    >>> made = picture(label * 7.0, label, (2.0, 1.0, 1.0), {1: "tab:blue"})
    >>> made.shape[0], made.dtype.name
    (240, 'uint8')
    """
    seen = planes(image, [label], spacing)
    shown = np.concatenate([plane.image.ravel() for plane in seen])
    shown = shown[np.isfinite(shown)]
    low, high = np.quantile(shown, (0.005, 0.995)) if shown.size else (0.0, 1.0)
    drawn = []
    for plane in seen:
        grey = np.nan_to_num(np.clip((plane.image - low) / max(high - low, 1e-6), 0, 1))
        drawn.append(_square(_coloured(grey, plane.labels[0], shades), plane.size))
    if label.ndim == 3:
        drawn = [plane[::-1] for plane in drawn]
    times = max(1, HEIGHT // max(plane.shape[0] for plane in drawn))
    return _side_by_side([plane.repeat(times, 0).repeat(times, 1) for plane in drawn])


def write_picture(
    path: Path,
    image: np.ndarray,
    label: np.ndarray,
    spacing: Sequence[float],
    shades: Mapping[int, str],
) -> None:
    """Write the picture as PNG."""
    from PIL import Image

    Image.fromarray(picture(image, label, spacing, shades)).save(path)


def _coloured(grey: np.ndarray, label: np.ndarray, shades: Mapping[int, str]) -> np.ndarray:
    """Return (y, x, 3) uint8 with every class tinted and its rim in full colour."""
    from matplotlib.colors import to_rgb
    from scipy import ndimage

    out = np.repeat(np.round(255 * grey).astype(np.uint8)[..., None], 3, -1)
    for value in (int(v) for v in np.unique(label) if v > 0):
        mask, shade = label == value, 255 * np.array(to_rgb(shades[value]))
        out[mask] = np.round((1 - FILL) * out[mask] + FILL * shade)
        out[mask & ~ndimage.binary_erosion(mask)] = np.round(shade)
    return out


def _square(plane: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """Return the plane on square pixels as small as the finer side."""
    rows, columns = (
        np.minimum((np.arange(round(n * s / min(size))) * min(size) / s).astype(int), n - 1)
        for n, s in zip(plane.shape[:2], size, strict=True)
    )
    return plane[rows][:, columns]


def _side_by_side(planes: Sequence[np.ndarray]) -> np.ndarray:
    height = max(plane.shape[0] for plane in planes)
    width = sum(plane.shape[1] for plane in planes) + GAP * (len(planes) - 1)
    out, start = np.zeros((height, width, 3), np.uint8), 0
    for plane in planes:
        top = (height - plane.shape[0]) // 2
        out[top : top + plane.shape[0], start : start + plane.shape[1]] = plane
        start += plane.shape[1] + GAP
    return out
