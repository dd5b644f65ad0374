"""The U-Net that a plan describes, plain or with a residual encoder, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from neuroloom.core.errors import ConfigError
from neuroloom.nets.layers.lean_conv import CONV, UP, lay_last
from neuroloom.nets.layers.norm_act import NormAct

Sizes = Sequence[int]


class PlannedUNet(nn.Module):
    """U-Net whose depth, strides, kernels and widths are given stage by stage (nnU-Net's).

    Stages of convolution, instance norm and leaky ReLU; a strided convolution leads down, a
    transposed one up, and logits are read off the decoder at several resolutions.

    Parameters
    ----------
    dims
        2 or 3 axes.
    in_channels, out_channels
        Channels of the image; classes (or regions) of the answer.
    features, strides, kernels
        Of each stage, from the full resolution down; strides and kernels per axis.
    blocks
        Convolutions (or residual blocks) of each encoder stage.
    decoder
        Convolutions of each decoder stage, the lowest first; a number stands for all.
    residual
        Residual encoder: a stem and blocks of two convolutions beside a shortcut (He et al. 2019,
        variant D: the shortcut averages, then a 1x1 convolution).
    deep_supervision
        In training return logits at all resolutions but the two lowest, full first.
    up
        `"transposed"`; `"linear"` narrows with a 1x1 convolution, then interpolates, which is
        cheaper.
    skip
        `"cat"` puts what comes from the encoder beside what comes from below; `"add"` adds it: the
        first convolution of a decoder stage is then half the work.
    dropout
        Share of whole channels dropped after every convolution.
    bias
        Give the convolutions in front of a norm a bias, as nnU-Net does. The norm subtracts it
        again: it counts as weights, and changes nothing.

    Raises
    ------
    ConfigError
        If the lists differ in length, or `up` or `skip` is unknown.

    References
    ----------
    Isensee et al. (2021), Nature Methods 18, 203-211; residual encoder: Isensee et al. (2024),
    arXiv:2404.09556.

    Examples
    --------
    >>> net = PlannedUNet(3, 1, 3, (8, 16, 32), ((1, 1, 1), (2, 2, 2), (2, 2, 2)), ((3, 3, 3),) * 3)
    >>> net.eval()(torch.zeros(1, 1, 8, 12, 8)).shape
    torch.Size([1, 3, 8, 12, 8])
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        features: Sizes,
        strides: Sequence[Sizes],
        kernels: Sequence[Sizes],
        *,
        blocks: Sizes | None = None,
        decoder: int | Sizes = 2,
        residual: bool = False,
        deep_supervision: bool = True,
        up: str = "transposed",
        skip: str = "cat",
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        blocks = blocks or (2,) * len(features)
        _check(features, strides, kernels, blocks, up, skip)
        make = _Maker(dims, dropout, bias)
        self.adds, self.deep_supervision = skip == "add", deep_supervision
        self.stem, self.encoder = make.encoder(
            in_channels, features, strides, kernels, blocks, residual
        )
        ups = list(reversed([*zip(pairwise(features), strides[1:], kernels[:-1], strict=True)]))
        self.up = nn.ModuleList(make.up(low, high, s, up) for (high, low), s, _ in ups)
        both = 1 if self.adds else 2
        depths = [decoder] * len(ups) if isinstance(decoder, int) else decoder
        self.decoder = nn.ModuleList(
            make.stage(both * high, high, (1,) * dims, k, depth)
            for ((high, _), _, k), depth in zip(ups, depths, strict=True)
        )
        supervised = max(1, len(features) - 2) if deep_supervision else 1
        self.heads = nn.ModuleList(
            make.conv(width, out_channels, (1,) * dims, (1,) * dims, bias=True)
            for width in features[:supervised]
        )
        lay_last(self)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Map images (n, channel, *place) to logits (n, class, *place); in training to a list."""
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the features of every stage, full resolution first."""
        x = self.stem(x)
        levels = []
        for stage in self.encoder:
            x = stage(x)
            levels.append(x)
        return levels

    def decode(self, levels: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Return the logits that the features of every stage lead to."""
        x, outputs = levels[-1], []
        below = list(enumerate(levels[:-1]))[::-1]
        for up, stage, (level, beside) in zip(self.up, self.decoder, below, strict=True):
            x = up(x)
            x = stage(x + beside if self.adds else torch.cat([x, beside], 1))
            if level == 0 or (self.training and level < len(self.heads)):
                outputs.append(self.heads[level](x))
        return outputs[::-1] if self.training and self.deep_supervision else outputs[-1]


class _Maker:
    """Layers of one net: what they share is said once."""

    def __init__(self, dims: int, dropout: float, bias: bool) -> None:
        self.dims, self.bias, self.dropout = dims, bias, dropout
        self.one = (1,) * dims

    def conv(
        self, n_in: int, n_out: int, kernel: Sizes, stride: Sizes, *, bias: bool
    ) -> nn.Conv2d | nn.Conv3d:
        padding = tuple((k - 1) // 2 for k in kernel)
        layer = CONV[self.dims](n_in, n_out, tuple(kernel), tuple(stride), padding, bias=bias)  # type: ignore[arg-type]
        return _he(layer)  # type: ignore[return-value]

    def block(
        self, n_in: int, n_out: int, kernel: Sizes, stride: Sizes, slope: float | None = 0.01
    ) -> nn.Sequential:
        """Return convolution, dropout, norm and (unless `slope` is None) the nonlinearity."""
        layers: list[nn.Module] = [self.conv(n_in, n_out, kernel, stride, bias=self.bias)]
        if self.dropout:
            layers.append(
                nn.Dropout2d(self.dropout) if self.dims == 2 else nn.Dropout3d(self.dropout)
            )
        return nn.Sequential(*layers, NormAct(n_out, slope))

    def stage(
        self, n_in: int, n_out: int, stride: Sizes, kernel: Sizes, count: int
    ) -> nn.Sequential:
        """Return `count` convolutions, the first of them strided."""
        more = (self.block(n_out, n_out, kernel, self.one) for _ in range(count - 1))
        return nn.Sequential(self.block(n_in, n_out, kernel, stride), *more)

    def encoder(
        self,
        n_in: int,
        features: Sizes,
        strides: Sequence[Sizes],
        kernels: Sequence[Sizes],
        blocks: Sizes,
        residual: bool,
    ) -> tuple[nn.Module, nn.ModuleList]:
        widths = pairwise((features[0] if residual else n_in, *features))
        each = list(zip(widths, strides, kernels, blocks, strict=True))
        if not residual:
            stages = (self.stage(a, b, s, k, count) for (a, b), s, k, count in each)
            return nn.Identity(), nn.ModuleList(stages)
        stem = self.block(n_in, features[0], kernels[0], self.one)
        return stem, nn.ModuleList(self._residuals(a, b, s, k, n) for (a, b), s, k, n in each)

    def _residuals(
        self, n_in: int, n_out: int, stride: Sizes, kernel: Sizes, count: int
    ) -> nn.Sequential:
        more = (_Residual(self, n_out, n_out, kernel, self.one) for _ in range(count - 1))
        return nn.Sequential(_Residual(self, n_in, n_out, kernel, stride), *more)

    def up(self, n_in: int, n_out: int, stride: Sizes, kind: str) -> nn.Module:
        if kind == "linear":
            narrow = self.conv(n_in, n_out, self.one, self.one, bias=False)
            return nn.Sequential(narrow, _Enlarge(tuple(float(s) for s in stride)))
        transposed = UP[self.dims]
        return _he(transposed(n_in, n_out, tuple(stride), tuple(stride)))  # type: ignore[arg-type]


class _Residual(nn.Module):
    def __init__(self, make: _Maker, n_in: int, n_out: int, kernel: Sizes, stride: Sizes) -> None:
        super().__init__()
        first = make.block(n_in, n_out, kernel, stride)
        self.body = nn.Sequential(first, _bare(make).block(n_out, n_out, kernel, make.one, None))
        short: list[nn.Module] = []
        if any(s != 1 for s in stride):
            pool = nn.AvgPool2d if make.dims == 2 else nn.AvgPool3d
            short.append(pool(tuple(stride), tuple(stride)))  # type: ignore[arg-type]
        if n_in != n_out:
            straight = make.conv(n_in, n_out, make.one, make.one, bias=False)
            short.append(nn.Sequential(straight, NormAct(n_out, None)))
        self.short = nn.Sequential(*short)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.body(x) + self.short(x))
        return y


class _Enlarge(nn.Module):
    def __init__(self, factors: tuple[float, ...]) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, x: Tensor) -> Tensor:
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        return interpolate(x, scale_factor=self.factors, mode=mode)  # type: ignore[arg-type]


def _bare(make: _Maker) -> _Maker:
    """Return a maker without dropout: only the first convolution of a residual block has it."""
    return _Maker(make.dims, 0.0, make.bias)


def _he(layer: nn.Module) -> nn.Module:
    """Draw the weights for leaky ReLUs (He et al. 2015) and start the bias at zero."""
    nn.init.kaiming_normal_(layer.weight, a=0.01)  # type: ignore[arg-type]
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _check(
    features: Sizes,
    strides: Sequence[Sizes],
    kernels: Sequence[Sizes],
    blocks: Sizes,
    up: str,
    skip: str,
) -> None:
    counts = {len(features), len(strides), len(kernels), len(blocks)}
    if len(counts) > 1 or len(features) < 2:
        raise ConfigError(
            "A planned U-Net needs one entry of features, strides, kernels and blocks for each of "
            f"two or more stages; got {len(features)}, {len(strides)}, {len(kernels)} and "
            f"{len(blocks)}."
        )
    if any(k % 2 == 0 for kernel in kernels for k in kernel):
        raise ConfigError(f"Kernels must be odd to keep the size of the image; got {kernels}.")
    if up not in ("transposed", "linear") or skip not in ("cat", "add"):
        raise ConfigError(
            f'up is "transposed" or "linear", skip is "cat" or "add"; got {up!r} and {skip!r}.'
        )
