"""Convolutions that avoid detours on a CPU; they return what torch's return."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from neuroloom.nets.layers import winograd
from neuroloom.nets.layers.norm_act import LAST, channels_lie_last, is_traced


class _Lean(nn.modules.conv._ConvNd):
    """What both have in common.

    With channels last, a kernel of one voxel is a matrix product: torch's own path for it in 3-D is
    several times as slow, and in 2-D with a stride and few channels torch 2.13 writes outside its
    arrays on the way back. Kernels of three go by minimal filtering where that is quicker; that has
    no second derivative.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, *place) to the same, as torch does."""
        fits = x.ndim == self.weight.ndim and x.shape[1] == self.in_channels
        if not fits or self.groups != 1 or not _suits(x):
            return super().forward(x)  # type: ignore[misc, no-any-return]
        if set(self.kernel_size) == {1} and set(self.padding) == {0}:
            step = (slice(None), *(slice(None, None, n) for n in self.stride))
            y = linear(x.movedim(1, -1)[step], self.weight.flatten(1), self.bias)
            return y.movedim(-1, 1)
        if self._spans_three() and _is_single(x) and winograd.pays(x, self.out_channels):
            y = winograd.convolve(x, self.weight)
            return y if self.bias is None else y + self.bias.view(-1, *(1,) * (x.ndim - 2))
        return super().forward(x)  # type: ignore[misc, no-any-return]

    def _spans_three(self) -> bool:
        around = set(self.padding) == {1} and self.padding_mode == "zeros"
        whole = set(self.stride) == {1} and set(self.dilation) == {1}
        return around and whole and set(self.kernel_size) == {3}


def _suits(x: Tensor) -> bool:
    return channels_lie_last(x) and not is_traced()


def _is_single(x: Tensor) -> bool:
    """Whether numbers are float32 and stay so: minimal filtering is too coarse for fewer digits.

    With more of them it would be good enough; but whoever asks for float64 wants torch's numbers.
    """
    return x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class LeanConv2d(_Lean, nn.Conv2d):
    """`torch.nn.Conv2d`, quicker on a CPU where the channels lie last in memory.

    Examples
    --------
    >>> import torch
    >>> LeanConv2d(4, 3, 1)(torch.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 3, 5, 5])
    """


class LeanConv3d(_Lean, nn.Conv3d):
    """`torch.nn.Conv3d`, quicker on a CPU where the channels lie last in memory.

    Examples
    --------
    >>> import torch
    >>> LeanConv3d(2, 3, 1)(torch.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 3, 4, 4, 4])
    """


CONV = {2: LeanConv2d, 3: LeanConv3d}  # by the number of axes


class _LeanUp(nn.modules.conv._ConvTransposeNd):
    """What both have in common: each place becomes a block of places, by one matrix product."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (n, channel, *place) to as many times the places as the stride says."""
        blocks = self.kernel_size == self.stride and not any(self.padding)
        if output_size is not None or not blocks or self.groups > 1 or not _suits(x):
            return super().forward(x, output_size)  # type: ignore[misc]
        axes, parts = x.ndim - 2, self.weight[0, 0].numel()
        bias = None if self.bias is None else self.bias.repeat(parts)
        y = linear(x.movedim(1, -1), self.weight.movedim(1, -1).flatten(1).T, bias)
        y = y.unflatten(-1, (*self.kernel_size, -1))
        order = [k for axis in range(axes) for k in (1 + axis, 1 + axes + axis)]
        sizes = [n * step for n, step in zip(x.shape[2:], self.stride, strict=True)]
        y = y.permute(0, *order, 2 * axes + 1).reshape(len(x), *sizes, -1)
        return y.movedim(-1, 1)


class LeanUp2d(_LeanUp, nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, quicker where kernel and stride are one.

    Examples
    --------
    >>> import torch
    >>> LeanUp2d(3, 2, 2, 2)(torch.zeros(1, 3, 4, 5)).shape
    torch.Size([1, 2, 8, 10])
    """


class LeanUp3d(_LeanUp, nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d`, quicker where kernel and stride are one.

    Examples
    --------
    >>> import torch
    >>> LeanUp3d(3, 2, (1, 2, 2), (1, 2, 2))(torch.zeros(1, 3, 4, 4, 4)).shape
    torch.Size([1, 2, 4, 8, 8])
    """


def lay_last(net: nn.Module) -> None:
    """Let the kernels of lean convolutions lie with their channels last, and so what they return.

    Other convolutions keep their layout: torch's own are not always quicker that way.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(LeanConv2d(1, 4, 3), nn.ReLU())
    >>> lay_last(net)
    >>> channels_lie_last(net(torch.zeros(1, 1, 8, 8)))
    True
    """
    for part in net.modules():
        if isinstance(part, _Lean | _LeanUp):
            part.to(memory_format=LAST[part.weight.ndim])  # type: ignore[call-overload]
