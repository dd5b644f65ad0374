"""Segmentation nets by name, built for a plan: any patch goes in, logits come out.

Every net answers alike: in training, with deep supervision, a list of logits from the full
resolution down; otherwise, and always in evaluation, the logits at full resolution.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.learn.dense.planning.topology import divisor_of

if TYPE_CHECKING:
    from torch import nn

WIDTHS = ("features",)
STAGES = ("features", "kernels", "blocks", "decoder_blocks")
_MONAI = "neuroloom.learn.dense.nets.monai_nets"
_HERE = "neuroloom.learn.dense.nets.planned"


@dataclass(frozen=True)
class GridNet:
    """What a net for grids is, and where it comes from.

    Parameters
    ----------
    name, summary, source
        How it is asked for; one line; the paper.
    dims
        Numbers of axes that it can take.
    deep_supervision
        Whether it can be scored at several resolutions.
    divisor
        What edges must be multiples of, whatever the plan's strides; None: what these say.
    obeys
        Which of `STAGES` it is built by; the others are its own.
    builder
        `"module:function"` that takes a `Wanted` and the options.
    """

    name: str
    summary: str
    source: str
    builder: str
    dims: tuple[int, ...] = (2, 3)
    deep_supervision: bool = False
    divisor: int | None = None
    obeys: tuple[str, ...] = WIDTHS


@dataclass(frozen=True)
class Wanted:
    """What a builder is asked for; sizes per axis are in array order."""

    dims: int
    in_channels: int
    out_channels: int
    patch: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    features: tuple[int, ...]
    divisor: tuple[int, ...]
    blocks: tuple[int, ...] | None = None
    decoder_blocks: tuple[int, ...] | None = None
    deep_supervision: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


_NETS = (
    GridNet(
        "dynunet",
        "plain U-Net as planned: depth, strides, kernels and widths follow the data",
        "Isensee et al. 2021, Nature Methods 18:203 (nnU-Net)",
        f"{_HERE}:plain",
        deep_supervision=True,
        obeys=STAGES,
    ),
    GridNet(
        "resenc-m",
        "planned U-Net with a residual encoder, for 8 GB of memory",
        "Isensee et al. 2024, arXiv:2404.09556 (nnU-Net ResEnc M)",
        f"{_HERE}:residual",
        deep_supervision=True,
        obeys=STAGES,
    ),
    GridNet(
        "resenc-l",
        "planned U-Net with a residual encoder, for 24 GB of memory",
        "Isensee et al. 2024, arXiv:2404.09556 (nnU-Net ResEnc L)",
        f"{_HERE}:residual",
        deep_supervision=True,
        obeys=STAGES,
    ),
    GridNet(
        "resenc-xl",
        "planned U-Net with a residual encoder, for 40 GB of memory",
        "Isensee et al. 2024, arXiv:2404.09556 (nnU-Net ResEnc XL)",
        f"{_HERE}:residual",
        deep_supervision=True,
        obeys=STAGES,
    ),
    GridNet(
        "unet",
        "U-Net of residual units",
        "Kerfoot et al. 2019, STACOM 371-380; Ronneberger et al. 2015",
        f"{_MONAI}:unet",
    ),
    GridNet(
        "attention-unet",
        "U-Net whose shortcuts pass an attention gate",
        "Oktay et al. 2018, arXiv:1804.03999",
        f"{_MONAI}:attention_unet",
    ),
    GridNet(
        "basicunetplusplus",
        "U-Net++: nested decoders of every depth",
        "Zhou et al. 2018, DLMIA 3-11",
        f"{_MONAI}:unet_plus_plus",
        divisor=16,
    ),
    GridNet(
        "segresnet",
        "residual encoder, slim decoder, group norm",
        "Myronenko 2018, BrainLes 311-320",
        f"{_MONAI}:segresnet",
        divisor=8,
    ),
    GridNet(
        "vnet",
        "V-Net: residual stages, 5x5 kernels",
        "Milletari et al. 2016, 3DV 565-571",
        f"{_MONAI}:vnet",
        divisor=16,
        obeys=(),
    ),
    GridNet(
        "highresnet",
        "dilated residual net that never lowers the resolution",
        "Li et al. 2017, IPMI 348-360 (HighRes3DNet)",
        f"{_MONAI}:highresnet",
        obeys=(),
    ),
    GridNet(
        "swinunetr",
        "shifted-window transformer encoder, convolutional decoder",
        "Hatamizadeh et al. 2022, BrainLes 272-284",
        f"{_MONAI}:swinunetr",
        divisor=32,
        obeys=(),
    ),
    GridNet(
        "unetr",
        "vision transformer encoder, convolutional decoder; one patch size",
        "Hatamizadeh et al. 2022, WACV 574-584",
        f"{_MONAI}:unetr",
        divisor=16,
        obeys=(),
    ),
    GridNet(
        "fcn",
        "FCN-8s: three coarse score maps, summed and interpolated",
        "Long et al. 2015, CVPR 3431-3440",
        f"{_HERE}:fcn",
    ),
    GridNet(
        "deepmedic",
        "two paths, one of them coarse, without a decoder",
        "Kamnitsas et al. 2017, Medical Image Analysis 36:61",
        f"{_HERE}:deepmedic",
        obeys=(),
    ),
)


def grid_nets() -> dict[str, GridNet]:
    """Return what can be built, by name.

    Examples
    --------
    >>> grid_nets()["vnet"].source
    'Milletari et al. 2016, 3DV 565-571'
    """
    return {net.name: net for net in _NETS}


def net_names() -> list[str]:
    """Return the names that `build_net` knows.

    Examples
    --------
    >>> net_names()[:4]
    ['dynunet', 'resenc-m', 'resenc-l', 'resenc-xl']
    """
    return [net.name for net in _NETS]


def build_net(
    name: str,
    *,
    dims: int,
    in_channels: int,
    out_channels: int,
    patch: Sequence[int],
    strides: Sequence[Sequence[int] | int],
    kernels: Sequence[Sequence[int] | int],
    features: Sequence[int],
    blocks: Sequence[int] | None = None,
    decoder_blocks: Sequence[int] | None = None,
    deep_supervision: bool = True,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a segmentation net.

    Parameters
    ----------
    name
        One of `net_names()`.
    dims
        2 or 3 axes.
    in_channels, out_channels
        Channels of the image; classes with the background, or regions.
    patch
        Voxels per axis that it will mostly see; any other size is taken too (but by "unetr").
    strides, kernels, features
        Per stage, from the full resolution down; a number stands for all axes. Nets with a
        topology of their own use only what applies to them.
    blocks, decoder_blocks
        Convolutions or residual blocks of each stage of the encoder, and of the decoder, the lowest
        first; None: the net's own.
    deep_supervision
        Ask for a list of logits in training; ignored by nets that have only one.
    options
        What else the net knows by name: `"dropout"`, `"up"`, `"skip"`, …

    Returns
    -------
    nn.Module
        From (n, in_channels, *place) to logits (n, out_channels, *place), or to a list of them.

    Raises
    ------
    ConfigError
        If the name or an option is unknown, or the net cannot have these sizes.

    Examples
    --------
    >>> import torch
    >>> sizes = dict(patch=(16, 16), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_net("dynunet", dims=2, in_channels=1, out_channels=2, **sizes)
    >>> [tuple(y.shape) for y in net(torch.zeros(1, 1, 15, 17))]
    [(1, 2, 15, 17)]
    """
    if name not in (nets := grid_nets()):
        raise ConfigError(
            f"There is no net {name!r} for grids.{nearest(name, nets)} There are {', '.join(nets)}."
        )
    net = nets[name]
    if dims not in net.dims:
        raise ConfigError(f"{name} takes images of {net.dims} axes; these have {dims}.")
    steps = tuple(_axes(s, dims, "strides") for s in strides)
    wanted = Wanted(
        dims,
        in_channels,
        out_channels,
        _axes(patch, dims, "patch"),
        steps,
        tuple(_axes(k, dims, "kernels") for k in kernels),
        tuple(features),
        divisor_of_net(name, steps),
        None if blocks is None else tuple(blocks),
        None if decoder_blocks is None else tuple(decoder_blocks),
        deep_supervision and net.deep_supervision,
        dict(options or {}),
    )
    try:
        built: nn.Module = _load(net.builder)(wanted)
    except TypeError as problem:
        if not wanted.options:
            raise
        raise ConfigError(f"{name} cannot have options {wanted.options}: {problem}.") from problem
    return built


def divisor_of_net(name: str, strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return what a patch must be a multiple of, axis by axis, to go through a net unpadded.

    Examples
    --------
    >>> strides = [(1, 1), (2, 2), (1, 2)]
    >>> divisor_of_net("dynunet", strides), divisor_of_net("vnet", strides)
    ((2, 4), (16, 16))
    """
    net = grid_nets().get(name)
    whole = divisor_of(strides)
    return whole if net is None or net.divisor is None else (net.divisor,) * len(whole)


def idle_keys(name: str, keys: Iterable[str]) -> list[str]:
    """Return which of these keys of a plan mean nothing to a net, which has them of its own.

    Examples
    --------
    >>> idle_keys("vnet", ["features", "patch"]), idle_keys("dynunet", ["features", "patch"])
    (['features'], [])
    """
    net = grid_nets().get(name)
    return [key for key in keys if net and key in STAGES and key not in net.obeys]


def checked_options(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise if `make` takes no argument of the name of an option.

    Examples
    --------
    >>> checked_options("fcn", lambda dropout: None, {"dropout": 0.1})
    """
    known = [key for key in inspect.signature(make).parameters if key != "self"]
    for key in options:
        if key not in known:
            raise ConfigError(f"{name} has no option {key!r}.{nearest(key, known)}")


def _axes(value: Sequence[int] | int, dims: int, what: str) -> tuple[int, ...]:
    axes = (value,) * dims if isinstance(value, int) else tuple(int(v) for v in value)
    if len(axes) != dims or min(axes) < 1:
        raise ConfigError(f"{what} needs {dims} positive numbers, one an axis; got {value}.")
    return axes


def _load(builder: str) -> Callable[[Wanted], nn.Module]:
    module, _, function = builder.partition(":")
    made: Callable[[Wanted], nn.Module] = getattr(import_module(module), function)
    return made
