"""Builders of MONAI's nets: the plan's sizes in their words, padding where they need it."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets.build import Wanted, checked_options
from neuroloom.learn.dense.planning.topology import round_up
from neuroloom.nets.layers.lean_conv import CONV
from neuroloom.nets.layers.refit import has_batch_norm, refit

if TYPE_CHECKING:
    from torch import nn


def unet(wanted: Wanted) -> nn.Module:
    """Return MONAI's U-Net of residual units with the plan's widths and strides."""
    from monai.networks.nets import UNet

    sizes = {"channels": wanted.features, "strides": _strides(wanted), "num_res_units": 2}
    return _padded(wanted, _made(UNet, wanted, sizes | {"bias": True}))


def attention_unet(wanted: Wanted) -> nn.Module:
    """Return the attention U-Net with the plan's widths and strides."""
    from monai.networks.nets import AttentionUnet

    sizes = {"channels": wanted.features, "strides": _strides(wanted)}
    return _padded(wanted, _made(AttentionUnet, wanted, sizes))


def unet_plus_plus(wanted: Wanted) -> nn.Module:
    """Return U-Net++ with five levels that start at the plan's first width."""
    from monai.networks.nets import BasicUNetPlusPlus
    from torch import nn

    from neuroloom.nets.layers.padded import First

    base = wanted.features[0]
    widths = (base, base, 2 * base, 4 * base, 8 * base, base)
    net: Any = _made(BasicUNetPlusPlus, wanted, {"features": widths})
    # MONAI computes the answers of the shallower decoders and throws them away
    net.final_conv_0_1 = net.final_conv_0_2 = net.final_conv_0_3 = nn.Identity()
    return _padded(wanted, First(net))


def segresnet(wanted: Wanted) -> nn.Module:
    """Return SegResNet with the plan's first width and the paper's four levels."""
    from monai.networks.nets import SegResNet

    base = wanted.features[0]
    groups = gcd(8, base)
    norm = {"num_groups": groups, "norm": ("GROUP", {"num_groups": groups})}
    sizes = {"init_filters": base, "blocks_down": (1, 2, 2, 4)}
    return _padded(wanted, _made(SegResNet, wanted, sizes | norm))


def vnet(wanted: Wanted) -> nn.Module:
    """Return V-Net; it repeats its input up to 16 channels, so their number has to divide 16."""
    from monai.networks.nets import VNet
    from torch import nn

    from neuroloom.nets.layers.padded import Widened

    if wanted.in_channels > 16:
        raise ConfigError(f"vnet takes up to 16 channels, got {wanted.in_channels}.")
    width = next(n for n in (1, 2, 4, 8, 16) if n >= wanted.in_channels)
    net: Any = _made(VNet, wanted, {"in_channels": width})
    # MONAI norms the scores of the classes, which the paper does not: only the last layer, of one
    # voxel, could then say that a class is rare.
    net.out_tr.conv_block.adn = nn.Identity()
    if wanted.dims == 2:
        _drop_flat_channels(net)
    return _padded(wanted, Widened(net, width), cells=2)


def highresnet(wanted: Wanted) -> nn.Module:
    """Return HighResNet, whose scores are those of its last convolution."""
    from monai.networks.nets import HighResNet

    net: Any = _made(HighResNet, wanted, {})
    # MONAI norms and rectifies the scores of the classes, which the paper does not.
    width = net.blocks[-1].conv.in_channels
    net.blocks[-1] = CONV[wanted.dims](width, wanted.out_channels, 1)
    return net  # type: ignore[no-any-return]


def swinunetr(wanted: Wanted) -> nn.Module:
    """Return SwinUNETR of the paper's smallest width."""
    from monai.networks.nets import SwinUNETR

    return _padded(wanted, _made(SwinUNETR, wanted, {"feature_size": 24}), cells=2)


def unetr(wanted: Wanted) -> nn.Module:
    """Return UNETR for the plan's patch, rounded up to tokens of 16 voxels."""
    from monai.networks.nets import UNETR
    from torch import nn

    from neuroloom.nets.layers.padded import Padded

    size = round_up(wanted.patch, wanted.divisor)
    net: Any = _made(UNETR, wanted, {"img_size": size})
    for block in net.vit.blocks:  # MONAI makes weights for a second input that there is not
        block.norm_cross_attn = block.cross_attn = nn.Identity()
    return Padded(net, wanted.divisor, fixed=size)


def _made(kind: Callable[..., nn.Module], wanted: Wanted, settings: dict[str, Any]) -> nn.Module:
    """Return the net with its defaults, our settings and the user's options, in rising order."""
    checked_options(getattr(kind, "__name__", "the net"), kind, wanted.options)
    common = {
        "spatial_dims": wanted.dims,
        "in_channels": wanted.in_channels,
        "out_channels": wanted.out_channels,
    }
    try:
        net = kind(**(common | settings | dict(wanted.options)))
    except (ValueError, AssertionError) as problem:
        raise ConfigError(f"MONAI cannot build this net: {problem}") from problem
    given = [key for key in wanted.options if key.startswith("norm")]
    if given and has_batch_norm(net):
        raise ConfigError(
            f"plan.options.{given[0]}: a step sees a patch or two, which is no batch to norm over. "
            "Leave it out, or take instance or group."
        )
    refit(net)
    return net


def _padded(wanted: Wanted, net: nn.Module, cells: int = 1) -> nn.Module:
    from neuroloom.nets.layers.padded import Padded

    return Padded(net, wanted.divisor, cells)


def _drop_flat_channels(net: nn.Module) -> None:
    """Replace dropout of 3-D channels, which takes a batch of 2-D maps for one example's channels.

    MONAI 1.6.1 does not hand VNet's `dropout_dim` on: in 2-D, half of the examples would vanish.
    """
    from torch import nn

    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout3d):
                setattr(module, name, nn.Dropout2d(child.p))


def _strides(wanted: Wanted) -> list[tuple[int, ...]]:
    return list(wanted.strides[1:])
