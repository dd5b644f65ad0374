"""Changed copies of a case: on a grid that says where it lies, and back again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core import recording as recordings
from neuroloom.core.errors import ConfigError
from neuroloom.io.cases.upright import Turn

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.learn.dense.augment import Drawn, Transform

SCALES = ("rescale", "znormalise", "histogram")


@dataclass(frozen=True)
class Source:
    """A case in hand: its voxels, its label, and the grid both are on.

    Attributes
    ----------
    name
        Of the case.
    x, y
        (channel, *axes) float32 and (*axes) or None, in array order.
    grid
        A recording on that grid, for writing.
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None
    grid: xr.DataArray


@dataclass(frozen=True)
class Copy:
    """A changed copy: image, label and grid; the label brought back onto the source's grid."""

    x: np.ndarray
    y: np.ndarray | None
    grid: xr.DataArray
    restored: np.ndarray | None


def canonical(source: Source) -> Source:
    """Turn a volume's axes to run right, front and up, as far as turns by 90° and mirrors can.

    An image has no such directions and stays as it is.

    Examples
    --------
    >>> x = np.arange(6.0, dtype=np.float32).reshape(1, 1, 2, 3)
    >>> grid = recordings.volume(x.T[..., 0], np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> turned = canonical(Source("a", x, None, grid))
    >>> turned.x[0, 0].tolist(), turned.grid.attrs["affine"][0].tolist()
    ([[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]], [1.0, 0.0, 0.0, -2.0])
    """
    if source.grid.attrs["kind"] != "volume":
        return source
    turn = Turn(np.asarray(source.grid.attrs["affine"], float), source.x.shape[1:])
    x = np.ascontiguousarray(turn.there(source.x))
    y = None if source.y is None else np.ascontiguousarray(turn.there(source.y))
    return Source(source.name, x, y, _volume_like(source.grid, x, turn.affine_there))


def _volume_like(grid: xr.DataArray, x: np.ndarray, affine: np.ndarray) -> xr.DataArray:
    names = [str(name) for name in grid["channel"].values]
    return recordings.volume(
        x.transpose(0, 3, 2, 1), affine, names if len(names) == len(x) else None,
        unit=grid.attrs["unit"],
    )  # fmt: skip


def regridded(grid: xr.DataArray, matrix: np.ndarray, x: np.ndarray) -> xr.DataArray:
    """Return a recording of x on the grid whose voxels are `matrix` of the old ones.

    Parameters
    ----------
    grid
        A recording on the old grid.
    matrix
        (d + 1, d + 1), array order, from new voxels to old ones.
    x
        (channel, *axes), array order.
    """
    if grid.attrs["kind"] == "volume":
        swap = np.eye(4)[[2, 1, 0, 3]]
        return _volume_like(grid, x, np.asarray(grid.attrs["affine"]) @ (swap @ matrix @ swap))
    names = [str(name) for name in grid["channel"].values]
    spacing = tuple(np.asarray(grid.attrs["spacing"]) * np.diag(matrix)[:-1])
    return recordings.image(x, spacing, grid.attrs["unit"], names if len(names) == len(x) else None)


def seed_of(seed: int, name: str, copy: int) -> int:
    """Return a seed for one copy of one case, the same whatever other cases there are.

    Examples
    --------
    >>> seed_of(0, "a", 1) == seed_of(0, "a", 1), seed_of(0, "a", 1) == seed_of(0, "a", 2)
    (True, False)
    """
    text = f"{seed}/{copy}/{name}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def draw_copy(source: Source, transforms: Sequence[Transform], seed: int) -> Drawn:
    """Draw the parameters of one changed copy."""
    import torch

    return _augmenter(source, transforms).draw(1, torch.Generator().manual_seed(seed))


def make_copy(source: Source, transforms: Sequence[Transform], drawn: Drawn, back: bool) -> Copy:
    """Change a case as drawn, and bring its label back.

    Strengths such as that of noise are in units of an image with a standard deviation of 1, so each
    channel is brought to that, with its darkest voxel at 0, and back to its own scale afterwards,
    unless one of the transforms sets a scale itself.

    Parameters
    ----------
    source, transforms, drawn
        The case; what to do; what was drawn for it.
    back
        True also undoes what moved, for the label.
    """
    import torch

    augmenter = _augmenter(source, transforms)
    low, size = _scale_of(source.x)
    x = torch.from_numpy((source.x - low) / size)[None]
    y = None if source.y is None else torch.from_numpy(source.y.astype(np.int32))[None]
    moved, label = augmenter.apply(x, y, drawn)
    matrix = grid_of(transforms, drawn, source.x.ndim - 1)
    values = moved[0].numpy()
    if not any(own.name in SCALES for own in transforms):
        values = values * size + low
    restored = augmenter.invert(moved, label, drawn)[1] if back and label is not None else None
    return Copy(
        values,
        None if label is None else label[0].numpy(),
        regridded(source.grid, matrix, values),
        None if restored is None else restored[0].numpy(),
    )


def _augmenter(source: Source, transforms: Sequence[Transform]) -> Any:
    from neuroloom.learn.dense.augment import Augmenter, Canvas

    canvas = Canvas(len(source.x), source.x.shape[1:], recordings.spacing(source.grid))
    return Augmenter(tuple(transforms), canvas)


def _scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(1, x.ndim))
    size = x.std(axes, keepdims=True)
    return x.min(axes, keepdims=True), np.where(size > 0, size, 1).astype(np.float32)


def grid_of(transforms: Sequence[Transform], drawn: Drawn, d: int) -> np.ndarray:
    """Return the matrix (d + 1, d + 1) from voxels of the changed grid to those of the source."""
    from neuroloom.learn.dense.augment.regrid import Regrid

    matrix = np.eye(d + 1)
    for own, params in zip(transforms, drawn.params, strict=True):
        if isinstance(own, Regrid):
            old, new = (params[key][0].tolist() for key in ("old", "new"))
            matrix = matrix @ own.regrid(old, new).numpy()
    return matrix


def refuse_unfit(transforms: Sequence[Transform]) -> None:
    """Stop at what one case alone cannot have.

    Raises
    ------
    ConfigError
        If a transform blends cases.
    """
    for own in transforms:
        if own.across:
            raise ConfigError(
                f"transforms: '{own.name}' blends cases of a training batch; copies of single "
                "cases cannot have it. Leave it out here."
            )


def dice_by_class(found: np.ndarray, truth: np.ndarray) -> dict[int, float]:
    """Return the Dice of each class that the truth has, but the background.

    Examples
    --------
    >>> dice_by_class(np.array([1, 1, 0]), np.array([1, 0, 0]))
    {1: 0.6666666666666666}
    """
    scores = {}
    for kind in np.unique(truth[truth > 0]).tolist():
        a, b = found == kind, truth == kind
        scores[int(kind)] = 2 * int((a & b).sum()) / int(a.sum() + b.sum())
    return scores
