"""One grid for all images of a whole-image task, and how an image comes onto it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError

ALIKE = 0.01
LONGEST = {2: 160, 3: 64}
WIDER = 1.5
FULL = 255


@dataclass(frozen=True)
class Frame:
    """The grid that every image of a task is put on, centre on centre.

    Attributes
    ----------
    shape
        Places along each axis, in array order.
    spacing
        Their size along each axis, in `unit`.
    unit
        "mm", "um" or "px".

    Examples
    --------
    >>> Frame((40, 60, 40), (1.0, 1.0, 1.0), "mm").place
    1.0
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str = "mm"

    @property
    def place(self) -> float:
        """Area or volume of one place."""
        return float(np.prod(self.spacing))

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Frame:
        """Return the frame in the facts of a dataset."""
        return cls(tuple(facts["shape"]), tuple(facts["spacing"]), facts["unit"])


def choose_frame(
    shapes: Sequence[Sequence[int]],
    spacings: Sequence[Sequence[float]],
    unit: str = "mm",
    longest: int | None = None,
) -> Frame:
    """Choose a grid from the sizes of all images; their contents and targets play no part.

    Spacing is the median where they differ. The grid holds the largest image, or one half as large
    again as the median where single images stick out; then it is made coarser until its longest
    axis has `longest` places. Images are padded and cut, never squeezed.

    Parameters
    ----------
    shapes, spacings
        Of each image, in array order.
    longest
        Places along the longest axis; default 64 for volumes, 160 for images.

    Raises
    ------
    DataError
        If images and volumes come together.

    Examples
    --------
    >>> choose_frame([(30, 50, 30), (40, 48, 36)], [(1.0, 1.0, 1.0)] * 2).shape
    (40, 50, 36)
    >>> choose_frame([(512, 256)], [(0.5, 0.5)], longest=128)
    Frame(shape=(128, 64), spacing=(2.0, 2.0), unit='mm')
    """
    dims = {len(shape) for shape in shapes}
    if len(dims) > 1:
        raise DataError(
            "Some files are images (2-D) and some are volumes (3-D): one net cannot take both. "
            "Narrow `include` to one kind."
        )
    sizes, steps = np.asarray(shapes, float), np.asarray(spacings, float)
    spacing = steps[0] if np.allclose(steps, steps[0], rtol=ALIKE) else np.median(steps, axis=0)
    counts = sizes * steps / spacing
    extent = np.minimum(counts.max(0), np.ceil(WIDER * np.median(counts, axis=0)))
    most = longest or LONGEST[dims.pop()]
    coarse = (extent * spacing).max() / most
    wider = np.maximum(spacing, coarse)
    shape = np.maximum(1, np.round(extent * spacing / wider)).astype(int)
    return Frame(tuple(shape.tolist()), tuple(wider.tolist()), unit)


def put_on(image: np.ndarray, spacing: Sequence[float], frame: Frame) -> np.ndarray:
    """Return (channel, *axes) on the frame, centre on centre.

    Outside the image stands the median of its border, which is air where it ends in air.

    Parameters
    ----------
    image
        Shape (channel, *axes).
    spacing
        Of its axes, in the frame's unit.

    Examples
    --------
    >>> put_on(np.ones((1, 2, 2)), (1.0, 1.0), Frame((3, 4), (1.0, 1.0))).tolist()
    [[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]
    """
    moved = _resampled(np.asarray(image, np.float32), spacing, frame)
    return np.stack([_centred(one, frame.shape, _border(one)) for one in moved])


def put_mask_on(mask: np.ndarray, spacing: Sequence[float], frame: Frame) -> np.ndarray:
    """Return a mask (*axes) on the frame as shares of each place in 255ths, uint8.

    Examples
    --------
    >>> put_mask_on(np.ones((2, 2), bool), (1.0, 1.0), Frame((1, 1), (2.0, 2.0))).tolist()
    [[255]]
    """
    share = _resampled(np.asarray(mask, np.float32)[None], spacing, frame)[0]
    whole = np.round(FULL * np.clip(share, 0, 1)).astype(np.uint8)
    return _centred(whole, frame.shape, 0)


def put_back(
    image: np.ndarray, frame: Frame, shape: Sequence[int], spacing: Sequence[float]
) -> np.ndarray:
    """Return an image of the frame on the grid that `put_on` took it from, channels first.

    Linear between places of the frame; NaN where the frame had cut the image off.

    Parameters
    ----------
    image
        Channels first, then the shape of the frame.
    shape, spacing
        Of the grid, in array order and in the frame's unit.

    Examples
    --------
    >>> frame = Frame((2, 4), (2.0, 1.0))
    >>> image = np.arange(8.0).reshape(1, 2, 4)
    >>> put_back(image, frame, (4, 2), (1.0, 1.0))[0].tolist()
    [[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]
    """
    image = np.asarray(image, np.float32)
    for axis, (count, old, new) in enumerate(zip(shape, spacing, frame.spacing, strict=True), 1):
        image = np.moveaxis(_back(np.moveaxis(image, axis, 0), count, old, new), 0, axis)
    return np.ascontiguousarray(image)


def _back(values: np.ndarray, count: int, old: float, new: float) -> np.ndarray:
    """Return places of size `new` along the first axis as `count` places of size `old`."""
    places = places_of(count, old, new)
    kept = min(len(values), places)
    whole = np.full((places, *values.shape[1:]), np.nan, np.float32)
    there, here = (places - kept) // 2, (len(values) - kept) // 2
    whole[there : there + kept] = values[here : here + kept]
    if _alike(old, new):
        return whole
    at = (np.arange(count) + 0.5 - count / 2) * old / new + places / 2 - 0.5
    at = np.clip(at, 0, places - 1)
    low, high = np.floor(at).astype(int), np.ceil(at).astype(int)
    share = (at - low).astype(np.float32).reshape(-1, *(1 for _ in values.shape[1:]))
    return whole[low] * (1 - share) + whole[high] * share


def places_of(count: int, old: float, new: float) -> int:
    """Return into how many places of size `new` a frame puts `count` places of size `old`.

    Examples
    --------
    >>> places_of(10, 1.0, 2.0), places_of(200, 1.0, 1.005)
    (5, 200)
    """
    return count if _alike(old, new) else max(1, round(count * old / new))


def _alike(old: float, new: float) -> bool:
    return bool(np.isclose(old, new, rtol=ALIKE))


def _resampled(image: np.ndarray, spacing: Sequence[float], frame: Frame) -> np.ndarray:
    """Resample by the mean over each new place, or linearly where places become smaller."""
    for axis, (old, new) in enumerate(zip(spacing, frame.spacing, strict=True), start=1):
        if not _alike(old, new):
            image = np.moveaxis(
                np.tensordot(_averages(image.shape[axis], old, new), image, (1, axis)), 0, axis
            )
    return image


def _averages(count: int, old: float, new: float) -> np.ndarray:
    """Return the matrix (places, count) that averages cells of size `old` over cells of `new`.

    Where cells become smaller the new one is taken as wide as an old one, which interpolates.
    """
    places = places_of(count, old, new)
    centre = (np.arange(places) + 0.5 - places / 2) * new
    half = max(new, old) / 2
    edges = (np.arange(count + 1) - count / 2) * old
    low = np.maximum(edges[:-1], (centre - half)[:, None])
    high = np.minimum(edges[1:], (centre + half)[:, None])
    shared = np.clip(high - low, 0, None)
    return (shared / np.maximum(shared.sum(1, keepdims=True), 1e-12)).astype(np.float32)


def _centred(image: np.ndarray, shape: Sequence[int], outside: float) -> np.ndarray:
    """Cut and pad one channel to `shape` around its centre."""
    out = np.full(shape, outside, dtype=image.dtype)
    given, taken = [], []
    for size, wanted in zip(image.shape, shape, strict=True):
        kept = min(size, wanted)
        given.append(slice((size - kept) // 2, (size - kept) // 2 + kept))
        taken.append(slice((wanted - kept) // 2, (wanted - kept) // 2 + kept))
    out[tuple(taken)] = image[tuple(given)]
    return out


def _border(channel: np.ndarray) -> float:
    faces = [np.take(channel, (0, -1), axis=axis).ravel() for axis in range(channel.ndim)]
    return float(np.median(np.concatenate(faces)))


def standardised(image: np.ndarray, *, together: bool = False) -> np.ndarray:
    """Return (channel, *axes) with mean 0 and SD 1 of each channel, or of all `together`.

    A flat channel becomes 0.

    Examples
    --------
    >>> standardised(np.array([[[0.0, 2.0]]])).tolist()
    [[[-1.0, 1.0]]]
    """
    mean, spread = scale_of(image, together=together)
    return ((np.asarray(image, np.float64) - mean) / spread).astype(np.float32)


def scale_of(image: np.ndarray, *, together: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of each channel, or of all, that broadcast with (channel, *axes).

    The SD of a flat channel is 1, so that nothing is divided by 0.

    Examples
    --------
    >>> [value.ravel().tolist() for value in scale_of(np.array([[[0.0, 2.0]], [[5.0, 5.0]]]))]
    [[1.0, 5.0], [1.0, 1.0]]
    """
    axes = tuple(range(0 if together else 1, image.ndim))
    wide = np.asarray(image, np.float64)
    spread = wide.std(axes, keepdims=True)
    return wide.mean(axes, keepdims=True), np.where(spread == 0, 1.0, spread)
