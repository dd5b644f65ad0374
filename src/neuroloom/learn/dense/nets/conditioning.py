"""Nets that know which contrasts they see: FiLM, HeMIS, and dropout that stays on.

A missing contrast is a channel full of NaN. The nets here take it as such, so a case that lacks one
needs neither a copy of another nor a net of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets.build import build_net
from neuroloom.nets.layers.norm_act import NormAct
from neuroloom.nets.layers.padded import Padded
from neuroloom.nets.planned_unet import PlannedUNet


class FiLM(nn.Module):
    """Scale and shift the features of every stage by what is known about the case.

    What is known are the contrasts that are present and numbers from a table (age, field strength,
    a contrast's number as zeros and ones). At the start every scale is one and every shift zero.

    Parameters
    ----------
    net
        A planned net of `build_net`.
    channels
        Contrasts of the image whose presence the net is told; 0: none.
    metadata
        Numbers a case; NaN is "not known".
    hidden
        Width of the layer between.

    Raises
    ------
    ConfigError
        If `net` has no stages to condition, or there is nothing to condition it on.

    References
    ----------
    Perez et al. (2018), AAAI 3942-3951; for segmentation: Lemay et al. (2021), arXiv:2102.04800.

    Examples
    --------
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_net("dynunet", dims=2, in_channels=2, out_channels=2, **sizes)
    >>> x = torch.zeros(1, 2, 8, 8)
    >>> x[:, 1] = torch.nan
    >>> FiLM(net, channels=2).eval()(x).isfinite().all().item()
    True
    """

    def __init__(
        self, net: nn.Module, *, channels: int = 0, metadata: int = 0, hidden: int = 64
    ) -> None:
        super().__init__()
        if channels + metadata < 1:
            raise ConfigError("FiLM needs contrasts or metadata to condition on; got neither.")
        self.net, self.channels, self.metadata = net, channels, metadata
        unet = _planned(net, "FiLM")
        stages = [*unet.encoder, *unet.decoder]
        self.trunk = nn.Sequential(nn.Linear(channels + 2 * metadata, hidden), nn.ReLU())
        self.rules = nn.ModuleList(nn.Linear(hidden, 2 * _width(stage)) for stage in stages)
        for rule in self.rules:
            nn.init.zeros_(rule.weight)  # type: ignore[arg-type]
            nn.init.zeros_(rule.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, metadata: Tensor | None = None) -> Tensor | list[Tensor]:
        """Map images (n, channel, *place) and numbers (n, metadata) to logits."""
        x, present = fill_missing(x)
        known = self.trunk(self._condition(x, present, metadata))
        unet = _planned(self.net, "FiLM")
        stages = [*unet.encoder, *unet.decoder]
        hooks = [
            stage.register_forward_hook(_modulate(rule(known)))
            for stage, rule in zip(stages, self.rules, strict=True)
        ]
        try:
            y: Tensor | list[Tensor] = self.net(x)
        finally:
            for hook in hooks:
                hook.remove()
        return y

    def _condition(self, x: Tensor, present: Tensor, metadata: Tensor | None) -> Tensor:
        parts = [present[:, : self.channels].to(x)] if self.channels else []
        if self.metadata:
            if metadata is None:
                metadata = x.new_full((len(x), self.metadata), torch.nan)
            if metadata.shape != (len(x), self.metadata):
                raise ConfigError(
                    f"FiLM was built for {self.metadata} numbers a case; got metadata of shape "
                    f"{tuple(metadata.shape)} for {len(x)} cases."
                )
            parts += [metadata.nan_to_num(0.0).to(x), metadata.isnan().to(x)]
        return torch.cat(parts, 1)


class HeMIS(nn.Module):
    """One encoder a contrast; mean and variance over those present feed one decoder.

    Parameters
    ----------
    branches
        A planned net for one channel for every contrast: their encoders.
    decoder
        One more, of the same sizes: its decoder.
    drop
        Probability that a contrast of a case is hidden in training; one always stays.

    References
    ----------
    Havaei et al. (2016), MICCAI 469-477; at every level of a U-Net as in ivadomed (Gros et al.
    2021, JOSS 6:2868).

    Examples
    --------
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_hemis("dynunet", dims=2, in_channels=3, out_channels=2, **sizes).eval()
    >>> x = torch.zeros(1, 3, 8, 8)
    >>> x[:, 1:] = torch.nan
    >>> net(x).isfinite().all().item()
    True
    """

    def __init__(
        self, branches: Sequence[PlannedUNet], decoder: PlannedUNet, drop: float = 0.3
    ) -> None:
        super().__init__()
        self.drop = drop
        widths = [_width(stage) for stage in decoder.encoder]
        self.branches = nn.ModuleList(nn.ModuleList([net.stem, *net.encoder]) for net in branches)
        self.merge = nn.ModuleList(_Merge(width, decoder.encoder[0]) for width in widths)
        decoder.stem, decoder.encoder = nn.Identity(), nn.ModuleList()
        self.decoder = decoder

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor | list[Tensor]:
        """Map images (n, contrast, *place) to logits.

        Parameters
        ----------
        x
            A contrast that a case lacks is NaN, or marked False in `present` (n, contrast).
        present
            None: told by the NaNs.
        """
        x, there = fill_missing(x)
        there = there if present is None else there & present
        if self.training and self.drop:
            there = hide(there, self.drop)
        each = [self._encode(i, x[:, i : i + 1]) for i in range(x.shape[1])]
        levels = [
            merge(torch.stack(features), there)
            for merge, *features in zip(self.merge, *each, strict=True)
        ]
        return self.decoder.decode(levels)

    def _encode(self, contrast: int, x: Tensor) -> list[Tensor]:
        stem, *stages = self.branches[contrast]  # type: ignore[misc]
        x, levels = stem(x), []
        for stage in stages:
            x = stage(x)
            levels.append(x)
        return levels


def build_hemis(name: str, *, in_channels: int, drop: float = 0.3, **sizes: Any) -> nn.Module:
    """Build a planned net with an encoder for each of `in_channels` contrasts.

    Parameters
    ----------
    name
        `"dynunet"`, or `"resenc-m"`, `"resenc-l"`, `"resenc-xl"`.
    in_channels
        Contrasts.
    drop
        As of `HeMIS`.
    **sizes
        All else that `build_net` takes.

    Examples
    --------
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_hemis("dynunet", dims=2, in_channels=2, out_channels=2, **sizes)
    >>> len(net.net.branches)
    2
    """
    nets = [build_net(name, in_channels=1, **sizes) for _ in range(in_channels + 1)]
    *branches, decoder = (_planned(net, "HeMIS") for net in nets)
    return Padded(HeMIS(branches, decoder, drop), nets[-1].divisor)  # type: ignore[arg-type]


def build_bearing(missing: str, name: str, *, in_channels: int, **sizes: Any) -> nn.Module:
    """Build a net that bears missing channels in the way named: "none", "hemis" or "film".

    Raises
    ------
    ConfigError
        If the net is none that can be conditioned.

    Examples
    --------
    >>> sizes = dict(patch=(8, 8), strides=(1, 2, 2), kernels=(3, 3, 3), features=(8, 16, 32))
    >>> net = build_bearing("film", "dynunet", dims=2, in_channels=2, out_channels=2, **sizes)
    >>> type(net).__name__
    'FiLM'
    """
    if missing == "hemis":
        return build_hemis(name, in_channels=in_channels, drop=0.0, **sizes)
    net = build_net(name, in_channels=in_channels, **sizes)
    return FiLM(net, channels=in_channels) if missing == "film" else net


def fill_missing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return images with zeros for NaN, and which channels were wholly there (n, channel).

    Examples
    --------
    >>> fill_missing(torch.tensor([[[1.0, 2.0], [torch.nan, torch.nan]]]))[1]
    tensor([[ True, False]])
    """
    unknown = x.isnan()
    gone = unknown.flatten(2).any(2)
    if not gone.any():
        return x, ~gone
    shape = (*gone.shape, *[1] * (x.ndim - 2))
    return x.masked_fill(gone.view(shape), 0.0), ~gone


def hide(present: Tensor, share: float, generator: Generator | None = None) -> Tensor:
    """Hide each present contrast with probability `share`; one of each case always stays.

    Examples
    --------
    >>> hide(torch.tensor([[True, True, False]]), 1.0).sum().item()
    1
    """
    draw = torch.rand(present.shape, generator=generator).to(present.device)
    kept = present & (draw >= share)
    best = draw.masked_fill(~present, -1.0).argmax(1, keepdim=True)
    return kept | (present & torch.zeros_like(present).scatter(1, best, True))


@contextmanager
def keep_dropping(net: nn.Module) -> Iterator[nn.Module]:
    """Leave only the dropout of a net in training: every pass is then a draw (MC dropout).

    Source: Gal & Ghahramani 2016 (arXiv:1506.02142).

    Raises
    ------
    ConfigError
        If the net has no dropout.

    Examples
    --------
    >>> with keep_dropping(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))) as net:
    ...     [layer.training for layer in net]
    [True, False]
    """
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    drops = [m for m in net.modules() if isinstance(m, kinds) and m.p > 0]
    if not drops:
        raise ConfigError(
            "Monte Carlo dropout needs a net with dropout, this one has none; build it with the "
            'option dropout, for instance {"dropout": 0.1}.'
        )
    modes = {module: module.training for module in net.modules()}
    net.eval()
    for drop in drops:
        drop.train()
    try:
        yield net
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Merge(nn.Module):
    """Narrow mean and variance over the contrasts to the width that the decoder knows."""

    def __init__(self, width: int, like: nn.Module) -> None:
        super().__init__()
        flat = any(isinstance(module, nn.Conv2d) for module in like.modules())
        conv = nn.Conv2d if flat else nn.Conv3d
        self.narrow = nn.Sequential(conv(2 * width, width, 1, bias=False), NormAct(width))

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Map features (contrast, n, channel, *place) and presence (n, contrast) to one map."""
        there = present.T.reshape(*present.T.shape, *[1] * (features.ndim - 2)).to(features)
        count = there.sum(0)
        mean = (features * there).sum(0) / count.clamp(min=1)
        away = ((features - mean) * there).square().sum(0)
        y: Tensor = self.narrow(torch.cat([mean, away / (count - 1).clamp(min=1)], 1))
        return y


def _modulate(rule: Tensor) -> Any:
    scale, shift = rule.chunk(2, 1)

    def hook(_module: nn.Module, _inputs: Any, y: Tensor) -> Tensor:
        shape = (*scale.shape, *[1] * (y.ndim - 2))
        return y * (1 + scale.view(shape).to(y)) + shift.view(shape).to(y)

    return hook


def _planned(net: nn.Module, who: str) -> PlannedUNet:
    inner = net.net if isinstance(net, Padded) else net
    if not isinstance(inner, PlannedUNet):
        raise ConfigError(
            f"{who} conditions planned nets (dynunet, resenc-m, resenc-l, resenc-xl), not "
            f"{type(inner).__name__}."
        )
    return inner


def _width(stage: nn.Module) -> int:
    """Return the channels that a stage puts out: those of its last norm of the main path."""
    return [module.weight.numel() for module in stage.modules() if isinstance(module, NormAct)][-1]
