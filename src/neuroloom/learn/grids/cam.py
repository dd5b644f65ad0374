"""Where an encoder looked: Grad-CAM, attention, or the map that a sum was taken of."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroloom.learn.grids.learner import GridLearner


def where_it_looked(learner: GridLearner, x: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return a map of each image, 0 to 1: Grad-CAM, or the map itself of a net that sums one.

    Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2) weighs the channels of the last map by the mean
    slope of an output, adds them up and keeps what speaks for the output.

    Parameters
    ----------
    learner
        A trained encoder; members are averaged.
    x
        Images (n, channel, *axes), as the learner gets them.
    output
        Which output is explained for each image (n,); 0 for a number.

    Returns
    -------
    np.ndarray
        Shape (n, *axes), float32; the largest value of an image is 1 unless nothing speaks for it.

    Examples
    --------
    >>> from neuroloom.learn.grids.learner import GridLearner
    >>> from neuroloom.nets.encoders.resnet import ResNet
    >>> learner = GridLearner("r", ResNet, n_channels=1, shape=(16, 16), n_outputs=2)
    >>> where_it_looked(learner, np.ones((3, 1, 16, 16), "float32"), np.zeros(3, int)).shape
    (3, 16, 16)
    """
    import torch

    members: Any = learner.model.eval()
    images = torch.as_tensor((x - learner.input["mean"]) / learner.input["scale"]).float()
    chosen = torch.as_tensor(np.asarray(output))
    maps = [_one(net, images, chosen) for net in members.nets]
    return _scaled(torch.stack(maps).mean(0)).numpy()


def untaught(learner: GridLearner) -> GridLearner:
    """Return the same learner with random weights: a map that stays shows the image alone.

    Examples
    --------
    >>> from neuroloom.learn.grids.learner import GridLearner
    >>> from neuroloom.nets.encoders.resnet import ResNet
    >>> learner = GridLearner("r", ResNet, n_channels=1, shape=(16, 16), n_outputs=2)
    >>> untaught(learner).model is learner.model
    False
    """
    from neuroloom.learn.explain import reinitialise

    other = copy.copy(learner)
    other.model = reinitialise(learner.model)
    return other


def attention_of(learner: GridLearner, x: np.ndarray) -> np.ndarray | None:
    """Return how much each place was looked at by the others, 0 to 1, if the net has attention.

    Shape (n, *axes) float32, or None.
    """
    import torch

    nets: Any = learner.model.eval().nets  # type: ignore[attr-defined]
    if not hasattr(nets[0], "attention_map"):
        return None
    images = torch.as_tensor((x - learner.input["mean"]) / learner.input["scale"]).float()
    with torch.no_grad():
        found = [net.attention_map(images) for net in nets]
    if any(one is None for one in found):
        return None
    return _scaled(_enlarged(torch.stack(found).mean(0), images)).numpy()


def _one(net: nn.Module, x: Tensor, output: Tensor) -> Tensor:
    if hasattr(net, "shares"):
        return _enlarged(net.shares(x).sigmoid().mean(1).detach(), x)
    seen, scores = _last_map(net, x)
    import torch

    total = scores.gather(1, output[:, None]).sum()
    (slope,) = torch.autograd.grad(total, seen)
    weight = slope.flatten(2).mean(2).reshape(*slope.shape[:2], *(1 for _ in x.shape[2:]))
    return _enlarged((weight * seen).sum(1).clamp_min(0).detach(), x)


def _last_map(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Run the net; return the last map with more than one place, and the outputs."""
    maps: list[Tensor] = []

    def keep(module: nn.Module, given: Any, made: Any) -> None:
        if getattr(made, "ndim", 0) == x.ndim and made[0, 0].numel() > 1 and made.requires_grad:
            maps.append(made)

    # Rectifiers that write in place would change a convolution's map after it was kept, so the
    # outputs of whole blocks count as well: the last one kept is the deepest.
    hooks = [module.register_forward_hook(keep) for module in net.modules() if module is not net]
    try:
        scores = net(x.clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    return maps[-1], scores


def _enlarged(maps: Tensor, x: Tensor) -> Tensor:
    from torch.nn.functional import interpolate

    mode = "bilinear" if x.ndim == 4 else "trilinear"
    return interpolate(maps[:, None], size=x.shape[2:], mode=mode, align_corners=False)[:, 0]


def _scaled(maps: Tensor) -> Tensor:
    top = maps.flatten(1).amax(1).clamp_min(1e-12)
    return maps / top.reshape(-1, *(1 for _ in maps.shape[1:]))
