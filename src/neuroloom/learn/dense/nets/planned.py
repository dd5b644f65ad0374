"""Builders of the nets that are our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets.build import Wanted, checked_options

if TYPE_CHECKING:
    from torch import nn

RESIDUAL_BLOCKS = (1, 3, 4, 6)  # of the first stages; every deeper one has six


def plain(wanted: Wanted) -> nn.Module:
    """Return the planned U-Net: two convolutions a stage, or `wanted.blocks`.

    Examples
    --------
    >>> from neuroloom.learn.dense.nets.build import build_net
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_net("dynunet", dims=2, in_channels=1, out_channels=2, **sizes)
    >>> len(net.net.encoder)
    3
    """
    return _planned(wanted, residual=False, decoder=2)


def residual(wanted: Wanted) -> nn.Module:
    """Return the planned U-Net with a residual encoder: 1, 3, 4, 6, 6, … blocks, slim decoder.

    Examples
    --------
    >>> from neuroloom.learn.dense.nets.build import build_net
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_net("resenc-m", dims=2, in_channels=1, out_channels=2, **sizes)
    >>> [len(stage) for stage in net.net.encoder]
    [1, 3, 4]
    """
    return _planned(wanted, residual=True, decoder=1)


def fcn(wanted: Wanted) -> nn.Module:
    """Return FCN-8s with the plan's widths."""
    from neuroloom.nets.fcn import FCN
    from neuroloom.nets.layers.padded import Padded

    checked_options("fcn", FCN, wanted.options)
    if len(wanted.features) < 2:
        raise ConfigError(f"fcn needs features of two or more stages, got {wanted.features}.")
    ends = (wanted.dims, wanted.in_channels, wanted.out_channels)
    return Padded(FCN(*ends, wanted.features, **wanted.options), (1,) * wanted.dims)


def deepmedic(wanted: Wanted) -> nn.Module:
    """Return DeepMedic with the paper's widths."""
    from neuroloom.nets.fcn import DeepMedic

    checked_options("deepmedic", DeepMedic, wanted.options)
    return DeepMedic(wanted.dims, wanted.in_channels, wanted.out_channels, **wanted.options)


def _planned(wanted: Wanted, *, residual: bool, decoder: int) -> nn.Module:
    from neuroloom.nets.layers.padded import Padded
    from neuroloom.nets.planned_unet import PlannedUNet

    checked_options("the planned U-Net", PlannedUNet, wanted.options)
    stages = len(wanted.features)
    six = (6,) * max(0, stages - len(RESIDUAL_BLOCKS))
    usual = (*RESIDUAL_BLOCKS[:stages], *six) if residual else (2,) * stages
    settings: dict[str, Any] = {
        "decoder": wanted.decoder_blocks or decoder,
        "residual": residual,
        "blocks": wanted.blocks or usual,
    }
    net = PlannedUNet(
        wanted.dims,
        wanted.in_channels,
        wanted.out_channels,
        wanted.features,
        wanted.strides,
        wanted.kernels,
        **(settings | {"deep_supervision": wanted.deep_supervision} | dict(wanted.options)),
    )
    return Padded(net, wanted.divisor)
