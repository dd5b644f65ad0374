"""Finding with a trained net: points of a volume, of each view alone, and by two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.pose.rig.triangulate import triangulate
from neuroloom.pose.volume.views import Shape, Views, cut, make_batch

if TYPE_CHECKING:
    import torch
    from torch import nn

    from neuroloom.pose.volume.nets.volume import VolumeNet

Floats = NDArray[np.float64]


def device_of(net: nn.Module) -> torch.device:
    """Return where a net's weights are."""
    return next(net.parameters()).device


def predict_volume(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, batch: int = 4
) -> tuple[Floats, Floats]:
    """Return places (frame, keypoint, 3) and their spread (frame, keypoint), in the rig's unit.

    The spread is the root mean squared distance from the place under the voxels' probabilities.
    """
    import torch

    net.eval()
    parts, spreads = [], []
    with torch.inference_mode():
        for start in range(0, len(centres), batch):
            rows = np.arange(start, min(start + batch, len(centres)))
            made = make_batch(views.take(rows), centres[rows], shape).to(device_of(net))
            places, volume, _ = net(made.crops, made.grid, made.voxels)
            share = volume.exp()
            second = (share @ (made.voxels**2).sum(-1, keepdim=True))[..., 0]
            across = ((places - 2 * (share @ made.voxels)) * places).sum(-1)
            spread = (second + across).clamp(min=0).sqrt()
            parts.append(places.double().cpu().numpy() + centres[rows, None])
            spreads.append(spread.double().cpu().numpy())
    return np.concatenate(parts), np.concatenate(spreads)


def predict_views(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, batch: int = 8
) -> tuple[Floats, Floats]:
    """Return what each camera alone finds: pixels (camera, frame, keypoint, 2) and confidence."""
    import torch

    from neuroloom.pose.volume.nets.volume import decode

    net.eval()
    found, sure = [], []
    with torch.inference_mode():
        for start in range(0, len(centres), batch):
            rows = np.arange(start, min(start + batch, len(centres)))
            crops, corner = cut(views.take(rows), centres[rows], shape.crop)
            looked = torch.from_numpy(crops).flatten(0, 1)[:, None].to(device_of(net))
            pixels, mass = (told.cpu() for told in decode(net.view(looked)[0]))
            pixels = pixels.unflatten(0, corner.shape[:2]).double()
            found.append(pixels.numpy() + corner[:, :, None])
            sure.append(mass.unflatten(0, corner.shape[:2]).double().numpy())
    return np.moveaxis(np.concatenate(found), 0, 1), np.moveaxis(np.concatenate(sure), 0, 1)


def two_step(
    net: VolumeNet, views: Views, centres: np.ndarray, shape: Shape, method: Any = "linear"
) -> Floats:
    """Return the places by each camera alone, then triangulation: what a volume must beat."""
    pixels, sure = predict_views(net, views, centres, shape)
    return triangulate(views.rig, pixels, sure if method == "robust" else None, method)
