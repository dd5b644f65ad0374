"""Instance norm and leaky ReLU as one operation, quick where the channels lie last in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, leaky_relu

LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # layouts, by the number of axes


class NormAct(nn.Module):
    """Instance norm with weights, then leaky ReLU.

    The arithmetic is that of `torch.nn.InstanceNorm` and `LeakyReLU`. On a CPU torch has no
    instance norm for channels that lie last: it copies the array there and back, which costs as
    much as a convolution. Each example is therefore given to the batch norm, which has one. (The
    group norm has one too, but takes the variance as a difference of squares: an offset of a
    thousand deviations ruins it.)

    Parameters
    ----------
    width
        Channels.
    slope
        Of the leaky ReLU below zero; None leaves the ReLU out.
    eps
        Added to the variance.
    affine
        Whether weights and biases are learnt; else they stay one and zero.

    References
    ----------
    Ulyanov et al. (2016), arXiv:1607.08022; the pair as in nnU-Net (Isensee et al. 2021).

    Examples
    --------
    >>> y = NormAct(3)(torch.arange(24.0).reshape(1, 3, 2, 2, 2))
    >>> [round(v, 3) for v in y[0, 0].flatten().tolist()][:4]
    [-0.015, -0.011, -0.007, -0.002]
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, width: int, slope: float | None = 0.01, eps: float = 1e-5, *, affine: bool = True
    ) -> None:
        super().__init__()
        for name, values in (("weight", torch.ones(width)), ("bias", torch.zeros(width))):
            if affine:
                self.register_parameter(name, nn.Parameter(values))
            else:
                self.register_buffer(name, values, persistent=False)
        self.slope, self.eps = slope, eps

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, *place) to the same shape."""
        if channels_lie_last(x) and not is_traced():
            y: Tensor = _Quick.apply(x, self.weight, self.bias, self.eps, self.slope)
            return y
        if x.shape[2:].numel() == 1:  # nothing varies: what torch refuses in training
            y = torch.group_norm(x, x.shape[1], self.weight, self.bias, self.eps)
        else:
            y = instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return y if self.slope is None else leaky_relu(y, self.slope, inplace=True)


class _Quick(torch.autograd.Function):
    """Forward and backward of `NormAct`, one example after the other."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float | None
    ) -> Tensor:
        """Return the result and keep what the way back needs."""
        y = torch.empty_like(x)
        kind = torch.promote_types(x.dtype, torch.float32)
        moments = x.new_empty((len(x), 2, len(weight)), dtype=kind).unbind()
        for given, made, (mean, scale) in zip(x.split(1), y.split(1), moments, strict=True):
            torch.ops.aten.native_batch_norm.out(
                given, weight, bias, None, None, True, 0.0, eps,
                out=made, save_mean=mean, save_invstd=scale,
            )  # fmt: skip
        if slope is not None:
            leaky_relu(y, slope, inplace=True)
        ctx.eps, ctx.slope = eps, slope
        # Without a leaky ReLU its result is not needed, and a net may write over it.
        ctx.save_for_backward(x, weight, x if slope is None else y, *moments)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of the input, the weight and the bias."""
        x, weight, y, *moments = ctx.saved_tensors
        d_x, slopes = torch.empty_like(x), []
        each = (part.split(1) for part in (grads[0], x, y, d_x))
        # One example after the other, while it is still in the cache.
        for (grad, given, made, out), (mean, scale) in zip(
            zip(*each, strict=True), moments, strict=True
        ):
            if ctx.slope is not None:
                grad = torch.ops.aten.leaky_relu_backward(grad, made, ctx.slope, True)
            found, *more = torch.ops.aten.native_batch_norm_backward(
                grad, given, weight, None, None, mean, scale, True, ctx.eps, [True, True, True]
            )
            out.copy_(found)
            slopes.append(torch.stack(more))
        d_weight, d_bias = torch.stack(slopes).sum(0)
        return d_x, d_weight, d_bias, None, None


def channels_lie_last(x: Tensor) -> bool:
    """Whether an image on the CPU has several channels, which lie last in memory.

    Examples
    --------
    >>> channels_lie_last(torch.zeros(1, 2, 4, 4).to(memory_format=torch.channels_last))
    True
    """
    if x.device.type != "cpu" or x.ndim not in LAST or x.shape[1] == 1:
        return False
    return x.is_contiguous(memory_format=LAST[x.ndim])


def is_traced() -> bool:
    """Whether the net is being written down, for a compiler or another runtime, not run."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
