"""What cameras saw at moments: crops round the animal, cubes of voxels, batches of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.pose.rig.cameras import Rig

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]

CELL = 16  # crops are cut to a multiple of it, so that the nets can halve them
AWRY = 0.06  # of half a cube: how far a cube is laid beside the animal in training


@dataclass(frozen=True, eq=False)
class Views:
    """What the cameras saw at moments, with the truth where it is known.

    Attributes
    ----------
    rig
        Cameras of the images.
    images
        Shape (frame, camera, y, x), uint8; all cameras' images are padded to one size.
    points
        Shape (frame, keypoint, 3); NaN where not labelled.
    """

    rig: Rig
    images: NDArray[np.uint8]
    points: Floats

    def take(self, rows: np.ndarray) -> Views:
        """Return some of the frames."""
        return replace(self, images=self.images[rows], points=self.points[rows])


@dataclass(frozen=True)
class Shape:
    """Sizes of what is cut out.

    Attributes
    ----------
    crop
        Side of a view's crop, px.
    cube
        Side of the cube, in the rig's unit.
    grid
        Voxels along a side.
    """

    crop: int
    cube: float
    grid: int = 32


def measure_shape(views: Views, grid: int = 32) -> Shape:
    """Choose crop and cube so that the labelled animals fit, turned any way.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> camera = Camera("a", np.diag([80.0, 80, 1]), t=np.array([0.0, 0, 100]), size=(64, 64))
    >>> points = np.random.default_rng(0).normal(0, 8, (9, 5, 3))
    >>> shape = measure_shape(Views(Rig((camera,)), np.zeros((9, 1, 64, 64), np.uint8), points))
    >>> shape.crop % 16, shape.cube > 20
    (0, True)
    """
    centre = np.nanmean(views.points, axis=1)
    off = views.points - centre[:, None]
    side = 2 * float(np.nanquantile(np.abs(off), 0.999)) * 1.1
    seen = views.rig.project(views.points) - views.rig.project(centre)[:, :, None]
    # A tail may leave the crop of the nearest camera; the others still have it.
    crop = 2 * float(np.nanquantile(np.abs(seen), 0.985)) * 1.1
    most = max(views.images.shape[-2:])
    return Shape(
        min(CELL * int(np.ceil(crop / CELL)), CELL * int(np.ceil(most / CELL))), side, grid
    )


def cut(views: Views, centres: np.ndarray, side: int) -> tuple[NDArray[np.float32], Floats]:
    """Cut a square round the animal out of every view.

    Parameters
    ----------
    centres
        Shape (frame, 3), where the animal is.
    side
        px.

    Returns
    -------
    Crops (frame, camera, y, x) of mean 0 and variance 1, and the pixel of each one's corner,
    (frame, camera, 2). What is outside the image is the crop's mean.

    Examples
    --------
    >>> from neuroloom.pose.rig.cameras import Camera
    >>> K = np.array([[80.0, 0, 31.5], [0, 80, 31.5], [0, 0, 1]])
    >>> rig = Rig((Camera("a", K, t=np.array([0.0, 0, 100]), size=(64, 64)),))
    >>> views = Views(rig, np.zeros((1, 1, 64, 64), np.uint8), np.zeros((1, 2, 3)))
    >>> crops, corner = cut(views, np.zeros((1, 3)), 16)
    >>> crops.shape, corner.tolist()
    ((1, 1, 16, 16), [[[24.0, 24.0]]])
    """
    middle = np.moveaxis(views.rig.project(centres), 0, 1)
    corner = np.floor(np.nan_to_num(middle) - side / 2 + 1)
    height, width = views.images.shape[-2:]
    steps = np.arange(side)
    x = (corner[..., 0, None] + steps).astype(int)
    y = (corner[..., 1, None] + steps).astype(int)
    frame = np.arange(len(centres))[:, None, None, None]
    camera = np.arange(len(views.rig))[None, :, None, None]
    inside = ((y >= 0) & (y < height))[..., None] & ((x >= 0) & (x < width))[..., None, :]
    rows, columns = y.clip(0, height - 1)[..., None], x.clip(0, width - 1)[..., None, :]
    crops = views.images[frame, camera, rows, columns].astype(np.float32)
    count = np.maximum(inside.sum((-2, -1), keepdims=True), 1)
    mean = np.where(inside, crops, 0).sum((-2, -1), keepdims=True) / count
    off = np.where(inside, crops - mean, 0)
    scale = np.sqrt((off**2).mean((-2, -1), keepdims=True))
    return (off / np.maximum(scale, 1e-3)).astype(np.float32), corner


def voxels(centre: np.ndarray, shape: Shape, turn: float = 0.0) -> Floats:
    """Return the centres of a cube's voxels (voxel, 3), the cube turned about the vertical.

    Examples
    --------
    >>> voxels(np.zeros(3), Shape(16, 20.0, 2)).tolist()[0]
    [-5.0, -5.0, -5.0]
    """
    line = (np.arange(shape.grid) + 0.5) / shape.grid * shape.cube - shape.cube / 2
    places = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    c, s = np.cos(turn), np.sin(turn)
    return places @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]) + centre


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors of some frames, as `VolumeNet` wants them; `truth` in the rig's unit."""

    crops: torch.Tensor
    corner: Floats
    grid: torch.Tensor
    voxels: torch.Tensor
    truth: torch.Tensor
    pixels: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Return it with its tensors on a device."""
        names = ("crops", "grid", "voxels", "truth", "pixels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def make_batch(
    views: Views, centres: np.ndarray, shape: Shape, rng: np.random.Generator | None = None
) -> Batch:
    """Cut frames out and lay a cube over each; `rng` turns cubes and moves them a little."""
    import torch

    n = len(centres)
    if rng is not None:
        centres = centres + rng.normal(0, AWRY, (n, 3)) * shape.cube / 2
    turns = np.zeros(n) if rng is None else rng.uniform(-np.pi, np.pi, n)
    crops, corner = cut(views, centres, shape.crop)
    if rng is not None:
        crops = crops * rng.uniform(0.8, 1.25, (*crops.shape[:2], 1, 1)).astype(np.float32)
    cubes = np.stack([voxels(c, shape, t) for c, t in zip(centres, turns, strict=True)])
    grid = np.moveaxis(views.rig.project(cubes), 0, 1) - corner[:, :, None]
    seen = np.moveaxis(views.rig.project(views.points), 0, 1) - corner[:, :, None]
    return Batch(
        torch.from_numpy(crops[:, :, None]),
        corner,
        torch.from_numpy(np.nan_to_num(grid, nan=-1.0).astype(np.float32)),
        torch.from_numpy((cubes - centres[:, None]).astype(np.float32)),
        torch.from_numpy((views.points - centres[:, None]).astype(np.float32)),
        torch.from_numpy(seen.astype(np.float32)),
    )


def centres_of(points: np.ndarray) -> Floats:
    """Return the mean of each frame's known points, shape (frame, 3).

    Raises
    ------
    DataError
        If a frame has none.
    """
    known = np.isfinite(points).all(-1)
    if not known.any(1).all():
        row = int(np.flatnonzero(~known.any(1))[0])
        raise DataError(f"frame {row} has no labelled point; leave it out.")
    return np.nanmean(points, axis=1)


def mean_pose(points: np.ndarray) -> Floats:
    """Return the mean of poses (frame, keypoint, 3) round their centres; NaN if never labelled.

    Examples
    --------
    >>> mean_pose(np.array([[[1.0, 0, 0], [3, 0, 0], [np.nan, 0, 0]]])).tolist()
    [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [nan, nan, nan]]
    """
    off = points - centres_of(points)[:, None]
    known = np.isfinite(off).all(-1, keepdims=True)
    count = known.sum(0)
    total = np.where(known, off, 0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
