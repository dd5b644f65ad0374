"""Let a net that others wrote train on batches of two patches, and quickly on a CPU."""

from __future__ import annotations

from torch import nn

from neuroloom.nets.layers.lean_conv import CONV, UP, lay_last
from neuroloom.nets.layers.norm_act import NormAct

_BATCH = (nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE = (nn.InstanceNorm2d, nn.InstanceNorm3d)
_LEAN = {
    nn.Conv2d: CONV[2], nn.Conv3d: CONV[3], nn.ConvTranspose2d: UP[2], nn.ConvTranspose3d: UP[3],
}  # fmt: skip


def refit(net: nn.Module) -> None:
    """Replace batch by instance norms, and stock layers by lean ones, which return the same.

    The moments of a batch of two patches say little of an image, and those that a batch norm keeps
    are of weights that training has left behind: weights that are averaged over many steps have
    others.

    Parameters
    ----------
    net
        Changed in place, before its first step.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> refit(net)
    >>> [type(part).__name__ for part in net]
    ['LeanConv2d', 'NormAct', 'ReLU']
    """
    for part in list(net.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, (*_BATCH, *_INSTANCE)):
                setattr(part, name, _instance_norm(child))
            elif type(child) in _LEAN:
                child.__class__ = _LEAN[type(child)]
    lay_last(net)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether any layer norms over the batch.

    Examples
    --------
    >>> has_batch_norm(nn.Sequential(nn.BatchNorm2d(3))), has_batch_norm(nn.InstanceNorm2d(3))
    (True, False)
    """
    return any(isinstance(part, _BATCH) for part in net.modules())


def _instance_norm(norm: nn.Module) -> NormAct:
    width, eps = int(norm.num_features), float(norm.eps)  # type: ignore[arg-type]
    return NormAct(width, None, eps, affine=bool(norm.affine))
