"""Predict a volume with a 2-D net from many sides, and give a 2-D net a thin slab to look at.

Averaging directions is what Volume Segmantics (King et al. 2022: 1, 3 or 12) and CDeep3M2 (Haberl
et al. 2018: 16) do for stacks of microscopy, and what makes a 2-D net see that a membrane goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest

Image = NDArray[np.float32]
Slices = Callable[[Image], Any]
MERGES = ("mean", "max")
ALL_SIDES = ("three", "twelve")  # views along every axis
TURNED = ("twelve", "sixteen")  # views of slices in four quarter turns


@dataclass(frozen=True)
class View:
    """One way to look at a volume.

    Parameters
    ----------
    axis
        Along which it is sliced: 0 for z of (z, y, x).
    turns
        Quarter turns of every slice.
    flip
        Whether every slice is mirrored along its last axis before it is turned.
    backwards
        Whether slices come in reverse, which a net sees that is given neighbouring slices.
    """

    axis: int
    turns: int = 0
    flip: bool = False
    backwards: bool = False


VIEWS: dict[str, tuple[View, ...]] = {
    "one": (View(0),),
    "three": tuple(View(axis) for axis in range(3)),
    "twelve": tuple(View(axis, turns) for axis in range(3) for turns in range(4)),
    "sixteen": tuple(
        View(0, turns, flip, backwards)
        for backwards in (False, True)
        for flip in (False, True)
        for turns in range(4)
    ),
}


def slabs(volume: ArrayLike, axis: int = 0, slab: int = 1) -> Image:
    """Return every slice with its neighbours as channels: (slice, slab × channel, h, w).

    Parameters
    ----------
    volume
        (channel, z, y, x).
    axis
        Along which it is sliced.
    slab
        An odd number of slices; beyond the first and last they repeat. The channels of the lowest
        slice come first, those of the slice itself in the middle.

    Raises
    ------
    ConfigError
        If `slab` is even or below one.

    Examples
    --------
    >>> stack = np.arange(3.0).reshape(1, 3, 1, 1)
    >>> slabs(stack, 0, 3)[:, :, 0, 0].tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 2.0, 2.0]]
    """
    windows = _windows(np.moveaxis(np.asarray(volume, np.float32), axis + 1, 0), slab)
    return np.ascontiguousarray(_channels(windows))


def predict_views(
    predict_slices: Slices,
    volume: ArrayLike,
    views: str | Sequence[View] = "three",
    *,
    merge: str = "mean",
    slab: int = 1,
    chunk: int = 32,
    ways: int = 1,
) -> Image:
    """Return the mean of what a 2-D predictor says from many sides: (class, z, y, x).

    Parameters
    ----------
    predict_slices
        Takes (n, slab × channel, h, w) float32, returns (n, class, h, w), array or tensor.
        Heights and widths differ from axis to axis.
    volume
        (channel, z, y, x).
    views
        "one" (slices along z), "three" (along every axis), "twelve" (these in four quarter turns),
        "sixteen" (along z: turned, mirrored, backwards), or views.
    merge
        "mean", or "max" as Volume Segmantics does (then classes need not sum to one).
    slab
        Slices that the net sees; see `slabs`.
    chunk
        Slices in one call.
    ways
        Of each slice that the predictor itself averages over: 1, 4 (mirror images along both axes,
        half a turn among them) or 8 (these transposed, too). Views that would say the same again
        are left out.

    Raises
    ------
    ConfigError, DataError
        If views or merge are unknown, or the volume has not three axes.

    Examples
    --------
    >>> volume = np.random.default_rng(0).random((1, 4, 5, 6))
    >>> said = predict_views(lambda x: x, volume, "twelve")
    >>> bool(np.allclose(said, volume, atol=1e-6))
    True
    """
    array = np.asarray(volume, dtype=np.float32)
    chosen = _chosen(views)
    if array.ndim != 4:
        raise DataError(f"The volume has shape {array.shape}, expected (channel, z, y, x).")
    if merge not in MERGES:
        raise ConfigError(f"merge is '{merge}', expected 'mean' or 'max'.")
    chosen = distinct(chosen, slab, ways if merge == "mean" else 1)
    join = np.add if merge == "mean" else np.maximum
    total = _from(chosen[0], array, predict_slices, slab, chunk)
    for view in chosen[1:]:
        join(total, _from(view, array, predict_slices, slab, chunk), out=total)
    if merge == "mean":
        total /= len(chosen)
    return total


def distinct(views: Sequence[View], slab: int = 1, ways: int = 1) -> tuple[View, ...]:
    """Return the views that say something of their own; see `predict_views`.

    Examples
    --------
    >>> [len(distinct(VIEWS["twelve"], ways=ways)) for ways in (1, 4, 8)]
    [12, 6, 3]
    >>> [len(distinct(VIEWS["sixteen"], slab, 8)) for slab in (1, 3)]
    [1, 2]
    """
    turns = {1: 4, 4: 2, 8: 1}[ways]
    # A single slice is the same backwards.
    return tuple(
        dict.fromkeys(
            View(v.axis, v.turns % turns, v.flip and ways == 1, v.backwards and slab > 1)
            for v in views
        )
    )


def _chosen(views: str | Sequence[View]) -> tuple[View, ...]:
    if not isinstance(views, str):
        if not views:
            raise ConfigError("views is empty; name 'one', 'three', 'twelve' or 'sixteen'.")
        return tuple(views)
    if views not in VIEWS:
        known = ", ".join(VIEWS)
        raise ConfigError(f"No views are called '{views}'. Known: {known}.{nearest(views, VIEWS)}")
    return VIEWS[views]


def _from(view: View, volume: Image, predict: Slices, slab: int, chunk: int) -> Image:
    """Return what is said from one side, turned back: (class, z, y, x), an array of its own."""
    windows = _windows(_turned(np.moveaxis(volume, view.axis + 1, 0), view), slab)
    parts = [np.asarray(predict(part), dtype=np.float32) for part in _parts(windows, chunk)]
    back = _turned_back(np.concatenate(parts), view)
    return np.array(np.moveaxis(back, 0, view.axis + 1), order="C")


def _parts(windows: NDArray[Any], chunk: int) -> Iterator[Image]:
    for start in range(0, len(windows), chunk):
        yield np.ascontiguousarray(_channels(windows[start : start + chunk]))


def _turned(stack: Image, view: View) -> Image:
    stack = stack[::-1] if view.backwards else stack
    stack = stack[..., ::-1] if view.flip else stack
    return np.rot90(stack, view.turns, axes=(-2, -1))


def _turned_back(stack: Image, view: View) -> Image:
    stack = np.rot90(stack, -view.turns, axes=(-2, -1))
    stack = stack[..., ::-1] if view.flip else stack
    return stack[::-1] if view.backwards else stack


def _windows(stack: Image, slab: int) -> NDArray[Any]:
    """Return (slice, channel, h, w, slab) of (slice, channel, h, w), without copying it."""
    if slab < 1 or slab % 2 == 0:
        raise ConfigError(f"slab is {slab}, expected an odd number from 1 on.")
    if slab == 1:
        return stack[..., None]
    half = slab // 2
    padded = np.pad(stack, ((half, half), (0, 0), (0, 0), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, slab, axis=0)


def _channels(windows: NDArray[Any]) -> Image:
    n, channels, height, width, slab = windows.shape
    return np.moveaxis(windows, -1, 1).reshape(n, slab * channels, height, width)
