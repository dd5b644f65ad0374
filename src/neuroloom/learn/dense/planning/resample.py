"""From files' grids to the net's and back: crop, normalise, resample, and undo all of it.

The rules are nnU-Net's (Isensee et al. 2021; v2.8.1, `default_resampling.py`). Splines are
separable, so an image is resampled by one small matrix along each axis: the numbers are those of
`skimage.transform.resize(order=3, mode="edge", anti_aliasing=False)`, many times faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.learn.dense.apply.large import room
from neuroloom.learn.dense.planning.fingerprint import Box, nonzero_box, present

if TYPE_CHECKING:
    from neuroloom.learn.dense.planning.denseplan import DensePlan

SCHEMES = ("ct", "zscore", "nonorm", "rescale_to_0_1", "rgb_to_0_1")
ANISOTROPY = 3.0
SAME = 1e-3
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Where a preprocessed array came from: enough to go back.

    Parameters
    ----------
    shape, spacing
        Of the input, in the input's order of axes.
    transpose
        Order of the input's axes in the preprocessed array.
    box
        What was cropped, in the transposed order.
    target, size
        Spacing and shape of the preprocessed array.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    transpose: tuple[int, ...]
    box: Box
    target: tuple[float, ...]
    size: tuple[int, ...]

    @property
    def cropped(self) -> tuple[int, ...]:
        """Shape after cropping, in the transposed order."""
        return tuple(stop - start for start, stop in self.box)

    @property
    def source(self) -> tuple[float, ...]:
        """Spacing of the input in the transposed order."""
        return tuple(self.spacing[axis] for axis in self.transpose)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Preprocessed:
    """What the net sees of a case: x (channel, *axes), label (*axes) or None, and its grid."""

    x: Image
    label: NDArray[np.integer] | None
    properties: Grid


def scheme_of(channel: str) -> str:
    """Return how a channel of this name is normalised: as it says, or by z-score.

    Examples
    --------
    >>> scheme_of("CT"), scheme_of("noNorm"), scheme_of("T1w")
    ('ct', 'nonorm', 'zscore')
    """
    return channel.lower() if channel.lower() in SCHEMES else "zscore"


def new_shape(
    shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> tuple[int, ...]:
    """Return round(spacing / target × size) along every axis.

    Examples
    --------
    >>> new_shape((10, 20), (2, 1), (1, 1.5))
    (20, 13)
    """
    triples = zip(spacing, target, shape, strict=True)
    return tuple(max(1, round(old / new * n)) for old, new, n in triples)


def separate_axis(spacing: Sequence[float], target: Sequence[float]) -> int | None:
    """Return the axis that is resampled apart, slice by slice, or None.

    It is the coarsest of the image if that is more than three times coarser than the finest, else
    of the target; two coarsest axes are none.

    Examples
    --------
    >>> separate_axis((5, 1, 1), (1, 1, 1)), separate_axis((1, 1, 1), (1, 1, 1))
    (0, None)
    """
    if len(spacing) < 3:
        return None
    for lengths in (np.asarray(spacing), np.asarray(target)):
        if lengths.max() / lengths.min() > ANISOTROPY:
            coarsest = np.flatnonzero(lengths == lengths.max())
            return int(coarsest[0]) if coarsest.size == 1 else None
    return None


def spline_matrix(n: int, new: int, order: int) -> Image:
    """Return the matrix (new, n) that resamples a line; voxel centres keep their place.

    Beyond its ends the line goes on with its last value. Its columns are scipy's own answers to
    unit impulses, so prefilter and borders are scipy's.

    Examples
    --------
    >>> spline_matrix(2, 4, 1).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    from scipy import ndimage

    places = (np.arange(new) + 0.5) * (n / new) - 0.5
    columns = [
        ndimage.map_coordinates(line, [places], order=order, mode="nearest") for line in np.eye(n)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def resample_image(
    image: ArrayLike,
    shape: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    order: int = 3,
) -> Image:
    """Resample (channel, *axes) to `shape`; values stay inside each channel's range.

    Parameters
    ----------
    spacing, target
        Before and after; they decide whether one axis is taken apart by nearest neighbours.
    order
        Of the spline.

    Examples
    --------
    >>> resample_image([[0.0, 1.0]], (4,), (1.0,), (0.5,), order=1).round(2).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    array = np.asarray(image, dtype=np.float32)
    if tuple(shape) == array.shape[1:]:
        return array
    return np.stack([_resize(channel, shape, spacing, target, order) for channel in array])


def _resize(
    channel: Image,
    shape: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    order: int,
) -> Image:
    """Resample one channel, the axes that shrink most first: they leave less to do."""
    apart = separate_axis(spacing, target)
    axes = [a for a in range(channel.ndim) if shape[a] != channel.shape[a] and a != apart]
    result = channel
    if apart is not None and shape[apart] != channel.shape[apart]:
        result = np.take(result, _nearest_places(channel.shape[apart], shape[apart]), axis=apart)
    low, high = _range_of(channel, apart, shape)
    for axis in sorted(axes, key=lambda a: shape[a] / channel.shape[a]):
        matrix = spline_matrix(channel.shape[axis], shape[axis], order)
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return np.clip(result, low, high, out=np.ascontiguousarray(result)) if axes else result


def _nearest_places(n: int, new: int) -> NDArray[np.int64]:
    from scipy import ndimage

    places = (np.arange(new) + 0.5) * (n / new) - 0.5
    found = ndimage.map_coordinates(np.arange(n, dtype=float), [places], order=0, mode="nearest")
    return found.astype(np.int64)


def _range_of(
    channel: Image, apart: int | None, shape: Sequence[int]
) -> tuple[np.floating | Image, np.floating | Image]:
    """Return the smallest and largest value; of every slice, where slices are taken apart."""
    if apart is None:
        return channel.min(), channel.max()
    others = tuple(axis for axis in range(channel.ndim) if axis != apart)
    places = _nearest_places(channel.shape[apart], shape[apart])
    low, high = (
        np.take(f(axis=others, keepdims=True), places, axis=apart)
        for f in (channel.min, channel.max)
    )
    return low, high


def resample_label(
    label: ArrayLike,
    shape: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    order: int = 1,
) -> NDArray[np.integer]:
    """Resample an integer label (*axes): each value's mask by itself, the largest wins.

    Where two are equal the larger value wins, as in nnU-Net; unlike there, a voxel in which no
    value reaches one half does not become background.

    Examples
    --------
    >>> resample_label(np.array([0, 3]), (4,), (1.0,), (0.5,)).tolist()
    [0, 0, 3, 3]
    """
    array = np.asarray(label)
    if tuple(shape) == array.shape:
        return array
    best, result = np.full(tuple(shape), -1, np.float32), np.zeros(tuple(shape), array.dtype)
    for value in np.unique(array):
        share = _resize((array == value).astype(np.float32), shape, spacing, target, order)
        wins = share >= best - 1e-6
        best[wins], result[wins] = share[wins], value
    return result


def crop_to_nonzero(image: ArrayLike) -> tuple[NDArray[Any], Box]:
    """Return the part (channel, *axes) that holds all that is not zero, and its box.

    Examples
    --------
    >>> crop_to_nonzero(np.array([[[0, 0], [0, 2]]]))
    (array([[[2]]]), ((1, 2), (1, 2)))
    """
    array = np.asarray(image)
    box = nonzero_box(array)
    return array[(slice(None), *(slice(*edge) for edge in box))], box


def normalise(image: ArrayLike, plan: DensePlan, mask: ArrayLike | None = None) -> Image:
    """Return the image (channel, *axes) in the units that the net was planned for.

    Parameters
    ----------
    plan
        Its `normalisation`, `use_nonzero_mask` and `intensity` say how each channel is treated.
    mask
        What is image and not padding (*axes); None: what is not zero in any channel, holes filled.

    Raises
    ------
    ConfigError
        If the plan names an unknown scheme.
    """
    array = np.array(image, dtype=np.float32)
    if any(plan.use_nonzero_mask) and mask is None:
        mask = _filled(array)
    for i, channel in enumerate(array):
        inside = np.asarray(mask) if plan.use_nonzero_mask[i] else None
        array[i] = _scaled(channel, plan.normalisation[i], plan.intensity[i], inside)
    return array


def _filled(image: Image) -> NDArray[np.bool_]:
    from scipy import ndimage

    return ndimage.binary_fill_holes((present(image) != 0).any(0))


def _scaled(
    channel: Image, scheme: str, known: Mapping[str, float], inside: NDArray[Any] | None
) -> NDArray[Any]:
    if scheme == "ct":
        scaled = np.clip(channel, known["p0.5"], known["p99.5"])
        scaled -= known["mean"]  # in place: a CT is large
        scaled /= max(known["std"], 1e-8)
        return scaled
    if scheme == "zscore":
        if inside is None:
            return (channel - channel.mean()) / max(channel.std(), 1e-8)
        values = channel[inside]
        result = channel.copy()
        result[inside] = (values - values.mean()) / max(values.std(), 1e-8)
        return result
    if scheme == "rescale_to_0_1":
        low = channel.min()
        return (channel - low) / max(channel.max() - low, 1e-8)
    if scheme == "rgb_to_0_1":
        return channel / 255
    if scheme == "nonorm":
        return channel
    known_names = ", ".join(SCHEMES)
    hint = nearest(scheme, SCHEMES)
    raise ConfigError(f"No normalisation is called '{scheme}'. Known: {known_names}.{hint}")


def preprocess(
    image: ArrayLike, label: ArrayLike | None, spacing: Sequence[float], plan: DensePlan
) -> Preprocessed:
    """Transpose, crop, normalise and resample one case, in this order.

    Parameters
    ----------
    image, label, spacing
        (channel, *axes), integers (*axes) or None, and the distance of voxels, in the file's order.
    plan
        A 2-D plan of volumes keeps the distance of slices as it is.

    Raises
    ------
    DataError
        If the case has other channels or axes than the plan.

    Examples
    --------
    >>> from neuroloom.learn.dense.planning.denseplan import DensePlan
    >>> plan = DensePlan(
    ...     "2d", "default", "dynunet", 2, (1.0, 1.0), (0, 1), (30.0, 30.0), (32, 32), 2,
    ...     ((1, 1), (2, 2)), ((3, 3), (3, 3)), (32, 64), (2, 2), (2,))
    >>> case = preprocess(np.ones((1, 4, 5)), None, (2.0, 1.0), plan)
    >>> case.x.shape, case.properties.cropped
    ((1, 8, 5), (4, 5))
    """
    array = np.asarray(image, dtype=np.float32)
    if array.ndim != len(plan.transpose) + 1 or len(array) != len(plan.channels):
        raise DataError(
            f"The image has shape {array.shape}; the plan expects {len(plan.channels)} channels "
            f"({', '.join(plan.channels)}) and {len(plan.transpose)} axes."
        )
    order = tuple(plan.transpose)
    source = tuple(float(spacing[axis]) for axis in order)
    cropped, box = crop_to_nonzero(array.transpose(0, *(axis + 1 for axis in order)))
    target = (*source[: len(source) - plan.dims], *plan.spacing)
    target = source if _same(source, target) else target
    size = new_shape(cropped.shape[1:], source, target)
    x = resample_image(normalise(cropped, plan), size, source, target, plan.image_order)
    grid = Grid(array.shape[1:], tuple(map(float, spacing)), order, box, target, size)
    return Preprocessed(np.ascontiguousarray(x), _on_grid(label, grid, plan.label_order), grid)


def _same(first: Sequence[float], second: Sequence[float]) -> bool:
    return bool(np.allclose(first, second, rtol=SAME, atol=0))


def _on_grid(label: ArrayLike | None, grid: Grid, order: int) -> NDArray[np.integer] | None:
    return None if label is None else label_on_grid(label, grid, order)


def label_on_grid(label: ArrayLike, grid: Grid, order: int = 1) -> NDArray[np.integer]:
    """Return a label (*axes) of a file on the grid of its preprocessed image.

    Examples
    --------
    >>> grid = Grid((2, 3), (1.0, 1.0), (0, 1), ((0, 2), (1, 3)), (1.0, 1.0), (2, 2))
    >>> label_on_grid([[0, 1, 2], [3, 4, 5]], grid).tolist()
    [[1, 2], [4, 5]]
    """
    array = np.asarray(label)
    if array.shape != grid.shape:
        raise DataError(f"The label has shape {array.shape}, its image {grid.shape}.")
    part = array.transpose(grid.transpose)[tuple(slice(*edge) for edge in grid.box)]
    small = resample_label(part, grid.size, grid.source, grid.target, order)
    return np.ascontiguousarray(small)


def restore(
    probabilities: ArrayLike, properties: Grid, order: int = 1, background: int | None = 0
) -> NDArray[np.floating]:
    """Return probabilities (class, *axes) on the grid of the input file.

    What is too large for memory comes as float16 in a mapped file (`large.room`).

    Parameters
    ----------
    probabilities
        On the preprocessed grid.
    background
        The class that is certain outside what was cropped; None: no class is (regions).

    Examples
    --------
    >>> grid = Grid((2, 3), (1.0, 1.0), (0, 1), ((0, 2), (1, 3)), (1.0, 1.0), (2, 2))
    >>> restore(np.full((2, 2, 2), 0.5), grid)[0].tolist()
    [[1.0, 0.5, 0.5], [1.0, 0.5, 0.5]]
    """
    array = np.asarray(probabilities)
    if array.shape[1:] != properties.size:
        raise DataError(
            f"The probabilities have shape {array.shape[1:]}, the case {properties.size}."
        )
    full = room((len(array), *properties.shape))
    inside = tuple(slice(*edge) for edge in properties.box)
    here, there = properties.target, properties.source
    for k, channel in enumerate(array):  # one by one: all at once may not fit in memory
        moved = full[k].transpose(properties.transpose)
        if k == background:
            moved[...] = 1
        one = resample_image(channel[None], properties.cropped, here, there, order)
        moved[inside] = one[0]
    return full


def restore_label(label: ArrayLike, properties: Grid, outside: int = 0) -> NDArray[np.integer]:
    """Return a label (*axes) on the grid of the input file; `outside` is what was cropped away."""
    array = np.asarray(label)
    back = resample_label(array, properties.cropped, properties.target, properties.source)
    moved = tuple(properties.shape[axis] for axis in properties.transpose)
    full = np.full(moved, outside, array.dtype)
    full[tuple(slice(*edge) for edge in properties.box)] = back
    return np.ascontiguousarray(full.transpose(np.argsort(properties.transpose)))
