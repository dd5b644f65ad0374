"""Instance norm and leaky ReLU as one operation, quick where the channels lie last in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, leaky_relu


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

    References
    ----------
    Ulyanov et al. (2016), arXiv:1607.08022; the pair as in nnU-Net (Isensee et al. 2021).

    Examples
    --------
    >>> y = NormAct(3)(torch.arange(24.0).reshape(1, 3, 2, 2, 2))
    >>> [round(v, 3) for v in y[0, 0].flatten().tolist()][:4]
    [-0.015, -0.011, -0.007, -0.002]
    """

    def __init__(self, width: int, slope: float | None = 0.01, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.slope, self.eps = slope, eps

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, *place) to the same shape."""
        if _channels_lie_last(x) and not _traced():
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
        parts = [
            torch.native_batch_norm(one, weight, bias, None, None, True, 0.0, eps)
            for one in x.split(1)
        ]
        y = parts[0][0] if len(parts) == 1 else torch.cat([part[0] for part in parts])
        if slope is not None:
            leaky_relu(y, slope, inplace=True)
        ctx.eps, ctx.slope = eps, slope
        moments = [moment for part in parts for moment in part[1:]]
        ctx.save_for_backward(x, weight, y, *moments)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of the input, the weight and the bias."""
        x, weight, y, *moments = ctx.saved_tensors
        grad = grads[0]
        if ctx.slope is not None:
            grad = torch.ops.aten.leaky_relu_backward(grad, y, ctx.slope, True)
        one_by_one = zip(grad.split(1), x.split(1), moments[::2], moments[1::2], strict=True)
        parts = [
            torch.ops.aten.native_batch_norm_backward(
                g, one, weight, None, None, mean, scale, True, ctx.eps, [True, True, True]
            )
            for g, one, mean, scale in one_by_one
        ]
        d_x, d_weight, d_bias = zip(*parts, strict=True)
        return torch.cat(d_x), torch.stack(d_weight).sum(0), torch.stack(d_bias).sum(0), None, None


def _channels_lie_last(x: Tensor) -> bool:
    if x.device.type != "cpu" or x.ndim not in (4, 5) or x.shape[1] == 1:
        return False
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.is_contiguous(memory_format=layout)


def _traced() -> bool:
    """Whether the net is being written down, for a compiler or another runtime, not run."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
