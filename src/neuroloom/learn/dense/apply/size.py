"""At what size a net knows an image best: things of another animal may be twice as large.

A net meets things in training as large as they are there, made somewhat smaller and larger. Where
a new image shows them at half or twice that size, the net is unsure of much of it, and says so: the
size at which it is surest is taken, without asking any label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.dense.measures.doubt import entropy, near_border
from neuroloom.learn.dense.planning.resample import resample_image

Image = NDArray[np.float32]
SLICES = 4  # of a stack, that are looked at to choose
LEAST = 32  # pixels of an edge: a smaller image says too little
RIM = 2  # pixels beside a border in which any net is unsure


def surest(
    look: Callable[[Image], Any], image: Image, sizes: Sequence[float], *, regions: bool = False
) -> float:
    """Return the size at which a net is surest of a picture.

    That is where the geometric mean of two mean entropies is lowest: that of all pixels, which by
    itself leans to large sizes, for borders fill less of a large picture, and that of pixels away
    from the borders found, which leans to small ones. In eight pairs of a net and a picture of
    axons (five nets, the same tissue or another animal) their mean chose the size of the best Dice,
    or its neighbour, each time.

    Parameters
    ----------
    look
        From a picture (channel, y, x) to probabilities (class, y, x), at any size.
    image
        (channel, y, x), or a stack (channel, z, y, x), of which a few slices are looked at.
    sizes
        Factors to try, each at most once; 1 leaves the picture as it is.
    regions
        As for `doubt.entropy`.

    Examples
    --------
    A net that knows stripes four pixels apart, and is shown some that lie eight apart:

    >>> stripes = np.tile(np.sin(np.arange(128) * np.pi / 4), (128, 1)).astype("f4")[None]
    >>> def look(x):
    ...     apart = x.shape[-1] / np.argmax(abs(np.fft.rfft(x[0, 0] - x[0, 0].mean())))
    ...     sure = 1 - 0.4 * min(1, abs(apart - 4) / 4)
    ...     return np.full((2, *x.shape[1:]), 0.0) + np.array([sure, 1 - sure])[:, None, None]
    >>> surest(look, stripes, (0.5, 1.0, 1.5))
    0.5
    """
    pictures = _some_slices(image)
    doubts = {}
    for size in sizes:
        if size != 1 and min(pictures[0].shape[-2:]) * size < LEAST:
            continue
        doubts[size] = float(np.mean([_doubt(look(resized(p, size)), regions) for p in pictures]))
    return min(doubts, key=doubts.__getitem__, default=1.0)


def _doubt(p: NDArray[np.floating], regions: bool) -> float:
    h = entropy(p, regions=regions)
    found = p > 0.5 if regions else p.argmax(0)[None]
    away = ~np.any([near_border(each, RIM) for each in found], axis=0)
    everywhere = float(h.mean())
    return float(np.sqrt(everywhere * h[away].mean())) if away.any() else everywhere


def resized(image: Image, size: float, axes: int = 2) -> Image:
    """Return an image (channel, *axes) whose last `axes` have `size` times as many pixels.

    Examples
    --------
    >>> resized(np.zeros((1, 3, 40, 20), "f4"), 0.5).shape
    (1, 3, 20, 10)
    """
    grid = image.shape[1:]
    kept = len(grid) - axes
    return fitted(image, (*grid[:kept], *(max(1, round(n * size)) for n in grid[kept:])))


def fitted(image: Image, shape: Sequence[int]) -> Image:
    """Return an image (channel, *axes) with its axes brought to `shape`, by straight lines."""
    alike = (1.0,) * len(shape)  # no axis is coarser than the others, so none is taken apart
    return resample_image(image, shape, alike, alike, order=1)


def _some_slices(image: Image) -> list[Image]:
    """Return the picture itself, or some slices of a stack, evenly over it."""
    if image.ndim == 3:
        return [image]
    rows = np.unique(np.linspace(0, image.shape[1] - 1, SLICES + 2).round()[1:-1].astype(int))
    return [np.ascontiguousarray(image[:, row]) for row in rows]
