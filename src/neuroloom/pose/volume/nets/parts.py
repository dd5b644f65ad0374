"""What each part of a training is to `fit.fit`: a net, the moments it draws, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from neuroloom.learn.dense.training.module import on_cpu
from neuroloom.pose.volume.nets.volume import VolumeNet, target_heat

if TYPE_CHECKING:
    from neuroloom.pose.volume.centre import Sights
    from neuroloom.pose.volume.views import Batch

Draw = Callable[[np.ndarray, np.random.Generator | None], "Batch | Sights"]
MOST = 2**62
BROAD = 0.3  # weight of the right voxel's probability, beside distances


class Part(nn.Module):
    """A net that draws its own batches: an example of `fit.fit` is the number of a moment.

    Parameters
    ----------
    net
        What is trained.
    draw
        From numbers of moments (n,) and a source of chance to a batch; None: nothing is varied.
    """

    def __init__(self, net: nn.Module, draw: Draw) -> None:
        super().__init__()
        self.net, self.draw = net, draw

    def forward(self, x: Tensor) -> Tensor:
        """Only `loss` is asked for."""
        raise NotImplementedError

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean loss of the moments numbered `x` (n,); `y` is not used."""
        own = None
        if generator is not None:
            seed = torch.randint(MOST, (), generator=on_cpu(generator))
            own = np.random.default_rng(int(seed))
        return self.cost(self.draw(x.cpu().numpy(), own).to(x.device))

    def cost(self, batch: Any) -> Tensor:
        """Return the mean loss of a batch."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Nothing: these nets have no limits on their weights."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Nothing: groups are normalised, which keeps no moments."""


class SightPart(Part):
    """What one camera alone sees: cross-entropy of each point's place in each view."""

    def cost(self, batch: Batch | Sights) -> Tensor:
        """Return the mean loss of a batch."""
        told, absent, _ = self.net(batch.crops.flatten(0, 1))
        return view_loss(told, absent, batch.pixels.flatten(0, 1))


class SpacePart(Part):
    """What all cameras see together: distance from the true place."""

    net: VolumeNet

    def __init__(self, net: VolumeNet, draw: Draw, voxel: float) -> None:
        super().__init__(net, draw)
        self.voxel = voxel

    def cost(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch."""
        places, volume, _ = self.net(batch.crops, batch.grid, batch.voxels)
        near = place_loss(places, batch.truth) / self.voxel
        return near + BROAD * volume_loss(volume, batch.voxels, batch.truth, self.voxel)


def view_loss(told: Tensor, absent: Tensor, pixels: Tensor) -> Tensor:
    """Return the cross-entropy of what views say of points at pixels of the crop.

    Missing points (NaN) do not count; one that is outside the crop is to be told absent.

    Parameters
    ----------
    told
        Log-probabilities (n, keypoint, y/2, x/2).
    absent
        Log-probabilities (n, keypoint) that a point is outside.
    pixels
        Shape (n, keypoint, 2), px of the crop.

    Examples
    --------
    >>> told = torch.full((1, 2, 4, 4), 1 / 17).log()
    >>> pixels = torch.tensor([[[3.5, 3.5], [99.0, 0.0]]])
    >>> view_loss(told, told[:, :, 0, 0], pixels).exp().round().item()
    17.0
    """
    height, width = told.shape[-2:]
    wanted = target_heat(pixels, (2 * height, 2 * width))
    known = torch.isfinite(pixels).all(-1)
    outside = (wanted.sum((-2, -1)) == 0).float()
    loss = -(wanted * told).sum((-2, -1)) - outside * absent
    return torch.where(known, loss, 0).sum() / known.sum().clamp(min=1)


def volume_loss(volume: Tensor, voxels: Tensor, truth: Tensor, voxel: float) -> Tensor:
    """Return the cross-entropy of log-probabilities (n, keypoint, voxel) of the true places.

    The truth is a Gaussian of half a voxel; what is missing or outside the cube does not count.

    Parameters
    ----------
    voxels, truth
        Shape (n, voxel, 3) and (n, keypoint, 3), in one frame.
    voxel
        Side of a voxel.

    Examples
    --------
    >>> places = torch.tensor([[[0.0, 0, 0], [9.0, 0, 0]]])
    >>> sure = torch.tensor([[[0.0, -50.0]]])
    >>> round(volume_loss(sure, places, torch.zeros(1, 1, 3), 3.0).item(), 3)
    0.0
    """
    known = torch.isfinite(truth).all(-1)
    far = torch.cdist(torch.nan_to_num(truth), voxels) / voxel
    inside = known & (far.amin(-1) < 1)
    wanted = torch.softmax(-2 * far**2, -1)
    loss = -(wanted * volume).sum(-1)
    return (loss * inside).sum() / inside.sum().clamp(min=1)


def place_loss(places: Tensor, truth: Tensor) -> Tensor:
    """Return the mean distance of places (n, keypoint, 3) from the truth, NaN left out.

    Examples
    --------
    >>> round(place_loss(torch.zeros(1, 1, 3), torch.tensor([[[3.0, 4.0, 0.0]]])).item(), 3)
    5.0
    """
    known = torch.isfinite(truth).all(-1)
    far = ((places - torch.nan_to_num(truth)) ** 2).sum(-1).add(1e-6).sqrt() * known
    return far.sum() / known.sum().clamp(min=1)
