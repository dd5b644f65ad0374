"""Where in space the animal is: a small net looks at each camera's whole frame, made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.training.fit import FitJob, own_randomness
from neuroloom.pose.rig.triangulate import triangulate_robust
from neuroloom.pose.volume.find import device_of
from neuroloom.pose.volume.learn import run_part, training
from neuroloom.pose.volume.views import CELL, Views, centres_of

if TYPE_CHECKING:
    import torch

    from neuroloom.learn.training.fit import History
    from neuroloom.pose.volume.nets.volume import ViewNet

Floats = NDArray[np.float64]
LOOK = 96  # longest side of what the net sees, px
WIDTH = 8
NEAR = 5.0  # px of what it sees: views that are to agree come so close
SURE = 0.2  # of two views, at least; below, the animal is not found
TURN, GROW, SHIFT, NOISE = 20.0, 0.1, 0.15, 0.1  # degrees, log, share of the side, SD


@dataclass(frozen=True, eq=False)
class Sights:
    """Whole frames (n, camera, 1, y, x), and where the animal is in each (n, camera, 1, 2)."""

    crops: torch.Tensor
    pixels: torch.Tensor

    def to(self, device: torch.device | str) -> Sights:
        """Return it on a device."""
        return replace(self, crops=self.crops.to(device), pixels=self.pixels.to(device))


def make_finder(seed: int) -> ViewNet:
    """Return a fresh net that looks for one point; equal seeds give equal weights."""
    from neuroloom.pose.volume.nets.volume import ViewNet

    with own_randomness(seed):
        return ViewNet(1, WIDTH)


def overview(images: np.ndarray) -> tuple[NDArray[np.float32], int]:
    """Make frames small and plain.

    Parameters
    ----------
    images
        Shape (n, camera, y, x), uint8.

    Returns
    -------
    Frames of mean 0 and variance 1, padded to what the net can halve, and how many times smaller
    they are.

    Examples
    --------
    >>> frames, times = overview(np.zeros((2, 3, 300, 250), np.uint8))
    >>> frames.shape, times
    ((2, 3, 112, 96), 3)
    """
    times = max(1, round(max(images.shape[-2:]) / LOOK))
    height, width = (side // times * times for side in images.shape[-2:])
    shape = (*images.shape[:2], height // times, times, width // times, times)
    cells = images[..., :height, :width].reshape(shape).mean((3, 5), dtype=np.float32)
    plain = cells - cells.mean((-2, -1), keepdims=True)
    plain /= np.maximum(plain.std((-2, -1), keepdims=True), 1e-3)
    more = [(0, 0), (0, 0), *((0, -side % CELL) for side in plain.shape[-2:])]
    return np.pad(plain, more), times


def train_finder(net: ViewNet, views: Views, batch: int, job: FitJob) -> History:
    """Train a net in place on the middles of the labelled points."""
    from neuroloom.pose.volume.nets.parts import SightPart

    frames, times = overview(views.images)
    middles = np.moveaxis(views.rig.project(centres_of(views.points)), 0, 1)[:, :, None]
    draw = partial(drawn, frames, (middles + 0.5) / times - 0.5)
    return run_part(SightPart(net, draw), len(frames), training(batch), job)


def drawn(
    frames: np.ndarray, pixels: np.ndarray, rows: np.ndarray, rng: np.random.Generator | None
) -> Sights:
    """Return some moments, each view turned, moved and lit anew if `rng` is given."""
    import torch

    chosen = torch.from_numpy(frames[rows])
    where = torch.from_numpy(pixels[rows].astype(np.float32))
    if rng is not None:
        shape = chosen.shape
        chosen, moved = varied(chosen.flatten(0, 1), where.flatten(0, 1), rng)
        chosen, where = chosen.view(shape), moved.view(where.shape)
    return Sights(chosen[:, :, None], where)


def varied(
    frames: torch.Tensor, pixels: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn, scale, move and relight frames (m, y, x), each its own way, with pixels (m, k, 2)."""
    import torch
    from torch.nn.functional import grid_sample

    m, (height, width) = len(frames), frames.shape[-2:]
    angle, size = np.deg2rad(rng.uniform(-TURN, TURN, m)), np.exp(rng.normal(0, GROW, m))
    c, s = size * np.cos(angle), size * np.sin(angle)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    middle = np.array([width - 1, height - 1]) / 2
    shift = rng.uniform(-SHIFT, SHIFT, (m, 2)) * [width, height]
    # A pixel u of the new frame shows what lies at turn (u - middle) + middle + shift.
    y, x = np.mgrid[:height, :width]
    u = np.stack([x, y], -1).reshape(-1, 2) - middle
    source = np.einsum("mij,pj->mpi", turn, u) / middle + (shift / middle)[:, None]
    grid = torch.from_numpy(source.reshape(m, height, width, 2).astype(np.float32))
    new = grid_sample(frames[:, None], grid, align_corners=True)[:, 0]
    back = np.linalg.inv(turn)
    away = pixels.double().numpy() - middle - shift[:, None]
    moved = np.einsum("mij,mkj->mki", back, away) + middle
    new = new * torch.from_numpy(rng.uniform(0.7, 1.4, (m, 1, 1)).astype(np.float32))
    new = new + NOISE * torch.from_numpy(rng.normal(size=new.shape).astype(np.float32))
    return new, torch.from_numpy(moved.astype(np.float32))


def room_of(points: np.ndarray) -> Floats:
    """Return where an animal with such labelled points (frame, keypoint, 3) may be, low and high.

    It is the box of the centres, twice as far beyond each side as the animal and the box reach.

    Examples
    --------
    >>> room_of(np.array([[[0.0, 0, 0], [2, 0, 0]], [[4.0, 0, 0], [6, 0, 0]]])).tolist()
    [[-9.0, -2.0, -2.0], [15.0, 2.0, 2.0]]
    """
    centres = centres_of(points)
    low, high = centres.min(0), centres.max(0)
    more = 2 * (high - low + float(np.nanmax(np.abs(points - centres[:, None]))))
    return np.stack([low - more, high + more])


def find_centres(
    nets: Sequence[ViewNet], views: Views, room: Floats | None = None
) -> tuple[Floats, Floats]:
    """Find the animal in all cameras, and triangulate by those that agree.

    Parameters
    ----------
    room
        Low and high corner (2, 3) of where it can be; rays of two cameras that see nothing of it
        may well meet, but seldom there.

    Returns
    -------
    Places (frame, 3), NaN where the animal was not found; and confidence (frame,): how sure the
    second surest of the agreeing views is, 0 where no two agree.
    """
    pixels, mass = _seen(nets, views)
    times = max(1, round(max(views.images.shape[-2:]) / LOOK))
    trust = np.where(mass >= SURE, mass, 0.0)
    centres, used = triangulate_robust(views.rig, pixels, trust, NEAR * times)
    gap = np.linalg.norm(views.rig.project(centres) - pixels, axis=-1)
    agreed = np.where(used & (gap <= NEAR * times), trust, 0.0)
    sure = np.sort(agreed, axis=0)[-2]
    if room is not None:
        with np.errstate(invalid="ignore"):
            inside = ((centres >= room[0]) & (centres <= room[1])).all(-1)
        sure = np.where(inside, sure, 0.0)
    centres[sure < SURE] = np.nan
    return centres, np.where(sure < SURE, 0.0, sure)


def _seen(nets: Sequence[ViewNet], views: Views) -> tuple[Floats, Floats]:
    """Return pixels (camera, frame, 2) of the views, and the probability near them."""
    import torch

    from neuroloom.pose.volume.nets.volume import decode

    frames, times = overview(views.images)
    crops = torch.from_numpy(frames).flatten(0, 1)[:, None].to(device_of(nets[0]))
    with torch.inference_mode():
        heat = torch.stack([net(crops)[0].exp() for net in nets]).mean(0)
        pixels, mass = (told.cpu() for told in decode(heat.log(), reach=3))
    place = pixels[:, 0].double().numpy().reshape(*frames.shape[:2], 2)
    place = (place + 0.5) * times - 0.5
    return np.moveaxis(place, 0, 1), mass[:, 0].double().numpy().reshape(frames.shape[:2]).T
