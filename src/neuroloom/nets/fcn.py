"""Fully convolutional nets that predate the U-Net: FCN-8s and DeepMedic."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, avg_pool3d, interpolate

from neuroloom.nets.layers.lean_conv import CONV, lay_last
from neuroloom.nets.layers.norm_act import NormAct


class FCN(nn.Module):
    """FCN-8s: a plain encoder whose three coarsest score maps are summed and interpolated.

    The paper's encoder is a VGG net that has seen photographs; here it is one convolution pair a
    level, trained from nothing, and batch-free norms stand where the paper has none.

    Parameters
    ----------
    dims
        2 or 3 axes.
    in_channels, out_channels
        Channels of the image and classes.
    features
        Channels of each level; every level but the first halves the resolution.

    References
    ----------
    Long, Shelhamer & Darrell (2015), CVPR, 3431-3440.

    Examples
    --------
    >>> FCN(2, 1, 3, (8, 16, 16, 16))(torch.zeros(1, 1, 24, 16)).shape
    torch.Size([1, 3, 24, 16])
    """

    def __init__(
        self, dims: int, in_channels: int, out_channels: int, features: Sequence[int]
    ) -> None:
        super().__init__()
        widths = list(pairwise((in_channels, *features)))
        self.levels = nn.ModuleList(
            nn.Sequential(_block(dims, a, b, stride=1 + (i > 0)), _block(dims, b, b))
            for i, (a, b) in enumerate(widths)
        )
        kept = features[1:][-3:]
        self.scores = nn.ModuleList(_conv(dims, width, out_channels, 1) for width in kept)
        lay_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, channel, *place) to logits (n, class, *place)."""
        size, levels = x.shape[2:], []
        for level in self.levels:
            x = level(x)
            levels.append(x)
        beside = levels[-len(self.scores) :]
        total: Tensor | None = None
        for score, map_ in zip(reversed(self.scores), reversed(beside), strict=True):
            here = score(map_)
            total = here if total is None else here + _to(total, here.shape[2:])
        assert total is not None
        return _to(total, size)


class DeepMedic(nn.Module):
    """DeepMedic: one path at full resolution beside one that sees `context` times as far.

    Parameters
    ----------
    dims
        2 or 3 axes.
    in_channels, out_channels
        Channels of the image and classes.
    features
        Channels of the eight convolutions of a path; every second one closes a shortcut.
    hidden
        Channels of the two 1x1 convolutions in front of the answer.
    context
        How much coarser the second path looks.
    dropout
        Share dropped in front of each of the 1x1 convolutions.

    References
    ----------
    Kamnitsas et al. (2017), Medical Image Analysis 36, 61-78.

    Examples
    --------
    >>> DeepMedic(3, 1, 2, features=(4,) * 8, hidden=8)(torch.zeros(1, 1, 9, 9, 9)).shape
    torch.Size([1, 2, 9, 9, 9])
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (30, 30, 40, 40, 40, 40, 50, 50),
        hidden: int = 150,
        context: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.context = context
        self.near = _Path(dims, in_channels, features)
        self.far = _Path(dims, in_channels, features)
        drop = nn.Dropout2d if dims == 2 else nn.Dropout3d
        self.head = nn.Sequential(
            _block(dims, 2 * features[-1], hidden, kernel=1),
            drop(dropout),
            _block(dims, hidden, hidden, kernel=1),
            drop(dropout),
            _conv(dims, hidden, out_channels, 1),
        )
        lay_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, channel, *place) to logits (n, class, *place)."""
        pool = avg_pool2d if x.ndim == 4 else avg_pool3d
        coarse = pool(x, self.context, ceil_mode=True, count_include_pad=False)
        far = _to(self.far(coarse), x.shape[2:])
        y: Tensor = self.head(torch.cat([self.near(x), far], 1))
        return y


class _Path(nn.Module):
    """Pairs of convolutions; a shortcut carries the channels that both ends have."""

    def __init__(self, dims: int, n_in: int, features: Sequence[int]) -> None:
        super().__init__()
        widths = list(pairwise((n_in, *features)))
        pairs = zip(widths[::2], widths[1::2], strict=True)
        self.pairs = nn.ModuleList(
            nn.Sequential(_block(dims, *first), _block(dims, *second)) for first, second in pairs
        )

    def forward(self, x: Tensor) -> Tensor:
        for i, pair in enumerate(self.pairs):
            y = pair(x)
            if i:
                both = min(x.shape[1], y.shape[1])
                y = torch.cat([y[:, :both] + x[:, :both], y[:, both:]], 1)
            x = y
        return x


def _conv(dims: int, n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Module:
    return CONV[dims](n_in, n_out, kernel, stride, kernel // 2)


def _block(dims: int, n_in: int, n_out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    conv = CONV[dims](n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, NormAct(n_out))


def _to(x: Tensor, size: Sequence[int]) -> Tensor:
    return interpolate(x, size=tuple(size), mode="bilinear" if x.ndim == 4 else "trilinear")
