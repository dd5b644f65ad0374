"""A coarse stage's segmentation as extra channels of a fine one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RADII = (1, 8)
MORPH_SHARE = 0.4
DROP_SHARE = 0.2
LARGEST_DROP = 0.15


def onehot(label: ArrayLike, values: Sequence[int]) -> NDArray[np.float32]:
    """Return a mask (value, *axes) of each label value, float32; leave out the background.

    Examples
    --------
    >>> onehot([0, 2, 1], [1, 2]).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    array = np.asarray(label)
    return np.stack([array == value for value in values]).astype(np.float32)


def corrupt_onehot(
    masks: ArrayLike,
    generator: np.random.Generator,
    *,
    morph: float = MORPH_SHARE,
    drop: float = DROP_SHARE,
    radii: tuple[int, int] = RADII,
) -> NDArray[np.float32]:
    """Spoil the masks (class, *axes) of a coarse stage as nnU-Net does in training.

    In training the coarse stage has seen the very case, so its masks are better than they will be;
    a fine stage that trusts them learns nothing. With probability `morph` every class, in random
    order, is eroded, dilated, opened or closed by a ball; what it gains the others lose. With
    probability `drop` one connected piece of each class vanishes, unless it holds more than 15 % of
    the patch (Isensee et al. 2021).

    Parameters
    ----------
    masks
        Zeros and ones, without the background.
    generator
        The only source of chance.
    radii
        Smallest and largest radius of the ball in voxels.

    Examples
    --------
    >>> masks = np.zeros((1, 9, 9)); masks[0, 3:6, 3:6] = 1
    >>> spoilt = corrupt_onehot(masks, np.random.default_rng(0), morph=1, drop=0, radii=(1, 1))
    >>> spoilt.shape, set(np.unique(spoilt)) <= {0.0, 1.0}
    ((1, 9, 9), True)
    """
    result = np.asarray(masks) > 0.5
    if generator.random() < morph:
        for i in generator.permutation(len(result)):
            result = _morphed(result, int(i), generator, radii)
    if generator.random() < drop:
        result = np.stack([_without_a_piece(mask, generator) for mask in result])
    return result.astype(np.float32)


def _morphed(
    masks: NDArray[Any], i: int, generator: np.random.Generator, radii: tuple[int, int]
) -> NDArray[Any]:
    radius = int(generator.integers(radii[0], radii[1] + 1))
    kind = str(generator.choice(["erode", "dilate", "open", "close"]))
    before, after = masks[i], masks[i]
    for step in {"open": ("erode", "dilate"), "close": ("dilate", "erode")}.get(kind, (kind,)):
        after = _grown(after, radius) if step == "dilate" else ~_grown(~after, radius)
    gained = after & ~before
    result = masks & ~gained
    result[i] = after
    return result


def _grown(mask: NDArray[Any], radius: int) -> NDArray[Any]:
    """Return what lies within `radius` voxels of the mask."""
    from scipy import ndimage

    if not mask.any() or mask.all():
        return mask
    return ndimage.distance_transform_edt(~mask) <= radius


def _without_a_piece(mask: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    from scipy import ndimage

    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())
    small = np.flatnonzero((sizes > 0) & (sizes < LARGEST_DROP * mask.size))
    small = small[small > 0]
    if not small.size:
        return mask
    return mask & (pieces != generator.choice(small))
