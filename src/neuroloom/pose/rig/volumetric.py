"""Learning the volume net: views cut out round the animal, cubes of voxels, training, judging."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import DataError
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.triangulate import triangulate

if TYPE_CHECKING:
    import torch

    from neuroloom.pose.rig.nets.volume import VolumeNet

Floats = NDArray[np.float64]

CELL = 16  # crops are cut to a multiple of it, so that the nets can halve them


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
    crop = 2 * float(np.nanquantile(np.abs(seen), 0.97)) * 1.1
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
    crops[~inside] = np.nan
    mean = np.nan_to_num(np.nanmean(np.where(inside, crops, np.nan), axis=(-2, -1), keepdims=True))
    off = np.nan_to_num(crops - mean)
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


def make_batch(
    views: Views, centres: np.ndarray, shape: Shape, rng: np.random.Generator | None = None
) -> Batch:
    """Cut frames out and lay a cube over each; `rng` turns cubes and moves them by 4 %."""
    import torch

    n = len(centres)
    if rng is not None:
        centres = centres + rng.normal(0, 0.04, (n, 3)) * shape.cube / 2
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


def view_loss(told: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the cross-entropy of the views' log-probabilities (n, camera, keypoint, y, x)."""
    from neuroloom.pose.rig.nets.volume import target_heat

    side = batch.crops.shape[-1]
    heat = target_heat(batch.pixels.flatten(0, 1), (side, side))
    there = heat.sum((-2, -1)) > 0
    loss = -(heat * told.flatten(0, 1)).sum((-2, -1))
    return (loss * there).sum() / there.sum().clamp(min=1)


def place_loss(places: torch.Tensor, batch: Batch, shape: Shape) -> torch.Tensor:
    """Return the mean distance of places from the truth, in voxels."""
    import torch

    known = torch.isfinite(batch.truth).all(-1)
    truth = torch.nan_to_num(batch.truth)
    far = ((places - truth) ** 2).sum(-1).add(1e-6).sqrt() * known
    return far.sum() / known.sum().clamp(min=1) / (shape.cube / shape.grid)


@dataclass(frozen=True)
class Course:
    """Steps of the two parts of a training: views alone, then views and volume together."""

    views: int
    volume: int
    batch: int = 4
    rate: float = 3e-3


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


def train(
    net: VolumeNet,
    views: Views,
    shape: Shape,
    course: Course,
    rng: np.random.Generator,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train a net in place: first what each camera sees, then all together."""
    _train_views(net, views, shape, course, rng, tell)
    _train_volume(net, views, shape, course, rng, tell)


def _train_views(
    net: VolumeNet, views: Views, shape: Shape, course: Course, rng: np.random.Generator,
    tell: Callable[[dict[str, Any]], None] | None,
) -> None:  # fmt: skip
    from torch.nn.functional import log_softmax

    def loss(batch: Batch) -> torch.Tensor:
        heat = net.view(batch.crops.flatten(0, 1))[0]
        told = log_softmax(heat.flatten(2), -1).unflatten(2, heat.shape[-2:])
        return view_loss(told.unflatten(0, batch.crops.shape[:2]), batch)

    _descend(net, loss, views, replace(shape, grid=1), course.views, course, rng, tell, "views")


def _train_volume(
    net: VolumeNet, views: Views, shape: Shape, course: Course, rng: np.random.Generator,
    tell: Callable[[dict[str, Any]], None] | None,
) -> None:  # fmt: skip
    def loss(batch: Batch) -> torch.Tensor:
        places, _, _ = net(batch.crops, batch.grid, batch.voxels)
        return place_loss(places, batch, shape)

    half = replace(course, batch=max(1, course.batch // 2), rate=course.rate / 2)
    _descend(net, loss, views, shape, course.volume, half, rng, tell, "volume")


def _descend(
    net: VolumeNet, loss: Callable[[Batch], torch.Tensor], views: Views, shape: Shape, steps: int,
    course: Course, rng: np.random.Generator, tell: Callable[[dict[str, Any]], None] | None,
    stage: str,
) -> None:  # fmt: skip
    import torch

    if not steps:
        return
    centres = centres_of(views.points)
    net.view.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=course.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, course.rate, total_steps=max(steps, 3), pct_start=0.15
    )
    net.train()
    order: list[int] = []
    for step in range(steps):
        if len(order) < course.batch:
            order = rng.permutation(len(centres)).tolist() + order
        rows = np.array([order.pop() for _ in range(min(course.batch, len(order)))])
        value = loss(make_batch(views.take(rows), centres[rows], shape, rng))
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if step < steps - 1:
            schedule.step()
        if tell is not None and (step % 20 == 0 or step == steps - 1):
            tell({"stage": stage, "step": step + 1, "steps": steps, "loss": float(value.detach())})


def predict_volume(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, batch: int = 4
) -> tuple[Floats, Floats]:
    """Return places (frame, keypoint, 3) and their spread (frame, keypoint), in the rig's unit.

    The spread is the standard deviation of the place under the net's own probabilities.
    """
    import torch

    net.eval()
    parts, spreads = [], []
    with torch.inference_mode():
        for start in range(0, len(centres), batch):
            rows = np.arange(start, min(start + batch, len(centres)))
            made = make_batch(views.take(rows), centres[rows], shape)
            places, volume, _ = net(made.crops, made.grid, made.voxels)
            second = volume.exp() @ (made.voxels**2).sum(-1, keepdim=True)
            spread = (second[..., 0] - (places**2).sum(-1)).clamp(min=0).sqrt()
            parts.append(places.double().numpy() + centres[rows, None])
            spreads.append(spread.double().numpy())
    return np.concatenate(parts), np.concatenate(spreads)


def predict_views(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, batch: int = 8
) -> tuple[Floats, Floats]:
    """Return what each camera alone finds: pixels (camera, frame, keypoint, 2) and confidence."""
    import torch

    from neuroloom.pose.rig.nets.volume import decode

    net.eval()
    found, sure = [], []
    with torch.inference_mode():
        for start in range(0, len(centres), batch):
            rows = np.arange(start, min(start + batch, len(centres)))
            crops, corner = cut(views.take(rows), centres[rows], shape.crop)
            heat, _ = net.view(torch.from_numpy(crops).flatten(0, 1)[:, None])
            told = torch.log_softmax(heat.flatten(2), -1).unflatten(2, heat.shape[-2:])
            pixels, mass = decode(told)
            pixels = pixels.unflatten(0, corner.shape[:2]).double()
            found.append(pixels.numpy() + corner[:, :, None])
            sure.append(mass.unflatten(0, corner.shape[:2]).double().numpy())
    return np.moveaxis(np.concatenate(found), 0, 1), np.moveaxis(np.concatenate(sure), 0, 1)


def seconds_per_step(
    net: VolumeNet, views: Views, shape: Shape, course: Course
) -> tuple[float, float]:
    """Measure how long a step of either part takes, on a copy of the net."""
    from copy import deepcopy

    took = []
    for part in (replace(course, views=2, volume=0), replace(course, views=0, volume=2)):
        copy, rng = deepcopy(net), np.random.default_rng(0)
        train(
            copy,
            views,
            shape,
            replace(part, views=min(part.views, 1), volume=min(part.volume, 1)),
            rng,
        )
        began = time.perf_counter()
        train(copy, views, shape, part, rng)
        took.append((time.perf_counter() - began) / 2)
    return took[0], took[1]


def two_step(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, method: Any = "linear"
) -> Floats:
    """Return the places by each camera alone, then triangulation: what a volume must beat."""
    pixels, sure = predict_views(net, views, centres, shape)
    return triangulate(views.rig, pixels, sure if method == "robust" else None, method)


def make_net(keypoints: int, seed: int) -> VolumeNet:
    """Return a fresh net; equal seeds give equal weights."""
    import torch

    from neuroloom.pose.rig.nets.volume import VolumeNet

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return VolumeNet(keypoints)
