"""At what size a net knows an image best: things of another animal may be twice as large.

A net meets things in training as large as they are there, made somewhat smaller and larger. Where
a new image shows them at half or twice that size, the net is unsure of much of it, and says so: the
size at which it is surest is taken, without asking any label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.dense.apply.large import room
from neuroloom.learn.dense.measures.doubt import entropy, near_border

Image = NDArray[np.float32]
PIECES, EDGE = 4, 1024  # of an image that are looked at to choose, and pixels of an edge at most
LEAST = 32  # pixels of an edge: a smaller image says too little
RIM = 2  # pixels beside a border in which any net is unsure
MARGIN = 0.05  # of the doubt that another size must spare, or images are left as large as they are
VANISHED = 0.5  # of the area found at size 1: where less is left, the net is sure of emptiness


def surest(
    look: Callable[[Image], Any],
    pieces: Sequence[Image],
    sizes: Sequence[float],
    *,
    regions: bool = False,
) -> float:
    """Return the size at which a net is surest of pictures.

    That is where the geometric mean of two mean entropies is lowest: that of all pixels, which by
    itself leans to large sizes, for borders fill less of a large picture, and that of pixels away
    from the borders found, which leans to small ones. A net is also sure that nothing is there
    where things are too small for it: sizes at which what it finds vanishes do not count.

    Parameters
    ----------
    look
        From a picture (channel, y, x) to probabilities (class, y, x), at any size.
    pieces
        Pictures (channel, y, x).
    sizes
        Factors to try; 1, as large as it is, is always among them.
    regions
        As for `doubt.entropy`.

    Examples
    --------
    A net that knows stripes four pixels apart, and is shown some that lie eight apart:

    >>> stripes = np.tile(np.sin(np.arange(128) * np.pi / 4), (128, 1)).astype("f4")[None]
    >>> def look(x):
    ...     apart = x.shape[-1] / np.argmax(abs(np.fft.rfft(x[0, 0] - x[0, 0].mean())))
    ...     sure = 1 - 0.4 * min(1, abs(apart - 4) / 4)
    ...     return np.full((2, *x.shape[1:]), 0.0) + np.array([1 - sure, sure])[:, None, None]
    >>> surest(look, [stripes], (0.5, 1.0, 1.5))
    0.5
    """
    least = min(min(piece.shape[-2:]) for piece in pieces)
    others = [size for size in sizes if size != 1 and least * size >= LEAST]
    if not others:
        return 1.0
    doubt, area = _said(look, pieces, 1.0, regions)
    best, lowest = 1.0, (1 - MARGIN) * doubt
    for size in others:
        own, found = _said(look, pieces, size, regions)
        if own < lowest and found >= VANISHED * area:
            best, lowest = size, own
    return best


def _said(
    look: Callable[[Image], Any], pieces: Sequence[Image], size: float, regions: bool
) -> tuple[float, float]:
    """Return a net's doubt at a size, and the share of the area in which it finds something."""
    doubts, areas = [], []
    for piece in pieces:
        p = np.asarray(look(resized(piece, size)))
        h = entropy(p, regions=regions)
        found = p > 0.5 if regions else p.argmax(0)[None]
        away = ~np.any([near_border(each, RIM) for each in found], axis=0)
        inner = float(h[away].mean()) if away.any() else float(h.mean())
        doubts.append(np.sqrt(float(h.mean()) * inner))
        areas.append(float((found > 0).any(0).mean()))
    return float(np.mean(doubts)), float(np.mean(areas))


def pieces_of(image: Image, slab: int = 1) -> list[Image]:
    """Return some pictures of an image to choose by: itself, if it is small; few of a large one.

    Parameters
    ----------
    image
        (channel, y, x), or a stack (channel, z, y, x).
    slab
        Neighbouring slices of a stack that a picture has among its channels, the lowest first.

    Examples
    --------
    >>> [len(pieces_of(np.zeros((1, *shape), "f4"))) for shape in [(9, 9), (3000, 9), (50, 9, 9)]]
    [1, 2, 4]
    >>> pieces_of(np.zeros((2, 50, 9, 9), "f4"), 3)[0].shape
    (6, 9, 9)
    """
    windows = list(product(*[list(_windows(n)) for n in image.shape[-2:]]))
    planes = [None] if image.ndim == 3 else _evenly(image.shape[1], PIECES)
    chosen = list(product(planes, windows))
    if len(chosen) > PIECES:  # of several slices each shows another part
        chosen = [(plane, windows[k % len(windows)]) for k, plane in enumerate(planes)]
    return [_piece(image, plane, window, slab) for plane, window in chosen]


def _piece(image: Image, plane: int | None, window: tuple[slice, slice], slab: int) -> Image:
    if plane is None:
        return np.ascontiguousarray(image[(slice(None), *window)])
    rows = np.clip(np.arange(slab) - slab // 2 + plane, 0, image.shape[1] - 1)
    thick = np.moveaxis(image[(slice(None), rows, *window)], 1, 0)
    return np.ascontiguousarray(thick.reshape(-1, *thick.shape[2:]))


def _windows(n: int) -> Iterator[slice]:
    """Yield the whole of an axis, or two parts of it around its quarters."""
    if n <= EDGE:
        yield slice(0, n)
        return
    for middle in (n // 4, n - n // 4):
        start = min(max(0, middle - EDGE // 2), n - EDGE)
        yield slice(start, start + EDGE)


def _evenly(n: int, count: int) -> list[int]:
    """Return up to `count` places of an axis, away from its ends where there is room."""
    return np.unique(np.linspace(0, n - 1, count + 2).round()[1:-1].astype(int)).tolist()


def resized(image: Image, size: float, axes: int = 2) -> Image:
    """Return an image (channel, *axes) whose last `axes` have `size` times as many pixels.

    Examples
    --------
    >>> resized(np.zeros((1, 3, 40, 20), "f4"), 0.5).shape
    (1, 3, 20, 10)
    """
    grid = image.shape[1:]
    kept = len(grid) - axes
    return brought_to(image, (*grid[:kept], *(max(1, round(n * size)) for n in grid[kept:])))


def brought_to(image: Any, shape: Sequence[int]) -> NDArray[np.floating]:
    """Return an image (channel, *axes) with its axes brought to `shape`, by straight lines.

    What is too large for memory comes as float16 in a mapped file (`large.room`).

    Examples
    --------
    >>> brought_to(np.array([[[0.0, 1.0]]]), (1, 4)).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    import torch
    from torch.nn.functional import interpolate

    if tuple(shape) == image.shape[1:]:
        return np.asarray(image)
    made, mode = room((len(image), *shape)), "bilinear" if len(shape) == 2 else "trilinear"
    for out, channel in zip(made, image, strict=True):
        one = torch.from_numpy(np.array(channel, np.float32))
        out[...] = interpolate(one[None, None], tuple(shape), mode=mode)[0, 0]
    return made
