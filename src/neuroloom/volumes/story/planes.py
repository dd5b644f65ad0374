"""Pictures of images and volumes: three planes of a volume, one of an image, with an overlay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.learn import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = ("axial", "coronal", "sagittal")


@figures.styled
def planes(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    overlays: Sequence[np.ndarray] | None = None,
    *,
    spacing: Sequence[float] | None = None,
) -> Figure:
    """Draw images in rows; a volume through the middle, or through the overlay's peak.

    Parameters
    ----------
    images
        Each (*axes), two or three of them.
    titles
        One an image, written beside it.
    overlays
        Maps (*axes) from 0 to 1.
    spacing
        Size of a place along each axis, for the aspect of the pictures.

    Examples
    --------
    >>> figure = planes([np.zeros((4, 5, 6))], ["one"])
    >>> len(figure.axes)
    3
    """
    columns = 3 if images[0].ndim == 3 else 1
    figure, axes = figures.canvas(
        1.55 * len(images) + 0.2, rows=len(images), columns=columns, squeeze=False
    )
    for row, image in enumerate(images):
        overlay = None if overlays is None else overlays[row]
        _draw_row(axes[row], image, overlay, spacing or (1.0,) * image.ndim)
        axes[row, 0].set_ylabel(titles[row], rotation=0, ha="right", va="center", fontsize=7)
    for column in range(columns if columns > 1 else 0):
        axes[0, column].set_title(PLANES[column], fontsize=7)
    return figure


def _draw_row(
    axes: Any, image: np.ndarray, overlay: np.ndarray | None, spacing: Sequence[float]
) -> None:
    low, high = np.quantile(image, (0.01, 0.99))
    for column, (cut, step) in enumerate(_cuts(image, overlay)):
        along = [size for axis, size in enumerate(spacing) if axis != step]
        words: dict[str, Any] = {
            "aspect": along[0] / along[1],
            "origin": "lower" if image.ndim == 3 else "upper",
            "interpolation": "nearest",
        }
        axes[column].imshow(image[cut], cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **words)
        if overlay is not None:
            shown = np.ma.masked_less(overlay[cut], 0.15)
            axes[column].imshow(shown, cmap="inferno", vmin=0, vmax=1, alpha=0.45, **words)
        axes[column].set_xticks([])
        axes[column].set_yticks([])


def _cuts(image: np.ndarray, overlay: np.ndarray | None) -> list[tuple[tuple[Any, ...], int]]:
    """Return the index of each plane and the axis it is across (-1 for an image)."""
    if image.ndim == 2:
        return [((slice(None), slice(None)), -1)]
    middle = tuple(size // 2 for size in image.shape)
    if overlay is not None and overlay.max() > 0:
        middle = tuple(int(i) for i in np.unravel_index(int(overlay.argmax()), image.shape))
    out = []
    for axis in range(3):
        index: list[Any] = [slice(None)] * 3
        index[axis] = middle[axis]
        out.append((tuple(index), axis))
    return out
