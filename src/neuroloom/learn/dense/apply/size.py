"""At what size a net knows an image best: things of another animal may be twice as large.

A net meets things in training as large as they are there, made somewhat smaller and larger. Where
a new image shows them at half or twice that size, the net is unsure of much of it, and what it does
find is too thin or too thick. Both are seen without asking any label: the size is taken that brings
what is found nearest to the thickness that was learnt, where the net is surer there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.dense.apply.large import room
from neuroloom.learn.dense.measures.doubt import entropy, near_border

Image = NDArray[np.float32]
PIECES, EDGE = 4, 1024  # of an image that are looked at to choose, and pixels of an edge at most
LEAST = 32  # pixels of an edge: a smaller image says too little
RIM = 2  # pixels beside a border in which any net is unsure
NEARER = 1.2  # times that another size must bring what is found nearer to the thickness learnt
VANISHED = 0.5  # of the area found at size 1: where less is left, the net is sure of emptiness


@dataclass(frozen=True)
class _Said:
    """What a net says of pictures at a size.

    Attributes
    ----------
    doubt
        Geometric mean of the mean entropy of all pixels and of that away from borders.
    area
        Share of the pixels in which something is found.
    off
        How many times thicker or thinner than learnt it is, as a logarithm.
    """

    doubt: float
    area: float
    off: float


def known_size(
    look: Callable[[Image], Any],
    pieces: Sequence[Image],
    sizes: Sequence[float],
    thickness: Sequence[float],
    *,
    regions: bool = False,
) -> float:
    """Return the size at which a net knows pictures best.

    It is the one at which what is found comes nearest to the thickness that was learnt: nearer by
    `NEARER` than at the size that pictures have, and only if the net is surer there. (Doubt alone
    does not tell: of tissue like that which was learnt, too, a net may be a tenth surer at another
    size than its own, and worse.) How sure it is says the geometric mean of two mean entropies:
    that of all pixels, which by itself leans to large sizes, for borders fill less of a large
    picture, and that of pixels away from the borders found, which leans to small ones. A net is
    also sure that nothing is there where things are too small for it: sizes at which what it finds
    vanishes do not count.

    Parameters
    ----------
    look
        From a picture (channel, y, x) to probabilities (class, y, x), at any size.
    pieces
        Pictures (channel, y, x).
    sizes
        Factors to try; 1, as large as it is, is always among them.
    thickness
        Of every class, the background left out, or region as it was learnt (`thickness_of`).
    regions
        As for `doubt.entropy`.

    Examples
    --------
    A net that knows stripes two pixels wide, and is shown some that are four wide:

    >>> stripes = np.tile(np.repeat([0, 1, 0, 1] * 16, 4), (256, 1)).astype("f4")[None]
    >>> def look(x):
    ...     apart = x.shape[-1] / np.argmax(abs(np.fft.rfft(x[0, 0] - x[0, 0].mean())))
    ...     sure = 1 - 0.4 * min(1, abs(apart - 4) / 4)
    ...     return np.where(x > 0.5, [[[1 - sure]], [[sure]]], [[[sure]], [[1 - sure]]])
    >>> [known_size(look, [stripes], (0.5, 1.0, 1.5), [learnt]) for learnt in (1.0, 2.0)]
    [0.5, 1.0]
    """
    least = min(min(piece.shape[-2:]) for piece in pieces)
    others = [size for size in sizes if size != 1 and least * size >= LEAST]
    if not others:
        return 1.0
    own = _said(look, pieces, 1.0, thickness, regions)
    best, least_off = 1.0, own.off - np.log(NEARER)
    for size in others:
        said = _said(look, pieces, size, thickness, regions)
        bears = said.doubt < own.doubt and said.area >= VANISHED * own.area
        if bears and said.off < least_off:
            best, least_off = size, said.off
    return best


def thickness_of(masks: Sequence[NDArray[np.bool_]], scales: Sequence[float] = ()) -> list[float]:
    """Return how thick the things of each class are: their area to the length of their outline.

    Parameters
    ----------
    masks
        (class, *axes) each, the slices along the last two axes.
    scales
        What a pixel of each is in those that count; 1 if not given.

    Returns
    -------
    list of float
        A class, pixels; 0 where nothing of it is drawn. A long stripe n wide has n / 2.

    Examples
    --------
    >>> squares = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((6, 6))) > 0
    >>> [f"{thickness_of([squares[None]], [scale])[0]:.2f}" for scale in (1, 0.5)]
    ['1.71', '0.86']
    """
    total: Any = 0.0
    for mask, scale in zip(masks, scales or repeat(1.0, len(masks)), strict=True):
        inner = tuple(range(1, mask.ndim))
        area = mask.sum(inner) * scale**2
        steps = [(np.diff(mask, axis=axis)).sum(inner) for axis in (-1, -2)]
        total = total + np.stack([area, sum(steps) * scale])
    area, outline = total
    return (area / np.maximum(outline, 1)).tolist()


def _said(
    look: Callable[[Image], Any],
    pieces: Sequence[Image],
    size: float,
    thickness: Sequence[float],
    regions: bool,
) -> _Said:
    doubts, areas, masks = [], [], []
    for piece in pieces:
        p = np.asarray(look(resized(piece, size)))
        h = entropy(p, regions=regions)
        masks.append(p > 0.5 if regions else p.argmax(0) == np.arange(1, len(p))[:, None, None])
        drawn = masks[-1] if regions else p.argmax(0)[None]
        away = ~np.any([near_border(each, RIM) for each in drawn], axis=0)
        inner = float(h[away].mean()) if away.any() else float(h.mean())
        doubts.append(np.sqrt(float(h.mean()) * inner))
        areas.append(float(masks[-1].any(0).mean()))
    found, learnt = np.array(thickness_of(masks)), np.array(thickness, float)
    both = (found > 0) & (learnt > 0)
    known = np.log(found[both] / learnt[both])
    off = abs(float(known.mean())) if known.size else np.inf
    return _Said(float(np.mean(doubts)), float(np.mean(areas)), off)


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
