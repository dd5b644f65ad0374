"""Convolutions that avoid detours on a CPU; they return what torch's return."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from neuroloom.nets.layers import winograd
from neuroloom.nets.layers.norm_act import LAST, channels_lie_last, is_traced


class _Lean(nn.modules.conv._ConvNd):
    """What both have in common.

    With channels last, a kernel of one voxel is a matrix product: torch's own path for it in 3-D is
    several times as slow, and in 2-D with a stride and few channels torch 2.13 writes outside its
    arrays on the way back. Kernels of three, also dilated ones, go by minimal filtering where that
    is quicker; that has no second derivative.
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
        if self._spans_three() and _is_single(x) and self._filters_less(x):
            apart = phases(x, self.dilation)
            y = rejoined(winograd.convolve(apart, self.weight), self.dilation, x.shape)
            return y if self.bias is None else y + self.bias.view(-1, *(1,) * (x.ndim - 2))
        return super().forward(x)  # type: ignore[misc, no-any-return]

    def _filters_less(self, x: Tensor) -> bool:
        places = [-(-size // step) for size, step in zip(x.shape[2:], self.dilation, strict=True)]
        shape = (len(x) * prod(self.dilation), x.shape[1], *places)
        return winograd.pays(shape, self.out_channels)

    def _spans_three(self) -> bool:
        around = tuple(self.padding) == tuple(self.dilation) and self.padding_mode == "zeros"
        return around and set(self.stride) == {1} and set(self.kernel_size) == {3}


def phases(x: Tensor, every: Sequence[int]) -> Tensor:
    """Return the images that hold every second, third, … place of an image, from each start on.

    A convolution of dilation two is one of dilation one on each of them.

    Parameters
    ----------
    x
        (n, channel, *place), its channels last in memory.
    every
        Places an axis from one to the next.

    Returns
    -------
    Tensor
        (n * start, channel, *place), with zeros at the far ends where the steps do not come out
        even.

    Examples
    --------
    >>> phases(torch.arange(6.0).reshape(1, 1, 1, 6), (1, 2)).flatten(1).tolist()
    [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    """
    if set(every) == {1}:
        return x
    missing = [-size % step for size, step in zip(x.shape[2:], every, strict=True)]
    inside = pad(x.movedim(1, -1), [0, 0, *(end for gap in reversed(missing) for end in (0, gap))])
    for axis, step in enumerate(every):
        inside = inside.unflatten(1 + 2 * axis, (-1, step))
    axes = len(every)
    starts, places = [2 + 2 * k for k in range(axes)], [1 + 2 * k for k in range(axes)]
    return inside.permute(0, *starts, *places, -1).flatten(0, axes).movedim(-1, 1)


def rejoined(apart: Tensor, every: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Return the image of such a shape whose `phases` these are; its channels may be others.

    Examples
    --------
    >>> x = torch.rand(2, 3, 5, 7)
    >>> bool((rejoined(phases(x, (2, 2)), (2, 2), x.shape) == x).all())
    True
    """
    if set(every) == {1}:
        return apart
    axes = len(every)
    y = apart.movedim(1, -1).unflatten(0, (-1, *every))
    order = [place for axis in range(axes) for place in (1 + axes + axis, 1 + axis)]
    y = y.permute(0, *order, -1)
    for axis in range(axes):
        y = y.flatten(1 + axis, 2 + axis)
    inside = (slice(None), *(slice(0, size) for size in shape[2:]))
    return y[inside].contiguous().movedim(-1, 1)


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
        plain = not any(self.padding) and not any(self.output_padding) and set(self.dilation) == {1}
        blocks = self.kernel_size == self.stride and plain
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


UP = {2: LeanUp2d, 3: LeanUp3d}


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
